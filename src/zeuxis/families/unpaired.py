"""Translation between two sets of images of which no two belong together, by one of three methods.

`bridge` (Su et al., 2022, https://arxiv.org/abs/2203.08382): one rectified flow learns both domains, told
apart by a label d. An image is carried to noise under its own domain, and from there to an image under the
other; both ways are ODEs, so that the way back gives the image again. Its objective is that of a flow,

    E |v(x_t, t, d) - (e - x)|^2,   x_t = (1 - t) x + t e

`contrast` (CUT; Park et al., 2020, https://arxiv.org/abs/2007.15651): a generator y = x + U(x) is to please a
discriminator of patches of the target domain, and a patch of y is to be recognised by its features, among
other places of the same x, as the place where it lies (their equation 3).

`cycle` (Zhu et al., 2017, https://arxiv.org/abs/1703.10593): two generators and two discriminators; there and
back again is to give the same image, in mean absolute error (their equation 2).

Shapes: B batch, C channels, H height, W width, A attributes (label conditions), F features, P places.
"""

import functools
from typing import Annotated, Literal

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.fields import Field
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import When
from zeuxis.nn.condition import Conditioner
from zeuxis.nn.patchgan import PatchDiscriminator
from zeuxis.nn.plain import PlainUNet
from zeuxis.nn.unet import UNet
from zeuxis.objectives import adversarial, flow
from zeuxis.objectives.contrast import patch_contrast
from zeuxis.sampling.ode import even, multistep

SMALL = 64
"""Sides up to which a position of a generator's finest level is 2 pixels wide, not 4."""
PROJECTED = 64
"""Numbers that the features of a place become before they are compared."""
GAMMA = 1.0
"""Weight of R1, the penalty on a discriminator's gradient at real images."""
EVERY = 4
"""Updates of a discriminator between penalties, which are scaled up by it."""
SLOWER = 0.25
"""Learning rate of generators and discriminators, as a share of the flow's."""
SOURCE, TARGET = 0, 1
"""Domains, as the flow is told them."""

Method = Literal["bridge", "contrast", "cycle"]


class UnpairedConfig(FamilyConfig):
    """Settings of `Unpaired`."""

    source: Field
    """What is translated: images."""
    method: Method = "bridge"
    """`bridge`: a flow there and back; `contrast`: one pass, keeps places; `cycle`: one pass, both ways."""
    widths: tuple[int, ...] = pydantic.Field((64, 128, 192), min_length=1, max_length=6)
    """Channels of each level of the network, finest first; each level halves the sides."""
    blocks: int = pydantic.Field(1, ge=1)
    """Residual blocks a level, on the way down and again on the way up."""
    embedding: Annotated[int, When("method", "bridge")] = pydantic.Field(256, ge=8, multiple_of=2)
    """Size of the flow's embedding of time, domain and labels."""
    deviation: Annotated[float, When("method", "bridge")] = pydantic.Field(0.5, gt=0)
    """Approximate standard deviation of the pixels, for the flow."""
    contrast: Annotated[float, When("method", "contrast")] = pydantic.Field(3.0, ge=0)
    """Weight of the contrast between places, beside the adversarial term; 10 gives the source back."""
    temperature: Annotated[float, When("method", "contrast")] = pydantic.Field(0.07, gt=0)
    """Of the contrast."""
    places: Annotated[int, When("method", "contrast")] = pydantic.Field(64, ge=2)
    """Places of an image that are compared with one another."""
    cycle: Annotated[float, When("method", "cycle")] = pydantic.Field(10.0, ge=0)
    """Weight of there and back, beside the adversarial terms."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "UnpairedConfig":
        if self.source.kind != "image":
            raise Invalid(f"source is a {self.source.kind}; unpaired translates images")
        if self.method != "bridge" and self.conditions:
            raise Invalid(
                f"method={self.method} learns one target and the set has classes; "
                "take family.method=bridge, or leave the classes out"
            )
        return self

    @property
    def patch(self) -> int:
        """Pixels a side of a position of the finest level."""
        longer = max(self.height, self.width)
        if self.method != "bridge":
            return 2 if longer <= SMALL else 4
        return next(patch for patch in (4, 2, 1) if longer >= 12 * patch or patch == 1)


class UnpairedControls(Controls):
    """What can be turned when translating by an `Unpaired`."""

    reverse: bool = False
    """From the target's domain to the source's (`bridge` and `cycle`)."""
    steps: int = pydantic.Field(24, ge=1, le=1000)
    """Of the bridge, each way, one network pass each."""
    strength: float = pydantic.Field(1.0, gt=0, le=1)
    """Of the bridge: how far towards noise an image is carried; less keeps more of the source."""


class Unpaired(Family, abilities.Translates[UnpairedControls]):
    """Images of one domain as those of another, learned without pairs."""

    Config = UnpairedConfig
    Controls = UnpairedControls
    UNPAIRED = True
    OPTIONAL = ("critics", "projections")
    TRAINING = Training(
        optimiser="muon",
        batch_size=32,
        lr=2e-3,
        warmup=50,
        weight_decay=0.01,
        clip=1.0,
        average=0.1,
    )
    TINY = UnpairedConfig(
        height=8,
        width=8,
        channels=3,
        source=Field(name="source", kind="image", shape=(3, 8, 8)),
        widths=(16, 16),
        embedding=16,
    )
    config: UnpairedConfig

    def __init__(self, config: UnpairedConfig) -> None:
        super().__init__()
        self.config = config
        channels, sizes = config.channels, (config.widths, config.blocks)
        if config.method == "bridge":
            classes = [2, *(len(each.classes) for each in config.conditions)]
            label = Conditioner(classes, config.embedding)
            self.net = UNet(channels, label, *sizes, 1, config.embedding, config.patch)
            return
        ways = ("there", "back") if config.method == "cycle" else ("there",)
        unet = functools.partial(PlainUNet, channels, channels, *sizes, config.patch, 12)
        self.generators = nn.ModuleDict({way: unet() for way in ways})
        self.critics = nn.ModuleDict(
            {way: PatchDiscriminator(channels, config.widths[0]) for way in ways}
        )
        if config.method == "contrast":
            self.projections = nn.ModuleList(_projection(width) for width in config.widths)

    @property
    def stride(self) -> int:
        """Any size by one pass, if sources are as large as their images; the flow takes its own size."""
        config = self.config
        same = config.source.shape[-2:] == (config.height, config.width)
        return self._generator("there").multiple if same and config.method != "bridge" else 0

    @property
    def margin(self) -> int:
        """How far a pixel of one pass sees."""
        if not self.stride:
            return 0
        return -(-self._generator("there").reach // self.stride) * self.stride

    def phases(self) -> tuple[Phase, ...]:
        """One of the flow, or the discriminators and then the generators."""
        if self.config.method == "bridge":
            return super().phases()
        modules = ("generators", *(("projections",) if self.config.method == "contrast" else ()))
        both = functools.partial(Phase, lr=SLOWER, betas=(0.0, 0.99))
        return (
            both(name="discriminator", modules=("critics",), keep=False),
            both(name="generator", modules=modules),
        )

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """That of the method; sources and images of a batch do not belong together."""
        source_BCHW, image_BCHW = self.fitting(batch["source"]), batch["image"]
        if phase == "main":
            return self._flow_loss(
                source_BCHW, image_BCHW, self.label_of(batch, image_BCHW.shape[0]), ctx
            )
        if phase == "discriminator":
            return self._critics_loss(source_BCHW, image_BCHW, ctx)
        made_BCHW = self._pass("there", source_BCHW)
        losses = {"adversarial": self._fooled("there", made_BCHW)}
        outside = adversarial.beyond(made_BCHW)
        if self.config.method == "contrast":
            losses["contrast"] = self.config.contrast * self._contrast(source_BCHW, made_BCHW, ctx)
        else:
            other_BCHW = self._pass("back", image_BCHW)
            losses["adversarial"] = losses["adversarial"] + self._fooled("back", other_BCHW)
            again = F.l1_loss(self._pass("back", made_BCHW), source_BCHW)
            again = again + F.l1_loss(self._pass("there", other_BCHW), image_BCHW)
            losses["cycle"] = self.config.cycle * again
            outside = outside + adversarial.beyond(other_BCHW)
        return {"total": sum(losses.values()) + outside, **losses}

    def _flow_loss(
        self, source_BCHW: Tensor, image_BCHW: Tensor, label_BA: Tensor, ctx: Context
    ) -> Losses:
        """Mean squared error of the velocity in either domain, at one random time an image."""
        found = {}
        for name, domain, x_BCHW in (
            ("source", SOURCE, source_BCHW),
            ("target", TARGET, image_BCHW),
        ):
            noise_BCHW = ctx.rng.normal(f"{name} noise", *x_BCHW.shape[1:])
            time_B = torch.sigmoid(1.25 * ctx.rng.normal(f"{name} time") - 0.5)
            at_BCHW = torch.lerp(x_BCHW, noise_BCHW, time_B[:, None, None, None])
            velocity_BCHW = self.velocity(at_BCHW, time_B, self._told(domain, label_BA))
            found[name] = F.mse_loss(velocity_BCHW, noise_BCHW - x_BCHW)
        return {"total": (found["source"] + found["target"]) / 2, **found}

    def _critics_loss(self, source_BCHW: Tensor, image_BCHW: Tensor, ctx: Context) -> Losses:
        total, losses, due = torch.zeros(()), {}, ctx.update % EVERY == 0
        for way in self.critics:
            given, real_BCHW = (source_BCHW, image_BCHW)[:: 1 if way == "there" else -1]
            with torch.no_grad():
                fake_BCHW = self._pass(way, given).clamp(-1, 1)
            terms = adversarial.discriminator_terms(
                self.critics[way], real_BCHW, fake_BCHW, "non_saturating", GAMMA, EVERY * due
            )
            losses[way], total = terms["adversarial"], total + terms["total"]
        return {"total": total, **losses}

    def _fooled(self, way: str, made_BCHW: Tensor) -> Tensor:
        return adversarial.generator_loss("non_saturating", self.critics[way](made_BCHW)).mean()

    def _contrast(self, source_BCHW: Tensor, made_BCHW: Tensor, ctx: Context) -> Tensor:
        """Mean over the generator's levels of how badly places of what was made are told apart."""
        config, generator, terms = self.config, self._generator("there"), []
        both = zip(generator.features(made_BCHW), generator.features(source_BCHW), strict=True)
        for level, (made, source) in enumerate(both):
            count = made.shape[2] * made.shape[3]
            place_BP = ctx.rng.integers(f"places {level}", count, min(config.places, count))
            project = self.projections[level]
            terms.append(patch_contrast(made, source, place_BP, project, config.temperature))
        return torch.stack(terms).mean()

    def _generator(self, way: str) -> PlainUNet:
        found = self.generators[way]
        assert isinstance(found, PlainUNet)
        return found

    def _pass(self, way: str, x_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W), not bounded."""
        added_BCHW: Tensor = self._generator(way)(x_BCHW)
        return x_BCHW + added_BCHW

    def _told(self, domain: int, label_BA: Tensor) -> Tensor:
        """The domain, and the labels, which sources have not: (B, 1 + A)."""
        domain_B1 = label_BA.new_full((label_BA.shape[0], 1), domain)
        hidden = label_BA if domain == TARGET else torch.full_like(label_BA, -1)
        return torch.cat([domain_B1, hidden], 1)

    def velocity(self, x_BCHW: Tensor, time_B: Tensor, told_BA: Tensor) -> Tensor:
        """v(x_t, t, domain and labels), of x's shape and type."""
        told = self.net.label({"label": told_BA})
        return flow.velocity(self.net, x_BCHW, time_B, None, self.config.deviation, told)

    def fitting(self, source_BChw: Tensor) -> Tensor:
        """Sources in the images' channels, grey repeated or made, and at their size unless any will do."""
        config, channels = self.config, source_BChw.shape[1]
        if channels != config.channels:
            one = source_BChw[:, :3].mean(1, keepdim=True) if channels > 1 else source_BChw
            source_BChw = one.expand(-1, config.channels, -1, -1)
        if self.stride or source_BChw.shape[2:] == (config.height, config.width):
            return source_BChw
        return F.interpolate(
            source_BChw, (config.height, config.width), mode="bilinear", antialias=True
        )

    def noise(self, rng: Rng) -> Batch:
        """Nothing is drawn."""
        return {}

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: UnpairedControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """To noise and back under the other domain, or one pass."""
        x_BCHW, way = self.fitting(source), "back" if controls.reverse else "there"
        if self.config.method != "bridge":
            if way not in self.generators:
                raise Unable(
                    "method=contrast learned one way only: train the other, or method=cycle"
                )
            return self._pass(way, x_BCHW).clamp(-1, 1)
        label_BA = self.label_of(cond, x_BCHW.shape[0])
        told = [self._told(domain, label_BA) for domain in (SOURCE, TARGET)]
        begin, end = reversed(told) if controls.reverse else told
        times, halves = even(controls.steps, controls.strength), _halves(progress)
        for told_BA, way_times, half in zip(
            (begin, end), (times[::-1], times), halves, strict=True
        ):
            velocity = functools.partial(self.velocity, told_BA=told_BA)
            x_BCHW = multistep(velocity, x_BCHW, way_times, half)
        return x_BCHW.clamp(-1, 1)


def _halves(progress: Progress | None) -> tuple[Progress | None, Progress | None]:
    """Of one progress, those of its first and its second half."""
    if progress is None:
        return None, None
    return lambda done, of: progress(done, 2 * of), lambda done, of: progress(of + done, 2 * of)


def _projection(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED))
