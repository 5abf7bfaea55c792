"""Kernel distance: the unbiased squared maximum mean discrepancy of two sets of features.

The squared maximum mean discrepancy between features with the cubic kernel
k(x, y) = (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv:1801.01401, where the features were
Inception's: only with those is it a kernel Inception distance), as the full U-statistic

    sum_{i != j} k(x_i, x_j) / (N (N - 1)) + sum_{i != j} k(y_i, y_j) / (M (M - 1))
    - 2 sum_{ij} k(x_i, y_j) / (N M).

It is zero on average if both sets come from one distribution, so it can be slightly negative.
The interval comes from the delete-one jackknife of both sides, which needs nothing but row sums:
by Efron & Stein (1981) its variance errs upwards. (A naive bootstrap repeats images and so adds
the very bias that the U-statistic removes.)

Other tools print the mean over random subsets, and their spread, which is no error bar:
`kernel_distance_subsets` gives these for comparison with published numbers.

Shapes: N fake, M real images, D features.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate
from zeuxis.metrics.comparable import check, is_inception

CHUNK = 1024
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps (N, D) and (M, D) to (N, M)."""


def name(receipt: Mapping[str, Any]) -> str:
    """What a kernel distance between such features may be called.

    >>> name({"network": "EfficientNet-lite0"})
    'kernel distance (EfficientNet-lite0)'
    """
    return (
        "KID"
        if is_inception(receipt)
        else f"kernel distance ({receipt.get('network', 'features')})"
    )


def kernel_distance(fake: Features, real: Features) -> Estimate:
    """Unbiased squared kernel distance of two sets of features, in float64; lower is better.

    Time is O((N + M)^2 D), memory O((N + M) D).

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than 3 images, or
            features are NaN or infinite.
    """
    check("a kernel distance", fake, real, 3)
    x_ND, y_MD = fake.array.astype(np.float64), real.array.astype(np.float64)
    value, half = mmd(x_ND, y_MD, cubic)
    receipt = {
        **fake.receipt,
        "statistic": "squared MMD, kernel (x.y/D + 1)^3, U-statistic, float64",
        "interval": "95 %, delete-one jackknife of both sides",
        "fake": len(fake),
        "real": len(real),
    }
    n = min(len(fake), len(real))
    return Estimate(value=value, interval=(value - half, value + half), n=n, receipt=receipt)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubsetKernelDistance:
    """A kernel distance as other tools print it.

    Attributes:
        mean: over the subsets. std: their spread (divisor: the number of subsets). No error bar: it
        shrinks with larger subsets, not
            with more of them, and subsets share images.
        receipt: what it was computed from.
    """

    mean: float
    std: float
    receipt: Mapping[str, Any]


def kernel_distance_subsets(
    fake: Features, real: Features, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> SubsetKernelDistance:
    """Mean kernel distance of random subsets, the very ones that torch-fidelity 0.4.0 draws by `seed`.

    Args:
        fake: features (N, D).
        real: features (M, D).
        subsets: how many pairs of subsets.
        size: images of each, drawn without replacement.
        seed: of NumPy's legacy generator, which draws fake before real rows.

    Raises:
        ValueError: as `kernel_distance`, or a side has fewer than `size` images.
    """
    if subsets < 1 or size < 2:
        raise Invalid(f"expected at least 1 subset of at least 2 images, got {subsets} of {size}")
    check(f"a kernel distance by subsets of {size}", fake, real, size)
    rng = np.random.RandomState(seed)
    found = []
    for _ in range(subsets):
        x = fake.array[rng.choice(len(fake), size, replace=False)].astype(np.float64)
        y = real.array[rng.choice(len(real), size, replace=False)].astype(np.float64)
        within = _across(x, x, cubic)[0].sum() - own(x, cubic).sum()
        within += _across(y, y, cubic)[0].sum() - own(y, cubic).sum()
        between = _across(x, y, cubic)[0].sum()
        found.append(within / (size * (size - 1)) - 2 * between / size**2)
    receipt = {
        **fake.receipt,
        "statistic": f"squared MMD, kernel (x.y/D + 1)^3, mean of {subsets} subsets of {size}",
        "seed": seed,
        "fake": len(fake),
        "real": len(real),
    }
    return SubsetKernelDistance(
        mean=float(np.mean(found)), std=float(np.std(found)), receipt=receipt
    )


def cubic(x_ND: np.ndarray, y_MD: np.ndarray) -> np.ndarray:
    """(x.y / D + 1)^3 of all pairs, (N, M)."""
    return (x_ND @ y_MD.T / x_ND.shape[1] + 1) ** 3


def mmd(
    x_ND: np.ndarray, y_MD: np.ndarray, kernel: Kernel, biased: bool = False
) -> tuple[float, float]:
    """Squared maximum mean discrepancy, and half of its 95 % interval.

    Args:
        x_ND: float64.
        y_MD: float64.
        kernel: positive definite.
        biased: whether an image's kernel with itself counts (V-statistic) or not (U-statistic).
    """
    n, m = len(x_ND), len(y_MD)
    (xx_N, _), (yy_M, _) = _across(x_ND, x_ND, kernel), _across(y_MD, y_MD, kernel)
    own_N, own_M = own(x_ND, kernel), own(y_MD, kernel)
    if not biased:
        xx_N, yy_M = xx_N - own_N, yy_M - own_M
        own_N, own_M = np.zeros(n), np.zeros(m)
    xy_N, xy_M = _across(x_ND, y_MD, kernel)
    xx, yy, xy = xx_N.sum(), yy_M.sum(), xy_N.sum()
    less = 0 if biased else 1
    within_x, within_y = xx / (n * (n - less)), yy / (m * (m - less))
    value = within_x + within_y - 2 * xy / (n * m)
    # the statistic without image i: its row and its column leave the sums
    left_N = (xx - 2 * xx_N + own_N) / ((n - 1) * (n - 1 - less))
    left_N += within_y - 2 * (xy - xy_N) / ((n - 1) * m)
    left_M = (yy - 2 * yy_M + own_M) / ((m - 1) * (m - 1 - less))
    left_M += within_x - 2 * (xy - xy_M) / (n * (m - 1))
    return float(value), 1.96 * float(np.sqrt((n - 1) * left_N.var() + (m - 1) * left_M.var()))


def own(x_ND: np.ndarray, kernel: Kernel) -> np.ndarray:
    """k(x_i, x_i), (N,)."""
    step = 64
    blocks = [x_ND[start : start + step] for start in range(0, len(x_ND), step)]
    return np.concatenate([np.diagonal(kernel(block, block)) for block in blocks])


def _across(x_ND: np.ndarray, y_MD: np.ndarray, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """Sums of k(x_i, y_j) over j, (N,), and over i, (M,)."""
    rows, columns = [], np.zeros(len(y_MD))
    for start in range(0, len(x_ND), CHUNK):
        block = kernel(x_ND[start : start + CHUNK], y_MD)
        rows.append(block.sum(1))
        columns += block.sum(0)
    return np.concatenate(rows), columns
