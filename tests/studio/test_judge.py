"""Somebody doubts a model at the page, in Debian's Chromium, against a server that trained it."""

import json

import pytest

from tests.studio.icons import icons
from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_sceptic_sees_the_originals_and_starts_what_is_advised(studio, tmp_path, theme):
    """Journey 7, on 20 pictures; what the verdict says is the measure's, and the advice follows it."""
    icons(tmp_path / "icons", count=20, side=16, broken=0, doubles=0, classes=False)
    told = json.loads(walk("judge.mjs", studio, tmp_path / "icons", theme))
    first, *others = told["jobs"]
    if told["advice"].startswith(("Train longer", "Train again")):
        (second,) = others
        longer = told["advice"].startswith("Train longer")
        assert second["source"] == first["source"] and second["steps"] == first["steps"] * (
            2 if longer else 1
        )
        assert longer or second["overrides"]["data"]["flip"] is True
    else:
        assert not others, told
