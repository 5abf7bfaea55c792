"""The strided networks of DCGAN (Radford et al., 2015, https://arxiv.org/abs/1511.06434).

4x4 convolutions of stride 2 down, transposed ones up. Where DCGAN has batch norm, these have a norm
over each row (group norm with one group): batch norm would couple the rows of a batch, and then
micro-batches and processes would not average to the whole batch. Odd sides are rounded up.

Shapes: B batch, C channels, F features, H height, W width, Z inputs.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.precision import full


class StridedUp(nn.Module):
    """(B, Z) -> (B, C, H, W) in [-1, 1].

    Args:
        inputs: Z.
        widths: features of each grid, coarsest first.
        sizes: height and width of each grid, coarsest first, then those of the image.
        channels: C.
    """

    def __init__(
        self, inputs: int, widths: list[int], sizes: list[tuple[int, int]], channels: int
    ) -> None:
        super().__init__()
        self.shape, self.sizes = (widths[0], *sizes[0]), sizes[1:]
        self.stem = nn.Linear(inputs, math.prod(self.shape))
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in widths)
        self.rises = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1)
            for a, b in zip(widths, [*widths[1:], channels], strict=True)
        )

    def forward(self, z_BZ: Tensor) -> Tensor:
        """The images, without bounds."""
        x = self.stem(z_BZ).unflatten(1, self.shape).contiguous(memory_format=torch.channels_last)
        for norm, rise, (height, width) in zip(self.norms, self.rises, self.sizes, strict=True):
            x = rise(F.relu(norm(x)))[..., :height, :width]
        return full(x).tanh()


class StridedDown(nn.Module):
    """(B, C, H, W) -> (B, F, h, w), not rectified.

    Args:
        channels: C.
        widths: features of each grid, finest first; the last is F.
        slope: of the leaky ReLU below zero.
    """

    def __init__(self, channels: int, widths: list[int], slope: float = 0.2) -> None:
        super().__init__()
        self.slope = slope
        self.falls = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1)
            for a, b in zip([channels, *widths[:-1]], widths, strict=True)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in widths[1:-1])

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Look at each image. As in DCGAN the first and the last convolution are not normalised."""
        x = image_BCHW
        for i, fall in enumerate(self.falls):
            if i > 1:
                x = self.norms[i - 2](x)
            x = F.leaky_relu(x, self.slope) if i else x
            x = fall(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)))
        return x
