"""A scene from a map: one rectified flow that is shown the map, in one to four passes, of any size.

With the map s, its image x, standardised by channel, and noise e, the flow v learns

    E |v(x_t, t, s) - (e - x)|^2,   x_t = (1 - t) x + t e

In the last part of the run a copy learns from it the average velocity over a whole step
(`objectives.distillation`), so that a picture takes few passes. The task is that of GauGAN (Park et al.,
2019, https://arxiv.org/abs/1903.07291); a class id is shown as a few numbers, an unknown one as zeros.

A picture of any size is one field of noise by absolute position; where it is too large for one pass,
velocities of overlapping windows are blended in every step (`sampling.any_size`).

Shapes: B batch, C channels, H height, W width of images; K channels of what a source is shown as.
"""

import functools
from typing import Annotated

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
from zeuxis.nn.towers import pad_edge
from zeuxis.nn.unet import UNet
from zeuxis.objectives import flow
from zeuxis.objectives.distillation import MOST_STEPS, PASSES, follow, random_steps
from zeuxis.sampling import any_size
from zeuxis.sampling.ode import average

SMALLEST = 4
"""Pixels a side below which there is nothing to halve."""


class PaintConfig(FamilyConfig):
    """Settings of `Paint`."""

    source: Field
    """What is painted from: a map of class ids, or an image."""
    shown: Annotated[int, When("source.kind", "map")] = pydantic.Field(8, ge=1, le=256)
    """Channels as which a class id is shown to the network."""
    widths: tuple[int, ...] = pydantic.Field((64, 128, 192), min_length=1, max_length=6)
    """Channels of each level of the network, finest first; each level halves the sides."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks a level, on the way down and again on the way up."""
    embedding: int = pydantic.Field(256, ge=8, multiple_of=2)
    """Size of the embedding of time."""
    patch: int = pydantic.Field(0, ge=0, le=16)
    """Pixels a side of a position of the finest level; 0: 4, or less for images of under 48 pixels a side."""
    jumps: float = pydantic.Field(0.2, ge=0, lt=1)
    """Share of the run, at its end, for distillation to 1 to 4 steps; 0 is off."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "PaintConfig":
        if self.source.kind not in ("image", "map"):
            raise Invalid(f"source is a {self.source.kind}; paint takes maps and images")
        if min(self.height, self.width) < SMALLEST:
            raise Invalid(
                f"the images are {self.height}x{self.width}; paint needs at least {SMALLEST} pixels a "
                "side: prepare them larger (data.size)"
            )
        return self

    @property
    def side(self) -> int:
        """Pixels a side of a position of the finest level."""
        longer = max(self.height, self.width)
        return self.patch or next(side for side in (4, 2, 1) if longer >= 12 * side or side == 1)


class PaintControls(Controls):
    """What can be turned when translating by a `Paint`."""

    steps: int = pydantic.Field(4, ge=1, le=1000)
    """Steps, one network pass each; up to 4 are the distilled copy's. Fewer are faster, and vary less."""
    most_jumps: int = pydantic.Field(MOST_STEPS, ge=0, le=MOST_STEPS)
    """Largest `steps` for which the distilled copy is used (needs `family.jumps`)."""
    churn: float = pydantic.Field(0.25, ge=0, le=1)
    """Share of the noise redrawn at each step beyond those, which corrects errors; 0 is deterministic."""
    spread: float = pydantic.Field(1.0, ge=0, le=4)
    """Factor on the noise of the start: below 1 samples keep closer to what is likely."""


class Paint(Family, abilities.Translates[PaintControls]):
    """Scenes of a map."""

    Config = PaintConfig
    Controls = PaintControls
    CONDITIONAL = False
    OPTIONAL = ("jumper",)
    WHOLE = True
    TRAINING = Training(
        optimiser="muon",
        batch_size=32,
        lr=2e-3,
        warmup=50,
        weight_decay=0.01,
        clip=1.0,
        average=0.1,
    )
    TINY = PaintConfig(
        height=8,
        width=8,
        channels=3,
        source=Field(name="source", kind="image", shape=(1, 8, 8)),
        widths=(16, 16),
        embedding=16,
    )
    config: PaintConfig
    shift_C11: Tensor
    square_C11: Tensor

    def __init__(self, config: PaintConfig) -> None:
        super().__init__()
        self.config = config
        channels, is_map = config.channels, config.source.kind == "map"
        given = config.shown if is_map else planes.count(config.source)
        self.legend = (
            nn.Embedding(planes.count(config.source) + 1, given, padding_idx=0) if is_map else None
        )
        sizes = config.widths, config.blocks, 1, config.embedding, config.side
        unet = functools.partial(UNet, channels, None, *sizes, given=given)
        self.net = unet()
        if config.jumps:
            self.jumper = unet(lengths=True)
        self.register_buffer("shift_C11", torch.zeros(channels, 1, 1))
        self.register_buffer("square_C11", torch.full((channels, 1, 1), 0.25))

    @property
    def stride(self) -> int:
        """Any size, if sources are as large as their images."""
        same = self.config.source.shape[-2:] == (self.config.height, self.config.width)
        return self.net.multiple if same else 0

    def phases(self) -> tuple[Phase, ...]:
        """The flow, and late in the run, at half the learning rate, its copy."""
        seen = ("net", *(("legend",) if self.legend is not None else ()))
        main, start = Phase(name="flow", modules=seen), 1 - self.config.jumps
        late = Phase(name="jumps", modules=("jumper",), start=start, own_schedule=True, lr=0.5)
        return (main, late) if self.config.jumps else (main,)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean squared error of the velocity, or of its average over a random step."""
        source, image_BCHW = self.placed(batch["source"]), batch["image"]
        height, width = image_BCHW.shape[2:]
        target_BCHW = (image_BCHW - self.shift_C11) / self.scale_C11
        target_BCHW = pad_edge(target_BCHW, -height % self.net.multiple, -width % self.net.multiple)
        noise_BCHW = ctx.rng.normal("noise", *target_BCHW.shape[1:])
        if phase == "flow":
            time_B = flow.times(ctx.rng)
            at_BCHW = torch.lerp(target_BCHW, noise_BCHW, time_B[:, None, None, None])
            velocity_BCHW = self.velocity(at_BCHW, time_B, given_BKHW=self.given(source))
            error = F.mse_loss(velocity_BCHW, noise_BCHW - target_BCHW)
            return {"total": error, **flow.moments(image_BCHW)}
        time_B, length_B = random_steps(ctx.rng)
        at_BCHW = torch.lerp(target_BCHW, noise_BCHW, time_B[:, None, None, None])
        velocity = functools.partial(self.velocity, given_BKHW=self.given(source).detach())
        true_BCHW = average(velocity, at_BCHW, time_B, length_B, PASSES)
        return {"total": F.mse_loss(velocity(at_BCHW, time_B, length_B), true_BCHW)}

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """Average the images' moments, and let the copy follow the network until it is distilled."""
        if phase != "flow":
            return
        flow.settle(self.shift_C11, self.square_C11, stats, ctx.update)
        if self.config.jumps and ctx.progress < 1 - self.config.jumps:
            follow(self.jumper, self.net, ctx.update)

    @property
    def scale_C11(self) -> Tensor:
        """Standard deviation of the images by channel."""
        return flow.scale(self.shift_C11, self.square_C11)

    def placed(self, source: Tensor) -> Tensor:
        """A source at its image's size, continued by its edge to what the network divides."""
        size = None if self.stride else (self.config.height, self.config.width)
        return planes.placed(source, self.config.source, size, self.net.multiple)

    def given(self, source: Tensor) -> Tensor:
        """What the network is shown of a source, (B, K, H, W)."""
        if self.legend is None:
            return source
        known = source.clamp(-1, planes.count(self.config.source) - 1) + 1
        shown_BKHW: Tensor = self.legend(known).permute(0, 3, 1, 2)
        return shown_BKHW

    def velocity(
        self,
        x_BCHW: Tensor,
        time_B: Tensor,
        length_B: Tensor | None = None,
        *,
        given_BKHW: Tensor,
    ) -> Tensor:
        """v(x_t, t, s), or by the distilled copy its average from t to t - length, of x's shape and type."""
        net = self.net if length_B is None else self.jumper
        return flow.velocity(net, x_BCHW, time_B, length_B, 1.0, given_BKHW=given_BKHW)

    def noise(self, rng: Rng) -> Batch:
        """Standard normal, (B, C, H, W)."""
        config = self.config
        return {"image": rng.normal("image", config.channels, config.height, config.width)}

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: PaintControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Follow the flow, or its copy, from noise."""
        height, width = source.shape[-2:] if self.stride else noise["image"].shape[-2:]
        source, multiple = self.placed(source), self.net.multiple

        def velocity(x_BCHW: Tensor, *at: Tensor) -> Tensor:
            def window(x_BChw: Tensor, source: Tensor) -> Tensor:
                return self.velocity(x_BChw, *at, given_BKHW=self.given(source))

            return any_size.by_windows(window, x_BCHW, source, multiple=multiple)

        size = source.shape[-2], source.shape[-1]
        long = bool(self.config.jumps) and controls.steps <= controls.most_jumps
        turned = controls.steps, controls.churn, controls.spread, long, progress
        made_BCHW = any_size.follow(velocity, noise["image"], size, *turned)
        made_BCHW = made_BCHW[..., :height, :width] * self.scale_C11 + self.shift_C11
        return made_BCHW.clamp(-1, 1)
