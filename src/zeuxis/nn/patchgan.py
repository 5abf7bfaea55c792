"""Discriminator of patches (PatchGAN; Isola et al., 2017, https://arxiv.org/abs/1611.07004, section 3.2.2).

Shapes: B batch, K planes, H height, W width, h, w patches along them.
"""

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.precision import full
from zeuxis.nn.towers import pad_edge

SLOPE = 0.2
"""Of the leaky ReLU below zero."""


class PatchDiscriminator(nn.Module):
    """(B, K, H, W) -> logits (B, 1, h, w), each of a patch of some 34 pixels a side.

    Args:
        planes: K, those of a source appended to an image's channels where it judges pairs.
        width: features after the first convolution; each of three halves the sides and doubles them.
    """

    def __init__(self, planes: int, width: int) -> None:
        super().__init__()
        widths = [planes, *(width * 2**i for i in range(3))]
        self.falls = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.verdict = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x_BKHW: Tensor) -> Tensor:
        """Look at each patch."""
        x = x_BKHW
        for fall in self.falls:
            x = F.leaky_relu(fall(pad_edge(x, x.shape[2] % 2, x.shape[3] % 2)), SLOPE)
        return full(self.verdict(x))
