"""What a version of before wrote (a19da00, of 2026-11-28: two steps on twelve images) opens and works."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis import data, families
from zeuxis.core.settings import Data
from zeuxis.data import inspection
from zeuxis.inference.latents import frozen_parts
from zeuxis.inference.model import load

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_an_old_model_loads_and_draws():
    model = load(FIXTURES / "gan")
    assert model.sample(3, seed=1).images.shape == (3, 8, 8, 3)
    assert [c.name for c in model.family.config.conditions] == ["label"]


@breaks("nn/condition.py", "table.roll(1, 0)", "table")
@breaks("nn/condition.py", "(0, 0, 1, 0)", "(0, 0, 0, 1)")
@pytest.mark.parametrize("family", ["gan", "stylegan", "vae", "hvae", "pixelcnn", "pixelrnn"])
def test_models_with_labels_of_their_own_draw_what_they_drew(family):
    """Written by 20ace62, when each family embedded labels by itself; -1 is unknown."""
    model, drew = load(FIXTURES / "labels" / family, "cpu"), FIXTURES / "labels" / "given.npz"
    labels = np.array([[0, 1], [2, 0], [-1, 0], [1, -1], [-1, -1]])
    images = model.sample(5, seed=5, labels=labels).images
    assert np.abs(images.astype(int) - np.load(drew)[family]).max() <= 1


def test_an_old_prepared_set_opens():
    prepared = data.open_prepared(FIXTURES / "set")
    prepared.verify()
    assert len(prepared) == 12 and prepared.images.shape == (12, 8, 8, 3)
    assert prepared.names[11] == "dog/5.png" and prepared.label_table() == [([0], 6), ([1], 6)]
    assert "12 usable" in "\n".join(inspection.inspect(FIXTURES / "set").lines())


def test_an_old_encoded_set_opens_with_its_encoder():
    """Written by 7ed02fe, of format 1: a tokenizer's tokens of the set above."""
    prepared = data.open_prepared(FIXTURES / "encoded")
    prepared.verify()
    token, coder = prepared.fields["token"], load(prepared.fields["token"].encoder())
    assert token.field.kind == "token" and token.field.shape == (4, 4)
    assert np.array_equal(token.rows, coder.encode(np.array(prepared.images)))
    batch = data.batches(prepared, Data(), 0, 4, needs=("token",))(0, slice(0, 4))
    assert batch["token"].shape == (4, 4, 4) and set(batch) == {"token", "label"}
    assert frozen_parts(families.get("flow"), prepared) == {}
