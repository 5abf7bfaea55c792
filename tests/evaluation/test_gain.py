"""Of families that make images again: what they gain over no network, and that none is said."""

import math

import numpy as np
import pytest
from PIL import Image

from tests.support.front import workshop, zeuxis
from tests.support.kit import smooth
from tests.support.sabotage import breaks
from zeuxis import data, families, load
from zeuxis.core.files import read_json
from zeuxis.core.pixels import save_png
from zeuxis.core.settings import Data
from zeuxis.evaluation import by_image, diagnosis, evaluate
from zeuxis.evaluation.allowance import Allowance
from zeuxis.evaluation.drawn import damaged, drawn
from zeuxis.features import Features
from zeuxis.features.foreign import of_module
from zeuxis.inference import artefact
from zeuxis.metrics import Estimate


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run of two steps, and its set of pictures."""
    folder = tmp_path_factory.mktemp("enhance")
    for side, count in (("train", 40), ("test", 30)):
        for i, image in enumerate(smooth(count, count)):
            save_png(folder / "photos" / side / f"{i}.png", image, sync=False)
    with workshop(folder / "cache"), pytest.MonkeyPatch.context() as patch:
        flat = of_module(lambda x_BCHW: x_BCHW.flatten(1)[:, ::30], 8, "float32")
        features = lambda images: Features(flat(images)[flat.taps[0]].numpy(), {})  # noqa: E731
        patch.setattr(evaluate, "features", features)
        patch.setattr(evaluate, "extractor", lambda network: flat)
        patch.setattr(by_image, "perceptual_distance", lambda a, b: np.zeros(len(a)))
        words = ["family.features=8", "family.blocks=1", "family.holes=0.2", "--threads", 1]
        out = folder / "run"
        assert (
            zeuxis("train", "enhance", folder / "photos", *words, "--steps", 2, "--out", out) == 0
        )
        yield out, data.ensure(folder / "photos", Data())


def estimate(value, low, high):
    receipt = {"over": "bicubic enlargement"}
    return Estimate(value=value, interval=(low, high), n=9, receipt=receipt)


@breaks("evaluation/by_image.py", "lacked / left", "left / lacked")
def test_the_gain_is_that_of_the_mean_squared_errors(trained):
    out, prepared = trained
    model, rows = load(out), prepared.holdout
    made, truth = drawn(model, prepared, rows, len(rows), 0), prepared.images[np.sort(rows)]
    plain = [
        np.asarray(Image.fromarray(one).resize((16, 16), Image.Resampling.BICUBIC))
        for one in made.sources
    ]
    errors = [
        ((np.asarray(each).astype(float) - truth) ** 2).mean() for each in (plain, made.images)
    ]
    found = by_image.by_image(model, prepared, rows, "test", Allowance(None), lambda *_: None)
    assert found["gain"].value == pytest.approx(10 * math.log10(errors[0] / errors[1]), abs=0.01)
    report = read_json(out / "report.json", finite=False)
    assert report["estimates"]["gain"]["receipt"]["over"] == "bicubic enlargement"
    assert "Gain over enlargement without a network" in (out / "report.html").read_text()


@breaks("evaluation/drawn.py", "mask=masks, progress", "progress")
def test_what_is_shown_has_the_damage_of_training_and_its_holes_are_known(trained):
    out, prepared = trained
    model = load(out)
    made = damaged(model, prepared.fields["image"].take(np.arange(40)))
    assert made["source"].shape == (40, 8, 8, 3) and made["mask"].shape == (40, 8, 8)
    assert 0 < made["mask"].mean() < 0.2
    again = drawn(model, prepared, np.arange(40), 40, 0)
    known = model.translate(made["source"], mask=made["mask"]).images
    assert np.array_equal(again.images, known) and np.array_equal(again.sources, made["source"])
    assert sorted(out.glob("samples/step-*.png"))


@breaks("evaluation/diagnosis.py", "gain.interval[0] > 0 else", "gain.value > 0 else")
@pytest.mark.parametrize(
    ("gain", "mood"),
    [((1.0, 0.5, 1.5), None), ((0.1, -0.1, 0.3), "fair"), ((-0.2, -0.3, -0.1), "poor")],
)
def test_no_gain_is_said_in_words(gain, mood):
    found = diagnosis.findings({"gain": estimate(*gain)})
    said = [one for one in found if one.damage == "no gain"]
    assert [one.mood for one in said] == ([mood] if mood else [])
    if mood:
        assert said[0].sentence.startswith(
            "No gain: the images are no nearer to the originals than bicubic"
        )


def test_other_translations_have_no_gain(tmp_path):
    model = families.build("stylise", families.get("stylise").TINY)
    artefact.save(tmp_path / "run", "stylise", model, model.state_dict())
    assert damaged(load(tmp_path / "run"), np.zeros((2, 8, 8, 3), np.uint8)) == {}
