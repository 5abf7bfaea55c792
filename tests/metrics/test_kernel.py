import numpy as np
import pytest
import torch

from tests.support.peers import torch_fidelity
from tests.support.sabotage import breaks
from zeuxis.features import Features
from zeuxis.features.inception import SCRIPT_SHA256
from zeuxis.metrics.kernel import cubic, kernel_distance, kernel_distance_subsets, mmd, name


def normal(n, d=6, shift=0.0, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return Features(rng.normal(shift, 1, (n, d)).astype(dtype), {"network": "test"})


@breaks("metrics/kernel.py", "- 2 * between / size**2", "- 2 * between / (size * (size - 1))")
def test_the_subsets_are_torch_fidelitys():
    torch_fidelity()
    from torch_fidelity import metric_kid

    x, y = normal(90, 12, 0.3), normal(70, 12, seed=1)
    for seed in (2020, 7):
        theirs = metric_kid.kid_features_to_metric(
            torch.from_numpy(x.array),
            torch.from_numpy(y.array),
            kid_subsets=9,
            kid_subset_size=50,
            rng_seed=seed,
            verbose=False,
        )
        found = kernel_distance_subsets(x, y, 9, 50, seed)
        assert found.mean == pytest.approx(theirs[metric_kid.KEY_METRIC_KID_MEAN], rel=1e-10)
        assert found.std == pytest.approx(theirs[metric_kid.KEY_METRIC_KID_STD], rel=1e-10)
        assert found.receipt["seed"] == seed


def test_a_subset_of_all_images_is_the_whole_distance():
    x, y = normal(40, shift=0.2), normal(40, seed=1)
    found = kernel_distance_subsets(x, y, subsets=2, size=40)
    assert found.mean == pytest.approx(kernel_distance(x, y).value, rel=1e-10)
    assert found.std == pytest.approx(0, abs=1e-12)


def test_float32_features_are_summed_in_float64():
    x, y = normal(200, 500, dtype=np.float32), normal(150, 500, seed=1, dtype=np.float32)
    wide = (Features(f.array.astype(np.float64), f.receipt) for f in (x, y))
    assert kernel_distance(x, y).value == kernel_distance(*wide).value
    assert kernel_distance_subsets(x, y, 1, 100).receipt["fake"] == 200


def test_the_biased_statistic_counts_images_with_themselves():
    x, y = normal(9, shift=0.4).array, normal(7, seed=1).array
    value, half = mmd(x, y, cubic, biased=True)
    expected = cubic(x, x).mean() + cubic(y, y).mean() - 2 * cubic(x, y).mean()
    assert value == pytest.approx(expected, rel=1e-12)
    without = [np.delete(x, i, 0) for i in range(9)], [np.delete(y, i, 0) for i in range(7)]
    left_x = [mmd(part, y, cubic, biased=True)[0] for part in without[0]]
    left_y = [mmd(x, part, cubic, biased=True)[0] for part in without[1]]
    expected = 1.96 * np.sqrt(8 * np.var(left_x) + 6 * np.var(left_y))
    assert half == pytest.approx(expected, rel=1e-9)


def test_only_published_inception_features_give_a_kid():
    published = {"network": "Inception 2015", "weights_sha256": SCRIPT_SHA256}
    assert name(published) == "KID"
    assert name({"network": "EfficientNet-lite0"}) == "kernel distance (EfficientNet-lite0)"


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(
        ValueError, match="by subsets of 1000 needs at least 1000 images a side, got 30"
    ):
        kernel_distance_subsets(normal(30), normal(2000))
    with pytest.raises(ValueError, match="got 0 of 5"):
        kernel_distance_subsets(normal(30), normal(30), 0, 5)
    bad = normal(8)
    bad.array[6, 0] = np.inf
    with pytest.raises(ValueError, match="features of real image 6 hold NaN or infinity"):
        kernel_distance(normal(8), bad)
    with pytest.raises(ValueError, match=r"\(6,\) features an image and the other \(5,\)"):
        kernel_distance(normal(8), normal(8, 5))


def test_constant_features_are_no_distance_apart():
    one = Features(np.ones((10, 4)), {})
    assert kernel_distance(one, one).value == pytest.approx(0, abs=1e-12)
