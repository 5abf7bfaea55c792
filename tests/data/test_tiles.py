"""One large photo becomes a set of tiles."""

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.data.preparation.target import cut_if_better
from zeuxis.data.source import tiles


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


@breaks("data/source/tiles.py", "(count * np.arange(most)) // most", "np.arange(most)")
def test_of_too_many_tiles_some_are_kept_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "MOST", 50 * 8 * 8)
    pixels = photo(tmp_path / "wall.png", 80, 160)
    prepared = data.prepare(tmp_path / "wall.png", tmp_path / "set", Data(tiles=8))
    assert "200 tiles of 8 x 8 of which 50 were kept, evenly spread" in " ".join(
        prepared.facts["remarks"]
    )
    places = [tuple(map(int, name.partition("#")[2].split(","))) for name in prepared.names]
    assert len(places) == 50 and {top for top, _ in places} == set(range(0, 80, 8))
    for image, (top, left) in zip(prepared.images, places, strict=True):
        assert np.array_equal(image, pixels[top : top + 8, left : left + 8])


@breaks("data/preparation/target.py", "2 * large >=", "4 * large >=")
@breaks("data/preparation/target.py", "len(set(sizes)) > 1", "len(set(sizes)) > 0")
def test_photos_of_mixed_sizes_are_cut_for_a_family_that_asks_for_it(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    photo(folder / "a.png", 40, 50)
    photo(folder / "b.png", 40, 50)
    assert cut_if_better(folder, Data(), 32).tiles is None, "all of one size"
    photo(folder / "c.png", 20, 50)
    photo(folder / "d.png", 20, 60)
    assert cut_if_better(folder, Data(), 32).tiles == 32
    photo(folder / "e.png", 20, 70)
    assert cut_if_better(folder, Data(), 32).tiles is None, "most are smaller"
    assert cut_if_better(folder, Data(), None).tiles is None
    assert cut_if_better(folder, Data(size=(16, 16)), 8).tiles is None
    assert cut_if_better(folder / "a.png", Data(), 32).tiles == 32, "one photo"
