"""What a family can do: one abstract class an ability, which says what it takes and what it gives.

A family inherits the abilities that it has; whoever uses a model chooses by `isinstance`. `cond` is what
is known of the images: `label` (B, A), or nothing. Controls are always the family's own: an ability that
can be steered is generic in them, and callers pass `family.Controls()` where the user turned none.

Shapes: B batch, C channels, H height, W width, A attributes (label conditions).
"""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

import pydantic
from torch import Tensor

from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng

if TYPE_CHECKING:
    from zeuxis.sampling.raster import Stepper

Batch = Mapping[str, Tensor]
"""Named tensors that share their first axis, as `zeuxis.core.fields` says: `image` (B, C, H, W) float32 in
[-1, 1] inside a family (uint8 in a loader's batch); `label` (B, A) int64, one column a condition, -1 where
unknown; `source` of a family whose config has one."""

EMPTY: Batch = {}

Names = tuple[str, ...]


class Controls(
    pydantic.BaseModel, frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
):
    """What a user may turn when sampling. A family without controls uses this one."""


K = TypeVar("K", bound=Controls)


class Ability(abc.ABC):
    """Something that a family may be able to do.

    Attributes:
        takes: what its method is given of each image, by name.
        gives: what comes out.
    """

    takes: ClassVar[Names]
    gives: ClassVar[str]


def abilities_of(cls: type) -> list[type[Ability]]:
    """The abilities that a family has, in the order in which it inherits them."""
    return [base for base in cls.__mro__ if base.__module__ == __name__ and "takes" in vars(base)]


class Draws(Ability, Generic[K]):
    """Ability with randomness, all of which is in `noise`: its method is deterministic."""

    @abc.abstractmethod
    def noise(self, rng: Rng) -> Batch:
        """What the method starts from, one row per row of `rng`."""


class Generates(Draws[K]):
    """Ability: draws new images."""

    takes: ClassVar[Names] = ()
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def generate(
        self, noise: Batch, cond: Batch, controls: K, progress: Progress | None = None
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]."""


class Completes(Draws[K]):
    """Ability: fills what a mask leaves open."""

    takes: ClassVar[Names] = ("image", "mask")
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: K,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1], equal to `image_BCHW` where the mask is 0.

        Args:
            image_BCHW: what is known; its values where the mask is 1 have no influence.
            mask_B1HW: 1.0 where the image is to be filled, else 0.0.
            noise: of `noise(rng)`.
            cond: `label` (B, A), if known.
            controls: the family's.
            progress: told of progress.
        """


class Varies(Draws[K]):
    """Ability: makes another image of an image: as much of it becomes noise as its controls say."""

    takes: ClassVar[Names] = ("image",)
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def vary(
        self,
        image_BCHW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: K,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]; `cond` says what they are to become."""


class Translates(Draws[K]):
    """Ability: turns a source into an image, whose size and channels may be others.

    If the family's config has a field `source`, that says what a source is; else sources are images as those
    that it is trained on.
    """

    takes: ClassVar[Names] = ("source",)
    gives: ClassVar[str] = "image"
    POINT: ClassVar[Mapping[str, float]] = {}
    """Controls with which it gives a point estimate, the same for every seed. A family that has some promises
    that its samples differ otherwise."""

    WHOLE: ClassVar[bool] = False
    """Whether a family that takes any size is given a picture of any at once, and itself sees to memory."""

    @property
    def stride(self) -> int:
        """0: only sources of the field's shape are taken. Else what the corners of parts are multiples of.

        Sources of any size then give an image of that size, and a part of one that has `margin` more pixels
        on each side gives the same as the whole does there.
        """
        return 0

    @property
    def margin(self) -> int:
        """Pixels from which on a source has no influence on what is made; a multiple of `stride`."""
        return 0

    @property
    def exemplar(self) -> Tensor | None:
        """The picture (3, H, W) uint8 whose style all translations have; None: that of the training images.

        With one, translations are not meant to look like training images, and are not compared with them.
        """
        return None

    @property
    def scale(self) -> int:
        """How many times larger an image is than its source, of a family that takes any size."""
        return 1

    @property
    def fills(self) -> bool:
        """Whether `cond` may have a `mask` (B, 1, h, w): 1.0 where a source is to be filled, else 0.0."""
        return False

    def damaged(self, image_BCHW: Tensor, rng: Rng) -> Batch:
        """What images are to be made again from, of a family that learns from images alone.

        Returns:
            `source` (B, ...), and `mask` (B, 1, h, w) if it has holes; nothing of families that learn
            otherwise: what is translated to be looked at are then the sources of pairs, or the images.
        """
        return EMPTY

    def survey(self, source: Tensor) -> Batch:
        """What parts of a source must agree on, (B, ...) each, for the `cond` of `translate`.

        Asked of a reduced copy where a picture is too large to be translated at once.
        """
        return EMPTY

    @abc.abstractmethod
    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: K,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] of sources (B, ...) as `config.source` describes them."""


class Captions(Draws[K]):
    """Ability: says in words what an image shows."""

    takes: ClassVar[Names] = ("image",)
    gives: ClassVar[str] = "text"

    @abc.abstractmethod
    def caption(
        self,
        image_BCHW: Tensor,
        noise: Batch,
        start_BS: Tensor,
        cond: Batch,
        controls: K,
        progress: Progress | None = None,
    ) -> Tensor:
        """Ids (B, T) of a caption of each image that begins with S ids, padding after its end."""

    @abc.abstractmethod
    def caption_nats(self, image_BCHW: Tensor, text_BT: Tensor) -> Tensor:
        """Negative log-likelihood of captions, ends included, given their images: (B,) in nats."""


class Writes(Draws[K]):
    """Ability: writes texts that are like captions."""

    takes: ClassVar[Names] = ()
    gives: ClassVar[str] = "text"

    @abc.abstractmethod
    def write(
        self,
        noise: Batch,
        start_BS: Tensor,
        cond: Batch,
        controls: K,
        progress: Progress | None = None,
    ) -> Tensor:
        """Ids (B, T) of texts that begin with S ids, padding after their ends."""

    @abc.abstractmethod
    def text_nats(self, text_BT: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Negative log-likelihood of texts, ends included: (B,) in nats."""


class Interpolates(Ability):
    """Ability: near latents make near images, so that a walk from one to another is smooth.

    A family that `Generates` promises it of its noise, all of it standard normal; one that `Encodes`
    and `Decodes`, of its latents.
    """

    takes: ClassVar[Names] = ("image", "image")
    gives: ClassVar[str] = "image"


class Encodes(Ability):
    """Ability: maps an image to a latent."""

    takes: ClassVar[Names] = ("image",)
    gives: ClassVar[str] = "latent"

    @abc.abstractmethod
    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The most likely latent of each image, (B, ...)."""


class Decodes(Ability):
    """Ability: maps a latent to an image."""

    takes: ClassVar[Names] = ("latent",)
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]."""


class Tokenizes(Ability):
    """Ability: its latents are tokens, (B, h, w) int64, each of which stands for a vector."""

    takes: ClassVar[Names] = ("image",)
    gives: ClassVar[str] = "token"

    @property
    @abc.abstractmethod
    def vocabulary(self) -> int:
        """How many tokens there are: 0 to `vocabulary` - 1."""

    @abc.abstractmethod
    def codes(self, token_Bhw: Tensor) -> Tensor:
        """The vectors (B, D, h, w) that tokens stand for."""

    @abc.abstractmethod
    def tokens(self, code_BDhw: Tensor) -> Tensor:
        """The tokens (B, h, w) whose vectors are nearest."""


class Reconstructs(Ability):
    """Ability: maps an image to itself through a bottleneck."""

    takes: ClassVar[Names] = ("image",)
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The image after the bottleneck, same shape, in [-1, 1]."""


class Denoises(Ability):
    """Ability: takes Gaussian noise away."""

    takes: ClassVar[Names] = ("image", "deviation")
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def denoise(self, image_BCHW: Tensor, deviation_B: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The expected clean image, (B, C, H, W) in [-1, 1].

        Args:
            image_BCHW: noisy, in units of [-1, 1] and perhaps beyond.
            deviation_B: standard deviation of the noise in those units.
            cond: `label` (B, A), if known.
        """


class Sequential(Ability):
    """Ability: models an image one number at a time, in raster order, the channels innermost."""

    takes: ClassVar[Names] = ()
    gives: ClassVar[str] = "image"

    @abc.abstractmethod
    def stepper(self, rows: int, cond: Batch = EMPTY) -> "Stepper":
        """At the first number of `rows` new images. Each step costs one position, not one image."""

    @abc.abstractmethod
    def log_p(self, image_BCHW: Tensor, place: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Log-probabilities (B, C, L) of a pixel's numbers, each given all before it. Costs an image.

        The same as a stepper's, for whoever keeps no state between two pixels.

        Args:
            image_BCHW: what is known; what comes after a number has no influence on it.
            place: (1,) int64, the pixel's number in raster order.
            cond: `label` (B, A), if known.
        """


class Scores(Ability):
    """Ability: tells how likely an image is, or a bound of it."""

    takes: ClassVar[Names] = ("image",)
    gives: ClassVar[str] = "number"

    kind: ClassVar[Literal["exact", "bound", "estimate"]]

    @abc.abstractmethod
    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """Negative log2-likelihood of the 8-bit image per dimension, (B,) float32; lower is better."""
