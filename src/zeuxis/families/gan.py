"""Generative adversarial network (Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661).

The default follows Huang et al., 2024 (https://arxiv.org/abs/2501.05441): residual networks (the
generator's with group norms), the relativistic paired logistic loss, both zero-centred penalties,

    min_D  E s(D(G(z)) - D(x)) + gamma/2 (E |dD/dx|^2 + E |dD/dG(z)|^2),    min_G  E s(D(x) - D(G(z))),

with s = softplus. Images are clamped to [-1, 1] before D and when sampling; a squared penalty discourages
outputs outside that range. The gradient penalties act on the image before its differentiable augmentation,
every few steps, weighted up accordingly (lazy regularisation). Labels enter G beside z, and D by a projection
(Miyato and Koyama, 2018, https://arxiv.org/abs/1802.05637). No batch statistics are used.

Shapes: B batch, C channels, H height, W width, Z latent, E embedding, A attributes, F features.
"""

import itertools
import math
from typing import Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.nn import pyramid, spectral, strided
from zeuxis.nn.augment import DRAWS, POLICIES, augment
from zeuxis.nn.norm import NormSiLU
from zeuxis.nn.precision import full
from zeuxis.nn.wrapping import Double, Tileable, check_sides, rolled, wrapped
from zeuxis.objectives import adversarial

SLOPE = 0.2  # of the leaky ReLU below zero


class GANConfig(FamilyConfig):
    """Settings of `GAN`; the defaults suit 32 x 32 images and minutes of training."""

    network: Literal["residual", "dcgan"] = "residual"
    """`residual`: the modern default; `dcgan`: strided convolutions, for teaching."""
    features: int = pydantic.Field(32, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 16 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Largest number of channels of any grid."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks per grid in both networks; the finest grid has none, where they would cost most."""
    patch: int = pydantic.Field(1, ge=1)
    """Side of the pixel patches that are one position of the finest grid."""
    latent: int = pydantic.Field(64, ge=1)
    """Dimensions of the latent."""
    embedding: int = pydantic.Field(64, ge=1)
    """Dimensions of the label embedding."""
    drop_label: float = pydantic.Field(0.1, ge=0, le=1)
    """Dropout of labels in training, so that the model also works without them."""
    loss: adversarial.Loss = "relativistic"
    """Adversarial loss of generator and discriminator."""
    penalty: Literal["zero_centred", "one_centred", "none"] = "zero_centred"
    """`zero_centred`: R1 + R2; `one_centred`: between real and fake, as Wasserstein GANs have it."""
    gamma: float = pydantic.Field(1.0, ge=0)
    """Weight of the gradient penalty: higher is more stable, lower is sharper. One-centred: 10 is usual."""
    gamma_end: float = pydantic.Field(1.0, gt=0)
    """Factor on gamma at the end of the run: below 1 is sharper, but in long runs D may win."""
    penalty_every: int = pydantic.Field(8, ge=1)
    """Steps between gradient penalties, each weighted up by this number (lazy regularisation)."""
    augment: tuple[str, ...] = ("translation",)
    """Differentiable augmentations of what the discriminator sees: colour, translation, cutout."""
    augment_share: float = pydantic.Field(1.0, ge=0, le=1)
    """Probability that an image is augmented."""
    classify: float = pydantic.Field(0.2, ge=0)
    """Weight of an auxiliary classifier of the labels in the discriminator; 0 leaves it out."""
    spectral_norm: bool = False
    """Divide each weight of the discriminator by its largest singular value."""
    tileable: Tileable = "none"
    """Axes along which images continue on their opposite side: x, y or both."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "GANConfig":
        pyramid.check_size("gan", self.height, self.width)
        patch = 2 if self.network == "dcgan" else self.patch
        check_sides(self.tileable, self.height, self.width, patch << len(self.grids()) - 1)
        if unknown := sorted(set(self.augment) - set(POLICIES)):
            raise Invalid(f"augment is {unknown[0]!r}; choose from {', '.join(POLICIES)}")
        return self

    def grids(self) -> list[tuple[int, int]]:
        """Height and width of each grid, finest first; odd sides are rounded up."""
        return pyramid.grids(self.height, self.width, 2 if self.network == "dcgan" else self.patch)

    def widths(self) -> list[int]:
        """Channels of each grid, finest first."""
        return pyramid.widths(self.features, self.features_max, len(self.grids()))


class GANControls(Controls):
    """What may be turned when sampling."""

    truncation: float = pydantic.Field(1.0, ge=0, le=2)
    """Factor on the latent: below 1, more typical images and less variety."""


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


def conv(inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size, its outputs as large as its rectified inputs at first."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    deviation = math.sqrt(2 / (1 + SLOPE**2) / (inputs * kernel**2))
    nn.init.normal_(layer.weight, std=gain * deviation)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class Embedding(nn.Module):
    """Labels (B, A), -1 where unknown -> the sum of their vectors (B, size); unknown adds zero."""

    def __init__(self, config: GANConfig, size: int, deviation: float) -> None:
        super().__init__()
        counts = [len(condition.classes) for condition in config.conditions]
        self.first = list(itertools.accumulate(counts, initial=0))[:-1]
        self.table = nn.Parameter(torch.randn(sum(counts), size) * deviation / len(counts) ** 0.5)

    def forward(self, label_BA: Tensor) -> Tensor:
        """In the type of the weights."""
        row_BA = label_BA.clamp(min=0) + torch.tensor(self.first, device=label_BA.device)
        known_BA1 = (label_BA >= 0).to(self.table.dtype).unsqueeze(2)
        return (self.table[row_BA] * known_BA1).sum(1)


class Block(nn.Module):
    """x + conv(leaky(conv(leaky(x)))): the discriminator's, without a norm."""

    def __init__(self, width: int, gain: float = 0.0) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width, gain=gain)

    def forward(self, x_BFHW: Tensor) -> Tensor:
        """Same shape as `x_BFHW`."""
        return x_BFHW + self.second(leaky(self.first(leaky(x_BFHW))))


class StyledBlock(nn.Module):
    """x + conv(leaky(conv(silu(norm(x) * (1 + scale) + shift)))): the generator's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = NormSiLU(width)
        self.first, self.second = conv(width, width), conv(width, width, gain=0.0)

    def forward(self, x_BFHW: Tensor, scale_BF: Tensor, shift_BF: Tensor) -> Tensor:
        """Same shape as `x_BFHW`."""
        return x_BFHW + self.second(leaky(self.first(self.norm(x_BFHW, scale_BF, shift_BF))))


class ResidualUp(nn.Module):
    """(B, Z + E) -> (B, C, H, W), not bounded: the residual generator.

    On each grid but the finest, residual blocks whose norms z scales and shifts; then a 1x1
    convolution and bilinear upsampling, which leaves no checkerboard. Patches of more than a pixel
    are made by a convolution and are flat at first (Aitken et al., 2017,
    https://arxiv.org/abs/1707.02937). Without norms some generators grew without a bound.
    """

    def __init__(self, config: GANConfig, given: int) -> None:
        super().__init__()
        self.grids, widths = config.grids()[::-1], config.widths()[::-1]
        self.patch, self.size = config.patch, (config.height, config.width)
        self.up = Double()
        self.blocks = nn.ModuleList(
            nn.ModuleList(StyledBlock(width) for _ in range(config.blocks)) for width in widths[:-1]
        )
        self.rises = nn.ModuleList(conv(a, b, 1) for a, b in itertools.pairwise(widths))
        self.stem = nn.Linear(given, widths[0] * math.prod(self.grids[0]))
        styled = [width for width in widths[:-1] for _ in range(config.blocks)] + [widths[-1]]
        self.styles = [size for width in styled for size in (width, width)]  # scale, shift
        self.style = nn.Linear(given, sum(self.styles))
        nn.init.normal_(self.style.weight, std=0.5 / math.sqrt(given))
        self.norm = NormSiLU(widths[-1])
        self.paint = conv(widths[-1], config.channels * config.patch**2, gain=0.5)
        with torch.no_grad():
            flat = self.paint.weight.view(config.channels, config.patch**2, -1)
            flat.copy_(flat[:, :1].clone().expand_as(flat))

    def forward(self, given_BZ: Tensor) -> Tensor:
        """Generate each image."""
        x = self.stem(given_BZ).unflatten(1, (-1, *self.grids[0]))
        x = x.contiguous(memory_format=torch.channels_last)
        styles = iter(self.style(given_BZ).split(self.styles, 1))
        for stage, rise, grid in zip(self.blocks, self.rises, self.grids[1:], strict=True):
            for block in stage:  # type: ignore[attr-defined]
                x = block(x, next(styles), next(styles))
            x = self.up(rise(x))
            x = x[..., : grid[0], : grid[1]]
        x = self.norm(x, next(styles), next(styles))
        image_BCHW = F.pixel_shuffle(self.paint(x), self.patch)
        return image_BCHW[..., : self.size[0], : self.size[1]]


class Viewer(nn.Module):
    """(B, C, H, W) -> (B, F, h, w): the residual discriminator up to its verdict."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        widths, self.patch = config.widths(), config.patch
        self.padding = (0, -config.width % self.patch, 0, -config.height % self.patch)
        gain = float(config.spectral_norm)  # zero has no direction to normalise
        stages: list[nn.Module] = [conv(config.channels * self.patch**2, widths[0])]
        for fine, coarse in itertools.pairwise(widths):
            stages += [nn.LeakyReLU(SLOPE)] if len(stages) == 1 else []
            stages += [nn.AvgPool2d(2, ceil_mode=True), conv(fine, coarse, 1)]
            stages += [Block(coarse, gain) for _ in range(config.blocks)]
        self.stages = nn.Sequential(*stages)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Look at each image."""
        return self.stages(F.pixel_unshuffle(F.pad(image_BCHW, self.padding), self.patch))


class Generator(nn.Module):
    """(B, Z), labels (B, A) -> (B, C, H, W), not bounded: flat black and white are easy to reach."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        given = config.latent + (config.embedding if config.conditions else 0)
        self.labels = Embedding(config, config.embedding, 1.0) if config.conditions else None
        if config.network == "residual":
            self.painter: nn.Module = ResidualUp(config, given)
        else:
            sizes = [*config.grids()[::-1], (config.height, config.width)]
            self.painter = strided.StridedUp(given, config.widths()[::-1], sizes, config.channels)
        self.painter = wrapped(self.painter, config.tileable)

    def forward(self, z_BZ: Tensor, label_BA: Tensor) -> Tensor:
        """Generate each image."""
        given = [z_BZ] if self.labels is None else [z_BZ, self.labels(label_BA)]
        return full(self.painter(torch.cat(given, 1)))


class Discriminator(nn.Module):
    """(B, C, H, W), labels (B, A) -> logits of being real (B,), and of each class (B, classes)."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        if config.network == "residual":
            self.viewer: nn.Module = Viewer(config)
        else:
            self.viewer = strided.StridedDown(config.channels, config.widths(), SLOPE)
        width, cells = config.widths()[-1], math.prod(config.grids()[-1])
        self.features = nn.Linear(width * cells, width)
        self.verdict = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.labels = Embedding(config, width, width**-0.5) if config.conditions else None
        self.classes = None
        if config.classify and config.conditions:
            self.classes = nn.Linear(width, sum(len(c.classes) for c in config.conditions))
        if config.spectral_norm:
            spectral.constrain(self)

    def forward(self, image_BCHW: Tensor, label_BA: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logit of each image. The last sum is in full precision: logits differ by little."""
        hidden_BF = leaky(self.features(leaky(self.viewer(image_BCHW)).flatten(1)))
        given = self.verdict if self.labels is None else self.verdict + self.labels(label_BA)
        verdict_B = (full(hidden_BF) * given).sum(1)
        return verdict_B, None if self.classes is None else full(self.classes(hidden_BF))


class GAN(Family, abilities.Generates[GANControls], abilities.Interpolates):
    """Two players: in every step the discriminator moves first."""

    Config = GANConfig
    Controls = GANControls
    TRAINING = Training(batch_size=64, lr=1e-3, betas=(0.0, 0.99), clip=5.0)
    TINY = GANConfig(height=8, width=8, channels=1, features=8, latent=4, embedding=4)
    config: GANConfig

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator, then generator, which is compared with real images of its own."""
        return (
            Phase(name="discriminator", modules=("discriminator",), keep=False),
            Phase(name="generator", modules=("generator",), own_batch=True),
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Losses of one player against the other as it stands."""
        real_BCHW, label_BA = batch["image"], self.label_of(batch, len(batch["image"]))
        z_BZ = ctx.rng.normal("z", self.config.latent)
        if self.config.conditions:
            hidden_BA = ctx.rng.uniform("drop_label", label_BA.shape[1]) < self.config.drop_label
            label_BA = label_BA.masked_fill(hidden_BA, -1)
        if phase == "generator":
            return self._generator_loss(real_BCHW, z_BZ, label_BA, ctx)
        with torch.no_grad():
            fake_BCHW = rolled(
                self.generator(z_BZ, label_BA).clamp(-1, 1), ctx.rng, self.config.tileable
            )
        return self._discriminator_loss(real_BCHW, fake_BCHW, label_BA, ctx)

    def _generator_loss(
        self, real_BCHW: Tensor, z_BZ: Tensor, label_BA: Tensor, ctx: Context
    ) -> Losses:
        config, real_B = self.config, None
        uniform_2BK = self._augmentation(ctx.rng)
        if config.loss == "relativistic":
            with torch.no_grad():
                real_B, _ = self._discriminate(real_BCHW, label_BA, uniform_2BK[0])
        image_BCHW = self.generator(z_BZ, label_BA)
        seen_BCHW = rolled(image_BCHW.clamp(-1, 1), ctx.rng, self.config.tileable)
        fake_B, classes = self._discriminate(seen_BCHW, label_BA, uniform_2BK[1])
        losses = {
            "adversarial": adversarial.generator_loss(config.loss, fake_B, real_B).mean(),
            "beyond": adversarial.beyond(image_BCHW),
        }
        if classes is not None:
            losses["classify"] = self._confusion(classes, label_BA).mean()
        return self._total(losses, {"beyond": 1.0, "classify": config.classify})

    def _discriminator_loss(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, label_BA: Tensor, ctx: Context
    ) -> Losses:
        config = self.config
        due = config.penalty != "none" and ctx.update % config.penalty_every == 0
        centred = due and config.penalty == "zero_centred"
        uniform_2BK = self._augmentation(ctx.rng)
        image_2BCHW = torch.cat([real_BCHW, fake_BCHW]).detach().requires_grad_(centred)
        label_2BA = label_BA.repeat(2, 1)
        verdict_2B, classes = self._discriminate(image_2BCHW, label_2BA, uniform_2BK.flatten(0, 1))
        real_B, fake_B = verdict_2B.chunk(2)
        losses = {
            "adversarial": adversarial.discriminator_loss(config.loss, real_B, fake_B).mean(),
            "real": real_B.detach().mean(),
            "fake": fake_B.detach().mean(),
        }
        gamma = config.gamma * config.gamma_end**ctx.progress * config.penalty_every
        if centred:
            r1_B, r2_B = adversarial.squared_gradient(verdict_2B, image_2BCHW).chunk(2)
            losses["penalty"] = (r1_B + r2_B).mean() / 2
        elif due:
            share_B111 = ctx.rng.uniform("between", 1, 1, 1)
            between_BCHW = real_BCHW.lerp(fake_BCHW, share_B111).detach().requires_grad_()
            verdict_B, _ = self._discriminate(between_BCHW, label_BA, uniform_2BK[0])
            squared_B = adversarial.squared_gradient(verdict_B, between_BCHW)
            losses["penalty"] = adversarial.one_centred(squared_B).mean()
        if classes is not None:
            losses["classify"] = self._confusion(classes[: label_BA.shape[0]], label_BA).mean()
        return self._total(losses, {"penalty": gamma, "classify": config.classify})

    def _discriminate(
        self, image_BCHW: Tensor, label_BA: Tensor, uniform_BK: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        config = self.config
        seen_BCHW = augment(image_BCHW, uniform_BK, config.augment, config.augment_share)
        return self.discriminator(seen_BCHW, label_BA)

    def _augmentation(self, rng: Rng) -> Tensor:
        """Draws for the real and for the fake images, (2, B, K)."""
        if not self.config.augment:
            return torch.empty(2, len(rng), 0, device=rng.device)
        return rng.uniform("augment", 2, DRAWS).transpose(0, 1)

    def _confusion(self, classes: Tensor, label_BA: Tensor) -> Tensor:
        """Cross-entropy of the labels, mean over attributes, (B,); an unknown one costs nothing."""
        counts = [len(condition.classes) for condition in self.config.conditions]
        costs = [
            F.cross_entropy(logits_BN, label_B, ignore_index=-1, reduction="none")
            for logits_BN, label_B in zip(classes.split(counts, 1), label_BA.unbind(1), strict=True)
        ]
        return torch.stack(costs).mean(0)

    @staticmethod
    def _total(losses: dict[str, Tensor], weights: dict[str, float]) -> Losses:
        extra = [losses[name] * weight for name, weight in weights.items() if name in losses]
        return {"total": sum(extra, losses["adversarial"]), **losses}

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """After the discriminator's step, its singular vectors follow its weights."""
        if phase == "discriminator":
            spectral.follow(self.discriminator)

    def noise(self, rng: Rng) -> Batch:
        """`z` (B, Z), standard normal."""
        return {"z": rng.normal("z", self.config.latent)}

    def generate(
        self, noise: Batch, cond: Batch, controls: GANControls, progress: Progress | None = None
    ) -> Tensor:
        """One pass of the generator."""
        z_BZ = noise["z"] * controls.truncation
        return self.generator(z_BZ, self.label_of(cond, z_BZ.shape[0])).clamp(-1, 1)
