"""Images of any verb made larger by another model, in Python and by `--upscale RUN --size N`."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis import load
from zeuxis.core.errors import Invalid
from zeuxis.data.pictures import picture
from zeuxis.inference import artefact
from zeuxis.inference.results import Images
from zeuxis.inference.verbs import VERBS

MODELS = {
    "gan": {},
    "enhance": {},
    "four": {"scale": 4},
    "repair": {"scale": 1},
    "stylise": {},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> folder of an untrained model."""
    made, folder = {}, tmp_path_factory.mktemp("runs")
    for name, values in MODELS.items():
        family = name if name in ("gan", "stylise") else "enhance"
        model, made[name] = wake(build(family, conditional=False, **values), 0.1), folder / name
        artefact.save(made[name], family, model, model.state_dict())
    return made


@breaks(
    "inference/enlarge.py",
    "while max(image_HWC.shape[:2]) < goal",
    "if max(image_HWC.shape[:2]) < goal",
)
def test_a_model_enlarges_as_often_as_it_takes_and_the_rest_is_reduced(runs):
    gan, enhance = load(runs["gan"]), load(runs["enhance"])
    plain = gan.sample(3, seed=5)
    assert plain.images.shape == (3, 8, 8, gan.family.config.channels)
    once = gan.sample(3, seed=5, upscale=enhance)
    assert np.array_equal(once.images, enhance.translate(plain.images).images)
    twice = enhance.translate(once.images).images
    assert np.array_equal(gan.sample(3, seed=5, upscale=runs["enhance"], size=32).images, twice)
    between = gan.sample(3, seed=5, upscale=enhance, size=20).images
    small = Image.fromarray(twice[0]).resize((20, 20), Image.Resampling.BICUBIC)
    assert np.array_equal(between[0], np.asarray(small))
    assert gan.sample(1, upscale=runs["four"]).images.shape[1:3] == (32, 32)


def test_the_command_line_does_the_same_and_notes_it(runs, tmp_path):
    out, sheet, film = tmp_path / "out", tmp_path / "sheet.png", tmp_path / "walk.webp"
    words = ["--count", 2, "--seed", 5, "--upscale", runs["enhance"], "--size", 32, "--unmarked"]
    assert zeuxis("sample", runs["gan"], *words, "--out", out, "--grid", sheet) == 0
    made = np.stack([picture(path, None, out) for path in sorted(out.glob("*.png"))])
    found = load(runs["gan"]).sample(2, seed=5, upscale=runs["enhance"], size=32).images
    assert np.array_equal(made, found) and sheet.exists()
    note = json.loads((out / "samples.json").read_text())
    assert note["upscale"] == str(runs["enhance"]) and note["size"] == 32
    walk = ["3", "4", "--count", 3, "--upscale", runs["enhance"], "--film", film]
    assert zeuxis("interpolate", runs["gan"], *walk, "--out", tmp_path / "walk") == 0
    with Image.open(film) as frames:
        assert frames.n_frames == 3


def test_pictures_of_several_sizes_keep_their_proportions_and_alpha(runs, tmp_path):
    given = [np.full((10, 20, 4), 90, np.uint8), np.full((9, 7, 3), 200, np.uint8)]
    made = load(runs["stylise"]).translate(given, upscale=runs["enhance"], size=30).images
    assert [one.shape for one in made] == [(15, 30, 4), (30, 23, 3)]
    assert (made[0][..., 3] == 90).all()


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_every_verb_that_gives_images_can(verb):
    assert ({"upscale", "size"} <= set(verb.arguments)) == issubclass(verb.gives, Images)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--size", "64"], "a size of 64 is reached by a model that enlarges: name its run"),
        (
            ["--upscale", "repair"],
            "is a enhance that makes nothing larger|an? enhance that makes nothing",
        ),
        (["--upscale", "stylise"], "stylise that makes nothing larger; `zeuxis train enhance`"),
        (["--upscale", "gan"], "a gan cannot upscale"),
        (["--upscale", "nowhere"], "nowhere"),
        (["--upscale", "enhance", "--size", "5"], "8 pixels a side already; give a larger size"),
        (["--upscale", "enhance", "--size", "9999"], "expected at most 4,096 pixels"),
        (["--upscale", "enhance", "--size", "2"], "greater than or equal to 4"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, runs, tmp_path, capsys):
    asked = [runs.get(word, word) for word in words]
    assert zeuxis("sample", runs["gan"], "--count", 1, *asked, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert re.search(sentence, " ".join(said)), said


def test_a_name_is_for_servers_alone(runs):
    with pytest.raises(Invalid, match="'other' names no model here"):
        VERBS["sample"].take(load(runs["gan"]), {"upscale": "other"}, 99)
    with pytest.raises(Invalid, match="expected the name of a run"):
        VERBS["sample"].take(load(runs["gan"]), {"upscale": 3}, 99)
