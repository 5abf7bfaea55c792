"""Jumps of a rectified flow: its velocity averaged over an interval, and how that is learned.

Where the velocity v carries x_t to x_r, r = t - l, the average velocity is u(x_t, t, l) = (x_t - x_r) / l, so
that one pass is a step of any length, x_r = x_t - l u, and u(x_t, t, 0) = v(x_t, t) (Geng et al., 2025,
https://arxiv.org/abs/2505.13447). Two steps of half the length are one:

    u(x_t, t, l) = (u(x_t, t, l/2) + u(x_s, s, l/2)) / 2,   s = t - l/2,   x_s = x_t - l/2 u(x_t, t, l/2)

and the right side, without gradient, teaches the left (Frans et al., 2024, https://arxiv.org/abs/2410.12557;
Guo et al., 2025, https://arxiv.org/abs/2507.16884). No derivative of the network by its inputs is needed.

Shapes: B batch, then any axes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from zeuxis.rng import Rng

MOST_STEPS = 32
"""Steps of 1, 2, ... up to about so many even ones are learned; half of a shorter one is as good as 0."""
LATE = 0.2
"""Progress from which jumps are best learned: they learn from the velocity, so it comes first."""

Average = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,), l (B,)) -> u (B, ...)."""


def linear(t: Tensor, length: Tensor | None, deviation: float) -> tuple[Tensor, Tensor]:
    """What brings x_t to unit variance and what makes it u, for data N(0, deviation^2).

    That flow keeps x in proportion to its deviation d, d_t^2 = t^2 + (1 - t)^2 deviation^2, which makes
    u = (1 - d_r / d_t) / l x_t; written with the middle m of t and r it needs no division by l,

        u = (m - (1 - m) deviation^2) 2 / (d_t (d_t + d_r)) x_t.

    Args:
        t: (B,).
        length: l (B,); None is 0, and then it is v = E[e - x | x_t].
        deviation: standard deviation of the data.

    Returns:
        1 / d_t and u / x_t, each (B, 1, 1, 1).
    """
    m, variance = t, deviation**2
    inverse = both = (t**2 + (1 - t) ** 2 * variance).rsqrt()
    if length is not None:
        r, m = t - length, t - length / 2
        after = (r**2 + (1 - r) ** 2 * variance).rsqrt()
        both = 2 * inverse * after / (inverse + after)
    factor = (m - (1 - m) * variance) * (inverse * both)
    return inverse[:, None, None, None], factor[:, None, None, None]


def random_steps(rng: Rng, share: float, t_B: Tensor) -> tuple[Tensor, Tensor]:
    """Time and length (B,): for about a `share` of the rows of one of n even steps from 1 to 0, else t and 0.

    These are the intervals that sampling takes. Among the n the octaves are drawn alike, since each
    learns from the next; an n's steps are, too.
    """
    draw_B3 = rng.uniform("jump", 3)
    n_B = (MOST_STEPS ** draw_B3[:, 1]).floor()
    chosen_B, start_B = draw_B3[:, 0] < share, 1 - (n_B * draw_B3[:, 2]).floor() / n_B
    return torch.where(chosen_B, start_B, t_B), chosen_B / n_B


@torch.no_grad()
def over_halves(average: Average, x: Tensor, t_B: Tensor, length_B: Tensor) -> Tensor:
    """u(x_t, t, l) as the mean over two steps of half the length; no gradient passes."""
    half_B = length_B / 2
    first = average(x, t_B, half_B)
    x_s = x - half_B.view(-1, *[1] * (x.ndim - 1)) * first
    return (first + average(x_s, t_B - half_B, half_B)) / 2
