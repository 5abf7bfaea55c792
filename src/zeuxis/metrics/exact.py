"""Exact copies and exact repeats: images whose pixels are one and the same.

Equal pixels are no matter of chance or of likeness: neither needs a control of real images, a feature network
or a least number of images. Images are told apart by a hash of their pixels, BLAKE2b of 128 bits.

Shapes: N samples, M images, H height, W width, C channels.
"""

import collections
import hashlib
from collections.abc import Iterator

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.metrics import Estimate, share

CHUNK = 2**24
"""Levels that are read at once."""


def exact_copies(
    samples_NHWC: np.ndarray,
    images_MHWC: np.ndarray,
    among: np.ndarray | None = None,
    of: str = "images they are compared with",
) -> Estimate:
    """Share of the samples that equal an image in every pixel.

    Args:
        samples_NHWC: uint8, at least one.
        images_MHWC: uint8, array or memory map, read once.
        among: rows of `images_MHWC` to look among, e.g. the training ones; default all.
        of: what these images are, for sentences.

    Raises:
        ValueError: the two sides differ in shape.
    """
    if samples_NHWC.shape[1:] != images_MHWC.shape[1:]:
        raise Invalid(
            f"samples are {samples_NHWC.shape[1:]} and images {images_MHWC.shape[1:]}: compare images of "
            "one size"
        )
    mine = list(_hashes(samples_NHWC))
    copied = set(mine).intersection(_hashes(images_MHWC, among))
    receipt = {
        "statistic": "equal to an image in every pixel",
        "of": of,
        "searched": len(images_MHWC) if among is None else len(among),
        "images_copied": len(copied),
    }
    return share(sum(one in copied for one in mine), len(mine), receipt)


def exact_repeats(images_NHWC: np.ndarray, among: np.ndarray | None = None) -> Estimate:
    """Share of the images that equal another one of them in every pixel.

    Args:
        images_NHWC: uint8, at least one, array or memory map.
        among: rows to look at; default all.
    """
    seen = collections.Counter(_hashes(images_NHWC, among))
    twins = sum(count for count in seen.values() if count > 1)
    receipt = {"statistic": "equal to another image of the set", "different_images": len(seen)}
    return share(twins, seen.total(), receipt)


def _hashes(images_MHWC: np.ndarray, among: np.ndarray | None = None) -> Iterator[bytes]:
    """Of each image, a part of the file at a time."""
    among = np.arange(len(images_MHWC)) if among is None else np.sort(among)
    chunk = max(1, CHUNK // max(1, images_MHWC[0].size))
    for start in range(0, len(among), chunk):
        for pixels_HWC in images_MHWC[among[start : start + chunk]]:
            yield hashlib.blake2b(pixels_HWC.tobytes(), digest_size=16).digest()
