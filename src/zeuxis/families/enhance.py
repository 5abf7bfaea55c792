"""Enhancement: larger, sharper, cleaner images by one residual network, trained on any images alone.

The network N is EDSR's (Lim et al., 2017, https://arxiv.org/abs/1707.02921). A source x is made of each
image t: a square of it, blurred, reduced, with noise, compressed, with holes, each by a strength s that is
drawn for it, and rounded to 8 bits. N learns what bicubic enlargement lacks:

    y = bicubic(x) + N(x, s)          L = |y - t|_1

Holes of x are filled by means of their edges first (`nn.corruption.filled`), and N sees where they were.
The strengths are planes beside the image (as in FFDNet; Zhang et al., 2018,
https://arxiv.org/abs/1710.04026), so that one network removes as much as it is told to. Each is hidden (-1)
from some rows, which teaches N to judge by the image alone: what it does unless it is told.

There are no norms and no attention, and N works at half of the image's resolution at most: what is made
at a pixel depends on the source within `margin` only, so that tiles of a large picture equal the whole.
With the weight `perceptual` distances of features join L, with `adversarial` a patch discriminator; either
sharpens at the cost of the error.

Shapes: B batch, C channels, H height, W width of images; h, w of sources; K strengths; F features.
"""

import functools
from typing import Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.features.layers import layer_maps, map_distance
from zeuxis.nn import corruption
from zeuxis.nn.corruption import per_row
from zeuxis.nn.crops import WAYS, squares
from zeuxis.nn.patchgan import PatchDiscriminator
from zeuxis.nn.plain import Block
from zeuxis.nn.precision import full
from zeuxis.nn.resample import pixel_shuffle
from zeuxis.nn.towers import pad_edge
from zeuxis.objectives import adversarial

LOSS: adversarial.Loss = "non_saturating"
GAMMA = 1.0
"""Weight of R1, the penalty on the discriminator's gradient at real images."""
PENALTY_EVERY = 4
"""Updates of the discriminator between penalties, which are scaled up by it."""
KINDS = ("blur", "noise", "jpeg")
"""What a strength is of, in the order of the planes."""
UNITS = (1.0, 25.0, 0.5)
"""Strengths that a plane shows as 1: pixels, levels of 255, and 1 - quality / 100."""
FILLED = 12
"""Pixels from their edges up to which holes are filled by means, before the network mends that."""
LAYERS = ("block1", "block2", "block4")
"""Of the feature network, whose maps the perceptual term compares."""
CLEANEST = 95
"""Largest JPEG quality of the training."""


class EnhanceConfig(FamilyConfig):
    """Settings of `Enhance`."""

    scale: Literal[1, 2, 4] = 2
    """How many times larger images are than their sources; 1 only repairs."""
    blur: float = pydantic.Field(0.8, ge=0, le=8)
    """Largest standard deviation of the blur, in pixels of the source; 0: none is learned."""
    noise: float = pydantic.Field(12.0, ge=0, le=255)
    """Largest standard deviation of the noise, in levels of 255; 0: none is learned."""
    jpeg: int = pydantic.Field(40, ge=0, le=CLEANEST)
    """Lowest quality of JPEG, from 1 on; 0: none is learned."""
    holes: float = pydantic.Field(0.0, ge=0, le=0.9)
    """Largest share of a source that is missing; 0: no holes are learned."""
    clean: float | None = pydantic.Field(None, ge=0, le=1)
    """Share of the sources that are reduced and not damaged; by default half, and a tenth at scale 1."""
    crop: int = pydantic.Field(48, ge=8)
    """Side of the squares of images that are trained on."""
    features: int = pydantic.Field(64, ge=1)
    """Channels of the network."""
    blocks: int = pydantic.Field(8, ge=1)
    """Residual blocks, of two convolutions each."""
    perceptual: float = pydantic.Field(0.0, ge=0)
    """Weight of distances of features (`features.layers`) beside the mean absolute error; 0 is off."""
    adversarial: float = pydantic.Field(0.0, ge=0)
    """Weight of a discriminator of patches beside the other terms; 0 is off. Start such a run from one
    without it (`--from`)."""

    @pydantic.model_validator(mode="after")
    def _can_be_reduced(self) -> "EnhanceConfig":
        sides = (self.height, self.width)
        if any(side % self.scale or side < 2 * self.scale for side in sides):
            size = "x".join(str(max(side // self.scale, 2) * self.scale) for side in sides)
            raise Invalid(
                f"images of {self.height} x {self.width} pixels are not {self.scale} times as large as whole "
                f"sources; give data.size={size}, say"
            )
        if self.scale == 1 and not (self.blur or self.noise or self.jpeg or self.holes):
            raise Invalid(
                "at scale 1 without blur, noise, jpeg and holes there is nothing to learn; give one of "
                "them, or family.scale=2"
            )
        return self

    @property
    def undamaged(self) -> float:
        """Share of the sources that are only reduced."""
        return self.clean if self.clean is not None else 0.1 if self.scale == 1 else 0.5

    @property
    def patch(self) -> int:
        """Pixels of a source along each side of a position of the network."""
        return 2 if self.scale == 1 else 1


class EnhanceControls(Controls):
    """What is known of a source; by default the network judges."""

    blur: float | None = pydantic.Field(None, ge=0)
    """Standard deviation of its blur in pixels; 0: it is sharp."""
    noise: float | None = pydantic.Field(None, ge=0)
    """Standard deviation of its noise in levels of 255; 0: it has none."""
    jpeg: int | None = pydantic.Field(None, ge=1, le=100)
    """Its quality as JPEG; 100: it was none."""


class Residual(nn.Module):
    """(B, C + 1, h, w) and strengths (B, K) -> (B, C, h * scale, w * scale), zero at first."""

    def __init__(self, config: EnhanceConfig) -> None:
        super().__init__()
        self.patch, self.growth = config.patch, config.patch * config.scale
        planes = (config.channels + 1) * self.patch**2 + len(KINDS)
        self.stem = nn.Conv2d(planes, config.features, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(config.features) for _ in range(config.blocks)))
        self.head = nn.Conv2d(config.features, config.channels * self.growth**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """Pixels of the source from which on it has no influence."""
        return self.patch * (2 + 2 * len(self.blocks)) + self.patch - 1

    def forward(self, source_BDhw: Tensor, told_BK: Tensor) -> Tensor:
        """What is added to the enlarged source; any size."""
        h, w = source_BDhw.shape[2:]
        scale = self.growth // self.patch
        x = pad_edge(source_BDhw, -h % self.patch, -w % self.patch)
        x = F.pixel_unshuffle(x, self.patch)
        strength_BKhw = told_BK[..., None, None].expand(-1, -1, *x.shape[2:])
        x = torch.cat([x, strength_BKhw.to(x.dtype)], 1)
        x = self.blocks(self.stem(x.contiguous(memory_format=torch.channels_last)))
        return full(pixel_shuffle(self.head(x), self.growth))[..., : h * scale, : w * scale]


class Enhance(Family, abilities.Translates[EnhanceControls]):
    """A network that makes images larger and repairs them."""

    Config = EnhanceConfig
    Controls = EnhanceControls
    CONDITIONAL = False
    TILES = 96
    OPTIONAL = ("discriminator",)
    TRAINING = Training(
        optimiser="muon",
        batch_size=16,
        lr=2e-3,
        warmup=50,
        weight_decay=0.01,
        clip=1.0,
        average=0.1,
    )
    TINY = EnhanceConfig(height=8, width=8, channels=3, holes=0.3, features=4, blocks=1)
    config: EnhanceConfig

    def __init__(self, config: EnhanceConfig) -> None:
        super().__init__()
        self.config = config
        self.network = Residual(config)
        seen, width = 2 * config.channels, config.features
        self.discriminator = PatchDiscriminator(seen, width) if config.adversarial else None

    @property
    def scale(self) -> int:
        """How many times larger images are than sources."""
        return self.config.scale

    @property
    def stride(self) -> int:
        """Any size."""
        return self.config.patch

    @property
    def margin(self) -> int:
        """How far a pixel sees."""
        reach = self.network.reach + FILLED * self.fills
        return -(-reach // self.stride) * self.stride

    @property
    def fills(self) -> bool:
        """Whether it has learned holes."""
        return self.config.holes > 0

    def phases(self) -> tuple[Phase, ...]:
        """The network alone, or after the discriminator."""
        if self.discriminator is None:
            return super().phases()
        return (
            Phase(name="discriminator", modules=("discriminator",), keep=False, betas=(0.0, 0.99)),
            Phase(name="generator", modules=("network",), betas=(0.0, 0.99)),
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean absolute error of squares that were damaged and made again, and what else has a weight."""
        config, rng = self.config, ctx.rng
        side = min(config.crop, config.height, config.width) // config.scale * config.scale
        place_B2, way_B = rng.uniform("place", 2), rng.integers("way", WAYS, 1)[:, 0]
        image_BCHW = squares(batch["image"], side, place_B2, way_B)
        with torch.no_grad(), torch.autocast(image_BCHW.device.type, enabled=False):
            made, strength_BK = self._damage(image_BCHW, rng)
            hidden_B1, each_BK = rng.uniform("told", 1 + len(KINDS)).split([1, len(KINDS)], 1)
            told_BK = strength_BK.masked_fill((hidden_B1 < 0.5) | (each_BK < 0.5), -1.0)
        if phase == "discriminator":
            return self._discriminator_loss(image_BCHW, made, told_BK, ctx)
        again_BCHW = self._restored(made["source"], made.get("mask"), told_BK)
        error = F.l1_loss(again_BCHW, image_BCHW)
        terms = {}
        if config.perceptual:
            terms["perceptual"] = config.perceptual * self._distance(again_BCHW, image_BCHW)
        if self.discriminator is None:
            return {"total": sum(terms.values(), error), "error": error, **terms}
        judge = functools.partial(self._verdict, made["source"])
        weighed = sum(terms.values(), error), LOSS, config.adversarial
        return {**adversarial.generator_terms(judge, image_BCHW, again_BCHW, *weighed), **terms}

    def _discriminator_loss(
        self, image_BCHW: Tensor, made: Batch, told_BK: Tensor, ctx: Context
    ) -> Losses:
        judge = functools.partial(self._verdict, made["source"])
        with torch.no_grad():
            fake_BCHW = self._restored(made["source"], made.get("mask"), told_BK).clamp(-1, 1)
        penalised = PENALTY_EVERY * (ctx.update % PENALTY_EVERY == 0)
        terms = LOSS, GAMMA, penalised
        return adversarial.discriminator_terms(judge, image_BCHW, fake_BCHW, *terms)

    def _verdict(self, source: Tensor, image_BCHW: Tensor) -> Tensor:
        assert self.discriminator is not None
        logits: Tensor = self.discriminator(torch.cat([self._enlarged(source), image_BCHW], 1))
        return logits

    def _distance(self, made_BCHW: Tensor, image_BCHW: Tensor) -> Tensor:
        """Of the features of images, a mean over rows."""
        with torch.no_grad():
            aimed = layer_maps(image_BCHW, LAYERS)
        return map_distance(layer_maps(made_BCHW, LAYERS), aimed).mean()

    def damaged(self, image_BCHW: Tensor, rng: Rng) -> Batch:
        """Sources as the training has them, of whole images."""
        with torch.autocast(image_BCHW.device.type, enabled=False):
            return self._damage(full(image_BCHW), rng)[0]

    def _damage(self, image_BCHW: Tensor, rng: Rng) -> tuple[Batch, Tensor]:
        """`source` (B, C, h, w), `mask` (B, 1, h, w) if holes are learned, and strengths (B, K)."""
        config = self.config
        which_BK = rng.uniform("kinds", 1 + len(KINDS) + 1)
        most = (config.blur, config.noise, config.jpeg, config.holes)
        there_BK = _some(which_BK[:, 1:], most) & (which_BK[:, :1] >= config.undamaged)
        how_BK = rng.uniform("strengths", len(most)) * there_BK
        clear, blur_B = image_BCHW, how_BK[:, 0] * config.blur
        if config.blur:
            most_blur = config.blur * config.scale
            clear = corruption.blur(image_BCHW, blur_B * config.scale, most_blur)
        coin_B2 = rng.uniform("coins", 2) < 0.5
        source = corruption.reduced(clear, config.scale, coin_B2[:, 0])
        alpha = source[:, 3:]
        noise_B = how_BK[:, 1] * config.noise
        if config.noise:
            normal = rng.normal("noise", *source.shape[1:])
            if source.shape[1] == 4:  # where nothing is seen, nothing is noisy
                normal = torch.cat([normal[:, :3] * (alpha + 1) / 2, torch.zeros_like(alpha)], 1)
            source = source + normal * per_row(noise_B / 127.5)
        source = corruption.quantised(source)
        quality_B = config.jpeg + how_BK[:, 2] * (CLEANEST - config.jpeg)
        quality_B = torch.where(there_BK[:, 2], quality_B.round(), 100.0)
        if config.jpeg:
            coded = corruption.jpeg(source, quality_B, coin_B2[:, 1])
            source = torch.where(per_row(there_BK[:, 2]), coded, source)
        if source.shape[1] == 4:
            source = torch.cat([torch.minimum(source[:, :3], source[:, 3:]), source[:, 3:]], 1)
        strength_BK = self._planes(blur_B, noise_B, quality_B)
        if not config.holes:
            return {"source": source}, strength_BK
        mask = corruption.hole_mask(
            rng.uniform("hole", corruption.HOLE_DRAWS),
            rng.uniform("grain", 1, *source.shape[2:]),
            how_BK[:, 3] * config.holes,
        )
        return {"source": source * (1 - mask), "mask": mask}, strength_BK

    def _planes(self, blur_B: Tensor, noise_B: Tensor, quality_B: Tensor) -> Tensor:
        """Strengths (B, K), each in its unit."""
        strengths = (blur_B, noise_B, 1 - quality_B / 100)
        return torch.stack([x / unit for x, unit in zip(strengths, UNITS, strict=True)], 1)

    def _restored(self, source: Tensor, mask: Tensor | None, told_BK: Tensor) -> Tensor:
        """Images (B, C, H, W), not bounded."""
        if mask is None:
            mask = torch.zeros_like(source[:, :1])
        else:
            source = corruption.filled(source, mask, FILLED)
        added = self.network(torch.cat([source, mask], 1), told_BK)
        return self._enlarged(source) + added

    def _enlarged(self, source: Tensor) -> Tensor:
        """Bicubic, as Pillow has it."""
        if self.scale == 1:
            return source
        size = source.shape[2] * self.scale, source.shape[3] * self.scale
        return F.interpolate(full(source), size, mode="bicubic", antialias=True)

    def noise(self, rng: Rng) -> Batch:
        """Nothing is drawn."""
        return EMPTY

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: EnhanceControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """One pass; at scale 1 with a `mask` in `cond`, what it leaves out stays as it is."""
        mask = cond.get("mask")
        told_BK = self._told(controls).to(source).expand(source.shape[0], -1)
        made = self._restored(source, mask, told_BK).clamp(-1, 1)
        return made if mask is None or self.scale > 1 else torch.where(mask > 0, made, source)

    def _told(self, controls: EnhanceControls) -> Tensor:
        """What is known of sources, (1, K).

        Raises:
            Invalid: it is more than was learned.
        """
        config = self.config
        for name, given in controls:
            most = getattr(config, name)
            least = 100 if name == "jpeg" and not most else most
            beyond = given is not None and (given < least if name == "jpeg" else given > most)
            if beyond:
                learned = f"{'down' if name == 'jpeg' else 'up'} to {most:g}" if most else "none"
                raise Invalid(
                    f"{name}={given:g} is beyond what this model has learned ({learned}); "
                    f"train one with family.{name}={given:g}"
                )
        unknown = torch.full((1, len(KINDS)), -1.0)
        known = torch.tensor([[-1.0 if v is None else float(v) for _, v in controls]])
        planes = self._planes(*known.unbind(1))
        return torch.where(known < 0, unknown, planes)


def _some(uniform_BK: Tensor, most: tuple[float, ...]) -> Tensor:
    """(B, K) bool: what is learned (`most` is not 0), each in half of the rows, in every row one at least."""
    learned_K = torch.tensor([value > 0 for value in most], device=uniform_BK.device)
    uniform_BK = uniform_BK.masked_fill(~learned_K, 2.0)
    first_B1 = uniform_BK.min(1, keepdim=True).values
    return learned_K & ((uniform_BK < 0.5) | (uniform_BK == first_B1))
