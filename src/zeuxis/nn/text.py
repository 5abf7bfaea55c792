"""A small transformer over the ids of a caption, and attention of pictures to it.

Vaswani et al., 2017, https://arxiv.org/abs/1706.03762, with the norm before each part (Xiong et al., 2020,
https://arxiv.org/abs/2002.04745).

Shapes: B batch, T ids of a caption, D features of an id, C channels, H height, W width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import sentences
from zeuxis.core.sentences import Sentences
from zeuxis.core.vocabulary import NO_CAPTION, PADDING, Vocabulary
from zeuxis.nn.norm import groups_of

WIDTH, LAYERS, HEADS = 128, 2, 4
POSITIONS = 64
"""Of levels that attend to captions, at most; the last level always does."""


def attending(height: int, width: int, patch: int, levels: int) -> list[int]:
    """Levels of a U-Net that attend to captions, by the size of images and of a position, in pixels."""
    small = [n for n in range(levels) if height * width <= POSITIONS * (patch << n) ** 2]
    return sorted({*small, levels - 1})


class TextEncoder(nn.Module):
    """(B, T) int64 -> features of the ids (B, T, D), which are no padding (B, T), their mean (B, D)."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.ids = nn.Embedding(vocabulary.size, WIDTH)
        self.place_TD = nn.Parameter(0.02 * torch.randn(vocabulary.length, WIDTH))
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        nn.init.normal_(self.ids.weight, std=0.02)

    def forward(self, text_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Every row has an id that is no padding."""
        real_BT = text_BT != PADDING
        x_BTD = self.ids(text_BT) + self.place_TD[: text_BT.shape[1]]
        for layer in self.layers:
            x_BTD = layer(x_BTD, real_BT)
        x_BTD = self.norm(x_BTD)
        share_BT1 = real_BT[..., None].to(x_BTD.dtype)
        return x_BTD, real_BT, (x_BTD * share_BT1).sum(1) / share_BT1.sum(1)


class SentenceEncoder(nn.Module):
    """The same of a frozen sentence vector, (B, E) of its levels: one feature vector for a whole caption."""

    def __init__(self) -> None:
        super().__init__()
        hidden = 2 * WIDTH
        self.net = nn.Sequential(
            nn.Linear(sentences.WIDTH, hidden), nn.SiLU(), nn.Linear(hidden, WIDTH)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.unknown_D = nn.Parameter(torch.randn(WIDTH))

    def forward(self, text_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """An unknown caption has a vector of its own."""
        known_B1 = text_BE[:, :1] != NO_CAPTION
        number_BE = torch.where(known_B1, sentences.numbers(text_BE), 0)
        x_BD = torch.where(known_B1, self.norm(self.net(number_BE)), self.unknown_D)
        return x_BD[:, None], torch.ones_like(known_B1), x_BD


def encoder(vocabulary: Vocabulary) -> TextEncoder | SentenceEncoder:
    """What reads captions as a vocabulary gives them."""
    return SentenceEncoder() if isinstance(vocabulary, Sentences) else TextEncoder(vocabulary)


class Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        """Same shape."""
        q, k, v = self.qkv(self.norms[0](x_BTD)).chunk(3, -1)
        x_BTD = x_BTD + self.out(attend(q, k, v, real_BT))
        out: Tensor = x_BTD + self.mlp(self.norms[1](x_BTD))
        return out


class CrossAttention(nn.Module):
    """Adds to each position of a picture what it takes from a caption; at first nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups_of(channels), channels)
        self.q, self.kv = nn.Linear(channels, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.out = nn.Linear(WIDTH, channels)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_BCHW: Tensor, token_BTD: Tensor, real_BT: Tensor) -> Tensor:
        """Same shape."""
        q_BPD = self.q(self.norm(x_BCHW).flatten(2).mT)
        k_BTD, v_BTD = self.kv(token_BTD).chunk(2, -1)
        found_BPD = attend(q_BPD, k_BTD, v_BTD, real_BT)
        added_BCHW = self.out(found_BPD).mT.reshape(x_BCHW.shape)
        return x_BCHW + added_BCHW.contiguous(memory_format=torch.channels_last)


def attend(q_BPD: Tensor, k_BTD: Tensor, v_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """Attention of several heads to the ids that are no padding, (B, P, D)."""
    q, k, v = (
        each.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
        for each in (q_BPD, k_BTD, v_BTD)
    )
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=real_BT[:, None, None])
    return found.transpose(1, 2).flatten(2)
