import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.objectives.energy import energy_score


def test_it_is_half_the_sum_of_two_distances_less_the_third():
    a, b, real = (torch.full((2, 1, 3, 3), value) for value in (0.5, -0.1, 0.2))
    assert torch.allclose(energy_score(a, b, real), torch.tensor((0.3 + 0.3 - 0.6) / 2), atol=1e-5)
    assert torch.allclose(energy_score(a, a, real), torch.tensor(0.3), atol=1e-3)


@breaks("objectives/energy.py", " - away(a_BCHW, b_BCHW)", "")
@pytest.mark.parametrize("other", [0.0, 0.4, 2.5])
def test_it_is_least_for_the_spread_of_the_data(other):
    """Draws of no spread about the right mean, of too little and of too much."""
    a, b, real = torch.randn(3, 4000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    right = energy_score(a, b, real).mean()
    assert right < energy_score(other * a, other * b, real).mean() - 0.01


def test_equal_draws_have_a_finite_gradient():
    a = torch.zeros(1, 1, 2, 2, requires_grad=True)
    energy_score(a, a.detach(), torch.zeros(1, 1, 2, 2)).sum().backward()
    assert a.grad is not None and a.grad.isfinite().all()
