"""Whether samples show the labels that were asked for: a cheap look, while training goes on.

Shapes: M real images, N samples, D features, A columns of labels.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from zeuxis.metrics import linear

FEWEST, IMAGES_A_CLASS = 64, 10
"""Images whose label is known, and of a class on average, from which on a line is drawn through them."""
LEAST = 0.05
"""Advantage over chance, below which samples cannot be said to show labels or not."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of labels, and what real images tell of it.

    Attributes:
        place: among the columns.
        weights: of the line through their features.
        told: how much more often than by chance labels are told from images.
    """

    place: int
    weights: np.ndarray
    told: float


def columns(real_MD: np.ndarray, known_MA: np.ndarray) -> Iterator[Column]:
    """Those with enough images a class."""
    for place, known_M in enumerate(known_MA.T):
        is_known, classes = known_M >= 0, int(known_M.max(initial=-1)) + 1
        if is_known.sum() < max(FEWEST, classes * IMAGES_A_CLASS):
            continue
        real, labels = real_MD[is_known], known_M[is_known]
        told = linear.crossed(real, labels, classes) - linear.by_chance(labels, classes)
        yield Column(place, linear.fitted(real, labels, classes), told)


def scores(known: list[Column], mine_ND: np.ndarray, asked_NA: np.ndarray) -> dict[str, float]:
    """Of samples beside real images, means over columns.

    `labels_told` is how much more often than by chance labels are told from real images, `labels_shown`
    the same of samples, as a share of it.
    """
    shown, told = [], []
    for column in known:
        asked_N = asked_NA[:, column.place]
        is_asked, classes = asked_N >= 0, column.weights.shape[1]
        if is_asked.sum() < FEWEST:
            continue
        found = linear.told(column.weights, mine_ND[is_asked])
        right = float((found == asked_N[is_asked]).mean())
        shown.append(right - linear.by_chance(asked_N[is_asked], classes))
        told.append(column.told)
    if not told:
        return {}
    mean = float(np.mean(told))
    return {"labels_told": mean, "labels_shown": float(np.mean(shown)) / max(mean, LEAST)}
