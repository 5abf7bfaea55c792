"""Tar shards (WebDataset, img2dataset): read in place through an index of where each sample lies.

Consecutive members with the same name up to the first dot are one sample: `0001.jpg`, `0001.txt`,
`0001.json`, `0001.cls`. The index holds offsets only; a sample costs one read at its place, so a
stream can start, or go on, at any of them.
"""

import dataclasses
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from zeuxis.core.errors import Invalid
from zeuxis.data.source.arrays import side_of_file
from zeuxis.data.source.base import (
    LONGEST_TEXT,
    MEMBER_LIMIT,
    OTHER_IMAGES,
    SIDE_LIMIT,
    SUFFIXES,
    Item,
    Source,
)
from zeuxis.data.source.tree import sidecar

SIDE_FILES = (".txt", ".caption", ".json", ".cls")


@dataclasses.dataclass(slots=True)
class Sample:
    """Where one sample lies: shard number, and (offset, size) by suffix."""

    shard: int
    key: str
    members: dict[str, tuple[int, int]]
    image: str = ""


class TarShards(Source):
    """One tar, or a folder of them, in the order of their names."""

    def __init__(self, name: str, shards: Sequence[Path]) -> None:
        super().__init__(name, "tar shards")
        self._shards = list(shards)
        self._samples: list[Sample] = []
        for number, path in enumerate(self._shards):
            self._index(number, path)
        sides = [side_of_file(path) for path in self._shards]
        both = {"train", "holdout"} <= set(sides)
        for sample in self._samples:
            path, side = self._shards[sample.shard], sides[sample.shard] if both else None
            columns, text = self._said(sample)
            label = f"{path.name}/{sample.key}{sample.image}"
            self.items.append(Item(label, columns, text, side))

    def read(self, index: int) -> bytes:
        """The encoded image of sample `index`: one read at its offset, safe from any thread."""
        sample = self._samples[index]
        return self._member(sample, sample.image)

    def stream(self, start: int = 0) -> Iterator[tuple[Item, bytes]]:
        """Samples in order from number `start`, as a training stream that was stopped there goes on."""
        for index in range(start, len(self.items)):
            yield self.items[index], self.read(index)

    def _member(self, sample: Sample, suffix: str, most: int = MEMBER_LIMIT) -> bytes:
        offset, size = sample.members[suffix]
        if size > most:
            raise Invalid(f"it has {size:,} bytes; at most {most:,} are read")
        handle = os.open(self._shards[sample.shard], os.O_RDONLY)  # thousands cannot stay open
        try:
            content = os.pread(handle, size, offset)
        finally:
            os.close(handle)
        if len(content) < size:
            raise Invalid(f"the shard ends {size - len(content):,} bytes too early")
        return content

    def _said(self, sample: Sample) -> tuple[dict[str, str], str]:
        """Columns and caption from the side files."""
        columns: dict[str, str] = {}
        if ".json" in sample.members:
            columns |= sidecar(self._side_file(sample, ".json"))
        if ".cls" in sample.members:
            columns["label"] = self._side_file(sample, ".cls").strip()[:LONGEST_TEXT]
        text = columns.pop("text", "")
        for suffix in (".txt", ".caption"):
            if suffix in sample.members:
                text = self._side_file(sample, suffix).strip()[:LONGEST_TEXT] or text
        return columns, text

    def _side_file(self, sample: Sample, suffix: str) -> str:
        try:
            return self._member(sample, suffix, SIDE_LIMIT).decode("utf-8", "replace")
        except (OSError, ValueError) as error:
            self.problems.append((sample.key + suffix, str(error)))
            return ""

    def _index(self, number: int, path: Path) -> None:
        """Walk the headers of one shard; pixels are not touched."""
        last: Sample | None = None
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined] # or it remembers every header for as long as it is open
                    if not member.isreg():
                        continue
                    last = self._add(number, path, member, last)
                self._check_end(path, archive.offset)
        except tarfile.ReadError as error:
            with path.open("rb") as file:
                packed = file.read(2) in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5")
            if packed:
                raise Invalid(
                    f"{path} is compressed, so no sample in it can be reached; unpack it to a plain .tar"
                ) from error
            self.problems.append((path.name, f"the shard is damaged from here on: {error}"))
        except (tarfile.TarError, OSError, ValueError, EOFError) as error:
            self.problems.append((path.name, f"the shard is damaged from here on: {error}"))

    def _check_end(self, path: Path, offset: int) -> None:
        """Python's tarfile takes a broken header for the end; the true end is a block of zeros."""
        with path.open("rb") as file:
            file.seek(offset - tarfile.BLOCKSIZE if offset >= path.stat().st_size else offset)
            block = file.read(tarfile.BLOCKSIZE)
        if any(block) or len(block) < tarfile.BLOCKSIZE:
            self.problems.append((path.name, f"the shard is damaged or cut off at byte {offset:,}"))

    def _add(
        self, number: int, path: Path, member: tarfile.TarInfo, last: Sample | None
    ) -> Sample | None:
        """Note a member; a new key begins a new sample."""
        folder, _, name = member.name.rpartition("/")
        stem, dot, suffix = name.partition(".")
        key, suffix = f"{folder}/{stem}" if folder else stem, (dot + suffix).lower()
        if suffix in OTHER_IMAGES:
            self.problems.append((f"{path.name}/{member.name}", f"{suffix} images are not read"))
        elif suffix not in SUFFIXES and PurePosixPath(suffix).suffix in SUFFIXES:
            why = f"{suffix} is no suffix of an image: a sample's name ends at its first dot"
            self.problems.append((f"{path.name}/{member.name}", why))
        if not stem or (suffix not in SUFFIXES and suffix not in SIDE_FILES):
            return last
        if last is None or last.key != key or suffix in last.members:
            last = Sample(number, key, {})
        last.members[suffix] = (member.offset_data, member.size)
        if suffix in SUFFIXES and not last.image:
            last.image = suffix
            self._samples.append(last)
        return last
