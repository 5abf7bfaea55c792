"""Which images are never trained on. The source's own split, else by hash of the group."""

import hashlib
from collections.abc import Sequence

import numpy as np

from zeuxis.data.preparation import clean
from zeuxis.data.source.base import Item

SHARE, FEWEST, MOST, WORTHWHILE = 0.05, 256, 5000, 400


def holdout_count(count: int) -> int:
    """How many of `count` images are held out: 5 %, at least 256, at most 5,000, none below 400.

    >>> [holdout_count(n) for n in (399, 400, 8192, 10**6)]
    [0, 256, 410, 5000]
    """
    return 0 if count < WORTHWHILE else min(max(round(SHARE * count), FEWEST), MOST)


def by_hash(groups: Sequence[str]) -> np.ndarray:
    """(N,) bool, True where held out. Images of one group never part.

    Groups are taken in the order of their hash, so the split does not depend on the order of files,
    and changes little when files are added. A group too large for what is still wanted is passed over.
    """
    names, inverse, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    wanted = holdout_count(len(groups))
    hashes = [
        hashlib.blake2b(str(n).encode("utf-8", "replace"), digest_size=8).digest() for n in names
    ]
    chosen = np.zeros(len(names), bool)
    for group in sorted(range(len(names)), key=hashes.__getitem__):
        if sizes[group] <= wanted:
            chosen[group] = True
            wanted -= sizes[group]
        if wanted == 0:
            break
    return chosen[inverse]


def sides(items: Sequence[Item], clusters: np.ndarray) -> tuple[np.ndarray, str]:
    """(N,) uint8, 1 where held out; and how it was decided."""
    known = {item.side for item in items}
    if {"train", "holdout"} <= known:
        held_out = np.array([item.side == "holdout" for item in items], np.uint8)
        loose = sum(item.side is None for item in items)
        how = "the source's own split: its test and validation images are never trained on"
        return held_out, how + (f"; {loose} images of neither side are trained on" if loose else "")
    groups = _groups(items, clusters)
    held_out = by_hash(groups).astype(np.uint8)
    if not held_out.any():
        few = f"a set of fewer than {WORTHWHILE} images is trained on whole"
        one = "these images form one group, whose parts are too alike to be held out"
        why = few if len(items) < WORTHWHILE else one
        return held_out, f"none: {why}, and every score compares with images that were trained on"
    return held_out, "by hash of the group (duplicate cluster, or what the source calls one)"


def _groups(items: Sequence[Item], clusters: np.ndarray) -> list[str]:
    """A name for each image's group: what the source calls one, joined with duplicate clusters."""
    first: dict[str, int] = {}
    names = [item.group or item.name for item in items]
    same = [first.setdefault(name, row) for row, name in enumerate(names)]
    _, heads, of = np.unique(clusters, return_index=True, return_inverse=True)
    own = np.arange(len(items))
    links = np.concatenate([np.stack([own, same], 1), np.stack([own, heads[of]], 1)])
    return [names[row] for row in clean.components(len(items), links).tolist()]
