"""Sliced Wasserstein distance: sort both sets along random directions and compare them quantile by quantile.

    SW^2 = mean over unit directions u of the integral over q in (0, 1) of (F_u^-1(q) - G_u^-1(q))^2

(Rabin et al. 2012; Bonneel et al. 2015), with F_u and G_u the empirical distributions of u.x and
u.y: for equal sizes the mean squared difference of sorted values, for unequal ones the exact
integral of two step functions. It sees more than mean and covariance, and needs no D x D matrix.
MIND (Berthet et al. 2026, arXiv:2605.06797) is 3 D SW^2 with 1,000 directions on Inception
features: D SW^2 is the squared distance of two means, were that all that differs.

Finite sets make it too large; bias and interval come from the delete-half jackknife
(`zeuxis.metrics.jackknife`) with the directions held fixed.

Shapes: N fake, M real images, D features, U directions, Q quantiles.
"""

import dataclasses

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate
from zeuxis.metrics.comparable import ROWS, check
from zeuxis.metrics.jackknife import GROUPS, Half, corrected, groups, splits

BLOCK = 64
"""Directions at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlicedWasserstein:
    """A squared sliced Wasserstein-2 distance times a factor.

    Attributes:
        raw: of the sets as they are; too large by about the inverse of their size.
        corrected: without that bias, with a 95 % interval.
    """

    raw: float
    corrected: Estimate


def sliced_wasserstein(
    fake: Features, real: Features, directions: int = 1000, seed: int = 0
) -> SlicedWasserstein:
    """Squared sliced Wasserstein-2 distance; lower is better, squared units of the features.

    Args:
        fake: features (N, D).
        real: features (M, D).
        directions: random unit vectors.
        seed: of the directions and of the interval's groups.

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than 16 images,
        or
            features are NaN or infinite.
    """
    return _distance(fake, real, directions, seed, 1.0, "")


def mind(
    fake: Features, real: Features, directions: int = 1000, seed: int = 0
) -> SlicedWasserstein:
    """3 D times the squared sliced Wasserstein-2 distance: MIND, if the features are Inception's.

    Takes all images of both sides, where its authors cut both to equal numbers; otherwise as
    `sliced_wasserstein`.
    """
    return _distance(fake, real, directions, seed, 3.0 * fake.array.shape[1], "3 D x ")


def _distance(
    fake: Features, real: Features, directions: int, seed: int, factor: float, words: str
) -> SlicedWasserstein:
    check("a sliced Wasserstein distance", fake, real, 2 * GROUPS)
    if directions < 1:
        raise Invalid(f"expected at least 1 direction, got {directions}")
    rng = np.random.default_rng(seed)
    u_UD = rng.standard_normal((directions, fake.array.shape[1]))
    u_UD /= np.linalg.norm(u_UD, axis=1, keepdims=True)
    group_N, group_M = _group(len(fake), rng), _group(len(real), rng)
    whole, halves = 0.0, np.zeros((len(splits()), 2))
    for start in range(0, directions, BLOCK):
        block_UD = u_UD[start : start + BLOCK]
        x_UN, of_x_UN = _sorted(block_UD, fake.array, group_N)
        y_UM, of_y_UM = _sorted(block_UD, real.array, group_M)
        whole += _wasserstein(x_UN, y_UM)
        for split, pair in enumerate(splits()):
            for side, half in enumerate(pair):
                x, y = _half(x_UN, of_x_UN, half), _half(y_UM, of_y_UM, half)
                halves[split, side] += _wasserstein(x, y)
    scale = factor / directions
    value, interval = corrected(scale * whole, scale * halves)
    receipt = {
        **fake.receipt,
        "statistic": f"{words}squared sliced Wasserstein-2, {directions} directions, seed {seed}",
        "interval": "95 %, delete-half jackknife of both sides, directions fixed",
        "fake": len(fake),
        "real": len(real),
    }
    n = min(len(fake), len(real))
    estimate = Estimate(value=value, interval=interval, n=n, receipt=receipt)
    return SlicedWasserstein(raw=scale * whole, corrected=estimate)


def _group(n: int, rng: np.random.Generator) -> np.ndarray:
    """The jackknife's group of each image, (N,)."""
    group_N = np.empty(n, np.uint8)
    for number, rows in enumerate(groups(n, rng)):
        group_N[rows] = number
    return group_N


def _sorted(
    u_UD: np.ndarray, x_ND: np.ndarray, group_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Projections in order, float64 (U, N), and the groups of the images they belong to, (U, N)."""
    blocks = [u_UD @ x_ND[start : start + ROWS].T for start in range(0, len(x_ND), ROWS)]
    values, order = torch.from_numpy(np.concatenate(blocks, 1)).sort(1)
    return values.numpy(), group_N[order.numpy()]


def _half(values_UN: np.ndarray, group_UN: np.ndarray, half: Half) -> np.ndarray:
    """Those in the groups of `half`: every row has equally many, and they stay in order."""
    return values_UN[np.isin(group_UN, half)].reshape(len(values_UN), -1)


def _wasserstein(x_UN: np.ndarray, y_UM: np.ndarray) -> float:
    """Squared distances of sorted rows, summed over rows."""
    n, m = x_UN.shape[1], y_UM.shape[1]
    if n == m:
        return float(np.square(x_UN - y_UM).sum()) / n
    # both quantile functions are constant between these multiples of 1 / (n m)
    edges_Q = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    left_Q, width_Q = edges_Q[:-1], np.diff(edges_Q) / (n * m)
    return float((np.square(x_UN[:, left_Q // m] - y_UM[:, left_Q // n]) @ width_Q).sum())
