"""Output distributions of autoregressive models over the levels of a pixel's channels.

The channels of a pixel come one after another, each given the ones before, whatever the network that
says K raw numbers about the pixel.

Shapes: B batch, C channels, H height, W width, N any rows, K raw numbers of a pixel, L levels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.pixels import to_levels
from zeuxis.objectives.likelihood import mixture_log_p, mixture_nats, mixture_start


class Mixture(nn.Module):
    """A pixel's distribution as a mixture of discretised logistics.

    Args:
        channels: C.
        levels: L.
        components: logistics in the mixture.

    Attributes:
        start: raw numbers (K,) to begin with.
    """

    def __init__(self, channels: int, levels: int, components: int) -> None:
        super().__init__()
        self.channels, self.levels, self.components = channels, levels, components
        self.start = mixture_start(channels, components)

    def nats(self, image_BCHW: Tensor, raw_BKHW: Tensor) -> Tensor:
        """-log P of each pixel, (B, H, W)."""
        return mixture_nats(image_BCHW, raw_BKHW, self.components, self.levels)

    def log_p(self, known_BC: Tensor, raw_BK: Tensor, channel: int) -> Tensor:
        """Log-probabilities (B, L) of one channel's levels, given the earlier channels."""
        return mixture_log_p(raw_BK, known_BC, channel, self.channels, self.components, self.levels)


class Softmax(nn.Module):
    """A pixel's distribution as a softmax a channel, whose logits each earlier channel's level moves.

    Arguments and attributes as for `Mixture`, without components.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.channels, self.levels = channels, levels
        self.start = torch.zeros(channels * levels)
        pairs = channels * (channels - 1) // 2
        self.tables = nn.ModuleList(nn.Embedding(levels, levels) for _ in range(pairs))
        for table in self.tables.parameters():
            nn.init.zeros_(table)

    def nats(self, image_BCHW: Tensor, raw_BKHW: Tensor) -> Tensor:
        """-log P of each pixel, (B, H, W)."""
        level_NC = to_levels(image_BCHW, self.levels).movedim(1, -1).flatten(0, -2)
        raw_NK = raw_BKHW.movedim(1, -1).flatten(0, -2)
        nats_CN = [
            F.cross_entropy(self._logits(level_NC, raw_NK, c), level_NC[:, c], reduction="none")
            for c in range(self.channels)
        ]
        return torch.stack(nats_CN).sum(0).view_as(image_BCHW[:, 0])

    def log_p(self, known_BC: Tensor, raw_BK: Tensor, channel: int) -> Tensor:
        """Log-probabilities (B, L) of one channel's levels, given the earlier channels."""
        level_BC = to_levels(known_BC[:, :channel], self.levels)
        return self._logits(level_BC, raw_BK, channel).log_softmax(1)

    def _logits(self, level_NC: Tensor, raw_NK: Tensor, channel: int) -> Tensor:
        logits_NL = raw_NK[:, channel * self.levels : (channel + 1) * self.levels]
        logits_NL = logits_NL.to(torch.promote_types(logits_NL.dtype, torch.float32))
        for earlier in range(channel):
            table = self.tables[channel * (channel - 1) // 2 + earlier]
            logits_NL = logits_NL + table(level_NC[:, earlier])
        return logits_NL
