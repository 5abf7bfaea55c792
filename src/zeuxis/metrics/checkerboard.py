"""Checkerboards: how much of the finest details comes again every few pixels.

Upsampling by transposed convolutions leaves a pattern of its stride over the whole image (Odena et al., 2016,
https://distill.pub/2016/deconv-checkerboard/): peaks of the spectrum at multiples of 1 / stride.
"""

import numpy as np

STRIDES = (2, 4)


def checkerboard(images_NHWC: np.ndarray) -> float:
    """Share of the power of fine details that is one pattern, repeated over an image, whatever its stride.

    Details are what differs from the mean of 3 x 3 pixels. Of independent pixels it is one over the
    number of repetitions, about 0.1 at 16 pixels; compare with real images of the same size.

    Args:
        images_NHWC: of at least 10 pixels a side; smaller ones have no patterns (0).
    """
    grey_NHW = images_NHWC.astype(np.float32).mean(-1)
    if min(grey_NHW.shape[1:]) < 10:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(grey_NHW, (3, 3), (1, 2))
    detail_NHW = grey_NHW[:, 1:-1, 1:-1] - windows.mean((-2, -1))
    return max(_repeated(detail_NHW, stride) for stride in STRIDES)


def _repeated(detail_NHW: np.ndarray, stride: int) -> float:
    """Power of the mean over cells of stride x stride pixels, as a share of all."""
    n, h, w = detail_NHW.shape
    whole_NHW = detail_NHW[:, : h - h % stride, : w - w % stride]
    cells = whole_NHW.reshape(n, h // stride, stride, w // stride, stride)
    pattern_NSS = cells.mean((1, 3))
    pattern_NSS -= pattern_NSS.mean((1, 2), keepdims=True)
    return float(np.square(pattern_NSS).mean() / max(np.square(whole_NHW).mean(), 1e-6))
