"""People in a set: how many pictures show faces, and what a register of consent says of its files.

A register is JSON lines, one a person: `{"subject": "p17", "files": [SHA-256, ...], "scope": "training of
models", "proof": "forms/p17.pdf", "date": "2026-11-29", "revoked": null}`; `revoked` is the date on which
consent was taken back. Subjects are called as whoever keeps the register likes, best not by name.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import Hash, Settings, explain
from zeuxis.core.wilson import wilson
from zeuxis.data.preparation import clean, faces
from zeuxis.data.preparation.decode import Decoded, Refused, Target, guarded
from zeuxis.data.preparation.record import NAMED, plain
from zeuxis.data.preparation.rows import Rows
from zeuxis.data.preparation.workers import decode_all
from zeuxis.data.prepared import Prepared
from zeuxis.data.source.base import Chosen, Source

LOOKED = 500
"""Pictures of a set, and of the sources of its pairs, that faces are looked for in, spread evenly."""
TEXT = Annotated[str, pydantic.Field(min_length=1, max_length=1000)]


class Entry(Settings):
    """What one person agreed to."""

    subject: TEXT
    """What the person is called here."""
    files: tuple[Hash, ...]
    """SHA-256 of the files that show the person."""
    scope: TEXT
    """What it was agreed to."""
    proof: TEXT
    """Where that is written."""
    date: datetime.date
    """When it was agreed."""
    revoked: datetime.date | None = None
    """When it was taken back."""


@dataclasses.dataclass(frozen=True)
class Register:
    """A register of consent.

    Attributes:
        sha256: of the file.
        entries: one a person.
        named: entries by source and item, of what was looked up: no file is read twice.
    """

    sha256: str
    entries: tuple[Entry, ...]
    named: dict[tuple[Source, int], list[Entry]] = dataclasses.field(default_factory=dict)

    def of(self, source: Source, item: int) -> list[Entry]:
        """The entries that name a source's file.

        Raises:
            Invalid: the source holds arrays.
        """
        key = source, item
        if key not in self.named:
            content = source.read(item)
            if not isinstance(content, bytes):
                raise Invalid(
                    f"data.consent: a register names files, and {source.name} holds arrays; give a folder or "
                    "an archive of pictures"
                )
            file = hashlib.sha256(content).hexdigest()
            self.named[key] = [entry for entry in self.entries if file in entry.files]
        return self.named[key]


def read(path: str | Path) -> Register:
    """The register in a file.

    Raises:
        Invalid: there is none, or a line says something else.
    """
    try:
        content = Path(path).read_bytes()
        lines = content.decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Invalid(f"cannot read the register of consent {path}: {error}") from error
    entries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(Entry.model_validate_json(line))
            except pydantic.ValidationError as error:
                raise Invalid(f"{path}, line {number}: {explain(error)}") from error
    if not entries:
        raise Invalid(f"{path} names nobody; a register has a line of JSON for each person")
    return Register(hashlib.sha256(content).hexdigest(), tuple(entries))


def spread(count: int) -> np.ndarray:
    """Numbers of the pictures that are looked at."""
    return np.unique(np.linspace(0, count - 1, min(count, LOOKED)).round().astype(np.int64))


def shown(source: Source, items: Sequence[int]) -> np.ndarray:
    """Whether each of these items of a source shows a face, looked at as large as the detector takes it."""
    part = Chosen(source, ((item, source.items[item]) for item in items), source.part)
    whole = Target(faces.MOST, faces.MOST, 1, "pad", part=source.part)
    with guarded():
        pictures = [_inner(each) for _, each in decode_all(part, whole)]
    return np.array(faces.seen(pictures), bool)


def _inner(decoded: Decoded | Refused) -> np.ndarray:
    """A picture without what it was padded by; a black one if it can no longer be read."""
    if isinstance(decoded, Refused):
        return np.zeros((faces.LEAST, faces.LEAST), np.uint8)
    scale = min(1.0, faces.MOST / max(decoded.height, decoded.width))
    h, w = (max(1, round(side * scale)) for side in (decoded.height, decoded.width))
    y, x = (faces.MOST - h) // 2, (faces.MOST - w) // 2
    return decoded.pixels_HWC[y : y + h, x : x + w, 0]


@dataclasses.dataclass(frozen=True)
class Side:
    """The pictures that stay of a set, or of what its translations start from.

    Attributes:
        source: that they are of.
        items: their numbers in it.
        shows: the numbers of those in which a face was found.
        facts: what `dataset.json` says of faces.
    """

    source: Source
    items: Sequence[int]
    shows: Sequence[int]
    facts: dict[str, Any]

    @classmethod
    def of(cls, source: Source, items: Sequence[int]) -> "Side":
        """Look for faces in some of them."""
        some = [items[row] for row in spread(len(items))]
        seen = shown(source, some)
        return cls(source, items, np.array(some)[seen].tolist(), facts(seen))


def facts(seen: np.ndarray) -> dict[str, Any]:
    """What `dataset.json` says of faces."""
    found, looked = int(seen.sum()), len(seen)
    return {"looked": looked, "found": found, "interval": list(wilson(found, looked))}


def of_set(prepared: Prepared) -> dict[str, Any]:
    """The same of a prepared set; what preparing did not look at is looked at as it is stored."""
    found = prepared.facts.get("faces") or of_rows(prepared.images)
    source = prepared.fields.get("source")
    if "sources" in found or source is None:
        return found
    alike = source.field.kind == "image" and not source.facts.get("made")
    return {**found, "sources": of_rows(source.rows) if alike else None}


def of_rows(images_NHWC: np.ndarray) -> dict[str, Any]:
    """The same of images as they are stored."""
    some = clean.grey(images_NHWC[spread(len(images_NHWC))])
    return facts(np.array(faces.seen(list(some.round().astype(np.uint8))), bool))


def kept(register: Register, sources: Sequence[Source], rows: Rows, keep: np.ndarray) -> np.ndarray:
    """The rows of `keep` for which nobody took consent back, in any source; others go to `rows.left_out`."""
    for source in sources:
        stay = []
        for row in keep.tolist():
            item = rows.item[row]
            back = [entry for entry in register.of(source, item) if entry.revoked]
            if back:
                why = f"that of {back[0].subject}, on {back[0].revoked}"
                rows.left_out.append(("consent revoked", source.items[item].name, why))
            else:
                stay.append(row)
        keep = np.array(stay, keep.dtype)
    return keep


def agreed(register: Register, sides: Sequence[Side]) -> dict[str, Any]:
    """What `dataset.json` says of consent: who agreed to what stays, and what nobody agreed to."""
    subjects, missing = set[str](), list[str]()
    for side in sides:
        named = {item: register.of(side.source, item) for item in side.items}
        subjects |= {entry.subject for entries in named.values() for entry in entries}
        missing += [plain(side.source.items[item].name) for item in side.shows if not named[item]]
    return {
        "sha256": register.sha256,
        "subjects": sorted(subjects),
        "missing": {"count": len(missing), "first": missing[:NAMED]},
    }
