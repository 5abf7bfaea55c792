"""Height and normal maps of a picture: a bump look, not geometry, as they are guessed from its brightness.

They tile as the picture does: what looks beyond its own pixel sees the opposite side.

Shapes: H height, W width, C channels.
"""

from typing import Literal

import numpy as np

Normals = Literal["opengl", "directx"]
"""What green means: up the picture in OpenGL, down in DirectX."""

WIDE = 1 / 8
"""Standard deviation of the blur that takes light and shade away, as a share of the shorter side."""
STEEP = 0.95
"""Share of slopes below 45 degrees."""
LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue (ITU-R BT.709)."""


def height_map(pixels_HWC: np.ndarray, wraps: tuple[bool, bool]) -> np.ndarray:
    """Luminance minus a wide blur of itself, (H, W) float32 in [-1, 1].

    Args:
        pixels_HWC: uint8; alpha counts as depth: what is transparent is flat.
        wraps: whether the picture tiles from top to bottom, and from left to right.
    """
    colours = pixels_HWC[..., :3].astype(np.float32) / 255
    light = colours @ np.array(LUMINANCE, np.float32) if colours.shape[2] == 3 else colours[..., 0]
    relief = light - blurred(light, WIDE * min(light.shape), wraps)
    if pixels_HWC.shape[2] == 4:
        relief *= pixels_HWC[..., 3].astype(np.float32) / 255
    return np.asarray(relief)


def height_picture(height_HW: np.ndarray) -> np.ndarray:
    """Heights as grey, (H, W, 1) uint8: 128 is level, the farthest from it is black or white."""
    most = max(float(np.abs(height_HW).max()), 1e-6)
    return np.rint(127.5 + 127.5 / most * height_HW).astype(np.uint8)[..., None]


def normal_picture(height_HW: np.ndarray, wraps: tuple[bool, bool], normals: Normals) -> np.ndarray:
    """Unit normals of a relief as colours, (H, W, 3) uint8: red to the right, green by convention, blue up.

    Slopes are Sobel's, scaled so that 95 % of them are below 45 degrees.
    """
    padded = np.pad(height_HW, ((1, 1), (0, 0)), "wrap" if wraps[0] else "edge")
    padded = np.pad(padded, ((0, 0), (1, 1)), "wrap" if wraps[1] else "edge")
    right = _smooth(padded[:, 2:] - padded[:, :-2], 0)
    down = _smooth(padded[2:] - padded[:-2], 1)
    steep = max(float(np.quantile(np.hypot(right, down), STEEP)), 1e-6)
    green = down if normals == "opengl" else -down  # what rises down the picture faces up
    vectors = np.stack([-right / steep, green / steep, np.ones_like(right)], 2)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    return np.rint(127.5 + 127.5 * vectors).astype(np.uint8)


def _smooth(x: np.ndarray, axis: int) -> np.ndarray:
    """Weights 1, 2, 1 along an axis that gets shorter by two."""
    x = np.moveaxis(x, axis, 0)
    return np.moveaxis(x[:-2] + 2 * x[1:-1] + x[2:], 0, axis)


def blurred(values_HW: np.ndarray, deviation: float, wraps: tuple[bool, bool]) -> np.ndarray:
    """Gaussian blur on a circle along the axes that wrap, on a mirror along the others; float32."""
    spread = values_HW
    for axis, wrap in enumerate(wraps):
        side = spread.shape[axis]
        whole = spread if wrap else np.concatenate([spread, np.flip(spread, axis)], axis)
        wave = np.fft.rfftfreq(whole.shape[axis])
        keep = np.exp(-2 * (np.pi * deviation * wave) ** 2)
        shape = [1, 1]
        shape[axis] = len(wave)
        smooth = np.fft.irfft(
            np.fft.rfft(whole, axis=axis) * keep.reshape(shape), whole.shape[axis], axis
        )
        spread = np.take(smooth, range(side), axis).astype(np.float32)
    return spread
