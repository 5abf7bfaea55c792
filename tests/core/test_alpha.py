"""Transparent images: what is seen survives every way through, hidden colours count for nothing."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis.core.pixels import (
    checkered,
    composites,
    divided,
    from_levels,
    from_uint8,
    grid,
    over,
    premultiplied,
    seen,
    to_array,
    to_levels,
    to_tensor,
    to_uint8,
)
from zeuxis.core.settings import Data
from zeuxis.data.augment import augment
from zeuxis.data.preparation import decode
from zeuxis.data.preparation.decode import Target
from zeuxis.evaluation.evaluate import coarse
from zeuxis.metrics.nearest import differing

GROUNDS = [
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (230, 230, 240),
    (250, 210, 60),
    (40, 90, 60),
]


def sprites(count=4, side=64, inner=2.0):
    """Flat discs of bright colours with soft edges; what is hidden is white, as in files of emoji."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] + 0.5
    out = []
    for _ in range(count):
        cy, cx = rng.uniform(0.4, 0.6, 2) * side
        distance = np.hypot(y - cy, x - cx) - 0.3 * side
        alpha = np.clip(0.5 - distance / inner, 0, 1) * 255
        colour = np.full((side, side, 3), rng.integers(0, 120, 3))
        out.append(np.dstack([colour, np.rint(alpha)]))
    pixels = np.stack(out).astype(np.uint8)
    return np.where(pixels[..., 3:] == 0, np.uint8([255, 255, 255, 0]), pixels)


def resized(pixels_NHWC):
    """Halved as preparation resizes, but by a filter that does not ring.

    A ring of bicubic on a light ground is clipped otherwise than one of alpha.
    """
    target = Target(32, 32, pixels_NHWC.shape[3], "stretch")
    way = Image.Resampling.BILINEAR
    return np.stack(
        [np.asarray(decode._fitted(Image.fromarray(p), target, way)) for p in pixels_NHWC]
    )


def warped(pixels_NHWC):
    draws = np.random.default_rng(1).random((len(pixels_NHWC), 4))
    return augment(pixels_NHWC, Data(crop=0.3, rotate=20), lambda name, count: draws[:, :count])


def crossed(pixels_NHWC):
    return to_array(to_uint8(from_uint8(to_tensor(pixels_NHWC))))


@breaks("data/augment.py", "premultiplied(seen) if smooth else seen", "seen")
@breaks("core/pixels.py", "return divided(levels_BCHW)", "pass")
@breaks("evaluation/evaluate.py", "image = premultiplied(", "image = (")
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("way", [resized, warped, crossed, lambda pixels: coarse(pixels, 2)])
def test_what_is_seen_on_any_ground_survives(way, ground):
    pixels = sprites()
    after = over(way(pixels), np.array(ground)).astype(np.float64)
    wanted = way(over(pixels, np.array(ground))).astype(np.float64)
    assert np.abs(after - wanted).mean() < 0.1


@pytest.mark.parametrize("ground", GROUNDS)
def test_what_bicubic_leaves_is_its_ring_which_no_alpha_holds(ground):
    """On light grounds a ring beyond the edge would need an alpha below 0; in float as much is left."""
    pixels, target = sprites(), Target(32, 32, 4, "stretch")
    prepared = np.stack([decode.decode(one, target).pixels_HWC for one in pixels])
    full = np.concatenate([pixels[..., :3] * (pixels[..., 3:] / 255), pixels[..., 3:]], -1)
    exact = np.stack([np.dstack([bicubic(c) for c in np.moveaxis(one, -1, 0)]) for one in full])
    alpha = np.clip(exact[..., 3:], 0, 255)
    exact = np.clip(exact[..., :3], 0, alpha) + (1 - alpha / 255) * ground
    solid = Target(32, 32, 3, "stretch")
    wanted = [decode.decode(one, solid).pixels_HWC for one in over(pixels, np.array(ground))]
    left, least = (
        np.abs(found - np.stack(wanted).astype(float)).mean()
        for found in (over(prepared, np.array(ground)), exact)
    )
    assert left < least + 0.1 and left < 0.4


def bicubic(channel_HW):
    image = Image.fromarray(channel_HW.astype(np.float32))
    return np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))


def test_the_crossing_keeps_every_pixel_that_is_seen():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 4), np.uint8)
    pixels[0, :2, :, 3] = 0
    pixels[1, :2, :, 3] = 1
    back = crossed(pixels)
    shown = pixels[..., 3] > 0
    assert np.array_equal(back[shown], pixels[shown])
    assert (back[~shown] == [255, 255, 255, 0]).all()
    straight = to_uint8(from_uint8(to_tensor(pixels), straight=True), straight=True)
    assert np.array_equal(to_array(straight), pixels)


def test_levels_inside_are_those_that_metrics_and_files_see():
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 4), np.uint8)
    inside = from_uint8(to_tensor(pixels))
    assert np.array_equal(to_levels(inside).permute(0, 2, 3, 1).numpy(), seen(pixels))
    assert torch.equal(to_levels(from_levels(to_levels(inside))), to_levels(inside))


def test_other_channels_are_left_alone():
    for channels in (1, 3):
        pixels = np.random.default_rng(2).integers(0, 256, (2, 4, 4, channels), np.uint8)
        for way in (seen, composites, checkered, lambda p: over(p, 0), crossed):
            assert np.array_equal(way(pixels), pixels)
        assert torch.equal(premultiplied(to_tensor(pixels).float()), to_tensor(pixels).float())


def test_sheets_are_opaque_and_measures_see_three_grounds():
    pixels = sprites(4, 16)
    assert grid(pixels).shape == (33, 33, 3)
    assert composites(pixels).shape == (4, 16, 48, 3)
    assert (composites(pixels)[:, 0, [0, 16, 32]] == [[0] * 3, [128] * 3, [255] * 3]).all()
    assert len(np.unique(checkered(pixels)[0, 0])) == 2


def test_colours_that_nobody_sees_do_not_differ():
    a, b = sprites(2, 16), sprites(2, 16)
    a[..., :3][a[..., 3] < 8] = 0
    assert differing(a, b).sum() == 0


def test_what_overshoots_is_clipped():
    levels = torch.tensor([300.0, 100.0, -5.0, 128.0]).view(1, 4, 1, 1)
    assert divided(levels).flatten().tolist() == [255, 199, 0, 128]
