"""Paired translation: a U-Net from a source to its image (Isola et al., 2017, https://arxiv.org/abs/1611.07004).

The point estimate comes first: y = base + U(x), where the base is the source itself if it is an image, with
the mean absolute error to the truth t as objective, whose minimum is the median of what may be. With the
weight `adversarial` a > 0 a discriminator D looks at patches of a source and an image, and the generator
minimises (their equation 4, with the losses of `objectives.adversarial`)

    L = |y - t|_1 + a * softplus(-D(x, y))

Start such a run from the point estimate (`--from`): beside an untrained generator D has nothing to teach.
There are no norms and no attention: what is made at a pixel depends on the source within `margin` only, so
that tiles of a large picture equal the whole, and no image on others of its batch.

Shapes: B batch, C channels, H height, W width of images; c, h, w of sources; K input planes, F features.
"""

import functools
from typing import Annotated

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.fields import Field
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import When
from zeuxis.nn import planes
from zeuxis.nn.patchgan import PatchDiscriminator
from zeuxis.nn.plain import PlainUNet
from zeuxis.objectives import adversarial
from zeuxis.objectives.adversarial import Loss

SMALL = 64
"""Sides up to which a position of the finest level is 2 pixels wide, not 4."""


class Pix2PixConfig(FamilyConfig):
    """Settings of `Pix2Pix`."""

    source: Field
    """What is translated: an image, or a map of class ids."""
    widths: tuple[int, ...] = pydantic.Field((64, 128, 192), min_length=1, max_length=6)
    """Channels of each level of the U-Net, finest first; each level halves the sides."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks a level, on the way down and again on the way up."""
    detail: int = pydantic.Field(12, ge=1)
    """Channels of the skip at full resolution."""
    patch: int = pydantic.Field(0, ge=0, le=16)
    """Pixels a side of a position of the finest level; 0: 2 for images of up to 64 pixels a side, else 4."""
    adversarial: float = pydantic.Field(0.0, ge=0)
    """Weight of the adversarial term beside the mean absolute error; 0 trains the point estimate alone."""
    loss: Annotated[Loss, When("adversarial")] = "non_saturating"
    """Adversarial loss, patch by patch."""
    gamma: Annotated[float, When("adversarial")] = pydantic.Field(1.0, ge=0)
    """Weight of R1, the penalty on the discriminator's gradient at real pairs."""
    penalty_every: Annotated[int, When("adversarial")] = pydantic.Field(4, ge=1)
    """Updates of the discriminator between penalties, which are scaled up by it."""

    @pydantic.model_validator(mode="after")
    def _can_be_read(self) -> "Pix2PixConfig":
        if self.source.kind not in ("image", "map"):
            raise Invalid(f"source is a {self.source.kind}; a pix2pix translates images and maps")
        return self

    @property
    def side(self) -> int:
        """Pixels a side of a position of the finest level."""
        return self.patch or (2 if max(self.height, self.width) <= SMALL else 4)

    @property
    def planes(self) -> int:
        """K: channels of an image, classes of a map."""
        return planes.count(self.source)


class Pix2Pix(Family, abilities.Translates[Controls]):
    """Point estimate of the image of a source, sharpened by a patch discriminator if that is asked for."""

    Config = Pix2PixConfig
    CONDITIONAL = False
    OPTIONAL = ("discriminator",)
    TRAINING = Training(
        optimiser="muon",
        batch_size=32,
        lr=2e-3,
        warmup=50,
        weight_decay=0.01,
        clip=1.0,
        average=0.1,
    )
    TINY = Pix2PixConfig(
        height=8,
        width=8,
        channels=3,
        source=Field(name="source", kind="image", shape=(1, 8, 8)),
        widths=(8, 8),
        detail=4,
    )
    config: Pix2PixConfig

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.widths, config.blocks, config.side, config.detail
        self.generator = PlainUNet(config.planes, config.channels, *sizes)
        seen = config.planes + config.channels
        self.discriminator = (
            PatchDiscriminator(seen, config.widths[0]) if config.adversarial else None
        )

    @property
    def stride(self) -> int:
        """Any size, if sources are as large as their images."""
        config = self.config
        same = config.source.shape[-2:] == (config.height, config.width)
        return self.generator.multiple if same else 0

    @property
    def margin(self) -> int:
        """How far a pixel sees."""
        return -(-self.generator.reach // self.generator.multiple) * self.generator.multiple

    def phases(self) -> tuple[Phase, ...]:
        """The generator alone, or after the discriminator."""
        if self.discriminator is None:
            return super().phases()
        return (
            Phase(name="discriminator", modules=("discriminator",), keep=False, betas=(0.0, 0.99)),
            Phase(name="generator", modules=("generator",), betas=(0.0, 0.99)),
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean absolute error, and what the two players want of each other."""
        planes_BKHW = self.planes(batch["source"])
        if phase == "discriminator":
            return self._discriminator_loss(planes_BKHW, batch, ctx)
        image_BCHW = self.unbounded(batch["source"], planes_BKHW)
        error = F.l1_loss(image_BCHW, batch["image"])
        if self.discriminator is None:
            return {"total": error}
        config, judge = self.config, functools.partial(self._verdict, planes_BKHW)
        weighed = error, config.loss, config.adversarial
        return adversarial.generator_terms(judge, batch["image"], image_BCHW, *weighed)

    def _discriminator_loss(self, planes_BKHW: Tensor, batch: Batch, ctx: Context) -> Losses:
        config, judge = self.config, functools.partial(self._verdict, planes_BKHW)
        with torch.no_grad():
            fake_BCHW = self.unbounded(batch["source"], planes_BKHW).clamp(-1, 1)
        due = ctx.update % config.penalty_every == 0
        penalty = config.loss, config.gamma, config.penalty_every * due
        return adversarial.discriminator_terms(judge, batch["image"], fake_BCHW, *penalty)

    def _verdict(self, planes_BKHW: Tensor, image_BCHW: Tensor) -> Tensor:
        assert self.discriminator is not None
        logits: Tensor = self.discriminator(torch.cat([planes_BKHW, image_BCHW], 1))
        return logits

    def planes(self, source: Tensor) -> Tensor:
        """A source as planes (B, K, H, W), at the image's size where not any will do."""
        size = None if self.stride else (self.config.height, self.config.width)
        return planes.planes(source, self.config.source, size, next(self.parameters()).dtype)

    def unbounded(self, source: Tensor, planes_BKHW: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W), not bounded."""
        planes_BKHW = self.planes(source) if planes_BKHW is None else planes_BKHW
        added_BCHW: Tensor = self.generator(planes_BKHW)
        return added_BCHW + planes.base(planes_BKHW, self.config.source, self.config.channels)

    def noise(self, rng: Rng) -> Batch:
        """Nothing is drawn."""
        return {}

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: Controls,
        progress: Progress | None = None,
    ) -> Tensor:
        """One pass."""
        return self.unbounded(source).clamp(-1, 1)
