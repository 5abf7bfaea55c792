"""A run killed at any moment, saves included, and resumed ends on the same bits; no file is corrupt."""

import contextlib
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from tests.support import worker
from tests.support.kit import ALL
from tests.support.sabotage import breaks
from zeuxis.core.files import sha256
from zeuxis.inference import artefact
from zeuxis.training import checkpoint

FORKS = multiprocessing.get_context("forkserver")
STEPS = 10


@pytest.fixture(scope="module", autouse=True)
def server():
    """A process that has imported all that training needs: each run is a fork of it, ready at once."""
    families = (f"zeuxis.families.{name}" for name in ALL)
    FORKS.set_forkserver_preload(["tests.support.worker", "torch._dynamo", *families])


def start(name, folder, steps=STEPS, waits=0):
    process = FORKS.Process(target=worker.alone, args=(name, str(folder), steps, waits))
    process.start()
    return process


def ended(process):
    """The exit status, once it has ended."""
    process.join(timeout=60)
    return process.exitcode


def check_whole(folder):
    """Every finished file of the run is what was written."""
    saved = checkpoint.load(folder / "checkpoints")
    if (folder / "config.json").exists():
        artefact.load(folder)
    return saved.facts["step"] if saved else 0


def outcome(folder):
    """What must be the same bits: the whole state, the kept weights, the log."""
    state = checkpoint.load(folder / "checkpoints")
    weights = next(folder.glob("model-*.safetensors"))
    facts = {k: v for k, v in state.facts.items() if k != "seconds"}
    return state.tensors, facts, sha256(weights), (folder / "log.jsonl").read_bytes()


def kill_again_and_again(name, tmp_path, kills, seed):
    """Kill at random moments until `kills` kills have hit; returns the steps that were reached."""
    chance = random.Random(seed)
    straight = tmp_path / "straight"
    process = start(name, straight)
    began = time.perf_counter()
    assert ended(process) == 0
    seconds = time.perf_counter() - began
    hits = []
    while len(hits) < kills:
        folder = tmp_path / f"killed-{len(hits)}"
        while True:
            process = start(name, folder)
            time.sleep(chance.uniform(0, seconds))
            finished = process.exitcode is not None
            if finished:
                break
            os.kill(process.pid, signal.SIGKILL)
            ended(process)
            hits.append(check_whole(folder))
            if len(hits) % 3 == 0 or len(hits) >= kills:
                process = start(name, folder)
                assert ended(process) == 0
                break
        compare(outcome(straight), outcome(folder))
        assert not list(folder.rglob("*.tmp"))
    return hits


def compare(expected, found):
    assert expected[1:] == found[1:]
    assert set(expected[0]) == set(found[0])
    for key, value in expected[0].items():
        assert torch.equal(value, found[0][key]), key


@breaks("training/state.py", 'tensors |= {f"best/', 'tensors |= {} and {f"best/')
@breaks("training/loop.py", 'log.cut(saved.facts["log_bytes"], logged)', '""')
@pytest.mark.parametrize("name", ALL)
def test_three_kills(name, tmp_path):
    assert len(kill_again_and_again(name, tmp_path, kills=3, seed=1)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_twenty_kills(name, tmp_path, capsys):
    hits = kill_again_and_again(name, tmp_path, kills=20, seed=2)
    with capsys.disabled():
        print(f"\n{name}: {len(hits)} kills at steps {hits}, all ended on the same bits")


@breaks("training/state.py", "_laid_out_as(trained[index], value)", "value")
@pytest.mark.parametrize("name", ALL)
def test_stopped_by_ctrl_c_and_continued(name, tmp_path):
    folder = tmp_path / "a"
    process = start(name, folder, waits=3)
    while not (tmp_path / "a.waits").exists():
        assert process.exitcode is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):  # of an impatient user, who may be too late
        os.kill(process.pid, signal.SIGINT)
    ended(process)
    assert 3 <= check_whole(folder) < STEPS
    worker.run(name, folder, STEPS)
    worker.run(name, tmp_path / "b", STEPS)
    compare(outcome(tmp_path / "b"), outcome(folder))


@breaks("training/checkpoint.py", 'facts["sha256"] == sha256(path / "state.safetensors")', "True")
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    worker.run("vae", tmp_path / "a", 6)
    worker.run("vae", tmp_path / "b", 6)
    newest = max((tmp_path / "a" / "checkpoints").iterdir())
    content = bytearray((newest / "state.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (newest / "state.safetensors").write_bytes(content)
    assert check_whole(tmp_path / "a") == 5
    worker.run("vae", tmp_path / "a", 6)
    compare(outcome(tmp_path / "b"), outcome(tmp_path / "a"))


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    """The write fails in the middle: the state before it is whole, and the run continues later."""
    worker.run("vae", tmp_path / "b", 8)
    real, calls = os.fsync, iter(range(1000))

    def full(handle):
        if next(calls) == 40:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        worker.run("vae", tmp_path / "a", 8)
    monkeypatch.setattr(os, "fsync", real)
    assert 0 < check_whole(tmp_path / "a") < 8
    worker.run("vae", tmp_path / "a", 8)
    compare(outcome(tmp_path / "b"), outcome(tmp_path / "a"))


class Killed(BaseException):
    """What no code of ours catches."""

    @classmethod
    def now(cls, *args, **values):
        raise cls


def die_at(monkeypatch, number):
    """From the `number`-th change of the disk on none is made any more; returns how many were."""
    calls = []

    def mortal(real):
        def call(*args, **values):
            calls.append(real.__name__)
            if len(calls) > number:
                raise Killed
            return real(*args, **values)

        return call

    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
        monkeypatch.setattr(os, name, mortal(getattr(os, name)))
    return calls


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("never") / "run"
    with pytest.MonkeyPatch.context() as patch:
        calls = die_at(patch, 10**9)
        worker.run("gan", folder, 4)
    return outcome(folder), calls


def killed_at(number, expected, folder, monkeypatch):
    """Whether there were so many changes; the run that goes on is the one that was never killed."""
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        calls = die_at(patch, number)
        worker.run("gan", folder, 4)
    check_whole(folder)
    worker.run("gan", folder, 4)
    compare(expected, outcome(folder))
    weights = [path.name for path in folder.glob("model-*.safetensors")]
    assert weights == [artefact.weights(artefact.read(folder))]
    assert not [path for path in folder.rglob("*") if path.suffix == ".tmp" or path.name == ".lock"]
    return len(calls) > number


@pytest.mark.parametrize("share", [0.01, 0.5, 0.93, 0.96, 0.99])
def test_killed_at_a_change_of_the_disk(never_killed, tmp_path, monkeypatch, share):
    expected, calls = never_killed
    assert killed_at(int(share * len(calls)), expected, tmp_path / "run", monkeypatch)


@breaks("training/checkpoint.py", 'path.rename(path.with_name(path.name + ".tmp"))', "path")
def test_a_checkpoint_whose_removal_was_killed_is_none_any_more(tmp_path, monkeypatch):
    state = checkpoint.Checkpoint({"weight": torch.zeros(2)}, {"step": 0})
    for step in range(checkpoint.KEPT):
        checkpoint.save(tmp_path, step, state)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "rmdir", Killed.now)
        checkpoint.save(tmp_path, checkpoint.KEPT, state)
    assert checkpoint.load(tmp_path)
    assert len(list(tmp_path.iterdir())) == checkpoint.KEPT


@pytest.mark.slow
def test_killed_at_every_change_of_the_disk(never_killed, tmp_path, monkeypatch):
    expected, calls = never_killed
    number = 0
    while killed_at(number, expected, tmp_path / str(number), monkeypatch):
        number += 1
    assert number > 0.9 * len(calls)  # the first run may also fill caches
