"""Inception's architecture: the network of 2015 whose features FID, KID and Inception score mean.

The third Inception (Szegedy et al. 2015, arXiv:1512.00567) as TensorFlow's archive of 2015-12-05
has it, which is not the one of the vision libraries: 1,008 logits; average pools that leave padding
out of the mean; a max pool in the last block; 94 convolutions without bias, each followed by a
batch norm (epsilon 0.001) and ReLU.

Shapes: B batch, H height, W width, C channels, D features.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, CLASSES, EPSILON = 299, 1008, 1e-3

Step = tuple[str, int, int, int]
"""A convolution: name, outputs, kernel height, kernel width."""
Steps = list[Step]

STEM: Steps = [
    ("Conv2d_1a_3x3", 32, 3, 3),
    ("Conv2d_2a_3x3", 32, 3, 3),
    ("Conv2d_2b_3x3", 64, 3, 3),
    ("Conv2d_3b_1x1", 80, 1, 1),
    ("Conv2d_4a_3x3", 192, 3, 3),
]
VALID = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_4a_3x3")
"""These have no padding; the first of them has stride 2."""


def _a(pool: int) -> list[Steps]:
    return [
        [("branch1x1", 64, 1, 1)],
        [("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 5)],
        [
            ("branch3x3dbl_1", 64, 1, 1),
            ("branch3x3dbl_2", 96, 3, 3),
            ("branch3x3dbl_3", 96, 3, 3),
        ],
        [("branch_pool", pool, 1, 1)],
    ]


def _c(inner: int) -> list[Steps]:
    return [
        [("branch1x1", 192, 1, 1)],
        [
            ("branch7x7_1", inner, 1, 1),
            ("branch7x7_2", inner, 1, 7),
            ("branch7x7_3", 192, 7, 1),
        ],
        [
            ("branch7x7dbl_1", inner, 1, 1),
            ("branch7x7dbl_2", inner, 7, 1),
            ("branch7x7dbl_3", inner, 1, 7),
            ("branch7x7dbl_4", inner, 7, 1),
            ("branch7x7dbl_5", 192, 1, 7),
        ],
        [("branch_pool", 192, 1, 1)],
    ]


# Both of these halve the size, their last convolutions having stride 2 and no padding.
_B: list[Steps] = [
    [("branch3x3", 384, 3, 3)],
    [("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 3), ("branch3x3dbl_3", 96, 3, 3)],
]
_D: list[Steps] = [
    [("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 3)],
    [
        ("branch7x7x3_1", 192, 1, 1),
        ("branch7x7x3_2", 192, 1, 7),
        ("branch7x7x3_3", 192, 7, 1),
        ("branch7x7x3_4", 192, 3, 3),
    ],
]
# In this one the convolutions "a" and "b" at the end of a chain both read what came before them.
_E: list[Steps] = [
    [("branch1x1", 320, 1, 1)],
    [("branch3x3_1", 384, 1, 1), ("branch3x3_2a", 384, 1, 3), ("branch3x3_2b", 384, 3, 1)],
    [
        ("branch3x3dbl_1", 448, 1, 1),
        ("branch3x3dbl_2", 384, 3, 3),
        ("branch3x3dbl_3a", 384, 1, 3),
        ("branch3x3dbl_3b", 384, 3, 1),
    ],
    [("branch_pool", 192, 1, 1)],
]
BLOCKS = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _B,
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _D,
    "Mixed_7b": _E,
    "Mixed_7c": _E,
}


def _shapes() -> dict[str, tuple[int, int, int, int]]:
    shapes, before = {}, 3
    for name, out, height, width in STEM:
        shapes[name] = (out, before, height, width)
        before = out
    for block, chains in BLOCKS.items():
        total = before if chains in (_B, _D) else 0  # what the max pool lets through
        for chain in chains:
            into = before
            for name, out, height, width in chain:
                shapes[f"{block}.{name}"] = (out, into, height, width)
                into = into if name.endswith("a") else out
            total += out + (out if name.endswith("b") else 0)
        before = total
    return shapes


SHAPES = _shapes()
"""Convolution -> outputs, inputs, kernel height, kernel width; in the order of the names above."""


class Conv(nn.Module):
    """One or several convolutions of equal inputs and kernels, norms folded in, then ReLU.

    Args:
        weights: tensors by the names of the published state dict.
        parts: names of the convolutions.
        valid: no padding.
        stride: of each.
        active: whether ReLU follows.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *parts: str,
        valid: bool = False,
        stride: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        folded = [fold(weights, name) for name in parts]
        weight = torch.cat([one[0] for one in folded])
        weight = weight.contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(torch.cat([one[1] for one in folded]), requires_grad=False)
        self.padding = (0, 0) if valid else (weight.shape[2] // 2, weight.shape[3] // 2)
        self.parts, self.stride, self.active = parts, stride, active

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The outputs of all parts, side by side."""
        y_BCHW = F.conv2d(x_BCHW, self.weight, self.bias, self.stride, self.padding)
        return y_BCHW.relu_() if self.active else y_BCHW


def fold(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and the norm after it as one convolution, float32."""
    scale, shift, mean, var = (
        weights[f"{name}.bn.{key}"].double()
        for key in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / (var + EPSILON).sqrt()
    weight = weights[f"{name}.conv.weight"].double() * scale[:, None, None, None]
    return weight.float(), (shift - mean * scale).float()


class Chain(nn.Module):
    """Convolutions one after the other; with `fork`, the last two read the same and stand side by side."""

    def __init__(self, convs: list[Conv], fork: bool) -> None:
        super().__init__()
        self.steps = nn.Sequential(*(convs[:-2] if fork else convs))
        self.ends = nn.ModuleList(convs[-2:] if fork else [])

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """The outputs to stand side by side."""
        x_BCHW = self.steps(x_BCHW)
        return [end(x_BCHW) for end in self.ends] or [x_BCHW]


class Mixed(nn.Module):
    """A block: chains of convolutions and a pool, side by side."""

    def __init__(self, weights: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        steps = BLOCKS[name]
        self.halves, self.max_pool = steps in (_B, _D), name == "Mixed_7c"

        def convs(chain: Steps) -> list[Conv]:
            last = [self.halves and step is chain[-1] for step in chain]
            return [
                Conv(weights, f"{name}.{part}", valid=end, stride=2 if end else 1)
                for (part, *_), end in zip(chain, last, strict=True)
            ]

        self.chains = nn.ModuleList(
            Chain(convs(chain), fork=chain[-1][0].endswith("b"))
            for chain in (steps if self.halves else steps[:-1])
        )
        if not self.halves:
            self.pool = Conv(weights, f"{name}.branch_pool", active=self.max_pool)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The outputs of all chains and of the pool, side by side."""
        found = [y_BCHW for chain in self.chains for y_BCHW in chain(x_BCHW)]
        return torch.cat([*found, self.pooled(x_BCHW)], 1)

    def pooled(self, x_BCHW: Tensor) -> Tensor:
        """What stands last in the block's output."""
        if self.halves:
            return F.max_pool2d(x_BCHW, 3, 2)
        if self.max_pool:
            return self.pool(F.max_pool2d(x_BCHW, 3, 1, 1))
        # the mean comes after the 1x1 convolution, not before: both are linear, and its outputs fewer
        y_BCHW = self.pool(x_BCHW)
        return F.avg_pool2d(y_BCHW, 3, 1, 1, count_include_pad=False).relu_()


class Inception(nn.Module):
    """The network.

    Args:
        weights: tensors by the names of the published state dict.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        stem = [
            Conv(weights, name, valid=name in VALID, stride=2 if name == VALID[0] else 1)
            for name, *_ in STEM
        ]
        self.first, self.second = nn.Sequential(*stem[:3]), nn.Sequential(*stem[3:])
        self.blocks = nn.ModuleDict({name: Mixed(weights, name) for name in BLOCKS})
        self.weight = nn.Parameter(weights["fc.weight"].float(), requires_grad=False)
        self.bias = nn.Parameter(weights["fc.bias"].float(), requires_grad=False)

    def forward(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """All taps of (B, 3, 299, 299), (level - 128) / 128."""
        found = {}
        x_BCHW = F.max_pool2d(self.first(x_BCHW), 3, 2)
        found["64"] = _mean(x_BCHW)
        x_BCHW = F.max_pool2d(self.second(x_BCHW), 3, 2)
        found["192"] = _mean(x_BCHW)
        for name, block in self.blocks.items():
            x_BCHW = block(x_BCHW)
            if name == "Mixed_6e":
                found["768"] = _mean(x_BCHW)
        found["2048"] = pool_BD = _mean(x_BCHW)
        found["logits_unbiased"] = pool_BD @ self.weight.T
        found["logits"] = found["logits_unbiased"].float() + self.bias
        return found


def _mean(x_BCHW: Tensor) -> Tensor:
    return x_BCHW.float().mean((2, 3))
