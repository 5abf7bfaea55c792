"""An artefact says when it is not what was written."""

import json

import pytest
import safetensors.torch
import torch

from tests.support.kit import ALL, build, wake
from tests.support.sabotage import breaks
from zeuxis.core import tensors
from zeuxis.core.files import read_sealed, sha256, write_sealed
from zeuxis.inference import artefact


@pytest.fixture
def folder(tmp_path):
    model = wake(build("vae"))
    artefact.save(tmp_path, "vae", model, model.state_dict(), dataset={"labels": []}, source="x")
    return tmp_path


@breaks("inference/artefact.py", "sha256(path) != expected:", "False:")
def test_flipped_bits_anywhere_are_noticed(folder):
    good = artefact.load(folder).state_dict()
    for path in [p for p in folder.iterdir() if p.name != "README.md"]:
        content = path.read_bytes()
        for at in range(0, len(content), max(1, len(content) // 40)):
            damaged = bytearray(content)
            damaged[at] ^= 4
            path.write_bytes(damaged)
            try:
                again = artefact.load(folder).state_dict()
            except ValueError:
                continue
            assert all((again[key] == value).all() for key, value in good.items()), (path, at)
        path.write_bytes(content)


def test_a_flipped_weight_is_refused_with_the_file_s_name(folder):
    path = next(folder.glob("model-*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        artefact.load(folder)


@breaks("inference/artefact.py", "if before == _version(folder):", "if True:")
def test_a_model_that_training_replaces_meanwhile_is_read_again(folder, monkeypatch):
    """A save between two reads takes away the weights that the first one named."""
    other = wake(build("vae"), scale=0.2)
    real = artefact.sha256

    def saved_meanwhile(path):
        monkeypatch.undo()
        artefact.save(folder, "vae", other, other.state_dict(), source="later")
        return real(path) if path.exists() else "gone"

    monkeypatch.setattr(artefact, "sha256", saved_meanwhile)
    model, facts = artefact.load_with_facts(folder)
    assert facts["source"] == "later"
    kept = model.state_dict()
    assert all(
        (value == kept[key]).all() for key, value in other.state_dict().items() if key in kept
    )


def test_weights_of_another_config_are_refused(folder):
    content = read_sealed(folder / "config.json")
    content["config"]["channels"] = 3 if content["config"]["channels"] == 1 else 1
    write_sealed(folder / "config.json", content)
    with pytest.raises(ValueError, match="do not fit"):
        artefact.load(folder)


def test_no_class_or_code_can_be_named(folder):
    content = read_sealed(folder / "config.json")
    content["family"] = "os.system"
    write_sealed(folder / "config.json", content)
    with pytest.raises(ValueError, match="no family"):
        artefact.load(folder)


@breaks("inference/artefact.py", "path = inside(folder, name)", "path = folder / name")
@pytest.mark.parametrize("verb", [artefact.read, lambda run: artefact.copy(run, run / "a" / "b")])
def test_files_of_an_artefact_lie_in_it(tmp_path, folder, verb):
    mine = tmp_path.parent / "mine"
    mine.write_text("mine")
    content = read_sealed(folder / "config.json")
    content["files"]["../mine"] = sha256(mine)
    write_sealed(folder / "config.json", content)
    with pytest.raises(ValueError, match="no plain name"):
        verb(folder)


def test_an_empty_folder_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="holds no trained model"):
        artefact.load(tmp_path)


def test_saving_again_leaves_one_set_of_weights(folder):
    model = wake(build("vae"), 0.2)
    artefact.save(folder, "vae", model, model.state_dict())
    assert len(list(folder.glob("model-*"))) == 1


def reseal(folder, **values):
    write_sealed(folder / "config.json", {**read_sealed(folder / "config.json"), **values})


def test_an_artefact_neither_reads_nor_writes_outside_of_its_folder(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "set").mkdir()
    (home / ".bashrc").write_text("the user's own")
    (folder.parent / ".bashrc").write_text("another's")
    files = read_sealed(folder / "config.json")["files"]
    for name in ("../.bashrc", str(home / ".bashrc")):
        reseal(folder, files={**files, name: sha256(folder / name)})
        with pytest.raises(ValueError, match="no plain name"):
            artefact.copy(folder, home / "set" / "encoder")
        with pytest.raises(ValueError, match="no plain name"):
            artefact.load(folder)
    assert (home / ".bashrc").read_text() == "the user's own"
    assert not list((home / "set").iterdir())


def test_links_that_lead_out_of_an_artefact_are_refused(folder, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    for path in [p for p in folder.iterdir() if p.is_file() and p.name != "README.md"]:
        path.rename(away / path.name)
        path.symlink_to(away / path.name)
        with pytest.raises(ValueError, match=f"{path.name} is a link that leads out"):
            artefact.load(folder)
        path.unlink()
        (away / path.name).rename(path)
    assert artefact.load(folder)


WRONG = {
    "format": [None, True, 2, "1", [], "x" * 1000],
    "family": [None, 5, [], {}, "os.system"],
    "config": [None, [], "{}", {}],
    "files": [None, [], "abc", {}, {"dataset.json": 5}],
    "parts": [None, ["a"], 7, {"decoder": None}, {"../../x": "0" * 64}, {"decoder": "0" * 64}],
    "precision": ["../../x", [1], 5, "float8"],
    "progress": [None, [], {"seconds": "x"}],
    "data": [None, {"fit": "../x"}],
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in WRONG.items() for v in values])
def test_every_wrong_value_in_config_json_is_one_sentence(folder, key, value):
    reseal(folder, **{key: value})
    with pytest.raises(ValueError, match=r".") as caught:
        artefact.load(folder)
    assert len(str(caught.value)) < 1200 and "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["format", "family", "config", "files"])
def test_every_missing_key_of_config_json_is_one_sentence(folder, key):
    content = read_sealed(folder / "config.json")
    del content[key]
    write_sealed(folder / "config.json", content)
    with pytest.raises(ValueError, match=key):
        artefact.load(folder)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '{"labels": 5}',
        '{"labels": [[["x"], 1]]}',
        '{"labels": [[[0], 1]]}',
        '{"labels": [[[3, 0], 1]]}',
        '{"labels": [[[0, -2], 1]]}',
        '{"labels": [[[0, 0], -5]]}',
        '{"labels": [[[0, 0], 0]]}',
        '{"labels": [[[0, 0], 1000000000000000000000000000]]}',
    ],
)
def test_every_wrong_dataset_json_is_one_sentence(folder, text):
    (folder / "dataset.json").write_text(text)
    files = read_sealed(folder / "config.json")["files"]
    reseal(folder, files={**files, "dataset.json": sha256(folder / "dataset.json")})
    with pytest.raises(ValueError, match=r"dataset\.json"):
        artefact.load(folder)


def replace_weights(folder, content):
    files = read_sealed(folder / "config.json")["files"]
    name = next(name for name in files if name.startswith("model-"))
    (folder / name).write_bytes(content)
    reseal(folder, files={**files, name: sha256(folder / name)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v * float("nan"), "NaN or infinity"),
        (lambda v: v + float("inf"), "NaN or infinity"),
        (lambda v: v.double(), "is F64"),
        (lambda v: v.half(), "is F16"),
        (lambda v: v.long(), "is I64"),
        (lambda v: v.to(torch.complex64), "is C64"),
        (lambda v: v[:1], "fit the config"),
        (lambda v: v.flatten(), "fit the config"),
    ],
)
def test_weights_that_save_would_not_write_are_refused_by_name(folder, change, said):
    kept = tensors.read(next(folder.glob("model-*")))
    name = next(name for name, value in kept.items() if value.ndim > 1)
    replace_weights(folder, safetensors.torch.save({**kept, name: change(kept[name]).contiguous()}))
    with pytest.raises(ValueError, match=said) as caught:
        artefact.load(folder)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        (2**62).to_bytes(8, "little") + b"{}",
        (17 << 20).to_bytes(8, "little") + b"{" + b" " * (17 << 20) + b"}",
        (4).to_bytes(8, "little") + b"\xff\xfe{}",
    ],
)
def test_a_header_of_weights_that_is_none_is_refused(folder, content):
    replace_weights(folder, content)
    with pytest.raises(ValueError, match="damaged"):
        artefact.load(folder)


@pytest.mark.parametrize("name", ALL)
def test_a_config_cannot_ask_for_more_than_its_weights_give_reason_for(tmp_path, name):
    model = build(name)
    artefact.save(tmp_path, name, model, model.state_dict())
    assert artefact.load(tmp_path)
    honest = read_sealed(tmp_path / "config.json")["config"]
    for field in ("height", "features", "features_max", "width", "latent", "widths", "blocks"):
        was = honest.get(field)
        for lie in (2**18, 10**12):
            if isinstance(was, int | list) and was and not isinstance(was, bool):
                value = lie if isinstance(was, int) else [lie] * len(was)
                reseal(tmp_path, config={**honest, field: value})
                try:
                    again = artefact.load(tmp_path)
                except ValueError:
                    continue
                assert again.state_dict().keys() <= model.state_dict().keys()


@pytest.mark.parametrize("name", ALL)
def test_all_numbers_of_a_model_are_counted_while_it_is_built(name):
    with tensors.Budget({}) as budget:
        model = build(name)
    assert tensors.NUMBERS - budget.numbers >= sum(p.numel() for p in model.parameters())
    assert tensors.TENSORS - budget.tensors >= len(list(model.parameters()))


def nest(folder, depth):
    """An artefact with so many parts in each other."""
    if depth:
        nest(folder / "parts" / "p", depth - 1)
    part = {"p": sha256(folder / "parts" / "p" / "config.json")} if depth else {}
    artefact.save(folder, "gan", build("gan"), {}, progress={})
    reseal(folder, parts=part)


@breaks("inference/artefact.py", "tree(file.parent, depth + 1)", "tree(file.parent)")
def test_parts_are_read_once_and_only_so_deep(tmp_path, monkeypatch):
    nest(tmp_path, 3)
    seen = []
    reads = artefact.read_sealed
    monkeypatch.setattr(artefact, "read_sealed", lambda path: [seen.append(path), reads(path)][1])
    artefact.read(tmp_path)
    assert len(seen) == 4
    monkeypatch.setattr(artefact, "DEEPEST", 2)
    with pytest.raises(ValueError, match="parts inside 2 others"):
        artefact.load(tmp_path)


@breaks("inference/artefact.py", "len(labels) > MOST_ROWS", "False")
def test_more_rows_of_labels_than_are_ever_written_are_refused(folder):
    rows = [[[0] * len(build("gan").config.conditions), 1]] * (artefact.MOST_ROWS + 1)
    for labels, known in ((rows[1:], True), (rows, False), ([], True), (None, True)):
        (folder / "dataset.json").write_text(json.dumps({"labels": labels} if labels else {}))
        files = artefact.read_sealed(folder / "config.json")["files"]
        reseal(folder, files={**files, "dataset.json": sha256(folder / "dataset.json")})
        if known:
            artefact.load(folder)
        else:
            with pytest.raises(ValueError, match="4,097 rows of labels"):
                artefact.load(folder)
