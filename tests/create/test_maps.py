"""Height and normal maps: they wrap, and green follows the convention that is named."""

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.create.maps import blurred, height_map, height_picture, normal_picture


@pytest.fixture(scope="module")
def dome():
    """A bright bump in the middle of a dark picture, (48, 64, 3)."""
    y, x = np.mgrid[:48, :64]
    light = 255 * np.exp(-((x - 32) ** 2 + (y - 24) ** 2) / 40)
    return np.rint(light[..., None] * [1, 1, 1]).astype(np.uint8)


@breaks(
    "create/maps.py",
    'down if normals == "opengl" else -down',
    '-down if normals == "opengl" else down',
)
@breaks("create/maps.py", "-right / steep", "right / steep")
def test_a_bump_faces_where_the_convention_says(dome):
    heights = height_map(dome, (True, True))
    opengl, directx = (normal_picture(heights, (True, True), n) for n in ("opengl", "directx"))
    assert opengl[18, 32, 1] > 180 > 75 > opengl[30, 32, 1]  # its upper side faces up
    assert opengl[24, 26, 0] < 75 < 180 < opengl[24, 38, 0]  # its right side faces right
    assert np.abs(opengl[..., 1].astype(int) + directx[..., 1] - 255).max() <= 1
    assert np.array_equal(opengl[..., ::2], directx[..., ::2])
    vectors = opengl / 127.5 - 1
    assert np.abs(np.linalg.norm(vectors, axis=2) - 1).max() < 0.02 and opengl[..., 2].min() > 127
    grey = height_picture(heights)
    assert grey[24, 32] == 255 and grey.shape == (48, 64, 1)


@breaks("create/maps.py", '"wrap" if wraps[0]', '"edge" if wraps[0]')
@breaks("create/maps.py", "whole = spread if wrap", "whole = spread if False")
@pytest.mark.parametrize("wraps", [(True, True), (True, False), (False, True)])
def test_maps_of_a_rolled_tile_are_rolled_along_the_axes_that_wrap(wraps):
    tile = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    still = height_map(tile, wraps)
    for axis, wrap in enumerate(wraps):
        moved = height_map(np.roll(tile, 9, axis), wraps)
        assert np.allclose(np.roll(still, 9, axis), moved, atol=1e-5) == wrap
        normals = [
            normal_picture(h, wraps, "directx").astype(int)
            for h in (np.roll(still, 9, axis), np.roll(np.roll(still, 9, axis), -9, axis))
        ]
        same = np.abs(np.roll(normals[0], -9, axis) - normals[1]).max() <= 1
        assert same == wrap


@breaks("create/maps.py", "relief *= pixels_HWC[..., 3]", "relief *= 0 * pixels_HWC[..., 3] + 255")
def test_what_is_transparent_is_flat(dome):
    alpha = np.where(np.arange(64) < 32, 0, 255)[None, :, None].repeat(48, 0).astype(np.uint8)
    heights = height_map(np.concatenate([dome, alpha], 2), (True, True))
    assert not heights[:, :32].any() and heights[24, 33] > 0.5


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_flat_picture_is_level(channels):
    flat = np.full((20, 24, channels), 77, np.uint8)
    heights = height_map(flat, (False, True))
    assert np.array_equal(np.unique(height_picture(heights)), [128])
    assert np.array_equal(normal_picture(heights, (False, True), "opengl")[3, 3], [128, 128, 255])


def test_the_blur_keeps_the_mean_and_is_as_wide_as_asked():
    spike = np.zeros((64, 64), np.float32)
    spike[32, 32] = 1
    wide = blurred(spike, 4.0, (True, False))
    x = np.arange(64) - 32
    assert wide.sum() == pytest.approx(1, abs=1e-4)
    assert np.sqrt((wide.sum(0) * x**2).sum()) == pytest.approx(4, abs=0.05)
