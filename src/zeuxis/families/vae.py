"""Variational autoencoder (Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114).

Maximises a lower bound of the likelihood of 8-bit images, their equation 3:

    log p(x | y) >= E_q [log p(x | z, y)] - KL(q(z | x, y) || p(z | y))

q is a diagonal Gaussian. p(x | z, y) is a logistic density around the decoder's image, integrated over
the level that each pixel may have (Salimans et al., 2017, https://arxiv.org/abs/1701.05517, equation 2,
with one component), its scale learned per channel. The prior is a standard normal `latent` carried by
affine couplings (Dinh et al., 2017, https://arxiv.org/abs/1605.08803, equations 7 and 8; as a prior:
Chen et al., 2017, https://arxiv.org/abs/1611.02731), or by what is fitted at the end: couplings
(`zeuxis.nn.fitted_flow`) or the map to a mixture (`zeuxis.nn.mixture`). The public latent is
`latent`, standard normal whatever the label; z is internal. With S samples of z the bound
can be that of Burda et al., 2016, https://arxiv.org/abs/1509.00519, equation 8, which rises with S:

    log p(x | y) >= E log 1/S sum_s w_s,    w_s = p(x | z_s, y) p(z_s | y) / q(z_s | x, y)

Shapes: B batch, C channels, H height, W width, A label conditions, E label embedding, Z latent size,
S samples of z per image.
"""

import itertools
import math
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses
from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Natural, Training
from zeuxis.core.space import Among, Span, When
from zeuxis.nn import pyramid
from zeuxis.nn.condition import Conditioner, hide
from zeuxis.nn.coupling import Couplings
from zeuxis.nn.fitted_flow import FittedFlow
from zeuxis.nn.mixture import Mixture
from zeuxis.nn.plain import Block
from zeuxis.nn.precision import full
from zeuxis.nn.resample import PixelShuffle, Rise
from zeuxis.objectives.correlation import total_correlation
from zeuxis.objectives.likelihood import logistic_nats

SHARPEST = math.log(1 / 512)
"""The decoder's log scale stays above this: a quarter of the width of a level."""
GAIN = 4.0
"""How much faster than other parameters the log scale moves."""
CHUNK = 16
"""Draws of z for each image that are decoded at a time: it bounds the memory."""
HIDDEN = 0.1
"""Share of labels that are hidden where couplings are fitted, so that they know unknown ones too."""


class VAEConfig(FamilyConfig):
    """Settings of `VAE`; the defaults suit 32 x 32 images."""

    levels: int = pydantic.Field(256, ge=2, le=256)
    """Levels of a pixel in the likelihood; below 256, images are rounded to them."""
    features: Annotated[int, Among(("32", "64", "96"))] = pydantic.Field(64, ge=1)
    """Channels of the finest grid; each halving doubles them. Multiples of 32 are fastest."""
    features_max: int = pydantic.Field(128, ge=1)
    """Largest number of channels of any grid."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks per grid, in the encoder and in the decoder."""
    patch: int = pydantic.Field(2, ge=1)
    """Side of the pixel patches that are one position of the finest grid."""
    latent: Annotated[int, Among(("32", "64", "128"))] = pydantic.Field(64, ge=2, multiple_of=2)
    """Dimensions of the latent."""
    embedding: Annotated[int, When("given")] = pydantic.Field(32, ge=1)
    """Dimensions of the embedding of labels and captions."""
    prior: Literal["flow", "fitted_flow", "mixture"] = "flow"
    """Prior of z: couplings trained jointly, or couplings or a mixture of normal distributions fitted to the
    latents of the data after training with a standard normal prior."""
    prior_depth: Annotated[Natural, Span(2, 6), When("prior", "flow", "fitted_flow")] = 4
    """Couplings of either flow; 0 leaves the prior a standard normal, or one of fitted covariance."""
    prior_width: Annotated[int, When("prior", "flow", "fitted_flow")] = pydantic.Field(256, ge=1)
    """Hidden units of each coupling."""
    prior_steps: Annotated[int, When("prior", "fitted_flow")] = pydantic.Field(400, ge=0)
    """Steps for which `fitted_flow` is fitted."""
    prior_components: Annotated[int, When("prior", "mixture")] = pydantic.Field(16, ge=1)
    """Components of the mixture."""
    iwae: int = pydantic.Field(1, ge=1)
    """Samples of z per image in training (IWAE, Burda et al., 2016): more tighten the bound and cost time."""
    tc: float = pydantic.Field(0.0, ge=0)
    """Weight of the total correlation (Chen et al., 2018), on top of `beta`, for disentangled dimensions. Use
    a small latent, and a prior that does not mix its dimensions."""
    tc_group: Annotated[int, When("tc")] = pydantic.Field(64, ge=2)
    """Consecutive samples of a batch over which `tc` is estimated; micro-batches hold whole groups."""
    beta: Annotated[float, Span(0.2, 5, log=True)] = pydantic.Field(1.0, gt=0)
    """Weight of the KL divergence (Higgins et al., 2017). The loss is a likelihood bound at 1 only."""
    free_bits: float = pydantic.Field(0.0, ge=0)
    """Free bits: nats per latent dimension without cost (Kingma et al., 2016, https://arxiv.org/abs/1606.04934)."""
    kl_warmup: float = pydantic.Field(0.0, ge=0, le=1)
    """Share of the run over which the weight of the KL divergence rises from 0 to `beta`."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for use without; each of several is also dropped alone."""

    @pydantic.model_validator(mode="after")
    def _large_enough(self) -> "VAEConfig":
        pyramid.check_size("vae", self.height, self.width)
        if self.iwae > 1 and (self.beta != 1 or self.free_bits or self.kl_warmup or self.tc):
            raise Invalid(
                f"iwae is {self.iwae}, and importance weights have no part to weigh: "
                "leave beta at 1, and free_bits, kl_warmup and tc at 0"
            )
        if self.prior == "mixture" and (self.numbers or self.text):
            raise Invalid("prior is mixture, which knows classes alone, no text; take flow")
        if self.tc and self.prior == "flow" and self.prior_depth:
            raise Invalid(
                f"tc is {self.tc}, but the prior's {self.prior_depth} couplings mix the numbers "
                "that it keeps apart; set prior_depth to 0"
            )
        return self

    def grids(self) -> list[tuple[int, int]]:
        """Height and width of each grid, finest first; odd sides are rounded up."""
        return pyramid.grids(self.height, self.width, self.patch)

    def widths(self) -> list[int]:
        """Channels of each grid, finest first."""
        return pyramid.widths(self.features, self.features_max, len(self.grids()))


class VAEControls(Controls):
    """What may be turned when sampling."""

    temperature: float = pydantic.Field(1.0, gt=0, le=1)
    """Factor on the latent: below 1, more typical images and less diversity."""


class Encoder(nn.Module):
    """(B, C, H, W), (B, E) -> mean (B, Z) and standard deviation (B, Z) of q."""

    def __init__(self, config: VAEConfig, given: int) -> None:
        super().__init__()
        self.patch, grids, widths = config.patch, config.grids(), config.widths()
        right, below = (grids[0][i] * config.patch for i in (1, 0))
        self.padding = (0, right - config.width, 0, below - config.height)
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
            stages.append(nn.Sequential(*blocks, Rise(coarse, fine)))
        blocks = [Block(widths[-1]) for _ in range(config.blocks)]
        last = nn.Conv2d(widths[-1], config.channels * config.patch**2, 3, padding=1)
        stages.append(nn.Sequential(*blocks, nn.ReLU(), last, PixelShuffle(config.patch)))
        self.stages = nn.ModuleList(stages)

    def forward(self, z_BZ: Tensor, given_BE: Tensor) -> Tensor:
        """Decode each image."""
        x = self.stem(torch.cat([z_BZ, given_BE], 1)).unflatten(1, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        for stage, (height, width) in zip(self.stages, self.sizes, strict=True):
            x = stage(x)[..., :height, :width]
        return full(x)


class VAE(
    Family,
    abilities.Generates[VAEControls],
    abilities.Interpolates,
    abilities.Encodes,
    abilities.Decodes,
    abilities.Reconstructs,
    abilities.Scores,
):
    """Encoder, decoder with a learned scale, and prior, trained together on the bound."""

    Config = VAEConfig
    Controls = VAEControls
    TRAINING = Training(optimiser="muon", batch_size=64, lr=4e-3, betas=(0.9, 0.99), clip=1.0)
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
    DESCRIBED = True
    config: VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        classes = [len(c.classes) for c in config.conditions]
        self.conditioner = Conditioner.of(config, config.embedding)
        given = self.conditioner.size
        self.encoder = Encoder(config, given)
        self.decoder = Decoder(config, given)
        mixed = config.prior == "mixture"
        depth = 0 if mixed else config.prior_depth
        late = config.prior == "fitted_flow"
        couplings: type[Couplings | FittedFlow] = FittedFlow if late else Couplings
        self.prior = couplings(config.latent, given, config.prior_width, depth)
        self.mixture = Mixture(config.prior_components, config.latent, classes) if mixed else None
        self.scale = nn.Parameter(torch.full((config.channels, 1, 1), -0.5))

    @property
    def GROUP(self) -> int:  # type: ignore[override]
        """Rows that a loss may mix: only the total correlation mixes any."""
        return self.config.tc_group if self.config.tc else 1

    def log_scale(self) -> Tensor:
        """Log of the decoder's scale in units of [-1, 1], per channel (C, 1, 1).

        The factor lets Adam, which moves every parameter by about the learning rate, cross the
        scale's few units within the first hundreds of steps.
        """
        return SHARPEST + F.softplus(GAIN * self.scale - SHARPEST)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """The negative bound in bits per dimension, and its parts."""
        config, unit = self.config, self.config.nats_per_bit
        given = hide(self.condition(batch, batch["image"].shape[0]), ctx.rng, config.drop_label)
        if config.iwae > 1:
            noise_BSZ = ctx.rng.normal("z/0", config.iwae, config.latent)
            distortion_BS, rate_BS = self._weigh(batch["image"], given, noise_BSZ)
            log_w_B = torch.logsumexp(-distortion_BS - rate_BS, 1) - math.log(config.iwae)
            parts = {"distortion": distortion_BS.mean() / unit, "rate": rate_BS.mean() / unit}
            return {"total": -log_w_B.mean() / unit, **parts}
        distortion_B, rate_B, (z_BZ, *posterior) = self._bound(batch["image"], given, ctx.rng)
        weight = config.beta
        if config.kl_warmup:
            weight *= min(1.0, ctx.progress / config.kl_warmup)
        charged_B = rate_B.clamp(min=free) if (free := config.free_bits * config.latent) else rate_B
        terms = {"distortion": distortion_B.mean() / unit, "rate": rate_B.mean() / unit}
        total = (distortion_B + weight * charged_B).mean() / unit
        if config.tc:
            grouped = (v.unflatten(0, (-1, self.GROUP)) for v in (z_BZ, *posterior))
            terms["total_correlation"] = total_correlation(*grouped).mean() / unit
            total = total + config.tc * terms["total_correlation"]
        return {"total": total, **terms}

    def finish(self, batches: Iterable[Batch], rng: Rng) -> None:
        """Fit the prior, if that is left to the end, to draws of the latents of the data."""
        if self.config.prior == "flow":
            return
        rows = []
        for i, batch in enumerate(batches):
            given = self.condition(batch, batch["image"].shape[0])
            if self.mixture is None:  # which knows what to make of a label that is missing
                given = hide(given, rng, HIDDEN, f"hidden/{i}")
            image_BCHW = self._rounded(batch["image"])
            given_BE, label_BA = self._given(given, image_BCHW.shape[0])
            rows.append((*self.encoder(image_BCHW, given_BE), given_BE, label_BA))
        mean_NZ, deviation_NZ, given_NE, label_NA = map(torch.cat, zip(*rows, strict=True))
        if isinstance(self.prior, FittedFlow):
            self.prior.fit(mean_NZ, deviation_NZ, given_NE, rng, self.config.prior_steps)
        elif self.mixture is not None:
            self.mixture.fit_posteriors(mean_NZ, deviation_NZ, label_NA, rng)

    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """The negative bound with one draw of z for each image; its mean over draws is the bound."""
        distortion_B, rate_B, _ = self._bound(batch["image"], batch, rng)
        return (distortion_B + rate_B) / self.config.nats_per_bit

    def iwae_bits_per_dim(self, batch: Batch, rng: Rng, samples: int = 64) -> Tensor:
        """The negative importance-weighted bound with `samples` draws of z for each image, (B,).

        Its mean over draws falls with `samples` towards the negative log-likelihood.
        """
        log_w_B = None
        for first in range(0, samples, CHUNK):
            count = min(CHUNK, samples - first)
            noise_BSZ = rng.normal(f"z/{first}", count, self.config.latent)
            distortion_BS, rate_BS = self._weigh(batch["image"], batch, noise_BSZ)
            part_B = torch.logsumexp(-distortion_BS - rate_BS, 1)
            log_w_B = part_B if log_w_B is None else torch.logaddexp(log_w_B, part_B)
        if log_w_B is None:
            raise Invalid(f"samples is {samples}, expected at least 1")
        return (math.log(samples) - log_w_B) / self.config.nats_per_bit

    def noise(self, rng: Rng) -> Batch:
        """A latent per row: `z` (B, Z), standard normal."""
        return {"z": rng.normal("z", self.config.latent)}

    def generate(
        self, noise: Batch, cond: Batch, controls: VAEControls, progress: Progress | None = None
    ) -> Tensor:
        """The centre of p(x | z, y): a clean image, without the pixel noise of the density."""
        return self.decode(noise["z"] * controls.temperature, cond)

    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The latent (B, Z) of the mean of q(z | x, y)."""
        given_BE, label_BA = self._given(cond, image_BCHW.shape[0])
        mean_BZ, _ = self.encoder(image_BCHW, given_BE)
        if self.mixture is not None:
            return self.mixture.to_latent(mean_BZ, label_BA)
        return self.prior.to_latent(mean_BZ, given_BE)[0]

    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The centre of p(x | z, y), clipped to [-1, 1]."""
        given_BE, label_BA = self._given(cond, latent.shape[0])
        if self.mixture is not None:
            return self.decoder(self.mixture.to_z(latent, label_BA), given_BE).clamp(-1, 1)
        return self.decoder(self.prior.to_z(latent, given_BE), given_BE).clamp(-1, 1)

    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """`decode(encode(image))`, sparing the way through the prior and back."""
        given_BE, _ = self._given(cond, image_BCHW.shape[0])
        mean_BZ, _ = self.encoder(image_BCHW, given_BE)
        return self.decoder(mean_BZ, given_BE).clamp(-1, 1)

    def _bound(
        self, image_BCHW: Tensor, given: Batch, rng: Rng
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """-log p(x | z, y) for a z from q, an unbiased estimate of the divergence, in nats (B,).

        Then z itself, and the mean and deviation of q, each (B, Z).
        """
        image_BCHW = self._rounded(image_BCHW)
        given_BE, label_BA = self._given(given, image_BCHW.shape[0])
        mean_BZ, deviation_BZ = self.encoder(image_BCHW, given_BE)
        z_BZ = mean_BZ + deviation_BZ * rng.normal("z", self.config.latent)
        if self.mixture is None and self.prior.standard:
            # the expectation is known: no need to sample it
            cost_B = (mean_BZ.square() + deviation_BZ.square()).sum(1) / 2
        else:
            cost_B = self._prior_nats(z_BZ, given_BE, label_BA)
        # q's entropy is exact, so only the prior's term is sampled; log(2 pi) / 2 cancels.
        rate_B = cost_B - (0.5 + deviation_BZ.log()).sum(1)
        return self._distortion(image_BCHW, z_BZ, given_BE), rate_B, (z_BZ, mean_BZ, deviation_BZ)

    def _weigh(self, image_BCHW: Tensor, given: Batch, noise_BSZ: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x | z, y) and log q(z | x, y) / p(z | y) of each draw, in nats (B, S).

        Importance weights need the density at the draw itself: no term is replaced by its mean.
        """
        image_BCHW = self._rounded(image_BCHW)
        given_BE, label_BA = self._given(given, image_BCHW.shape[0])
        mean_BZ, deviation_BZ = self.encoder(image_BCHW, given_BE)
        draws = noise_BSZ.shape[1]
        log_q_BS = -(noise_BSZ.square() / 2 + deviation_BZ.log()[:, None]).sum(2)
        z_NZ = (mean_BZ[:, None] + deviation_BZ[:, None] * noise_BSZ).flatten(0, 1)
        given_NE = given_BE.repeat_interleave(draws, 0)
        cost_N = self._prior_nats(z_NZ, given_NE, label_BA.repeat_interleave(draws, 0))
        distortion_N = self._distortion(image_BCHW.repeat_interleave(draws, 0), z_NZ, given_NE)
        return distortion_N.unflatten(0, (-1, draws)), cost_N.unflatten(0, (-1, draws)) + log_q_BS

    def _given(self, cond: Batch, rows: int) -> tuple[Tensor, Tensor]:
        """What networks are told (B, E), and the labels (B, A), which the mixture knows alone."""
        given = self.condition(cond, rows)
        return self.conditioner.told(given, rows).vector_BE, self.label_of(given, rows)

    def _prior_nats(self, z_BZ: Tensor, given_BE: Tensor, label_BA: Tensor) -> Tensor:
        """-log p(z | y) less Z log(2 pi) / 2, (B,)."""
        if self.mixture is not None:
            return self.mixture.nats(z_BZ, label_BA)
        latent_BZ, log_det_B = self.prior.to_latent(z_BZ, given_BE)
        return latent_BZ.square().sum(1) / 2 - log_det_B

    def _distortion(self, image_BCHW: Tensor, z_BZ: Tensor, given_BE: Tensor) -> Tensor:
        """-log p(x | z, y), (B,)."""
        mean_BCHW, log_scale = self.decoder(z_BZ, given_BE), full(self.log_scale())
        nats_BCHW = logistic_nats(full(image_BCHW), mean_BCHW, log_scale, self.config.levels)
        return nats_BCHW.flatten(1).sum(1)

    def _rounded(self, image_BCHW: Tensor) -> Tensor:
        """The image at the levels that are modelled."""
        levels = self.config.levels
        if levels == 256:
            return image_BCHW
        return from_levels(to_levels(image_BCHW, levels), levels).to(image_BCHW.dtype)
