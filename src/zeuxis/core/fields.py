"""Fields: what a key of a batch means, declared once for disk, augmentation and device.

A batch is named arrays that share their first axis. `image` is the image that a model learns to make,
`source` what a translation starts from (an image or a map, of a size of its own), `label` its classes.

    kind    an item           on disk            inside a family         may be augmented by
    image   (C, H, W)         uint8, (H, W, C)   float32 in [-1, 1]      geometry (smooth), colour
    map     (H, W) class ids  int16, -1 missing  int64, -1 missing       geometry (nearest pixel)
    mask    (H, W) 0 or 1     uint8              float32 0 or 1          geometry (nearest pixel)
    class   ()                int16, -1 missing  int64, -1 missing       nothing
    number  ()                float32, NaN missing  the same             nothing
    text    (T,) ids          int16, 0 padding, 1 missing  int64         nothing
    latent  (D, h, w)         float16, float32   float32                 nothing
    token   (h, w)            int16              int64                   nothing
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import pydantic
import torch
from torch import Tensor

from zeuxis.core.errors import Invalid
from zeuxis.core.pixels import distinct, from_uint8
from zeuxis.core.vocabulary import NO_CAPTION

Name = Literal["image", "map", "mask", "class", "number", "text", "latent", "token"]
Resampling = Literal["smooth", "nearest", "none"]
MOST_IDS = 1 << 15
"""Classes of a map: ids are stored in 16 bits."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What holds for all fields of a kind.

    Attributes:
        axes: of an item.
        stored: types on disk, by their suffix in a file's name.
        missing: the stored number that stands for "unknown", and fills a frame beyond an item's edge.
        resampling: how geometric augmentation takes values between pixels; "none": it does not apply.
        coloured: whether augmentation of colours applies.
        inside: type inside a family; None is the precision of the weights.
    """

    axes: int
    stored: tuple[str, ...]
    missing: float = 0
    resampling: Resampling = "none"
    coloured: bool = False
    inside: torch.dtype | None = None


KINDS: Mapping[Name, Kind] = {
    "image": Kind(axes=3, stored=("u8",), resampling="smooth", coloured=True),
    "map": Kind(axes=2, stored=("i16",), missing=-1, resampling="nearest", inside=torch.int64),
    "mask": Kind(axes=2, stored=("u8",), resampling="nearest"),
    "class": Kind(axes=0, stored=("i16",), missing=-1, inside=torch.int64),
    "number": Kind(axes=0, stored=("f32",), missing=math.nan),
    "text": Kind(axes=1, stored=("i16",), missing=NO_CAPTION, inside=torch.int64),
    "latent": Kind(axes=3, stored=("f16", "f32")),
    "token": Kind(axes=2, stored=("i16",), inside=torch.int64),
}


class Field(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """One key of a batch."""

    name: str = pydantic.Field(pattern="^[a-z][a-z_]{0,39}$")
    kind: Name
    shape: tuple[Annotated[int, pydantic.Field(ge=1, le=1 << 16)], ...] = ()
    """Of an item: (C, H, W) of an image or latent, (H, W) of a map, mask or tokens, () of a class, or any."""
    classes: tuple[str, ...] = pydantic.Field((), max_length=MOST_IDS)
    """Names of the class ids 0, 1, ... of a map or class."""
    colours: tuple[Annotated[str, pydantic.Field(pattern="^#[0-9a-f]{6}$")], ...] = ()
    """Of a map: what its legend shows each class as, such as #0080ff, if it says so of all of them."""

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> "Field":
        if len(self.shape) not in (0, self.facts.axes):
            raise Invalid(
                f"{self.name} has shape {str(self.shape)[:40]}, which is none of a {self.kind}"
            )
        if len(self.colours) not in (0, len(self.classes)):
            raise Invalid(
                f"{self.name} has {len(self.colours)} colours of {len(self.classes)} classes"
            )
        return self

    @property
    def palette(self) -> np.ndarray:
        """Colours (K, 3) uint8 of its classes: the legend's, or distinct ones."""
        if not self.colours:
            return distinct(len(self.classes))
        return np.array([list(bytes.fromhex(colour[1:])) for colour in self.colours], np.uint8)

    @property
    def facts(self) -> Kind:
        """What its kind says."""
        return KINDS[self.kind]

    @property
    def spatial(self) -> bool:
        """Whether it shows the item's frame, so that flips and crops move it along with the others."""
        return self.facts.resampling != "none"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Of an item on disk: an image lies there as (H, W, C)."""
        return (*self.shape[1:], self.shape[0]) if self.kind == "image" else self.shape

    def inside(self, stored: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """What a family is given of it.

        Args:
            stored: (B, *shape) as in a loader's batch, on any device.
            dtype: floating type of images, masks and latents.

        Returns:
            Images in [-1, 1] in channels_last memory, masks 0 or 1; ids as int64.
        """
        if self.kind == "image":
            return from_uint8(stored, dtype).contiguous(memory_format=torch.channels_last)
        return stored.to(self.facts.inside or dtype)

    def visible(self, stored: np.ndarray) -> np.ndarray:
        """Items as images to look at, (N, H, W, C) uint8: class ids in colours, unknown ones black.

        Args:
            stored: (N, ...) as on disk, of a spatial field.
        """
        if self.kind == "image":
            return stored
        if self.kind != "map":
            return 255 * stored[..., None]
        colours_K3 = np.concatenate([np.zeros((1, 3), np.uint8), self.palette])
        return np.asarray(colours_K3[stored + 1])


STANDARD: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field(name="image", kind="image"),
        Field(name="label", kind="class"),
        Field(name="number", kind="number"),
        Field(name="text", kind="text"),
        Field(name="latent", kind="latent"),
        Field(name="token", kind="token"),
    )
}
"""Keys of a batch that mean the same for every family."""
