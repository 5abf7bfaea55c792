"""How likely a pixel's level is under the densities that decoders put around it; in nats."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
