"""Perceptual distance of two images, from features of a network trained on photographs.

The form is that of LPIPS (Zhang et al. 2018, arXiv:1801.03924, eq. 1) without its learned weights,

    d(a, b) = sum over layers l of the mean over places of |u_l(a) - u_l(b)|^2,

where u_l is the map of layer l with the channels at each place scaled to length 1. The network is
EfficientNet-lite0, its layers the last ones of each of five sizes, so this number is not LPIPS and not
comparable with it. It lies between 0, where the network sees no difference, and 20.

Shapes: N pairs, B of them at a time, H height, W width, C channels.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zeuxis.core.errors import Invalid
from zeuxis.features import SIZE, extractor, load_network, prepare
from zeuxis.metrics.similarity import check_pairs

LAST = (0, 2, 4, 10, 15)
"""Blocks after which the map is as small as half, a quarter ... a 32nd of the input, for the last time."""
CHUNK = 32
EPSILON = 1e-10
"""Least length that is scaled to 1: where the network sees nothing, nothing differs."""


def perceptual_distance(a_NHWC: np.ndarray, b_NHWC: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Perceptual distance of each pair, (N,) float64 in [0, 20].

    The network computes in float32; differences are squared and summed in float64.

    Args:
        a_NHWC: uint8, any size, 1, 3 or 4 channels.
        b_NHWC: uint8, the partner of each.
        size: side that images are stretched to first, as for `zeuxis.features`.

    Raises:
        ValueError: not uint8, no images, another number of channels, the two sides differ in shape, or
            the weights are not there.
    """
    check_pairs(a_NHWC, b_NHWC)
    if a_NHWC.shape[3] not in (1, 3, 4):
        raise Invalid(f"a perceptual distance needs 1, 3 or 4 channels, got {a_NHWC.shape[3]}")
    found = []
    with torch.inference_mode():
        for start in range(0, len(a_NHWC), CHUNK):
            rows = slice(start, start + CHUNK)
            total_B = torch.zeros(len(a_NHWC[rows]), dtype=torch.float64)
            for u, v in zip(_maps(a_NHWC[rows], size), _maps(b_NHWC[rows], size), strict=True):
                total_B += (u.double() - v.double()).square().sum(1).mean((1, 2))
            found.append(total_B)
    return torch.cat(found).numpy()


def perceptual_receipt(size: int = SIZE) -> dict[str, Any]:
    """What a perceptual distance depends on, besides the images."""
    layers = f"blocks {', '.join(map(str, LAST))}, channels at each place scaled to length 1"
    return extractor("efficientnet-lite0", size=size).receipt("pooled") | {"layer": layers}


def _maps(pixels_BHWC: np.ndarray, size: int) -> Iterator[Tensor]:
    """The scaled map of each layer, (B, D, H', W')."""
    net = load_network()
    x = net.stem((prepare(pixels_BHWC, size) - 127) / 128)
    for i, block in enumerate(net.blocks):
        x = block(x)
        if i in LAST:
            yield F.normalize(x, dim=1, eps=EPSILON)
