"""Structural dissimilarity of two images; differentiable, one value per sample.

Structural similarity (Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861, equation 13)

    (2 m_x m_y + C1) (2 c_xy + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2))

of means m, variances v and the covariance c under a window. `zeuxis.metrics.similarity` has the
published measure for reports; this one has a flat window of at most 7 pixels a side, as their first
version did, so that it is five pooled averages, and works on images of any size.

Shapes: B batch, C channels, H height, W width.
"""

import torch.nn.functional as F
from torch import Tensor

WINDOW = 7
RANGE = 2.0
"""From -1 to 1."""
C1, C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2


def dissimilarity(a_BCHW: Tensor, b_BCHW: Tensor) -> Tensor:
    """(1 - structural similarity) / 2, (B,) in [0, 1]; 0 where the images are equal.

    Args:
        a_BCHW: float32 or float64 in [-1, 1]: variances are small differences of large numbers.
        b_BCHW: the partner of each; the same type and shape.
    """
    window = (min(WINDOW, a_BCHW.shape[2]), min(WINDOW, a_BCHW.shape[3]))

    def mean(x_BCHW: Tensor) -> Tensor:
        return F.avg_pool2d(x_BCHW, window, stride=1)

    a, b = mean(a_BCHW), mean(b_BCHW)
    variances = mean(a_BCHW.square() + b_BCHW.square()) - a.square() - b.square()
    covariance = mean(a_BCHW * b_BCHW) - a * b
    luminance = (2 * a * b + C1) / (a.square() + b.square() + C1)
    structure = (2 * covariance + C2) / (variances + C2)
    return ((1 - luminance * structure) / 2).flatten(1).mean(1)
