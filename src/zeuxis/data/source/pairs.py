"""Sources of pairs: two folders whose files belong together by name, or images that hold both halves.

    A/1.png  B/1.png                  pairs; also A/train/1.png, train/A/1.png; columns of a parquet table
    trainA/1.png  trainB/1.png        pairs with a side of the split, or two unpaired domains
    labels/1.png  images/1.jpg        a map of class ids (`maps`) and its image
    1.png, twice as wide as high      left:right

The first of the two names is the source: what a translation starts from.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import Data, suggest
from zeuxis.data.preparation import decode
from zeuxis.data.source import maps
from zeuxis.data.source.base import Chosen, Source
from zeuxis.data.source.places import side_of

USUAL = (
    ("A", "B"),
    ("source", "target"),
    ("input", "target"),
    *((w, images) for w in (*maps.FOLDERS, "masks", "mask") for images in ("images", "photos")),
)
"""Names of source and target that are looked for."""
COLUMNS = (
    ("conditioning_image", "image"),
    ("input_image", "edited_image"),
    ("original_image", "edited_image"),
    ("input", "output"),
)
"""Names of columns of source and target beyond these."""
HALVES = (("left", "right"), ("right", "left"))
PEEK = 64
LAYOUTS = (
    "folders A and B with files of equal names, trainA and trainB, labels and images, columns source and "
    "target of a parquet table, or images twice as wide as high that hold source and target side by side"
)

TWICE = (
    "every image is twice as wide as high: if each holds a source and its target side by side, read them as "
    "pairs with data.pairs=left:right"
)


@dataclasses.dataclass(frozen=True)
class Folders:
    """Two folders by name: the source's and the target's."""

    source: str
    target: str

    def place(self, file: str) -> tuple[str, str]:
        """Which of the two a file lies in, "" for none; and its path without that folder.

        >>> Folders("A", "B").place("trainA/x/1.png"), Folders("A", "B").place("val/B/1.png")
        (('A', 'train/x/1.png'), ('B', 'val/1.png'))
        """
        *folders, name = file.split("/")
        for at, folder in enumerate(folders):
            for role in (self.source, self.target):
                side = _side_before(folder, role)
                if side is not None:
                    kept = [*folders[:at], *([side] if side else []), *folders[at + 1 :]]
                    return role, "/".join([*kept, name])
        return "", file

    def there(self, files: Iterable[str]) -> set[str]:
        """Which of the two hold files; "" if other folders do."""
        parents = {file.rpartition("/")[0] for file in files}  # few, where files are a million
        return {self.place(f"{parent}/x")[0] for parent in parents if parent}

    def key(self, file: str) -> str:
        """What files that belong together have in common: `A/x_A.png` and `B/x_B.jpg` do."""
        role, rest = self.place(file)
        stem = rest[: -len(PurePosixPath(rest).suffix)]
        return re.sub(rf"[_-]{re.escape(role)}$", "", stem)


def _side_before(folder: str, role: str) -> str | None:
    """The side that a folder of the role speaks of, as trainA does, or ""; None if it is no such folder."""
    if folder.casefold() == role.casefold():
        return ""
    side = folder[: -len(role)].rstrip("_-")
    same = folder.casefold().endswith(role.casefold()) and side_of(side) is not None
    return side if same else None


def find(files: Iterable[str], settings: Data, wanted: bool) -> Folders | None:
    """The two folders that hold pairs, if pairs are asked for or wanted and there are such folders.

    Raises:
        ValueError: a folder that was named is not there.
    """
    files = list(files)
    if settings.pairs is None:
        return guess(files) if wanted and settings.pair is None else None
    asked = tuple(settings.pairs.split(":"))
    if asked in HALVES:
        return None
    folders = Folders(*asked)
    there = folders.there(files)
    for role in asked:
        if role not in there:
            known = sorted({part for file in files for part in file.split("/")[:-1]})[:1000]
            raise Invalid(
                f"data.pairs={settings.pairs}: no folder {role} holds images; {suggest(role, known)}"
            )
    return folders


def guess(files: Sequence[str]) -> Folders | None:
    """Two folders that are named as sources and targets usually are."""
    for names in USUAL:
        folders = Folders(*names)
        if folders.there(files) == set(names):
            return folders
    return None


def hints(whole: Source, sizes: Iterable[tuple[int, int]]) -> list[str]:
    """A sentence if what is read as single images, of these heights and widths, looks like pairs."""
    if whole.partner:
        return []
    files = [whole.placed(item.name) for item in whole.items]
    folders = guess(files)
    if folders is None:
        return [TWICE] if all(w == 2 * h for h, w in sizes) else []
    _, _, both = _keys(files, folders)
    what = f"hold pairs ({len(both):,} files have one of equal name)" if both else "are two domains"
    return [
        f"folders {folders.source} and {folders.target} look as if they {what}; they are read as pairs with "
        f"data.pairs={folders.source}:{folders.target}, or by a family that translates"
    ]


def _keys(
    files: Sequence[str], folders: Folders
) -> tuple[dict[str, int], dict[str, int], list[str]]:
    """Number of each source and each target by key, and the keys of both, in order."""
    sides: dict[str, dict[str, int]] = {folders.source: {}, folders.target: {}, "": {}}
    for index, file in enumerate(files):
        sides[folders.place(file)[0]].setdefault(folders.key(file), index)
    sources, targets = sides[folders.source], sides[folders.target]
    return sources, targets, [key for key in targets if key in sources]


def by_folders(whole: Source, folders: Folders, settings: Data) -> Source:
    """The images of the target's folder, with those of the source's as partner.

    Raises:
        ValueError: files are to be paired by name and no name matches.
    """
    files = [whole.placed(item.name) for item in whole.items]
    sources, targets, both = _keys(files, folders)
    beside = sum(not folders.place(file)[0] for file in files)
    if beside:
        whole.notes.append(
            f"{beside:,} images beside {folders.source} and {folders.target} were passed over"
        )
    fewer = min(len(sources), len(targets))
    paired = 2 * len(both) >= fewer if settings.paired is None else settings.paired
    if paired and not both:
        raise Invalid(
            f"{whole.name}: no file of {folders.source} has one of equal name in {folders.target} (such as "
            f"{files[next(iter(sources.values()))]} and {files[next(iter(targets.values()))]}); name "
            "files alike, or read them as unpaired with data.paired=false"
        )
    if paired:
        _name_lonely(whole, files, folders, both)
        chosen = [[side[key] for key in both] for side in (targets, sources)]
    else:
        chosen = [
            [i for i, file in enumerate(files) if folders.place(file)[0] == role]
            for role in (folders.target, folders.source)
        ]
        matched = f"{len(both):,} of {fewer:,} names match" if both else "no names match"
        said = "as asked" if settings.paired is False else matched
        whole.notes.append(
            f"{folders.source} and {folders.target} are read as unpaired ({said}), each in its own order"
        )
    target, source = (Chosen(whole, [(i, whole.items[i]) for i in some]) for some in chosen)
    return _joined(target, source, settings, paired, folders.source)


def _name_lonely(
    whole: Source, files: Sequence[str], folders: Folders, both: Sequence[str]
) -> None:
    """Count and name files without a partner."""
    known, lonely = set(both), []
    seen: set[tuple[str, str]] = set()
    for file in files:
        role, key = folders.place(file)[0], folders.key(file)
        if role and (key not in known or (role, key) in seen):
            lonely.append(file)
        seen.add((role, key))
    whole.problems += [(file, "it has no partner of equal name") for file in lonely]
    if lonely:
        whole.notes.append(
            f"{len(lonely):,} files have no partner of equal name and were left out, such as {lonely[0]}"
        )


def columns(names: Sequence[str], settings: Data, wanted: bool) -> tuple[str, str] | None:
    """The columns of images, among those of a table, that are sources and targets; None if none are meant.

    Raises:
        ValueError: a column that was named is not there.
    """
    if settings.pairs is None:
        usual = (*COLUMNS, *USUAL) if wanted and settings.pair is None else ()
        return next((both for both in usual if set(both) <= set(names)), None)
    source, _, target = settings.pairs.partition(":")
    if (source, target) in HALVES:
        return None
    for name in (source, target):
        if name not in names:
            raise Invalid(
                f"data.pairs={settings.pairs}: no column {name} holds images; {suggest(name, names)}"
            )
    return source, target


def by_columns(target: Source, source: Source, settings: Data, column: str) -> Source:
    """The images of one column, with those of the source's `column` as partner."""
    return _joined(target, source, settings, True, column)


def side_by_side(whole: Source, settings: Data) -> Source:
    """Each image's half as target, with the other half as partner."""
    first = (settings.pairs or "left:right").partition(":")[0]
    halves = HALVES[0] if first == "left" else HALVES[1]
    numbered = list(enumerate(whole.items))
    source, target = (Chosen(whole, numbered, half) for half in halves)  # type: ignore[arg-type]
    return _joined(target, source, settings, True, first)


def is_side_by_side(whole: Source) -> bool:
    """Whether images, up to 64 of them, are each twice as wide as high."""
    sizes = []
    for index in range(0, len(whole.items), max(1, len(whole.items) // PEEK)):
        try:
            sizes.append(decode.header(whole.read(index))[:2])
        except (OSError, ValueError):
            continue
    return bool(sizes) and all(w == 2 * h for h, w in sizes)


def arranged(whole: Source, folders: Folders | None, settings: Data, wanted: bool) -> Source:
    """The source as pairs, if they are asked for or wanted; else as it is.

    Raises:
        ValueError: pairs are wanted and there are none.
    """
    if folders:
        return by_folders(whole, folders, settings)
    if whole.partner or settings.pair is not None or not (wanted or settings.pairs):
        return whole
    if settings.pairs is None and not is_side_by_side(whole):
        raise Invalid(
            f"{whole.name} holds single images, and this family learns from pairs: expected {LAYOUTS}; name "
            "two folders with data.pairs=A:B, or have the source made of each image with "
            "data.pair=OPERATION, such as grey"
        )
    if settings.pairs and tuple(settings.pairs.split(":")) not in HALVES:
        raise Invalid(
            f"data.pairs={settings.pairs} names two folders, and {whole.name} ({whole.kind}) has none; "
            "give a folder, zip, tar or parquet table, or left:right for images that hold both halves"
        )
    return side_by_side(whole, settings)


def _joined(target: Source, source: Source, settings: Data, paired: bool, folder: str) -> Source:
    source.paired, source.problems, source.notes = paired, [], []  # they are said of the target
    source.field = settings.source_kind or ("map" if maps.are_maps(source, folder) else "image")
    if source.field == "map":
        source.palette = maps.palette(source)
    target.partner = source
    return target
