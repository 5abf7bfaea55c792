"""Draws of noise and training steps, by this version's numbers and by the first one's, in turns.

`python -m benchmarks.rng` writes a row for each kind of draw and each family into `results/rng.json`.
"""

import argparse
import statistics
import time

import torch

from benchmarks.row import write_row
from benchmarks.speed import Job
from zeuxis import families
from zeuxis.core import machine
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import FirstRng, Rng
from zeuxis.training import step

DRAWS = {
    "normal, 64 rows of 3x32x32": lambda rng: rng.normal("z", 3, 32, 32),
    "uniform, 64 rows of 3x32x32": lambda rng: rng.uniform("u", 3, 32, 32),
    "normal, 64 rows of 128": lambda rng: rng.normal("z", 128),
    "uniform, 64 rows of 1": lambda rng: rng.uniform("u", 1),
}


STEPS = 8
"""Steps in a row: a whole cycle of the usual lazy terms."""


def draws(turns: int) -> None:
    """Write the row of each kind of draw."""
    for name, draw in DRAWS.items():
        seconds: dict[type[Rng], list[float]] = {Rng: [], FirstRng: []}
        for turn in range(turns):
            for kind, times in seconds.items():
                rng = kind.for_rows(0, "main", turn, range(64))
                began = time.thread_time()  # of this thread: what else runs here does not count
                draw(rng)
                times.append(time.thread_time() - began)
        now, before = (1e3 * statistics.median(times[10:]) for times in seconds.values())
        write_row(
            "rng",
            what=name,
            milliseconds=round(now, 3),
            first_milliseconds=round(before, 3),
            ratio=round(now / before, 2),
        )


def training(family: str, turns: int) -> None:
    """Write the row of a family's steps at 32x32, batch 64, float32."""
    job = Job(name=family, size=64)
    batch, given = job.batch(), {"batch_size": 64, "steps": 10_000}
    settings = families.get(family).TRAINING.model_copy(update=given)
    state = step.start(job.build(), settings, torch.device("cpu"), "float32", Parallel())
    seconds: dict[type[Rng], list[float]] = {Rng: [], FirstRng: []}
    for _ in range(turns):
        for kind, times in seconds.items():
            state.rng = kind
            began = time.perf_counter()
            for _ in range(STEPS):
                step.train_step(state, lambda draw, rows: batch)
                state.step += 1
            times.append((time.perf_counter() - began) / STEPS)
    now, before = (64 / statistics.median(times[1:]) for times in seconds.values())
    figures = {"images_per_second": round(now, 1), "first_images_per_second": round(before, 1)}
    write_row("rng", what=f"training of {family}", **figures, ratio=round(now / before, 3))


def main() -> None:
    """Measure by both, one after the other, and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--families", nargs="*", default=["vae", "flow", "gan"])
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    machine.set_threads(args.threads or None)
    draws(args.turns)
    for family in args.families:
        training(family, 12)


if __name__ == "__main__":
    main()
