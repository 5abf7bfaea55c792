"""Somebody trains at the page, in Debian's Chromium, against a server that trains for real."""

import hashlib
import json

import pytest

from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk
from tests.support.front import zeuxis
from zeuxis.core.pixels import png_bytes
from zeuxis.inference.model import load

SLOW = pytest.param("dark", marks=pytest.mark.slow)


def hashes(folder):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))]


@pytest.mark.parametrize("theme", ["light", SLOW])
def test_a_training_is_followed_left_paused_kept_and_drawn(studio, tmp_path, theme):
    """Journeys 1, 5 and 8, as far as the pages go: a seed gives the same files in page, Python and shell."""
    told = json.loads(walk("train.mjs", studio, theme))
    run = tmp_path / "studio" / "jobs" / told["run"] / "run"
    drawn = load(run).sample(16, seed=7).images
    assert told["shown"] == [hashlib.sha256(png_bytes(one)).hexdigest() for one in drawn]
    assert zeuxis("sample", run, "--count", 16, "--seed", 7, "--out", tmp_path / "drawn") == 0
    assert hashes(tmp_path / "drawn") == told["shown"]
