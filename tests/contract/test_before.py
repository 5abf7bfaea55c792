"""What three models of before the redesign gave, they give: the same bits on a machine of the same kind.

The models, the set that they were trained on (132 avatars of 12 x 12 pixels; `few` holds 42 of them) and
what each call gave were written by the code of commit 57c2ca6, on one thread in float32: `given.npz`,
`given.json` and `given.zxi`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.core import machine
from zeuxis.data import open_prepared
from zeuxis.data.pictures import Pictures
from zeuxis.evaluation.evaluate import evaluate
from zeuxis.inference.model import load

BEFORE = Path(__file__).parents[1] / "fixtures" / "before"
BITS_DEPEND_ON = ("processor", "threads", "instructions", "torch")
NEAR = {"uint8": 8, "float32": 1e-2, "score": 0.05}
"""How far other machines may be off: levels, latents and bits, and scores of so few images."""

CALLS = {
    "flow": {
        "sample": lambda model, set_: model.sample(3, seed=5),
        "sample_label": lambda model, set_: model.sample(
            3, seed=6, labels="blue", steps=4, guidance_scale=2.0
        ),
        "reconstruct": lambda model, set_: model.reconstruct(set_.images, set_.labels),
        "encode": lambda model, set_: model.encode(set_.images),
        "decode": lambda model, set_: model.decode(set_.latents("flow"), set_.labels),
        "denoise": lambda model, set_: model.denoise(set_.images, 25.0),
        "complete": lambda model, set_: model.complete(set_.images, set_.mask, seed=3, steps=4),
        "vary": lambda model, set_: model.vary(set_.images, 4, set_.labels, strength=0.5),
        "interpolate": lambda model, set_: model.interpolate(1, 2, 5),
        "interpolate_images": lambda model, set_: model.interpolate(*set_.images[:2], 5),
        "score": lambda model, set_: model.score(set_.images, set_.labels, seed=2),
    },
    "vae": {
        "sample": lambda model, set_: model.sample(3, seed=5, temperature=0.8),
        "reconstruct": lambda model, set_: model.reconstruct(set_.images, set_.labels),
        "encode": lambda model, set_: model.encode(set_.images, set_.labels),
        "decode": lambda model, set_: model.decode(set_.latents("vae"), set_.labels),
        "interpolate": lambda model, set_: model.interpolate(1, 2, 5, labels="black"),
        "interpolate_images": lambda model, set_: model.interpolate(*set_.images[:2], 5),
        "score": lambda model, set_: model.score(set_.images, set_.labels, seed=2),
    },
    "pixelcnn": {
        "sample": lambda model, set_: model.sample(3, seed=5, temperature=0.9),
        "complete": lambda model, set_: model.complete(set_.images, set_.mask, seed=3),
        "score": lambda model, set_: model.score(set_.images),
    },
}
"""What was asked of each model. A name that changes changes here, and nowhere else."""


class Set:
    """Three images with labels, a mask that leaves the middle open, and latents as they were encoded."""

    def __init__(self):
        prepared = open_prepared(BEFORE / "set")
        rows = prepared.holdout[[0, 30, 60]]
        self.names = [prepared.names[row] for row in rows]
        self.images, self.labels = prepared.images[rows], prepared.labels[rows]
        self.mask = np.zeros((12, 12), bool)
        self.mask[4:9, 3:10] = True

    def latents(self, family):
        return np.load(BEFORE / "given.npz")[f"{family}/encode"]


@pytest.fixture(scope="module")
def given():
    return json.loads((BEFORE / "given.json").read_text())


@pytest.fixture
def same(given):
    """Whether equal arithmetic is promised here."""
    here = machine.facts(torch.device("cpu"))
    return all(here[key] == given["machine"][key] for key in BITS_DEPEND_ON)


@breaks(
    "inference/verbs/draw.py", "torch.sin((1 - share) * angle) * a", "torch.sin((1 - share)) * a"
)
@pytest.mark.parametrize(
    ("family", "verb"), [(family, verb) for family, calls in CALLS.items() for verb in calls]
)
def test_arrays_are_those_of_before(family, verb, same):
    before = np.load(BEFORE / "given.npz")[f"{family}/{verb}"]
    now = CALLS[family][verb](load(BEFORE / family, "cpu"), Set()).array
    assert (now.dtype, now.shape) == (before.dtype, before.shape)
    far = np.abs(now.astype(np.float64) - before).max()
    assert far <= (0 if same else NEAR[now.dtype.name])


def test_compressed_files_are_those_of_before():
    """On any machine: what another might round otherwise is in the header."""
    pytest.importorskip("constriction")
    few, model = Set(), load(BEFORE / "pixelcnn", "cpu")
    some = Pictures("set", few.names, few.images, (), np.zeros((3, 0), np.int64), {}, 3, ())
    assert model.compress(some).content == (BEFORE / "given.zxi").read_bytes()
    again = model.decompress(BEFORE / "given.zxi")
    assert (again.images == few.images).all() and again.names == few.names


@pytest.mark.parametrize("family", CALLS)
@pytest.mark.parametrize(
    ("name", "samples"), [("few", 16), pytest.param("set", 64, marks=pytest.mark.slow)]
)
def test_scores_are_those_of_before(family, name, samples, given, same, tmp_path):
    """`few` is quick; only the whole set has labels enough to train classifiers on."""
    model = load(BEFORE / family, "cpu")
    found = evaluate(model, open_prepared(BEFORE / name), samples=samples, out=tmp_path)
    scores, before = found["scores"], given["scores"][f"{family} on {name}"]
    assert scores.keys() == before.keys()
    near = 0 if same else NEAR["score"]
    assert scores == pytest.approx(before, rel=near, abs=near)
