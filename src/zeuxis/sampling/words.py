"""Which of the possible next tokens are drawn.

Shapes: B batch, V possible tokens.
"""

import math

import torch
from torch import Tensor

BITS = 24
"""Of a uniform number, in float32."""
STEP, MIXED = 0x9E3779B97F4A7C15, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Of SplitMix64 (Steele, Lea and Flood, 2014, https://doi.org/10.1145/2714064.2660195)."""


def chosen(
    log_p_BV: Tensor,
    uniform_B: Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> Tensor:
    """Tokens (B,), each by one uniform number.

    The token with the largest log p + g, where g is Gumbel's (Gumbel, 1954; Maddison et al., 2014,
    https://arxiv.org/abs/1411.0030). With the same number, distributions that are near mostly give the same
    token, whatever the tokens' order: so that pictures of one noise differ where their captions do.

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
    if top_k or top_p < 1 or min_p:
        log_p_BV = _cut(log_p_BV, top_k, top_p, min_p)
    return (log_p_BV + gumbel(uniform_B, log_p_BV.shape[1])).argmax(1)


def gumbel(uniform_B: Tensor, count: int) -> Tensor:
    """Gumbel's numbers (B, count) of one uniform number each, by a hash of it and their place."""
    bits_B = (uniform_B.double() * 2**BITS).long()
    place_V = torch.arange(count, device=uniform_B.device)
    x_BV = (bits_B[:, None] << 32) + place_V
    x_BV = x_BV * _signed(STEP)
    for shift, factor in zip((30, 27), MIXED, strict=True):
        x_BV = (x_BV ^ _shifted(x_BV, shift)) * _signed(factor)
    share_BV = (_shifted(x_BV ^ _shifted(x_BV, 31), 64 - BITS) + 0.5) / 2**BITS
    return -(-share_BV.log()).log()


def _cut(log_p_BV: Tensor, top_k: int, top_p: float, min_p: float) -> Tensor:
    """The same with -inf for those that are not left."""
    sorted_BV, order_BV = log_p_BV.sort(dim=1, descending=True, stable=True)
    if top_k:
        sorted_BV[:, top_k:] = -math.inf
    if top_p < 1:
        p_BV = sorted_BV.softmax(1)
        sorted_BV[p_BV.cumsum(1) - p_BV >= top_p] = -math.inf
    if min_p:
        sorted_BV[sorted_BV < sorted_BV[:, :1] + math.log(min_p)] = -math.inf
    return torch.empty_like(log_p_BV).scatter_(1, order_BV, sorted_BV)


def _signed(word: int) -> int:
    """64 bits as a signed number, whose products wrap."""
    return word - (1 << 64)


def _shifted(x: Tensor, places: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (x >> places) & ((1 << (64 - places)) - 1)
