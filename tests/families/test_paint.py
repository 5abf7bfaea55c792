import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.support.kit import batch_for, build, changed, context, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.fields import Field
from zeuxis.core.rng import Rng
from zeuxis.families.paint import Paint

MAP = Field(name="source", kind="map", shape=(8, 8), classes=("sea", "land", "sky"))


def painted(model, source, seed=0, **controls):
    noise = model.noise(Rng.for_images(seed, range(len(source))))
    with torch.no_grad():
        return model.translate(source, noise, {}, model.Controls(**controls))


@breaks("families/paint.py", "for side in (4, 2, 1)", "for side in (2, 1)")
@breaks("families/paint.py", "given = config.shown if is_map", "given = 64 if is_map")
@pytest.mark.parametrize(
    ("trained", "side", "most"), [(256, 256, 4e9), (64, 256, 4e9), (64, 64, 0.25e9)]
)
def test_a_pass_of_the_default_is_cheap_enough_to_be_live(trained, side, most):
    """150 classes cost no more than three."""
    classes = tuple(map(str, range(150)))
    source = Field(name="source", kind="map", shape=(trained, trained), classes=classes)
    with torch.device("meta"):
        config = Paint.Config(height=trained, width=trained, channels=3, source=source)
        model = families.build("paint", config)
        x, time = torch.zeros(1, 3, side, side), torch.zeros(1)
        ids = torch.zeros(1, side, side, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model.velocity(x, time, time, given_BKHW=model.given(ids))
    assert 0.5 * most < counter.get_total_flops() <= most


@breaks("families/paint.py", "source.clamp(-1, planes", "source.clamp(0, planes")
def test_unknown_places_of_a_map_are_shown_as_nothing():
    model = build("paint", source=MAP)
    shown = model.given(torch.tensor([[[-1, 0], [1, 2]]]))
    assert shown.shape == (1, 8, 2, 2) and not shown[..., 0, 0].any()
    assert len({tuple(shown[0, :, y, x].tolist()) for y in (0, 1) for x in (0, 1)}) == 4


@breaks("families/paint.py", "controls.steps <= controls.most_jumps", "controls.steps < 0")
@pytest.mark.parametrize("name", ["paint", "palette"])
@torch.no_grad()
def test_few_steps_are_the_copy_s_and_many_the_network_s(name):
    model = wake(build(name, jumps=0.5)).eval()
    source = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    asked = {
        "few": {"steps": 4},
        "one": {"steps": 1},
        "few by the network": {"steps": 4, "most_jumps": 3},
        "many": {"steps": 5},
    }
    before = {key: painted(model, source, **values) for key, values in asked.items()}
    for parameter in model.jumper.parameters():
        parameter.mul_(0.5)
    changed_by = {
        key
        for key, values in asked.items()
        if not torch.equal(painted(model, source, **values), before[key])
    }
    assert changed_by == {"few", "one"}


@breaks("families/palette.py", "controls.steps <= controls.most_jumps", "controls.steps < 0")
def test_the_same_of_palette():
    test_few_steps_are_the_copy_s_and_many_the_network_s("palette")


@breaks("families/paint.py", "ctx.progress < 1 - self.config.jumps", "True")
@breaks("families/palette.py", "ctx.progress < 1 - self.config.jumps", "True")
@pytest.mark.parametrize("name", ["paint", "palette"])
def test_the_copy_follows_the_network_until_it_is_distilled(name):
    model = wake(build(name, jumps=0.25))
    stem = model.jumper.stem.weight.detach().clone()
    stats = {"stat/shift": torch.zeros(3), "stat/square": torch.ones(3)}
    model.update("flow", stats, context(progress=0.8))
    assert torch.equal(model.jumper.stem.weight, stem)
    model.update("flow", stats, context(progress=0.7))
    assert torch.equal(model.jumper.stem.weight, model.net.stem.weight)
    assert [phase.name for phase in model.phases()][-2:] == ["flow", "jumps"]
    model.loss("jumps", batch_for(model, 8), context(8))["total"].backward()
    others = [p.grad for key, p in model.named_parameters() if not key.startswith("jumper")]
    assert all(grad is None for grad in others)
    assert all(p.grad is not None for p in model.jumper.parameters())


@breaks("families/paint.py", "* self.scale_C11 + self.shift_C11", "* self.scale_C11")
def test_an_untrained_one_paints_in_the_images_colours():
    model = build("paint", jumps=0.0)
    mean, deviation = torch.tensor([-0.6, 0.1, 0.4]), torch.tensor([0.1, 0.2, 0.05])
    stats = {"stat/shift": mean, "stat/square": deviation**2 + mean**2}
    model.update("flow", stats, context(update=0))
    made = painted(model, torch.zeros(64, 1, 8, 8), steps=8, churn=0)
    assert torch.allclose(made.mean((0, 2, 3)), mean, atol=0.02)
    assert torch.allclose(made.std((0, 2, 3)), deviation, rtol=0.1)


def test_seeds_give_other_pictures_and_a_source_of_another_shape_is_brought_to_the_image_s():
    model = wake(build("paint", source=MAP))
    ids = torch.randint(-1, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    assert (painted(model, ids) - painted(model, ids, seed=1)).abs().mean() > 0.01
    assert not torch.equal(painted(model, ids), painted(model, (ids + 1) % 3))
    small = wake(build("paint", source=changed(MAP, shape=(4, 4))))
    assert small.stride == 0 and painted(small, ids[:, :4, :4]).shape == (2, 3, 8, 8)
    large = small.placed(ids[:, :4, :4])
    assert torch.equal(large[:, ::2, ::2], ids[:, :4, :4])


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
        changed(Paint.TINY, **values)
