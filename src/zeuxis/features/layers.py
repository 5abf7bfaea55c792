"""Feature maps of images inside a model, with gradients: what losses by features are made of.

The network is EfficientNet-lite0, frozen and no part of any model.

Shapes: B batch, C channels, H height, W width.
"""

import copy
import functools
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from zeuxis.features.efficientnet import EfficientNetLite0, load_network
from zeuxis.features.maps import maps

SMALLEST = 1e-6
"""Variance of a map that distances are divided by, at least."""


def layer_maps(image_BCHW: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Maps by the names of layers, of images in [-1, 1]; grey is repeated, alpha left out."""
    net = _network(image_BCHW.device, image_BCHW.dtype)
    seen = (colours((image_BCHW + 1) * 127.5) - 127) / 128
    known = net.layers()
    return maps(lambda: net(seen), {name: known[name] for name in layers})


def map_distance(made: Mapping[str, Tensor], aimed: Mapping[str, Tensor]) -> Tensor:
    """Mean squared difference of maps over the variance of what is aimed at, a mean over layers, (B,).

    The content loss of Johnson et al. (2016, https://arxiv.org/abs/1603.08155), each map in its own unit.
    """
    distances = []
    for name, goal in aimed.items():
        goal_BX = goal.flatten(1)
        wide = torch.promote_types(goal.dtype, torch.float32)
        error_B = (made[name].to(wide).flatten(1) - goal_BX).square().mean(1)
        distances.append(error_B / goal_BX.to(wide).var(1).clamp(min=SMALLEST))
    return torch.stack(distances).mean(0)


def colours(image_BCHW: Tensor) -> Tensor:
    """Three channels: grey is repeated, alpha left out."""
    return image_BCHW[:, :3].expand(-1, 3, -1, -1)


@functools.cache
def _network(device: torch.device, dtype: torch.dtype) -> EfficientNetLite0:
    """The feature network on a device, in a precision."""
    return copy.deepcopy(load_network()).to(device, dtype)
