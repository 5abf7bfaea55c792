import numpy as np
import pytest
import torch

from tests.support.peers import torch_fidelity
from tests.support.sabotage import breaks
from zeuxis.features import Features
from zeuxis.features.inception import STATE_SHA256
from zeuxis.metrics.bins import different_bins, jensen_shannon, k_means
from zeuxis.metrics.cmmd import cmmd, gaussian_kernel_distance
from zeuxis.metrics.inception_score import class_probability_score, inception_score
from zeuxis.metrics.sliced import mind, sliced_wasserstein


def features(array, **receipt):
    return Features(np.asarray(array), {"network": "test", **receipt})


def normal(n, d=8, shift=0.0, by=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return features(rng.normal(0, 1, (n, d)) * by + shift)


def clusters(n, modes, spread=0.3, seed=0, d=8):
    """Features around `modes` corners."""
    rng = np.random.default_rng(seed)
    return features(5 * np.eye(d)[rng.integers(0, modes, n)] + rng.normal(0, spread, (n, d)) + 1)


# Inception score


@breaks(
    "metrics/inception_score.py",
    ".RandomState(seed).permutation(n)",
    ".RandomState(seed + 1).permutation(n)",
)
def test_the_score_is_torch_fidelitys():
    torch_fidelity()
    from torch_fidelity import metric_isc

    logits = features(np.random.default_rng(0).normal(0, 2, (203, 12)))
    for splits, seed in ((10, 2020), (3, 5), (1, 0)):
        theirs = metric_isc.isc_features_to_metric(
            torch.from_numpy(logits.array), splits, True, seed
        )
        found = class_probability_score(logits, splits=splits, seed=seed)
        assert found.score.value == pytest.approx(theirs[metric_isc.KEY_METRIC_ISC_MEAN], rel=1e-12)
        assert found.std == pytest.approx(theirs[metric_isc.KEY_METRIC_ISC_STD], abs=1e-12)
    theirs = metric_isc.isc_features_to_metric(torch.from_numpy(logits.array), 4, shuffle=False)
    found = class_probability_score(logits, splits=4, seed=None)
    assert found.score.value == pytest.approx(theirs[metric_isc.KEY_METRIC_ISC_MEAN], rel=1e-12)


def test_sure_and_varied_predictions_reach_the_number_of_classes():
    sure = features(np.eye(10).repeat(20, 0))
    found = class_probability_score(sure, "probabilities", splits=1)
    assert found.score.value == pytest.approx(10, rel=1e-12)
    alike = features(np.tile(np.eye(10)[0], (200, 1)))
    found = class_probability_score(alike, "probabilities", splits=4)
    assert found.score.value == pytest.approx(1) and np.ptp(found.score.interval) < 1e-9


def test_probabilities_and_logits_give_one_score():
    logits = np.random.default_rng(0).normal(0, 2, (60, 5))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    a = class_probability_score(features(logits), splits=2).score
    b = class_probability_score(features(p), "probabilities", splits=2).score
    assert a.value == pytest.approx(b.value, rel=1e-10)
    assert a.interval == pytest.approx(b.interval, rel=1e-8)


def test_the_scores_interval_is_the_delete_one_jackknife():
    logits = np.random.default_rng(0).normal(0, 2, (12, 5))

    def score(rows):
        return class_probability_score(features(logits[rows]), splits=1, seed=None).score.value

    parts = np.arange(12).reshape(2, 6)
    variance = sum(5 * np.var([score(np.delete(part, i)) for i in range(6)]) / 4 for part in parts)
    found = class_probability_score(features(logits), splits=2, seed=None).score
    half = 1.96 * np.sqrt(variance)
    assert found.interval == pytest.approx((found.value - half, found.value + half), rel=1e-9)


@breaks("metrics/inception_score.py", "if not is_inception(outputs.receipt):", "if False:")
def test_only_the_published_network_gives_an_inception_score():
    logits = np.random.default_rng(0).normal(0, 2, (60, 5))
    published = {"network": "Inception 2015", "weights_sha256": STATE_SHA256}
    found = inception_score(features(logits, **published))
    assert found.score.value == class_probability_score(features(logits)).score.value
    with pytest.raises(ValueError, match="published Inception weights, these are from test"):
        inception_score(features(logits))
    with pytest.raises(ValueError, match="over 10 parts needs at least 20 images, got 19"):
        class_probability_score(features(logits[:19]))
    with pytest.raises(ValueError, match="are they logits"):
        class_probability_score(features(logits), "probabilities")
    logits[7, 1] = np.nan
    with pytest.raises(ValueError, match="image 7 hold NaN"):
        class_probability_score(features(logits))


# kernels of unit features


def unit(array):
    return array / np.linalg.norm(array, axis=1, keepdims=True)


@breaks("metrics/cmmd.py", "return x_ND / length_N", "return x_ND")
def test_cmmd_is_the_published_formula():
    x, y = normal(20, shift=1), normal(30, shift=1, by=0.5, seed=1)

    def kernel(a, b):
        return np.exp(-np.square(unit(a)[:, None] - unit(b)).sum(-1) / 200)

    a, b = x.array, y.array
    expected = 1000 * (kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean())
    assert cmmd(x, y).value == pytest.approx(expected, rel=1e-7)
    # nearly linear: ten times the squared distance of the means, as the docstring says
    step = unit(a).mean(0) - unit(b).mean(0)
    assert cmmd(x, y).value == pytest.approx(10 * step @ step, rel=0.02)


def test_the_median_bandwidth_sees_collapse_that_cmmd_does_not():
    def modes(count, spread, seed):
        rng = np.random.default_rng(seed)
        corners = 5 * np.eye(8)[np.arange(300) % count]
        return features(corners + rng.normal(0, spread, (300, 8)) + 1)

    real, collapsed, dropped = modes(8, 1, 0), modes(8, 0.05, 1), modes(4, 1, 2)
    assert cmmd(collapsed, real).value < cmmd(dropped, real).value / 10
    fine = gaussian_kernel_distance(collapsed, real)
    assert fine.value > gaussian_kernel_distance(dropped, real).value / 4 and fine.interval[0] > 0
    same = gaussian_kernel_distance(normal(150, shift=1, seed=3), normal(150, shift=1, seed=4))
    assert same.interval[0] <= 0 <= same.interval[1]


def test_the_median_kernel_is_unbiased_and_by_hand():
    x, y = normal(7, shift=1), normal(9, shift=1, seed=1)
    a, b = unit(x.array), unit(y.array)
    apart = np.linalg.norm(b[:, None] - b, axis=-1)
    median = np.median(apart[np.triu_indices(9, 1)])

    def kernel(p, q):
        squared = np.square(p[:, None] - q).sum(-1)
        return np.mean([np.exp(-squared / 2 / (f * median) ** 2) for f in (0.25, 0.5, 1, 2)], 0)

    def off(k):
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))

    expected = 1000 * (off(kernel(a, a)) + off(kernel(b, b)) - 2 * kernel(a, b).mean())
    assert gaussian_kernel_distance(x, y).value == pytest.approx(expected, rel=1e-8)


def test_features_without_direction_or_variety_are_refused():
    x = normal(20)
    zero = normal(20)
    zero.array[3] = 0
    with pytest.raises(ValueError, match="fake image 3 are all zero"):
        cmmd(zero, x)
    with pytest.raises(ValueError, match="median distance between real images is 0"):
        gaussian_kernel_distance(x, features(np.ones((20, 8))))
    with pytest.raises(ValueError, match="3 images a side, got 2 and 20"):
        cmmd(normal(2), x)


# sliced Wasserstein


@breaks("metrics/sliced.py", "if n == m:", "if True:")
def test_in_one_dimension_it_is_the_wasserstein_distance():
    x, y = features([[float(i)] for i in range(16)]), features([[float(i * i)] for i in range(16)])
    expected = np.mean([(i - i * i) ** 2 for i in range(16)])
    assert sliced_wasserstein(x, y, 3).raw == pytest.approx(expected, rel=1e-12)
    # unequal sizes: the same set with every image twice is the same distribution
    twice = features(np.repeat(y.array, 2, 0))
    assert sliced_wasserstein(x, twice, 3).raw == pytest.approx(expected, rel=1e-12)
    thrice = features(np.repeat(y.array, 3, 0))
    assert sliced_wasserstein(twice, thrice, 3).raw == pytest.approx(0, abs=1e-12)


def test_it_is_the_definition_and_mind_is_a_multiple():
    x, y = normal(40, shift=0.5), normal(40, seed=1)
    directions = np.random.default_rng(3).standard_normal((70, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    a, b = (np.sort(f.array @ directions.T, 0) for f in (x, y))
    expected = np.square(a - b).mean()
    assert sliced_wasserstein(x, y, 70, seed=3).raw == pytest.approx(expected, rel=1e-10)
    assert mind(x, y, 70, seed=3).raw == pytest.approx(24 * expected, rel=1e-10)
    # a shift alone: D SW^2 tends to its squared length
    moved = features(x.array + 0.5)
    assert sliced_wasserstein(x, moved, 4000).raw * 8 == pytest.approx(8 * 0.25, rel=0.05)


def test_its_bias_is_taken_off_and_the_interval_holds_the_truth():
    found = [
        sliced_wasserstein(normal(100, 4, seed=2 * s), normal(120, 4, seed=2 * s + 1), 16)
        for s in range(40)
    ]
    values = np.array([one.corrected.value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(40) + 0.05 * np.mean(
        [o.raw for o in found]
    )
    assert np.mean([o.corrected.interval[0] <= 0 <= o.corrected.interval[1] for o in found]) >= 0.9
    assert found[0] == sliced_wasserstein(normal(100, 4), normal(120, 4, seed=1), 16)
    with pytest.raises(ValueError, match="at least 16 images a side, got 15"):
        sliced_wasserstein(normal(15), normal(90))
    with pytest.raises(ValueError, match="at least 1 direction, got 0"):
        sliced_wasserstein(normal(16), normal(16), 0)


def test_its_halves_are_distances_of_halves(monkeypatch):
    from zeuxis.metrics import sliced
    from zeuxis.metrics.jackknife import corrected, groups, splits

    x, y = normal(33, shift=0.5), normal(41, seed=1)
    rng = np.random.default_rng(0)
    rng.standard_normal((5, 8))
    cuts = groups(33, rng), groups(41, rng)

    def half(f, cut, which):
        return features(f.array[np.concatenate([cut[g] for g in which])])

    expected = [
        [sliced_wasserstein(half(x, cuts[0], one), half(y, cuts[1], one), 5).raw for one in pair]
        for pair in splits()
    ]
    monkeypatch.setattr(sliced, "BLOCK", 2)
    found = sliced_wasserstein(x, y, 5)
    assert found.corrected.interval == pytest.approx(
        corrected(found.raw, np.array(expected))[1], rel=1e-9
    )


# bins


@breaks("metrics/bins.py", "p=squared_N / squared_N.sum()", "p=None")
def test_k_means_finds_clusters():
    x = clusters(300, 8).array
    centre = x.mean(0)
    found = k_means(x, centre, 8, np.random.default_rng(0)) + centre
    truth = 5 * np.eye(8) + 1
    apart = np.linalg.norm(found[:, None] - truth, axis=-1)
    assert sorted(apart.argmin(1)) == list(range(8)) and apart.min(1).max() < 0.3


@breaks("metrics/bins.py", "pooled_K * (1 - pooled_K)", "pooled_K")
def test_dropped_modes_are_different_bins():
    real, fake = clusters(800, 8), clusters(600, 6, seed=1)
    found = different_bins(fake, real, 8)
    assert found.different.value >= 6 / 8  # two are missing, the others are too full
    assert (np.sort(found.fake_K)[:2] == 0).all() and found.fake_K.sum() == pytest.approx(1)
    assert (found.real_K[:-1] >= found.real_K[1:]).all()
    assert ((found.z_K < 0) == (found.fake_K == 0)).all()
    assert np.bincount(found.bin_N, minlength=8) / 600 == pytest.approx(found.fake_K)
    raw = jensen_shannon(found.fake_K, found.real_K)
    low, high = found.divergence.interval
    assert low < found.divergence.value < high and found.divergence.value == pytest.approx(
        raw, rel=0.1
    )
    # the z of the missing bins, by the formula
    p, q, n, m = 0.0, found.real_K[found.fake_K == 0][0], 600, 800
    r = (p * n + q * m) / (n + m)
    z = (p - q) / np.sqrt(r * (1 - r) * (1 / n + 1 / m))
    assert found.z_K[found.fake_K == 0][0] == pytest.approx(z, rel=1e-12)


def test_without_a_difference_five_in_a_hundred_bins_differ():
    found = [
        different_bins(clusters(400, 8, 1.0, 2 * s), clusters(400, 8, 1.0, 2 * s + 1), 20, seed=s)
        for s in range(15)
    ]
    assert np.mean([one.different.value for one in found]) == pytest.approx(0.05, abs=0.045)
    values = np.array([one.divergence.value for one in found])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(15) + 1e-3
    assert (
        found[0].bin_N.tolist()
        == different_bins(clusters(400, 8, 1.0, 0), clusters(400, 8, 1.0, 1), 20).bin_N.tolist()
    )


def test_too_few_images_or_kinds_of_them_are_refused():
    with pytest.raises(
        ValueError, match="100 bins needs at least 500 images a side, got 499 and 600"
    ):
        different_bins(normal(499), normal(600))
    with pytest.raises(ValueError, match="at least 2 bins, got 1"):
        different_bins(normal(50), normal(50), 1)
    few = features(np.repeat(np.eye(8)[:3], 20, 0))
    with pytest.raises(ValueError, match="have 3 different features; ask for fewer bins"):
        different_bins(few, few, 4)
