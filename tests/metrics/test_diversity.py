import numpy as np
import pytest

from tests.metrics.test_damage import garments
from tests.support.sabotage import breaks
from zeuxis.metrics import diversity as room
from zeuxis.metrics.damage import Pool, damage
from zeuxis.metrics.diversity import LEAST, MEASURES, MS_SSIM, PERCEPTUAL, against, diversity
from zeuxis.metrics.similarity import ms_ssim


def points(n, seed, spread=40.0, classes=2):
    """1x1 images: classes 100 levels apart, each normal."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    values = 60 + 100 * labels + rng.normal(0, spread, n)
    return values.round().clip(0, 255).astype(np.uint8).reshape(n, 1, 1, 1), labels


@pytest.fixture
def gap(monkeypatch):
    """A measure whose truth is known: the difference of the only level, squared."""

    def squared(a, b):
        return np.square(a.astype(float) - b.astype(float)).mean((1, 2, 3))

    monkeypatch.setattr(room, "MEASURES", {"gap": squared})
    monkeypatch.setattr(room, "perceptual_receipt", dict)
    return squared


@breaks(
    "metrics/diversity.py", "rng.permutation(rows_N)[: 2 * count]", "rng.choice(rows_N, 2 * count)"
)
def test_no_image_is_in_two_pairs_and_none_is_its_own_partner(monkeypatch):
    seen = []

    def record(a, b):
        seen.append(np.concatenate([a, b]).ravel())
        return np.linspace(0, 1, len(a))

    monkeypatch.setattr(room, "MEASURES", {"record": record})
    monkeypatch.setattr(room, "perceptual_receipt", dict)
    images = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
    labels = np.arange(200) % 5
    found = diversity(images, labels, "record", pairs=60)
    assert [len(one) for one in seen] == [120, 24, 24, 24, 24, 24]
    assert all(len(np.unique(one)) == len(one) for one in seen)
    assert [set(one % 5) for one in seen[1:]] == [{0}, {1}, {2}, {3}, {4}]
    assert found.overall.receipt["pairs"] == 60 and found.overall.n == 120


def test_the_mean_and_its_interval_hold_the_truth(gap):
    spread, truth = 20.0, 2 * 20.0**2 + 2 * 1 / 12
    found = [diversity(*points(60, seed, spread), "gap", seed=seed) for seed in range(300)]
    for k in (0, 1):
        each = [one.classes[k] for one in found if k in one.classes]
        assert np.mean([one.value for one in each]) == pytest.approx(truth, rel=0.06)
    within = [one.within for one in found]
    assert 0.88 <= np.mean([w.interval[0] <= truth <= w.interval[1] for w in within]) <= 0.98
    overall = truth + 2 * 50**2
    held = np.mean([o.overall.interval[0] <= overall <= o.overall.interval[1] for o in found])
    assert 0.9 <= held <= 0.98


@breaks(
    "metrics/diversity.py",
    "math.hypot(*(one.interval[1] - one.value for one in classes)) / len(classes)",
    "math.hypot(*(one.interval[1] - one.value for one in classes))",
)
def test_within_classes_every_class_counts_the_same(gap):
    rng = np.random.default_rng(0)
    levels = np.concatenate([100 + rng.normal(0, 5, 1000), 100 + rng.normal(0, 40, 100)])
    images = levels.round().clip(0, 255).astype(np.uint8).reshape(-1, 1, 1, 1)
    labels = np.repeat([0, 1], [1000, 100])
    found = diversity(images, labels, "gap", pairs=2000)
    both = (found.classes[0].value + found.classes[1].value) / 2
    assert found.within.value == pytest.approx(both)
    assert found.within.receipt["classes"] == 2
    half = np.hypot(*(np.diff(one.interval)[0] / 2 for one in found.classes.values())) / 2
    assert np.diff(found.within.interval)[0] / 2 == pytest.approx(half)
    rare = np.where(np.arange(1100) < 2 * LEAST - 1, 7, labels)
    assert 7 not in diversity(images, rare, "gap").classes
    assert diversity(images, np.full(1100, -1), "gap").within is None


def test_real_against_real_is_one_and_half_the_spread_a_quarter(gap):
    found = [
        against(
            diversity(*points(400, seed, 10.0), "gap", seed=seed),
            diversity(*points(400, 1000 + seed, 20.0), "gap", seed=seed),
        )["within"]
        for seed in range(100)
    ]
    assert np.mean([one.value for one in found]) == pytest.approx(0.25, rel=0.05)
    held = [one.interval[0] <= (100 + 1 / 12) / (400 + 1 / 12) <= one.interval[1] for one in found]
    assert np.mean(held) >= 0.9


@breaks("metrics/diversity.py", "value, low, high = 1 - value, 1 - high, 1 - low", "pass")
@pytest.mark.parametrize("measure", MEASURES)
def test_collapse_is_seen_within_classes_and_missing_classes_overall(measure):
    labels = np.arange(96) % 2
    images, others = garments(96, 0), garments(96, 1)
    images[labels == 1], others[labels == 1] = 255 - images[labels == 1], 255 - others[labels == 1]
    real = diversity(others, labels, measure, 48)
    same = against(diversity(images, labels, measure, 48), real)
    assert all(one.interval[0] < 1 < one.interval[1] for one in same.values())
    pool = Pool(images, labels)
    fallen = against(diversity(damage("collapse", pool, 4), labels, measure, 48), real)
    assert fallen["within"].interval[1] < 0.6
    assert fallen["overall"].value > fallen["within"].value
    missing = against(diversity(damage("modes", pool, 1), None, measure, 48), real)
    assert missing["overall"].interval[1] < 1 and "within" not in missing


def test_ms_ssim_is_the_mean_over_the_pairs_and_says_its_scales():
    images = garments(40, 0)
    found = diversity(images, None, MS_SSIM, seed=4).overall
    assert len(found.receipt["scale_weights"]) == 2 and found.receipt["pairs"] == 20
    rng = np.random.default_rng(room.derive_seed(4, "pairs", "all"))
    a, b = rng.permutation(np.arange(40))[:40].reshape(20, 2).T
    assert found.value == pytest.approx(ms_ssim(images[a], images[b]).mean())
    assert found != diversity(images, None, MS_SSIM, seed=5).overall
    assert found == diversity(images, None, MS_SSIM, seed=4).overall


def test_what_cannot_be_measured_or_compared_is_refused():
    images = garments(40, 0)
    with pytest.raises(ValueError, match="at least 16 images, got 15"):
        diversity(images[:15], None, MS_SSIM)
    with pytest.raises(ValueError, match="no measure 'LPIPS'; there are perceptual distance, MS"):
        diversity(images, None, "LPIPS")
    with pytest.raises(ValueError, match="40 images and 39 labels"):
        diversity(images, np.zeros(39, int), MS_SSIM)
    with pytest.raises(ValueError, match="at least 11x11"):
        diversity(images[:, :10], None, MS_SSIM)
    mine = diversity(images, None, MS_SSIM)
    with pytest.raises(ValueError, match="image is '28x28x1' on one side and '20x28x1'"):
        against(mine, diversity(images[:, :20], None, MS_SSIM))
    with pytest.raises(ValueError, match=f"measure is 'MS-SSIM' on one side and '{PERCEPTUAL}'"):
        against(mine, diversity(images, None, PERCEPTUAL))
    same = diversity(images[:1].repeat(40, 0), None, MS_SSIM)
    assert against(same, mine)["overall"].interval == (0, 0)
    with pytest.raises(ValueError, match="the real images do not differ"):
        against(mine, same)
