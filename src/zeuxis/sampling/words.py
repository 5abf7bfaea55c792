"""Which of the possible next tokens are drawn.

Shapes: B batch, V possible tokens.
"""

import math

import torch
from torch import Tensor

from zeuxis.sampling.raster import drawn


def chosen(
    log_p_BV: Tensor,
    uniform_B: Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> Tensor:
    """The token (B,) at which the cumulated probability of those that are left passes `uniform_B`.

    Args:
        log_p_BV: log-probabilities, -inf of what is impossible.
        uniform_B: in [0, 1).
        temperature: log-probabilities are divided by it; 0 takes the likeliest token.
        top_k: only so many of the likeliest are left; 0: all.
        top_p: only the likeliest that together have this probability are left (Holtzman et al., 2020,
            https://arxiv.org/abs/1904.09751, section 3.1).
        min_p: only those at least so many times as likely as the likeliest are left (Nguyen et al., 2024,
            https://arxiv.org/abs/2407.01082).
    """
    if temperature == 0:
        return log_p_BV.argmax(1)
    log_p_BV = (log_p_BV / temperature).log_softmax(1)
    sorted_BV, order_BV = log_p_BV.sort(dim=1, descending=True, stable=True)
    if top_k:
        sorted_BV[:, top_k:] = -math.inf
    if top_p < 1:
        p_BV = sorted_BV.softmax(1)
        sorted_BV[p_BV.cumsum(1) - p_BV >= top_p] = -math.inf
    if min_p:
        sorted_BV[sorted_BV < sorted_BV[:, :1] + math.log(min_p)] = -math.inf
    left_BV = torch.empty_like(log_p_BV).scatter_(1, order_BV, sorted_BV)
    return drawn(left_BV, uniform_B)
