"""Frechet distance between two sets of images, each seen as a Gaussian over features.

    f = |m - w|^2 + tr S + tr T - 2 tr (S T)^(1/2)         (Heusel et al. 2017, arXiv:1706.08500, eq. 6)

The trace of the root is the sum of the singular values of A B^T for any A, B with S = A^T A and
T = B^T B: real and not negative by construction. Where a side has no more images than features, A
is its centred rows over sqrt(n - 1). Else, with Cholesky's S = L L^T, it is the sum of the roots of
the eigenvalues of L^T T L; a singular covariance takes its factor from an eigendecomposition. At
D = 2,048 that is about 6 D^3 operations, where a matrix square root takes 25 to 30 D^3.

**Bias.** From finite sets f is too large. If both come from one distribution with covariance
eigenvalues l, each side of n images adds on average, to first order,

    [ sum_i l_i + 1/2 sum_ij l_i l_j (1 + [i = j]) / (l_i + l_j) ] / n:

the first part is the variance of the mean, the second the second-order term of the Bures distance
under the variances of a Gaussian sample's covariance, l_i l_j (1 + [i = j]) / n. Both sides' sum, by
their own eigenvalues, is the *noise floor*: a distance near it says "no difference seen". Far from equality
the delete-half jackknife (`zeuxis.metrics.jackknife`) corrects better, and it alone gives an
interval: it costs 14 more roots, on sets half as large. Chong & Forsyth (2020, arXiv:1911.07023)
fit f over 1 / n instead.

A number may be called FID only if the features are pool3 of the published Inception weights:
`name`.

Shapes: N images, D features, R rows of a factor.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate
from zeuxis.metrics.comparable import agree, finite, is_inception, same_width
from zeuxis.metrics.jackknife import GROUPS, Half, corrected, groups, splits
from zeuxis.metrics.moments import Moments


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrechetDistance:
    """A Frechet distance, its bias, and what is left without it.

    Attributes:
        raw: the value of the formula, as other tools print it; squared units of the features.
        noise_floor: what `raw` would be on average if there were no difference; None where a
            statistics file does not say its number of images.
        corrected: the delete-half jackknife's estimate with a 95 % interval; None without features.
            Where one side is moments, the interval holds that side fixed and its floor is
            subtracted.
        receipt: what it was computed from.
    """

    raw: float
    noise_floor: float | None
    corrected: Estimate | None
    receipt: Mapping[str, Any]

    @property
    def above_floor(self) -> float | None:
        """`raw` without the noise floor: the correction that needs no features."""
        return None if self.noise_floor is None else self.raw - self.noise_floor


def name(receipt: Mapping[str, Any]) -> str:
    """What a Frechet distance between such features may be called.

    >>> name({"network": "EfficientNet-lite0"})
    'Frechet distance (EfficientNet-lite0)'
    """
    if is_inception(receipt) and "2048" in str(receipt.get("layer")).replace(",", ""):
        return "FID"
    return f"Frechet distance ({receipt.get('network', 'features')})"


def frechet_distance(
    fake: Features | Moments, real: Features | Moments, seed: int = 0, halves: bool = True
) -> FrechetDistance:
    """Frechet distance of two sets, equal to pytorch-fid's and torch-fidelity's; lower is better.

    Args:
        fake: features (N, D), or moments.
        real: features (M, D), or moments.
        seed: of the random groups for the interval.
        halves: whether to spend 14 more roots on the jackknife, where features allow.

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than 2 images
        (with
            features and `halves`, 16), or features are NaN or infinite.
    """
    agree(fake.receipt, real.receipt)
    a, b = _gaussian(fake, "fake"), _gaussian(real, "real")
    same_width(a.mean_D.shape, b.mean_D.shape)
    raw = _between(a, b)
    floors = [_floor(side) for side in (a, b)]
    receipt = {
        **fake.receipt,
        "statistic": name(fake.receipt),
        "fake": a.n,
        "real": b.n,
    }
    estimate = None
    if halves and (isinstance(fake, Features) or isinstance(real, Features)):
        fixed = [
            floor
            for side, floor in zip((fake, real), floors, strict=True)
            if isinstance(side, Moments)
        ]
        bias = sum(floor for floor in fixed if floor is not None)
        value, (low, high) = _jackknife(raw, fake, real, seed)
        words = f"95 %, delete-half jackknife, seed {seed}"
        if fixed:
            words += "; the side given by moments is held fixed"
        if None in fixed:
            words += " and keeps its bias, since its number of images is not known"
        estimate = Estimate(
            value=value - bias,
            interval=(low - bias, high - bias),
            n=min(side.n for side in (a, b) if side.n is not None),
            receipt={**receipt, "interval": words},
        )
    known = [floor for floor in floors if floor is not None]
    noise_floor = sum(known) if len(known) == 2 else None
    return FrechetDistance(raw=raw, noise_floor=noise_floor, corrected=estimate, receipt=receipt)


def frechet_infinity(
    fake: Features, real: Features | Moments, sizes: int = 15, least: int = 0, seed: int = 0
) -> Estimate:
    """The distance that endless samples would have, by a line over 1 / n (Chong & Forsyth 2020).

    The line is fitted to the distances of random subsets of `fake`; the real side keeps its own
    bias. The interval joins the line's standard error (which subsets were drawn) with the delete-
    half jackknife's (which images there are).

    Args:
        fake: features (N, D).
        real: features or moments.
        sizes: subsets, of evenly spaced sizes.
        least: images of the smallest; 0 takes a tenth of `fake`, as 5,000 of 50,000.
        seed: of the subsets and the interval's groups.

    Raises:
        ValueError: as `frechet_distance`; or subsets of fewer than 2 images.
    """
    n = len(fake)
    least = least or n // 10
    if not 2 <= least < n or sizes < 3:
        raise Invalid(
            f"a line needs at least 3 sizes between 2 and {n} images, got {sizes} from {least} on"
        )
    agree(fake.receipt, real.receipt)
    b, rng = _gaussian(real, "real"), np.random.default_rng(seed)
    counts = np.linspace(least, n, sizes).round().astype(int)
    values = np.array(
        [
            _between(_gaussian(_rows(fake, rng.permutation(n)[:count]), "fake"), b)
            for count in counts
        ]
    )
    design = np.stack([np.ones(sizes), 1 / counts], 1)
    line, *_ = np.linalg.lstsq(design, values, rcond=None)
    residual = float(np.square(values - design @ line).sum()) / (sizes - 2)
    of_line = residual * float(np.linalg.inv(design.T @ design)[0, 0])
    _, (low, high) = _jackknife(float(values[-1]), fake, real, seed)
    half = math.hypot((high - low) / 2, 1.96 * math.sqrt(of_line))
    receipt = {
        **fake.receipt,
        "statistic": f"{name(fake.receipt)}, extrapolated",
        "sizes": [int(count) for count in counts],
        "interval": f"95 %, standard error of the line and delete-half jackknife, seed {seed}",
        "fake": n,
        "real": b.n,
    }
    value = float(line[0])
    return Estimate(value=value, interval=(value - half, value + half), n=n, receipt=receipt)


@dataclasses.dataclass(frozen=True)
class _Gaussian:
    """One side: covariance = factor^T factor, held as whichever of the two is smaller."""

    n: int | None
    mean_D: np.ndarray
    rows_ND: np.ndarray | None
    covariance_DD: np.ndarray | None

    @functools.cached_property
    def factor_RD(self) -> torch.Tensor:
        if self.rows_ND is not None:
            return torch.from_numpy(self.rows_ND)
        covariance = torch.from_numpy(self.covariance_DD)
        lower, failed = torch.linalg.cholesky_ex(covariance)
        if not failed:
            return lower.T
        values_D, vectors_DD = torch.linalg.eigh(covariance)
        # what rounding makes of a zero is no variance
        tiny = len(values_D) * torch.finfo(torch.float64).eps * values_D.abs().max()
        return (vectors_DD * values_D.where(values_D > tiny, 0).sqrt()).T

    @property
    def trace(self) -> float:
        if self.rows_ND is not None:
            return float(np.square(self.rows_ND).sum())
        assert self.covariance_DD is not None
        return float(self.covariance_DD.trace())


def _gaussian(side: Features | Moments, which: str) -> _Gaussian:
    if isinstance(side, Moments):
        finite(which, side.covariance_DD)
        return _Gaussian(side.n, side.mean_D, None, side.covariance_DD)
    n, d = side.array.shape
    if n < 2:
        raise Invalid(f"a Frechet distance needs at least 2 images a side, got {n} {which} ones")
    finite(which, side.array)
    if n > d:
        return _gaussian(Moments.of(side), which)
    x_ND = side.array.astype(np.float64)
    mean_D = x_ND.mean(0)
    return _Gaussian(n, mean_D, (x_ND - mean_D) / math.sqrt(n - 1), None)


def _between(a: _Gaussian, b: _Gaussian) -> float:
    step_D = a.mean_D - b.mean_D
    return float(step_D @ step_D) + a.trace + b.trace - 2 * _trace_of_root(a, b)


def _trace_of_root(a: _Gaussian, b: _Gaussian) -> float:
    if a.rows_ND is None and b.rows_ND is None:
        lower, failed = torch.linalg.cholesky_ex(torch.from_numpy(a.covariance_DD))
        if not failed:
            middle = lower.T @ torch.from_numpy(b.covariance_DD) @ lower
            return float(torch.linalg.eigvalsh(middle).clamp(min=0).sqrt().sum())
    return float(torch.linalg.svdvals(a.factor_RD @ b.factor_RD.T).sum())


def _floor(side: _Gaussian) -> float | None:
    """What a side's finite number of images adds, if both sides are one distribution."""
    if side.n is None:
        return None
    if side.rows_ND is not None:
        values = np.linalg.eigvalsh(side.rows_ND @ side.rows_ND.T)
    else:
        values = torch.linalg.eigvalsh(torch.from_numpy(side.covariance_DD)).numpy()
    values = values[values > 1e-12 * max(values.max(), 0)]
    pairs = values[:, None] * values / (values[:, None] + values)
    spread = (pairs.sum() + np.diagonal(pairs).sum()) / 2
    return float(values.sum() / side.n + spread / (side.n - 1))


def _jackknife(
    raw: float, fake: Features | Moments, real: Features | Moments, seed: int
) -> tuple[float, tuple[float, float]]:
    rng = np.random.default_rng(seed)
    a, b = _Cut(fake, "fake", rng), _Cut(real, "real", rng)
    halves = [[_between(a.half(half), b.half(half)) for half in pair] for pair in splits()]
    return corrected(raw, np.array(halves))


class _Cut:
    """A side in 8 random groups; moments cannot be cut and stay whole."""

    def __init__(self, side: Features | Moments, which: str, rng: np.random.Generator) -> None:
        self.side, self.which = side, which
        self.moments: Sequence[Moments] = ()
        if isinstance(side, Moments):
            return
        n, d = side.array.shape
        if n < 2 * GROUPS:
            raise Invalid(
                f"the interval of a Frechet distance needs at least {2 * GROUPS} images a side, "
                f"got {n} {which} ones; halves=False does without"
            )
        self.groups = groups(n, rng)
        if _grouped(n, d):
            self.moments = [Moments.of(_rows(side, rows)) for rows in self.groups]

    def half(self, half: Half) -> _Gaussian:
        if isinstance(self.side, Moments):
            return _gaussian(self.side, self.which)
        if self.moments:
            merged = functools.reduce(Moments.merge, (self.moments[group] for group in half))
            return _gaussian(merged, self.which)
        rows = np.concatenate([self.groups[group] for group in half])
        return _gaussian(_rows(self.side, rows), self.which)


def _grouped(n: int, d: int) -> bool:
    """Whether one pass over the images, kept as 8 groups' moments, serves all halves."""
    return n // 2 > d


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(features.array[rows], features.receipt)
