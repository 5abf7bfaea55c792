"""Solvers of dx/dt = velocity(x, t), change of volume, likelihood, and guidance.

Shapes: B batch, then any axes.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng

LEVEL = 2 / 255
"""Width of an 8-bit level in [-1, 1]."""

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,)) -> dx/dt (B, ...)."""
Average = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,), length (B,)) -> the mean of dx/dt (B, ...) on the way from t to t - length."""


def even(steps: int, start: float = 1.0) -> list[float]:
    """Times from `start` to 0.

    >>> even(4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return [start * (1 - i / steps) for i in range(steps + 1)]


def multistep(
    velocity: Velocity,
    x: Tensor,
    times: Sequence[float],
    progress: Progress | None = None,
) -> Tensor:
    """Carry `x` from times[0] to times[-1], with one evaluation a step, of second order.

    Predict by the method of Adams and Bashforth, which extends the last two velocities as a line over
    the next step (the first step is Euler's); correct by the trapezoidal rule with the velocity found
    there, which the next step needs anyway. Liu et al., 2022 (https://arxiv.org/abs/2202.09778, section
    3.3) took the former to diffusion, Zhao et al., 2023 (https://arxiv.org/abs/2302.04867, section 3.1)
    the latter.

    Args:
        velocity: the network; called once a step, never at the end point.
        x: start, (B, ...).
        times: steps + 1 of them.
        progress: called with (steps done, steps).

    Returns:
        The end point, of x's shape and type.
    """
    steps, start, past = len(times) - 1, x, x
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        slope = velocity(x, x.new_full(x.shape[:1], t)).to(x.dtype)
        ahead = slope
        if i > 0:
            x = start + (t - times[i - 1]) * (past + slope) / 2
            ahead = slope.lerp(past, -(after - t) / (2 * (t - times[i - 1])))
        x, start, past = x + (after - t) * ahead, x, slope
        if progress:
            progress(i + 1, steps)
    return x


@torch.no_grad()
def average(velocity: Velocity, x: Tensor, t_B: Tensor, length_B: Tensor, steps: int) -> Tensor:
    """The mean velocity (B, ...) on each row's way from t to t - length; no gradient passes."""
    length = length_B.view(-1, *[1] * (x.ndim - 1))

    def along(x: Tensor, left_B: Tensor) -> Tensor:
        return length * velocity(x, t_B - (1 - left_B) * length_B)

    return (x - multistep(along, x, even(steps))) / length


def long_steps(
    average: Average,
    x: Tensor,
    times: Sequence[float],
    progress: Progress | None = None,
) -> Tensor:
    """As `multistep`, by a network that knows the mean velocity over a whole step: x - length * average.

    With an exact mean it is exact, however few the steps (Geng et al., 2025,
    https://arxiv.org/abs/2505.13447).
    """
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        t_B, length_B = x.new_tensor([[t], [t - after]]).expand(2, x.shape[0])
        x = x - (t - after) * average(x, t_B, length_B).to(x.dtype)
        if progress:
            progress(i + 1, len(times) - 1)
    return x


def change_of_variables(
    velocity: Velocity, x: Tensor, times: Sequence[float], probe: Tensor
) -> tuple[Tensor, Tensor]:
    """The end point, and an estimate of log |d end / d x| (B,), by the same method.

    The logarithm grows by the trace of the velocity's Jacobian J (Chen et al., 2018,
    https://arxiv.org/abs/1806.07366, theorem 1), which probe^T J probe estimates without bias
    (Hutchinson, 1990; Grathwohl et al., 2019, https://arxiv.org/abs/1810.01367, section 3.1).

    Args:
        velocity: differentiable in x; called once a step, with a backward pass.
        x: start, (B, ...).
        times: steps + 1 of them.
        probe: like x, of mean 0 and covariance 1, the same all along; signs have the least variance.
    """

    def both(state: Tensor, t_B: Tensor) -> Tensor:
        with torch.enable_grad():
            inner = state[:, :-1].view_as(x).detach().requires_grad_()
            slope = velocity(inner, t_B)
            (product,) = torch.autograd.grad(slope, inner, probe.to(slope.dtype))
        trace_B1 = (product * probe).flatten(1).sum(1, keepdim=True)
        return torch.cat([slope.detach().flatten(1), trace_B1], 1)

    state = torch.cat([x.flatten(1), x.new_zeros(x.shape[0], 1)], 1)
    state = multistep(both, state, times)
    return state[:, :-1].view_as(x), state[:, -1]


def level_nats(velocity: Velocity, image: Tensor, rng: Rng, steps: int) -> Tensor:
    """-log P of an 8-bit image in [-1, 1] under the flow from data at t = 0 to standard normal noise, (B,).

    A bound by uniform dequantisation, its density estimated along the ODE, with one draw of each (Song et
    al., 2021, https://arxiv.org/abs/2011.13456, appendix D.2).
    """
    shape = image.shape[1:]
    inside = from_levels(to_levels(image))
    x = inside + LEVEL * (rng.uniform("level", *shape) - 0.5)
    sign = torch.where(rng.uniform("sign", *shape) < 0.5, -1.0, 1.0)
    # squared: most happens where there is little noise
    e, log_volume_B = change_of_variables(velocity, x, [t**2 for t in even(steps)[::-1]], sign)
    log_normal_B = -(e.square() + math.log(2 * math.pi)).flatten(1).sum(1) / 2
    return -(log_normal_B + log_volume_B + math.prod(shape) * math.log(LEVEL))


def guided(good: Tensor, bad: Tensor, scale: float) -> Tensor:
    """`good` at scale 1, further away from `bad` above it.

    Where `bad` does not know the label this is classifier-free guidance (Ho & Salimans, 2022,
    https://arxiv.org/abs/2207.12598, equation 6).

    >>> guided(torch.tensor(2.0), torch.tensor(1.0), 1.5).item()
    2.5
    """
    return bad.lerp(good, scale)
