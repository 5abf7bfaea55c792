"""`zeuxis serve` asked by schemathesis what its own OpenAPI says: 5xx and answers that are not as described.

    python -m venv asker && asker/bin/pip install schemathesis     # not beside Zeuxis
    python -m benchmarks.openapi --schemathesis asker/bin/schemathesis [--seconds 120] [--record]

One server, a process as users start it, with an untrained GAN of 8 x 8 pixels and jobs. The requests are
made up: half of them as the schema says, half not, for every operation. Each answer must have a documented
status, a documented type and the documented form, and a secret must be asked for wherever one is needed.

Left out are two checks. `positive_data_acceptance`: names of jobs and sets cannot be made up, so many
requests are rightly answered 404 (of a model, a set and a job the names are given). `unsupported_method`: a
GET with a body is refused for the body (415) before its method (405).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks import row
from benchmarks.serve import serving
from zeuxis import families
from zeuxis.inference import artefact

LEFT_OUT = "positive_data_acceptance,unsupported_method"


def made(folder: Path) -> Path:
    """A GAN as small as can be, with random weights."""
    torch.manual_seed(0)
    family = families.build("gan", families.get("gan").TINY)
    artefact.save(folder / "gan", "gan", family, family.state_dict())
    return folder / "gan"


def asked(program: str, address: str, token: str, seconds: int, folder: Path) -> dict[str, Any]:
    """What schemathesis found, as figures."""
    report = folder / "report.ndjson"
    names = {"run": "gan", "family": "gan", **started(address, token)}
    given = "".join(f'"path.{name}" = "{value}"\n' for name, value in names.items())
    (folder / "schemathesis.toml").write_text(f"[parameters]\n{given}")
    words = [program, "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {token}"]
    words += ["--max-time", str(seconds), "--phases", "coverage,fuzzing", "--seed", "1"]
    words += ["--exclude-checks", LEFT_OUT, "--suppress-health-check", "all", "--no-shrink"]
    words += ["--continue-on-failure", "--report", "ndjson", "--report-ndjson-path", str(report)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    print(done.stdout[-6000:], done.stderr[-2000:])
    return counted(report)


def started(address: str, token: str) -> dict[str, str]:
    """Names of a set and of a job to ask for."""
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}) as client:
        made = client.post("/datasets", json={"name": "asked"}).json()["id"]
        job = client.post("/jobs", json={"kind": "prepare", "request": {"source": "avatars"}})
        return {"dataset": made, "job": job.json()["id"]}


def counted(report: Path) -> dict[str, Any]:
    """Answers by status, and checks that failed by name."""
    statuses: dict[str, int] = {}
    failed: dict[str, int] = {}

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, dict):
            if isinstance(value.get("status_code"), int):
                kind = f"{value['status_code'] // 100}xx"
                statuses[kind] = statuses.get(kind, 0) + 1
            if value.get("status") == "failure" and isinstance(value.get("name"), str):
                failed[value["name"]] = failed.get(value["name"], 0) + 1
            for one in value.values():
                walk(one)

    for line in report.read_text().splitlines():
        walk(json.loads(line))
    return {"answers": statuses, "failed": failed}


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--schemathesis", default="schemathesis")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(made(folder), folder) as (_, address, token):
            figures = asked(args.schemathesis, address, token, args.seconds, folder)
    version = subprocess.run([args.schemathesis, "--version"], capture_output=True, text=True)
    figures = {"schemathesis": version.stdout.split()[-1], "seconds": args.seconds, **figures}
    if args.record:
        row.write_row("openapi", **figures)
    print(figures)
    sys.exit(bool(figures["failed"] or figures["answers"].get("5xx")))


if __name__ == "__main__":
    main()
