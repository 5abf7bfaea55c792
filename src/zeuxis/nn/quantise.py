"""Quantisers: vectors on a grid to tokens, integers below `count`, and back.

Finite scalar quantisation (Mentzer et al., 2023, https://arxiv.org/abs/2309.15505, section 3.1): each
of D numbers is bounded to L_d values and rounded; the product of the L_d is the number of codes, and
there is no codebook that could collapse.

Vector quantisation (van den Oord et al., 2017, https://arxiv.org/abs/1711.00937, equations 1 to 3)
with few dimensions and unit vectors (Yu et al., 2021, https://arxiv.org/abs/2110.04627, section 3.2).
The codebook follows by moving averages (their appendix A.1), so the loss has a commitment term only,
|z - sg[code]|^2, which `beta` belongs to; public code long put it on the other term.

Gradients pass the rounding straight through (Bengio et al., 2013, https://arxiv.org/abs/1308.3432) or,
for unit vectors, by the rotation that carries the vector to its code (Fifty et al., 2024,
https://arxiv.org/abs/2410.06424, equation 4). All arithmetic is in float32.

Shapes: B batch, D numbers of a code, h, w grid, K codes, M vectors.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.rng import Rng
from zeuxis.nn.precision import full

MARGIN = 1e-3
"""FSQ's bound is wider by this share, which keeps the shift of two levels finite."""
FAINT = 1e-9
"""The sum of a code that is long dead is too short to have a direction; the code then stays."""
LLOYD = 10
"""Rounds of k-means."""
PER_CODE = 32
"""Most vectors for each code that k-means looks at."""


class Quantised(NamedTuple):
    """What a quantiser makes of vectors."""

    code_BDhw: Tensor
    """The codes, with a gradient to the vectors."""
    token_Bhw: Tensor
    """Their numbers, int64."""
    commitment_B: Tensor
    """Squared distance of vector and code, mean over the grid; 0 for FSQ, which needs none."""


class FSQ(nn.Module):
    """Rounds each number of a vector to one of `levels[d]` values in [-1, 1].

    Args:
        levels: L, at least 2 each, e.g. (8, 6, 5) for 240 codes.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.size, self.count = len(levels), math.prod(levels)
        below = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor(below), persistent=False)

    def forward(self, z_BDhw: Tensor) -> Quantised:
        """Codes of unbounded vectors."""
        z_BDhw = full(z_BDhw)
        bound_BDhw = self._bound(z_BDhw)
        digit_BDhw = bound_BDhw.detach().round()
        # The bounded value plus what is missing, cut off from the gradient: exact only up to rounding,
        # so the code's value is taken from the digit itself.
        code_BDhw = _replace(bound_BDhw / self._half(), digit_BDhw / self._half())
        return Quantised(code_BDhw, self._token(digit_BDhw), z_BDhw.new_zeros(z_BDhw.shape[0]))

    def codes(self, token_Bhw: Tensor) -> Tensor:
        """(B, h, w) int64 -> (B, D, h, w) in [-1, 1]."""
        digit_BDhw = token_Bhw[:, None] // _column(self.basis) % _column(self.levels)
        half = self._half()
        return (digit_BDhw - half).to(torch.get_default_dtype()) / half

    def tokens(self, code_BDhw: Tensor) -> Tensor:
        """The token of the nearest code, (B, h, w) int64."""
        half, most = self._half(), _column(self.levels) - 1
        digit_BDhw = (full(code_BDhw) * half).round()
        return self._token(torch.minimum(torch.maximum(digit_BDhw, -half), most - half))

    def _half(self) -> Tensor:
        """Whole number between the middle digit and the lowest, (D, 1, 1)."""
        return _column(self.levels // 2)

    def _bound(self, z_BDhw: Tensor) -> Tensor:
        """Z in the open interval whose rounding has L values; for an even L it lies aside of 0."""
        levels = _column(self.levels).to(z_BDhw.dtype)
        reach = (levels - 1) * (1 + MARGIN) / 2
        aside = (1 - levels % 2) / 2
        return torch.tanh(z_BDhw + torch.atanh(aside / reach)) * reach - aside

    def _token(self, digit_BDhw: Tensor) -> Tensor:
        return ((digit_BDhw.long() + self._half()) * _column(self.basis)).sum(1)


class VQ(nn.Module):
    """Replaces each vector, scaled to length 1, by the nearest of K codes of length 1.

    The codebook is a buffer: `follow` moves it, `forward` never does.

    Args:
        size: D.
        count: K.
        decay: memory of the moving averages.
        dead: a code used less than this share of its fair share 1 / K is born anew.
        rotation: whether gradients are rotated; else they pass straight through.
    """

    codebook_KD: Tensor
    share_K: Tensor
    sum_KD: Tensor

    def __init__(
        self,
        size: int,
        count: int,
        decay: float = 0.99,
        dead: float = 0.03,
        rotation: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.count = size, count
        self.decay, self.dead, self.rotation = decay, dead, rotation
        codebook_KD = F.normalize(torch.randn(count, size), dim=1)
        self.register_buffer("codebook_KD", codebook_KD)
        self.register_buffer("share_K", torch.full((count,), 1 / count))
        self.register_buffer("sum_KD", codebook_KD / count)

    def forward(self, z_BDhw: Tensor) -> Quantised:
        """Codes of vectors of any length but 0."""
        e_BDhw = self.unit(z_BDhw)
        token_Bhw = self._nearest(e_BDhw.detach())
        code_BDhw = self.codes(token_Bhw)
        commitment_B = (e_BDhw - code_BDhw).square().sum(1).flatten(1).mean(1)
        carry = rotate if self.rotation else _replace
        return Quantised(carry(e_BDhw, code_BDhw), token_Bhw, commitment_B)

    def codes(self, token_Bhw: Tensor) -> Tensor:
        """(B, h, w) int64 -> (B, D, h, w) of length 1."""
        return self.codebook_KD[token_Bhw].movedim(-1, 1)

    def tokens(self, code_BDhw: Tensor) -> Tensor:
        """The token of the nearest code, (B, h, w) int64."""
        return self._nearest(self.unit(code_BDhw))

    @staticmethod
    def unit(z_BDhw: Tensor) -> Tensor:
        """Vectors of length 1."""
        return F.normalize(full(z_BDhw), dim=1)

    def sums(self, z_BDhw: Tensor, token_Bhw: Tensor) -> Tensor:
        """Sum of the vectors of each code over the number of all vectors, (K, D)."""
        vector_MD = self.unit(z_BDhw.detach()).movedim(1, -1).reshape(-1, self.size)
        zero_KD = vector_MD.new_zeros(self.count, self.size)
        return zero_KD.index_add(0, token_Bhw.flatten(), vector_MD) / len(vector_MD)

    @torch.no_grad()
    def follow(self, share_K: Tensor, sum_KD: Tensor, rng: Rng) -> None:
        """One step of the moving averages, then new places for dead codes.

        A dead code splits the code that is used most (Linde, Buzo and Gray, 1980): it takes half of
        its use, a little beside it. So nothing but averages is needed, and all processes agree.
        """
        self.share_K.lerp_(share_K.to(self.share_K.dtype), 1 - self.decay)
        self.sum_KD.lerp_(sum_KD.to(self.sum_KD.dtype), 1 - self.decay)
        least = self.dead / self.count
        dead = self.share_K < least
        order = self.share_K.argsort(descending=True, stable=True)
        donors = order[: int(dead.sum())]
        donors = donors[self.share_K[donors] > 4 * least]
        born = dead.nonzero().flatten()[: len(donors)]
        if len(born):
            noise_KD = rng.shared("revive", self.count, self.size)[born] - 0.5
            beside = F.normalize(self.sum_KD[donors], dim=1) + noise_KD / math.sqrt(self.size)
            self.share_K[donors] /= 2
            self.sum_KD[donors] /= 2
            self.share_K[born] = self.share_K[donors]
            length = self.sum_KD[donors].norm(dim=1, keepdim=True)
            self.sum_KD[born] = F.normalize(beside, dim=1) * length
        known_K1 = self.sum_KD.norm(dim=1, keepdim=True) > FAINT
        self.codebook_KD.copy_(
            torch.where(known_K1, F.normalize(self.sum_KD, dim=1), self.codebook_KD)
        )

    @torch.no_grad()
    def begin(self, vector_MD: Tensor, rng: Rng) -> None:
        """Codes by k-means on vectors (spherical, Dhillon and Modha, 2001)."""
        chosen = rng.shared("vectors", len(vector_MD)).argsort(stable=True)
        vector_MD = F.normalize(full(vector_MD[chosen[: PER_CODE * self.count]]), dim=1)
        # Equal vectors (a plain background) would be equal codes: distinct ones are drawn first.
        distinct_MD = torch.unique(vector_MD, dim=0)
        first = rng.shared("codes", len(distinct_MD)).argsort(stable=True)[: self.count]
        self.codebook_KD[: len(first)] = distinct_MD[first].to(self.codebook_KD.dtype)
        for _ in range(LLOYD):
            token_M = self._nearest(vector_MD[..., None, None]).flatten()
            sum_KD = self.sums(vector_MD[..., None, None], token_M)
            share_K = histogram(token_M, self.count)
            used_K1 = share_K[:, None] > 0
            self.codebook_KD.copy_(
                torch.where(used_K1, F.normalize(sum_KD, dim=1), self.codebook_KD)
            )
        self.share_K.copy_(share_K)
        self.sum_KD.copy_(torch.where(used_K1, sum_KD, 1e-4 / self.count * self.codebook_KD))

    def _nearest(self, e_BDhw: Tensor) -> Tensor:
        """Of unit vectors the nearest code is the one with the largest product."""
        product = e_BDhw.movedim(1, -1) @ self.codebook_KD.t()
        return product.argmax(-1)


def rotate(e_BDhw: Tensor, code_BDhw: Tensor) -> Tensor:
    """The codes, as the fixed rotation of unit vectors e that carries each to its code.

    With r = (e + code) / |e + code|: R x = x - 2 (r . x) r + 2 (e . x) code. The gradient keeps its
    angle to e, so that vectors of one cell are not all pulled the same way.
    """
    fixed_BDhw, code_BDhw = e_BDhw.detach(), code_BDhw.detach()
    r_BDhw = F.normalize(fixed_BDhw + code_BDhw, dim=1)
    along_r = (r_BDhw * e_BDhw).sum(1, keepdim=True)
    along_e = (fixed_BDhw * e_BDhw).sum(1, keepdim=True)
    return _replace(e_BDhw - 2 * along_r * r_BDhw + 2 * along_e * code_BDhw, code_BDhw)


def histogram(token: Tensor, count: int) -> Tensor:
    """Share of each code among tokens of any shape, (K,), sum 1."""
    return torch.bincount(token.flatten(), minlength=count).to(torch.get_default_dtype()) / (
        token.numel()
    )


def usage(share_K: Tensor, least: float = 0.01) -> Tensor:
    """Share of codes that are in use: more often than `least` of what would be their fair share."""
    fair = share_K.sum() / len(share_K)
    return (share_K > least * fair).to(share_K.dtype).mean()


def perplexity(share_K: Tensor) -> Tensor:
    """Exponential of the entropy: so many codes, all used alike, would carry as much."""
    total = share_K.sum().clamp(min=torch.finfo(share_K.dtype).tiny)
    return torch.special.entr(share_K / total).sum().exp()


def summary(token: Tensor, count: int) -> Mapping[str, float]:
    """Usage (share of codes that occur at all) and perplexity of a set's tokens."""
    share_K = histogram(token, count)
    return {"usage": usage(share_K, 0.0).item(), "perplexity": perplexity(share_K).item()}


def _replace(carrier: Tensor, value: Tensor) -> Tensor:
    """Exactly `value`, with the gradient of `carrier`."""
    return _Replace.apply(carrier, value)


class _Replace(torch.autograd.Function):
    """x + sg[value - x] without its rounding errors: decoding tokens gives the same bits."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, carrier: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _column(x_D: Tensor) -> Tensor:
    """(D,) -> (D, 1, 1), beside a grid."""
    return x_D[:, None, None]
