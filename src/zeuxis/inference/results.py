"""Samples as files: numbered PNGs, and a note of how they were made."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zeuxis.core import machine
from zeuxis.core.errors import Conflict, Invalid
from zeuxis.core.files import check_disk, sync_files, write_json
from zeuxis.core.lock import locked
from zeuxis.core.pixels import enlarged, grid, png_bytes, save_png
from zeuxis.core.progress import Event, Watch, ticks
from zeuxis.core.settings import override
from zeuxis.inference.model import LANE, load

NOTE = "samples.json"
"""Marks a folder as written by `write`: only such a folder is ever overwritten."""
MANY = 10 * LANE
"""From so many images on, time and size are said before they are drawn."""
BLOCK = 4096
"""Bytes of a file on most disks at least."""


def draw(
    run: Path,
    count: int,
    *,
    seed: int = 0,
    out: Path | None = None,
    sheet: Path | None = None,
    labels: Sequence[str] = (),
    controls: Mapping[str, str] | None = None,
    watch: Watch | None = None,
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
        watch: told of progress, and of many images beforehand how long they take and how large they are.

    Raises:
        ValueError: no such label or control, `out` holds files of another origin, or `sheet` is no
            name for a PNG file.
        OSError: the disk is full or not writable.
    """
    tell: Watch = watch or (lambda event: None)
    folder = out or Path("samples") / f"{run.resolve().name}-seed{seed}"
    check_free(folder)
    check_sheet(sheet)
    model = load(run)
    settings = override(model.family.Controls(), dict(controls or {})).model_dump()
    asked = {"seed": seed, "label": label(labels), **settings}
    with contextlib.ExitStack() as threads:
        if count >= MANY:
            seconds = threads.enter_context(
                machine.quick_threads(lambda: model.sample(LANE, **asked))
            )
            _announce(folder, model.sample(LANE, **asked), count, seconds, tell)
        images_NHWC = model.sample(count, progress=ticks(tell, "drawing"), **asked)
    facts = {"run": os.fspath(run), "seed": seed, "labels": list(labels), "controls": settings}
    write(folder, images_NHWC, facts)
    write_sheet(sheet, images_NHWC)
    return folder


def _announce(folder: Path, some_NHWC: np.ndarray, count: int, seconds: float, tell: Watch) -> None:
    """Say how long `count` images take and how large they are, by some that took `seconds`.

    Raises:
        ValueError: they do not fit on the disk.
    """
    size = sum(max(BLOCK, len(png_bytes(image))) for image in some_NHWC) / len(some_NHWC)
    check_disk(folder, round(count * size))
    minutes = count / len(some_NHWC) * seconds / 60
    memory = count * some_NHWC[0].size
    tell(
        Event(
            "note",
            f"{count:,} images: about {minutes:.1f} min to draw, {count * size / 2**20:,.0f} MiB on disk, "
            f"{memory / 2**20:,.0f} MiB of memory",
        )
    )


def write(folder: Path, images_NHWC: np.ndarray, facts: Mapping[str, object]) -> None:
    """Write `0000.png`, `0001.png` ... and the note; earlier samples in `folder` are replaced.

    The note says how many there are once they are on the disk, and 0 until then. Another process that
    writes to `folder` is waited for.

    Raises:
        ValueError: `folder` holds files of another origin.
    """
    with locked(folder.parent / f".{folder.name}.lock", f"{folder} is being written", wait=True):
        check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / NOTE, {"count": 0, **facts})
        for stale in (*written(folder), *folder.glob("[0-9]*.png.[0-9]*.tmp")):
            stale.unlink()
        for index, image_HWC in enumerate(images_NHWC):
            save_png(folder / f"{index:04d}.png", image_HWC, sync=False)
        sync_files(folder, written(folder))
        write_json(folder / NOTE, {"count": len(images_NHWC), **facts})


def write_sheet(sheet: Path | None, images_NHWC: np.ndarray, columns: int = 0) -> None:
    """Write images side by side as one PNG file, if one was asked for, small ones enlarged."""
    if sheet is not None:
        save_png(sheet, enlarged(grid(images_NHWC, columns=columns)))


def written(folder: Path) -> list[Path]:
    """The images that `write` left in `folder`; other files may lie beside them."""
    return [path for path in folder.glob("*.png") if path.stem.isdigit()]


def check_sheet(sheet: Path | None) -> None:
    """Refuse a name that is not of a PNG file."""
    if sheet is not None and (sheet.suffix.lower() != ".png" or sheet.is_dir()):
        raise Invalid(f"{sheet} cannot be a PNG file; give --grid a file name that ends in .png")


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but samples.

    Raises:
        ValueError: it does, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise Conflict(f"{folder} is a file; name a folder with --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / NOTE).is_file():
        found = min(path.name for path in folder.iterdir())
        raise Conflict(
            f"{folder} holds files that are not samples (such as {found}); "
            "name a new or an empty folder with --out"
        )


def label(words: Sequence[str]) -> str | dict[str, str] | None:
    """Words of the command line as `Model.sample` wants them."""
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    for word in words:
        if "=" not in word:
            raise Invalid(f"cannot read the label {word!r}: expected CONDITION=CLASS")
    asked = dict(word.split("=", 1) for word in words)
    if len(asked) < len(words):
        raise Invalid(
            f"found a condition twice in {', '.join(words)}; give each one class, and draw the "
            "others in another call"
        )
    return asked or None
