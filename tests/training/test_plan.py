"""What is decided before step 0, and what a clock has no say in."""

import dataclasses
import itertools
import json
import shlex

import pytest
import torch

from tests.support.front import pictures, tiny, workshop, zeuxis
from tests.support.kit import config_for, loader_for
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis import train as train_family
from zeuxis.core import machine
from zeuxis.core.processes import Parallel
from zeuxis.core.request import Request
from zeuxis.core.settings import Data, Training
from zeuxis.training import budget, run, step
from zeuxis.training.resolved import Resolved

CPU = torch.device("cpu")
SERVER = {"avx2": True, "avx512_f": True, "l2_cache_size": 1}


@breaks("core/machine.py", '"avx2": "float32"}', '"avx2": "bfloat16"}')
@pytest.mark.parametrize(
    "flags, precision",
    [
        ({**SERVER, "avx512_bf16": True, "amx_bf16": True}, "bfloat16"),
        ({**SERVER, "avx512_bf16": True, "amx_bf16": False}, "float32"),  # never measured
        ({"avx2": True}, "float32"),
        ({"neon": True, "bf16": True}, "float32"),  # unknown
        ({}, "float32"),
    ],
)
def test_the_processor_decides_the_precision(monkeypatch, flags, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert machine.precision(CPU) == precision


def test_other_devices_have_a_precision_too():
    assert machine.precision(torch.device("cuda")) == "float32"
    assert machine.precision(torch.device("mps")) == "float32"


class Clock:
    """Time that passes by `seconds` each time that somebody looks."""

    def __init__(self, seconds):
        self.ticks = itertools.count(step=seconds)

    def __call__(self):
        return next(self.ticks)


def planned(monkeypatch, clock, minutes=None, fixed=frozenset(), **values):
    training = Training(steps=30_000, batch_size=4, **values)
    config = config_for("vae")
    monkeypatch.setattr(budget.time, "perf_counter", clock)
    with monkeypatch.context() as patch:
        patch.setattr(step, "train_step", lambda state, loader: None)
        made = budget.make(
            "vae",
            config,
            training,
            loader_for(config, 4),
            CPU,
            Parallel(),
            minutes,
            probe=lambda average: None,
            sheet=lambda average: None,
            fixed=fixed,
        )
    return made


DECIDED = ("precision", "threads", "steps", "probe_every", "sheet_every")


@pytest.fixture
def two_threads(monkeypatch):
    """As if the machine had two threads, whose number nobody really changes."""
    used = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: used[-1])
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    return used


@pytest.mark.parametrize("fast", [False, True])
def test_with_steps_no_clock_decides_anything(monkeypatch, two_threads, fast):
    """However slow, and whether or not bfloat16 is done in hardware."""
    monkeypatch.setattr(machine, "fast_bfloat16", lambda device: fast)
    plans = [planned(monkeypatch, Clock(seconds)) for seconds in (0.01, 0.5, 30.0)]
    decided = [{name: getattr(one, name) for name in DECIDED} for one in plans]
    assert decided[0] == decided[1] == decided[2]
    assert decided[0]["probe_every"] == 1500 and decided[0]["sheet_every"] == 3750
    assert plans[0].seconds < plans[2].seconds
    assert two_threads[-1] == 2


def test_what_the_user_set_holds(monkeypatch, two_threads):
    fixed = frozenset(["probe_every", "sheet_every", "save_every"])
    for minutes in (None, 3.0):
        made = planned(
            monkeypatch, Clock(0.1), minutes, fixed, probe_every=7, sheet_every=8, save_every=9
        )
        assert (made.probe_every, made.sheet_every, made.save_every) == (7, 8, 9)


def by_threads(used, seconds):
    """A step's time by the threads in use, as a clock that train_step moves on."""
    now = [0.0]

    def train_step(state, loader):
        now[0] += seconds[used[-1]]

    return now, train_step


@breaks("core/machine.py", "return best if seconds", "return usual if seconds")
@breaks("training/budget.py", "way = ways[0] if minutes is None else", "way =")
@breaks("training/budget.py", 'and "threads" not in fixed', "")
@pytest.mark.parametrize(
    "seconds, fixed, minutes, threads, remark",
    [
        ({1: 0.10, 2: 0.06}, (), 3.0, 2, ""),
        ({1: 0.10, 2: 0.11}, (), 3.0, 2, ""),  # not clearly quicker
        ({1: 0.10, 2: 0.50}, (), 3.0, 1, "one is used"),
        ({1: 0.10, 2: 0.50}, ("threads",), 3.0, 2, ""),  # as the user said
        ({1: 0.10, 2: 0.50}, (), None, 2, "--threads 1 would be faster"),  # bits depend on them
    ],
)
def test_one_thread_is_taken_where_it_is_clearly_quicker(
    monkeypatch, two_threads, seconds, fixed, minutes, threads, remark
):
    now, train_step = by_threads(two_threads, seconds)
    monkeypatch.setattr(budget.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(machine, "fast_bfloat16", lambda device: False)
    config, training = config_for("vae"), Training(steps=100, batch_size=4)
    with monkeypatch.context() as patch:
        patch.setattr(step, "train_step", train_step)
        made = budget.make(
            "vae",
            config,
            training,
            loader_for(config, 4),
            CPU,
            Parallel(),
            minutes,
            fixed=frozenset(fixed),
        )
    assert made.threads == threads == two_threads[-1]
    assert made.seconds_per_step == pytest.approx(seconds[threads])
    assert remark in made.remark and bool(remark) == bool(made.remark)
    if minutes:
        assert 0.8 * 180 < made.steps * seconds[threads] < 180  # planning counts too


@breaks("training/budget.py", " - (time.perf_counter() - began) - looking", "")
def test_minutes_include_what_comes_before_a_first_report(monkeypatch, two_threads):
    now, train_step = by_threads(two_threads, {1: 0.2, 2: 0.1})
    monkeypatch.setattr(budget.time, "perf_counter", lambda: now[0])

    def takes(seconds):
        def look(average):
            now[0] += seconds

        return look

    config = config_for("vae")
    with monkeypatch.context() as patch:
        patch.setattr(step, "train_step", train_step)
        made = budget.make(
            "vae",
            config,
            Training(batch_size=4),
            loader_for(config, 4),
            CPU,
            Parallel(),
            5.0,
            probe=takes(2.0),
            sheet=takes(0.5),
        )
    probes, sheets = (-(-made.steps // n) for n in (made.probe_every, made.sheet_every))
    spent = made.steps * 0.1 + 2.0 * probes + 0.5 * sheets + 2 * 0.5 + 2
    assert probes >= 5 and sheets >= 5 and 0.9 * 300 < spent < 300
    assert made.seconds == pytest.approx(spent, rel=0.02)
    assert made.measuring_seconds == pytest.approx(0.2 * made.seconds, rel=0.05)


def test_measuring_has_bounds():
    assert (budget.LEAST_MEASURING, budget.MOST_MEASURING) == (10, 180)


@pytest.fixture
def quick(tmp_path):
    with workshop(tmp_path / "cache"):
        yield


def test_the_printed_command_gives_the_same_bits(quick, tmp_path):
    photos, notes = pictures(tmp_path / "my photos"), []
    first = train_family(
        "vae",
        photos,
        out=tmp_path / "a",
        minutes=0.04,
        seed=3,
        overrides=dict(word.split("=") for word in tiny("vae")) | {"training.batch_size": "8"},
        evaluate=False,
        watch=lambda event: notes.append(event.text),
    )
    [line] = [note for note in notes if note.startswith("to repeat this run bit for bit: ")]
    words = shlex.split(line.partition(": ")[2])
    assert zeuxis(*words[1:], "--no-evaluate", "--out", tmp_path / "b") == 0
    names = [{path.name for path in each.glob("model-*")} for each in (first, tmp_path / "b")]
    facts = json.loads((first / "config.json").read_text())
    assert names[0] == names[1]
    assert words[words.index("--steps") + 1] == str(facts["progress"]["steps"])
    assert facts["command"] in (first / "README.md").read_text()
    assert str(tmp_path) not in facts["command"] and " my-photos " in facts["command"]


@breaks("training/run.py", "for path in settings if path in told}", "for path in ()}")
def test_the_command_that_goes_with_a_model_names_files_and_not_where_they_lie(tmp_path):
    style, cls = str(tmp_path / "wave.jpg"), families.get("stylise")
    request = Request.read(
        {"family": "stylise", "source": tmp_path, "overrides": {"family": {"style": style}}}
    )
    resolved = Resolved(
        family="stylise",
        source="photos",
        dataset="",
        data=Data(),
        config=cls.TINY.model_copy(update={"style": style}),
        training=cls.TRAINING,
        minutes=None,
        keep="last",
        parent=None,
    )
    unused = dict.fromkeys(("prepared", "folder", "parts", "place", "processes", "tell", "check"))
    job = run.Job(request=request, resolved=resolved, **unused)
    numbers = dict.fromkeys((field.name for field in dataclasses.fields(budget.Plan)), 1)
    plan = budget.Plan(**{**numbers, "precision": "float32", "remark": ""})
    assert f"family.style={style} " in run._command(job, plan, shared=False)
    shared = run._command(job, plan, shared=True)
    assert (
        " photos " in shared and "family.style=wave.jpg" in shared and str(tmp_path) not in shared
    )


@breaks("training/run.py", "machine.set_threads(request.threads or planned.threads)", "pass")
def test_a_resumed_run_keeps_its_threads(quick, tmp_path):
    """Those of the plan, unless the user says otherwise; then a sentence says what that means."""
    photos, notes = pictures(tmp_path / "photos"), []
    words = dict(word.split("=") for word in tiny("vae")) | {"training.batch_size": "8"}

    def train(threads):
        notes.clear()
        train_family(
            "vae",
            photos,
            out=tmp_path / "run",
            steps=2,
            threads=threads,
            overrides=words,
            evaluate=False,
            watch=lambda event: notes.append(event.text),
        )
        return torch.get_num_threads(), any("other threads" in note for note in notes)

    before = torch.get_num_threads()
    try:
        assert train(1) == (1, False)
        torch.set_num_threads(2)
        assert train(None) == (1, False)
        assert train(2) == (2, True)
    finally:
        torch.set_num_threads(before)


def test_a_plan_of_before_threads_were_planned_still_loads(monkeypatch, two_threads):
    made = dataclasses.asdict(planned(monkeypatch, Clock(0.1)))
    for name in ("threads", "measuring_seconds", "remark"):
        del made[name]
    read = budget.read({"plan": made, "machine": {"threads": 2}})
    assert (read.measuring_seconds, read.threads) == (budget.MOST_MEASURING, 2)
    run = {"plan": made, "machine": {"threads": 2}}
    for wrong in ({}, {"plan": made}, {**run, "plan": 5}, {**run, "plan": {**made, "steps": "9"}}):
        with pytest.raises(ValueError, match="run.json holds no plan"):
            budget.read(wrong)
