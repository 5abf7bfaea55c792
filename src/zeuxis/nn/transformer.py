"""A transformer whose positions see what a mask lets them see, all at once or one after another.

Vaswani et al., 2017, https://arxiv.org/abs/1706.03762, with the norm before each part (Xiong et al., 2020,
https://arxiv.org/abs/2002.04745) and with queries and keys of length sqrt(d) (Henry et al., 2020,
https://arxiv.org/abs/2010.04245). Each layer begins as the identity.

Shapes: R rows, N positions, M positions that are seen, D features, A heads, d features of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Matrix(nn.Linear):
    """A linear map without a bias, whose weights are a matrix that Muon is for."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)


class Cache:
    """Keys and values (R, A, N, d) of the positions so far, for each layer.

    Args:
        length: N, of a whole sequence.
    """

    def __init__(self, length: int) -> None:
        self.length, self.done = length, 0
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, layer: int, *pair: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of all positions so far, with those that come now."""
        if layer not in self._kept:
            rows, heads, _, size = pair[0].shape
            key, value = (x.new_zeros(rows, heads, self.length, size) for x in pair)
            self._kept[layer] = key, value
        end = self.done + pair[0].shape[2]
        for kept, new in zip(self._kept[layer], pair, strict=True):
            kept[:, :, self.done : end] = new
        key, value = self._kept[layer]
        return key[:, :, :end], value[:, :, :end]


class Transformer(nn.Module):
    """(R, N, D) and (R, N, M), True where a position sees another -> (R, N, D)."""

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        x_RND: Tensor,
        seen_RNM: Tensor,
        cache: Cache | None = None,
        kept_RLD: Tensor | None = None,
    ) -> Tensor:
        """With a cache, the N positions are the next ones, and M are all so far with them.

        Each position has to see at least one. `kept` scales what each part of each layer adds, two parts a
        layer: the same features are dropped at all positions (Gal and Ghahramani, 2016,
        https://arxiv.org/abs/1512.05287).
        """
        for number, layer in enumerate(self.layers):
            kept = None if kept_RLD is None else kept_RLD[:, 2 * number : 2 * number + 2, None]
            x_RND = layer(x_RND, seen_RNM[:, None], cache, number, kept)
        if cache is not None:
            cache.done += x_RND.shape[1]
        return self.norm(x_RND)


class Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = Matrix(width, 3 * width), Matrix(width, width)
        self.up, self.down = Matrix(width, 4 * width), Matrix(4 * width, width)
        for last in (self.out, self.down):
            nn.init.zeros_(last.weight)

    def forward(
        self,
        x_RND: Tensor,
        seen_R1NM: Tensor,
        cache: Cache | None,
        number: int,
        kept_R21D: Tensor | None,
    ) -> Tensor:
        """`number` is the layer's in the cache."""
        heads = self.qkv(self.norms[0](x_RND)).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        query, key = (_unit(each).to(value.dtype) for each in (query, key))
        if cache is not None:
            key, value = cache.add(number, key, value)
        # Written out: on a processor the fused one takes three times as long to differentiate.
        score = (query @ key.mT) * query.shape[-1] ** -0.5
        found = score.masked_fill(~seen_R1NM, -torch.inf).softmax(-1).to(value.dtype) @ value
        seen_RND = self.out(found.transpose(1, 2).flatten(2))
        x_RND = x_RND + (seen_RND if kept_R21D is None else seen_RND * kept_R21D[:, 0])
        made_RND = self.down(F.gelu(self.up(self.norms[1](x_RND))))
        return x_RND + (made_RND if kept_R21D is None else made_RND * kept_R21D[:, 1])


def _unit(x: Tensor) -> Tensor:
    """Vectors of length sqrt(d)."""
    return F.rms_norm(x, x.shape[-1:])


def before(rank_RN: Tensor, there_RN: Tensor) -> Tensor:
    """(R, N, N), True where a position sees another: those of a lower rank that are there, and itself."""
    lower_RNN = (rank_RN[:, None] < rank_RN[..., None]) & there_RN[:, None]
    itself_NN = torch.eye(rank_RN.shape[1], dtype=torch.bool, device=rank_RN.device)
    return lower_RNN | itself_NN
