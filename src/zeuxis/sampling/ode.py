"""Solvers of dx/dt = velocity(x, t), and guidance.

Shapes: B batch, then any axes.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,)) -> dx/dt (B, ...)."""


def heun(
    velocity: Velocity,
    x: Tensor,
    times: Sequence[float],
    tick: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Carry `x` from times[0] to times[-1] by Heun's method, of second order.

    The last step is Euler's, as in Karras et al., 2022 (https://arxiv.org/abs/2206.00364, algorithm
    1): it spares an evaluation at the end point, and one step of local error O(h^2) keeps the order.

    Args:
        velocity: the network; called 2 * steps - 1 times.
        x: start, (B, ...).
        times: steps + 1 of them.
        tick: called with (steps done, steps).

    Returns:
        The end point, of x's shape and type.
    """
    steps = len(times) - 1
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        slope = _at(velocity, x, t)
        ahead = x + (after - t) * slope
        if i + 1 < steps:
            slope = (slope + _at(velocity, ahead, after)) / 2
            ahead = x + (after - t) * slope
        x = ahead
        if tick:
            tick(i + 1, steps)
    return x


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho & Salimans, 2022, https://arxiv.org/abs/2207.12598, equation 6).

    >>> guided(torch.tensor(2.0), torch.tensor(1.0), 1.5).item()
    2.5
    """
    return unconditional.lerp(conditional, scale)


def _at(velocity: Velocity, x: Tensor, t: float) -> Tensor:
    return velocity(x, torch.full((len(x),), t, device=x.device, dtype=x.dtype)).to(x.dtype)
