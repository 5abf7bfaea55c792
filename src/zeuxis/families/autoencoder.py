"""Autoencoder, plain and denoising, with a bounded latent.

An encoder maps an image to a latent z in (-1, 1), a decoder reconstructs the image from z alone
(Hinton and Salakhutdinov, 2006, https://doi.org/10.1126/science.1127647):

    z = round(tanh(encoder(x))),        minimise  |decoder(z) - x|^2

`round` goes to the nearest of 2^bits even levels, with `bits` per dimension, and passes gradients straight
through
(Bengio et al., 2013, https://arxiv.org/abs/1308.3432; as a bottleneck: Mentzer et al., 2023,
https://arxiv.org/abs/2309.15505); without `bits` it is the identity. The networks are residual, with
space-to-channel shortcuts (Chen et al., 2024, https://arxiv.org/abs/2410.10733).

With `corrupt`, a share of the images is damaged and the clean image is the target (Vincent et al., 2008).
The kind of damage and its strength s modulate every block. With `skips`, damaged images also use the
encoder's finer grids, and Gaussian noise is removed as in Karras et al., 2022
(https://arxiv.org/abs/2206.00364, equation 7), which is the identity at s = 0:

    D(x, s) = d^2 / (s^2 + d^2) x + s d / sqrt(s^2 + d^2) network(x, s),      d = 0.5

Reconstructions never use skips: they depend on z alone.

Shapes: B batch, C channels, H height, W width, Z latent size, E embedding, K kinds of damage.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training, suggest
from zeuxis.core.space import Among, Span, When
from zeuxis.nn import corruption, towers
from zeuxis.nn.corruption import per_row
from zeuxis.nn.precision import full

CLEAN = "clean"
KINDS = (CLEAN, "gaussian", "impulse", "mask", "jpeg")
DEVIATION = 0.5
"""d: standard deviation of pixels, about."""
SMALLEST = 1 / 512
"""Added to strengths before their logarithm; deviations below it are no noise."""


class AutoencoderConfig(FamilyConfig):
    """Settings of `Autoencoder`; the defaults suit 28 x 28 to 64 x 64 images."""

    widths: Annotated[tuple[int, ...], Among(("48,96", "64,128", "96,192"))] = (64, 128)
    """Channels of each grid, finest first. Multiples of 32 are fastest."""
    blocks: Annotated[int, Span(1, 3)] = pydantic.Field(2, ge=1)
    """Residual blocks of each grid, in the encoder and in the decoder."""
    patch: int = pydantic.Field(2, ge=1)
    """Side of the pixel patches that are one position of the finest grid."""
    layout: Literal["flat", "spatial"] = "flat"
    """`flat`: the latent is one vector; `spatial`: a vector at each position of the coarsest grid."""
    latent: int = pydantic.Field(64, ge=1)
    """Dimensions of the vector, or channels of the spatial latent."""
    bits: tuple[int, ...] = ()
    """Bits to which each dimension is rounded, in training too; several values apply to equal parts of the
    latent: `6,3,1` gives the first third 6 bits each. Empty for no rounding."""
    error: Literal["squared", "absolute"] = "squared"
    """Reconstruction loss: squared error gives the best PSNR, absolute error sharper edges."""
    corrupt: tuple[str, ...] = ("gaussian", "mask")
    """Damage to learn to undo, any of gaussian, impulse, mask and jpeg; empty for a plain autoencoder."""
    clean: Annotated[float, Span(0.2, 1), When("corrupt")] = pydantic.Field(0.5, ge=0, le=1)
    """Share of training images left undamaged; the latent is learned from them."""
    deviation_min: Annotated[float, When("corrupt", "gaussian")] = pydantic.Field(0.015, gt=0)
    """Smallest standard deviation of Gaussian noise in training, in units of [-1, 1]."""
    deviation_max: Annotated[float, When("corrupt", "gaussian")] = pydantic.Field(0.6, gt=0)
    """Largest standard deviation; strengths in between are drawn log-uniformly."""
    impulse_max: Annotated[float, When("corrupt", "impulse")] = pydantic.Field(0.5, gt=0, le=1)
    """Largest share of pixels replaced by salt and pepper noise."""
    mask_max: Annotated[float, When("corrupt", "mask")] = pydantic.Field(0.5, gt=0, le=1)
    """Largest share of the image that is hidden."""
    quality_min: Annotated[float, When("corrupt", "jpeg")] = pydantic.Field(5, ge=1, le=100)
    """Worst quality of a JPEG; the best is 95."""
    skips: Annotated[bool, When("corrupt")] = True
    """Skip connections from damaged images to the decoder: far better repairs, same latent."""
    embedding: Annotated[int, When("corrupt")] = pydantic.Field(64, ge=1)
    """Dimensions of the embedding of the damage."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "AutoencoderConfig":
        if min(self.height, self.width) < 4:
            raise Invalid(
                f"height x width is {self.height} x {self.width}, but an autoencoder needs at least "
                "4 x 4; prepare larger images"
            )
        if not self.widths or min(self.widths) < 1:
            raise Invalid(f"widths is {self.widths}; expected one positive number or more")
        if any(not 1 <= n <= 16 for n in self.bits) or self.latent % max(1, len(self.bits)):
            expected = f"numbers from 1 to 16, as many as divide latent, {self.latent}"
            raise Invalid(f"bits is {self.bits}; expected {expected}")
        for kind in self.corrupt:
            if kind not in KINDS[1:]:
                raise Invalid(f"corrupt names {kind!r}; {suggest(kind, KINDS[1:])}")
        if len({*self.corrupt}) < len(self.corrupt):
            raise Invalid(f"corrupt is {self.corrupt}; name each kind once")
        if self.deviation_min > self.deviation_max:
            most = f"deviation_max, {self.deviation_max}"
            raise Invalid(f"deviation_min is {self.deviation_min}, expected at most {most}")
        return self

    def grid(self) -> tuple[int, int]:
        """Height and width of the coarsest grid."""
        return towers.sizes(self.height, self.width, len(self.widths), self.patch)[-1]

    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one image's latent."""
        return (self.latent,) if self.layout == "flat" else (self.latent, *self.grid())

    def number_bits(self) -> list[int]:
        """Bits of each number of the flattened latent; empty if they are not rounded."""
        each = math.prod(self.latent_shape()) // max(1, len(self.bits))
        return [n for n in self.bits for _ in range(each)]


class Damage(nn.Module):
    """Kind (B,) and strength (B,) of damage -> (B, E)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Linear(2 * len(KINDS), size)
        self.second = nn.Linear(size, size)

    def forward(self, kind_B: Tensor, strength_B: Tensor) -> Tensor:
        """Each kind has two inputs of its own: that it is there, and the logarithm of its strength."""
        there_BK = F.one_hot(kind_B, len(KINDS)).to(strength_B.dtype)
        log_B = (strength_B + SMALLEST).log() / 2 + 1
        both_B2K = torch.cat([there_BK, there_BK * log_B[:, None]], 1)
        return F.silu(self.second(F.silu(self.first(both_B2K))))


class Autoencoder(
    Family,
    abilities.Interpolates,
    abilities.Encodes,
    abilities.Decodes,
    abilities.Reconstructs,
    abilities.Denoises,
    abilities.Completes[Controls],
):
    """Encoder and decoder, trained together; labels are not used."""

    Config = AutoencoderConfig
    TRAINING = Training(batch_size=64, lr=1e-3, betas=(0.9, 0.99), clip=1.0, average=0.05)
    CONDITIONAL = False
    TINY = AutoencoderConfig(
        height=8,
        width=8,
        channels=1,
        widths=(16, 16),
        blocks=1,
        latent=4,
        corrupt=("gaussian", "impulse", "mask", "jpeg"),
        embedding=8,
    )
    config: AutoencoderConfig
    top: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        given = config.embedding if config.corrupt else 0
        self.damage = Damage(given) if given else None
        shape = (config.widths, config.blocks, config.patch, given)
        self.encoder = towers.DownTower(config.channels + ("mask" in config.corrupt), *shape)
        self.decoder = towers.UpTower(config.channels, *shape)
        width, (h, w) = config.widths[-1], config.grid()
        self.to_latent: nn.Module
        self.from_latent: nn.Module
        if config.layout == "spatial":
            self.to_latent = nn.Conv2d(width, config.latent, 1)
            self.from_latent = nn.Conv2d(config.latent, width, 1)
        else:
            self.to_latent = nn.Sequential(nn.Flatten(), nn.Linear(width * h * w, config.latent))
            self.from_latent = nn.Sequential(
                nn.Linear(config.latent, width * h * w), nn.Unflatten(1, (width, h, w))
            )

        top = 2 ** torch.tensor(config.number_bits(), dtype=torch.int64) - 1
        shape_of_top = config.latent_shape() if config.bits else (0,)
        self.register_buffer("top", top.view(shape_of_top), persistent=False)

    def needs(self) -> tuple[str, ...]:
        """Labels are not read."""
        return ("image",)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean error; that of noisy rows counts more the less noise there is.

        The error of the best denoiser is about proportional to the deviation, so that dividing by its
        factor lets weak noise count as much as strong.
        """
        image_BCHW = batch["image"]
        kind_B, strength_B, damaged_BCHW, mask_B1HW = self._damage(image_BCHW, ctx.rng)
        out_BCHW = self._restore(damaged_BCHW, kind_B, strength_B, mask_B1HW)
        difference_BCHW = full(out_BCHW) - full(image_BCHW)
        squared_B = difference_BCHW.square().flatten(1).mean(1)
        absolute = self.config.error == "absolute"
        error_B = difference_BCHW.abs().flatten(1).mean(1) if absolute else squared_B
        clean_B = (kind_B == 0).to(error_B.dtype)
        _, gain_B = self._share(kind_B, strength_B)
        return {
            "total": (error_B / gain_B).mean(),
            "clean": (squared_B * clean_B).mean() / max(self._clean(), 1e-3),
            "damaged": (squared_B * (1 - clean_B)).mean() / max(1 - self._clean(), 1e-3),
        }

    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The latent of undamaged images, (B, Z) or (B, Z, h, w) in [-1, 1], rounded if it has bits."""
        given_BE = self._given(*self._undamaged(image_BCHW))
        return self._bound(self.encoder(self._with_mask(image_BCHW), given_BE))

    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """Images of latents; numbers between the levels are taken as they are."""
        given_BE = self._given(*self._undamaged(latent))
        return full(self._decode(latent, given_BE)).clamp(-1, 1)

    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """`decode(encode(image))`."""
        return self.decode(self.encode(image_BCHW))

    def codes(self, latent: Tensor) -> Tensor:
        """The latent as whole numbers in {0, ..., 2^bits - 1}, int64; a ValueError without bits."""
        self._check_rounded()
        level = ((latent.clamp(-1, 1) + 1) * (self.top.to(latent.dtype) / 2)).round()
        return level.long()

    def from_codes(self, code: Tensor) -> Tensor:
        """Inverse of `codes`."""
        self._check_rounded()
        kind = self.encoder.stem.weight.dtype
        return code.to(kind) * (2 / self.top.to(kind)) - 1

    def denoise(self, image_BCHW: Tensor, deviation_B: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The expected clean image; a ValueError if it was trained without Gaussian noise."""
        return self.restore(image_BCHW, "gaussian", deviation_B)

    def restore(self, image_BCHW: Tensor, kind: str, strength_B: Tensor) -> Tensor:
        """The expected clean image, (B, C, H, W) in [-1, 1].

        Args:
            image_BCHW: damaged images.
            kind: `gaussian`, `impulse` or `jpeg`.
            strength_B: standard deviation of the noise; share of the pixels hit; 1 - quality / 100.

        Raises:
            ValueError: it was not trained for this kind of damage.
        """
        self._check(kind)
        kind_B = torch.full((image_BCHW.shape[0],), KINDS.index(kind), device=image_BCHW.device)
        return full(self._restore(image_BCHW, kind_B, strength_B)).clamp(-1, 1)

    def noise(self, rng: Rng) -> Batch:
        """Nothing is drawn: completion gives the mean image. `none` (B, 1) only says how many rows."""
        return {"none": torch.zeros(len(rng), 1, device=rng.device, dtype=rng.dtype)}

    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: Controls,
        progress: Progress | None = None,
    ) -> Tensor:
        """The expected image where the mask is 1, else the given; a ValueError if masks were no part."""
        self._check("mask")
        hidden_B1HW = mask_B1HW > 0.5
        known_BCHW = torch.where(hidden_B1HW, 0.0, image_BCHW)
        kind_B = torch.full((image_BCHW.shape[0],), KINDS.index("mask"), device=image_BCHW.device)
        share_B = hidden_B1HW.to(image_BCHW.dtype).mean((1, 2, 3))
        mask_B1HW = hidden_B1HW.to(image_BCHW.dtype)
        whole_BCHW = full(self._restore(known_BCHW, kind_B, share_B, mask_B1HW)).clamp(-1, 1)
        return torch.where(hidden_B1HW, whole_BCHW, image_BCHW)

    def _damage(self, image_BCHW: Tensor, rng: Rng) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Kind (B,), strength (B,), damaged images, and masks of what is hidden.

        Each row draws all that any kind might need, so that its draws depend on no other row.
        """
        config, (c, h, w) = self.config, image_BCHW.shape[1:]
        if not config.corrupt:
            return *self._undamaged(image_BCHW), image_BCHW, None
        which_B, how_B = rng.uniform("kind", 2).unbind(1)
        table = torch.tensor([KINDS.index(kind) for kind in config.corrupt], device=which_B.device)
        place_B = (which_B - config.clean) / max(1 - config.clean, 1e-6) * len(table)
        kind_B = table[place_B.long().clamp(0, len(table) - 1)]
        kind_B = kind_B.masked_fill(which_B < config.clean, 0)
        strength_B, damaged_BCHW = torch.zeros_like(how_B), image_BCHW.clone()
        mask_B1HW = torch.zeros_like(image_BCHW[:, :1]) if "mask" in config.corrupt else None
        for kind in config.corrupt:
            row = (kind_B == KINDS.index(kind)).nonzero()[:, 0]
            image, how = image_BCHW[row], how_B[row]
            if kind == "gaussian":
                ratio = config.deviation_max / config.deviation_min
                strength = config.deviation_min * ratio**how
                image = corruption.gaussian(image, rng.normal("noise", c, h, w)[row], strength)
            elif kind == "impulse":
                strength = how * config.impulse_max
                image = corruption.impulse(image, rng.uniform("impulse", 2, h, w)[row], strength)
            elif kind == "mask":
                uniform_BK = rng.uniform("hole", corruption.HOLE_DRAWS)[row]
                wanted = how * config.mask_max
                mask = corruption.hole_mask(uniform_BK, rng.uniform("grain", 1, h, w)[row], wanted)
                strength = mask.mean((1, 2, 3))
                image = image * (1 - mask)
                assert mask_B1HW is not None
                mask_B1HW[row] = mask
            else:
                quality = config.quality_min + how * (95 - config.quality_min)
                strength = 1 - quality.round() / 100
                image = corruption.jpeg(image, quality)
            strength_B[row], damaged_BCHW[row] = strength, image
        return kind_B, strength_B, damaged_BCHW, mask_B1HW

    def _restore(
        self,
        image_BCHW: Tensor,
        kind_B: Tensor,
        strength_B: Tensor,
        mask_B1HW: Tensor | None = None,
    ) -> Tensor:
        """Through the latent, and past it where there are skips and the row is damaged."""
        given_BE = self._given(kind_B, strength_B)
        features = self.encoder.features(self._with_mask(image_BCHW, mask_B1HW), given_BE)
        damaged = per_row(kind_B > 0)
        passing = [x * damaged for x in features] if self._skips() else []
        out_BCHW = full(self._decode(self._bound(features[-1]), given_BE, passing))
        keep_B, gain_B = self._share(kind_B, strength_B)
        return per_row(keep_B) * image_BCHW + per_row(gain_B) * out_BCHW

    def _share(self, kind_B: Tensor, strength_B: Tensor) -> tuple[Tensor, Tensor]:
        """How much of the image is kept, and the network's factor, (B,) each."""
        zero_B, one_B = torch.zeros_like(strength_B), torch.ones_like(strength_B)
        if not self._skips():
            return zero_B, one_B
        noisy_B = kind_B == KINDS.index("gaussian")
        total_B = strength_B**2 + DEVIATION**2
        keep_B = torch.where(noisy_B, DEVIATION**2 / total_B, zero_B)
        keep_B = torch.where(kind_B == KINDS.index("jpeg"), one_B, keep_B)
        return keep_B, torch.where(noisy_B, strength_B * DEVIATION / total_B.sqrt(), one_B)

    def _bound(self, features: Tensor) -> Tensor:
        """Features of the coarsest grid -> latent in (-1, 1); rounding lets gradients through."""
        latent = torch.tanh(full(self.to_latent(features)))
        if not self.config.bits:
            return latent
        rounded = self.from_codes(self.codes(latent)).to(latent.dtype)
        return rounded + (latent - latent.detach())

    def _decode(
        self, latent: Tensor, given_BE: Tensor | None, skips: Sequence[Tensor] = ()
    ) -> Tensor:
        x = self.from_latent(latent).contiguous(memory_format=torch.channels_last)
        x = x + skips[-1] if skips else x
        return self.decoder(x, (self.config.height, self.config.width), given_BE, skips)

    def _given(self, kind_B: Tensor, strength_B: Tensor) -> Tensor | None:
        return None if self.damage is None else self.damage(kind_B, strength_B)

    def _with_mask(self, image_BCHW: Tensor, mask_B1HW: Tensor | None = None) -> Tensor:
        if "mask" not in self.config.corrupt:
            return image_BCHW
        mask_B1HW = torch.zeros_like(image_BCHW[:, :1]) if mask_B1HW is None else mask_B1HW
        both = torch.cat([image_BCHW, mask_B1HW.to(image_BCHW.dtype)], 1)
        return both.contiguous(memory_format=torch.channels_last)

    def _undamaged(self, like: Tensor) -> tuple[Tensor, Tensor]:
        kind_B = torch.zeros(like.shape[0], dtype=torch.int64, device=like.device)
        return kind_B, torch.zeros(like.shape[0], device=like.device, dtype=like.dtype)

    def _skips(self) -> bool:
        return self.config.skips and bool(self.config.corrupt)

    def _clean(self) -> float:
        return self.config.clean if self.config.corrupt else 1.0

    def _check_rounded(self) -> None:
        if not self.config.bits:
            raise Invalid("this latent is not rounded: it has no bits; train with bits=4, say")

    def _check(self, kind: str) -> None:
        if kind not in self.config.corrupt:
            trained = ", ".join(self.config.corrupt) or "nothing"
            raise Invalid(
                f"this autoencoder learnt to undo {trained}, not {kind}; train it with {kind} in corrupt"
            )
