"""Whether samples show the labels that were asked for: a cheap look, while training goes on.

Shapes: M real images, N samples, D features, A columns of labels, K classes, B batch, C channels, H height,
W width.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from zeuxis.inference.model import Ask, Model
from zeuxis.metrics import linear

FEWEST, IMAGES_A_CLASS = 64, 10
"""Images whose label is known, and of a class on average, from which on a line is drawn through them."""
LEAST = 0.05
"""Advantage over chance, below which samples cannot be said to show labels or not."""
CLEAR = 0.7
"""Distance of a class from the others, in standard deviations, from which on samples must show it."""
MISSING = 0.25
"""Distance in samples, as a share of that in real images, below which a class is missing."""
ASKED = 8
"""Samples of a class, fewer of which say nothing of it."""
SAME = 0.25
"""Mean difference of two images, in levels, below which they are the same picture."""
MOST = 64
"""Classes that are asked for."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of labels, and what real images tell of it.

    Attributes:
        place: among the columns.
        weights: of the line through their features.
        told: how much more often than by chance labels are told from images.
        apart_K: how much more images of a class look like it than others do; 0 where they hardly do.
        within: variance of the features of images of one class.
    """

    place: int
    weights: np.ndarray
    told: float
    apart_K: np.ndarray
    within: float


def columns(real_MD: np.ndarray, known_MA: np.ndarray) -> Iterator[Column]:
    """Those with enough images a class."""
    for place, known_M in enumerate(known_MA.T):
        is_known, classes = known_M >= 0, int(known_M.max(initial=-1)) + 1
        if is_known.sum() < max(FEWEST, classes * IMAGES_A_CLASS):
            continue
        real, labels = real_MD[is_known], known_M[is_known]
        said_MK = linear.crossed(real, labels, classes)
        told = linear.right(said_MK, labels) - linear.by_chance(labels, classes)
        apart_K = _apart(said_MK, labels)
        clear_K = apart_K > CLEAR * said_MK.std(0)
        weights = linear.fitted(real, labels, classes)
        shown_K, within = np.where(clear_K, apart_K, 0), _within(real, labels)
        yield Column(place, weights, told, shown_K, within)


def scores(known: list[Column], mine_ND: np.ndarray, asked_NA: np.ndarray) -> dict[str, float]:
    """Of samples beside real images, means over columns.

    `labels_told` is how much more often than by chance labels are told from real images, `labels_shown`
    the same of samples, as a share of it; `kinds_missing` the share of clear classes that samples which
    were to show them look no more like than others do. `variety_of_a_class` is the least of all columns:
    the variance of features of samples of one class, as a share of that of real images of one.
    """
    shown, told, missing, variety = [], [], [], []
    for column in known:
        asked_N = asked_NA[:, column.place]
        is_asked, classes = asked_N >= 0, column.weights.shape[1]
        if is_asked.sum() < FEWEST:
            continue
        asked, said_NK = asked_N[is_asked], linear.said(column.weights, mine_ND[is_asked])
        shown.append(linear.right(said_NK, asked) - linear.by_chance(asked, classes))
        told.append(column.told)
        variety.append(_within(mine_ND[is_asked], asked) / max(column.within, 1e-12))
        enough_K = np.bincount(asked, minlength=classes) >= ASKED
        clear_K = enough_K & (column.apart_K > 0)
        missing_K = _apart(said_NK, asked) < MISSING * column.apart_K
        if clear_K.sum() > 1:
            missing.append(float(missing_K[clear_K].mean()))
    if not told:
        return {}
    mean = float(np.mean(told))
    found = {
        "labels_told": mean,
        "labels_shown": float(np.mean(shown)) / max(mean, LEAST),
        "variety_of_a_class": min(variety),
    }
    return found | ({"kinds_missing": max(missing)} if missing else {})


def classes_merged(model: Model) -> dict[str, float]:
    """Share of classes that give, of the same noise, the picture of another class of their column.

    Returns:
        `{"classes_merged": ...}`, that of the column with the largest; nothing of a model that draws nothing
        by class.
    """
    if model.family.shows() != "generate" or not model.conditions:
        return {}
    asked = [(a, k) for a, each in enumerate(model.conditions) for k in range(len(each.classes))]
    asked_NA = np.full((min(MOST, len(asked)), len(model.conditions)), -1)
    for row, (column, k) in enumerate(asked[:MOST]):
        asked_NA[row, column] = k
    start = model.random(0, slice(0, model.family.BATCH))

    def call(ask: Ask) -> Tensor:
        noise = {
            name: value[:1].expand_as(value) for name, value in ask.family.noise(start).items()
        }
        image_BCHW: Tensor = ask.family.generate(noise, ask.cond, ask.family.Controls())
        return image_BCHW

    image_NCHW = model.batches(call, asked_NA, finish=model.visible).float()
    merged = []
    for column in range(len(model.conditions)):
        image_KD = image_NCHW[torch.from_numpy(asked_NA[:, column] >= 0)].flatten(1)
        if len(image_KD) > 1:
            apart_KK = torch.cdist(image_KD, image_KD, 1) / image_KD.shape[1]
            apart_KK.fill_diagonal_(torch.inf)
            merged.append(float((apart_KK.amin(1) < SAME).float().mean()))
    return {"classes_merged": max(merged)} if merged else {}


def _apart(said_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """How much more images of each class look like it than others do, (K,); 0 of classes without."""
    is_NK = labels_N[:, None] == np.arange(said_NK.shape[1])
    mine_K, others_K = (
        (said_NK * chosen_NK).sum(0) / np.maximum(1, chosen_NK.sum(0))
        for chosen_NK in (is_NK, ~is_NK)
    )
    return np.asarray(np.where(is_NK.any(0), mine_K - others_K, 0))


def _within(features_ND: np.ndarray, labels_N: np.ndarray) -> float:
    """Variance of features about the mean of their class, summed over dimensions."""
    x_ND = features_ND.astype(np.float64)
    _, class_N, count_K = np.unique(labels_N, return_inverse=True, return_counts=True)
    sum_KD = np.zeros((len(count_K), x_ND.shape[1]))
    np.add.at(sum_KD, class_N, x_ND)
    away_ND = x_ND - (sum_KD / count_K[:, None])[class_N]
    return float(np.square(away_ND).sum() / max(1, len(x_ND) - len(count_K)))
