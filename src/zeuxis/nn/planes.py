"""Sources of translations as planes that a network reads.

Shapes: B batch, K planes, C channels of an image, H height, W width, h, w those of a source.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core.fields import Field
from zeuxis.nn.towers import pad_edge


def count(field: Field) -> int:
    """K: channels of an image, classes of a map."""
    return field.shape[0] if field.kind == "image" else len(field.classes)


def planes(
    source: Tensor, field: Field, size: tuple[int, int] | None, dtype: torch.dtype
) -> Tensor:
    """A source as floating-point planes (B, K, H, W): classes one-hot, none where unknown.

    Args:
        source: (B, *field.shape), or of any size; float images or int64 class ids.
        field: what it is.
        size: height and width to bring it to, smoothly or, of a map, by the nearest pixel; None leaves it.
        dtype: of the planes of a map.
    """
    if field.kind == "map":
        ids_K11 = torch.arange(count(field), device=source.device)[:, None, None]
        source = (source[:, None] == ids_K11).to(dtype)
    if size is None or source.shape[2:] == size:
        return source
    return F.interpolate(source, size, mode="bilinear" if field.kind == "image" else "nearest")


def placed(source: Tensor, field: Field, size: tuple[int, int] | None, multiple: int) -> Tensor:
    """A source (B, *field.shape), or of any size, at a size and continued by its edge to whole multiples.

    Args:
        source: float images or int64 class ids.
        field: what it is.
        size: height and width to bring it to, smoothly or, of a map, by the nearest pixel; None leaves it.
        multiple: of its sides in the end.
    """
    is_map = field.kind == "map"
    x_BCHW = source[:, None].float() if is_map else source
    if size is not None and x_BCHW.shape[2:] != size:
        x_BCHW = F.interpolate(x_BCHW, size, mode="nearest" if is_map else "bilinear")
    height, width = x_BCHW.shape[2:]
    x_BCHW = pad_edge(x_BCHW, -height % multiple, -width % multiple)
    return x_BCHW[:, 0].to(source.dtype) if is_map else x_BCHW


def base(planes_BKHW: Tensor, field: Field, channels: int) -> Tensor:
    """What a translation begins as, of a shape that goes with (B, C, H, W): source, its grey value, or 0."""
    if field.kind == "map":
        return planes_BKHW.new_zeros(1)
    return planes_BKHW if field.shape[0] == channels else planes_BKHW.mean(1, keepdim=True)
