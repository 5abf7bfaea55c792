"""Rectified flow (Liu et al., 2022, https://arxiv.org/abs/2209.03003) with a small U-Net.

Data x and noise e are joined by the straight line x_t = (1 - t) x + t e, t in [0, 1]. The network v
learns the line's direction, E |v(x_t, t) - (e - x)|^2 (equation 1), with t logit-normal (Esser et
al., 2024, https://arxiv.org/abs/2403.03206, section 3.1). Sampling follows v from t = 1 to 0.

Shapes: B batch, C channels, H height, W width, A attributes (label conditions), E embedding.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Literal, Self

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis import family
from zeuxis.family import (
    EMPTY,
    Batch,
    Context,
    Family,
    FamilyConfig,
    Generates,
    Interpolates,
    Losses,
    Tick,
)
from zeuxis.nn.norm import NormSiLU
from zeuxis.nn.resample import pixel_shuffle
from zeuxis.rng import Rng
from zeuxis.run import Training
from zeuxis.sampling.ode import guided, heun

SMALLEST = 4
"""Pixels a side below which there is nothing to halve."""


class FlowConfig(FamilyConfig):
    """Settings of `Flow`; the defaults suit 32 x 32 images."""

    widths: tuple[int, ...] = pydantic.Field((64, 128, 192), min_length=1)
    """Channels of each level, finest first; each level halves the sides. Multiples of 32 are fast."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks a level, on the way down and again on the way up."""
    norms: Literal[1, 2] = 1
    """Norms in a block: before its first convolution only, or before each."""
    embedding: int = pydantic.Field(256, ge=8, multiple_of=2)
    """Size of the embedding of time and labels."""
    stem: int = pydantic.Field(0, ge=0)
    """Pixels a side that become one position of the finest level; 0 chooses by the image's size."""
    drop_label: float = pydantic.Field(0.1, ge=0, le=1)
    """Share of rows trained without their labels, which guidance needs; where there are several
    attributes, each is also hidden by itself at this rate, so that some may be left open."""
    deviation: float = pydantic.Field(0.5, gt=0)
    """Standard deviation of the pixels, about; the network learns what a Gaussian's flow lacks."""
    time_mean: float = 0.0
    """Mean of logit(t) in training; higher means noisier."""
    time_scale: float = pydantic.Field(1.0, gt=0)
    """Standard deviation of logit(t) in training."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> Self:
        for name, side in (("height", self.height), ("width", self.width)):
            if side < SMALLEST:
                raise ValueError(
                    f"{name} is {side}; flow needs at least {SMALLEST} pixels a side: "
                    "prepare the images larger (data.size)"
                )
        if min(self.widths) < 1:
            raise ValueError(f"widths are {self.widths}; each must be at least 1")
        return self

    @property
    def patch(self) -> int:
        """The stem in use: the longer side becomes 12 to 24 positions, up to 96 pixels."""
        longer = max(self.height, self.width)
        return self.stem or next(patch for patch in (4, 2, 1) if longer >= 12 * patch or patch == 1)


class FlowControls(family.Controls):
    """What can be turned when sampling a `Flow`."""

    steps: int = pydantic.Field(10, ge=1, le=1000)
    """Heun steps, of two network passes each: 5 is quick, 20 is as good as it gets."""
    guidance_scale: float = pydantic.Field(1.0, ge=0)
    """1 samples the classes as they are; more makes images more typical of their label, less varied."""


class Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), or without the inner norm; at first the identity."""

    def __init__(self, channels: int, norms: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(NormSiLU(channels) for _ in range(norms))
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        _silence(self.conv2)

    def forward(self, x_BCHW: Tensor, modulation: list[Tensor]) -> Tensor:
        """Same shape; `modulation` is scale and shift of each norm, each (B, C)."""
        h_BCHW = self.conv1(self.norms[0](x_BCHW, *modulation[:2]))
        inner = modulation[2:]
        h_BCHW = self.norms[1](h_BCHW, *inner) if inner else F.silu(h_BCHW)
        return x_BCHW + self.conv2(h_BCHW)


class Level(nn.Module):
    """The blocks of one resolution."""

    def __init__(self, channels: int, config: FlowConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels, config.norms) for _ in range(config.blocks))

    def forward(self, x_BCHW: Tensor, modulation: Iterator[list[Tensor]]) -> Tensor:
        """Same shape; takes one item of `modulation` a block."""
        for block in self.blocks:
            x_BCHW = block(x_BCHW, next(modulation))
        return x_BCHW


class UNet(nn.Module):
    """(B, C, H, W), time (B,), label (B, A) -> velocity (B, C, H, W)."""

    frequency_E: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.multiple = config.patch * 2 ** (len(config.widths) - 1)
        inside, widths, e = config.channels * config.patch**2, config.widths, config.embedding
        self.stem = nn.Conv2d(inside, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Level(width, config) for width in widths)
        self.up = nn.ModuleList(Level(width, config) for width in widths[:-1])
        pairs = list(itertools.pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 1) for fine, coarse in pairs)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.norm = NormSiLU(widths[0])
        self.head = nn.Conv2d(widths[0], inside, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(e, e), nn.SiLU(), nn.Linear(e, e))
        self.label = nn.ModuleList(
            nn.Embedding(len(condition.classes) + 1, e) for condition in config.conditions
        )  # row 0 is "unknown"
        path = (*widths, *reversed(widths[:-1]))
        self.sizes = [[width] * 2 * config.norms for width in path for _ in range(config.blocks)]
        self.sizes.append([widths[0]] * 2)
        self.modulate = nn.Linear(e, sum(map(sum, self.sizes)))
        _silence(self.head)
        _silence(self.modulate)
        steps = torch.arange(e // 2) / (e // 2)
        self.register_buffer(
            "frequency_E", 1000 * torch.exp(-math.log(1e4) * steps), persistent=False
        )

    def forward(self, x_BCHW: Tensor, time_B: Tensor, label_BA: Tensor | None) -> Tensor:
        """The velocity; `label_BA` None means that all labels are unknown."""
        h, w = x_BCHW.shape[2:]
        x = F.pad(x_BCHW, (0, -w % self.multiple, 0, -h % self.multiple))
        modulation = iter(self._modulation(time_B, label_BA))
        x = self.stem(F.pixel_unshuffle(x, self.patch))
        skips = []
        for i, level in enumerate(self.down):
            x = level(x, modulation)
            if i < len(self.shrink):
                skips.append(x)
                x = self.shrink[i](F.avg_pool2d(x, 2))
        for i in reversed(range(len(self.up))):
            x = F.interpolate(self.grow[i](x), scale_factor=2.0) + skips[i]
            x = self.up[i](x, modulation)
        x = self.head(self.norm(x, *next(modulation)))
        return pixel_shuffle(x, self.patch)[..., :h, :w]

    def _modulation(self, time_B: Tensor, label_BA: Tensor | None) -> list[list[Tensor]]:
        """Scale and shift of every norm, from one product."""
        angle = time_B[:, None] * self.frequency_E
        embedding_BE = self.time(torch.cat([angle.cos(), angle.sin()], dim=1))
        for a, table in enumerate(self.label):
            row_B = (
                torch.zeros_like(time_B, dtype=torch.int64)
                if label_BA is None
                else label_BA[:, a] + 1
            )
            embedding_BE = embedding_BE + table(row_B)
        parts = iter(
            self.modulate(F.silu(embedding_BE)).split([*itertools.chain(*self.sizes)], dim=1)
        )
        return [[next(parts) for _ in sizes] for sizes in self.sizes]


def _silence(layer: nn.Conv2d | nn.Linear) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Flow(Family, Generates, Interpolates):
    """Rectified flow, conditional on any number of labels at once."""

    Config = FlowConfig
    Controls = FlowControls
    TRAINING = Training(
        batch_size=32, lr=1e-3, weight_decay=0.01, clip=1.0, average=0.1, average_max=0.999
    )
    TINY = FlowConfig(height=8, width=8, channels=1, widths=(16, 16), blocks=1, embedding=16)
    config: FlowConfig

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.net = UNet(config)

    def velocity(self, x_BCHW: Tensor, time_B: Tensor, label_BA: Tensor | None = None) -> Tensor:
        """v(x_t, t), of x's shape and type; labels None or -1 are unknown.

        The best linear guess plus the network's correction, both sides of the network scaled to unit
        variance, as Karras et al., 2022 (https://arxiv.org/abs/2206.00364, appendix B.6) do for
        denoisers: for data N(0, s^2), E[e - x | x_t] = (t - (1 - t) s^2) / (t^2 + (1 - t)^2 s^2) x_t.
        """
        t, variance = time_B[:, None, None, None], self.config.deviation**2
        inverse = (t**2 + (1 - t) ** 2 * variance).rsqrt()
        correction_BCHW = self.net(x_BCHW * inverse, time_B, label_BA).to(x_BCHW.dtype)
        guess_BCHW = (t - (1 - t) * variance) * inverse**2 * x_BCHW
        return guess_BCHW + self.config.deviation * inverse * correction_BCHW

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean squared error of the velocity at one random time a row."""
        config, image_BCHW, label_BA = self.config, batch["image"], batch.get("label")
        noise_BCHW = ctx.rng.normal("noise", *image_BCHW.shape[1:])
        time_B = torch.sigmoid(config.time_mean + config.time_scale * ctx.rng.normal("time"))
        if label_BA is not None:
            label_BA = self._drop(label_BA, ctx.rng)
        x_BCHW = torch.lerp(image_BCHW, noise_BCHW, time_B[:, None, None, None])
        velocity_BCHW = self.velocity(x_BCHW, time_B, label_BA)
        return {"total": F.mse_loss(velocity_BCHW, noise_BCHW - image_BCHW)}

    def _drop(self, label_BA: Tensor, rng: Rng) -> Tensor:
        attributes, rate = label_BA.shape[1], self.config.drop_label
        hidden_BA = rng.uniform("drop", 1) < rate
        if attributes > 1:
            hidden_BA = hidden_BA | (rng.uniform("drop each", attributes) < rate)
        return label_BA.masked_fill(hidden_BA, -1)

    def noise(self, rng: Rng) -> Batch:
        """Standard normal pixels, (B, C, H, W)."""
        config = self.config
        return {"image": rng.normal("image", config.channels, config.height, config.width)}

    def generate(
        self,
        noise: Batch,
        cond: Batch = EMPTY,
        controls: family.Controls | None = None,
        tick: Tick | None = None,
    ) -> Tensor:
        """Follow the velocity from noise to images (B, C, H, W), clamped to [-1, 1].

        A guided step calls the network once, on the rows with their labels and again without.
        """
        chosen = FlowControls() if controls is None else FlowControls.model_validate(controls)
        label_BA, scale = cond.get("label"), chosen.guidance_scale

        def velocity(x_BCHW: Tensor, time_B: Tensor) -> Tensor:
            if label_BA is None or scale == 1:
                return self.velocity(x_BCHW, time_B, label_BA)
            label = torch.cat([label_BA, torch.full_like(label_BA, -1)])
            both = self.velocity(torch.cat([x_BCHW, x_BCHW]), torch.cat([time_B, time_B]), label)
            with_BCHW, without_BCHW = both.chunk(2)
            return guided(with_BCHW, without_BCHW, scale)

        times = [1 - i / chosen.steps for i in range(chosen.steps + 1)]
        return heun(velocity, noise["image"], times, tick).clamp(-1, 1)
