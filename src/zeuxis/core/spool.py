"""Large arrays put aside in a file without a name: many of them need a disk, not memory."""

import math
import tempfile
from typing import Self

import numpy as np


class Spool:
    """Arrays of any shapes, written one after another and read from a memory map; a context."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._forms: list[tuple[tuple[int, ...], np.dtype]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()  # maps of it stay

    def add(self, array: np.ndarray) -> None:
        """Put one aside."""
        self._file.write(np.ascontiguousarray(array).data)
        self._forms.append((array.shape, array.dtype))

    def arrays(self) -> np.ndarray | list[np.ndarray]:
        """All of them, read only: one array if they are of one shape, else each for itself.

        The file goes when the last of them does.
        """
        self._file.flush()
        if not self._forms:
            return []
        whole, found, at = np.memmap(self._file, np.uint8, "r"), [], 0
        if len({*self._forms}) == 1:
            shape, dtype = self._forms[0]
            return whole.view(dtype).reshape(len(self._forms), *shape)
        for shape, dtype in self._forms:
            size = math.prod(shape) * dtype.itemsize
            found.append(whole[at : at + size].view(dtype).reshape(shape))
            at += size
        return found
