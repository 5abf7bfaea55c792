"""What a pass over the files has decoded so far, so that one that was killed goes on from there.

Beside an array file lies `<file>.journal`, a JSON line for each block of items, written after their pixels:
what became of each item, where the pixels end and their checksum. A block counts if its line is whole and
its pixels have that checksum, so a kill at any byte, or a disk that lost power, costs the last block at most.
"""

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from zeuxis.core.files import naming
from zeuxis.data.facts import FACTS
from zeuxis.data.preparation.decode import Decoded, Refused

SUFFIX = ".journal"
BLOCK, BLOCK_BYTES = 256, 1 << 26
"""Items, and bytes of pixels, after which a block ends."""
NO_PIXELS = np.zeros((0, 0, 0), np.uint8)


class Journal:
    """An array file that is appended to, and the journal beside it. A context manager.

    Attributes:
        done: items of earlier blocks, which need no decoding.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(path.name + SUFFIX)
        self._items: list[list[Any]] = []
        self._sum = 0

    def __enter__(self) -> Self:
        """Cut both files behind the last block that counts, and go on there."""
        with naming(self._path):
            for path in (self._path, self._beside):
                path.touch()
            lines, self.done, self._end = self._whole()
            os.truncate(self._path, self._end)
            os.truncate(self._beside, lines)
            self._pixels, self._lines = self._path.open("ab"), self._beside.open("ab")
        self._began = self._end
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with naming(self._path):
            self._pixels.close()
            self._lines.close()

    def before(self) -> Iterator[Decoded | Refused]:
        """What became of the items of earlier blocks, without their pixels."""
        with self._beside.open("rb") as lines:
            for line in lines:
                for item in json.loads(line)["items"]:
                    yield _read(item)

    def add(self, result: Decoded | Refused) -> None:
        """Append an item; its pixels go to the array file."""
        with naming(self._path):
            if isinstance(result, Decoded):
                pixels = np.ascontiguousarray(result.pixels_HWC).data
                self._pixels.write(pixels)
                self._sum = zlib.crc32(pixels, self._sum)
                self._end += pixels.nbytes
            self._items.append(_written(result))
            if len(self._items) == BLOCK or self._end - self._began >= BLOCK_BYTES:
                self._close_block()

    def _close_block(self) -> None:
        self._pixels.flush()
        block = {"end": self._end, "sum": self._sum, "items": self._items}
        self._lines.write(json.dumps(block, separators=(",", ":")).encode() + b"\n")
        self._lines.flush()
        self._items, self._sum, self._began = [], 0, self._end

    def _whole(self) -> tuple[int, int, int]:
        """Bytes of the journal, items and bytes of pixels that count."""
        size, items, end = 0, 0, 0
        with self._beside.open("rb") as lines, self._path.open("rb") as pixels:
            for line in lines:
                try:
                    block = json.loads(line)
                except ValueError:  # cut off, or never written
                    break
                if zlib.crc32(pixels.read(block["end"] - end)) != block["sum"]:
                    break
                size, items, end = size + len(line), items + len(block["items"]), block["end"]
        return size, items, end


def journaled(folder: Path) -> bool:
    """Whether a folder holds a block that a later pass need not decode."""
    return any(path.stat().st_size for path in folder.glob("*" + SUFFIX))


def forget(folder: Path) -> None:
    """Remove the journals of a folder."""
    for path in folder.glob("*" + SUFFIX):
        path.unlink()


def keep_arrays(folder: Path) -> None:
    """Remove what a pass that was killed wrote beside its arrays, unless the set was finished."""
    if (folder / FACTS).is_file():
        return
    arrays = {path.name.removesuffix(SUFFIX) for path in folder.glob("*" + SUFFIX)}
    for path in folder.iterdir():
        if path.name.removesuffix(SUFFIX) not in arrays:
            path.unlink()


def _written(result: Decoded | Refused) -> list[Any]:
    if isinstance(result, Refused):
        return [result.reason, str(result)]
    return [result.height, result.width, result.format, result.mode, result.notes]


def _read(item: list[Any]) -> Decoded | Refused:
    if len(item) == 2:
        return Refused(*item)
    height, width, kind, mode, notes = item
    return Decoded(NO_PIXELS, height, width, kind, mode, tuple(notes))
