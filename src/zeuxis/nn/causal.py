"""Causal convolutions in raster order, and the same computed one value at a time.

Two streams (van den Oord et al., 2016, https://arxiv.org/abs/1606.05328, section 2.3): the vertical
one knows the rows above, the horizontal one also what is left of the pixel in its row. Their inputs
are shifted (Salimans et al., 2017, https://arxiv.org/abs/1701.05517, section 2.3), so that inside
every convolution may look at its own position too and no weight is masked.

The cached stepping keeps what later positions will ask for (Ramachandran et al., 2017,
https://arxiv.org/abs/1704.06001): the vertical stream runs once a row, the horizontal once a pixel.

Shapes: B batch, H height, W width, F features of a position, E numbers that describe the labels.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _Gate(torch.autograd.Function):
    """`gated` in two passes.

    The stock gradient of `F.glu` was measured to cost more than a block's convolutions do in
    channels_last memory.
    """

    @staticmethod
    def forward(ctx: Any, x_BFHW: Tensor, y_BFHW: Tensor) -> Tensor:
        a_BHWF, b_BHWF = y_BFHW.permute(0, 2, 3, 1).chunk(2, -1)
        open_BHWF = b_BHWF.sigmoid()
        ctx.save_for_backward(y_BFHW, open_BHWF)
        sum_BHWF = torch.addcmul(x_BFHW.permute(0, 2, 3, 1), a_BHWF, open_BHWF)
        return sum_BHWF.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BFHW: Tensor) -> tuple[Tensor, Tensor]:
        y_BFHW, open_BHWF = ctx.saved_tensors
        grad_BHWF, y_BHWF = grad_BFHW.permute(0, 2, 3, 1), y_BFHW.permute(0, 2, 3, 1)
        both_BHWF = torch.empty(y_BHWF.shape, dtype=y_BHWF.dtype, device=y_BHWF.device)
        grad_a, grad_b = both_BHWF.chunk(2, -1)
        torch.mul(grad_BHWF, open_BHWF, out=grad_a)
        torch.ops.aten.sigmoid_backward.grad_input(
            grad_BHWF * y_BHWF.chunk(2, -1)[0], open_BHWF, grad_input=grad_b
        )
        return grad_BFHW, both_BHWF.permute(0, 3, 1, 2)


def gated(x_BFHW: Tensor, y_BFHW: Tensor) -> Tensor:
    """The sum x + a * sigmoid(b), where y (B, 2F, H, W) holds a and b."""
    return _Gate.apply(x_BFHW.to(y_BFHW.dtype), y_BFHW)


class CausalConv(nn.Conv2d):
    """Convolution over a position's own row and the `rows - 1` above it.

    A wide one (`ahead`) is centred on the column; the other ends in it. The kernel is filled up
    with zeros below and to the right where its weights are used: oneDNN pads both sides alike, and
    a padded kernel is cheaper than a padded copy of every feature.
    """

    def __init__(self, inside: int, outside: int, rows: int, columns: int, ahead: bool) -> None:
        super().__init__(inside, outside, (rows, columns))
        self.ahead = columns // 2 if ahead else 0
        self.behind = columns - 1 - self.ahead
        self.above = rows - 1

    def forward(self, x_BFHW: Tensor) -> Tensor:
        """Same height and width."""
        weight = F.pad(self.weight, (0, self.behind - self.ahead, 0, self.above))
        return F.conv2d(x_BFHW, weight, self.bias, padding=(self.above, self.behind))

    def matrix(self) -> Tensor:
        """The weights as (rows * columns * inside, outside), for neighbourhoods laid out in a line."""
        return self.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()

    def offset(self) -> Tensor:
        """The bias, (outside,)."""
        assert self.bias is not None
        return self.bias.detach()


class Block(nn.Module):
    """A gated residual block of both streams; at first the identity.

    Each stream adds a * sigmoid(b), (a, b) = conv(relu(conv(relu(x)))) + labels; the horizontal one's
    inner convolution also sees the vertical one. In PixelCNN++ the activation is concat-ELU, which
    doubles every product; ReLU is one pass in place.
    """

    def __init__(self, features: int, given: int) -> None:
        super().__init__()
        self.down1 = CausalConv(features, features, 2, 3, ahead=True)
        self.down2 = CausalConv(features, 2 * features, 2, 3, ahead=True)
        self.right1 = CausalConv(features, features, 1, 2, ahead=False)
        self.right2 = CausalConv(features, 2 * features, 1, 2, ahead=False)
        self.across = nn.Conv2d(features, features, 1, bias=False)
        self.label = nn.Linear(given, 4 * features, bias=False) if given else None
        for layer in (self.down2, self.right2):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, down: Tensor, right: Tensor, given_BE: Tensor, kept_BF: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both streams (B, F, H, W). `kept_BF` multiplies the horizontal one's inner features."""
        gate_down = self.down2(F.relu(self.down1(F.relu(down)), inplace=True))
        if self.label:
            label_down, label_right = self.label(given_BE)[..., None, None].chunk(2, 1)
            gate_down = gate_down + label_down
        down = gated(down, gate_down)
        inner = F.relu(self.right1(F.relu(right)) + self.across(down), inplace=True)
        if kept_BF is not None:
            inner = inner * kept_BF[..., None, None].to(inner.dtype)
        gate_right = self.right2(inner)
        if self.label:
            gate_right = gate_right + label_right
        return down, gated(right, gate_right)


class Stage(nn.Module):
    """Blocks at one resolution, around those of the next, which sees every other position.

    Args:
        widths: features of this resolution and of the coarser ones.
        blocks: of each resolution, on the way down and, if there is a coarser one, up again.
        given: E.
    """

    def __init__(self, widths: Sequence[int], blocks: int, given: int) -> None:
        super().__init__()
        features, *coarser = widths
        self.features = features
        self.before = nn.ModuleList(Block(features, given) for _ in range(blocks))
        self.inner = Stage(coarser, blocks, given) if coarser else None
        self.after = nn.ModuleList()
        if coarser:
            self.fall = nn.ModuleList(nn.Conv2d(features, coarser[0], 1, 2) for _ in "dr")
            self.rise = nn.ModuleList(nn.Conv2d(coarser[0], features, 1) for _ in "dr")
            self.after.extend(Block(features, given) for _ in range(blocks))

    def sizes(self) -> list[int]:
        """Features of each block, in the order in which they run."""
        inner = self.inner.sizes() if self.inner else []
        own = [self.features] * len(self.before)
        return own + inner + own[: len(self.after)]

    def forward(
        self, down: Tensor, right: Tensor, given_BE: Tensor, kept: Iterator[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """Both streams (B, F, H, W); takes one item of `kept` a block."""
        for block in self.before:
            down, right = block(down, right, given_BE, next(kept))
        if self.inner:
            coarse = self.inner(self.fall[0](down), self.fall[1](right), given_BE, kept)
            h, w = down.shape[2:]
            risen = [
                F.interpolate(rise(x), scale_factor=2.0)[..., :h, :w]
                for rise, x in zip(self.rise, coarse, strict=True)
            ]
            down, right = down + risen[0], right + risen[1]
        for block in self.after:
            down, right = block(down, right, given_BE, next(kept))
        return down, right


class TwoStream(nn.Module):
    """(B, C, H, W) -> (B, F, H, W): features of each pixel that depend on the pixels before it only.

    Args:
        channels: C.
        widths: features of each resolution, finest first.
        blocks: see `Stage`.
        given: E.
    """

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, given: int) -> None:
        super().__init__()
        inside = channels + 1  # a plane of ones tells the image from what lies around it
        self.stem_down = CausalConv(inside, widths[0], 3, 7, ahead=True)
        self.stem_right = CausalConv(inside, widths[0], 1, 4, ahead=False)
        self.stage = Stage(widths, blocks, given)

    def forward(
        self, image_BCHW: Tensor, given_BE: Tensor, kept: Sequence[Tensor | None] = ()
    ) -> Tensor:
        """`kept`: factors (B, F) on each block's inner features (dropout); none if empty."""
        x = torch.cat([image_BCHW, torch.ones_like(image_BCHW[:, :1])], 1)
        above, left = F.pad(x, (0, 0, 1, -1)), F.pad(x, (1, -1))
        last = torch.channels_last
        down = self.stem_down(above.contiguous(memory_format=last))
        right = self.stem_right(left.contiguous(memory_format=last)) + down
        each = iter(kept) if kept else itertools.repeat(None)
        return self.stage(down, right, given_BE, each)[1]


class RowConv:
    """A `CausalConv` of whole rows: keeps the rows above."""

    def __init__(self, conv: CausalConv, rows: int, width: int, inside: int) -> None:
        self.conv, self.width = conv, width
        self.matrix, self.bias = conv.matrix(), conv.offset()
        shape = (rows, conv.above + 1, width + conv.behind + conv.ahead, inside)
        self.past = self.matrix.new_zeros(shape)

    def __call__(self, x_BWF: Tensor) -> Tensor:
        """The next row, (B, W, outside)."""
        past, behind = self.past, self.conv.behind
        for row in range(self.conv.above):
            past[:, row] = past[:, row + 1]
        past[:, -1, behind : behind + self.width] = x_BWF
        columns = self.conv.kernel_size[1]
        near = past.unfold(2, columns, 1).permute(0, 2, 1, 4, 3)  # (B, W, rows, columns, F)
        near = near.reshape(-1, len(self.matrix))
        return torch.addmm(self.bias, near, self.matrix).view(*x_BWF.shape[:2], -1)


class PixelConv:
    """A `CausalConv` of one row, pixel by pixel: `here[j]` is written, `near[j]` is read."""

    def __init__(self, conv: CausalConv, rows: int, width: int, inside: int) -> None:
        self.matrix, self.bias = conv.matrix(), conv.offset()
        columns = conv.kernel_size[1]
        self.row = self.matrix.new_zeros(rows, width + columns - 1, inside)
        self.here = [self.row[:, j + columns - 1] for j in range(width)]
        self.near = [self.row[:, j : j + columns].flatten(1) for j in range(width)]
        # rows longer than the columns lie apart in memory: `flatten` is a view of them
        assert width == 1 or self.near[0].data_ptr() == self.row.data_ptr()


class BlockSteps:
    """A `Block` step by step; it keeps its vertical stream's newest row for the pixels of that row."""

    def __init__(self, block: Block, rows: int, width: int, given_BE: Tensor) -> None:
        features = len(block.across.weight)
        self.features = features
        self.down1 = RowConv(block.down1, rows, width, features)
        self.down2 = RowConv(block.down2, rows, width, features)
        self.right1 = PixelConv(block.right1, rows, width, features)
        self.right2 = PixelConv(block.right2, rows, width, features)
        self.across = block.across.weight.detach()[..., 0, 0].T.contiguous()
        self.gate_bias = self.right2.bias
        self.label_down: Tensor | None = None
        if block.label:
            label_down, label_right = F.linear(given_BE, block.label.weight.detach()).chunk(2, 1)
            self.label_down = label_down[:, None]
            self.gate_bias = self.gate_bias + label_right
        # (W, B, F): the vertical stream's part of each pixel, written once a row
        self.vertical = self.across.new_zeros(width, rows, features)
        self.vertical_at = list(self.vertical.unbind(0))

    def row(self, down_BWF: Tensor) -> Tensor:
        """The vertical stream's next row."""
        gate = self.down2(self.down1(down_BWF.relu()).relu_())
        if self.label_down is not None:
            gate = gate + self.label_down
        down_BWF = down_BWF + F.glu(gate, -1)
        vertical_BWF = torch.matmul(down_BWF, self.across) + self.right1.bias
        self.vertical.copy_(vertical_BWF.transpose(0, 1))
        return down_BWF

    def pixel(self, right_BF: Tensor, j: int) -> Tensor:
        """The horizontal stream's next pixel."""
        first, second = self.right1, self.right2
        torch.clamp_min(right_BF, 0, out=first.here[j])
        inner = torch.addmm(self.vertical_at[j], first.near[j], first.matrix)
        torch.clamp_min(inner, 0, out=second.here[j])
        gate = torch.addmm(self.gate_bias, second.near[j], second.matrix)
        return right_BF + F.glu(gate, 1)


class StageSteps:
    """A `Stage` step by step."""

    def __init__(self, stage: Stage, rows: int, width: int, given_BE: Tensor) -> None:
        def stepped(blocks: nn.ModuleList) -> list[BlockSteps]:
            # to mypy the members of a ModuleList are plain modules
            return [BlockSteps(block, rows, width, given_BE) for block in blocks]  # type: ignore[arg-type]

        self.before, self.after = stepped(stage.before), stepped(stage.after)
        self.inner: StageSteps | None = None
        self.width = width
        if stage.inner:
            coarse = -(-width // 2)
            self.inner = StageSteps(stage.inner, rows, coarse, given_BE)
            self.fall = [_linear(conv) for conv in stage.fall]
            self.rise = [_linear(conv) for conv in stage.rise]
            self.down = given_BE.new_zeros(rows, width, 0)
            self.right = [given_BE] * coarse

    def row(self, down_BWF: Tensor, i: int) -> Tensor:
        """The vertical stream's row `i`."""
        for block in self.before:
            down_BWF = block.row(down_BWF)
        if self.inner:
            if i % 2 == 0:
                coarse = self.inner.row(F.linear(down_BWF[:, ::2], *self.fall[0]), i // 2)
                risen = F.linear(coarse, *self.rise[0])
                self.down = risen.repeat_interleave(2, 1)[:, : self.width]
            down_BWF = down_BWF + self.down
        for block in self.after:
            down_BWF = block.row(down_BWF)
        return down_BWF

    def pixel(self, right_BF: Tensor, i: int, j: int) -> Tensor:
        """The horizontal stream's pixel (i, j)."""
        for block in self.before:
            right_BF = block.pixel(right_BF, j)
        if self.inner:
            if i % 2 == 0 and j % 2 == 0:
                coarse = F.linear(right_BF, *self.fall[1])
                coarse = self.inner.pixel(coarse, i // 2, j // 2)
                self.right[j // 2] = F.linear(coarse, *self.rise[1])
            right_BF = right_BF + self.right[j // 2]
        for block in self.after:
            right_BF = block.pixel(right_BF, j)
        return right_BF


class TwoStreamSteps:
    """A `TwoStream` pixel by pixel, in the weights' precision, whatever autocast says.

    Args:
        net: the network; its weights are copied.
        rows: B.
        width: W.
        channels: C.
        given_BE: what describes the labels.
    """

    def __init__(
        self, net: TwoStream, rows: int, width: int, channels: int, given_BE: Tensor
    ) -> None:
        self.width, self.i, self.j = width, 0, -1
        self.stem_down = RowConv(net.stem_down, rows, width, channels + 1)
        self.stem_right = PixelConv(net.stem_right, rows, width, channels + 1)
        self.stage = StageSteps(net.stage, rows, width, given_BE)
        # the row that is being drawn, a column longer on the left: what is left of each pixel
        self.above = self.stem_down.matrix.new_zeros(rows, width, channels + 1)
        self.current = torch.zeros_like(self.above)
        self.current[..., -1] = 1
        self._row()

    def features(self) -> Tensor:
        """Of the next pixel, (B, F). To be asked for once a pixel."""
        j, stem = self.j + 1, self.stem_right
        if j:  # left of the first pixel lie zeros
            stem.here[j].copy_(self.current[:, j - 1])
        right_BF = torch.addmm(stem.bias, stem.near[j], stem.matrix) + self.down[:, j]
        self.j = j
        return self.stage.pixel(right_BF, self.i, j)

    def push(self, value_BC: Tensor) -> None:
        """Fix the pixel whose features were asked for."""
        self.current[:, self.j, :-1] = value_BC
        if self.j == self.width - 1:
            self.above.copy_(self.current)
            self.i, self.j = self.i + 1, -1
            self._row()

    def _row(self) -> None:
        self.down = self.stem_down(self.above)
        self.stage.row(self.down, self.i)


def _linear(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights and bias of a 1x1 convolution."""
    weight, bias = (parameter.detach() for parameter in conv.parameters())
    return weight[..., 0, 0], bias
