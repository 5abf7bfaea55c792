"""Maps of class ids: which files are some, and the legend that names the ids."""

import csv
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json
from zeuxis.data.preparation import decode
from zeuxis.data.preparation.decode import MOST_ID
from zeuxis.data.source.base import LONGEST_TEXT, Source

FOLDERS = ("labels", "label", "annotations", "maps", "label_maps", "segmentation", "segmentations")
"""Names of folders of maps."""
LEGENDS = ("legend", "labels", "classes", "class_names", "names")
"""Names of files that name class ids."""
GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L")
PEEK = 32


def is_legend(file: str, depth: int) -> bool:
    """Whether a file of a tree names class ids: `labels.txt`, `legend.csv` or `classes.json` at its top."""
    path = PurePosixPath(file)
    known = path.stem.lower() in LEGENDS and path.suffix.lower() in (".txt", ".csv", ".json")
    return known and len(path.parts) <= 1 + depth


def are_maps(source: Source, folder: str) -> bool:
    """Whether files, up to 32 of them, are indexed, or grey with a folder's name or a legend that says so."""
    modes = set()
    for index in range(0, len(source.items), max(1, len(source.items) // PEEK)):
        try:
            modes.add(decode.header(source.read(index), source.part)[2])
        except (OSError, ValueError):
            continue
    says_so = folder.lower() in FOLDERS or bool(source.legend)
    return modes == {"P"} or (says_so and bool(modes) and modes <= {"P", *GREY})


def read_legend(content: bytes, suffix: str) -> dict[int, str]:
    r"""Names by class id: lines of names, or of id and name; in JSON names by id or ids by name.

    A name may end in the colour that the class is shown as, such as #0080ff (`coloured`).

    >>> read_legend(b"sky\nsea\n", ".txt"), read_legend(b"id,name\n7,sea\n", ".csv")
    ({0: 'sky', 1: 'sea'}, {7: 'sea'})

    Raises:
        ValueError: it is none of these, or an id is beyond what a map holds.
    """
    if suffix == ".json":
        named = _of_json(parse_json(content))
    else:
        named = _of_lines(content.decode("utf-8-sig", "replace").splitlines())
    for number in named:
        if not 0 <= number <= MOST_ID:
            raise Invalid(f"class id {number}; ids are 0 to {MOST_ID:,}")
    return {number: name.strip()[:LONGEST_TEXT] for number, name in sorted(named.items())}


def coloured(name: str) -> tuple[str, str]:
    """A legend's name of a class without its colour, and the colour, "" if it has none.

    >>> coloured("deep sea #0000FF"), coloured("sky")
    (('deep sea', '#0000ff'), ('sky', ''))
    """
    found = re.fullmatch(r"(.*?)\s*(#[0-9a-fA-F]{6})", name)
    return (found[1] or found[2], found[2].lower()) if found else (name, "")


def palette(source: Source) -> tuple[str, ...]:
    """The colours by class id of indexed files, up to 32 of them, if they are the same in all."""
    found = set()
    for index in range(0, len(source.items), max(1, len(source.items) // PEEK)):
        try:
            content = source.read(index)
            if isinstance(content, np.ndarray):
                return ()
            with decode.opened(content) as image:
                if image.mode != "P":
                    return ()
                found.add(bytes(image.getpalette("RGB") or ()))
        except (OSError, ValueError):
            continue
    if len(found) != 1:
        return ()
    levels = found.pop()
    return tuple(f"#{levels[at : at + 3].hex()}" for at in range(0, len(levels), 3))


def _of_json(entries: dict[str, Any]) -> dict[int, str]:
    if all(isinstance(value, int) for value in entries.values()):
        return {value: name for name, value in entries.items()}
    if not all(re.fullmatch(r"\d{1,9}", key) for key in entries):
        raise Invalid("expected names by id, or ids by name")
    return {int(key): str(value) for key, value in entries.items()}


def _of_lines(lines: Sequence[str]) -> dict[int, str]:
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    rows = [
        next(csv.reader([line])) if "," in line else re.split(r"[\s:;]+", line, maxsplit=1)
        for line in lines
    ]
    rows = rows[1:] if rows and rows[0][0].lower() in ("id", "index", "value") else rows
    if rows and all(len(row) > 1 and re.fullmatch(r"\d{1,9}", row[0].strip()) for row in rows):
        return {int(row[0]): " ".join([row[1], *filter(_is_colour, row[2:])]) for row in rows}
    return dict(enumerate(lines))


def _is_colour(word: str) -> bool:
    return coloured(word.strip())[1] == word.strip().lower() != ""
