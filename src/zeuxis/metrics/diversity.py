"""Diversity: how much two random images of a set differ, over all images and within each class.

A generator that repeats itself makes pairs that are too much alike, which a distance between sets can miss.
Two measures of a pair: the perceptual distance (`zeuxis.metrics.perceptual`; higher is more varied) and
MS-SSIM (Odena et al. 2017, arXiv:1610.09585, sec. 4.2; lower is more varied). Only the comparison with real
images of the same size means something (`against`): there, 1 is as varied as real.

Pairs are drawn by seed so that no image is in two of them. The pairs are then independent, and the
interval of their mean is Student's. (All pairs of the same images would be dependent: their plain
interval would be far too narrow.) Within classes, every class counts the same, whatever its share, so
that a lack of balance is not mistaken for a lack of variety.

Shapes: N images, H height, W width, C channels, K classes, P pairs.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.rng import derive_seed
from zeuxis.metrics import Estimate
from zeuxis.metrics.perceptual import perceptual_distance, perceptual_receipt
from zeuxis.metrics.ratio import ratio
from zeuxis.metrics.similarity import ms_ssim, scale_weights

PERCEPTUAL, MS_SSIM = "perceptual distance", "MS-SSIM"
MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    PERCEPTUAL: perceptual_distance,
    MS_SSIM: ms_ssim,
}
PAIRS = 500
LEAST = 8
"""Pairs from which on a mean gets an interval."""


@dataclasses.dataclass(frozen=True)
class Diversity:
    """What the pairs of one set say.

    Attributes:
        overall: mean of pairs of any two images.
        within: mean over the classes of `classes`, each counted the same; None without labels.
        classes: mean of pairs inside each class that has enough images.
    """

    overall: Estimate
    within: Estimate | None
    classes: Mapping[int, Estimate]


def diversity(
    images_NHWC: np.ndarray,
    labels_N: np.ndarray | None = None,
    measure: str = PERCEPTUAL,
    pairs: int = PAIRS,
    seed: int = 0,
) -> Diversity:
    """Mean of a measure over random pairs.

    Args:
        images_NHWC: uint8, array or memory map.
        labels_N: class of each; -1 is unknown and left out within classes.
        measure: a name in `MEASURES`.
        pairs: at most so many over all, and again at most so many over all classes together.
        seed: of the pairs.

    Raises:
        ValueError: no such measure, fewer than 16 images, as many labels as images are not given, or
            the images are none that the measure takes.
    """
    if measure not in MEASURES:
        raise Invalid(f"no measure {measure!r}; there are {', '.join(MEASURES)}")
    n = len(images_NHWC)
    if n < 2 * LEAST:
        raise Invalid(f"diversity needs at least {2 * LEAST} images, got {n}")
    receipt: dict[str, Any] = {
        "measure": measure,
        "image": "x".join(map(str, images_NHWC.shape[1:])),
    }
    if measure == MS_SSIM:
        receipt |= {"scale_weights": scale_weights(*images_NHWC.shape[1:3])}
    else:
        receipt |= perceptual_receipt()

    def estimate(rows_N: np.ndarray, most: int, name: str) -> Estimate:
        rng = np.random.default_rng(derive_seed(seed, "pairs", name))
        count = min(most, len(rows_N) // 2)
        rows_P2 = rng.permutation(rows_N)[: 2 * count].reshape(count, 2)
        found_P = MEASURES[measure](images_NHWC[rows_P2[:, 0]], images_NHWC[rows_P2[:, 1]])
        return _mean(found_P, {**receipt, "seed": seed, "images": len(rows_N)})

    overall = estimate(np.arange(n), max(pairs, LEAST), "all")
    if labels_N is None:
        return Diversity(overall, None, {})
    if len(labels_N) != n:
        raise Invalid(f"{n} images and {len(labels_N)} labels: pass one label for each image")
    named, counts = np.unique(labels_N[labels_N >= 0], return_counts=True)
    usable = named[counts >= 2 * LEAST].tolist()
    most = max(LEAST, pairs // max(1, len(usable)))
    classes = {k: estimate(np.flatnonzero(labels_N == k), most, f"class {k}") for k in usable}
    return Diversity(overall, _average(list(classes.values()), receipt), classes)


def against(fake: Diversity, real: Diversity) -> dict[str, Estimate]:
    """How varied the fake images are, as a share of the real ones: 1 is as varied, 0 all the same.

    Returns:
        `overall`, and `within` if both have it, over the classes that both have. Of MS-SSIM it is the ratio
        of 1 - MS-SSIM.

    Raises:
        ValueError: the two were measured in different ways, or the real images do not differ beyond doubt.
    """
    found = {"overall": _against(fake.overall, real.overall)}
    both = sorted(fake.classes.keys() & real.classes.keys())
    mine = _average([fake.classes[k] for k in both], fake.overall.receipt)
    theirs = _average([real.classes[k] for k in both], real.overall.receipt)
    if mine is not None and theirs is not None:
        found["within"] = _against(mine, theirs)
    return found


def _against(fake: Estimate, real: Estimate) -> Estimate:
    for key in ("measure", "image"):
        if fake.receipt[key] != real.receipt[key]:
            raise Invalid(
                f"these diversities cannot be compared: {key} is {fake.receipt[key]!r} on one side and "
                f"{real.receipt[key]!r} on the other; measure both in the same way"
            )
    if _apart(real).interval[0] == 0:
        raise Invalid(
            f"the real images do not differ beyond doubt ({real.receipt['measure']} "
            f"{real.value:.3g}): nothing can be compared with them"
        )
    return ratio(_apart(fake), _apart(real))


def _apart(one: Estimate) -> Estimate:
    """As a difference: higher is more varied, never below zero."""
    value, (low, high) = one.value, one.interval
    if one.receipt["measure"] == MS_SSIM:
        value, low, high = 1 - value, 1 - high, 1 - low
    return dataclasses.replace(one, value=value, interval=(max(0.0, low), high))


def _mean(found_P: np.ndarray, receipt: Mapping[str, Any]) -> Estimate:
    n = len(found_P)
    value, error = float(found_P.mean()), float(found_P.std(ddof=1)) / math.sqrt(n)
    half = _student(n - 1) * error
    facts = {**receipt, "pairs": n, "interval": "95 %, Student, pairs without a common image"}
    return Estimate(value=value, interval=(value - half, value + half), n=2 * n, receipt=facts)


def _average(classes: list[Estimate], receipt: Mapping[str, Any]) -> Estimate | None:
    """Mean of independent estimates, each counted the same."""
    if not classes:
        return None
    value = sum(one.value for one in classes) / len(classes)
    half = math.hypot(*(one.interval[1] - one.value for one in classes)) / len(classes)
    facts = {**receipt, "classes": len(classes), "interval": "95 %, from those of the classes"}
    n = min(one.n for one in classes)
    return Estimate(value=value, interval=(value - half, value + half), n=n, receipt=facts)


def _student(freedom: int) -> float:
    """97.5 % quantile of Student's t, to .01 from 7 degrees on (Abramowitz & Stegun 1964, 26.7.5).

    >>> round(_student(10), 2), round(_student(1000), 3)
    (2.23, 1.962)
    """
    z = 1.959964
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + (z**3 + z) / (4 * freedom) + second / freedom**2
