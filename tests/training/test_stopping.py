"""Ctrl-C, SIGTERM and requests to stop: what is said, what is kept, and that a second one ends it at once."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support import worker
from tests.support.front import pictures, tiny, workshop, zeuxis
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis import train as train_family
from zeuxis.core.errors import Stopped
from zeuxis.core.progress import Event, interruptible, leaving, stopping, ticks
from zeuxis.inference import model
from zeuxis.training import budget, closing, demo, folder, loop
from zeuxis.training import run as training

WORDS = ["--steps", "3", "--threads", "1", "training.batch_size=8", *tiny("vae")]
OVERRIDES = dict(word.split("=") for word in WORDS if "=" in word) | {"training.log_every": "1"}


@pytest.fixture(autouse=True)
def quick(tmp_path):
    with workshop(tmp_path / "cache"):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("stopping")
    with workshop(place / "cache"):
        photos = pictures(place / "photos")
        assert zeuxis("train", "vae", photos, "--no-evaluate", "--out", place / "run", *WORDS) == 0
    return photos, place / "run"


def interrupt(*args, **kwargs):
    signal.raise_signal(signal.SIGINT)


def terminate(*args, **kwargs):
    signal.raise_signal(signal.SIGTERM)


STAGES = {
    "loading": (data, "ensure", "train", "what was saved before is complete"),
    "planning": (budget, "make", "train", "what was saved before is complete"),
    "first report": (closing, "first_report", "train", "what was saved before is complete"),
    "measuring": (closing.evaluation, "evaluate", "train", "holds the model and a first report"),
    "drawing": (model.Model, "images", "sample", "stopped while sampling"),
    "evaluating": (data, "ensure", "evaluate", "stopped while measuring"),
    "demo": (demo, "_avatars", "demo", "stopped"),
    "preparing": (data, "prepare", "prepare", "stopped while preparing"),
    "treating": (model.Model, "images", "reconstruct", "stopped while reconstructing"),
}


@breaks("core/progress.py", "raise Stopped(sentence) from None", "raise")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("ask", [interrupt, terminate])
def test_each_stage_says_what_is_kept_and_what_goes_on(
    stage, ask, run, tmp_path, monkeypatch, capsys
):
    photos, trained = run
    home, name, command, words = STAGES[stage]
    monkeypatch.setattr(home, name, ask)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    given = {
        "train": ["train", "vae", photos, "--out", tmp_path / "run", *WORDS],
        "sample": ["sample", trained, "--out", tmp_path / "drawn"],
        "evaluate": ["evaluate", trained, "--data", photos],
        "demo": ["demo", "--out", tmp_path / "demo"],
        "prepare": ["data", "prepare", photos, tmp_path / "set"],
        "reconstruct": ["reconstruct", trained, photos, "--out", tmp_path / "out"],
    }[command]
    assert zeuxis(*given) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("zeuxis: ") and words in said and "the same command" in said
    assert "Aborted" not in said
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_what_was_stopped_goes_on_by_the_same_command(tmp_path, monkeypatch):
    photos = pictures(tmp_path / "photos")
    command = ["train", "vae", photos, "--out", tmp_path / "run", *WORDS]
    for stage in ("planning", "measuring"):
        home, name, _, _ = STAGES[stage]
        with monkeypatch.context() as patch:
            patch.setattr(home, name, interrupt)
            assert zeuxis(*command) == 130
    assert (tmp_path / "run" / "report.html").exists()
    assert not (tmp_path / "run" / "report.json").exists()
    assert zeuxis(*command) == 0
    assert (tmp_path / "run" / "report.json").exists()


def at(kind, text=""):
    """Whether an event is of this moment of a run."""
    return lambda event: event.kind == kind and text in event.text


MOMENTS = {
    "preparing": (at("prepare", "preparing"), "what was saved before is complete"),
    "planning": (at("note", "being planned"), "what was saved before is complete"),
    "training": (at("step"), "stopped at step 1 of 3; the state is saved"),
    "measuring": (at("prepare", "measuring"), "holds the model and a first report"),
}


@breaks("training/run.py", '"preparing", check=check)', '"preparing")')
@breaks("training/loop.py", "interruptible(check)", "interruptible()")
@breaks("training/loop.py", "2 if is_asked(check) else", "0 if is_asked(check) else")
@breaks("training/closing.py", "seconds, check)", "seconds)")
@pytest.mark.parametrize(
    ("moment", "ask"), [*((moment, "a file") for moment in MOMENTS), ("training", "a call")]
)
def test_a_run_in_a_thread_ends_on_request_and_goes_on(moment, ask, tmp_path, monkeypatch):
    """No signal reaches a thread: another one, or another process, asks."""
    monkeypatch.setattr(folder, "LOOK", 0.0)
    (is_now, words), out, ended = MOMENTS[moment], tmp_path / "run", []
    asked = threading.Event()

    def watch(event):
        if is_now(event):
            asked.set() if ask == "a call" else folder.request_stop(out)

    def train(**more):
        try:
            ended.append(train_family("vae", photos, out=out, steps=3, threads=1, **more))
        except Stopped as stopped:
            ended.append(str(stopped))

    planned = budget.make

    def planning(*args):
        watch(Event("note", "being planned"))
        return planned(*args)

    photos = pictures(tmp_path / "photos")
    given = {"overrides": OVERRIDES, "evaluate": moment == "measuring"}
    with monkeypatch.context() as patch:
        patch.setattr(budget, "make", planning)
        thread = threading.Thread(
            target=train, kwargs={**given, "watch": watch, "stop": asked.is_set}
        )
        thread.start()
        thread.join()
    is_prepared = any((tmp_path / "cache").rglob("dataset.json"))
    assert is_prepared == (moment != "preparing")
    train(**given)
    assert words in ended[0] and "the same command" in ended[0]
    assert ended[1] == out and (out / "report.json").exists() == given["evaluate"]
    assert not (out / folder.STOP).exists()


def test_the_command_says_what_it_did(run, monkeypatch, tmp_path, capsys):
    photos, trained = run
    assert zeuxis("stop", trained) == 2
    assert "nothing is being trained" in capsys.readouterr().err
    monkeypatch.setattr(folder, "LOOK", 0.0)
    planned = budget.make

    def planning(*args):
        assert zeuxis("stop", tmp_path / "run") == 0
        return planned(*args)

    monkeypatch.setattr(budget, "make", planning)
    assert zeuxis("train", "vae", photos, "--out", tmp_path / "run", *WORDS) == 130
    said = capsys.readouterr()
    assert said.out.startswith(f"asked process {os.getpid()} on ") and "to continue" in said.err
    assert not (tmp_path / "run").exists()  # nothing had been decided


START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
class Ask:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Ask())
sys.argv = ["zeuxis", "families"]
from zeuxis.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("name", ["zeuxis.cli.main", "typer", "torch", "zeuxis.cli.terminal"])
def test_starting_up_ends_without_a_traceback(name):
    program = START.format(name=name)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.count("\n") == 1
    assert "stopped before anything was done" in done.stderr


@breaks("cli/main.py", "if came:  #", "if False:  #")
def test_an_import_that_fails_because_of_it_is_no_defect(monkeypatch, capsys):
    """C code that is interrupted while it imports says ImportError."""

    def broken(*args, **kwargs):
        try:
            interrupt()
        except KeyboardInterrupt:
            raise ImportError("numpy.core.multiarray failed to import") from None

    monkeypatch.setattr(training, "train", broken)
    assert zeuxis("train", "vae", "photos") == 130
    assert "stopped before anything was done" in capsys.readouterr().err


@breaks("core/progress.py", "signal.raise_signal(number)", "pass")
def test_the_first_is_a_request_and_the_second_goes_to_who_was_there_before():
    came = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        with interruptible() as check:
            check()
            interrupt()
            assert not came
            with pytest.raises(Stopped):
                check()
            interrupt()
            assert came == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


@breaks("core/progress.py", "signal.signal(each, signal.SIG_DFL)", "pass")
def test_a_second_one_ends_the_process():
    program = (
        "import signal\nfrom zeuxis.core.progress import leaving\n"
        "with leaving() as came:\n"
        "    try:\n        signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n        signal.raise_signal(signal.SIGINT)\n"
        "print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == -signal.SIGINT
    assert not done.stdout and not done.stderr  # no KeyboardInterrupt that went up


def test_the_second_in_training_leaves_without_saving(tmp_path):
    """What was saved before is the state that the same command goes on from."""

    worker.run("vae", tmp_path, 4)

    def twice(event):
        if event.kind == "step" and event.done == 6:
            interrupt()
            interrupt()

    model = worker.build("vae", conditional="all")
    training = worker.Training(
        steps=9, batch_size=4, seed=3, log_every=1, save_every=100, probe_every=100
    )
    loader = worker.loader_for(model.config, 4)
    with leaving(), pytest.raises(Stopped, match="stopped at once"):
        loop.fit("vae", model, loader, training, tmp_path, watch=twice)
    assert loop.checkpoint.load(tmp_path / "checkpoints").facts["step"] == 5


def test_stopping_lets_other_errors_through():
    with pytest.raises(ValueError, match="as it was"), stopping("kept"):
        raise ValueError("as it was")


@breaks("core/progress.py", "began, first = now, done", "pass")
def test_seconds_left_follow_the_pace_and_begin_anew(monkeypatch):
    now, events = [100.0], []
    monkeypatch.setattr("zeuxis.core.progress.time.monotonic", lambda: now[0])
    progress = ticks(events.append, "preparing")
    for seconds, done in ((0, 0), (2, 1), (4, 4), (1, 0), (3, 2)):
        now[0] += seconds
        progress(done, 10)
    left = [event.numbers.get("seconds_left") for event in events]
    assert left == [None, 18.0, 9.0, None, 12.0]
    bounded = ticks(events.append, "measuring", most=15.0)
    now[0] += 3
    bounded(1, 10)
    assert events[-1].numbers == {"seconds_left": 12.0}  # not 27
    assert {event.kind for event in events} == {"prepare"}
