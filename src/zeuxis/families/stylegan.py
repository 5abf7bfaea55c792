"""StyleGAN2: a GAN controlled layer by layer (Karras et al., 2020, https://arxiv.org/abs/1912.04958).

A mapping network turns z into a style w; every convolution of the generator is modulated by it and
demodulated, noise is added after each, and the image is the sum of the outputs of all grids:

    w = f(z / |z|, condition),   image = g(w_1, ..., w_L, noise_1, ..., noise_L),   w_1 = ... = w_L = w.

    min_D  E s(-D(x)) + E s(D(g)) + gamma/2 E |dD/dx|^2,
    min_G  E s(-D(g)) + E max(|g| - 1, 0)^2 + weight E (|J^T y| - a)^2,
           J = dg/dw, y ~ N(0, 1/HW), a: running mean of |J^T y|,

with s = softplus. g is clamped to [-1, 1] before D and when sampling: with a tanh, g and its features would
grow without bound. The penalties are lazy: applied every few steps, weighted up accordingly. For editing,
the w of each layer can be changed between `mapping`, `styles` and `synthesise`.

Shapes: B batch, C channels, H height, W width, Z latent and style, L layers, A attributes, F features.
"""

import itertools
import math
from typing import Annotated, Literal

import pydantic
import torch
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import Among, Span, When
from zeuxis.nn import modulated, pyramid
from zeuxis.nn.augment import DRAWS, POLICIES, augment
from zeuxis.nn.condition import Conditioner, Told, from_mean, hide, picture_error, read, swapped
from zeuxis.nn.precision import full
from zeuxis.nn.synthesis import Synthesis
from zeuxis.nn.wrapping import Tileable, check_sides, rolled, wrapped
from zeuxis.objectives import adversarial
from zeuxis.objectives.path_length import path_lengths

PACE = 0.01
"""Learning rate of the mapping network, relative to the rest."""
FOLLOW = 0.01
"""Least share that the running means move by in an update; the first updates weigh alike."""


class StyleGANConfig(FamilyConfig):
    """Settings of `StyleGAN`; the defaults suit 32 to 64 pixels and minutes of training."""

    features: Annotated[int, Among(("16", "32", "48"))] = pydantic.Field(16, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 16 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Largest number of channels of any grid."""
    fine: int = pydantic.Field(1, ge=0, le=1)
    """Convolutions on the generator's finest grid; without one, detail comes from the noise alone."""
    latent: int = pydantic.Field(64, ge=1)
    """Dimensions of z, and of the style w of a layer."""
    mapping_layers: Annotated[int, Span(2, 6)] = pydantic.Field(2, ge=1, le=64)
    """Layers of the mapping network; 8 in the paper, fewer for small sets."""
    embedding: Annotated[int, When("given")] = pydantic.Field(32, ge=1)
    """Dimensions of the mapping network's embedding of labels and captions."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for use without; each of several is also dropped alone."""
    loss: Literal["non_saturating", "relativistic"] = "relativistic"
    """`non_saturating` with R1, the paper's; `relativistic`: real and fake in pairs, with R1 and R2."""
    gamma: Annotated[float, Span(0.1, 10, log=True)] = pydantic.Field(1.0, ge=0)
    """Weight of the gradient penalty: higher is more stable, lower is sharper."""
    gamma_end: Annotated[float, When("gamma")] = pydantic.Field(1.0, gt=0)
    """Factor on gamma at the end of the run, reached geometrically."""
    penalty_every: Annotated[int, When("gamma")] = pydantic.Field(8, ge=1)
    """Steps between gradient penalties, each weighted up by this number (lazy regularisation)."""
    path_weight: float = pydantic.Field(0.0, ge=0)
    """Weight of the path-length penalty, which makes equal steps in w change the image equally; 0 is off."""
    path_every: Annotated[int, When("path_weight")] = pydantic.Field(8, ge=1)
    """Steps between path-length penalties, each weighted up by this number."""
    mixing: float = pydantic.Field(0.0, ge=0, le=1)
    """Probability of style mixing in training: finer layers take the style of a second latent."""
    augment: tuple[str, ...] = ("translation",)
    """Differentiable augmentations of what the discriminator sees: colour, translation, cutout."""
    augment_share: Annotated[float, Span(0, 1), When("augment")] = pydantic.Field(1.0, ge=0, le=1)
    """Probability that an image is augmented."""
    matching: Annotated[float, When("text")] = pydantic.Field(1.0, ge=0)
    """Weight of real images under other captions, as fakes, in the discriminator's loss."""
    picture: Annotated[float, When("text")] = pydantic.Field(30.0, ge=0)
    """Weight of the error of the mean picture of a caption: where it is low, what D says drowns it."""
    tileable: Tileable = "none"
    """Axes along which images continue on their opposite side: x, y or both."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "StyleGANConfig":
        pyramid.check_size("stylegan", self.height, self.width)
        check_sides(self.tileable, self.height, self.width, 1 << len(self.grids()) - 1)
        if unknown := sorted(set(self.augment) - set(POLICIES)):
            raise Invalid(f"augment is {unknown[0]!r}; choose from {', '.join(POLICIES)}")
        return self

    def grids(self) -> list[tuple[int, int]]:
        """Height and width of each grid, finest first; odd sides are rounded up."""
        return pyramid.grids(self.height, self.width)

    def widths(self) -> list[int]:
        """Channels of each grid, finest first."""
        return pyramid.widths(self.features, self.features_max, len(self.grids()))

    def layers(self) -> list[tuple[int, int]]:
        """Height and width of the noise of each modulated layer, coarsest first."""
        first, *rest = self.grids()[::-1]
        twice = [grid for grid in rest for _ in "ab"]
        return [first, *(twice if self.fine else twice[:-1])]


class StyleGANControls(Controls):
    """What may be turned when sampling."""

    truncation: float = pydantic.Field(1.0, ge=0, le=2)
    """Factor on the distance from the mean style: below 1, more typical images and less diversity."""
    truncation_layers: int | None = pydantic.Field(None, ge=0)
    """How many layers are truncated, coarsest first; by default all."""
    noise: float = pydantic.Field(1.0, ge=0, le=2)
    """Factor on the noise of every layer; 0 gives the same details each time."""
    mixing: int | None = pydantic.Field(None, ge=0)
    """First layer that takes its style from a second latent; by default none."""


def mix(first_BLZ: Tensor, second_BLZ: Tensor, start_B: Tensor) -> Tensor:
    """The styles of `first` before layer `start` of each row, and those of `second` from it on."""
    layer_L = torch.arange(first_BLZ.shape[1], device=first_BLZ.device)
    return torch.where((layer_L < start_B[:, None])[..., None], first_BLZ, second_BLZ)


class Mapper(nn.Module):
    """(B, Z), what it is told (B, E) -> w (B, Z): f of the paper."""

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__()
        image = (config.channels, config.height, config.width)
        self.conditioner = Conditioner.of(config, config.embedding, image)
        sizes = [config.latent + self.conditioner.size] + [config.latent] * config.mapping_layers
        self.layers = nn.ModuleList(
            modulated.EqualLinear(a, b, gain=modulated.GAIN, pace=PACE)
            for a, b in itertools.pairwise(sizes)
        )

    def forward(self, z_BZ: Tensor, told: Told) -> Tensor:
        """In full precision."""
        x = modulated.unit(z_BZ)
        if self.conditioner.size:
            x = torch.cat([x, modulated.unit(full(told.vector_BE))], 1)
        for layer in self.layers:
            x = modulated.leaky(layer(x))
        return x


class Discriminator(nn.Module):
    """(B, C, H, W) -> features (B, F); with a condition to logits of being real (B,).

    Residual. Conditions by a projection (Miyato and Koyama, 2018, https://arxiv.org/abs/1802.05637); a real
    image under another's caption is fake (Reed et al., 2016, https://arxiv.org/abs/1605.05396).
    """

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__()
        widths = config.widths()
        self.first = modulated.EqualConv(config.channels, widths[0], gain=modulated.GAIN)
        self.blocks = nn.Sequential(*(modulated.Down(a, b) for a, b in itertools.pairwise(widths)))
        cells = math.prod(config.grids()[-1])
        self.features = modulated.EqualLinear(widths[-1] * cells, widths[-1], gain=modulated.GAIN)
        self.verdict = nn.Parameter(torch.randn(widths[-1]))
        self.conditioner = Conditioner.of(config, widths[-1], reads=False)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Look at each image. The last sums are in full precision: logits differ by little."""
        x = self.blocks(modulated.leaky(self.first(image_BCHW)))
        return modulated.leaky(self.features(x.flatten(1)))

    def judge(self, hidden_BF: Tensor, seen: Batch) -> Tensor:
        """Logit of each image."""
        given_BF = self.verdict.expand_as(hidden_BF)
        if self.conditioner.size:
            given_BF = given_BF + full(self.conditioner(seen).vector_BE)
        return (hidden_BF * given_BF).sum(1) / math.sqrt(hidden_BF.shape[1])


class StyleGAN(Family, abilities.Generates[StyleGANControls], abilities.Interpolates):
    """Two players: in every step the discriminator moves first."""

    Config = StyleGANConfig
    Controls = StyleGANControls
    TRAINING = Training(batch_size=64, lr=1e-2, betas=(0.0, 0.99), clip=5.0)
    TINY = StyleGANConfig(
        height=8,
        width=8,
        channels=1,
        features=8,
        latent=4,
        embedding=4,
        path_weight=2.0,
        mixing=0.5,
    )
    DESCRIBED = True
    config: StyleGANConfig
    w_mean: Tensor
    path_mean: Tensor

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__()
        self.config = config
        self.mapper = Mapper(config)
        synthesis = Synthesis(
            config.channels, config.grids(), config.widths(), config.layers(), config.latent
        )
        self.painter = wrapped(synthesis, config.tileable)
        self.discriminator = Discriminator(config)
        self.register_buffer("w_mean", torch.zeros(config.latent))
        self.register_buffer("path_mean", torch.zeros(()))

    @property
    def GROUP(self) -> int:  # type: ignore[override]
        """Rows that a loss may mix: captions are swapped in pairs."""
        return 2 if self.config.text and self.config.matching else 1

    def phases(self) -> tuple[Phase, ...]:
        """Discriminator, then generator, which is compared with real images of its own."""
        return (
            Phase(name="discriminator", modules=("discriminator",), keep=False),
            Phase(name="generator", modules=("mapper", "painter"), own_batch=True),
        )

    def mapping(self, z_BZ: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Latents to styles: (B, Z) -> w (B, Z)."""
        return self.mapper(z_BZ, self._told(cond, z_BZ.shape[0]))

    def _told(self, cond: Batch, rows: int) -> Told:
        return self.mapper.conditioner.told(self.condition(cond, rows), rows)

    def styles(self, w_BZ: Tensor, truncation: float = 1.0, layers: int | None = None) -> Tensor:
        """The same style for every layer, the first `layers` (default: all) nearer to the mean.

        (B, Z) -> (B, L, Z), layers coarsest first.
        """
        count = len(self.config.layers())
        w_BLZ = w_BZ[:, None].expand(-1, count, -1)
        near_L = torch.arange(count, device=w_BZ.device) < (count if layers is None else layers)
        near_BLZ = self.w_mean.lerp(w_BLZ, truncation)
        return w_BLZ if truncation == 1 else torch.where(near_L[:, None], near_BLZ, w_BLZ)

    def synthesise(
        self, w_BLZ: Tensor, noise: Batch, strength: float = 1.0, told: Told | None = None
    ) -> Tensor:
        """Styles and the noise of the layers, (B, 1, h, w) each -> (B, C, H, W) within [-1, 1].

        With captions, it is what differs from the mean picture, which `told` holds; in tiles that has seams.
        """
        return self._synthesise(w_BLZ, noise, strength, told).clamp(-1, 1)

    def _synthesise(
        self, w_BLZ: Tensor, noise: Batch, strength: float = 1.0, told: Told | None = None
    ) -> Tensor:
        layers = [noise[f"layer_{i}"] * strength for i in range(len(self.config.layers()))]
        image_BCHW = self.painter(w_BLZ, layers)
        tiles = self.config.tileable != "none"
        return image_BCHW if told is None or tiles else from_mean(image_BCHW, told)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Losses of one player against the other as it stands."""
        real_BCHW, rows = batch["image"], batch["image"].shape[0]
        given = hide(self.condition(batch, rows), ctx.rng, self.config.drop_label)
        if phase == "generator":
            return self._generator_loss(real_BCHW, given, ctx)
        with torch.no_grad():
            told = self._told(given, rows)
            w_BLZ, _ = self._drawn_styles(told, ctx.rng)
            fake_BCHW = self.synthesise(w_BLZ, self._layer_noise(ctx.rng), told=told)
            fake_BCHW = rolled(fake_BCHW, ctx.rng, self.config.tileable)
        return self._discriminator_loss(real_BCHW, fake_BCHW, given, read(given, told), ctx)

    def _drawn_styles(self, told: Told, rng: Rng) -> tuple[Tensor, Tensor]:
        """Styles of random latents, mixed in some rows, (B, L, Z); and w (B, Z) before that."""
        w_BZ = self.mapper(rng.normal("z", self.config.latent), told)
        w_BLZ, count = self.styles(w_BZ), len(self.config.layers())
        if self.config.mixing and count > 1:
            second_BZ = self.mapper(rng.normal("mix", self.config.latent), told)
            mixed_B, place_B = rng.uniform("mixing", 2).unbind(1)
            start_B = 1 + (place_B * (count - 1)).long()
            start_B = start_B.masked_fill(mixed_B >= self.config.mixing, count)
            w_BLZ = mix(w_BLZ, self.styles(second_BZ), start_B)
        return w_BLZ, w_BZ

    def _generator_loss(self, real_BCHW: Tensor, given: Batch, ctx: Context) -> Losses:
        config, real_B = self.config, None
        uniform_2BK = self._augmentation(ctx.rng)
        told = self._told(given, real_BCHW.shape[0])
        seen = read(given, told)
        if config.loss == "relativistic":
            with torch.no_grad():
                real_B = self.discriminator.judge(self._look(real_BCHW, uniform_2BK[0]), seen)
        w_BLZ, w_BZ = self._drawn_styles(told, ctx.rng)
        image_BCHW = self._synthesise(w_BLZ, self._layer_noise(ctx.rng), told=told)
        shown_BCHW = rolled(image_BCHW.clamp(-1, 1), ctx.rng, self.config.tileable)
        fake_B = self.discriminator.judge(self._look(shown_BCHW, uniform_2BK[1]), seen)
        verdict = adversarial.generator_loss(config.loss, fake_B, real_B).mean()
        beyond = adversarial.beyond(image_BCHW)
        losses = {"adversarial": verdict, "beyond": beyond}
        total = verdict + beyond
        if (error := picture_error(told, real_BCHW)) is not None:
            total, losses["picture"] = total + config.picture * error, error
        if config.path_weight and ctx.update % config.path_every == 0:
            normal_BCHW = ctx.rng.normal("path", *image_BCHW.shape[1:])
            length_B = path_lengths(image_BCHW, w_BLZ, normal_BCHW)
            # nothing to compare with before the first update
            penalty = (length_B - self.path_mean).square().mean() * (self.path_mean > 0)
            total = total + config.path_weight * config.path_every * penalty
            losses |= {"path": penalty, "stat/path": length_B.mean()}
        return {"total": total, **losses, "stat/w": w_BZ.detach().mean(0)}

    def _discriminator_loss(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, given: Batch, seen: Batch, ctx: Context
    ) -> Losses:
        config = self.config
        due = config.gamma > 0 and ctx.update % config.penalty_every == 0
        uniform_2BK = self._augmentation(ctx.rng)
        image_2BCHW = torch.cat([real_BCHW, fake_BCHW]).detach().requires_grad_(due)
        hidden_2BF = self._look(image_2BCHW, uniform_2BK.flatten(0, 1))
        twice = {name: torch.cat([value, value]) for name, value in seen.items()}
        verdict_2B = self.discriminator.judge(hidden_2BF, twice)
        real_B, fake_B = verdict_2B.chunk(2)
        total = adversarial.discriminator_loss(config.loss, real_B, fake_B).mean()
        logits = {"real": real_B.detach().mean(), "fake": fake_B.detach().mean()}
        losses = {"adversarial": total, **logits}
        if self.GROUP == 2:
            other, differ_B = swapped(given, seen)
            wrong_B = self.discriminator.judge(hidden_2BF[: real_B.shape[0]], other)
            cost_B = adversarial.discriminator_loss(config.loss, real_B, wrong_B)
            losses["matching"] = (cost_B * differ_B).mean()
            total = total + config.matching * losses["matching"]
        if due:
            scored = verdict_2B if config.loss == "relativistic" else real_B
            squared_2B = adversarial.squared_gradient(scored, image_2BCHW)
            losses["penalty"] = squared_2B.sum() / real_B.shape[0] / 2
            gamma = config.gamma * config.gamma_end**ctx.progress
            total = total + gamma * config.penalty_every * losses["penalty"]
        return {"total": total, **losses}

    def _look(self, image_BCHW: Tensor, uniform_BK: Tensor) -> Tensor:
        """What the discriminator sees of augmented images, (B, F)."""
        policy, share = self.config.augment, self.config.augment_share
        return self.discriminator(augment(image_BCHW, uniform_BK, policy, share))

    def _augmentation(self, rng: Rng) -> Tensor:
        """Draws for the real and for the fake images, (2, B, K)."""
        if not self.config.augment:
            return torch.empty(2, len(rng), 0, device=rng.device)
        return rng.uniform("augment", 2, DRAWS).transpose(0, 1)

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """After the generator's step, the running means follow."""
        if phase == "discriminator":
            return
        self.w_mean.lerp_(stats["stat/w"], max(FOLLOW, 1 / (1 + ctx.update)))
        if "stat/path" in stats:
            done = ctx.update // self.config.path_every
            self.path_mean.lerp_(stats["stat/path"], max(FOLLOW, 1 / (1 + done)))

    def _layer_noise(self, rng: Rng) -> dict[str, Tensor]:
        """Standard normal numbers for each layer, cut from one draw: many small ones take longer."""
        sizes = self.config.layers()
        flat_BN = rng.normal("layers", sum(h * w for h, w in sizes))
        named = zip(flat_BN.split([h * w for h, w in sizes], 1), sizes, strict=True)
        return {f"layer_{i}": x.unflatten(1, (1, *size)) for i, (x, size) in enumerate(named)}

    def noise(self, rng: Rng) -> Batch:
        """Standard normal: latents `z` and `mix` (B, Z), `layer_0` ... (B, 1, h, w), coarsest first."""
        latents = {name: rng.normal(name, self.config.latent) for name in ("z", "mix")}
        return {**latents, **self._layer_noise(rng)}

    def generate(
        self,
        noise: Batch,
        cond: Batch,
        controls: StyleGANControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """One pass of the mapping network and the synthesis network."""
        told = self._told(cond, noise["z"].shape[0])
        near = (controls.truncation, controls.truncation_layers)
        w_BLZ = self.styles(self.mapper(noise["z"], told), *near)
        if controls.mixing is not None:
            second_BLZ = self.styles(self.mapper(noise["mix"], told), *near)
            start_B = torch.full((w_BLZ.shape[0],), controls.mixing, device=w_BLZ.device)
            w_BLZ = mix(w_BLZ, second_BLZ, start_B)
        return self.synthesise(w_BLZ, noise, controls.noise, told)
