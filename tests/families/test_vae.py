"""The VAE against oracles: its levels are a distribution, its prior a density, its bound a bound."""

import itertools
import math

import pydantic
import pytest
import torch

from tests.support.kit import batch_for, build, changed, context, wake
from tests.support.sabotage import breaks
from zeuxis.core.rng import Rng, derive_seed
from zeuxis.families.vae import VAE, VAEControls
from zeuxis.nn.fitted_flow import FittedFlow
from zeuxis.nn.mixture import Mixture
from zeuxis.objectives.correlation import total_correlation
from zeuxis.objectives.likelihood import logistic_nats


class Fast(Rng):
    """Draws of many rows at once: not a function of each row's seed, which these tests do not need."""

    def normal(self, name, *shape):
        generator = torch.Generator().manual_seed(derive_seed(self.rows[0], name))
        return torch.randn(len(self), *shape, generator=generator, dtype=self.dtype)


LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


@breaks("objectives/likelihood.py", "- half) * inverse", "- 0 * half) * inverse")
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


@breaks("nn/coupling.py", "log_det_B + log_scale_BZ", "log_det_B - log_scale_BZ")
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


def two_shapes(n, seed):
    """Posteriors whose average is known: two places under the first label, a slanted one under the other.

    Means, deviations, what is given, and -log p(z | given) less log(2 pi) as a function of z and given.
    """
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(n, 2, generator=generator).double()
    side = torch.randint(0, 2, (n, 1), generator=generator) * 2.0 - 1
    other = torch.arange(n)[:, None] % 3 == 0
    split = side * torch.tensor([3.0, 1.0]) + 0.4 * normal
    slant = torch.tensor([[0.5, 0.0], [1.4, 0.3]]).double()
    mean = torch.where(other, normal @ slant.T + torch.tensor([1.0, -4.0]), split)
    deviation = torch.full_like(mean, 0.3)
    given = torch.cat([other, ~other], 1).double()

    def nats(z, given):
        def normal_log_p(centre, covariance):
            centre = torch.tensor(centre).double()
            normal = torch.distributions.MultivariateNormal(centre, covariance.double())
            return normal.log_prob(z) + math.log(2 * math.pi)

        split = 0.25 * torch.eye(2)  # 0.4^2 + 0.3^2
        places = [normal_log_p([3.0, 1.0], split), normal_log_p([-3.0, -1.0], split)]
        log_split = torch.logsumexp(torch.stack(places), 0) - math.log(2)
        log_slant = normal_log_p([1.0, -4.0], slant @ slant.T + 0.09 * torch.eye(2))
        return -torch.where(given[:, 0] > 0.5, log_slant, log_split)

    return mean, deviation, given, nats


def fitted_flow(steps=250, seed=1, shared=2):
    flow = FittedFlow(2, 2, 32, 6).double()
    mean, deviation, given, _ = two_shapes(768, seed)
    curve = flow.fit(mean, deviation, given, Fast(range(64), shared, dtype=torch.float64), steps)
    return flow, curve


def flow_nats(flow, z, given):
    latent, log_det = flow.to_latent(z, given)
    return latent.square().sum(1) / 2 - log_det


@breaks(
    "nn/fitted_flow.py",
    "self._cost(mean_NZ[rows] + deviation_NZ[rows] * noise_BZ, given_NE[rows])",
    "self._cost(mean_NZ[rows] + deviation_NZ[rows] * noise_BZ, given_NE[rows.flip(0)])",
)
@torch.no_grad()
def test_the_fitted_flow_comes_close_to_the_true_density_under_each_label():
    mean, deviation, given, nats = two_shapes(3000, 9)
    z = mean + deviation * Fast([3] * 3000, dtype=torch.float64).normal("z", 2)
    start, _ = fitted_flow(0)
    flow, curve = fitted_flow()
    # affine couplings do not quite tear one place in two
    for rows, most in [(given[:, 0] > 0.5, 0.1), (given[:, 0] < 0.5, 0.5)]:
        true = nats(z[rows], given[rows]).mean()
        assert flow_nats(start, z[rows], given[rows]).mean() > true + 0.6
        gap = flow_nats(flow, z[rows], given[rows]).mean() - true
        assert -0.05 < gap < most
    assert min(curve) < curve[0] - 0.3 and len(curve) == 11
    latent = Fast([4] * 3000, dtype=torch.float64).normal("u", 2)
    drawn = flow.to_z(latent, given)
    assert (
        nats(drawn, given)[given[:, 0] > 0.5].mean()
        < 1.0 + nats(z, given)[given[:, 0] > 0.5].mean()
    )
    side = drawn[given[:, 0] < 0.5][:, 0] > 0
    assert 0.4 < side.double().mean() < 0.6  # both places


@breaks(
    "nn/fitted_flow.py",
    "return latent_BZ, log_det_B - self.factor_ZZ.diagonal().log().sum()",
    "return latent_BZ, log_det_B",
)
@breaks("nn/fitted_flow.py", "@ self.factor_ZZ.T + self.mean_Z", "@ self.factor_ZZ + self.mean_Z")
@torch.no_grad()
def test_the_fitted_flow_is_a_density_and_has_an_inverse():
    flow, _ = fitted_flow(60)
    axis = torch.linspace(-14, 14, 561, dtype=torch.float64)
    plane, given = torch.cartesian_prod(axis, axis), torch.tensor([[1.0, 0.0]]).double()
    nats = flow_nats(flow, plane, given.expand(len(plane), -1))
    cell = 2 * math.log((axis[1] - axis[0]).item()) - math.log(2 * math.pi)
    assert torch.exp(cell - nats).sum().item() == pytest.approx(1, abs=1e-3)
    z = plane[::5000]
    latent, log_det = flow.to_latent(z, given.expand(len(z), -1))
    assert torch.allclose(flow.to_z(latent, given.expand(len(z), -1)), z, atol=1e-9)
    for point, expected in zip(z[20:24], log_det[20:24], strict=True):
        jacobian = torch.func.jacrev(lambda v: flow.to_latent(v[None], given)[0][0])(point)
        assert expected.item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-9)


@breaks(
    "nn/fitted_flow.py",
    "away_NZ.T @ away_NZ / len(mean_NZ) + variance_Z.diag()",
    "away_NZ.T @ away_NZ / len(mean_NZ)",
)
@torch.no_grad()
def test_the_fitted_flow_starts_from_the_average_posterior_s_mean_and_covariance():
    flow, _ = fitted_flow(0)
    mean, deviation, given, _ = two_shapes(768, 1)
    assert torch.allclose(flow.mean_Z, mean.mean(0), atol=1e-9)
    expected = torch.cov(mean.T, correction=0) + torch.diag(deviation.square().mean(0))
    assert torch.allclose(flow.factor_ZZ @ flow.factor_ZZ.T, expected, rtol=1e-5)
    z = torch.tensor([[1.0, 2.0]]).double()
    normal = torch.distributions.MultivariateNormal(mean.mean(0), expected)
    nats = -normal.log_prob(z) - math.log(2 * math.pi)
    assert torch.allclose(flow_nats(flow, z, given[:1]), nats, rtol=1e-4)
    few = FittedFlow(2, 2, 8, 2).double()
    assert few.fit(mean[:9], deviation[:9], given[:9], Fast(range(4)), 50) == []
    assert torch.allclose(few.mean_Z, mean[:9].mean(0), atol=1e-9)  # too few to hold any out


@breaks("nn/fitted_flow.py", "if curve[-1] <= min(curve):", "if True:")
@breaks("nn/fitted_flow.py", "self._restart(rng)", "pass")
@breaks("nn/fitted_flow.py", "weight.requires_grad_(False).copy_(value)", "weight.copy_(value)")
@torch.no_grad()
def test_the_fitted_flow_depends_on_its_draws_alone_and_keeps_what_suits_the_images_held_out():
    flow, curve = fitted_flow(30)
    again = FittedFlow(2, 2, 32, 6).double()
    for value in again.flow.buffers():
        value.add_(1.0)  # whatever it was before
    mean, deviation, given, _ = two_shapes(768, 1)
    state = torch.get_rng_state()
    rng = Fast(range(64), 2, dtype=torch.float64)
    assert again.fit(mean, deviation, given, rng, 30) == curve
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in flow.state_dict().items())
    assert not list(flow.parameters())
    assert not any(v.requires_grad or v.grad is not None for v in flow.buffers())
    other, _ = fitted_flow(30, shared=3)
    assert not torch.equal(
        other.flow.couplings[0].net[0].weight, flow.flow.couplings[0].net[0].weight
    )
    # three places learned by heart: what is held out, elsewhere, suits the start best
    mean = torch.tensor([[-1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]).double()[torch.arange(128) % 3]
    mean[7::8] = Fast([5] * 16, dtype=torch.float64).normal("held", 2)
    narrow = FittedFlow(2, 0, 32, 6).double()
    curve = narrow.fit(mean, torch.full_like(mean, 0.01), mean[:, :0], rng, 100)
    assert curve[-1] > min(curve)
    held = mean[7::8].repeat(4, 1)
    held = held + 0.01 * rng.normal("held", 1, 2).flatten(0, 1)[: len(held)]
    assert flow_nats(narrow, held, held[:, :0]).mean().item() == pytest.approx(min(curve), abs=1e-9)


def exact_nats(model, batch):
    """-log p(x | y) of the one image, by quadrature over the latent plane."""
    axis = torch.linspace(-7, 7, 141, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    given = model._given(batch, 1)[0].expand(len(plane), -1)
    nats = model._distortion(batch["image"], model.prior.to_z(plane, given), given)
    cell = 2 * math.log((axis[1] - axis[0]).item())
    log_prior = -plane.square().sum(1) / 2 - math.log(2 * math.pi)
    return -torch.logsumexp(log_prior - nats + cell, 0).item()


@breaks(
    "families/vae.py",
    "part_B = torch.logsumexp(-distortion_BS - rate_BS, 1)",
    "part_B = -torch.logsumexp(distortion_BS + rate_BS, 1) + 2 * math.log(count)",
)
@breaks(
    "families/vae.py",
    "(noise_BSZ.square() / 2 + deviation_BZ.log()[:, None])",
    "(0.5 + deviation_BZ.log()[:, None] + 0 * noise_BSZ)",
)
@breaks(
    "families/vae.py", "return (math.log(samples) - log_w_B)", "return (math.log(CHUNK) - log_w_B)"
)
@torch.no_grad()
@pytest.mark.parametrize("prior_depth", [0, 2])
def test_more_draws_bring_the_bound_to_the_likelihood(prior_depth):
    """Burda et al., theorem 1: it falls with every draw, from the plain bound to -log p(x)."""
    model = tiny(prior_depth=prior_depth)
    model.encoder.head.bias += 1.0  # a posterior that is off, or one draw would do
    batch = {key: value[:1] for key, value in batch_for(model).items()}
    batch["image"] = batch["image"].double()
    exact, dims = exact_nats(model, batch), math.log(2) * batch["image"].numel()

    def found(n, samples, score):
        rows = {key: value.expand(n, *value.shape[1:]) for key, value in batch.items()}
        kwargs = {} if samples is None else {"samples": samples}
        nats = score(rows, Fast(range(n), dtype=torch.float64), **kwargs) * dims
        return nats.mean().item(), nats.std().item() / math.sqrt(n)

    plain, error = found(6000, None, model.bits_per_dim)
    one, other_error = found(6000, 1, model.iwae_bits_per_dim)
    assert one == pytest.approx(plain, abs=4 * math.hypot(error, other_error))
    steps = [found(n, k, model.iwae_bits_per_dim) for n, k in [(6000, 1), (3000, 4), (1500, 33)]]
    for (more, error), (fewer, other_error) in itertools.pairwise(steps[::-1]):
        assert more < fewer - 3 * math.hypot(error, other_error)
    limit, error = found(8, 4000, model.iwae_bits_per_dim)
    assert limit == pytest.approx(exact, abs=4 * error + 0.01)
    assert min(mean + 4 * error for mean, error in steps) > exact


@breaks(
    "families/vae.py",
    "log_w_B = torch.logsumexp(-distortion_BS - rate_BS, 1) - math",
    "log_w_B = -torch.logsumexp(distortion_BS + rate_BS, 1) + math",
)
@torch.no_grad()
def test_training_on_several_draws_is_scoring_by_them():
    model = wake(build("vae", iwae=5, drop_label=0.0))
    batch = batch_for(model)
    terms = model.loss("main", batch, context())
    bits = model.iwae_bits_per_dim(batch, context().rng, samples=5)
    assert terms["total"].item() == pytest.approx(bits.mean().item(), rel=1e-5)
    assert terms["total"] < terms["distortion"] + terms["rate"]  # Jensen's inequality
    assert terms["rate"] > 0  # a divergence is not negative
    with pytest.raises(ValueError, match="samples is 0"):
        model.iwae_bits_per_dim(batch, context().rng, samples=0)


def test_training_and_scoring_speak_of_the_same_bound():
    model = wake(build("vae", drop_label=0.0))
    batch = batch_for(model)
    terms = model.loss("main", batch, context())
    bits = model.bits_per_dim(batch, context().rng)
    assert terms["total"].item() == pytest.approx(bits.mean().item(), rel=1e-5)
    assert terms["rate"] > 0 and terms["distortion"] > 0


def taught(model, steps, lr):
    """Trained for a moment on 4 x 4 images of four even quarters, so that its latent says something."""
    optimiser = torch.optim.Adam(model.parameters(), lr)
    for step in range(steps):
        rng = Fast(range(step, step + 64))
        image = rng.normal("image", 1, 2, 2).sign().repeat_interleave(2, 2).repeat_interleave(2, 3)
        ctx = context(64)
        ctx = type(ctx)(step=0, update=0, progress=0, rng=rng)
        optimiser.zero_grad()
        losses = model.loss("main", {"image": image}, ctx)
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval(), losses


@torch.no_grad()
def left_over(model):
    """The sum of exp(-bound) over all 65,536 two-level images of 4 x 4, each bound a mean of draws."""
    bit = (torch.arange(2**16)[:, None] >> torch.arange(16)) & 1
    batch = {"image": (2.0 * bit - 1).view(-1, 1, 4, 4)}
    draws = [model.bits_per_dim(batch, Fast(range(i, i + 2**16))) for i in range(4)]
    nats = torch.stack(draws).double().mean(0) * 16 * math.log(2)
    return torch.exp(-nats).sum().item()


@breaks(
    "families/vae.py",
    "logistic_nats(full(image_BCHW), mean_BCHW, log_scale, self.config.levels)",
    "logistic_nats(full(image_BCHW), mean_BCHW, log_scale)",
)
def test_the_bounds_of_all_images_leave_no_more_than_one():
    """exp(-bound) is below p(x), and all p(x) are 1 together."""
    values = {"height": 4, "width": 4, "levels": 2, "features": 16, "latent": 4}
    model = build("vae", conditional=False, **values)
    assert 0.2 < left_over(model) <= 1
    model, losses = taught(model, 100, 1e-2)
    assert losses["rate"] > 0.1  # without it the sum would be above 1
    assert 0.2 < left_over(model) <= 1


def blobs(n=600, seed=0):
    """Points around two places, labelled by place and by a coin; the third place has no label."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.tensor([0, 0, 0, 1, 1, 2])[torch.randint(0, 6, (n,), generator=generator)]
    centre = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, 3.0]])[place]
    spread = torch.tensor([[0.5, 0.0], [0.3, 0.2]])
    z = centre + torch.randn(n, 2, generator=generator) @ spread.T
    coin = torch.randint(0, 2, (n,), generator=generator)
    return z, torch.stack([torch.where(place == 2, -1, place), coin], 1)


def fitted(components=5):
    mixture = Mixture(components, 2, [2, 2])
    z, label = blobs()
    start = torch.rand(components, generator=torch.Generator().manual_seed(1))
    mixture.fit(z, label, start)
    return mixture


@torch.no_grad()
@pytest.mark.parametrize("label", [(-1, -1), (0, -1), (1, 0)])
def test_the_fitted_mixture_is_a_density(label):
    mixture = fitted()
    axis = torch.linspace(-9, 9, 601, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    nats = mixture.nats(plane, torch.tensor([label]).expand(len(plane), -1))
    log_p = -nats - math.log(2 * math.pi)
    assert log_p.exp().sum().item() * (axis[1] - axis[0]).item() ** 2 == pytest.approx(1, abs=1e-6)


@breaks(
    "nn/mixture.py",
    "log_BK - noise_BKZ[..., i].square() / 2 - scale_K.log()",
    "log_BK - noise_BKZ[..., i].square() / 2",
)
@torch.no_grad()
@pytest.mark.parametrize("label", [(-1, -1), (0, -1), (1, 0)])
def test_the_map_from_normal_numbers_to_the_mixture_has_its_density_and_an_inverse(label):
    mixture = fitted()
    u = 1.5 * torch.randn(200, 2, generator=torch.Generator().manual_seed(2)).double()
    u[0], u[1] = 9.0, -12.0  # where Phi is 0 or 1 in every arithmetic
    label = torch.tensor([label]).expand(len(u), -1)
    z = mixture.to_z(u, label)
    assert torch.allclose(mixture.to_latent(z, label), u, atol=1e-5)
    step = 1e-4
    columns = []
    for i in (0, 1):
        away = step * torch.eye(2, dtype=torch.float64)[i]
        columns.append((mixture.to_z(u + away, label) - mixture.to_z(u - away, label)) / (2 * step))
    jacobian = torch.stack(columns, 2)
    expected = u.square().sum(1) / 2 + torch.linalg.slogdet(jacobian)[1]
    assert torch.allclose(mixture.nats(z, label)[2:], expected[2:], atol=1e-3)
    near = mixture.to_z(u + 1e-6, label)
    assert (near - z).abs()[2:].max() < 1e-3  # a smooth map: no component is chosen


@breaks(
    "nn/mixture.py",
    "odds_CK = count_CK / count_CK.sum(1, keepdim=True) / weight_K",
    "odds_CK = count_CK / count_CK.sum(1, keepdim=True)",
)
@breaks("nn/mixture.py", "+ size * pooled_ZZ) / (count_K + size)", "+ size * pooled_ZZ) / count_K")
@torch.no_grad()
def test_the_fit_finds_the_places_and_what_labels_say_of_them():
    mixture, (z, label) = fitted(3), blobs()
    centres = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    assert torch.cdist(centres, mixture.mean_KZ).min(1).values.max() < 0.15
    nearest = torch.cdist(centres, mixture.mean_KZ).argmin(1)
    weights = mixture.log_weight(torch.tensor([[0, -1], [1, -1], [-1, 0]])).exp()
    assert weights[0, nearest[0]] > 0.95 and weights[1, nearest[1]] > 0.95
    alone = mixture.log_weight(torch.tensor([[-1, -1]])).exp()[0]
    assert torch.allclose(weights[2], alone, atol=0.06)  # the coin says nothing
    covariance = mixture.factor_KZZ @ mixture.factor_KZZ.mT
    expected = torch.tensor([[0.25, 0.15], [0.15, 0.13]])
    assert (covariance - expected).abs().max() < 0.1
    single = fitted(1)
    covariance = single.factor_KZZ[0] @ single.factor_KZZ[0].T
    assert torch.allclose(covariance, torch.cov(z.T, correction=0), atol=1e-4)
    unfitted = Mixture(3, 2, [2, 2])
    assert mixture.nats(z, label).mean() < unfitted.nats(z, label).mean() - 0.5
    drawn = mixture.to_z(
        torch.randn(4000, 2, generator=torch.Generator().manual_seed(3)), label[:1]
    )
    at = mixture.log_weight(label[:1]).exp() @ mixture.mean_KZ.double()
    assert torch.allclose(drawn.mean(0).double(), at[0], atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize(
    "values", [{"prior": "mixture", "prior_components": 3}, {"prior": "fitted_flow"}]
)
def test_what_is_fitted_at_the_end_lowers_the_bound(values):
    model = wake(build("vae", **values, drop_label=0.0, prior_steps=30), 0.1).eval()
    model.encoder.head.bias += 1.0  # latents far from the prior
    batches = [batch_for(model, n=8, seed=seed) for seed in range(16)]
    networks = {k: v.clone() for k, v in model.state_dict().items() if "coder" in k}
    noise = model.noise(Rng(range(8)))
    assert torch.equal(
        model.decode(noise["z"]),
        model.decoder(noise["z"], model._given({}, 8)[0]).clamp(-1, 1),
    )
    before = model.bits_per_dim(batches[0], Rng(range(8)))
    generator = torch.get_rng_state()
    model.finish(iter(batches), Rng(range(8), 5))
    assert torch.equal(generator, torch.get_rng_state()) and (model.mixture or model.prior).fitted
    assert all(torch.equal(model.state_dict()[k], v) for k, v in networks.items())
    assert model.bits_per_dim(batches[0], Rng(range(8))).mean() < before.mean()
    one = model.iwae_bits_per_dim(batches[0], Rng(range(8)), samples=50)
    assert one.mean() < before.mean()
    cond = {"label": batches[0]["label"]}
    latent = model.encode(batches[0]["image"], cond)
    again = model.decode(latent, cond)
    assert torch.allclose(again, model.reconstruct(batches[0]["image"], cond), atol=1e-4)
    assert model.generate(noise, cond, model.Controls()).isfinite().all()
    copy = VAE(model.config)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(
        copy.generate(noise, cond, copy.Controls()), model.generate(noise, cond, model.Controls())
    )


@breaks(
    "objectives/correlation.py",
    "product_GM = (torch.logsumexp(log_GMMZ, 2) - count).sum(2)",
    "product_GM = (torch.logsumexp(log_GMMZ, 2)).sum(2) - count",
)
def test_the_total_correlation_is_that_of_the_average_posterior():
    generator = torch.Generator().manual_seed(0)
    same = torch.randn(1, 1, 3, generator=generator).expand(2, 6, 3)
    z = torch.randn(2, 6, 3, generator=generator)
    assert total_correlation(z, same, same.exp()).abs().max() < 1e-5
    # jointly normal: -log(1 - correlation^2) / 2
    n, rho, width = 4000, 0.8, 0.6
    first, second = torch.randn(2, n, generator=generator).unbind()
    mean = torch.stack([first, rho * first + math.sqrt(1 - rho**2) * second], 1)[None]
    z = mean + width * torch.randn(1, n, 2, generator=generator)
    correlation = rho / (1 + width**2)
    expected = -math.log(1 - correlation**2) / 2
    found = total_correlation(z, mean, torch.full_like(z, width)).item()
    assert found == pytest.approx(expected, abs=0.03)
    z = 100 * mean[:, :8]
    far = total_correlation(z, z, torch.full_like(z, 1e-3))
    assert far.item() == pytest.approx(math.log(8), rel=1e-5)  # (Z - 1) log M


@breaks("families/vae.py", "return self.config.tc_group if self.config.tc else 1", "return 1")
def test_the_total_correlation_mixes_rows_of_its_group_only():
    config = {"tc": 2.0, "tc_group": 2, "prior_depth": 0, "drop_label": 0.0}
    model = wake(build("vae", **config), 0.2).double()
    plain = VAE(changed(model.config, tc=0.0)).double()
    plain.load_state_dict(model.state_dict())
    assert (model.GROUP, plain.GROUP) == (2, 1)
    batch = batch_for(model)
    batch["image"] = batch["image"].double()
    whole = model.loss("main", batch, context(dtype=torch.float64))
    without = plain.loss("main", batch, context(dtype=torch.float64))["total"]
    assert whole["total"].item() == pytest.approx(
        (without + 2 * whole["total_correlation"]).item(), rel=1e-10
    )
    halves = []
    for start in (0, 2):
        ctx = context()
        rng = Rng(range(100 + start, 102 + start), 7, dtype=torch.float64)
        ctx = type(ctx)(step=ctx.step, update=ctx.update, progress=ctx.progress, rng=rng)
        rows = {key: value[start : start + 2] for key, value in batch.items()}
        halves.append(model.loss("main", rows, ctx)["total"])
    assert torch.stack(halves).mean().item() == pytest.approx(whole["total"].item(), rel=1e-10)
    assert abs(whole["total_correlation"].item()) > 1e-6


@pytest.mark.parametrize(
    "values, words",
    [
        ({"iwae": 5, "beta": 4.0}, "iwae is 5"),
        ({"iwae": 5, "free_bits": 0.1}, "leave beta at 1"),
        ({"tc": 1.0}, "set prior_depth to 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_a_sentence(values, words):
    with pytest.raises(pydantic.ValidationError, match=words):
        changed(VAE.TINY, **values)


@breaks("families/vae.py", " - log_det_B", "")
@breaks(
    "families/vae.py",
    "if self.mixture is None and self.prior.standard:",
    "if self.mixture is None:",
)
@torch.no_grad()
@pytest.mark.parametrize(
    "values", [{"prior_depth": 0}, {"prior_depth": 2}, {"prior": "fitted_flow", "prior_steps": 50}]
)
def test_the_bound_is_below_the_likelihood_and_close_to_it(values):
    """log p(x | y) by quadrature over the latent plane, against the mean of many draws of the bound."""
    model = tiny(**values)
    if "prior" in values:
        batches = [batch_for(model, n=16, seed=seed) for seed in range(8)]
        batches = [{**b, "image": b["image"].double()} for b in batches]
        model.finish(batches, Fast(range(16), 3, dtype=torch.float64))
        assert not model.prior.standard
    batch = {k: v[:1] for k, v in batch_for(model).items()}
    batch["image"] = batch["image"].double()
    axis = torch.linspace(-7, 7, 141, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    given = model._given(batch, 1)[0].expand(len(plane), -1)
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
    unknown = {}
    _, rate, _ = model._bound(image, unknown, Rng(range(len(image)), dtype=torch.float64))
    q = torch.distributions.Normal(*model.encoder(image, model._given(unknown, len(image))[0]))
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(rate, expected)


@breaks("core/family.py", "return math.log(2) *", "return 1 *")
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
        assert total.item() == pytest.approx(cost.item(), rel=1e-4, abs=2e-6)
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
    assert torch.equal(
        model.generate(noise, {}, model.Controls()),
        model.generate(noise, {"label": unknown}, model.Controls()),
    )
    first = torch.zeros(2, 2, dtype=torch.int64)
    assert not torch.equal(
        model.generate(noise, {}, model.Controls()),
        model.generate(noise, {"label": first}, model.Controls()),
    )
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
    cold = model.generate(noise, {}, VAEControls(temperature=0.5))
    assert torch.equal(cold, model.decode(noise["z"] * 0.5))
    for temperature in (0.0, 1.5):
        with pytest.raises(pydantic.ValidationError):
            VAEControls(temperature=temperature)


def test_a_size_that_is_too_small_is_refused_in_a_sentence():
    with pytest.raises(pydantic.ValidationError, match="height x width is 3 x 8, but a vae needs"):
        changed(VAE.TINY, height=3)


@breaks(
    "families/vae.py",
    'given = hide(given, rng, HIDDEN, f"hidden/{i}")',
    "pass",
)
@torch.no_grad()
def test_some_labels_are_hidden_where_couplings_are_fitted(monkeypatch):
    """So that the prior of an image of unknown label is fitted too, and to that posterior."""
    model = wake(build("vae", prior="fitted_flow"), 0.1).eval()
    seen = []
    monkeypatch.setattr(model.prior, "fit", lambda *args: seen.append(args))
    batch = batch_for(model, n=400)
    batch["label"] = torch.ones_like(batch["label"])
    model.finish([batch], Rng(range(400)))
    mean, deviation, given, _, steps = seen[0]
    vectors = [table.weight for table in model.conditioner]
    away = [
        (given - vectors[0][i] - vectors[1][j]).abs().amax(1) < 1e-6
        for i, j in [(2, 2), (0, 2), (2, 0), (0, 0)]
    ]
    shares = torch.stack(away).double().mean(1)
    assert shares.sum() == 1 and steps == model.config.prior_steps
    expected = torch.tensor([0.729, 0.081, 0.081, 0.109]).double()  # all of it, and each alone
    assert torch.allclose(shares, expected, atol=0.06)
    found = model.encoder(batch["image"], given)
    assert torch.allclose(found[0], mean) and torch.allclose(found[1], deviation)
