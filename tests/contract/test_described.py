"""Text and numbers as conditions, for every family that takes them: from a folder to a picture."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.support.front import pictures, tiny, zeuxis
from tests.support.kit import ALL, WORDS, able, build, wake
from tests.support.sabotage import breaks
from zeuxis import data, families
from zeuxis import train as run_training
from zeuxis.core.abilities import Completes, Encodes, Varies
from zeuxis.core.family import unknown
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import Vocabulary
from zeuxis.inference.model import load

DESCRIBED = [name for name in ALL if families.get(name).DESCRIBED]
COLOURS = ("red", "blue", "green")


def model_of(name, **values):
    return wake(build(name, conditional="all", **values))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> folder of a run of a few steps on captioned pictures."""
    made = {}
    folder = pictures(tmp_path_factory.mktemp("captioned"), size=(8, 8))
    rows = [
        {"file_name": f"{i:03d}.png", "text": f"a {COLOURS[i % 3]} cat", "angle": i}
        for i in range(24)
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(name):
        if name not in made:
            out = tmp_path_factory.mktemp("runs") / name
            words = dict(word.split("=", 1) for word in tiny(name))
            asked = {**words, "data.numbers": "angle", "training.batch_size": "4"}
            made[name] = run_training(
                name, folder, out=out, steps=4, threads=1, evaluate=False, overrides=asked
            )
        return made[name]

    return run


@pytest.mark.parametrize("name", DESCRIBED)
@torch.no_grad()
def test_what_is_asked_for_moves_the_picture(name):
    model = model_of(name).eval()
    noise = model.noise(Rng(range(16)))
    cond = {
        "label": torch.zeros(16, 2, dtype=torch.int64),
        "number": torch.ones(16, 1),
        "text": torch.from_numpy(WORDS.rows(["a red cat"] * 16)).long(),
    }
    before = model.generate(noise, cond, model.Controls())
    for key in cond:
        after = model.generate(noise, {**cond, key: unknown(cond)[key]}, model.Controls())
        assert (after - before).abs().max() > 1e-6, key


@breaks(
    "data/loader.py", 'batch["text"] = torch.from_numpy(', 'batch["text"] = 0 * torch.from_numpy('
)
@pytest.mark.parametrize("name", DESCRIBED)
def test_a_trained_model_knows_the_words_of_its_captions(name, runs):
    model = load(runs(name))
    config, dataset = model.family.config, model.facts["dataset"]
    assert config.text == Vocabulary.learn([f"a {COLOURS[i % 3]} cat" for i in range(24)])
    assert dataset["words"] == ["a", "blue", "cat", "green", "red"]
    assert sorted(number for _, (number,) in dataset["examples"]) == list(range(24))
    assert config.numbers[0].mean == pytest.approx(11.5)


@breaks("inference/labels.py", "text[i % len(text)]", "text[0]")
@breaks("inference/model.py", "given.pop(name) for name in DESCRIBED", "given[name] for name in ()")
@pytest.mark.parametrize("name", DESCRIBED)
def test_a_prompt_gives_the_same_pixels_everywhere_and_in_any_batch(name, runs, tmp_path):
    """The loaded artefact, the command line in this process, and Python in another one."""
    run, text = runs(name), ["a red cat", "a blue cat"]
    made = load(run).sample(5, seed=3, text=text, numbers={"angle": 4})
    assert made.texts == ["a red cat", "a blue cat", "a red cat", "a blue cat", "a red cat"]
    one = load(run).sample(1, seed=3, text=text[0], numbers={"angle": 4})
    assert (one.images[0] == made.images[0]).all()
    model = load(run)
    wake(model.family, 0.3)
    blue, green = (
        model.sample(5, seed=3, text=["a red cat", f"a {colour} cat"], numbers={"angle": 4})
        for colour in ("blue", "green")
    )
    assert (blue.images[::2] == green.images[::2]).all()
    assert (blue.images[1] != green.images[1]).any()
    (tmp_path / "prompts.txt").write_text("a red cat\n\na blue cat\n")
    asked = ["--text", tmp_path / "prompts.txt", "--number", "angle=4", "--unmarked"]
    assert zeuxis("sample", run, "--count", 5, "--seed", 3, "--out", tmp_path / "out", *asked) == 0
    lines = (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["text"] for row in rows] == made.texts
    again = data.prepare(tmp_path / "out", tmp_path / "set")
    order = [int(each.split(".")[0]) for each in again.names]
    assert (again.images == made.images[order]).all()
    assert [again.texts[k] for k in range(5)] == [made.texts[k] for k in order]
    if name != "flow":
        return  # another process takes seconds, and knows no families
    code = (
        "import sys, numpy as np, zeuxis\n"
        f"made = zeuxis.load(sys.argv[1]).sample(5, seed=3, text={text}, numbers={{'angle': 4}})\n"
        "np.save(sys.argv[2], made.images)"
    )
    subprocess.run([sys.executable, "-c", code, run, tmp_path / "there.npy"], check=True)
    assert (np.load(tmp_path / "there.npy") == made.images).all()


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_is_left_open_is_drawn_from_the_captions_of_the_data(name, runs):
    model = load(runs(name))
    made = model.sample(20, seed=1)
    assert {*made.texts} == {f"a {colour} cat" for colour in COLOURS}
    assert made.texts == model.sample(20, seed=1).texts != model.sample(20, seed=2).texts
    assert model.sample(2, text="").texts == ["", ""]


@breaks("inference/labels.py", "word not in seen] if seen", "word in seen] if seen")
@pytest.mark.parametrize("name", DESCRIBED)
def test_words_that_training_never_saw_and_what_is_cut_are_told(name, runs, capsys, tmp_path):
    text = "A red dragon, red and red and red and red"
    asked = ["--text", text, "--count", 1, "--out", tmp_path / "out"]
    assert zeuxis("sample", runs(name), *asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 4 words were never seen in training: 'dragon', 'and'" in said
    assert "too long a text: cut before" in said
    assert not load(runs(name)).sample(1, text="a blue cat").remarks


@breaks(
    "inference/verbs/change.py",
    '{"images": images, **more},\n        seed=seed',
    '{"images": images},\n        seed=seed',
)
@breaks(
    "inference/verbs/change.py",
    '{"images": images, "mask": mask[:, None].astype(np.float32), **more}',
    '{"images": images, "mask": mask[:, None].astype(np.float32)}',
)
@pytest.mark.parametrize("name", [name for name in able(Completes) if name in DESCRIBED])
def test_images_are_changed_by_a_text_too(name, runs):
    model = load(runs(name))
    wake(model.family, 0.3)
    images = model.sample(2, seed=1).images
    changes = [functools.partial(model.complete, mask=np.ones((8, 8), bool))]
    changes += [model.vary] if isinstance(model.family, Varies) else []
    for change in changes:
        red, blue = (change(images, seed=3, text=f"a {c} dog") for c in ("red", "blue"))
        assert (red.images != blue.images).any() and red.texts == ["a red dog"] * 2
        assert "'dog'" in red.remarks[0] and not change(images).texts


@breaks("inference/verbs/codes.py", '{"images": images, **more}', '{"images": images}')
@breaks("inference/verbs/codes.py", '{"latents": latents, **more}', '{"latents": latents}')
@breaks("inference/verbs/likelihood.py", '{"images": images, **more}', '{"images": images}')
@pytest.mark.parametrize("name", [name for name in able(Encodes) if name in DESCRIBED])
def test_all_that_takes_labels_takes_texts_and_numbers(name, runs):
    model = load(runs(name))
    wake(model.family, 0.3)
    images = model.sample(2, seed=1).images
    latents = model.encode(images).latents

    def seen(**asked):
        calls = {
            "encode": lambda: model.encode(images, **asked).latents,
            "decode": lambda: model.decode(latents, **asked).images,
            "reconstruct": lambda: model.reconstruct(images, **asked).images,
            "score": lambda: model.score(images, **asked).bits,
        }
        return {verb: call() for verb, call in calls.items()}

    plain, red, turned = seen(), seen(text="a red cat"), seen(numbers={"angle": 20})
    for verb, before in plain.items():
        if (name, verb) != ("flow", "reconstruct") and (name, verb) != ("hvae", "encode"):
            assert (before != red[verb]).any() and (before != turned[verb]).any(), verb


@breaks("inference/verbs/draw.py", "                **held,\n", "")
@pytest.mark.parametrize("name", ["gan", "flow"])
def test_a_walk_keeps_its_text(name, runs):
    model = load(runs(name))
    wake(model.family, 0.3)
    red, blue = (model.interpolate(1, 2, 3, text=f"a {c} dog") for c in ("red", "blue"))
    assert (red.images != blue.images).any() and red.texts == ["a red dog"] * 3
    assert (model.sample(1, seed=1, text="a red dog").images[0] == red.images[0]).all()
    with pytest.raises(ValueError, match="found 2 texts for a walk, which has one"):
        model.interpolate(1, 2, text=["a", "b"])


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"text": []}, "text is \\[\\]; expected a text"),
        ({"text": ["a", 3]}, "expected a text, or a list of texts"),
        ({"text": ["a"] * 3}, "found 3 texts for 2 images"),
        ({"text": "a" * 5000}, "a text has 5,000 characters"),
        ({"numbers": {"angel": 3}}, "no number 'angel' in this model; did you mean 'angle'"),
        ({"numbers": {"angle": float("nan")}}, "expected finite numbers by name"),
        ({"numbers": {"angle": "x"}}, "expected finite numbers by name"),
    ],
)
def test_bad_prompts_get_one_sentence(runs, asked, why):
    with pytest.raises(ValueError, match=why):
        load(runs("flow")).sample(2, **asked)


def test_models_without_text_say_so(tmp_path):
    from zeuxis.inference import artefact

    plain = build("flow", conditional=False)
    artefact.save(tmp_path / "plain", "flow", plain, plain.state_dict(), dataset={})
    model = load(tmp_path / "plain")
    with pytest.raises(ValueError, match="trained without captions, so it understands no text"):
        model.sample(1, text="a cat")
    with pytest.raises(ValueError, match="trained without numbers"):
        model.sample(1, numbers={"angle": 1})
    with pytest.raises(ValueError, match="knows no negative text"):
        model.sample(1, negative="a cat")


def test_families_that_take_no_text_name_those_that_do(tmp_path, capsys):
    folder = pictures(tmp_path / "photos", size=(8, 8))
    (folder / "000.txt").write_text("a cat")
    asked = ["--steps", 2, "--out", tmp_path / "run", "data.conditions=text", *tiny("autoencoder")]
    assert zeuxis("train", "autoencoder", folder, *asked) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "Autoencoder cannot be asked for 'text'; families that take numbers and text: gan" in said
    )
