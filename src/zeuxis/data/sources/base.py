"""What every source of images offers: a list of items, and their bytes or pixels by number."""

import abc
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

Side = Literal["train", "holdout"]
NO_COLUMNS: Mapping[str, str] = MappingProxyType({})

SUFFIXES = frozenset(
    (
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".gif",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
    )
)
OTHER_IMAGES = frozenset(
    (
        ".heic",
        ".heif",
        ".avif",
        ".svg",
        ".psd",
        ".cr2",
        ".nef",
        ".dng",
        ".ico",
        ".jp2",
        ".jxl",
        ".tga",
    )
)
"""Pictures that are not read: named in the report, not passed over in silence."""

MEMBER_LIMIT = 1 << 28
"""Largest file, in bytes, that is read as one image or one side file."""


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One image of a source.

    Attributes:
        name: unique in the source; what reports call it.
        columns: what is known of it, as words; a missing or empty word is unknown.
        text: its caption.
        side: the side of the split that the source itself puts it on.
        group: images of one group never part at the split; by default each is a group of its own.
    """

    name: str
    columns: Mapping[str, str] = dataclasses.field(default_factory=lambda: NO_COLUMNS)
    text: str = ""
    side: Side | None = None
    group: str = ""


class Source(abc.ABC):
    """A place that images come from. `read` may be called from several threads at once.

    Attributes:
        curated: the set was put together on purpose (a benchmark): nothing that can be decoded is
            left out, so that counts and splits stay comparable; duplicates are only reported.
    """

    curated: bool = False

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.items: list[Item] = []
        self.problems: list[tuple[str, str]] = []
        """(file, why): found while listing, and left out."""
        self.notes: list[str] = []
        """Sentences for the report."""
        self.licence = ""
        self.credits = ""
        self.classes: dict[str, tuple[str, ...]] = {}
        """Order of a column's classes where the source knows one."""

    @abc.abstractmethod
    def read(self, index: int) -> bytes | np.ndarray:
        """An encoded file, or (H, W, C) uint8 pixels with 1, 3 or 4 channels.

        Raises:
            OSError or ValueError: this one cannot be read; the others can.
        """

    def close(self) -> None:  # noqa: B027
        """Let go of open files."""


def fingerprint(files: Iterable[tuple[str, int, int]]) -> str:
    """Hash of (name, size, mtime in ns): changes whenever a file is added, removed or written.

    >>> fingerprint([("a", 1, 2)]) == fingerprint([("a", 1, 2)]) != fingerprint([("a", 1, 3)])
    True
    """
    digest = hashlib.blake2b(digest_size=16)
    for entry in sorted(files):
        digest.update(repr(entry).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def stat_entry(path: Path, name: str) -> tuple[str, int, int]:
    """One file's entry of a fingerprint."""
    facts = path.stat()
    return name, facts.st_size, facts.st_mtime_ns
