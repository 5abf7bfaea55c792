"""Mixtures of discretised logistics: a distribution, the paper's, and the same number by number."""

import itertools
import math

import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.core.pixels import from_levels
from zeuxis.objectives.likelihood import (
    logistic_nats,
    mixture_log_p,
    mixture_nats,
    mixture_size,
    mixture_start,
)


def raw_pixels(n, channels, components, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    raw = scale * torch.randn(n, mixture_size(channels, components), generator=generator)
    return raw + mixture_start(channels, components)


def all_pixels(channels, levels):
    pixels = torch.tensor(list(itertools.product(range(levels), repeat=channels)))
    return from_levels(pixels, levels)[..., None, None]


def nats_of(pixels, raw_K, components, levels):
    raw = raw_K[None, :, None, None].expand(len(pixels), -1, 1, 1)
    return mixture_nats(pixels, raw, components, levels).flatten()


def test_the_size_counts_logits_means_scales_and_coefficients():
    assert [mixture_size(c, 10) for c in (1, 3, 4)] == [30, 100, 150]


@breaks(
    "objectives/likelihood.py",
    "return log_p + torch.log(-torch.expm1(-inverse)) * (not_lowest & not_highest)",
    "return log_p",
)
@pytest.mark.parametrize("channels, levels", [(1, 256), (1, 2), (3, 5), (4, 3)])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_probabilities_of_all_pixels_sum_to_one(channels, levels, scale):
    pixels = all_pixels(channels, levels)
    for raw in raw_pixels(4, channels, 3, scale):
        total = (-nats_of(pixels, raw, 3, levels).double()).exp().sum()
        assert total.item() == pytest.approx(1, abs=1e-5)


@breaks(
    "objectives/likelihood.py",
    "for c in range(channels):\n            mean = self.mean(level, c, levels)",
    "for c in range(channels):\n            mean = self.mean(level, 0, levels)",
)
@breaks(
    "objectives/likelihood.py",
    "weight_BM = raw.joint(known_BC, channel, levels).log_softmax(1)",
    "weight_BM = raw.logit.log_softmax(1)",
)
@pytest.mark.parametrize("channels, levels", [(1, 256), (3, 256), (4, 7)])
def test_the_chain_over_channels_is_the_joint(channels, levels):
    raw, generator = raw_pixels(64, channels, 5), torch.Generator().manual_seed(3)
    level = torch.randint(0, levels, (64, channels), generator=generator)
    level[:4], level[4:8] = 0, levels - 1
    value = from_levels(level, levels)
    chain = torch.zeros(64)
    for c in range(channels):
        known = value.clone()
        known[:, c:] = math.nan  # never read
        log_p = mixture_log_p(raw, known, c, channels, 5, levels)
        assert log_p.shape == (64, levels) and log_p.dtype == torch.float32
        assert torch.allclose(log_p.logsumexp(1), torch.zeros(64), atol=1e-5)
        chain += log_p.gather(1, level[:, c : c + 1])[:, 0]
    joint = mixture_nats(value[..., None, None], raw[..., None, None], 5, levels)
    assert torch.allclose(-chain, joint.flatten(), rtol=1e-5, atol=1e-5)


def test_one_component_is_the_logistic():
    image = from_levels(torch.arange(256))[:, None, None, None]
    raw = torch.tensor([0.3, 0.2, -1.5])[None, :, None, None].expand(256, -1, 1, 1)
    expected = logistic_nats(image, torch.tensor(0.2), torch.tensor(-1.5))
    assert torch.allclose(mixture_nats(image, raw, 1)[:, None], expected, rtol=1e-4)


@breaks(
    "objectives/likelihood.py",
    "self.coefficients[channel, j].tanh() * value",
    "self.coefficients[channel, j] * value",
)
def test_colours_are_the_paper_s_formula_in_plain_numbers():
    raw = raw_pixels(1, 3, 2, seed=5)[0].double()
    value = from_levels(torch.tensor([10, 200, 255])).double()
    logit, mean, scale, coefficient = raw.split([2, 6, 6, 6])
    mean, scale, coefficient = (
        mean.view(3, 2),
        scale.view(3, 2).exp(),
        coefficient.view(3, 2).tanh(),
    )
    total = 0.0
    for m in range(2):
        centre = [
            mean[0, m],
            mean[1, m] + coefficient[0, m] * value[0],
            mean[2, m] + coefficient[1, m] * value[0] + coefficient[2, m] * value[1],
        ]
        p = logit.softmax(0)[m]
        for c in range(3):
            above = torch.sigmoid((value[c] + 1 / 255 - centre[c]) / scale[c, m])
            below = torch.sigmoid((value[c] - 1 / 255 - centre[c]) / scale[c, m])
            p = p * ((1.0 if c == 2 else above) - below)  # the last is the highest level
        total = total + p
    nats = nats_of(value[None, :, None, None].float(), raw, 2, 256)
    assert nats.item() == pytest.approx(-math.log(total), rel=1e-6)


def test_a_level_can_take_all_the_mass_and_gradients_stay_finite():
    raw = torch.tensor([0.0, from_levels(torch.tensor(77)), -100.0], requires_grad=True)
    assert nats_of(from_levels(torch.tensor([77])).view(1, 1, 1, 1), raw, 1, 256).item() < 1e-6
    wild = torch.tensor([[0.0, 3.0, -100.0], [0.0, -500.0, 100.0]], requires_grad=True)
    image = from_levels(torch.tensor([0, 128])).view(2, 1, 1, 1)
    nats = mixture_nats(image, wild[..., None, None], 1)
    nats.sum().backward()
    assert torch.isfinite(nats).all() and torch.isfinite(wild.grad).all()


def test_the_start_spreads_its_means():
    start = mixture_start(3, 4).split([4, 12, 12, 12])
    assert start[1].view(3, 4).tolist() == [pytest.approx([-0.6, -0.2, 0.2, 0.6])] * 3
    assert (start[0] == 0).all() and (start[3] == 0).all() and (start[2] < 0).all()
