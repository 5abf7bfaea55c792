import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.features import Features
from zeuxis.metrics import exact, share
from zeuxis.metrics.classifier import Classifier, accuracy, predict, train_classifier
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.nearest import differing, memorisation, memorisation_without_holdout, nearest


def normal(n, d=6, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return Features(rng.normal(shift, 1, (n, d)).astype(np.float32), {"network": "test"})


def by_hand(x, y):
    """The three sums of the definition, one pair at a time."""

    def k(a, b):
        return (float(a.astype(float) @ b.astype(float)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@breaks("metrics/kernel.py", "own_N, own_M = np.zeros(n), np.zeros(m)", "pass")
def test_the_kernel_distance_and_its_interval_are_the_definition():
    x, y = normal(9, shift=0.4), normal(7, seed=1)
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(by_hand(x.array, y.array), rel=1e-12)
    left_x = [by_hand(np.delete(x.array, i, 0), y.array) for i in range(9)]
    left_y = [by_hand(x.array, np.delete(y.array, i, 0)) for i in range(7)]
    half = 1.96 * np.sqrt(8 * np.var(left_x) + 6 * np.var(left_y))
    assert found.interval == pytest.approx((found.value - half, found.value + half), rel=1e-9)
    assert found.n == 7


def test_the_kernel_distance_does_not_depend_on_the_chunk(monkeypatch):
    x, y = normal(50), normal(33, seed=1)
    whole = kernel_distance(x, y)
    monkeypatch.setattr("zeuxis.metrics.kernel.CHUNK", 8)
    assert kernel_distance(x, y).value == pytest.approx(whole.value, rel=1e-9)


def test_equal_distributions_are_at_distance_zero_and_the_interval_says_so():
    found = [kernel_distance(normal(40, seed=2 * s), normal(60, seed=2 * s + 1)) for s in range(60)]
    values = np.array([one.value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert np.mean([one.interval[0] <= 0 <= one.interval[1] for one in found]) >= 0.93


def test_the_interval_covers_the_truth_where_there_is_a_distance():
    truth = np.mean(
        [
            kernel_distance(normal(1500, 6, 0.5, s), normal(1500, seed=90 + s)).value
            for s in range(4)
        ]
    )
    found = [
        kernel_distance(normal(60, 6, 0.5, 1000 + s), normal(80, seed=5000 + s)) for s in range(100)
    ]
    assert 0.88 <= np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]) <= 1


def test_features_of_another_kind_are_refused():
    other = Features(normal(5).array, {"network": "test", "input": "64x64"})
    with pytest.raises(ValueError, match="input is None on one side and '64x64'"):
        kernel_distance(normal(5), other)
    with pytest.raises(ValueError, match="3 images a side, got 2 and 5"):
        kernel_distance(normal(2), normal(5))


def test_wilsons_interval():
    # the worked values of Newcombe 1998, Statistics in Medicine 17, table I
    for count, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ):
        found = share(count, n, {})
        assert found.interval == pytest.approx((low, high), abs=1e-4)
    assert share(10, 10, {}).interval[1] == 1


def pictures(n, seed=0, size=(6, 5), channels=3):
    return np.random.default_rng(seed).integers(0, 256, (n, *size, channels), np.uint8)


def test_nearest_is_exact_whatever_the_chunk():
    samples, train = pictures(7), pictures(90, seed=1)
    train[40] = train[3]  # a tie goes to the earlier image
    flat = train.reshape(90, -1).astype(int)
    each = [np.square(flat - one.reshape(-1).astype(int)).sum(1) for one in samples]
    expected = np.array([np.argsort(one, kind="stable")[:4] for one in each])
    for chunk in (8, 64, 1000):
        distance, rows = nearest(samples, train, 4, chunk=chunk)
        assert (distance**2).round().astype(int).tolist() == [
            one[row].tolist() for one, row in zip(each, expected, strict=True)
        ]
        assert (flat[rows] == flat[expected]).all()


def test_nearest_reads_memory_maps_and_nearly_equal_images(tmp_path):
    train = pictures(1, size=(32, 32)).repeat(50, 0)
    train[:, 0, 0, 0] = np.arange(50)  # one level apart, where float32 alone would round
    mapped = np.memmap(tmp_path / "a", np.uint8, "w+", shape=train.shape)
    mapped[:] = train
    assert nearest(train[[7, 31]], mapped)[1].tolist() == [[7], [31]]
    assert nearest(train[[7]], mapped, 3)[0][0] == pytest.approx([0, 1, 1])


def test_only_the_rows_asked_for_are_looked_among():
    samples, images = pictures(5), pictures(60, seed=1)
    images[10] = samples[0]
    among = np.setdiff1d(np.arange(60), [10])
    assert nearest(samples, images)[1][0, 0] == 10
    rows = nearest(samples, images, 2, among)[1]
    assert (rows == among[nearest(samples, images[among], 2)[1]]).all()
    assert memorisation(samples, images, pictures(40, 2), among).rate.receipt["train"] == 59


def test_nearest_refuses_what_cannot_be_compared():
    with pytest.raises(ValueError, match="compare images of one size"):
        nearest(pictures(2), pictures(5, channels=1))
    with pytest.raises(ValueError, match="cannot give 9 neighbours"):
        nearest(pictures(2), pictures(5), 9)


def test_a_pixel_differs_by_its_worst_channel():
    a = np.full((1, 2, 2, 3), 100, np.uint8)
    b = a.copy()
    b[0, 0, 0, 1], b[0, 0, 1, 2], b[0, 1, 1] = 117, 116, 60
    assert differing(a, b).tolist() == differing(b, a).tolist() == [2]


@breaks("metrics/exact.py", "if count > 1", "if count > 2")
@breaks(
    "metrics/exact.py",
    "_hashes(images_MHWC, among))\n    receipt",
    "_hashes(images_MHWC, None))\n    receipt",
)
def test_equal_pixels_are_counted_from_one_image_on(monkeypatch):
    monkeypatch.setattr(exact, "CHUNK", 1000)  # a few images at a time
    images = pictures(60, seed=1)
    other = images.copy()
    other[:, 0, 0, 0] ^= 1
    for samples, rate in ((images[7:8], 1), (other[:1], 0), (images, 1), (other, 0)):
        assert exact.exact_copies(samples, images).value == rate
    half = np.concatenate([images[:30], other[:30]])
    assert exact.exact_copies(half, images).value == 0.5
    assert exact.exact_copies(half, images, np.arange(15, 60)).value == 0.25
    assert exact.exact_repeats(images).value == 0
    assert exact.exact_repeats(np.concatenate([images[:6], images[:2]])).value == 0.5
    found = exact.exact_repeats(images[[3] * 9])
    assert found.value == 1 and found.receipt["different_images"] == 1
    with pytest.raises(ValueError, match="one size"):
        exact.exact_copies(images[:, 1:], images)


@breaks(
    "metrics/nearest.py",
    "rows_L2[:, 0] == control, rows_L2[:, 1]",
    "rows_L2[:, 0] < 0, rows_L2[:, 1]",
)
def test_without_a_hold_out_images_are_held_against_all_others():
    images = pictures(120)
    assert memorisation_without_holdout(images, images).rate.value == 1
    half = np.concatenate([images[:50], pictures(50, 5)])
    assert 0.5 <= memorisation_without_holdout(half, images, 100).rate.value <= 0.53
    assert memorisation_without_holdout(pictures(90, 6), images).rate.value <= 0.05
    with pytest.raises(ValueError, match="99 images to look among, at least 100 are needed"):
        memorisation_without_holdout(images, images[:99])
    with pytest.raises(ValueError, match="1% of real images look like others"):
        memorisation_without_holdout(images, np.concatenate([images, images[:20]]))


@breaks("metrics/nearest.py", "differ_N < threshold", "differ_N < 0")
def test_a_memoriser_copies_and_new_images_do_not():
    train, held, new = pictures(300), pictures(200, 1), pictures(100, 2)
    jittered = (
        train[:100].astype(int) + np.random.default_rng(3).integers(-9, 10, train[:100].shape)
    ).clip(0, 255)
    assert memorisation(train[:100], train, held).rate.value == 1
    found = memorisation(jittered.astype(np.uint8), train, held)
    assert found.rate.value == 1 and found.nearest_N.tolist() == list(range(100))
    assert memorisation(new, train, held).rate.value <= 0.05
    assert memorisation(held, train, held).rate.value <= 0.01
    with pytest.raises(ValueError, match="needs hold-out images"):
        memorisation(new, train, held[:0])


def stripes(n, seed):
    """Horizontal or vertical bars under noise: labels that flips do not change."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    bars = np.where(np.arange(12) % 4 < 2, 60, 190)
    images = np.where(labels[:, None, None] == 0, bars[None, None, :], bars[None, :, None])
    return (images + rng.normal(0, 20, (n, 12, 12))).clip(0, 255).astype(np.uint8)[
        ..., None
    ], labels


def test_the_classifier_learns_and_repeats_itself():
    images, labels = stripes(300, 0)
    state = torch.random.get_rng_state()
    net = train_classifier(images, labels, 2, seed=1, steps=12)
    assert torch.equal(state, torch.random.get_rng_state())
    test, truth = stripes(200, 1)
    assert accuracy(net, test, truth) > 0.95
    again = train_classifier(images, labels, 2, seed=1, steps=12)
    other = train_classifier(images, labels, 2, seed=2, steps=2)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert not torch.equal(net.head.weight, other.head.weight)
    assert predict(net, test).shape == (200,)


def test_the_classifier_is_the_pinned_one():
    net = Classifier(1, 10)
    assert (
        sum(p.numel() for p in net.parameters())
        == 9 * 32 + 9 * 32 * 64 + 9 * 64 * 128 + 2 * 224 + 1290
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1, 2, 1], "from 0 to 2, expected 0 to 1"), ([0, 1], "4 images and 2 labels")],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        train_classifier(pictures(4), np.array(labels), 2, steps=1)
