"""Number of statistically different bins: are some kinds of image too frequent or too rare?

Real images are cut into K bins by k-means on their features; a generated image belongs to the bin
whose centre is nearest. For each bin a two-proportion z-test compares the shares p of N and q of M
images,

    z = (p - q) / sqrt( r (1 - r) (1 / N + 1 / M) ),   r = (p N + q M) / (N + M),

and NDB / K is the share of bins where |z| is beyond its 5 % point (Richardson & Weiss 2018,
arXiv:1805.12462): about 0.05 if nothing is missing, near 1 if everything is. The Jensen-Shannon
divergence of the two histograms says how much it is altogether, in nats from 0 to log 2.

The centres are where k-means++ (Arthur & Vassilvitskii 2007) and Lloyd's steps arrive from a seed.
Bins are made from the very images that are counted, as published; with at least some hundred images
a bin that does not matter.

Shapes: N fake, M real images, D features, K bins.
"""

import dataclasses

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.comparable import ROWS, check
from zeuxis.metrics.jackknife import GROUPS, corrected, groups, splits

Z = 1.959964
"""|z| beyond which a bin differs at the 5 % level."""
STEPS = 100
"""Lloyd's steps at most."""
SEEDS = 50
"""Images a bin among which k-means++ draws the first centres."""


@dataclasses.dataclass(frozen=True)
class Bins:
    """Two sets' shares of the bins.

    Attributes:
        different: NDB / K, with Wilson's interval as if bins were independent.
        divergence: Jensen-Shannon, nats, without the bias of finite sets, with a 95 % interval.
        fake_K: share of the generated images in each bin, largest real bin first.
        real_K: share of the real images.
        z_K: the tests' z, positive where there are too many generated images.
        bin_N: bin of each generated image.
        bin_M: bin of each real image.
    """

    different: Estimate
    divergence: Estimate
    fake_K: np.ndarray
    real_K: np.ndarray
    z_K: np.ndarray
    bin_N: np.ndarray
    bin_M: np.ndarray


def different_bins(fake: Features, real: Features, k: int = 100, seed: int = 0) -> Bins:
    """Which bins of the real images are too full or too empty of generated ones.

    Args:
        fake: features (N, D).
        real: features (M, D); some 500 images a bin are advised.
        k: bins.
        seed: of k-means and of the interval's groups.

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than 5 images a
        bin (the
            z-test needs as many), or features are NaN or infinite.
    """
    if k < 2:
        raise Invalid(f"expected at least 2 bins, got {k}")
    check(f"a comparison of {k} bins", fake, real, max(5 * k, 2 * GROUPS))
    rng = np.random.default_rng(seed)
    centre_D = real.array.mean(0, dtype=np.float64)
    centres_KD = k_means(real.array, centre_D, k, rng)
    bin_M = nearest_centre(real.array, centre_D, centres_KD)[0]
    order = np.argsort(-np.bincount(bin_M, minlength=k), kind="stable")
    rank = np.argsort(order)
    bin_M, bin_N = rank[bin_M], rank[nearest_centre(fake.array, centre_D, centres_KD)[0]]
    n, m = len(fake), len(real)
    fake_K, real_K = np.bincount(bin_N, minlength=k) / n, np.bincount(bin_M, minlength=k) / m
    pooled_K = (fake_K * n + real_K * m) / (n + m)
    error_K = np.sqrt(pooled_K * (1 - pooled_K) * (1 / n + 1 / m))
    # a bin that is empty on both sides, or holds everything, shows no difference
    z_K = np.divide(fake_K - real_K, error_K, out=np.zeros(k), where=error_K > 0)
    receipt = {
        **fake.receipt,
        "bins": f"{k}, k-means on the real images, seed {seed}",
        "fake": n,
        "real": m,
    }
    different = share(int((np.abs(z_K) > Z).sum()), k, {**receipt, "test": "two proportions, 5 %"})
    cut_N, cut_M = groups(n, rng), groups(m, rng)
    halves = [
        [
            jensen_shannon(
                *(
                    np.bincount(bins[np.concatenate([cut[g] for g in half])], minlength=k)
                    for bins, cut in ((bin_N, cut_N), (bin_M, cut_M))
                )
            )
            for half in pair
        ]
        for pair in splits()
    ]
    value, interval = corrected(jensen_shannon(fake_K, real_K), np.array(halves))
    words = {
        "statistic": "Jensen-Shannon divergence, nats",
        "interval": "95 %, delete-half jackknife",
    }
    divergence = Estimate(value=value, interval=interval, n=min(n, m), receipt=receipt | words)
    return Bins(different, divergence, fake_K, real_K, z_K, bin_N, bin_M)


def jensen_shannon(p_K: np.ndarray, q_K: np.ndarray) -> float:
    """Jensen-Shannon divergence of two histograms or sets of shares, in nats.

    >>> round(jensen_shannon(np.array([3, 0]), np.array([0, 5])), 6)
    0.693147
    """
    p_K, q_K = p_K / p_K.sum(), q_K / q_K.sum()
    middle_K = (p_K + q_K) / 2
    found = 0.0
    for one_K in (p_K, q_K):
        held = one_K > 0
        found += float((one_K[held] * np.log(one_K[held] / middle_K[held])).sum()) / 2
    return found


def k_means(x_ND: np.ndarray, centre_D: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Centres (K, D) float64, relative to `centre_D`, of k clusters.

    Raises:
        ValueError: fewer than k different rows.
    """
    n = len(x_ND)
    centres_KD = _first_centres(x_ND[rng.permutation(n)[: SEEDS * k]], centre_D, k, rng)
    before_N = np.full(n, -1)
    for _ in range(STEPS):
        label_N, squared_N = nearest_centre(x_ND, centre_D, centres_KD)
        if (label_N == before_N).all():
            break
        before_N = label_N
        sums_KD = torch.zeros(centres_KD.shape, dtype=torch.float64)
        for start in range(0, n, ROWS):
            rows = slice(start, start + ROWS)
            x = torch.from_numpy(x_ND[rows] - centre_D)
            sums_KD.index_add_(0, torch.from_numpy(label_N[rows]), x)
        size_K = np.bincount(label_N, minlength=k)
        full = size_K > 0
        centres_KD[full] = sums_KD.numpy()[full] / size_K[full, None]
        # an empty bin starts again at the images that are served worst
        far = np.argsort(-squared_N, kind="stable")[: k - full.sum()]
        centres_KD[~full] = x_ND[far] - centre_D
    return centres_KD


def _first_centres(
    x_ND: np.ndarray, centre_D: np.ndarray, k: int, rng: np.random.Generator
) -> np.ndarray:
    """k-means++: each centre is a row drawn by its squared distance to those before."""
    chosen = [int(rng.integers(len(x_ND)))]
    squared_N = np.full(len(x_ND), np.inf)
    while len(chosen) < k:
        last_1D = x_ND[chosen[-1:]] - centre_D
        squared_N = np.minimum(squared_N, nearest_centre(x_ND, centre_D, last_1D)[1])
        if not squared_N.any():
            raise Invalid(
                f"{k} bins need as many different images, {len(x_ND)} real ones have "
                f"{len(chosen)} different features; ask for fewer bins"
            )
        chosen.append(int(rng.choice(len(x_ND), p=squared_N / squared_N.sum())))
    return x_ND[chosen] - centre_D


def nearest_centre(
    x_ND: np.ndarray, centre_D: np.ndarray, centres_KD: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each row, (N,), and the squared distance to it, (N,) float64."""
    c_KD = torch.from_numpy(centres_KD)
    length_K = c_KD.square().sum(1)
    labels, squared = [], []
    for start in range(0, len(x_ND), ROWS):
        x = torch.from_numpy(x_ND[start : start + ROWS] - centre_D)
        cost, label = torch.addmm(length_K, x, c_KD.T, alpha=-2).min(1)
        length = x.square().sum(1)
        cost += length
        labels.append(label)
        # rounding alone may part a row from itself by so much
        squared.append(cost.where(cost > 1e-12 * (length + length_K[label]), 0))
    return torch.cat(labels).numpy(), torch.cat(squared).numpy()
