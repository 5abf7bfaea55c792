"""Energy score of two images that were drawn under one condition.

Shapes: B batch, C channels, H height, W width.
"""

from torch import Tensor

SMALLEST = 1e-6
"""Squared distances below it count as it: a root has no slope at 0."""


def energy_score(a_BCHW: Tensor, b_BCHW: Tensor, real_BCHW: Tensor) -> Tensor:
    """(|a - x| + |b - x| - |a - b|) / 2, (B,), of root mean squared differences; low is good.

    Its expectation over independent draws a and b of a model and x of the data is least where both have the
    same distribution under each condition (Gneiting and Raftery, 2007,
    https://doi.org/10.1198/016214506000001437, equation 21), although the data show one x of each condition:
    draws that are all alike pay by the last term. As a loss: Bouchacourt et al., 2016,
    https://arxiv.org/abs/1606.02556.

    Args:
        a_BCHW: a draw of each row's condition.
        b_BCHW: another of the same condition, of independent noise.
        real_BCHW: the data's image of that condition.
    """

    def away(x_BCHW: Tensor, y_BCHW: Tensor) -> Tensor:
        return (x_BCHW - y_BCHW).square().flatten(1).mean(1).clamp_min(SMALLEST).sqrt()

    return (away(a_BCHW, real_BCHW) + away(b_BCHW, real_BCHW) - away(a_BCHW, b_BCHW)) / 2
