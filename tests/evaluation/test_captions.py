"""Caption gain: what captions are worth to a model, measured, logged and said."""

import numpy as np
import pytest
import torch

from tests.support.front import pictures
from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.evaluation import captions, diagnosis
from zeuxis.evaluation.by_image import SCORED
from zeuxis.inference.model import Model
from zeuxis.metrics import Estimate
from zeuxis.training import looking


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = pictures(tmp_path_factory.mktemp("captioned"), 40, (8, 8), 1)
    for index in range(38):
        (folder / f"{index:03d}.txt").write_text(f"picture {index % 2}")
    return data.prepare(folder, tmp_path_factory.mktemp("set") / "set")


@pytest.fixture
def model(prepared, tmp_path):
    torch.manual_seed(0)
    words = data.described.vocabulary(prepared)
    return Model(wake(build("flow", conditional=False, text=words)).eval(), {}, tmp_path)


@breaks("evaluation/captions.py", "deviation = TIME / (1 - TIME)", "deviation = TIME")
@breaks("evaluation/captions.py", "/ TIME**2", "/ TIME")
def test_the_loss_is_that_of_the_velocity_at_strong_noise(prepared, model):
    loss = captions.caption_loss(model, prepared, np.arange(5))
    image = torch.from_numpy(prepared.images[:5].copy()).permute(0, 3, 1, 2) / 127.5 - 1
    noise = model.random(0, slice(0, 5)).normal("caption gain", 1, 8, 8)
    at, time = torch.lerp(image, noise, captions.TIME), torch.full((5,), captions.TIME)
    said = [data.described.captions(prepared, row)[0] for row in range(5)]
    given = {"text": torch.from_numpy(model.family.config.text.rows(said)).long()}
    for cond, found in (({}, loss.without_N), (given, loss.with_N)):
        with torch.no_grad():
            told = model.family.net.told(model.family.condition(cond, 5))
            guess = (at - captions.TIME * model.family.velocity(at, time, told=told)).clamp(-1, 1)
        error = (guess - image).square().mean((1, 2, 3)) / captions.TIME**2
        assert np.allclose(found, error.numpy(), rtol=1e-4)
    assert (loss.gain_N == loss.without_N - loss.with_N).all() and (loss.gain_N != 0).all()


def test_images_without_captions_do_not_count(prepared, model):
    names = list(prepared.names)
    rows = np.array([names.index(f"{index:03d}.png") for index in (37, 38, 39)])
    assert len(captions.caption_loss(model, prepared, rows).gain_N) == 1
    assert len(captions.caption_loss(model, prepared, rows[1:]).gain_N) == 0


@breaks(
    "training/looking.py",
    'draw.prepared.train, PROBE_IMAGES, 0, "captions"',
    'draw.prepared.holdout, 9, 0, ""',
)
def test_the_log_gets_it_of_training_images(prepared, model):
    look = looking.caption_probe(looking.Drawing(prepared, {}, "float32"))
    rows = prepared.train[np.argsort(prepared.train)]
    expected = captions.caption_loss(model, prepared, rows).gain_N.mean()
    found = look(model.family, 1, lambda: None)["caption_gain"]
    assert found == pytest.approx(expected, abs=0.05) and found != 0
    plain = wake(build("flow", conditional=False))
    assert look(plain, 1, lambda: None) == {}


@breaks("evaluation/diagnosis.py", 'USED * gain.receipt["loss_without"]', "0")
@pytest.mark.parametrize(
    ("gain", "mood"),
    [((0.1, 0.08, 0.12), None), ((0.01, 0.005, 0.015), "fair"), ((0.0, -0.1, 0.1), "poor")],
)
def test_captions_that_are_not_used_are_said(gain, mood):
    value, *interval = gain
    receipt = {"loss_without": 1.0, "t": 0.9}
    estimate = Estimate(value=value, interval=tuple(interval), n=SCORED, receipt=receipt)
    found = diagnosis.findings({"caption_gain": estimate})
    said = [one for one in found if one.damage == "captions unused"]
    assert [one.mood for one in said] == ([mood] if mood else [])
    assert not said or "train longer" in said[0].sentence


@pytest.mark.parametrize("family", ["vae", "pixelcnn"])
def test_the_gain_of_likelihoods_is_in_bits(prepared, tmp_path, family):
    words = data.described.vocabulary(prepared)
    networks = wake(build(family, conditional=False, text=words)).eval()
    model = Model(networks, {"family": family}, tmp_path)
    assert captions.measurable(model)
    loss = captions.caption_loss(model, prepared, np.arange(5))
    said = [data.described.captions(prepared, row)[0] for row in range(5)]
    bits = [model.score(prepared.images[:5], text=text).bits for text in ("", said)]
    assert np.allclose([loss.without_N, loss.with_N], bits, atol=1e-5)
    look = looking.caption_probe(looking.Drawing(prepared, {}, "float32"))
    assert look(model.family, 0, lambda: None) == {}


@breaks("evaluation/diagnosis.py", '"t" not in gain.receipt and', "False and")
def test_few_bits_are_no_finding_but_none_are():
    for low, moods in ((0.005, []), (-0.01, ["poor"])):
        receipt = {"loss_without": 3.0, "of": "bits per dimension"}
        gain = Estimate(value=0.01, interval=(low, 0.02), n=SCORED, receipt=receipt)
        found = diagnosis.findings({"caption_gain": gain})
        assert [one.mood for one in found if one.damage == "captions unused"] == moods
