"""Pictures of any size through a network, at once or by overlapping tiles without seams.

A network that takes any size (`Translates.stride` is not 0) sees a picture whole if neither it nor what is
made of it has more than `LARGEST` pixels.
Of a larger one it sees windows: a part, and around it as many pixels as influence it (`Translates.margin`);
only the part is kept, so that tiles equal the whole. What it measures of the whole picture
(`Translates.survey`) comes from one reduced copy. Another network sees windows of the one size that it takes,
which overlap by a quarter and are blended along ramps; a smaller picture is continued by reflection.

Shapes: H height, W width of a picture, h, w of a window; C channels.
"""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from PIL import Image

LARGEST = 768 * 768
"""Pixels that are translated at once."""
OVERLAP = 4
"""Windows of a fixed size overlap by this part of their side."""


def parts(
    length: int, other: int, stride: int, margin: int, scale: int = 1
) -> Iterator[tuple[slice, slice]]:
    """(window, what is kept of it) along an axis of a picture, so that windows have at most `LARGEST` pixels.

    >>> list(parts(10, 10, 1, 0))
    [(slice(0, 10, None), slice(0, 10, None))]
    """
    most = LARGEST // scale**2
    if length * other <= most:
        yield slice(0, length), slice(0, length)
        return
    side = math.isqrt(most) - 2 * margin
    core = max(side // stride, 1) * stride
    for start in range(0, length, core):
        stop = min(start + core, length)
        window = slice(max(start - margin, 0), min(stop + margin, length))
        yield window, slice(start, stop)


def by_parts(
    call: Callable[[np.ndarray], np.ndarray],
    source: np.ndarray,
    stride: int,
    margin: int,
    scale: int = 1,
) -> np.ndarray:
    """What a network that takes any size makes of a picture.

    Args:
        call: (h, w, ...) of a window -> (scale h, scale w, C) uint8.
        source: (H, W, ...).
        stride: what the corners of windows are multiples of.
        margin: pixels around a part that influence it, a multiple of the stride.
        scale: how many times larger the image is.
    """
    height, width = source.shape[:2]
    made: np.ndarray | None = None
    for rows, kept_rows in parts(height, width, stride, margin, scale):
        for columns, kept_columns in parts(width, height, stride, margin, scale):
            part = call(source[rows, columns])
            if made is None:
                made = np.empty((height * scale, width * scale, part.shape[2]), np.uint8)
            made[_times(kept_rows, scale), _times(kept_columns, scale)] = part[
                _times(kept_rows, scale, rows.start), _times(kept_columns, scale, columns.start)
            ]
    assert made is not None, "a picture has pixels"
    return made


def _times(kept: slice, scale: int, origin: int = 0) -> slice:
    """A part of a picture in the larger image, counted from an origin."""
    return slice(scale * (kept.start - origin), scale * (kept.stop - origin))


def blended(
    call: Callable[[np.ndarray], np.ndarray],
    source: np.ndarray,
    shape: tuple[int, int],
    image: tuple[int, int],
) -> np.ndarray:
    """What a network that takes one size makes of a picture.

    Args:
        call: (N, h, w, ...) of windows -> (N, h', w', C) uint8.
        source: (H, W, ...).
        shape: h, w that it takes.
        image: h', w' that it makes of them.
    """
    scales = [Fraction(large, small) for large, small in zip(image, shape, strict=True)]
    height, width = source.shape[:2]
    lacking = [
        max(side - length, -length % scale.denominator)
        for side, length, scale in zip(shape, source.shape, scales, strict=False)
    ]
    around = [(0, lack) for lack in lacking] + [(0, 0)] * (source.ndim - 2)
    source = np.pad(source, around, mode="reflect")
    tops, lefts = (
        _starts(length, side, scale.denominator)
        for length, side, scale in zip(source.shape, shape, scales, strict=False)
    )
    total = [int(length * scale) for length, scale in zip(source.shape, scales, strict=False)]
    weight_HW = np.outer(_ramp(image[0]), _ramp(image[1]))[..., None]
    sum_HWC: np.ndarray | None = None
    share_HW1 = np.zeros((*total, 1), np.float32)
    for top in tops:
        row = np.stack([source[top : top + shape[0], x : x + shape[1]] for x in lefts])
        y = int(top * scales[0])
        for left, tile in zip(lefts, call(row), strict=True):
            if sum_HWC is None:
                sum_HWC = np.zeros((*total, tile.shape[2]), np.float32)
            x = int(left * scales[1])
            sum_HWC[y : y + image[0], x : x + image[1]] += weight_HW * tile
            share_HW1[y : y + image[0], x : x + image[1]] += weight_HW
    assert sum_HWC is not None, "a picture has pixels"
    sum_HWC /= share_HW1
    size = math.ceil(height * scales[0]), math.ceil(width * scales[1])
    return np.rint(sum_HWC[: size[0], : size[1]]).astype(np.uint8)


def _starts(length: int, side: int, multiple: int) -> list[int]:
    """Where windows begin: evenly, at multiples, the last one at the end."""
    step = max(side - side // OVERLAP, 1)
    count = -(-(length - side) // step)
    if not count:
        return [0]
    places = [round(i * (length - side) / count / multiple) * multiple for i in range(count)]
    return [*places, length - side]


def _ramp(side: int) -> np.ndarray:
    """(side,) float32: 1 in the middle, falling towards both ends but never to 0."""
    wide = max(side // OVERLAP, 1)
    place = np.arange(side, dtype=np.float32)
    return np.minimum(np.minimum(place, side - 1 - place) + 1, wide) / np.float32(wide)


def reduced(source: np.ndarray) -> np.ndarray:
    """A copy of a picture with at most `LARGEST` pixels; ids take the nearest pixel's."""
    height, width = source.shape[:2]
    if height * width <= LARGEST:
        return source
    scale = math.sqrt(LARGEST / (height * width))
    size = max(1, int(width * scale)), max(1, int(height * scale))
    if source.ndim == 2:
        rows, columns = (
            np.arange(n) * m // n for n, m in zip(size[::-1], (height, width), strict=True)
        )
        return source[rows][:, columns]
    plain = source[..., 0] if source.shape[2] == 1 else source
    small = np.asarray(Image.fromarray(plain).resize(size, Image.Resampling.BOX))
    return small.reshape(*small.shape[:2], -1)
