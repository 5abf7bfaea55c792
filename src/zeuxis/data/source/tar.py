"""Tar shards (WebDataset, img2dataset) and plain tars of folders: read in place through an index of offsets.

Members with the same name up to the first dot are one sample, wherever they stand in their shard:
`0001.jpg`, `0001.txt`, `0001.json`, `0001.cls`. The index holds offsets only; a sample costs one read at
its place, so a stream can start, or go on, at any of them.
"""

import os
import posixpath
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import Data
from zeuxis.data.source import pairs
from zeuxis.data.source.base import MEMBER_LIMIT, SUFFIXES, Item
from zeuxis.data.source.files import HEAD, Files, hidden
from zeuxis.data.source.places import plain, side_of_file
from zeuxis.data.source.tree import TreeSource


class Shards(Files):
    """The members of tars, in order. A name that occurs again in a shard gets a number: `a~1.png`."""

    around = 1

    def __init__(self, paths: Sequence[Path], names: Sequence[str] = ()) -> None:
        super().__init__()
        names = names or [path.name for path in paths]
        self.around = 1 + names[0].count("/")
        self._paths = dict(zip(names, paths, strict=True))
        self._places: dict[str, tuple[int, int] | tarfile.TarInfo] = {}
        """Offset and size of a member, or how a sparse one is pieced together."""
        for name, path in self._paths.items():
            self._index(name, path)
        sides = {name: side_of_file(PurePath(name)) for name in names}
        self._sides = sides if {"train", "holdout"} <= set(sides.values()) else {}

    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A member: one read at its offset, safe from any thread."""
        place = self._places[name]
        size = place[1] if isinstance(place, tuple) else place.size
        if size > most:
            raise Invalid(f"it has {size:,} bytes; at most {most:,} are read")
        return self._first(name, size)

    def head(self, name: str) -> bytes:
        """A member's first bytes."""
        place = self._places[name]
        try:
            return self._first(name, min(HEAD, place[1])) if isinstance(place, tuple) else b""
        except (OSError, ValueError):
            return b""

    def placed(self, name: str) -> str:
        """The path within its shard, below the side that the shard's name speaks of."""
        shard, inside = _parted(name)
        side = self._sides.get(shard)
        return f"{side}/{plain(inside)}" if side else plain(inside)

    def _first(self, name: str, size: int) -> bytes:
        path, place = self._paths[_parted(name)[0]], self._places[name]
        if isinstance(place, tarfile.TarInfo):
            try:
                with tarfile.open(path, "r:") as archive:
                    file = archive.extractfile(place)
                    return file.read(size) if file else b""
            except tarfile.TarError as error:
                raise Invalid(f"its part of the tar is damaged ({error})") from error
        handle = os.open(path, os.O_RDONLY)  # thousands cannot stay open
        try:
            content = os.pread(handle, size, place[0])
        finally:
            os.close(handle)
        if len(content) < size:
            raise Invalid(f"the shard ends {size - len(content):,} bytes too early")
        return content

    def _index(self, shard: str, path: Path) -> None:
        """Walk the headers of one shard; pixels are not touched."""
        there: dict[str, tuple[int, int] | tarfile.TarInfo] = {}
        names: list[str] = []
        again: dict[str, int] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined] # or it remembers every header for as long as it is open
                    place = self._place(shard, member, there)
                    if place is None:
                        continue
                    there[plain(member.name)] = place
                    if not hidden(member.name):
                        name = self._name(shard, member.name, again)
                        names.append(name)
                        self._places[name] = place
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
        self._keep(names)

    def _place(
        self,
        shard: str,
        member: tarfile.TarInfo,
        there: dict[str, tuple[int, int] | tarfile.TarInfo],
    ) -> tuple[int, int] | tarfile.TarInfo | None:
        """Where a member's bytes lie; those of a link where it leads to in the shard."""
        if member.issparse():
            return member
        if member.isreg():
            return member.offset_data, member.size
        if not (member.islnk() or member.issym()):
            return None
        folder = posixpath.dirname(member.name) if member.issym() else ""
        target = there.get(plain(posixpath.normpath(posixpath.join(folder, member.linkname))))
        if target is None and not hidden(member.name):
            why = f"a link to {member.linkname[:200]}, which is not in the tar before it"
            self.problems.append((f"{shard}/{member.name}", why))
        return target

    def _name(self, shard: str, member: str, again: dict[str, int]) -> str:
        """The member's name in the source; of samples that repeat a key, each member goes with its own."""
        folder, _, name = f"{shard}/{member}".rpartition("/")
        key, dot, suffix = name.partition(".")
        key, suffix = f"{folder}/{key}", (dot + suffix).lower()
        at = again.get(key, 0)
        while (found := f"{key}~{at}{suffix}" if at else key + suffix) in self._places:
            at += 1
        if at:
            again[key] = at
        return found

    def _keep(self, names: Sequence[str]) -> None:
        """Note a shard's names, but pictures that are more of a sample that has one, as `0001.seg.png`."""
        keys = {n[: -len(s)] for n in names if (s := posixpath.splitext(n)[1]) in SUFFIXES}
        for name in names:
            folder, _, base = name.rpartition("/")
            key, _, suffix = base.partition(".")
            if (
                "." in suffix
                and posixpath.splitext(name)[1] in SUFFIXES
                and f"{folder}/{key}" in keys
            ):
                why = f".{suffix} is no suffix of an image: a sample's name ends at its first dot"
                self.problems.append((name, why))
            else:
                self.names.append(name)

    def _check_end(self, path: Path, offset: int) -> None:
        """Python's tarfile takes a broken header for the end; the true end is a block of zeros."""
        with path.open("rb") as file:
            file.seek(offset - tarfile.BLOCKSIZE if offset >= path.stat().st_size else offset)
            block = file.read(tarfile.BLOCKSIZE)
        if any(block) or len(block) < tarfile.BLOCKSIZE:
            self.problems.append((path.name, f"the shard is damaged or cut off at byte {offset:,}"))


def _parted(name: str) -> tuple[str, str]:
    """The shard, and the name in it.

    >>> _parted("train/000.tar/cat/1.png")
    ('train/000.tar', 'cat/1.png')
    """
    found = re.match(r"(.*?\.(?:tar|tgz|tar\.\w+))/(.*)", name, re.DOTALL)
    return (found[1], found[2]) if found else ("", name)


class TarShards(TreeSource):
    """One tar, or a folder of them, in the order of their names."""

    def __init__(
        self,
        name: str,
        shards: Sequence[Path],
        names: Sequence[str] = (),
        settings: Data | None = None,
        translates: bool = False,
    ) -> None:
        """Index them.

        Args:
            name: of the source.
            shards: in order.
            names: what the source calls them, by default their files' names.
            settings: what is read as pairs.
            translates: whether pairs are looked for.
        """
        files = Shards(shards, names)
        places = [files.placed(image) for image in files.images]
        folders = pairs.find(places, settings or Data(), translates)
        super().__init__(name, "tar shards", files, folders)

    def stream(self, start: int = 0) -> Iterator[tuple[Item, bytes]]:
        """Samples in order from number `start`, as a training stream that was stopped there goes on."""
        for index in range(start, len(self.items)):
            yield self.items[index], self.read(index)
