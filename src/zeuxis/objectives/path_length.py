"""Path-length penalty (StyleGAN2, equation 4): how far an image moves when its style does.

(Karras et al., 2020, https://arxiv.org/abs/1912.04958.)

Shapes: B batch, C channels, H height, W width, L layers, Z style.
"""

import math

import torch
from torch import Tensor


def path_lengths(image_BCHW: Tensor, w_BLZ: Tensor, normal_BCHW: Tensor) -> Tensor:
    """|J^T y| with J = dimage/dw and y = normal / sqrt(HW), (B,), itself differentiable.

    Squares are summed over a layer's style and averaged over the layers, so that the length does
    not grow with their number. It is right only for a generator that treats rows apart.

    Args:
        image_BCHW: computed from `w_BLZ`.
        w_BLZ: styles in float32 or float64, so that the sum of squares is accumulated in it.
        normal_BCHW: standard normal.
    """
    y_BCHW = normal_BCHW / math.sqrt(image_BCHW.shape[2] * image_BCHW.shape[3])
    projected = (image_BCHW.to(w_BLZ.dtype) * y_BCHW).sum()
    (gradient_BLZ,) = torch.autograd.grad(projected, w_BLZ, create_graph=True)
    # the tiny constant keeps the root's slope finite where the gradient vanishes
    return (gradient_BLZ.square().sum(2).mean(1) + 1e-12).sqrt()
