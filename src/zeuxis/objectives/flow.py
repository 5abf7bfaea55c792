"""The velocity of a rectified flow: what is exact for a Gaussian, corrected by a network.

On lines x_t = (1 - t) x + t e between data x and noise e, the velocity is v(x_t, t) = E[e - x | x_t];
u(x_t, t, l) is its average on the way from t to t - l (`objectives.distillation`).

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zeuxis.core.rng import Rng

LATE, LATE_FROM = 0.1, 0.9
"""Share of times that are drawn evenly from the last part before pure noise, which others seldom reach."""
SETTLED = 64
"""Updates after which shift and scale of the data stand still."""
TINIEST = 1e-3
"""Standard deviation below which a channel is not divided further."""


def linear(t: Tensor, length: Tensor | None, deviation: float) -> tuple[Tensor, Tensor]:
    """What brings x_t to unit variance and what makes it u, for data N(0, deviation^2).

    That flow keeps x in proportion to its deviation d, d_t^2 = t^2 + (1 - t)^2 deviation^2, which makes
    u = (1 - d_r / d_t) / l x_t; written with the middle m of t and r it needs no division by l,

        u = (m - (1 - m) deviation^2) 2 / (d_t (d_t + d_r)) x_t.

    Args:
        t: (B,).
        length: l (B,); None is 0, and then it is v = E[e - x | x_t].
        deviation: standard deviation of the data.

    Returns:
        1 / d_t and u / x_t, each (B, 1, 1, 1).
    """
    m, variance = t, deviation**2
    inverse = both = (t**2 + (1 - t) ** 2 * variance).rsqrt()
    if length is not None:
        r, m = t - length, t - length / 2
        after = (r**2 + (1 - r) ** 2 * variance).rsqrt()
        both = 2 * inverse * after / (inverse + after)
    factor = (m - (1 - m) * variance) * (inverse * both)
    return inverse[:, None, None, None], factor[:, None, None, None]


def velocity(
    net: nn.Module,
    x_BCHW: Tensor,
    time_B: Tensor,
    length_B: Tensor | None,
    deviation: float,
    told: object = None,
    **given: Tensor,
) -> Tensor:
    """v(x_t, t), or u(x_t, t, length), of x's shape and type.

    The best linear guess plus the network's correction, both sides of it scaled to unit variance (Karras et
    al., 2022, https://arxiv.org/abs/2206.00364, appendix B.6).

    Args:
        net: an `nn.unet.UNet`.
        x_BCHW: x_t.
        time_B: t.
        length_B: l; None for the velocity itself.
        deviation: approximate standard deviation of the data.
        told: what the network is told of the condition, by its own `told`; None where there is none.
        given: what else the network is shown.
    """
    inverse, guess = linear(time_B, length_B, deviation)
    correction_BCHW = net(x_BCHW * inverse, time_B, told, length_B, **given)
    return guess * x_BCHW + deviation * inverse * correction_BCHW.to(x_BCHW.dtype)


def times(rng: Rng) -> Tensor:
    """Logit-normal times (B,), some of them late, where a flow depends most on what it is shown."""
    usual_B = torch.sigmoid(1.25 * rng.normal("time") - 0.5)
    late_B2 = rng.uniform("late", 2)
    late_B = LATE_FROM + (1 - LATE_FROM) * late_B2[:, 1]
    return torch.where(late_B2[:, 0] < LATE, late_B, usual_B)


def moments(x_BCHW: Tensor) -> Mapping[str, Tensor]:
    """What `settle` needs of a batch, as statistics of a loss."""
    return {"stat/shift": x_BCHW.mean((0, 2, 3)), "stat/square": x_BCHW.square().mean((0, 2, 3))}


def settle(shift_C11: Tensor, square_C11: Tensor, stats: Mapping[str, Tensor], update: int) -> None:
    """Let mean and mean square of each channel be averages over the first updates."""
    if update < SETTLED:
        share = 1 / (update + 1)
        shift_C11.lerp_(stats["stat/shift"][:, None, None], share)
        square_C11.lerp_(stats["stat/square"][:, None, None], share)


def scale(shift_C11: Tensor, square_C11: Tensor) -> Tensor:
    """Standard deviation by channel."""
    return (square_C11 - shift_C11.square()).clamp(min=TINIEST**2).sqrt()
