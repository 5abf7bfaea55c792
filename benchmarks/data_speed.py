"""Speed of the data room: preparing JPEGs against a bare Pillow loop on all cores, and of batches.

Usage: python -m benchmarks.data_speed [COUNT=1500]

The bare loop does what nobody can do without: read the file, `draft`, the same antialiased resize, an
array; with a process or a thread for each core, whichever is faster here. Preparing does that and the
rest: checks, orientation, profiles, hashes, duplicates, statistics, split, a synced file. Rounds alternate.
"""

import concurrent.futures as futures
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.row import write_row
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.data import prepared
from zeuxis.data.preparation import decode, prepare

TARGET = decode.Target(64, 64, 3, "crop")
ROUNDS = 3


def make_jpegs(folder: Path, count: int) -> list[Path]:
    """Photograph-like JPEGs of 640 x 480: clouds of detail at every scale."""
    paths = []
    for i in range(count):
        rng = np.random.default_rng(i)
        picture = np.zeros((480, 640, 3), np.float32)
        for octave in range(7):
            side = 2 ** (octave + 1)
            noise = rng.integers(0, 256, (side * 3 // 4 + 1, side, 3), np.uint8)
            layer = Image.fromarray(noise).resize((640, 480), Image.Resampling.BILINEAR)
            picture += np.asarray(layer, np.float32) / 2 ** (octave / 1.5)
        picture -= picture.min()
        path = folder / f"{i % 10}" / f"{i:05d}.jpg"
        path.parent.mkdir(exist_ok=True)
        levels = np.rint(picture * 255 / picture.max()).astype(np.uint8)
        Image.fromarray(levels).save(path, quality=90)
        paths.append(path)
    return paths


def bare(path: Path) -> np.ndarray:
    """What nobody can do without."""
    with Image.open(path) as image:
        w, h = image.size
        image.draft("RGB", decode._draft_size(h, w, TARGET, False))
        w, h = image.size
        side = min(w, h)
        box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
        return np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC, box))


def bare_loop(paths: list[Path], kind: str) -> float:
    """Seconds that a pool of the kind needs, its start left out."""
    cores = os.cpu_count() or 1
    pool: futures.Executor
    pool = (
        futures.ProcessPoolExecutor(cores)
        if kind == "process"
        else futures.ThreadPoolExecutor(cores)
    )
    with pool:
        list(pool.map(bare, paths[: 8 * cores], chunksize=4))
        began = time.perf_counter()
        np.stack(list(pool.map(bare, paths, chunksize=16)))
        return time.perf_counter() - began


def prepare_speed(count: int) -> None:
    """Row: images/s of `prepare` over those of the bare loop."""
    with tempfile.TemporaryDirectory() as room:
        paths = make_jpegs(Path(room), count)
        kinds: dict[str, list[float]] = {"process": [], "thread": [], "prepare": []}
        for number in range(ROUNDS):
            for kind in ("process", "thread"):
                kinds[kind].append(bare_loop(paths, kind))
            began = time.perf_counter()
            source = Path(room) / "out" / str(number)
            opened = prepare.sources.open_source(room)
            opened.items = opened.items[:count]
            made = prepare.prepare_source(opened, source, Data(size=(64, 64), channels=3))
            kinds["prepare"].append(time.perf_counter() - began)
            assert len(made) == count
            for file in made.folder.iterdir():
                file.unlink()
    median = {kind: statistics.median(seconds) for kind, seconds in kinds.items()}
    best = min(median["process"], median["thread"])
    write_row(
        "data_prepare",
        images=count,
        source="640x480 JPEG, quality 90",
        target="64x64x3",
        images_per_s=round(count / median["prepare"]),
        bare_processes_per_s=round(count / median["process"]),
        bare_threads_per_s=round(count / median["thread"]),
        ratio_to_best_bare=round(best / median["prepare"], 3),
    )


def batch_speed() -> None:
    """Row: milliseconds a batch of 128 at 32x32, plain and augmented, on one thread."""
    torch.set_num_threads(1)
    kinds = {
        "plain": Data(),
        "flip": Data(flip=True),
        "crop": Data(crop=0.1),
        "all": Data(flip=True, crop=0.1, rotate=10.0, colour=0.3),
    }
    images = np.random.default_rng(0).integers(0, 256, (20000, 32, 32, 3), np.uint8)
    with tempfile.TemporaryDirectory() as room:
        np.savez(Path(room) / "set.npz", images=images, label=np.arange(20000) % 10)
        made: prepared.Prepared = data.prepare(Path(room) / "set.npz", Path(room) / "out")
        figures = {}
        for name, settings in kinds.items():
            load = data.batches(made, settings, 0, 128)
            seconds = []
            for draw in range(300):
                began = time.perf_counter()
                load(draw, slice(0, 128))
                seconds.append(time.perf_counter() - began)
            figures[f"{name}_ms"] = round(1000 * statistics.median(seconds), 3)
    write_row("data_batches", rows=128, size="32x32x3", **figures)


if __name__ == "__main__":
    batch_speed()
    prepare_speed(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
