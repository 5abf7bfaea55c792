"""Maximum mean discrepancy with Gaussian kernels, on features of length 1: CMMD, and one that sees spread.

k(x, y) = exp(-|x - y|^2 / (2 s^2)). Jayasumana et al. (CVPR 2024, arXiv:2401.09603) take CLIP
ViT-L/14@336 embeddings, s = 10, the V-statistic (an image's kernel with itself counts, so it is
biased upwards) and multiply by 1,000. Features of length 1 are at most 2 apart, where that kernel
is all but linear: CMMD is then 10 |mean - mean'|^2 to three digits, and all but blind to how spread
out samples are.

Beside it, `gaussian_kernel_distance` takes the mean of kernels at several bandwidths around the
median distance of real images (the median heuristic, Gretton et al. 2012, JMLR 13:723; mixtures as
in Li, Swersky & Zemel 2015, arXiv:1502.02761) and the unbiased U-statistic. The bandwidths come
from the real side alone, so numbers against one real set are on one scale.

Shapes: N fake, M real images, D features.
"""

from collections.abc import Sequence

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate
from zeuxis.metrics.comparable import check
from zeuxis.metrics.kernel import Kernel, mmd

SIGMA = 10.0
SCALE = 1000.0
FACTORS = (0.25, 0.5, 1.0, 2.0)
"""Bandwidths, in median distances."""
MEDIAN_OF = 2000
"""Evenly spaced real images whose distances give the median."""


def cmmd(fake: Features, real: Features) -> Estimate:
    """1,000 times the biased squared MMD at bandwidth 10, as published; lower is better.

    CMMD is its name if the features are CLIP ViT-L/14@336's. The interval is for sets of this size:
    with few images all of it can lie above the distance of endless sets.

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than 3 images, or
            features are NaN, infinite or all zero.
    """
    return _distance(fake, real, (SIGMA,), True, "bandwidth 10, V-statistic (biased)")


def gaussian_kernel_distance(fake: Features, real: Features) -> Estimate:
    """1,000 times the unbiased squared MMD at bandwidths around the median distance; lower is better.

    Raises:
        ValueError: as `cmmd`; or most real features are one and the same.
    """
    check("a kernel distance", fake, real, 3)
    y_MD = _unit(real, "real")[:: max(1, -(-len(real) // MEDIAN_OF))]
    squared = _squared(y_MD, y_MD)[np.triu_indices(len(y_MD), 1)]
    median = float(np.median(np.sqrt(squared)))
    if median < 1e-6:  # rounding alone parts them by so much
        raise Invalid(
            "the median distance between real images is 0: most of them have the same features, "
            "which gives no bandwidth; compare with varied images"
        )
    words = f"bandwidths {', '.join(map(str, FACTORS))} x the real median {median:.6g}, U-statistic"
    return _distance(fake, real, [factor * median for factor in FACTORS], False, words)


def _distance(
    fake: Features, real: Features, sigmas: Sequence[float], biased: bool, words: str
) -> Estimate:
    check("a kernel distance", fake, real, 3)
    x_ND, y_MD = _unit(fake, "fake"), _unit(real, "real")
    value, half = (SCALE * part for part in mmd(x_ND, y_MD, _gaussian(sigmas), biased))
    receipt = {
        **fake.receipt,
        "statistic": f"1,000 x squared MMD, Gaussian kernel on features of length 1, {words}",
        "interval": "95 %, delete-one jackknife of both sides",
        "fake": len(fake),
        "real": len(real),
    }
    n = min(len(fake), len(real))
    return Estimate(value=value, interval=(value - half, value + half), n=n, receipt=receipt)


def _unit(features: Features, side: str) -> np.ndarray:
    """Features over their length, float64."""
    x_ND = features.array.astype(np.float64)
    length_N = np.linalg.norm(x_ND, axis=1, keepdims=True)
    if not length_N.all():
        raise Invalid(
            f"the features of {side} image {int((length_N[:, 0] == 0).argmax())} are all zero and have no "
            "direction; use another network or layer"
        )
    return x_ND / length_N


def _squared(x_ND: np.ndarray, y_MD: np.ndarray) -> np.ndarray:
    """Squared distances of features of length 1."""
    return np.maximum(2 - 2 * x_ND @ y_MD.T, 0)


def _gaussian(sigmas: Sequence[float]) -> Kernel:
    def kernel(x_ND: np.ndarray, y_MD: np.ndarray) -> np.ndarray:
        squared = _squared(x_ND, y_MD)
        found = np.zeros_like(squared)
        for sigma in sigmas:
            found += np.exp(squared * (-0.5 / sigma**2))
        return found / len(sigmas)

    return kernel
