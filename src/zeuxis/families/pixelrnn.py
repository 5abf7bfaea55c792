"""PixelRNN (van den Oord et al., 2016, https://arxiv.org/abs/1601.06759).

The likelihood of an image is a product over its pixels in raster order (equation 1),

    p(x | y) = prod over i of p(x_i | x_1, ..., x_{i-1}, y),

and two-dimensional LSTMs (`zeuxis.nn.lstm`) carry the context to each pixel. A convolution that sees
neither the pixel itself nor any later one (mask A) reads the image; Row LSTMs or Diagonal BiLSTMs with
residual connections follow (figure 5), then two layers of ReLU and 1 x 1 convolution. Labels enter the
gates of every LSTM as a bias (van den Oord et al., 2016, https://arxiv.org/abs/1606.05328, section 2.3).

The output at a pixel is the distribution of its channels, each given the previous ones: a mixture of
discretised logistics (Salimans et al., 2017, https://arxiv.org/abs/1701.05517) or, as in the paper, a
softmax over all levels. Dependence between the channels of a pixel is modelled there, not by masks.

Shapes: B batch, C channels, H height, W width, P = H W pixels in raster order, N any samples, F features,
K parameters of a pixel's distribution, L levels, A label conditions, E label embedding.
"""

import itertools
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
from zeuxis.nn.condition import Conditioner, hide
from zeuxis.nn.lstm import DiagonalBiLSTM, Product, RowLSTM
from zeuxis.nn.precision import full
from zeuxis.objectives.levels import Mixture, Softmax
from zeuxis.sampling.raster import draw


class PixelRNNConfig(FamilyConfig):
    """Settings of `PixelRNN`; the defaults suit 28 x 28 images in grey."""

    levels: int = pydantic.Field(256, ge=2, le=256)
    """Levels of a channel; images are rounded to them."""
    layer: Literal["row", "diagonal"] = "diagonal"
    """`row`: Row LSTM, half the work, sees a triangle above; `diagonal`: BiLSTM, sees all before a pixel."""
    layers: Annotated[int, Span(2, 5)] = pydantic.Field(3, ge=1)
    """LSTM layers, each with a residual connection around it."""
    features: Annotated[int, Among(("32", "64", "96"))] = pydantic.Field(64, ge=1)
    """Size of an LSTM's state; the maps between layers have twice as many. Multiples of 32 are fastest."""
    kernel: int = pydantic.Field(7, ge=3)
    """Side of the first, masked convolution; odd."""
    head: int = pydantic.Field(128, ge=1)
    """Hidden features of the output layers."""
    output: Literal["mixture", "softmax"] = "mixture"
    """Distribution of a channel: a mixture of discretised logistics, or a softmax over all levels."""
    components: Annotated[int, When("output", "mixture")] = pydantic.Field(10, ge=1)
    """Logistics in the mixture."""
    embedding: Annotated[int, When("given")] = pydantic.Field(32, ge=1)
    """Dimensions of the embedding of labels and captions."""
    drop_label: Annotated[float, Span(0, 0.3), When("given")] = pydantic.Field(0.05, ge=0, le=1)
    """Dropout of labels and captions in training, for use without; each of several is also dropped alone."""

    @pydantic.field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise Invalid(f"kernel is {kernel}; a pixel needs a middle: take {kernel + 1}")
        return kernel


class PixelRNNControls(Controls):
    """What may be turned when sampling."""

    temperature: float = pydantic.Field(1.0, gt=0, le=2)
    """Divides the log-probabilities: below 1, more likely images and less diversity."""


class Network(nn.Module):
    """Image (B, C, H, W) and labels (B, E) -> what describes each pixel's distribution (P, B, K)."""

    def __init__(self, config: PixelRNNConfig, given: int, outputs: int) -> None:
        super().__init__()
        self.kernel, self.shape = config.kernel, (config.height, config.width)
        self.before = config.kernel * (config.kernel // 2) + config.kernel // 2
        kind = RowLSTM if config.layer == "row" else DiagonalBiLSTM
        features = 2 * config.features
        # one more channel, of ones, tells where the image ends
        self.stem = nn.Linear((config.channels + 1) * self.before, features)
        self.layers = nn.ModuleList(
            kind(features, config.features, given) for _ in range(config.layers)
        )
        self.first = nn.Linear(features, config.head)
        self.second = nn.Linear(config.head, outputs)

    def canvas(self, image_BCHW: Tensor) -> Tensor:
        """The image with a channel of ones, in a margin of zeros."""
        m = self.kernel // 2
        return F.pad(F.pad(image_BCHW, (0, 0, 0, 0, 0, 1), value=1.0), (m, m, m, 0))

    def forward(self, image_BCHW: Tensor, given_BE: Tensor) -> Tensor:
        """(P, B, K), float32 or better."""
        rows, (height, width) = self.kernel // 2 + 1, image_BCHW.shape[2:]
        canvas, places = self.canvas(image_BCHW), itertools.product(range(rows), range(self.kernel))
        taps = [canvas[:, :, i : i + height, j : j + width] for i, j in places]
        seen = torch.stack(taps[: self.before], 2)  # mask A
        x_PBF = self.stem(seen.flatten(3).flatten(1, 2).permute(2, 0, 1).contiguous())
        for layer in self.layers:
            x_PBF = layer(x_PBF, given_BE, self.shape)
        x_PBF = full(F.relu(self.first(F.relu(x_PBF))))
        with torch.autocast(
            x_PBF.device.type, enabled=False
        ):  # bfloat16 means are half a level off
            return self.second(x_PBF)


class PixelStepper:
    """The network pixel by pixel, at a cost that does not grow with the image (see `Sequential`)."""

    def __init__(self, model: "PixelRNN", given_BE: Tensor) -> None:
        config, net = model.config, model.network
        self.config, self.net, self.output = config, net, model.output
        shape = (given_BE.shape[0], config.channels, config.height, config.width)
        self.canvas = net.canvas(given_BE.new_zeros(shape))
        self.stem, self.first = Product(net.stem), Product(net.first)
        # to mypy the members of a ModuleList are plain modules
        self.layers = [layer.stepper(given_BE, config.width) for layer in net.layers]  # type: ignore[operator]
        self.row = self.column = self.channel = 0
        self.x_BF = self._features()
        self.raw_BK: Tensor | None = None

    def log_p(self) -> Tensor:
        """Log-probabilities (B, L) of the next number."""
        if self.raw_BK is None:
            x_BF = full(F.relu(self.first(F.relu(self.x_BF))))
            with torch.autocast(x_BF.device.type, enabled=False):
                self.raw_BK = self.net.second(x_BF).detach()
        return self.output.log_p(self._pixel(), self.raw_BK, self.channel).detach()

    def push(self, level_B: Tensor) -> None:
        """Fix the next number of each row, int64."""
        config = self.config
        self._pixel()[:, self.channel] = from_levels(level_B, config.levels)
        self.channel += 1
        if self.channel < config.channels:
            return
        self.channel, self.raw_BK = 0, None
        self.column += 1
        if self.column == config.width:
            self.row, self.column = self.row + 1, 0
            for layer in self.layers:
                layer.end_row()
        if self.row < config.height:
            self.x_BF = self._features()

    def _pixel(self) -> Tensor:
        return self.canvas[
            :, :-1, self.row + self.net.kernel // 2, self.column + self.net.kernel // 2
        ]

    def _features(self) -> Tensor:
        k = self.net.kernel
        rows, columns = slice(self.row, self.row + k // 2 + 1), slice(self.column, self.column + k)
        patch = self.canvas[:, :, rows, columns].flatten(2)[..., : self.net.before]
        x_BF = self.stem(patch.flatten(1))
        for layer in self.layers:
            x_BF = layer.step(x_BF, self.column)
        return x_BF


class PixelRNN(
    Family,
    abilities.Generates[PixelRNNControls],
    abilities.Scores,
    abilities.Sequential,
    abilities.Completes[PixelRNNControls],
):
    """Row LSTM or Diagonal BiLSTM over the pixels before each pixel; its likelihood is exact."""

    Config = PixelRNNConfig
    Controls = PixelRNNControls
    TRAINING = Training(batch_size=64, lr=2e-3, betas=(0.9, 0.99), clip=1.0)
    TINY = PixelRNNConfig(
        height=8,
        width=8,
        channels=1,
        layer="row",
        layers=2,
        features=8,
        kernel=3,
        head=8,
        components=2,
        embedding=4,
    )
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"
    DESCRIBED = True
    config: PixelRNNConfig

    def __init__(self, config: PixelRNNConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioner = Conditioner.of(config, config.embedding)
        self.output = (
            Mixture(config.channels, config.levels, config.components)
            if config.output == "mixture"
            else Softmax(config.channels, config.levels)
        )
        self.network = Network(config, self.conditioner.size, len(self.output.start))
        with torch.no_grad():
            self.network.second.weight *= 0.1
            self.network.second.bias.copy_(self.output.start)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Bits per dimension."""
        rows = batch["image"].shape[0]
        given = hide(self.condition(batch, rows), ctx.rng, self.config.drop_label)
        given_BE = self.conditioner.told(given, rows).vector_BE
        return {"total": self._bits(batch["image"], given_BE).mean()}

    def bits_per_dim(self, batch: Batch, rng: Rng) -> Tensor:
        """-log2 P(image) per dimension, exact; nothing is drawn. With fewer levels, of the rounded image."""
        given_BE = self._given(batch, batch["image"].shape[0])
        return self._bits(batch["image"], given_BE).float()

    def noise(self, rng: Rng) -> Batch:
        """A uniform number for each level that will be drawn: `uniform` (B, H, W, C)."""
        config = self.config
        return {"uniform": rng.uniform("uniform", config.height, config.width, config.channels)}

    def generate(
        self,
        noise: Batch,
        cond: Batch,
        controls: PixelRNNControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images (B, C, H, W), level by level: the inverse of each distribution at its uniform."""
        return self._draw(noise["uniform"], None, cond, controls, progress)

    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: PixelRNNControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw what the mask leaves open, in raster order, the rest forced.

        A pixel depends on earlier pixels only: known pixels below it, or to its right in its own row,
        have no say. So it suits masks that are open at the bottom.
        """
        open_B1HW = mask_B1HW > 0
        known = (image_BCHW, open_B1HW)
        filled_BCHW = self._draw(noise["uniform"], known, cond, controls, progress)
        return torch.where(open_B1HW, filled_BCHW, image_BCHW)

    def stepper(self, rows: int, cond: Batch = EMPTY) -> PixelStepper:
        """At the first number of `rows` new images; each step costs a pixel, not an image."""
        return PixelStepper(self, self._given(cond, rows).detach())

    def _given(self, cond: Batch, rows: int) -> Tensor:
        return self.conditioner.told(self.condition(cond, rows), rows).vector_BE

    def log_p(self, image_BCHW: Tensor, place: Tensor, cond: Batch = EMPTY) -> Tensor:
        """As a stepper's, (B, C, L), by the whole network."""
        given_BE = self._given(cond, image_BCHW.shape[0])
        rounded_BCHW = from_levels(to_levels(image_BCHW, self.config.levels), self.config.levels)
        raw_BK = self.network(rounded_BCHW, given_BE).index_select(0, place)[0]
        known_BC = rounded_BCHW.flatten(2).index_select(2, place)[..., 0]
        each = [self.output.log_p(known_BC, raw_BK, c) for c in range(self.config.channels)]
        return torch.stack(each, 1)

    def _draw(
        self,
        uniform_BHWC: Tensor,
        known: tuple[Tensor, Tensor] | None,
        cond: Batch,
        controls: PixelRNNControls,
        progress: Progress | None,
    ) -> Tensor:
        stepper = self.stepper(uniform_BHWC.shape[0], cond)
        return draw(
            stepper, uniform_BHWC, self.config.levels, controls.temperature, known, progress
        )

    def _bits(self, image_BCHW: Tensor, given_BE: Tensor) -> Tensor:
        """Bits per dimension of each image, (B,)."""
        image_BCHW = from_levels(to_levels(image_BCHW, self.config.levels), self.config.levels).to(
            image_BCHW.dtype
        )
        raw_PBK = self.network(image_BCHW, given_BE)
        # a pixel after another, each an image of its own, spares turning the larger tensor
        image_PBC = image_BCHW.flatten(2).permute(2, 0, 1)
        nats_N11 = self.output.nats(
            image_PBC.flatten(0, 1)[..., None, None], raw_PBK.flatten(0, 1)[..., None, None]
        )
        nats_B = nats_N11.unflatten(0, raw_PBK.shape[:2]).sum((0, 2, 3))
        return nats_B / self.config.nats_per_bit
