"""Blocks of residual GANs (Huang et al., 2024, https://arxiv.org/abs/2501.05441): no batch statistics.

Shapes: B batch, F features, H height, W width.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.norm import NormSiLU

SLOPE = 0.2
"""Of the leaky ReLU below zero."""


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


def conv(inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size, its outputs as large as its rectified inputs at first."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    deviation = math.sqrt(2 / (1 + SLOPE**2) / (inputs * kernel**2))
    nn.init.normal_(layer.weight, std=gain * deviation)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class Block(nn.Module):
    """x + conv(leaky(conv(leaky(x)))): the discriminator's, without a norm."""

    def __init__(self, width: int, gain: float = 0.0) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width, gain=gain)

    def forward(self, x_BFHW: Tensor) -> Tensor:
        """Same shape as `x_BFHW`."""
        return x_BFHW + self.second(leaky(self.first(leaky(x_BFHW))))


class StyledBlock(nn.Module):
    """x + conv(leaky(conv(silu(norm(x) * (1 + scale) + shift)))): the generator's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = NormSiLU(width)
        self.first, self.second = conv(width, width), conv(width, width, gain=0.0)

    def forward(self, x_BFHW: Tensor, scale_BF: Tensor, shift_BF: Tensor) -> Tensor:
        """Same shape as `x_BFHW`."""
        return x_BFHW + self.second(leaky(self.first(self.norm(x_BFHW, scale_BF, shift_BF))))
