"""What is particular to the flow family; the contract is in test_families."""

import pydantic
import pytest
import torch
from torch import nn

from tests.kit import CONDITIONS, build, changed, context, wake
from zeuxis import families
from zeuxis.families.flow import Flow, FlowControls
from zeuxis.nn.norm import NormSiLU
from zeuxis.rng import Rng


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
    end = model.generate(noise, controls=FlowControls(steps=100))
    assert torch.allclose(end, (0.3 * noise["image"]).clamp(-1, 1), atol=2e-3)


@pytest.mark.parametrize("attributes", [1, 2])
def test_labels_are_dropped_by_row_and_by_attribute(attributes):
    """What a row loses is drawn for it alone, not for the batch."""
    n, conditions = 256, CONDITIONS[:attributes]
    model = wake(families.build("flow", changed(Flow.TINY, drop_label=0.4, conditions=conditions)))
    heard = []
    model.net.register_forward_hook(lambda net, given, out: heard.append(given[2]))
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


def test_it_overfits_two_images_and_draws_them_again():
    torch.manual_seed(0)
    model = build("flow", conditional=False, widths=(32,), deviation=1.0)
    image = torch.ones(16, 1, 8, 8)
    image[::2, :, :, :4] = -1
    image[1::2, :, :4] = -1
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(160):
        rng = Rng([1000 * step + i for i in range(16)])
        ctx = context(16)
        loss = model.loss(
            "main", {"image": image}, type(ctx)(step=0, update=0, progress=0, rng=rng)
        )
        optimiser.zero_grad()
        loss["total"].backward()
        optimiser.step()
    with torch.no_grad():
        drawn = model.sample(Rng(range(8)))
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
