"""Samples as files: numbered PNGs, and a note of how they were made."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zeuxis import use
from zeuxis.disk import write_json
from zeuxis.family import Tick
from zeuxis.images import grid, save_png
from zeuxis.run import override

NOTE = "samples.json"
"""Marks a folder as written by `write`: only such a folder is ever overwritten."""


def draw(
    run: Path,
    count: int,
    *,
    seed: int = 0,
    out: Path | None = None,
    sheet: Path | None = None,
    labels: Sequence[str] = (),
    controls: Mapping[str, str] | None = None,
    tick: Tick | None = None,
) -> Path:
    """Draw `count` images from the artefact `run` into a folder, and return the folder.

    Args:
        run: a trained model's folder.
        count: how many images.
        seed: image i depends on this and on i alone.
        out: the folder; by default `samples/<run>-seed<seed>`.
        sheet: a PNG file to write all of them to, side by side.
        labels: one class, or `condition=class` words.
        controls: the family's controls as words.
        tick: told of progress.

    Raises:
        ValueError: no such label or control, `out` holds files of another origin, or `sheet` is no
            name for a PNG file.
        OSError: the disk is full or not writable.
    """
    folder = out or Path("samples") / f"{run.resolve().name}-seed{seed}"
    check_free(folder)
    check_sheet(sheet)
    model = use.load(run)
    settings = override(model.family.Controls(), dict(controls or {})).model_dump()
    images_NHWC = model.sample(count, seed=seed, label=label(labels), progress=tick, **settings)
    facts = {"run": os.fspath(run), "seed": seed, "labels": list(labels), "controls": settings}
    write(folder, images_NHWC, facts)
    write_sheet(sheet, images_NHWC)
    return folder


def write(folder: Path, images_NHWC: np.ndarray, facts: Mapping[str, object]) -> None:
    """Write `0000.png`, `0001.png` ... and the note; earlier samples in `folder` are replaced.

    Raises:
        ValueError: `folder` holds files of another origin.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / NOTE, {"count": len(images_NHWC), **facts})
    for stale in written(folder):
        stale.unlink()
    for index, image_HWC in enumerate(images_NHWC):
        save_png(folder / f"{index:04d}.png", image_HWC)


def write_sheet(sheet: Path | None, images_NHWC: np.ndarray, columns: int = 0) -> None:
    """Write images side by side as one PNG file, if one was asked for, small ones enlarged."""
    if sheet is not None:
        scale = max(1, 64 // images_NHWC.shape[1])
        save_png(sheet, grid(images_NHWC, columns=columns, scale=scale, gap=2))


def written(folder: Path) -> list[Path]:
    """The images that `write` left in `folder`; other files may lie beside them."""
    return [path for path in folder.glob("*.png") if path.stem.isdigit()]


def check_sheet(sheet: Path | None) -> None:
    """Refuse a name that is not of a PNG file."""
    if sheet is not None and (sheet.suffix.lower() != ".png" or sheet.is_dir()):
        raise ValueError(f"{sheet} cannot be a PNG file; give --grid a file name that ends in .png")


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but samples.

    Raises:
        ValueError: it does, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder with --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / NOTE).is_file():
        found = min(path.name for path in folder.iterdir())
        raise ValueError(
            f"{folder} holds files that are not samples (such as {found}); "
            "name a new or an empty folder with --out"
        )


def label(words: Sequence[str]) -> str | dict[str, str] | None:
    """Words of the command line as `Model.sample` wants them."""
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    for word in words:
        if "=" not in word:
            raise ValueError(f"cannot read the label {word!r}: expected CONDITION=CLASS")
    asked = dict(word.split("=", 1) for word in words)
    if len(asked) < len(words):
        raise ValueError(
            f"found a condition twice in {', '.join(words)}; give each one class, and draw the "
            "others in another call"
        )
    return asked or None
