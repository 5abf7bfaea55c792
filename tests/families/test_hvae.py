"""The hierarchical VAE against oracles: its bound, its latent, and what its controls keep."""

import math

import pydantic
import pytest
import torch

from tests.support.kit import batch_for, build, changed, context, new_images, wake
from tests.support.sabotage import breaks
from zeuxis.core.rng import Rng, derive_seed
from zeuxis.families.hvae import HVAE, HVAEControls, mixture_mean
from zeuxis.nn.hierarchy import normal_nats
from zeuxis.objectives.likelihood import mixture_log_p, mixture_nats, mixture_size


class Fast(Rng):
    """Draws of many rows at once: not a function of each row's seed, which these tests do not need."""

    def normal(self, name, *shape):
        generator = torch.Generator().manual_seed(derive_seed(self.rows[0], name))
        return torch.randn(len(self), *shape, generator=generator, dtype=self.dtype)


def plane(**values):
    """A model in float64 with two latent numbers, one given the other: p(x) is an integral over them."""
    config = {"height": 4, "width": 4, "patch": 4, "latent": 1, "levels": 5, **values}
    return wake(build("hvae", **config), 0.15).double().eval()


def of_draw(model, batch, noise):
    """-log p(x | u), u and the nats of q's draw, with the draw chosen."""
    given = model._given(batch, 1).expand(len(noise), -1)
    told = [each.expand(len(noise), -1, -1, -1) for each in model.encoder(batch["image"])]
    raw, u, rate = model.decoder(given, noise, told)
    image = batch["image"].expand(len(noise), -1, -1, -1)
    nats = mixture_nats(image, raw, model.config.components, model.config.levels)
    return nats.flatten(1).sum(1), u, rate


def normal(u):
    return -u.square().sum(1) / 2 - math.log(2 * math.pi)


@breaks("nn/hierarchy.py", "u = move + spread * u", "u = move + spread.square() * u")
@breaks("families/hvae.py", "rate_B = rate_B + nats_B", "rate_B = nats_B")
@torch.no_grad()
def test_the_bound_is_that_of_its_own_density():
    """p(x) by quadrature over the prior; E_q p(x, u) / q(u) and the bound by draws of the posterior."""
    model = plane()
    for (group,) in model.decoder.grids:  # a posterior away from the prior
        group.posterior.bias += torch.tensor([0.8, -0.8])
    assert model.config.sizes() == [1, 1]
    batch = {key: value[:1] for key, value in batch_for(model).items()}
    batch["image"] = ((batch["image"].double() + 1) * 2).round() / 2 - 1
    axis = torch.linspace(-7, 7, 101, dtype=torch.float64)
    u = torch.cartesian_prod(axis, axis)
    raw, _, _ = model.decoder(model._given(batch, 1).expand(len(u), -1), u)
    image = batch["image"].expand(len(u), -1, -1, -1)
    nats = mixture_nats(image, raw, model.config.components, 5).flatten(1).sum(1)
    cell = 2 * math.log((axis[1] - axis[0]).item())
    log_p = torch.logsumexp(normal(u) - nats + cell, 0)

    n = 4000
    noise = Fast(range(n), dtype=torch.float64).normal("latent", 2)
    nats, u, rate = of_draw(model, batch, noise)
    spread = [of_draw(model, batch, noise + torch.eye(2)[i])[1][:, i] - u[:, i] for i in (0, 1)]
    log_q = normal(noise) - torch.stack(spread).log().sum(0)
    log_w = normal(u) - nats - log_q
    weight = (log_w - log_p).exp()
    assert weight.mean().item() == pytest.approx(1, abs=4 * weight.std().item() / math.sqrt(n))
    difference = nats + rate + log_w  # the rate is the mean over this group's draws, log_w its draw
    assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(n)
    rows = {key: value.expand(n, *value.shape[1:]) for key, value in batch.items()}
    bits = model.bits_per_dim(rows, Fast(range(n), dtype=torch.float64))
    assert torch.allclose(bits * math.log(2) * 16, nats + rate)
    assert (nats + rate).mean() > -log_p


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
    draws = [model.bits_per_dim(batch, Fast(range(i, i + 2**16))) for i in range(3)]
    nats = torch.stack(draws).double().mean(0) * 16 * math.log(2)
    return torch.exp(-nats).sum().item()


@breaks(
    "families/hvae.py",
    "return (distortion_B + rate_B) / self.config.nats",
    "return distortion_B / self.config.nats",
)
def test_the_bounds_of_all_images_leave_no_more_than_one():
    """exp(-bound) is below p(x), and all p(x) are 1 together."""
    values = {"height": 4, "width": 4, "levels": 2, "features": 8}
    model = build("hvae", conditional=False, **values)
    assert 0.2 < left_over(model) <= 1
    model, losses = taught(model, 100, 1e-2)
    assert losses["rate"] > 0.1  # without it the sum would be above 1
    assert 0.2 < left_over(model) <= 1


@breaks(
    "nn/hierarchy.py",
    "(move.square() + spread.square() - 1) / 2 - spread.log()",
    "(move.square() + spread.square() - 1) / 2 + spread.log()",
)
def test_the_rate_is_the_divergence_of_normal_distributions():
    move, spread = torch.randn(2, 3, 4, 2, 2, generator=torch.Generator().manual_seed(0)).unbind()
    q = torch.distributions.Normal(move, spread.exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    assert torch.allclose(normal_nats(move, spread.exp()), expected.flatten(1).sum(1), rtol=1e-5)


def test_training_and_scoring_speak_of_the_same_bound():
    model = wake(build("hvae", drop_label=0.0))
    batch = batch_for(model)
    terms = model.loss("main", batch, context())
    bits = model.bits_per_dim(batch, context().rng)
    assert terms["total"].item() == pytest.approx(bits.mean().item(), rel=1e-5)
    assert terms["rate"] > 0 and terms["distortion"] > 0
    for change, progress, weight in [({"beta": 3.0}, 0.5, 3), ({"kl_warmup": 0.5}, 0.25, 0.5)]:
        other = HVAE(changed(model.config, **change))
        other.load_state_dict(model.state_dict())
        ctx = context()
        ctx = type(ctx)(step=1, update=1, progress=progress, rng=ctx.rng)
        total = other.loss("main", batch, ctx)["total"] - terms["distortion"]
        assert total.item() == pytest.approx(weight * terms["rate"].item(), rel=1e-3, abs=1e-5)
        assert torch.equal(other.bits_per_dim(batch, ctx.rng), bits)


@torch.no_grad()
def test_the_latent_is_how_far_the_posterior_s_means_are_from_the_prior():
    """Put through the decoder without the image it leads to the same features, group by group."""
    model = wake(build("hvae", height=16, layers=2), 0.1).eval()
    batch = batch_for(model)
    cond = {"label": batch["label"]}
    latent = model.encode(batch["image"], cond)
    assert latent.shape == (4, sum(model.config.sizes())) and latent.std() > 0.01
    assert torch.allclose(
        model.decode(latent, cond), model.reconstruct(batch["image"], cond), atol=1e-5
    )
    assert not torch.allclose(model.decode(0 * latent, cond), model.decode(latent, cond), atol=1e-3)


@breaks("families/hvae.py", "min(i, last)", "0")
@torch.no_grad()
def test_each_grid_has_a_temperature_and_the_last_holds_for_the_finer():
    model = wake(build("hvae", height=16, width=16)).eval()
    sizes = model.config.sizes()
    assert model.config.grids() == [(1, 1), (4, 4), (8, 8)] and sizes == [2, 32, 128]
    noise = model.noise(Rng([3, 4]))
    for given, factors in [(0.5, [0.5] * 3), ((1.0, 0.25), [1.0, 0.25, 0.25])]:
        scaled = torch.cat(
            [f * v for f, v in zip(factors, noise["latent"].split(sizes, 1), strict=True)], 1
        )
        cold = model.generate(noise, {}, HVAEControls(temperature=given))
        assert torch.equal(cold, model.decode(scaled))
    for wrong in (0.0, 1.5, (), (0.5, 2.0)):
        with pytest.raises(pydantic.ValidationError):
            HVAEControls(temperature=wrong)


@breaks(
    "families/hvae.py",
    "[coarse_BN, latent_BN[:, kept:]]",
    "[latent_BN[:, :kept], latent_BN[:, kept:]]",
)
@torch.no_grad()
@pytest.mark.parametrize("kept", [1, 2, 3, 9])
def test_fixed_levels_keep_the_coarse_numbers_of_a_seed_s_first_image(kept):
    model = wake(build("hvae", height=16, width=16), 0.1).eval()
    sizes = model.config.sizes()
    noise = model.noise(Rng([3, 4]))
    first = model.noise(Rng.for_images(7, [0]))["latent"]
    cut = sum(sizes[:kept])
    expected = torch.cat([first.expand(2, -1)[:, :cut], noise["latent"][:, cut:]], 1)
    drawn = model.generate(noise, {}, HVAEControls(fixed_levels=kept, fixed_seed=7))
    assert torch.equal(drawn, model.decode(expected))
    assert torch.equal(drawn[0], drawn[1]) == (kept >= 3)
    other = model.generate(noise, {}, HVAEControls(fixed_levels=kept, fixed_seed=8))
    assert not torch.equal(drawn, other)


@breaks(
    "families/hvae.py",
    "mean = mean + next(coefficients).tanh() * earlier",
    "mean = mean + next(coefficients) * earlier",
)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_picture_is_the_mean_of_the_density(channels):
    """By summing over the levels of each channel in turn, given those before."""
    components, levels = 3, 24
    generator = torch.Generator().manual_seed(channels)
    raw = torch.randn(1, mixture_size(channels, components), 1, 1, generator=generator).double() / 3
    split = components * (1 + channels)
    raw[:, split : split + components * channels] = -3.0
    raw[:, split + components * channels :] = 1.0
    value = torch.linspace(-1, 1, levels, dtype=torch.float64)
    known, log_p = torch.zeros(1, channels, dtype=torch.float64), torch.zeros(1).double()
    means = []
    for c in range(channels):
        rows = raw[..., 0, 0].expand(len(known), -1)
        each = mixture_log_p(rows, known, c, channels, components, levels) + log_p[:, None]
        means.append((each.exp() * value).sum())
        known = known.repeat_interleave(levels, 0)
        known[:, c] = value.repeat(len(log_p))
        log_p = each.flatten()
    found = mixture_mean(raw, channels, components)
    assert torch.allclose(found.flatten(), torch.stack(means), atol=5e-3)


@torch.no_grad()
@pytest.mark.parametrize("height, width, patch", [(5, 7, 2), (28, 28, 2), (9, 50, 4), (4, 4, 1)])
def test_sides_need_no_common_factor(height, width, patch):
    model = wake(build("hvae", height=height, width=width, patch=patch, layers=2)).eval()
    image = batch_for(model)["image"]
    assert model.reconstruct(image).shape == image.shape
    assert model.bits_per_dim(batch_for(model), Rng(range(len(image)))).isfinite().all()


@breaks(
    "families/hvae.py",
    "told = [*tell(F.relu(x)).chunk(groups, 1), *told]",
    "told = [*told, *tell(F.relu(x)).chunk(groups, 1)]",
)
def test_it_learns_what_two_images_have_in_common():
    """Its bound falls to about the bit that says which image it is."""
    torch.manual_seed(0)
    model = build("hvae", conditional=False, features=16, features_max=16, levels=4)
    image = torch.ones(16, 1, 8, 8)
    image[::2, :, :, :4] = -1
    image[1::2, :, :4] = -1
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(180):
        ctx = context(16)
        ctx = type(ctx)(step=0, update=0, progress=0, rng=Fast(range(step, step + 16)))
        losses = model.loss("main", {"image": image}, ctx)
        optimiser.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert losses["total"] < 0.15  # 2 at first; one bit in 64 pixels is 0.016
    with torch.no_grad():
        drawn = new_images(model, Rng(range(16)))
    nearest = torch.cdist(drawn.flatten(1), image[:2].flatten(1)).min(dim=1).values / 8
    assert nearest.median() < 0.5  # the two are 1.4 apart


def test_a_size_that_is_too_small_is_refused_in_a_sentence():
    with pytest.raises(pydantic.ValidationError, match="height x width is 3 x 8, but a hvae needs"):
        changed(HVAE.TINY, height=3)
