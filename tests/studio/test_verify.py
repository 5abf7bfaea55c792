"""Somebody asks at the page where pictures come from."""

import pytest

from tests.studio.test_journeys import studio as studio
from tests.studio.test_journeys import walk
from tests.trust.test_verify import drawn, plain


@pytest.mark.parametrize(
    "way", [("light",), pytest.param(("dark", "keys"), marks=pytest.mark.slow)], ids=" ".join
)
def test_pictures_are_told_apart_by_their_marks(studio, tmp_path, way):
    files = {"made.png": drawn(), "plain.png": plain(), "broken.png": b"no picture"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert walk("verify.mjs", studio, *(tmp_path / name for name in files), *way) == "done"
