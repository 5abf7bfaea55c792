"""The second field of a set, `source`: from pairs, from an unpaired domain, or made of each image.

Legend: N images, H height, W width, C channels.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.progress import Progress
from zeuxis.data.preparation import clean, people, split
from zeuxis.data.preparation.decode import MISSING, Target
from zeuxis.data.preparation.rows import Rows, compact, kept, listed, write_images
from zeuxis.data.preparation.target import source_target
from zeuxis.data.prepared import Texts
from zeuxis.data.source.base import Chosen, Source
from zeuxis.data.source.maps import coloured

NAME = "source"
NAMED = 8
"""Class ids that a remark names."""


@dataclasses.dataclass
class Partner:
    """The file of the second field, as long as the images' or, unpaired, with a hold-out of its own.

    Attributes:
        file: the array's file.
        target: form of an item.
        count: of items.
        paired: whether item i belongs to image i.
        legend: names of class ids, perhaps with colours.
        palette: colours by class id of a legend that has none.
        columns: what it adds to the set's columns.
        source: of its pictures, if it holds such; else None.
        items: numbers of these pictures there, of an unpaired one.
    """

    file: Path
    target: Target
    count: int
    paired: bool = True
    legend: dict[int, str] = dataclasses.field(default_factory=dict)
    palette: Sequence[str] = ()
    columns: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    source: Source | None = None
    items: Sequence[int] = ()

    def keep(self, rows: np.ndarray) -> None:
        """Keep these items only."""
        compact(self.file, rows, (self.count, *self.target.shape), self.target.dtype)
        self.count = len(rows)

    def entry(self) -> dict[str, Any]:
        """What `dataset.json` says of it."""
        height, width, *channels = self.target.shape
        entry: dict[str, Any] = {
            "name": NAME,
            "kind": self.target.kind,
            "shape": [*channels, height, width],
        }
        entry |= {"file": self.file.name, "count": self.count, "paired": self.paired}
        if self.target.kind != "map":
            return entry
        both = [coloured(name) for name in self._classes()]
        colours = [
            colour or (self.palette[number] if number < len(self.palette) else "")
            for number, (_, colour) in enumerate(both)
        ]
        apart = all(colours) and len(set(colours)) == len(colours)
        classes = [name for name, _ in both]
        return entry | {"classes": classes} | ({"colours": colours} if apart else {})

    def across(self, held_out: np.ndarray) -> int:
        """Training images whose source is also that of an image on the hold-out side, to the pixel."""
        sources = np.array(
            [
                hashlib.blake2b(row.data, digest_size=16).digest()
                for _, block in clean.blocks(self._rows())
                for row in block
            ]
        )
        return int(np.isin(sources[held_out == 0], sources[held_out == 1]).sum())

    def remarks(self) -> list[str]:
        """Class ids that the maps hold and the legend does not name."""
        if self.target.kind != "map" or not self.legend:
            return []
        seen = {number for _, block in clean.blocks(self._rows()) for number in np.unique(block)}
        unnamed = sorted(int(n) for n in seen - {*self.legend, MISSING})
        if not unnamed:
            return []
        few = ", ".join(map(str, unnamed[:NAMED])) + (" ..." if unnamed[NAMED:] else "")
        known = ", ".join(f"{n} {coloured(name)[0]}" for n, name in [*self.legend.items()][:NAMED])
        return [f"maps hold class ids that the legend ({known} ...) does not name: {few}"]

    def _rows(self) -> np.ndarray:
        full = (self.count, *self.target.shape)
        return np.memmap(self.file, self.target.dtype, "r", shape=full)

    def _classes(self) -> list[str]:
        """A name for each class id up to the largest: the legend's, or the number."""
        largest = max(int(block.max()) for _, block in clean.blocks(self._rows()))
        if largest == MISSING:
            raise Invalid("no map holds a class id; every pixel is unknown")
        count = max(largest, *self.legend, 0) + 1
        return [self.legend.get(number) or str(number) for number in range(count)]


def file_of(target: Target) -> str:
    """Name of the field's file."""
    return f"{NAME}.{'u8' if target.kind == 'image' else 'i16'}"


def decoded(
    source: Source,
    target: Target,
    images: Path,
    rows: Rows,
    progress: Progress | None,
    holdout: float | None = None,
    register: people.Register | None = None,
) -> Partner | None:
    """Decode the partner of a source, if it has one; images whose partner cannot be used are dropped.

    Raises:
        ValueError: nothing of it can be used.
    """
    partner = source.partner
    if partner is None:
        return None
    form = source_target(source, partner, target)
    file = images.with_name(file_of(form))
    if not partner.paired:
        return _unpaired(partner, form, file, rows, progress, holdout, register)
    beside = Chosen(partner, [(i, partner.items[i]) for i in rows.item], partner.part)
    found = write_images(beside, form, file, progress)
    good = np.array([_fits(rows, found, k, beside, form) for k in range(len(found.item))])
    rows.left_out += found.left_out
    at = np.array(found.item)[good]
    if not len(at):
        first = rows.left_out[-1]
        raise Invalid(
            f"none of the {len(rows.item):,} pairs of {source.name} can be used ({listed(rows.left_out)}); "
            f"the last: {first[1]}: {first[2]}"
        )
    made = Partner(
        file, form, len(found.item), legend=dict(partner.legend), palette=partner.palette
    )
    made.source = partner if form.kind == "image" else None
    made.keep(np.flatnonzero(good))
    compact(images, at, (len(rows.item), *target.shape), target.dtype)
    rows.item = [rows.item[k] for k in at.tolist()]
    return made


def _fits(rows: Rows, found: Rows, k: int, beside: Source, form: Target) -> bool:
    """Whether a source has the proportions of its image, within a pixel; else it is noted as left out."""
    (h, w), (image_h, image_w) = found.shape(k), rows.shape(found.item[k])
    if form.fit == "stretch" or abs(h * image_w - w * image_h) <= max(h, w, image_h, image_w):
        return True
    why = f"{w} x {h} pixels beside an image of {image_w} x {image_h}: not of one shape"
    found.left_out.append(("shapes differ", beside.items[found.item[k]].name, why))
    return False


def _unpaired(
    partner: Source,
    form: Target,
    file: Path,
    rows: Rows,
    progress: Progress | None,
    holdout: float | None,
    register: people.Register | None,
) -> Partner:
    """Decode, clean and split a domain of its own."""
    found = write_images(partner, form, file, progress)
    items, full = [partner.items[i] for i in found.item], (len(found.item), *form.shape)
    if form.kind == "image":
        findings = clean.examine(np.memmap(file, form.dtype, "r", shape=full))
        keep, clusters = kept(partner, found, findings, items), findings.groups()
        keep = people.kept(register, [partner], found, keep) if register else keep
    else:
        keep = clusters = np.arange(len(items))
    rows.left_out += found.left_out
    if len(keep) < 2:
        raise Invalid(f"only {len(keep)} sources of {partner.name} can be used; add more")
    made = Partner(
        file, form, len(items), paired=False, legend=dict(partner.legend), palette=partner.palette
    )
    made.keep(keep)
    if form.kind == "image":
        made.source, made.items = partner, [found.item[k] for k in keep]
    items = [items[k] for k in keep.tolist()]
    held_out, _ = split.sides(items, clusters[keep], holdout)
    made.columns[f"{NAME}.holdout"] = held_out
    packed = Texts.pack([item.name for item in items])
    made.columns[f"{NAME}.names.bytes"], made.columns[f"{NAME}.names.ends"] = packed
    return made


def derived(
    images: np.ndarray, make: Callable[[np.ndarray, int], np.ndarray], folder: Path
) -> Partner:
    """Make the source of each image, (N, H, W, C) uint8."""
    form = Target(*make(np.array(images[0]), 0).shape)
    file = folder / file_of(form)
    with file.open("wb") as out:
        for start, block in clean.blocks(images):
            for number, image in enumerate(block, start):
                out.write(np.ascontiguousarray(make(image, number)).data)
    return Partner(file, form, len(images))
