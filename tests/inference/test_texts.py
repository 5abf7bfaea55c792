"""Captions and texts: from a run to words, in each form, and how many are known by heart."""

import csv
import json
import math

import numpy as np
import pytest
import torch

from tests.support.front import pictures, zeuxis
from tests.support.kit import WORDS, build, wake
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.core.vocabulary import fluent, plain
from zeuxis.inference import artefact
from zeuxis.inference.model import load
from zeuxis.inference.texts import texts_of, verbatim, with_bits


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "illustrate"
    family = wake(build("illustrate", channels=3, text=WORDS, conditional=False), 0.3)
    artefact.save(folder, "illustrate", family, family.state_dict(), dataset={})
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("photos"), count=5, size=(8, 8))


@breaks("inference/texts.py", "/ math.log(2)", "")
@breaks("inference/texts.py", ".encode()) + 1 for", ".encode()) for")
def test_bits_and_bytes_are_those_of_words_and_end():
    ids = torch.from_numpy(WORDS.rows(["a red cat", "é"])).long()
    found = texts_of(WORDS, with_bits(ids, torch.tensor([3.0, 4.0])))
    assert found.texts == ["a red cat", "é"] and found.sizes.tolist() == [11, 4]
    assert found.bits.tolist() == pytest.approx([3 / math.log(2), 4 / math.log(2)])
    assert found.bits_per_byte == pytest.approx(7 / math.log(2) / 15)


def test_texts_are_written_as_their_name_says(run, photos, tmp_path, capsys):
    for suffix in ("jsonl", "json", "csv", "txt"):
        assert zeuxis("caption", run, photos, "--out", tmp_path / f"a.{suffix}") == 0
    said = capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert [row["file_name"] for row in lines] == [f"{k:03d}.png" for k in range(5)]
    whole = json.loads((tmp_path / "a.json").read_text())
    assert whole["texts"] == lines and whole["provenance"]["verb"] == "caption"
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [row["text"] for row in lines]
    assert f"000.png: {lines[0]['text']}"[:20] in said and "bits a byte" in said
    assert zeuxis("caption", run, photos, "--out", tmp_path / "a.png") == 2
    assert "cannot hold texts; give a name that ends in one of .jsonl" in capsys.readouterr().err


@breaks("inference/texts.py", "vocabulary_of(model).encode(plain(prefix))", "[]")
def test_writing_begins_with_its_prefix_and_does_not_depend_on_the_count(run):
    model = load(run)
    made = model.write(6, prefix="A red", seed=4)
    assert all(text.startswith("a red") for text in made.texts)
    assert list(model.write(2, prefix="A red", seed=4).texts) == list(made.texts[:2])
    (likeliest,) = {*model.write(6, seed=4, temperature=0.0).texts}
    assert model.write(1, seed=9, temperature=0.0).texts == [likeliest]
    with pytest.raises(ValueError, match="ids and the model's texts have 10 at most"):
        model.write(1, prefix="a red cat on a blue mat and a dog")


@breaks("inference/texts.py", "prepared.train.tolist() for c", "prepared.holdout.tolist() for c")
def test_texts_known_by_heart_are_counted_beside_held_out_ones(run, tmp_path, capsys):
    folder = pictures(tmp_path / "photos", count=24, size=(8, 8))
    for number in range(24):
        (folder / f"{number:03d}.txt").write_text("A cat, red" if number % 2 else f"one {number}")
    prepared = data.prepare(folder, tmp_path / "set", Data(size=(8, 8), channels=3, holdout=0.3))
    train, held = ([prepared.texts[k] for k in rows] for rows in (prepared.train, prepared.holdout))
    own = next(text for text in train if text.startswith("one"))
    found = verbatim(load(run), ["a  CAT , red", own, "a dog", "one"], prepared.folder, None)
    assert found.share == 0.5 and found.held_count == len(held) > 0
    assert found.held_share == held.count("A cat, red") / len(held)
    assert zeuxis("write", run, "--count", 8, "--seed", 1, "--data", prepared.folder) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"stand in the training data word for word; of {len(held)} held-out captions" in said


def test_a_model_without_captions_has_no_words(tmp_path, photos, capsys):
    plain_run = build("illustrate", channels=3, text=None, conditional=False)
    artefact.save(tmp_path / "run", "illustrate", plain_run, plain_run.state_dict(), dataset={})
    for words in (["write", tmp_path / "run"], ["caption", tmp_path / "run", photos]):
        assert zeuxis(*words) == 2
        assert "trained without captions, so it has no words" in capsys.readouterr().err


@breaks("core/vocabulary.py", 'closed = re.sub(r" (', 'closed = re.sub(r"  (')
def test_plain_captions_become_what_people_write():
    for text in ("a red cat, please", "it's (very) red-haired.", "a & b", "no hat; 3 cats!"):
        assert fluent(plain(text)) == text


def test_what_an_image_tells_of_its_caption_is_the_caption_gain(run, tmp_path):
    from zeuxis.evaluation import captions

    folder = pictures(tmp_path / "photos", count=12, size=(8, 8))
    for number in range(12):
        (folder / f"{number:03d}.txt").write_text("a red cat" if number % 2 else "a blue dog")
    prepared = data.prepare(folder, tmp_path / "set", Data(size=(8, 8), channels=3))
    model = load(run)
    assert captions.measurable(model)
    loss = captions.caption_loss(model, prepared, prepared.train)
    said = [prepared.texts[row] for row in prepared.train.tolist()]
    ids = torch.from_numpy(WORDS.rows(said)).long()
    image = torch.from_numpy(prepared.images[prepared.train].copy()).permute(0, 3, 1, 2) / 127.5 - 1
    size = np.array([len(plain(one)) + 1 for one in said]) * math.log(2)
    assert loss.without_N == pytest.approx(model.family.text_nats(ids).numpy() / size, rel=1e-3)
    given = model.family.caption_nats(image, ids).numpy() / size
    assert loss.with_N == pytest.approx(given, rel=1e-3)
