"""What a slow or busy machine changes: fewer samples, other threads, a note, and never the bits."""

import math

import numpy as np
import pytest
import torch

from tests.support.front import pictures, tiny, workshop, zeuxis
from tests.support.kit import able, build, loader_for
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis import train as train_family
from zeuxis.cli import verbs
from zeuxis.core import machine
from zeuxis.core.abilities import Generates
from zeuxis.core.settings import Data, Training
from zeuxis.evaluation import allowance, by_image, evaluate
from zeuxis.evaluation.allowance import Allowance
from zeuxis.inference import results
from zeuxis.inference.model import Model, load
from zeuxis.inference.results import Scores
from zeuxis.training import loop


@pytest.fixture
def clock(monkeypatch):
    """A time that only the test moves."""
    now = [1000.0]
    for name in ("monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(machine.time, name, lambda: now[0])
    return now


@pytest.fixture
def two_threads(monkeypatch):
    used = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: used[-1])
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    return used


# Threads


@breaks("core/machine.py", "yield seconds[set_threads(quicker(seconds))]", "yield seconds[usual]")
@pytest.mark.parametrize(
    "seconds, threads", [({1: 1.0, 2: 0.6}, 2), ({1: 1.0, 2: 1.1}, 2), ({1: 1.0, 2: 5.0}, 1)]
)
def test_sampling_and_measuring_take_the_quicker_threads(clock, two_threads, seconds, threads):
    def call():
        clock[0] += seconds[torch.get_num_threads()]

    with machine.quick_threads(call) as taken:
        assert torch.get_num_threads() == threads and taken == pytest.approx(seconds[threads])
        looked = clock[0] - 1000.0
    assert torch.get_num_threads() == 2
    once = sum(seconds.values())
    assert looked == pytest.approx(seconds[1] + once * (1 if threads == 1 else 2))


@pytest.mark.parametrize("name", able(Generates))
def test_samples_are_the_same_bits_at_one_thread_and_two(name, tmp_path):
    model = Model(build(name, conditional=False), {"family": name}, tmp_path)
    before = torch.get_num_threads()
    try:
        drawn = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(model.sample(3, seed=5).images)
    finally:
        torch.set_num_threads(before)
    assert (drawn[0] == drawn[1]).all()


# Measuring


@breaks("evaluation/allowance.py", "if count < asked:", "if False:")
@pytest.mark.parametrize(
    "cost, count", [(0.001, 2000), (0.02, 1000), (0.1, 250), (0.4, 64), (100.0, 32)]
)
def test_a_slow_machine_measures_fewer_samples_and_says_so(clock, cost, count):
    given = Allowance(30.0)
    assert given.samples(2000, lambda n: n * cost, shared=False) == count
    assert bool(given.notes) == (count < 2000)
    assert all(f"{count} samples" in note and "30 s" in note for note in given.notes)


@breaks("evaluation/allowance.py", "<= share * self.left()", "<= self.left()")
def test_classifiers_leave_room_for_themselves(clock):
    assert Allowance(30.0).samples(2000, lambda n: n * 0.012, shared=False) == 2000
    assert Allowance(30.0).samples(2000, lambda n: n * 0.012, shared=True) == 1000


def test_what_there_is_no_time_for_is_told_with_its_reason(clock):
    given = Allowance(10.0)
    assert given.affords(6.0)
    clock[0] += 5.0
    assert not given.affords(6.0) and "the 10 s for measuring" in given.short
    assert Allowance(None).affords(1e9) and Allowance(None).left() == math.inf


def test_a_second_call_is_timed_only_where_the_first_was_short(clock):
    for seconds, calls in ((0.5, 2), (3.0, 1)):
        made = []

        def call(seconds=seconds, made=made):
            made.append(1)
            clock[0] += seconds / len(made)

        assert allowance.duration(call) == seconds / calls and len(made) == calls


def test_likelihoods_are_of_as_many_images_as_there_is_time_for(clock, tmp_path):
    """As many as half of what is left allows; those of one batch are not computed twice."""
    calls = []

    class Slow:
        def score(self, images, labels, progress):
            calls.append(len(images))
            clock[0] += 2.0 * len(images) / 32
            return Scores(bits=np.arange(len(images)), kind="bound")

    images, labels = np.zeros((256, 2, 2, 1), np.uint8), np.zeros((256, 0), np.int64)
    for seconds, expected in ((None, [256]), (100.0, [32, 256]), (18.0, [32, 128]), (5.0, [32])):
        calls.clear()
        found = by_image._bits(Slow(), images, labels, Allowance(seconds), lambda done, total: None)
        assert calls == expected and len(found) == expected[-1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("budget")
    with workshop(folder / "cache"):
        photos = pictures(folder / "photos", count=40)
        words = dict(word.split("=") for word in tiny("vae")) | {"training.batch_size": "8"}
        events = []
        train_family(
            "vae",
            photos,
            out=folder / "run",
            steps=2,
            threads=1,
            evaluate=False,
            overrides=words,
            watch=events.append,
        )
    return folder / "run", photos, events


@breaks(
    "training/run.py",
    "            closing.first_report(folder, prepared, place.type, tell)\n",
    "            pass\n",
)
def test_a_first_report_is_there_before_anything_is_measured(run):
    folder, _, events = run
    page = (folder / "report.html").read_text()
    assert "Nothing has been measured yet" in page and "How good is it" not in page
    assert page.count("data:image/png;base64,") > 40
    assert not (folder / "report.json").exists()
    said = " ".join(event.text for event in events if event.kind == "note")
    assert str(folder / "report.html") in said and "step-00000002.png" in said


@breaks(
    "evaluation/evaluate.py",
    "*_notes(model, prepared, chosen), *allowance.notes]",
    "*_notes(model, prepared, chosen)]",
)
def test_the_report_tells_of_fewer_samples(run, monkeypatch):
    folder, photos, _ = run
    monkeypatch.setattr(evaluate, "duration", lambda call: 50.0)  # of 32 samples
    monkeypatch.setenv("ZEUXIS_CACHE", str(photos.parent / "cache"))
    model, prepared = load(folder), data.ensure(photos, Data())
    result = evaluate.evaluate(model, prepared, samples=64, seconds=20.0)
    assert result["facts"]["samples"] == 32
    assert any("measures 32 samples in the 20 s" in note for note in result["notes"])


# Drawing many


def test_many_images_are_announced(clock, tmp_path):
    said = []
    some = np.zeros((32, 16, 16, 3), np.uint8)
    verbs.announce(tmp_path, some, 1000, 3.2, lambda event: said.append(event.text))
    assert said == ["1,000 images: about 1.7 min to draw, 4 MiB on disk, 1 MiB of memory"]
    with pytest.raises(ValueError, match="MiB free"):
        verbs.announce(tmp_path, some, 10**15, 3.2, lambda event: None)


@breaks("cli/verbs.py", "count >= MANY and", "False and")
def test_few_images_are_not(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verbs, "MANY", 40)
    for count in (3, 40):
        assert zeuxis("sample", run[0], "--count", count, "--out", tmp_path / str(count)) == 0
        assert ("min to draw" in capsys.readouterr().err) == (count == 40)
        assert len(results.written(tmp_path / str(count))) == count


# The pace of training


@breaks("core/machine.py", "if now < SLOW * self._planned", "if True")
@breaks("core/machine.py", "self._said = True", "pass")
def test_a_run_that_becomes_slow_says_so_once_and_why(clock, two_threads, monkeypatch):
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (9.0, 1.0, 1.0))
    pace = machine.Pace(planned=0.1)
    assert not any(pace.note(0.3, 100) for _ in range(200))
    said = [note for _ in range(200) if (note := pace.note(0.8, 100))]
    assert len(said) == 1 and "8 times what was planned" in said[0]
    assert "load 9.0" in said[0] and "1.3 min" in said[0] and "Ctrl-C" in said[0]
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    pace = machine.Pace(planned=0.1, limit=60.0)
    [said] = [note for _ in range(20) if (note := pace.note(1.0, 300))]
    assert "0% of the time" in said and "at step 60 of the 300" in said


def test_nothing_planned_nothing_said(clock):
    pace = machine.Pace()
    assert not pace.note(1000.0, 5) and not pace.over()


@breaks("training/loop.py", "self.pace.over())", "0)")
def test_a_run_whose_time_is_over_is_saved_and_goes_on(tmp_path):
    """Steps of minutes that became slower: what is there is kept, and the end is the same bits."""
    training = Training(steps=6, batch_size=4, seed=3, save_every=100, probe_every=100)
    model = build("vae")
    loader = loader_for(model.config, 4)

    class Three(machine.Pace):
        left = 3

        def over(self):
            self.left -= 1
            return self.left < 0

    with pytest.raises(loop.OutOfTime, match=r"step 3 of 6; the state is saved"):
        loop.fit("vae", model, loader, training, tmp_path / "a", pace=Three())
    later = loop.fit("vae", build("vae"), loader, training, tmp_path / "a")
    straight = loop.fit("vae", build("vae"), loader, training, tmp_path / "b")
    for key, value in straight.state_dict().items():
        assert torch.equal(value, later.state_dict()[key])
