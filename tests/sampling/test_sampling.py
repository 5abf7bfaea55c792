"""Solvers and guidance against closed forms."""

import math

import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.core.rng import Rng
from zeuxis.objectives.distillation import MOST_STEPS, random_steps
from zeuxis.sampling.complete import complete
from zeuxis.sampling.ode import average, change_of_variables, guided, long_steps, multistep
from zeuxis.sampling.stochastic import shuffled, stochastic

MEAN, DEVIATION = 0.4, 0.3


def optimal(x, t):
    """The rectified flow of N(MEAN, DEVIATION^2): E[noise - data | x_t], both jointly Gaussian."""
    t = t[:, None]
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    return (t - (1 - t) * DEVIATION**2) / variance * (x - (1 - t) * MEAN) - MEAN


def times(steps):
    return [1 - i / steps for i in range(steps + 1)]


@breaks("sampling/ode.py", "(past + slope) / 2", "slope")
def test_the_flow_of_a_gaussian_ends_on_its_mean_and_deviation():
    x = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end = multistep(optimal, (x - x.mean()) / x.std(), times(80))
    assert end.mean().item() == pytest.approx(MEAN, abs=5e-3)
    assert end.std().item() == pytest.approx(DEVIATION, abs=5e-3)


def test_it_converges_at_second_order():
    """The exact flow maps noise e to MEAN + DEVIATION e; halving the step divides the error by four."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    exact = MEAN + DEVIATION * x
    errors = [(multistep(optimal, x, times(n)) - exact).abs().max().item() for n in (160, 320, 640)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.06)


def test_a_straight_flow_needs_one_step():
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(multistep(lambda x, t: torch.full_like(x, 2.0), x, times(1)), x - 2)


def test_it_calls_the_network_once_a_step_never_at_the_end_and_ticks():
    seen, ticks = [], []

    def velocity(x, t):
        seen.append(t[0].item())
        return x

    multistep(velocity, torch.ones(2, 1), times(4), lambda done, total: ticks.append((done, total)))
    assert seen == [1.0, 0.75, 0.5, 0.25]
    assert ticks == [(1, 4), (2, 4), (3, 4), (4, 4)]


@breaks("sampling/ode.py", "(2 * (t - times[i - 1])))", "(t - times[i - 1]))")
def test_velocities_that_are_a_line_in_time_are_followed_exactly_on_any_grid():
    x, grid = torch.zeros(1, 1, dtype=torch.float64), [1.0, 0.9, 0.5, 0.3, 0.0]
    end = multistep(lambda x, t: 2 * t[:, None], x, grid)
    assert end.item() == pytest.approx(-1)


def test_three_steps_by_hand():
    """dx/dt = x from 1 at 0: predict, correct with the slope found there, extend the last two slopes."""
    first = 1.1
    second = 1 + 0.1 * (1 + first) / 2
    third = second + 0.2 * (first + 0.2 / 0.2 * (first - 1))
    fourth = second + 0.2 * (first + third) / 2
    end = fourth + 0.1 * (third + 0.1 / 0.4 * (third - first))
    grid = [0.0, 0.1, 0.3, 0.4]
    found = multistep(lambda x, t: x, torch.ones(1, 1, dtype=torch.float64), grid)
    assert found.item() == pytest.approx(end, abs=1e-12)


def mean_velocity(x, t, length):
    """Of the flow of N(MEAN, DEVIATION^2), where x - (1 - t) MEAN grows with the deviation at t."""
    t, length = t[:, None], length[:, None]
    after = t - length
    size, size_after = (((1 - u) ** 2 * DEVIATION**2 + u**2).sqrt() for u in (t, after))
    there = (1 - after) * MEAN + (x - (1 - t) * MEAN) * size_after / size
    return (x - there) / length


@breaks("sampling/ode.py", "x - (t - after) * average", "x - t * average")
def test_jumps_with_the_exact_mean_velocity_are_exact_on_any_grid():
    x, ticks = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None], []
    for grid in ([1.0, 0.0], [1.0, 0.7, 0.2, 0.0], times(4)):
        assert torch.allclose(long_steps(mean_velocity, x, grid), MEAN + DEVIATION * x, atol=1e-12)
    middle = long_steps(
        mean_velocity, x, [1.0, 0.3], lambda done, total: ticks.append((done, total))
    )
    finely = multistep(optimal, x, [1 - 0.7 * i / 400 for i in range(401)])
    assert torch.allclose(middle, finely, atol=1e-4) and ticks == [(1, 1)]


@breaks("sampling/ode.py", "(1 - left_B) * length_B", "left_B * length_B")
def test_following_the_velocity_teaches_its_mean():
    """Each row over its own step; exactly where the velocity is a line in time, else nearly."""
    x = torch.randn(6, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    t = torch.tensor([1.0, 1.0, 0.5, 0.75, 0.3, 0.2], dtype=torch.float64)
    length = torch.tensor([1.0, 0.5, 0.5, 0.25, 0.1, 0.01], dtype=torch.float64)
    line = average(lambda x, t: 3 - 2 * t[:, None].expand_as(x), x, t, length, 4)
    exact = 3 - (2 * t - length)[:, None]
    assert torch.allclose(line, exact, atol=1e-12)
    taught = average(optimal, x, t, length, 4)
    errors = (taught - mean_velocity(x, t, length)).abs().squeeze(1)
    assert errors[5] < 1e-4 and errors[3] < 5e-3 and errors.max() < 0.2


@breaks(
    "objectives/distillation.py",
    "(1 - i / n, 1 / n) for n in grids",
    "(1 - i / n, 1 / n) for n in grids[1:]",
)
def test_random_steps_are_all_those_of_even_grids_and_all_alike():
    t, length = random_steps(Rng(range(4000)))
    n, i = 1 / length, (1 - t) / length
    assert torch.allclose(n, n.round(), atol=1e-4) and torch.allclose(i, i.round(), atol=1e-4)
    found = [tuple(row) for row in torch.stack([n, i], 1).round().int().tolist()]
    every = [(n, i) for n in range(1, MOST_STEPS + 1) for i in range(n)]
    assert sorted(set(found)) == every
    for one in every:
        assert found.count(one) / len(found) == pytest.approx(1 / len(every), abs=0.02)


def test_guidance_is_the_conditional_at_one_and_the_unconditional_at_zero():
    conditional, unconditional = torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(guided(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guided(conditional, unconditional, 0.0), unconditional)


def new_noise(n, columns=1):
    def fresh(k):
        generator = torch.Generator().manual_seed(k)
        return torch.randn(n, columns, generator=generator, dtype=torch.float64)

    return fresh


RHO = 0.9


def of_a_pair(x, t):
    """The flow of two standard normals correlated by RHO.

    Along each eigenvector of their covariance it is that of N(0, l), with l the eigenvalue.
    """
    values = torch.tensor([1 - RHO, 1 + RHO], dtype=torch.float64)
    vectors = torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64) / math.sqrt(2)
    t = t[:, None]
    return x @ vectors * ((t - (1 - t) * values) / (t**2 + (1 - t) ** 2 * values)) @ vectors.T


@breaks("sampling/complete.py", "after * (x + (1 - t) * slope)", "after * x")
@breaks("sampling/complete.py", "t**2 - (keep * after) ** 2", "t**2")
@breaks("sampling/complete.py", "torch.where(open_, x - t * slope, known)", "x - t * slope")
def test_completion_of_a_pair_is_the_conditional_distribution():
    """One known, x, the other not: N(RHO x, 1 - RHO^2), the nearer the more repeats."""
    n, x = 8000, 1.5
    known = torch.tensor([[x, 99.0]], dtype=torch.float64).expand(n, 2)
    mask = torch.tensor([[0.0, 1.0]])
    painted = []
    for repeats in (1, 4):
        out = complete(of_a_pair, known, mask, new_noise(n, 2), times(50), repeats)
        assert torch.equal(out[:, 0], known[:, 0])
        painted.append(out[:, 1])
    once, often = ((each.mean() - RHO * x).abs().item() for each in painted)
    assert often < 0.03 < once < 0.2
    assert painted[1].std().item() == pytest.approx(math.sqrt(1 - RHO**2), rel=0.1)


def test_completion_of_everything_is_generation():
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ticks = []
    nothing = torch.full_like(x, torch.nan)
    out = complete(
        of_a_pair,
        nothing,
        torch.ones(1, 2),
        lambda k: x,
        times(400),
        progress=lambda done, total: ticks.append((done, total)),
    )
    assert torch.allclose(out, multistep(of_a_pair, x, times(400)), atol=0.02)
    assert ticks[0] == (1, 400) and ticks[-1] == (400, 400)


@breaks("sampling/stochastic.py", "(past + data) / 2", "data")
@breaks(
    "sampling/stochastic.py",
    "if after > 0:\n                ahead",
    "if True:\n                ahead",
)
def test_without_new_noise_it_is_the_flow_at_second_order_but_for_a_logarithm():
    """Near t = 0 a step is long beside t: the error falls as h^2 log(1 / h)."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    errors = []
    for steps in (80, 160, 320):
        end = stochastic(optimal, x, times(steps), fresh=new_noise(9), churn=0.0)
        errors.append((end - (MEAN + DEVIATION * x)).abs().max().item())
    assert 3 < errors[0] / errors[1] < errors[1] / errors[2] < 4
    assert errors[2] < 1e-3


@pytest.mark.parametrize("churn", [0.25, 1.0])
def test_new_noise_keeps_the_distribution_and_forgets_where_it_began(churn):
    """From noise of the wrong mean and deviation the flow ends wrong, new noise far less so."""
    n = 20_000
    x = new_noise(n)(0)
    end = stochastic(optimal, x, times(80), fresh=new_noise(n), churn=churn)
    assert end.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert end.std().item() == pytest.approx(DEVIATION, abs=0.01)
    wrong = 1 + 1.5 * x
    mended = stochastic(optimal, wrong, times(80), fresh=new_noise(n), churn=churn)
    followed = multistep(optimal, wrong, times(80))
    for ends, right in ((torch.mean, MEAN), (torch.std, DEVIATION)):
        assert abs(ends(mended) - right) < 0.1 * abs(ends(followed) - right)


@breaks("sampling/stochastic.py", "math.sqrt(churn)", "churn")
def test_two_steps_with_new_noise_by_hand():
    """The velocity x + 1 makes d = x - t (x + 1); the last step goes to d, corrected first."""
    x, new, t, after, churn = 0.7, -1.3, 1.0, 0.4, 0.36
    data = x - t * (x + 1)
    noise = x + (1 - t) * (x + 1)
    there = (1 - after) * data + after * (0.8 * noise + 0.6 * new)
    data_there = there - after * (there + 1)
    middle = (data + data_there) / 2
    there = (1 - after) * middle + after * (0.8 * x + 0.6 * new)  # at t = 1, x is all noise
    ks, ticks = [], []

    def fresh(k):
        ks.append(k)
        return torch.full((1, 1), new, dtype=torch.float64)

    def tick(done, total):
        ticks.append((done, total))

    start = torch.full((1, 1), x, dtype=torch.float64)
    arguments = {"fresh": fresh, "churn": churn}
    end = stochastic(lambda x, t: x + 1, start, [t, after, 0.0], tick, **arguments)
    assert end.item() == pytest.approx(data_there)
    half = stochastic(lambda x, t: x + 1, start, [t, after], tick, **arguments)
    first = (1 - after) * data + after * (0.8 * noise + 0.6 * new)
    assert half.item() == pytest.approx(first)
    assert ks == [1, 1] and ticks == [(1, 2), (2, 2), (1, 1)]


@breaks("sampling/stochastic.py", " * sign.to(noise)", "")
def test_shuffled_noise_is_the_same_numbers_in_another_order_with_other_signs():
    noise = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    state = torch.get_rng_state()
    several = torch.stack([shuffled(noise, k) for k in range(4)])
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(several[0], noise) and torch.equal(several[1], shuffled(noise, 1))
    sizes = [each.abs().flatten(1).sort().values for each in (several[2], noise)]
    assert torch.equal(*sizes)
    alike = torch.corrcoef(several.flatten(1)) - torch.eye(4)
    assert alike.abs().max() < 0.15
    assert torch.equal(shuffled(noise[1:2], 3), several[3, 1:2])  # whatever the batch
    bright = torch.ones(1, 1, 16, 16)  # a row that is bright by chance is not so again
    assert all(shuffled(bright, k).mean().abs() < 0.25 for k in range(1, 20))


def test_the_change_of_variables_of_a_gaussian():
    """The flow from data to noise divides by the deviation, in each of 3 dimensions, and log-volumes add."""
    x = MEAN + DEVIATION * torch.randn(
        5, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    probe = torch.tensor([[1.0, -1.0, 1.0]], dtype=torch.float64).expand(5, 3)
    end, log_volume = change_of_variables(optimal, x, times(200)[::-1], probe)
    assert torch.allclose(end, (x - MEAN) / DEVIATION, atol=1e-3)
    expected = torch.full((5,), -3 * math.log(DEVIATION), dtype=torch.float64)
    assert torch.allclose(log_volume, expected, atol=1e-3)


@breaks("sampling/ode.py", "product * probe", "product")
def test_the_trace_is_without_bias():
    """Where the Jacobian is not diagonal, its trace is right on average over signs only."""
    matrix = torch.tensor([[0.5, 2.0], [-1.0, -0.2]], dtype=torch.float64)
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    x = torch.ones(2, 2, dtype=torch.float64)
    _, log_volume = change_of_variables(lambda x, t: x @ matrix.T, x, [0.0, 1.0], signs)
    assert log_volume.mean().item() == pytest.approx(0.3) and log_volume[0] != log_volume[1]
