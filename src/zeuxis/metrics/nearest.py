"""Nearest neighbours in pixels, and memorisation: near-copies of training images.

A generator that stores its training set scores well on everything else that is measured here. The
control is the hold-out: real images that training never saw are also close to some training image,
by chance. A sample counts as a copy only if it is closer than 99 % of them are. Where there is no
hold-out, each of the images is held against all others of them.

Shapes: N samples, M training images, K neighbours, H height, W width, C channels.
"""

import dataclasses
from typing import Any

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.core.pixels import seen
from zeuxis.metrics import Estimate, share

LEVEL = 16
"""A pixel differs if any of its channels differs by more than so many of 255 levels."""
QUANTILE = 0.01
"""A copy is closer than this share of hold-out images."""
SPARE = 4
CHUNK = 2**24
"""Levels of the images that are compared at once."""


@dataclasses.dataclass(frozen=True)
class Memorisation:
    """How many samples repeat a training image.

    Attributes:
        rate: share of the samples that are copies.
        threshold: a copy differs from its nearest training image in fewer pixels than this.
        differing_N: pixels in which each sample differs from its nearest training image.
        nearest_N: row of that image.
    """

    rate: Estimate
    threshold: int
    differing_N: np.ndarray
    nearest_N: np.ndarray


def nearest(
    samples_NHWC: np.ndarray,
    images_MHWC: np.ndarray,
    k: int = 1,
    among: np.ndarray | None = None,
    chunk: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The k images closest to each sample by Euclidean distance over all levels.

    One float32 matrix product per chunk of images finds a few spare candidates, whose distances are
    then computed in whole numbers: the result is exact, the memory is bounded by that of a chunk,
    and a memory-mapped set is read once.

    Args:
        samples_NHWC: uint8.
        images_MHWC: uint8, array or memory map.
        k: neighbours.
        among: rows of `images_MHWC` to look among, e.g. the training ones; default all.
        chunk: images at a time; 0 takes as many as make 64 MiB.

    Returns:
        Distances (N, k) float64, smallest first, and rows of `images_MHWC` (N, k) int64.

    Raises:
        ValueError: the two sides differ in shape, or there are fewer than k images.
    """
    among = np.arange(len(images_MHWC)) if among is None else among
    if samples_NHWC.shape[1:] != images_MHWC.shape[1:]:
        raise Invalid(
            f"samples are {samples_NHWC.shape[1:]} and training images {images_MHWC.shape[1:]}: "
            "compare images of one size"
        )
    if len(among) < k:
        raise Invalid(f"{len(among)} training images cannot give {k} neighbours each")
    a_ND = _centred(samples_NHWC)
    chunk = chunk or max(256, CHUNK // a_ND.shape[1])
    count = min(k + SPARE, len(among))
    best = torch.full((len(a_ND), count), torch.inf)
    places = torch.zeros((len(a_ND), count), dtype=torch.int64)
    for start in range(0, len(among), chunk):
        b_MD = _centred(images_MHWC[among[start : start + chunk]])
        # |a - b|^2 without |a|^2, which does not change a row's order
        cost = torch.addmm(b_MD.square().sum(1), a_ND, b_MD.T, alpha=-2)
        cost, found = cost.topk(min(count, len(b_MD)), dim=1, largest=False)
        best, keep = torch.cat([best, cost], 1).topk(count, dim=1, largest=False)
        places = torch.cat([places, found + start], 1).gather(1, keep)
    rows = np.sort(among[places.numpy()], axis=1)  # of equals, the earlier one
    flat = seen(samples_NHWC).reshape(len(samples_NHWC), -1).astype(np.int32)
    exact = np.stack(
        [
            np.square(seen(_rows(images_MHWC, rows[:, j])).reshape(flat.shape) - flat).sum(1)
            for j in range(count)
        ],
        axis=1,
    )
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    distance = np.sqrt(np.take_along_axis(exact, order, 1).astype(np.float64))
    return distance, np.take_along_axis(rows, order, 1)


def differing(a_NHWC: np.ndarray, b_NHWC: np.ndarray, level: int = LEVEL) -> np.ndarray:
    """In how many pixels two uint8 images differ by more than `level` in some channel, (N,)."""
    a_NHWC, b_NHWC = seen(a_NHWC), seen(b_NHWC)
    low, high = np.minimum(a_NHWC, b_NHWC), np.maximum(a_NHWC, b_NHWC)
    return ((high - low) > level).any(-1).sum((1, 2))


def memorisation(
    samples_NHWC: np.ndarray,
    images_MHWC: np.ndarray,
    holdout_LHWC: np.ndarray,
    among: np.ndarray | None = None,
    level: int = LEVEL,
    quantile: float = QUANTILE,
) -> Memorisation:
    """The share of samples that are closer to a training image than `quantile` of the hold-out is.

    By construction about `quantile` of real new images count as copies; a generator should not
    exceed that by much.

    Args:
        samples_NHWC: uint8.
        images_MHWC: what the generator saw, uint8, array or memory map.
        holdout_LHWC: real images that it never saw, uint8.
        among: rows of `images_MHWC` that it saw; default all.
        level: see `LEVEL`.
        quantile: see `QUANTILE`.

    Raises:
        ValueError: sizes differ, there is no hold-out, or `quantile` of it looks like training images.
    """
    if len(holdout_LHWC) == 0:
        raise Invalid("the copy rate needs hold-out images, and this set has none")
    rows_L = nearest(holdout_LHWC, images_MHWC, 1, among)[1][:, 0]
    control_L = differing(holdout_LHWC, _rows(images_MHWC, rows_L), level)
    receipt = {"control": "hold-out images", "level": level, "quantile": quantile}
    return _closer(samples_NHWC, images_MHWC, control_L, among, receipt)


def memorisation_without_holdout(
    samples_NHWC: np.ndarray,
    images_MHWC: np.ndarray,
    most: int = 1000,
    seed: int = 0,
    level: int = LEVEL,
    quantile: float = QUANTILE,
    among: np.ndarray | None = None,
) -> Memorisation:
    """The share of samples that are closer to an image than `quantile` of the images is to others of them.

    All samples are searched for among all images, so a set that is held against itself has a share of 1.

    Args:
        samples_NHWC: uint8.
        images_MHWC: uint8, array or memory map.
        most: images at most that are the control.
        seed: of which ones.
        level: see `LEVEL`.
        quantile: see `QUANTILE`.
        among: rows of `images_MHWC` to look among; default all.

    Raises:
        ValueError: sizes differ, there are too few images to know their `quantile`, or that many of them
            look like others.
    """
    among = np.arange(len(images_MHWC)) if among is None else among
    least, count = round(1 / quantile), len(among)
    if count < least:
        raise Invalid(f"{count:,} images to look among, at least {least:,} are needed")
    control = among[np.sort(np.random.default_rng(seed).permutation(count)[:most])]
    pixels = images_MHWC[control]
    rows_L2 = nearest(pixels, images_MHWC, 2, among)[1]
    others = np.where(rows_L2[:, 0] == control, rows_L2[:, 1], rows_L2[:, 0])
    control_L = differing(pixels, _rows(images_MHWC, others), level)
    receipt = {
        "control": "images each against all others of them",
        "level": level,
        "quantile": quantile,
        "seed": seed,
    }
    return _closer(samples_NHWC, images_MHWC, control_L, among, receipt)


def _closer(
    samples_NHWC: np.ndarray,
    images_MHWC: np.ndarray,
    control_L: np.ndarray,
    among: np.ndarray | None,
    receipt: dict[str, Any],
) -> Memorisation:
    """Samples that differ in fewer pixels than nearly all of the control."""
    level, quantile = receipt["level"], receipt["quantile"]
    threshold = int(np.quantile(control_L, quantile, method="lower"))
    if threshold == 0:
        raise Invalid(
            f"{quantile:.0%} of real images look like others, which copies cannot be told from"
        )
    rows_N = nearest(samples_NHWC, images_MHWC, 1, among)[1][:, 0]
    differ_N = differing(samples_NHWC, _rows(images_MHWC, rows_N), level)
    receipt = {
        **receipt,
        "threshold_pixels": threshold,
        "train": len(images_MHWC) if among is None else len(among),
        "holdout": len(control_L),
        "holdout_median_pixels": float(np.median(control_L)),
        "samples_median_pixels": float(np.median(differ_N)),
    }
    rate = share(int((differ_N < threshold).sum()), len(differ_N), receipt)
    return Memorisation(rate, threshold, differ_N, rows_N)


def _centred(images: np.ndarray) -> torch.Tensor:
    """Levels around zero, (N, D) float32: smaller numbers, smaller rounding errors."""
    return torch.from_numpy(seen(images).reshape(len(images), -1).astype(np.float32) - 128)


def _rows(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of an array or memory map, in order of the file."""
    unique, back = np.unique(rows, return_inverse=True)
    return images[unique][back]
