"""Whether samples show the augmentation that they were trained with: a cheap look, while training goes on.

Two traces are looked for, both of which say nothing of how good samples are otherwise: images differ more in
brightness than real ones do, and hold mid-grey pixels, as shifts and holes leave them.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch

from zeuxis.core import pixels
from zeuxis.nn.augment import DRAWS, augment

GREY = (125, 131)
"""Levels that count as mid-grey, the second excluded."""
CLEAR = (0.25, 0.05)
"""By how much an augmentation must change a trace to be told by it: of its size, and at least."""


def leaked(
    images_MHWC: np.ndarray, seed: int = 0
) -> Callable[[np.ndarray, tuple[str, ...]], float]:
    """A score of where samples lie on the line from real images to the same ones augmented.

    Args:
        images_MHWC: real images, uint8.
        seed: of the augmentation.

    Returns:
        Maps (N, H, W, C) uint8 samples and a policy of `nn.augment` to 0 where the plainest trace is that of
        real images or there is none to look for, 1 where it is that of augmented ones.
    """
    low = _traces(images_MHWC)

    @functools.cache
    def high(policy: tuple[str, ...]) -> np.ndarray:
        uniform = np.random.default_rng(seed).random((len(images_MHWC), DRAWS), np.float32)
        inside = pixels.from_uint8(torch.from_numpy(images_MHWC).permute(0, 3, 1, 2))
        changed = pixels.to_uint8(augment(inside, torch.from_numpy(uniform), policy))
        return _traces(changed.permute(0, 2, 3, 1).numpy())

    def score(samples_NHWC: np.ndarray, policy: tuple[str, ...]) -> float:
        change = high(policy) - low
        share = (_traces(samples_NHWC) - low) / np.maximum(change, 1e-6)
        return float(share[change > np.maximum(CLEAR[0] * low, CLEAR[1])].max(initial=0.0))

    return score


def _traces(images_NHWC: np.ndarray) -> np.ndarray:
    """Standard deviation of brightness among images, of 1, and the share of mid-grey pixels."""
    colours = images_NHWC[..., :3]
    grey = ((colours >= GREY[0]) & (colours < GREY[1])).all(-1)
    return np.array([(colours.mean((1, 2, 3)) / 255).std(), grey.mean()])
