"""Files per second that samples are written at: synced one by one, together, and not at all.

    python -m benchmarks.samples_disk [--count 5000] [--folder .] [--record]

Images of 28 x 28 in grey, random, in a folder of their own that is removed; each way `ROUNDS` times, in
turns, and the median.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.row import write_row
from zeuxis.core.pixels import save_png
from zeuxis.inference import results

ROUNDS = 3


def one_by_one(folder: Path, images: np.ndarray, sync: bool = True) -> None:
    """Each file is moved to its place, synced or not."""
    for index, image in enumerate(images):
        save_png(folder / f"{index:05d}.png", image, sync)


def not_at_all(folder: Path, images: np.ndarray) -> None:
    """What a crash of the machine may undo."""
    one_by_one(folder, images, sync=False)


def together(folder: Path, images: np.ndarray) -> None:
    """As `zeuxis sample` does."""
    results.Images(images=images, provenance=results.UNMARKED).write(folder)


WAYS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "synced_each": one_by_one,
    "not_synced": not_at_all,
    "zeuxis_sample": together,
}


def main() -> None:
    """Write them in each way and print, or record, the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--record", action="store_true")
    words = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (words.count, 28, 28, 1), np.uint8)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, write in WAYS.items():
            with tempfile.TemporaryDirectory(dir=words.folder) as room:
                began = time.perf_counter()
                write(Path(room) / "samples", images)
                seconds[name].append(time.perf_counter() - began)
    rates = {name: round(words.count / statistics.median(each)) for name, each in seconds.items()}
    if words.record:
        write_row("samples_disk", count=words.count, files_per_second=rates)
    else:
        print(rates)


if __name__ == "__main__":
    main()
