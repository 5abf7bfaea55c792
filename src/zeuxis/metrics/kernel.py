"""Kernel distance: how far apart two sets of images are, without a bias that the set size brings.

The squared maximum mean discrepancy between features with the cubic kernel
k(x, y) = (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv:1801.01401, where the features were
Inception's: this number is not comparable with theirs), as the full U-statistic

    sum_{i != j} k(x_i, x_j) / (N (N - 1)) + sum_{i != j} k(y_i, y_j) / (M (M - 1))
    - 2 sum_{ij} k(x_i, y_j) / (N M).

It is zero on average if both sets come from one distribution, so it can be slightly negative.
The interval comes from the delete-one jackknife of both sides, which needs nothing but row sums:
by Efron & Stein (1981) its variance errs upwards. (A naive bootstrap repeats images and so adds
the very bias that the U-statistic removes.)

Shapes: N fake, M real images, D features.
"""

import numpy as np

from zeuxis.features import Features
from zeuxis.metrics import Estimate

CHUNK = 1024


def kernel_distance(fake: Features, real: Features) -> Estimate:
    """Unbiased squared kernel distance of two sets of features, in float64; lower is better.

    Time is O((N + M)^2 D), memory O((N + M) D).

    Raises:
        ValueError: the features were computed in different ways, or a side has fewer than 3 images.
    """
    unlike = {
        key: (fake.receipt.get(key), real.receipt.get(key))
        for key in {*fake.receipt, *real.receipt}
        if fake.receipt.get(key) != real.receipt.get(key)
    }
    if unlike:
        key, (a, b) = min(unlike.items())
        raise ValueError(
            f"these features cannot be compared: {key} is {a!r} on one side and {b!r} on the "
            "other; compute both in the same way"
        )
    n, m = len(fake), len(real)
    if min(n, m) < 3:
        raise ValueError(f"a kernel distance needs 3 images a side, got {n} and {m}")
    x_ND, y_MD = fake.array.astype(np.float64), real.array.astype(np.float64)
    xx_N, yy_M = _within(x_ND), _within(y_MD)
    xy_N, xy_M = _across(x_ND, y_MD)
    xx, yy, xy = xx_N.sum(), yy_M.sum(), xy_N.sum()
    within_x, within_y = xx / (n * (n - 1)), yy / (m * (m - 1))
    value = within_x + within_y - 2 * xy / (n * m)
    # the statistic without image i: its row and its column leave the sums
    left_N = (xx - 2 * xx_N) / ((n - 1) * (n - 2)) + within_y - 2 * (xy - xy_N) / ((n - 1) * m)
    left_M = (yy - 2 * yy_M) / ((m - 1) * (m - 2)) + within_x - 2 * (xy - xy_M) / (n * (m - 1))
    half = 1.96 * float(np.sqrt((n - 1) * left_N.var() + (m - 1) * left_M.var()))
    receipt = {
        **fake.receipt,
        "statistic": "squared MMD, kernel (x.y/D + 1)^3, U-statistic, float64",
        "interval": "95 %, delete-one jackknife of both sides",
        "fake": n,
        "real": m,
    }
    interval = (float(value) - half, float(value) + half)
    return Estimate(value=float(value), interval=interval, n=min(n, m), receipt=receipt)


def _kernel(x_ND: np.ndarray, y_MD: np.ndarray) -> np.ndarray:
    return (x_ND @ y_MD.T / x_ND.shape[1] + 1) ** 3


def _within(x_ND: np.ndarray) -> np.ndarray:
    """Sum of k(x_i, x_j) over j != i, (N,)."""
    own_N = (np.einsum("nd,nd->n", x_ND, x_ND) / x_ND.shape[1] + 1) ** 3
    return _across(x_ND, x_ND)[0] - own_N


def _across(x_ND: np.ndarray, y_MD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of k(x_i, y_j) over j, (N,), and over i, (M,)."""
    rows, columns = [], np.zeros(len(y_MD))
    for start in range(0, len(x_ND), CHUNK):
        block = _kernel(x_ND[start : start + CHUNK], y_MD)
        rows.append(block.sum(1))
        columns += block.sum(0)
    return np.concatenate(rows), columns
