"""Guidance: a velocity under one condition, moved away from that under another.

Shapes: B batch, then any axes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from zeuxis.sampling.ode import guided

Velocity = Callable[..., Tensor]
"""(x, t) or (x, t, length), each of B rows -> as x."""
Pair = Callable[..., tuple[Tensor, Tensor]]
"""The same -> guided, and as it is under the condition alone."""


def classifier_free(
    under: Callable[[Mapping[str, Tensor]], Velocity],
    given: Mapping[str, Tensor],
    without: Mapping[str, Tensor],
    scale: float,
) -> Pair:
    """What is under `given` moved away from what is under `without`, both in one pass.

    Ho & Salimans, 2022, https://arxiv.org/abs/2207.12598, equation 6.

    Args:
        under: the velocity under a condition.
        given: the condition, each (B, ...).
        without: the other, alike.
        scale: 1 is `given` alone, in half the time.
    """
    if not given or scale == 1:
        alone = under(given)

        def once(*at: Tensor) -> tuple[Tensor, Tensor]:
            found = alone(*at)
            return found, found

        return once
    both = under({name: torch.cat([given[name], without[name]]) for name in given})

    def twice(*at: Tensor) -> tuple[Tensor, Tensor]:
        good, bad = both(*[torch.cat([each] * 2) for each in at]).chunk(2)
        return guided(good, bad, scale), good

    return twice
