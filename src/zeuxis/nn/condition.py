"""What a sample is asked to have, as features: classes, numbers and text, each of which may be unknown.

A condition is given as a batch of `label` (B, A) class ids, -1 unknown, `number` (B, K), NaN unknown, and
`text` (B, T) ids of `core.vocabulary`, of which `NO_CAPTION` alone is unknown.

Shapes: B batch, A columns of classes, K of numbers, T ids of a caption, E embedding, D features of an id.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.abilities import Batch
from zeuxis.core.errors import Unable
from zeuxis.core.family import FamilyConfig, Losses, Number, unknown
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import NO_CAPTION, Vocabulary
from zeuxis.nn.precision import full
from zeuxis.nn.text import WIDTH, encoder

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
        mean_BD: the mean of those; None without text.
        picture_BCHW: the mean picture of all that have this condition, small; None without text.
    """

    vector_BE: Tensor
    token_BTD: Tensor | None = None
    real_BT: Tensor | None = None
    mean_BD: Tensor | None = None
    picture_BCHW: Tensor | None = None


class Conditioner(nn.ModuleList):
    """A module for each column of classes and each of numbers, in this order, and one for text.

    Args:
        classes: number of classes of each column.
        size: E; it is 0 where nothing can be given.
        numbers: columns of numbers.
        text: the vocabulary of captions.
        image: (C, H, W) of images, whose mean picture is learned, of text only.
        spread: standard deviation of their sum at first, to which an unknown class adds nothing; by default
            each has 1.
        reads: whether captions are given as ids, not as `read` by another conditioner.
    """

    size: int
    nothing: Tensor

    def __init__(
        self,
        classes: Sequence[int],
        size: int,
        numbers: Sequence[Number] = (),
        text: Vocabulary | None = None,
        image: tuple[int, int, int] | None = None,
        spread: float | None = None,
        reads: bool = True,
    ) -> None:
        one = 1.0 if spread is None else spread / max(1, len(classes) + len(numbers)) ** 0.5
        tables = [nn.Embedding(count + 1, size) for count in classes]  # row 0 is "unknown"
        super().__init__([*tables, *(NumberEmbedding(each, size, one) for each in numbers)])
        for table in tables:
            table.weight.data.mul_(one)
            if spread is not None:
                table.weight.data[0] = 0
        self.classes, self.numbers = tuple(classes), len(numbers)
        self.size = size if classes or numbers or text else 0
        self.shape: tuple[int, int, int] | None = None
        self.register_buffer("nothing", torch.empty(0), persistent=False)
        if text is not None:
            self.text = encoder(text) if reads else None
            self.pooled = nn.Linear(WIDTH, size)
            self.pooled.weight.data.mul_(one)
            if image is not None:
                c, h, w = self.shape = image[0], min(COARSE, image[1]), min(COARSE, image[2])
                self.picture = nn.Linear(size, c * h * w)

    @classmethod
    def of(
        cls,
        config: FamilyConfig,
        size: int,
        image: tuple[int, int, int] | None = None,
        spread: float | None = None,
        reads: bool = True,
    ) -> "Conditioner":
        """Of all that a config says a sample can be asked to have."""
        classes = [len(condition.classes) for condition in config.conditions]
        return cls(classes, size, config.numbers, config.text, image, spread, reads)

    def forward(self, given: Batch) -> Told:
        """Every column that there is must be in `given`."""
        columns = [*(given["label"] + 1).unbind(1)] if self.classes else []
        columns += given["number"].unbind(1) if self.numbers else []
        vector_BE = sum(embed(column_B) for embed, column_B in zip(self, columns, strict=False))
        if "text" not in given:
            return Told(vector_BE)
        if self.text is None:
            return Told(vector_BE + self.pooled(given["text"]))
        token_BTD, real_BT, mean_BD = self.text(given["text"])
        vector_BE = vector_BE + self.pooled(mean_BD)
        picture = self.picture(vector_BE).unflatten(1, self.shape) if self.shape else None
        return Told(vector_BE, token_BTD, real_BT, mean_BD, picture)

    def told(self, given: Batch, rows: int) -> Told:
        """Of so many rows, even where nothing can be given."""
        return self(given) if self.size else Told(self.nothing.new_empty(rows, 0))


class NumberEmbedding(nn.Module):
    """(B,) -> (B, E); NaN, unknown, has a vector of its own."""

    def __init__(self, number: Number, size: int, spread: float) -> None:
        super().__init__()
        self.number = number
        last = nn.Linear(size, size)
        last.weight.data.mul_(spread)
        self.net = nn.Sequential(nn.Linear(1, size), nn.SiLU(), last)
        self.unknown_E = nn.Parameter(torch.randn(size) * spread)

    def forward(self, number_B: Tensor) -> Tensor:
        """The number is brought to mean 0 and variance 1 first."""
        known_B1 = ~number_B.isnan()[:, None]
        unit_B1 = ((number_B - self.number.mean) / self.number.deviation).nan_to_num()[:, None]
        return torch.where(known_B1, self.net(unit_B1), self.unknown_E)


def hide(given: Batch, rng: Rng, rate: float, name: str = "drop") -> Batch:
    """Some rows with what they are told unknown: all of it at this rate, and each of several alone."""
    if not given:
        return given
    rows = next(iter(given.values())).shape[0]
    count = sum(1 if key == "text" else value.shape[1] for key, value in given.items())
    hidden_BF = rng.uniform(name, 1)[:rows] < rate
    if count > 1:
        hidden_BF = hidden_BF | (rng.uniform(f"{name} each", count)[:rows] < rate)
    out, start, blank = dict[str, Tensor](), 0, unknown(given)
    for key, value in given.items():
        width = 1 if key == "text" else value.shape[1]
        some_BF = hidden_BF if count == 1 else hidden_BF[:, start : start + width]
        out[key] = torch.where(some_BF, blank[key], value)
        start += width
    return out


def read(given: Batch, told: Told) -> Batch:
    """The same with captions as another conditioner has read them, (B, D), which learns nothing of it."""
    return given if told.mean_BD is None else {**given, "text": told.mean_BD.detach()}


def swapped(given: Batch, seen: Batch) -> tuple[Batch, Tensor]:
    """What `read` gave with the captions of each pair of rows swapped; where they differ, (B,) 0 or 1."""
    text_BT, other_BT = given["text"], _swap(given["text"])
    differ_B = (other_BT != text_BT).any(1) & (other_BT[:, 0] != NO_CAPTION)
    return {**seen, "text": _swap(seen["text"])}, differ_B.to(seen["text"].dtype)


def _swap(x: Tensor) -> Tensor:
    return x.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


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


def picture_error(told: Told | None, image_BCHW: Tensor) -> Tensor | None:
    """Mean squared error of the mean pictures; the mean of all that have a condition minimises it."""
    if told is None or told.picture_BCHW is None:
        return None
    h, w = told.picture_BCHW.shape[2:]
    return F.mse_loss(told.picture_BCHW, F.adaptive_avg_pool2d(image_BCHW, (h, w)))


def from_mean(image_BCHW: Tensor, told: Told) -> Tensor:
    """Images that were made as what differs from the mean pictures, which learn nothing of them."""
    if told.picture_BCHW is None:
        return image_BCHW
    mean_BCHW = full(told.picture_BCHW.detach())
    return image_BCHW + F.interpolate(mean_BCHW, image_BCHW.shape[2:], mode="bilinear")


def with_picture(error: Tensor, told: Told | None, image_BCHW: Tensor) -> Losses:
    """A flow's error as losses, with that of the mean picture m, which it is given: at t = 1 v is e - m."""
    mean = picture_error(told, image_BCHW)
    if mean is None:
        return {"total": error}
    return {"total": error + WEIGHT * mean, "velocity": error, "mean": mean}


def renamed(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under today's names, of a file of before there was one module for all conditions.

    There `labels` was a table for each column, whose last row was "unknown", or one table of all classes, and
    what was unknown added nothing.
    """
    out = dict(weights)
    for path, module in model.named_modules():
        if not isinstance(module, Conditioner):
            continue
        old, first = f"{path.removesuffix('conditioner')}labels.", 0
        whole = out.pop(f"{old}table", torch.empty(0))
        for i, count in enumerate(module.classes):
            table = out.pop(f"{old}tables.{i}.weight", torch.empty(0))
            if whole.ndim == 2:
                table = F.pad(whole[first : first + count], (0, 0, 1, 0))
            if table.ndim == 2:
                out[f"{path}.{i}.weight"] = table if whole.ndim == 2 else table.roll(1, 0)
            first += count
    return out
