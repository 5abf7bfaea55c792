"""Log-likelihood of a pixel's level under densities that networks output, in nats.

Shapes: B batch, C channels, H height, W width, M components, L levels, K raw numbers of a pixel.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core.pixels import to_levels

FLATTEST = 7.0
"""The log scale of a mixture's component stays below this: by far wider than the range of pixels."""
NARROWEST = 1 / 32
"""The scale of a mixture's component stays above this share of a level's width: one level can then
hold all of the mass, to float32's last digits."""


def logistic_nats(
    image_BCHW: Tensor, mean_BCHW: Tensor, log_scale: Tensor, levels: int = 256
) -> Tensor:
    """-log P of each pixel's level under a logistic density integrated over the level's bin.

    The lowest bin reaches down to -infinity and the highest up to +infinity, so that the
    probabilities of all levels sum to 1. With s the logistic function, a < b the edges of the bin
    in units of the scale: s(b) - s(a) = s(b) s(-a) (1 - exp(a - b)), which has no cancellation.

    Args:
        image_BCHW: levels in [-1, 1], that is 2 level / (levels - 1) - 1.
        mean_BCHW: the density's centre, any real number.
        log_scale: log of its scale, broadcast to the image.
        levels: how many there are.
    """
    half = 1 / (levels - 1)
    inverse = torch.exp(-log_scale)
    below = (image_BCHW - mean_BCHW - half) * inverse
    above = (image_BCHW - mean_BCHW + half) * inverse
    width = torch.log(-torch.expm1(-2 * half * inverse))
    not_lowest, not_highest = image_BCHW > -1 + half, image_BCHW < 1 - half
    log_p = F.logsigmoid(above) * not_highest + F.logsigmoid(-below) * not_lowest
    return -(log_p + width * (not_lowest & not_highest))


def mixture_size(channels: int, components: int) -> int:
    """K, the raw numbers that describe a pixel to `mixture_nats` and `mixture_log_p`."""
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


def mixture_start(channels: int, components: int) -> Tensor:
    """Raw numbers (K,) to begin with: equal components, their means spread over the range."""
    start_K = torch.zeros(mixture_size(channels, components))
    mean_M = torch.linspace(-1, 1, components + 2)[1:-1]
    split = components * (1 + channels)
    start_K[components:split] = mean_M.repeat(channels)
    start_K[split : split + components * channels] = -math.log(2 * components)
    return start_K


def mixture_nats(
    image_BCHW: Tensor, raw_BKHW: Tensor, components: int, levels: int = 256
) -> Tensor:
    """-log P of each pixel, all its channels together: (B, H, W), float32 or better.

    A mixture of discretised logistics (Salimans et al., 2017, https://arxiv.org/abs/1701.05517,
    equations 1 to 3). The channels of a pixel share the component; its mean in channel c is

        mean_c + sum over j < c of tanh(coefficient_cj) value_j.

    Args:
        image_BCHW: levels in [-1, 1]; what lies between is rounded to the nearest.
        raw_BKHW: K = `mixture_size` numbers a pixel: logits, means, log scales, coefficients.
        components: M.
        levels: how many there are.
    """
    channels = image_BCHW.shape[1]
    raw = _Raw(raw_BKHW, channels, components)
    level_BCHW = to_levels(image_BCHW, levels).to(raw.logit.dtype)
    return -raw.joint(level_BCHW, channels, levels).logsumexp(1)


def mixture_log_p(
    raw_BK: Tensor,
    known_BC: Tensor,
    channel: int,
    channels: int,
    components: int,
    levels: int = 256,
) -> Tensor:
    """Log-probabilities (B, L) of every level of one channel, given the pixel's earlier ones.

    Their sum along the channels is -`mixture_nats`: a component that foretold the earlier channels
    well counts for more in this one.

    Args:
        raw_BK: K = `mixture_size` numbers a pixel.
        known_BC: levels in [-1, 1]; columns from `channel` on are not read.
        channel: which.
        channels: how many there are.
        components: M.
        levels: L.
    """
    raw = _Raw(raw_BK, channels, components)
    known_BC = to_levels(known_BC[:, :channel], levels).to(raw.logit.dtype)
    weight_BM = raw.joint(known_BC, channel, levels).log_softmax(1)
    mean_BM = raw.mean(known_BC, channel, levels)
    level_L = torch.arange(levels, device=raw_BK.device, dtype=weight_BM.dtype)
    log_p_BML = _log_p(level_L, mean_BM[..., None], raw.log_scales[channel][..., None], levels)
    return (weight_BM[..., None] + log_p_BML).logsumexp(1)


class _Raw:
    """The raw numbers of pixels by their meaning, each (B, M, ...)."""

    def __init__(self, raw: Tensor, channels: int, components: int) -> None:
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        self.logit, *rest = raw.split(components, 1)
        self.means, self.log_scales = rest[:channels], rest[channels : 2 * channels]
        pairs = [(c, j) for c in range(channels) for j in range(c)]
        self.coefficients = dict(zip(pairs, rest[2 * channels :], strict=True))

    def mean(self, level: Tensor, channel: int, levels: int) -> Tensor:
        """The components' means in `channel`, given the levels (B, C, ...) of the earlier ones."""
        mean = self.means[channel]
        for j in range(channel):
            value = level[:, j : j + 1] * (2 / (levels - 1)) - 1
            mean = mean + self.coefficients[channel, j].tanh() * value
        return mean

    def joint(self, level: Tensor, channels: int, levels: int) -> Tensor:
        """Log-probability of each component and of the first `channels` channels: (B, M, ...)."""
        log_p = self.logit.log_softmax(1)
        for c in range(channels):
            mean = self.mean(level, c, levels)
            log_p = log_p + _log_p(level[:, c : c + 1], mean, self.log_scales[c], levels)
        return log_p


def _log_p(level: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Log-probability of a level, as in `logistic_nats`.

    Edges are computed from whole levels, where neighbours share them to the last bit: the
    probabilities of all levels sum to 1 however narrow the density.
    """
    narrowest = math.log(2 * NARROWEST / (levels - 1))
    inverse = torch.exp(-log_scale.clamp(narrowest, FLATTEST)) * (2 / (levels - 1))
    centre = (mean + 1) * ((levels - 1) / 2)
    below, above = (level - 0.5 - centre) * inverse, (level + 0.5 - centre) * inverse
    not_lowest, not_highest = level > 0, level < levels - 1
    log_p = F.logsigmoid(above) * not_highest + F.logsigmoid(-below) * not_lowest
    return log_p + torch.log(-torch.expm1(-inverse)) * (not_lowest & not_highest)
