"""Squares cut from images as they are trained on, turned and mirrored.

Shapes: B batch, C channels, H height, W width, S side of a square.
"""

import torch
from torch import Tensor

WAYS = 8
"""Symmetries of a square."""


def squares(image_BCHW: Tensor, side: int, place_B2: Tensor, way_B: Tensor) -> Tensor:
    """A square of each image, (B, C, S, S).

    Args:
        image_BCHW: images of at least `side` pixels a side.
        side: S.
        place_B2: in [0, 1): how far down and to the right the square lies.
        way_B: in {0, ..., 7}: 1 mirrors left to right, 2 top to bottom, 4 swaps the axes, after that.
    """
    height, width = image_BCHW.shape[2:]
    cut = []
    for image_CHW, place, way in zip(image_BCHW, place_B2.tolist(), way_B.tolist(), strict=True):
        top, left = int(place[0] * (height - side + 1)), int(place[1] * (width - side + 1))
        square = image_CHW[:, top : top + side, left : left + side]
        square = square.flip([axis for bit, axis in ((1, 2), (2, 1)) if way & bit])
        cut.append(square.transpose(1, 2) if way & 4 else square)
    return torch.stack(cut)
