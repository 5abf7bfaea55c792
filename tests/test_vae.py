"""The VAE against oracles: its levels are a distribution, its prior a density, its bound a bound."""

import math

import pydantic
import pytest
import torch

from tests.kit import batch_for, build, changed, context, wake
from zeuxis.families.vae import VAE, VAEControls
from zeuxis.objectives.likelihood import logistic_nats
from zeuxis.rng import Rng

LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("mean", [-30.0, -1.0, -0.3, 0.999, 4.0])
@pytest.mark.parametrize("log_scale", [-6.2, -3.0, 0.0, 3.0])
def test_the_256_levels_are_a_distribution(dtype, tolerance, mean, log_scale):
    nats = logistic_nats(
        LEVELS.to(dtype), torch.tensor(mean, dtype=dtype), torch.tensor(log_scale, dtype=dtype)
    )
    assert nats.isfinite().all() and (nats > -1e-6).all()
    assert (-nats).exp().sum().item() == pytest.approx(1, abs=tolerance)


def test_levels_have_the_probability_of_their_bins():
    mean, scale = torch.tensor(0.2, dtype=torch.float64), 0.07
    edge = (torch.arange(1, 256, dtype=torch.float64) - 0.5) / 127.5 - 1
    below = torch.sigmoid((edge - mean) / scale)
    expected = torch.diff(below, prepend=torch.zeros(1), append=torch.ones(1))
    nats = logistic_nats(LEVELS, mean, torch.tensor(math.log(scale), dtype=torch.float64))
    assert torch.allclose((-nats).exp(), expected, rtol=1e-9, atol=1e-15)


def test_far_off_pixels_have_finite_likelihood_and_gradient():
    mean = torch.tensor([-1e4, -3.0, 3.0, 1e4], requires_grad=True)
    log_scale = torch.tensor([-6.2], requires_grad=True)
    logistic_nats(torch.zeros(4), mean, log_scale).sum().backward()
    assert mean.grad.isfinite().all() and (mean.grad.abs() > 0).all()
    assert log_scale.grad.isfinite().all()


def tiny(**values):
    """A model in float64 whose latent is a plane, so that p(x) can be integrated on a grid."""
    model = wake(build("vae", **{"height": 4, "latent": 2, **values}), 0.1).double().eval()
    torch.nn.init.constant_(model.scale, 0.1)  # soft, so that the posterior is smooth
    return model


@torch.no_grad()
def test_the_prior_is_invertible_and_its_determinant_is_that_of_its_jacobian():
    prior = tiny(latent=6).prior
    given = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).double()
    z = torch.linspace(-2, 2, 6).double()[None]
    latent, log_det = prior.to_latent(z, given)
    assert torch.allclose(prior.to_z(latent, given), z, atol=1e-12)
    jacobian = torch.func.jacrev(lambda v: prior.to_latent(v[None], given)[0][0])(z[0])
    assert log_det.item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), rel=1e-9)
    assert abs(log_det.item()) > 0.01


@torch.no_grad()
@pytest.mark.parametrize("prior_depth", [0, 2])
def test_the_bound_is_below_the_likelihood_and_close_to_it(prior_depth):
    """log p(x | y) by quadrature over the latent plane, against the mean of many draws of the bound."""
    model = tiny(prior_depth=prior_depth)
    batch = {k: v[:1] for k, v in batch_for(model).items()}
    batch["image"] = batch["image"].double()
    axis = torch.linspace(-7, 7, 141, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    given = model.labels(batch["label"]).expand(len(plane), -1)
    mean = model.decoder(model.prior.to_z(plane, given), given)
    log_p = -logistic_nats(batch["image"], mean, model.log_scale()).flatten(1).sum(1)
    cell = 2 * math.log((axis[1] - axis[0]).item())
    log_p = torch.logsumexp(log_p - plane.square().sum(1) / 2 - math.log(2 * math.pi) + cell, 0)
    dims = math.log(2) * batch["image"].numel()
    rows = {k: v.expand(4000, *v.shape[1:]) for k, v in batch.items()}
    bits = model.bits_per_dim(rows, Rng(range(4000), dtype=torch.float64)) * dims
    gap = bits.mean() + log_p
    error = bits.std() / math.sqrt(4000)
    assert gap > -3 * error
    # the divergence from q to the true posterior, by the same grid
    q_mean, q_std = model.encoder(batch["image"], given[:1])
    z = model.prior.to_z(plane, given)
    _, log_det = model.prior.to_latent(z, given)
    normal = torch.distributions.Normal(q_mean, q_std)
    log_q = normal.log_prob(z).sum(1) - log_det  # as a density over the latent
    nats = logistic_nats(batch["image"], mean, model.log_scale()).flatten(1).sum(1)
    joint = -nats - plane.square().sum(1) / 2 - math.log(2 * math.pi)
    divergence = ((log_q + cell).exp() * (log_q - joint + log_p)).sum()
    assert gap.item() == pytest.approx(divergence.item(), abs=4 * error.item() + 1e-3)


@torch.no_grad()
def test_without_couplings_the_rate_is_the_divergence_of_two_gaussians():
    model = tiny(prior_depth=0)
    image = batch_for(model)["image"].double()
    given = model.labels(torch.full((len(image), 2), -1))
    _, rate = model._bound(image, given, Rng(range(len(image)), dtype=torch.float64))
    q = torch.distributions.Normal(*model.encoder(image, given))
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(rate, expected)


def test_beta_free_bits_and_warm_up_change_the_loss_but_not_the_score():
    plain = wake(build("vae"))
    batch = batch_for(plain)
    terms = plain.loss("main", batch, context())
    assert terms["total"].item() == pytest.approx((terms["distortion"] + terms["rate"]).item())
    dims = math.log(2) * batch["image"][0].numel()
    for change, progress, cost in [
        ({"beta": 3.0}, 0.5, 3 * terms["rate"]),
        ({"kl_warmup": 0.5}, 0.25, terms["rate"] / 2),
        ({"free_bits": 1e3}, 0.5, torch.tensor(1e3 * plain.config.latent / dims)),
    ]:
        model = VAE(changed(plain.config, **change))
        model.load_state_dict(plain.state_dict())
        ctx = context()
        ctx = type(ctx)(step=1, update=1, progress=progress, rng=ctx.rng)
        total = model.loss("main", batch, ctx)["total"] - terms["distortion"]
        assert total.item() == pytest.approx(cost.item(), rel=1e-4)
        rng = Rng(range(len(batch["image"])))
        assert torch.equal(model.bits_per_dim(batch, rng), plain.bits_per_dim(batch, rng))


def test_the_scale_is_one_number_per_channel_and_learns():
    model = wake(build("vae", channels=3))
    assert model.scale.shape == (3, 1, 1)
    model.loss("main", batch_for(model), context())["total"].backward()
    assert (model.scale.grad != 0).all()
    torch.nn.init.constant_(model.scale, -100.0)  # images without any noise drive it down
    assert torch.allclose(model.log_scale(), torch.tensor(1 / 512).log())


@torch.no_grad()
def test_unknown_labels_are_those_that_are_not_given():
    model = wake(build("vae")).eval()
    noise = model.noise(Rng([1, 2]))
    unknown = torch.full((2, 2), -1)
    assert torch.equal(model.generate(noise), model.generate(noise, {"label": unknown}))
    first = torch.zeros(2, 2, dtype=torch.int64)
    assert not torch.equal(model.generate(noise), model.generate(noise, {"label": first}))
    batch = batch_for(model)
    blind = {**batch, "label": torch.full_like(batch["label"], -1)}
    for share in (0.0, 1.0):
        hiding = VAE(changed(model.config, drop_label=share))
        hiding.load_state_dict(model.state_dict())
        totals = [hiding.loss("main", b, context())["total"] for b in (batch, blind)]
        assert (totals[0] == totals[1]) == (share == 1.0)


@torch.no_grad()
@pytest.mark.parametrize("height, width, patch", [(5, 7, 2), (28, 28, 2), (9, 50, 4), (4, 4, 1)])
def test_sides_need_no_common_factor(height, width, patch):
    model = wake(build("vae", height=height, width=width, patch=patch)).eval()
    image = batch_for(model)["image"]
    assert model.reconstruct(image).shape == image.shape
    assert model.bits_per_dim(batch_for(model), Rng(range(len(image)))).isfinite().all()


@torch.no_grad()
def test_temperature_scales_the_latent():
    model = wake(build("vae")).eval()
    noise = model.noise(Rng([3]))
    cold = model.generate(noise, controls=VAEControls(temperature=0.5))
    assert torch.equal(cold, model.decode(noise["z"] * 0.5))
    for temperature in (0.0, 1.5):
        with pytest.raises(pydantic.ValidationError):
            VAEControls(temperature=temperature)


def test_a_size_that_is_too_small_is_refused_in_a_sentence():
    with pytest.raises(pydantic.ValidationError, match="height x width is 3 x 8, but a vae needs"):
        changed(VAE.TINY, height=3)
