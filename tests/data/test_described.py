"""Captions and numbers of a set: which one a batch holds, what is missing, and combinations withheld."""

import json

import numpy as np
import pytest

from tests.support.front import pictures, tiny, zeuxis
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.core.vocabulary import NO_CAPTION
from zeuxis.data import described
from zeuxis.data.source.avatar_captions import DRAWS, EACH, TRAITS, caption
from zeuxis.data.source.avatars import all_traits, open_avatars

COLOURS = ("red", "blue", "green")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 pictures; two captions of each but the last, of which one is a file of several lines."""
    folder = pictures(tmp_path_factory.mktemp("captioned"))
    rows = []
    for index in range(23):
        said = [f"a {COLOURS[index % 3]} thing", f"thing {index}"]
        row = {"file_name": f"{index:03d}.png", "angle": index / 2, "colour": COLOURS[index % 3]}
        row["shape"] = "ring" if index % 2 else "none"
        rows.append({**row, **({} if index == 5 else {"text": said})})
    (folder / "005.txt").write_text("a green thing\n\n  thing 5  \n")
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    return data.prepare(folder, tmp_path_factory.mktemp("set") / "set")


def loader(prepared, seed=0, size=24):
    text = described.vocabulary(prepared)
    load = data.batches(prepared, Data(), seed, size, (), ("image",), ("angle",), text)
    return load, text


@breaks(
    "data/described.py", "lines = texts[row].splitlines()", "lines = texts[row].splitlines()[:1]"
)
def test_an_image_has_all_its_captions(prepared):
    names = list(prepared.names)
    assert described.captions(prepared, names.index("004.png")) == ["a blue thing", "thing 4"]
    assert described.captions(prepared, names.index("005.png")) == ["a green thing", "thing 5"]
    assert described.captions(prepared, names.index("023.png")) == []


@breaks("data/described.py", "some[int(share * len(some))]", "some[0]")
def test_a_row_draws_one_of_its_captions_by_its_own_seed(prepared):
    load, text = loader(prepared)
    rows = np.concatenate([load(draw, slice(0, 24))["text"] for draw in range(8)])
    said = [text.decode(row[row > NO_CAPTION]).strip() for row in rows]
    assert {"a red thing", "thing 0", "thing 22"} <= {*said} and said.count("") == 8
    parts = [load(3, slice(a, b))["text"].numpy() for a, b in ((0, 5), (5, 24))]
    assert (np.concatenate(parts) == load(3, slice(0, 24))["text"].numpy()).all()


def test_numbers_come_as_they_are_and_missing_ones_as_nan(prepared):
    load, _ = loader(prepared)
    numbers = load(0, slice(0, 24))["number"].numpy()
    assert numbers.dtype == np.float32 and np.isnan(numbers).sum() == 1
    assert sorted(numbers[~np.isnan(numbers)].tolist()) == [index / 2 for index in range(23)]
    (scale,) = described.scales(prepared, ["angle"])
    assert scale.mean == pytest.approx(5.5) and scale.deviation == pytest.approx(3.317, abs=1e-3)


def test_what_is_no_number_is_named(prepared):
    with pytest.raises(ValueError, match=r"column 'colour' holds 'red', which is no number"):
        described.numbers(prepared, ["colour"])
    with pytest.raises(ValueError, match=r"no column 'angel'; did you mean 'angle'"):
        described.numbers(prepared, ["angel"])


def test_a_set_without_captions_says_where_they_go(tmp_path):
    bare = data.prepare(pictures(tmp_path / "bare"), tmp_path / "set")
    with pytest.raises(ValueError, match=r"NAME\.txt beside NAME\.jpg"):
        described.vocabulary(bare)


@breaks("data/prepared.py", "for side in range(3)", "for side in (0, 1, 1)")
def test_combinations_are_withheld_as_a_third_side(folder, tmp_path):
    settings = Data(withhold="colour=red|blue,shape=*;colour=gr*,shape=none", holdout=4)
    made = data.prepare(folder, tmp_path / "set", settings)
    words = list(zip(made.column("colour"), made.column("shape"), strict=True))
    shown = {row for row, (c, s) in enumerate(words) if (s == "ring") != (c == "green") and c}
    assert {*made.withheld.tolist()} == shown and len(shown) == 12
    assert not {*made.train.tolist(), *made.holdout.tolist()} & shown
    assert sum(map(len, (made.train, made.holdout, made.withheld))) == 24
    assert made.table()["side"].count("withheld") == made.facts["split"]["withheld"] == 12
    again = data.prepare(made.folder, tmp_path / "smaller", Data(size=(8, 8)))
    assert (again.withheld == made.withheld).all() and (again.holdout == made.holdout).all()


@pytest.mark.parametrize(
    ("withhold", "why"),
    [
        ("colour", r"cannot read data\.withhold at 'colour'"),
        ("color=red", r"no column 'color'; did you mean 'colour'"),
        ("colour=purple", r"no image shows 'colour=purple'"),
        ("file=*", r"no column 'file'"),
        ("shape=ring;shape=none", None),
    ],
)
def test_what_cannot_be_withheld_is_one_sentence(folder, tmp_path, withhold, why):
    if why is None:  # the picture that no table speaks of is left
        assert len(data.prepare(folder, tmp_path / "set", Data(withhold=withhold)).train) == 1
        return
    with pytest.raises(ValueError, match=why):
        data.prepare(folder, tmp_path / "set", Data(withhold=withhold))


@breaks("data/source/avatar_captions.py", "always or (kept", "always or (True")
def test_avatars_have_five_captions_that_say_what_is_there_and_leave_some_out():
    items, seen = open_avatars().items, all_traits()
    texts = [item.text.split("\n") for item in items]
    assert {len(some) for some in texts} == {EACH}
    assert (
        texts[0][0]
        == "a sad tan skinned face with flowing black hair, no hat and yellow clothes on a blue background"
    )
    draws = np.random.default_rng(0).random((400, DRAWS)).tolist()
    named = []
    for number, share_U in enumerate(draws):
        text, said = caption(seen[number], share_U, number % EACH)
        assert all(seen[number][name] == word for name, word in said.items())
        assert ("no hat" in text) == (said.get("hat") == "no")
        named.append(len(said))
    assert 4 < np.mean(named) < 6
    _, said = caption(seen[3], draws[3], 1, TRAITS[:3])
    assert {*TRAITS[:3]} <= {*said}


@breaks("data/described.py", "if settings.flip else []", "if settings.colour else []")
@breaks("data/described.py", "about.intersection(words(line))", "about & {line}")
def test_what_augmentation_makes_untrue_is_told(prepared):
    colours = described.untrue(prepared, Data(colour=0.2))
    count = sum(len(described.captions(prepared, row)) for row in prepared.train)
    assert len(colours) == 1 and colours[0].startswith("data.colour changes colours, and ")
    assert f"of {count} captions say" in colours[0] and "green" in colours[0]
    assert described.untrue(prepared, Data(flip=True)) == [] == described.untrue(prepared, Data())


def test_training_says_what_a_mirror_makes_untrue(tmp_path, capsys):
    folder = pictures(tmp_path / "photos", size=(8, 8))
    for file in folder.glob("*.png"):
        file.with_suffix(".txt").write_text("a disc on the LEFT")
    asked = ["--steps", 1, "--no-evaluate", "--out", tmp_path / "run", "data.flip=true"]
    assert zeuxis("train", "vae", folder, *asked, *tiny("vae")) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "data.flip mirrors images, and" in said and "captions say left or such" in said
