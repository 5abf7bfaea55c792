"""Statistics of single images (detail, noise, blocks, colour), and their shift between two sets.

A distance between sets says that something is wrong; these say what. Each is cheap, and each answers to one
damage first: `detail` falls with blur, `noise` rises with noise, `blocks` with JPEG, `warmth` and `tint` move
with colour, `brightness` and `contrast` with exposure. They describe; none of them says how good an image is.

Sets are compared by the difference of means over the deviation of the real side (`shifts`; Glass 1976,
Educational Researcher 5:3), so 1 means "as much as one real image usually differs from the mean of all".

Shapes: N images, M real ones, B of them at a time, H height, W width, C channels.
"""

from collections.abc import Mapping

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.metrics import Estimate

CHUNK = 2**20
"""Levels that are looked at at once."""
BLOCK = 8
ROUNDING = 1e-9
"""A deviation below this is none, but for the last bits."""


def statistics(images_NHWC: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of each image, (N,) float64 each.

    Transparency is composited on white; all but `warmth` and `tint` look at luma
    (.299 R + .587 G + .114 B, ITU-R BT.601).

    Args:
        images_NHWC: uint8, at least 3x3, with 1, 3 or 4 channels; array or memory map.

    Returns:
        `brightness`: mean, in levels. `contrast`: standard deviation, in levels (Peli 1990, JOSA A 7:2032).
        `detail`, `noise`, `blocks`: see the functions; `blocks` is left out if a side is below 12 pixels.
        For colour images `warmth`, mean of red - blue, and `tint`, mean of green - (red + blue) / 2,
        both in levels.

    Raises:
        ValueError: not uint8, no images, below 3x3, or not 1, 3 or 4 channels.
    """
    if images_NHWC.ndim != 4 or images_NHWC.dtype != np.uint8 or len(images_NHWC) == 0:
        raise Invalid(
            f"expected uint8 images (N, height, width, channels), at least one, "
            f"got {images_NHWC.dtype} of shape {images_NHWC.shape}"
        )
    _, height, width, channels = images_NHWC.shape
    if min(height, width) < 3 or channels not in (1, 3, 4):
        raise Invalid(
            f"statistics need images of at least 3x3 with 1, 3 or 4 channels, "
            f"got {height}x{width} with {channels}"
        )
    chunk = max(1, CHUNK // images_NHWC[0].size)
    parts = [
        _of_chunk(images_NHWC[start : start + chunk]) for start in range(0, len(images_NHWC), chunk)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def detail(luma_BHW: np.ndarray) -> np.ndarray:
    """Energy of differences between neighbours over that between next-but-one neighbours, (B,).

    The ratio of the structure function at distances 1 and 2. A smooth ramp has 1/4, a sharp edge 1/2, white
    noise 1; blur lowers it, contrast does not change it. Half of the square of a level is added to the one
    and a whole one to the other: a flat image has 1/2.
    """
    near, far = (
        sum(
            np.square(np.diff(luma_BHW, axis=axis) if by == 1 else _apart(luma_BHW, axis)).mean(
                (1, 2)
            )
            for axis in (1, 2)
        )
        for by in (1, 2)
    )
    return (near + 0.5) / (far + 1.0)


def noise(luma_BHW: np.ndarray) -> np.ndarray:
    """Mean of ln(1 + |response|) to a mask that ramps and edges along the axes escape, (B,).

    The mask is that of Immerkaer 1996 (Computer Vision and Image Understanding 64:300), the difference of
    two Laplacians, [1 -2 1; -2 4 -2; 1 -2 1]. The logarithm, which is ours, lets even parts of an image,
    where noise shows, count as much as its edges. Texture answers too, so only the shift against real images
    tells.
    """
    response = np.diff(np.diff(luma_BHW, 2, axis=1), 2, axis=2)
    return np.log1p(np.abs(response)).mean((1, 2))


def blocks(luma_BHW: np.ndarray) -> np.ndarray:
    """How much more detail has vanished in 8x8 blocks on JPEG's grid than off it, (B,) in [-1, 1].

    JPEG rounds most of the 63 finer coefficients of the cosine transform of each block to zero, and a saved
    image gives them away until it is resized (Fan & de Queiroz 2003, IEEE TIP 12:230). This is the share of
    coefficients below one level on the grid minus that on a grid 4 pixels further down and right: blur and
    noise change both alike. The grid is taken to start at the top left corner, as in a file that was not
    cropped.
    """
    return _vanished(luma_BHW) - _vanished(luma_BHW[:, BLOCK // 2 :, BLOCK // 2 :])


def _vanished(luma_BHW: np.ndarray) -> np.ndarray:
    """Share of the blocks' 63 finer DCT coefficients that are below one level, (B,)."""
    b, height, width = luma_BHW.shape
    rows, columns = height // BLOCK, width // BLOCK
    whole = luma_BHW[:, : rows * BLOCK, : columns * BLOCK]
    tiles = whole.reshape(b, rows, BLOCK, columns, BLOCK).transpose(0, 1, 3, 2, 4)
    k = np.arange(BLOCK)
    basis = np.sqrt(2 / BLOCK) * np.cos(np.pi * k[:, None] * (k + 0.5) / BLOCK)
    basis[0] /= np.sqrt(2)
    small = np.abs(basis @ tiles @ basis.T).reshape(b, -1, BLOCK**2)[..., 1:] < 1
    return small.mean((1, 2))


def shifts(fake: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
    """Difference of the means of each statistic, in deviations of the real images.

    Where real images do not vary at all, the deviation is that of both sides together.

    Args:
        fake: what `statistics` found, (N,) each.
        real: the same of real images, (M,) each.

    Returns:
        Statistic -> difference, positive where the fake side is higher. The interval takes both means' errors
        and the deviation's (Hedges 1981, Journal of Educational Statistics 6:107, with unequal variances).

    Raises:
        ValueError: the two sides have different statistics, or a side has fewer than 2 images.
    """
    if fake.keys() != real.keys():
        only = sorted(fake.keys() ^ real.keys())
        raise Invalid(
            f"only one side has {', '.join(only)}: compare grey with grey and images of one size"
        )
    found = {}
    for name in fake:
        x_N, y_M = fake[name], real[name]
        n, m = len(x_N), len(y_M)
        if min(n, m) < 2:
            raise Invalid(f"comparing statistics needs 2 images a side, got {n} and {m}")
        gap = float(x_N.mean() - y_M.mean())
        deviations = (y_M.std(ddof=1), np.concatenate([x_N, y_M]).std(), 1.0)
        scale = next(float(one) for one in deviations if one > ROUNDING)
        value = gap / scale
        variance = (x_N.var(ddof=1) / n + y_M.var(ddof=1) / m) / scale**2 + value**2 / (2 * (m - 1))
        half = 1.96 * float(np.sqrt(variance))
        receipt = {
            "statistic": name,
            "fake": n,
            "real": m,
            "mean_of_fake": float(x_N.mean()),
            "mean_of_real": float(y_M.mean()),
            "deviation": scale,
            "interval": "95 %, normal",
        }
        interval = (value - half, value + half)
        found[name] = Estimate(value=value, interval=interval, n=min(n, m), receipt=receipt)
    return found


def _of_chunk(pixels_BHWC: np.ndarray) -> dict[str, np.ndarray]:
    x = pixels_BHWC.astype(np.float64)
    if x.shape[3] == 4:
        alpha = x[..., 3:] / 255
        x = x[..., :3] * alpha + 255 * (1 - alpha)
    luma = x[..., 0] if x.shape[3] == 1 else x @ np.array([0.299, 0.587, 0.114])
    found = {
        "brightness": luma.mean((1, 2)),
        "contrast": luma.std((1, 2)),
        "detail": detail(luma),
        "noise": noise(luma),
    }
    if min(luma.shape[1:]) >= BLOCK * 3 // 2:
        found["blocks"] = blocks(luma)
    if x.shape[3] == 3:
        red, green, blue = np.moveaxis(x.mean((1, 2)), 1, 0)
        found |= {"warmth": red - blue, "tint": green - (red + blue) / 2}
    return found


def _apart(x_BHW: np.ndarray, axis: int) -> np.ndarray:
    """Differences of pixels two apart."""
    size = x_BHW.shape[axis]
    return np.take(x_BHW, range(2, size), axis) - np.take(x_BHW, range(size - 2), axis)
