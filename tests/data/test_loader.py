"""Batches are a pure function of (seed, draw, row), over the training side, in fresh permutations."""

import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.data import loader

ALL = Data(flip=True, flip_vertical=True, crop=0.3, rotate=40.0, colour=0.5)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """500 random 12x10 RGB images with two columns, 256 of them held out."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (500, 12, 10, 3), np.uint8)
    images[:, 0, 0] = np.arange(500)[:, None] % 251
    images[:, 0, 1] = np.arange(500)[:, None] // 251
    np.savez(folder / "set.npz", images=images, label=np.arange(500) % 7, kind=np.arange(500) % 2)
    return data.prepare(folder / "set.npz", folder / "prepared", Data(holdout=256))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 1024, 65537])
def test_every_epoch_is_a_permutation_and_epochs_differ(size):
    first = loader.order(3, size, np.arange(size))
    second = loader.order(3, size, np.arange(size, 2 * size))
    assert sorted(first) == sorted(second) == list(range(size))
    if size >= 10:
        assert (first != second).mean() > 0.5 < (first != np.arange(size)).mean()


def test_the_permutation_looks_random():
    size, seeds = 40, 3000
    orders = np.stack([loader.order(seed, size, np.arange(size)) for seed in range(seeds)])
    counts = np.stack([np.bincount(orders[:, p], minlength=size) for p in range(size)])
    chi = ((counts - seeds / size) ** 2 / (seeds / size)).sum() / (size * (size - 1))
    assert 0.9 < chi < 1.1
    follows = np.bincount((orders[:, 1] - orders[:, 0]) % size, minlength=size)[1:]
    chi = ((follows - follows.mean()) ** 2 / follows.mean()).sum() / (size - 2)
    assert chi < 1.8


def test_uniforms_are_uniform_and_independent_of_the_rows_asked_for():
    rows = np.arange(5000)
    u = loader.uniform(1, "flip", 2, rows, 3)
    assert u.min() >= 0 and u.max() < 1
    assert np.abs(u.mean(0) - 0.5).max() < 0.02 and np.abs(u.var(0) - 1 / 12).max() < 0.005
    assert np.abs(np.corrcoef(u.T) - np.eye(3)).max() < 0.05
    assert np.array_equal(loader.uniform(1, "flip", 2, rows[7:9], 3), u[7:9])


@pytest.mark.parametrize("settings", [Data(), ALL], ids=["plain", "augmented"])
def test_rows_do_not_depend_on_how_a_batch_is_cut(small, settings):
    load = data.batches(small, settings, 5, 32)
    whole = load(4, slice(0, 32))
    parts = [load(4, slice(a, b)) for a, b in ((0, 1), (1, 20), (20, 32))]
    for key in whole:
        assert torch.equal(whole[key], torch.cat([part[key] for part in parts]))
    again = data.batches(small, settings, 5, 32)(4, slice(0, 32))
    other = data.batches(small, settings, 6, 32)(4, slice(0, 32))
    assert torch.equal(whole["image"], again["image"])
    assert not torch.equal(whole["image"], other["image"])


def test_shapes_layout_and_labels(small):
    batch = data.batches(small, Data(), 0, 16)(0, slice(0, 16))
    image = batch["image"]
    assert image.shape == (16, 3, 12, 10) and image.dtype == torch.uint8
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert batch["label"].shape == (16, 2) and batch["label"].dtype == torch.int64
    one = data.batches(small, Data(conditions=("kind",)), 0, 16)(0, slice(0, 16))
    assert torch.equal(one["label"][:, 0], batch["label"][:, 1])
    named = data.batches(small, Data(), 0, 16, ("kind", "label"))(0, slice(0, 16))
    assert torch.equal(named["label"], batch["label"].flip(1))
    assert "label" not in data.batches(small, Data(conditions=()), 0, 16)(0, slice(0, 16))
    with pytest.raises(ValueError, match="did you mean 'kind'"):
        data.batches(small, Data(), 0, 16, ("knd",))


@breaks("data/loader.py", "draw * batch_size + places", "places")
def test_only_the_training_side_is_read_and_labels_belong_to_their_images(small):
    load = data.batches(small, Data(), 0, 61)
    steps = len(small.train) // 61
    assert steps * 61 == len(small.train) == 244
    rows = []
    for draw in range(steps):
        batch = load(draw, slice(0, 61))
        number = batch["image"][:, 0, 0, 0].long() + 251 * batch["image"][:, 0, 0, 1].long()
        assert torch.equal(batch["label"][:, 0], number % 7)
        rows += number.tolist()
    assert sorted(rows) == small.train.tolist()


def test_a_set_smaller_than_a_batch_wraps_around(small):
    image = data.batches(small, Data(), 0, 3 * 244)(0, slice(0, 3 * 244))["image"]
    assert len(torch.unique(image.flatten(1), dim=0)) == 244


def test_the_table_of_labels_is_the_joint_distribution(small):
    table = small.label_table(("label", "kind"))
    assert sum(count for _, count in table) == len(small.train)
    assert all(labels[0] < 7 and labels[1] < 2 for labels, _ in table)
    assert [count for _, count in table] == sorted((count for _, count in table), reverse=True)
    assert small.label_table(()) == []


def test_each_augmentation_does_what_it_says():
    from zeuxis.data.augment import augment

    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8)[None, None, :, None], (64, 16, 1, 3))

    def draw(name, count):
        return loader.uniform(0, name, 0, np.arange(64), count)

    flipped = augment(ramp, Data(flip=True), draw)
    mirrored = (flipped == ramp[:, :, ::-1]).all((1, 2, 3))
    assert 16 < mirrored.sum() < 48
    assert np.array_equal(flipped[~mirrored], ramp[~mirrored])
    cropped = augment(ramp, Data(crop=0.5), draw)
    spans = cropped[:, 8, -1, 0].astype(int) - cropped[:, 8, 0, 0]
    assert spans.max() <= 150 and spans.min() >= 60 and np.ptp(spans) > 30
    turned = augment(ramp, Data(rotate=90.0), draw)
    assert np.abs(turned.mean((1, 2, 3)) - ramp.mean()).max() < 12
    assert turned[:, :, 8, 0].astype(int).std(axis=1).max() > 20
    coloured = augment(ramp, Data(colour=1.0), draw)
    assert np.ptp(coloured.mean((1, 2, 3))) > 40
    assert np.array_equal(augment(ramp, Data(colour=1e-9), draw), ramp)


def test_a_half_turn_of_a_square_is_a_half_turn():
    from zeuxis.core.pixels import seen
    from zeuxis.data.augment import augment

    image = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 4), np.uint8)
    out = augment(image, Data(rotate=180.0), lambda name, n: np.full((1, n), 1.0))
    assert np.array_equal(seen(out), seen(image[:, ::-1, ::-1]))
