"""Solvers and guidance against closed forms."""

import pytest
import torch

from zeuxis.sampling.ode import guided, heun

MEAN, DEVIATION = 0.4, 0.3


def optimal(x, t):
    """The rectified flow of N(MEAN, DEVIATION^2): E[noise - data | x_t], both jointly Gaussian."""
    t = t[:, None]
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    return (t - (1 - t) * DEVIATION**2) / variance * (x - (1 - t) * MEAN) - MEAN


def times(steps):
    return [1 - i / steps for i in range(steps + 1)]


def test_the_flow_of_a_gaussian_ends_on_its_mean_and_deviation():
    x = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end = heun(optimal, (x - x.mean()) / x.std(), times(80))
    assert end.mean().item() == pytest.approx(MEAN, abs=5e-3)
    assert end.std().item() == pytest.approx(DEVIATION, abs=5e-3)


def test_heun_converges_at_second_order():
    """The exact flow maps noise e to MEAN + DEVIATION e; halving the step divides the error by four."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    exact = MEAN + DEVIATION * x
    errors = [(heun(optimal, x, times(n)) - exact).abs().max().item() for n in (40, 80, 160)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_a_straight_flow_needs_one_step():
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(heun(lambda x, t: torch.full_like(x, 2.0), x, times(1)), x - 2)


def test_heun_calls_the_network_twice_a_step_but_once_in_the_last_and_ticks():
    seen, ticks = [], []

    def velocity(x, t):
        seen.append(t[0].item())
        return x

    heun(velocity, torch.ones(2, 1), times(4), lambda done, total: ticks.append((done, total)))
    assert len(seen) == 7 and min(seen) > 0
    assert ticks == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_guidance_is_the_conditional_at_one_and_the_unconditional_at_zero():
    conditional, unconditional = torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(guided(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guided(conditional, unconditional, 0.0), unconditional)
