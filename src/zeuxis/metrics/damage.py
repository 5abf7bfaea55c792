"""Known damage to real images, from faint to gross, which calibrates the metrics.

`DAMAGES` names seven. Four change every image: blur, noise, JPEG, a colour shift. Three change the set
and leave every image fit to be seen: modes that are never made, few images of each class made again and
again, training images given back. Everything is pure: the same seed gives the same bytes.

Shapes: N images, M training images, H height, W width, C channels.
"""

import dataclasses
import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from zeuxis.core.errors import Invalid
from zeuxis.core.pixels import to_pil
from zeuxis.core.rng import derive_seed

STEPS = ("faint", "visible", "strong", "gross")
BLUR = (0.4, 0.7, 1.2, 2.5)
"""Deviation of the Gaussian in pixels, for sides up to 32; beyond, it grows with the shorter side."""
NOISE = (4, 10, 24, 48)
"""Deviation in levels."""
JPEG = (90, 60, 25, 8)
"""Pillow's quality, with its usual halved colour resolution."""
COLOUR = (4, 12, 28, 56)
"""Levels by which red rises and blue falls; grey images get as much paler."""
MODES = (0.1, 0.3, 0.5, 0.8)
"""Share of the classes that is missing, at least one and never all."""
COLLAPSE = (32, 8, 3, 1)
"""Different images left in each class."""
COPIES = (0.05, 0.2, 0.5, 1.0)
"""Share of the images that are training images."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Real images to be damaged, and what the damages of the set need.

    Attributes:
        images_NHWC: uint8, with 1, 3 or 4 channels; not from the training set.
        labels_N: class of each image; needed by `modes` and `collapse`.
        train_MHWC: training images; needed by `copies`.
    """

    images_NHWC: np.ndarray
    labels_N: np.ndarray | None = None
    train_MHWC: np.ndarray | None = None

    @property
    def labels(self) -> np.ndarray:
        """The labels, where a damage cannot do without."""
        if self.labels_N is None or len(self.labels_N) != len(self.images_NHWC):
            raise Invalid(
                "this damage needs the class of each image: pass labels, or a clustering's numbers"
            )
        return self.labels_N


def damage(name: str, pool: Pool, step: int, seed: int = 0) -> np.ndarray:
    """Images of the pool, damaged; size, channels and dtype stay.

    Args:
        name: one of `DAMAGES`.
        pool: the images.
        step: 1 (faint) to 4 (gross).
        seed: of noise and choices.

    Returns:
        (N, H, W, C) uint8, image i made from image i; only `modes` returns fewer, the images whose classes
        are kept, so that none is there twice.

    Raises:
        ValueError: no such damage or step, or the pool lacks what it needs.
    """
    if name not in DAMAGES:
        raise Invalid(f"no damage {name!r}; there are {', '.join(DAMAGES)}")
    if not 1 <= step <= len(STEPS):
        raise Invalid(f"damage has steps 1 ({STEPS[0]}) to {len(STEPS)} ({STEPS[-1]}), got {step}")
    if len(pool.images_NHWC) == 0 or pool.images_NHWC.dtype != np.uint8:
        raise Invalid(
            f"expected at least one uint8 image, got {len(pool.images_NHWC)} of {pool.images_NHWC.dtype}"
        )
    return DAMAGES[name](pool, step - 1, np.random.default_rng(derive_seed(seed, name)))


def _blur(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur, mirrored at the border."""
    x = pool.images_NHWC.astype(np.float32)
    deviation = BLUR[step] * max(1.0, min(x.shape[1:3]) / 32)
    reach = math.ceil(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        width = [(reach, reach) if i == axis else (0, 0) for i in range(4)]
        padded, size = np.pad(x, width, mode="symmetric"), x.shape[axis]
        parts = (
            weight * np.take(padded, range(i, i + size), axis) for i, weight in enumerate(weights)
        )
        x = sum(parts, np.zeros_like(x))
    return _uint8(x)


def _noise(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise, each level by itself; transparency keeps its own."""
    x = pool.images_NHWC.astype(np.float32)
    return _opaque(x + NOISE[step] * rng.standard_normal(x.shape, np.float32), pool)


def _jpeg(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """Saved as JPEG and opened again."""
    found = pool.images_NHWC.copy()
    colours = found.shape[3] - (found.shape[3] == 4)
    for image_HWC in found:
        buffer = io.BytesIO()
        to_pil(np.ascontiguousarray(image_HWC[..., :colours])).save(
            buffer, "JPEG", quality=JPEG[step]
        )
        with Image.open(buffer, formats=["JPEG"]) as opened:
            image_HWC[..., :colours] = np.asarray(opened).reshape(*image_HWC.shape[:2], colours)
    return found


def _colour(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """Warmer; grey images lighter and with less contrast, white stays white."""
    x = pool.images_NHWC.astype(np.float32)
    by = COLOUR[step]
    if x.shape[3] == 1:
        return _uint8(by + x * (1 - by / 255))
    x[..., 0] += by
    x[..., 2] -= by
    return _uint8(x)


def _modes(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """A share of the classes, chosen by seed, is missing; a higher step misses those of a lower one too."""
    named = rng.permutation(np.unique(pool.labels))
    if len(named) < 2:
        raise Invalid("dropping modes needs at least 2 classes, and these images have one")
    dropped = named[: min(max(1, round(MODES[step] * len(named))), len(named) - 1)]
    return pool.images_NHWC[~np.isin(pool.labels, dropped)]


def _collapse(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """Each image becomes one of a few of its class, give or take a level."""
    rows = np.empty(len(pool.labels), np.int64)
    for label in np.unique(pool.labels):
        own = np.flatnonzero(pool.labels == label)
        kept = rng.permutation(own)[: COLLAPSE[step]]
        rows[own] = kept[rng.integers(0, len(kept), len(own))]
    x = pool.images_NHWC[rows].astype(np.float32)
    return _opaque(x + rng.integers(-1, 2, x.shape).astype(np.float32), pool, rows)


def _copies(pool: Pool, step: int, rng: np.random.Generator) -> np.ndarray:
    """A share of the images becomes training images, each of them once."""
    train, n = pool.train_MHWC, len(pool.images_NHWC)
    count = max(1, round(COPIES[step] * n))
    if train is None or train.shape[1:] != pool.images_NHWC.shape[1:] or len(train) < count:
        given = None if train is None else train.shape
        raise Invalid(
            f"copies need {count} training images of shape {pool.images_NHWC.shape[1:]}, got {given}"
        )
    found = pool.images_NHWC.copy()
    found[rng.permutation(n)[:count]] = train[np.sort(rng.permutation(len(train))[:count])]
    return found


def _opaque(x_NHWC: np.ndarray, pool: Pool, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """As uint8, with the transparency of the pool's rows."""
    found = _uint8(x_NHWC)
    if found.shape[3] == 4:
        found[..., 3] = pool.images_NHWC[rows][..., 3]
    return found


def _uint8(x: np.ndarray) -> np.ndarray:
    return np.rint(x).clip(0, 255).astype(np.uint8)


DAMAGES: dict[str, Callable[[Pool, int, np.random.Generator], np.ndarray]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "colour": _colour,
    "modes": _modes,
    "collapse": _collapse,
    "copies": _copies,
}
"""Each takes the pool, the step from 0 on, and a generator."""
