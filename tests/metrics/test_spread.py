import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.metrics.spread import deciles, spread


def normal(k, deviation, seed=0):
    """K samples and a truth of 8 images whose pixels are independent and normal."""
    rng = np.random.default_rng(seed)
    drawn = 128 + deviation * rng.standard_normal((k + 1, 8, 40, 40, 1))
    return np.rint(drawn).clip(0, 255).astype(np.uint8)


@breaks("metrics/spread.py", "NORMAL_90 * exact", "exact")
@breaks("metrics/spread.py", "& (truth_NHWC <= samples_KNHWC.max(0))", "")
def test_an_honest_spread_holds_the_shares_that_it_promises():
    drawn = normal(60, 20)
    found = spread(drawn[1:], drawn[0], {"side": "hold-out"})
    assert found["truth_within_90"].value == pytest.approx(0.9, abs=0.015)
    few = spread(drawn[1:9], drawn[0], {})["truth_within_samples"]
    # whole levels: a truth that equals the least or the most is inside, so it is a little above 7/9
    assert few.value == pytest.approx(7 / 9, abs=0.03) and few.receipt["ideal"] == 7 / 9
    assert few.receipt["samples_each"] == 8 and few.n == 8


def test_too_little_spread_is_seen():
    truth, narrow = normal(0, 20)[0], normal(7, 5, seed=1)
    found = spread(narrow, truth, {})
    assert found["truth_within_90"].value < 0.45 and found["truth_within_samples"].value < 0.4


@breaks("metrics/spread.py", "np.argsort(deviation, kind", "np.argsort(-deviation, kind")
def test_errors_rise_with_an_honest_spread():
    rng, level = np.random.default_rng(0), np.linspace(2, 30, 40)[:, None]
    drawn = 128 + level * rng.standard_normal((9, 8, 40, 40, 1))
    drawn = np.rint(drawn).clip(0, 255).astype(np.uint8)
    found = deciles(drawn[1:], drawn[0])
    assert len(found) == 10 and found == sorted(found) and found[-1][1] > 3 * found[0][1]
