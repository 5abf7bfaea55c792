"""Seams: what tiles has none, what was cut has one, along the right axis."""

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.metrics.seam import seams


def waves(height, width, across, down):
    """A smooth picture (H, W, 3) with so many waves along each axis, whole numbers tile."""
    y, x = np.mgrid[:height, :width]
    wave = np.sin(2 * np.pi * (across * x / width + 0.13)) + np.sin(2 * np.pi * down * y / height)
    return np.rint(128 + 40 * wave[..., None] * [1, 0.8, 0.6]).astype(np.uint8)


@breaks("metrics/seam.py", '"x": _seam(pixels_HWC.swapaxes(0, 1))', '"x": _seam(pixels_HWC)')
@pytest.mark.parametrize(("across", "down", "cut"), [(3, 2, ""), (2.5, 2, "x"), (3, 2.5, "y")])
def test_a_cut_wave_has_a_seam_along_its_axis(across, down, cut):
    found = seams(waves(80, 96, across, down))
    for axis in "xy":
        assert (found[axis].rank > 0.95) == (axis == cut), found


@breaks("metrics/seam.py", "return max(self.step, self.bend)", "return self.step")
def test_a_kink_shows_in_second_differences_only():
    up = np.arange(64)
    tent = np.minimum(up, 30)[:, None, None] * np.ones((1, 64, 1))  # a slope that stops, then drops
    ramp = np.abs((up * 2) % 128 - 64)[None, :, None] + 0 * tent  # mirrored: no step, two kinks
    noise = np.random.default_rng(0).normal(0, 0.1, ramp.shape)
    found = seams(ramp + noise)["x"]
    assert found.step < 0.95 < found.bend == found.rank


@breaks("metrics/seam.py", "touching[2:-1]", "touching[1:]")
def test_the_rank_of_noise_is_even():
    ranks = [
        seam.bend
        for seed in range(60)
        for seam in seams(np.random.default_rng(seed).random((24, 24, 1))).values()
    ]
    assert abs(np.mean(ranks) - 0.5) < 0.07
    assert 0.01 <= np.mean([rank > 0.95 for rank in ranks]) <= 0.12
