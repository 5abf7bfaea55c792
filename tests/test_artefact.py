"""An artefact says when it is not what was written."""

import pytest

from tests.kit import build, wake
from zeuxis import artefact
from zeuxis.disk import read_sealed, sha256, write_sealed


@pytest.fixture
def folder(tmp_path):
    model = wake(build("vae"))
    artefact.save(tmp_path, "vae", model, model.state_dict(), dataset={"labels": []}, source="x")
    return tmp_path


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
