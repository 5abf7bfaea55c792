"""The contracts: what a family is, what its loss may know, and the abilities that it declares.

Every class here is abstract and every class in `zeuxis.families` is final: a family never inherits
from another family. A variant is a field of its config; a bigger difference is another file.

Shapes: B batch, C channels, H height, W width, A attributes (label conditions).
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, Self, final

import pydantic
import torch
from torch import Tensor, nn

from zeuxis.core.fields import STANDARD, Field
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training

if TYPE_CHECKING:
    from zeuxis.sampling.raster import Stepper

Batch = Mapping[str, Tensor]
"""Named tensors that share their first axis, as `zeuxis.core.fields` says: `image` (B, C, H, W) float32 in
[-1, 1] inside a family (uint8 in a loader's batch); `label` (B, A) int64, one column a condition, -1 where
unknown; `source` of a family whose config has one."""

Loader = Callable[[int, slice], Batch]
"""(draw, rows) -> those rows of global batch number `draw`. Pure in (seed, draw, row); images are uint8."""

Losses = Mapping[str, Tensor]
"""Scalar terms of one phase, each a mean over rows. `total` is differentiated, `stat/...`, of any shape,
goes to `update`, the rest is only logged."""

EMPTY: Batch = {}

LONGEST_SIDE = 8192
"""Pixels of a generated image's height and width; a square of it is the largest that is decoded."""
MOST_CLASSES = 1000
"""Of a condition."""


class Condition(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Something that a sample can be asked to have: one column of a batch's `label`."""

    name: str
    kind: Literal["classes"] = "classes"
    classes: tuple[str, ...] = pydantic.Field((), max_length=MOST_CLASSES)


class FamilyConfig(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What every family has to know of its data. These four are filled in from the prepared set."""

    height: int = pydantic.Field(ge=1, le=LONGEST_SIDE)
    width: int = pydantic.Field(ge=1, le=LONGEST_SIDE)
    channels: int = pydantic.Field(ge=1, le=4)
    conditions: tuple[Condition, ...] = ()

    @property
    def nats_per_bit(self) -> float:
        """Nats of an image that has one bit per dimension."""
        return math.log(2) * self.channels * self.height * self.width


class Controls(
    pydantic.BaseModel, frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
):
    """What a user may turn when sampling. A family without controls uses this one."""


AnyControls = Controls
"""The same class under a name that a family's own `Controls` does not hide."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A group of parameters with an optimiser of its own.

    Attributes:
        name: given to `loss`, and the prefix of what is logged.
        modules: paths of the submodules whose parameters it trains; "" is the whole family.
        every: it runs at each step that this divides.
        start: progress in [0, 1] from which it runs.
        own_batch: it is given a fresh draw of data instead of the step's.
        own_schedule: its learning rate and its averages count from its start, as if it were a run of its own.
        lr: factor on the run's learning rate.
        betas: Adam's, if not the run's.
        clip: largest gradient norm, if not the run's.
        keep: whether its modules belong to the artefact (discriminators do not).
    """

    name: str
    modules: tuple[str, ...]
    every: int = 1
    start: float = 0.0
    own_batch: bool = False
    own_schedule: bool = False
    lr: float = 1.0
    betas: tuple[float, float] | None = None
    clip: float | None = None
    keep: bool = True

    def first(self, steps: int) -> int:
        """The step, of `steps`, from which its schedule counts."""
        return math.ceil(self.start * steps) if self.own_schedule else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """All that a loss may know of the outside.

    Attributes:
        step: steps of the run done so far.
        update: how often this phase has run so far; lazy terms count by it.
        progress: step / steps, in [0, 1).
        rng: named draws, one stream per row of the batch.
    """

    step: int
    update: int
    progress: float
    rng: Rng


class Parts(dict[str, "Family"]):
    """Frozen models by name. Copies of their owner share them."""

    def __init__(self, parts: Mapping[str, "Family"]) -> None:
        super().__init__({name: part.eval().requires_grad_(False) for name, part in parts.items()})

    def __deepcopy__(self, memo: object) -> "Parts":
        return self


class Family(nn.Module, abc.ABC):
    """A trainable model: networks as attributes, and the objective that trains them."""

    Config: ClassVar[type[FamilyConfig]]
    Controls: ClassVar[type[Controls]] = Controls
    TRAINING: ClassVar[Training]
    """How this family is trained unless the user says otherwise."""
    TINY: ClassVar[FamilyConfig]
    """A config that trains one step on two CPU cores in well under a second: tests use it."""
    GROUP: ClassVar[int] = 1
    """A loss may mix only groups of so many consecutive rows; micro-batches hold whole groups."""
    CONDITIONAL: ClassVar[bool] = True
    """Whether labels are heard. If not, its config never has conditions."""

    PARTS: ClassVar[tuple[str, ...]] = ()
    """Names of the trained models that it may build on. A family that names any takes them as the
    second argument, `parts`, and hands them to `super().__init__`."""

    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """Names of submodules that a run started from another's weights may add or leave out: they come to
    be by the others' training."""

    config: FamilyConfig
    parts: Mapping[str, "Family"]
    """The models that it builds on, frozen: moved along, but neither trained nor saved with its weights."""
    origin: tuple[Path, str] | None = None
    """The artefact that it was loaded from, and the SHA-256 of its `config.json` at that time."""

    def __init__(self, parts: Mapping[str, "Family"] = MappingProxyType({})) -> None:
        super().__init__()
        # Not a module's attribute, so its tensors are in no state dict, phase or optimiser.
        self.parts = Parts(parts)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for part in self.parts.values():
            part._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def needs(self) -> tuple[str, ...]:
        """Batch keys that `loss` reads; checked against the data before training starts."""
        return ("image", "label") if self.config.conditions else ("image",)

    @final
    def fields(self) -> Mapping[str, Field]:
        """What the keys of a batch mean: those that mean the same everywhere, and the config's own."""
        return {**STANDARD, **{n: value for n, value in self.config if isinstance(value, Field)}}

    @final
    def label_of(self, batch: Batch, rows: int) -> Tensor:
        """`label` (B, A) of a batch of so many rows; -1, unknown, where it has none."""
        device = next(self.parameters()).device
        unknown_BA = torch.full((rows, len(self.config.conditions)), -1, device=device)
        return batch.get("label", unknown_BA) if self.config.conditions else unknown_BA

    def phases(self) -> tuple[Phase, ...]:
        """The optimisation phases of a step, in order. Default: one, over everything."""
        return (Phase(name="main", modules=("",)),)

    @abc.abstractmethod
    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Losses of `phase` on `batch`. Draws only from `ctx.rng`; never calls `backward`."""

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """Once per optimiser step, with the `stat/...` terms averaged over the global batch.

        The only place where buffers change.
        """

    def begin(self, batches: Iterable[Batch], rng: Rng) -> None:
        """Once before step 0: data-dependent initial values."""

    def finish(self, batches: Iterable[Batch], rng: Rng) -> None:
        """Once after the last step, on the averaged weights: fitted priors, latent statistics."""


class Generates(abc.ABC):
    """Ability: draws new images. All randomness is in `noise`; `generate` is deterministic."""

    Controls: ClassVar[type[Controls]]

    @abc.abstractmethod
    def noise(self, rng: Rng) -> Batch:
        """What `generate` starts from, one row per row of `rng`."""

    @abc.abstractmethod
    def generate(
        self,
        noise: Batch,
        cond: Batch = EMPTY,
        controls: AnyControls | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]. `cond` may hold `label` (B, A); missing means unknown."""

    @final
    def sample(
        self,
        rng: Rng,
        cond: Batch = EMPTY,
        controls: AnyControls | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """`generate(noise(rng), ...)`."""
        return self.generate(self.noise(rng), cond, controls, progress)


class Interpolates(abc.ABC):  # noqa: B024 - a promise about what the other abilities do
    """Ability: near latents make near images, so that a walk from one to another is smooth.

    A family that `Generates` promises it of its noise, all of it standard normal; one that `Encodes`
    and `Decodes`, of its latents.
    """


class Encodes(abc.ABC):
    """Ability: maps an image to a latent."""

    @abc.abstractmethod
    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The most likely latent of each image, (B, ...)."""


class Decodes(abc.ABC):
    """Ability: maps a latent to an image."""

    @abc.abstractmethod
    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]."""


class Tokenizes(abc.ABC):
    """Ability: its latents are tokens, (B, h, w) int64, each of which stands for a vector."""

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


class Reconstructs(abc.ABC):
    """Ability: maps an image to itself through a bottleneck."""

    @abc.abstractmethod
    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The image after the bottleneck, same shape, in [-1, 1]."""


class Denoises(abc.ABC):
    """Ability: takes Gaussian noise away."""

    @abc.abstractmethod
    def denoise(self, image_BCHW: Tensor, deviation_B: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The expected clean image, (B, C, H, W) in [-1, 1].

        Args:
            image_BCHW: noisy, in units of [-1, 1] and perhaps beyond.
            deviation_B: standard deviation of the noise in those units.
            cond: `label` (B, A), if known.
        """


class Completes(abc.ABC):
    """Ability: paints what a mask leaves open. All randomness is in `noise`."""

    Controls: ClassVar[type[Controls]]

    @abc.abstractmethod
    def noise(self, rng: Rng) -> Batch:
        """What `complete` starts from, one row per row of `rng`."""

    @abc.abstractmethod
    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch = EMPTY,
        controls: AnyControls | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1], equal to `image_BCHW` where the mask is 0.

        Args:
            image_BCHW: what is known; its values where the mask is 1 have no influence.
            mask_B1HW: 1.0 where the image is to be painted, else 0.0.
            noise: of `noise(rng)`.
            cond: `label` (B, A), if known.
            controls: the family's.
            progress: told of progress.
        """


class Translates(abc.ABC):
    """Ability: turns a source image into another. All randomness is in `noise`."""

    Controls: ClassVar[type[Controls]]

    @abc.abstractmethod
    def noise(self, rng: Rng) -> Batch:
        """What `translate` starts from, one row per row of `rng`."""

    @abc.abstractmethod
    def translate(
        self,
        source_BCHW: Tensor,
        noise: Batch,
        cond: Batch = EMPTY,
        controls: AnyControls | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]."""


class Sequential(abc.ABC):
    """Ability: models an image one number at a time, in raster order, the channels innermost."""

    @abc.abstractmethod
    def stepper(self, rows: int, cond: Batch = EMPTY) -> "Stepper":
        """At the first number of `rows` new images. Each step costs one position, not one image."""


class Scores(abc.ABC):
    """Ability: tells how likely an image is, or a bound of it."""

    kind: ClassVar[Literal["exact", "bound", "estimate"]]

    @abc.abstractmethod
    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """Negative log2-likelihood of the 8-bit image per dimension, (B,) float32; lower is better."""
