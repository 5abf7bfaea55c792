"""Kernel distance of a flow's samples by the number of steps and the new noise, and by jumps if it has any.

    python -m benchmarks.few_steps RUN PREPARED [--steps 4 8 16] [--churn 0 0.25] [--samples 1000] [--record]

The same seeds and labels for each; the judges are hold-out images. `benchmarks.quality RUN steps=4` says
what such samples teach a classifier.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.row import write_row
from zeuxis.data import open_prepared
from zeuxis.features import features
from zeuxis.inference.model import load
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.objectives.distillation import MOST_STEPS


def main() -> None:
    """One row with a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="the prepared set that it was trained on")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 3, 4, 8, 16])
    parser.add_argument("--churn", type=float, nargs="+", default=[0.0, 0.25])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    model, prepared = load(args.run), open_prepared(args.data)
    config: Any = model.family.config
    real = features(prepared.images[prepared.holdout[: 2 * args.samples]])
    ways = {f"churn={churn:g}": {"churn": churn, "most_jumps": 0} for churn in args.churn}
    if config.jumps:
        ways["jumps"] = {}
    table: dict[str, dict[str, list[float]]] = {way: {} for way in ways}
    for steps in args.steps:
        for way, controls in ways.items():
            if way == "jumps" and steps > MOST_STEPS:
                continue
            made = model.sample(args.samples, steps=steps, **controls).images
            found = kernel_distance(features(made), real)
            low, high = found.interval or (found.value, found.value)
            table[way][str(steps)] = [round(found.value, 3), round((high - low) / 2, 3)]
    row = {
        "run": args.run.name,
        "share_of_jumps": config.jumps,
        "samples": args.samples,
        "kernel_distance_and_half_interval": table,
        "minutes": model.facts["minutes"],
        "progress": model.facts["progress"],
    }
    if args.record:
        write_row("few_steps", **row)
    else:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
