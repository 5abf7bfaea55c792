"""What a live page reads of a run: a line for what matters, few for what repeats, never in the way."""

import math
from pathlib import Path

import pytest

from tests.support import worker
from tests.support.sabotage import breaks
from zeuxis.core import events
from zeuxis.core.events import Recorder, read_events
from zeuxis.core.progress import Event
from zeuxis.training import folder


@pytest.fixture
def clock(monkeypatch):
    """Seconds that tests turn."""
    now = [100.0]
    monkeypatch.setattr("zeuxis.core.events.time.monotonic", lambda: now[0])
    monkeypatch.setattr("zeuxis.core.events.time.process_time", lambda: now[0] / 2)
    return now


@pytest.fixture
def record(tmp_path, clock):
    """Records (seconds later, event) pairs; the lines."""

    def call(*told):
        recorder = Recorder(tmp_path / "events.jsonl")
        for seconds, event in told:
            clock[0] += seconds
            recorder(event)
        recorder.close()
        return list(read_events(tmp_path / "events.jsonl"))

    return call


def step(done, total=100, **numbers):
    return Event("step", done=done, total=total, numbers=numbers)


def test_lines_say_what_happened_how_fast_and_what_it_took(record):
    first, second, note = record(
        (0, step(10)), (4, step(30, loss=0.5, bad=math.nan)), (0, Event("note", "of a kind"))
    )
    assert {"kind": "step", "done": 10, "total": 100}.items() <= first.items()
    assert second["numbers"] == {"loss": 0.5, "bad": None}
    assert (second["rate"], second["cpu"]) == (5.0, 0.5) and "rate" not in first
    assert note["text"] == "of a kind" and "cpu" not in note
    assert first["time"] == pytest.approx(second["time"], abs=60) and first["time"] > 1e9
    if Path("/proc/self/statm").exists():
        assert 1e7 < second["memory"] < 1e12


@breaks(
    "core/events.py",
    "if event.kind in MANY:\n            self._before",
    "if True:\n            self._before",
)
def test_steps_are_a_line_a_second_and_all_else_is_told(record):
    told = [(0.25, step(done)) for done in range(12)]
    told += [(0, Event("prepare", "measuring", 1, 9)), (0, Event("prepare", "preparing", 1, 9))]
    told += [(0, Event("prepare", "measuring", 2, 9)), (0, Event("prepare", "measuring", 9, 9))]
    told += [
        (0, Event("saved", done=11, total=99)),
        (0, Event("saved", done=12, total=99)),
        (0, step(100)),
    ]
    seen = [(row["kind"], row["done"]) for row in record(*told)]
    assert seen[:3] == [("step", 0), ("step", 4), ("step", 8)]
    assert seen[3:6] == [("prepare", 1), ("prepare", 1), ("prepare", 9)]
    assert seen[6:] == [("saved", 11), ("saved", 12), ("step", 100)]


@breaks("core/events.py", "self._interval *= 2", "pass")
def test_a_long_run_is_thinned_out_and_keeps_its_notes(record, monkeypatch, tmp_path):
    monkeypatch.setattr(events, "LARGEST", 10_000)
    told = [(0, Event("note", "first"))] + [(1.0, step(done, 10**6)) for done in range(2000)]
    rows = record(*told)
    assert (tmp_path / "events.jsonl").stat().st_size <= 10_000
    assert rows[0]["text"] == "first" and rows[-1]["done"] > 1900
    steps = [row["done"] for row in rows[1:]]
    assert len(steps) > 25 and steps == sorted(steps) and steps[0] < 100
    assert steps[-1] - steps[-2] > 30  # seconds: the wait has grown, too
    notes = record(*((0, Event("note", str(i))) for i in range(1000)))
    assert (tmp_path / "events.jsonl").stat().st_size <= 10_000 and notes[-1]["text"] == "999"


@breaks("core/log.py", 'line = b"\\n" + line', "pass")
def test_what_a_kill_cut_costs_one_line(record, tmp_path):
    record((0, step(1)), (5, step(2)))
    path = tmp_path / "events.jsonl"
    others = b'\n[1]\n{"kind": "step"}\n\xff\n{"time": 1, "ki'
    path.write_bytes(path.read_bytes()[:-9] + others)
    assert [row["done"] for row in record((0, step(3)))] == [1, 3]
    assert not list(read_events(tmp_path / "none"))


def test_a_run_writes_them_and_its_log_and_model_do_not_know(tmp_path):
    worker.run("vae", tmp_path / "a", 3)
    rows = list(read_events(tmp_path / "a" / folder.EVENTS))
    assert [row["kind"] for row in rows].count("saved") == 3 and rows[-1]["done"] == 3
    (tmp_path / "b" / folder.EVENTS).mkdir(parents=True)  # cannot be written
    worker.run("vae", tmp_path / "b", 3)
    logs, models = (
        [sorted((tmp_path / run).glob(name))[0].read_bytes() for run in "ab"]
        for name in ("log.jsonl", "model-*")
    )
    assert logs[0] == logs[1] and models[0] == models[1]


def test_a_folder_that_is_no_run_gets_none(tmp_path):
    (tmp_path / folder.EVENTS).write_text("mine\n")
    (tmp_path / "thesis.doc").write_text("mine")
    with folder.opened(tmp_path, False, print, worker.Parallel()) as (_, tell):
        tell(Event("note", "told and not written"))
    assert (tmp_path / folder.EVENTS).read_text() == "mine\n"
