"""What is watched while training goes on: labels that samples show, copies, traces of augmentation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core import pixels
from zeuxis.core.settings import Data
from zeuxis.evaluation import probe, shown
from zeuxis.inference.model import Model
from zeuxis.nn.augment import DRAWS, augment

KINDS = 4


@pytest.fixture(scope="module")
def avatars():
    return data.ensure("avatars", Data())


@pytest.fixture(scope="module")
def few(tmp_path_factory, avatars):
    file = tmp_path_factory.mktemp("few") / "few.npz"
    np.savez(file, images=np.asarray(avatars.images[:300]))
    return data.ensure(str(file), Data())


def features(count, seed, kinds=KINDS):
    """Images of kinds, and the kinds that were asked for; beyond `kinds` another one comes."""
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, KINDS, count)
    found = rng.normal(size=(count, 20))
    found[np.arange(count), asked % kinds] += 2
    return found.astype(np.float32), asked[:, None]


@breaks("evaluation/shown.py", "missing_K[clear_K].mean()", "missing_K[~clear_K].sum()")
@breaks("evaluation/shown.py", "< MISSING * column.apart_K", "< -9 + 0 * column.apart_K")
@pytest.mark.parametrize(("kinds", "missing"), [(4, 0.0), (3, 0.25), (2, 0.5)])
def test_kinds_that_are_never_shown_are_counted(kinds, missing):
    known = [*shown.columns(*features(400, 0))]
    scores = shown.scores(known, *features(200, 1, kinds))
    assert scores["kinds_missing"] == missing
    assert scores["labels_told"] > 0.5 and scores["labels_shown"] == pytest.approx(
        1 - (KINDS - kinds) / 3, abs=0.2
    )


@breaks("evaluation/shown.py", "apart_K > CLEAR * said_MK.std(0)", "apart_K > -9")
def test_kinds_that_cannot_be_told_apart_are_not_missing():
    found, asked = features(400, 0)
    for seed in range(4):
        mixed = np.random.default_rng(seed).permutation(asked)
        scores = shown.scores([*shown.columns(found, mixed)], *features(200, 1))
        assert "kinds_missing" not in scores and scores["labels_told"] < 0.1


@breaks("evaluation/leaked.py", "(_traces(samples_NHWC) - low)", "(low - low)")
def test_augmented_samples_are_told_from_real_ones(avatars):
    look = probe.probe(avatars, 64)
    policy = ("colour", "translation", "cutout")
    fresh = np.asarray(avatars.images[avatars.holdout[:128]])
    uniform = torch.rand(len(fresh), DRAWS, generator=torch.Generator().manual_seed(5))
    inside = pixels.from_uint8(torch.from_numpy(fresh).permute(0, 3, 1, 2))
    changed = pixels.to_uint8(augment(inside, uniform, policy)).permute(0, 2, 3, 1).numpy()
    scores = [look(each, policy=policy)["augmented"] for each in (fresh, changed)]
    assert scores == pytest.approx([0, 1], abs=0.3)
    assert "augmented" not in look(fresh)


@breaks("evaluation/probe.py", "if len(chosen) == len(prepared.train):", "if False:")
def test_copies_are_counted_in_sets_that_are_known_whole(few, avatars):
    look = probe.probe(few, 64)
    copies, new = np.asarray(few.images[few.train[:64]]), np.asarray(avatars.images[4000:4064])
    assert look(copies)["copied"] == 1 and look(new)["copied"] < 0.1
    assert "copied" not in probe.probe(avatars, 64)(new)


@breaks("evaluation/shown.py", "value[:1].expand_as(value)", "value")
@breaks("evaluation/shown.py", "apart_KK.fill_diagonal_(torch.inf)", "pass")
@pytest.mark.parametrize("name", ["gan", "flow", "pixelcnn"])
def test_classes_that_give_one_picture_are_merged(name):
    family = wake(build(name)).eval()
    model = Model(family, {"family": name}, Path())
    assert shown.classes_merged(model) == {"classes_merged": 0}
    table = next(m for m in family.modules() if isinstance(m, torch.nn.Embedding))
    table.weight.data[3] = table.weight.data[1]
    assert shown.classes_merged(model)["classes_merged"] == pytest.approx(2 / 3)
    assert shown.classes_merged(Model(build(name, conditional=False), {}, Path())) == {}
