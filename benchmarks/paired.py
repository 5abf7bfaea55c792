"""Is this checkout as fast as another? Training and sampling in turns, on the embedded avatars.

    python -m benchmarks.paired OTHER [--families vae gan flow] [--steps 200] [--turns 3] [--record]

OTHER is a checkout of an earlier commit. Each turn trains each family in a process of its own, first by one
checkout, then by the other, and draws 256 samples from what it trained. A row holds the images per second of
both and their ratio, each the best of its turns: what disturbs a run only ever makes it slower.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.row import write_row

HERE = Path(__file__).parents[1]
CALL = """
import json, sys, time, zeuxis
family, out, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
run = zeuxis.train(family, "avatars", out=out, steps=steps, threads=2, evaluate=False)
model = zeuxis.load(run)
model.sample(32)
began = time.perf_counter()
model.sample(256, seed=1)
drawing = time.perf_counter() - began
progress = model.facts["progress"]
print(json.dumps({"training": progress["images"] / progress["seconds"], "sampling": 256 / drawing}))
"""


def measured(checkout: Path, family: str, steps: int) -> dict[str, float]:
    """Images per second of training and of sampling by the code of a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", CALL, family, f"{folder}/run", str(steps)],
            env={**os.environ, "PYTHONPATH": str(checkout / "src")},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure in turns, print a row a family."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("other", type=Path)
    parser.add_argument("--families", nargs="+", default=["vae", "gan", "flow"])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    git = ["git", "-C", str(args.other), "rev-parse", "--short", "HEAD"]
    other = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    for family in args.families:
        best: dict[str, dict[str, float]] = {"here": {}, "other": {}}
        for _ in range(args.turns):
            for side, checkout in (("other", args.other), ("here", HERE)):
                for what, rate in measured(checkout.resolve(), family, args.steps).items():
                    best[side][what] = max(rate, best[side].get(what, 0.0))
        row: dict[str, Any] = {"family": family, "other_commit": other, "turns": args.turns}
        for what, rate in best["here"].items():
            row[f"{what}_images_per_s"] = round(rate, 1)
            row[f"{what}_of_other"] = round(rate / best["other"][what], 3)
        if args.record:
            write_row("paired", **row)
        else:
            print(json.dumps(row))


if __name__ == "__main__":
    main()
