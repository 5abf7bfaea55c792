import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.data.source.avatars import open_avatars
from zeuxis.metrics.damage import COLLAPSE, DAMAGES, STEPS, Pool, damage
from zeuxis.metrics.nearest import memorisation
from zeuxis.metrics.statistics import blocks, detail, noise, shifts, statistics

OWN = {  # what answers to a damage, and in which direction
    "blur": ("detail", -1),
    "noise": ("noise", 1),
    "jpeg": ("blocks", 1),
    "colour": ("warmth", 1),
}


@pytest.fixture(scope="module")
def avatars():
    source = open_avatars()
    images = np.stack([source.read(i) for i in range(900)])
    names = source.classes["skin"]
    labels = np.array([names.index(item.columns["skin"]) for item in source.items[:900]])
    return Pool(images[:300], labels[:300], images[300:600]), images[600:]


def garments(n, seed):
    """Grey shapes with soft shading and a rough weave on black, 28 px."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    wide, high = rng.uniform(5, 12, (2, n, 1, 1))
    inside = (np.abs(x - 13.5) < wide) & (np.abs(y - 13.5) < high)
    shade = 170 + 40 * np.sin(x / rng.uniform(2, 6, (n, 1, 1)) + rng.uniform(0, 6, (n, 1, 1)))
    images = inside * (shade + rng.normal(0, 8, (n, 28, 28)))
    return images.round().clip(0, 255).astype(np.uint8)[..., None]


def pools(avatars):
    rng = np.random.default_rng(0)
    grey = Pool(garments(200, 1), rng.integers(0, 5, 200), garments(300, 2))
    return {"avatars": avatars, "garments": (grey, garments(200, 3))}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_keeps_shape_and_type_and_repeats_itself(avatars, name):
    for pool, _ in pools(avatars).values():
        before = pool.images_NHWC.copy()
        for step in range(1, len(STEPS) + 1):
            found = damage(name, pool, step, seed=3)
            assert found.dtype == np.uint8 and found.shape[1:] == before.shape[1:]
            assert len(found) == len(before) or name == "modes"
            assert len(found) != len(before) or (found != before).any()
            assert np.array_equal(found, damage(name, pool, step, seed=3))
        assert np.array_equal(before, pool.images_NHWC)


@pytest.mark.parametrize("name", ["noise", "modes", "collapse", "copies"])
def test_another_seed_chooses_otherwise(avatars, name):
    pool, _ = avatars
    assert not np.array_equal(damage(name, pool, 2, 0), damage(name, pool, 2, 1))


@breaks("metrics/damage.py", "quality=JPEG[step]", "quality=JPEG[0]")
@breaks("metrics/statistics.py", "luma_BHW[:, BLOCK // 2 :, BLOCK // 2 :]", "luma_BHW")
@pytest.mark.parametrize("name", OWN)
def test_each_damage_moves_its_own_statistic_step_by_step(avatars, name):
    for data, (pool, real) in pools(avatars).items():
        key, sign = OWN[name]
        if data == "garments" and name == "colour":
            key = "brightness"
        reference = statistics(real)
        values = [shifts(statistics(pool.images_NHWC), reference)[key]]
        values += [
            shifts(statistics(damage(name, pool, step)), reference)[key]
            for step in range(1, len(STEPS) + 1)
        ]
        steps = np.diff([sign * one.value for one in values])
        assert (steps > 0).all(), (data, steps)
        assert values[0].interval[0] < 0.2 and values[0].interval[1] > -0.2
        assert sign * values[-1].value > 1 and min(np.abs(values[-1].interval)) > 0.8


def test_the_statistics_tell_blur_noise_and_jpeg_apart(avatars):
    for pool, real in pools(avatars).values():
        reference = statistics(real)
        blur, rough, jpeg, colour = (
            shifts(statistics(damage(name, pool, 3)), reference) for name in OWN
        )
        assert blur["detail"].value < -1 and blur["blocks"].value < 1
        assert rough["noise"].value > 1 and rough["blocks"].value < 1 and rough["detail"].value > 0
        assert jpeg["blocks"].value > 1.5 and jpeg["detail"].value > blur["detail"].value
        assert max(abs(colour[key].value) for key in ("detail", "blocks")) < 0.3


def test_statistics_have_the_values_they_promise():
    x = np.arange(24)
    ramp = np.broadcast_to(3.0 * x, (1, 24, 24)) * 10
    edge = np.broadcast_to(200.0 * (x > 11), (1, 24, 24))
    white = np.random.default_rng(0).normal(0, 20, (40, 24, 24))
    assert detail(ramp) == pytest.approx([0.25], abs=0.001)
    # one pair less of those two apart
    assert detail(edge) == pytest.approx([0.5 * 22 / 23], abs=0.001)
    assert detail(white).mean() == pytest.approx(1, abs=0.02)
    flat = np.full((1, 24, 24), 90.0)
    assert detail(flat) == 0.5 and noise(flat) == noise(ramp + ramp.transpose(0, 2, 1)) == 0
    assert noise(edge) == 0 < noise(white).min()
    assert blocks(flat) == 0 and abs(blocks(white).mean()) < 0.01
    colour = np.zeros((2, 12, 12, 3), np.uint8)
    colour[:] = (100, 50, 20)
    found = {key: value[0] for key, value in statistics(colour).items()}
    assert found["warmth"] == 80 and found["tint"] == -10
    assert found["contrast"] == pytest.approx(0, abs=1e-9)
    assert found["brightness"] == pytest.approx(0.299 * 100 + 0.587 * 50 + 0.114 * 20)


def test_statistics_by_chunk_and_with_transparency(avatars, monkeypatch):
    pool, _ = avatars
    rgba = np.concatenate([pool.images_NHWC, np.full_like(pool.images_NHWC[..., :1], 255)], axis=3)
    whole = statistics(pool.images_NHWC)
    monkeypatch.setattr("zeuxis.metrics.statistics.CHUNK", 5000)
    for other in (statistics(pool.images_NHWC), statistics(rgba)):
        assert other.keys() == whole.keys()
        assert all(np.allclose(other[key], whole[key]) for key in whole)
    rgba[..., 3] = 0
    assert (statistics(rgba)["brightness"] == 255).all()
    for name in ("noise", "jpeg", "collapse", "blur"):
        assert (damage(name, Pool(rgba, pool.labels), 4)[..., 3] == 0).all()


@breaks("metrics/statistics.py", "+ value**2 / (2 * (m - 1))", "")
def test_shifts_are_in_deviations_of_real_images_with_an_honest_interval():
    rng = np.random.default_rng(0)
    found = [
        shifts({"a": rng.normal(5, 3, 60)}, {"a": rng.normal(4, 2, 80)})["a"] for _ in range(300)
    ]
    assert np.mean([one.value for one in found]) == pytest.approx(0.5, abs=0.03)
    held = np.mean([one.interval[0] <= 0.5 <= one.interval[1] for one in found])
    assert 0.92 <= held <= 0.98


def test_constant_images_have_statistics_and_shifts():
    flat = statistics(np.full((5, 16, 16, 1), 9, np.uint8))
    other = statistics(np.full((5, 16, 16, 1), 29, np.uint8))
    assert all(one.value == 0 == one.interval[0] for one in shifts(flat, flat).values())
    assert shifts(other, flat)["brightness"].value == pytest.approx(2)
    plain = np.random.default_rng(0).integers(0, 256, (9, 1, 1, 3), np.uint8).repeat(16, 1)
    found = shifts(statistics(plain.repeat(16, 2)[:5]), statistics(plain.repeat(16, 2)[4:]))
    assert found["contrast"].value == pytest.approx(0, abs=1e-9)  # not one last bit over another


@breaks("metrics/damage.py", "np.flatnonzero(pool.labels == label)", "np.arange(len(pool.labels))")
def test_collapse_leaves_a_few_images_of_each_class(avatars):
    pool, _ = avatars
    for step, count in enumerate(COLLAPSE, 1):
        found = damage("collapse", pool, step).astype(int)
        for label in np.unique(pool.labels):
            own = pool.images_NHWC[pool.labels == label].astype(int)
            gaps = np.abs(found[pool.labels == label][:, None] - own[None]).max((2, 3, 4))
            assert (gaps.min(1) <= 1).all()  # each is one of its own class
            assert len(np.unique(gaps.argmin(1))) <= count


@breaks("metrics/damage.py", "pool.images_NHWC[~np.isin(", "pool.images_NHWC[np.isin(")
def test_dropped_modes_are_gone_and_what_is_left_is_untouched(avatars):
    pool, _ = avatars
    left = []
    for step in range(1, 5):
        found = damage("modes", pool, step)
        kept = [(pool.images_NHWC == one).all((1, 2, 3)).argmax() for one in found]
        left.append(set(pool.labels[kept].tolist()))
        assert len(found) == np.isin(pool.labels, list(left[-1])).sum()
    assert [len(one) for one in left] == [7, 6, 4, 2]
    assert left[0] > left[1] > left[2] > left[3]


def test_copies_are_found_out(avatars):
    pool, real = avatars
    rates = [
        memorisation(damage("copies", pool, step), pool.train_MHWC, real).rate.value
        for step in range(1, 5)
    ]
    assert rates[-1] == 1 and (np.diff(rates) > 0).all()
    assert rates[1] == pytest.approx(0.2, abs=0.05)


def test_bad_input_is_refused():
    pool = Pool(garments(20, 0))
    with pytest.raises(ValueError, match="no damage 'rust'; there are blur, noise"):
        damage("rust", pool, 1)
    with pytest.raises(ValueError, match=r"1 \(faint\) to 4 \(gross\), got 5"):
        damage("blur", pool, 5)
    for name in ("modes", "collapse"):
        with pytest.raises(ValueError, match="needs the class of each image"):
            damage(name, pool, 1)
    with pytest.raises(ValueError, match="at least 2 classes"):
        damage("modes", Pool(pool.images_NHWC, np.zeros(20, int)), 1)
    for train in (None, garments(1, 0)[:, :9], garments(1, 0)):
        with pytest.raises(ValueError, match=r"copies need 20 training images of shape \(28"):
            damage("copies", Pool(pool.images_NHWC, None, train), 4)
    with pytest.raises(ValueError, match="at least one uint8 image, got 20 of float64"):
        damage("blur", Pool(pool.images_NHWC / 255), 1)
    with pytest.raises(ValueError, match="at least 3x3"):
        statistics(pool.images_NHWC[:, :2])
    with pytest.raises(ValueError, match="uint8 images"):
        statistics(pool.images_NHWC[0])
    grey = statistics(pool.images_NHWC)
    with pytest.raises(ValueError, match="only one side has tint, warmth"):
        shifts(statistics(pool.images_NHWC.repeat(3, 3)), grey)
    with pytest.raises(ValueError, match="2 images a side, got 1 and 20"):
        shifts(statistics(pool.images_NHWC[:1]), grey)
