import math

import pytest
import torch

from tests.support.kit import batch_for, build, config_for, context, wake
from tests.support.sabotage import breaks
from zeuxis.core.fields import Field
from zeuxis.families.unpaired import Unpaired
from zeuxis.objectives.contrast import patch_contrast
from zeuxis.training import step

PASSES = ("contrast", "cycle")


def plain(**values):
    return wake(build("unpaired", conditional=False, **values))


def soft(rows=3, channels=3, side=8):
    """Images of a gradient each, (B, C, H, W) within half of the range."""
    slope = torch.linspace(-0.5, 0.5, side)
    sign = torch.tensor([1.0, -1.0, 0.3])[:rows, None, None, None]
    return (sign * slope).expand(rows, channels, side, side).contiguous()


@torch.no_grad()
@breaks("families/unpaired.py", "reversed(told) if controls.reverse else told", "told")
@breaks("families/unpaired.py", "(times[::-1], times)", "(times, times)")
def test_the_bridge_leads_back_to_where_it_began():
    model, image = plain(), soft()
    there = model.translate(image, {}, {}, model.Controls(steps=60))
    again = model.translate(there, {}, {}, model.Controls(steps=60, reverse=True))
    moved = (there - image).abs().mean()
    assert moved > 0.02 and (again - image).abs().mean() < moved / 10


@torch.no_grad()
@breaks("families/unpaired.py", "even(controls.steps, controls.strength)", "even(controls.steps)")
def test_less_strength_keeps_more_of_the_source():
    model, image = plain(), soft()
    moved = [
        (model.translate(image, {}, {}, model.Controls(strength=each)) - image).abs().mean()
        for each in (0.1, 0.5, 1.0)
    ]
    assert moved[0] < moved[1] < moved[2]


@torch.no_grad()
@breaks("families/unpaired.py", "label_BA if domain == TARGET", "label_BA if False")
def test_a_label_chooses_among_several_targets():
    model = wake(build("unpaired"))
    label = torch.tensor([[0, -1], [1, -1]])
    image = soft(1).expand(2, -1, -1, -1)
    made = model.translate(image, {}, {"label": label}, model.Controls())
    assert (made[0] - made[1]).abs().mean() > 1e-3
    same = model.translate(image, {}, {"label": label}, model.Controls(reverse=True, steps=4))
    assert same.shape == image.shape


@pytest.mark.parametrize("method", PASSES)
def test_generators_and_discriminators_take_turns(method):
    model = plain(method=method)
    trained = [id(p) for phase in model.phases() for p in step.parameters(model, phase)]
    assert sorted(trained) == sorted(id(p) for p in model.parameters())
    for phase in model.phases():
        model.zero_grad()
        model.loss(phase.name, batch_for(model), context(update=4))["total"].backward()
        for p in step.parameters(model, phase):
            assert torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0


@breaks("families/unpaired.py", '[:: 1 if way == "there" else -1]', "[::1]")
def test_each_discriminator_is_shown_its_own_domain():
    """The real images of "back" are the sources: what is given as an image has no gradient there."""
    model = plain(method="cycle")
    batch = batch_for(model)
    black = {**batch, "image": torch.full_like(batch["image"], -1)}
    there, back = (model.loss("discriminator", each, context(update=1)) for each in (batch, black))
    with torch.no_grad():
        real = model.critics["back"](batch["source"])
    fake = [model._pass("back", each["image"]).clamp(-1, 1) for each in (batch, black)]
    for found, each in zip((there, back), fake, strict=True):
        logits = model.critics["back"](each)
        expected = torch.nn.functional.softplus(-real).mean()
        expected = expected + torch.nn.functional.softplus(logits).mean()
        assert found["back"].item() == pytest.approx(expected.item(), rel=1e-5)


@breaks("objectives/contrast.py", "/ temperature", "")
@breaks("objectives/contrast.py", "source_BFhw)\n    )", "made_BFhw)\n    )")
def test_contrast_is_low_where_places_are_recognised():
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(2, 16, 8, 8, generator=generator)
    other = torch.randn(2, 16, 8, 8, generator=generator)
    place = torch.arange(64).expand(2, -1)
    same = patch_contrast(source, source, place, lambda x: x, 0.07)
    apart = patch_contrast(other, source, place, lambda x: x, 0.07)
    assert same < 0.05 and apart > math.log(64)
    turned = patch_contrast(source.flip(3), source, place, lambda x: x, 0.07)
    assert turned > math.log(64)  # every feature is there, but in another place


@breaks("families/unpaired.py", "source_BChw[:, :3].mean(1, keepdim=True)", "source_BChw[:, :1]")
@pytest.mark.parametrize(("channels", "made"), [(1, 3), (3, 1), (4, 3), (2, 3)])
def test_sources_are_brought_to_the_images_channels_and_size(channels, made):
    source = Field(name="source", kind="image", shape=(channels, 16, 16))
    model = build("unpaired", channels=made, source=source)
    given = torch.rand(1, channels, 16, 16)
    fitted = model.fitting(given)
    assert fitted.shape == (1, made, 8, 8)
    colours = given if channels == 1 else given[:, :3].mean(1, keepdim=True)
    assert fitted.mean().item() == pytest.approx(colours.mean().item(), abs=0.02)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: config_for("unpaired", True, method="cycle"), "take family.method=bridge"),
        (
            lambda: config_for("unpaired", source=Field(name="source", kind="map", shape=(8, 8))),
            "source is a map",
        ),
        (
            lambda: plain(method="contrast").translate(
                soft(), {}, {}, Unpaired.Controls(reverse=True)
            ),
            "one way only",
        ),
    ],
    ids=["classes", "map", "reverse"],
)
def test_what_a_method_cannot_do_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call()
