"""The door to a trained model: seeds, labels, lanes."""

import numpy as np
import pytest

from tests.kit import ALL, build, wake
from zeuxis import artefact, use

TABLE = [[[0, 1], 6], [[1, 0], 3], [[2, -1], 1]]


@pytest.fixture(scope="module", params=ALL)
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    family = wake(build(request.param))
    artefact.save(folder, request.param, family, family.state_dict(), dataset={"labels": TABLE})
    return use.load(folder, device="cpu")


def test_same_seed_same_images_alone_and_in_company(model):
    many = model.sample(use.LANE + 3, seed=7)
    assert many.dtype == np.uint8 and many.shape[1:] == model.sample(1, seed=7).shape[1:]
    assert np.array_equal(many[:2], model.sample(2, seed=7))
    assert not np.array_equal(many[0], model.sample(1, seed=8)[0])


def test_labels_by_name_fix_their_column_and_leave_the_others_to_the_data(model):
    drawn = model.draw_labels(400, seed=1, label={"shape": "square"})
    assert (drawn[:, 0] == 1).all() and (drawn[:, 1] == 0).all()
    free = model.draw_labels(1000, seed=1)
    assert abs((free[:, 0] == 0).mean() - 0.6) < 0.06
    a, b = (model.sample(2, label={"shape": name, "ink": "dark"}) for name in ("disc", "ring"))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    "label, sentence",
    [
        ({"shape": "squere"}, "did you mean 'square'"),
        ({"shap": "disc"}, "did you mean 'shape'"),
        ("disc", "which condition"),
    ],
)
def test_unknown_labels_are_refused_with_a_suggestion(model, label, sentence):
    with pytest.raises(ValueError, match=sentence):
        model.sample(1, label=label)


def test_labels_that_name_no_class_are_refused(model):
    for wrong in (3, -2):
        with pytest.raises(ValueError, match="labels of 'shape' go from 0 to 3|from -2 to 0"):
            model.sample(2, labels=np.array([[0, 0], [wrong, 1]]))


def test_unknown_controls_are_refused(model):
    with pytest.raises(ValueError, match="no control 'temprature'"):
        model.sample(1, temprature=1.0)


def test_progress_and_interpolation(model):
    seen = []
    model.sample(use.LANE + 1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(use.LANE, use.LANE + 1), (use.LANE + 1, use.LANE + 1)]
    walk = model.interpolate(1, 2, count=5, label={"shape": "disc", "ink": "dark"})
    assert len(walk) == 5 and not np.array_equal(walk[0], walk[-1])
    start = model.sample(1, seed=1, label={"shape": "disc", "ink": "dark"})
    assert np.abs(walk[0].astype(int) - start[0]).max() <= 2


def test_what_a_family_cannot_do_is_said(model):
    images = model.sample(2)
    for verb, ability in (("encode", use.Encodes), ("reconstruct", use.Reconstructs)):
        if not isinstance(model.family, ability):
            with pytest.raises(ValueError, match=f"cannot {verb}"):
                getattr(model, verb)(images)
        else:
            assert len(getattr(model, verb)(images)) == 2
    if isinstance(model.family, use.Scores):
        with pytest.raises(ValueError, match="expected uint8 of shape"):
            model.bits_per_dim(images[:, :-1])
