"""What `compress` gives."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from zeuxis.inference.results import Result, counted


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Compressed(Result):
    """A lossless file of images, and what it weighs; sizes in bytes.

    Attributes:
        content: of the file.
        count: images in it.
        header: bytes that are not the images' numbers: magic, sizes, names, checksums.
        bits_per_dim: of the coded words alone.
        stated: what the model says of the same images.
        written_down: numbers in the header that were too near the middle to be rounded.
        peers: name -> bytes, for PNG and WebP, each image by itself and all as one sheet.
    """

    content: bytes
    count: int
    header: int
    bits_per_dim: float
    stated: float
    written_down: int
    peers: Mapping[str, int]

    SUFFIX: ClassVar[str] = ".zxi"
    WRITES: ClassVar[str] = "File of the compressed images (.zxi)"

    def __len__(self) -> int:
        return self.count

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return len(self.content)

    def as_file(self) -> bytes:
        """All of the file."""
        return self.content

    def lines(self, path: Path | None) -> Iterator[str]:
        """What it weighs against what the model states, and against PNG and WebP."""
        yield f"wrote {path}"
        yield f"  {counted(self.count)} in {self.total:,} bytes, of them {self.header:,} header"
        yield f"  {self.bits_per_dim:.4f} bits/dim coded; the model states {self.stated:.4f}"
        for name, size in self.peers.items():
            yield f"  {name}: {size:,} bytes, {size / self.total:.2f} times as many"
