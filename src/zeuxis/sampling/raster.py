"""Sampling value by value from an autoregressive model.

Shapes: B batch, C channels, H height, W width, L levels.
"""

from typing import Protocol

import torch
from torch import Tensor

from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.progress import Progress


class Stepper(Protocol):
    """At one place of a batch of unfinished images, in raster order, the channels innermost."""

    def log_p(self) -> Tensor:
        """Log-probabilities (B, L), float32 or better, of the next number, given all that were pushed."""

    def push(self, level_B: Tensor) -> None:
        """Fix the next number of each row, int64 in {0, ..., L - 1}, and move on."""


def drawn(log_p_BL: Tensor, uniform_B: Tensor) -> Tensor:
    """The level (B,) at which the cumulated probability passes `uniform_B`, in [0, 1).

    >>> drawn(torch.tensor([[0.5, 0.5]]).log().expand(2, -1), torch.tensor([0.4, 0.5])).tolist()
    [0, 1]
    """
    cumulated_BL = log_p_BL.softmax(1).cumsum(1)
    # the last sum may miss 1 in the last digits: it is the whole
    level_B = (cumulated_BL <= uniform_B[:, None] * cumulated_BL[:, -1:]).sum(1)
    return level_B.clamp(max=log_p_BL.shape[1] - 1)


@torch.no_grad()
def draw(
    stepper: Stepper,
    uniform_BHWC: Tensor,
    levels: int,
    temperature: float = 1.0,
    known: tuple[Tensor, Tensor] | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Images (B, C, H, W) in [-1, 1] whose numbers are each drawn at their uniform.

    Args:
        stepper: at the first number.
        uniform_BHWC: in [0, 1).
        levels: L.
        temperature: log-probabilities are divided by it.
        known: an image (B, C, H, W) and where it is open (B, 1, H, W): elsewhere its levels are forced.
        progress: told of each row.
    """
    b, height, width, channels = uniform_BHWC.shape
    device = uniform_BHWC.device
    level_BCHW = torch.zeros(b, channels, height, width, dtype=torch.int64, device=device)
    if known:
        level_BCHW = to_levels(known[0], levels)
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                level_B = drawn(stepper.log_p() / temperature, uniform_BHWC[:, i, j, c])
                if known:
                    level_B = torch.where(known[1][:, 0, i, j], level_B, level_BCHW[:, c, i, j])
                level_BCHW[:, c, i, j] = level_B
                stepper.push(level_B)
        if progress:
            progress(i + 1, height)
    return from_levels(level_BCHW, levels)
