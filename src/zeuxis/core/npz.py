"""Files of numpy arrays (.npz) that may be a stranger's: no array is made before its size is known."""

import lzma
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.files import Upload
from zeuxis.core.words import printable

SPARE, PACKED = 64 << 20, 16
"""Bytes, and times its own size, that a file may unpack to: measured numbers hardly shrink at all."""
HEADER_DAMAGE = (
    *(ValueError, TypeError, KeyError, OverflowError, MemoryError, SyntaxError, RuntimeError),
    *(struct.error, tokenize.TokenError),
)
DAMAGE = (
    *HEADER_DAMAGE,
    *(OSError, EOFError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What zipfile, its decompressors and numpy's parser of headers raise for files that are damaged."""


def names(path: Path) -> set[str]:
    """Names of the arrays in a file.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name[:-4] for name in archive.namelist() if name.endswith(".npy")}
    except DAMAGE as error:
        raise Invalid(damaged(path, error)) from error


def read(
    path: Path | Upload, largest: int | None = None, objects: list[str] | None = None
) -> dict[str, np.ndarray]:
    """Arrays by name.

    Args:
        path: of the file.
        largest: bytes of all arrays together; default 64 MiB and 16 times the file.
        objects: gets the names of arrays of Python objects, which are passed over then.

    Raises:
        ValueError: it is damaged, larger, or holds Python objects.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive, _quietly():
            members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
            limit = SPARE + PACKED * file.seek(0, os.SEEK_END) if largest is None else largest
            if (size := sum(each.file_size for each in members)) > limit:
                raise Invalid(f"its arrays would take {size:,} bytes; expected at most {limit:,}")
            if objects is not None:
                objects += [each.filename[:-4] for each in members if _of_objects(archive, each)]
            return {
                name: _array(archive, each)
                for each in members
                if (name := each.filename[:-4]) not in (objects or ())
            }
    except DAMAGE as error:
        raise Invalid(damaged(path, error)) from error


def mapped(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped into memory, read only.

    Raises:
        ValueError: it is damaged, or holds Python objects.
    """
    try:
        with path.open("rb") as file, _quietly():
            _check_header(file, path.stat().st_size, path.name)
            found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise Invalid(damaged(path, error)) from error
    return found


def _quietly() -> AbstractContextManager[object]:
    """Without numpy's warning of headers that Python 2 wrote, which it reads."""
    return warnings.catch_warnings(action="ignore")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        _check_header(file, member.file_size, member.filename)
        file.seek(0)
        found: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        return found


def _of_objects(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as file:
        return _header(file, member.filename)[1].hasobject


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type."""
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, _, dtype = headers[np.lib.format.read_magic(file)](file)
    except HEADER_DAMAGE as error:
        raise Invalid(f"{name[:60]!r} has no header as numpy writes it") from error
    return shape, dtype


def _check_header(file: IO[bytes], size: int, name: str) -> None:
    """Refuse an array that is not of so many bytes as the file has."""
    shape, dtype = _header(file, name)
    if min(shape, default=0) < 0 or file.tell() + math.prod(shape) * dtype.itemsize != size:
        raise Invalid(f"{name[:60]!r} has not the bytes that its header says")


def damaged(path: Path | Upload, error: BaseException) -> str:
    """The sentence for a file that raised one of `DAMAGE`."""
    why = printable(str(error))[:200] or type(error).__name__
    return f"{path} cannot be read as numpy arrays ({why}); save or fetch it again"
