"""Group normalisation, modulation and SiLU as one step.

Group norm (Wu & He, 2018, https://arxiv.org/abs/1803.08494) whose scale and shift come from an
embedding (Dhariwal & Nichol, 2021, https://arxiv.org/abs/2105.05233, section 3), then SiLU
(Elfwing et al., 2018, https://arxiv.org/abs/1702.03118). On a processor with matrix tiles such
element-wise chains cost as much as the convolutions between them, so every pass counts.

Shapes: B batch, C channels, H height, W width, G groups.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

EPSILON = 1e-5


def groups_of(channels: int) -> int:
    """How many groups to normalise `channels` in: groups of 16 if they divide, else of 8 or 4.

    In channels_last memory and bfloat16, groups of 16 were measured to be seven times faster
    than groups of 8, which do not fill a vector of the CPU's kernel.

    >>> groups_of(64), groups_of(96), groups_of(24), groups_of(7)
    (4, 6, 3, 1)
    """
    return channels // next(size for size in (16, 8, 4, channels) if channels % size == 0)


class NormSiLU(nn.Module):
    """silu(group_norm(x) * (1 + scale) + shift), scale and shift given for each row and channel.

    Args:
        channels: C, of x.
        fused: whether to use the hand-written gradient; False is stock operations throughout,
            for comparison. float64 and GPUs, whose group norm knows NCHW only, always take these.
    """

    def __init__(self, channels: int, fused: bool = True) -> None:
        super().__init__()
        self.groups = groups_of(channels)
        self.fused = fused

    def forward(self, x_BCHW: Tensor, scale_BC: Tensor, shift_BC: Tensor) -> Tensor:
        """Same shape and type as `x_BCHW`."""
        scale_BC11 = scale_BC.to(x_BCHW.dtype)[..., None, None]
        shift_BC11 = shift_BC.to(x_BCHW.dtype)[..., None, None]
        if not self.fused or not x_BCHW.is_cpu or x_BCHW.dtype == torch.float64:
            return plain_norm_silu(x_BCHW, scale_BC11, shift_BC11, self.groups)
        return _NormSiLU.apply(x_BCHW, scale_BC11, shift_BC11, self.groups)


def plain_norm_silu(x_BCHW: Tensor, scale_BC11: Tensor, shift_BC11: Tensor, groups: int) -> Tensor:
    """What `NormSiLU` means, in stock operations."""
    normal_BCHW = F.group_norm(x_BCHW, groups, eps=EPSILON)
    return F.silu(normal_BCHW * (1 + scale_BC11) + shift_BC11)


def _layout(x_BCHW: Tensor) -> torch.memory_format:
    """channels_last if that is how x lies in memory."""
    last = x_BCHW.is_contiguous(memory_format=torch.channels_last) and not x_BCHW.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


class _NormSiLU(torch.autograd.Function):
    """`plain_norm_silu` in three passes forward and six backward, statistics in float32."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x_BCHW: Tensor, scale_BC11: Tensor, shift_BC11: Tensor, groups: int
    ) -> Tensor:
        b, c, h, w = x_BCHW.shape
        x_BCHW = x_BCHW.contiguous(
            memory_format=_layout(x_BCHW)
        )  # the kernels take no other strides
        # float32 weights make the kernel keep its statistics in float32 when x is in bfloat16
        one_C, zero_C = torch.ones(c, device=x_BCHW.device), torch.zeros(c, device=x_BCHW.device)
        normal_BCHW, mean_BG, rstd_BG = torch.native_group_norm(
            x_BCHW, one_C, zero_C, b, c, h * w, groups, EPSILON
        )
        modulated_BCHW = torch.addcmul(shift_BC11, normal_BCHW, 1 + scale_BC11)
        ctx.save_for_backward(
            x_BCHW, scale_BC11, shift_BC11, normal_BCHW, modulated_BCHW, mean_BG, rstd_BG
        )
        ctx.groups = groups  # type: ignore[attr-defined]
        return F.silu(modulated_BCHW)

    @staticmethod
    def backward(ctx: Any, grad_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, normal, modulated, mean_BG, rstd_BG = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to be differentiated: stock operations
            out = plain_norm_silu(x, scale, shift, ctx.groups)
            return *torch.autograd.grad(out, (x, scale, shift), grad_BCHW, create_graph=True), None
        b, c, h, w = x.shape
        grad_BCHW = grad_BCHW.contiguous(memory_format=_layout(x))
        grad = torch.ops.aten.silu_backward(grad_BCHW, modulated)
        shift_grad = grad.sum((2, 3), keepdim=True)
        scale_grad = (grad * normal).sum((2, 3), keepdim=True)
        x_grad, _, _ = torch.ops.aten.native_group_norm_backward(
            grad.mul_(1 + scale),
            x,
            mean_BG,
            rstd_BG,
            torch.ones(c, device=x.device),
            b,
            c,
            h * w,
            ctx.groups,
            [True, False, False],
        )
        return x_grad, scale_grad, shift_grad, None
