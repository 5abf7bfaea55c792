"""Neural style by optimisation of the pixels, on the convolutions of EfficientNet-lite0.

    L(x) = sum_k w_k style_distance(x, style_k) + c |f(x) - f(content)|^2 / var f(content)

over five layers for style, and one for content (Gatys et al. 2015, arXiv:1508.06576). From the content, by
Adam with the pixels in [0, 1], at growing sizes: broad strokes come from the small ones. Every step looks at
one of twelve shifts of the picture, or else the lattice of the strides would show.

Above `TILE` pixels a side the maps are computed tile by tile, twice: once for the sums over the whole
picture, and once for the gradient that these have. So the statistics stay those of the whole picture, and
memory is that of a tile and of a few copies of the picture.

Shapes: B batch, C channels, H height, W width.
"""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zeuxis.core.errors import Invalid, TooLarge
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.create.pictures import Picture
from zeuxis.create.results import Pictures
from zeuxis.features.efficientnet import load_network
from zeuxis.features.maps import maps
from zeuxis.objectives.style import Sums, style_distance

STYLE = ("stem", "block1", "block2", "block4", "block6")
CONTENT = "block6"
STRIDE = 16
"""Of the deepest map."""
SHIFTS = 12
LIKENESS = 0.15
"""Weight of the content term at strength 1."""
STEPS = (100, 80, 60, 30, 20, 12)
"""At each size, from the smallest on."""
COARSEST = 96
"""Pixels of the longer side below which no size is gone through."""
RATE = 0.02
LARGEST = 4096
SMALLEST_STYLE = 32
FPS = 12
"""Of a film."""
TILE = 768
MARGIN = 64
"""Pixels around a tile that its maps see."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What `restyled` can be asked for; `verbs.restyle` says what each is."""

    size: int = 512
    strength: float = 1.0
    keep_colours: bool = False
    seed: int = 0


def shares_of(
    styles: Sequence[Picture], weights: Sequence[float], settings: Settings
) -> list[float]:
    """The styles' weights as shares of 1.

    Raises:
        TooLarge: a size beyond 4,096.
        Invalid: a style that is too small, as many weights as there are no styles, or all of them 0.
    """
    if settings.size > LARGEST:
        raise TooLarge(f"size is {settings.size}; at most {LARGEST} pixels are restyled")
    for style in styles:
        height, width = style.pixels_HWC.shape[:2]
        if min(height, width) < SMALLEST_STYLE:
            raise Invalid(
                f"the style {style.name or 'picture'} has {width} x {height} pixels; at least "
                f"{SMALLEST_STYLE} a side are needed to see strokes"
            )
    given = list(weights) or [1.0] * len(styles)
    if len(given) != len(styles):
        raise Invalid(
            f"found {len(given)} weights for {len(styles)} styles; give one for each or none"
        )
    if not sum(given):
        raise Invalid("all weights are 0; at least one style has to count")
    return [weight / sum(given) for weight in given]


def restyled(
    frames: Sequence[Picture],
    styles: Sequence[Picture],
    weights: Sequence[float],
    mask: Picture | None,
    settings: Settings,
    progress: Progress | None = None,
) -> Pictures:
    """A picture in the style of others, or the frames of a film.

    Each frame after the first starts from the one before, moved as the film moves, and takes half as many
    steps at the last size, at the same shifts: what does not move does not flicker.

    Raises:
        TooLarge, Invalid: as `shares_of`, or the mask is black.
    """
    shares = shares_of(styles, weights, settings)
    picture, content = frames[0], frames[0].colours()
    looks = [style.colours() for style in styles]
    if settings.keep_colours:
        looks = [recoloured(look, content) for look in looks]
    sizes = grown(settings.size)
    work = [STEPS[min(i, len(STEPS) - 1)] * size**2 for i, size in enumerate(sizes)]
    total = sum(work) + (len(frames) - 1) * work[-1] // 2
    x, first, last = None, 0.0, 0.0
    for i, size in enumerate(sizes):
        open_ = None if mask is None else mask_at(mask, content, size)
        scene = Scene(
            resized(content, size),
            [resized(look, size) for look in looks],
            shares,
            LIKENESS / settings.strength,
            open_,
            settings.seed,
        )
        start = (
            scene.content
            if x is None
            else F.interpolate(x, scene.content.shape[2:], mode="bicubic")
        )
        tick = _ticks(progress, sum(work[:i]), work[i], total)
        x, losses = scene.optimised(start, STEPS[min(i, len(STEPS) - 1)], tick)
        first, last = losses[0] if i == 0 else first, losses[-1]
    assert x is not None
    note = f"distance to the style, of what was optimised: {first:.2f} before, {last:.3f} after"
    shown = [picture.with_colours(x)]
    for i, frame in enumerate(frames[1:]):
        following = resized(frame.colours(), settings.size)
        start = (x + following - scene.content).clamp(0, 1)
        scene.show(following)
        tick = _ticks(progress, sum(work) + i * work[-1] // 2, work[-1] // 2, total)
        x, _ = scene.optimised(start, max(1, STEPS[min(len(sizes), len(STEPS)) - 1] // 2), tick)
        shown.append(frame.with_colours(x))
    fps = FPS if len(frames) > 1 else 0
    return Pictures(pictures=shown, fps=fps, profile=picture.profile, notes=[note])


def grown(size: int) -> list[int]:
    """Longer sides on the way to `size`.

    >>> grown(256), grown(300), grown(100)
    ([128, 256], [150, 300], [100])
    """
    return ([*grown(size // 2), size]) if size // 2 >= COARSEST else [size]


def resized(colours_1CHW: Tensor, size: int) -> Tensor:
    """Colours whose longer side has `size` pixels, by an antialiased filter."""
    height, width = colours_1CHW.shape[2:]
    scale = size / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    if shape == (height, width):
        return colours_1CHW
    return F.interpolate(colours_1CHW, shape, mode="bicubic", antialias=True).clamp(0, 1)


def recoloured(source_1CHW: Tensor, colours_1CHW: Tensor) -> Tensor:
    """A picture with the colour mean and covariance of another, by the linear optimal transport between them.

    It is the Monge map of two normal distributions (Pitié and Kokaram 2007, "The linear Monge-Kantorovitch
    linear colour mapping for example-based colour transfer").
    """

    def root(matrix: Tensor, power: float) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return vectors @ torch.diag(values.clamp(min=1e-8) ** power) @ vectors.T

    a_CP, b_CP = (x[0].flatten(1).double() for x in (source_1CHW, colours_1CHW))
    of_a, of_b = (torch.cov(x, correction=0) + 1e-6 * torch.eye(3).double() for x in (a_CP, b_CP))
    out, back = root(of_a, 0.5), root(of_a, -0.5)
    transport = back @ root(out @ of_b @ out, 0.5) @ back
    mapped = transport @ (a_CP - a_CP.mean(1, keepdim=True)) + b_CP.mean(1, keepdim=True)
    return mapped.float().reshape(source_1CHW.shape).clamp(0, 1)


class Scene:
    """What is optimised at one size: the content, the styles' sums, and the tiles.

    Args:
        content: (1, 3, H, W) in [0, 1].
        styles: (1, 3, h, w) each.
        shares: of the styles; their sum is 1.
        likeness: weight of the content term.
        open_: (1, 1, H, W) in [0, 1], 1 where it may change.
        seed: of the shifts.
    """

    def __init__(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        shares: Sequence[float],
        likeness: float,
        open_: Tensor | None,
        seed: int,
    ) -> None:
        self.content, self.likeness, self.shares, self.open = content, likeness, shares, open_
        rng = Rng.for_rows(seed, "restyle", 0, [0])
        self.shifts = rng.integers("shift", STRIDE, SHIFTS, 2)[0].tolist()
        self.order = rng.integers("order", SHIFTS, max(STEPS))[0].tolist()
        self.net = load_network()
        height, width = content.shape[2:]
        self.shape = tuple(-(-side // STRIDE) * STRIDE + STRIDE for side in (height, width))
        self.tiles = list(_tiles(*self.shape))
        with torch.no_grad():
            self.styles = [self._style(style) for style in styles]
        self._content: dict[int, list[Tensor]] = {}

    def show(self, content: Tensor) -> None:
        """Another content of the same size; the styles stay."""
        self.content, self._content = content, {}

    def optimised(
        self, x: Tensor, steps: int, tick: Callable[[float], None]
    ) -> tuple[Tensor, list[float]]:
        """The picture after so many steps of Adam, and the style's term at each step."""
        x = x.detach().clone().clamp(0, 1).requires_grad_()
        optimiser = torch.optim.Adam([x], RATE, betas=(0.9, 0.99))
        losses = []
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1.0, (steps - step) / (0.4 * steps))
            optimiser.zero_grad()
            losses.append(self._descend(x, self.order[step % len(self.order)]))
            optimiser.step()
            with torch.no_grad():
                x.clamp_(0, 1)
            tick((step + 1) / steps)
        return self._kept(x.detach()), losses

    def _kept(self, x: Tensor) -> Tensor:
        """The picture, with the content where the mask is closed."""
        if self.open is None:
            return x
        return self.open * x + (1 - self.open) * self.content

    def _descend(self, x: Tensor, shift: int) -> float:
        """Add the gradient of the loss to `x.grad`; the style's term."""
        if len(self.tiles) == 1:
            sums, likeness = self._look(self._kept(x), shift, self.tiles[0])
            style = self._distance(sums)
            (style + self.likeness * likeness).backward()
            return style.item()
        with torch.no_grad():
            parts = [self._look(self._kept(x), shift, tile)[0] for tile in self.tiles]
        whole = {
            layer: Sums(*(value.detach().requires_grad_() for value in vars(total).values()))
            for layer, total in _added(parts).items()
        }
        style = self._distance(whole)
        grads = torch.autograd.grad(style, _moments(whole))
        for tile in self.tiles:
            sums, likeness = self._look(self._kept(x), shift, tile)
            along = [(grad * part).sum() for grad, part in zip(grads, _moments(sums), strict=True)]
            (torch.stack(along).sum() + self.likeness * likeness).backward()
        return style.item()

    def _distance(self, sums: dict[str, Sums]) -> Tensor:
        terms = [
            w * style_distance(sums, s)[0] for w, s in zip(self.shares, self.styles, strict=True)
        ]
        return torch.stack(terms).sum()

    def _look(self, x: Tensor, shift: int, tile: "Tile") -> tuple[dict[str, Sums], Tensor]:
        """Sums of a tile's maps, and its share of the content term."""
        found = self._maps(x, shift, tile)
        open_ = None if self.open is None else tile.cut(self._moved(self.open, shift))
        sums = {layer: Sums.of(f, _weight(open_, f)) for layer, f in found.items()}
        wanted, spread = self._wanted(shift, tile)
        share = found[CONTENT].numel() * STRIDE**2 / found[CONTENT].shape[1]
        share /= self.shape[0] * self.shape[1]
        return sums, share * (found[CONTENT] - wanted).square().mean() / spread

    def _wanted(self, shift: int, tile: "Tile") -> tuple[Tensor, Tensor]:
        """The content's map of a tile and its variance; kept where there is one tile."""
        if shift in self._content:
            wanted, spread = self._content[shift]
            return wanted, spread
        with torch.no_grad():
            wanted = self._maps(self.content, shift, tile, (CONTENT,))[CONTENT]
            spread = wanted.var().clamp(min=1e-6)
        if len(self.tiles) == 1:
            self._content[shift] = [wanted, spread]
        return wanted, spread

    def _maps(
        self, x: Tensor, shift: int, tile: "Tile", layers: Sequence[str] = STYLE
    ) -> dict[str, Tensor]:
        seen = tile.seen(self._moved(x, shift))
        return {name: tile.within(f, seen) for name, f in self._network(seen, layers).items()}

    def _network(self, x: Tensor, layers: Sequence[str] = STYLE) -> dict[str, Tensor]:
        known = self.net.layers()
        given = ((x * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        return maps(lambda: self.net(given), {name: known[name] for name in layers})

    def _moved(self, x: Tensor, shift: int) -> Tensor:
        """The picture with a mirrored border, moved by a shift, at a whole number of strides."""
        down, right = self.shifts[shift]
        height, width = x.shape[2:]
        bottom, to_right = self.shape[0] - height - down, self.shape[1] - width - right
        return mirrored(x, (right, to_right, down, bottom))

    def _style(self, style: Tensor) -> dict[str, Sums]:
        """Sums of a style's maps."""
        height, width = (side // STRIDE * STRIDE for side in style.shape[2:])
        whole = style[..., :height, :width]
        parts = []
        for tile in _tiles(height, width):
            seen = tile.seen(whole)
            found = self._network(seen)
            parts.append({name: Sums.of(tile.within(f, seen)) for name, f in found.items()})
        return _added(parts)


@dataclasses.dataclass(frozen=True)
class Tile:
    """A part of a padded picture, in pixels; what it sees is wider by a margin.

    Attributes:
        top, bottom, left, right: of the part.
    """

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, x: Tensor) -> Tensor:
        """The part alone."""
        return x[..., self.top : self.bottom, self.left : self.right]

    def seen(self, x: Tensor) -> Tensor:
        """The part with its margin, where the picture has one."""
        top, left = max(0, self.top - MARGIN), max(0, self.left - MARGIN)
        return x[..., top : self.bottom + MARGIN, left : self.right + MARGIN]

    def within(self, map_BCHW: Tensor, seen: Tensor) -> Tensor:
        """The places of a map that belong to the part."""
        stride = seen.shape[2] // map_BCHW.shape[2]
        top, left = min(self.top, MARGIN) // stride, min(self.left, MARGIN) // stride
        height, width = (self.bottom - self.top) // stride, (self.right - self.left) // stride
        return map_BCHW[..., top : top + height, left : left + width]


def _tiles(height: int, width: int) -> Iterator[Tile]:
    """Parts of about equal size that cover a picture, at whole strides."""
    for top, bottom in _spans(height):
        for left, right in _spans(width):
            yield Tile(top, bottom, left, right)


def _spans(side: int) -> list[tuple[int, int]]:
    count = -(-side // TILE)
    edges = [side * i // count // STRIDE * STRIDE for i in range(count)] + [side]
    return list(itertools.pairwise(edges))


def _added(parts: Sequence[dict[str, Sums]]) -> dict[str, Sums]:
    return {
        layer: functools.reduce(operator.add, (part[layer] for part in parts)) for layer in parts[0]
    }


def _moments(sums: dict[str, Sums]) -> list[Tensor]:
    """What a style's distance depends on, but for the weight of the places, which is given."""
    return [value for one in sums.values() for value in (one.first_BC, one.second_BCC)]


def mirrored(x: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    """A picture with mirrored borders (left, right, top, bottom), which may be wider than itself."""
    for axis, before, after in ((3, *pads[:2]), (2, *pads[2:])):
        side = x.shape[axis]
        index = torch.arange(-before, side + after)
        turn = max(1, 2 * (side - 1))
        index = index.remainder(turn)
        x = x.index_select(axis, torch.minimum(index, turn - index).clamp(max=side - 1))
    return x


def _weight(open_: Tensor | None, map_BCHW: Tensor) -> Tensor | None:
    return None if open_ is None else F.interpolate(open_, map_BCHW.shape[2:], mode="area")


def mask_at(mask: Picture, content: Tensor, size: int) -> Tensor:
    """(1, 1, H, W) in [0, 1] of the content's shape at a size; 1 where the mask is white and opaque."""
    white = mask.colours().mean(1, keepdim=True)
    if mask.alpha_HW is not None:
        white = white * torch.from_numpy(mask.alpha_HW / np.float32(255))[None, None]
    shape = resized(content, size).shape[2:]
    open_ = F.interpolate(white, shape, mode="bilinear", antialias=True)
    if open_.max() < 0.5:
        raise Invalid(f"the mask {mask.name} is black: white is what is to be restyled")
    return open_


def _ticks(
    progress: Progress | None, before: int, share: int, total: int
) -> Callable[[float], None]:
    """What is told the part of one size that is done, in thousands of pixels."""

    def tick(part: float) -> None:
        if progress is not None:
            progress(round((before + share * part) / 1000), round(total / 1000))

    return tick
