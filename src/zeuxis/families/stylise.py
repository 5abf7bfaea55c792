"""One style for any picture, in one pass (Johnson et al., 2016, https://arxiv.org/abs/1603.08155).

A network N is trained on a folder of any pictures x, without partners, so that the features of y = N(x) have
the means and covariances of the style's, and at one deeper layer stay where those of x are:

    L = style_distance(y, style) + (c / strength) |f(y) - f(x)|^2 / var f(x)

(`objectives.style`; f is EfficientNet-lite0's map of `CONTENT`, before the activation). The feature network
is frozen and no part of the model. The style's pixels are: they are read once, when training begins.

Instance norm (Ulyanov et al., 2017, https://arxiv.org/abs/1701.02096) looks at the whole of each picture. So
that tiles of a large one agree, `survey` gives the means and standard deviations of a reduced copy. Padding
reflects, and resolution rises by nearest neighbours before a convolution: neither frames nor lattices.

Shapes: B batch, C channels, H height, W width, S statistics of all norms, F features.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pydantic
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Context, Family, FamilyConfig, Losses
from zeuxis.core.pixels import to_uint8
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.features.layers import colours, layer_maps, map_distance
from zeuxis.nn.crops import squares
from zeuxis.nn.precision import full
from zeuxis.nn.towers import pad_edge
from zeuxis.objectives.style import Sums, style_distance

STYLE = ("stem", "block1", "block2", "block4", "block6")
"""Layers that see colours, strokes and small shapes."""
CONTENT = "block6"
LIKENESS = 0.25
"""Weight c of the content term at strength 1."""
SIDE = 256
"""Pixels a side of the style as it is kept."""
LEAST = 32
"""Pixels a side of the picture that a style is taken from."""
HALVINGS = 2
EPSILON = 1e-5


class StyliseConfig(FamilyConfig):
    """Settings of `Stylise`."""

    style: str = ""
    """File of the picture whose style is learned, such as family.style=wave.jpg; by default the first picture
    of the data, as a trial. It is read once, when training begins, and kept in the model; of the file, its
    name alone is."""
    strength: float = pydantic.Field(1.0, gt=0)
    """How strongly the style shows: above 1 less of the picture remains, below 1 more."""
    features: int = pydantic.Field(16, ge=1)
    """Channels at full resolution; each of the two halvings doubles them."""
    blocks: int = pydantic.Field(4, ge=1)
    """Residual blocks at a quarter of the sides."""
    crops: tuple[int, ...] = pydantic.Field((96, 128, 192), min_length=1)
    """Sides of the squares that are cut from the pictures in training, one drawn for each step."""

    @pydantic.field_serializer("style", when_used="json")
    def _name(self, style: str) -> str:
        """Models are given away, and folders are nobody's business."""
        return Path(style).name


class Norm(nn.Module):
    """Instance norm, with the picture's own statistics or given ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x_BFHW: Tensor, given: "Statistics") -> Tensor:
        """Same shape."""
        mean_BF, scale_BF = given.of(x_BFHW)
        gain_BF = self.weight / scale_BF
        shift_BF = self.bias - mean_BF * gain_BF
        return torch.addcmul(
            shift_BF[..., None, None].to(x_BFHW.dtype),
            x_BFHW,
            gain_BF[..., None, None].to(x_BFHW.dtype),
        )


class Statistics:
    """Mean and standard deviation of each norm's input in turn: noted as the network runs, or given.

    Args:
        known_BS: what an earlier run noted; None: each norm looks at its input.
    """

    def __init__(self, known_BS: Tensor | None = None) -> None:
        self.noted: list[Tensor] = []
        self.known_BS = known_BS
        self.at = 0

    def of(self, x_BFHW: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the next norm, (B, F) each."""
        width = x_BFHW.shape[1]
        if self.known_BS is not None:
            both = self.known_BS[:, self.at : self.at + 2 * width]
            self.at += 2 * width
            return both[:, :width], both[:, width:]
        variance_BF, mean_BF = torch.var_mean(full(x_BFHW), (2, 3), correction=0)
        self.noted += [mean_BF, (variance_BF + EPSILON).sqrt()]
        return mean_BF, self.noted[-1]


class Conv(nn.Conv2d):
    """A convolution whose input is continued by reflection."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        self.around = [kernel // 2] * 4

    def forward(self, x_BFHW: Tensor) -> Tensor:
        """Sides divided by the stride."""
        return super().forward(F.pad(x_BFHW, self.around, mode="reflect"))


class Painter(nn.Module):
    """(B, C, H, W) -> (B, C, H, W) in [-1, 1]."""

    def __init__(self, channels: int, features: int, blocks: int) -> None:
        super().__init__()
        fine, middle, coarse = (features * 2**level for level in range(HALVINGS + 1))
        self.down = nn.ModuleList(
            [Conv(channels, fine, 5), Conv(fine, middle, 3, 2), Conv(middle, coarse, 3, 2)]
        )
        self.inner = nn.ModuleList(Conv(coarse, coarse) for _ in range(2 * blocks))
        self.up = nn.ModuleList([Conv(coarse, middle), Conv(middle, fine)])
        self.head = Conv(fine, channels, 5)
        path = (fine, middle, coarse, *[coarse] * 2 * blocks, middle, fine)
        self.norms = nn.ModuleList(map(Norm, path))

    @property
    def reach(self) -> int:
        """Pixels from which on a picture has no influence, but for the statistics."""
        return 2 + 1 + 2 + 4 * len(self.inner) + 2 + 1 + 2 + 2**HALVINGS

    def forward(self, image_BCHW: Tensor, given: Statistics) -> Tensor:
        """Stylise each picture; any size of at least 4 pixels a side."""
        height, width = image_BCHW.shape[2:]
        least = 2 ** (HALVINGS + 1)  # at a quarter there are two cells to reflect in
        taller = max(-height % 2**HALVINGS, least - height)
        wider = max(-width % 2**HALVINGS, least - width)
        x, norms = pad_edge(image_BCHW, taller, wider), iter(self.norms)
        for layer in self.down:
            x = F.relu(next(norms)(layer(x), given))
        for first, second in zip(self.inner[::2], self.inner[1::2], strict=True):
            y = F.relu(next(norms)(first(x), given))
            x = x + next(norms)(second(y), given)
        for layer in self.up:
            x = F.relu(next(norms)(layer(F.interpolate(x, scale_factor=2.0)), given))
        return full(self.head(x)).tanh()[..., :height, :width]


class Stylise(Family, abilities.Translates[Controls]):
    """One style for any picture."""

    Config = StyliseConfig
    CONDITIONAL = False
    TRAINING = Training(batch_size=4, lr=2e-3, warmup=50, betas=(0.9, 0.99), clip=1.0, average=0.05)
    TINY = StyliseConfig(height=8, width=8, channels=3, features=2, blocks=1, crops=(8,))
    config: StyliseConfig
    style: Tensor

    def __init__(self, config: StyliseConfig) -> None:
        super().__init__()
        self.config = config
        self.painter = Painter(min(config.channels, 3), config.features, config.blocks)
        place = torch.arange(SIDE)
        stripes_3HW = torch.stack([place * k % 256 for k in (1, 3, 7)])[:, None].expand(
            3, SIDE, SIDE
        )
        self.register_buffer("style", stripes_3HW.to(torch.uint8).contiguous())
        self._sums: dict[tuple[torch.device, torch.dtype], dict[str, Sums]] = {}

    stride = 2**HALVINGS

    @property
    def margin(self) -> int:
        """How far a pixel sees, once the statistics are known."""
        return -(-self.painter.reach // self.stride) * self.stride

    @property
    def exemplar(self) -> Tensor:
        """The style's picture."""
        return self.style

    def begin(self, batches: Iterable[Batch], rng: Rng) -> None:
        """Read the style's picture: its middle, a square.

        Raises:
            Invalid: it cannot be read.
        """
        if self.config.style:
            style_3HW = _read(Path(self.config.style))
        else:
            first_1CHW = next(iter(batches))["image"][:1]
            size = (SIDE, SIDE)
            large_13HW = F.interpolate(colours(first_1CHW), size, mode="bilinear")
            style_3HW = to_uint8(large_13HW)[0]
        self.style.copy_(style_3HW)
        self._sums.clear()

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Distance of the style, and from the content, of crops of the pictures."""
        image_BCHW = self._cropped(batch["image"], ctx.rng)
        styled_BCHW = self.painter(image_BCHW, Statistics())
        found = layer_maps(styled_BCHW, STYLE)
        with torch.no_grad():
            aimed = layer_maps(image_BCHW, (CONTENT,))
        device = image_BCHW.device.type
        with torch.autocast(device, enabled=False):
            sums = {name: Sums.of(full(map_BFhw)) for name, map_BFhw in found.items()}
            style = style_distance(sums, self._style(styled_BCHW)).mean()
            content = map_distance(found, aimed).mean()
        total = style + LIKENESS / self.config.strength * content
        return {"total": total, "style": style, "content": content}

    def _cropped(self, image_BCHW: Tensor, rng: Rng) -> Tensor:
        """A square of each picture, of one side drawn for all, mirrored by half; colours only."""
        crops, (height, width) = self.config.crops, image_BCHW.shape[2:]
        side = min(crops[int(rng.shared("crop", 1) * len(crops))], height, width)
        place_B3 = rng.uniform("place", 3)
        mirrored_B = (place_B3[:, 2] < 0.5).long()
        return squares(image_BCHW[:, :3], side, place_B3[:, :2], mirrored_B)

    def _style(self, like: Tensor) -> dict[str, Sums]:
        """Sums of the style's maps, computed once."""
        key = (like.device, like.dtype)
        if key not in self._sums:
            with torch.no_grad():
                image_13HW = self.style[None].to(like.dtype) / 127.5 - 1
                found = layer_maps(image_13HW, STYLE)
                self._sums[key] = {name: Sums.of(full(value)) for name, value in found.items()}
        return self._sums[key]

    def noise(self, rng: Rng) -> Batch:
        """Nothing is drawn."""
        return {}

    def survey(self, source: Tensor) -> Batch:
        """Means and standard deviations of all norms, `statistics` (B, S)."""
        given = Statistics()
        self.painter(source[:, :3], given)
        return {"statistics": torch.cat(given.noted, 1)}

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: Controls,
        progress: Progress | None = None,
    ) -> Tensor:
        """One pass, with the `statistics` of `survey` if they are given; alpha stays what it is."""
        styled = self.painter(source[:, :3], Statistics(cond.get("statistics")))
        return torch.cat([styled, source[:, 3:]], 1)


def _read(path: Path) -> Tensor:
    """The middle square of a picture, (3, `SIDE`, `SIDE`) uint8; what is transparent becomes white.

    Raises:
        Invalid: there is no such file, it is no picture, or one too small to have a style.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")) as file:
            upright = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise Invalid(f"family.style={path} cannot be read as a picture ({error})") from error
    if min(upright.size) < LEAST:
        raise Invalid(
            f"family.style={path} is {upright.width} x {upright.height} pixels; "
            f"strokes need at least {LEAST} a side"
        )
    ground = Image.new("RGBA", upright.size, "white")
    colours = Image.alpha_composite(ground, upright).convert("RGB")
    square = ImageOps.fit(colours, (SIDE, SIDE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)
