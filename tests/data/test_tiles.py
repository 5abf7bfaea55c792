"""One large photo becomes a set of tiles."""

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data


def photo(path, height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@breaks("data/source/tiles.py", "left : left + self._side", ": self._side")
@breaks("data/source/tiles.py", "column >= first_held", "column < first_held")
def test_tiles_are_cut_side_by_side_and_a_strip_is_held_out(tmp_path):
    pixels = photo(tmp_path / "wall.png", 85, 170)
    prepared = data.prepare(tmp_path / "wall.png", tmp_path / "set", Data(tiles=8))
    assert len(prepared) == 10 * 21 and not len(prepared.holdout), "below 220 none is held out"
    held = data.prepare(tmp_path / "wall.png", tmp_path / "held", Data(tiles=8, holdout=0.1))
    assert len(held.holdout) == 20 and "does not change" not in held.facts["split"]["how"]
    for row in range(len(held)):
        top, left = map(int, held.names[row].partition("#")[2].split(","))
        assert np.array_equal(held.images[row], pixels[top : top + 8, left : left + 8])
        assert (row in held.holdout) == (left >= 19 * 8)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Data(), "is one image, and a model needs many; data.tiles=64 cuts it into tiles"),
        (Data(tiles=64), "no image of wall.png has 64 x 64 pixels; give a smaller data.tiles"),
    ],
)
def test_one_image_is_no_set_by_itself(tmp_path, settings, words):
    photo(tmp_path / "wall.png", 20, 30)
    with pytest.raises(ValueError, match=words):
        data.prepare(tmp_path / "wall.png", tmp_path / "set", settings)


def test_each_size_of_tile_is_a_set_of_its_own_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    photo(tmp_path / "wall.png", 64, 64)
    sets = [data.ensure(tmp_path / "wall.png", Data(tiles=side)) for side in (8, 16, 8)]
    assert sets[0].folder == sets[2].folder != sets[1].folder
    assert [prepared.height for prepared in sets] == [8, 16, 8]
