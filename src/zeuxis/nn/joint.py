"""A transformer over texts and grids of integers, each predicted token by token, whichever comes first.

    text first     TEXT c_1 ... c_n  END x_1 ... x_P      p(c) p(x | c)
    image first    IMAGE x_1 ... x_P  TEXT c_1 ... c_n    p(x) p(c | x)

Both orders are one sequence under two masks: each token has its place whatever comes first.

Shapes: B batch, P tokens of an image, K of them different, T ids of a text, V of them different, D numbers
of a patch, E features, N positions.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.errors import Invalid
from zeuxis.core.sentences import Sentences
from zeuxis.core.vocabulary import NO_CAPTION, PADDING, Vocabulary
from zeuxis.nn.precision import full
from zeuxis.nn.transformer import Transformer, before

IMAGE, TEXT, END = range(3)
"""Marks: an image begins, a text begins, a text has ended and its image begins."""
SPREAD = 0.5
"""Standard deviation of embeddings at first."""


class Nats(NamedTuple):
    """Negative log-likelihoods (B,) of texts, their ends included, and of images."""

    text_B: Tensor
    image_B: Tensor


class Joint(nn.Module):
    """Both orders of both.

    Args:
        vocabulary: of texts, if there are any.
        cells: P.
        codes_KD: what each token of an image stands for.
        size: E.
        layers: of the transformer.
        heads: of each layer.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | None,
        cells: int,
        codes_KD: Tensor,
        size: int,
        layers: int,
        heads: int,
    ) -> None:
        super().__init__()
        if isinstance(vocabulary, Sentences):
            raise Invalid(
                "words are learned one by one here, not sentences; leave data.text at own"
            )
        self.length = vocabulary.length if vocabulary else 0
        self.marks, self.codes = nn.Embedding(3, size), nn.Embedding(codes_KD.shape[0], size)
        self.pixels = nn.Linear(codes_KD.shape[1], size, bias=False)
        self.places = nn.Embedding(self.length + cells + 2, size)
        self.layers = Transformer(size, layers, heads)
        self.image_head = nn.Linear(size, codes_KD.shape[0])
        if vocabulary:
            self.ids = nn.Embedding(vocabulary.size, size)
            self.text_head = nn.Linear(size, vocabulary.size)
            nn.init.zeros_(self.text_head.weight)
        nn.init.zeros_(self.image_head.weight)
        for module in self.children():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=SPREAD)

    def forward(
        self,
        text_BT: Tensor,
        token_BP: Tensor,
        codes_KD: Tensor,
        first_B: Tensor,
        vector_B1E: Tensor,
        kept_BLE: Tensor | None = None,
    ) -> Nats:
        """Of p(c) and p(x | c) where the text comes first, else of p(c | x) and p(x).

        Args:
            text_BT: ids, `PADDING` after their end; padding alone is no text.
            token_BP: of images.
            codes_KD: what they stand for.
            first_B: whether the text comes first.
            vector_B1E: added to all tokens where it does.
            kept_BLE: for dropout, as of `Transformer`.
        """
        text_BT = text_BT[:, : int(real(text_BT).sum(1).amax())] if self.length else text_BT
        text_BNE = self.texts(text_BT)
        x_BNE = torch.cat([text_BNE, self.images(token_BP, first_B & told(text_BT), codes_KD)], 1)
        x_BNE = x_BNE + first_B[:, None, None] * vector_B1E
        texts, place_N = text_BNE.shape[1], torch.arange(x_BNE.shape[1], device=text_BT.device)
        later_BN = first_B[:, None] == (place_N >= texts)
        there_BN = F.pad(there(text_BT), (0, token_BP.shape[1] + 1), value=True)
        seen_BNN = before(place_N + place_N.shape[0] * later_BN, there_BN)
        h_BNE = self.layers(x_BNE, seen_BNN, kept_RLD=kept_BLE)
        image_BPK = self.image_log_p(h_BNE[:, texts:-1])
        image_B = -image_BPK.gather(2, token_BP[..., None]).sum((1, 2))
        return Nats(self._text_nats(h_BNE[:, :texts], text_BT), image_B)

    def text_nats(self, text_BT: Tensor, vector_B1E: Tensor) -> Tensor:
        """Of p(c), (B,)."""
        x_BNE = self.texts(text_BT) + vector_B1E
        rank_N = torch.arange(x_BNE.shape[1], device=text_BT.device)
        h_BNE = self.layers(x_BNE, before(rank_N.expand(x_BNE.shape[:2]), there(text_BT)))
        return self._text_nats(h_BNE, text_BT)

    def texts(self, text_BT: Tensor) -> Tensor:
        """(B, 1 + T, E), the mark first; each predicts the id that follows."""
        mark_E = self.marks.weight[TEXT] + self.places.weight[0]
        mark_B1E = mark_E.expand(text_BT.shape[0], 1, -1)
        return torch.cat([mark_B1E, self.words(text_BT, 0)], 1) if text_BT.shape[1] else mark_B1E

    def words(self, text_BT: Tensor, start: int) -> Tensor:
        """(B, T, E) of ids from the place `start` on."""
        return self.ids(text_BT) + self.places.weight[start + 1 :][: text_BT.shape[1]]

    def images(self, token_BP: Tensor, after_text_B: Tensor, codes_KD: Tensor) -> Tensor:
        """(B, 1 + P, E), the mark first; each predicts the token that follows."""
        mark_BE = self.marks(torch.where(after_text_B, END, IMAGE))
        mark_B1E = (mark_BE + self.places.weight[self.length + 1])[:, None]
        return torch.cat([mark_B1E, self.patches(token_BP, 0, codes_KD)], 1)

    def patches(self, token_BP: Tensor, start: int, codes_KD: Tensor) -> Tensor:
        """(B, P, E) of tokens from the place `start` on."""
        places_PE = self.places.weight[self.length + 2 + start :][: token_BP.shape[1]]
        return self.codes(token_BP) + F.embedding(token_BP, self.pixels(codes_KD)) + places_PE

    def image_log_p(self, h: Tensor) -> Tensor:
        """Of the next token of an image, by (..., E)."""
        return full(self.image_head(h)).log_softmax(-1)

    def text_log_p(self, h: Tensor) -> Tensor:
        """Of the next id of a text; `PADDING` is the end, and `NO_CAPTION` none of a text's."""
        logits = full(self.text_head(h))
        never_V = torch.arange(logits.shape[-1], device=logits.device) == NO_CAPTION
        return logits.masked_fill(never_V, -torch.inf).log_softmax(-1)

    def _text_nats(self, h_BNE: Tensor, text_BT: Tensor) -> Tensor:
        if not self.length:
            return torch.zeros_like(full(h_BNE[:, 0, 0]))
        next_BN = F.pad(text_BT, (0, 1), value=PADDING)
        log_p_BN = self.text_log_p(h_BNE).gather(2, next_BN[..., None])[..., 0]
        return -(log_p_BN * there(text_BT)).sum(1)


def real(text_BT: Tensor) -> Tensor:
    """(B, T), which ids are no padding."""
    return text_BT != PADDING


def told(text_BT: Tensor) -> Tensor:
    """(B,), whether there is a text."""
    return real(text_BT).any(1)


def there(text_BT: Tensor) -> Tensor:
    """(B, 1 + T), which of a text's mark and ids there are."""
    return torch.cat([told(text_BT)[:, None], real(text_BT)], 1)
