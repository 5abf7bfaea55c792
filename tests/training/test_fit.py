"""The loop: averages, schedules, guards, resuming."""

import dataclasses
import json

import pytest
import torch

from tests.support import worker
from tests.support.kit import build, loader_for
from tests.support.sabotage import breaks
from zeuxis.core.errors import Diverged
from zeuxis.core.family import Phase
from zeuxis.core.processes import Parallel
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.training import loop, step
from zeuxis.training.observers import Best, Scores, Sheets


def fresh(name="vae", **values):
    model = build(name)
    training = Training(**{"steps": 100, "batch_size": 4, "seed": 1, **values})
    return step.start(model, training, torch.device("cpu"), "float32", Parallel())


@breaks("training/step.py", "(step + 1) / warmup", "step / warmup")
def test_the_rate_rises_falls_and_ends_where_asked():
    training = Training(steps=1000, lr=1.0, warmup=100, final_lr=0.1)
    rates = [step.learning_rate(training, s) for s in range(1001)]
    assert rates[0] == pytest.approx(0.01) and max(rates) == rates[100] == 1.0
    assert rates[1000] == pytest.approx(0.1) and rates[550] == pytest.approx(0.55)
    cosine = training.model_copy(update={"decay": "cosine"})
    assert step.learning_rate(cosine, 550) == pytest.approx(0.55)


@breaks(
    "training/step.py",
    "step, steps = step - first, (training.steps if last is None else last) - first",
    "steps = training.steps",
)
def test_a_late_phase_may_have_a_schedule_of_its_own():
    """As if the steps that are left were its run; which steps these are depends on no rounding."""
    training = Training(steps=1000, lr=1.0, warmup=100, final_lr=0.1, decay="linear")
    late = Phase(name="late", modules=(), start=1 - 0.2, own_schedule=True)
    first = late.first(1000)
    assert first == 800
    rates = [step.learning_rate(training, s, first) for s in range(800, 1001)]
    alone = training.model_copy(update={"steps": 200})
    assert rates == [step.learning_rate(alone, s) for s in range(201)]
    assert dataclasses.replace(late, own_schedule=False).first(1000) == 0


@breaks("training/step.py", "follow(state)\n    return logged", "return logged")
def test_the_average_is_the_weighted_mean_of_the_weights():
    state = fresh(average=0.5, average_max=0.9)
    loader = loader_for(state.model.config, 4)
    key, p = next(iter(state.model.named_parameters()))
    expected = p.detach().clone()
    for i in range(5):
        step.train_step(state, loader)
        decay = min(0.9, 1 - 1 / max(1.0, 0.5 * (i + 1)))
        expected = decay * expected + (1 - decay) * p.detach()
        state.step += 1
    assert torch.allclose(dict(state.average.named_parameters())[key], expected, atol=1e-7)


@breaks(
    "training/step.py",
    'if norm <= state.knobs.get(f"limit/{phase.name}", sys.float_info.max):',
    "if True:",
)
def test_a_step_with_infinite_gradients_is_skipped_and_many_end_the_run():
    state = fresh()
    good = loader_for(state.model.config, 4)
    step.train_step(state, good)
    weights = {k: v.clone() for k, v in artefact.state(state.model).items()}
    with torch.no_grad():
        p = next(state.model.parameters())
        kept = p.clone()
        p.fill_(float("nan"))
    step.train_step(state, good)
    assert state.skipped == 1
    with torch.no_grad():
        p.copy_(kept)
    assert all(torch.equal(v, weights[k]) for k, v in artefact.state(state.model).items())
    with torch.no_grad():
        p.fill_(float("nan"))
    with pytest.raises(Diverged, match="lower training.lr"):
        for _ in range(step.MOST_SKIPS + 2):
            step.train_step(state, good)


def test_the_clip_bounds_the_gradient():
    torch.manual_seed(0)
    state = fresh(clip=1e-3)
    step.train_step(state, loader_for(state.model.config, 4))
    norm = torch.nn.utils.get_total_norm([p.grad for p in state.model.parameters()])
    assert norm.item() == pytest.approx(1e-3, rel=1e-2)


@breaks("training/observers.py", "score < best)", "score > best)")
def test_the_best_average_is_kept_when_asked(tmp_path):
    """The probe is worst at the end: the kept weights are those of its best step."""
    model = build("vae")
    training = Training(steps=6, batch_size=4, seed=3, probe_every=2, save_every=100)
    weights = {}

    def probe(average, at, check):
        weights[at] = {k: v.clone() for k, v in average.state_dict().items()}
        return {"score": float(at)}

    watching = [Scores(2, probe), Best(2)]
    kept = loop.fit(
        "vae", model, loader_for(model.config, 4), training, tmp_path, watched_by=watching
    )
    assert set(weights) == {2, 4, 6}
    for key, value in kept.state_dict().items():
        assert torch.equal(value, weights[2][key])
    assert artefact.read(tmp_path)["progress"]["step"] == 2


def test_sheets_come_at_their_own_pace_and_at_the_end(tmp_path):
    model, drawn = build("vae"), []
    training = Training(steps=5, batch_size=4, seed=3, sheet_every=2, save_every=100)

    def sheet(average, at, check):
        assert not average.training
        drawn.append(at)

    loop.fit(
        "vae", model, loader_for(model.config, 4), training, tmp_path, watched_by=[Sheets(2, sheet)]
    )
    assert drawn == [2, 4, 5]


def test_the_log_has_every_step_once(tmp_path):
    worker.run("vae", tmp_path, 7)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "norm" not in row] == list(range(1, 8))
    assert [row["step"] for row in rows if "norm" in row] == [5, 7]


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match="multiple of 3"):
        fresh(accumulate=3)


@breaks(
    "training/step.py",
    "draw = state.moment * per_step + (own if phase.own_batch else 0)",
    "draw = state.step * per_step",
)
@breaks("training/step.py", "state.updates[phase.name] += 1", "pass")
def test_a_family_with_its_own_batch_sees_other_images_in_that_phase():
    state, seen = fresh("gan"), []
    loader = loader_for(state.model.config, 4)
    for _ in range(2):
        step.train_step(state, lambda draw, rows: seen.append(draw) or loader(draw, rows))
        state.step += 1
    own = any(phase.own_batch for phase in state.model.phases())
    assert len(set(seen)) == (4 if own else 2)
    assert set(state.updates.values()) == {2}  # lazy terms count by it


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"step": "6"}, "holds no state of a run: step"),
        ({"updates": [1]}, "holds no state of a run: updates"),
        ({"best_step": None}, "holds no state of a run: best_step"),
        ({"tensors": {}}, "the state of another model"),
        ({"tensors": {"model/x": torch.zeros(1), "evil": torch.zeros(1)}}, "of another model"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_in_a_sentence(change, sentence):
    state = step.start(
        build("vae"), Training(batch_size=4), torch.device("cpu"), "float32", Parallel()
    )
    packed = state.pack()
    state.unpack(packed)
    tensors = change.pop("tensors", packed.tensors)
    with pytest.raises(ValueError, match=sentence):
        state.unpack(dataclasses.replace(packed, tensors=tensors, facts={**packed.facts, **change}))
