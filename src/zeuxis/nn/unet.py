"""A U-Net whose normalisations are modulated by time and by what it is told, and which attends to captions.

Skips are added, not concatenated, and every norm's scale and shift come from one product.

Shapes: B batch, C channels, H height, W width, E embedding.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.abilities import Batch
from zeuxis.nn.condition import Conditioner, Told
from zeuxis.nn.norm import NormSiLU
from zeuxis.nn.resample import pixel_shuffle
from zeuxis.nn.text import CrossAttention

SLOWER = 1 / 64
"""Lengths are few and far apart: their waves are so much slower than those of the time."""


class Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), or without the inner norm; at first the identity."""

    def __init__(self, channels: int, norms: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(NormSiLU(channels) for _ in range(norms))
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        _silence(self.conv2)

    def forward(self, x_BCHW: Tensor, modulation: list[Tensor]) -> Tensor:
        """Same shape; `modulation` is scale and shift of each norm, each (B, C)."""
        h_BCHW = self.conv1(self.norms[0](x_BCHW, *modulation[:2]))
        inner = modulation[2:]
        h_BCHW = self.norms[1](h_BCHW, *inner) if inner else F.silu(h_BCHW)
        return x_BCHW + self.conv2(h_BCHW)


class Level(nn.Module):
    """The blocks of one resolution."""

    def __init__(self, channels: int, blocks: int, norms: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels, norms) for _ in range(blocks))

    def forward(self, x_BCHW: Tensor, modulation: Iterator[list[Tensor]]) -> Tensor:
        """Same shape; takes one item of `modulation` a block."""
        for block in self.blocks:
            x_BCHW = block(x_BCHW, next(modulation))
        return x_BCHW


class UNet(nn.Module):
    """(B, C, H, W), time (B,), what it is told, maybe length (B,) -> (B, C, H, W), zero at first.

    Args:
        channels: C, of what comes in and goes out.
        label: makes features of what it is told, of size E; None if it is told nothing.
        widths: channels of each level, finest first; each level halves the sides.
        blocks: residual blocks a level, on the way down and again on the way up.
        norms: norms in a block: 1, before its first convolution, or 2, before each.
        embedding: size E of the embedding of time and of what it is told.
        patch: pixels a side that become one position of the finest level.
        given: planes K that it is shown beside what it answers for, of the same size.
        attend: levels that attend to captions.
        lengths: whether it is told the length of the interval that it answers for; at first it has no effect.
    """

    frequency_E: Tensor

    def __init__(
        self,
        channels: int,
        label: Conditioner | None,
        widths: Sequence[int],
        blocks: int,
        norms: int,
        embedding: int,
        patch: int,
        lengths: bool = False,
        given: int = 0,
        attend: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.patch = patch
        self.multiple = patch * 2 ** (len(widths) - 1)
        inside, e = channels * patch**2, embedding
        self.label = label if label is not None else Conditioner((), e)
        given += self.label.shape[0] if self.label.shape else 0
        self.stem = nn.Conv2d(inside + given * patch**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Level(width, blocks, norms) for width in widths)
        self.up = nn.ModuleList(Level(width, blocks, norms) for width in widths[:-1])
        pairs = list(itertools.pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 1) for fine, coarse in pairs)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.cross = nn.ModuleDict(
            {
                f"{way}{level}": CrossAttention(widths[level])
                for way, levels in (("down", len(widths)), ("up", len(widths) - 1))
                for level in attend
                if level < levels
            }
        )
        self.norm = NormSiLU(widths[0])
        self.head = nn.Conv2d(widths[0], inside, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(e, e), nn.SiLU(), nn.Linear(e, e))
        path = (*widths, *reversed(widths[:-1]))
        self.sizes = [[width] * 2 * norms for width in path for _ in range(blocks)]
        self.sizes.append([widths[0]] * 2)
        self.modulate = nn.Linear(e, sum(map(sum, self.sizes)))
        _silence(self.head)
        _silence(self.modulate)
        self.length = None
        if lengths:
            last = nn.Linear(e, e)
            self.length = nn.Sequential(nn.Linear(2 * e, e), nn.SiLU(), last)
            _silence(last)
        steps = torch.arange(e // 2) / (e // 2)
        self.register_buffer(
            "frequency_E", 1000 * torch.exp(-math.log(1e4) * steps), persistent=False
        )

    def told(self, given: Batch) -> Told | None:
        """What `forward` is told of a condition; None where there is none."""
        return self.label(given) if given else None

    def forward(
        self,
        x_BCHW: Tensor,
        time_B: Tensor,
        told: Told | None = None,
        length_B: Tensor | None = None,
        given_BKHW: Tensor | None = None,
    ) -> Tensor:
        """The velocity, or its mean over `length_B`; `told` is of the condition."""
        h, w = x_BCHW.shape[2:]
        x = x_BCHW if given_BKHW is None else torch.cat([x_BCHW, given_BKHW], 1)
        if told and told.picture_BCHW is not None:
            picture_BCHW = F.interpolate(told.picture_BCHW.to(x.dtype), (h, w), mode="bilinear")
            x = torch.cat([x, picture_BCHW], 1).contiguous(memory_format=torch.channels_last)
        x = F.pad(x, (0, -w % self.multiple, 0, -h % self.multiple))
        modulation = iter(self._modulation(time_B, told, length_B))
        x = self.stem(F.pixel_unshuffle(x, self.patch))
        skips = []
        for i, level in enumerate(self.down):
            x = self._attended(f"down{i}", level(x, modulation), told)
            if i < len(self.shrink):
                skips.append(x)
                x = self.shrink[i](F.avg_pool2d(x, 2))
        for i in reversed(range(len(self.up))):
            x = F.interpolate(self.grow[i](x), scale_factor=2.0) + skips[i]
            x = self._attended(f"up{i}", self.up[i](x, modulation), told)
        x = self.head(self.norm(x, *next(modulation)))
        return pixel_shuffle(x, self.patch)[..., :h, :w]

    def _attended(self, name: str, x: Tensor, told: Told | None) -> Tensor:
        """With what the level of this name takes from captions, if there are any."""
        if told is None or name not in self.cross:
            return x
        out: Tensor = self.cross[name](x, told.token_BTD, told.real_BT)
        return out

    def _modulation(
        self, time_B: Tensor, told: Told | None, length_B: Tensor | None
    ) -> list[list[Tensor]]:
        """Scale and shift of every norm, from one product."""
        time_BE = self._waves(time_B)
        embedding_BE = self.time(time_BE)
        if self.length is not None and length_B is not None:
            both_BF = torch.cat([time_BE, self._waves(length_B * SLOWER)], dim=1)
            embedding_BE = embedding_BE + self.length(both_BF)
        if told is not None:
            embedding_BE = embedding_BE + told.vector_BE
        parts = iter(
            self.modulate(F.silu(embedding_BE)).split([*itertools.chain(*self.sizes)], dim=1)
        )
        return [[next(parts) for _ in sizes] for sizes in self.sizes]

    def _waves(self, number_B: Tensor) -> Tensor:
        angle = number_B[:, None] * self.frequency_E
        return torch.cat([angle.cos(), angle.sin()], dim=1)


def _silence(layer: nn.Conv2d | nn.Linear) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
