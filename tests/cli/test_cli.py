"""The front: commands, help, progress, and what they print. Bad input is in test_bad_input.py."""

import io
import json
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import zeuxis as library
from tests.support.front import classes, pictures, tiny, workshop, zeuxis
from tests.support.kit import ALL
from tests.support.sabotage import breaks
from zeuxis.cli import main, terminal
from zeuxis.core.errors import Diverged, Stopped
from zeuxis.core.lock import locked
from zeuxis.training import demo, recipes
from zeuxis.training import run as training
from zeuxis.training.loop import Event

STEPS = ["--steps", "4", "--threads", "1", "training.batch_size=8", *tiny("vae")]
COMMANDS = [
    ["demo"],
    ["train"],
    ["sample"],
    ["evaluate"],
    ["families"],
    ["compare-families"],
    ["reconstruct"],
    ["denoise"],
    ["complete"],
    ["translate"],
    ["vary"],
    ["encode"],
    ["decode"],
    ["interpolate"],
    ["score"],
    ["compress"],
    ["decompress"],
    ["data", "inspect"],
    ["data", "prepare"],
    ["data", "get"],
]


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with workshop(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return classes(tmp_path_factory.mktemp("pets"), "cat", "dog")


@pytest.fixture(scope="module")
def run(tmp_path_factory, pets):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    assert zeuxis("train", "vae", pets, "--out", folder, *STEPS) == 0
    return folder


# Help


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_examples(words, capsys):
    assert zeuxis(*words, "--help") == 0
    text = capsys.readouterr().out
    assert f"zeuxis {' '.join(words)}" in text.partition("Examples")[2]


def test_the_front_page_names_every_command(capsys):
    assert zeuxis("--help") == 0
    text = capsys.readouterr().out
    assert all(words[0] in text for words in COMMANDS)
    assert zeuxis("--version") == 0
    assert library.__version__ in capsys.readouterr().out


def test_the_labels_of_the_examples_are_those_of_the_demo(capsys):
    assert zeuxis("sample", "--help") == 0
    asked = re.findall(r"--label (\w+)=", capsys.readouterr().out)
    given = demo.settings(torch.device("cpu"))["data.conditions"]
    assert asked and set(asked) <= set(given.split(","))


def test_families_are_listed_with_abilities_conditions_and_presets(capsys):
    assert zeuxis("families") == 0
    text = capsys.readouterr().out
    for name in ALL:
        assert name in text and all(preset in text for preset in recipes.names(name))
    assert "generates" in text and "scores (bits/dim, bound)" in text and "classes" in text


# The working day: prepare, train, continue, sample


def test_the_same_command_continues_or_says_that_it_is_finished(run, pets, capsys):
    before = (run / "config.json").read_bytes()
    assert zeuxis("train", "vae", pets, "--out", run, *STEPS) == 0
    captured = capsys.readouterr()
    assert "is finished" in captured.err and "zeuxis sample" in captured.out
    assert (run / "config.json").read_bytes() == before


def test_fresh_sets_the_old_run_aside(run, pets, capsys):
    again = ["train", "vae", pets, "--out", run.parent / "again", *STEPS]
    assert zeuxis(*again) == 0 and zeuxis(*again, "--fresh") == 0
    assert (run.parent / "again.1" / "config.json").exists()
    assert (run.parent / "again" / "config.json").exists()


def test_a_run_starts_from_another_and_records_its_parent(run, pets, tmp_path):
    words = ["train", "vae", pets, "--from", run, "--out", tmp_path / "child", *STEPS]
    assert zeuxis(*words) == 0
    assert json.loads((tmp_path / "child" / "config.json").read_text())["parent"]


def test_samples_are_the_same_from_the_command_line_and_from_python(run, tmp_path, capsys):
    words = ["--count", 5, "--seed", 7, "--out", tmp_path / "out", "--label", "dog"]
    assert zeuxis("sample", run, *words, "--grid", tmp_path / "sheet.png") == 0
    files = sorted((tmp_path / "out").glob("*.png"))
    assert [file.name for file in files] == [f"{i:04d}.png" for i in range(5)]
    expected = library.load(run).sample(5, seed=7, labels="dog").images
    for file, image in zip(files, expected, strict=True):
        with Image.open(file) as opened:
            np.testing.assert_array_equal(np.asarray(opened), image)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > expected.shape[2]
    assert "5 images" in capsys.readouterr().out


def test_drawing_again_replaces_the_samples_and_nothing_else(run, tmp_path, capsys):
    assert zeuxis("sample", run, "--count", 5, "--out", tmp_path / "out") == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / "2024-holiday.png").write_text("mine")
    capsys.readouterr()
    assert zeuxis("sample", run, "--count", 2, "--out", tmp_path / "out") == 0
    assert "wrote 2 images" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    kept = ["2024-holiday.png", "metadata.jsonl", "notes.txt", "samples.json"]
    assert names == ["0000.png", "0001.png", *kept]


def test_the_command_on_a_model_s_card_runs(run, monkeypatch):
    card = (run / "README.md").read_text()
    monkeypatch.chdir(run)
    words = shlex.split(card.partition("Use: `")[2].partition("`")[0])[1:]
    assert zeuxis(*words) == 0


def test_what_is_printed_can_be_typed_again(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "my run [new]")
    terminal.show_trained(folder, "my photos")
    lines = capsys.readouterr().out.splitlines()
    assert f"Made  {folder}" in lines and f"  report   {folder}/report.html" in "\n".join(lines)
    commands = [shlex.split(line) for line in lines if line.startswith("  zeuxis")]
    assert [words[2] for words in commands] == [str(folder)] * 3
    assert commands[-1][-1] == "my photos"


def test_evaluate_measures_and_says_so_in_words(run, pets, capsys):
    assert zeuxis("evaluate", run, "--data", pets, "--samples", 16) == 0
    text = capsys.readouterr().out
    assert "How good it is" in text and "kernel distance" in text.lower()
    assert str(run / "report.html") in text.replace("\n", "")
    assert zeuxis("evaluate", run, "--data", pets, "--samples", 2) == 2


def test_prepare_tells_what_it_found(tmp_path, capsys):
    source = pictures(tmp_path / "source", count=10, size=(20, 16))
    out = tmp_path / "prepared"
    assert zeuxis("data", "prepare", source, out, "--size", "8x6", "--channels", 1) == 0
    text = capsys.readouterr().out
    assert "10 usable" in text and "6 x 8, 1 channels" in text and "zeuxis train" in text
    assert zeuxis("data", "prepare", source, tmp_path / "square", "--size", "16") == 0
    assert "16 x 16, 3 channels" in capsys.readouterr().out
    assert zeuxis("data", "inspect", source, "--out", tmp_path / "page") == 0
    assert "10 usable" in capsys.readouterr().out
    assert "data:image/png" in (tmp_path / "page" / "inspect.html").read_text()


# Progress


EVENTS = [
    Event("plan", "about 1 s", total=4),
    Event("note", "continuing at step 2 of 4"),
    Event("prepare", done=3, total=9),
    Event("probe", done=2, total=4, numbers={"kernel_distance": 0.0123}),
    Event(
        "step",
        done=3,
        total=4,
        numbers={"main/total": 0.5, "images_per_second": 321.0, "seconds_left": 70.0},
    ),
]
SHOWN = ["about 1 s", "continuing", "3/4", "321 images/s", "70 s left", "loss 0.5", "0.0123"]


def test_a_log_file_gets_plain_lines_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "EVERY", 0.0)
    with terminal.watching() as watch:
        for event in EVENTS:
            watch(event)
    text = capsys.readouterr().err
    assert all(word in text for word in SHOWN) and "\x1b" not in text


def test_plain_lines_are_few(capsys):
    with terminal.watching() as watch:
        for event in EVENTS[-1:] * 500:
            watch(event)
    assert not capsys.readouterr().err


@breaks("cli/runs.py", 'stopping(f"no longer follows {run}, which goes on"), ', "")
def test_who_stops_watching_is_told_that_the_run_goes_on(run, monkeypatch, capsys):
    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("zeuxis.training.runs.time.sleep", stop)
    with locked(run / ".lock", "it is being trained"):
        assert zeuxis("watch", run) == 130
    assert f"zeuxis: no longer follows {run}, which goes on" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch):
    text = io.StringIO()
    console = terminal._Console(file=text, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(terminal, "_console", lambda stderr=False: console)
    with terminal.watching() as watch:
        for event in EVENTS:
            watch(event)
    assert all(word in text.getvalue() for word in SHOWN)


@breaks(
    "cli/terminal.py",
    'in ("plan", "probe"):  # a plan begins another run\n            self._scores = event',
    '== "probe":\n            self._scores = event',
)
@breaks(
    "cli/terminal.py",
    'in ("plan", "probe"):  # a plan begins another run\n            self._scores = _scores',
    '== "probe":\n            self._scores = _scores',
)
@pytest.mark.parametrize("tty", [False, True])
def test_the_scores_of_one_run_are_not_shown_with_the_next(monkeypatch, tty):
    text = io.StringIO()
    console = terminal._Console(file=text, force_terminal=tty, width=120, color_system=None)
    monkeypatch.setattr(terminal, "EVERY", 0.0)
    monkeypatch.setattr(terminal, "_console", lambda stderr=False: console)
    with terminal.watching() as watch:
        for event in [*EVENTS, Event("note", "half of it")]:
            watch(event)
        of_the_first = len(text.getvalue())
        watch(Event("plan", "the second", total=4))
        watch(EVENTS[-1])
    assert "0.0123" in text.getvalue()[:of_the_first]
    assert "3/4" in text.getvalue()[of_the_first:]
    assert "0.0123" not in text.getvalue()[of_the_first:]


def test_only_the_first_process_speaks(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    zeuxis("families")
    assert not capsys.readouterr().out


# Endings


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Stopped("stopped at step 3 of 9; the same command goes on"), 130, "command goes on"),
        (Diverged("gradients were not finite"), 1, "not finite"),
        (ValueError("found 1,\nexpected 2"), 2, "found 1, expected 2"),
        (PermissionError(13, "Permission denied", "photos"), 2, "photos: permission denied"),
        (OSError(28, "No space left on device"), 2, "the disk is full"),
    ],
)
def test_known_endings_are_one_sentence(error, code, words, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(training, "train", fail)
    assert zeuxis("train", "vae", "pets") == code
    line = capsys.readouterr().err
    assert line.startswith("zeuxis: ") and words in line and line.count("\n") == 1


def test_a_defect_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: {}["missing"])
    with pytest.raises(KeyError):
        main.main(["train", "vae", "pets"])


def test_the_lazy_top_level():
    assert library.demo is demo.demo and "load" in dir(library)
    with pytest.raises(AttributeError, match="trian"):
        _ = library.trian
