import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.metrics.spread import spread

SHAPE = (40, 8, 8, 3)


def drawn(count, width, seed=0):
    """Samples (count, N, H, W, C) and a truth (N, H, W, C) of one distribution for each value, uint8."""
    rng = np.random.default_rng(seed)
    centre, scale = rng.uniform(60, 190, SHAPE), rng.uniform(1, 20, SHAPE)
    values = centre + scale * rng.standard_normal((count + 1, *SHAPE))
    values[:count] = centre + width * (values[:count] - centre)
    whole = np.rint(values.clip(0, 255)).astype(np.uint8)
    return whole[:count], whole[count]


@breaks("metrics/spread.py", "return 1 - extreme", "return extreme")
@breaks("metrics/spread.py", "known.std(0, ddof=1)", "known.std(0)")
def test_samples_of_the_truth_s_distribution_are_honest():
    """A normal truth lies within 1.645 deviations of a mean of 8 as often as Student's t says: 83.5 %."""
    found = spread(*drawn(8, 1.0), {})
    inside, wide = found["within_samples"], found["within_interval"]
    assert inside.value == pytest.approx(7 / 9, abs=0.01) and inside.receipt["ideal"] == 7 / 9
    assert inside.interval[0] < inside.value < inside.interval[1]
    assert wide.value == pytest.approx(0.835, abs=0.01)
    assert found["spread_correlation"].value > 0.3
    tenths = found["spread"].receipt["tenths"]
    assert len(tenths) == 10 and tenths[-1][1] > 3 * tenths[0][1]
    assert [one for one, _ in tenths] == sorted(one for one, _ in tenths)


@pytest.mark.parametrize(("width", "low", "high"), [(0.3, 0.2, 0.5), (3.0, 0.95, 1.0)])
def test_too_little_and_too_much_variety_show(width, low, high):
    assert low < spread(*drawn(8, width), {})["within_samples"].value < high


@breaks("metrics/spread.py", "/ (1 + equal)", "/ 1")
def test_equal_values_are_as_good_as_their_ranks_on_average():
    """On white ground all are equal: nothing is known of the variety, and nothing is claimed."""
    white = np.full((9, *SHAPE), 255, np.uint8)
    found = spread(white[:8], white[8], {})
    assert found["within_samples"].value == pytest.approx(7 / 9)
    assert found["spread"].value == 0
    few = np.random.default_rng(0).integers(0, 3, (9, *SHAPE)).astype(np.uint8)
    assert spread(few[:8], few[8], {})["within_samples"].value == pytest.approx(7 / 9, abs=0.01)


@pytest.mark.parametrize(
    ("samples", "truth", "said"),
    [
        (np.zeros((2, *SHAPE), np.uint8), np.zeros(SHAPE, np.uint8), "at least 3 of 2"),
        (np.zeros((8, *SHAPE), np.uint8), np.zeros(SHAPE, np.float32), "expected uint8"),
        (np.zeros((8, 3, 4, 4, 3), np.uint8), np.zeros(SHAPE, np.uint8), "several samples of each"),
    ],
    ids=["few", "floats", "shapes"],
)
def test_what_cannot_be_compared_is_said(samples, truth, said):
    with pytest.raises(ValueError, match=said):
        spread(samples, truth, {})
