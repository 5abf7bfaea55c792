"""What every source of images offers: a list of items, and their bytes or pixels by number."""

import abc
import dataclasses
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.data.preparation import vector
from zeuxis.data.preparation.decode import Part

Side = Literal["train", "holdout", "withheld"]
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
        *((".svg",) if vector.AVAILABLE else ()),
    )
)
OTHER_IMAGES = (
    frozenset(
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
    - SUFFIXES
)
"""Pictures that are not read: named in the report, not passed over in silence."""

MEMBER_LIMIT = 1 << 28
"""Largest file, in bytes, that is read as one image or one side file."""
SIDE_LIMIT = 1 << 20
"""Bytes of a caption's, a label's or a licence's file at most."""
LONGEST_TEXT = 1 << 16
"""Characters of a caption, a word or a licence at most; what is longer is cut."""
LEADS_OUT = "a link that leads out of the folder; not read: put a copy in its place (cp -rL)"


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
        """Sentences for the report: what was seen and not used is among them."""
        self.no_classes = ""
        """Why what looks like classes is none; "" if nothing does."""
        self.licence = ""
        self.credits = ""
        self.classes: dict[str, tuple[str, ...]] = {}
        """Order of a column's classes where the source knows one."""
        self.part: Part = "whole"
        """The half of each file that is meant."""
        self.partner: Source | None = None
        """What translations to these images start from."""
        self.paired = True
        """Of a partner: whether its item i belongs to image i; else it has items of its own."""
        self.field: Literal["image", "map"] = "image"
        """Whether it holds images or maps of class ids."""
        self.legend: Mapping[int, str] = {}
        """Names of a map's class ids, where the source has some."""
        self.palette: tuple[str, ...] = ()
        """Colours of a map's class ids, where its files have some."""

    @abc.abstractmethod
    def read(self, index: int) -> bytes | np.ndarray:
        """An encoded file, or (H, W, C) uint8 pixels with 1, 3 or 4 channels.

        Raises:
            OSError or ValueError: this one cannot be read; the others can.
        """

    def placed(self, name: str) -> str:
        """The path of an item whose folders say something; in tars it is the one in its shard."""
        return name

    def close(self) -> None:  # noqa: B027
        """Let go of open files."""


class Chosen(Source):
    """Some items of another source, perhaps under other names, or a half of each."""

    def __init__(
        self, whole: Source, items: Iterable[tuple[int, Item]], part: Part = "whole"
    ) -> None:
        super().__init__(whole.name, whole.kind)
        numbered = list(items)
        self.items, self.part = [item for _, item in numbered], part
        self._whole, self._of = whole, [index for index, _ in numbered]
        self.curated, self.classes, self.legend = whole.curated, whole.classes, whole.legend
        self.field, self.paired = whole.field, whole.paired
        self.problems, self.notes = whole.problems, whole.notes
        self.no_classes = whole.no_classes
        self.licence, self.credits = whole.licence, whole.credits

    def read(self, index: int) -> bytes | np.ndarray:
        """The file or pixels of item `index`."""
        return self._whole.read(self._of[index])

    def close(self) -> None:
        """Let go of the whole source's files."""
        self._whole.close()


def within(path: Path, root: Path | None) -> Path:
    """What `path`, in the source `root`, stands for: itself, or what its link leads to.

    Without `root` any link is followed: the user has named the file.

    Raises:
        ValueError: it is a link to what lies elsewhere: a stranger's folder does not say what is read.
        OSError: the link leads nowhere.
    """
    if not path.is_symlink():
        return path
    try:
        there = path.resolve(strict=True)
    except RuntimeError as error:  # it leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if root and not there.is_relative_to(root.resolve()):
        raise Invalid(LEADS_OUT)
    return there


def leads_out(path: Path, root: Path) -> bool:
    """Whether `path` is a link that `within` refuses."""
    try:
        within(path, root)
    except OSError:
        return False
    except ValueError:
        return True
    return False


def read_file(
    path: Path, root: Path | None, most: int = MEMBER_LIMIT, cut: int | None = None
) -> bytes:
    """The bytes of a file of the source `root`, or of any; not of pipes and devices, which might not end.

    Args:
        path: of the file.
        root: of the source.
        most: bytes that it may have.
        cut: read so many of them only.

    Raises:
        OSError or ValueError: it cannot be read, is too large, no regular file, or `within` refuses it.
    """
    # What is opened is what was looked at, even if a link takes its place meanwhile.
    flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    handle = os.open(within(path, root), os.O_RDONLY | flags)
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise Invalid("it is no regular file")
        if facts.st_size > most:
            raise Invalid(f"it has {facts.st_size:,} bytes; at most {most:,} are read")
        return file.read(most if cut is None else cut)


def check_count(path: Path, count: int) -> None:
    """Refuse a file that says it holds more images than it has bytes, before a name is made for each.

    Raises:
        ValueError: it does.
    """
    size = path.stat().st_size
    if count > size:
        raise Invalid(
            f"{path} says it holds {count:,} images but has {size:,} bytes; fetch it again"
        )


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
