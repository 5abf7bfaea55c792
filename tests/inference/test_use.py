"""A trained model in Python: seeds, labels, batches."""

import numpy as np
import pytest

from tests.support.kit import ALL, able, build, wake
from tests.support.sabotage import breaks
from zeuxis.core.abilities import (
    Completes,
    Decodes,
    Denoises,
    Encodes,
    Generates,
    Interpolates,
    Reconstructs,
    Scores,
)
from zeuxis.inference import artefact, labels
from zeuxis.inference.model import BATCH, load

TABLE = [[[0, 1], 6], [[1, 0], 3], [[2, -1], 1]]


@pytest.fixture(scope="module", params=ALL)
def model(request, tmp_path_factory):
    return loaded(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=able(Generates))
def generator(request, tmp_path_factory):
    return loaded(request.param, tmp_path_factory.mktemp(request.param))


def loaded(name, folder):
    family = wake(build(name))
    artefact.save(folder, name, family, family.state_dict(), dataset={"labels": TABLE})
    return load(folder, device="cpu")


@breaks(
    "inference/model.py",
    "range(rows.start, rows.stop), self.device",
    "range(rows.stop - rows.start), self.device",
)
def test_same_seed_same_images_alone_and_in_company(generator):
    many = generator.sample(BATCH + 3, seed=7)
    assert many.images.dtype == np.uint8 and many[0].shape == generator.sample(1, seed=7)[0].shape
    assert np.array_equal(many[:2], generator.sample(2, seed=7))
    assert not np.array_equal(many[0], generator.sample(1, seed=8)[0])
    asked = np.zeros((BATCH + 1, 2), np.int64)
    alike = generator.sample(BATCH + 1, seed=7, labels=asked)
    assert not np.array_equal(alike[0], alike[BATCH])  # no batch repeats another


@breaks("inference/labels.py", "chosen[:, column] = index", "pass")
def test_labels_by_name_fix_their_column_and_leave_the_others_to_the_data(generator):
    drawn = labels.drawn(
        generator.conditions, generator.facts["dataset"], 400, 1, {"shape": "square"}
    )
    assert (drawn[:, 0] == 1).all() and (drawn[:, 1] == 0).all()
    free = labels.drawn(generator.conditions, generator.facts["dataset"], 1000, 1)
    assert abs((free[:, 0] == 0).mean() - 0.6) < 0.06
    a, b = (generator.sample(2, labels={"shape": name, "ink": "dark"}) for name in ("disc", "ring"))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    "label, sentence",
    [
        ({"shape": "squere"}, "did you mean 'square'"),
        ({"shap": "disc"}, "did you mean 'shape'"),
        ("disc", "which condition"),
    ],
)
def test_unknown_labels_are_refused_with_a_suggestion(generator, label, sentence):
    with pytest.raises(ValueError, match=sentence):
        generator.sample(1, labels=label)


def test_labels_that_name_no_class_are_refused(generator):
    for wrong in (3, -2):
        with pytest.raises(ValueError, match="labels of 'shape' go from 0 to 3|from -2 to 0"):
            generator.sample(2, labels=np.array([[0, 0], [wrong, 1]]))


def test_unknown_controls_are_refused(generator):
    with pytest.raises(ValueError, match="no control 'temprature'"):
        generator.sample(1, temprature=1.0)


@breaks("inference/model.py", "rows.start + size * done // total", "done")
def test_progress_is_told_in_images_and_may_cancel(generator):
    seen = []
    generator.sample(BATCH + 1, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (BATCH + 1, BATCH + 1) and (BATCH, BATCH + 1) in seen
    assert seen == sorted(seen)

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.sample(1, progress=cancel)


def test_a_walk_between_seeds_starts_and_ends_at_their_images(generator):
    asked = {"shape": "disc", "ink": "dark"}
    if not isinstance(generator.family, Interpolates):
        with pytest.raises(ValueError, match="cannot interpolate; families that can: .*gan"):
            generator.interpolate(1, 2)
        return
    walk = generator.interpolate(1, 2, count=5, labels=asked)
    assert len(walk) == 5 and not np.array_equal(walk[0], walk[-1])
    for place, seed in ((0, 1), (-1, 2)):
        end = generator.sample(1, seed=seed, labels=asked)
        assert np.abs(walk[place].astype(int) - end[0]).max() <= 2


@breaks(
    "inference/verbs/draw.py",
    "slerp(ends[:1], ends[1:], share_N)",
    "slerp(ends[1:], ends[:1], share_N)",
)
def test_a_walk_between_images_starts_and_ends_at_their_reconstructions(model):
    if not all(isinstance(model.family, a) for a in (Interpolates, Encodes, Decodes)):
        return
    ends = some_images(model, 2)
    walk = model.interpolate(ends[0], ends[1], count=3)
    known = model.decode(model.encode(ends).latents)
    assert np.abs(walk[[0, 2]].astype(int) - known.images).max() <= 2


def test_a_completion_keeps_what_is_known_and_paints_what_is_not(model):
    if not isinstance(model.family, Completes):
        return
    images = some_images(model, 3)
    mask = np.zeros(images.shape[1:3])
    mask[2:5, 1:6] = 1
    painted = model.complete(images, mask, seed=3)
    assert np.array_equal(painted.images[:, mask == 0], images[:, mask == 0])
    other = images.copy()
    other[:, mask == 1] = 255 - other[:, mask == 1]
    assert np.array_equal(painted, model.complete(other, mask, seed=3))  # the hidden is not seen
    assert np.array_equal(painted[:1], model.complete(images[:1], mask, seed=3))
    with pytest.raises(ValueError, match="mask has shape"):
        model.complete(images, mask[:-1])


@breaks("inference/verbs/change.py", "sigma / 127.5,", "sigma / 255,")
def test_denoising_is_told_how_much(model, monkeypatch):
    if not isinstance(model.family, Denoises):
        return
    images = some_images(model, 2)
    out = model.denoise(images, 25)
    assert out.images.shape == images.shape and out.images.dtype == np.uint8
    assert not np.array_equal(out, model.denoise(images, 75))
    with pytest.raises(ValueError, match="sigma"):
        model.denoise(images, -1)
    told, denoise = [], type(model.family).denoise
    monkeypatch.setattr(
        type(model.family),
        "denoise",
        lambda self, image, deviation, cond: (
            told.append(deviation[0].item()) or denoise(self, image, deviation, cond)
        ),
    )
    model.denoise(images, 51)
    assert told == pytest.approx([0.4])  # 51 of 255 levels is 0.4 of a range of 2


def some_images(model, count):
    config = model.family.config
    shape = (count, config.height, config.width, config.channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_what_a_family_cannot_do_is_said_with_those_that_can(model):
    images = some_images(model, 2)
    if not isinstance(model.family, Generates):
        with pytest.raises(ValueError, match="cannot sample; families that can: gan"):
            model.sample(1)
    for verb, ability in (("encode", Encodes), ("reconstruct", Reconstructs)):
        if not isinstance(model.family, ability):
            with pytest.raises(ValueError, match=f"cannot {verb}; families that can: .*vae"):
                getattr(model, verb)(images)
        else:
            assert len(getattr(model, verb)(images)) == 2
    if isinstance(model.family, Scores):
        with pytest.raises(ValueError, match="expected uint8 of shape"):
            model.score(images[:, :-1])
