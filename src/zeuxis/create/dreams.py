"""Dreams: gradient ascent on what a network sees in a picture, from coarse to fine.

    L(x) = sum_l w_l mean(relu(f_l(x))^2) / mean(relu(f_l(base))^2)

of layers l, before their activation (Mordvintsev, Olah and Tyka 2015, "Inceptionism"). With a guide, in place
of the square, the product with that feature of the guide which fits best. Each step goes a fixed mean
distance along the smoothed gradient, at a random roll of the picture; from size to size only the change is
carried on.

Shapes: B batch, C channels, H height, W width of a picture or map, P places of a map.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeuxis.core.abilities import Encodes
from zeuxis.core.errors import NotFound, TooLarge, Unable
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.create.pictures import Picture
from zeuxis.create.results import Pictures
from zeuxis.create.style import mirrored, resized
from zeuxis.features.efficientnet import load_network
from zeuxis.features.maps import maps

if TYPE_CHECKING:
    from zeuxis.inference.model import Model

LAYERS = {"block9": 1.0, "block12": 0.7}
"""Of EfficientNet-lite0: eyes and fur, and whole animals."""
RATIO = 1.4
"""Of one size to the next."""
STEP = 0.012
"""Mean change of a pixel in a step, of its range."""
JITTER = 24
"""Pixels that the picture is rolled by at most."""
SMOOTH = (1.5, 0.5)
"""Standard deviation of the gradient's blur in pixels, at the first step of a size and at the last."""
LARGEST = 2048
SMALLEST = 32
"""Pixels of the shorter side that the smallest size has at least."""
WIDE = 12.0
"""Standard deviation in pixels of a blur: what of a change outlasts it, one's own networks may not make.

A discriminator answers to brightness first, and would only make all of it black and white.
"""
WHOLE = 32
"""Pixels that sides are brought to a multiple of: networks halve them."""
GUIDE = 256
ZOOM = 1.02
"""From frame to frame of a film."""
FRAME = (2, 4)
"""Sizes and steps of a film's frame."""
FPS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What `dreamed` can be asked for; `verbs.dream` says what each is."""

    size: int = 512
    steps: int = 14
    octaves: int = 6
    frames: int = 0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Network:
    """What looks at pictures.

    Attributes:
        look: runs it on (1, 3, H, W) in [0, 1].
        layers: that can be looked at, by name.
        weights: of the layers that are.
        own: it is of a model that someone trained: it may not change the brightness of large parts, and does
            not see the largest size. Such networks are wide at full resolution, so that this size would take
            as long as all others together, and it shows nothing new.
    """

    look: Callable[[Tensor], object]
    layers: Mapping[str, nn.Module]
    weights: Mapping[str, float]
    own: bool

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """The maps of the chosen layers."""
        return maps(lambda: self.look(x), {name: self.layers[name] for name in self.weights})


def dreamed(
    picture: Picture,
    weights: Mapping[str, float],
    model: "Model | None",
    guide: Picture | None,
    settings: Settings,
    progress: Progress | None = None,
) -> Pictures:
    """A picture, or frames of a film, in which a network sees more than before.

    Raises:
        TooLarge: a size beyond 2,048, which takes about 3 GB.
        NotFound: the network has no such layer.
        Unable: the model has neither a discriminator nor an encoder.
    """
    if settings.size > LARGEST:
        raise TooLarge(f"size is {settings.size}; at most {LARGEST} pixels are dreamed")
    network = network_of(model, weights)
    base = resized(picture.colours(), settings.size)
    wanted = None
    if guide is not None:
        with torch.no_grad():
            found = network.maps(resized(guide.colours(), GUIDE))
        wanted = {name: f[0].flatten(1) for name, f in found.items()}
    sizes = octaves(base.shape[2], base.shape[3], settings.octaves)
    sizes = sizes[:-1] if network.own and len(sizes) > 1 else sizes
    total = settings.steps * len(sizes) + FRAME[0] * FRAME[1] * max(0, settings.frames - 1)
    dream = Dream(network, wanted, settings.seed, total, progress)
    shown = [dream.through(base, sizes, settings.steps)]
    while len(shown) < settings.frames:
        inside = zoomed(shown[-1])
        shown.append(dream.through(inside, sizes[-FRAME[0] :], FRAME[1]))
    if not settings.frames:
        return Pictures(pictures=[picture.with_colours(shown[0])], profile=picture.profile)
    opaque = dataclasses.replace(picture, pixels_HWC=picture.pixels_HWC[..., :3])
    return Pictures(pictures=[opaque.with_colours(frame) for frame in shown], fps=FPS)


def network_of(model: "Model | None", weights: Mapping[str, float]) -> Network:
    """EfficientNet-lite0, or the discriminator or encoder of a model, and the layers looked at.

    Raises:
        NotFound: it has no such layer; the message lists those that it has.
        Unable: the model has neither.
    """
    network = _efficientnet() if model is None else _own(model)
    for name in weights:
        if name not in network.layers:
            raise NotFound(f"no layer {name!r}; there are {', '.join(network.layers)}")
    return dataclasses.replace(network, weights=weights or network.weights)


def _efficientnet() -> Network:
    net = load_network()

    def look(x: Tensor) -> object:
        return net(((x * 255 - 127) / 128).contiguous(memory_format=torch.channels_last))

    return Network(look, net.layers(), LAYERS, own=False)


def _own(model: "Model") -> Network:
    look, (height, width, _) = _look_of(model), model.shape()
    layers = _used(model.family, lambda: look(torch.full((1, 3, height, width), 0.5)))
    names = list(layers)
    usual = {names[int(len(names) * share)]: 1.0 for share in (0.5, 0.8)}
    return Network(look, layers, usual, own=True)


def _look_of(model: "Model") -> Callable[[Tensor], object]:
    """What runs a model's discriminator, or its encoder, on (1, 3, H, W) in [0, 1] of any size."""
    family, (height, width, channels) = model.family, model.shape()

    def seen(x: Tensor) -> Tensor:
        if channels == 4:
            x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        inside = 2 * (x.mean(1, keepdim=True) if channels == 1 else x) - 1
        same = x.shape[2:] == (height, width)
        down, right = (0 if same else -side % WHOLE for side in x.shape[2:])
        return mirrored(inside, (0, right, 0, down)).to(model.device)

    if isinstance(family, Encodes):
        return lambda x: family.encode(seen(x))
    discriminator = getattr(family, "discriminator", None)
    if discriminator is None:
        raise Unable(
            f"a {model.facts['family']} has neither a discriminator nor an encoder to dream by; "
            "take the run of a gan, stylegan, vae, autoencoder or tokenizer"
        )
    return lambda x: discriminator(seen(x))


def _used(family: nn.Module, call: Callable[[], object]) -> dict[str, nn.Module]:
    """The convolutions that a call runs, in the order of use, by the names of their modules."""
    found: dict[str, nn.Module] = {}
    names = {
        module: name
        for name, module in family.named_modules()
        if isinstance(weight := getattr(module, "weight", None), Tensor) and weight.ndim == 4
    }

    def keep(module: nn.Module, given: object, output: object) -> None:
        found.setdefault(names[module], module)

    handles = [module.register_forward_hook(keep) for module in names]
    try:
        with torch.no_grad():
            call()
    finally:
        for handle in handles:
            handle.remove()
    return found


def octaves(height: int, width: int, count: int) -> list[tuple[int, int]]:
    """Heights and widths from coarse to fine; those that are too small are left out.

    >>> octaves(100, 200, 3)
    [(51, 102), (71, 143), (100, 200)]
    """
    sizes = [(round(height / RATIO**i), round(width / RATIO**i)) for i in range(count)]
    return [size for size in sizes[::-1] if min(size) >= SMALLEST] or [(height, width)]


def zoomed(x: Tensor) -> Tensor:
    """The middle of a picture, enlarged to its size."""
    height, width = x.shape[2:]
    rows, columns = (torch.linspace(-1, 1, side) / ZOOM for side in (height, width))
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), 2)[None]
    return F.grid_sample(x, grid, "bicubic", "border", align_corners=True).clamp(0, 1)


class Dream:
    """The ascent.

    Args:
        network: that looks.
        wanted: (C, P) features of a guide by layer, if any.
        seed: of the rolls.
        total: steps of all, for `progress`.
        progress: called with (steps done, total).
    """

    def __init__(
        self,
        network: Network,
        wanted: Mapping[str, Tensor] | None,
        seed: int,
        total: int,
        progress: Progress | None,
    ) -> None:
        self.network, self.wanted, self.total, self.progress = network, wanted, total, progress
        rng = Rng.for_rows(seed, "dream", 0, [0])
        self.rolls = (rng.integers("roll", 2 * JITTER + 1, total, 2)[0] - JITTER).tolist()
        self.done = 0

    def through(self, base: Tensor, sizes: list[tuple[int, int]], steps: int) -> Tensor:
        """The picture after so many steps at each size, at its own size."""
        detail, x = torch.zeros(1, 3, 1, 1), base
        for size in sizes:
            at = F.interpolate(base, size, mode="bicubic", antialias=True).clamp(0, 1)
            levels = self._levels(at)
            if detail.shape[2:] != (1, 1):
                detail = F.interpolate(detail, size, mode="bicubic")
            x = (at + detail).clamp(0, 1)
            for step in range(steps):
                share = step / max(1, steps - 1)
                x = self._step(x, levels, SMOOTH[0] + (SMOOTH[1] - SMOOTH[0]) * share)
                if self.network.own:
                    x = (x - widely_blurred(x - at)).clamp(0, 1)
            detail = x - at
        if x.shape != base.shape:
            x = (base + F.interpolate(detail, base.shape[2:], mode="bicubic")).clamp(0, 1)
        return x

    def _levels(self, x: Tensor) -> dict[str, float]:
        """The objective of each layer in the picture itself: a unit for it."""
        with torch.no_grad():
            found = self.network.maps(x)
        return {name: float(F.relu(f).square().mean()) + 1e-6 for name, f in found.items()}

    def _step(self, x: Tensor, levels: Mapping[str, float], blur: float) -> Tensor:
        down, right = self.rolls[self.done]
        rolled = x.roll((down, right), (2, 3)).detach().requires_grad_()
        terms = [
            weight * self._seen(name, f) / levels[name]
            for (name, weight), f in zip(
                self.network.weights.items(), self._in_order(rolled), strict=True
            )
        ]
        (gradient,) = torch.autograd.grad(torch.stack(terms).sum(), rolled)
        smooth = blurred(gradient, blur) + blurred(gradient, 2 * blur) / 2
        moved = rolled.detach() + STEP * smooth / smooth.abs().mean().clamp(min=1e-12)
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)
        return moved.roll((-down, -right), (2, 3)).clamp(0, 1)

    def _in_order(self, x: Tensor) -> list[Tensor]:
        found = self.network.maps(x)
        return [found[name] for name in self.network.weights]

    def _seen(self, name: str, map_1CHW: Tensor) -> Tensor:
        """How much of a layer there is, or how well it fits the guide."""
        if self.wanted is None:
            return F.relu(map_1CHW).square().mean()
        f_CP, guide_CP = map_1CHW[0].flatten(1), self.wanted[name]
        best_P = (f_CP.detach().T @ guide_CP).argmax(1)
        return (f_CP * guide_CP[:, best_P]).mean()


def widely_blurred(x: Tensor) -> Tensor:
    """A blur by `WIDE` pixels, on a quarter of the resolution."""
    small = blurred(F.avg_pool2d(x, 4, ceil_mode=True, count_include_pad=False), WIDE / 4)
    return F.interpolate(small, x.shape[2:], mode="bilinear")


def blurred(x: Tensor, deviation: float) -> Tensor:
    """A Gaussian blur; deviation in pixels."""
    reach = int(np.ceil(3 * deviation))
    t = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-t.square() / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(x.shape[1], -1, -1, -1)
    x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    x = F.conv2d(x, kernel, groups=x.shape[1])
    return F.conv2d(x, kernel.transpose(2, 3), groups=x.shape[1])
