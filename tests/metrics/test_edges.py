import numpy as np
import pytest
from scipy import ndimage

from tests.support.kit import smooth
from tests.support.sabotage import breaks
from zeuxis.metrics.edges import edge_agreement


def expected(a, b):
    """The same by SciPy, one image at a time."""
    grey = [each.astype(float).mean(-1) for each in (a, b)]
    strength = [
        np.hypot(*(ndimage.sobel(one, axis, mode="nearest") for axis in (0, 1))) for one in grey
    ]
    return np.corrcoef(*(one.ravel() for one in strength))[0, 1]


@breaks("metrics/edges.py", "across.T", "across")
@breaks("metrics/edges.py", 'mode="replicate"', 'mode="constant"')
def test_it_is_the_correlation_of_sobel_magnitudes():
    a, b = smooth(5), smooth(5, seed=1)
    found = edge_agreement(a, b)
    assert found == pytest.approx([expected(*both) for both in zip(a, b, strict=True)], abs=1e-9)


def test_colours_do_not_count_and_places_do():
    a = smooth(4)
    assert edge_agreement(a, 255 - a) == pytest.approx(np.ones(4))
    assert edge_agreement(a, a[..., :1] // 2 + a[..., 1:2] // 2).min() > 0.3
    assert (edge_agreement(a, a[:, :, ::-1]) < 0.9).all()


def test_an_image_without_edges_agrees_with_none():
    a = smooth(2)
    assert edge_agreement(a, np.full_like(a, 9)).tolist() == [0, 0]
