"""Textures of a picture: a tile without a seam, a variation, or the same texture at another size.

Shapes: H height, W width, C channels.
"""

import dataclasses
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zeuxis.core.errors import Invalid, TooLarge
from zeuxis.core.progress import Progress
from zeuxis.create.maps import Normals, height_map, height_picture, normal_picture
from zeuxis.create.patches import PATCH, resized, synthesise
from zeuxis.create.pictures import Picture
from zeuxis.create.results import Texture
from zeuxis.metrics.seam import BAR, seams

Mode = Literal["tile", "vary", "extend"]
Tile = Literal["x", "y", "both"]

SMALLEST = 16
"""Pixels of the shorter side of a source: fewer hold next to no patches."""
LARGEST_SOURCE = 1024
"""Pixels of the longer side that patches are taken from."""
LARGEST = 2048
"""Pixels of the longer side of a result."""
EXTENDED = 2
"""Factor on both sides of a texture that is extended, if no size is asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What `textured` can be asked for; `verbs.texture` says what each is."""

    mode: Mode = "tile"
    tile: Tile = "both"
    size: int = 0
    seed: int = 0
    maps: bool = False
    normals: Normals = "opengl"


def textured(picture: Picture, settings: Settings, progress: Progress | None = None) -> Texture:
    """A texture made of the patches of a picture.

    Raises:
        TooLarge: a size beyond 2,048.
        Invalid: a picture that is too small.
    """
    source, notes = _source(picture)
    shape = _shape(source, settings)
    tile = settings.mode == "tile"
    wraps = tile and settings.tile != "x", tile and settings.tile != "y"
    made_CHW = synthesise(source, shape, wraps, settings.seed, progress)
    shown = levels(made_CHW)
    before, after = seams(levels(source)), seams(shown)
    for axis, wrap in zip("yx", wraps, strict=True):
        notes += [_said(axis, before[axis].rank, after[axis].rank)] if wrap else []
    pixels_HWC = levels(_straight(made_CHW))
    maps = {}
    if settings.maps:
        height_HW = height_map(pixels_HWC, wraps)
        maps["height"] = height_picture(height_HW)
        maps[f"normal-{settings.normals}"] = normal_picture(height_HW, wraps, settings.normals)
        notes.append("the maps are a bump look guessed from brightness, not geometry")
    return Texture(pictures=[pixels_HWC], profile=picture.profile, notes=notes, maps=maps)


def _source(picture: Picture) -> tuple[Tensor, list[str]]:
    """(C, h, w) float32 in [0, 1], premultiplied, within the bounds; and what is to be said of it."""
    height, width = picture.pixels_HWC.shape[:2]
    what = f"{picture.name or 'the picture'} has {width} x {height} pixels"
    scale = min(1.0, LARGEST_SOURCE / max(height, width))
    if min(height, width) * scale < SMALLEST:
        raise Invalid(
            f"{what}; patches of {PATCH} x {PATCH} need at least {SMALLEST} along each side, with at most "
            f"{LARGEST_SOURCE} along the longer one; give a larger or a squarer picture"
        )
    source = torch.from_numpy(picture.pixels_HWC.copy()).permute(2, 0, 1).float() / 255
    if len(source) == 4:
        source = torch.cat([source[:3] * source[3:], source[3:]])
    if scale == 1:
        return source, []
    size = [round(side * scale) for side in (height, width)]
    note = f"{what}: its patches are taken at {size[1]} x {size[0]}"
    return resized(source, size).clamp(0, 1), [note]


def _shape(source: Tensor, settings: Settings) -> tuple[int, int]:
    """Height and width of the result, in the proportions of the source."""
    height, width = source.shape[1:]
    longer = max(height, width)
    size = settings.size or min(LARGEST, longer * (EXTENDED if settings.mode == "extend" else 1))
    if size > LARGEST:
        raise TooLarge(f"size is {size}; at most {LARGEST} pixels are made")
    shape = round(height * size / longer), round(width * size / longer)
    if min(shape) < SMALLEST:
        raise Invalid(
            f"size {size} makes the result {shape[1]} x {shape[0]} pixels; at least {SMALLEST} are needed "
            "along each side"
        )
    return shape


def levels(x_CHW: Tensor) -> np.ndarray:
    """[0, 1] as (H, W, C) uint8."""
    return (x_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _straight(x_CHW: Tensor) -> Tensor:
    """Colours that are no longer multiplied by alpha."""
    if len(x_CHW) < 4:
        return x_CHW
    alpha = x_CHW[3:]
    return torch.cat([(x_CHW[:3] / alpha.clamp(min=1 / 255)).clamp(0, 1), alpha])


def _said(axis: str, before: float, after: float) -> str:
    verdict = "no seam" if after <= BAR else "look at it: another --seed may hide it better"
    return (
        f"{axis}: the step across the border ranks {after:.2f} among those inside ({before:.2f} in the "
        f"picture itself; up to {BAR:.2f} is inconspicuous): {verdict}"
    )
