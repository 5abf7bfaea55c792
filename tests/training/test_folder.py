"""The folder of a run: one training at a time, always this very run, nothing stale."""

import errno
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys

import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.core.errors import NotFound, Stopped
from zeuxis.core.files import write_sealed
from zeuxis.core.processes import Parallel
from zeuxis.training import checkpoint
from zeuxis.training.folder import LOCK, STOP, begin, opened, request_stop

REQUEST = {"family": "vae", "training": {"steps": 6}}
RUN = {"request": REQUEST, "plan": {"steps": 6}}
LONGER = {"family": "vae", "training": {"steps": 10}}


def entered(folder, request=REQUEST, fresh=False, processes=None):
    """Open and leave, what is fresh with a plan; the notes."""
    notes = []
    with opened(folder, fresh, notes.append, processes or Parallel()):
        begin(folder, request, notes.append, processes or Parallel())
        assert folder.is_dir()
        if fresh:
            write_sealed(folder / "run.json", RUN)
    return [note.text for note in notes]


def saved(folder, run=RUN):
    """A run's folder after its sixth step."""
    (folder / "checkpoints").mkdir(parents=True)
    facts = {"step": 6} if run is None else {"step": 6, "run": run}
    state = checkpoint.Checkpoint({"x": torch.zeros(3)}, facts)
    checkpoint.save(folder / "checkpoints", 6, state)
    write_sealed(folder / "run.json", RUN)
    (folder / "log.jsonl").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "left",
    [[], ["run.json.tmp"], ["model-0.safetensors.tmp", LOCK], [LOCK], [".DS_Store"]],
    ids=str,
)
def test_what_a_kill_while_planning_left_blocks_nothing(tmp_path, left):
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text("process")
    assert not entered(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {".DS_Store"}


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path):
    for name in ("thesis.doc", "draft.tmp", "README.md.tmp"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match="holds other files and no run"):
        entered(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"thesis.doc", "draft.tmp", "README.md.tmp"}


@breaks(
    "core/lock.py", "fcntl.flock(handle, fcntl.LOCK_EX", "(lambda *_: None)(handle, fcntl.LOCK_EX"
)
@breaks(
    "training/folder.py",
    "with _lock(folder):\n        folder.rename",
    "if True:\n        folder.rename",
)
@pytest.mark.parametrize("fresh", [False, True])
def test_nobody_else_trains_in_a_folder_or_moves_it_away_meanwhile(tmp_path, fresh):
    folder = saved(tmp_path / "run")
    with opened(folder, False, print, Parallel()):
        words = rf"is being trained by process {os.getpid()} on .*wait for it, stop it, or"
        with pytest.raises(ValueError, match=words):
            entered(folder, fresh=fresh)
        entered(
            folder, processes=Parallel(1, 1)
        )  # the other processes of one run wait for the first
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    entered(folder, fresh=fresh)
    assert not list(tmp_path.rglob(LOCK)) and (tmp_path / "run.1").exists() == fresh


def test_a_lock_vanishes_with_its_process_even_a_killed_one(tmp_path):
    code = (
        "import sys, time, pathlib; from zeuxis.core.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'it is in use'): print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / LOCK)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(ValueError, match=f"is being trained by process {process.pid} "):
            entered(tmp_path)
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK).exists() and not entered(tmp_path)
    assert not list(tmp_path.iterdir())


@breaks(
    "core/lock.py",
    "if _is(path, handle):\n                os.tr",
    "if True:\n                os.tr",
)
def test_a_lock_that_was_removed_and_made_again_is_not_two(tmp_path, monkeypatch):
    """Whoever waited for the file that the holder removes must lock the one that is there then."""
    real = fcntl.flock

    def removed_meanwhile(handle, how):
        real(handle, how)
        (tmp_path / LOCK).unlink()
        monkeypatch.undo()

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with opened(tmp_path, False, print, Parallel()):
        assert (tmp_path / LOCK).exists()
        with pytest.raises(ValueError, match="is being trained"):
            entered(tmp_path)


def test_a_file_system_without_locks_is_named_and_used(tmp_path, monkeypatch):
    def flock(handle, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert ["has no lock (No locks available)" in note for note in entered(tmp_path)] == [True]


@breaks("training/folder.py", "write_sealed(file, run)", "pass")
@breaks("training/folder.py", "if changed:", "if changed and not lost:")
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_run_json_is_written_anew_from_a_checkpoint(tmp_path, how):
    folder = saved(tmp_path / "run")
    before = (folder / "run.json").read_text()
    (folder / "run.json").unlink()
    if how == "damaged":
        (folder / "run.json").write_text(before.replace("6", "7"))
    with pytest.raises(ValueError, match="holds another run: training.steps was 6 and is now 10"):
        entered(folder, LONGER)
    notes = entered(folder)
    assert len(notes) == 1 and f"was {how} and is written anew from the last checkpoint" in notes[0]
    assert (folder / "run.json").read_text() == before and not entered(folder)


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_run_that_cannot_be_known_any_more_says_the_way_on(tmp_path, how):
    folder = saved(tmp_path / "run", run=None)  # a checkpoint of before they held it
    assert not entered(folder)
    (folder / "run.json").unlink()
    if how == "damaged":
        (folder / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"move it away \(`zeuxis train --fresh` does that\)"):
        entered(folder)
    assert len(entered(folder, fresh=True)) == 1
    assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_a_longer_run_is_pointed_to_the_weights_that_are_there(tmp_path):
    folder = saved(tmp_path / "run")
    with pytest.raises(
        ValueError, match="is now 10. Repeat its settings to continue it, give another --out"
    ):
        entered(folder, LONGER)
    (folder / "config.json").write_text(json.dumps({}))
    with pytest.raises(
        ValueError, match=f"go on from its weights with --from {folder} and another --out"
    ):
        entered(folder, LONGER)


@breaks("training/folder.py", "        _sweep(folder)\n", "")
def test_what_kills_left_half_written_goes_and_what_others_write_stays(tmp_path):
    folder = saved(tmp_path / "run")
    mine = ["model-12.safetensors.tmp", "README.md.9.tmp", "run.json.tmp", "config.json.9.tmp"]
    mine += [
        "samples/step-00000003.png.tmp",
        "checkpoints/step-00000007.tmp/state.json",
        "parts/a.tmp/x",
    ]
    theirs = ["report.json.9.tmp", "report.html.tmp", "samples/0003.png.tmp", "drawn/0001.png.tmp"]
    for name in mine + theirs:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("half")
    entered(folder)
    assert not [name for name in mine if (folder / name).exists()]
    assert all((folder / name).exists() for name in theirs)
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"step-00000006"}


@pytest.mark.parametrize("name", ["samples", "checkpoints", "log.jsonl"])
def test_a_run_is_not_continued_through_a_link_that_leads_out(tmp_path, name):
    run, mine = saved(tmp_path / "run"), tmp_path / "mine"
    if (run / name).exists():
        (run / name).rename(mine)
    else:
        mine.mkdir()
    (run / name).symlink_to(mine)
    with pytest.raises(ValueError, match=f"{name} is a link that leads out"):
        entered(run)


@breaks("training/folder.py", "_undo(folder, aside, tell)\n", "pass\n")
@pytest.mark.parametrize("fresh", [False, True])
def test_where_nothing_began_all_is_as_it_was(tmp_path, fresh):
    """Neither an empty folder after a mistyped source, nor an old run that is gone for nothing."""
    folder = tmp_path / "run"
    if fresh:
        saved(folder)
    before = sorted(tmp_path.rglob("*"))
    notes = []
    with pytest.raises(KeyError), opened(folder, fresh, notes.append, Parallel()):
        raise KeyError
    assert sorted(tmp_path.rglob("*")) == before
    assert [fresh and "again" in note.text for note in notes[1:]] == [True] * fresh


@breaks(
    "training/folder.py",
    "(folder / STOP).unlink(missing_ok=True)\n        try",
    "pass\n        try",
)
def test_a_request_to_stop_reaches_whoever_trains_there_and_nobody_later(tmp_path, monkeypatch):
    monkeypatch.setattr("zeuxis.training.folder.LOOK", 0.0)
    (tmp_path / STOP).touch()  # of a run that was killed before it saw it
    with opened(tmp_path, False, print, Parallel()) as (check, _):
        check()
        assert request_stop(tmp_path) == f"process {os.getpid()} on {platform.node()}"
        with pytest.raises(Stopped):
            check()
    assert not list(tmp_path.iterdir())


@breaks("core/lock.py", "    if host == platform.node():", "    if False:")
@pytest.mark.parametrize("left", [None, "process 99999999 on {}", "process x on {}", "mine"])
def test_where_nobody_trains_there_is_nothing_to_stop(tmp_path, left):
    if left is not None:  # what a kill leaves
        (tmp_path / LOCK).write_text(left.format(platform.node()))
    with pytest.raises(NotFound, match="nothing is being trained in .*nothing to stop"):
        request_stop(tmp_path)
    assert not (tmp_path / STOP).exists()


def test_a_process_of_another_machine_is_asked(tmp_path):
    (tmp_path / LOCK).write_text("process 99999999 on elsewhere")
    assert request_stop(tmp_path).endswith("elsewhere") and (tmp_path / STOP).exists()
