"""Networks without normalisation: nothing that is made depends on the rest of its batch or picture.

Shapes: B batch, K planes that come in, C channels that go out, H height, W width.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.precision import full
from zeuxis.nn.resample import PixelShuffle
from zeuxis.nn.towers import growing, pad_edge, shrinking


class Block(nn.Module):
    """Two convolutions around an identity; it starts as the identity, which keeps depth harmless."""

    def __init__(self, features: int, kernel: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(features, features, kernel, padding=kernel // 2)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return x + self.second(F.relu(self.first(F.relu(x)), inplace=True))


class PlainUNet(nn.Module):
    """(B, K, H, W) -> (B, C, H, W) for any size, zero at first, without norms and attention.

    Skips are added; that of full resolution is appended.

    Args:
        planes: K, of what comes in.
        channels: C, of what goes out.
        widths: channels of each level, finest first; each level halves the sides.
        blocks: residual blocks a level, on the way down and again on the way up.
        side: pixels a side of a position of the finest level.
        detail: channels of the skip at full resolution.
    """

    def __init__(
        self,
        planes: int,
        channels: int,
        widths: Sequence[int],
        blocks: int,
        side: int,
        detail: int,
    ) -> None:
        super().__init__()
        self.side, self.multiple = side, side * 2 ** (len(widths) - 1)
        pairs = list(itertools.pairwise(widths))
        self.stem = nn.Conv2d(planes * side**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_blocks(width, blocks) for width in widths)
        self.up = nn.ModuleList(_blocks(width, blocks) for width in widths[:-1])
        self.shrink = nn.ModuleList(shrinking(fine, coarse) for fine, coarse in pairs)
        self.grow = nn.ModuleList(growing(coarse, fine) for fine, coarse in pairs)
        self.rise = nn.Sequential(
            nn.ReLU(), nn.Conv2d(widths[0], detail * side**2, 1), PixelShuffle(side)
        )
        self.detail = nn.Conv2d(planes, detail, 3, padding=1)
        self.join = nn.Conv2d(2 * detail, detail, 3, padding=1)
        self.head = nn.Conv2d(detail, channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """Pixels from which on a source has no influence: convolutions, and the cells that halving joins."""
        scales = [self.side * 2**level for level in range(len(self.down))]
        blocks = sum(2 * len(both) * scale for both, scale in zip(self.down, scales, strict=True))  # type: ignore[arg-type]
        again = sum(2 * len(both) * scale for both, scale in zip(self.up, scales, strict=False))  # type: ignore[arg-type]
        return 3 + self.side + blocks + again + self.multiple

    def forward(self, source_BKHW: Tensor) -> Tensor:
        """What is added to the base; any size."""
        height, width = source_BKHW.shape[2:]
        source_BKHW = self._whole(source_BKHW)
        *skips, x = self._down(source_BKHW)
        for level in reversed(range(len(self.up))):
            x = self.up[level](self.grow[level](x) + skips[level])
        both = torch.cat([self.rise(x), self.detail(source_BKHW)], 1)
        return full(self.head(F.relu(self.join(F.relu(both)))))[..., :height, :width]

    def features(self, source_BKHW: Tensor) -> list[Tensor]:
        """Features (B, F, h, w) of each level on the way down, finest first."""
        return self._down(self._whole(source_BKHW))

    def _whole(self, source_BKHW: Tensor) -> Tensor:
        height, width = source_BKHW.shape[2:]
        return pad_edge(source_BKHW, -height % self.multiple, -width % self.multiple)

    def _down(self, source_BKHW: Tensor) -> list[Tensor]:
        x, found = self.stem(F.pixel_unshuffle(source_BKHW, self.side)), []
        for level, blocks in enumerate(self.down):
            x = blocks(self.shrink[level - 1](x) if level else x)
            found.append(x)
        return found


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))
