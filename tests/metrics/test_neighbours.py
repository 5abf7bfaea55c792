import contextlib
import io

import numpy as np
import pytest
import torch

from tests.support.peers import torch_fidelity
from tests.support.sabotage import breaks
from zeuxis.features import Features
from zeuxis.metrics import share
from zeuxis.metrics import tiles as room
from zeuxis.metrics.neighbours import expected_coverage, neighbours


def features(array):
    return Features(np.asarray(array), {"network": "test"})


def normal(n, d=16, shift=0.0, by=1.0, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return features((rng.normal(0, 1, (n, d)) * by + shift).astype(dtype))


def by_definition(fake, real, k, ties_inside=True):
    """Counts from all distances, by differences in float64."""
    x, y = fake.array.astype(np.float64), real.array.astype(np.float64)

    def squared(a, b):
        return np.square(a[:, None] - b).sum(-1)

    def inside(distance, radius):
        return distance <= radius if ties_inside else distance < radius

    x_radius, y_radius = (np.sort(squared(a, a), 1)[:, k] for a in (x, y))
    across = squared(x, y)
    balls, in_fake = inside(across, y_radius), inside(across, x_radius[:, None])
    return balls.sum(1), balls.any(0), in_fake.any(0).sum()


def check(fake, real, k, ties_inside=True):
    found = neighbours(fake, real, k, ties_inside)
    balls, covered, recalled = by_definition(fake, real, k, ties_inside)
    assert (found.balls_N == balls).all() and (found.covered_M == covered).all()
    assert found.recall.value == recalled / len(real)
    assert found.precision.value == (balls > 0).mean()
    assert found.density.value == pytest.approx(balls.mean() / k, rel=1e-12)
    assert found.coverage.value == covered.mean()
    return found


@breaks("metrics/tiles.py", "low_AB.fill_diagonal_(torch.inf)", "low_AB")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tile", [7, 64, 2048])
def test_the_counts_are_the_definitions_whatever_the_tile(tile, dtype, monkeypatch):
    monkeypatch.setattr(room, "TILE", tile)
    n = 20 if tile == 7 else 90
    check(normal(n, shift=0.2, dtype=dtype), normal(n + 13, seed=1, dtype=dtype), 3)


@pytest.mark.parametrize("k", [3, 5])
def test_they_are_prdcs_and_torch_fidelitys(k):
    prdc = pytest.importorskip("prdc")
    torch_fidelity()
    from torch_fidelity import metric_prc

    fake, real = normal(300, shift=0.2, by=0.9), normal(250, seed=1)
    found = neighbours(fake, real, k)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = prdc.compute_prdc(real.array, fake.array, k)
    for key, value in theirs.items():
        assert getattr(found, key).value == pytest.approx(value, rel=1e-12)
    theirs = metric_prc.prc_features_to_metric(
        torch.from_numpy(fake.array),
        torch.from_numpy(real.array),
        prc_neighborhood=k,
        prc_batch_size=100,
        save_cpu_ram=False,
        verbose=False,
    )
    # theirs are means in float32; the counts behind them are whole numbers
    assert round(theirs["precision"] * 300) == round(found.precision.value * 300)
    assert round(theirs["recall"] * 250) == round(found.recall.value * 250)


def test_ties_are_inside_or_outside_as_asked():
    # whole numbers: many distances equal a radius, and sums are exact in any order
    rng = np.random.default_rng(0)
    fake, real = (features(rng.integers(0, 4, (n, 4)).astype(float)) for n in (80, 70))
    inside, outside = check(fake, real, 3), check(fake, real, 3, ties_inside=False)
    assert inside.density.value > outside.density.value
    prdc = pytest.importorskip("prdc")
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = prdc.compute_prdc(real.array, fake.array, 3)
    for key, value in theirs.items():
        assert getattr(outside, key).value == pytest.approx(value, rel=1e-12)


@breaks("metrics/tiles.py", "less = 1 - self.error", "less = 1")
@breaks("metrics/tiles.py", "np.flatnonzero(~sure_N)", "np.flatnonzero(sure_N < 0)")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_close_calls_far_from_zero_are_decided_exactly(dtype):
    """Offsets and tight clusters, where float32 products lose every digit that matters."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 100, (3, 8)) + 1000

    def set_of(n, spread):
        return features(
            (centres[rng.integers(0, 3, n)] + rng.normal(0, spread, (n, 8))).astype(dtype)
        )

    for spread in (1.0, 1e-2):
        check(set_of(150, spread), set_of(160, spread), 4)
    # copies of training images lie exactly on or in balls
    real = set_of(120, 1.0)
    found = check(features(real.array[:50]), real, 3)
    assert found.precision.value == 1


def test_the_finer_tile_is_used_and_is_right(monkeypatch):
    used = []
    finer = room.Tile._finer
    monkeypatch.setattr(room.Tile, "_finer", lambda self: used.append(1) or finer(self))
    rng = np.random.default_rng(0)
    fake, real = (features(1 + 1e-4 * rng.normal(size=(n, 8))) for n in (60, 70))
    real.array[0] = -50  # the mean lies elsewhere
    check(fake, real, 3)
    assert used
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    used.clear()
    check(fake, real, 3)
    assert not used  # told to be less exact, torch gets float64 from the start


def test_equal_distributions_have_the_closed_forms():
    n, k = 1000, 5
    # k-nearest balls do not care for the scale of the axes only if both sides share it
    found = [neighbours(normal(n, seed=2 * s), normal(n, seed=2 * s + 1), k) for s in range(20)]
    for values, truth in (
        ([one.density.value for one in found], 1.0),
        ([one.coverage.value for one in found], expected_coverage(n, n, k)),
    ):
        assert abs(np.mean(values) - truth) < 3 * np.std(values, ddof=1) / np.sqrt(20)


@breaks(
    "metrics/neighbours.py",
    "math.comb(m - 1, k) / math.comb(n + m - 1, k)",
    "math.comb(m, k) / math.comb(n + m, k)",
)
def test_the_closed_form_of_coverage():
    from math import comb

    assert expected_coverage(50, 50, 3) == 1 - comb(49, 3) / comb(99, 3)
    # one nearest neighbour: it is fake with probability n / (n + m - 1)
    assert expected_coverage(30, 50, 1) == pytest.approx(30 / 79)


def test_a_single_close_call():
    # 7 is as far from 6 as 5 is, its nearest neighbour
    fake, real = features([[9.0], [900.0], [990.0]]), features([[5.0], [6.0], [3.0]])
    assert neighbours(fake, real, 1).balls_N.tolist() == [0, 0, 0]
    fake.array[0] = 7
    assert neighbours(fake, real, 1).balls_N.tolist() == [1, 0, 0]
    assert neighbours(fake, real, 1, ties_inside=False).balls_N.tolist() == [0, 0, 0]


def test_memory_maps_and_constant_features(tmp_path):
    real = normal(60, dtype=np.float32)
    np.save(tmp_path / "x.npy", real.array)
    mapped = features(np.load(tmp_path / "x.npy", mmap_mode="r"))
    fake = normal(50, shift=0.3, seed=1, dtype=np.float32)
    assert neighbours(fake, mapped).balls_N.tolist() == neighbours(fake, real).balls_N.tolist()
    ones, twos = features(np.ones((9, 4))), features(np.full((8, 4), 2.0))
    same = neighbours(ones, ones)
    assert same.precision.value == same.recall.value == same.coverage.value == 1
    assert neighbours(ones, ones, ties_inside=False).precision.value == 0
    apart = neighbours(ones, twos)
    assert apart.precision.value == apart.coverage.value == apart.density.value == 0


def test_dropped_modes_and_outliers_show_where_they_should():
    rng = np.random.default_rng(0)
    means = 10 * np.eye(8)
    real = features(means[rng.integers(0, 8, 400)] + rng.normal(0, 1, (400, 8)))
    half = features(means[rng.integers(0, 4, 400)] + rng.normal(0, 1, (400, 8)))
    found = neighbours(half, real)
    assert found.precision.value > 0.8 and 0.35 < found.coverage.value < 0.6
    assert found.recall.value < 0.6
    low, high = found.coverage.interval
    assert 0 <= low < found.coverage.value < high <= 1 and found.coverage.n == 400
    assert found.density.interval[0] < found.density.value < found.density.interval[1]
    assert found.precision.receipt["k"] == 5


def shares(fake, real, k):
    """The four numbers, by definition."""
    balls, covered, recalled = by_definition(fake, real, k)
    return np.array([(balls > 0).mean(), recalled / len(real), balls.mean() / k, covered.mean()])


@breaks(
    "metrics/neighbours.py",
    "enters = (self.balls[point] == 0) | (self.ball[point] == leaver)",
    "enters = self.balls[point] == 0",
)
@breaks("metrics/neighbours.py", "- lost_M + gained_M", "- lost_M")
@pytest.mark.parametrize("shift", [0.0, 1.2])
def test_the_intervals_are_the_delete_one_jackknife(shift, monkeypatch):
    monkeypatch.setattr(room, "TILE", 16)
    fake, real, k = normal(24, 3, shift), normal(31, 3, seed=1), 2
    left_x = [shares(features(np.delete(fake.array, i, 0)), real, k) for i in range(24)]
    left_y = [shares(fake, features(np.delete(real.array, i, 0)), k) for i in range(31)]
    error = np.sqrt(23 * np.var(left_x, axis=0) + 30 * np.var(left_y, axis=0))
    found = neighbours(fake, real, k)
    value, (low, high) = found.density.value, found.density.interval
    assert high - value == pytest.approx(1.96 * error[2], rel=1e-9)
    assert low == pytest.approx(max(0, value - 1.96 * error[2]), rel=1e-9)
    for one, its in (
        (found.precision, error[0]),
        (found.recall, error[1]),
        (found.coverage, error[3]),
    ):
        plain = share(round(one.value * one.n), one.n, {})
        stretch = max(1, its / np.sqrt(one.value * (1 - one.value) / one.n))
        for limit, of_plain, edge in zip(one.interval, plain.interval, (max, min), strict=True):
            wide = one.value + stretch * (of_plain - one.value)
            assert limit == pytest.approx(edge(wide, float(edge is min)), rel=1e-9)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(
        ValueError, match="balls over 5 neighbours needs at least 7 images a side, got 6"
    ):
        neighbours(normal(6), normal(40))
    with pytest.raises(ValueError, match="at least 1 neighbour, got 0"):
        neighbours(normal(9), normal(9), 0)
    bad = normal(9)
    bad.array[4, 1] = np.nan
    with pytest.raises(ValueError, match="fake image 4"):
        neighbours(bad, normal(9))
