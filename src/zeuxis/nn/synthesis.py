"""The synthesis network of StyleGAN2 (Karras et al., 2020, https://arxiv.org/abs/1912.04958).

Shapes: B batch, C channels, H height, W width, L layers, Z style.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zeuxis.nn import modulated
from zeuxis.nn.wrapping import Double

CALM = 0.1
"""Learning rate of the strengths of the noise, relative to the rest: learned as fast as shapes, it stands in
for them."""


class Synthesis(nn.Module):
    """w of each layer (B, L, Z), noise of each layer -> (B, C, H, W), not bounded: g of the paper.

    Between grids a convolution on the coarser one, then bilinear upsampling: the filter [1, 3, 3, 1],
    which leaves no checkerboard. The image is upsampled the same way, and every grid adds to it.

    Args:
        channels: C.
        grids: height and width of each grid, finest first.
        widths: channels of each grid, finest first.
        sizes: height and width of the noise of each layer, coarsest first.
        style: Z.
    """

    def __init__(
        self,
        channels: int,
        grids: Sequence[tuple[int, int]],
        widths: Sequence[int],
        sizes: Sequence[tuple[int, int]],
        style: int,
    ) -> None:
        super().__init__()
        self.grids, widths, self.sizes = grids[::-1], widths[::-1], sizes
        self.start = nn.Parameter(torch.randn(1, widths[0], *self.grids[0]))
        pairs = [(widths[0], widths[0])]
        for coarse, fine in itertools.pairwise(widths):
            pairs += [(coarse, fine), (fine, fine)]
        pairs = pairs[: len(self.sizes)]
        self.convs = nn.ModuleList(modulated.ModulatedConv(a, b, style) for a, b in pairs)
        self.colours = nn.ModuleList(modulated.ToColour(a, channels, style) for a in widths)
        self.strength = nn.Parameter(torch.zeros(len(self.sizes)))
        self.up = Double()

    def forward(self, w_BLZ: Tensor, noise: list[Tensor]) -> Tensor:
        """Generate each image."""
        x = self.start.expand(w_BLZ.shape[0], -1, -1, -1)
        image: Tensor | None = None
        stage = 0
        for layer, (conv, grid) in enumerate(zip(self.convs, self.sizes, strict=True)):
            x = conv(x, w_BLZ[:, layer], modulated.GAIN)
            if layer % 2:
                x = self._up(x, grid)
            x = modulated.leaky(x + (noise[layer] * (CALM * self.strength[layer])).to(x.dtype))
            if layer % 2 == 0 or layer == len(self.sizes) - 1:
                colour_BCHW = self.colours[stage](x, w_BLZ[:, layer])
                image = colour_BCHW if image is None else self._up(image, grid) + colour_BCHW
                stage += 1
        assert image is not None
        return image

    def _up(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        x = self.up(x)
        return x if x.shape[2:] == grid else x[..., : grid[0], : grid[1]]  # slices cost a copy
