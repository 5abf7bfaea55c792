"""A stochastic solver that redraws part of the noise at each step.

Shapes: B batch, then any axes.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zeuxis.core.progress import Progress
from zeuxis.sampling.ode import Velocity


def stochastic(
    velocity: Velocity,
    x: Tensor,
    times: Sequence[float],
    progress: Progress | None = None,
    *,
    fresh: Callable[[int], Tensor],
    churn: float,
) -> Tensor:
    """Carry `x` from times[0] to times[-1] along lines x_t = (1 - t) d + t e, with one evaluation a step.

    The velocity tells which data and which noise x_t is made of, d = x_t - t v and e = x_t + (1 - t) v,
    and the step to s keeps a part of that noise only (Song et al., 2021, https://arxiv.org/abs/2010.02502,
    equation 12 with the variance churn s^2):

        x_s = (1 - s) d + s (sqrt(1 - churn) e + sqrt(churn) new)

    So what earlier steps got wrong is forgotten (Karras et al., 2022, https://arxiv.org/abs/2206.00364,
    section 4). With k = sqrt(1 - churn) s / t this is k x_t + s sqrt(churn) new + (1 - s - k (1 - t)) d:
    of the network it wants d alone, taken at the middle of the step, predicted by a line through the
    last two and then corrected by the mean of both ends, as Xue et al., 2023
    (https://arxiv.org/abs/2309.05019, section 5) do. At s = 0 it is d that remains.

    Args:
        velocity: the network; called once a step, never at the end point.
        x: start, (B, ...).
        times: steps + 1 of them, falling.
        progress: called with (steps done, steps).
        fresh: k -> standard normal like x, independent for each k = 1, 2, ... and of x.
        churn: share of the noise, by variance, that each step draws anew, in [0, 1].

    Returns:
        The end point, of x's shape and type.
    """
    steps, start, past, weight = len(times) - 1, x, x, 0.0
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        slope = velocity(x, x.new_full(x.shape[:1], t)).to(x.dtype)
        data = ahead = x - t * slope
        if i > 0:
            x = start + weight * (past + data) / 2
            if after > 0:
                ahead = data.lerp(past, (after - t) / (2 * (times[i - 1] - t)))
        kept = math.sqrt(1 - churn) * after / t
        start, past, weight = kept * x, data, 1 - after - kept * (1 - t)
        if churn and after > 0:
            start = start + math.sqrt(churn) * after * fresh(i + 1)
        x = start + weight * ahead
        if progress:
            progress(i + 1, steps)
    return x


def shuffled(noise: Tensor, k: int) -> Tensor:
    """`noise` (B, ...) as it is for k = 0, else with each row's numbers in the k-th other order and signs.

    For a network that looks at neighbours it is as good as new, and nothing else need be drawn.
    """
    if not k:
        return noise
    generator = torch.Generator().manual_seed(k)
    order = torch.randperm(noise[0].numel(), generator=generator)
    sign = 1 - 2 * torch.randint(2, order.shape, generator=generator)
    return (noise.flatten(1)[:, order.to(noise.device)] * sign.to(noise)).view_as(noise)
