"""Whether samples of one source differ as much as the truth does from what could be known.

If a model draws from the distribution of the truth given a source, then the truth of a pixel is one more
draw: its rank among K samples is uniform (Anderson, 1996, the rank histogram of ensemble forecasts), so that
it lies within their least and most with probability (K - 1) / (K + 1). Levels are whole numbers and often
equal; a truth that equals samples takes each of the ranks that ties allow with the same probability, without
which white grounds alone would make any model look honest.

Shapes: K samples, N images, H height, W width, C channels.
"""

from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.metrics import Measured, mean

FEWEST = 3
"""Samples that a spread needs."""
DEVIATIONS = 1.645
"""Standard deviations on each side of the mean: 90 % of a normal distribution that is known exactly."""
TENTHS = 10
MOST = 2**21
"""Values that are sorted by their standard deviation."""


def spread(samples_KNHWC: np.ndarray, truth_NHWC: np.ndarray, receipt: Any) -> Measured:
    """How honest the variety of samples is, each an `Estimate` over images.

    Args:
        samples_KNHWC: uint8, at least 3 of each of at least 2 images.
        truth_NHWC: uint8.
        receipt: what else is to be noted.

    Returns:
        `spread`, the standard deviation over samples in levels (0: samples do not differ), whose receipt
        holds `tenths`, the mean [standard deviation, absolute error of the mean] of each tenth of the values,
        the least uncertain first; `within_samples`, the share of true values between least and most, whose
        receipt holds what it should be (`ideal`); `within_interval`, the share within mean +- 1.645 standard
        deviations; `spread_correlation`, of standard deviation and absolute error within an image.

    Raises:
        ValueError: other shapes or types.
    """
    _check(samples_KNHWC, truth_NHWC)
    count, images = len(samples_KNHWC), len(truth_NHWC)
    kept = max(1, -(-truth_NHWC.size // MOST))
    shares, both = np.empty((4, images)), []
    for row, truth in enumerate(truth_NHWC):
        known = samples_KNHWC[:, row].reshape(count, -1).astype(np.float32)
        level = truth.reshape(-1).astype(np.float32)
        deviation, error = known.std(0, ddof=1), np.abs(known.mean(0) - level)
        shares[:, row] = (
            deviation.mean(),
            _inside(known, level).mean(),
            (error <= DEVIATIONS * deviation).mean(),
            _correlation(deviation, error),
        )
        both.append(np.stack([deviation, error], 1)[::kept])
    noted = {**receipt, "samples": count, "interval": "95 %, normal, over images"}
    return Measured(
        {
            "spread": mean(shares[0], {**noted, "tenths": _tenths(np.concatenate(both))}),
            "within_samples": mean(shares[1], {**noted, "ideal": (count - 1) / (count + 1)}),
            "within_interval": mean(shares[2], {**noted, "deviations": DEVIATIONS}),
            "spread_correlation": mean(shares[3], noted),
        }
    )


def _inside(known_KV: np.ndarray, level_V: np.ndarray) -> np.ndarray:
    """Probability that a truth is neither the least nor the most of all, ties broken at random, (V,)."""
    below = (known_KV < level_V).sum(0)
    equal = (known_KV == level_V).sum(0)
    above = len(known_KV) - below - equal
    extreme: np.ndarray = ((below == 0).astype(np.float64) + (above == 0)) / (1 + equal)
    return 1 - extreme


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, infinite (which means leave out) where either is constant."""
    if a.std() < 1e-6 or b.std() < 1e-6:
        return np.inf
    return float(np.corrcoef(a, b)[0, 1])


def _tenths(both_V2: np.ndarray) -> list[list[float]]:
    order = np.argsort(both_V2[:, 0], kind="stable")
    return [
        [round(float(x), 3) for x in both_V2[part].mean(0)]
        for part in np.array_split(order, TENTHS)
        if len(part)
    ]


def _check(samples: np.ndarray, truth: np.ndarray) -> None:
    if samples.dtype != np.uint8 or truth.dtype != np.uint8 or samples.shape[1:] != truth.shape:
        raise Invalid(
            f"samples of shape {samples.shape} ({samples.dtype}) and truths of shape {truth.shape} "
            f"({truth.dtype}); expected uint8, several samples of each truth"
        )
    if len(samples) < FEWEST or len(truth) < 2:
        raise Invalid(
            f"{len(samples)} samples of {len(truth)} images; at least {FEWEST} of 2 are needed"
        )
