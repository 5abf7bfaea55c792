"""PixelCNN++ (Salimans et al., 2017, https://arxiv.org/abs/1701.05517).

The likelihood of an image is a product over its values x_1 ... x_n in raster order, the channels of a
pixel innermost:

    log p(x | y) = sum_i log p(x_i | x_1 ... x_(i-1), y)

One pass of a convolutional network that sees only the past gives all factors. A factor is a mixture of
discretised logistics or, where there are few levels, a softmax. Gates and labels as in Gated PixelCNN
(van den Oord et al., 2016, https://arxiv.org/abs/1606.05328, equation 4). The order may be any of the
image's symmetries, given to the network as one more label: completion uses the order that sees most.

Shapes: B batch, C channels, H height, W width, A label conditions, E label embedding, F features,
K raw outputs of a pixel, L levels.
"""

from collections.abc import Callable
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
from zeuxis.core.settings import Training
from zeuxis.core.space import Among, Span, When
from zeuxis.nn.causal import TwoStream, TwoStreamSteps
from zeuxis.nn.condition import Conditioner, hide
from zeuxis.nn.precision import full
from zeuxis.objectives.levels import Mixture, Softmax
from zeuxis.sampling.raster import draw

FEW_LEVELS = 32
"""Up to so many levels a pixel's distribution is a softmax over them."""


class PixelCNNConfig(FamilyConfig):
    """Settings of `PixelCNN`; the defaults suit 28 x 28 images."""

    widths: Annotated[tuple[int, ...], Among(("64", "96", "128"))] = pydantic.Field(
        (96,), min_length=1
    )
    """Channels of each resolution, finest first; each further one halves the sides. Multiples of 32."""
    blocks: Annotated[int, Span(3, 7)] = pydantic.Field(5, ge=1)
    """Gated blocks of each resolution; all but the coarsest have as many again on the way up."""
    components: int = pydantic.Field(0, ge=0)
    """Logistics in a pixel's mixture; 0 chooses 5 for grey images and 10 for colour."""
    levels: int = pydantic.Field(256, ge=2, le=256)
    """Levels of a channel; images are rounded to them, and the likelihood is of the rounded image."""
    orders: Literal[1, 2, 4, 8] = 1
    """Raster orders that are learned: from the top; also from the bottom; also from the right; also
    by columns (square images only). More orders complete more masks well, and share the network."""
    dropout: Annotated[float, Span(0, 0.5)] = pydantic.Field(0.0, ge=0, lt=1)
    """Dropout of hidden features; for small data sets."""
    embedding: int = pydantic.Field(32, ge=1)
    """Dimensions of the embedding of labels and captions."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for use without; each of several is also dropped alone."""

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "PixelCNNConfig":
        if self.orders == 8 and self.height != self.width:
            raise Invalid(
                f"orders is 8, which needs square images, and height is {self.height}, width "
                f"{self.width}: take orders=4, or prepare square images (data.size)"
            )
        if min(self.widths) < 1:
            raise Invalid(f"widths are {self.widths}; each must be at least 1")
        return self


class PixelCNNControls(Controls):
    """What may be turned when sampling."""

    temperature: float = pydantic.Field(1.0, gt=0, le=1)
    """Divides the log-probabilities: below 1, more likely images and less diversity."""


class PixelCNNStepper:
    """Cached stepping through the numbers of a batch of images; see `zeuxis.sampling.raster.Stepper`."""

    def __init__(self, model: "PixelCNN", rows: int, given_BE: Tensor) -> None:
        config = model.config
        self.model, self.channel, self.pixels = model, 0, config.height * config.width
        with torch.no_grad(), _exact(given_BE):
            self.steps = TwoStreamSteps(model.net, rows, config.width, config.channels, given_BE)
        self.value_BC = given_BE.new_zeros(rows, config.channels)
        self.raw_BK: Tensor | None = None

    @torch.no_grad()
    def log_p(self) -> Tensor:
        """Log-probabilities (B, L) of the next number."""
        with _exact(self.value_BC):
            if self.raw_BK is None:
                assert self.pixels, "the images are finished"
                features_BF = self.steps.features()
                self.raw_BK = self.model.head(features_BF.relu()[..., None, None])[..., 0, 0]
            return self.model.output.log_p(self.value_BC, self.raw_BK, self.channel)

    @torch.no_grad()
    def push(self, level_B: Tensor) -> None:
        """Fix the next number of each row, and move on."""
        if self.raw_BK is None:
            self.log_p()
        self.value_BC[:, self.channel] = from_levels(level_B, self.model.config.levels)
        self.channel = (self.channel + 1) % self.model.config.channels
        if self.channel == 0:
            self.raw_BK, self.pixels = None, self.pixels - 1
            if self.pixels:
                with _exact(self.value_BC):
                    self.steps.push(self.value_BC)


class PixelCNN(
    Family,
    abilities.Generates[PixelCNNControls],
    abilities.Completes[PixelCNNControls],
    abilities.Scores,
    abilities.Sequential,
):
    """The causal network and the distribution of each pixel that its features describe."""

    Config = PixelCNNConfig
    Controls = PixelCNNControls
    TRAINING = Training(
        optimiser="muon",
        batch_size=16,
        lr=4e-3,
        betas=(0.9, 0.99),
        clip=1.0,
        average=0.05,
        average_max=0.9995,
    )
    TINY = PixelCNNConfig(
        height=8, width=8, channels=1, widths=(8, 8), blocks=1, embedding=4, components=3
    )
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"
    DESCRIBED = True
    config: PixelCNNConfig

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        counts = [len(c.classes) for c in config.conditions]
        if config.orders > 1:
            counts.append(config.orders)
        self.conditioner = Conditioner(counts, config.embedding, config.numbers, config.text)
        self.net = TwoStream(config.channels, config.widths, config.blocks, self.conditioner.size)
        self.output: Mixture | Softmax
        if config.levels <= FEW_LEVELS:
            self.output = Softmax(config.channels, config.levels)
        else:
            components = config.components or (5 if config.channels == 1 else 10)
            self.output = Mixture(config.channels, config.levels, components)
        self.head = nn.Conv2d(config.widths[0], len(self.output.start), 1)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(self.output.start)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Bits per dimension, each image in an order of its own."""
        config, image_BCHW = self.config, batch["image"]
        rows = image_BCHW.shape[0]
        given = hide(self.condition(batch, rows), ctx.rng, config.drop_label)
        order_B = ctx.rng.integers("order", config.orders)
        given_BE = self._given(given, rows, order_B)
        kept = []
        if config.dropout:
            sizes = self.net.stage.sizes()
            kept_BF = ctx.rng.uniform("dropout", sum(sizes)) >= config.dropout
            kept = [*(kept_BF / (1 - config.dropout)).split(sizes, 1)]
        nats_B = self._nats(_turn(image_BCHW, order_B), given_BE, kept)
        return {"total": nats_B.mean() / self.config.nats_per_bit}

    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """Exact, of the image rounded to `levels`, in the raster order from the top."""
        given_BE = self._given(batch, batch["image"].shape[0])
        return self._nats(batch["image"], given_BE) / self.config.nats_per_bit

    def noise(self, rng: Rng) -> Batch:
        """`uniform` (B, H, W, C): one number decides one number of the image."""
        config = self.config
        return {"uniform": rng.uniform("uniform", config.height, config.width, config.channels)}

    def generate(
        self,
        noise: Batch,
        cond: Batch,
        controls: PixelCNNControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Number by number, the level at which the cumulated probability passes the uniform."""
        uniform_BHWC = noise["uniform"]
        given_BE = self._given(cond, uniform_BHWC.shape[0])
        return self._draw(uniform_BHWC, given_BE, controls, progress)

    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: PixelCNNControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Number by number, the known ones forced, in the order in which most is known before the rest.

        A value depends on earlier values only: what is known later in the order is ignored.
        """
        order_B = best_order(mask_B1HW, self.config.orders)
        mask_B1HW = mask_B1HW > 0
        given_BE = self._given(cond, image_BCHW.shape[0], order_B)
        known_BCHW = _turn(image_BCHW.masked_fill(mask_B1HW, 0), order_B)
        open_B1HW = _turn(mask_B1HW, order_B)
        filled_BCHW = self._draw(
            noise["uniform"], given_BE, controls, progress, (known_BCHW, open_B1HW)
        )
        return torch.where(mask_B1HW, _turn_back(filled_BCHW, order_B), image_BCHW)

    def stepper(self, rows: int, cond: Batch = EMPTY) -> PixelCNNStepper:
        """At the first number, from the top; the vertical stream costs a row, the rest a pixel."""
        return PixelCNNStepper(self, rows, self._given(cond, rows).detach())

    def log_p(self, image_BCHW: Tensor, place: Tensor, cond: Batch = EMPTY) -> Tensor:
        """As a stepper's, (B, C, L), by the whole network."""
        given_BE = self._given(cond, image_BCHW.shape[0])
        rounded_BCHW = from_levels(to_levels(image_BCHW, self.config.levels), self.config.levels)
        features_BFHW = F.relu(self.net(rounded_BCHW, given_BE))
        raw_BK = self.head(features_BFHW).flatten(2).index_select(2, place)[..., 0]
        known_BC = rounded_BCHW.flatten(2).index_select(2, place)[..., 0]
        each = [self.output.log_p(known_BC, raw_BK, c) for c in range(self.config.channels)]
        return torch.stack(each, 1)

    def _draw(
        self,
        uniform_BHWC: Tensor,
        given_BE: Tensor,
        controls: PixelCNNControls,
        progress: Progress | None,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        stepper = PixelCNNStepper(self, uniform_BHWC.shape[0], given_BE)
        return draw(
            stepper, uniform_BHWC, self.config.levels, controls.temperature, known, progress
        )

    def _nats(
        self, image_BCHW: Tensor, given_BE: Tensor, kept: list[Tensor] | None = None
    ) -> Tensor:
        """-log p of each image, (B,), float32 or better."""
        levels = self.config.levels
        rounded_BCHW = from_levels(to_levels(image_BCHW, levels), levels).to(image_BCHW.dtype)
        features_BFHW = F.relu(self.net(rounded_BCHW, given_BE, kept or ()))
        with _exact(image_BCHW):  # a mean in bfloat16 would be off by half a level
            raw_BKHW = self.head(full(features_BFHW))
        return self.output.nats(rounded_BCHW, raw_BKHW).flatten(1).sum(1)

    def _given(self, cond: Batch, rows: int, order_B: Tensor | None = None) -> Tensor:
        """What the blocks are told: the condition and, if there are several, the order; (B, E)."""
        given = dict(self.condition(cond, rows))
        if self.config.orders > 1:
            label_BA = self.label_of(cond, rows)
            order_B = label_BA.new_zeros(rows) if order_B is None else order_B
            given["label"] = torch.cat([label_BA, order_B[:, None]], 1)
        return self.conditioner.told(given, rows).vector_BE.to(self.head.weight.dtype)


def best_order(mask_B1HW: Tensor, orders: int) -> Tensor:
    """For each row the order in which the most pairs of a known and an open pixel lie that way round."""
    counts = []
    for order in range(orders):
        order_B = torch.full((mask_B1HW.shape[0],), order, device=mask_B1HW.device)
        open_BP = _turn(mask_B1HW > 0, order_B).flatten(1).long()
        counts.append((open_BP * (1 - open_BP).cumsum(1)).sum(1))
    return torch.stack(counts).argmax(0)


def _turn(image_BCHW: Tensor, order_B: Tensor) -> Tensor:
    """Each image turned such that raster order is its order.

    Bit 0 of the order rotates by 180 degrees, then bit 1 mirrors left to right, bit 2 transposes.
    """
    for bit, turned in ((1, _rotated), (2, _mirrored), (4, _transposed)):
        image_BCHW = _where(order_B & bit, turned, image_BCHW)
    return image_BCHW


def _turn_back(image_BCHW: Tensor, order_B: Tensor) -> Tensor:
    """Inverse of `_turn`."""
    for bit, turned in ((4, _transposed), (2, _mirrored), (1, _rotated)):
        image_BCHW = _where(order_B & bit, turned, image_BCHW)
    return image_BCHW


def _rotated(image_BCHW: Tensor) -> Tensor:
    return image_BCHW.flip(2, 3)


def _mirrored(image_BCHW: Tensor) -> Tensor:
    return image_BCHW.flip(3)


def _transposed(image_BCHW: Tensor) -> Tensor:
    return image_BCHW.transpose(2, 3)


def _where(chosen_B: Tensor, turned: Callable[[Tensor], Tensor], image_BCHW: Tensor) -> Tensor:
    """`turned` of the chosen rows. Images that are not square are never asked to be transposed."""
    if not chosen_B.any():
        return image_BCHW
    return torch.where((chosen_B > 0)[:, None, None, None], turned(image_BCHW), image_BCHW)


def _exact(like: Tensor) -> torch.autocast:
    """No autocast: what follows is computed in the weights' own precision."""
    return torch.autocast(like.device.type, enabled=False)
