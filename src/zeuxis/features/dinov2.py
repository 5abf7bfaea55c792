"""DINOv2: a vision transformer that learned from images alone (Oquab et al. 2023, arXiv:2304.07193).

Of all features that Stein et al. tried (2023, arXiv:2306.04675), distances between those of
ViT-L/14 agreed best with people; ViT-B/14 costs a quarter. An image is stretched to 224x224 (bicubic,
antialiased), cut into 16x16 patches, and the class token after the final norm is its feature vector.

The position embeddings were learned on 37x37 patches. For another grid they are interpolated as the
authors' code does it: bicubic with the scale (side + 0.1) / 37, whose 0.1 shifts the sampling points
a little. The `transformers` package rescales without it, so its features differ at 224 px and
agree at 518 px.

Shapes: B batch, H height, W width, C channels, T tokens, D features.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeuxis.core.errors import Invalid
from zeuxis.core.files import sha256
from zeuxis.features.extraction import Extractor, Precision, expect, rgb
from zeuxis.features.tensors import read_tensors

SIZES = {"dinov2-b": (768, 12), "dinov2-l": (1024, 24)}
"""Name -> features, blocks."""
PATCH, HEAD, EPSILON = 14, 64, 1e-6
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OFFSET = 0.1

RENAMED = (  # of the transformers package -> of the authors
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^encoder\.layer\.", "blocks."),
    (r"attention\.attention\.(query|key|value)", r"attn.\1"),
    (r"attention\.([qkv])_proj", r"attn.\1"),
    (r"attention\.(output\.dense|o_proj)", "attn.proj"),
    (r"layer_scale([12])\.lambda1", r"ls\1.gamma"),
    (r"^layernorm", "norm"),
)


class _Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before, scaled after and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.attn = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)}
        )
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.ls1 = nn.ParameterDict({"gamma": nn.Parameter(torch.ones(width))})
        self.ls2 = nn.ParameterDict({"gamma": nn.Parameter(torch.ones(width))})

    def forward(self, x_BTD: Tensor) -> Tensor:
        b, t, d = x_BTD.shape
        qkv = self.attn["qkv"](self.norm1(x_BTD)).view(b, t, 3, d // HEAD, HEAD)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed_BTD = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
        x_BTD = x_BTD + self.ls1["gamma"] * self.attn["proj"](mixed_BTD)
        hidden = F.gelu(self.mlp["fc1"](self.norm2(x_BTD)))
        return x_BTD + self.ls2["gamma"] * self.mlp["fc2"](hidden)


class DinoV2(nn.Module):
    """The network, its parameters named as in the authors' files.

    Args:
        width: features D.
        blocks: how many.
        grid: patches a side that the position embeddings are stored for.
    """

    def __init__(self, width: int, blocks: int, grid: int = 37) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.grid = grid

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The class token (B, D) of normalised square images, sides a multiple of 14."""
        patches = self.patch_embed["proj"](x_BCHW)
        x_BTD = patches.flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(x_BTD), -1, -1)
        x_BTD = torch.cat([first, x_BTD], 1) + self.positions(patches.shape[-1])
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.norm(x_BTD[:, 0])

    def positions(self, side: int) -> Tensor:
        """Position embeddings (1, 1 + side^2, D) for a grid of `side` patches."""
        if side == self.grid:
            return self.pos_embed
        first, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        table = rest.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        scale = (side + OFFSET) / self.grid
        table = F.interpolate(table, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([first, table.flatten(2).transpose(1, 2)], 1)


def extractor(
    name: str,
    weights: str | Path | None,
    size: int | None = None,
    precision: Precision = "float32",
) -> Extractor:
    """The extractor of "dinov2-b" or "dinov2-l".

    Args:
        name: which.
        weights: model.safetensors of facebook/dinov2-base or -large, or the authors' .pth.
        size: side of the input, a multiple of 14; default 224.
        precision: bfloat16 runs it under autocast.

    Raises:
        ValueError: no weights, or those of another network, or another size.
    """
    side = 224 if size is None else size
    if side % PATCH or side < PATCH:
        raise Invalid(f"DINOv2 needs a size that is a multiple of {PATCH}, got {side}")
    if weights is None:
        base = {"dinov2-b": "base", "dinov2-l": "large"}[name]
        raise Invalid(
            f"{name} needs its weights: download model.safetensors of facebook/dinov2-{base} and "
            "give its path as `weights`"
        )
    path = Path(weights)
    net = load(path, *SIZES[name])
    return Extractor(
        network=f"DINOv2 ViT-{name[-1].upper()}/{PATCH}",
        weights_sha256=sha256(path),
        layers={"class": f"class token after the final norm, {SIZES[name][0]}"},
        input=f"{side}x{side}, stretched, bicubic, antialiased; ImageNet mean and deviation",
        prepare=lambda pixels_BHWC: _prepare(pixels_BHWC, side),
        net=lambda x_BCHW: {"class": net(x_BCHW)},
        precision=precision,
        chunk=16,
    )


def load(path: Path, width: int, blocks: int) -> DinoV2:
    """The network with the weights of a file, in either naming.

    Raises:
        ValueError: it lacks a tensor, or has one of another shape.
    """
    found = rename(read_tensors(path))
    grid = round((found["pos_embed"].shape[1] - 1) ** 0.5) if "pos_embed" in found else 37
    with torch.device("meta"):  # shapes only: the file's tensors become the parameters
        net = DinoV2(width, blocks, grid)
    shapes = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
    expect(f"DINOv2 with {width} features and {blocks} blocks", path, found, shapes)
    net.load_state_dict({key: found[key].float() for key in shapes}, assign=True)
    return net.eval().requires_grad_(False)


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the authors' names, query, key and value joined."""
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        for pattern, name in RENAMED:
            key = re.sub(pattern, name, key)
        found[key] = tensor
    for key in [key for key in found if re.search(r"attn\.q(uery)?\.", key)]:
        before, last = re.split(r"attn\.q(?:uery)?\.", key)
        names = ("query", "key", "value") if "query" in key else ("q", "k", "v")
        parts = [found.pop(f"{before}attn.{name}.{last}") for name in names]
        found[f"{before}attn.qkv.{last}"] = torch.cat(parts)
    return found


def _prepare(pixels_BHWC: np.ndarray, side: int) -> Tensor:
    """Normalised (B, 3, side, side); what bicubic overshoots is kept."""
    x_BCHW = rgb(pixels_BHWC).permute(0, 3, 1, 2)
    x_BCHW = F.interpolate(x_BCHW, (side, side), mode="bicubic", antialias=True) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (x_BCHW - mean) / std
