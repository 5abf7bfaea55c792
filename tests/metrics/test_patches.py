"""Distance of patches: against the sliced Wasserstein distance of sets, and what it sees."""

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics.patches import DIRECTIONS, PATCH, patch_distance
from zeuxis.metrics.sliced import sliced_wasserstein

RNG = np.random.default_rng(0)


@breaks("metrics/patches.py", ".sort(1).values", "")
@breaks("metrics/patches.py", "/ 255", "/ 256")
def test_it_is_the_sliced_wasserstein_distance_of_all_patches():
    a, b = RNG.integers(0, 256, (2, 20, 24, 3), np.uint8)

    def patches(pixels):
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), (0, 1))
        return Features(windows.reshape(-1, 3 * PATCH**2).astype(np.float32) / 255, {})

    expected = sliced_wasserstein(patches(a), patches(b), DIRECTIONS, seed=0).raw
    assert patch_distance(a[None], b)[0] == pytest.approx(expected, rel=1e-4)


@breaks("metrics/patches.py", "pixels_HWC[..., :3]", "pixels_HWC[..., -3:]")
def test_place_and_alpha_do_not_matter_and_strokes_do():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[::4] = stripes[1::4] = 255
    given = np.stack([np.roll(stripes, 2, 0), stripes.swapaxes(0, 1), np.full_like(stripes, 128)])
    moved, turned, flat = patch_distance(given, stripes)
    assert moved < turned / 3 and moved < flat / 3
    alpha = RNG.integers(0, 256, (3, 32, 32, 1), np.uint8)
    clear = np.concatenate([given, alpha], 3)
    assert np.array_equal(patch_distance(clear, stripes), [moved, turned, flat])
    grey = patch_distance(given[2:, ..., :1], stripes)
    assert grey[0] == flat


def test_what_is_smaller_than_a_patch_is_a_sentence():
    with pytest.raises(Invalid, match="6 pixels a side are less than a patch of 7 x 7"):
        patch_distance(np.zeros((1, 6, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8))
