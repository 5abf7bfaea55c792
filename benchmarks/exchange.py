"""What a look costs processes that train together: what the first found is sent to all, step after step.

    python -m benchmarks.exchange [--processes 2] [--looks 300]

Times, in turns, what a silent look sends (a number) and what one that acts sends (an object, too).
Writes one row.
"""

import argparse
import os
import statistics
import time

import torch

from benchmarks import row
from zeuxis.core.processes import join_processes


def measure(rank: int, world: int, looks: int, port: int) -> None:
    """Both in turns, on each process; the first writes the row."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update({"RANK": str(rank), "WORLD_SIZE": str(world), **place})
    parallel, seconds = join_processes(), {"number": list[float](), "object": list[float]()}
    ways = {"number": lambda: parallel.highest(0.0), "object": lambda: parallel.agree([])}
    for _ in range(looks):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    if rank == 0:
        figures = {
            f"{name}_microseconds": round(1e6 * statistics.median(each))
            for name, each in seconds.items()
        }
        row.write_row("exchange", processes=world, looks=looks, **figures)


def main() -> None:
    """Start the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--looks", type=int, default=300)
    options = parser.parse_args()
    given = (options.processes, options.looks, 29_641)
    torch.multiprocessing.spawn(measure, given, nprocs=options.processes)


if __name__ == "__main__":
    main()
