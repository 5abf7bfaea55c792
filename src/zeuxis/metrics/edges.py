"""Agreement of edges: whether a translation kept what its source shows, whatever became of the colours.

Shapes: N images, H height, W width, C channels.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core.pixels import to_tensor

SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


def edge_agreement(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> np.ndarray:
    """Correlation of the strength of edges of image i of `a` and of `b` over all pixels, (N,) in [-1, 1].

    The strength is the length of the gradient by Sobel's filters, summed over the channels' mean. 1 is the
    same drawing, 0 no relation; an image without any edge agrees with none.

    Args:
        a_NHWC: uint8.
        b_NHWC: as many, of the same height and width; channels may be others.
    """
    a, b = (_strength(each).flatten(1) for each in (a_NHWC, b_NHWC))
    a, b = (each - each.mean(1, keepdim=True) for each in (a, b))
    scale = (a.square().sum(1) * b.square().sum(1)).sqrt()
    found: np.ndarray = ((a * b).sum(1) / scale.clamp(min=1e-12)).numpy()
    return found


def _strength(images_NHWC: np.ndarray) -> Tensor:
    """(N, H, W) float64 length of the gradient of the channels' mean."""
    grey = to_tensor(np.array(images_NHWC)).double().mean(1, keepdim=True)
    across = torch.tensor(SOBEL, dtype=grey.dtype)
    filters = torch.stack([across, across.T])[:, None]
    gradient = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), filters)
    return gradient.square().sum(1).sqrt()
