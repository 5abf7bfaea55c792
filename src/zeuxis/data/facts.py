"""What `dataset.json` of a prepared set has to hold before anything is read by it."""

import math
from typing import Annotated, Any

import pydantic

from zeuxis.core.errors import Invalid
from zeuxis.core.family import MOST_CLASSES
from zeuxis.core.fields import KINDS, MOST_IDS, Field, Name
from zeuxis.core.settings import Hash, Natural, checked

FORMAT = 2
IMAGES, COLUMNS, FACTS, LEFT_OUT = (
    "images.u8",
    "columns.safetensors",
    "dataset.json",
    "left_out.jsonl",
)
TYPES = {"u8": "u1", "i16": "<i2", "f16": "<f2", "f32": "<f4"}
"""Numpy's type of an array file, by its suffix."""

Positive = Annotated[int, pydantic.Field(ge=1, le=2**40)]


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
    withheld: Natural = 0


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


class Faces(Model):
    """In how many of the pictures that were looked at a face was found."""

    looked: Positive
    found: Natural
    interval: tuple[float, float]
    sources: "Faces | None" = None
    """The same of what its translations start from, if that is pictures of their own."""


class Named(Model):
    """How many pictures, and the first of them by name."""

    count: Natural
    first: list[str]


class Consent(Model):
    """The register of consent that a set was prepared by."""

    sha256: Hash
    subjects: list[str]
    missing: Named
    """Pictures with faces that it does not name."""


class LeftOut(Model):
    """Files that were left out for one reason."""

    count: Natural
    first: list[tuple[str, str]]


class Encoder(Model):
    """The model that encoded."""

    sha256: Hash


class Array(Model):
    """A field of the set: one file of as many items, of one shape."""

    name: Annotated[str, pydantic.Field(pattern="^[a-z][a-z_]{0,39}$")]
    kind: Name
    shape: list[Positive]
    classes: list[str] = pydantic.Field([], max_length=MOST_IDS)
    colours: list[str] = pydantic.Field([], max_length=MOST_IDS)
    file: Annotated[str, pydantic.Field(pattern="^[a-z][a-z_]{0,39}[.](u8|i16|f16|f32)$")]
    count: Positive
    paired: bool = True
    """Whether item i belongs to image i; else it has items, and a hold-out, of its own."""
    made: str = ""
    """How it was made of the images, as `data.pair` says it."""
    encoder: Encoder | None = None
    """The model that made it of the images."""
    vocabulary: Annotated[int, pydantic.Field(ge=1, le=2**15)] = 1
    mean: list[float] = []
    deviation: list[Annotated[float, pydantic.Field(gt=0)]] = []

    @property
    def field(self) -> Field:
        """What it means."""
        given = self.model_dump(include={"name", "kind", "shape", "classes", "colours"})
        return Field.model_validate(given)

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> "Array":
        kind, suffix = KINDS[self.kind], self.file.partition(".")[2]
        if suffix not in kind.stored or len(self.shape) != kind.axes:
            raise Invalid(f"{self.kind}s of shape {str(self.shape)[:40]} are not in {self.file}")
        if self.kind in ("latent", "token") and self.encoder is None:
            raise Invalid(f"{self.name} names no encoder")
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
    fields: list[Array]
    split: Split
    conditions: list[Column]
    columns: dict[str, Natural]
    captions: Natural
    faces: Faces | None = None
    consent: Consent | None = None
    found: Found
    left_out: dict[str, LeftOut]
    remarks: list[str]
    policy: dict[str, str]
    warnings: list[str]
    files: dict[str, File]

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> "Facts":
        """Each array has the size that its shape says, and the images are what `images` says."""
        for array in self.fields:
            size = int(TYPES[array.file.partition(".")[2]][-1])
            expected = size * array.count * math.prod(array.shape)
            if array.file not in self.files or self.files[array.file].bytes != expected:
                raise Invalid(
                    f"files must give {array.file} {expected:.6g} bytes, as its shape says"
                )
            if array.paired and array.count != self.images.count:
                raise Invalid(
                    f"{array.name} has {array.count} items for {self.images.count} images"
                )
        image = Array.model_validate(image_array(self.images.model_dump()))
        names = {array.name for array in self.fields}
        if self.fields[:1] != [image] or len(names) < len(self.fields):
            raise Invalid("fields must begin with what images says, and name each field once")
        if COLUMNS not in self.files:
            raise Invalid(f"files must name {COLUMNS}")
        return self


class First(Model):
    """What format 1 says in other words than format 2."""

    images: Images
    encoded: dict[str, Any] | None = None


def image_array(images: dict[str, Any]) -> dict[str, Any]:
    """The entry of `fields` for the images, by their facts."""
    shape = [images[axis] for axis in ("channels", "height", "width")]
    entry = {"name": "image", "kind": "image", "shape": shape}
    return {**entry, "file": IMAGES, "count": images["count"]}


def read(content: dict[str, Any], where: object) -> dict[str, Any]:
    """The facts in `content`, checked, as the newest format has them.

    Raises:
        ValueError: they are of a later format, or something in them is wrong.
    """
    found = content.get("format")
    if type(found) is not int or not 1 <= found <= FORMAT:
        raise Invalid(f"{where} has format {found!r:.40}; this version reads up to {FORMAT}")
    if found == 1:
        first = checked(First, content, where)
        fields, count = [image_array(content["images"])], first.images.count
        if first.encoded is not None:
            fields.append({**first.encoded, "name": first.encoded.get("kind"), "count": count})
        content = {k: v for k, v in content.items() if k != "encoded"}
        content |= {"format": FORMAT, "fields": fields}
    checked(Facts, content, where)
    return content
