"""The log of a run: what a crash did to it, and that its folder is still there."""

import json
import os
import shutil

import pytest

from tests.support import worker
from tests.support.kit import build, loader_for
from tests.support.sabotage import breaks
from zeuxis.core.log import Log, read_log
from zeuxis.core.settings import Training
from zeuxis.training import loop
from zeuxis.training.observers import Sheets

ROWS = [json.dumps({"step": step, "loss": 0.5}) + "\n" for step in (1, 2, 3, 4)]
WHOLE = "".join(ROWS)


@breaks("core/log.py", "if len(whole) == size:", "if True:")
@breaks("core/log.py", "if whole != content:", "if False:")
@pytest.mark.parametrize(
    "content, kept, said",
    [
        (WHOLE, ROWS[:3], ""),
        ("".join(ROWS[:3]), ROWS[:3], ""),
        (WHOLE + '{"step": 5, "lo', ROWS[:3], ""),
        ("".join(ROWS[:2]) + ROWS[2][:9], ROWS[:2], "lost the lines of steps 3 to 3"),
        ("".join(ROWS[:2]) + ROWS[2][:-1], ROWS[:2], "lost the lines of steps 3 to 3"),
        (ROWS[0], ROWS[:1], "lost the lines of steps 2 to 3"),
        (ROWS[0] + "\0" * 2 * len(ROWS[1]), ROWS[:1], "lost the lines of steps 2 to 3"),
        ("\0" * len(ROWS[0]) + ROWS[1] + ROWS[2], ROWS[2:3], "lost the lines of steps 1 to 2"),
        (
            ROWS[0] + "garbage\n" + ROWS[2] + ROWS[3],
            [ROWS[0], ROWS[2]],
            "lost the lines of steps 2",
        ),
        ("", [], "lost the lines of steps 1 to 3"),
        (None, [], "lost the lines of steps 1 to 3"),
    ],
    ids=range(11),
)
def test_a_log_is_cut_to_whole_lines_and_says_what_it_lost(tmp_path, content, kept, said):
    log = Log(tmp_path, writes=True)
    if content is not None:
        log.path.write_text(content)
    found = log.cut(len("".join(ROWS[:3])), logged=(1, 2, 3))
    assert (said in found) if said else not found
    assert (log.path.read_text() if log.path.exists() else "") == "".join(kept)
    log.write(4, {"loss": 0.5})
    assert [row["step"] for row in read_log(log.path)][-1] == 4


def test_readers_leave_out_what_is_no_line(tmp_path):
    bad = [b"\0" * 50, b"\xff\xfe{}", b"[" * 50_000, b"[1]", b'{"loss": 1}', b'{"step": "a"}', b"{"]
    (tmp_path / "log.jsonl").write_bytes(
        b"\n".join([*bad, b'{"step": 3, "loss": 1%s}' % (b"0" * 500)])
    )
    assert list(read_log(tmp_path / "log.jsonl")) == [{"step": 3, "loss": float("inf")}]
    assert not list(read_log(tmp_path / "none"))


@breaks("core/log.py", "os.fsync(file.fileno())", "pass")
def test_the_log_is_synced_before_a_checkpoint_knows_its_length(tmp_path, monkeypatch):
    log, synced = Log(tmp_path, writes=True), []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    assert log.sync() == 0
    log.write(1, {"loss": 0.5})
    assert log.sync() == log.path.stat().st_size and synced == [log.path.stat().st_ino]


def taken_away(folder, how):
    if how == "moved":
        folder.rename(folder.with_name("moved"))
    else:
        shutil.rmtree(folder)
    if how == "replaced":
        folder.mkdir()


@breaks("core/log.py", "os.path.samestat(folder.stat(), self._folder)", "True")
@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_training_stops_when_its_folder_is_taken_away(tmp_path, how):
    """It is not made again: a new one would hold no run.json and half a log."""

    def take_away(event):
        if event.kind == "saved" and event.done == 2:
            taken_away(tmp_path / "run", how)

    with pytest.raises(OSError, match="deleted, moved or replaced while it was trained"):
        worker.run("gan", tmp_path / "run", 6, watch=take_away)
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())
    if how == "moved":
        (tmp_path / "moved").rename(tmp_path / "run")
        worker.run("gan", tmp_path / "run", 6)
        worker.run("gan", tmp_path / "straight", 6)
        assert (tmp_path / "run/log.jsonl").read_text() == (
            tmp_path / "straight/log.jsonl"
        ).read_text()


@breaks("training/loop.py", "continue\n            self.log.check()", "continue")
def test_no_sheet_is_drawn_into_a_folder_that_is_gone(tmp_path):
    model, drawn = build("gan"), []
    training = Training(steps=4, batch_size=4, log_every=9, save_every=9, sheet_every=1)

    def sheet(average, at, check):
        drawn.append(at)
        shutil.rmtree(tmp_path / "run")

    with pytest.raises(OSError, match="deleted, moved or replaced"):
        watching = [Sheets(1, sheet)]
        loop.fit(
            "gan",
            model,
            loader_for(model.config, 4),
            training,
            tmp_path / "run",
            watched_by=watching,
        )
    assert drawn == [1]
