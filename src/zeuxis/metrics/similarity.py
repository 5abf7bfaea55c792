"""Similarity of two images, level by level and structure by structure: PSNR, SSIM, MS-SSIM.

PSNR is 10 log10(255^2 / mean squared error). SSIM (Wang et al. 2004, IEEE TIP 13:600, eq. 13) compares
means m, variances v and the covariance c under a Gaussian window of 11x11 with deviation 1.5,

    (2 m_x m_y + C1) (2 c_xy + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2)),
    C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2,

averaged over all places where the whole window fits. MS-SSIM (Wang et al. 2003, Asilomar 37, eq. 7)
takes the second factor at each of five scales, each half as large, and the whole at the last,

    prod_s mean(factor_s)^weight_s,

with the paper's weights, which make every scale count as much as the eye gives it. Where an image is too
small for five scales, fewer are used and their weights scaled to the sum 1 (`scale_weights`). A mean
below zero counts as zero, since its power is not real. Each channel is compared by itself; the number is
the mean over channels.

Shapes: N pairs, B of them at a time, H height, W width, C channels, S scales.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zeuxis.core.errors import Invalid

WINDOW, DEVIATION = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
CHUNK = 2**17
"""Levels of one side that are compared at once."""


def psnr(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in decibels, (N,) float64; equal images give infinity.

    Args:
        a_NHWC: uint8.
        b_NHWC: uint8, the partner of each.

    Raises:
        ValueError: not uint8, no images, or the two sides differ in shape.
    """
    error_N = _by_chunk(a_NHWC, b_NHWC, lambda a, b: (a - b).square().mean((1, 2, 3)))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / error_N)


def ssim(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> np.ndarray:
    """Structural similarity, (N,) float64 in [-1, 1]; 1 where the images are equal.

    Args:
        a_NHWC: uint8, at least 11x11.
        b_NHWC: uint8, the partner of each.

    Raises:
        ValueError: not uint8, no images, too small, or the two sides differ in shape.
    """
    scale_weights(*a_NHWC.shape[1:3])
    return _by_chunk(a_NHWC, b_NHWC, lambda a, b: _factors(a, b)[0].mean(1))


def ms_ssim(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity, (N,) float64 in [0, 1]; 1 where the images are equal.

    From 176 pixels on it is the published one; for less see `scale_weights`, whose result belongs
    into the receipt of any number made from it.

    Args:
        a_NHWC: uint8, at least 11x11.
        b_NHWC: uint8, the partner of each.

    Raises:
        ValueError: not uint8, no images, too small, or the two sides differ in shape.
    """
    weights = scale_weights(*a_NHWC.shape[1:3])

    def compare(a_BCHW: Tensor, b_BCHW: Tensor) -> Tensor:
        product_BC = torch.ones(a_BCHW.shape[:2], dtype=torch.float64)
        for scale, weight in enumerate(weights):
            if scale:
                a_BCHW, b_BCHW = _halved(a_BCHW), _halved(b_BCHW)
            whole_BC, structure_BC = _factors(a_BCHW, b_BCHW)
            last = scale == len(weights) - 1
            product_BC *= (whole_BC if last else structure_BC).clamp(min=0) ** weight
        return product_BC.mean(1)

    return _by_chunk(a_NHWC, b_NHWC, compare)


def scale_weights(height: int, width: int) -> tuple[float, ...]:
    """Weights of the scales, from the finest, at which the window fits into the image.

    All five are as published (their sum is 1.0001); fewer are scaled to the sum 1.

    >>> len(scale_weights(176, 176)), len(scale_weights(28, 28)), scale_weights(16, 16)
    (5, 2, (1.0,))

    Raises:
        ValueError: it does not even fit into the image as it is.
    """
    side = min(height, width)
    if side < WINDOW:
        raise Invalid(
            f"structural similarity needs images of at least {WINDOW}x{WINDOW}, "
            f"got {height}x{width}; enlarge both sides alike, or use psnr"
        )
    fitting = [weight for scale, weight in enumerate(WEIGHTS) if -(-side >> scale) >= WINDOW]
    total = sum(fitting) if len(fitting) < len(WEIGHTS) else 1.0
    return tuple(weight / total for weight in fitting)


def check_pairs(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> None:
    """Two sides that can be compared image by image.

    Raises:
        ValueError: not uint8, no images, or the two sides differ in shape.
    """
    for side in (a_NHWC, b_NHWC):
        if side.ndim != 4 or side.dtype != np.uint8 or len(side) == 0:
            raise Invalid(
                f"expected uint8 images (N, height, width, channels), at least one, "
                f"got {side.dtype} of shape {side.shape}"
            )
    if a_NHWC.shape != b_NHWC.shape:
        raise Invalid(
            f"one side has shape {a_NHWC.shape} and the other {b_NHWC.shape}: "
            "pairs need equal numbers of images, sizes and channels"
        )


def _by_chunk(
    a_NHWC: np.ndarray, b_NHWC: np.ndarray, compare: Callable[[Tensor, Tensor], Tensor]
) -> np.ndarray:
    """`compare` on (B, C, H, W) float64 levels, a bounded number at a time."""
    check_pairs(a_NHWC, b_NHWC)
    chunk = max(1, CHUNK // a_NHWC[0].size)
    found = [
        compare(_levels(a_NHWC[i : i + chunk]), _levels(b_NHWC[i : i + chunk]))
        for i in range(0, len(a_NHWC), chunk)
    ]
    return torch.cat(found).numpy()


def _levels(pixels_BHWC: np.ndarray) -> Tensor:
    levels = pixels_BHWC.transpose(0, 3, 1, 2).astype(np.float64, order="C")
    return torch.from_numpy(levels)


def _factors(a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the places of SSIM and of its second factor, each (B, C)."""
    maps = [a_BCHW, b_BCHW, a_BCHW.square(), b_BCHW.square(), a_BCHW * b_BCHW]
    mean_a, mean_b, square_a, square_b, product = (_windowed(x) for x in maps)
    covariance = product - mean_a * mean_b
    variances = square_a - mean_a.square() + square_b - mean_b.square()
    structure = (2 * covariance + C2) / (variances + C2)
    light = (2 * mean_a * mean_b + C1) / (mean_a.square() + mean_b.square() + C1)
    return (light * structure).mean((2, 3)), structure.mean((2, 3))


def _windowed(x_BCHW: Tensor) -> Tensor:
    """Gaussian average around each place where the window fits: along rows, then along columns."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-0.5 * (offsets / DEVIATION).square())
    window = window / window.sum()
    for dim in (2, 3):
        places = x_BCHW.shape[dim] - WINDOW + 1
        total = window[0] * x_BCHW.narrow(dim, 0, places)
        for i in range(1, WINDOW):
            total.add_(x_BCHW.narrow(dim, i, places), alpha=float(window[i]))
        x_BCHW = total
    return x_BCHW


def _halved(x_BCHW: Tensor) -> Tensor:
    """Averages of 2x2; an odd last row or column counts twice, as its mirror image would."""
    odd_h, odd_w = x_BCHW.shape[2] % 2, x_BCHW.shape[3] % 2
    return F.avg_pool2d(F.pad(x_BCHW, (0, odd_w, 0, odd_h), mode="replicate"), 2)
