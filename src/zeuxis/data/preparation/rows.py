"""The pass over a source's files: every item decoded, in order, into one array file."""

import array
import collections
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.progress import Progress
from zeuxis.data.preparation import clean
from zeuxis.data.preparation.colour import CLEAR
from zeuxis.data.preparation.decode import Decoded, Refused, Target
from zeuxis.data.preparation.journal import Journal
from zeuxis.data.preparation.workers import decode_all
from zeuxis.data.source.base import Item, Source

BLANK = ("blank", "one colour throughout")
VANISHED = ("transparent", "nothing of it is seen on white; data.channels=4 keeps it")
"""Reason and detail of what is left out."""
BYTES = np.dtype(np.uint8)


@dataclasses.dataclass
class Rows:
    """What the pass over the files left behind: row r of the array came from item `item[r]`."""

    item: list[int]
    left_out: list[tuple[str, str, str]]
    sizes: collections.Counter[tuple[int, int]]
    formats: collections.Counter[str]
    modes: collections.Counter[str]
    notes: collections.Counter[str]
    enlarged: int = 0
    cut: float = 0.0
    clear: set[int] = dataclasses.field(default_factory=set)
    """Items that are transparent, and lie on white."""
    shapes: "array.array[int]" = dataclasses.field(default_factory=lambda: array.array("q"))

    def shape(self, row: int) -> tuple[int, int]:
        """Height and width of a row's file."""
        return divmod(self.shapes[row], 1 << 32)


def write_images(source: Source, target: Target, path: Path, progress: Progress | None) -> Rows:
    """Decode every item and append its pixels to `path`, from where a pass that was killed ended."""
    rows = Rows([], [], *(collections.Counter() for _ in range(4)))  # type: ignore[arg-type]
    rows.left_out += [("not used", name, why) for name, why in source.problems]
    total = len(source.items)
    cuts: list[float] = []

    def note(index: int, result: Decoded | Refused) -> None:
        if isinstance(result, Refused):
            rows.left_out.append((result.reason, source.items[index].name, str(result)))
        else:
            rows.item.append(index)
            cuts.append(_count(rows, result, target))

    with Journal(path) as journal:
        for index, result in enumerate(journal.before()):
            note(index, result)
        for index, result in decode_all(source, target, journal.done):
            journal.add(result)
            note(index, result)
            if progress and (index % 64 == 63 or index + 1 == total):
                progress(index + 1, total)
    rows.cut = float(np.median(cuts)) if cuts else 0.0
    if not rows.item:
        first = rows.left_out[0]
        raise Invalid(
            f"none of the {total:,} images of {source.name} can be used ({listed(rows.left_out)}); "
            f"the first: {first[1]}: {first[2]}"
        )
    return rows


def listed(left_out: Sequence[tuple[str, str, str]]) -> str:
    """How many were left out for each reason, for an error."""
    reasons = collections.Counter(reason for reason, _, _ in left_out)
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def _count(rows: Rows, result: Decoded, target: Target) -> float:
    """Note what was seen of one image; returns the share of it that its fit cut away."""
    h, w = result.height, result.width
    rows.sizes[h, w] += 1
    rows.shapes.append((h << 32) + w)
    rows.formats[result.format] += 1
    rows.modes[result.mode] += 1
    rows.notes.update(result.notes)
    if CLEAR in result.notes:
        rows.clear.add(rows.item[-1])
    scale = max(target.height / h, target.width / w)
    rows.enlarged += target.fit != "pad" and scale > 1
    if target.fit != "crop":
        return 0.0
    return 1 - target.height * target.width / (h * scale * w * scale)


def kept(source: Source, rows: Rows, findings: clean.Findings, items: Sequence[Item]) -> np.ndarray:
    """Row numbers that stay, ascending; what goes is named in `rows.left_out`."""
    own = np.arange(len(items))
    if source.curated:
        return own
    held = np.array([item.side == "holdout" for item in items])
    repeats = findings.repeats(np.lexsort((own, ~held)))
    for row in np.flatnonzero(findings.blank).tolist():
        why = VANISHED if rows.item[row] in rows.clear else BLANK
        rows.left_out.append((*why[:1], items[row].name, *why[1:]))
    for row in np.flatnonzero((repeats >= 0) & ~findings.blank).tolist():
        same = findings.exact[row] == findings.exact[repeats[row]]
        word = "duplicate" if same else "near duplicate"
        rows.left_out.append((word, items[row].name, f"of {items[repeats[row]].name}"))
    return np.flatnonzero(~findings.blank & (repeats < 0))


def compact(
    path: Path, keep: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any] = BYTES
) -> None:
    """Move the kept rows together and cut the file."""
    if len(keep) == shape[0]:
        return
    images = np.memmap(path, dtype, "r+", shape=shape)
    for start in range(0, len(keep), clean.BLOCK):
        images[start : start + clean.BLOCK][: len(keep) - start] = images[
            keep[start : start + clean.BLOCK]
        ]
    images.flush()
    row = int(np.prod(shape[1:])) * dtype.itemsize
    del images
    os.truncate(path, len(keep) * row)
