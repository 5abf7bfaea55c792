"""One `--steps` command several times, on an idle machine and beside busy programs in turns: one model?

    python -m benchmarks.same_bits [--runs 5] [--family vae] [--steps 60] [--limit 900]

Compares the weights' hash and `log.jsonl`. The row is written in any case; exit code 1: they differ.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

from benchmarks import busy, row


def main() -> int:
    """Write one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--family", default="vae")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--limit", type=float, default=900, help="seconds of a run at most")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(asked.runs):
            out = Path(temporary) / str(number)
            words = ["train", asked.family, "avatars", "--steps", asked.steps, "--no-evaluate"]
            beside = busy.LOADS["two at nice 19" if number % 2 else "idle"]
            done = busy.run([*words, "--out", out], beside, asked.limit)
            models = sorted(path.name for path in out.glob("model-*.safetensors"))
            log = out / "log.jsonl"
            found.append(
                {
                    "busy": bool(beside),
                    "exit": done.code,
                    "seconds": done.seconds,
                    "model": models[0] if len(models) == 1 else models,
                    "log": hashlib.sha256(log.read_bytes()).hexdigest() if log.exists() else None,
                }
            )
    models = {str(each["model"]) for each in found}
    logs = {each["log"] for each in found}
    same = len(models) == len(logs) == 1 and all(each["exit"] == 0 for each in found)
    row.write_row(
        "same_bits",
        family=asked.family,
        steps=asked.steps,
        same=same,
        models=len(models),
        runs=found,
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
