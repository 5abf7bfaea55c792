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
from zeuxis.nn.towers import pad_edge
from zeuxis.nn.unet import UNet
from zeuxis.objectives import flow
from zeuxis.objectives.distillation import MOST_STEPS, PASSES, follow, random_steps
from zeuxis.sampling import any_size
from zeuxis.sampling.ode import average

FOLDS = 2
SMALLEST = 4
"""Pixels a side below which there is nothing to halve."""


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
    jumps: float = pydantic.Field(0.0, ge=0, lt=1)
    """Share of the run, at its end, for distillation of the flow to 1 to 4 steps; 0 is off, 0.125 is good."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "PaletteConfig":
        if self.source.kind not in ("image", "map"):
            raise Invalid(f"source is a {self.source.kind}; a palette translates images and maps")
        if min(self.height, self.width) < SMALLEST:
            raise Invalid(
                f"the images are {self.height}x{self.width}; palette needs at least {SMALLEST} pixels a "
                "side: prepare them larger (data.size)"
            )
        if self.mean + self.jumps >= 1:
            raise Invalid(
                f"mean is {self.mean} and jumps {self.jumps}; together they must be below 1, as the flow "
                "needs a part of the run of its own"
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
    most_jumps: int = pydantic.Field(MOST_STEPS, ge=0, le=MOST_STEPS)
    """Largest `steps` for which the distilled copy is used (needs `family.jumps`)."""
    churn: float = pydantic.Field(0.25, ge=0, le=1)
    """Share of the noise redrawn at each step, which corrects errors; 0 is deterministic."""
    spread: float = pydantic.Field(1.0, ge=0, le=4)
    """Factor on the noise of the start: below 1 samples keep closer to what is likely."""


class Palette(Family, abilities.Translates[PaletteControls]):
    """Many possible images of one source."""

    Config = PaletteConfig
    Controls = PaletteControls
    CONDITIONAL = False
    OPTIONAL = ("jumper",)
    WHOLE = True
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
        flows = *sizes, 1, config.embedding, config.side
        unet = functools.partial(UNet, channels, None, *flows, given=inside + channels)
        self.net = unet()
        if config.jumps:
            self.jumper = unet(lengths=True)
        self.register_buffer("shift_C11", torch.zeros(channels, 1, 1))
        self.register_buffer("square_C11", torch.full((channels, 1, 1), 0.1))

    @property
    def stride(self) -> int:
        """Any size, if sources are as large as their images."""
        same = self.config.source.shape[-2:] == (self.config.height, self.config.width)
        return self.net.multiple if same else 0

    def phases(self) -> tuple[Phase, ...]:
        """The mean, then the flow of what it leaves open, and late in the run a copy of that."""
        share, start = self.config.mean, 1 - self.config.jumps
        both = (
            Phase(name="mean", modules=("means",), stop=share),
            Phase(name="flow", modules=("net",), start=share, own_schedule=True),
        )
        late = Phase(name="jumps", modules=("jumper",), start=start, own_schedule=True, lr=0.5)
        return (*both, late) if self.config.jumps else both

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean absolute error of each network on its half, or mean squared error of the flow or its copy."""
        planes_BKHW, image_BCHW = self.planes(self.placed(batch["source"])), batch["image"]
        fold_B, (height, width) = fold(image_BCHW), image_BCHW.shape[2:]
        image_BCHW = pad_edge(image_BCHW, -height % self.net.multiple, -width % self.net.multiple)
        if phase == "mean":
            made_BCHW = self._by_fold(planes_BKHW, fold_B)
            return {"total": F.l1_loss(made_BCHW, image_BCHW)}
        with torch.no_grad():
            unseen_BCHW = self._by_fold(planes_BKHW, FOLDS - 1 - fold_B)
        residual_BCHW = image_BCHW - unseen_BCHW
        target_BCHW = (residual_BCHW - self.shift_C11) / self.scale_C11
        noise_BCHW = ctx.rng.normal("noise", *image_BCHW.shape[1:])
        velocity = functools.partial(self.velocity, planes_BKHW=planes_BKHW, mean_BCHW=unseen_BCHW)
        if phase == "flow":
            time_B = flow.times(ctx.rng)
            at_BCHW = torch.lerp(target_BCHW, noise_BCHW, time_B[:, None, None, None])
            error = F.mse_loss(velocity(at_BCHW, time_B), noise_BCHW - target_BCHW)
            return {"total": error, **flow.moments(residual_BCHW)}
        time_B, length_B = random_steps(ctx.rng)
        at_BCHW = torch.lerp(target_BCHW, noise_BCHW, time_B[:, None, None, None])
        true_BCHW = average(velocity, at_BCHW, time_B, length_B, PASSES)
        return {"total": F.mse_loss(velocity(at_BCHW, time_B, length_B), true_BCHW)}

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """Average the residual's moments, and let the copy follow the flow until it is distilled."""
        if phase != "flow":
            return
        flow.settle(self.shift_C11, self.square_C11, stats, ctx.update)
        if self.config.jumps and ctx.progress < 1 - self.config.jumps:
            follow(self.jumper, self.net, ctx.update)

    @property
    def scale_C11(self) -> Tensor:
        """Standard deviation of the residual by channel."""
        return flow.scale(self.shift_C11, self.square_C11)

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

    def placed(self, source: Tensor) -> Tensor:
        """A source at its image's size, continued by its edge to what the networks divide."""
        size = None if self.stride else (self.config.height, self.config.width)
        return planes.placed(source, self.config.source, size, self.net.multiple)

    def planes(self, source: Tensor) -> Tensor:
        """A source as planes (B, K, H, W)."""
        return planes.planes(source, self.config.source, None, next(self.parameters()).dtype)

    def velocity(
        self,
        x_BCHW: Tensor,
        time_B: Tensor,
        length_B: Tensor | None = None,
        *,
        planes_BKHW: Tensor,
        mean_BCHW: Tensor,
    ) -> Tensor:
        """v(r_t, t, s, m), or by the copy its average from t to t - length, of x's shape and type."""
        net = self.net if length_B is None else self.jumper
        given_BKHW = torch.cat([planes_BKHW, mean_BCHW.to(planes_BKHW.dtype)], 1)
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
        controls: PaletteControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """The mean of both networks, and a sample of the flow on top of it."""
        height, width = source.shape[-2:] if self.stride else noise["image"].shape[-2:]
        source = self.placed(source)
        windows = functools.partial(any_size.by_windows, multiple=self.net.multiple)
        mean_BCHW = windows(self._means, source)
        if not controls.steps:
            return mean_BCHW[..., :height, :width].clamp(-1, 1)

        def velocity(x_BCHW: Tensor, *at: Tensor) -> Tensor:
            def window(x_BChw: Tensor, source: Tensor, mean_BChw: Tensor) -> Tensor:
                seen_BKhw = self.planes(source)
                return self.velocity(x_BChw, *at, planes_BKHW=seen_BKhw, mean_BCHW=mean_BChw)

            return windows(window, x_BCHW, source, mean_BCHW)

        long = bool(self.config.jumps) and controls.steps <= controls.most_jumps
        turned = controls.steps, controls.churn, controls.spread, long, progress
        size = source.shape[-2], source.shape[-1]
        residual_BCHW = any_size.follow(velocity, noise["image"], size, *turned)
        made_BCHW = mean_BCHW + self.shift_C11 + self.scale_C11 * residual_BCHW
        return made_BCHW[..., :height, :width].clamp(-1, 1)

    def _means(self, source: Tensor) -> Tensor:
        """The mean of both networks' means."""
        planes_BKHW = self.planes(source)
        return torch.stack([self._mean(net, planes_BKHW) for net in self.means]).mean(0)


def fold(image_BCHW: Tensor) -> Tensor:
    """Which half a pair belongs to, (B,) int64: by the sum of its image's levels, which no flip changes."""
    return to_levels(image_BCHW).long().flatten(1).sum(1) % FOLDS
