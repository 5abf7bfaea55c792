"""A pattern that comes again every few pixels is told from details that do not."""

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.metrics.checkerboard import checkerboard


def noise(side=32):
    return np.random.default_rng(0).integers(80, 170, (8, side, side, 3), np.uint8)


@breaks(
    "metrics/checkerboard.py",
    "whole_NHW.reshape(n, h // stride, stride",
    "whole_NHW.reshape(n, stride, h // stride",
)
@breaks("metrics/checkerboard.py", "- windows.mean((-2, -1))", "")
@pytest.mark.parametrize("stride", [2, 4])
def test_a_grid_is_found(stride):
    across = np.arange(32) % stride == 0
    grid = (across[:, None] & across)[:, :, None] * 80
    assert checkerboard((noise() // 8 + 100 + grid).astype(np.uint8)) > 0.8


def test_independent_pixels_and_shades_are_none():
    shade = np.linspace(0, 255, 32)[:, None, None] * np.ones((4, 32, 32, 3))
    assert checkerboard(noise()) < 0.1
    assert checkerboard((shade + noise()[:4] // 64).astype(np.uint8)) < 0.1
    assert checkerboard(noise(8)) == 0
