"""Latency and memory of a family's translations of one picture, on one thread.

    python -m benchmarks.translate_speed RUN... [--sides 64 256 1024] [--controls steps=1 steps=2] [--record]

Each measurement is a process of its own, which loads the model, translates a picture of noise (or a map of
patches of random classes), and says the least processor time of five calls, after one that warms up, and how
far the peak of its memory rose above that of the loaded model. A side may be HEIGHTxWIDTH.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.row import write_row

CALLS = 5
LONG = 2.0
"""Seconds of a call beyond which it is made once more only."""


def peak() -> float:
    """MiB of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(run: str, side: str, controls: list[str]) -> dict[str, Any]:
    """In this process: milliseconds of a call, and MiB above the loaded model."""
    torch.set_num_threads(1)
    from zeuxis import load

    model = load(run)
    field = model.family.fields()["source"]
    height, _, width = side.partition("x")
    size = int(height), int(width or height)
    rng = np.random.default_rng(0)
    if field.kind == "map":
        coarse = rng.integers(0, len(field.classes), (size[0] // 8 + 1, size[1] // 8 + 1))
        source = coarse.repeat(8, 0).repeat(8, 1)[: size[0], : size[1]]
    else:
        source = rng.integers(0, 256, (*size, field.shape[0]), np.uint8)
    asked = {name: json.loads(value) for name, value in (word.split("=") for word in controls)}
    before, spent = peak(), []
    for call in range(CALLS + 1):
        start = time.process_time()
        model.translate([source], **asked)
        spent.append(time.process_time() - start)
        if call and spent[-1] > LONG:
            break
    return {
        "family": model.facts["family"],
        "size": list(size),
        "controls": asked,
        "ms": round(1000 * min(spent[1:]), 1),
        "mib_above_model": round(peak() - before),
    }


def main() -> None:
    """Measure each run at each size with each setting."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--sides", nargs="+", default=["64", "256", "1024"])
    parser.add_argument("--controls", nargs="+", default=[""], help="such as steps=1 steps=4")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        words = [word for word in asked.controls if word]
        print(json.dumps(measured(str(asked.runs[0]), asked.sides[0], words)))
        return
    found = []
    for run in asked.runs:
        for side in asked.sides:
            for control in asked.controls:
                words = [sys.executable, "-m", "benchmarks.translate_speed", str(run), "--one"]
                words += ["--sides", side, "--controls", control]
                done = subprocess.run(words, check=True, capture_output=True, text=True)
                found.append(json.loads(done.stdout.splitlines()[-1]))
                print(json.dumps(found[-1]), flush=True)
    if asked.record:
        torch.set_num_threads(1)
        write_row("translate_speed", rows=found)


if __name__ == "__main__":
    main()
