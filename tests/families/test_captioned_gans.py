"""Captions in the two GANs: what each player makes of them."""

import pytest
import torch

from tests.support.kit import batch_for, build, changed, context, wake
from tests.support.sabotage import breaks
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import Vocabulary

WORDS = Vocabulary.learn(["a red cat", "a blue dog"])
NAMES = ["gan", "stylegan"]


def made(name, **values):
    return wake(build(name, conditional=False, text=WORDS, **values))


def captioned(model, said):
    return {**batch_for(model, len(said)), "text": torch.from_numpy(WORDS.rows(said)).long()}


@breaks("families/gan.py", "(cost_B * differ_B).mean()", "cost_B.mean()")
@breaks("families/stylegan.py", "(cost_B * differ_B).mean()", "cost_B.mean()")
@pytest.mark.parametrize("name", NAMES)
def test_a_real_image_under_another_caption_is_a_fake(name):
    model = made(name, drop_label=0.0, matching=1.0)
    assert model.GROUP == 2 and made(name, matching=0.0).GROUP == 1
    same, others = ["a red cat"] * 4, ["a red cat", "a blue dog"] * 2
    found = [
        model.loss("discriminator", captioned(model, said), context()) for said in (same, others)
    ]
    assert found[0]["matching"] == 0 and found[1]["matching"] > 0
    weighted = type(model)(changed(model.config, matching=3.0))
    weighted.load_state_dict(model.state_dict())
    more = weighted.loss("discriminator", captioned(model, others), context())["total"]
    assert (more - found[1]["total"]).item() == pytest.approx(2 * found[1]["matching"].item())


@pytest.mark.parametrize("name", NAMES)
def test_a_discriminator_learns_which_caption_an_image_has(name):
    """Dark and bright images, and generated ones of neither caption."""
    model = made(name, drop_label=0.0, augment=(), picture=0.0)
    batch = captioned(model, ["a red cat", "a blue dog"] * 8)
    batch["image"] = torch.tensor([-1.0, 1.0]).repeat(8)[:, None, None, None].expand(-1, 1, 8, 8)
    optimiser = torch.optim.Adam(model.discriminator.parameters(), 1e-2)
    first = None
    for _ in range(40):
        losses = model.loss("discriminator", batch, context(16))
        first = losses["matching"].item() if first is None else first
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
    assert losses["matching"].item() < 0.3 * first


@breaks("families/gan.py", '"picture": config.picture', '"picture": 0.0')
@breaks("families/stylegan.py", "total + config.picture * error", "total")
@pytest.mark.parametrize("name", NAMES)
def test_a_generator_learns_the_mean_picture_of_a_caption(name):
    model = made(name, drop_label=0.0, picture=1.0)
    batch = captioned(model, ["a red cat", "a blue dog"] * 4)
    found = model.loss("generator", batch, context(8))
    more = type(model)(changed(model.config, picture=3.0))
    more.load_state_dict(model.state_dict())
    larger = more.loss("generator", batch, context(8))["total"]
    assert (larger - found["total"]).item() == pytest.approx(2 * found["picture"].item(), rel=1e-4)


@breaks("families/gan.py", '"variety": config.variety', '"variety": 0.0')
@breaks("families/gan.py", 'ctx.rng.normal("other", config.latent)', "z_BZ")
def test_images_to_one_caption_are_taught_to_differ():
    """Black and white images under one caption: what the energy score alone teaches a generator."""
    model = made("gan", drop_label=0.0, augment=(), picture=0.0, variety=1000.0)
    batch = captioned(model, ["a red cat"] * 16)
    batch["image"] = torch.tensor([-1.0, 1.0]).repeat(8)[:, None, None, None].expand(-1, 1, 8, 8)
    optimiser = torch.optim.Adam(model.generator.parameters(), 1e-2)
    for step in range(60):
        optimiser.zero_grad()
        model.loss("generator", batch, context(16, step=step))["total"].backward()
        optimiser.step()
    noise = model.noise(Rng(list(range(32))))
    cond = {"text": torch.from_numpy(WORDS.rows(["a red cat"] * 32)).long()}
    with torch.no_grad():
        level_B = model.eval().generate(noise, cond, model.Controls()).mean((1, 2, 3))
    assert level_B.std() > 0.4


@breaks("families/gan.py", " if self.upon_mean else image_BCHW", "")
@breaks("nn/condition.py", "image_BCHW + F.interpolate(", "F.interpolate(")
@torch.no_grad()
def test_a_gan_makes_what_differs_from_the_mean_picture():
    """But not where images tile: a mean picture has seams."""
    told = {}
    for tileable in ("none", "x"):
        model = made("gan", tileable=tileable).eval()
        given = {"text": torch.from_numpy(WORDS.rows(["a red cat"])).long()}
        told = model.generator.conditioner(given)
        whole = model.generator(torch.zeros(1, 4), told)
        painted = model.generator(torch.zeros(1, 4), told._replace(picture_BCHW=None))
        added = told.picture_BCHW if tileable == "none" else torch.zeros(1, 1, 8, 8)
        assert torch.allclose(whole - painted, added, atol=1e-6)


@breaks("families/stylegan.py", "self._told(cond, noise", "self._told({}, noise")
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_sample_depends_on_its_own_caption_only(name):
    model = made(name).eval()
    noise = model.noise(Rng([5, 6]))
    said = torch.from_numpy(WORDS.rows(["a red cat", "a blue dog"])).long()
    both = model.generate(noise, {"text": said}, model.Controls())
    swapped = model.generate(noise, {"text": said.flip(0)}, model.Controls())
    alone = {key: value[1:] for key, value in noise.items()}
    one = model.generate(alone, {"text": said[1:]}, model.Controls())
    assert torch.allclose(both[1:], one, atol=1e-5)
    assert ((both - swapped).abs().amax((1, 2, 3)) > 1e-4).all()
