"""Augmentation of images, maps and masks, each row from its own named draws: pure in (seed, draw, row).

Fields of one item that are given the same draws are moved alike, whatever their sizes; colours change in
images only, and what holds class ids is never mixed: each pixel takes the nearest one's.

Legend: B rows, H height, W width, C channels (1, 3 or 4; alpha is never recoloured).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from zeuxis.core.fields import KINDS, Kind
from zeuxis.core.pixels import divided, premultiplied
from zeuxis.core.settings import Data

Draw = Callable[[str, int], np.ndarray]
"""(name, count) -> (B, count) uniforms on [0, 1)."""


def is_active(settings: Data) -> bool:
    """Whether `augment` would change anything."""
    switches = (settings.flip, settings.flip_vertical, settings.crop, settings.rotate)
    return any(switches) or settings.colour > 0


def augment(
    items: np.ndarray, settings: Data, draw: Draw, kind: Kind = KINDS["image"]
) -> np.ndarray:
    """Flip, crop and rotate, recolour, in this order.

    Args:
        items: as stored: images (B, H, W, C) uint8, maps (B, H, W) int16 or masks (B, H, W) uint8.
        settings: what is done, and how much of it.
        draw: uniforms of these rows.
        kind: of the field.

    Returns:
        The same shape and type.
    """
    out = items.copy()
    if settings.flip:
        rows = np.flatnonzero(draw("flip", 1)[:, 0] < 0.5)
        out[rows] = out[rows, :, ::-1]
    if settings.flip_vertical:
        rows = np.flatnonzero(draw("flip_vertical", 1)[:, 0] < 0.5)
        out[rows] = out[rows, ::-1]
    if settings.crop or settings.rotate:
        out = _warp(out, settings, draw, kind.resampling == "smooth")
    if settings.colour and kind.coloured:
        out = _recolour(out, settings.colour, draw("colour", 3))
    return out


def _warp(items: np.ndarray, settings: Data, draw: Draw, smooth: bool) -> np.ndarray:
    """A random crop, enlarged to the full frame, and a rotation, in one resampling: bilinear, or nearest.

    Beyond the edge the image is mirrored.
    """
    b, h, w = items.shape[:3]
    cut = draw("crop", 4)
    zoom = 1 - settings.crop * cut[:, :2]
    shift = (2 * cut[:, 2:] - 1) * (1 - zoom)
    angle = (2 * draw("rotate", 1)[:, 0] - 1) * math.radians(settings.rotate)
    cos, sin = np.cos(angle), np.sin(angle)
    # Grid coordinates are in half frames: the rotation is in pixels, hence the ratios of sides.
    theta = np.stack(
        [
            np.stack([cos * zoom[:, 0], -sin * zoom[:, 1] * h / w, shift[:, 0]], -1),
            np.stack([sin * zoom[:, 0] * w / h, cos * zoom[:, 1], shift[:, 1]], -1),
        ],
        1,
    )
    stored = torch.from_numpy(np.ascontiguousarray(items.reshape(b, h, w, -1)))
    grid = F.affine_grid(torch.from_numpy(theta).float(), [b, 1, h, w], align_corners=False)
    seen = stored.permute(0, 3, 1, 2).float()
    out = F.grid_sample(
        premultiplied(seen) if smooth else seen,
        grid,
        mode="bilinear" if smooth else "nearest",
        padding_mode="reflection",
        align_corners=False,
    )
    if smooth and out.shape[1] == 4:
        return divided(out).permute(0, 2, 3, 1).numpy()
    limits = torch.iinfo(stored.dtype)
    whole = out.round().clamp(limits.min, limits.max).to(stored.dtype)
    return whole.permute(0, 2, 3, 1).numpy().reshape(items.shape)


def _recolour(pixels_BHWC: np.ndarray, strength: float, draws: np.ndarray) -> np.ndarray:
    """Brightness, contrast and saturation, each by a factor in [1 - 0.8 s, 1 + 0.8 s].

    One affine map of the colours per image; means are sums of whole numbers, so that no bit depends
    on how many rows are worked on at once.
    """
    colours = min(3, pixels_BHWC.shape[-1])
    rgb = pixels_BHWC[..., :colours]
    bright, contrast, saturation = (1 + 0.8 * strength * (2 * draws - 1)).astype(np.float32).T
    area = rgb.shape[1] * rgb.shape[2]
    weights = LUMA if colours == 3 else np.ones(1, np.float32)
    sums = rgb.reshape(len(rgb), area, colours).sum(axis=1, dtype=np.int64)
    mean = (sums.astype(np.float64) / area * weights).sum(axis=1).astype(np.float32)
    matrix = np.eye(colours, dtype=np.float32) * saturation[:, None, None]
    matrix += (1 - saturation)[:, None, None] * weights[:, None]
    matrix *= (bright * contrast)[:, None, None]
    offset = bright * (1 - contrast) * mean
    out = np.empty_like(pixels_BHWC)
    out[..., colours:] = pixels_BHWC[..., colours:]
    changed = np.empty(rgb.shape, np.float32)
    for c in range(colours):
        mixed = sum(rgb[..., k] * matrix[:, k, c, None, None] for k in range(colours))
        changed[..., c] = mixed + offset[:, None, None]
    out[..., :colours] = np.clip(np.rint(changed), 0, 255)
    return out


LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601), as Pillow uses them."""
