"""What a translation starts from, made of the image that it leads to: `data.pair=OPERATION`.

It is made of the prepared pixels, so that both show the same frame; what is transparent counts as white.

Legend: H height, W width, C channels, h, w, c those of what is made.
"""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import suggest
from zeuxis.data.preparation import clean, decode
from zeuxis.data.preparation.decode import Target

HIDDEN = 128
"""Level of what a mask hides: the middle, which is 0 inside a model."""
STRONG = 12.0
"""Levels a pixel by which a colour changes at an edge."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """One way to make a source.

    Attributes:
        make: (pixels (H, W, C) uint8, strength, number of the image) -> (h, w, c) uint8.
        default: its strength where none is said; None if it takes none.
        least, most: strengths that are possible.
        needed: whether the strength must be said.
    """

    make: Callable[[np.ndarray, int, int], np.ndarray]
    default: int | None = None
    least: int = 1
    most: int = 1
    needed: bool = False


def grey(pixels_HWC: np.ndarray, strength: int = 0, number: int = 0) -> np.ndarray:
    """Luma, (H, W, 1)."""
    return np.rint(clean.grey(pixels_HWC[None]))[0, ..., None].astype(np.uint8)


def downscale(pixels_HWC: np.ndarray, strength: int, number: int = 0) -> np.ndarray:
    """So many times smaller, antialiased bicubic, (H / strength, W / strength, C).

    Raises:
        ValueError: a side is no multiple of it.
    """
    h, w, c = pixels_HWC.shape
    if h % strength or w % strength or min(h, w) < strength * decode.SMALLEST:
        raise Invalid(
            f"data.pair=downscale:{strength} makes no whole image of {h}x{w}; give a data.size of multiples "
            f"of {strength}, of at least {decode.SMALLEST * strength}"
        )
    small = Target(h // strength, w // strength, c, "stretch")
    return decode.decode(pixels_HWC, small).pixels_HWC


def edges(pixels_HWC: np.ndarray, strength: int = 0, number: int = 0) -> np.ndarray:
    """Dark lines on white where a colour changes fast, (H, W, 1).

    Sobel's gradient of the smoothed pixels, of the channel in which it is largest, thinned to its ridges
    (Canny 1986, without the hysteresis).
    """
    smooth = _array(_opaque(pixels_HWC).filter(ImageFilter.GaussianBlur(1))).astype(np.float32)
    levels = np.pad(smooth, ((1, 1), (1, 1), (0, 0)), mode="edge")
    down, across = levels[2:] - levels[:-2], levels[:, 2:] - levels[:, :-2]
    dy = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 8
    dx = (across[:-2] + 2 * across[1:-1] + across[2:]) / 8
    largest = np.hypot(dx, dy).argmax(-1, keepdims=True)
    dy, dx = (np.take_along_axis(d, largest, -1)[..., 0] for d in (dy, dx))
    steep = np.hypot(dx, dy)
    around, (h, w) = np.pad(steep, 1), steep.shape
    sector = np.round(np.arctan2(dy, dx) / (np.pi / 4)).astype(int) % 4
    line = np.zeros((h, w), bool)
    for direction, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = around[1 + y : 1 + y + h, 1 + x : 1 + x + w]
        behind = around[1 - y : 1 - y + h, 1 - x : 1 - x + w]
        line |= (sector == direction) & (steep >= ahead) & (steep > behind) & (steep > STRONG)
    return np.where(line, 0, 255).astype(np.uint8)[..., None]


def mask(pixels_HWC: np.ndarray, strength: int = 0, number: int = 0) -> np.ndarray:
    """The image with a rectangle hidden, of a quarter to a half of each side, (H, W, C)."""
    h, w, _ = pixels_HWC.shape
    words = np.frombuffer(
        hashlib.blake2b(f"mask {number}".encode(), digest_size=16).digest(), "<u4"
    )
    shares = words / 2.0**32
    high, wide = round(h * (1 + shares[0]) / 4), round(w * (1 + shares[1]) / 4)
    top, left = int(shares[2] * (h - high + 1)), int(shares[3] * (w - wide + 1))
    out = pixels_HWC.copy()
    out[top : top + high, left : left + wide, :3] = HIDDEN
    out[top : top + high, left : left + wide, 3:] = 255
    return out


def jpeg(pixels_HWC: np.ndarray, strength: int, number: int = 0) -> np.ndarray:
    """After JPEG of that quality, (H, W, 1 or 3)."""
    file = io.BytesIO()
    _opaque(pixels_HWC).save(file, "JPEG", quality=strength)
    return _array(Image.open(file))


def blur(pixels_HWC: np.ndarray, strength: int, number: int = 0) -> np.ndarray:
    """After a Gaussian blur of that standard deviation in pixels, (H, W, 1 or 3)."""
    return _array(_opaque(pixels_HWC).filter(ImageFilter.GaussianBlur(strength)))


OPERATIONS: Mapping[str, Operation] = {
    "grey": Operation(grey),
    "downscale": Operation(downscale, 4, 2, 64, needed=True),
    "edges": Operation(edges),
    "mask": Operation(mask),
    "jpeg": Operation(jpeg, 10, 1, 100),
    "blur": Operation(blur, 2, 1, 64),
}


def operation(text: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """(pixels (H, W, C) uint8, number of the image) -> source (h, w, c) uint8, by what `data.pair` says.

    >>> operation("downscale:2")(np.zeros((8, 12, 3), np.uint8), 0).shape
    (4, 6, 3)

    Raises:
        ValueError: no such operation, with the nearest; or a strength that it cannot have.
    """
    name, colon, word = text.partition(":")
    if name not in OPERATIONS:
        raise Invalid(f"data.pair: no operation {name[:40]!r}; {suggest(name[:40], OPERATIONS)}")
    known = OPERATIONS[name]
    if known.default is None:
        if colon:
            raise Invalid(f"data.pair={name} takes no number, found {text[:40]!r}")
        return lambda pixels, number: known.make(pixels, 0, number)
    if not colon and known.needed:
        raise Invalid(f"data.pair={name} needs a number, such as {name}:{known.default}")
    strength = (
        int(word) if word.isdecimal() and len(word) < 9 else known.default if not colon else -1
    )
    if not known.least <= strength <= known.most:
        raise Invalid(
            f"data.pair={text[:40]}: expected a whole number from {known.least} to {known.most}, such as "
            f"{name}:{known.default}"
        )
    return lambda pixels, number: known.make(pixels, strength, number)


def _opaque(pixels_HWC: np.ndarray) -> Image.Image:
    h, w, c = pixels_HWC.shape
    if c == 4:
        pixels_HWC = decode.decode(pixels_HWC, Target(h, w, 3)).pixels_HWC
    return Image.fromarray(pixels_HWC[..., 0] if c == 1 else pixels_HWC)


def _array(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]
