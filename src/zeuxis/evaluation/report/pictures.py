"""Pictures beside pictures: real ones hidden among generated ones, samples beside what they are like."""

from collections.abc import Iterator

import numpy as np

from zeuxis.core.rng import derive_seed
from zeuxis.evaluation.report import Neighbours
from zeuxis.metrics.nearest import Memorisation, differing, nearest

HIDDEN, TILES = 8, 64
SHOWN, SUSPECTS = 12, 4


def hide(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, frozenset[int]]:
    """Real images shuffled among generated ones, and where they ended up."""
    order = np.random.default_rng(derive_seed("hide")).permutation(len(real) + len(fake))
    places = frozenset(np.flatnonzero(order < len(real)).tolist())
    return np.concatenate([real, fake])[order], places


def beside(
    fake: np.ndarray,
    images: np.ndarray,
    copied: Memorisation | None = None,
    among: np.ndarray | None = None,
) -> Iterator[Neighbours]:
    """The samples closest to an image, then simply the first, each beside what it is most like.

    Args:
        fake: (N, H, W, C) uint8.
        images: (M, H, W, C) uint8, what they are held against.
        copied: which samples are close; None shows the first ones only.
        among: rows of `images` to look among; default all.
    """
    chosen = list(range(min(SHOWN - SUSPECTS, len(fake))))
    if copied is not None:
        closest = np.argsort(copied.differing_N, kind="stable")[:SUSPECTS].tolist()
        chosen = closest + [i for i in chosen if i not in closest]
    most = min(3, len(images) if among is None else len(among))
    _, near = nearest(fake[chosen], images, most, among)
    total = images.shape[1] * images.shape[2]
    for place, row in zip(chosen, near, strict=True):
        pixels = int(differing(fake[place : place + 1], images[row[:1]])[0])
        yield Neighbours(
            sample_HWC=fake[place],
            nearest_KHWC=images[row],
            caption=f"sample {place}: {pixels:,} of {total:,} pixels differ",
        )
