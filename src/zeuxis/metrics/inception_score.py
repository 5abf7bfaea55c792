"""Inception score: are single images recognised, and are many classes among them?

    exp( mean over images of KL( p(c | x) || p(c) ) ),   p(c) = mean over images of p(c | x)

(Salimans et al. 2016, arXiv:1606.03498, section 4), for each of 10 parts of the shuffled images,
then their mean and spread. It reads no real images: a generator with one perfect picture per class
reaches the top. The name belongs to the published Inception weights; of another classifier the same
number is a class-probability score.

The interval comes from the delete-one jackknife within each part. Without image i the mean class
distribution is (n p - p_i) / (n - 1), so it needs one entropy for each image and no second pass.

Shapes: N images, C classes.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate
from zeuxis.metrics.comparable import finite, is_inception

Kind = Literal["logits", "probabilities"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassProbabilityScore:
    """A score of class probabilities.

    Attributes:
        score: mean over the parts, from 1 to C, with a 95 % interval; higher is better.
        std: spread over the parts (divisor: their number), as papers print it; no error bar.
    """

    score: Estimate
    std: float


def inception_score(
    outputs: Features, kind: Kind = "logits", splits: int = 10, seed: int | None = 2020
) -> ClassProbabilityScore:
    """The Inception score, equal to torch-fidelity 0.4.0's with the same splits and seed.

    Args:
        outputs: (N, 1008) of the published Inception network; torch-fidelity takes the logits
            without their bias.
        kind: what they are.
        splits: parts.
        seed: of NumPy's legacy shuffle before splitting; None keeps the order.

    Raises:
        ValueError: the receipt does not say the published Inception weights; or as
            `class_probability_score`.
    """
    if not is_inception(outputs.receipt):
        raise Invalid(
            f"an Inception score needs the published Inception weights, these are from "
            f"{outputs.receipt.get('network', 'an unnamed network')}; "
            "class_probability_score is for any classifier"
        )
    return class_probability_score(outputs, kind, splits, seed)


def class_probability_score(
    outputs: Features, kind: Kind = "logits", splits: int = 10, seed: int | None = 2020
) -> ClassProbabilityScore:
    """The Inception score's formula on any classifier's outputs: not comparable between classifiers.

    Args:
        outputs: (N, C), C at least 2.
        kind: logits, or probabilities that add up to 1.
        splits: parts.
        seed: of NumPy's legacy shuffle before splitting; None keeps the order.

    Raises:
        ValueError: fewer than two images for each part, NaN or infinity, or probabilities that are
        none.
    """
    n = len(outputs)
    if splits < 1 or n < 2 * splits:
        raise Invalid(
            f"a score over {splits} parts needs at least {max(2, 2 * splits)} images, got {n}; "
            "generate more, or ask for fewer parts"
        )
    finite("a set's", outputs.array)
    x_NC = torch.tensor(outputs.array, dtype=torch.float64)
    if kind == "logits":
        p_NC, log_NC = x_NC.softmax(1), x_NC.log_softmax(1)
    else:
        off = max(float((x_NC.sum(1) - 1).abs().max()), -float(x_NC.min()))
        if off > 1e-3:
            raise Invalid(
                f"probabilities are from 0 to 1 and add up to 1 for each image, these are off by {off:.3g}; "
                "are they logits?"
            )
        p_NC = x_NC
        log_NC = p_NC.clamp(min=torch.finfo(torch.float64).tiny).log()
    order = np.arange(n) if seed is None else np.random.RandomState(seed).permutation(n)
    scores, variance = [], 0.0
    for part in range(splits):
        rows = torch.from_numpy(order[part * n // splits : (part + 1) * n // splits])
        score, its_variance = _score(p_NC[rows], log_NC[rows])
        scores.append(score)
        variance += its_variance / splits**2
    value, half = float(np.mean(scores)), 1.96 * math.sqrt(variance)
    receipt: Mapping[str, Any] = {
        **outputs.receipt,
        "statistic": f"exp mean KL to the mean class distribution, {splits} parts, seed {seed}",
        "interval": "95 %, delete-one jackknife within each part",
        "images": n,
    }
    estimate = Estimate(value=value, interval=(value - half, value + half), n=n, receipt=receipt)
    return ClassProbabilityScore(score=estimate, std=float(np.std(scores)))


def _score(p_NC: torch.Tensor, log_NC: torch.Tensor) -> tuple[float, float]:
    """One part's score and the jackknife's variance of it."""
    n = len(p_NC)
    entropy_N = -(p_NC * log_NC).sum(1)
    mean_C = p_NC.mean(0)
    score = float((_entropy(mean_C) - entropy_N.mean()).exp())
    left_NC = ((n * mean_C - p_NC) / (n - 1)).clamp(min=0)
    left_N = (_entropy(left_NC) - (entropy_N.sum() - entropy_N) / (n - 1)).exp()
    return score, (n - 1) * float(left_N.var(correction=0))


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return -torch.special.xlogy(p, p).sum(-1)
