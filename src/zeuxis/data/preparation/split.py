"""Which images are never trained on. The source's own split, else by hash of the group."""

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import suggest
from zeuxis.data.preparation import clean
from zeuxis.data.preparation.warn import share

if TYPE_CHECKING:
    from zeuxis.data.source.base import Item

HELD_OUT, WITHHELD = 1, 2
"""Sides of an image that is not trained on, as they are stored; 0 is the training side."""
SHARE, FEWEST, MOST_SHARE, MOST, WORTHWHILE = 0.05, 64, 0.15, 5000, 220
OWN = "the source's own split"


def holdout_count(count: int, asked: float | None = None) -> int:
    """How many of `count` images are held out.

    Args:
        count: of images.
        asked: how many, or below 1 which share; by default 5 %, raised to 64 but never above 15 % of the set,
            at most 5,000, and none of fewer than 220.

    Raises:
        Invalid: nothing would be left to train on.

    >>> [holdout_count(n) for n in (219, 220, 426, 427, 1280, 100_001)]
    [0, 33, 63, 64, 64, 5000]
    >>> holdout_count(400, 0.25), holdout_count(400, 30), holdout_count(400, 0)
    (100, 30, 0)
    """
    if asked is not None:
        wanted = round(asked * count) if asked < 1 else int(asked)
        if wanted >= count:
            raise Invalid(
                f"data.holdout={asked:g} leaves none of {count:,} images to train on; hold out fewer"
            )
        return wanted
    if count < WORTHWHILE:
        return 0
    return min(max(round(SHARE * count), FEWEST), int(MOST_SHARE * count), MOST)


def by_hash(groups: Sequence[str], asked: float | None = None) -> np.ndarray:
    """(N,) bool, True where held out, as many as `holdout_count` says. Images of one group never part.

    Groups are taken in the order of their hash, so the split does not depend on the order of files,
    and changes little when files are added. A group too large for what is still wanted is passed over.
    """
    names, inverse, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    wanted = holdout_count(len(groups), asked)
    hashes = [
        hashlib.blake2b(str(n).encode("utf-8", "replace"), digest_size=8).digest() for n in names
    ]
    chosen = np.zeros(len(names), bool)
    for group in sorted(range(len(names)), key=hashes.__getitem__):
        if wanted == 0:
            break
        if sizes[group] <= wanted:
            chosen[group] = True
            wanted -= sizes[group]
    return chosen[inverse]


def sides(
    items: Sequence["Item"], clusters: np.ndarray, asked: float | None = None
) -> tuple[np.ndarray, str]:
    """(N,) uint8, 1 where held out; and how it was decided.

    Raises:
        Invalid: as in `holdout_count`.
    """
    known = {item.side for item in items}
    if {"train", "holdout"} <= known:
        held_out = np.array([item.side == "holdout" for item in items], np.uint8)
        loose = sum(item.side is None for item in items)
        stays = "" if asked is None else ", which data.holdout does not change"
        how = f"{OWN}{stays}: its test and validation images are never trained on"
        return held_out, how + (f"; {loose} images of neither side are trained on" if loose else "")
    groups = _groups(items, clusters)
    held_out = by_hash(groups, asked).astype(np.uint8)
    if not held_out.any():
        return held_out, f"none: {_why_none(len(items), asked)}, so that {COST}"
    return held_out, "by hash of the group (duplicate cluster, or what the source calls one)"


def withheld(
    items: Sequence["Item"], words: Mapping[str, Sequence[str]], combinations: str
) -> np.ndarray:
    """(N,) bool, True where an image shows one of the combinations, or its source says that it is withheld.

    Args:
        items: of the images.
        words: of each column.
        combinations: as in `data.withhold`.

    Raises:
        Invalid: it cannot be read, there is no such column, or no image shows one of them.
    """
    out = np.array([item.side == "withheld" for item in items], bool)
    for combination in filter(None, combinations.split(";")):
        shown = np.ones(len(items), bool)
        for part in combination.split(","):
            name, equal, pattern = part.strip().partition("=")
            if not equal or not pattern:
                raise Invalid(
                    f"cannot read data.withhold at {part!r}; expected COLUMN=WORD, such as hair=red"
                )
            if name not in words:
                raise Invalid(f"data.withhold: no column {name!r}; {suggest(name, words)}")
            shown &= np.array([_shows(word, pattern) for word in words[name]], bool)
        if not shown.any():
            raise Invalid(
                f"data.withhold: no image shows {combination!r}; correct it or leave it out"
            )
        out |= shown
    return out


def _shows(word: str, pattern: str) -> bool:
    """Whether a word is one of those between `|`; `*` is any letters, and alone any word but `none`."""
    if pattern == "*":
        return word not in ("", "none")
    return any(fnmatch.fnmatchcase(word, one) for one in pattern.split("|"))


def announced(split: Mapping[str, Any]) -> str:
    """What the split of `dataset.json` costs, in a sentence."""
    train, held = split["train"], split["holdout"]
    if not held:
        return f"all {train:,} images are trained on; held out are {split['how']}"
    part = f"{held:,} ({share(held, train + held)})"
    cost = f"{train:,} images to train on; {part} are held out to measure with"
    if never := split.get("withheld"):
        cost += f", and {never:,} show combinations that are withheld"
    own = split["how"].startswith(OWN)
    return cost + (", by the source's own split" if own else " (data.holdout= changes that)")


COST = "every score compares with images that were trained on"


def _why_none(count: int, asked: float | None) -> str:
    if asked == 0:
        return "none were asked for"
    if asked is None and count < WORTHWHILE:
        return f"a set of fewer than {WORTHWHILE} images is trained on whole"
    return "these images form one group, whose parts are too alike to be held out"


def _groups(items: Sequence["Item"], clusters: np.ndarray) -> list[str]:
    """A name for each image's group: what the source calls one, joined with duplicate clusters."""
    first: dict[str, int] = {}
    names = [item.group or item.name for item in items]
    same = [first.setdefault(name, row) for row, name in enumerate(names)]
    _, heads, of = np.unique(clusters, return_index=True, return_inverse=True)
    own = np.arange(len(items))
    links = np.concatenate([np.stack([own, same], 1), np.stack([own, heads[of]], 1)])
    return [names[row] for row in clean.components(len(items), links).tolist()]
