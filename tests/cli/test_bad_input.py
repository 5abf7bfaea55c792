"""Bad input gets one clear sentence and exit code 2: no traceback, and nothing lost."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.front import classes, pictures, tiny, workshop, zeuxis
from tests.support.sabotage import breaks
from zeuxis.core import files as disk
from zeuxis.core.pixels import save_png
from zeuxis.inference.model import load

STEPS = ["--steps", "4", "--threads", "1", "training.batch_size=8", "training.save_every=2"]
STEPS += ["training.precision=float32", *tiny("vae")]


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with workshop(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return classes(tmp_path_factory.mktemp("pets"), "cat", "dog")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pets):
    run = tmp_path_factory.mktemp("runs") / "pets"
    assert zeuxis("train", "vae", pets, "--out", run, *STEPS) == 0
    return run


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def refused(capsys, words, *expected):
    """The command ends with 2, and its one sentence has these parts."""
    capsys.readouterr()
    assert zeuxis(*words) == 2
    text = capsys.readouterr().err
    last = text.strip().splitlines()[-1]
    assert last.startswith("zeuxis: ") and "Traceback" not in text
    for part in expected:
        assert str(part) in last
    return last


def usage(capsys, words, *expected):
    """The command ends with 2 before it starts; the parser says why."""
    capsys.readouterr()
    assert zeuxis(*words) == 2
    text = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "Traceback" not in text
    for part in expected:
        assert part in text


# Sources


def nothing(folder):
    folder.mkdir()


def no_pictures(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("not a picture")


def one_picture(folder):
    pictures(folder, count=1)


def only_lies(folder):
    folder.mkdir()
    (folder / "holiday.png").write_text("<html>not a picture</html>")
    (folder / "beach.jpg").write_bytes(b"GIF89a" + bytes(40))


def a_file(folder):
    folder.write_text("words")


SOURCES = {
    "an empty folder": (nothing, ["no images"]),
    "no images": (no_pictures, ["no images"]),
    "one image": (one_picture, ["only 1 image", "2"]),
    "files that lie about their type": (only_lies, ["none of the 2 images", "beach.jpg"]),
    "a file of another kind": (a_file, ["source"]),
    "nothing there": (lambda folder: None, ["source"]),
}


@pytest.mark.parametrize("case", SOURCES)
@pytest.mark.parametrize("command", ["train", "prepare"])
def test_sources_that_hold_nothing_to_learn_from(case, command, tmp_path, capsys):
    make, expected = SOURCES[case]
    make(tmp_path / "source")
    words = {
        "train": ["train", "vae", tmp_path / "source", "--out", tmp_path / "out", *STEPS],
        "prepare": ["data", "prepare", tmp_path / "source", tmp_path / "out"],
    }
    refused(capsys, words[command], *expected)
    assert not (tmp_path / "out").exists()


def test_a_liar_among_honest_files_is_left_out_and_counted(tmp_path, capsys):
    source = pictures(tmp_path / "source")
    (source / "liar.png").write_text("not a picture")
    Image.effect_noise((8, 12), 90).convert("RGB").save(source / "a-jpeg.png", format="JPEG")
    assert zeuxis("data", "prepare", source, tmp_path / "out") == 0
    assert "25 usable, 1 left out" in capsys.readouterr().out


def test_mixed_sizes_are_brought_to_one_and_said(tmp_path, capsys):
    source = pictures(tmp_path / "source")
    save_png(source / "wide.png", np.random.default_rng(9).integers(0, 256, (40, 90, 3), np.uint8))
    assert zeuxis("data", "prepare", source, tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "8 x 12 (24), 90 x 40 (1)" in text and "64 x 64" in text


@contextlib.contextmanager
def ordinary_user():
    """Root may read everything; drop that for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that any user can reach (pytest's own cannot be)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def test_a_source_without_permission(open_folder, capsys):
    locked = pictures(open_folder / "locked")
    locked.chmod(0)
    with ordinary_user():
        words = ["data", "prepare", locked, open_folder / "out"]
        refused(capsys, words, "locked", "permission")
    locked.chmod(0o755)


def test_a_destination_without_permission(open_folder, capsys):
    source = pictures(open_folder / "pets")
    (open_folder / "locked").mkdir(mode=0o555)
    with ordinary_user():
        refused(capsys, ["data", "prepare", source, open_folder / "locked" / "out"], "locked")


# Words


TRAIN = {
    "an unknown family": (["train", "gam"], ["no family 'gam'", "'gan'"]),
    "an unknown room": (["train", "vae", "famly.beta=1"], ["famly.beta", "family"]),
    "an unknown key": (["train", "vae", "training.lrr=1"], ["training.lrr", "'lr'"]),
    "a word without a value": (["train", "vae", "training.lr"], ["training.lr", "NAME=VALUE"]),
    "a value of the wrong type": (["train", "vae", "training.lr=fast"], ["training.lr", "fast"]),
    "a value out of range": (["train", "vae", "training.batch_size=0"], ["training.batch_size", "0"]),
    "a setting that the data decides": (["train", "vae", "family.height=64"], ["data.size"]),
    "an unknown condition": (["train", "vae", "data.conditions=colour"], ["colour"]),
    "an unknown preset": (["train", "vae", "--preset", "best"], ["no preset 'best'"]),
    "minutes and steps": (["train", "vae", "--minutes", "1", "--steps", "9"], ["minutes and steps"]),
    "no minutes at all": (["train", "vae", "--minutes", "0"], ["minutes", "0"]),
    "a size that no family can do": (["train", "flow", "data.size=3x6"], ["3x6", "4 to 4096"]),
    "weights that are not there": (["train", "vae", "--from", "nowhere"], ["nowhere"]),
    "another family's weights": (["train", "flow", "--from", "TRAINED"], ["vae", "flow"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAIN)
def test_training_settings(case, trained, pets, tmp_path, capsys):
    (command, family, *rest), expected = TRAIN[case]
    rest = [trained if word == "TRAINED" else word for word in rest]
    words = [command, family, pets, "--out", tmp_path / "out", *rest]
    refused(capsys, words, *expected)
    assert not (tmp_path / "out").exists()


USAGE = {
    "an unknown option": (["train", "vae", "pets", "--minuts", "1"], ["--minuts", "--minutes"]),
    "an unknown device": (["train", "vae", "pets", "--device", "tpu"], ["'tpu'", "'cpu'"]),
    "a count of nothing": (["sample", "run", "--count", "0"], ["--count", "1"]),
    "an unknown fit": (["data", "prepare", "a", "b", "--fit", "squash"], ["'squash'", "'pad'"]),
    "an unknown command": (["trian"], ["trian"]),
    "no data to compare with": (["evaluate", "run"], ["--data"]),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case, capsys):
    words, expected = USAGE[case]
    usage(capsys, words, *expected)


def test_an_unknown_set(tmp_path, capsys):
    refused(capsys, ["data", "get", "mnst", tmp_path / "out"], "mnst")


def test_an_impossible_size(pets, tmp_path, capsys):
    words = ["data", "prepare", pets, tmp_path / "out", "--size", "1"]
    refused(capsys, words, "1x1", "4 to 4096")
    refused(capsys, [*words[:-1], "large"], "size", "large")


# Trained models


SAMPLE = {
    "an unknown label": (["--label", "cta"], ["'cta'", "'cat'"]),
    "an unknown condition": (["--label", "hair=red"], ["hair"]),
    "a condition twice": (["--label", "label=cat", "--label", "label=dog"], ["twice", "label=cat"]),
    "a sheet of another kind": (["--grid", "sheet.jpg"], ["sheet.jpg", ".png"]),
    "a sheet where a folder is": (["--grid", "FOLDER.png"], ["FOLDER.png", ".png"]),
    "an unknown control": (["stesp=3"], ["stesp"]),
}


@pytest.mark.parametrize("case", SAMPLE)
def test_sampling_settings(case, trained, tmp_path, capsys):
    words, expected = SAMPLE[case]
    (tmp_path / "FOLDER.png").mkdir()
    words = [tmp_path / word if word.startswith("FOLDER") else word for word in words]
    refused(capsys, ["sample", trained, "--out", tmp_path / "out", *words], *expected)
    assert not (tmp_path / "out").exists()


def test_samples_do_not_overwrite_other_files(trained, pets, capsys):
    before = sorted(pets.rglob("*"))
    refused(capsys, ["sample", trained, "--out", pets], "not samples", "--out")
    refused(capsys, ["sample", trained, "--out", pets / "cat" / "000.png"], "is a file", "--out")
    assert sorted(pets.rglob("*")) == before


def test_an_error_names_the_file_that_was_asked_for(trained, tmp_path, open_folder, capsys):
    (open_folder / "locked").mkdir(mode=0o555)
    model = shutil.copytree(trained, open_folder / "model")
    for path in [model, *model.rglob("*")]:
        path.chmod(0o755)
    sheet = open_folder / "locked" / "sheet.png"
    with ordinary_user():
        words = ["sample", model, "--out", open_folder / "out", "--grid", sheet]
        assert f"{sheet}: permission denied" in refused(capsys, words)


@pytest.mark.parametrize("command", [["sample"], ["evaluate", "--data", "PETS"]])
def test_a_folder_that_is_no_run(command, pets, capsys):
    words = [pets if word == "PETS" else word for word in command]
    refused(capsys, [*words, pets], "no trained model")
    refused(capsys, [*words, pets / "missing"], "no trained model")


def test_every_flipped_bit_is_noticed(copy, capsys):
    files = [path for path in copy.iterdir() if path.suffix in (".json", ".safetensors")]
    files = [path for path in files if path.name in disk.read_json(copy / "config.json")["files"]]
    for path in [copy / "config.json", *files]:
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            refused(capsys, ["sample", copy], path.name)
        path.write_bytes(whole)
    load(copy)


def test_a_folder_that_holds_another_run(copy, pets, capsys):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    again = ["train", "vae", pets, "--out", copy, *STEPS]
    refused(capsys, [*again, "training.lr=0.5"], "another run", "training.lr", "--fresh")
    refused(capsys, ["train", "gan", pets, "--out", copy], "another run", "family")
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_folder_that_holds_other_files(pets, capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("keep me")
    refused(capsys, ["train", "vae", pets, "--out", tmp_path, *STEPS], "other files", "--out")
    refused(capsys, ["train", "vae", pets, "--out", pets, *STEPS], "holds the images", "--out")
    assert (tmp_path / "notes.txt").read_text() == "keep me"


# A full disk


def full_after(writes):
    """A stand-in for `os.fsync` on a disk that fills up."""
    left = [writes]
    sync = os.fsync

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    return fsync


@pytest.mark.parametrize("writes", [0, 5, 9, 14])
def test_a_full_disk_while_training_loses_nothing(
    writes, trained, pets, tmp_path, monkeypatch, capsys
):
    words = ["train", "vae", pets, "--out", tmp_path / "run", *STEPS]
    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full_after(writes))
        refused(capsys, words, "full", "same command")
    assert zeuxis(*words) == 0
    expected, found = load(trained), load(tmp_path / "run")
    np.testing.assert_array_equal(expected.sample(4), found.sample(4))


def test_a_full_disk_while_sampling(trained, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full_after(3))
        refused(capsys, ["sample", trained, "--out", tmp_path / "out"], "full")
    assert zeuxis("sample", trained, "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 16


@breaks("cli/main.py", "text[:LONGEST]", "text")
def test_a_long_sentence_is_cut(capsys):
    last = refused(capsys, ["sample", "x" * 60_000])
    assert len(last) < 2100 and last.endswith("letters in all)")
