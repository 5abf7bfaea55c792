"""Paired translation with variety: a mean, and a flow of what the source leaves open.

Named after Palette (Saharia et al., 2022, https://arxiv.org/abs/2111.05826), which translates by diffusion in
one stage; here only the residual is left to the flow (as in Whang et al., 2022,
https://arxiv.org/abs/2112.02475). First, with the source s and its image x,

    m = base(s) + U(s),   E |x - m|_1                    base: the source if it is an image, else 0

Then a rectified flow v learns the residual r = (x - m - shift) / scale, standardised by channel; e is noise:

    E |v(r_t, t, s, m) - (e - r)|^2,   r_t = (1 - t) r + t e

A network's residual on what it was trained on is smaller than on anything else, and a flow of it would show
too little variety. So U is two networks, each trained on one half of the pairs, and the flow learns the
residual of the one that has not seen the pair (cross-fitting). A translation takes the mean of both.

Shapes: B batch, C channels, H height, W width of images; K planes of sources.
"""

import functools
from collections.abc import Mapping
from typing import ClassVar

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.fields import Field
from zeuxis.core.pixels import to_levels
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.nn import planes
from zeuxis.nn.plain import PlainUNet
from zeuxis.nn.unet import UNet
from zeuxis.objectives.distillation import linear
from zeuxis.sampling.ode import even
from zeuxis.sampling.stochastic import shuffled, stochastic

FOLDS = 2
SMALLEST = 4
"""Pixels a side below which there is nothing to halve."""
LATE, LATE_FROM = 0.1, 0.9
"""Share of times that are drawn evenly from the last part before pure noise, which others seldom reach."""
SETTLED = 64
"""Updates of the flow after which shift and scale of the residual stand still."""
TINIEST = 1e-3
"""Standard deviation below which a channel's residual is not divided further."""


class PaletteConfig(FamilyConfig):
    """Settings of `Palette`."""

    source: Field
    """What is translated: an image, or a map of class ids."""
    mean: float = pydantic.Field(0.4, gt=0, lt=1)
    """Share of the run that trains the mean; the rest trains the flow."""
    widths: tuple[int, ...] = pydantic.Field((64, 128, 192), min_length=1, max_length=6)
    """Channels of each level of the networks, finest first; each level halves the sides."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks a level, on the way down and again on the way up."""
    detail: int = pydantic.Field(12, ge=1)
    """Channels of the mean's skip at full resolution."""
    embedding: int = pydantic.Field(256, ge=8, multiple_of=2)
    """Size of the flow's embedding of time."""
    patch: int = pydantic.Field(0, ge=0, le=16)
    """Pixels a side of a position of the finest level; 0: 2 for images of up to 64 pixels a side, else 4."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "PaletteConfig":
        if self.source.kind not in ("image", "map"):
            raise Invalid(f"source is a {self.source.kind}; a palette translates images and maps")
        if min(self.height, self.width) < SMALLEST:
            raise Invalid(
                f"the images are {self.height}x{self.width}; palette needs at least {SMALLEST} pixels a "
                "side: prepare them larger (data.size)"
            )
        return self

    @property
    def side(self) -> int:
        """Pixels a side of a position of the finest level."""
        return self.patch or (2 if max(self.height, self.width) <= 64 else 4)


class PaletteControls(Controls):
    """What can be turned when translating by a `Palette`."""

    steps: int = pydantic.Field(8, ge=0, le=1000)
    """Steps of the flow, one network pass each; 0 gives the mean, which is the same for every seed."""
    churn: float = pydantic.Field(0.25, ge=0, le=1)
    """Share of the noise redrawn at each step, which corrects errors; 0 is deterministic."""
    spread: float = pydantic.Field(1.0, ge=0, le=4)
    """Factor on the noise of the start: below 1 samples keep closer to what is likely."""


class Palette(Family, abilities.Translates[PaletteControls]):
    """Many possible images of one source."""

    Config = PaletteConfig
    Controls = PaletteControls
    CONDITIONAL = False
    POINT: ClassVar[Mapping[str, float]] = {"steps": 0}
    TRAINING = Training(
        optimiser="muon",
        batch_size=32,
        lr=2e-3,
        warmup=50,
        weight_decay=0.01,
        clip=1.0,
        average=0.1,
    )
    TINY = PaletteConfig(
        height=8,
        width=8,
        channels=3,
        source=Field(name="source", kind="image", shape=(1, 8, 8)),
        widths=(16, 16),
        detail=4,
        embedding=16,
    )
    config: PaletteConfig
    shift_C11: Tensor
    square_C11: Tensor

    def __init__(self, config: PaletteConfig) -> None:
        super().__init__()
        self.config = config
        channels, inside = config.channels, planes.count(config.source)
        sizes = config.widths, config.blocks
        self.means = nn.ModuleList(
            PlainUNet(inside, channels, *sizes, config.side, config.detail) for _ in range(FOLDS)
        )
        given = inside + channels
        self.net = UNet(channels, (), *sizes, 1, config.embedding, config.side, given=given)
        self.register_buffer("shift_C11", torch.zeros(channels, 1, 1))
        self.register_buffer("square_C11", torch.full((channels, 1, 1), 0.1))

    def phases(self) -> tuple[Phase, ...]:
        """The mean, then the flow of what it leaves open."""
        share = self.config.mean
        return (
            Phase(name="mean", modules=("means",), stop=share),
            Phase(name="flow", modules=("net",), start=share, own_schedule=True),
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean absolute error of each network on its own half, or the flow's mean squared error."""
        planes_BKHW, image_BCHW = self.planes(batch["source"]), batch["image"]
        fold_B = fold(image_BCHW)
        if phase == "mean":
            made_BCHW = self._by_fold(planes_BKHW, fold_B)
            return {"total": F.l1_loss(made_BCHW, image_BCHW)}
        with torch.no_grad():
            unseen_BCHW = self._by_fold(planes_BKHW, FOLDS - 1 - fold_B)
        residual_BCHW = image_BCHW - unseen_BCHW
        target_BCHW = (residual_BCHW - self.shift_C11) / self.scale_C11
        noise_BCHW = ctx.rng.normal("noise", *image_BCHW.shape[1:])
        time_B = _times(ctx.rng)
        at_BCHW = torch.lerp(target_BCHW, noise_BCHW, time_B[:, None, None, None])
        velocity_BCHW = self.velocity(at_BCHW, time_B, planes_BKHW, unseen_BCHW)
        return {
            "total": F.mse_loss(velocity_BCHW, noise_BCHW - target_BCHW),
            "stat/shift": residual_BCHW.mean((0, 2, 3)),
            "stat/square": residual_BCHW.square().mean((0, 2, 3)),
        }

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """Average the residual's moments over the flow's first updates."""
        if phase == "flow" and ctx.update < SETTLED:
            share = 1 / (ctx.update + 1)
            self.shift_C11.lerp_(stats["stat/shift"][:, None, None], share)
            self.square_C11.lerp_(stats["stat/square"][:, None, None], share)

    @property
    def scale_C11(self) -> Tensor:
        """Standard deviation of the residual by channel."""
        return (self.square_C11 - self.shift_C11.square()).clamp(min=TINIEST**2).sqrt()

    def _by_fold(self, planes_BKHW: Tensor, fold_B: Tensor) -> Tensor:
        """Each image's mean by the network of its fold, (B, C, H, W)."""
        order, found = torch.argsort(fold_B), []
        for number, net in enumerate(self.means):
            # one image more, as convolutions take no empty batch
            rows = torch.cat([order[fold_B[order] == number], order[:1]])
            found.append(self._mean(net, planes_BKHW[rows])[:-1])
        return torch.cat(found)[torch.argsort(order)]

    def _mean(self, net: nn.Module, planes_BKHW: Tensor) -> Tensor:
        base_BCHW = planes.base(planes_BKHW, self.config.source, self.config.channels)
        added_BCHW: Tensor = net(planes_BKHW)
        return added_BCHW + base_BCHW

    def planes(self, source: Tensor) -> Tensor:
        """A source as planes (B, K, H, W) of the image's size."""
        size = self.config.height, self.config.width
        return planes.planes(source, self.config.source, size, next(self.parameters()).dtype)

    def velocity(
        self, x_BCHW: Tensor, time_B: Tensor, planes_BKHW: Tensor, mean_BCHW: Tensor
    ) -> Tensor:
        """v(r_t, t, s, m), of x's shape and type."""
        inverse, guess = linear(time_B, None, 1.0)
        given_BKHW = torch.cat([planes_BKHW, mean_BCHW.to(planes_BKHW.dtype)], 1)
        correction_BCHW = self.net(x_BCHW * inverse, time_B, None, given_BKHW=given_BKHW)
        return guess * x_BCHW + inverse * correction_BCHW.to(x_BCHW.dtype)

    def noise(self, rng: Rng) -> Batch:
        """Standard normal, (B, C, H, W)."""
        config = self.config
        return {"image": rng.normal("image", config.channels, config.height, config.width)}

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: PaletteControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """The mean of both networks, and a sample of the flow on top of it."""
        planes_BKHW = self.planes(source)
        mean_BCHW = torch.stack([self._mean(net, planes_BKHW) for net in self.means]).mean(0)
        if not controls.steps:
            return mean_BCHW.clamp(-1, 1)
        velocity = functools.partial(self.velocity, planes_BKHW=planes_BKHW, mean_BCHW=mean_BCHW)
        fresh = functools.partial(shuffled, noise["image"])
        start_BCHW, times = controls.spread * noise["image"], even(controls.steps)
        residual_BCHW = stochastic(
            velocity, start_BCHW, times, progress, fresh=fresh, churn=controls.churn
        )
        return (mean_BCHW + self.shift_C11 + self.scale_C11 * residual_BCHW).clamp(-1, 1)


def fold(image_BCHW: Tensor) -> Tensor:
    """Which half a pair belongs to, (B,) int64: by the sum of its image's levels, which no flip changes."""
    return to_levels(image_BCHW).long().flatten(1).sum(1) % FOLDS


def _times(rng: Rng) -> Tensor:
    """Logit-normal times (B,), some of them late."""
    usual_B = torch.sigmoid(1.25 * rng.normal("time") - 0.5)
    late_B2 = rng.uniform("late", 2)
    late_B = LATE_FROM + (1 - LATE_FROM) * late_B2[:, 1]
    return torch.where(late_B2[:, 0] < LATE, late_B, usual_B)
