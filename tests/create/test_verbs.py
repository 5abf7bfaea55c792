"""Verbs of pictures: Python and the command line give the same; bad input is one sentence."""

import html
import importlib
import json
import pkgutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis import create
from zeuxis.core import errors
from zeuxis.create import style
from zeuxis.create.verbs import VERBS
from zeuxis.marks import containers


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(style, "STEPS", (2, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of all kinds, good and bad."""
    place = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (40, 56, 3), np.uint8)
    Image.fromarray(colours).save(place / "cat.png")
    Image.fromarray(colours[::-1]).save(place / "wave.png")
    alpha = np.zeros((48, 64, 1), np.uint8)
    alpha[8:30, 10:40] = 255
    wide = rng.integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(np.concatenate([wide, alpha], 2)).save(place / "cut.png")
    Image.fromarray(alpha[..., 0]).save(place / "mask.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(place / "black.png")
    Image.fromarray(colours.astype(np.uint16)[..., 0] * 257).save(place / "deep.png")
    Image.fromarray(colours[:1, :1]).save(place / "dot.png")
    Image.fromarray(colours[:20, :20]).save(place / "small.png")
    (place / "text.png").write_text("no picture")
    chunks = [b"IHDR" + struct.pack(">II", 10_000, 10_000) + bytes([8, 0, 0, 0, 0]), b"IDAT"]
    whole = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    (place / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))
    return place


WORDS = {
    "restyle": (["cat.png", "wave.png"], ["--size", "64", "--seed", "3"]),
    "texture": (["cat.png"], ["--size", "40", "--seed", "3"]),
    "dream": (["cat.png"], ["--size", "64", "--seed", "3", "--steps", "1", "--octaves", "1"]),
}
"""Verb -> files by place, and options."""


@pytest.mark.parametrize("name", VERBS)
def test_python_gives_the_files_of_the_command_line_and_a_recipe_gives_them_again(
    name, folder, tmp_path
):
    verb = VERBS[name]
    files, options = WORDS[name]
    paths = [str(folder / file) for file in files]
    out, same, again = (tmp_path / n / "made.png" for n in ("out", "same", "again"))
    assert zeuxis(name, *paths, *options, "--no-credentials", "--out", out) == 0
    takes = [n for n, a in verb.arguments.items() if not a.option]
    given = dict(zip(takes, paths, strict=True))
    given |= {
        k.removeprefix("--"): int(v) for k, v in zip(options[::2], options[1::2], strict=True)
    }
    getattr(create, name)(**given, credentials=False).write(same)
    recipe = json.loads(out.with_suffix(".json").read_text())
    getattr(create, name)(**{n: recipe[n] for n in verb.arguments if n in recipe}).write(again)
    for other in (same, again):
        assert other.read_bytes() == out.read_bytes()
        assert other.with_suffix(".json").read_bytes() == out.with_suffix(".json").read_bytes()


@breaks("marks/mark.py", "PurePath(v).name for k", "v for k")
@breaks("marks/mark.py", "[_bare(one) for one in told]", "told")
def test_a_picture_names_no_folder_of_the_machine(folder, tmp_path):
    made = create.restyle(
        folder / "cat.png", [folder / "wave.png"], size=64, recipe=True, credentials=False
    )
    made.write(tmp_path / "made.png")
    said = html.unescape(containers.xmp_of((tmp_path / "made.png").read_bytes()).decode())
    assert '"file": "cat.png"' in said and '"file": "wave.png"' in said


@pytest.mark.parametrize(
    ("files", "options", "sentence"),
    [
        (["dot.png", "wave.png"], [], "dot.png cannot be read as an image .1 x 1 pixels"),
        (["text.png", "wave.png"], [], "text.png .*no PNG/JPEG"),
        (
            ["large.png", "wave.png"],
            [],
            "large.png .*10000 x 10000 pixels|large.png .*100000000 pixels",
        ),
        (["cat.png", "small.png"], [], "small.png has 20 x 20 pixels; at least 32 a side"),
        (["cat.pgn", "wave.png"], [], "no file .*cat.pgn .did you mean .*cat.png"),
        (["cat.png", "."], [], "is a folder; expected one picture"),
        (["cat.png", "wave.png"], ["--size", "5000"], "size is 5000; at most 4096"),
        (
            ["cat.png", "wave.png"],
            ["--weight", "1", "--weight", "2"],
            "found 2 weights for 1 styles",
        ),
        (["cat.png", "wave.png"], ["--weight", "0"], "all weights are 0"),
        (
            ["cat.png", "wave.png"],
            ["--weight", "-1"],
            "'--weight': Input should be greater than or equal to 0",
        ),
        (["cat.png", "wave.png"], ["--mask", "black.png"], "black.png is black: white is what"),
        (["cat.png", "wave.png"], ["--out", "x.txt"], "x.txt cannot be a picture"),
        (["cat.png", "wave.png"], ["--out", "wave.png"], "wave.png is there and was not made"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(files, options, sentence, folder, monkeypatch, capsys):
    import re

    monkeypatch.chdir(folder)
    assert zeuxis("restyle", *files, *options) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert re.search(sentence, said[-1]) and len(said) == 1, said
    assert not (folder / "samples").exists()


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (3, "a picture is a int; expected a file, an array"),
        (np.zeros((8, 8, 3)), r"float64 of shape \(8, 8, 3\); expected uint8"),
        (np.zeros((8, 8, 2), np.uint8), "with 1, 3 or 4 channels"),
        ({"sha256": "0"}, "came from no file"),
    ],
)
def test_what_is_no_picture_is_one_sentence_in_python(picture, sentence, folder):
    with pytest.raises(errors.Invalid, match=sentence):
        create.restyle(picture, folder / "wave.png", size=64)


@breaks("create/pictures.py", 'if entry.get("sha256") != picture.sha256', "if False")
def test_a_recipe_notices_another_picture_under_the_name(folder):
    entry = {"file": str(folder / "cat.png"), "sha256": "0" * 64}
    with pytest.raises(errors.Invalid, match="is not the file of the recipe"):
        create.restyle(entry, folder / "wave.png", size=64)


def test_no_module_of_create_is_called_as_a_verb():
    for module in pkgutil.iter_modules(create.__path__):
        importlib.import_module(f"zeuxis.create.{module.name}")
    assert all(getattr(create, name).__name__ == name for name in VERBS)


@breaks(
    "create/pictures.py",
    "np.concatenate([pixels_HWC, np.asarray(alpha)[..., None]], 2)",
    "pixels_HWC",
)
def test_alpha_and_depth_and_modes_of_pillow(folder):
    cut = create.restyle(folder / "cut.png", folder / "wave.png", size=64)
    with Image.open(folder / "cut.png") as image:
        assert np.array_equal(cut.array[..., 3], np.asarray(image)[..., 3])
        same = create.restyle(image, folder / "wave.png", size=64)
    assert np.array_equal(same.array, cut.array)
    deep = create.restyle(folder / "deep.png", np.asarray(Image.open(folder / "wave.png")), size=64)
    assert deep.array.shape == (46, 64, 3)
