"""Residual encoder and decoder between an image and a coarse grid of features, for autoencoders.

Each change of resolution is a space-to-channel move with a shortcut around its convolution, which
averages (down) or repeats (up) channels (DC-AE, Chen et al., 2024, https://arxiv.org/abs/2410.10733,
figure 4). Both ways around are linear, so their sum is one convolution: here the shortcut is part of
that convolution's initial weight, and costs nothing. Blocks start as the identity, so that a new tower
is linear from end to end and the image gets through from the first step on.

A side that the factor patch * 2^(levels - 1) does not divide is padded with its edge; `UpTower` cuts
the result off again. There is no normalisation over a batch.

Shapes: B batch, C channels, H height, W width, F features of the coarsest grid, h, w its sides,
E numbers of an optional embedding that modulates every block.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.norm import NormSiLU
from zeuxis.nn.resample import Rise, pixel_shuffle


def factor(levels: int, patch: int) -> int:
    """Pixels along each side for one point of the coarsest grid.

    >>> factor(levels=3, patch=2)
    8
    """
    return patch * 2 ** (levels - 1)


def sizes(height: int, width: int, levels: int, patch: int) -> list[tuple[int, int]]:
    """Height and width of each grid, finest first; all of them fit the padded image.

    >>> sizes(28, 21, levels=3, patch=2)
    [(16, 12), (8, 6), (4, 3)]
    """
    scale = factor(levels, patch)
    h, w = -(-height // scale), -(-width // scale)
    return [(h * 2**i, w * 2**i) for i in reversed(range(levels))]


class Block(nn.Module):
    """x + conv(silu(conv(silu(norm(x) * (1 + scale) + shift)))); at first the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = NormSiLU(features)
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor, scale_BC: Tensor, shift_BC: Tensor) -> Tensor:
        """Same shape as `x_BCHW`."""
        h_BCHW = self.first(self.norm(x_BCHW, scale_BC, shift_BC))
        return x_BCHW + self.second(F.silu(h_BCHW))


class Stack(nn.Module):
    """Blocks of one resolution after another, and what modulates all of them."""

    def __init__(self, widths: Sequence[int], blocks: int, given: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.ModuleList(Block(width) for _ in range(blocks)) for width in widths
        )
        self.split = [width for width in widths for _ in range(2 * blocks)]
        self.affine = nn.Parameter(torch.zeros(sum(self.split)))
        self.modulate = nn.Linear(given, sum(self.split), bias=False) if given else None
        if self.modulate is not None:
            nn.init.zeros_(self.modulate.weight)

    def modulation(self, rows: int, given_BE: Tensor | None) -> list[Tensor]:
        """Scale and shift (B, C) of each block in turn."""
        both = self.affine.expand(rows, -1)
        if self.modulate is not None:
            assert given_BE is not None, "this tower was built to be modulated"
            both = both + self.modulate(given_BE)
        return list(both.split(self.split, 1))

    def run(self, level: int, x_BCHW: Tensor, modulation: list[Tensor]) -> Tensor:
        """The blocks of one level."""
        blocks = self.levels[level]
        assert isinstance(blocks, nn.ModuleList)
        start = 2 * level * len(blocks)
        for i, block in enumerate(blocks):
            x_BCHW = block(x_BCHW, *modulation[start + 2 * i : start + 2 * i + 2])
        return x_BCHW


class DownTower(nn.Module):
    """(B, C, H, W) -> (B, F, h, w).

    Args:
        channels_in: C.
        widths: features of each grid, finest first; multiples of 32 are fastest, the last is F.
        blocks: residual blocks of each grid.
        patch: pixels along each side that the finest grid sees as one point.
        given: E, numbers that modulate each block; 0 for none.
    """

    def __init__(
        self,
        channels_in: int,
        widths: Sequence[int],
        blocks: int,
        patch: int,
        given: int = 0,
    ) -> None:
        super().__init__()
        self.patch, self.factor = patch, factor(len(widths), patch)
        self.stem = nn.Conv2d(channels_in * patch**2, widths[0], 3, padding=1)
        self.stack = Stack(widths, blocks, given)
        self.shrink = nn.ModuleList(
            shrinking(fine, coarse) for fine, coarse in itertools.pairwise(widths)
        )

    def forward(self, image_BCHW: Tensor, given_BE: Tensor | None = None) -> Tensor:
        """Features of the coarsest grid."""
        return self.features(image_BCHW, given_BE)[-1]

    def features(self, image_BCHW: Tensor, given_BE: Tensor | None = None) -> list[Tensor]:
        """Features of every grid, finest first."""
        h, w = image_BCHW.shape[2:]
        x = pad_edge(image_BCHW, -h % self.factor, -w % self.factor)
        modulation = self.stack.modulation(x.shape[0], given_BE)
        x = self.stem(F.pixel_unshuffle(x, self.patch))
        found = []
        for level in range(len(self.stack.levels)):
            x = self.shrink[level - 1](x) if level else x
            x = self.stack.run(level, x, modulation)
            found.append(x)
        return found


class UpTower(nn.Module):
    """(B, F, h, w) -> (B, C, H, W), not bounded.

    Args:
        channels_out: C.
        widths: features of each grid, finest first, as of the `DownTower` that it mirrors.
        blocks: residual blocks of each grid.
        patch: pixels along each side that the finest grid makes of one point.
        given: E, numbers that modulate each block; 0 for none.
    """

    def __init__(
        self,
        channels_out: int,
        widths: Sequence[int],
        blocks: int,
        patch: int,
        given: int = 0,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.stack = Stack(widths, blocks, given)
        self.grow = nn.ModuleList(
            growing(coarse, fine) for fine, coarse in itertools.pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], channels_out * patch**2, 3, padding=1)

    def forward(
        self,
        x_BFhw: Tensor,
        size: tuple[int, int],
        given_BE: Tensor | None = None,
        skips: Sequence[Tensor] = (),
    ) -> Tensor:
        """Images of `size` (height, width); what was padded is cut off.

        Args:
            x_BFhw: features of the coarsest grid.
            size: height and width of the images.
            given_BE: what modulates the blocks, if the tower was built for it.
            skips: features to be added to those of each grid but the coarsest, finest first.
        """
        modulation = self.stack.modulation(x_BFhw.shape[0], given_BE)
        x = x_BFhw
        for level in reversed(range(len(self.stack.levels))):
            if level < len(self.grow):
                x = self.grow[level](x)
                x = x + skips[level] if skips else x
            x = self.stack.run(level, x, modulation)
        return pixel_shuffle(self.head(x), self.patch)[..., : size[0], : size[1]]


def averaging(inputs: int, outputs: int) -> Tensor:
    """(outputs, inputs): each output is the mean of its share of the inputs, neighbours together.

    >>> averaging(4, 2).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    return F.adaptive_avg_pool1d(torch.eye(inputs)[None], outputs)[0].t().contiguous()


@torch.no_grad()
def shrinking(fine: int, coarse: int) -> nn.Conv2d:
    """Half the side, `coarse` channels; at first close to the mean of what is merged."""
    layer = nn.Conv2d(fine, coarse, 2, stride=2)
    layer.weight.add_(averaging(4 * fine, coarse).view(coarse, fine, 2, 2))
    return layer


@torch.no_grad()
def growing(coarse: int, fine: int) -> Rise:
    """Twice the side, `fine` channels; at first close to a copy of what is there."""
    layer = Rise(coarse, fine)
    copies = averaging(4 * fine, coarse).t() * (4 * fine / coarse)
    layer.weight.add_(copies[..., None, None])
    return layer


def pad_edge(image_BCHW: Tensor, down: int, right: int) -> Tensor:
    """Repeat the last row `down` times and the last column `right` times."""
    return F.pad(image_BCHW, (0, right, 0, down), mode="replicate") if down or right else image_BCHW
