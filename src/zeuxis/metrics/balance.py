"""Class balance: does a generator make each class as often as the data has it?

With shares p_k of the samples and q_k of the data, each with Wilson's interval, the ratio p_k / q_k tells
who is left out. Three numbers sum it up:

* Pearson's chi-squared test of "both sides have the same shares", on the 2 x K table of counts.
* The effective number of classes, exp(-sum p_k ln p_k) (Hill 1973, Ecology 54:427, order 1): K if all are
  equally frequent. The entropy is that of the delete-one jackknife (Zahl 1977, Ecology 58:907), since the
  plain one of few samples is too small by about (K - 1) / (2 N). Its variance is V / N + (K - 1) / (2 N^2), V
  that of ln p_k (Basharin 1959, Theory of Probability 4:333). The second term, from the chi-squared law of
  2 N (ln K - entropy), is all there is if p is uniform. Simulated with 100 samples, the interval held the
  truth in 95 % of cases, with equal shares in nearly all, and with shares of .6 and .4 in 86 %.
* Bias amplification: the sum of p_k - q_k over the classes whose q_k is above 1/K, which is the mean of
  Zhao et al. 2017 (arXiv:1707.09457, sec. 3) for one variable whose values are the classes. Positive: what is
  frequent in the data is more frequent in the samples. A class that is frequent by chance alone would make
  every generator look as if it evened things out; so every other image of the data chooses the classes, by
  intervals above 1/K, and the rest measures them.

Samples of an unconditional generator have no labels. `predicted_balance` lets one classifier label both
sides and compares predictions with predictions: what it confuses, it confuses on both sides, so that equal
distributions give equal shares however bad it is. (Inverting its confusion matrix, as Rogan & Gladen 1978,
American Journal of Epidemiology 107:71, do, assumes that it errs on samples as on real images, which cannot
be known here, and makes small shares noisier.) Its errors hide a part of every difference, so its accuracy
is in the receipt.

Shapes: N samples, M images of the data, K classes, H height, W width, C channels.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.classifier import STEPS, alike, predict, train_classifier
from zeuxis.metrics.ratio import difference, ratio

MISSING = 0.5
"""A class is missing if its ratio's whole interval is below this."""


@dataclasses.dataclass(frozen=True)
class Balance:
    """Shares of the classes, samples against data.

    Attributes:
        fake: share of each class in the samples, K of them.
        real: share of each class in the data.
        ratios: share in the samples over share in the data, for each class that the data has.
        missing: classes made less than half as often as the data has them, beyond doubt.
        chi_squared: Pearson's statistic of equal shares.
        freedom: its degrees of freedom.
        p_value: how often equal shares would look at least so unequal; rough if `least_expected` < 5.
        least_expected: the smallest count that equal shares would make one expect.
        effective_fake: effective number of classes in the samples.
        effective_real: the same in the data.
        amplification: see above; None if no class of the data is frequent beyond doubt.
    """

    fake: tuple[Estimate, ...]
    real: tuple[Estimate, ...]
    ratios: Mapping[int, Estimate]
    missing: tuple[int, ...]
    chi_squared: float
    freedom: int
    p_value: float
    least_expected: float
    effective_fake: Estimate
    effective_real: Estimate
    amplification: Estimate | None


def balance(
    fake_N: np.ndarray,
    real_M: np.ndarray,
    classes: int,
    receipt: Mapping[str, Any] | None = None,
) -> Balance:
    """Compare the shares of the classes.

    Args:
        fake_N: class of each sample, in [0, K); -1 is unknown and left out.
        real_M: class of each image of the data, likewise.
        classes: K, at least 2.
        receipt: where the labels come from.

    Raises:
        ValueError: fewer than 2 classes, a label outside [-1, K), or a side with fewer than 2 labels.
    """
    fake_N, real_M = _known(fake_N, classes, "samples"), _known(real_M, classes, "data")
    counts_K, truth_K = (np.bincount(side, minlength=classes) for side in (fake_N, real_M))
    n, m = len(fake_N), len(real_M)
    facts = {**(receipt or {"labels": "given"}), "fake": n, "real": m, "classes": classes}
    wilson = {**facts, "interval": "95 %, Wilson"}
    fake = tuple(share(int(count), n, wilson) for count in counts_K)
    real = tuple(share(int(count), m, wilson) for count in truth_K)
    ratios = {k: ratio(fake[k], real[k]) for k in np.flatnonzero(truth_K).tolist()}
    chi_squared, freedom, least = _pearson(counts_K, truth_K)
    return Balance(
        fake=fake,
        real=real,
        ratios=ratios,
        missing=tuple(k for k, one in ratios.items() if one.interval[1] < MISSING),
        chi_squared=chi_squared,
        freedom=freedom,
        p_value=_beyond(chi_squared, freedom),
        least_expected=least,
        effective_fake=effective_classes(counts_K, facts),
        effective_real=effective_classes(truth_K, facts),
        amplification=_amplification(fake_N, real_M, classes, wilson),
    )


def predicted_balance(
    fake_NHWC: np.ndarray,
    train_LHWC: np.ndarray,
    train_labels_L: np.ndarray,
    test_MHWC: np.ndarray,
    test_labels_M: np.ndarray,
    classes: int,
    seed: int = 0,
    steps: int = STEPS,
) -> Balance:
    """Shares of the classes among samples without labels, against hold-out images, both predicted.

    Args:
        fake_NHWC: samples, uint8.
        train_LHWC: real images that train the classifier, uint8; their labels are known.
        train_labels_L: in [0, K).
        test_MHWC: real images that it does not see: the data's side.
        test_labels_M: in [0, K); only the classifier's accuracy is taken from them.
        classes: K.
        seed: of the classifier.
        steps: of the classifier.

    Raises:
        ValueError: sizes differ, or as `train_classifier` and `balance`.
    """
    alike({"samples": fake_NHWC, "training images": train_LHWC, "hold-out images": test_MHWC})
    net = train_classifier(train_LHWC, train_labels_L, classes, seed, steps)
    predicted_M = predict(net, test_MHWC)
    right = share(int((predicted_M == test_labels_M).sum()), len(predicted_M), {})
    receipt = {
        "labels": "predicted on both sides by the pinned classifier",
        "accuracy": right.value,
        "accuracy_interval": right.interval,
        "classifier_seed": seed,
        "classifier_steps": steps,
        "taught_with": len(train_LHWC),
    }
    return balance(predict(net, fake_NHWC), predicted_M, classes, receipt)


def effective_classes(counts_K: np.ndarray, receipt: Mapping[str, Any]) -> Estimate:
    """Exponential of the jackknifed entropy of counts, at least 2 of them together.

    >>> round(effective_classes(np.array([500, 500, 0]), {}).value, 2)
    2.0
    """
    counts_K = counts_K[counts_K > 0].astype(np.float64)
    n = counts_K.sum()
    # removing one of class k changes that class's term alone
    plain = _xlogx(counts_K).sum()
    left_K = plain - _xlogx(counts_K) + _xlogx(counts_K - 1)
    entropy = math.log(n) - plain / n
    without_K = math.log(n - 1) - left_K / (n - 1)
    mean = float(counts_K @ without_K / n)
    value = max(0.0, n * entropy - (n - 1) * mean)
    surprise = float(counts_K @ (np.log(counts_K / n) + entropy) ** 2) / n
    half = 1.96 * math.sqrt(surprise / n + (len(counts_K) - 1) / (2 * n * n))
    return Estimate(
        value=math.exp(value),
        interval=(math.exp(max(0.0, value - half)), math.exp(value + half)),
        n=int(n),
        receipt={**receipt, "interval": "95 %, from the variance of the entropy to second order"},
    )


def _known(labels: np.ndarray, classes: int, side: str) -> np.ndarray:
    """The labels that are not unknown."""
    labels = np.asarray(labels)
    if classes < 2:
        raise Invalid(f"balance needs at least 2 classes, got {classes}")
    if labels.size and (labels.min() < -1 or labels.max() >= classes):
        raise Invalid(
            f"labels of the {side} run from {labels.min()} to {labels.max()}, expected 0 to "
            f"{classes - 1}, or -1 for unknown"
        )
    known = labels[labels >= 0]
    if len(known) < 2:
        raise Invalid(f"balance needs at least 2 labelled images, the {side} have {len(known)}")
    return known


def _amplification(
    fake_N: np.ndarray, real_M: np.ndarray, classes: int, receipt: Mapping[str, Any]
) -> Estimate | None:
    chooser, rest = real_M[::2], real_M[1::2]
    counts_K = np.bincount(chooser, minlength=classes)
    shares = [share(int(count), len(chooser), {}) for count in counts_K]
    frequent = [k for k, one in enumerate(shares) if one.interval[0] > 1 / classes]
    if not frequent:
        return None
    named = {**receipt, "frequent": frequent}
    mine, theirs = (
        share(int(np.isin(side, frequent).sum()), len(side), named) for side in (fake_N, rest)
    )
    return difference(mine, theirs)


def _pearson(a_K: np.ndarray, b_K: np.ndarray) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and smallest expected count of the 2 x K table."""
    table = np.stack([a_K, b_K])[:, (a_K + b_K) > 0].astype(np.float64)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, table.shape[1] - 1, float(expected.min())


def _beyond(statistic: float, freedom: int) -> float:
    """Probability that a chi-squared variable exceeds `statistic`; 1 with no freedom."""
    if freedom == 0:
        return 1.0
    half, at = (torch.tensor(x / 2, dtype=torch.float64) for x in (freedom, statistic))
    return float(torch.special.gammaincc(half, at))


def _xlogx(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.maximum(x, 1))
