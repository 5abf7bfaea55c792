"""What `dataset.json` of a prepared set has to hold before anything is read by it."""

import math
from typing import Annotated, Literal

import pydantic

from zeuxis.core.errors import Invalid
from zeuxis.core.family import MOST_CLASSES
from zeuxis.core.settings import Hash, Natural

Positive = Annotated[int, pydantic.Field(ge=1, le=2**40)]
ITEM_BYTES = {"images.u8": 1, "latent.f16": 2, "latent.f32": 4, "token.i16": 2}
SHAPES = {"latent": 3, "token": 2}
"""Axes of a row."""


class Model(pydantic.BaseModel, strict=True):
    """Types as JSON has them; what nobody relies on may stand there, too."""


class Images(Model):
    """Form and moments of the images."""

    count: Positive
    height: Positive
    width: Positive
    channels: Annotated[int, pydantic.Field(ge=1, le=4)]
    mean: list[float]
    deviation: list[float]


class Source(Model):
    """Where they came from."""

    kind: str


class File(Model):
    """A file that was written beside `dataset.json`."""

    bytes: Natural
    sha256: Hash


class Split(Model):
    """Which images are held out."""

    how: str
    train: Natural
    holdout: Natural


class Column(Model):
    """A column of classes."""

    name: str
    classes: list[str] = pydantic.Field(max_length=MOST_CLASSES)
    counts: list[Natural]

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> "Column":
        if len(self.classes) != len(self.counts):
            raise Invalid(f"{len(self.classes)} classes and {len(self.counts)} counts")
        return self


class Found(Model):
    """What the source's files were."""

    sizes: list[tuple[Natural, Natural, Natural]]
    distinct_sizes: Natural
    formats: dict[str, Natural]
    modes: dict[str, Natural]
    notes: dict[str, Natural]


class LeftOut(Model):
    """Files that were left out for one reason."""

    count: Natural
    first: list[tuple[str, str]]


class Encoder(Model):
    """The model that encoded."""

    sha256: Hash


class Rows(Model):
    """What an encoder made of the images."""

    kind: Literal["latent", "token"]
    file: Literal["latent.f16", "latent.f32", "token.i16"]
    shape: list[Positive]
    encoder: Encoder
    vocabulary: Annotated[int, pydantic.Field(ge=1, le=2**15)] = 1
    mean: list[float] = []
    deviation: list[Annotated[float, pydantic.Field(gt=0)]] = []

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> "Rows":
        if not self.file.startswith(self.kind) or len(self.shape) != SHAPES[self.kind]:
            raise Invalid(f"{self.kind}s of shape {str(self.shape)[:40]} are not in {self.file}")
        depth = self.shape[0] if self.kind == "latent" else 0
        if not len(self.mean) == len(self.deviation) == depth:
            raise Invalid("mean and deviation must have a number for each channel of a latent")
        return self


class Facts(Model):
    """The whole of `dataset.json`."""

    name: str
    hash: Hash
    source: Source
    licence: str
    credits: str
    images: Images
    split: Split
    conditions: list[Column]
    columns: dict[str, Natural]
    captions: Natural
    found: Found
    left_out: dict[str, LeftOut]
    remarks: list[str]
    policy: dict[str, str]
    warnings: list[str]
    files: dict[str, File]
    encoded: Rows | None = None

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> "Facts":
        """Each array has the size that its shape says."""
        image, rows = self.images, self.encoded
        shapes = {"images.u8": [image.height, image.width, image.channels]}
        if rows:
            shapes[rows.file] = rows.shape
        for name, shape in shapes.items():
            expected = ITEM_BYTES[name] * image.count * math.prod(shape)
            if name not in self.files or self.files[name].bytes != expected:
                raise Invalid(f"files must give {name} {expected:.6g} bytes, as its shape says")
        if "columns.safetensors" not in self.files:
            raise Invalid("files must name columns.safetensors")
        return self
