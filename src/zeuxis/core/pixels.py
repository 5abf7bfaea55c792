"""The only place where pixel range, dtype and layout change.

Outside: uint8 in [0, 255], (N, H, W, C) arrays. Inside: float32 in [-1, 1], (B, C, H, W) tensors in
channels_last memory, which is the same order of bytes.

With an alpha channel, colours outside are as files have them ("straight"), inside they are multiplied by
alpha: what is resized, blurred, interpolated or learned is what is seen (Porter and Duff 1984), and colours
that nobody sees count for nothing. Models that were trained before this have straight colours inside, too.
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeuxis.core.files import write_file

CHUNK = 4096
"""Colours that are compared with those of a legend at a time."""


def from_uint8(
    pixels_BCHW: Tensor, dtype: torch.dtype = torch.float32, straight: bool = False
) -> Tensor:
    """Map uint8 pixels to the model range, colours times alpha unless they are to stay `straight`.

    >>> from_uint8(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    [-1.0, 1.0]
    """
    if pixels_BCHW.dtype != torch.uint8:
        raise TypeError(f"expected uint8 pixels, got {pixels_BCHW.dtype}")
    if pixels_BCHW.shape[1:2] == (4,) and not straight:
        return (premultiplied(pixels_BCHW.float()) / 127.5 - 1.0).to(dtype)
    return pixels_BCHW.to(dtype) / 127.5 - 1.0


def premultiplied(levels_BCHW: Tensor) -> Tensor:
    """Colours times alpha, floating levels in [0, 255]; without an alpha channel as they are."""
    if levels_BCHW.shape[1] != 4:
        return levels_BCHW
    alpha_B1HW = levels_BCHW[:, 3:]
    return torch.cat([levels_BCHW[:, :3] * (alpha_B1HW / 255), alpha_B1HW], 1)


def divided(levels_B4HW: Tensor) -> Tensor:
    """Inverse of `premultiplied`, uint8; what is wholly transparent becomes white."""
    alpha_B1HW = levels_B4HW[:, 3:].round().clamp(0, 255)
    colour_B3HW = levels_B4HW[:, :3] * (255 / alpha_B1HW.clamp(min=1))
    colour_B3HW = torch.where(alpha_B1HW > 0, colour_B3HW.round().clamp(0, 255), 255)
    return torch.cat([colour_B3HW, alpha_B1HW], 1).to(torch.uint8)


def to_uint8(image_BCHW: Tensor, straight: bool = False) -> Tensor:
    """Map the model range to uint8 pixels, rounding to nearest and clipping what overshoots.

    >>> to_uint8(torch.tensor([-1.0, 0.0, 1.2])).tolist()
    [0, 128, 255]
    """
    levels_BCHW = (image_BCHW.float() + 1.0) * 127.5
    if levels_BCHW.shape[1:2] == (4,) and not straight:
        return divided(levels_BCHW)
    return levels_BCHW.round().clamp(0, 255).to(torch.uint8)


def to_levels(image_BCHW: Tensor, levels: int = 256) -> Tensor:
    """Map the model range to the nearest of `levels` evenly spaced levels, int64.

    >>> to_levels(torch.tensor([-1.0, 0.1, 1.0]), 3).tolist()
    [0, 1, 2]
    """
    scaled = (image_BCHW.float() + 1.0) * ((levels - 1) / 2)
    return scaled.round().clamp(0, levels - 1).long()


def from_levels(level_BCHW: Tensor, levels: int = 256) -> Tensor:
    """Inverse of `to_levels`: float32 in [-1, 1].

    >>> from_levels(torch.tensor([0, 1, 2]), 3).tolist()
    [-1.0, 0.0, 1.0]
    """
    return level_BCHW.float() * (2 / (levels - 1)) - 1.0


def distinct(count: int) -> np.ndarray:
    """Colours (count, 3) uint8 of class ids to look at: neighbouring ids differ most."""
    hue = 2 * np.pi * (np.arange(count) * 0.61803398875 + np.array([[0], [1 / 3], [2 / 3]]))
    return np.rint(150 + 90 * np.cos(hue)).T.astype(np.uint8)


def nearest_ids(pixels_HWC: np.ndarray, colours_K3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The id (H, W) int64 of the colour nearest to each pixel, and how far it is off, in levels of a channel.

    Args:
        pixels_HWC: RGB or RGBA, uint8; what is wholly transparent has id -1.
        colours_K3: uint8, of the ids 0, 1, ...
    """
    levels = pixels_HWC[..., :3].astype(np.int32)
    packed, where = np.unique(levels @ (1 << 16, 1 << 8, 1), return_inverse=True)
    different_M3 = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1)
    best, off = np.zeros((2, len(packed)), np.int64)
    for start in range(0, len(packed), CHUNK):
        part = slice(start, start + CHUNK)
        apart = np.abs(different_M3[part, None] - colours_K3.astype(np.int32))
        best[part] = (apart**2).sum(2).argmin(1)
        off[part] = apart[np.arange(len(apart)), best[part]].max(1)
    where = where.reshape(levels.shape[:2])
    ids_HW, off_HW = best[where], off[where]
    if pixels_HWC.shape[2] == 4:
        clear = pixels_HWC[..., 3] == 0
        ids_HW[clear], off_HW[clear] = -1, 0
    return ids_HW, off_HW


def seen(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Colours times alpha, uint8, so that levels which nobody sees do not differ; others as they are."""
    if pixels_NHWC.shape[-1] != 4:
        return pixels_NHWC
    alpha = pixels_NHWC[..., 3:].astype(np.uint16)
    colours = (pixels_NHWC[..., :3] * alpha + 127) // 255
    return np.concatenate([colours, alpha], -1).astype(np.uint8)


GROUNDS = (0, 128, 255)
"""Grey levels that transparent images are laid on to be measured."""


def over(pixels_NHWC: np.ndarray, ground: np.ndarray | int) -> np.ndarray:
    """Images with an alpha channel on a ground, (N, H, W, 3) uint8; others as they are."""
    if pixels_NHWC.shape[-1] != 4:
        return pixels_NHWC
    alpha = pixels_NHWC[..., 3:].astype(np.float32) / 255
    mixed = pixels_NHWC[..., :3] * alpha + np.asarray(ground, np.float32) * (1 - alpha)
    return np.rint(mixed).astype(np.uint8)


def composites(pixels_NHWC: np.ndarray) -> np.ndarray:
    """On black, grey and white side by side, (N, H, 3 W, 3), to be measured; opaque images as they are."""
    if pixels_NHWC.shape[-1] != 4:
        return pixels_NHWC
    return np.concatenate([over(pixels_NHWC, ground) for ground in GROUNDS], 2)


def checkered(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Images with an alpha channel on a pattern of squares, to be looked at; others as they are."""
    height, width = pixels_NHWC.shape[1:3]
    side = max(1, max(height, width) // 16)
    odd = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    return over(pixels_NHWC, np.where(odd, 204, 255)[..., None])


def to_array(pixels_BCHW: Tensor) -> np.ndarray:
    """(B, C, H, W) uint8 tensor -> (B, H, W, C) uint8 array."""
    return pixels_BCHW.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_tensor(pixels_NHWC: np.ndarray) -> Tensor:
    """(N, H, W, C) uint8 array -> (N, C, H, W) uint8 tensor in channels_last memory, no copy."""
    return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2)


def to_pil(pixels_HWC: np.ndarray) -> Image.Image:
    """(H, W, C) uint8 array with 1, 3 or 4 channels -> Pillow image."""
    return Image.fromarray(pixels_HWC[..., 0] if pixels_HWC.shape[-1] == 1 else pixels_HWC)


def png_bytes(pixels_HWC: np.ndarray) -> bytes:
    """The image as a PNG file's bytes."""
    buffer = io.BytesIO()
    to_pil(pixels_HWC).save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(path: Path, pixels_HWC: np.ndarray, sync: bool = True) -> None:
    """Write one image as PNG, atomically; `sync` as for `write_file`."""
    content = png_bytes(pixels_HWC)
    write_file(path, lambda beside: beside.write_bytes(content), sync)


SHEET = 512
"""Pixels that the longer side of a sheet has at least."""


def enlarged(pixels_HWC: np.ndarray, least: int = SHEET, even: bool = False) -> np.ndarray:
    """An image enlarged without smoothing by a whole factor, until its longer side has `least` pixels.

    `even` makes a factor above 1 even.

    >>> enlarged(np.zeros((100, 20, 3), np.uint8)).shape
    (600, 120, 3)
    """
    height, width = pixels_HWC.shape[:2]
    factor = whole_factor(height, width, least)
    factor += even and factor > 1 and factor % 2
    return pixels_HWC.repeat(factor, axis=0).repeat(factor, axis=1)


def whole_factor(height: int, width: int, least: int = SHEET) -> int:
    """The smallest whole factor that gives the longer side `least` pixels."""
    return max(1, -(-least // max(height, width)))


def grid(pixels_NHWC: np.ndarray, columns: int = 0, gap: int = 1, scale: int = 1) -> np.ndarray:
    """Lay images out row by row on one white sheet, (H', W', C) uint8; transparent ones on a pattern.

    Args:
        pixels_NHWC: the images, uint8.
        columns: images in a row; 0 makes the sheet about square.
        gap: pixels between images (after scaling).
        scale: whole-number enlargement without smoothing, to see single pixels.
    """
    pixels_NHWC = checkered(pixels_NHWC)
    if scale > 1:
        pixels_NHWC = pixels_NHWC.repeat(scale, axis=1).repeat(scale, axis=2)
    n, h, w, c = pixels_NHWC.shape
    columns = columns or max(1, int(np.ceil(np.sqrt(n))))
    rows = -(-n // columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), 255, np.uint8)
    for i, image in enumerate(pixels_NHWC):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        sheet[y : y + h, x : x + w] = image
    return sheet
