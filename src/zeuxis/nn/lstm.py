"""Two-dimensional LSTMs (van den Oord et al., 2016, https://arxiv.org/abs/1601.06759, section 3).

An LSTM whose cells are pixels. With x_p the input of the pixel p, their equation 3 reads

    o, f, i = sigmoid(K_is * x_p + K_ss * h),   g = tanh(K_is * x_p + K_ss * h)
    c_p = f c + i g,   h_p = o tanh(c_p)

and the two layers differ in what h and c are. In the **Row LSTM** (3.1) c is the cell above, h the three
states above, x_p this pixel and the one to its left; a row is computed at once. In the **Diagonal
BiLSTM** (3.2) c is the cell to the left, h the states to the left and above; a diagonal is computed at
once. A second direction goes from right to left, and its map is shifted down by one row, so
that it adds all that lies above and to the right, and nothing that comes later in raster order.

Both are one recurrence over parallel *sequences*: at each step some consecutive ones (all columns of a
row; all rows that a diagonal crosses) depend on the same and the neighbouring ones of the step before.

Maps lie in memory as (P, B, F), a pixel after another in raster order, so that a row is a slice, and to
skew a map is to permute its first axis: no cell is computed outside the image.

Shapes: P pixels in raster order, N cells in order of computation, L sequences, B batch, F features of a
map, S size of a state, X inputs of a cell, G = 4 S gates (o, f, i, g), K = earlier states x S,
J = X + K, E label embedding.
"""

import dataclasses
import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from zeuxis.nn.precision import full

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Which sequences each step computes.

    Attributes:
        sequences: how many there are.
        spans: first sequence and the one after the last, per step.
        taps: the sequences of the step before that a cell depends on, relative to its own.
    """

    sequences: int
    spans: tuple[Span, ...]
    taps: tuple[int, ...]


@functools.cache
def rows(height: int, width: int) -> Schedule:
    """The Row LSTM's: a row a step."""
    return Schedule(width, ((0, width),) * height, (-1, 0, 1))


@functools.cache
def diagonals(height: int, width: int) -> Schedule:
    """The Diagonal BiLSTM's: at step t the pixels (i, t - i); sequence i is row i."""
    spans = ((max(0, t - width + 1), min(height, t + 1)) for t in range(height + width - 1))
    return Schedule(height, tuple(spans), (-1, 0))


def skewed(height: int, width: int, mirrored: bool) -> Tensor:
    """(N,) int64: the raster position of each cell that `diagonals` computes, in order.

    >>> skewed(2, 3, False).tolist(), skewed(2, 3, True).tolist()
    ([0, 1, 3, 2, 4, 5], [2, 1, 5, 0, 4, 3])
    """
    cells = [
        (i, t - i)
        for t, (first, last) in enumerate(diagonals(height, width).spans)
        for i in range(first, last)
    ]
    return torch.tensor([i * width + (width - 1 - j if mirrored else j) for i, j in cells])


def activate(gates_G: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Squash the gates (..., G) in place; o, f, i and g, each (..., S)."""
    size = gates_G.shape[-1] // 4
    gates_G[..., : 3 * size].sigmoid_()
    gates_G[..., 3 * size :].tanh_()
    o, f, i, g = gates_G.chunk(4, -1)
    return o, f, i, g


class _Recurrence(torch.autograd.Function):
    """Inputs (N, B, X), weight (X + K, G), bias (B or 1, G) -> states (N, B, S).

    By hand for three reasons. The gradient of the weight, a sum over all steps, becomes one product. Maps
    as wide as the gates, which are what fills the memory's bus, are written once a pass. And between the
    products a step works in float32 on a few small buffers that stay in the cache (measured:
    bfloat16's tanh takes six times as long).
    """

    @staticmethod
    def forward(
        ctx: Any, x_NBX: Tensor, weight_JG: Tensor, bias_BG: Tensor, schedule: Schedule
    ) -> Tensor:
        (n, b, _), (j, g) = x_NBX.shape, weight_JG.shape
        sequences, size, taps = schedule.sequences, g // 4, schedule.taps
        wide = bias_BG.dtype
        state = x_NBX.new_zeros(sequences + 2, b, size)  # a sequence of zeros at each end
        cell = x_NBX.new_zeros(sequences, b, size, dtype=wide)
        bent = torch.empty_like(cell)
        product = x_NBX.new_empty(sequences * b, g)
        gates = x_NBX.new_empty(sequences, b, g, dtype=wide)
        joint_NBJ, gates_NBG = x_NBX.new_empty(n, b, j), x_NBX.new_empty(n, b, g)
        old_NBS, bent_NBS, out_NBS = x_NBX.new_empty(3, n, b, size)
        start = 0
        for first, last in schedule.spans:
            count = last - first
            here = slice(start, start := start + count)
            earlier = [state[1 + first + tap : 1 + last + tap] for tap in taps]
            torch.cat([x_NBX[here], *earlier], -1, out=joint_NBJ[here])
            torch.mm(joint_NBJ[here].flatten(0, 1), weight_JG, out=product[: count * b])
            gates[:count] = product[: count * b].unflatten(0, (count, b))
            o, f, i, new = activate(gates[:count].add_(bias_BG))
            c = cell[first:last]
            old_NBS[here] = c
            torch.tanh(c.mul_(f).addcmul_(i, new), out=bent[:count])
            gates_NBG[here], bent_NBS[here] = gates[:count], bent[:count]
            out_NBS[here] = torch.mul(o, bent[:count], out=bent[:count])
            state[1 + first : 1 + last] = out_NBS[here]
        ctx.save_for_backward(weight_JG, joint_NBJ, gates_NBG, old_NBS, bent_NBS)
        ctx.schedule, ctx.bias_rows, ctx.wide = schedule, bias_BG.shape[0], wide
        return out_NBS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NBS: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight_JG, joint_NBJ, gates_NBG, old_NBS, bent_NBS = ctx.saved_tensors
        schedule, wide, (stop, b, size) = ctx.schedule, ctx.wide, grad_NBS.shape
        sigmoid_backward = torch.ops.aten.sigmoid_backward
        tanh_backward = torch.ops.aten.tanh_backward
        inputs = len(weight_JG) - len(schedule.taps) * size
        given_NBG = torch.empty_like(gates_NBG)
        x_NBX = grad_NBS.new_empty(stop, b, inputs)
        bias_BG = grad_NBS.new_zeros(b, 4 * size, dtype=wide)
        state = grad_NBS.new_zeros(schedule.sequences + 2, b, size, dtype=wide)
        cell = grad_NBS.new_zeros(schedule.sequences, b, size, dtype=wide)
        scratch = grad_NBS.new_empty(schedule.sequences, b, 4 * size, dtype=wide)
        for first, last in reversed(schedule.spans):
            here, stop = slice(stop - (last - first), stop), stop - (last - first)
            gates, bent, old = (t[here].to(wide) for t in (gates_NBG, bent_NBS, old_NBS))
            o, f, i, new = gates.chunk(4, -1)
            given = scratch[: last - first]
            o_grad, f_grad, i_grad, new_grad = given.chunk(4, -1)
            h = state[1 + first : 1 + last].add_(grad_NBS[here])
            torch.mul(h, bent, out=o_grad)
            c = tanh_backward(h.mul_(o), bent).add_(cell[first:last])
            torch.mul(c, old, out=f_grad)
            torch.mul(c, new, out=i_grad)
            torch.mul(c, i, out=new_grad)
            torch.mul(c, f, out=cell[first:last])
            squashed, squashed_grad = gates[..., : 3 * size], given[..., : 3 * size]
            sigmoid_backward.grad_input(squashed_grad, squashed, grad_input=squashed_grad)
            tanh_backward.grad_input(new_grad, new, grad_input=new_grad)
            given_NBG[here] = given
            bias_BG += given.sum(0)
            joint = (given_NBG[here].flatten(0, 1) @ weight_JG.T).unflatten(0, (-1, b))
            x_NBX[here] = joint[..., :inputs]
            state.zero_()
            for tap, part in zip(schedule.taps, joint[..., inputs:].split(size, -1), strict=True):
                state[1 + first + tap : 1 + last + tap] += part
        weight_grad_JG = joint_NBJ.flatten(0, 1).T @ given_NBG.flatten(0, 1)
        if ctx.bias_rows == 1:
            bias_BG = bias_BG.sum(0, keepdim=True)
        return x_NBX, weight_grad_JG, bias_BG, None


def plain_recurrence(
    x_NBX: Tensor, weight_JG: Tensor, bias_BG: Tensor, schedule: Schedule
) -> Tensor:
    """What `_Recurrence` means, in stock operations that write over nothing."""
    size, start, found = weight_JG.shape[1] // 4, 0, []
    state = x_NBX.new_zeros(schedule.sequences + 2, x_NBX.shape[1], size)
    cell = state[2:]
    for first, last in schedule.spans:
        here = slice(start, start := start + last - first)
        earlier = [state[1 + first + tap : 1 + last + tap] for tap in schedule.taps]
        gates = torch.cat([x_NBX[here], *earlier], -1) @ weight_JG + bias_BG
        o, f, i = gates[..., : 3 * size].sigmoid().chunk(3, -1)
        c = f * cell[first:last] + i * gates[..., 3 * size :].tanh()
        found.append(o * c.tanh())
        cell = torch.cat([cell[:first], c, cell[last:]])
        state = torch.cat([state[: 1 + first], found[-1], state[1 + last :]])
    return torch.cat(found)


class Cells(nn.Module):
    """The LSTM of one direction: input-to-state, state-to-state and labels into the gates.

    Args:
        inputs: X.
        size: S.
        taps: states that a cell depends on.
        given: E; 0 without labels.

    Attributes:
        fused: whether to use `_Recurrence`, with its gradient by hand.
    """

    def __init__(self, inputs: int, size: int, taps: int, given: int) -> None:
        super().__init__()
        self.fused = True
        self.hear = nn.Linear(inputs, 4 * size)
        self.label = nn.Linear(given, 4 * size, bias=False) if given else None
        self.state = nn.Parameter(torch.empty(taps * size, 4 * size))
        bound = 1 / math.sqrt(taps * size)
        nn.init.uniform_(self.state, -bound, bound)
        with torch.no_grad():  # remember at first (Jozefowicz et al., 2015)
            self.hear.bias[size : 2 * size] += 1

    def bias(self, label_BE: Tensor) -> Tensor:
        """What the gates get but from maps and states, (B, G) or (1, G), float32 or better."""
        bias_BG = full(self.hear.bias)[None]
        return bias_BG if self.label is None else bias_BG + full(self.label(label_BE))

    def forward(self, x_NBX: Tensor, label_BE: Tensor, schedule: Schedule) -> Tensor:
        """The states of all cells, (N, B, S)."""
        weight_JG = torch.cat([self.hear.weight.T, self.state]).to(x_NBX.dtype)
        recur = _Recurrence.apply if self.fused else plain_recurrence
        return recur(x_NBX, weight_JG, self.bias(label_BE), schedule)


class RowLSTM(nn.Module):
    """Row LSTM with the residual connection of figure 5: x + upsample(h).

    Args:
        features: F, of the map.
        size: S, of the states; half of `features` in the paper.
        given: E; 0 without labels.
    """

    def __init__(self, features: int, size: int, given: int) -> None:
        super().__init__()
        self.cells = Cells(2 * features, size, 3, given)
        self.upsample = nn.Linear(size, features)

    def forward(self, x_PBF: Tensor, label_BE: Tensor, shape: tuple[int, int]) -> Tensor:
        """Same shape as `x_PBF`, the map of an image of `shape` (height, width)."""
        # Mask B on a kernel of three leaves two taps: the pixel to the left, and this one.
        left = F.pad(x_PBF.unflatten(0, shape), (0, 0, 0, 0, 1, 0))[:, :-1].flatten(0, 1)
        h_PBS = self.cells(torch.cat([left, x_PBF], -1), label_BE, rows(*shape))
        return x_PBF + self.upsample(h_PBS)

    def stepper(self, label_BE: Tensor, width: int) -> "RowStepper":
        """The same layer, pixel by pixel."""
        return RowStepper(self, label_BE, width)


class DiagonalBiLSTM(nn.Module):
    """Diagonal BiLSTM with the residual connection of figure 5; arguments as for `RowLSTM`."""

    def __init__(self, features: int, size: int, given: int) -> None:
        super().__init__()
        self.right = Cells(features, size, 2, given)  # towards the right
        self.left = Cells(features, size, 2, given)
        self.upsample = nn.Linear(size, features)

    def forward(self, x_PBF: Tensor, label_BE: Tensor, shape: tuple[int, int]) -> Tensor:
        """Same shape as `x_PBF`, the map of an image of `shape` (height, width)."""
        schedule, width = diagonals(*shape), shape[1]
        right, left = (skewed(*shape, mirrored).to(x_PBF.device) for mirrored in (False, True))
        h_NBS = self.right(x_PBF[right], label_BE, schedule)
        h_PBS = h_NBS[right.argsort()]
        h_NBS = self.left(x_PBF[left], label_BE, schedule)
        shifted_PBS = F.pad(h_NBS[left.argsort()[:-width]], (0, 0, 0, 0, width, 0))
        return x_PBF + self.upsample(h_PBS + shifted_PBS)

    def stepper(self, label_BE: Tensor, width: int) -> "DiagonalStepper":
        """The same layer, pixel by pixel."""
        return DiagonalStepper(self, label_BE, width)


def working(weight: Tensor) -> Tensor:
    """The weight in the type that products are computed in, without a gradient.

    Autocast would convert it again at every pixel.
    """
    device = weight.device.type
    if torch.is_autocast_enabled(device) and weight.dtype == torch.float32:
        weight = weight.to(torch.get_autocast_dtype(device))
    return weight.detach()


class Product:
    """A linear layer with weights as `working` makes them."""

    def __init__(self, layer: nn.Linear) -> None:
        self.weight, self.bias = working(layer.weight), working(layer.bias)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., X) -> (..., G)."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class _Stepper:
    """Shared by the two: weights of a direction, and how a cell goes on."""

    def __init__(self, cells: Cells, label_BE: Tensor) -> None:
        self.weight_GX, self.state_KG = working(cells.hear.weight), working(cells.state)
        self.size = self.state_KG.shape[1] // 4
        self.bias_BG = cells.bias(label_BE).detach()

    def gates(self, x_BX: Tensor) -> Tensor:
        return F.linear(x_BX, self.weight_GX)

    def states(self, *shape: int) -> Tensor:
        return self.state_KG.new_zeros(*shape, self.size)

    def cells(self, *shape: int) -> Tensor:
        return self.bias_BG.new_zeros(*shape, self.size)

    def go(self, gates_BG: Tensor, cell_BS: Tensor) -> Tensor:
        """The new state (B, S); the cell changes in place."""
        o, f, i, new = activate(gates_BG)
        return (o * cell_BS.mul_(f).addcmul_(i, new).tanh()).to(self.state_KG.dtype)


class RowStepper:
    """`RowLSTM` pixel by pixel: of the row above it keeps what its states say to each pixel."""

    def __init__(self, layer: RowLSTM, label_BE: Tensor, width: int) -> None:
        self.own, self.upsample = _Stepper(layer.cells, label_BE), Product(layer.upsample)
        batch = label_BE.shape[0]
        self.state_WBS = self.own.states(width, batch)
        self.cell_WBS = self.own.cells(width, batch)
        self.left_BF = self.state_WBS.new_zeros(1, 1)
        self.end_row()

    def step(self, x_BF: Tensor, column: int) -> Tensor:
        """The layer's output (B, F) at the next pixel of the row."""
        x_BX = torch.cat([self.left_BF.expand_as(x_BF), x_BF], -1)
        gates_BG = self.above_WBG[column] + self.own.gates(x_BX)
        h_BS = self.own.go(gates_BG, self.cell_WBS[column])
        self.state_WBS[column] = h_BS
        self.left_BF = x_BF
        return x_BF + self.upsample(h_BS)

    def end_row(self) -> None:
        """The row is done: say what it means to the next one."""
        padded = F.pad(self.state_WBS, (0, 0, 0, 0, 1, 1))
        earlier_WBK = torch.cat([padded[:-2], padded[1:-1], padded[2:]], -1)
        self.above_WBG = earlier_WBK @ self.own.state_KG + self.own.bias_BG
        self.left_BF = self.left_BF.new_zeros(1, 1)


class DiagonalStepper:
    """`DiagonalBiLSTM` pixel by pixel.

    The direction towards the right goes along. The other one reaches it from the row above only, so it is
    computed, from its right end, once that row is complete.
    """

    def __init__(self, layer: DiagonalBiLSTM, label_BE: Tensor, width: int) -> None:
        self.right, self.left = (_Stepper(c, label_BE) for c in (layer.right, layer.left))
        self.upsample = Product(layer.upsample)
        self.batch = label_BE.shape[0]
        self.state_WBS, self.other_WBS = self.right.states(2, width, self.batch)
        self.h_BS, self.cell_BS = self.right.states(self.batch), self.right.cells(self.batch)
        self.xs: list[Tensor] = []
        self._start_row()

    def step(self, x_BF: Tensor, column: int) -> Tensor:
        """The layer's output (B, F) at the next pixel of the row."""
        own = self.right
        gates_BG = self.above_WBG[column] + own.gates(x_BF)
        gates_BG += self.h_BS @ own.state_KG[own.size :]
        self.h_BS = own.go(gates_BG, self.cell_BS)
        self.state_WBS[column] = self.h_BS
        self.xs.append(x_BF)
        return x_BF + self.upsample(self.h_BS + self.other_WBS[column])

    def end_row(self) -> None:
        """The row is done: now the direction towards the left can pass over it."""
        own = self.left
        gates_WBG = own.gates(torch.stack(self.xs)) + own.bias_BG
        gates_WBG += self.other_WBS @ own.state_KG[: own.size]
        h_BS, cell_BS = own.states(self.batch), own.cells(self.batch)
        for column in reversed(range(len(self.xs))):
            gates_BG = gates_WBG[column] + h_BS @ own.state_KG[own.size :]
            h_BS = own.go(gates_BG, cell_BS)
            self.other_WBS[column] = h_BS
        self._start_row()

    def _start_row(self) -> None:
        own = self.right
        self.above_WBG = self.state_WBS @ own.state_KG[: own.size] + own.bias_BG
        self.h_BS, self.cell_BS = own.states(self.batch), own.cells(self.batch)
        self.xs = []
