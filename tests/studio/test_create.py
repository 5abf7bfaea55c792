"""Somebody makes pictures at the page, in Debian's Chromium, against a server that draws them."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk
from tests.support.kit import ANGLE, CONDITIONS, WORDS, build, wake
from tests.support.need import need_web
from tests.support.sabotage import breaks
from zeuxis.core.fields import Field
from zeuxis.inference import artefact
from zeuxis.inference.model import load
from zeuxis.inference.results import Images
from zeuxis.marks import containers

LEGEND = Field(name="source", kind="map", shape=(8, 8), classes=("grass", "water", "sand"))
KNOWN = {"words": ["a", "blue", "cat", "dog", "red"], "labels": [[[0, 0], 1], [[2, 1], 1]]}


@pytest.fixture
def models(tmp_path):
    """Models of a studio, before it is opened."""
    described = {"numbers": (ANGLE,), "text": WORDS, "conditions": CONDITIONS}
    for name, values, facts in (
        ("flow", {**described, "height": 16, "width": 16}, KNOWN),
        ("gan", {}, {}),
        ("paint", {"source": LEGEND}, {}),
    ):
        family = wake(build(name, **values), 0.2)
        folder = tmp_path / "studio" / "runs" / name
        artefact.save(folder, name, family, family.state_dict(), dataset=facts)
    return tmp_path / "studio" / "runs"


@breaks("marks/mark.py", "marked[~open_HW] = image_HWC[~open_HW]", "pass")
@breaks("server/worker.py", '"words": model.facts', '"words": () and model.facts')
@pytest.mark.parametrize(
    "way",
    [("light", 1), *(pytest.param(w, marks=pytest.mark.slow) for w in [("dark", 1), ("light", 2)])],
)
def test_words_favourites_a_walk_an_edit_and_a_painted_map(models, studio, tmp_path, way):
    """Journeys 2, 3 and 4: a recipe restores its form; outside the mask no byte differs."""
    told = json.loads(walk("create.mjs", studio, tmp_path, *way))
    model = load(models / "flow")
    asked = {
        "text": ["a red cat"],
        "labels": {"shape": "ring"},
        "numbers": {"angle": 2},
        "steps": 3,
    }
    made = model.sample(16, seed=11, **asked)
    given, filled = (np.asarray(Image.open(tmp_path / name)) for name in ("one.png", "filled.png"))
    first, second = (opened(file) for _, file in zip(range(2), made.files(), strict=False))
    assert np.array_equal(given, second)
    packet = containers.xmp_of((tmp_path / "one.png").read_bytes()).decode()
    assert "zeuxis:Recipe" in packet and "a red cat" in packet
    mask = np.array(told["masked"], bool).reshape(first.shape[:2])
    assert mask.any() and not mask.all()
    assert np.array_equal(filled[~mask], first[~mask]) and not np.array_equal(filled, first)
    with Image.open(tmp_path / "walk.webp") as film:
        assert film.n_frames == 24
    assert re.search("zeuxis:Recipe", (tmp_path / "filled.png").read_bytes().decode("latin-1"))


ASKED = {"text": ["a red cat"], "labels": {"shape": "ring"}, "numbers": {"angle": 2}}
WORDED = {"What it should show": "a red cat", "Shape": "ring", "Angle": "2", "Steps": "3"}
AGAIN = "Its settings are back, but not "
RESTORED = {
    "sample": ("flow/grid", "", {"Seed": "5", "How many": "16", **WORDED}),
    "interpolate": (
        "flow/walk",
        "",
        {"From": "5", "To": "6:2", "Pictures on the way": "4", **WORDED},
    ),
    "vary": ("flow/picture", "the picture that it was made from", {"Seed": "5", **WORDED}),
    "complete": ("flow/edit", "what was filled", {"Seed": "5", **WORDED}),
    "denoise": ("flow/picture", "the picture that it was made from", {"Sigma": "9"}),
    "translate": ("paint/paint", "the map that it was painted from", {"Seed": "5", "Steps": "2"}),
    "restyle": ("gan/plain", "the pictures", {"Seed": "5", "Size": "128", "Strength": "0.3"}),
    "dream": ("gan/plain", "the picture", {"Seed": "5", "Size": "128", "Steps": "3"}),
    "texture": ("gan/plain", "the picture", {"Seed": "5", "Mode": "vary"}),
}
"""By verb: the place that its picture leads to, what is asked for again, and what is in the form there."""


@breaks("inference/ends.py", 'value if isinstance(value, int | tuple) else "an image"', "None")
def test_a_picture_of_each_verb_brings_its_form_back(models, studio, tmp_path):
    flow, paint = load(models / "flow"), load(models / "paint")
    images, hole = flow.sample(1, seed=1).images, np.eye(16, dtype=bool)
    plain = {"recipe": True, "seed": 5}
    made = {
        "sample": flow.sample(16, seed=5, steps=3, recipe=True, **ASKED),
        "interpolate": flow.interpolate(5, (6, 2), 4, steps=3, recipe=True, **ASKED),
        "vary": flow.vary(images, seed=5, steps=3, recipe=True, **ASKED),
        "complete": flow.complete(images, hole, seed=5, steps=3, recipe=True, **ASKED),
        "denoise": flow.denoise(images, sigma=9, recipe=True),
        "translate": paint.translate(np.zeros((1, 8, 8), int), seed=5, steps=2, recipe=True),
        **{
            verb: Images(images=images, provenance={"verb": verb, **plain, **settings})
            for verb, settings in (
                ("restyle", {"size": 128, "strength": 0.3, "picture": {"file": "a.png"}}),
                ("dream", {"size": 128, "steps": 3}),
                ("texture", {"mode": "vary"}),
            )
        },
    }
    (tmp_path / "made").mkdir()
    for verb, result in made.items():
        (tmp_path / "made" / f"{verb}.png").write_bytes(next(iter(result.files())))
    told = json.loads(walk("recipes.mjs", studio, tmp_path / "made"))
    assert told.keys() == RESTORED.keys()
    for verb, (place, missing, form) in RESTORED.items():
        found = told[verb]
        assert found["place"] == f"#/create/{place}", verb
        assert found["told"].startswith(AGAIN + missing) if missing else not found["told"], verb
        assert form.items() <= found["form"].items(), (verb, found)


def opened(content):
    """The pixels of a file."""
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.slow
@pytest.mark.parametrize("way", [("light", 1), ("dark", 1), ("light", 2)])
def test_a_page_is_written_downloaded_and_draws_alone(models, studio, tmp_path, way):
    """Journey 6, as far as the studio goes: tests/export/test_web.py compares the pictures."""
    need_web()
    pytest.importorskip("onnx")
    told = json.loads(walk("export.mjs", studio, tmp_path, *way))
    assert told["count"] > 0 and told["bytes"] < 9e6
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert any(name.endswith(".safetensors") for name in archive.namelist())


@pytest.mark.slow
def test_fingers_paint_and_zoom(models, studio):
    assert walk("touch.mjs", studio) == "done"
