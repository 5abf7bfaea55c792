"""The verb `texture`: sizes, alpha, maps and sheets; bad input is one sentence."""

import json
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis import create
from zeuxis.create import textures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of all kinds, good and bad."""
    place = tmp_path_factory.mktemp("pictures")
    colours = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(colours).save(place / "wall.png")
    Image.fromarray(colours[..., 0].astype(np.uint16) * 257).save(place / "deep.png")
    Image.fromarray(colours[..., 0]).save(place / "grey.png")
    Image.fromarray(colours[:1, :1]).save(place / "dot.png")
    Image.fromarray(colours[:6]).save(place / "low.png")
    Image.fromarray(np.zeros((30, 4000, 3), np.uint8)).save(place / "strip.png")
    (place / "text.png").write_text("no picture")
    chunks = [b"IHDR" + struct.pack(">II", 10_000, 10_000) + bytes([8, 0, 0, 0, 0]), b"IDAT"]
    whole = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    (place / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))
    return place


@breaks("create/textures.py", "EXTENDED if settings.mode ==", "1 if settings.mode ==")
@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, (24, 32, 3)),
        ({"mode": "vary"}, (24, 32, 3)),
        ({"mode": "extend"}, (48, 64, 3)),
        ({"size": 40}, (30, 40, 3)),
        ({"mode": "extend", "size": 44}, (33, 44, 3)),
    ],
)
def test_the_size_follows_the_mode_unless_it_is_given(given, shape, folder):
    assert create.texture(folder / "wall.png", **given).array.shape == shape


@breaks("create/textures.py", 'settings.tile != "x"', 'settings.tile != "y"')
@pytest.mark.parametrize(
    ("given", "said"),
    [({"tile": "x"}, "x"), ({"tile": "y"}, "y"), ({}, "yx"), ({"mode": "vary"}, "")],
)
def test_notes_say_how_the_border_ranks_on_each_axis_that_tiles(given, said, folder):
    notes = create.texture(folder / "wall.png", **given).notes
    assert [note[0] for note in notes] == list(said)
    assert all(re.search(r"ranks \d\.\d\d among", note) for note in notes)


@pytest.mark.parametrize(("file", "channels"), [("grey.png", 1), ("deep.png", 1)])
def test_grey_stays_grey(file, channels, folder):
    assert create.texture(folder / file).array.shape == (24, 32, channels)


@breaks("create/textures.py", "source[:3] * source[3:]", "source[:3]")
def test_the_colour_of_transparent_pixels_is_not_seen(folder):
    """Half of the patches are clear; what lies below them, and white by default, does not come in."""
    disc = np.zeros((28, 28, 4), np.uint8)
    disc[6:20, 8:22] = (200, 40, 0, 255)
    made = create.texture(disc, seed=1).array
    assert made.shape == (28, 28, 4) and made[..., 3].min() < 40 < 200 < made[..., 3].max()
    seen = made[made[..., 3] > 60]
    assert np.abs(seen[:, :3].astype(int) - (200, 40, 0)).max() <= 12


@breaks("create/results.py", "if file.exists() and file.name not in known", "if False")
def test_maps_lie_beside_and_replace_only_their_own(folder, tmp_path, capsys):
    out = tmp_path / "wall.png"
    words = ["texture", folder / "wall.png", "--maps", "--normals", "directx", "--unmarked"]
    words += ["--out", out]
    assert zeuxis(*words) == 0 and zeuxis(*words, "--grid", tmp_path / "sheet.png") == 0
    assert "bump look guessed from brightness, not geometry" in capsys.readouterr().out
    recipe = json.loads(out.with_suffix(".json").read_text())
    assert recipe["normals"] == "directx" and recipe["maps"] is True
    assert recipe["beside"] == ["wall-height.png", "wall-normal-directx.png"]
    with Image.open(tmp_path / "sheet.png") as sheet, Image.open(out) as one:
        assert np.array_equal(np.asarray(sheet), np.tile(np.asarray(one), (3, 3, 1)))
    with Image.open(tmp_path / "wall-normal-directx.png") as normals:
        assert normals.size == (32, 24) and normals.mode == "RGB"
    other = tmp_path / "roof.png"
    (tmp_path / "roof-height.png").write_bytes(b"mine")
    assert zeuxis("texture", folder / "wall.png", "--maps", "--out", other) == 2
    assert "roof-height.png is there and is of another origin" in capsys.readouterr().err
    assert not other.exists() and (tmp_path / "roof-height.png").read_bytes() == b"mine"


def test_large_pictures_give_their_patches_at_a_smaller_size(folder, monkeypatch):
    monkeypatch.setattr(textures, "LARGEST_SOURCE", 24)
    made = create.texture(folder / "wall.png")
    assert made.array.shape == (18, 24, 3)
    assert "has 32 x 24 pixels: its patches are taken at 24 x 18" in made.notes[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dot.png"], r"dot.png cannot be read as an image .1 x 1 pixels"),
        (["text.png"], "text.png .*no PNG/JPEG"),
        (["large.png"], "large.png .*(10000 x 10000|100000000) pixels"),
        (["low.png"], r"low.png has 32 x 6 pixels; patches of 7 x 7 need at least 16"),
        (["strip.png"], "strip.png has 4000 x 30 pixels; .* a squarer picture"),
        (["wal.png"], "no file .*wal.png .did you mean .*wall.png"),
        (["wall.png", "--size", "9000"], "size is 9000; at most 2048"),
        (["wall.png", "--size", "18"], "makes the result 18 x 14 pixels; at least 16"),
        (["wall.png", "--size", "-1"], "'--size'"),
        (["wall.png", "--mode", "melt"], "'--mode'.*'melt'"),
        (["wall.png", "--tile", "z"], "'--tile'.*'z'"),
        (["wall.png", "--grid", "x.gif"], "x.gif cannot be a PNG file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(words, sentence, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert zeuxis("texture", *words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert re.search(sentence, said[-1]) and len(said) == 1, said
    assert not (folder / "samples").exists()


def test_a_wrong_choice_in_python_names_the_words(folder):
    with pytest.raises(ValueError, match="mode is 'melt'; choose from tile, vary, extend"):
        create.texture(folder / "wall.png", mode="melt")
