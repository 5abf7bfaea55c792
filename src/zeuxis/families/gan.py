"""Generative adversarial network (Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661).

The default follows Huang et al., 2024 (https://arxiv.org/abs/2501.05441): residual networks (the
generator's with group norms), the relativistic paired logistic loss, both zero-centred penalties,

    min_D  E s(D(G(z)) - D(x)) + gamma/2 (E |dD/dx|^2 + E |dD/dG(z)|^2),    min_G  E s(D(x) - D(G(z))),

with s = softplus. Images are clamped to [-1, 1] before D and when sampling; a squared penalty discourages
outputs outside that range. The gradient penalties act on the image before its differentiable augmentation,
every few steps, weighted up accordingly (lazy regularisation). Conditions enter G beside z, and D by a
projection (Miyato and Koyama, 2018, https://arxiv.org/abs/1802.05637). G reads captions, learns the mean
picture of each and makes what differs from it; to D a real image under another's caption is fake (Reed et
al., 2016, https://arxiv.org/abs/1605.05396). No batch statistics are used.

Shapes: B batch, C channels, H height, W width, Z latent, E embedding, A attributes, F features.
"""

import itertools
import math
from typing import Annotated, Literal

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
from zeuxis.core.space import Among, Span, When
from zeuxis.nn import pyramid, spectral, strided
from zeuxis.nn.augment import DRAWS, POLICIES, augment
from zeuxis.nn.condition import Conditioner, Told, from_mean, hide, picture_error, read, swapped
from zeuxis.nn.norm import NormSiLU
from zeuxis.nn.precision import full
from zeuxis.nn.residual import SLOPE, Block, StyledBlock, conv, leaky
from zeuxis.nn.wrapping import Double, Tileable, check_sides, rolled, wrapped
from zeuxis.objectives import adversarial
from zeuxis.objectives.energy import energy_score


class GANConfig(FamilyConfig):
    """Settings of `GAN`; the defaults suit 32 x 32 images and minutes of training."""

    network: Literal["residual", "dcgan"] = "residual"
    """`residual`: the modern default; `dcgan`: strided convolutions, for teaching."""
    features: Annotated[int, Among(("16", "32", "48", "64"))] = pydantic.Field(32, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 16 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Largest number of channels of any grid."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks per grid in both networks; the finest grid has none, where they would cost most."""
    patch: int = pydantic.Field(1, ge=1)
    """Side of the pixel patches that are one position of the finest grid."""
    latent: Annotated[int, Among(("32", "64", "128"))] = pydantic.Field(64, ge=1)
    """Dimensions of the latent."""
    embedding: Annotated[int, When("given")] = pydantic.Field(64, ge=1)
    """Dimensions of the embedding of labels and captions."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for use without; each of several is also dropped alone."""
    loss: adversarial.Loss = "relativistic"
    """Adversarial loss of generator and discriminator."""
    penalty: Literal["zero_centred", "one_centred", "none"] = "zero_centred"
    """`zero_centred`: R1 + R2; `one_centred`: between real and fake, as Wasserstein GANs have it."""
    gamma: Annotated[float, Span(0.1, 10, log=True), When("penalty")] = pydantic.Field(1.0, ge=0)
    """Weight of the gradient penalty: higher is more stable, lower is sharper. One-centred: 10 is usual."""
    gamma_end: Annotated[float, When("penalty")] = pydantic.Field(1.0, gt=0)
    """Factor on gamma at the end of the run: below 1 is sharper, but in long runs D may win."""
    penalty_every: Annotated[int, When("penalty")] = pydantic.Field(8, ge=1)
    """Steps between gradient penalties, each weighted up by this number (lazy regularisation)."""
    augment: tuple[str, ...] = ("translation",)
    """Differentiable augmentations of what the discriminator sees: colour, translation, cutout."""
    augment_share: Annotated[float, Span(0, 1), When("augment")] = pydantic.Field(1.0, ge=0, le=1)
    """Probability that an image is augmented."""
    classify: Annotated[float, When("conditions")] = pydantic.Field(0.2, ge=0)
    """Weight of an auxiliary classifier of the labels in the discriminator; 0 leaves it out."""
    matching: Annotated[float, When("text")] = pydantic.Field(1.0, ge=0)
    """Weight of real images under other captions, as fakes, in the discriminator's loss."""
    picture: Annotated[float, When("text")] = pydantic.Field(30.0, ge=0)
    """Weight of the error of the mean picture of a caption: where it is low, what D says drowns it."""
    variety: Annotated[float, When("text")] = pydantic.Field(10.0, ge=0)
    """Weight of the energy score of two images to a caption, without which they hardly differ."""
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
    """(B, Z), what it is told -> (B, C, H, W), not bounded: flat black and white are easy to reach.

    With captions, the painter makes what differs from the mean picture, which would leave a seam in tiles.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        image = (config.channels, config.height, config.width)
        self.conditioner = Conditioner.of(config, config.embedding, image, spread=1.0)
        given = config.latent + self.conditioner.size
        if config.network == "residual":
            self.painter: nn.Module = ResidualUp(config, given)
        else:
            sizes = [*config.grids()[::-1], (config.height, config.width)]
            self.painter = strided.StridedUp(given, config.widths()[::-1], sizes, config.channels)
        self.painter = wrapped(self.painter, config.tileable)
        self.upon_mean = config.tileable == "none"

    def forward(self, z_BZ: Tensor, told: Told) -> Tensor:
        """Generate each image."""
        image_BCHW = full(self.painter(torch.cat([z_BZ, told.vector_BE], 1)))
        return from_mean(image_BCHW, told) if self.upon_mean else image_BCHW


class Discriminator(nn.Module):
    """(B, C, H, W) -> features (B, F); with a condition to logits of being real (B,)."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        if config.network == "residual":
            self.viewer: nn.Module = Viewer(config)
        else:
            self.viewer = strided.StridedDown(config.channels, config.widths(), SLOPE)
        width, cells = config.widths()[-1], math.prod(config.grids()[-1])
        self.features = nn.Linear(width * cells, width)
        self.verdict = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.conditioner = Conditioner.of(config, width, spread=width**-0.5, reads=False)
        self.classes = None
        if config.classify and config.conditions:
            self.classes = nn.Linear(width, sum(len(c.classes) for c in config.conditions))
        if config.spectral_norm:
            spectral.constrain(self)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Look at each image."""
        return leaky(self.features(leaky(self.viewer(image_BCHW)).flatten(1)))

    def judge(self, hidden_BF: Tensor, seen: Batch) -> Tensor:
        """Logit of each image. The sum is in full precision: logits differ by little."""
        given = self.verdict
        if self.conditioner.size:
            given = given + self.conditioner(seen).vector_BE
        return (full(hidden_BF) * given).sum(1)


class GAN(Family, abilities.Generates[GANControls], abilities.Interpolates):
    """Two players: in every step the discriminator moves first."""

    Config = GANConfig
    Controls = GANControls
    TRAINING = Training(batch_size=64, lr=1e-3, betas=(0.0, 0.99), clip=5.0)
    TINY = GANConfig(height=8, width=8, channels=1, features=8, latent=4, embedding=4)
    DESCRIBED = True
    config: GANConfig

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    @property
    def GROUP(self) -> int:  # type: ignore[override]
        """Rows that a loss may mix: captions are swapped in pairs."""
        return 2 if self.config.text and self.config.matching else 1

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator, then generator, which is compared with real images of its own."""
        return (
            Phase(name="discriminator", modules=("discriminator",), keep=False),
            Phase(name="generator", modules=("generator",), own_batch=True),
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Losses of one player against the other as it stands."""
        real_BCHW, rows = batch["image"], batch["image"].shape[0]
        z_BZ = ctx.rng.normal("z", self.config.latent)
        given = hide(self.condition(batch, rows), ctx.rng, self.config.drop_label)
        if phase == "generator":
            return self._generator_loss(real_BCHW, z_BZ, given, ctx)
        with torch.no_grad():
            told = self.generator.conditioner.told(given, rows)
            image_BCHW = self.generator(z_BZ, told).clamp(-1, 1)
            fake_BCHW = rolled(image_BCHW, ctx.rng, self.config.tileable)
        return self._discriminator_loss(real_BCHW, fake_BCHW, given, read(given, told), ctx)

    def _generator_loss(
        self, real_BCHW: Tensor, z_BZ: Tensor, given: Batch, ctx: Context
    ) -> Losses:
        config, real_B = self.config, None
        uniform_2BK = self._augmentation(ctx.rng)
        told = self.generator.conditioner.told(given, real_BCHW.shape[0])
        seen = read(given, told)
        if config.loss == "relativistic":
            with torch.no_grad():
                real_B = self.discriminator.judge(self._look(real_BCHW, uniform_2BK[0]), seen)
        image_BCHW = self.generator(z_BZ, told)
        shown_BCHW = rolled(image_BCHW.clamp(-1, 1), ctx.rng, self.config.tileable)
        hidden_BF = self._look(shown_BCHW, uniform_2BK[1])
        fake_B = self.discriminator.judge(hidden_BF, seen)
        losses = {
            "adversarial": adversarial.generator_loss(config.loss, fake_B, real_B).mean(),
            "beyond": adversarial.beyond(image_BCHW),
            **self._confusion(hidden_BF, given),
        }
        if (error := picture_error(told, real_BCHW)) is not None:
            losses["picture"] = error
        if config.text and config.variety:
            other_BCHW = self.generator(ctx.rng.normal("other", config.latent), told)
            losses["variety"] = energy_score(image_BCHW, other_BCHW, real_BCHW).mean()
        weights = {
            "beyond": 1.0,
            "classify": config.classify,
            "picture": config.picture,
            "variety": config.variety,
        }
        return self._total(losses, weights)

    def _discriminator_loss(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, given: Batch, seen: Batch, ctx: Context
    ) -> Losses:
        config, discriminator = self.config, self.discriminator
        due = config.penalty != "none" and ctx.update % config.penalty_every == 0
        centred = due and config.penalty == "zero_centred"
        uniform_2BK = self._augmentation(ctx.rng)
        image_2BCHW = torch.cat([real_BCHW, fake_BCHW]).detach().requires_grad_(centred)
        hidden_2BF = self._look(image_2BCHW, uniform_2BK.flatten(0, 1))
        twice = {name: torch.cat([value, value]) for name, value in seen.items()}
        verdict_2B = discriminator.judge(hidden_2BF, twice)
        real_B, fake_B = verdict_2B.chunk(2)
        hidden_BF = hidden_2BF[: real_BCHW.shape[0]]
        losses = {
            "adversarial": adversarial.discriminator_loss(config.loss, real_B, fake_B).mean(),
            "real": real_B.detach().mean(),
            "fake": fake_B.detach().mean(),
            **self._confusion(hidden_BF, given),
        }
        gamma = config.gamma * config.gamma_end**ctx.progress * config.penalty_every
        if centred:
            r1_B, r2_B = adversarial.squared_gradient(verdict_2B, image_2BCHW).chunk(2)
            losses["penalty"] = (r1_B + r2_B).mean() / 2
        elif due:
            share_B111 = ctx.rng.uniform("between", 1, 1, 1)
            between_BCHW = real_BCHW.lerp(fake_BCHW, share_B111).detach().requires_grad_()
            verdict_B = discriminator.judge(self._look(between_BCHW, uniform_2BK[0]), seen)
            squared_B = adversarial.squared_gradient(verdict_B, between_BCHW)
            losses["penalty"] = adversarial.one_centred(squared_B).mean()
        if self.GROUP == 2:
            other, differ_B = swapped(given, seen)
            wrong_B = discriminator.judge(hidden_BF, other)
            cost_B = adversarial.discriminator_loss(config.loss, real_B, wrong_B)
            losses["matching"] = (cost_B * differ_B).mean()
        weights = {"penalty": gamma, "classify": config.classify, "matching": config.matching}
        return self._total(losses, weights)

    def _look(self, image_BCHW: Tensor, uniform_BK: Tensor) -> Tensor:
        """What the discriminator sees of augmented images, (B, F)."""
        policy, share = self.config.augment, self.config.augment_share
        return self.discriminator(augment(image_BCHW, uniform_BK, policy, share))

    def _augmentation(self, rng: Rng) -> Tensor:
        """Draws for the real and for the fake images, (2, B, K)."""
        if not self.config.augment:
            return torch.empty(2, len(rng), 0, device=rng.device)
        return rng.uniform("augment", 2, DRAWS).transpose(0, 1)

    def _confusion(self, hidden_BF: Tensor, given: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the labels, mean over attributes; an unknown one costs nothing."""
        if self.discriminator.classes is None:
            return {}
        logits = full(self.discriminator.classes(hidden_BF))
        counts = [len(condition.classes) for condition in self.config.conditions]
        costs = [
            F.cross_entropy(logits_BN, label_B, ignore_index=-1, reduction="none")
            for logits_BN, label_B in zip(
                logits.split(counts, 1), given["label"].unbind(1), strict=True
            )
        ]
        return {"classify": torch.stack(costs).mean()}

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
        given = self.condition(cond, z_BZ.shape[0])
        told = self.generator.conditioner.told(given, z_BZ.shape[0])
        return self.generator(z_BZ, told).clamp(-1, 1)
