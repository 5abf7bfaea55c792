"""What names and folders say: the side of the split, the class, and which name is meant.

Legend: a parent is the folders of an image's path, "pets/cat" of `pets/cat/1.png`.
"""

import collections
import dataclasses
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath, PurePosixPath

from zeuxis.data.source.base import Side, Source

TRAIN_WORDS = ("train", "training", "trainval")
HOLDOUT_WORDS = ("test", "testing", "t10k", "val", "valid", "validation", "dev", "holdout")
FILLERS = frozenset(
    (
        *("set", "sets", "split", "data", "dataset", "file", "files", "part", "png", "jpg", "jpeg"),
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"),
    )
)
"""Words beside `train` or `test` in a folder's name that say nothing more."""
SHARD = re.compile(r"\d{5}")
MASKS = frozenset(
    (
        *("mask", "masks", "label", "labels", "annotation", "annotations", "map", "maps", "gt"),
        *("label_maps", "segmentation", "segmentations", "segmentationclass", "segmentationobject"),
        "ground_truth",
    )
)
"""Folders of masks and maps, if a folder beside holds the images that they belong to."""
IMAGES = frozenset(("image", "images", "img", "imgs", "photo", "photos", "jpegimages", "rgb"))
MASK = re.compile(r"[ _-](mask|masks|seg|segmentation|label|labels|gt)([ _-]?\d+)?$", re.IGNORECASE)
"""What the name of a mask adds to that of its image."""


def side_of(word: str) -> Side | None:
    """The side of the split that a word is the name of.

    >>> side_of("Train"), side_of("t10k"), side_of("cats")
    ('train', 'holdout', None)
    """
    word = word.lower()
    return "train" if word in TRAIN_WORDS else "holdout" if word in HOLDOUT_WORDS else None


def side_and_rest(name: str) -> tuple[Side | None, str]:
    """The side that a name speaks of by any of its words, and what else it says.

    A name that speaks of both, as `train_val` does, holds what is trained on.

    >>> side_and_rest("training_set"), side_and_rest("val2017"), side_and_rest("DIV2K_train_HR")
    (('train', ''), ('holdout', ''), ('train', 'DIV K HR'))
    """
    if side_of(name):
        return side_of(name), ""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W\d_]+", apart)
    found = {side_of(word) for word in words} - {None}
    side: Side | None = None if not found else "train" if "train" in found else "holdout"
    rest = " ".join(word for word in words if not side_of(word) and word.lower() not in FILLERS)
    return side, rest


def side_of_file(path: PurePath) -> Side | None:
    """The side that a file's name speaks of, or else the folders that it is in.

    >>> side_of_file(PurePath("test-000.tar")), side_of_file(PurePath("emnist-letters-train.idx"))
    ('holdout', 'train')
    >>> side_of_file(PurePath("default/test/0000.parquet"))
    'holdout'
    """
    first = side_of(re.split(r"[-_.]", path.name)[0])
    return first or next(filter(None, (side_and_rest(p)[0] for p in reversed(path.parts))), None)


FIRST_WORD = re.compile(r"[-_. \d]")
SPLITS = ("split", "subset", "partition", "usage", "set")
"""Columns that say the side of each image."""


def sides_by_column(source: Source) -> None:
    """Let a column called `split` decide the sides, if all its words are sides and nothing else says them."""
    if any(item.side for item in source.items):
        return
    for name in dict.fromkeys(key for item in source.items[:1000] for key in item.columns):
        if name.lower() not in SPLITS:
            continue
        words = {item.columns.get(name, "") for item in source.items} - {""}
        sides = {word: side_and_rest(word)[0] for word in words}
        if set(sides.values()) == {"train", "holdout"}:
            source.items = [
                dataclasses.replace(
                    item,
                    columns={k: v for k, v in item.columns.items() if k != name},
                    side=sides.get(item.columns.get(name, "")),
                )
                for item in source.items
            ]
            source.notes.append(f"column '{name}' says the sides of the split")
            return


def plain(name: str) -> str:
    r"""A path as all sources spell it: composed letters, forward slashes, no `./`.

    >>> plain(".\\cat\\1.png"), plain("a//b.png")
    ('cat/1.png', 'a/b.png')
    """
    return unicodedata.normalize("NFC", str(PurePosixPath(name.replace("\\", "/"))))


class Names:
    """The names of images, found as other files write them.

    A name may be in another normal form, case or slash. Where only one image can be meant, it may also
    lack its suffix or the folders below the file that says it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._exact = set(names)
        odd = (name for name in names if not name.isascii() or "/." in name)
        self._plain = {plain(name): name for name in odd}
        self._loose: dict[str, str] | None = None

    def find(self, name: str, folder: str = "") -> str | None:
        """The image that a file in `folder` calls `name`."""
        if f"{folder}{name}" in self._exact:
            return f"{folder}{name}"
        name = plain(f"{folder}{name}")
        return name if name in self._exact else self._plain.get(name)

    def guess(self, name: str, folder: str = "") -> str | None:
        """The only image in `folder` that may be meant."""
        if self._loose is None:
            keys = [(key, image) for image in self._exact for key in _loose_keys(image)]
            counts = collections.Counter(key for key, _ in keys)
            self._loose = {key: image for key, image in keys if counts[key] == 1}
        full, bare = _folded(f"{folder}{name}"), f"/{_folded(name)}"
        image = self._loose.get(full) or ("/" not in name and self._loose.get(bare)) or None
        return image if image and image.startswith(folder) else None


def _loose_keys(image: str) -> set[str]:
    """What an image may be called: its path or its name, each with or without a suffix, in lower case."""
    full = _folded(image)
    stem = posixpath.splitext(full)[0]
    return {full, stem, *("/" + posixpath.basename(key) for key in (full, stem))}


def _folded(name: str) -> str:
    return plain(name).casefold()


@dataclasses.dataclass
class Layout:
    """What folders say of the images in them.

    Attributes:
        depth: folders around all images, which say nothing, as `pets` in a zip of `pets/`.
        sides: parent -> side, where folders speak of both sides.
        labels: parent -> class, where folders look like classes.
        why: the reason if there are no classes; "" if no folder speaks of any.
    """

    depth: int = 0
    sides: Mapping[str, Side] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    why: str = ""
    note: str = ""


def parent_of(image: str) -> str:
    """Its folders.

    >>> parent_of("pets/cat/1.png"), parent_of("1.png")
    ('pets/cat', '')
    """
    return image.rpartition("/")[0]


def layout(images: Sequence[str]) -> Layout:
    """Read the folders of images, each by its path."""
    counts = collections.Counter(map(parent_of, images))
    paths = {parent: tuple(parent.split("/")) if parent else () for parent in counts}
    depth = _around(paths, counts)
    sides, paths = _take_sides({parent: path[depth:] for parent, path in paths.items()})
    inner = _around(paths, counts)
    rest = {parent: path[inner:] for parent, path in paths.items()}
    found = Layout(depth, sides)
    _take_classes(found, rest, counts, images)
    return found


def _around(paths: Mapping[str, tuple[str, ...]], counts: Mapping[str, int]) -> int:
    """How many folders enclose all images but strays, of which there are fewer than in the folders.

    >>> _around({"": (), "a/b": ("a", "b"), "a/c": ("a", "c")}, {"": 1, "a/b": 2, "a/c": 2})
    1
    """
    depth = 0
    while True:
        deeper = {path[depth] for path in paths.values() if len(path) > depth}
        here = sum(counts[parent] for parent, path in paths.items() if len(path) == depth)
        below = sum(counts[parent] for parent, path in paths.items() if len(path) > depth)
        if len(deeper) != 1 or here >= below:
            return depth
        depth += 1


def _take_sides(
    paths: dict[str, tuple[str, ...]],
) -> tuple[dict[str, Side], dict[str, tuple[str, ...]]]:
    """Sides by the first level of folders that speaks of both, and the paths without those folders."""
    for level in range(max(map(len, paths.values()), default=0)):
        named = _both_sides({path[level] for path in paths.values() if len(path) > level})
        if named:
            sides = {
                parent: named[path[level]][0]
                for parent, path in paths.items()
                if len(path) > level and path[level] in named
            }
            return sides, {p: _without(path, level, named) for p, path in paths.items()}
    return {}, paths


def _both_sides(folders: Iterable[str]) -> dict[str, tuple[Side, str]]:
    """Folder -> (side, what else its name says, where that differs), if one of the other side is there.

    >>> _both_sides({"training_set", "test_set", "extra"})["test_set"]
    ('holdout', '')
    >>> _both_sides({"test tube", "train station"})
    {}
    """
    groups: dict[str, dict[str, Side]] = {}
    for folder in folders:
        side, rest = side_and_rest(folder)
        if side:
            groups.setdefault(rest, {})[folder] = side
    groups = {rest: group for rest, group in groups.items() if len(set(group.values())) == 2}
    several = len(groups) > 1
    return {
        folder: (side, rest if several else "")
        for rest, group in groups.items()
        for folder, side in group.items()
    }


def sides_in_names(images: Sequence[str]) -> str:
    """A sentence if half of the files are called after sides of a split, as `train_1.png`; "" if not.

    Such a name may mean a train on rails, so it decides nothing.
    """
    found: dict[Side, str] = {}
    count = 0
    for image in images:
        side = side_of(FIRST_WORD.split(posixpath.basename(image), maxsplit=1)[0])
        if side:
            count += 1
            found.setdefault(side, image)
    if len(found) < 2 or 2 * count < len(images):
        return ""
    return (
        f"files are called after sides of a split, as {found['train']} and {found['holdout']} are, which "
        "decides nothing: put them into folders train and test, or say it in a column 'split' of metadata.csv"
    )


def _without(
    path: tuple[str, ...], level: int, named: Mapping[str, tuple[Side, str]]
) -> tuple[str, ...]:
    """A path without the folder of its side, and without others below that say the same again."""
    if len(path) <= level or path[level] not in named:
        return path
    side, rest = named[path[level]]
    below = path[level + 1 :]
    while below and (below[0] == path[level] or side_and_rest(below[0]) == (side, "")):
        below = below[1:]
    return (*path[:level], *((rest,) if rest else ()), *below)


def _take_classes(
    found: Layout,
    paths: Mapping[str, tuple[str, ...]],
    counts: Mapping[str, int],
    images: Sequence[str],
) -> None:
    """Note the classes that folders are, or why they are none."""
    labels = {
        parent: unicodedata.normalize("NFC", path[0]) for parent, path in paths.items() if path
    }
    sided = {label for parent, label in labels.items() if parent in found.sides}
    if found.sides:  # a folder beside train and test is no class, unless it is called as theirs are
        labels = {parent: label for parent, label in labels.items() if label in sided}
    folders = sorted(set(labels.values()))
    if not folders:
        return
    loose = {parent: count for parent, count in counts.items() if parent not in labels}
    total = sum(counts.values())
    if loose:
        stray = next(image for image in images if parent_of(image) in loose)
        number = f"{sum(loose.values()):,} of {total:,} images"
        found.note = f"{number} lie in no folder of a class, such as {stray}"
    # A test side has no classes in many contests.
    trained = sum(count for parent, count in loose.items() if found.sides.get(parent) != "holdout")
    if len(folders) < 2:
        found.why = f"all lie in one folder, {folders[0]}"
    elif 2 * trained > total:
        found.why = found.note
    elif _are_shards(folders, labels, images):
        found.why = f"folders are numbered on, {folders[0]} to {folders[-1]}, as shards are"
    else:
        found.labels = labels


def _are_shards(folders: Sequence[str], labels: Mapping[str, str], images: Sequence[str]) -> bool:
    """Whether folders of five digits hold files that are numbered on, none of a name that another has."""
    if not all(map(SHARD.fullmatch, folders)):
        return False
    seen = {(PurePosixPath(i).name, labels[p]) for i in images if (p := parent_of(i)) in labels}
    return len({name for name, _ in seen}) == len(seen)


def masks_beside(images: Sequence[str]) -> dict[str, str]:
    """Pictures that are masks of others, with those: by a folder beside that of the images, or by names.

    A mask whose image is not there, among masks whose images are, has "".

    >>> masks_beside(["images/1.png", "masks/1.png", "cat/2.png", "cat/2_mask.png"])
    {'masks/1.png': 'images/1.png', 'cat/2_mask.png': 'cat/2.png'}
    """
    folders = {parent: _role(parent) for parent in set(map(parent_of, images))}
    known: dict[str, str] = {}
    suspects: dict[str, list[tuple[str, str]]] = {}
    for image in images:
        parent, _, name = image.rpartition("/")
        role, place = folders[parent]
        stem = name[: -len(PurePosixPath(name).suffix) or None]
        bare = MASK.sub("", stem)
        if role == "mask":
            suspects.setdefault(parent, []).append((f"{place}/{bare}", image))
            continue
        if role:
            known[f"{place}/{stem}"] = image
        if bare != stem:
            suspects.setdefault(image, []).append((f"{parent}//{bare}", image))
        known[f"{parent}//{stem}"] = image
    return {
        image: known.get(key, "")
        for group in suspects.values()
        if 2 * sum(key in known for key, _ in group) >= len(group)
        for key, image in group
    }


class Kin:
    """Images by what a file in their folder, or in one of masks or labels beside it, calls them."""

    def __init__(self, images: Sequence[str]) -> None:
        roles = {parent: _role(parent)[1] for parent in set(map(parent_of, images))}
        self._images: dict[str, str] = {}
        for image in images:
            parent, _, name = image.rpartition("/")
            for called in (name, posixpath.splitext(name)[0]):
                for place in (parent, roles[parent]):
                    self._images.setdefault(f"{place}/{called}", image)

    def find(self, called: str, file: str) -> str | None:
        """The image that `file` speaks of."""
        parent = parent_of(file)
        keys = (f"{parent}/{called}", f"{_role(parent)[1]}/{called}", f"/{called}")
        return next((self._images[key] for key in keys if key in self._images), None)


def _role(parent: str) -> tuple[str, str]:
    """Whether a folder is called as one of masks or of images is, and its path without that name."""
    parts = parent.split("/")
    for at, part in enumerate(parts):
        role = "mask" if part.casefold() in MASKS else "image" if part.casefold() in IMAGES else ""
        if role:
            return role, "/".join([*parts[:at], "*", *parts[at + 1 :]])
    return "", parent
