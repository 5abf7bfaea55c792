"""Where images come from. `open_source` looks at what is there and picks the kind."""

import dataclasses
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.settings import Data, similar
from zeuxis.data.preparation import decode
from zeuxis.data.prepared import Prepared, is_prepared, open_prepared
from zeuxis.data.source import arrays, avatars, pairs
from zeuxis.data.source.base import (
    LEADS_OUT,
    SUFFIXES,
    Item,
    Side,
    Source,
    fingerprint,
    leads_out,
    stat_entry,
)
from zeuxis.data.source.files import Folder, Zip
from zeuxis.data.source.parquet import ParquetSource, columns_of_images, holds_images
from zeuxis.data.source.places import sides_by_column
from zeuxis.data.source.tar import TarShards
from zeuxis.data.source.tiles import OneImage, Tiles
from zeuxis.data.source.tree import TreeSource

__all__ = ["Item", "Source", "fingerprint_of", "name_of", "open_source"]

EMBEDDED = {"avatars": avatars.open_avatars}


def open_source(
    source: str | Path, settings: Data | None = None, translates: bool = False
) -> Source:
    """The source at a path, whatever its kind, or an embedded one by its name.

    Args:
        source: path or name.
        settings: `pairs`, `paired` and `source_kind` say what is read as pairs.
        translates: whether pairs are needed, so that they are looked for.

    Raises:
        ValueError: nothing is there, it may not be read, or it is of no kind that is known; or pairs are
            asked for and there are none.
    """
    settings = settings or Data()
    opened = _opened(source, settings, translates)
    folders = opened.folders if isinstance(opened, TreeSource) else None
    sides_by_column(opened)
    if settings.tiles is not None:
        with decode.guarded():
            return Tiles(opened, settings)
    with decode.guarded():
        return pairs.arranged(opened, folders, settings, translates)


def _opened(source: str | Path, settings: Data, translates: bool) -> Source:
    """The source, read by its folders of pairs if it has some and they are meant."""
    path = _existing(source)
    if path is None:
        return EMBEDDED[str(source)]()
    if is_prepared(path):
        return open_again(open_prepared(path))
    kinds = Kinds(name_of(path), settings, translates)
    found = kinds.of_file(path) if not path.is_dir() else kinds.of_shards(path)
    if found:
        return found
    if path.is_dir() or zipfile.is_zipfile(path):
        kind, files = ("folder", Folder(path)) if path.is_dir() else ("zip", Zip(path))
        below = kinds.of_shards_below(path, files.names) if not files.images else None
        if below:
            return below
        folders = pairs.find(files.images, settings, translates)
        return TreeSource(kinds.name, kind, files, folders)
    if path.suffix.lower() in SUFFIXES:
        if settings.tiles is not None:
            return OneImage(path, kinds.name)
        raise Invalid(
            f"{path} is one image, and a model needs many; data.tiles=64 cuts it into tiles of 64 x 64"
        )
    raise Invalid(
        f"{path} is not of a kind that can be read; expected a folder of images, a zip, a tar, idx, "
        "npy, npz or parquet file, or a prepared set"
    )


@dataclasses.dataclass(frozen=True)
class Kinds:
    """Sources of arrays, tars and tables, under one name and with one answer to what pairs are."""

    name: str
    settings: Data
    translates: bool

    def of_file(self, path: Path) -> Source | None:
        """A file of arrays, a tar or a table."""
        if arrays.find_idx(path):
            return _named(arrays.open_idx(path), self.name)
        if path.suffix in (".npy", ".npz"):
            return _named(arrays.open_numpy(path), self.name)
        if path.suffix == ".tar" or path.name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
            return self._tars([path])
        return self._tables([path]) if path.suffix == ".parquet" else None

    def of_shards(self, path: Path) -> Source | None:
        """What a folder holds by its files' names: idx, else tars, else parquet, else images (None)."""
        if arrays.find_idx(path):
            return _named(arrays.open_idx(path), self.name)
        try:
            entries, linked = _sorted_out(path.iterdir(), path)
            files = sorted(file for file in entries if file.is_file())
        except PermissionError as error:
            raise Invalid(f"{path} may not be read (no permission); change its mode") from error
        pictures = any(map(_is_picture, entries))
        shards = [file for file in files if file.suffix == ".tar"]
        tars = self._tars(shards) if shards else None
        if tars and (tars.items or not pictures):  # a tar without images is said of those beside it
            return _alone(tars, entries, linked)
        tables = [file for file in files if file.suffix == ".parquet"]
        if len(tables) > 1 or pictures:  # a table of words is said of pictures, or of other tables
            tables = [file for file in tables if holds_images(file)]
        if not tables and path / "data" in entries:
            entries = []
            tables, linked = _sorted_out(sorted((path / "data").glob("*.parquet")), path)
        return _alone(self._tables(tables), entries, linked) if tables else None

    def of_shards_below(self, path: Path, files: Sequence[str]) -> Source | None:
        """Tars or tables in folders below one without images, as `train/0000.parquet` beside `test/`."""
        if not path.is_dir():
            return None
        tars = {file: path / file for file in files if file.endswith(".tar")}
        tables = {file: path / file for file in files if file.endswith(".parquet")}
        tables = {file: table for file, table in tables.items() if holds_images(table)}
        if tars:
            return self._tars([*tars.values()], [*tars])
        return self._tables([*tables.values()], [*tables]) if tables else None

    def _tars(self, paths: Sequence[Path], names: Sequence[str] = ()) -> Source:
        return TarShards(self.name, paths, names, self.settings, self.translates)

    def _tables(self, paths: Sequence[Path], names: Sequence[str] = ()) -> Source:
        """A table, or two of its columns as pairs."""
        found = columns_of_images(paths[0])
        both = pairs.columns(found, self.settings, self.translates) if found else None
        if both is None:
            return ParquetSource(self.name, paths, names)
        source, target = (ParquetSource(self.name, paths, names, column) for column in both)
        return pairs.by_columns(target, source, self.settings, both[0])


def _sorted_out(entries: Iterable[Path], root: Path) -> tuple[list[Path], list[Path]]:
    """What may be read in the source `root`, and links that lead out of it."""
    sorted_out: tuple[list[Path], list[Path]] = [], []
    for entry in entries:
        sorted_out[leads_out(entry, root)].append(entry)
    return sorted_out


def _is_picture(entry: Path) -> bool:
    """Whether it is an image by its name, or a folder that may hold some."""
    return entry.suffix.lower() in SUFFIXES or (entry.is_dir() and entry.name[0] != ".")


def _named(source: Source, name: str) -> Source:
    source.name = name
    return source


def _alone(source: Source, entries: Sequence[Path], linked: Sequence[Path]) -> Source:
    """`source`, with a remark where a folder holds pictures beside the files that it is read from."""
    source.problems += [(entry.name, LEADS_OUT) for entry in linked]
    beside = sum(map(_is_picture, entries))
    if beside:
        source.notes.append(
            f"{beside:,} images or folders beside the {source.kind} files were passed over: "
            "give them as a source of their own"
        )
    return source


def open_again(prepared: Prepared) -> Source:
    """A prepared set as a source, to prepare it at another size. Its split stays as it is."""
    sides: list[Side] = ["train"] * len(prepared)
    for row in prepared.holdout.tolist():
        sides[row] = "holdout"
    for row in prepared.withheld.tolist():
        sides[row] = "withheld"
    known = {name: prepared.column(name) for name in prepared.facts["columns"]}
    texts = prepared.texts
    items = [
        Item(
            name,
            {column: words[i] for column, words in known.items()},
            texts[i] if texts else "",
            sides[i],
        )
        for i, name in enumerate(prepared.names)
    ]
    source = arrays.ArraySource(prepared.name, [(prepared.images, items)], "prepared set")
    source.licence, source.credits = prepared.facts["licence"], prepared.facts["credits"]
    source.classes = {c.name: c.classes for c in prepared.conditions}
    if "source" in prepared.fields:
        source.partner = _partner_again(prepared)
    return source


def _partner_again(prepared: Prepared) -> Source:
    stored = prepared.fields["source"]
    held_out = np.zeros(len(stored.rows), bool)
    held_out[stored.holdout] = True
    names = prepared.names if stored.paired else prepared.source_names
    items = [
        Item(name, side="holdout" if held else "train")
        for name, held in zip(names, held_out, strict=True)
    ]
    partner = arrays.ArraySource(prepared.name, [(stored.rows, items)], "prepared set")
    partner.paired = stored.paired
    if stored.field.kind == "map":
        partner.field, partner.legend = "map", dict(enumerate(stored.field.classes))
        partner.palette = stored.field.colours
    return partner


def fingerprint_of(source: str | Path) -> str:
    """Hash of the names, sizes and times of every file of a source."""
    path = _existing(source)
    if path is None:
        return f"embedded {source} 1"
    if path.is_file():
        return fingerprint([stat_entry(path, path.name)])
    return fingerprint(_entries(path))


def _entries(folder: str | Path, inside: str = "") -> Iterator[tuple[str, int, int]]:
    """Each file below a folder, but not behind links to others; without a Path a file, which takes long."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _entries(entry.path, f"{inside}{entry.name}/")
            continue
        try:
            facts = entry.stat()
            yield f"{inside}{entry.name}", facts.st_size, facts.st_mtime_ns
        except OSError:
            yield entry.path, -1, -1  # a dangling link, or a file that vanished meanwhile


def name_of(source: str | Path) -> str:
    """A short name, safe as part of a file name.

    >>> name_of("/data/My Photos/")
    'My-Photos'
    """
    name = Path(str(source)).resolve().name if str(source) not in EMBEDDED else str(source)
    name = re.sub(r"(\.(zip|tar|npz|npy|gz|parquet))+$", "", name)
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "images"


def _existing(source: str | Path) -> Path | None:
    """The path, or None for an embedded set."""
    path = Path(source)
    try:
        if path.exists():
            if path.is_dir():
                next(path.iterdir(), None)
            else:
                path.open("rb").close()
            return path
    except PermissionError as error:
        raise Invalid(f"{path} may not be read (no permission); change its mode") from error
    if str(source) in EMBEDDED:
        return None
    raise NotFound(
        f"there is no {path}{similar(path, EMBEDDED)}; a source is a folder of images, a zip, "
        f"tar shards, idx, npz or parquet files, a prepared set, or {', '.join(EMBEDDED)}"
    )
