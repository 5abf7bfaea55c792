"""Somebody trains at the page, in Debian's Chromium, against a server that trains for real."""

import hashlib
import json

import pytest

from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk
from tests.support.front import zeuxis
from zeuxis.data.pictures import picture
from zeuxis.inference.model import load

SLOW = pytest.param("dark", marks=pytest.mark.slow)


def hashes(images):
    """Of the pixels of each."""
    return [hashlib.sha256(one.tobytes()).hexdigest() for one in images]


@pytest.mark.parametrize("theme", ["light", SLOW])
def test_a_training_is_followed_left_paused_kept_and_drawn(studio, tmp_path, theme):
    """Journeys 1, 5 and 8, as far as the pages go: a seed gives the same pixels in page, Python and shell."""
    told = json.loads(walk("train.mjs", studio, theme))
    run = tmp_path / "studio" / "jobs" / told["run"] / "run"
    assert told["shown"] == hashes(load(run).sample(16, seed=7).images)
    assert zeuxis("sample", run, "--count", 16, "--seed", 7, "--out", tmp_path / "drawn") == 0
    files = sorted((tmp_path / "drawn").glob("*.png"))
    assert told["shown"] == hashes(picture(path, None, tmp_path) for path in files)
