"""The contract of a family: its config, its phases, and what its loss may know.

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
from typing import ClassVar, Literal, Self, final

import pydantic
import torch
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.fields import STANDARD, Field
from zeuxis.core.rng import Rng
from zeuxis.core.sentences import Sentences
from zeuxis.core.settings import Training
from zeuxis.core.vocabulary import PADDING, Vocabulary

Loader = Callable[[int, slice], Batch]
"""(draw, rows) -> those rows of global batch number `draw`. Pure in (seed, draw, row); images are uint8."""

Losses = Mapping[str, Tensor]
"""Scalar terms of one phase, each a mean over rows. `total` is differentiated, `stat/...`, of any shape,
goes to `update`, the rest is only logged."""

Shows = Literal["generate", "translate", "reconstruct"]

LONGEST_SIDE = 8192
"""Pixels of a generated image's height and width; a square of it is the largest that is decoded."""
MOST_CLASSES = 1000
"""Of a condition."""


class Condition(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Something that a sample can be asked to have: one column of a batch's `label`."""

    name: str
    kind: Literal["classes"] = "classes"
    classes: tuple[str, ...] = pydantic.Field((), max_length=MOST_CLASSES)


class Number(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A number that a sample can be asked to have: one column of a batch's `number`."""

    name: str
    mean: float = pydantic.Field(allow_inf_nan=False)
    deviation: float = pydantic.Field(gt=0, allow_inf_nan=False)
    """Standard deviation over the training images."""


class FamilyConfig(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What every family has to know of its data. All of it is filled in from the prepared set."""

    height: int = pydantic.Field(ge=1, le=LONGEST_SIDE)
    """Pixels from top to bottom."""
    width: int = pydantic.Field(ge=1, le=LONGEST_SIDE)
    """Pixels from left to right."""
    channels: int = pydantic.Field(ge=1, le=4)
    """1 for grey, 3 for colour, 4 for colour with alpha."""
    conditions: tuple[Condition, ...] = ()
    """Classes that a sample can be asked to have, in the order of a batch's `label`."""
    numbers: tuple[Number, ...] = ()
    """Numbers that it can be asked to have, in the order of a batch's `number`."""
    text: Vocabulary | Sentences | None = None
    """Of captions, if a sample can be asked for in words."""

    @property
    def given(self) -> tuple[str, ...]:
        """Keys of a batch that say what a sample is to have."""
        found = {"label": self.conditions, "number": self.numbers, "text": self.text}
        return tuple(name for name, there in found.items() if there)

    @property
    def nats_per_bit(self) -> float:
        """Nats of an image that has one bit per dimension."""
        return math.log(2) * self.channels * self.height * self.width


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A group of parameters with an optimiser of its own.

    Attributes:
        name: given to `loss`, and the prefix of what is logged.
        modules: paths of the submodules whose parameters it trains; "" is the whole family.
        every: it runs at each step that this divides.
        start: progress in [0, 1] from which it runs.
        stop: progress from which on it runs no more; its learning-rate schedule ends there.
        own_batch: it is given a fresh draw of data instead of the step's.
        own_schedule: its learning-rate schedule and weight average start with the phase, not at step 0.
        lr: factor on the run's learning rate.
        betas: Adam's, if not the run's.
        clip: largest gradient norm, if not the run's.
        keep: whether its modules belong to the artefact (discriminators do not).
    """

    name: str
    modules: tuple[str, ...]
    every: int = 1
    start: float = 0.0
    stop: float = 1.0
    own_batch: bool = False
    own_schedule: bool = False
    lr: float = 1.0
    betas: tuple[float, float] | None = None
    clip: float | None = None
    keep: bool = True

    def first(self, steps: int) -> int:
        """The step, of `steps`, from which its schedule counts."""
        return math.ceil(self.start * steps) if self.own_schedule else 0

    def last(self, steps: int) -> int:
        """The step, of `steps`, at which its schedule ends."""
        return math.ceil(self.stop * steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What a loss is given beside the batch.

    Attributes:
        step: steps of the run done so far.
        update: how often this phase has run so far; lazy terms count by it.
        progress: step / steps, in [0, 1).
        rng: named random draws, one stream per sample of the batch.
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


def unknown(given: Batch) -> Batch:
    """The same with all of it unknown: labels -1, numbers NaN, captions `NO_CAPTION` and padding."""
    out = {name: torch.full_like(v, STANDARD[name].facts.missing) for name, v in given.items()}
    if "text" in out:
        out["text"][:, 1:] = PADDING
    return out


class Family(nn.Module, abc.ABC):
    """A trainable model: networks as attributes, and the objective that trains them."""

    Config: ClassVar[type[FamilyConfig]]
    Controls: ClassVar[type[Controls]] = Controls
    TRAINING: ClassVar[Training]
    """How this family is trained unless the user says otherwise."""
    TINY: ClassVar[FamilyConfig]
    """A config that trains one step on two CPU cores in well under a second: tests use it."""
    GROUP: ClassVar[int] = 1
    """Number of consecutive samples that a loss may combine; micro-batches hold whole groups."""
    CONDITIONAL: ClassVar[bool] = True
    """Whether the family can be conditioned on labels. If not, `conditions` is always empty."""
    DESCRIBED: ClassVar[bool] = False
    """Whether it can be conditioned on numbers and text, too."""
    UNPAIRED: ClassVar[bool] = False
    """Whether the sources and images of a batch need not belong together, if it has a `source`."""
    TILES: ClassVar[int | None] = None
    """Side of the squares that images of mixed sizes are cut into, if neither a size nor tiles are asked for;
    None: they are resized."""

    BATCH: ClassVar[int] = 32
    """Images of every network call once it is trained."""

    PARTS: ClassVar[tuple[str, ...]] = ()
    """Names of the trained models that it may build on. A family that names any takes them as the
    second argument, `parts`, and hands them to `super().__init__`."""

    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """Submodules that may be missing from the checkpoint given to `--from`; they are rebuilt during
    training."""

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
        own = (name for name, value in self.config if isinstance(value, Field))
        return ("image", *own, *self.config.given)

    @final
    def fields(self) -> Mapping[str, Field]:
        """What the keys of a batch mean: those that mean the same everywhere, and the config's own.

        A source that the config does not describe is an image as those that the family is trained on, or
        so many times smaller as images are made larger.
        """
        config, found = self.config, dict(STANDARD)
        if isinstance(self, abilities.Translates):
            shape = (config.channels, config.height // self.scale, config.width // self.scale)
            found["source"] = Field(name="source", kind="image", shape=shape)
        return {**found, **{n: value for n, value in config if isinstance(value, Field)}}

    @final
    @classmethod
    def shows(cls) -> Shows | None:
        """What is drawn of it wherever a model is looked at or measured; None: it makes no images."""
        if issubclass(cls, abilities.Translates):
            return "translate"
        if issubclass(cls, abilities.Generates):
            return "generate"
        codes = issubclass(cls, abilities.Encodes) and issubclass(cls, abilities.Decodes)
        return "reconstruct" if codes or issubclass(cls, abilities.Reconstructs) else None

    @final
    def label_of(self, batch: Batch, rows: int) -> Tensor:
        """`label` (B, A) of a batch of so many rows; -1, unknown, where it has none."""
        device = next(self.parameters()).device
        unknown_BA = torch.full((rows, len(self.config.conditions)), -1, device=device)
        return batch.get("label", unknown_BA) if self.config.conditions else unknown_BA

    @final
    def condition(self, batch: Batch, rows: int) -> Batch:
        """What a batch of so many rows says of `config.given`, unknown where it says nothing."""
        config, device = self.config, next(self.parameters()).device
        shapes = {"label": (rows, len(config.conditions)), "number": (rows, len(config.numbers))}
        if config.text:
            shapes["text"] = (rows, config.text.length)
        blank = {
            name: torch.zeros(
                shapes[name],
                dtype=STANDARD[name].facts.inside or torch.float32,
                device=device,
            )
            for name in config.given
            if name not in batch
        }
        found = {**unknown(blank), **batch}
        return {name: found[name] for name in config.given}

    def ready(self) -> None:
        """Once its tensors are loaded from an artefact: open what of it lies elsewhere.

        Raises:
            Invalid: it is gone, or not what it was.
        """

    def cut(self, text: str) -> str:
        """What does not fit of a text that images are asked to show; "" if all does."""
        return self.config.text.cut(text) if self.config.text else ""

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
