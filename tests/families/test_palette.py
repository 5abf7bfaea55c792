import dataclasses

import pytest
import torch

from tests.support.kit import batch_for, build, changed, context, wake
from tests.support.sabotage import breaks
from zeuxis.core.fields import Field
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.families.palette import Palette, fold
from zeuxis.training import step

MAP = Field(name="source", kind="map", shape=(8, 8), classes=("a", "b", "c"))


def sources(rows=3):
    return torch.linspace(-0.8, 0.8, 64 * rows).reshape(rows, 1, 8, 8)


def translated(model, source, seed=0, **controls):
    noise = model.noise(Rng.for_images(seed, range(len(source))))
    with torch.no_grad():
        return model.translate(source, noise, {}, model.Controls(**controls))


@breaks("families/palette.py", "if not controls.steps:", "if False:")
def test_no_steps_give_the_mean_whatever_the_seed():
    model, source = wake(build("palette")), sources()
    mean = translated(model, source, steps=0)
    assert torch.equal(mean, translated(model, source, seed=1, steps=0))
    both = [model._mean(net, model.planes(source)).clamp(-1, 1) for net in model.means]
    assert (both[0] - both[1]).abs().mean() > 0.01
    assert torch.allclose(mean, torch.stack(both).mean(0), atol=0.02)


@breaks("sampling/any_size.py", "spread * field", "1.0 * field")
def test_samples_differ_by_seed_as_far_as_their_spread_allows():
    model, source = wake(build("palette")), sources()
    spreads = []
    for spread in (0.0, 0.5, 1.0):
        a, b = (translated(model, source, seed, spread=spread, churn=0) for seed in (0, 1))
        spreads.append((a - b).abs().mean().item())
    assert spreads[0] == 0 and 0 < spreads[1] < spreads[2]


@breaks("families/palette.py", "self._by_fold(planes_BKHW, FOLDS - 1 - fold_B)", "image_BCHW / 2")
def test_the_flow_learns_the_residual_of_the_network_that_has_not_seen_the_pair():
    """With networks that give a constant each, the residual's mean tells which one was asked."""
    model = build("palette")
    with torch.no_grad():
        for net, level in zip(model.means, (0.25, -0.5), strict=True):
            net.head.bias.fill_(level)
    batch = batch_for(model, n=8)
    losses = model.loss("flow", batch, context(8))
    level_B = torch.where(fold(batch["image"]) == 0, -0.5, 0.25)[:, None, None, None]
    expected = (batch["image"] - batch["source"] - level_B).mean((0, 2, 3))
    assert torch.allclose(losses["stat/shift"], expected, atol=1e-5)
    assert 0 < (fold(batch["image"]) == 0).sum() < 8


@breaks("families/palette.py", "torch.cat(found)[torch.argsort(order)]", "torch.cat(found)")
def test_each_network_is_trained_on_its_half_alone():
    model = wake(build("palette"))
    batch = batch_for(model, n=8)
    half = fold(batch["image"]) == 0
    one = {key: value[half] for key, value in batch.items()}
    model.loss("mean", one, context(len(one["image"])))["total"].backward()
    grads = [sum(p.grad.abs().sum() for p in net.parameters()) for net in model.means]
    assert grads[0] > 0 and grads[1] == 0
    assert torch.equal(fold(batch["image"].flip(3)), fold(batch["image"]))
    error = (model._mean(model.means[0], model.planes(one["source"])) - one["image"]).abs().mean()
    assert torch.allclose(model.loss("mean", one, context(len(half)))["total"], error)
    made = torch.stack(
        [
            model._mean(model.means[number], model.planes(source[None]))[0]
            for number, source in zip(fold(batch["image"]), batch["source"], strict=True)
        ]
    )
    error = (made - batch["image"]).abs().mean()
    assert torch.allclose(model.loss("mean", batch, context(8))["total"], error)


@breaks("objectives/flow.py", "if update < SETTLED:", "if update < 0:")
def test_the_residual_is_brought_to_unit_variance():
    model = build("palette")
    for update in range(4):
        losses = model.loss("flow", batch_for(model, seed=update), context(update=update))
        stats = {key: losses[key] for key in ("stat/shift", "stat/square")}
        model.update("flow", stats, context(update=update))
    batch = batch_for(model, n=64, seed=9)
    residual = batch["image"] - batch["source"]
    scaled = (residual - model.shift_C11) / model.scale_C11
    assert scaled.std().item() == pytest.approx(1, abs=0.1) and abs(scaled.mean()) < 0.1
    settled = model.shift_C11.clone()
    model.update("flow", {key: value + 1 for key, value in stats.items()}, context(update=64))
    assert torch.equal(model.shift_C11, settled)


@breaks("training/step.py", "not phase.start <= progress < phase.stop", "progress < phase.start")
@breaks("core/family.py", "math.ceil(self.stop * steps)", "steps")
def test_the_mean_is_trained_first_and_stands_still_while_the_flow_is():
    model = build("palette", mean=0.5)
    training = Palette.TRAINING.model_copy(update={"batch_size": 4, "steps": 4, "warmup": 0})
    state = step.start(model, training, torch.device("cpu"), "float32", Parallel())
    seen, rates = [], []
    for draw in range(4):
        batch = {
            key: ((value + 1) * 127.5).to(torch.uint8) for key, value in batch_for(model).items()
        }
        logged = step.train_step(state, lambda _, rows, batch=batch: batch)
        seen.append({name.split("/")[0] for name in logged})
        rates.append(state.optimisers["mean"].param_groups[0]["lr"])
        state.step = draw + 1
    assert seen == [{"mean"}, {"mean"}, {"flow"}, {"flow"}]
    assert rates[0] == training.lr and rates[1] == pytest.approx(0.51 * training.lr, rel=0.02)


@torch.no_grad()
def test_a_map_is_seen_one_hot_and_a_smaller_source_is_enlarged():
    model = wake(build("palette", source=MAP))
    ids = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    other = (ids + 1) % 3
    assert not torch.equal(translated(model, ids), translated(model, other))
    small = wake(build("palette", source=Field(name="source", kind="image", shape=(3, 4, 4))))
    assert translated(small, torch.rand(1, 3, 4, 4)).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"source": Field(name="source", kind="mask", shape=(8, 8))}, "source is a mask"),
        ({"height": 3}, "at least 4 pixels"),
    ],
    ids=str,
)
def test_what_it_cannot_learn_is_said(values, said):
    with pytest.raises(ValueError, match=said):
        changed(Palette.TINY, **values)


def test_a_phase_that_stops_ends_its_schedule_there():
    phase = Palette(Palette.TINY).phases()[0]
    assert phase.last(100) == 40 and dataclasses.replace(phase, stop=1.0).last(100) == 100


def test_mean_and_jumps_leave_the_flow_a_part_of_the_run():
    with pytest.raises(ValueError, match="together they must be below 1"):
        changed(Palette.TINY, mean=0.5, jumps=0.5)
