"""Few-step distillation of a rectified flow: a copy of its network learns long steps.

Where the velocity v carries x_t to x_r, r = t - l, the average velocity is u(x_t, t, l) = (x_t - x_r) / l, so
that one pass is a step of any length, x_r = x_t - l u (Geng et al., 2025, https://arxiv.org/abs/2505.13447).
It is learned from v itself, followed over the step (`sampling.ode.average`), as Luhman and Luhman, 2021
(https://arxiv.org/abs/2101.02388) do over the whole way; Salimans and Ho, 2022
(https://arxiv.org/abs/2202.00512) halve the number of steps again and again instead.

Shapes: B batch, then any axes.
"""

import torch
from torch import Tensor, nn

from zeuxis.core.rng import Rng

MOST_STEPS = 4
"""The steps of 1, 2, ... so many even ones from noise to data are learned."""
PASSES = 4
"""Passes of the velocity over a step that is distilled."""
MEMORY = 0.1
"""Length of the average that a copy of a network is, as a share of the steps so far."""


def random_steps(rng: Rng) -> tuple[Tensor, Tensor]:
    """Time and length (B,) of one of the steps that are learned, all alike."""
    grids = range(1, MOST_STEPS + 1)
    steps = torch.tensor([(1 - i / n, 1 / n) for n in grids for i in range(n)])
    chosen_B2 = steps.to(rng.device, rng.dtype)[rng.integers("jump", len(steps))]
    return chosen_B2[:, 0], chosen_B2[:, 1]


def follow(copy: nn.Module, net: nn.Module, update: int) -> None:
    """Bring a copy's parameters, or buffers of their names, closer to the network's: a running average."""
    held, share = copy.state_dict(), 1 / max(1.0, MEMORY * (update + 1))
    copies = [held[key] for key, _ in net.named_parameters()]
    torch._foreach_lerp_(copies, list(net.parameters()), share)
