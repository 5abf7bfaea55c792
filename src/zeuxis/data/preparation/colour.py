"""From whatever a file's pixels mean to 8 bits of sRGB, in mode L, RGB or RGBA.

What Pillow has narrowed before one can look (16-bit colour keys, a negative's meaning, a grey profile
beside an alpha channel) is told from the file's own tags. Legend: H height, W width.
"""

import functools
import io
import struct
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from zeuxis.core.errors import Invalid
from zeuxis.data.preparation.warn import DEEP

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Modes without colour."""
CLEAR = "transparent, laid on white"
SAME = 4
"""Levels that a profile called sRGB may be off, and still be sRGB: they are rounded in many ways."""
SRGB_GAMMA, GAMMA_SAME = 1 / 2.2, 0.02
WHITE_IS_ZERO = 262
"""TIFF's tag PhotometricInterpretation; its value 0 means that 0 is white."""


class Unsupported(Invalid):
    """Pixels whose black and white nobody knows."""


def plain(image: Image.Image, notes: list[str]) -> Image.Image:
    """The image, loaded, in mode L, RGB or RGBA, in sRGB.

    Args:
        image: of a file.
        notes: takes what was done.

    Raises:
        Unsupported: floating-point pixels, or grey levels beyond 16 bits.
    """
    if image.mode == "F":
        raise Unsupported("floating-point pixels: their black and white are unknown")
    if image.mode.startswith("I;16") or image.mode == "I":
        return _grey16(image, notes)
    if image.mode in ("1", "L", "LA"):
        return _grey8(image, notes)
    profile = image.info.get("icc_profile")
    alpha = _alpha(image)
    if image.mode not in ("RGB", "CMYK"):
        image = image.convert("RGB" if alpha is None else "RGBA").convert("RGB")
    if profile:
        image = _to_srgb(image, profile, notes)
    elif curve := _gamma(image, notes):
        image = image.point(np.rint(_apply(curve, np.arange(256))).astype(int).tolist() * 3)
    image = image.convert("RGB") if image.mode == "CMYK" else image
    return image if alpha is None else _with_alpha(image, alpha)


def _alpha(image: Image.Image) -> Image.Image | None:
    """The alpha channel, as mode L; None where all is opaque by the file's form."""
    if not image.has_transparency_data:
        return None
    key = image.info.get("transparency")
    if (lower := image.info.get("low")) is not None:
        high, low = (np.asarray(part).astype(np.uint16) for part in (image, lower))
        hidden = (256 * high + low == np.array(key)).all(-1)
        return Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8))
    alpha = image.convert("RGBA").getchannel("A")
    # Writers of 32-bit BMP often leave the fourth byte 0 and mean an opaque picture, as viewers show it.
    return None if image.format == "BMP" and not alpha.getbbox() else alpha


def _with_alpha(image: Image.Image, alpha: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(alpha)
    return image


def _grey8(image: Image.Image, notes: list[str]) -> Image.Image:
    alpha = _alpha(image)
    grey = image.convert("L")
    if curve := _curve(image, notes):
        grey = grey.point(np.rint(_apply(curve, np.arange(256))).astype(int).tolist())
    return grey if alpha is None else _with_alpha(grey, alpha)


def _grey16(image: Image.Image, notes: list[str]) -> Image.Image:
    """16-bit grey to 8 bits over the type's full range, the same for all files, so that they compare."""
    values_HW = np.asarray(image)
    if values_HW.min() < 0 or values_HW.max() > 65535:
        raise Unsupported("32-bit grey levels beyond 0 to 65535")
    notes.append(DEEP)
    key = image.info.get("transparency")
    hidden_HW = values_HW == key if isinstance(key, int) else None
    if getattr(image, "tag_v2", {}).get(WHITE_IS_ZERO) == 0:
        values_HW = 65535 - values_HW.astype(np.int32)
    if curve := _curve(image, notes):
        levels_HW = np.rint(_apply(curve, values_HW / 257)).astype(np.uint8)
    else:
        levels_HW = ((values_HW.astype(np.uint32) + 128) // 257).astype(np.uint8)
    grey = Image.fromarray(levels_HW)
    if hidden_HW is None:
        return grey
    return _with_alpha(grey, Image.fromarray(np.where(hidden_HW, 0, 255).astype(np.uint8)))


def _curve(image: Image.Image, notes: list[str]) -> tuple[float, ...]:
    """Level in sRGB of each of 256 levels of a grey image, by its profile or gamma; () changes nothing."""
    profile = image.info.get("icc_profile")
    if not profile:
        return _gamma(image, notes)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    converted = _to_srgb(ramp, profile, notes)
    return () if converted is ramp else tuple(np.asarray(converted)[0].tolist())


def _apply(curve: tuple[float, ...], levels: np.ndarray) -> np.ndarray:
    return np.asarray(np.interp(levels, np.arange(256), curve))


def _gamma(image: Image.Image, notes: list[str]) -> tuple[float, ...]:
    """The same by a PNG's gAMA chunk, which an sRGB chunk overrules, as browsers have it."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or "srgb" in image.info or not 0.1 <= gamma <= 10:
        return ()
    if abs(gamma - SRGB_GAMMA) <= GAMMA_SAME:
        return ()
    notes.append("converted to sRGB by its gamma")
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    bent = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return tuple((255 * np.where(light <= 0.0031308, 12.92 * light, bent)).tolist())


def _to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """The image through its profile, or as it is where the profile is sRGB, broken or does not fit."""
    try:
        transform = _transform(profile, image.mode)
        if transform is None:
            return image
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # it is only None in place
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, struct.error):
        notes.append("colour profile unreadable, ignored")
        return image
    notes.append("converted to sRGB by its colour profile")
    return converted.convert("L") if image.mode == "L" else converted


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Any:
    """A transform to sRGB, built once per profile; None where it would change next to nothing."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB")
    called = "srgb" in ImageCms.getProfileDescription(source).lower()
    if called and mode == "RGB" and _changes(transform) <= SAME:
        return None
    return transform


def _changes(transform: Any) -> int:
    """Levels by which a transform moves a grid of colours at most: curve and primaries at once."""
    axis = np.linspace(0, 255, 6).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(1, -1, 3)
    moved = ImageCms.applyTransform(Image.fromarray(grid), transform)
    assert moved is not None
    return int(np.abs(np.asarray(moved).astype(int) - grid).max())


@functools.lru_cache(maxsize=1)
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")
