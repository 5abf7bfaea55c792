"""Variational autoencoder (Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114).

Maximises a lower bound of the likelihood of 8-bit images, their equation 3:

    log p(x | y) >= E_q [log p(x | z, y)] - KL(q(z | x, y) || p(z | y))

q is a diagonal Gaussian. p(x | z, y) is a logistic density around the decoder's image, integrated over
the level that each pixel may have (Salimans et al., 2017, https://arxiv.org/abs/1701.05517, equation 2,
with one component), its scale learned per channel. The prior is a standard normal `latent` carried by
affine couplings (Dinh et al., 2017, https://arxiv.org/abs/1605.08803, equations 7 and 8; as a prior:
Chen et al., 2017, https://arxiv.org/abs/1611.02731). Everything outside speaks of `latent`, whose
distribution is normal whatever the label; z stays inside.

Shapes: B batch, C channels, H height, W width, A label conditions, E label embedding, Z latent size.
"""

import itertools
import math
from typing import ClassVar, Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis import family
from zeuxis.family import EMPTY, Batch, Context, FamilyConfig, Losses, Tick
from zeuxis.nn import pyramid
from zeuxis.nn.labels import Labels
from zeuxis.nn.precision import full
from zeuxis.nn.resample import PixelShuffle
from zeuxis.objectives.likelihood import logistic_nats
from zeuxis.rng import Rng
from zeuxis.run import Training

SHARPEST = math.log(1 / 512)
"""The decoder's log scale stays above this: a quarter of the width of a level."""
GAIN = 4.0
"""How much faster than other parameters the log scale moves."""


class VAEConfig(FamilyConfig):
    """Settings of `VAE`; the defaults suit 32 x 32 images."""

    features: int = pydantic.Field(64, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 32 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Most channels of any grid."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks per grid, in the encoder and in the decoder."""
    patch: int = pydantic.Field(2, ge=1)
    """Pixels along each side that the finest grid sees as one point."""
    latent: int = pydantic.Field(64, ge=2, multiple_of=2)
    """Numbers that describe an image."""
    embedding: int = pydantic.Field(32, ge=1)
    """Numbers that describe the labels."""
    prior_depth: int = pydantic.Field(4, ge=0)
    """Couplings in the prior; 0 leaves it a standard normal."""
    prior_width: int = pydantic.Field(256, ge=1)
    """Hidden units of each coupling."""
    beta: float = pydantic.Field(1.0, gt=0)
    """Weight of the latent's cost (Higgins et al., 2017). The loss is a likelihood bound at 1 only."""
    free_bits: float = pydantic.Field(0.0, ge=0)
    """Nats per latent number that cost nothing (Kingma et al., 2016, https://arxiv.org/abs/1606.04934)."""
    kl_warmup: float = pydantic.Field(0.0, ge=0, le=1)
    """Share of the run over which the latent's cost rises from 0 to `beta`."""
    drop_label: float = pydantic.Field(0.1, ge=0, le=1)
    """Share of labels hidden in training, so that the model also works without them."""

    @pydantic.model_validator(mode="after")
    def _large_enough(self) -> "VAEConfig":
        pyramid.check_size("vae", self.height, self.width)
        return self

    def grids(self) -> list[tuple[int, int]]:
        """Height and width of each grid, finest first; odd sides are rounded up."""
        return pyramid.grids(self.height, self.width, self.patch)

    def widths(self) -> list[int]:
        """Channels of each grid, finest first."""
        return pyramid.widths(self.features, self.features_max, len(self.grids()))


class VAEControls(family.Controls):
    """What may be turned when sampling."""

    temperature: float = pydantic.Field(1.0, gt=0, le=1)
    """Factor on the latent: below 1, more typical images and less variety."""


class Block(nn.Module):
    """Residual block without normalisation; it starts as the identity, which keeps depth harmless."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return x + self.second(F.relu(self.first(F.relu(x)), inplace=True))


class Encoder(nn.Module):
    """(B, C, H, W), (B, E) -> mean (B, Z) and standard deviation (B, Z) of q."""

    def __init__(self, config: VAEConfig, given: int) -> None:
        super().__init__()
        self.patch, grids, widths = config.patch, config.grids(), config.widths()
        self.padding = (
            0,
            grids[0][1] * config.patch - config.width,
            0,
            grids[0][0] * config.patch - config.height,
        )
        self.stem = nn.Conv2d(config.channels * config.patch**2, widths[0], 3, padding=1)
        stages: list[nn.Module] = [Block(widths[0]) for _ in range(config.blocks)]
        for fine, coarse in itertools.pairwise(widths):
            stages += [nn.Conv2d(fine, coarse, 3, stride=2, padding=1)]
            stages += [Block(coarse) for _ in range(config.blocks)]
        self.stages = nn.Sequential(*stages)
        cells = grids[-1][0] * grids[-1][1]
        self.head = nn.Linear(widths[-1] * cells + given, 2 * config.latent)

    def forward(self, image_BCHW: Tensor, given_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Describe each image."""
        patches = F.pixel_unshuffle(F.pad(image_BCHW, self.padding), self.patch)
        features = F.relu(self.stages(self.stem(patches))).flatten(1)
        mean_BZ, raw_BZ = full(self.head(torch.cat([features, given_BE], 1))).chunk(2, 1)
        return mean_BZ, F.softplus(raw_BZ) + 1e-4


class Decoder(nn.Module):
    """(B, Z), (B, E) -> (B, C, H, W), the centre of p(x | z, y), not bounded."""

    def __init__(self, config: VAEConfig, given: int) -> None:
        super().__init__()
        grids, widths = config.grids()[::-1], config.widths()[::-1]
        self.shape = (widths[0], *grids[0])
        self.sizes = [*grids[1:], (config.height, config.width)]
        self.stem = nn.Linear(config.latent + given, math.prod(self.shape))
        stages: list[nn.Module] = []
        for coarse, fine in itertools.pairwise(widths):
            blocks = [Block(coarse) for _ in range(config.blocks)]
            rise = [nn.Conv2d(coarse, 4 * fine, 1), PixelShuffle(2)]
            stages.append(nn.Sequential(*blocks, *rise))
        blocks = [Block(widths[-1]) for _ in range(config.blocks)]
        paint = nn.Conv2d(widths[-1], config.channels * config.patch**2, 3, padding=1)
        stages.append(nn.Sequential(*blocks, nn.ReLU(), paint, PixelShuffle(config.patch)))
        self.stages = nn.ModuleList(stages)

    def forward(self, z_BZ: Tensor, given_BE: Tensor) -> Tensor:
        """Paint each image."""
        x = self.stem(torch.cat([z_BZ, given_BE], 1)).unflatten(1, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        for stage, (height, width) in zip(self.stages, self.sizes, strict=True):
            x = stage(x)[..., :height, :width]
        return full(x)


class Coupling(nn.Module):
    """Scales and shifts one half of z by a function of the other half and the labels."""

    def __init__(self, config: VAEConfig, given: int) -> None:
        super().__init__()
        half, hidden = config.latent // 2, config.prior_width
        last = nn.Linear(hidden, 2 * half)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            nn.Linear(half + given, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            last,
        )

    def forward(self, half_BZ: Tensor, given_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Log scale, within (-2, 2), and shift of the other half."""
        raw_BZ, shift_BZ = full(self.net(torch.cat([half_BZ, given_BE], 1))).chunk(2, 1)
        return 2 * torch.tanh(raw_BZ / 2), shift_BZ


class Prior(nn.Module):
    """p(z | y) as an invertible map between z and a standard normal latent."""

    def __init__(self, config: VAEConfig, given: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(config, given) for _ in range(config.prior_depth))

    def to_latent(self, z_BZ: Tensor, given_BE: Tensor) -> tuple[Tensor, Tensor]:
        """The latent (B, Z), and log |d latent / d z| (B,)."""
        log_det_B = z_BZ.new_zeros(len(z_BZ))
        for coupling in self.couplings:
            fixed_BZ, moved_BZ = z_BZ.chunk(2, 1)
            log_scale_BZ, shift_BZ = coupling(fixed_BZ, given_BE)
            moved_BZ = moved_BZ * log_scale_BZ.exp() + shift_BZ
            log_det_B = log_det_B + log_scale_BZ.sum(1)
            z_BZ = torch.cat([moved_BZ, fixed_BZ], 1)
        return z_BZ, log_det_B

    def to_z(self, latent_BZ: Tensor, given_BE: Tensor) -> Tensor:
        """Inverse of `to_latent`."""
        for coupling in reversed(self.couplings):
            moved_BZ, fixed_BZ = latent_BZ.chunk(2, 1)
            log_scale_BZ, shift_BZ = coupling(fixed_BZ, given_BE)
            moved_BZ = (moved_BZ - shift_BZ) * (-log_scale_BZ).exp()
            latent_BZ = torch.cat([fixed_BZ, moved_BZ], 1)
        return latent_BZ


class VAE(
    family.Family,
    family.Generates,
    family.Interpolates,
    family.Encodes,
    family.Decodes,
    family.Reconstructs,
    family.Scores,
):
    """Encoder, decoder with a learned scale, and prior, trained together on the bound."""

    Config = VAEConfig
    Controls = VAEControls
    TRAINING = Training(batch_size=64, lr=1e-3, betas=(0.9, 0.99), clip=1.0)
    TINY = VAEConfig(
        height=8,
        width=8,
        channels=1,
        features=8,
        latent=4,
        embedding=4,
        prior_depth=2,
        prior_width=8,
    )
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "bound"

    config: VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.labels = Labels([len(c.classes) for c in config.conditions], config.embedding)
        self.encoder = Encoder(config, self.labels.size)
        self.decoder = Decoder(config, self.labels.size)
        self.prior = Prior(config, self.labels.size)
        self.scale = nn.Parameter(torch.full((config.channels, 1, 1), -0.5))

    def log_scale(self) -> Tensor:
        """Log of the decoder's scale in units of [-1, 1], per channel (C, 1, 1).

        The factor lets Adam, which moves every parameter by about the learning rate, cross the
        scale's few units within the first hundreds of steps.
        """
        return SHARPEST + F.softplus(GAIN * self.scale - SHARPEST)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """The negative bound in bits per dimension, and its two parts."""
        config = self.config
        label_BA = self._label(batch, len(batch["image"]))
        hidden_BA = ctx.rng.uniform("drop_label", label_BA.shape[1]) < config.drop_label
        given_BE = self.labels(label_BA.masked_fill(hidden_BA, -1))
        distortion_B, rate_B = self._bound(batch["image"], given_BE, ctx.rng)
        weight = config.beta
        if config.kl_warmup:
            weight *= min(1.0, ctx.progress / config.kl_warmup)
        charged_B = (
            rate_B.clamp(min=config.free_bits * config.latent) if config.free_bits else rate_B
        )
        unit = self._nats_per_bit_and_dim()
        return {
            "total": (distortion_B + weight * charged_B).mean() / unit,
            "distortion": distortion_B.mean() / unit,
            "rate": rate_B.mean() / unit,
        }

    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """The negative bound with one draw of z for each image; its mean over draws is the bound."""
        given_BE = self.labels(self._label(batch, len(batch["image"])))
        distortion_B, rate_B = self._bound(batch["image"], given_BE, rng)
        return (distortion_B + rate_B) / self._nats_per_bit_and_dim()

    def noise(self, rng: Rng) -> Batch:
        """A latent per row: `z` (B, Z), standard normal."""
        return {"z": rng.normal("z", self.config.latent)}

    def generate(
        self,
        noise: Batch,
        cond: Batch = EMPTY,
        controls: family.Controls | None = None,
        tick: Tick | None = None,
    ) -> Tensor:
        """The centre of p(x | z, y): a clean image, without the pixel noise of the density."""
        temperature = controls.temperature if isinstance(controls, VAEControls) else 1.0
        return self.decode(noise["z"] * temperature, cond)

    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The latent (B, Z) of the mean of q(z | x, y)."""
        given_BE = self.labels(self._label(cond, len(image_BCHW)))
        mean_BZ, _ = self.encoder(image_BCHW, given_BE)
        return self.prior.to_latent(mean_BZ, given_BE)[0]

    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The centre of p(x | z, y), clipped to [-1, 1]."""
        given_BE = self.labels(self._label(cond, len(latent)))
        return self.decoder(self.prior.to_z(latent, given_BE), given_BE).clamp(-1, 1)

    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """`decode(encode(image))`, sparing the way through the prior and back."""
        given_BE = self.labels(self._label(cond, len(image_BCHW)))
        mean_BZ, _ = self.encoder(image_BCHW, given_BE)
        return self.decoder(mean_BZ, given_BE).clamp(-1, 1)

    def _bound(self, image_BCHW: Tensor, given_BE: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """-log p(x | z, y) for a z from q, and an unbiased estimate of the divergence, in nats (B,)."""
        mean_BZ, deviation_BZ = self.encoder(image_BCHW, given_BE)
        z_BZ = mean_BZ + deviation_BZ * rng.normal("z", self.config.latent)
        latent_BZ, log_det_B = self.prior.to_latent(z_BZ, given_BE)
        square_BZ = latent_BZ.square()
        if not self.prior.couplings:  # the expectation is known: no need to sample it
            square_BZ = mean_BZ.square() + deviation_BZ.square()
        # q's entropy is exact, so only the prior's term is sampled; log(2 pi) / 2 cancels.
        rate_B = ((square_BZ - 1) / 2 - deviation_BZ.log()).sum(1) - log_det_B
        mean_BCHW = self.decoder(z_BZ, given_BE)
        nats_BCHW = logistic_nats(full(image_BCHW), mean_BCHW, full(self.log_scale()))
        return nats_BCHW.flatten(1).sum(1), rate_B

    def _label(self, batch: Batch, rows: int) -> Tensor:
        """`label` (B, A); unknown where it is not given."""
        device = self.scale.device
        unknown_BA = torch.full((rows, len(self.config.conditions)), -1, device=device)
        return batch.get("label", unknown_BA) if self.config.conditions else unknown_BA

    def _nats_per_bit_and_dim(self) -> float:
        return math.log(2) * self.config.channels * self.config.height * self.config.width
