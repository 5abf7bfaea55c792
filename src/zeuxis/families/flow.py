"""Rectified flow (Liu et al., 2022, https://arxiv.org/abs/2209.03003) with a small U-Net.

Data x and noise e are joined by the straight line x_t = (1 - t) x + t e, t in [0, 1]. The network v
learns the line's direction, minimising E |v(x_t, t) - (e - x)|^2 (equation 1), with t logit-normal (Esser et
al., 2024, https://arxiv.org/abs/2403.03206, section 3.1). Sampling integrates v from t = 1 to 0 and redraws
some of the noise on the way. A copy can be distilled to one to four steps (`objectives.distillation`).

Shapes: B batch, C channels, H height, W width (of the latent, if any).
"""

import copy
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core import abilities
from zeuxis.core.abilities import EMPTY, Batch, Controls
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.core.space import Among, Span, When
from zeuxis.nn.condition import Conditioner, Told, hide, instead, with_picture
from zeuxis.nn.frozen import as_buffers
from zeuxis.nn.latents import decoded, encoded, moments
from zeuxis.nn.text import attending
from zeuxis.nn.unet import UNet
from zeuxis.nn.wrapping import Tileable, check_sides, wrapped
from zeuxis.objectives import flow
from zeuxis.objectives.distillation import MOST_STEPS, PASSES, follow, random_steps
from zeuxis.sampling.complete import complete
from zeuxis.sampling.guidance import classifier_free
from zeuxis.sampling.ode import average, even, level_nats, long_steps, multistep
from zeuxis.sampling.stochastic import shuffled, stochastic

SMALLEST = 4
"""Pixels a side below which there is nothing to halve."""
ENCODING = 20
"""Steps of `encode` and of `decode`, one network pass each."""
SCORING = 16
"""Steps of `bits_per_dim`, one network pass and one backward each."""


class FlowConfig(FamilyConfig):
    """Settings of `Flow`; the defaults suit 32 x 32 images."""

    widths: Annotated[tuple[int, ...], Among(("48,96,144", "64,128,192", "96,192,256"))] = (
        pydantic.Field((64, 128, 192), min_length=1)
    )
    """Channels of each level, finest first; each level halves the sides. Multiples of 32 are fast."""
    blocks: Annotated[int, Span(1, 2)] = pydantic.Field(1, ge=1)
    """Residual blocks per level, on the way down and again on the way up."""
    norms: Literal[1, 2] = 1
    """Normalisations in a block: before its first convolution only, or before each."""
    embedding: int = pydantic.Field(256, ge=8, multiple_of=2)
    """Size of the embedding of time and labels."""
    stem: int = pydantic.Field(0, ge=0)
    """Side of the pixel patches that are one position of the finest level; 0 chooses by the image's size."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for guidance; each of several is also dropped alone."""
    deviation: float = pydantic.Field(0.5, gt=0)
    """Approximate standard deviation of the pixels; the network learns what a Gaussian's flow lacks."""
    time_mean: Annotated[float, Span(-1.5, 0.5)] = -0.5
    """Mean of logit(t) in training; higher trains on noisier images."""
    time_scale: Annotated[float, Span(0.7, 1.8)] = pydantic.Field(1.25, gt=0)
    """Standard deviation of logit(t) in training."""
    early: float = pydantic.Field(0.0, ge=0, lt=1)
    """Share of the run after which a snapshot is kept for `autoguidance_scale`; 0: none, 0.15 is good."""
    jumps: float = pydantic.Field(0.0, ge=0, lt=1)
    """Share of the run, at its end, for distillation to 1 to 4 steps; 0 is off, 0.125 is good."""
    latent: tuple[int, int, int] | None = None
    """Channels, height and width of the latents to model instead of pixels; needs a decoder."""
    latent_mean: tuple[float, ...] = ()
    """Mean of each channel of the latents; by default 0."""
    latent_deviation: tuple[float, ...] = ()
    """Standard deviation of each channel of the latents; by default 1."""
    tileable: Tileable = "none"
    """Axes along which drawn images continue on their opposite side: x, y or both. Training wraps nothing."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> Self:
        for name, side in (("height", self.height), ("width", self.width)):
            if side < SMALLEST:
                raise Invalid(
                    f"{name} is {side}; flow needs at least {SMALLEST} pixels a side: "
                    "prepare the images larger (data.size)"
                )
        for name in ("widths", "latent"):
            if min(getattr(self, name) or (1,)) < 1:
                raise Invalid(f"{name} are {getattr(self, name)}; each must be at least 1")
        for name in ("latent_mean", "latent_deviation"):
            found, expected = len(getattr(self, name)), self.shape[0] if self.latent else 0
            if found not in (0, expected):
                raise Invalid(f"{name} has {found} numbers; expected {expected}, one a channel")
        if self.tileable != "none" and self.latent:
            raise Invalid("a flow of latents cannot tile: its decoder does not; model pixels")
        check_sides(self.tileable, *self.shape[1:], self.patch << len(self.widths) - 1)
        if min(self.latent_deviation, default=1) <= 0:
            raise Invalid(
                f"latent_deviation is {self.latent_deviation}; each must be above 0: "
                "leave out channels that never change"
            )
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the flow models."""
        return self.latent or (self.channels, self.height, self.width)

    @property
    def patch(self) -> int:
        """The stem in use: the longer side becomes 12 to 24 positions, up to 96 pixels."""
        longer = max(self.shape[1:])
        return self.stem or next(patch for patch in (4, 2, 1) if longer >= 12 * patch or patch == 1)

    @property
    def spread(self) -> float:
        """The deviation s in use: latents are brought to 1."""
        return 1.0 if self.latent else self.deviation


class FlowControls(Controls):
    """What can be turned when sampling a `Flow`."""

    steps: int = pydantic.Field(16, ge=1, le=1000)
    """Sampling steps, one network pass each: 4 is fast, 24 is about as good as it gets."""
    churn: float = pydantic.Field(0.25, ge=0, le=1)
    """Share of the noise redrawn at each step, which corrects errors; 0 is deterministic."""
    most_jumps: int = pydantic.Field(MOST_STEPS, ge=0, le=MOST_STEPS)
    """Largest `steps` for which the distilled model is used (needs `family.jumps`; no autoguidance)."""
    guidance_scale: float | None = pydantic.Field(None, ge=0)
    """Classifier-free guidance: 1 is off; higher is more typical of what is asked for and less diverse; by
    default 2 with text, else 1."""
    negative: str = pydantic.Field("", max_length=1000)
    """Text to move away from when guided, in place of no text."""
    autoguidance_scale: float = pydantic.Field(1.0, ge=0)
    """Autoguidance: above 1 moves away from the early snapshot of the network (needs `family.early`)."""
    strength: float = pydantic.Field(0.6, gt=0, le=1)
    """When an image is varied: how much of it becomes noise first; 1 keeps nothing."""
    repeats: int = pydantic.Field(2, ge=1, le=100)
    """When filling a mask: how often each step is repeated; more fits the surroundings better."""


class Flow(
    Family,
    abilities.Generates[FlowControls],
    abilities.Interpolates,
    abilities.Encodes,
    abilities.Decodes,
    abilities.Reconstructs,
    abilities.Completes[FlowControls],
    abilities.Varies[FlowControls],
    abilities.Denoises,
    abilities.Scores,
):
    """Rectified flow of pixels or latents, conditional on any number of labels at once.

    Args:
        config: its settings.
        parts: of latents, the `decoder` that turns them into images; to edit images it also encodes.
    """

    Config = FlowConfig
    Controls = FlowControls
    TRAINING = Training(
        optimiser="muon", lr=2e-3, weight_decay=0.01, clip=1.0, average=0.1, average_max=0.999
    )
    TINY = FlowConfig(height=8, width=8, channels=1, widths=(16, 16), blocks=1, embedding=16)
    PARTS = ("decoder",)
    OPTIONAL = ("early", "jumper")
    DESCRIBED = True
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "estimate"
    config: FlowConfig

    def __init__(
        self, config: FlowConfig, parts: Mapping[str, Family] = MappingProxyType({})
    ) -> None:
        super().__init__(parts)
        self.config = config
        self.net = self._unet()
        if config.early:
            self.early = as_buffers(copy.deepcopy(self.net))
        if config.jumps:
            self.jumper = self._unet(lengths=True)

    def _unet(self, lengths: bool = False) -> UNet:
        config = self.config
        label = Conditioner.of(config, config.embedding, config.shape)
        sizes = config.widths, config.blocks, config.norms, config.embedding, config.patch
        attend = attending(*config.shape[1:], config.patch, len(config.widths))
        attend = attend if config.text else []
        return UNet(config.shape[0], label, *sizes, lengths, attend=attend)

    def needs(self) -> tuple[str, ...]:
        """`latent` in place of `image` where latents are modelled."""
        return ("latent" if self.config.latent else "image", *self.config.given)

    def phases(self) -> tuple[Phase, ...]:
        """One over the network, and a late one, at half the rate, over the distilled copy."""
        start, main = 1 - self.config.jumps, Phase(name="main", modules=("net",))
        late = Phase(name="jumps", modules=("jumper",), start=start, own_schedule=True, lr=0.5)
        return (main, late) if self.config.jumps else (main,)

    def velocity(
        self,
        x_BCHW: Tensor,
        time_B: Tensor,
        length_B: Tensor | None = None,
        *,
        told: Told | None = None,
        net: UNet | None = None,
        tileable: Tileable = "none",
    ) -> Tensor:
        """v(x_t, t), or by the distilled copy its mean from t to t - length, of x's shape and type.

        `told` is by the net's `label`; None: all is unknown. `net` may be the early copy.
        """
        net = net or (self.net if length_B is None else self.jumper)
        told = told or net.told(self.condition(EMPTY, x_BCHW.shape[0]))
        unet, spread = wrapped(net, tileable), self.config.spread
        return flow.velocity(unet, x_BCHW, time_B, length_B, spread, told)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean squared error of the velocity at one random time a row, or of its mean over a random step."""
        config, length_B = self.config, None
        image_BCHW = self._normal(batch["latent"]) if config.latent else batch["image"]
        noise_BCHW = ctx.rng.normal("noise", *image_BCHW.shape[1:])
        given = hide(self.condition(batch, image_BCHW.shape[0]), ctx.rng, config.drop_label)
        net = self.jumper if phase == "jumps" else self.net
        if phase == "jumps":
            time_B, length_B = random_steps(ctx.rng)
        else:
            time_B = torch.sigmoid(config.time_mean + config.time_scale * ctx.rng.normal("time"))
        told = net.told(given)
        x_BCHW = torch.lerp(image_BCHW, noise_BCHW, time_B[:, None, None, None])
        velocity_BCHW = self.velocity(x_BCHW, time_B, length_B, told=told)
        true_BCHW = noise_BCHW - image_BCHW
        if length_B is not None:
            true_BCHW = average(self._under(given), x_BCHW, time_B, length_B, PASSES)
        return with_picture(F.mse_loss(velocity_BCHW, true_BCHW), told, image_BCHW)

    def update(self, phase: str, stats: Batch, ctx: Context) -> None:
        """Let the copies follow the network, averaged, until they are to stand still or be distilled."""
        for name, until in (("early", self.config.early), ("jumper", 1 - self.config.jumps)):
            if phase == "main" and ctx.progress < until and hasattr(self, name):
                follow(getattr(self, name), self.net, ctx.update)

    def noise(self, rng: Rng) -> Batch:
        """Standard normal pixels, or latents, (B, C, H, W)."""
        return {"image": rng.normal("image", *self.config.shape)}

    def generate(
        self, noise: Batch, cond: Batch, controls: FlowControls, progress: Progress | None = None
    ) -> Tensor:
        """Follow the velocity from noise to images (B, C, H, W), clamped to [-1, 1]."""
        # The early copy stood still before the distillation.
        distilled = self.config.jumps and controls.autoguidance_scale == 1
        few = distilled and controls.steps <= controls.most_jumps
        solve = long_steps if few else _solver(controls, noise)
        velocity, x_BCHW = self._guided(cond, controls), noise["image"]
        return self._image(solve(velocity, x_BCHW, even(controls.steps), progress))

    def encode(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The noise (B, C, H, W) that `decode` turns into the image, by the flow backwards."""
        velocity = self._guided(cond, FlowControls())
        return multistep(velocity, self._data(image_BCHW), even(ENCODING)[::-1])

    def decode(self, latent: Tensor, cond: Batch = EMPTY) -> Tensor:
        """The image of a noise; under another label than it was encoded with, its counterpart there."""
        return self._image(multistep(self._guided(cond, FlowControls()), latent, even(ENCODING)))

    def reconstruct(self, image_BCHW: Tensor, cond: Batch = EMPTY) -> Tensor:
        """`decode(encode(image))`: there is no bottleneck, what differs is the solver's error."""
        return self.decode(self.encode(image_BCHW, cond), cond)

    def vary(
        self,
        image_BCHW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: FlowControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Start on the image's own line at t = `strength` (SDEdit, https://arxiv.org/abs/2108.01073)."""
        x_BCHW = torch.lerp(self._data(image_BCHW), noise["image"], controls.strength)
        times, solve = even(controls.steps, controls.strength), _solver(controls, noise)
        return self._image(solve(self._guided(cond, controls), x_BCHW, times, progress))

    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: FlowControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Follow the velocity while what is known stays known (`sampling.complete`)."""
        open_B1HW = mask_B1HW.bool()
        x_BCHW = complete(
            self._guided(cond, controls),
            self._data(torch.where(open_B1HW, 0.0, image_BCHW)),
            F.adaptive_max_pool2d(mask_B1HW, self.config.shape[1:]),
            functools.partial(shuffled, noise["image"]),
            even(controls.steps),
            controls.repeats,
            progress,
        )
        return torch.where(open_B1HW, self._image(x_BCHW), image_BCHW)

    def denoise(self, image_BCHW: Tensor, deviation_B: Tensor, cond: Batch = EMPTY) -> Tensor:
        """E[x | x_t] = x_t - t v, one pass: x + d e is x_t / (1 - t) at t = d / (1 + d)."""
        self._pixels_only("denoise")
        time_B = deviation_B / (1 + deviation_B)
        t = time_B[:, None, None, None]
        x_BCHW = (1 - t) * image_BCHW
        velocity = self._under(self.condition(cond, image_BCHW.shape[0]))
        return (x_BCHW - t * velocity(x_BCHW, time_B)).clamp(-1, 1)

    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """An estimate of a bound (`sampling.ode.level_nats`), with the network in the precision around it."""
        self._pixels_only("score")
        with torch.inference_mode(False):  # gradients cannot pass through inference tensors
            cond = {name: batch[name].clone() for name in self.config.given if name in batch}
            velocity = self._guided(cond, FlowControls())
            nats_B = level_nats(velocity, batch["image"].clone(), rng, SCORING)
        return nats_B / self.config.nats_per_bit

    def _under(self, given: Batch, tileable: Tileable = "none") -> Callable[..., Tensor]:
        """The velocity (x, t) or (x, t, length) where so much is given, which each net is told once."""
        told = functools.cache(lambda net: net.told(given))

        def velocity(*at: Tensor, net: UNet | None = None) -> Tensor:
            net = net or (self.jumper if len(at) > 2 else self.net)
            return self.velocity(*at, told=told(net), net=net, tileable=tileable)

        return velocity

    def _guided(self, cond: Batch, controls: FlowControls) -> Callable[..., Tensor]:
        """The velocity (x, t), or its mean (x, t, length), under `cond`, guided as asked."""
        text, auto = self.config.text, controls.autoguidance_scale
        if auto != 1 and not self.config.early:
            raise Invalid(
                f"autoguidance_scale is {auto}, but this flow kept no early copy of itself to be "
                "guided by; train with family.early=0.15, or leave it at 1"
            )
        given = self.condition(cond, next(iter(cond.values())).shape[0]) if cond else EMPTY
        scale = controls.guidance_scale
        scale = scale if scale is not None else 2.0 if text else 1.0
        draw = functools.partial(self._under, tileable=self.config.tileable)
        other, alone = instead(given, text, controls.negative), draw(given)
        both = classifier_free(draw, given, other, scale)

        def velocity(*at: Tensor) -> Tensor:
            out_BCHW, with_BCHW = both(*at)
            if auto == 1:
                return out_BCHW
            return out_BCHW + (auto - 1) * (with_BCHW - alone(*at, net=self.early))

        return velocity

    def _data(self, image_BCHW: Tensor) -> Tensor:
        """Images as what is modelled: themselves, or their latents."""
        if not self.config.latent:
            return image_BCHW
        return self._normal(encoded(self.parts.get("decoder"), image_BCHW))

    def _image(self, x_BCHW: Tensor) -> Tensor:
        """Inverse of `_data`: images (B, C, H, W) in [-1, 1]."""
        if not self.config.latent:
            return x_BCHW.clamp(-1, 1)
        mean_C11, deviation_C11 = moments(
            x_BCHW, self.config.latent_mean, self.config.latent_deviation
        )
        latent_BCHW = torch.addcmul(mean_C11, x_BCHW, deviation_C11)
        return decoded(self.parts.get("decoder"), latent_BCHW)

    def _normal(self, latent_BCHW: Tensor) -> Tensor:
        mean_C11, deviation_C11 = moments(
            latent_BCHW, self.config.latent_mean, self.config.latent_deviation
        )
        return (latent_BCHW - mean_C11) / deviation_C11

    def _pixels_only(self, verb: str) -> None:
        if self.config.latent:
            raise Unable(f"a flow of latents cannot {verb}: it knows no density of pixels")


def _solver(controls: FlowControls, noise: Batch) -> Callable[..., Tensor]:
    fresh = functools.partial(shuffled, noise["image"])
    return functools.partial(stochastic, fresh=fresh, churn=controls.churn)
