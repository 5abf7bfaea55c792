"""Which images are never trained on. The source's own split, else by hash of the group."""

import hashlib
from collections.abc import Sequence

import numpy as np

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
