"""Equalised weights and modulated convolutions, as StyleGAN2 has them (Karras et al., 2020).

Their paper is https://arxiv.org/abs/1912.04958. Equalised weights (Karras et al., 2018,
https://arxiv.org/abs/1710.10196, section 4.1) are standard normal at first and divided by the root of
their fan-in in each pass, so that Adam changes all of them at the same relative pace.

Shapes: B batch, I inputs, O outputs, H height, W width, K kernel, Z style.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.precision import full

SLOPE = 0.2  # of the leaky ReLU below zero
GAIN = math.sqrt(2)
"""Makes up for what a leaky ReLU takes away. Positive, so it may stand before it, among the weights."""


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


def unit(x_BN: Tensor) -> Tensor:
    """Each row at a root mean square of 1."""
    return x_BN * (x_BN.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualLinear(nn.Module):
    """A linear layer with equalised weights, always in full precision.

    Args:
        inputs: numbers in.
        outputs: numbers out.
        gain: factor on the weights.
        bias: value of the bias at first.
        pace: learning rate of this layer relative to the others', as a parametrisation: the
            parameters are kept `1 / pace` as large as they are used.
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = 1.0, bias: float = 0.0, pace: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / pace)
        self.bias = nn.Parameter(torch.full((outputs,), bias / pace))
        self.scale, self.pace = gain * pace / math.sqrt(inputs), pace

    def forward(self, x_BI: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        with torch.autocast(x_BI.device.type, enabled=False):
            return F.linear(full(x_BI), self.weight * self.scale, self.bias * self.pace)


class EqualConv(nn.Module):
    """A convolution with equalised weights that keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = gain / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, x_BIHW: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H, W)."""
        return F.conv2d(x_BIHW, self.weight * self.scale, self.bias, padding=self.padding)


def demodulation(weight_OIKK: Tensor, scale_BI: Tensor) -> Tensor:
    """What makes each output of a modulated convolution as large as its inputs, (B, O).

    1 / sqrt(sum over i and k of (scale_i weight_oik)^2): their equation 3. In full precision.
    """
    with torch.autocast(scale_BI.device.type, enabled=False):
        power_OI = full(weight_OIKK).square().sum((2, 3))
        return (full(scale_BI).square() @ power_OI.T + 1e-8).rsqrt()


class ModulatedConv(nn.Module):
    """A convolution whose weights are scaled for each row by its style, then normalised.

    The weights scale_i weight_oik / |scale weight|_o would be another kernel for each row, and a
    grouped convolution. But a convolution is linear: scaling its inputs by `scale_i` and its outputs
    by the demodulation gives the same from one dense kernel for all rows (their section 2.2).
    """

    def __init__(self, inputs: int, outputs: int, style: int, kernel: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = EqualLinear(style, inputs, bias=1.0)

    def forward(self, x_BIHW: Tensor, w_BZ: Tensor, gain: float = 1.0) -> Tensor:
        """(B, I, H, W), style (B, Z) -> (B, O, H, W), `gain` times as large as x plus a bias."""
        scale_BI = self.affine(w_BZ)
        factor_BO = demodulation(self.weight, scale_BI) * gain
        scaled_BIHW = x_BIHW * scale_BI.to(x_BIHW.dtype)[..., None, None]
        y = F.conv2d(scaled_BIHW, self.weight, padding=self.weight.shape[2] // 2)
        bias_O11 = self.bias.to(y.dtype)[:, None, None]
        return torch.addcmul(bias_O11, y, factor_BO.to(y.dtype)[..., None, None])


class ToColour(nn.Module):
    """A modulated 1x1 convolution without demodulation: features to the channels of an image."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = EqualLinear(style, inputs, bias=1.0)

    def forward(self, x_BIHW: Tensor, w_BZ: Tensor) -> Tensor:
        """(B, I, H, W), style (B, Z) -> (B, O, H, W) in full precision."""
        scale_BI = self.affine(w_BZ) / math.sqrt(self.weight.shape[1])
        kernel_BIO = (self.weight * scale_BI[:, None]).transpose(1, 2)
        # few outputs: one small matrix product a row is cheaper than to scale all of x first
        points_BPI = x_BIHW.permute(0, 2, 3, 1).flatten(1, 2)
        colour_BPO = full(points_BPI @ kernel_BIO.to(x_BIHW.dtype)) + self.bias
        return colour_BPO.unflatten(1, x_BIHW.shape[2:]).permute(0, 3, 1, 2)


class Down(nn.Module):
    """Half the grid: (1x1 convolution + two 3x3 convolutions) / sqrt(2), the factor being in the gains."""

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.first, self.second = EqualConv(fine, coarse, gain=GAIN), EqualConv(coarse, coarse)
        self.skip = EqualConv(fine, coarse, 1, gain=math.sqrt(0.5))

    def forward(self, x_BFHW: Tensor) -> Tensor:
        """(B, fine, H, W) -> (B, coarse, H / 2, W / 2), rounded up."""
        x = F.avg_pool2d(x_BFHW, 2, ceil_mode=True)
        return self.skip(x) + leaky(self.second(leaky(self.first(x))))
