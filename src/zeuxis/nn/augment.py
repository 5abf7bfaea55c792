"""Differentiable augmentation of what a discriminator sees (Zhao et al., 2020, https://arxiv.org/abs/2006.10738).

Real and fake images pass through the same kinds of random change, so a discriminator cannot learn
the training set by heart, and the generator, which gets gradients through the change, does not learn
to draw it. Every operation has a second derivative, which R1 and R2 need, and treats rows apart.

Shapes: B batch, C channels, H height, W width.
"""

import torch
from torch import Tensor

POLICIES = ("colour", "translation", "cutout")
DRAWS = 8
"""Uniform numbers that `augment` takes for each row, whatever the policy."""
SHIFT = 1 / 8
"""Largest translation, as a share of the side."""
HOLE = 1 / 2
"""Side of the square that is cut out, as a share of the image's."""


def augment(
    image_BCHW: Tensor, uniform_BK: Tensor, policy: tuple[str, ...], share: float = 1.0
) -> Tensor:
    """Change a share of the rows at random by each part of `policy`.

    Args:
        image_BCHW: images in [-1, 1]; the result may leave that range.
        uniform_BK: `DRAWS` numbers in [0, 1) a row; they decide everything.
        policy: any of `POLICIES`: brightness, saturation and contrast; a shift of up to an eighth of
            the side (what comes in is 0, mid-grey); a grey square of half the side.
        share: probability that a row is changed at all.
    """
    if not policy or share <= 0:
        return image_BCHW
    chosen_B, *uniform_K = uniform_BK.unbind(1)
    out_BCHW = image_BCHW
    if "colour" in policy:
        out_BCHW = _colour(out_BCHW, *uniform_K[:3])
    if "translation" in policy:
        out_BCHW = _translate(out_BCHW, *uniform_K[3:5])
    if "cutout" in policy:
        out_BCHW = _cut(out_BCHW, *uniform_K[5:7])
    if share >= 1:
        return out_BCHW
    return torch.where(_per_row(chosen_B < share), out_BCHW, image_BCHW)


def _colour(image_BCHW: Tensor, light_B: Tensor, vivid_B: Tensor, contrast_B: Tensor) -> Tensor:
    """Brightness by up to +-0.5, saturation and contrast by factors around 1; alpha is kept."""
    channels = min(image_BCHW.shape[1], 3)
    colour = image_BCHW[:, :channels] + _per_row(light_B - 0.5)
    if channels == 3:
        grey = colour.mean(1, keepdim=True)
        colour = grey + (colour - grey) * _per_row(2 * vivid_B)
    mean = colour.mean((1, 2, 3), keepdim=True)
    colour = mean + (colour - mean) * _per_row(0.5 + contrast_B)
    return torch.cat([colour, image_BCHW[:, channels:]], 1)


def _translate(image_BCHW: Tensor, down_B: Tensor, right_B: Tensor) -> Tensor:
    """Shift by whole pixels: a gather along each side of the image with a margin of zeros."""
    for axis, uniform_B in ((2, down_B), (3, right_B)):
        side = image_BCHW.shape[axis]
        most = max(1, round(side * SHIFT))
        shift_B = (uniform_B * (2 * most + 1)).long() - most
        source_BS = torch.arange(side, device=image_BCHW.device) - shift_B[:, None]
        inside_BS = (source_BS >= 0) & (source_BS < side)
        shape = (-1, 1, side, 1) if axis == 2 else (-1, 1, 1, side)
        index = source_BS.clamp(0, side - 1).view(shape).expand_as(image_BCHW)
        image_BCHW = image_BCHW.gather(axis, index) * inside_BS.view(shape)
    return image_BCHW


def _cut(image_BCHW: Tensor, top_B: Tensor, left_B: Tensor) -> Tensor:
    """Grey out a rectangle whose centre may lie anywhere."""
    holes = []
    for axis, uniform_B in ((2, top_B), (3, left_B)):
        side = image_BCHW.shape[axis]
        place_S = torch.arange(side, device=image_BCHW.device)
        half = max(1, round(side * HOLE / 2))
        centre_B = (uniform_B * (side + 1)).long()
        holes.append((place_S >= centre_B[:, None] - half) & (place_S < centre_B[:, None] + half))
    return image_BCHW * ~(holes[0][:, None, :, None] & holes[1][:, None, None, :])


def _per_row(value_B: Tensor) -> Tensor:
    return value_B.view(-1, 1, 1, 1)
