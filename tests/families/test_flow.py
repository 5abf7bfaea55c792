"""What is particular to the flow family; the contract is in test_families."""

import copy
import itertools
import math

import pydantic
import pytest
import torch
from torch import nn

from tests.support.kit import (
    CONDITIONS,
    batch_for,
    build,
    changed,
    context,
    loader_for,
    new_images,
    wake,
)
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.abilities import EMPTY, Decodes, Encodes
from zeuxis.core.family import Family
from zeuxis.core.pixels import from_uint8
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.families import flow
from zeuxis.families.flow import Flow, FlowControls
from zeuxis.inference import artefact
from zeuxis.nn.norm import NormSiLU
from zeuxis.training import step


def norm_case(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 32, 4, 6, generator=generator, dtype=torch.float64) * 3 + 1
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    scale, shift = torch.randn(2, 3, 32, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.randn(3, 32, 4, 6, generator=generator, dtype=torch.float64).to(dtype)
    return [v.requires_grad_() for v in (x, scale, shift)], weight


def norm_and_gradients(dtype, fused):
    inputs, weight = norm_case(dtype)
    out = NormSiLU(32, fused)(*inputs)
    return [out, *torch.autograd.grad(out, inputs, weight)]


@breaks("nn/norm.py", "(grad * normal).sum", "grad.sum")
@pytest.mark.parametrize("dtype, most", [(torch.float32, 1e-6), (torch.bfloat16, 0.01)])
def test_the_fused_norm_equals_the_stock_one(dtype, most):
    for a, b in zip(
        norm_and_gradients(dtype, True), norm_and_gradients(torch.float64, False), strict=True
    ):
        assert a.dtype == dtype
        assert (a.double() - b).norm() / b.norm() < most


def test_the_fused_norm_can_be_differentiated_twice():
    found = []
    for fused in (True, False):
        inputs, weight = norm_case(torch.float32)
        out = NormSiLU(32, fused)(*inputs)
        gradient = torch.autograd.grad((out * weight).sum(), inputs, create_graph=True)
        penalty = sum(g.square().sum() for g in gradient)
        found.append(torch.autograd.grad(penalty, inputs))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("norms", [1, 2])
@torch.no_grad()
def test_an_untrained_flow_is_that_of_a_gaussian(norms):
    """Its outputs start at zero, and what is left has a known end: noise times the deviation."""
    model = build("flow", norms=norms, deviation=0.3).eval()
    noise = model.noise(Rng([1, 2]))
    end = model.generate(noise, {}, FlowControls(steps=100, churn=0))
    assert torch.allclose(end, (0.3 * noise["image"]).clamp(-1, 1), atol=2e-3)


@breaks("families/flow.py", "churn=controls.churn", "churn=0.0")
@torch.no_grad()
def test_new_noise_on_the_way_keeps_the_distribution_and_forgets_the_first():
    """By default a quarter at each step, and each row's by itself, whatever the others are."""
    model = build("flow", deviation=0.3).eval()
    noise = model.noise(Rng(range(64)))
    half = model.generate(noise, {}, FlowControls(steps=20, churn=0.5))
    assert half.std().item() == pytest.approx(0.3, rel=0.03)
    alike = torch.corrcoef(torch.stack([half.flatten(), noise["image"].flatten()]))[0, 1]
    assert abs(alike) < 0.05
    usual = model.generate(noise, {}, FlowControls(steps=20))
    assert torch.equal(usual, model.generate(noise, {}, FlowControls(steps=20, churn=0.25)))
    some = {"image": noise["image"][3:5]}
    assert torch.equal(usual[3:5], model.generate(some, {}, FlowControls(steps=20)))


@pytest.mark.parametrize("attributes", [1, 2])
def test_labels_are_dropped_by_row_and_by_attribute(attributes):
    """What a row loses is drawn for it alone, not for the batch."""
    n, conditions = 256, CONDITIONS[:attributes]
    model = wake(families.build("flow", changed(Flow.TINY, drop_label=0.4, conditions=conditions)))
    heard = []
    model.net.label.register_forward_hook(lambda net, given, out: heard.append(given[0]["label"]))
    batch = {
        "image": torch.zeros(n, 1, 8, 8),
        "label": torch.ones(n, attributes, dtype=torch.int64),
    }
    model.loss("main", batch, context(n))
    lost = (heard[0] == -1).sum(dim=1).bincount(minlength=attributes + 1) / n
    expected = {1: [0.6, 0.4], 2: [0.6**3, 2 * 0.6**2 * 0.4, 0.4 + 0.6 * 0.4**2]}[attributes]
    assert torch.allclose(lost, torch.tensor(expected), atol=0.1)


@torch.no_grad()
def test_guidance_away_from_one_pushes_past_the_conditional():
    model = wake(build("flow")).eval()
    noise, cond = model.noise(Rng([1, 2])), {"label": torch.tensor([[0, 1], [2, 0]])}

    def drawn(scale):
        return model.generate(noise, cond, FlowControls(steps=1, guidance_scale=scale))

    none, plain, strong = drawn(0.0), drawn(1.0), drawn(1.1)
    assert (
        torch.allclose(strong, plain + 0.1 * (plain - none), atol=1e-5) or strong.abs().max() == 1
    )
    assert torch.allclose(none, model.generate(noise, {}, FlowControls(steps=1)), atol=1e-6)


@breaks("families/flow.py", "true_BCHW = noise_BCHW - image_BCHW", "true_BCHW = noise_BCHW")
def test_it_overfits_two_images_and_draws_them_again():
    torch.manual_seed(0)
    model = build("flow", conditional=False, widths=(32,), deviation=1.0)
    image = torch.ones(16, 1, 8, 8)
    image[::2, :, :, :4] = -1
    image[1::2, :, :4] = -1
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for update in range(240):
        rng = Rng([1000 * update + i for i in range(16)])
        ctx = context(16)
        loss = model.loss(
            "main", {"image": image}, type(ctx)(step=0, update=0, progress=0, rng=rng)
        )
        optimiser.zero_grad()
        loss["total"].backward()
        optimiser.step()
    with torch.no_grad():
        drawn = new_images(model, Rng(range(32)))
    nearest = torch.cdist(drawn.flatten(1), image[:2].flatten(1)).min(dim=1).values / 8
    assert nearest.median() < 0.6  # the two are 1.4 apart, noise is about as far


def test_the_stem_follows_the_size():
    def patch(h, w):
        return changed(Flow.TINY, height=h, width=w).patch

    assert [patch(8, 8), patch(16, 16), patch(32, 32), patch(28, 20), patch(64, 64)] == [
        1,
        1,
        2,
        2,
        4,
    ]


def test_a_width_of_nothing_is_refused():
    with pytest.raises(pydantic.ValidationError, match="widths"):
        changed(Flow.TINY, widths=(16, 0))


def test_every_norm_can_be_the_stock_one():
    """The switch that comparisons use: the same parameters, the same function."""
    model = wake(build("flow")).eval()
    image, time = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.rand(2)
    fast = model.net(image, time, None)
    norms = [module for module in model.modules() if isinstance(module, NormSiLU)]
    for norm in norms:
        norm.fused = False
    assert norms and not any(isinstance(module, nn.GroupNorm) for module in model.modules())
    assert torch.allclose(fast, model.net(image, time, None), atol=1e-5)


DEVIATION = 0.3


def gaussian(**values):
    """Untrained, it is the flow of pixels N(0, DEVIATION^2)."""
    return build("flow", deviation=DEVIATION, **values).eval()


@breaks("families/flow.py", "deviation_B / (1 + deviation_B)", "deviation_B")
@torch.no_grad()
def test_denoising_a_gaussian_is_the_wiener_filter():
    """E[x | x + d e] = x s^2 / (s^2 + d^2), for each row's own d; without noise nothing changes."""
    noisy = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    deviation = torch.tensor([0.0, 0.1, 2.0])
    factor = DEVIATION**2 / (DEVIATION**2 + deviation**2)
    clean = gaussian().denoise(noisy, deviation)
    assert torch.allclose(clean, (factor[:, None, None, None] * noisy).clamp(-1, 1), atol=1e-6)


@breaks("sampling/ode.py", "math.prod(shape) * math.log(LEVEL)", "math.log(LEVEL)")
@breaks("sampling/ode.py", '(rng.uniform("level", *shape) - 0.5)', 'rng.uniform("level", *shape)')
@torch.no_grad()
def test_bits_of_a_gaussian(monkeypatch):
    """log N(x; 0, s^2) of the same dequantised pixels; all brighter than the mean, to tell shifts."""
    monkeypatch.setattr(flow, "SCORING", 400)
    s = 0.1
    model = build("flow", deviation=s).eval()
    drawn = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    image = from_uint8((127.5 + 127.5 * s * drawn.abs()).round().to(torch.uint8))
    rng = Rng([1, 2, 3, 4])
    x = image + 2 / 255 * (rng.uniform("level", 1, 8, 8) - 0.5)
    log_p = torch.distributions.Normal(0, s).log_prob(x) + math.log(2 / 255)
    expected = -log_p.flatten(1).mean(1) / math.log(2)
    with torch.inference_mode():
        assert torch.allclose(model.bits_per_dim({"image": image}, rng), expected, atol=2e-3)


@torch.no_grad()
def test_encoding_a_gaussian_divides_by_its_deviation_and_comes_back(monkeypatch):
    model = gaussian()
    image = DEVIATION * torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(model.reconstruct(image), image, atol=0.02)
    monkeypatch.setattr(flow, "ENCODING", 300)
    assert torch.allclose(model.encode(image), image / DEVIATION, atol=0.02)


@torch.no_grad()
def test_an_image_encoded_under_one_label_becomes_another_under_the_next():
    model = wake(build("flow"), 0.1).eval()
    image = batch_for(model)["image"]
    old, new = ({"label": torch.full((4, 2), k)} for k in (0, 1))
    latent = model.encode(image, old)
    same, other = ((model.decode(latent, label) - image).abs().mean() for label in (old, new))
    assert other > 2 * same


@breaks("families/flow.py", "even(controls.steps, controls.strength)", "even(controls.steps)")
@torch.no_grad()
def test_strength_says_how_much_of_the_source_is_left():
    """At 1 nothing: what is drawn from the noise. Near 0 the source itself."""
    model = wake(build("flow")).eval()
    source, noise = batch_for(model)["image"], model.noise(Rng([1, 2, 3, 4]))

    def made(strength):
        return model.vary(source, noise, {}, FlowControls(strength=strength))

    assert torch.allclose(made(1.0), model.generate(noise, {}, model.Controls()), atol=1e-5)
    assert torch.allclose(made(1e-3), source, atol=0.02)
    far = [(made(strength) - source).square().mean().item() for strength in (0.2, 0.5, 0.8)]
    assert far == sorted(far)


@torch.no_grad()
def test_completion_keeps_what_is_known_and_does_not_hear_what_is_not():
    model = wake(build("flow")).eval()
    image, noise = batch_for(model)["image"], model.noise(Rng([1, 2, 3, 4]))
    mask = torch.zeros(4, 1, 8, 8)
    mask[:, :, 2:6, 3:] = 1
    out = model.complete(image, mask, noise, {}, model.Controls())
    assert torch.equal(out * (1 - mask), image * (1 - mask)) and out.abs().max() <= 1
    other = torch.where(mask > 0, torch.nan, image)
    assert torch.equal(model.complete(other, mask, noise, {}, model.Controls()), out)
    assert not torch.equal(
        model.complete(-image, mask, noise, {}, model.Controls()) * mask, out * mask
    )
    more = model.complete(image, mask, noise, {}, FlowControls(repeats=4))
    assert not torch.equal(more, out)
    alone = model.complete(
        image[1:2], mask[1:2], {"image": noise["image"][1:2]}, {}, model.Controls()
    )
    assert torch.allclose(alone, out[1:2], atol=1e-4)


def trained(model, steps=10, **values):
    training = Training(steps=steps, batch_size=8, seed=1, **values)
    state = step.start(model, training, torch.device("cpu"), "float32", Parallel())
    kept = []
    for _ in range(steps):
        step.train_step(state, loader_for(model.config))
        state.step += 1
        kept.append(copy.deepcopy(state.model.state_dict()))
    return state, kept


@breaks("families/flow.py", '("early", self.config.early)', '("early", 1.0)')
@breaks(
    "nn/frozen.py",
    "delattr(inner, name)",
    "delattr(inner, name) or setattr(inner, name, parameter); continue",
)
def test_the_early_copy_follows_for_its_share_of_the_run_and_then_stands_still():
    state, kept = trained(build("flow", early=0.5))
    weight = "early.stem.weight"
    moved = [not torch.equal(a[weight], b[weight]) for a, b in itertools.pairwise(kept)]
    assert moved == [True] * 4 + [False] * 5
    # its memory is a tenth of the steps so far, so for the first ten it equals the network
    assert torch.allclose(kept[4][weight], kept[4]["net.stem.weight"])
    assert not torch.allclose(kept[9][weight], kept[9]["net.stem.weight"])
    assert torch.equal(state.average.state_dict()[weight], kept[9][weight])
    assert not any(name.startswith("early") for name, _ in state.model.named_parameters())


def test_an_early_copy_changes_nothing_else(tmp_path):
    plain, _ = trained(build("flow"), steps=3)
    with_copy, _ = trained(build("flow", early=0.5), steps=3)
    for key, value in plain.model.state_dict().items():
        assert torch.equal(value, with_copy.model.state_dict()[key]), key
    assert "early.stem.weight" not in plain.model.state_dict()
    artefact.save(tmp_path, "flow", with_copy.model, with_copy.model.state_dict())
    again = artefact.load(tmp_path).state_dict()
    assert torch.equal(
        again["early.stem.weight"], with_copy.model.state_dict()["early.stem.weight"]
    )


@breaks("families/flow.py", ", net=self.early)", ")")
@torch.no_grad()
def test_autoguidance_leads_away_from_the_early_copy():
    model = wake(build("flow", early=0.15), 0.01).eval()
    noise, cond = model.noise(Rng([1, 2])), {"label": torch.tensor([[0, 1], [2, 0]])}

    def drawn(**controls):
        return model.generate(noise, cond, FlowControls(steps=1, **controls))

    now, stronger = drawn(), drawn(autoguidance_scale=1.5)
    model.net, model.early = model.early, model.net
    early = drawn()
    assert torch.allclose(stronger, now + 0.5 * (now - early), atol=1e-5)
    model.net, model.early = model.early, model.net
    both = drawn(autoguidance_scale=1.5, guidance_scale=1.3)
    assert torch.allclose(both - drawn(guidance_scale=1.3), stronger - now, atol=1e-5)


def test_autoguidance_without_an_early_copy_is_refused():
    model = build("flow")
    with pytest.raises(ValueError, match=r"family\.early=0\.15"):
        model.generate(model.noise(Rng([1])), {}, FlowControls(autoguidance_scale=2.0))


class Halves(Family, Encodes, Decodes):
    """A toy autoencoder: the latents are the means of 2 x 2 pixels, twice, in other units."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([10.0, 20.0]))

    def loss(self, phase, batch, ctx):
        raise NotImplementedError

    def encode(self, image_BCHW, cond=EMPTY):
        small = nn.functional.avg_pool2d(image_BCHW, 2)
        return torch.cat([small, small], 1) * self.gain[:, None, None] + 3

    def decode(self, latent, cond=EMPTY):
        small = ((latent - 3) / self.gain[:, None, None]).mean(1, keepdim=True)
        return nn.functional.interpolate(small, scale_factor=2).clamp(-1, 1)


LATENT = {"latent": (2, 4, 4), "latent_mean": (3.0, 3.0), "latent_deviation": (5.0, 10.0)}


def of_latents(**values):
    config = changed(Flow.TINY, conditions=CONDITIONS, **{**LATENT, **values})
    return families.build("flow", config, parts={"decoder": Halves()}).eval()


@breaks(
    "families/flow.py", "return 1.0 if self.latent else self.deviation", "return self.deviation"
)
@torch.no_grad()
def test_a_flow_of_latents_is_a_flow_of_what_they_are_in_units_of_their_deviation():
    """Untrained, it is that of N(0, 1) in these units, so the latents are noise times deviation."""
    model = of_latents()
    assert model.needs() == ("latent", "label")
    noise = model.noise(Rng([1, 2]))
    assert noise["image"].shape == (2, 2, 4, 4)
    latent = 3 + noise["image"] * torch.tensor([5.0, 10.0])[:, None, None]
    images = model.generate(noise, {}, FlowControls(steps=200, churn=0))
    assert images.shape == (2, 1, 8, 8)
    assert torch.allclose(images, model.parts["decoder"].decode(latent), atol=0.01)


@breaks("families/flow.py", "return (latent_BCHW - mean_C11) / deviation_C11", "return latent_BCHW")
def test_a_flow_of_latents_trains_on_them_and_leaves_the_decoder_alone():
    model = wake(of_latents())
    image = batch_for(build("flow"))["image"]
    batch = {"latent": model.parts["decoder"].encode(image), "label": torch.zeros(4, 2).long()}
    model.loss("main", batch, context())["total"].backward()
    assert model.parts["decoder"].gain.grad is None
    assert all(p.grad is not None for p in model.parameters())
    assert not any("decoder" in key or "gain" in key for key in model.state_dict())
    plain = wake(families.build("flow", changed(model.config, latent_mean=(), latent_deviation=())))
    units = {**batch, "latent": (batch["latent"] - 3) / torch.tensor([5.0, 10.0])[:, None, None]}
    assert torch.allclose(
        model.loss("main", batch, context())["total"], plain.loss("main", units, context())["total"]
    )


@torch.no_grad()
def test_a_flow_of_latents_edits_by_way_of_them():
    model = of_latents()
    image = batch_for(build("flow"))["image"] * 0.5
    smooth = model.parts["decoder"].decode(model.parts["decoder"].encode(image))
    assert torch.allclose(model.reconstruct(image), smooth, atol=0.05)
    noise = model.noise(Rng([1, 2, 3, 4]))
    near = model.vary(image, noise, {}, FlowControls(strength=1e-3))
    assert torch.allclose(near, smooth, atol=0.01)
    mask = torch.zeros(4, 1, 8, 8)
    mask[:, :, :3] = 1
    out = model.complete(image, mask, noise, {}, model.Controls())
    assert torch.equal(out * (1 - mask), image * (1 - mask)) and torch.isfinite(out).all()


def test_what_a_flow_of_latents_cannot_do_it_says():
    image = torch.zeros(1, 1, 8, 8)
    model = of_latents()
    with pytest.raises(ValueError, match="no density of pixels"):
        model.bits_per_dim({"image": image}, Rng([1]))
    with pytest.raises(ValueError, match="cannot denoise"):
        model.denoise(image, torch.ones(1))
    alone = families.build("flow", model.config)
    with pytest.raises(ValueError, match="without a part 'decoder'"):
        new_images(alone, Rng([1]))
    with pytest.raises(ValueError, match="cannot encode"):
        alone.encode(image)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"latent": (2, 0, 4)}, "latent"),
        ({"latent": (2, 4, 4), "latent_mean": (1.0,)}, "latent_mean has 1 numbers; expected 2"),
        ({"latent_deviation": (1.0,)}, "latent_deviation has 1 numbers; expected 0"),
        ({"latent": (1, 4, 4), "latent_deviation": (0.0,)}, "above 0"),
    ],
)
def test_impossible_latents_are_refused(values, words):
    with pytest.raises(pydantic.ValidationError, match=words):
        changed(Flow.TINY, **values)


STEPS = torch.tensor([[1.0, 1.0], [1.0, 0.5], [0.75, 0.25], [0.5, 0.5], [0.1, 1e-4]])
"""Time and length of some steps."""


@breaks("objectives/flow.py", "factor = (m - (1", "factor = (m + (1")
@breaks("objectives/flow.py", "m = t - length, t - length / 2", "m = t - length, t")
@torch.no_grad()
def test_an_untrained_flow_jumps_as_a_gaussian_does():
    """x keeps its size in units of the deviation at its time, whatever the length of the step."""
    model = gaussian(jumps=0.25)
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    t, length = STEPS.unbind(1)
    d_t, d_r = (((1 - u) ** 2 * DEVIATION**2 + u**2).sqrt() for u in (t, t - length))
    expected = (d_r / d_t)[:, None, None, None] * x
    after = x - length[:, None, None, None] * model.velocity(x, t, length)
    assert torch.allclose(after, expected, atol=1e-5)
    noise = model.noise(Rng([1, 2]))
    for steps in (1, 2, 3, 4):
        end = model.generate(noise, {}, FlowControls(steps=steps))
        assert torch.allclose(end, (DEVIATION * noise["image"]).clamp(-1, 1), atol=1e-5)


@breaks("families/flow.py", '("jumper", 1 - self.config.jumps)', '("jumper", 0.0)')
@breaks(
    "training/step.py",
    "memory = max(1.0, state.training.average * done)",
    "memory = max(1.0, state.training.average * (state.step + 1))",
)
@breaks("nn/unet.py", "_silence(last)", "pass")
def test_the_jumping_copy_follows_the_network_until_it_learns_by_itself():
    state, kept = trained(build("flow", jumps=0.5), average=0.2)
    stem = "jumper.stem.weight"
    # its memory is a tenth of the steps so far, so for the first ten it equals the network
    assert torch.allclose(kept[4][stem], kept[4]["net.stem.weight"])
    assert not torch.allclose(kept[9][stem], kept[9]["net.stem.weight"])
    length = "jumper.length.2.weight"
    assert all(not each[length].any() for each in kept[:5]) and kept[9][length].any()
    # the average of the weights counts from there, too: a fifth of five steps is one
    assert torch.equal(state.average.state_dict()[stem], kept[9][stem])


def test_a_jumping_copy_changes_nothing_else():
    plain, _ = trained(build("flow"))
    jumping, _ = trained(build("flow", jumps=0.5))
    added = set(jumping.model.state_dict()) - set(plain.model.state_dict())
    assert added and all(key.startswith("jumper.") for key in added)
    for key, value in plain.average.state_dict().items():
        assert torch.equal(value, jumping.average.state_dict()[key]), key


@breaks(
    "families/flow.py",
    "few = distilled and controls.steps <= controls.most_jumps",
    "few = distilled and False",
)
@torch.no_grad()
def test_the_copy_jumps_and_the_network_does_all_else():
    model = wake(build("flow", jumps=0.5)).eval()
    image, noise = batch_for(model)["image"], model.noise(Rng([1, 2, 3, 4]))
    asked = {
        "jumps": lambda: model.generate(noise, {}, FlowControls(steps=4)),
        "no jumps": lambda: model.generate(noise, {}, FlowControls(steps=4, most_jumps=3)),
        "more steps": lambda: model.generate(noise, {}, FlowControls(steps=5)),
        "vary": lambda: model.vary(image, noise, {}, FlowControls(steps=4)),
        "encode": lambda: model.encode(image),
    }
    before = {key: each() for key, each in asked.items()}
    for p in model.jumper.parameters():
        p.mul_(0.5)
    changed_by = {key for key, each in asked.items() if not torch.equal(each(), before[key])}
    assert changed_by == {"jumps"}


def jump_loss(model, n=64, dtype=torch.float64, batch=None):
    batch = batch or batch_for(model, n)
    batch = {k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()}
    return model.loss("jumps", batch, context(n, dtype=dtype))["total"]


@breaks("families/flow.py", "true_BCHW = average(self", "_ = average(self")
def test_where_the_mean_velocity_is_known_its_loss_falls_with_the_steps_that_teach(monkeypatch):
    """What an untrained flow, exact for a Gaussian, says already."""
    model, losses = gaussian(jumps=0.5, conditional=False).double(), []
    for passes in (32, 64):
        monkeypatch.setattr(flow, "PASSES", passes)
        losses.append(jump_loss(model).item())
    assert losses[0] < 1e-6 and losses[1] < 0.1 * losses[0]


def test_each_row_is_taught_by_its_own_step():
    """The loss is the mean over rows."""
    model, n = wake(build("flow", jumps=0.5)).double(), 6
    batch = {k: v.double() if v.is_floating_point() else v for k, v in batch_for(model, n).items()}
    whole = jump_loss(model, n, batch=batch)
    rows = []
    for i in range(n):
        ctx = type(context())(
            step=0, update=0, progress=0.5, rng=Rng([100 + i], stream=7, dtype=torch.float64)
        )
        rows.append(model.loss("jumps", {k: v[i : i + 1] for k, v in batch.items()}, ctx)["total"])
    assert torch.stack(rows).mean().item() == pytest.approx(whole.item(), rel=1e-10)


@breaks(
    "families/flow.py",
    "average(self._under(given), x",
    'average(self._under({"label": batch["label"]}), x',
)
def test_a_row_keeps_its_label_when_it_is_taught_to_jump():
    model = wake(build("flow", jumps=0.5, drop_label=0.3))
    heard = []
    for net in (model.net, model.jumper):
        net.label.register_forward_hook(lambda net, given, out: heard.append(given[0]["label"]))
    model.loss("jumps", batch_for(model, 64), context(64))
    first, second = heard
    assert (first < 0).any() and torch.equal(first, second)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_jumps_train_every_parameter_of_the_copy_and_no_other(precision):
    """Passes without gradients must not leave weights without gradients, as autocast's cache might."""
    model = wake(build("flow", jumps=0.5))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        model.loss("jumps", batch_for(model, 16), context(16))["total"].backward()
    for key, p in model.jumper.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0, key
    assert all(p.grad is None for p in model.net.parameters())


@pytest.fixture(scope="module")
def trained_toy(updates=600):
    """A flow of two images of 4 x 4 pixels, trained in a second or two."""
    model = build(
        "flow", conditional=False, height=4, width=4, widths=(32,), deviation=1.0, jumps=0.5
    )
    image = torch.ones(32, 1, 4, 4)
    image[::2, :, :, :2] = -1
    image[1::2, :, :2] = -1
    training = Training(
        steps=updates, batch_size=32, lr=4e-3, decay="linear", final_lr=0, warmup=10
    )
    state = step.start(model, training, torch.device("cpu"), "float32", Parallel())
    for _ in range(updates):
        step.train_step(state, lambda draw, rows: {"image": (255 * (image[rows] > 0)).byte()})
        state.step += 1
    return state.average, image[:2]


def astray(model, images, **controls):
    """Root mean square distance of each of 64 samples from the nearest image, averaged."""
    with torch.no_grad():
        drawn = new_images(model, Rng(range(64)), {}, FlowControls(**controls))
    return (torch.cdist(drawn.flatten(1), images.flatten(1)).min(dim=1).values / 4).mean().item()


@pytest.mark.parametrize("steps", [1, 2])
def test_a_jump_goes_where_a_step_of_the_velocity_does_not(trained_toy, steps):
    """A step of Euler's lands between the two images, a jump nearer to one of them."""
    jumped, followed = (astray(*trained_toy, steps=steps, most_jumps=most) for most in (4, 0))
    assert jumped < 0.8 * followed
