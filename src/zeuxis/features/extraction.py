"""Extraction: uint8 images in, features of every layer out, with a receipt of how.

All networks go through one class: prepare the images (the resize is part of the number), look at
them once, hand out all layers ("taps") that were seen on the way.

Shapes: N images, B batch, H height, W width, C channels, D features.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zeuxis.core.errors import Invalid
from zeuxis.core.pixels import GROUNDS, over

Precision = Literal["float32", "bfloat16"]


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extractor:
    """A feature network with its weights and its way of preparing images.

    Attributes:
        network: its name.
        weights_sha256: of the file, or of the tensors where there is no file.
        layers: tap -> words for the receipt; the first tap is the default one.
        input: words for the receipt: size, resize, levels.
        prepare: (B, H, W, C) uint8 -> what `net` takes.
        net: -> (B, D) for each tap.
        precision: bfloat16 runs the network under autocast; features are float32 in any case.
        chunk: images at a time that suit it; numbers differ in their last bits with another.
    """

    network: str
    weights_sha256: str
    layers: Mapping[str, str]
    input: str
    prepare: Callable[[np.ndarray], Tensor]
    net: Callable[[Tensor], Mapping[str, Tensor]]
    precision: Precision = "float32"
    chunk: int = 32

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise Invalid(f"precision is {self.precision!r}, expected 'float32' or 'bfloat16'")

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the layers, the default one first."""
        return tuple(self.layers)

    def receipt(self, tap: str) -> dict[str, Any]:
        """What the features of a layer depend on, besides the images.

        Raises:
            ValueError: no such tap.
        """
        if tap not in self.layers:
            raise Invalid(f"{self.network} has no tap {tap!r}; it has {', '.join(self.taps)}")
        return {
            "network": self.network,
            "weights_sha256": self.weights_sha256,
            "layer": self.layers[tap],
            "input": self.input,
            "precision": self.precision,
        }

    def __call__(self, pixels_BHWC: np.ndarray) -> dict[str, Tensor]:
        """Features (B, D) float32 of uint8 images with 1, 3 or 4 channels, of every tap.

        Raises:
            ValueError: no images, or not uint8, or another number of channels.
        """
        given = pixels_BHWC
        if given.ndim != 4 or not len(given) or given.shape[3] not in (1, 3, 4):
            raise Invalid(
                "features need at least one image of 1, 3 or 4 channels as (N, H, W, C), "
                f"got an array of shape {given.shape}"
            )
        if given.dtype != np.uint8:
            raise Invalid(f"features need uint8 levels 0 to 255, got {given.dtype}")
        low = self.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            found = (
                self._over_grounds(given) if given.shape[3] == 4 else self.net(self.prepare(given))
            )
        return {tap: found[tap].float().cpu() for tap in self.layers}

    def _over_grounds(self, pixels_BHW4: np.ndarray) -> Mapping[str, Tensor]:
        """Mean over what is seen on black, grey and white, so that no ground hides a difference."""
        seen = [self.net(self.prepare(over(pixels_BHW4, ground))) for ground in GROUNDS]
        return {tap: torch.stack([each[tap].float() for each in seen]).mean(0) for tap in seen[0]}


def rgb(pixels_BHWC: np.ndarray) -> Tensor:
    """Levels (B, H, W, 3) float32 in [0, 255]: grey is repeated, transparency composited on white."""
    x_BHWC = torch.from_numpy(pixels_BHWC.astype(np.float32))
    if x_BHWC.shape[3] == 4:
        alpha = x_BHWC[..., 3:] / 255
        x_BHWC = x_BHWC[..., :3] * alpha + 255 * (1 - alpha)
    return x_BHWC.expand(-1, -1, -1, 3)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hash of named tensors, however they are stored."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(name.encode() + tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def expect(
    network: str,
    path: Path,
    found: Mapping[str, Tensor],
    wanted: Mapping[str, tuple[int, ...]],
) -> None:
    """Refuse a file that lacks a tensor, or has one of another shape.

    Raises:
        ValueError: it does.
    """
    for name, shape in wanted.items():
        if name not in found:
            raise Invalid(f"{path} does not hold {network}: it has no tensor {name!r}")
        if tuple(found[name].shape) != shape:
            raise Invalid(
                f"{path} does not hold {network}: {name} is {tuple(found[name].shape)}, "
                f"expected {shape}"
            )
