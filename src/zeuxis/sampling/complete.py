"""Inpainting by a model that was not trained for it.

Shapes: B batch, then any axes.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zeuxis.core.progress import Progress
from zeuxis.sampling.ode import Velocity


def complete(
    velocity: Velocity,
    known: Tensor,
    mask: Tensor,
    fresh: Callable[[int], Tensor],
    times: Sequence[float],
    repeats: int = 1,
    progress: Progress | None = None,
) -> Tensor:
    """Carry noise to data that equals `known` where `mask` is 0, along lines x_t = (1 - t) x + t e.

    At each step the velocity tells which data and which noise x_t is made of, x = x_t - t v and
    e = x_t + (1 - t) v. Known data replace what it believes, the noise is kept (Wang et al., 2022,
    https://arxiv.org/abs/2212.00490, algorithm 1), and both make the next x_t. What is filled depends on
    what is known only after the step, so each step is taken `repeats` times, with a way back in between
    that adds noise (Lugmayr et al., 2022, https://arxiv.org/abs/2201.09865, section 4.2).

    Args:
        velocity: v; called about steps * repeats times.
        known: (B, ...); what it holds where the mask is 1 has no influence.
        mask: broadcast to `known`, 1 where it is to be filled.
        fresh: k -> standard normal like `known`, independent for each k = 0, 1, ...
        times: steps + 1 of them, from 1 to 0.
        repeats: the first step, to which there is no way back, is taken once.
        progress: called with (steps done, steps).
    """
    open_, steps = mask.bool(), len(times) - 1
    x, drawn = fresh(0), 1
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        for again in range(repeats if i else 1):
            if again:
                keep = (1 - t) / (1 - after)
                add = math.sqrt(t**2 - (keep * after) ** 2)
                x, drawn = keep * x + add * fresh(drawn), drawn + 1
            slope = velocity(x, x.new_full(x.shape[:1], t))
            data = torch.where(open_, x - t * slope, known)
            x = (1 - after) * data + after * (x + (1 - t) * slope)
        if progress:
            progress(i + 1, steps)
    return x
