import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.support.kit import batch_for, build, changed, context, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.fields import Field
from zeuxis.families.pix2pix import Pix2Pix

SIDE = 256


def of_size(side, **values):
    source = Field(name="source", kind="image", shape=(3, side, side))
    return Pix2Pix.Config(height=side, width=side, channels=3, source=source, **values)


@breaks("families/pix2pix.py", "<= SMALL else 4", "<= SMALL else 2")
@pytest.mark.parametrize(("side", "most"), [(256, 4e9), (64, 1e9)])
def test_the_default_generator_is_cheap_enough_to_be_live(side, most):
    with torch.device("meta"):
        model = families.build("pix2pix", of_size(side))
        source = torch.zeros(1, 3, side, side)
    with FlopCounterMode(display=False) as counter:
        model.unbounded(source)
    assert 0.2 * most < counter.get_total_flops() <= most


@breaks("nn/plain.py", "nn.init.zeros_(self.head.weight)", "pass")
def test_it_starts_as_its_source():
    model, source = build("pix2pix"), torch.rand(2, 1, 8, 8)
    assert torch.equal(model.unbounded(source), source.expand(2, 3, 8, 8))
    assert model.stride == 4 and model.margin % 4 == 0


@breaks("nn/planes.py", "F.interpolate(source, size", "F.interpolate(source.flip(2), size")
def test_a_source_of_another_size_is_brought_to_the_image_s():
    source = Field(name="source", kind="image", shape=(3, 4, 4))
    model = build("pix2pix", source=source)
    small = torch.rand(1, 3, 4, 4)
    assert model.stride == 0
    large = torch.nn.functional.interpolate(small, (8, 8), mode="bilinear")
    assert torch.allclose(model.unbounded(small), large)


@breaks("nn/planes.py", "source[:, None] == ids_K11", "source[:, None] >= ids_K11")
def test_ids_are_seen_one_hot_and_unknown_ones_not_at_all():
    source = Field(name="source", kind="map", shape=(8, 8), classes=("a", "b", "c"))
    model = build("pix2pix", source=source)
    planes = model.planes(torch.tensor([[[0, 2], [-1, 1]]]))
    assert planes[0].tolist() == [
        [[1, 0], [0, 0]],
        [[0, 0], [0, 1]],
        [[0, 1], [0, 0]],
    ]
    with pytest.raises(ValueError, match="source is a mask"):
        changed(Pix2Pix.TINY, source=Field(name="source", kind="mask", shape=(8, 8)))


@breaks("families/pix2pix.py", "ctx.update % config.penalty_every == 0", "True")
@breaks("objectives/adversarial.py", "+ fooled + beyond(image_BCHW)", "+ fooled")
def test_with_a_discriminator_two_players_take_turns():
    model = wake(build("pix2pix", adversarial=0.1))
    assert [phase.name for phase in model.phases()] == ["discriminator", "generator"]
    terms = {}
    for phase in model.phases():
        model.zero_grad()
        losses = model.loss(phase.name, batch_for(model), context(update=4))
        losses["total"].backward()
        assert all(p.grad.abs().sum() > 0 for p in model.get_submodule(phase.name).parameters())
        terms[phase.name] = set(losses)
    assert terms["discriminator"] == {"total", "adversarial", "real", "fake", "penalty"}
    assert terms["generator"] == {"total", "error", "adversarial", "ratio"}
    assert "penalty" not in model.loss("discriminator", batch_for(model), context(update=5))
    with torch.no_grad():  # what lies beyond white costs, as the clamp gives no gradient there
        model.generator.head.bias += 2.0
    losses = model.loss("generator", batch_for(model), context())
    assert losses["total"] > losses["error"] + losses["adversarial"] + 0.1
