"""What a sample is asked to have, as features: classes, numbers and text, each of which may be unknown.

A condition is given as a batch of `label` (B, A) class ids, -1 unknown, `number` (B, K), NaN unknown, and
`text` (B, T) ids of `core.vocabulary`, of which `NO_CAPTION` alone is unknown.

Shapes: B batch, A columns of classes, K of numbers, T ids of a caption, E embedding, D features of an id.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.abilities import Batch
from zeuxis.core.errors import Unable
from zeuxis.core.family import FamilyConfig, Losses, Number, unknown
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import Vocabulary
from zeuxis.nn.text import WIDTH, TextEncoder

COARSE = 16
"""Pixels a side of a mean picture, at most."""
WEIGHT = 0.5
"""Of the error of the mean picture, beside a flow's."""


class Told(NamedTuple):
    """What a network is told.

    Attributes:
        vector_BE: the sum of the embeddings of all that is given.
        token_BTD: features of a caption's ids; None without text.
        real_BT: which of them are no padding.
        picture_BCHW: the mean picture of all that have this condition, small; None without text.
    """

    vector_BE: Tensor
    token_BTD: Tensor | None = None
    real_BT: Tensor | None = None
    picture_BCHW: Tensor | None = None


class Conditioner(nn.ModuleList):
    """A module for each column of classes and each of numbers, in this order, and one for text.

    Args:
        classes: number of classes of each column.
        size: E.
        numbers: columns of numbers.
        text: the vocabulary of captions.
        image: (C, H, W) of images, whose mean picture is learned, of text only.
    """

    def __init__(
        self,
        classes: Sequence[int],
        size: int,
        numbers: Sequence[Number] = (),
        text: Vocabulary | None = None,
        image: tuple[int, int, int] | None = None,
    ) -> None:
        tables = [nn.Embedding(count + 1, size) for count in classes]  # row 0 is "unknown"
        super().__init__([*tables, *(NumberEmbedding(each, size) for each in numbers)])
        self.split = len(classes), len(numbers)
        self.shape: tuple[int, int, int] | None = None
        if text is not None:
            self.text = TextEncoder(text)
            self.pooled = nn.Linear(WIDTH, size)
            if image is not None:
                c, h, w = self.shape = image[0], min(COARSE, image[1]), min(COARSE, image[2])
                self.picture = nn.Linear(size, c * h * w)

    @classmethod
    def of(
        cls, config: FamilyConfig, size: int, image: tuple[int, int, int] | None = None
    ) -> "Conditioner":
        """Of all that a config says a sample can be asked to have."""
        classes = [len(condition.classes) for condition in config.conditions]
        return cls(classes, size, config.numbers, config.text, image)

    def forward(self, given: Batch) -> Told:
        """Every column that there is must be in `given`."""
        classes, numbers = self.split
        columns = [*(given["label"] + 1).unbind(1)] if classes else []
        columns += given["number"].unbind(1) if numbers else []
        vector_BE = sum(embed(column_B) for embed, column_B in zip(self, columns, strict=False))
        if "text" not in given:
            return Told(vector_BE)
        token_BTD, real_BT, mean_BD = self.text(given["text"])
        vector_BE = vector_BE + self.pooled(mean_BD)
        picture = self.picture(vector_BE).unflatten(1, self.shape) if self.shape else None
        return Told(vector_BE, token_BTD, real_BT, picture)


class NumberEmbedding(nn.Module):
    """(B,) -> (B, E); NaN, unknown, has a vector of its own."""

    def __init__(self, number: Number, size: int) -> None:
        super().__init__()
        self.number = number
        self.net = nn.Sequential(nn.Linear(1, size), nn.SiLU(), nn.Linear(size, size))
        self.unknown_E = nn.Parameter(torch.randn(size))

    def forward(self, number_B: Tensor) -> Tensor:
        """The number is brought to mean 0 and variance 1 first."""
        known_B1 = ~number_B.isnan()[:, None]
        unit_B1 = ((number_B - self.number.mean) / self.number.deviation).nan_to_num()[:, None]
        return torch.where(known_B1, self.net(unit_B1), self.unknown_E)


def hide(given: Batch, rng: Rng, rate: float) -> Batch:
    """Some rows with what they are told unknown: all of it at this rate, and each of several alone."""
    if not given:
        return given
    count = sum(1 if name == "text" else value.shape[1] for name, value in given.items())
    hidden_BF = rng.uniform("drop", 1) < rate
    if count > 1:
        hidden_BF = hidden_BF | (rng.uniform("drop each", count) < rate)
    out, start, blank = dict[str, Tensor](), 0, unknown(given)
    for name, value in given.items():
        width = 1 if name == "text" else value.shape[1]
        some_BF = hidden_BF if count == 1 else hidden_BF[:, start : start + width]
        out[name] = torch.where(some_BF, blank[name], value)
        start += width
    return out


def instead(given: Batch, vocabulary: Vocabulary | None, text: str) -> Batch:
    """What guidance moves away from: the same with all unknown, or under another caption.

    Raises:
        Unable: a caption is given and nothing is known of any.
    """
    out = dict(unknown(given))
    if text and vocabulary is None:
        raise Unable("this model was trained without captions: it knows no negative text")
    if text and vocabulary is not None and given:
        ids_1T = torch.from_numpy(vocabulary.rows([text])).to(given["text"])
        out["text"] = ids_1T.expand_as(given["text"])
    return out


def with_picture(error: Tensor, told: Told | None, image_BCHW: Tensor) -> Losses:
    """A flow's error as losses, with that of the mean picture m of each caption.

    The mean of all that have a caption minimises it. The network is given m, since at t = 1 v is e - m.
    """
    if told is None or told.picture_BCHW is None:
        return {"total": error}
    h, w = told.picture_BCHW.shape[2:]
    mean = F.mse_loss(told.picture_BCHW, F.adaptive_avg_pool2d(image_BCHW, (h, w)))
    return {"total": error + WEIGHT * mean, "velocity": error, "mean": mean}
