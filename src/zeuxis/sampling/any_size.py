"""A flow of pictures of any size: one field of noise, and velocities of overlapping windows.

A picture that is followed from noise window by window must have one noise, and its windows must agree in
every step: blended at the end, textures wash out; with noises of their own, seams stand.

Shapes: B batch, C channels, H height, W width of the picture, h, w of a window or block.
"""

import functools
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from zeuxis.core.progress import Progress
from zeuxis.sampling.ode import even, long_steps
from zeuxis.sampling.stochastic import shuffled, stochastic

LARGEST = 1024 * 1024
"""Pixels of a window."""
OVERLAP = 8
"""Windows overlap by this part of their side."""
MOST = 1001
"""Orders of a block: more than a solver has steps."""


def field(noise_BChw: Tensor, size: tuple[int, int], k: int = 0) -> Tensor:
    """Noise (B, C, H, W) of a size by absolute position, the k-th.

    It is laid with blocks of `noise_BChw`, each in another order with other signs, and the first as it is
    (`shuffled`): whatever the picture's size, the noise at a place is the same.
    """
    h, w = noise_BChw.shape[2:]
    field_BCHW = noise_BChw.new_empty(*noise_BChw.shape[:2], *size)
    for row, column in itertools.product(range(-(-size[0] // h)), range(-(-size[1] // w))):
        number = (row + column) * (row + column + 1) // 2 + column  # Cantor's: no width comes in
        place = field_BCHW[..., row * h : (row + 1) * h, column * w : (column + 1) * w]
        block_BChw = shuffled(noise_BChw, k + MOST * number)
        place.copy_(block_BChw[..., : place.shape[2], : place.shape[3]])
    return field_BCHW


def follow(
    velocity: Callable[..., Tensor],
    noise_BChw: Tensor,
    size: tuple[int, int],
    steps: int,
    churn: float,
    spread: float,
    long: bool,
    progress: Progress | None,
) -> Tensor:
    """A flow's picture (B, C, H, W) of a size, from its noise.

    Args:
        velocity: (x, t) -> v, or (x, t, length) -> its average over the step.
        noise_BChw: of a block.
        size: H, W.
        steps: even ones from noise to data.
        churn: share of the noise redrawn at each step.
        spread: factor on the noise of the start.
        long: whether to take `long_steps`, which redraw nothing.
        progress: called with (steps done, steps).
    """
    start_BCHW, times = spread * field(noise_BChw, size), even(steps)
    if long:
        return long_steps(velocity, start_BCHW, times, progress)
    fresh = functools.partial(field, noise_BChw, size)
    return stochastic(velocity, start_BCHW, times, progress, fresh=fresh, churn=churn)


def by_windows(call: Callable[..., Tensor], *wholes: Tensor, multiple: int) -> Tensor:
    """What a call gives for pictures, at once or for overlapping windows, blended along ramps.

    Args:
        call: tensors (B, ..., h, w) -> (B, C, h, w).
        wholes: (B, ..., H, W) each, from which windows are cut; sides are multiples of `multiple`.
        multiple: what sides and corners of windows are multiples of.
    """
    height, width = wholes[0].shape[-2:]
    if height * width <= LARGEST:
        return call(*wholes)
    side = max(math.isqrt(LARGEST) // multiple, 1) * multiple
    high, wide = min(height, side), min(width, side)
    weight_hw = _ramp(high)[:, None] * _ramp(wide)
    tops, lefts = _starts(height, high, multiple), _starts(width, wide, multiple)
    share_HW = _shares(height, high, tops)[:, None] * _shares(width, wide, lefts)
    sum_BCHW: Tensor | None = None
    for top, left in itertools.product(tops, lefts):
        rows, columns = slice(top, top + high), slice(left, left + wide)
        part = call(*(each[..., rows, columns] for each in wholes))
        if sum_BCHW is None:
            sum_BCHW = part.new_zeros(*part.shape[:2], height, width)
            weight_hw = weight_hw.to(part)
        sum_BCHW[..., rows, columns].addcmul_(part, weight_hw)
    assert sum_BCHW is not None, "a picture has windows"
    return sum_BCHW.div_(share_HW.to(sum_BCHW))


def _starts(length: int, side: int, multiple: int) -> list[int]:
    """Where windows begin: evenly, at multiples, the last one at the end."""
    count = -(-(length - side) // max(side - side // OVERLAP, 1))
    return [
        round(i * (length - side) / max(count, 1) / multiple) * multiple for i in range(count + 1)
    ]


def _ramp(side: int) -> Tensor:
    """(side,): 1 in the middle, falling towards both ends but never to 0."""
    place = torch.arange(side)
    wide = max(side // OVERLAP, 1)
    return (torch.minimum(place, side - 1 - place) + 1).clamp(max=wide) / wide


def _shares(length: int, side: int, starts: list[int]) -> Tensor:
    """(length,): sum of the ramps at each place."""
    shares, ramp = torch.zeros(length), _ramp(side)
    for start in starts:
        shares[start : start + side] += ramp
    return shares
