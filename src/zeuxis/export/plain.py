"""Exports that are files of Zeuxis as they are: the weights with their card, and a sheet of pictures."""

import math
from pathlib import Path

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.files import write_json
from zeuxis.core.progress import Progress
from zeuxis.export.files import Asked, check_folder, write_card, write_text
from zeuxis.inference import artefact
from zeuxis.inference.model import load

LICENCE = "LICENSE"
LARGEST = 16_384
"""Pixels of a side of a sheet: more than graphics cards take as one texture."""


def folder(asked: Asked, progress: Progress | None = None) -> list[Path]:
    """The trained model alone, without what training left: a folder that every command of Zeuxis takes.

    Raises:
        Conflict: the folder holds something else.
    """
    check_folder(asked.out, "config.json")
    artefact.copy(asked.run, asked.out)
    write_card(asked, asked.out)
    if asked.licence:
        text = (
            f"{asked.licence}, an SPDX identifier, is the licence of the weights in this folder.\n"
        )
        write_text(asked.out / LICENCE, text)
    return sorted(path for path in asked.out.rglob("*") if path.is_file())


def sheet(asked: Asked, progress: Progress | None = None) -> list[Path]:
    """New pictures side by side at their own size, as game engines take them, and where each lies.

    The JSON beside the PNG is the "hash" form of texture packers (frames by name; x, y, w and h in pixels).

    Raises:
        Unable: the model draws no new pictures.
    """
    model = load(asked.run)
    made = model.sample(asked.count, seed=asked.seed, progress=progress)
    count, height, width, channels = made.array.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    if max(rows * height, columns * width) > LARGEST:
        raise Invalid(
            f"a sheet of {count} pictures of {width} x {height} has a side of more than {LARGEST:,} "
            "pixels; give a smaller --count"
        )
    ground = np.full(
        (rows * columns, height, width, channels), 0 if channels == 4 else 255, np.uint8
    )
    ground[:count] = made.array
    laid = ground.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    made.write_picture(asked.out, laid.reshape(rows * height, columns * width, channels))
    names = [f"{asked.seed}-{index:04d}" for index in range(count)]
    places = [divmod(index, columns) for index in range(count)]
    frames = {
        name: {"frame": {"x": column * width, "y": row * height, "w": width, "h": height}}
        for name, (row, column) in zip(names, places, strict=True)
    }
    size = {"w": columns * width, "h": rows * height}
    said = {
        "app": "Zeuxis",
        "image": asked.out.name,
        "format": "RGBA8888",
        "size": size,
        "scale": "1",
    }
    beside = asked.out.with_suffix(".json")
    write_json(beside, {"frames": frames, "meta": said, "provenance": dict(made.provenance)})
    return [asked.out, beside]
