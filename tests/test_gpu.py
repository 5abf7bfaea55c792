"""What a GPU must do as the processor does. Skipped where there is none: nothing needs one.

Draws are made on the processor and are the same everywhere, so in float64 the losses of both devices
agree to rounding, whatever the family.
"""

import numpy as np
import pytest
import torch

from tests.support.kit import ALL, able, build, loader_for, wake
from zeuxis.core.abilities import Generates, Scores
from zeuxis.core.processes import Parallel
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.inference.model import Model
from zeuxis.training.loop import fit
from zeuxis.training.step import start, train_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
STEPS = 3


def trained(name, device, precision):
    """Losses of a few steps late in a run, when every phase has begun."""
    training = Training(steps=100, batch_size=8, warmup=0)
    model = wake(build(name))
    state = start(model, training, torch.device(device), precision, Parallel())
    state.step = 80
    losses = []
    for _ in range(STEPS):
        found = train_step(state, loader_for(model.config))
        losses.append({key: value.item() for key, value in found.items()})
        state.step += 1
    return losses


@pytest.mark.parametrize("name", ALL)
def test_a_step_is_the_processors(name):
    for mine, theirs in zip(
        trained(name, "cuda", "float64"), trained(name, "cpu", "float64"), strict=True
    ):
        assert mine == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_bfloat16_is_close(name):
    [mine, *_], [theirs, *_] = trained(name, "cuda", "bfloat16"), trained(name, "cpu", "float64")
    totals = [key for key in theirs if key.endswith("/total")]
    assert [mine[key] for key in totals] == pytest.approx(
        [theirs[key] for key in totals], rel=0.05, abs=0.05
    )


@pytest.mark.parametrize("name", ALL)
def test_a_run_is_saved_there_and_used_on_either(name, tmp_path):
    model = build(name)
    training = Training(steps=4, batch_size=8, save_every=2, probe_every=100, sheet_every=100)
    facts = {"precision": "float32", "conditions": []}
    fit(name, model, loader_for(model.config), training, tmp_path, device="cuda", facts=facts)
    here, there = (
        Model(artefact.load(tmp_path).to(device), {"family": name, "dataset": {}}, tmp_path)
        for device in ("cpu", "cuda")
    )
    images = np.random.default_rng(0).integers(0, 256, (4, *shape(here)), np.uint8)
    unknown = np.full((4, len(here.conditions)), -1)
    if name in able(Generates):
        a, b = (m.sample(4, labels=unknown).images.astype(int) for m in (here, there))
        # one pixel in a hundred may round the other way, or follow one that has
        assert (abs(a - b) <= 2).mean() > 0.9
    if name in able(Scores):
        a, b = (m.score(images, labels=unknown).bits for m in (here, there))
        assert np.allclose(a, b, rtol=1e-3)


def shape(model):
    """Of an image."""
    config = model.family.config
    return config.height, config.width, config.channels
