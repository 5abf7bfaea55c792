import numpy as np
import pytest

from tests.metrics.test_metrics import stripes
from tests.support.sabotage import breaks
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.balance import _beyond, balance, effective_classes, predicted_balance
from zeuxis.metrics.classifier import accuracy, classification_accuracy, train_classifier
from zeuxis.metrics.ratio import change, difference, ratio


def labelled(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def normal(value, error, n=100):
    return Estimate(
        value=value, interval=(value - 1.96 * error, value + 1.96 * error), n=n, receipt={}
    )


@breaks("metrics/ratio.py", "high_b * (2 * b - high_b)", "high_b * b")
def test_a_ratio_of_symmetric_intervals_is_fiellers():
    a, b, s, t = 3.0, 2.0, 0.3, 0.2
    found = ratio(normal(a, s), normal(b, t))
    g = (1.96 * t / b) ** 2
    half = 1.96 / b * np.sqrt((1 - g) * s**2 + (a / b * t) ** 2)
    assert found.value == 1.5
    assert found.interval == pytest.approx(((a / b - half) / (1 - g), (a / b + half) / (1 - g)))


@pytest.mark.parametrize(("p", "q"), [(0.1, 0.1), (0.02, 0.1), (0.3, 0.1)])
def test_the_interval_of_a_ratio_of_shares_holds_the_truth(p, q):
    rng = np.random.default_rng(0)
    draws = rng.binomial((300, 500), (p, q), (800, 2))
    found = [ratio(share(int(x), 300, {}), share(int(y), 500, {})).interval for x, y in draws]
    held = np.mean([low <= p / q <= high for low, high in found])
    assert 0.93 <= held <= 0.985


def test_a_ratio_of_nothing_starts_at_zero_and_over_nothing_is_refused():
    found = ratio(share(0, 100, {}), share(20, 100, {}))
    assert found.value == found.interval[0] == 0 < found.interval[1] < 0.3
    with pytest.raises(ValueError, match="not negative over one that is not zero"):
        ratio(share(5, 100, {}), share(0, 100, {}))


@breaks(
    "metrics/ratio.py",
    "above.interval[1] - above.value, below",
    "above.value - above.interval[0], below",
)
def test_a_difference_is_newcombes():
    # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: 56/70 - 48/80 and 0/10 - 0/20
    found = difference(share(56, 70, {}), share(48, 80, {}))
    assert found.value == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference(share(0, 10, {}), share(0, 20, {})).interval == pytest.approx(
        (-0.1611, 0.2775), abs=1e-4
    )


@breaks("metrics/balance.py", "one.interval[1] < MISSING", "one.value < MISSING")
def test_shares_ratios_and_the_missing_class():
    fake, real = labelled(50, 400, 550, 0), labelled(250, 250, 250, 0)
    found = balance(fake, real, 4)
    assert [one.value for one in found.fake] == [0.05, 0.4, 0.55, 0]
    assert found.fake[0].interval == share(50, 1000, {}).interval
    assert sorted(found.ratios) == [0, 1, 2] and found.ratios[2].value == pytest.approx(1.65)
    assert found.missing == (0,)
    few = balance(labelled(1, 8, 11, 0), real, 4)  # the same shares, but not beyond doubt
    assert few.missing == ()


def test_chi_squared_is_the_textbooks():
    # 2 x 3 table worked by hand: expected 50 50 100 in both rows
    found = balance(labelled(40, 60, 100), labelled(60, 40, 100), 3)
    assert found.chi_squared == pytest.approx(4 * 100 / 50) and found.freedom == 2
    assert found.p_value == pytest.approx(np.exp(-4)) and found.least_expected == 50
    # 95 % points of the chi-squared distribution
    for freedom, at in ((1, 3.841459), (4, 9.487729), (30, 43.77297)):
        assert _beyond(at, freedom) == pytest.approx(0.05, abs=1e-7)
    stats = pytest.importorskip("scipy.stats")
    expected = stats.chi2_contingency([[40, 60, 100], [60, 40, 100]], correction=False)
    assert (found.chi_squared, found.p_value) == pytest.approx(expected[:2])


def test_equal_shares_are_rejected_as_rarely_as_they_should():
    rng = np.random.default_rng(1)
    shares = (0.4, 0.3, 0.15, 0.1, 0.05)
    values = [
        balance(rng.choice(5, 400, p=shares), rng.choice(5, 300, p=shares), 5).p_value
        for _ in range(400)
    ]
    assert 0.02 <= np.mean(np.array(values) < 0.05) <= 0.08
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


def entropy(counts):
    p = np.array([c for c in counts if c]) / sum(counts)
    return float(-(p * np.log(p)).sum())


@breaks("metrics/balance.py", " + (len(counts_K) - 1) / (2 * n * n)", "")
@breaks("metrics/balance.py", "+ _xlogx(counts_K - 1)", "")
def test_the_effective_number_is_the_jackknife_written_out():
    counts = np.array([5, 3, 1, 0])
    left = [entropy(counts - np.eye(4, dtype=int)[k]) for k in range(4) for _ in range(counts[k])]
    value = 9 * entropy(counts) - 8 * np.mean(left)
    surprise = np.repeat(np.log(np.array([5, 3, 1]) / 9), [5, 3, 1])
    half = 1.96 * np.sqrt(np.var(surprise) / 9 + 2 / (2 * 81))
    found = effective_classes(counts, {})
    assert np.log(found.value) == pytest.approx(value)
    assert np.log(found.interval[1]) == pytest.approx(value + half)
    assert np.log(found.interval[0]) == pytest.approx(max(0, value - half))


def test_the_effective_number_has_little_bias_and_an_honest_interval():
    shares = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05])
    truth = np.exp(-(shares * np.log(shares)).sum())
    rng = np.random.default_rng(2)
    draws = rng.multinomial(100, shares, 500)
    found = [effective_classes(counts, {}) for counts in draws]
    plain = np.mean([np.exp(entropy(counts)) for counts in draws])
    jackknifed = np.mean([one.value for one in found])
    assert abs(jackknifed - truth) < 0.25 * abs(plain - truth)
    held = np.mean([one.interval[0] <= truth <= one.interval[1] for one in found])
    assert 0.92 <= held <= 0.985
    even = [
        effective_classes(counts, {}).interval for counts in rng.multinomial(99, (0.5, 0.5), 500)
    ]
    assert np.mean([low <= 2 <= high for low, high in even]) >= 0.92
    assert effective_classes(np.array([7, 0]), {}).value == pytest.approx(1)


@breaks("metrics/balance.py", "one.interval[0] > 1 / classes", "one.value > 1 / classes")
def test_bias_amplification_is_the_sum_over_the_frequent_classes():
    real = labelled(500, 300, 100, 100)
    worse, better = labelled(60, 30, 5, 5), labelled(30, 30, 20, 20)
    found = balance(worse, real, 4).amplification
    assert found.receipt["frequent"] == [0, 1]
    assert found.value == pytest.approx((0.6 - 0.5) + (0.3 - 0.3))
    assert found.interval[0] > 0
    assert balance(better, real, 4).amplification.interval[1] < 0
    assert found.n == 100 and found.value == pytest.approx(0.1)
    even = np.random.default_rng(3).permutation(labelled(251, 249, 252, 248))
    assert balance(worse, even, 4).amplification is None


@breaks(
    "metrics/balance.py", "chooser, rest = real_M[::2], real_M[1::2]", "chooser = rest = real_M"
)
def test_classes_that_are_frequent_by_chance_raise_no_alarm():
    rng = np.random.default_rng(4)
    found = [
        balance(rng.integers(0, 10, 500), rng.integers(0, 10, 600), 10).amplification
        for _ in range(600)
    ]
    chosen = [one for one in found if one is not None]
    assert len(chosen) > 60  # one of ten is often above 1/10
    assert np.mean([one.interval[0] <= 0 <= one.interval[1] for one in chosen]) > 0.88
    assert np.mean([one.value for one in chosen]) == pytest.approx(0, abs=0.006)


def test_unknown_labels_are_left_out_and_wrong_ones_refused():
    known = balance(labelled(5, 5), labelled(6, 4), 2)
    some = balance(np.append(labelled(5, 5), [-1, -1]), labelled(6, 4), 2)
    assert some == known and some.fake[0].n == 10
    with pytest.raises(ValueError, match="labels of the samples run from 0 to 2, expected 0 to 1"):
        balance(labelled(1, 1, 1), labelled(6, 4), 2)
    with pytest.raises(ValueError, match="at least 2 labelled images, the data have 0"):
        balance(labelled(1, 1), np.array([-1, -1]), 2)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        balance(labelled(4), labelled(4), 1)


def test_one_class_on_both_sides_is_balance():
    found = balance(labelled(0, 7), labelled(0, 9), 2)
    assert (found.chi_squared, found.freedom, found.p_value) == (0, 0, 1)


@breaks(
    "metrics/balance.py",
    "predict(net, fake_NHWC), predicted_M,",
    "predict(net, fake_NHWC), test_labels_M,",
)
def test_predicted_shares_compare_predictions_with_predictions():
    train, test, fake = stripes(300, 0), stripes(200, 1), stripes(400, 2)
    wanted = np.flatnonzero((fake[1] == 0) | (np.arange(400) % 4 == 0))  # few of class 1
    found = predicted_balance(fake[0][wanted], *train, *test, 2, steps=12)
    assert found.ratios[1].interval[1] < 0.8 and found.p_value < 0.01
    net = train_classifier(*train, 2, 0, 12)
    assert found.fake[0].receipt["accuracy"] == accuracy(net, *test) > 0.9
    # a classifier that has learned nothing confuses both sides alike
    blind = predicted_balance(fake[0], train[0], train[1][::-1], *test, 2, steps=2)
    assert blind.p_value > 0.01


def test_samples_as_lessons_and_as_an_exam():
    real, test, fake = stripes(300, 0), stripes(200, 1), stripes(300, 2)
    found = classification_accuracy(*fake, *real, *test, 2, seeds=(0, 1), steps=12)
    nets = [train_classifier(*side, 2, seed, 12) for seed in (0, 1) for side in (fake, real)]
    by_fake = [accuracy(nets[i], *test) for i in (0, 2)]
    on_fake = [accuracy(nets[i], *fake) for i in (1, 3)]
    assert found["by_samples"].value == pytest.approx(np.mean(by_fake))
    assert found["on_samples"].value == pytest.approx(np.mean(on_fake))
    assert found["on_samples"].receipt["accuracy_by_seed"] == {"0": on_fake[0], "1": on_fake[1]}
    assert found["by_samples"].n == 200 and found["on_samples"].n == 300
    assert found["by_real"].receipt["taught_by"] == "real images"
    low, high = found["by_real"].interval
    assert low < found["by_real"].value <= high


@breaks(
    "metrics/classifier.py",
    '"on_samples": ("real images", "samples")',
    '"on_samples": ("samples", "samples")',
)
def test_wrong_labels_teach_nothing_and_one_good_picture_is_a_good_exam_but_a_bad_lesson():
    real, test = stripes(300, 0), stripes(200, 1)
    swapped = classification_accuracy(real[0], 1 - real[1], *real, *test, 2, steps=12)
    assert swapped["by_samples"].value < 0.2 and swapped["on_samples"].value < 0.2
    assert swapped["by_real"].value > 0.9
    with pytest.raises(ValueError, match="at least one, each trains"):
        classification_accuracy(*real, *real, *test, 2, seeds=())
    with pytest.raises(ValueError, match="200 images and 199 labels"):
        classification_accuracy(*real, *real, test[0], test[1][1:], 2)
    with pytest.raises(
        ValueError, match=r"samples are \(12, 12, 3\) and real images \(12, 12, 1\)"
    ):
        classification_accuracy(real[0].repeat(3, 3), real[1], *real, *test, 2)
    with pytest.raises(ValueError, match=r"samples are .* and hold-out images \(8, 12, 1\)"):
        predicted_balance(real[0], *real, test[0][:, :8], test[1], 2)


@pytest.mark.parametrize("key", ["network", "real", "fake_form"])
def test_numbers_with_unlike_receipts_are_not_compared(key):
    receipt = {
        "network": "A",
        "statistic": "distance",
        "fake": 9,
        "real": 9,
        "fake_form": {"PNG": 1},
    }
    before = Estimate(value=3.0, interval=(2.0, 4.0), n=9, receipt=receipt)
    after = Estimate(value=1.0, interval=(0.0, 2.0), n=9, receipt=receipt)
    found = change(before, after)
    assert found.value == -2.0 and found.interval == pytest.approx((-2 - 2**0.5, -2 + 2**0.5))
    other = Estimate(value=1.0, interval=(0.0, 2.0), n=9, receipt={**receipt, key: "else"})
    with pytest.raises(ValueError, match=f"cannot be compared: {key} is .* 'else' after"):
        change(before, other)
