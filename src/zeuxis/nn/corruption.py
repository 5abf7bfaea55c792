"""Damage for networks that repair: reduction, blur, Gaussian noise, salt and pepper, masks, and JPEG.

Pure functions of images in [-1, 1] and of draws that the caller makes by row. JPEG is computed here as
tensors, without a codec: what it loses is decided by the quantisation of its transform alone.

Shapes: B batch, C channels, H height, W width.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.nn.towers import pad_edge

HOLE_DRAWS = 7
"""Uniform numbers that `hole_mask` takes for each row."""
GRAIN = 4
"""Pixels along the side of the squares that `hole_mask` scatters."""

# The tables of Annex K of the standard (ITU-T T.81, 1992), tables K.1 and K.2, row by row.
LUMINANCE = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
    "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 "
    "72 92 95 98 112 100 103 99"
)
CHROMINANCE = "17 18 24 47 18 21 26 66 24 26 56 99 47 66 99 99"
"""The top left quarter; all else is 99."""


def gaussian(image_BCHW: Tensor, normal_BCHW: Tensor, deviation_B: Tensor) -> Tensor:
    """Add noise of the given standard deviation; the result is not clipped."""
    return image_BCHW + normal_BCHW * per_row(deviation_B)


def impulse(image_BCHW: Tensor, uniform_B2HW: Tensor, share_B: Tensor) -> Tensor:
    """Salt and pepper: a share of the pixels turns black or white, all channels together."""
    chosen_B1HW, colour_B1HW = uniform_B2HW.split(1, 1)
    extreme_B1HW = torch.where(colour_B1HW < 0.5, -1.0, 1.0).to(image_BCHW.dtype)
    return torch.where(chosen_B1HW < per_row(share_B), extreme_B1HW, image_BCHW)


def hole_mask(uniform_BK: Tensor, uniform_B1HW: Tensor, share_B: Tensor) -> Tensor:
    """(B, 1, H, W), 1.0 where the image is to be filled: a box, a side, or scattered squares.

    Args:
        uniform_BK: `HOLE_DRAWS` numbers in [0, 1) a row; they decide kind, place and shape.
        uniform_B1HW: numbers in [0, 1) that decide where the scattered squares lie.
        share_B: share of the area to hide, about.
    """
    h, w = uniform_B1HW.shape[2:]
    device, dtype = uniform_BK.device, uniform_BK.dtype
    kind_B, aspect_B, down_B, right_B, side_B, shift_down_B, shift_right_B = uniform_BK.unbind(1)
    y_H1 = (torch.arange(h, device=device, dtype=dtype)[:, None] + 0.5) / h
    x_W = (torch.arange(w, device=device, dtype=dtype) + 0.5) / w
    # a box of the share's area, sides in a ratio of 1:2 to 2:1, all of it inside
    root_B = share_B.sqrt()
    tall_B = (root_B * 2 ** (aspect_B - 0.5)).clamp(share_B, torch.ones_like(share_B))
    wide_B = share_B / tall_B
    top, left = per_row(down_B * (1 - tall_B)), per_row(right_B * (1 - wide_B))
    inside_y = (y_H1 >= top) & (y_H1 < top + per_row(tall_B))
    box_B1HW = inside_y & (x_W >= left) & (x_W < left + per_row(wide_B))
    # the top, the bottom, the left or the right
    along = torch.where(per_row(side_B < 0.5), y_H1.expand(h, w), x_W.expand(h, w))
    along = torch.where(per_row((side_B * 4) % 2 < 1), along, 1 - along)
    side_B1HW = along < per_row(share_B)
    # squares on a grid that lies somewhere else in each row: one draw decides for a square
    row_BH = (torch.arange(h, device=device) + (shift_down_B * GRAIN).long()[:, None]) // GRAIN
    column_BW = (torch.arange(w, device=device) + (shift_right_B * GRAIN).long()[:, None]) // GRAIN
    rows = row_BH.clamp(max=h - 1)[:, None, :, None].expand(-1, 1, h, w)
    columns = column_BW.clamp(max=w - 1)[:, None, None, :].expand(-1, 1, h, w)
    scattered_B1HW = uniform_B1HW.gather(2, rows).gather(3, columns) < per_row(share_B)
    kind = per_row(kind_B)
    chosen = torch.where(kind < 2 / 3, side_B1HW, scattered_B1HW)
    return torch.where(kind < 1 / 3, box_B1HW, chosen).to(dtype)


def blur(image_BCHW: Tensor, deviation_B: Tensor, most: float) -> Tensor:
    """Gaussian blur; beyond the edge the last pixel is repeated.

    Args:
        image_BCHW: images.
        deviation_B: standard deviation in pixels; 0 changes nothing.
        most: the largest that there may be, which decides how far the kernel goes.
    """
    b, c, h, w = image_BCHW.shape
    reach = max(1, math.ceil(3 * most))
    place_K = torch.arange(-reach, reach + 1, device=image_BCHW.device, dtype=image_BCHW.dtype)
    kernel_BK = torch.exp(-((place_K / deviation_B[:, None].clamp(min=1e-3)) ** 2) / 2)
    kernel_BK = kernel_BK / kernel_BK.sum(1, keepdim=True)
    each_XK = kernel_BK.repeat_interleave(c, 0)
    x = F.pad(image_BCHW.reshape(1, b * c, h, w), [reach] * 4, mode="replicate")
    x = F.conv2d(x, each_XK[:, None, :, None], groups=b * c)
    return F.conv2d(x, each_XK[:, None, None, :], groups=b * c).view(b, c, h, w)


def reduced(image_BCHW: Tensor, factor: int, sharp_B: Tensor) -> Tensor:
    """So many times smaller: means of squares, as a camera's pixels are, or antialiased bicubic.

    Args:
        image_BCHW: images whose sides the factor divides.
        factor: 1 changes nothing.
        sharp_B: bool, which of them by bicubic interpolation, whose kernel also sharpens.
    """
    if factor == 1:
        return image_BCHW
    size = image_BCHW.shape[2] // factor, image_BCHW.shape[3] // factor
    bicubic = F.interpolate(image_BCHW, size, mode="bicubic", antialias=True).clamp(-1, 1)
    return torch.where(per_row(sharp_B), bicubic, F.avg_pool2d(image_BCHW, factor))


def filled(image_BCHW: Tensor, mask_B1HW: Tensor, rounds: int) -> Tensor:
    """Holes filled from their edges inwards, a pixel a round by the mean of its known neighbours.

    Args:
        image_BCHW: images; what lies in holes has no influence.
        mask_B1HW: 1.0 in holes, else 0.0.
        rounds: pixels from an edge that are reached; what lies deeper becomes 0.
    """
    known_B1HW = 1 - mask_B1HW
    image_BCHW = image_BCHW * known_B1HW
    for _ in range(rounds):
        around_B1HW, sum_BCHW = (F.avg_pool2d(x, 3, 1, 1) for x in (known_B1HW, image_BCHW))
        new_B1HW = (known_B1HW == 0) & (around_B1HW > 0)
        image_BCHW = torch.where(new_B1HW, sum_BCHW / around_B1HW.clamp(min=1e-6), image_BCHW)
        known_B1HW = torch.where(new_B1HW, 1.0, known_B1HW)
    return image_BCHW


def quantised(image_BCHW: Tensor) -> Tensor:
    """Rounded to what 8 bits hold, as files are."""
    return ((image_BCHW + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def jpeg(image_BCHW: Tensor, quality_B: Tensor, halved_B: Tensor | None = None) -> Tensor:
    """What a baseline JPEG of each image would decode to.

    Grey images use the luminance table; of four channels the last, alpha, is kept. Gradients are zero.

    Args:
        image_BCHW: images in [-1, 1].
        quality_B: 1 to 100, as libjpeg scales its tables.
        halved_B: bool, which have chrominance at half of the resolution (4:2:0), as most files; none.
    """
    c, h, w = image_BCHW.shape[1:]
    colours = 3 if c >= 3 else c
    level = ((image_BCHW[:, :colours] + 1) * 127.5).round().clamp(0, 255)
    if colours == 3:
        level = torch.einsum("dc,bchw->bdhw", _to_ycc(level), level)
        level = torch.cat([level[:, :1], level[:, 1:] + 128], 1).round().clamp(0, 255)
    table = _tables(level, quality_B, colours)
    coded = _coded(level, table)
    if halved_B is not None and colours == 3:
        whole = pad_edge(level[:, 1:], h % 2, w % 2)
        small = _coded(F.avg_pool2d(whole, 2).round(), table[:, 1:])
        large = F.interpolate(small, scale_factor=2.0, mode="bilinear").round()[..., :h, :w]
        chrominance = torch.where(per_row(halved_B), large, coded[:, 1:])
        coded = torch.cat([coded[:, :1], chrominance], 1)
    level = coded
    if colours == 3:
        level = torch.cat([level[:, :1], level[:, 1:] - 128], 1)
        level = torch.einsum("dc,bchw->bdhw", torch.linalg.inv(_to_ycc(level)), level)
        level = level.round().clamp(0, 255)
    return torch.cat([level / 127.5 - 1, image_BCHW[:, colours:]], 1)


def _coded(level_BCHW: Tensor, table_BC88: Tensor) -> Tensor:
    """Planes in [0, 255] after the quantisation of their transform."""
    h, w = level_BCHW.shape[2:]
    level = pad_edge(level_BCHW - 128, -h % 8, -w % 8)
    basis_88 = _cosines(level)
    blocks = level.unflatten(3, (-1, 8)).unflatten(2, (-1, 8))  # (B, C, h, 8, w, 8)
    coefficient = torch.einsum("ui,bchiwj,vj->bchuwv", basis_88, blocks, basis_88)
    table = table_BC88[:, :, None, :, None, :]
    coefficient = (coefficient / table).round() * table
    level = torch.einsum("ui,bchuwv,vj->bchiwj", basis_88, coefficient, basis_88)
    return (level.flatten(4).flatten(2, 3)[..., :h, :w] + 128).round().clamp(0, 255)


def per_row(value_B: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return value_B.view(-1, 1, 1, 1)


def _tables(like: Tensor, quality_B: Tensor, colours: int) -> Tensor:
    """Quantisation steps (B, C, 8, 8), as libjpeg scales the standard's."""
    standard = torch.stack([_standard(chrominance=i > 0) for i in range(colours)]).to(like)
    quality_B = quality_B.to(like).round().clamp(1, 100)
    scale_B = torch.where(quality_B < 50, (5000 / quality_B).floor(), 200 - 2 * quality_B)
    return ((standard * per_row(scale_B) + 50) / 100).floor().clamp(1, 255)


@cache
def _standard(chrominance: bool) -> Tensor:
    if not chrominance:
        return torch.tensor([float(word) for word in LUMINANCE.split()]).view(8, 8)
    table = torch.full((8, 8), 99.0)
    table[:4, :4] = torch.tensor([float(word) for word in CHROMINANCE.split()]).view(4, 4)
    return table


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal discrete cosine transform: frequency by place."""
    place = torch.arange(8, device=like.device, dtype=like.dtype)
    basis = torch.cos(math.pi / 8 * (place + 0.5) * place[:, None]) / 2
    return torch.cat([basis[:1] / math.sqrt(2), basis[1:]])


def _to_ycc(like: Tensor) -> Tensor:
    """Red, green, blue to luminance and two colour differences (JFIF 1.02)."""
    red, blue = 0.299, 0.114
    green = 1 - red - blue
    y = torch.tensor([red, green, blue])
    cb = (torch.tensor([0.0, 0.0, 1.0]) - y) / (2 * (1 - blue))
    cr = (torch.tensor([1.0, 0.0, 0.0]) - y) / (2 * (1 - red))
    return torch.stack([y, cb, cr]).to(like)
