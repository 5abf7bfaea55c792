"""Somebody trains at the page, in Debian's Chromium, against a server that trains for real."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.studio.icons import pairs
from tests.studio.test_journeys import drawn as drawn
from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk
from tests.support.front import zeuxis
from zeuxis.data.pictures import picture
from zeuxis.inference.model import load

WAYS = [
    ("light",),
    pytest.param(("dark",), marks=pytest.mark.slow),
    pytest.param(("light", "keys"), marks=pytest.mark.slow),
]


def hashes(images):
    """Of the pixels of each."""
    return [hashlib.sha256(one.tobytes()).hexdigest() for one in images]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_a_training_is_followed_left_paused_kept_and_drawn(studio, tmp_path, way):
    """Journeys 1, 5 and 8, as far as the pages go: a seed gives the same pixels in page, Python and shell."""
    told = json.loads(walk("train.mjs", studio, *way))
    run = tmp_path / "studio" / "jobs" / told["run"] / "run"
    made = load(run).sample(16, seed=7).files()  # as pixels in files have their watermark
    assert told["shown"] == hashes(np.asarray(Image.open(io.BytesIO(one))) for one in made)
    assert zeuxis("sample", run, "--count", 16, "--seed", 7, "--out", tmp_path / "drawn") == 0
    files = sorted((tmp_path / "drawn").glob("*.png"))
    assert told["shown"] == hashes(picture(path, None, tmp_path) for path in files)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_longer_words_break_no_layout_and_a_finger_is_enough(studio, drawn, theme):
    assert walk("stretched.mjs", studio, drawn[0], theme) == "done"


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_stranger_with_pairs_learns_one_from_the_other(studio, tmp_path, theme):
    pairs(tmp_path / "both")
    picture = tmp_path / "both" / "outlines" / "003.png"
    assert walk("pairs.mjs", studio, tmp_path / "both", picture, theme) == "done"
