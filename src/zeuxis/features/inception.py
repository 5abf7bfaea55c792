"""Inception's weights and input: from a published file and uint8 images to the features of FID.

Images are resized to 299x299 as TensorFlow 1 did, bilinearly, without half-pixel centres and
without antialiasing, and become (level - 128) / 128 (Heusel et al. 2017, arXiv:1706.08500).

Two files carry the weights (`PUBLISHED`): a state dict, and a TorchScript archive whose tensors
have other names, which `RENAMED` maps to the first's. Those names and the missing scales of its norms
are facts of a public port of the archive. Neither file could be had when this was written: equality
with torch-fidelity was shown with random weights that have the same names and shapes.

Shapes: B batch, H height, W width, C channels.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.files import cache_folder, sha256
from zeuxis.features.extraction import Extractor, Precision, expect, rgb
from zeuxis.features.inception_network import CLASSES, SHAPES, SIDE, Inception
from zeuxis.features.tensors import read_tensors

STATE_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SCRIPT_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
PUBLISHED = {
    "pt_inception-2015-12-05-6726825d.pth": STATE_SHA256,
    "weights-inception-2015-12-05-6726825d.pth": STATE_SHA256,
    "inception-2015-12-05.pt": SCRIPT_SHA256,
}
"""Names that the file is published under, and found by in the cache folder."""
LAYERS = {
    "2048": "pool3, 2048",
    "64": "first max pool, 64",
    "192": "second max pool, 192",
    "768": "before the auxiliary classifier, 768",
    "logits": "logits, 1008",
    "logits_unbiased": "logits without the bias, 1008",
}

_A = "conv tower.conv tower.conv_1 tower_1.conv tower_1.conv_1 tower_1.conv_2 tower_2.conv"
_B = "conv tower.conv tower.conv_1 tower.conv_2"
_C = (
    "conv tower.conv tower.conv_1 tower.conv_2 tower_1.conv tower_1.conv_1 tower_1.conv_2 "
    "tower_1.conv_3 tower_1.conv_4 tower_2.conv"
)
_D = "tower.conv tower.conv_1 tower_1.conv tower_1.conv_1 tower_1.conv_2 tower_1.conv_3"
_E = (
    "conv tower_conv tower_mixed_conv tower_mixed_conv_1 tower_1_conv tower_1_conv_1 "
    "tower_1_mixed_conv tower_1_mixed_conv_1 tower_2_conv"
)
RENAMED = dict(
    zip(
        SHAPES,
        [
            *("conv", "conv_1", "conv_2", "conv_3", "conv_4"),
            *(
                f"mixed_{i}.{name}" if i else f"mixed.{name}"
                for i, names in enumerate((_A, _A, _A, _B, _C, _C, _C, _C, _D, _E, _E))
                for name in names.split()
            ),
        ],
        strict=True,
    )
)
"""Convolution -> its name in the TorchScript archive."""


def extractor(
    weights: str | Path | None = None, published: bool = True, precision: Precision = "float32"
) -> Extractor:
    """The extractor.

    Args:
        weights: a published file; default the one in the cache folder under a published name.
        published: False takes any file with the tensors of one of them, which the receipt says.
        precision: bfloat16 runs it under autocast.

    Raises:
        ValueError: no file, or not a published one, or other tensors.
    """
    path = Path(weights) if weights is not None else _cached()
    if not path.is_file():
        raise NotFound(f"there is no weights file {path}")
    digest = sha256(path)
    known = digest in PUBLISHED.values()
    if published and not known:
        raise Invalid(
            f"{path} has SHA-256 {digest[:12]}..., expected {STATE_SHA256[:12]}... or "
            f"{SCRIPT_SHA256[:12]}...: it is not opened; with published=False other weights are "
            "taken, and no number is called FID"
        )
    return Extractor(
        network="Inception 2015" + ("" if known else ", unpublished weights"),
        weights_sha256=digest,
        layers=LAYERS,
        input="299x299, stretched, bilinear as in TensorFlow 1; (level - 128) / 128",
        prepare=prepare,
        net=load(path),
        precision=precision,
        chunk=16,
    )


def _cached() -> Path:
    folder = cache_folder()
    for name in PUBLISHED:
        if (folder / name).is_file():
            return folder / name
    raise Invalid(
        f"Inception's weights are not in {folder}: put one of {', '.join(PUBLISHED)} there, or give "
        "its path as `weights`"
    )


def load(path: Path) -> Inception:
    """The network with the weights of a file, in either naming.

    Raises:
        ValueError: it lacks a tensor, or has one of another shape.
    """
    found = read_tensors(path)
    if "layers.conv.weight" in found:
        found = rename(found)
    wanted: dict[str, tuple[int, ...]] = {"fc.weight": (CLASSES, 2048), "fc.bias": (CLASSES,)}
    for name, shape in SHAPES.items():
        wanted[f"{name}.conv.weight"] = shape
        for key in ("weight", "bias", "running_mean", "running_var"):
            wanted[f"{name}.bn.{key}"] = shape[:1]
    expect("Inception 2015", path, found, wanted)
    return Inception(found).eval()


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The TorchScript archive's tensors under the state dict's names, norms with the scale 1."""
    keys = {
        "weight": "conv.weight",
        "beta": "bn.bias",
        "mean": "bn.running_mean",
        "var": "bn.running_var",
    }
    there = {
        f"layers.{old}.{a}": f"{new}.{b}" for new, old in RENAMED.items() for a, b in keys.items()
    }
    there |= {"output.weight": "fc.weight", "output.bias": "fc.bias"}
    found = {there[name]: tensor for name, tensor in tensors.items() if name in there}
    scales = {f"{name}.bn.weight": torch.ones(shape[0]) for name, shape in SHAPES.items()}
    return found | scales


def prepare(pixels_BHWC: np.ndarray) -> Tensor:
    """(B, 3, 299, 299) float32, (level - 128) / 128, resized as TensorFlow 1 did.

    Output i lies at i * (size / 299), between the pixel before it and the next one, which at the
    edge is the same. In float32 and in TensorFlow's order, so that bits agree.
    """
    x_BHWC = rgb(pixels_BHWC)
    for axis in (2, 1):
        size = x_BHWC.shape[axis]
        place = torch.arange(SIDE, dtype=torch.float32) * torch.tensor(size / SIDE)
        low = place.long()
        share = (place - low).view([SIDE if i == axis else 1 for i in range(4)])
        before = x_BHWC.index_select(axis, low)
        after = x_BHWC.index_select(axis, (low + 1).clamp_max(size - 1))
        x_BHWC = before + (after - before) * share
    return ((x_BHWC - 128) / 128).permute(0, 3, 1, 2)
