"""Hierarchical variational autoencoder: a small VD-VAE (Child, 2021, https://arxiv.org/abs/2011.10650).

An image is described by L groups of latents, coarse grids first, each drawn given those before it.
With z_l = mean_l + scale_l u_l, where mean_l and scale_l are read off the decoder's features so far,
each u_l is standard normal under the prior, and the posterior is parametrised relative to the prior
(the residual normal distributions of NVAE, Vahdat and Kautz, 2020, https://arxiv.org/abs/2007.03898,
section 3.2): q(u_l | u_<l, x, y) = N(move_l, spread_l^2). The bound of Child's equation 3 becomes

    log p(x | y) >= E_q [log p(x | u, y)] - sum_l E_q KL(N(move_l, spread_l^2) || N(0, 1))

p(x | u, y) is a mixture of logistics for each pixel (Salimans et al., 2017,
https://arxiv.org/abs/1701.05517, equations 2 and 3). The public latent is the concatenation of all u_l:
a standard normal, whatever the label.

Shapes: B batch, C channels, H height, W width, A label conditions, E label embedding, F features,
U latent dimensions of a position, N latent dimensions of an image, K parameters of a pixel's mixture.
"""

import itertools
import math
from typing import Annotated, Any, ClassVar, Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.family import Context, Family, FamilyConfig, Losses
from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import Among, Span, When
from zeuxis.nn import pyramid
from zeuxis.nn.condition import Conditioner, hide
from zeuxis.nn.hierarchy import Group
from zeuxis.nn.plain import Block
from zeuxis.nn.precision import full
from zeuxis.nn.resample import PixelShuffle, Rise
from zeuxis.objectives.likelihood import mixture_nats, mixture_size, mixture_start


class HVAEConfig(FamilyConfig):
    """Settings of `HVAE`; the defaults suit 32 x 32 images."""

    levels: int = pydantic.Field(256, ge=2, le=256)
    """Levels of a pixel in the likelihood; below 256, images are rounded to them."""
    features: Annotated[int, Among(("32", "64", "96"))] = pydantic.Field(64, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 32 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Largest number of channels of any grid."""
    patch: int = pydantic.Field(2, ge=1)
    """Side of the pixel patches that are one position of the finest grid."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks per grid in the encoder."""
    layers: Annotated[int, Span(1, 4)] = pydantic.Field(2, ge=1)
    """Groups of latents per grid; the coarsest grid, a single position, has one."""
    latent: Annotated[int, Among(("2", "4", "8"))] = pydantic.Field(4, ge=1)
    """Latent dimensions of each position in each group."""
    components: int = pydantic.Field(5, ge=1)
    """Logistic densities mixed for each pixel."""
    embedding: Annotated[int, When("given")] = pydantic.Field(32, ge=1)
    """Dimensions of the embedding of labels and captions."""
    beta: Annotated[float, Span(0.2, 5, log=True)] = pydantic.Field(1.0, gt=0)
    """Weight of the KL divergence (Higgins et al., 2017). The loss is a likelihood bound at 1 only."""
    kl_warmup: float = pydantic.Field(0.0, ge=0, le=1)
    """Share of the run over which the weight of the KL divergence rises from 0 to `beta`."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for use without; each of several is also dropped alone."""

    @pydantic.model_validator(mode="after")
    def _large_enough(self) -> "HVAEConfig":
        pyramid.check_size("hvae", self.height, self.width)
        return self

    def grids(self) -> list[tuple[int, int]]:
        """Height and width of each grid, coarsest first: a single point, then up to H / patch."""
        return [(1, 1), *pyramid.grids(self.height, self.width, self.patch)[::-1]]

    def widths(self) -> list[int]:
        """Channels of each grid, coarsest first."""
        widths = pyramid.widths(self.features, self.features_max, len(self.grids()) - 1)
        return [widths[-1], *widths[::-1]]

    def groups(self) -> list[int]:
        """Groups of latent numbers of each grid, coarsest first."""
        return [1] + [self.layers] * (len(self.grids()) - 1)

    def sizes(self) -> list[int]:
        """Latent numbers of each grid, coarsest first; their sum is N."""
        cells = [h * w for h, w in self.grids()]
        return [n * self.latent * c for n, c in zip(self.groups(), cells, strict=True)]


def _several(value: Any) -> Any:
    """A single number stands for a tuple of it."""
    return (value,) if isinstance(value, int | float) else value


Temperature = Annotated[float, pydantic.Field(gt=0, le=1)]


class HVAEControls(Controls):
    """What may be turned when sampling."""

    temperature: Annotated[tuple[Temperature, ...], pydantic.BeforeValidator(_several)] = (
        pydantic.Field((1.0,), min_length=1)
    )
    """Factor on the latent: below 1, more typical images and less diversity. One value, or one for each grid,
    coarsest first; the last holds for all finer ones."""
    fixed_levels: int = pydantic.Field(0, ge=0)
    """Number of grids, coarsest first, whose latent is that of image 0 of `fixed_seed`: samples then vary in
    finer detail only."""
    fixed_seed: int = 0
    """Seed of the image whose coarse grids are kept."""


def mixture_mean(raw_BKHW: Tensor, channels: int, components: int) -> Tensor:
    """The mean (B, C, H, W) of the density that `mixture_nats` describes, in [-1, 1]."""
    logit, *rest = raw_BKHW.split(components, 1)
    share, coefficients = logit.softmax(1), iter(rest[2 * channels :])
    means: list[Tensor] = []
    for mean in rest[:channels]:
        for earlier in list(means):
            mean = mean + next(coefficients).tanh() * earlier
        means.append(mean.clamp(-1, 1))
    return torch.stack([(share * mean).sum(1) for mean in means], 1)


class Encoder(nn.Module):
    """(B, C, H, W) -> what each group of latent numbers is told of the image, coarsest first."""

    def __init__(self, config: HVAEConfig) -> None:
        super().__init__()
        grids, widths, self.patch = config.grids(), config.widths(), config.patch
        right = grids[-1][1] * config.patch - config.width
        self.padding = (0, right, 0, grids[-1][0] * config.patch - config.height)
        falls: list[nn.Module] = [
            nn.Conv2d(config.channels * config.patch**2, widths[-1], 3, padding=1)
        ]
        for fine, coarse in itertools.pairwise(widths[:0:-1]):
            falls.append(nn.Conv2d(fine, coarse, 3, stride=2, padding=1))
        flat = widths[1] * math.prod(grids[1])
        falls.append(
            nn.Sequential(
                nn.Flatten(), nn.ReLU(), nn.Linear(flat, widths[0]), nn.Unflatten(1, (-1, 1, 1))
            )
        )
        self.falls = nn.ModuleList(falls)
        kernels = [1] + [3] * (len(widths) - 1)
        shapes = list(zip(widths, kernels, config.groups(), strict=True))[::-1]
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, kernel) for _ in range(config.blocks)))
            for width, kernel, _ in shapes
        )
        self.tells = nn.ModuleList(
            nn.Conv2d(width, groups * width, kernel, padding=kernel // 2)
            for width, kernel, groups in shapes
        )
        self.groups = [groups for _, _, groups in shapes]

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """Features (B, F, h, w) for each group."""
        x = F.pixel_unshuffle(F.pad(image_BCHW, self.padding), self.patch)
        told: list[Tensor] = []
        for fall, stage, tell, groups in zip(
            self.falls, self.stages, self.tells, self.groups, strict=True
        ):
            x = stage(fall(x))
            told = [*tell(F.relu(x)).chunk(groups, 1), *told]
        return told


class Decoder(nn.Module):
    """(B, E), (B, N) -> raw mixtures (B, K, H, W)."""

    def __init__(self, config: HVAEConfig, given: int) -> None:
        super().__init__()
        grids, widths = config.grids(), config.widths()
        self.shape, self.sizes, self.latent = (widths[1], *grids[1]), grids, config.latent
        self.start = nn.Parameter(torch.zeros(widths[0]))
        self.hears = nn.ModuleList(nn.Linear(given, width) for width in widths if given)
        rises: list[nn.Module] = [
            nn.Sequential(nn.Flatten(), nn.Linear(widths[0], math.prod(self.shape)))
        ]
        for coarse, fine in itertools.pairwise(widths[1:]):
            rises.append(Rise(coarse, fine))
        self.rises = nn.ModuleList(rises)
        self.grids = nn.ModuleList(
            nn.ModuleList(Group(width, config.latent, 3 if i else 1) for _ in range(groups))
            for i, (width, groups) in enumerate(zip(widths, config.groups(), strict=True))
        )
        size = mixture_size(config.channels, config.components)
        last = nn.Conv2d(widths[-1], size * config.patch**2, 3, padding=1)
        start_K = mixture_start(config.channels, config.components)
        assert last.bias is not None
        last.bias.data.copy_(start_K.repeat_interleave(config.patch**2))
        self.paint = nn.Sequential(nn.ReLU(), last, PixelShuffle(config.patch))
        self.image = (config.height, config.width)

    def forward(
        self, given_BE: Tensor, u_BN: Tensor, evidence: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Raw mixtures (B, K, H, W), the latent (B, N) and its nats (B,).

        Without evidence `u_BN` is the latent; with it, the noise of the posterior.
        """
        x = self.start.expand(u_BN.shape[0], -1)[..., None, None]
        rest, told = u_BN, list(evidence or ())
        found, rate_B = [], torch.zeros(u_BN.shape[0], device=u_BN.device)
        for i, (groups, (height, width)) in enumerate(zip(self.grids, self.sizes, strict=True)):
            if i:
                x = self.rises[i - 1](x)
                if i == 1:
                    x = x.unflatten(1, self.shape).contiguous(memory_format=torch.channels_last)
                x = x[..., :height, :width]
            if self.hears:
                x = x + self.hears[i](given_BE)[..., None, None]
            for group in groups.children():
                piece, rest = rest.tensor_split([self.latent * height * width], 1)
                u = piece.unflatten(1, (self.latent, height, width))
                x, u, nats_B = group(x, u, told.pop(0) if told else None)
                found.append(u.flatten(1))
                rate_B = rate_B + nats_B
        raw_BKHW = self.paint(x)[..., : self.image[0], : self.image[1]]
        return full(raw_BKHW), torch.cat(found, 1), rate_B


class HVAE(
    Family,
    abilities.Generates[HVAEControls],
    abilities.Interpolates,
    abilities.Encodes,
    abilities.Decodes,
    abilities.Reconstructs,
    abilities.Scores,
):
    """Encoder from fine to coarse and decoder from coarse to fine, trained together on the bound."""

    Config = HVAEConfig
    Controls = HVAEControls
    TRAINING = Training(optimiser="muon", batch_size=64, lr=4e-3, betas=(0.9, 0.99), clip=1.0)
    TINY = HVAEConfig(
        height=8,
        width=8,
        channels=1,
        features=8,
        features_max=8,
        layers=1,
        latent=2,
        components=2,
        embedding=4,
    )
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "bound"
    DESCRIBED = True
    config: HVAEConfig

    def __init__(self, config: HVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioner = Conditioner.of(config, config.embedding)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, self.conditioner.size)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """The negative bound in bits per dimension, and its two parts."""
        config = self.config
        rows = batch["image"].shape[0]
        given = hide(self.condition(batch, rows), ctx.rng, config.drop_label)
        given_BE = self.conditioner.told(given, rows).vector_BE
        distortion_B, rate_B = self._bound(batch["image"], given_BE, ctx.rng)
        weight = config.beta
        if config.kl_warmup:
            weight *= min(1.0, ctx.progress / config.kl_warmup)
        unit = self.config.nats_per_bit
        return {
            "total": (distortion_B + weight * rate_B).mean() / unit,
            "distortion": distortion_B.mean() / unit,
            "rate": rate_B.mean() / unit,
        }

    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """The negative bound with one draw of the latent; its mean over draws is the bound."""
        given_BE = self._given(batch, batch["image"].shape[0])
        distortion_B, rate_B = self._bound(batch["image"], given_BE, rng)
        return (distortion_B + rate_B) / self.config.nats_per_bit

    def noise(self, rng: Rng) -> Batch:
        """A latent per row: `latent` (B, N), standard normal."""
        return {"latent": rng.normal("latent", sum(self.config.sizes()))}

    def generate(
        self, noise: Batch, cond: Batch, controls: HVAEControls, progress: Progress | None = None
    ) -> Tensor:
        """The mean of p(x | u, y): a clean image, without the pixel noise of the density."""
        sizes, latent_BN = self.config.sizes(), noise["latent"]
        kept = sum(sizes[: controls.fixed_levels])
        if kept:
            other_BN = self.noise(Rng.for_images(controls.fixed_seed, [0]))["latent"].to(latent_BN)
            coarse_BN = other_BN[:, :kept].expand(latent_BN.shape[0], -1)
            latent_BN = torch.cat([coarse_BN, latent_BN[:, kept:]], 1)
        last = len(controls.temperature) - 1
        factors = [
            controls.temperature[min(i, last)] for i, n in enumerate(sizes) for _ in range(n)
        ]
        return self.decode(latent_BN * latent_BN.new_tensor(factors), cond)

    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The latent (B, N): from coarse to fine, the mean of each group given the means before it."""
        return self._through(image_BCHW, cond)[1]

    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The mean of p(x | u, y), clipped to [-1, 1]."""
        given_BE = self._given(cond, latent.shape[0])
        return self._pixels(self.decoder(given_BE, latent)[0])

    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """`decode(encode(image))`, in one pass."""
        return self._pixels(self._through(image_BCHW, cond)[0])

    def _given(self, cond: Batch, rows: int) -> Tensor:
        return self.conditioner.told(self.condition(cond, rows), rows).vector_BE

    def _through(self, image_BCHW: Tensor, cond: Batch) -> tuple[Tensor, Tensor]:
        """Raw mixtures (B, K, H, W) and latent (B, N) of the posterior's means."""
        given_BE = self._given(cond, image_BCHW.shape[0])
        still_BN = full(image_BCHW).new_zeros(image_BCHW.shape[0], sum(self.config.sizes()))
        raw_BKHW, latent_BN, _ = self.decoder(given_BE, still_BN, self.encoder(image_BCHW))
        return raw_BKHW, latent_BN

    def _bound(self, image_BCHW: Tensor, given_BE: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """-log p(x | u, y) for a u from q, and the divergence along it, in nats (B,)."""
        config = self.config
        if config.levels < 256:
            rounded_BCHW = from_levels(to_levels(image_BCHW, config.levels), config.levels)
            image_BCHW = rounded_BCHW.to(image_BCHW.dtype)
        noise_BN = rng.normal("latent", sum(config.sizes()))
        raw_BKHW, _, rate_B = self.decoder(given_BE, noise_BN, self.encoder(image_BCHW))
        nats_BHW = mixture_nats(full(image_BCHW), raw_BKHW, config.components, config.levels)
        return nats_BHW.flatten(1).sum(1), rate_B

    def _pixels(self, raw_BKHW: Tensor) -> Tensor:
        return mixture_mean(raw_BKHW, self.config.channels, self.config.components)
