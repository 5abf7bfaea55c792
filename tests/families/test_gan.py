"""What is particular to the GAN: its losses, penalties, labels, networks and augmentation."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.support.kit import batch_for, build, changed, context, loader_for, new_images, wake
from tests.support.sabotage import breaks
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.families import get
from zeuxis.nn import spectral
from zeuxis.nn.augment import DRAWS, POLICIES, augment
from zeuxis.nn.condition import Told
from zeuxis.objectives import adversarial
from zeuxis.training import step

LOSSES = ("relativistic", "non_saturating", "hinge", "least_squares", "wasserstein")


def uniforms(n, seed=0, dtype=torch.float64):
    return torch.rand(n, DRAWS, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize(
    "loss, discriminator, generator",
    [
        ("relativistic", math.log1p(math.exp(-3)), math.log1p(math.exp(3))),
        ("non_saturating", math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)), 1.3132617),
        ("hinge", 0.0, 1.0),
        ("least_squares", 1.0, 2.0),
        ("wasserstein", -3.0, 1.0),
    ],
)
def test_losses_by_hand(loss, discriminator, generator):
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0])
    assert adversarial.discriminator_loss(loss, real, fake).item() == pytest.approx(discriminator)
    assert adversarial.generator_loss(loss, fake, real).item() == pytest.approx(generator)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_players_pull_the_verdict_apart(loss):
    real, fake = (torch.zeros(3, requires_grad=True) for _ in "rf")
    total = adversarial.discriminator_loss(loss, real, fake).sum()
    up, down = torch.autograd.grad(total, [real, fake], allow_unused=True)
    assert (up < 0).all() and ((down > 0).all() or loss == "least_squares")
    (lift,) = torch.autograd.grad(adversarial.generator_loss(loss, fake, real).sum(), fake)
    assert (lift < 0).all()


def test_relativistic_loss_without_reals_is_refused():
    with pytest.raises(ValueError, match="real"):
        adversarial.generator_loss("relativistic", torch.zeros(2))


def test_penalties_on_a_discriminator_with_a_known_gradient():
    image = torch.randn(4, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, dtype=torch.float64)
    verdict = (image.flatten(1) @ weight).square() / 2
    squared = adversarial.squared_gradient(verdict, image)
    expected = (image.flatten(1) @ weight).square() * weight.square().sum()
    assert torch.allclose(squared, expected)
    assert torch.allclose(adversarial.one_centred(squared), (expected.sqrt() - 1).square())
    flat = torch.zeros(2, requires_grad=True)
    (slope,) = torch.autograd.grad(adversarial.one_centred(flat).sum(), flat)
    assert torch.isfinite(slope).all()


@breaks("families/gan.py", "* config.penalty_every", "pass")
def test_a_lazy_penalty_is_as_strong_on_average_and_falls():
    model = wake(build("gan", classify=0.0, penalty_every=4, gamma=2.0, gamma_end=0.25))
    batch = batch_for(model)
    totals = {}
    for update, progress in ((0, 0.0), (0, 0.5), (1, 0.0), (4, 0.0)):
        terms = model.loss("discriminator", batch, context(update=update, progress=progress))
        totals[update, progress] = {key: value.item() for key, value in terms.items()}
    due, later, free = totals[0, 0.0], totals[0, 0.5], totals[1, 0.0]
    assert due["total"] - due["adversarial"] == pytest.approx(8 * due["penalty"], rel=1e-5)
    assert later["total"] - later["adversarial"] == pytest.approx(4 * later["penalty"], rel=1e-5)
    assert "penalty" not in free and free["total"] == free["adversarial"]
    assert totals[4, 0.0]["total"] == due["total"]


@pytest.mark.parametrize("penalty", ["zero_centred", "one_centred", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_with_every_penalty(loss, penalty):
    model = build("gan", loss=loss, penalty=penalty, augment=POLICIES, classify=0.5)
    training = Training(steps=3, batch_size=8)
    state = step.start(model, training, torch.device("cpu"), "bfloat16", Parallel())
    for _ in range(3):
        losses = step.train_step(state, loader_for(model.config))
        state.step += 1
    assert all(torch.isfinite(value) for value in losses.values()) and not state.skipped


@pytest.mark.parametrize("values", [{}, {"network": "dcgan"}, {"spectral_norm": True}])
def test_the_penalty_s_gradient_is_right_in_every_precision(values):
    """Double backward under bfloat16 autocast and in channels_last, against float64."""
    values = {"height": 16, "width": 12, "features": 32, "augment": POLICIES, **values}
    gradients = {}
    for precision in ("float64", "float32", "bfloat16"):
        model = wake(build("gan", **values), 0.02)
        kind = torch.float64 if precision == "float64" else torch.float32
        model = model.to(kind)
        if precision != "float64":
            model = model.to(memory_format=torch.channels_last)
        batch = batch_for(model, 8)
        batch["image"] = batch["image"].to(kind)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            penalty = model.loss("discriminator", batch, context(8, dtype=kind))["penalty"]
        assert penalty.dtype == kind
        chosen = [p for p in model.discriminator.viewer.parameters() if p.ndim == 4]
        grads = torch.autograd.grad(penalty, chosen)
        gradients[precision] = torch.cat([g.flatten().double() for g in grads])
    whole = gradients["float64"]
    assert torch.allclose(gradients["float32"], whole, rtol=1e-3, atol=1e-4 * whole.abs().max())
    assert torch.cosine_similarity(gradients["bfloat16"], whole, 0) > 0.99


@pytest.mark.parametrize("policy", [*[(p,) for p in POLICIES], POLICIES])
@pytest.mark.parametrize("channels", [1, 4])
def test_augmentation_has_two_right_derivatives(policy, channels):
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, channels, 3, 3, generator=generator, dtype=torch.float64)
    image.requires_grad_()
    change = lambda x: augment(x, uniforms(2), policy)  # noqa: E731
    assert gradcheck(change, image) and gradgradcheck(lambda x: change(x).square(), image)


def test_augmentation_changes_rows_apart_and_only_the_share():
    image = torch.rand(64, 3, 16, 16, dtype=torch.float64) * 2 - 1
    draws = uniforms(64)
    for policy in POLICIES:
        whole = augment(image, draws, (policy,))
        assert torch.equal(augment(image[5:6], draws[5:6], (policy,)), whole[5:6])
        assert not torch.equal(whole, image)
    half = augment(image, draws, POLICIES, 0.5)
    same = (half == image).flatten(1).all(1)
    assert torch.equal(same, draws[:, 0] >= 0.5)
    assert augment(image, draws, ()) is image


def test_translation_moves_whole_pixels_and_brings_in_grey():
    image = torch.arange(1.0, 65.0).view(1, 1, 8, 8)
    draws = torch.zeros(1, DRAWS)
    draws[0, 4:6] = torch.tensor([0.99, 0.5])  # down by one, not sideways
    moved = augment(image, draws, ("translation",))
    assert torch.equal(moved[..., 1:, :], image[..., :-1, :]) and (moved[..., 0, :] == 0).all()


def test_alpha_is_not_coloured():
    image = torch.rand(4, 4, 8, 8)
    changed_image = augment(image, uniforms(4, dtype=torch.float32), ("colour",))
    assert torch.equal(changed_image[:, 3], image[:, 3])
    assert not torch.equal(changed_image[:, :3], image[:, :3])


@pytest.mark.parametrize("network", ["residual", "dcgan"])
@pytest.mark.parametrize("shape", [(9, 23), (28, 28), (96, 64), (8, 128)])
def test_odd_and_oblong_sizes(network, shape):
    for patch in (1, 2, 4) if network == "residual" else (2,):
        model = build("gan", network=network, height=shape[0], width=shape[1], patch=patch)
        for phase in model.phases():
            model.loss(phase.name, batch_for(model, 2), context(2))["total"].backward()
        with torch.no_grad():
            assert new_images(model, Rng([1])).shape == (1, 1, *shape)


def test_a_projection_hears_every_attribute():
    model = wake(build("gan", classify=0.0), 0.1)
    hidden = model.discriminator(batch_for(model, 1)["image"]).expand(3, -1)
    verdict = model.discriminator.judge(hidden, {"label": torch.tensor([[0, 0], [0, 1], [1, 0]])})
    assert len(set(verdict.tolist())) == 3 and model.discriminator.classes is None


def test_the_classifier_ignores_unknown_labels():
    model = wake(build("gan", classify=1.0, drop_label=0.0))
    batch = dict(batch_for(model))
    batch["label"] = torch.full_like(batch["label"], -1)
    for phase in ("discriminator", "generator"):
        assert model.loss(phase, batch, context())["classify"] == 0


def test_spectral_norm_is_one_after_following():
    model = build("gan", spectral_norm=True)
    convs = [m for m in model.discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        for module in convs:
            module.parametrizations.weight.original.normal_()
    for _ in range(300):
        spectral.follow(model.discriminator)
    largest = [torch.linalg.matrix_norm(m.weight.flatten(1), 2).item() for m in convs]
    assert largest == pytest.approx([1.0] * len(convs), rel=1e-2)
    model.load_state_dict(before)
    model.update("generator", {}, context())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_truncation_scales_the_latent():
    model = wake(build("gan")).eval()
    noise = model.noise(Rng([3]))
    with torch.no_grad():
        half = model.generate(noise, {}, model.Controls(truncation=0.5))
        assert torch.equal(half, model.generate({"z": noise["z"] / 2}, {}, model.Controls()))
    with pytest.raises(ValueError):
        model.Controls(truncation=-1.0)


def test_an_unknown_augmentation_is_named():
    with pytest.raises(ValueError, match=r"blur.*cutout"):
        changed(get("gan").TINY, augment=("blur",))


@breaks("families/gan.py", "x = self.norm(x, next(styles), next(styles))", "x = leaky(x)")
def test_the_painter_stays_bounded_whatever_its_features():
    """Without norms a run fell apart: activations grew a thousandfold within 200 steps."""
    painter = wake(build("gan")).generator.painter
    given = torch.randn(8, painter.stem.in_features, generator=torch.Generator().manual_seed(1))
    calm = painter(given).abs().max()
    with torch.no_grad():
        painter.stem.weight.mul_(1000)
        painter.stem.bias.mul_(1000)
    assert painter(given).abs().max() < 2 * calm


@breaks("nn/strided.py", "full(x).tanh()", "full(x)")
def test_dcgan_ends_in_a_tanh():
    model = wake(build("gan", network="dcgan"), 2.0)
    image = model.generator(torch.randn(8, 4), Told(torch.randn(8, 4)))
    assert 0.9 < image.abs().max() <= 1
    assert model.loss("generator", batch_for(model), context())["beyond"] == 0


def test_a_fresh_generator_paints_no_checkerboard():
    """Neighbours within and across patches differ alike: nothing is at the pixel grid's period."""
    model = build("gan", height=32, width=32, features=32).eval()
    with torch.no_grad():
        image = new_images(model, Rng(range(16)))
    within = (image[..., 1:-1:2] - image[..., 0:-2:2]).abs().mean()
    spectrum = torch.fft.rfft2(image - image.mean((2, 3), keepdim=True)).abs().mean((0, 1))
    assert within < 0.2 * image.std() or spectrum[16, 16] < 0.05 * spectrum.max()
