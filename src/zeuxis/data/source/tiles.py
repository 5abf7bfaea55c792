"""Few large images as many small ones: each cut into squares that lie side by side (`data.tiles`).

Tiles do not overlap. What is held out is a strip at the right of each image, so that no held-out tile has
training tiles all around it.
"""

import functools
import threading
from pathlib import Path

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import Data
from zeuxis.data.preparation import decode
from zeuxis.data.preparation.split import holdout_count
from zeuxis.data.source.base import Item, Source, read_file

OPEN = 2
"""Whole images that are kept decoded."""
MOST = 1 << 29
"""Pixels that all tiles of a set may have: of more tiles as many are kept, evenly spread."""


class OneImage(Source):
    """A single image file."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(name, "image")
        self._path = path
        self.items = [Item(path.name)]

    def read(self, index: int) -> bytes:
        """The file's bytes."""
        return read_file(self._path, None)


class Tiles(Source):
    """The tiles of another source's images, in rows from the top left; a margin that fills none is left out.

    Raises:
        Invalid: no image is as large as a tile.
    """

    def __init__(self, whole: Source, settings: Data) -> None:
        super().__init__(whole.name, f"{whole.kind}, tiles")
        assert settings.tiles is not None
        self._whole, self._side, self._lock = whole, settings.tiles, threading.Lock()
        self.licence, self.credits, self.classes = whole.licence, whole.credits, whole.classes
        self.problems, self.notes = list(whole.problems), list(whole.notes)
        self._places: list[tuple[int, int, int]] = []
        self._image = functools.lru_cache(OPEN)(self._decoded)
        shapes = {}
        for index, item in enumerate(whole.items):
            try:
                height, width, *_ = decode.header(whole.read(index))
            except (OSError, ValueError) as error:
                self.problems.append((item.name, str(error)))
                continue
            shapes[index] = height // self._side, width // self._side
        count = sum(rows * columns for rows, columns in shapes.values())
        if not count:
            raise Invalid(
                f"no image of {whole.name} has {self._side} x {self._side} pixels; give a smaller data.tiles"
            )
        most = min(count, max(1, MOST // self._side**2))
        share = holdout_count(most, settings.holdout) / most
        kept, first = (count * np.arange(most)) // most, 0
        for index, (rows, columns) in shapes.items():
            last = first + rows * columns
            here = kept[np.searchsorted(kept, first) : np.searchsorted(kept, last)] - first
            self._cut(index, here.tolist(), columns, share)
            first = last
        strip = "; a strip at the right of each is held out" if share else ""
        spread = f" of which {most:,} were kept, evenly spread" if most < count else ""
        self.notes.append(
            f"images were cut into {count:,} tiles of {self._side} x {self._side}{spread}{strip}"
        )

    def _cut(self, index: int, places: list[int], columns: int, share: float) -> None:
        item = self._whole.items[index]
        first_held = columns - max(1, round(share * columns)) if share and columns > 1 else columns
        for place in places:
            row, column = divmod(place, columns)
            side = item.side or (
                ("holdout" if column >= first_held else "train") if share else None
            )
            name = f"{item.name}#{row * self._side},{column * self._side}"
            self.items.append(Item(name, item.columns, item.text, side))
            self._places.append((index, row * self._side, column * self._side))

    def read(self, index: int) -> np.ndarray:
        """A tile's pixels, (H, W, C) uint8."""
        image, top, left = self._places[index]
        with self._lock:
            pixels_HWC = self._image(image)
        return pixels_HWC[top : top + self._side, left : left + self._side]

    def _decoded(self, index: int) -> np.ndarray:
        return decode.decode(self._whole.read(index), None).pixels_HWC

    def close(self) -> None:
        """Let go of the files."""
        self._whole.close()
