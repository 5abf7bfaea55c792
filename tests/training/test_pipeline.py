"""From a folder of pictures to a trained, measured, saved generator, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import zeuxis
from tests.support.front import workshop
from tests.support.kit import ALL
from tests.support.sabotage import breaks
from zeuxis import data, families
from zeuxis.core.abilities import Generates, Translates
from zeuxis.core.files import read_sealed, write_sealed
from zeuxis.core.request import nested
from zeuxis.core.settings import Data, override
from zeuxis.inference.model import load
from zeuxis.training import closing, demo, resolved


def tiny_words(name):
    """The family's tiny config as a user would type it."""
    config = families.get(name).TINY
    words = {}
    for key in type(config).model_fields:
        if key not in resolved.GENERATED:
            value = getattr(config, key)
            word = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words[f"family.{key}"] = "auto" if value is None else word
    return {**words, "training.batch_size": "8"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """40 pictures of two kinds in class folders."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for kind, level in (("bright", 170), ("dark", 20)):
        (folder / kind).mkdir()
        for i in range(20):
            picture = rng.integers(level, level + 80, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / kind / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def quick(tmp_path_factory):
    with workshop(tmp_path_factory.getbasetemp() / "cache"):
        yield


@breaks("training/run.py", "planned.probe_every > planned.steps:", "False:")
@breaks("training/run.py", "job.resolved.unused(", "dict.keys(")
def test_what_is_set_and_changes_nothing_is_said_before_training(photos, tmp_path):
    events = []
    zeuxis.train(
        "tokenizer",
        photos,
        out=tmp_path / "run",
        steps=1,
        threads=1,
        keep="best",
        overrides=tiny_words("tokenizer")
        | {"family.quantiser": "fsq", "family.codes": "16", "training.probe_every": "9"},
        evaluate=False,
        watch=events.append,
    )
    notes = [event.text for event in events]
    said = "family.codes=16 is not used with family.quantiser=fsq, only with vq"
    first = next(i for i, event in enumerate(events) if event.kind == "step")
    assert notes.index(said) < first
    assert "--keep best is not used since no scores are taken on the way" in str(notes[:first])
    assert not [note for note in notes if note.startswith("family.levels")]


@pytest.mark.parametrize("name", ALL)
def test_train_load_sample(name, photos, tmp_path):
    events = []
    pairs = {"data.pair": "grey"} if "source" in families.get(name).Config.model_fields else {}
    folder = zeuxis.train(
        name,
        photos,
        out=tmp_path / "run",
        steps=3,
        threads=1,
        overrides=tiny_words(name) | pairs,
        evaluate=False,
        watch=events.append,
    )
    assert {"plan", "step", "saved", "done"} <= {event.kind for event in events}
    model = zeuxis.load(folder)
    if isinstance(model.family, Generates):
        images = model.sample(5, seed=7, labels="dark").images
    elif isinstance(model.family, Translates):
        images = model.translate(np.zeros((5, 8, 8, 3), np.uint8)).images
    else:
        images = model.reconstruct(np.zeros((5, 8, 8, 3), np.uint8)).images
    side = {"enhance": 16}.get(name, 8)  # it doubles sides
    assert images.shape == (5, side, side, 3) and images.dtype == np.uint8
    assert model.facts["training"]["steps"] == 3
    assert bool(model.facts["dataset"]["labels"]) == model.family.CONDITIONAL


@breaks("training/resolved.py", "if cls.CONDITIONAL:", "if True:")
def test_labels_that_are_not_heard_are_not_conditions(photos, tmp_path):
    prepared = data.ensure(photos, Data(pair="grey"))
    for name in ALL:
        cls = families.get(name)
        config = resolved.make_config(cls, prepared, Data(), {})
        assert len(config.conditions) == cls.CONDITIONAL


def train(photos, folder, **values):
    given = {"steps": 3, "threads": 1, "overrides": tiny_words("vae"), "evaluate": False, **values}
    events = []
    zeuxis.train("vae", photos, out=folder, watch=events.append, **given)
    return [event.text for event in events if event.kind == "note"]


def test_the_same_command_again_says_it_is_finished(photos, tmp_path):
    train(photos, tmp_path / "run")
    assert any("is finished" in note for note in train(photos, tmp_path / "run"))


def test_other_settings_are_refused_and_listed(photos, tmp_path):
    train(photos, tmp_path / "run")
    with pytest.raises(ValueError, match=r"training\.lr was 0\.\d+ and is now 0\.5"):
        train(photos, tmp_path / "run", overrides={**tiny_words("vae"), "training.lr": "0.5"})


@breaks("training/folder.py", "old.get(key, usual.get(key))", "old.get(key)")
def test_a_run_of_before_a_setting_existed_is_the_same_run_with_its_default(photos, tmp_path):
    """The default of the setting, not the one that the family has by now."""
    words = {**tiny_words("vae"), "training.optimiser": "adamw"}
    train(photos, tmp_path / "run", overrides=words)
    old = read_sealed(tmp_path / "run" / "run.json")
    for part, name in (("training", "optimiser"), ("data", "fit"), ("config", "prior")):
        del old["request"][part][name]
    write_sealed(tmp_path / "run" / "run.json", old)
    again = train(photos, tmp_path / "run", overrides=words)
    assert any("is finished" in note for note in again)
    with pytest.raises(
        ValueError, match="run: training.optimiser was 'adamw' and is now 'muon'. Rep"
    ):
        train(photos, tmp_path / "run")


def test_fresh_sets_the_old_run_aside(photos, tmp_path):
    train(photos, tmp_path / "run")
    train(photos, tmp_path / "run", steps=4, fresh=True)
    assert load(tmp_path / "run").facts["progress"]["steps"] == 4
    assert load(tmp_path / "run.1").facts["progress"]["steps"] == 3


def test_starting_from_an_artefact_records_the_parent(photos, tmp_path):
    train(photos, tmp_path / "a", steps=1)
    train(photos, tmp_path / "b", steps=1, start_from=tmp_path / "a")
    parent = next(path.name for path in (tmp_path / "a").glob("model-*"))
    assert load(tmp_path / "b").facts["parent"] == parent
    assert json.loads((tmp_path / "b" / "run.json").read_text())["request"]["parent"] == parent


def test_a_parent_of_another_shape_is_refused_before_anything_is_written(photos, tmp_path):
    train(photos, tmp_path / "a", steps=1)
    other = {**tiny_words("vae"), "family.blocks": "2"}
    with pytest.raises(ValueError, match="blocks was 1 and is now 2"):
        train(photos, tmp_path / "b", start_from=tmp_path / "a", overrides=other)
    assert not (tmp_path / "b").exists()


@breaks("families/flow.py", 'OPTIONAL = ("early", "jumper")', 'OPTIONAL = ("early",)')
def test_a_trained_flow_may_learn_to_jump_later(photos, tmp_path):
    """The copy that jumps starts as the network that was trained before, and may be left out again."""
    words = {**tiny_words("flow"), "training.lr": "1e-9"}
    common = {"source": photos, "threads": 1, "evaluate": False}
    jumping = {**words, "family.jumps": "0.5"}
    plain = zeuxis.train("flow", out=tmp_path / "plain", steps=1, overrides=words, **common)
    common["start_from"] = plain
    later = zeuxis.train("flow", out=tmp_path / "later", steps=4, overrides=jumping, **common)
    common["start_from"] = later
    again = zeuxis.train("flow", out=tmp_path / "again", steps=1, overrides=words, **common)
    first, second, third = (load(each).family.state_dict() for each in (plain, later, again))
    assert first.keys() == third.keys() < second.keys()
    stems = [first["net.stem.weight"], third["net.stem.weight"], second["jumper.stem.weight"]]
    assert all(torch.allclose(stem, second["net.stem.weight"], atol=1e-6) for stem in stems)


def test_a_damaged_model_is_written_anew_by_the_same_command(photos, tmp_path):
    train(photos, tmp_path / "run")
    before = load(tmp_path / "run").sample(2).images
    weights = next((tmp_path / "run").glob("model-*"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / "run")
    assert any("anew" in note for note in train(photos, tmp_path / "run"))
    assert (load(tmp_path / "run").sample(2).images == before).all()


def test_what_a_kill_left_does_not_block_the_folder(photos, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json.tmp").write_text("{")
    train(photos, tmp_path / "run")


@breaks("training/loop.py", '"run": self.run}', '"run": None}')
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_run_without_its_run_json_goes_on_to_the_same_bits(photos, tmp_path, how):
    words = {**tiny_words("gan"), "training.save_every": "1", "training.probe_every": "9"}
    for name in ("straight", "run"):
        zeuxis.train(
            "gan", photos, out=tmp_path / name, steps=3, threads=1, overrides=words, evaluate=False
        )
    run, straight = tmp_path / "run", tmp_path / "straight"
    shutil.rmtree(run / "checkpoints" / "step-00000003")  # as if it had been killed after step 2
    (run / "config.json").unlink()
    (run / "run.json").unlink()
    if how == "damaged":
        (run / "run.json").write_bytes(b"\0" * 500)
    zeuxis.train("gan", photos, out=run, steps=3, threads=1, overrides=words, evaluate=False)
    assert (run / "log.jsonl").read_text() == (straight / "log.jsonl").read_text()
    assert [p.name for p in run.glob("model-*")] == [p.name for p in straight.glob("model-*")]


def test_a_finished_run_keeps_only_the_weights_that_it_names(photos, tmp_path):
    """A kill after the last save may leave those of the save before."""
    train(photos, tmp_path / "run")
    (tmp_path / "run" / "model-0123456789abcdef.safetensors").write_text("old")
    train(photos, tmp_path / "run")
    assert len(list((tmp_path / "run").glob("model-*"))) == 1


def test_a_run_s_folder_does_not_hold_the_images(photos):
    with pytest.raises(ValueError, match="holds the images"):
        train(photos, photos, fresh=True)
    assert (photos / "dark").is_dir()


def test_minutes_become_steps_once_and_are_written_down(photos, tmp_path):
    train(photos, tmp_path / "run", steps=None, minutes=0.03)
    plan = json.loads((tmp_path / "run" / "run.json").read_text())["plan"]
    assert plan["steps"] >= 1 and plan["steps"] * plan["seconds_per_step"] <= 0.03 * 60
    assert load(tmp_path / "run").facts["progress"]["step"] == plan["steps"]


def test_evaluate_writes_a_report(photos, tmp_path):
    train(photos, tmp_path / "run")
    closing.evaluate(tmp_path / "run", photos, samples=16)
    page = (tmp_path / "run" / "report.html").read_text()
    assert (
        "<svg" in page
        and "data:image/png;base64," in page
        and not re.search("https?:", page.split("<body")[0])
    )
    report = (tmp_path / "run" / "report.json").read_text()
    assert json.loads(report)["verdict"]["command"]
    assert str(tmp_path) not in page + report  # it may be given away


def test_a_short_disk_is_refused_before_training(photos, tmp_path, monkeypatch):
    class Usage:
        free = 1_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(ValueError, match="MiB free and this needs"):
        train(photos, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    "words, sentence",
    [
        ({"family.widht": "3"}, "did you mean"),
        ({"widht": "3"}, r"start with family\., data\. or training\."),
        ({"family.height": "8"}, r"comes from the data; use data\.size"),
        ({"data.conditions": "labell"}, "no column 'labell'"),
        ({"training.lr": "fast"}, "is a number, not 'fast'"),
        ({"training.betas": "0.9"}, "is 2 numbers"),
        ({"training.betas": "0.9,2"}, "less than 1"),
        ({"data.size": "8x8x8"}, "is 2 numbers"),
    ],
)
def test_wrong_words_get_a_sentence(photos, tmp_path, words, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(photos, tmp_path / "run", overrides=words)


@pytest.mark.parametrize("minutes", [0, -1, float("inf"), float("nan")])
def test_minutes_are_a_positive_number(photos, tmp_path, minutes):
    with pytest.raises(ValueError, match="positive number"):
        train(photos, tmp_path / "run", steps=None, minutes=minutes)


def test_minutes_and_steps_exclude_each_other(photos, tmp_path):
    words = {**tiny_words("vae"), "training.steps": "5"}
    with pytest.raises(ValueError, match="both minutes and steps"):
        train(photos, tmp_path / "run", steps=None, minutes=1.0, overrides=words)


@pytest.mark.parametrize("fast, stem", [(True, 0), (False, 2)])
def test_the_demo_s_network_suits_the_machine(monkeypatch, fast, stem):
    monkeypatch.setattr("zeuxis.core.machine.fast_bfloat16", lambda place: fast)
    words = nested(demo.settings(torch.device("cpu")))
    prepared = data.open_prepared(demo._avatars())
    settings = override(Data(), words["data"])
    config = resolved.make_config(families.get(demo.FAMILY), prepared, settings, words["family"])
    assert config.stem == stem and [c.name for c in config.conditions] == [
        "hair",
        "skin",
        "background",
    ]
