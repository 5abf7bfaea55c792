"""What observers answer is done, written down first, and the same after a stop."""

import json

import pytest
import torch

from tests.support.kit import build, loader_for
from tests.support.sabotage import breaks
from tests.training.test_crash import compare, outcome
from zeuxis.core.errors import Stopped
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.training import checkpoint, loop
from zeuxis.training.observers import Keep, Log, Observer, Rollback, Scores, Set, Stop

STEPS = 12


class Scripted(Observer):
    """Answers by the step, each line of its script once."""

    name = "scripted"

    def __init__(self, script, every=1):
        super().__init__(every)
        self.script, self.views = script, []

    def see(self, view):
        self.views.append(view)
        assert len(self.views) < 9 * STEPS  # else a rollback that is forgotten goes on for ever
        done = view.memory.setdefault("done", [])
        if view.step in self.script and view.step not in done:
            done.append(view.step)
            yield from self.script[view.step]


def run(folder, *watching, stop_at=None, name="vae", save_every=5):
    """Train, ended by a request at a step if there is one."""

    def check():
        if stop_at is not None and told and told[-1] >= stop_at:
            raise Stopped

    told = []
    model = build(name)
    training = Training(
        steps=STEPS, batch_size=4, seed=3, log_every=1, save_every=save_every, average=0.5
    )
    return loop.fit(
        name,
        model,
        loader_for(model.config, 4),
        training,
        folder,
        watched_by=watching,
        watch=lambda event: told.append(event.done) if event.kind == "step" else None,
        check=check,
    )


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses(folder):
    return [(row["step"], row["main/total"]) for row in rows(folder) if "main/total" in row]


SCRIPT = {
    2: [Set("lr", 0.5, "slower")],
    7: [Rollback(7, "back"), Set("lr", 0.25, "slower still")],
    9: [Rollback(2, "to the start")],
    11: [Keep(), Stop("enough")],
}


def test_an_observer_that_says_nothing_changes_nothing(tmp_path):
    run(tmp_path / "alone")
    run(tmp_path / "watched", Scripted({}))
    compare(*(outcome(tmp_path / name)[:1] for name in ("alone", "watched")))
    assert losses(tmp_path / "alone") == losses(tmp_path / "watched")


@breaks("training/loop.py", "state.memory[by] = memory", "pass")
@breaks("training/loop.py", "setattr(state, name, value)", "pass")
@breaks("training/loop.py", "checkpoint.drop(folder, before, state.back)", "pass")
@breaks("training/state.py", "self.step + self.attempt * self.training.steps", "self.step")
@breaks("training/loop.py", "state.ended or ", "")
def test_actions_are_taken_in_order_and_written_first(tmp_path):
    seen = Scripted(SCRIPT)
    run(tmp_path, seen)
    actions = [row for row in rows(tmp_path) if "action" in row]
    assert [(row["step"], row["action"], row["why"]) for row in actions] == [
        (2, "set", "slower"),
        (7, "rollback", "back"),
        (6, "set", "slower still"),
        (9, "rollback", "to the start"),
        (11, "stop", "enough"),
    ]
    assert [step for step, _ in losses(tmp_path)] == [*range(1, 8), *range(7, 10), *range(1, 12)]
    assert [view.attempt for view in seen.views] == [0] * 7 + [1] * 3 + [2] * 11
    assert seen.views[-1].knobs == {"lr": 0.25}
    first, again = losses(tmp_path)[6:8]
    assert first[0] == again[0] == 7 and first[1] != again[1]  # other data, other noise
    kept = artefact.read(tmp_path)
    assert (
        kept["finished"] and kept["progress"]["step"] == 11 and kept["progress"]["keep"] == "best"
    )


@breaks("training/loop.py", "== self.on_disk", "== (self.on_disk and (self.on_disk[0], now[1]))")
def test_a_run_that_is_stopped_as_it_goes_back_has_gone_back(tmp_path):
    with pytest.raises(Stopped):
        run(tmp_path, Scripted(SCRIPT), stop_at=7)
    facts = checkpoint.load(tmp_path / "checkpoints").facts
    assert (facts["step"], facts["attempt"]) == (6, 1)
    assert "rollback" in {row.get("action") for row in rows(tmp_path)}


@breaks("training/step.py", '* state.knobs.get("lr", 1.0)', "")
def test_a_learning_rate_of_zero_moves_nothing(tmp_path):
    class Remembers(Scripted):
        def see(self, view):
            flat = torch.cat([p.detach().flatten() for p in view.model.parameters()])
            self.weights.append(flat)
            return super().see(view)

    seen = Remembers({2: [Set("lr", 0.0, "still")], 4: [Set("lr", 1.0, "on"), Stop("enough")]})
    seen.weights = []
    run(tmp_path, seen)
    moved = [not torch.equal(*pair) for pair in zip(seen.weights, seen.weights[1:], strict=False)]
    assert moved == [True, False, False]


@pytest.mark.parametrize("at", [1, 3, 6, 8, 10, 11])
def test_stopped_and_gone_on_is_never_stopped(tmp_path, at):
    run(tmp_path / "straight", Scripted(SCRIPT))
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", Scripted(SCRIPT), stop_at=at)
    run(tmp_path / "stopped", Scripted(SCRIPT))
    straight, stopped = outcome(tmp_path / "straight"), outcome(tmp_path / "stopped")
    if straight[1]["step"] == stopped[1]["step"]:
        compare(straight, stopped)
    assert straight[2:] == stopped[2:]  # the weights that are left, and the log


def test_a_run_that_begins_anew_is_another_draw_of_the_same_start(tmp_path):
    class Remembers(Scripted):
        def see(self, view):
            self.starts.append({k: v.clone() for k, v in view.model.state_dict().items()})
            return super().see(view)

    seen = Remembers({1: [Rollback(1, "anew")]})
    seen.starts = []
    run(tmp_path, seen, name="gan")
    before, after = seen.starts[:2]
    assert [view.step for view in seen.views[:3]] == [1, 1, 2]
    assert any(not torch.equal(before[key], after[key]) for key in before)


@breaks("training/step.py", 'state.knobs.get(f"limit/{phase.name}", sys.float_info.max)', "1e9")
def test_a_step_beyond_the_limit_is_not_taken(tmp_path):
    seen = Scripted({2: [Set("limit/main", 0.0, "none")], 4: [Set("limit/main", 1e9, "all")]})
    run(tmp_path, seen)
    assert [view.skipped for view in seen.views[:6]] == [0, 0, 1, 2, 0, 0]


def test_scores_are_seen_by_those_who_come_later(tmp_path):
    class Reads(Observer):
        name, found = "reads", ()

        def see(self, view):
            self.found = (*self.found, dict(view.scores))
            yield Log({"twice": 2 * view.scores["score"]})

    reads = Reads(4)
    run(tmp_path, Scores(4, lambda average, step, check: {"score": float(step)}), reads)
    assert reads.found == ({"score": 4.0}, {"score": 8.0}, {"score": 12.0})
    assert [row["twice"] for row in rows(tmp_path) if "twice" in row] == [8.0, 16.0, 24.0]


@breaks("training/state.py", '"seen": looked', '"seen": {}')
def test_a_checkpoint_from_before_there_were_observers_goes_on(tmp_path):
    """Only its counters had other names."""
    folder = tmp_path / "checkpoints"
    run(tmp_path / "straight", Scores(4, lambda average, step, check: {"score": 1.0}))
    with pytest.raises(Stopped):
        run(tmp_path, Scores(4, lambda average, step, check: {"score": 1.0}), stop_at=8)
    saved = loop.checkpoint.load(folder)
    facts = {k: v for k, v in saved.facts.items() if k not in NEW} | {
        "probed": 8,
        "best_score": 1.0,
    }
    loop.checkpoint.save(folder, 8, loop.checkpoint.Checkpoint(saved.tensors, facts))
    run(tmp_path, Scores(4, lambda average, step, check: {"score": 1.0}))
    assert rows(tmp_path) == rows(tmp_path / "straight")


NEW = ("seen", "memory", "knobs", "attempt", "ended", "sha256")
