"""Somebody doubts a model at the page, in Debian's Chromium, against a server that trained it."""

import json

import pytest

from tests.studio.icons import icons
from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk


@pytest.mark.slow
@pytest.mark.parametrize("way", [("light", 1), ("dark", 1), ("light", 2)])
def test_a_sceptic_reads_that_it_copies_and_starts_what_is_advised(studio, tmp_path, way):
    """Journey 7: 20 pictures, learned by heart, none of which can be held out."""
    icons(tmp_path / "icons", count=20, side=16, broken=0, doubles=0, classes=False)
    told = json.loads(walk("judge.mjs", studio, tmp_path / "icons", *way))
    first, second = told["jobs"]
    assert (second["source"], second["steps"]) == (first["source"], first["steps"])
    assert second["overrides"]["data"]["flip"] is True, told
