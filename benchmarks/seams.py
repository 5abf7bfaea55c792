"""Whether the tiles of a translated picture show.

    python -m benchmarks.seams RUN PICTURE [--record]

Of a model that takes any size and of PICTURE, at 384 x 320 pixels: the mean step across the borders of tiles
over the mean step elsewhere, by tiles and whole, with the values that differ at all.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from zeuxis import load
from zeuxis.core import machine
from zeuxis.inference import tiling
from zeuxis.inference.model import Model

SEEN = 384, 320
"""Of the picture whose tiles are looked at."""
CORE = 64
"""Pixels a side of its tiles, about."""


def fitting(picture: Image.Image, height: int, width: int, channels: int) -> np.ndarray:
    """The picture at a size, as the model's sources are."""
    kind = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    pixels = np.asarray(picture.convert(kind).resize((width, height), Image.Resampling.LANCZOS))
    return pixels.reshape(height, width, channels)


def made(model: Model, source: np.ndarray) -> np.ndarray:
    """Its translation."""
    return np.asarray(model.translate([source]).images[0])


def steps(image: np.ndarray, rows: list[int], columns: list[int]) -> float:
    """Mean difference of neighbours across borders, over that elsewhere."""
    across, elsewhere = [], []
    for axis, borders in enumerate((rows, columns)):
        apart = np.abs(np.diff(image.astype(np.float64), axis=axis)).mean((1 - axis, 2))
        at = np.zeros(len(apart), bool)
        at[[border - 1 for border in borders]] = True
        across.append(apart[at])
        elsewhere.append(apart[~at])
    return float(np.concatenate(across).mean() / np.concatenate(elsewhere).mean())


def seams(model: Model, source: np.ndarray) -> dict[str, float]:
    """Steps at borders by tiles and whole, and values that differ."""
    family, usual = model.family, tiling.LARGEST
    around = family.stride, family.margin, family.scale
    whole = made(model, source)
    tiling.LARGEST = (family.scale * (2 * family.margin + CORE)) ** 2
    try:
        height, width = source.shape[:2]
        borders = [
            [kept.start * family.scale for _, kept in tiling.parts(*both, *around)][1:]
            for both in ((height, width), (width, height))
        ]
        tiled = made(model, source)
    finally:
        tiling.LARGEST = usual
    return {
        "border_steps_tiled": round(steps(tiled, *borders), 4),
        "border_steps_whole": round(steps(whole, *borders), 4),
        "tiles": (len(borders[0]) + 1) * (len(borders[1]) + 1),
        "values_apart": int((tiled != whole).sum()),
        "most_levels_apart": int(np.abs(tiled.astype(int) - whole).max()),
    }


def main() -> None:
    """Print the figures, and record them if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    machine.set_threads(1)
    model, picture = load(asked.run), Image.open(asked.picture)
    channels = model.family.fields()["source"].shape[0]
    facts: dict[str, object] = {
        "run": asked.run.name,
        "family": model.facts["family"],
        "precision": model.precision,
        "scale": model.family.scale,
        **seams(model, fitting(picture, *SEEN, channels)),
    }
    if asked.record:
        write_row("seams", **facts)
    else:
        print(facts)


if __name__ == "__main__":
    main()
