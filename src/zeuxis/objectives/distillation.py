"""Few-step distillation of a rectified flow: its velocity averaged over an interval, and its loss.

Where the velocity v carries x_t to x_r, r = t - l, the average velocity is u(x_t, t, l) = (x_t - x_r) / l, so
that one pass is a step of any length, x_r = x_t - l u (Geng et al., 2025, https://arxiv.org/abs/2505.13447).
It is learned from v itself, followed over the step (`sampling.ode.average`), as Luhman and Luhman, 2021
(https://arxiv.org/abs/2101.02388) do over the whole way; Salimans and Ho, 2022
(https://arxiv.org/abs/2202.00512) halve the number of steps again and again instead.

Shapes: B batch, then any axes.
"""

import torch
from torch import Tensor

from zeuxis.core.rng import Rng

MOST_STEPS = 4
"""The steps of 1, 2, ... so many even ones from noise to data are learned."""
PASSES = 4
"""Passes of the velocity over a step that is distilled."""


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


def random_steps(rng: Rng) -> tuple[Tensor, Tensor]:
    """Time and length (B,) of one of the steps that are learned, all alike."""
    grids = range(1, MOST_STEPS + 1)
    steps = torch.tensor([(1 - i / n, 1 / n) for n in grids for i in range(n)])
    chosen_B2 = steps.to(rng.device, rng.dtype)[rng.integers("jump", len(steps))]
    return chosen_B2[:, 0], chosen_B2[:, 1]
