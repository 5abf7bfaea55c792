"""Networks on a torus: every operation that looks beyond its own place sees the opposite side at the border.

What such a network makes tiles without a seam, and rolling its grid of features rolls its image. This is
the one place that knows how; layers and families do not.

Shapes: B batch, C channels, H height, W width.
"""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.errors import Invalid
from zeuxis.core.rng import Rng
from zeuxis.nn.modulated import EqualConv, ModulatedConv

Tileable = Literal["none", "x", "y", "both"]
"""Along which axes an image continues on its opposite side."""

_Network = TypeVar("_Network", bound=nn.Module)

AXES: dict[Tileable, tuple[int, ...]] = {"none": (), "x": (3,), "y": (2,), "both": (2, 3)}


class Double(nn.Module):
    """Bilinear upsampling by two: the filter [1, 3, 3, 1], which leaves no checkerboard."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return F.interpolate(x_BCHW, scale_factor=2, mode="bilinear")


def wrapped(network: _Network, tileable: Tileable) -> _Network:
    """The same network, with the same tensors, on a torus along the axes; itself for `none`.

    Each layer is given a border from the opposite side, and what it makes of the border is cut off. So
    layers keep their own padding along the other axis.
    """
    if tileable == "none":
        return network
    shared = {id(each): each for each in (*network.parameters(), *network.buffers())}
    twin = copy.deepcopy(network, shared)
    for layer in twin.modules():
        reach, scale = _reach(layer)
        if reach:
            border = _Border(AXES[tileable], reach, scale)
            layer.register_forward_pre_hook(border.add)
            layer.register_forward_hook(border.cut)
    return twin


def _reach(layer: nn.Module) -> tuple[int, int]:
    """How many places beyond its own a layer looks at, and places put out along a side for each place."""
    if isinstance(layer, nn.Conv2d | EqualConv | ModulatedConv):
        return layer.weight.shape[-1] // 2, 1
    return (1, 2) if isinstance(layer, nn.ConvTranspose2d | Double) else (0, 1)


@dataclasses.dataclass(frozen=True)
class _Border:
    """What a layer is given, and what is cut off again."""

    axes: Sequence[int]
    reach: int
    scale: int

    def add(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The opposite side's places before and after those of its first argument."""
        x = args[0]
        for axis in self.axes:
            before = x.narrow(axis, x.shape[axis] - self.reach, self.reach)
            x = torch.cat([before, x, x.narrow(axis, 0, self.reach)], axis)
        return (x, *args[1:])

    def cut(self, layer: nn.Module, args: tuple[Any, ...], y: Tensor) -> Tensor:
        """What was made of the first places alone."""
        wide = self.reach * self.scale
        for axis in self.axes:
            y = y.narrow(axis, wide, y.shape[axis] - 2 * wide)
        return y


def rolled(image_BCHW: Tensor, rng: Rng, tileable: Tileable) -> Tensor:
    """Images whose origin is moved at random along the axes: a discriminator then sees across their border.

    It does not wrap itself, as real images have no such border.
    """
    if tileable == "none":
        return image_BCHW
    uniform_B2 = rng.uniform("roll", 2)
    for axis in AXES[tileable]:
        side = image_BCHW.shape[axis]
        start_B1 = (uniform_B2[:, axis - 2, None] * side).long()
        index_BS = (torch.arange(side, device=image_BCHW.device) + start_B1) % side
        shape = (-1, 1, side, 1) if axis == 2 else (-1, 1, 1, side)
        image_BCHW = image_BCHW.gather(axis, index_BS.view(shape).expand_as(image_BCHW))
    return image_BCHW


def check_sides(tileable: Tileable, height: int, width: int, fold: int) -> None:
    """Refuse images that networks would have to pad.

    Args:
        tileable: along which axes.
        height: of the images.
        width: of the images.
        fold: pixels along a side for one place of the coarsest grid.

    Raises:
        Invalid: a side that is to wrap is no multiple of `fold`.
    """
    sides = {2: ("height", height), 3: ("width", width)}
    for name, side in (sides[axis] for axis in AXES[tileable]):
        if side % fold:
            raise Invalid(
                f"{name} is {side}, which is no multiple of {fold}: images that are to tile along {tileable} "
                f"need {side + -side % fold}; set data.size, or family.tileable=none"
            )
