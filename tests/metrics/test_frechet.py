import numpy as np
import pytest
import torch

from tests.support.peers import torch_fidelity
from tests.support.sabotage import breaks
from zeuxis.features import Features
from zeuxis.features.inception import STATE_SHA256
from zeuxis.metrics import frechet
from zeuxis.metrics.frechet import frechet_distance, frechet_infinity, name
from zeuxis.metrics.jackknife import GROUPS, corrected, splits
from zeuxis.metrics.moments import Moments

TEST = {"network": "test"}
SCALE = 1 / np.arange(1, 17)


def features(array, **receipt):
    return Features(np.asarray(array), {**TEST, **receipt})


def normal(n, d=16, shift=0.0, by=1.0, seed=0):
    """Gaussian features whose deviations fall like 1, 1/2, 1/3 ..."""
    rng = np.random.default_rng(seed)
    return features(rng.normal(0, 1, (n, d)) / np.arange(1, d + 1) * by + shift)


def raw(fake, real):
    return frechet_distance(fake, real, halves=False).raw


def by_definition(x, y):
    """Through the symmetric root of one covariance, by eigenvectors."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(s)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    traces = (
        np.trace(s) + np.trace(t) - 2 * np.sqrt(np.linalg.eigvalsh(root @ t @ root).clip(0)).sum()
    )
    return np.square(x.mean(0) - y.mean(0)).sum() + traces


# moments


@breaks("metrics/moments.py", "(n * m / (n + m))", "(n * m / (n + m - 1))")
def test_moments_merge_into_those_of_one_pass():
    x = normal(100, shift=50).array
    whole = Moments.of(features(x))
    assert whole.n == 100
    assert whole.mean_D == pytest.approx(x.mean(0), rel=1e-14)
    assert np.allclose(whole.covariance_DD, np.cov(x, rowvar=False), rtol=1e-12, atol=1e-14)
    merged = Moments.of(features(x[:2])).merge(Moments.of(features(x[2:60])))
    merged = merged.merge(Moments.of(features(x[60:])))
    assert merged.n == 100
    assert np.abs(merged.mean_D - whole.mean_D).max() <= 1e-12
    assert np.abs(merged.covariance_DD - whole.covariance_DD).max() <= 1e-12


def test_moments_do_not_depend_on_the_block(monkeypatch):
    x = normal(50)
    whole = Moments.of(x)
    monkeypatch.setattr("zeuxis.metrics.moments.ROWS", 7)
    assert np.allclose(Moments.of(x).covariance_DD, whole.covariance_DD, rtol=1e-13, atol=1e-15)


@breaks("metrics/comparable.py", "if unlike:", "if False:")
def test_moments_that_do_not_fit_are_refused():
    one = Moments.of(normal(5))
    with pytest.raises(ValueError, match="layer is None on one side and 'logits'"):
        one.merge(Moments.of(features(normal(5).array, layer="logits")))
    with pytest.raises(ValueError, match="does not say its number of images cannot be merged"):
        one.merge(Moments(None, one.mean_D, one.covariance_DD, TEST))
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        Moments.of(normal(1))


# the distance


def test_gaussians_have_the_closed_form():
    rng = np.random.default_rng(0)
    base, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    a, b = rng.uniform(0.1, 3, (2, 12))
    m, w = rng.normal(size=(2, 12))
    s, t = (Moments(None, mean, base * v @ base.T, TEST) for mean, v in ((m, a), (w, b)))
    expected = np.square(m - w).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    found = frechet_distance(s, t)
    assert found.raw == pytest.approx(expected, rel=1e-12)
    assert found.noise_floor is None and found.above_floor is None and found.corrected is None
    # covariances that do not commute, 2 x 2: tr (ST)^(1/2) = sqrt(tr ST + 2 sqrt det ST)
    s2, t2 = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[0.5, -0.2], [-0.2, 3.0]])
    root = np.sqrt(np.trace(s2 @ t2) + 2 * np.sqrt(np.linalg.det(s2 @ t2)))
    zero = np.zeros(2)
    found = frechet_distance(Moments(9, zero, s2, TEST), Moments(9, zero, t2, TEST))
    assert found.raw == pytest.approx(np.trace(s2) + np.trace(t2) - 2 * root, rel=1e-12)


@breaks("metrics/frechet.py", "/ math.sqrt(n - 1)", "/ math.sqrt(n)")
@breaks("metrics/frechet.py", "values_D.where(values_D > tiny, 0)", "values_D")
@pytest.mark.parametrize(
    ("n", "m"), [(90, 70), (16, 16), (17, 300), (5, 300), (300, 5), (6, 4), (2, 2)]
)
def test_features_and_moments_agree_at_any_number_of_images(n, m):
    x, y = normal(n, shift=0.3, by=1.5), normal(m, seed=1)
    expected = by_definition(x.array, y.array)
    assert raw(x, y) == pytest.approx(expected, rel=1e-7)
    assert raw(Moments.of(x), y) == pytest.approx(expected, rel=1e-7)
    assert raw(x, Moments.of(y)) == pytest.approx(expected, rel=1e-7)
    assert raw(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-6)
    assert raw(y, x) == pytest.approx(raw(x, y), rel=1e-9)


def test_it_is_torch_fidelitys():
    torch_fidelity()
    from torch_fidelity import metric_fid

    for n, m, tolerance in ((400, 300, 1e-8), (12, 300, 1e-6), (12, 9, 1e-6)):
        # where covariances are singular, the eigenvalues of their product are only good to 1e-8 or so
        x, y = normal(n, shift=0.3, by=1.5), normal(m, seed=1)
        theirs = metric_fid.fid_statistics_to_metric(
            *(metric_fid.fid_features_to_statistics(torch.from_numpy(f.array)) for f in (x, y)),
            verbose=False,
        )
        assert raw(x, y) == pytest.approx(theirs[metric_fid.KEY_METRIC_FID], rel=tolerance)


def test_it_is_zero_between_a_set_and_itself_and_grows_with_the_shift():
    x = normal(60)
    assert raw(x, x) == pytest.approx(0, abs=1e-12)
    assert raw(x, features(x.array + 0.5)) == pytest.approx(16 * 0.25, rel=1e-12)
    few = normal(5)
    assert raw(few, features(few.array + 0.5)) == pytest.approx(16 * 0.25, rel=1e-12)


def test_constant_features_leave_the_distance_of_the_means():
    ones, twos = features(np.ones((40, 16))), features(np.full((30, 16), 2.0))
    assert raw(ones, twos) == pytest.approx(16, rel=1e-12)
    assert raw(Moments.of(ones), Moments.of(twos)) == pytest.approx(16, rel=1e-12)
    assert frechet_distance(ones, twos).corrected.value == pytest.approx(16, rel=1e-12)
    x = normal(50)
    x.array[:, 3] = 7  # one feature that never fires: a singular covariance
    assert raw(x, normal(50, seed=1)) == pytest.approx(
        by_definition(x.array, normal(50, seed=1).array), rel=1e-7
    )


# bias and interval


@breaks("metrics/frechet.py", "+ np.diagonal(pairs).sum()", "+ 0")
def test_the_noise_floor_is_the_mean_where_there_is_no_difference():
    found = [
        frechet_distance(normal(300, seed=2 * s), normal(500, seed=2 * s + 1), halves=False)
        for s in range(60)
    ]
    raws = np.array([one.raw for one in found])
    floor = np.mean([one.noise_floor for one in found])
    assert abs(raws.mean() - floor) < 3 * raws.std() / np.sqrt(len(raws)) + 0.02 * floor
    few = [
        frechet_distance(normal(8, seed=s), normal(8, seed=90 + s), halves=False) for s in range(9)
    ]
    assert all(one.noise_floor > 0 for one in few)
    # by hand: one feature of variance v adds (v + v / 2 * 2 / 2) / n
    x = features(np.array([[0.0], [1.0], [2.0], [5.0]]))
    v = x.array.var(ddof=1)
    assert frechet_distance(x, x, halves=False).noise_floor == pytest.approx(
        2 * (v / 4 + v / 2 / 3), rel=1e-12
    )


def test_the_splits_are_balanced():
    together = np.zeros((GROUPS, GROUPS))
    for one, other in splits():
        assert sorted([*one, *other]) == list(range(GROUPS)) and len(one) == len(other)
        for half in (one, other):
            together[np.ix_(half, half)] += 1
    assert (together[~np.eye(GROUPS, dtype=bool)] == 3).all()


@breaks("metrics/jackknife.py", "2 * whole - float(halves.mean())", "whole")
@breaks("metrics/jackknife.py", "axis=1) / 2)", "axis=1))")
def test_the_jackknife_undoes_a_bias_of_one_over_n_and_has_the_variance_of_a_mean():
    # f(n) = mean + 10 / n: every group's mean is known, so the interval is, too
    means = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    n = 8 * 25
    halves = np.array([[means[half].mean() + 10 / (n / 2) for half in pair] for pair in splits()])
    value, (low, high) = corrected(means.mean() + 10 / n, halves)
    assert value == pytest.approx(means.mean(), rel=1e-12)
    # balanced: the variance of the mean of 8 groups, exactly
    half = 2.3646 * means.std(ddof=1) / np.sqrt(8)
    assert (low, high) == pytest.approx((value - half, value + half), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_the_interval_holds_the_true_distance(shift):
    truth = 16 * shift**2 + 0.3**2 * np.square(SCALE).sum() * (shift > 0)
    by = 1.3 if shift else 1.0
    found = [
        frechet_distance(normal(150, 16, shift, by, 2 * s), normal(200, seed=2 * s + 1)).corrected
        for s in range(60)
    ]
    values = np.array([one.value for one in found])
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(60) + 0.003
    assert np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]) >= 0.88
    assert found[0].n == 150 and "delete-half" in found[0].receipt["interval"]


def test_one_pass_over_groups_gives_the_halves_themselves(monkeypatch):
    x, y = normal(80, shift=0.2), normal(90, seed=1)
    fast = frechet_distance(x, y, seed=4).corrected
    monkeypatch.setattr(Moments, "merge", lambda *a: pytest.fail("merged"))
    monkeypatch.setattr(frechet, "_grouped", lambda n, d: False)
    slow = frechet_distance(x, y, seed=4).corrected
    assert fast.interval == pytest.approx(slow.interval, rel=1e-9)


@breaks("metrics/frechet.py", "value=value - bias", "value=value")
def test_a_side_of_moments_is_held_fixed():
    x, y = normal(400, shift=0.2), normal(400, seed=1)
    both = frechet_distance(x, y)
    one = frechet_distance(x, Moments.of(y))
    assert one.raw == pytest.approx(both.raw, rel=1e-10)
    assert "held fixed" in one.corrected.receipt["interval"]
    assert one.corrected.value == pytest.approx(both.corrected.value, abs=0.02)
    moments = Moments.of(y)
    foreign = Moments(None, moments.mean_D, moments.covariance_DD, TEST)
    left = frechet_distance(x, foreign).corrected
    floor = frechet_distance(moments, moments).noise_floor / 2
    assert left.value - one.corrected.value == pytest.approx(floor, rel=1e-9)
    assert left.n == 400 and "keeps its bias" in left.receipt["interval"]
    assert np.ptp(one.corrected.interval) > 0


def test_the_line_over_sizes_finds_the_distance_of_endless_sets():
    real = normal(4000, seed=99)
    found = [
        frechet_infinity(normal(400, shift=0.15, seed=s), real, sizes=8, least=50, seed=s)
        for s in range(12)
    ]
    values = np.array([one.value for one in found])
    truth = 16 * 0.15**2
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(12) + 0.004
    assert values.mean() < np.mean([raw(normal(400, shift=0.15, seed=s), real) for s in range(12)])
    assert np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]) >= 0.8
    assert found[0].receipt["sizes"] == [50, 100, 150, 200, 250, 300, 350, 400]
    again = frechet_infinity(normal(400, shift=0.15), real, sizes=8, least=50)
    assert again == found[0]


# names and refusals


@breaks("metrics/comparable.py", 'receipt.get("weights_sha256") in PUBLISHED.values()', "True")
def test_only_published_inception_features_give_a_fid():
    published = {
        "network": "Inception 2015",
        "weights_sha256": STATE_SHA256,
        "layer": "pool3, 2048",
    }
    assert name(published) == "FID"
    assert name({**published, "layer": "192"}) != "FID"
    assert name({**published, "weights_sha256": "0" * 64}) == "Frechet distance (Inception 2015)"
    x = features(normal(40).array, **published)
    assert frechet_distance(x, x, halves=False).receipt["statistic"] == "FID"


@breaks("metrics/comparable.py", "if bad_N.any():", "if False:")
def test_what_cannot_be_compared_is_refused():
    x = normal(40)
    with pytest.raises(ValueError, match="network is 'test' on one side and 'other'"):
        frechet_distance(x, features(x.array, network="other"))
    with pytest.raises(ValueError, match=r"\(16,\) features an image and the other \(8,\)"):
        frechet_distance(x, normal(40, d=8))
    with pytest.raises(ValueError, match="at least 2 images a side, got 1 real"):
        frechet_distance(x, normal(1))
    with pytest.raises(ValueError, match="at least 16 images a side, got 9 fake"):
        frechet_distance(normal(9), x)
    bad = normal(40)
    bad.array[[17, 30], 2] = np.nan
    with pytest.raises(ValueError, match="features of fake image 17 hold NaN"):
        frechet_distance(bad, x)
    with pytest.raises(
        ValueError, match="at least 3 sizes between 2 and 40 images, got 15 from 40"
    ):
        frechet_infinity(x, x, least=40)
