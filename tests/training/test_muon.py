"""Muon, against singular value decompositions and against AdamW."""

import pytest
import torch
from torch import nn

from tests.support.sabotage import breaks
from zeuxis.training import muon

LR, DECAY = 0.01, 0.1


def net(memory_format=torch.contiguous_format):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 3), nn.Conv2d(24, 16, 1), nn.Linear(20, 20)
        )
    return layers.double().to(memory_format=memory_format)


def optimiser(layers):
    return muon.Muon(
        layers.parameters(), muon.matrices(layers), torch.float64, lr=LR, weight_decay=DECAY
    )


def gradients(layers, seed):
    for i, each in enumerate(layers.parameters()):
        each.grad = torch.randn(
            each.shape, generator=torch.Generator().manual_seed(10 * seed + i)
        ).to(each)


def expected_factor(matrix):
    """The polynomials applied to the singular values."""
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for a, b, c in muon.POLYNOMIALS:
        s = a * s + b * s**3 + c * s**5
    return u @ s.diag() @ v


@breaks("training/muon.py", "x = matrix_NRK.mT if tall else matrix_NRK", "x = matrix_NRK")
@breaks("training/muon.py", "gram = step @ gram @ step", "gram = step @ gram")
@pytest.mark.parametrize("shape", [(16, 16), (16, 144), (64, 20)])
def test_a_factor_has_the_singular_vectors_and_values_near_one(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)).double()
    factors = muon.orthogonal(matrices)
    for matrix, factor in zip(matrices, factors, strict=True):
        assert torch.allclose(factor, expected_factor(matrix), atol=1e-6)
        if shape == (16, 144):
            values = torch.linalg.svdvals(factor)
            assert values.min() > 0.6 and values.max() < 1.3


def test_gradients_of_any_size_are_turned_alike_and_none_stay_none():
    matrix = torch.randn(1, 16, 40, generator=torch.Generator().manual_seed(0))
    factor = muon.orthogonal(matrix.bfloat16())
    for size in (1e-12, 1e12):
        assert torch.allclose(muon.orthogonal((size * matrix).bfloat16()), factor, atol=0.03)
    assert muon.orthogonal(torch.zeros_like(matrix)).count_nonzero() == 0


@breaks("training/muon.py", "grad.lerp(momentum, MOMENTUM)", "momentum")
@breaks("training/muon.py", ".mul_(1 - lr * decay)", "")
@breaks("training/muon.py", "or max(module.kernel_size) == 1", "")
@breaks("training/muon.py", 'self.adam.param_groups[0]["lr"] = lr', "pass")
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_steps_equal_their_equations(memory_format):
    layers = net(memory_format)
    adam = torch.optim.AdamW(net(memory_format).parameters(), lr=LR, weight_decay=DECAY)
    theirs = adam.param_groups[0]["params"]
    matrix = layers[1].weight.detach().movedim(1, -1).flatten(1).clone()
    momentum, ours = torch.zeros_like(matrix), optimiser(layers)
    for seed in range(3):
        gradients(layers, seed)
        for a, b in zip(theirs, layers.parameters(), strict=True):
            a.grad = b.grad.clone()
        grad, lr = layers[1].weight.grad.movedim(1, -1).flatten(1), LR / (1 + seed)
        ours.param_groups[0]["lr"] = adam.param_groups[0]["lr"] = lr
        ours.step()
        adam.step()
        momentum = momentum + (1 - muon.MOMENTUM) * (grad - momentum)
        turned = expected_factor(grad + muon.MOMENTUM * (momentum - grad))
        matrix = (1 - lr * DECAY) * matrix - lr * 0.2 * (9 * 16) ** 0.5 * turned
    found = layers[1].weight.movedim(1, -1).flatten(1)
    assert torch.allclose(found, matrix, atol=1e-6)
    same = [
        torch.allclose(a, b, atol=1e-12) for a, b in zip(theirs, layers.parameters(), strict=True)
    ]
    # by Muon: the second convolution's weights; by AdamW: few inputs, biases, single points, linear layers
    assert same == [True, True, False, True, True, True, True, True]


@breaks(
    "training/muon.py",
    "super().load_state_dict(state_dict)\n        self.adam.state = self.state",
    "super().load_state_dict(state_dict)",
)
def test_what_it_remembers_can_be_saved_and_given_back():
    whole, first = net(), net()
    straight, before = optimiser(whole), optimiser(first)
    second = net()
    for seed in range(2):
        gradients(whole, seed)
        straight.step()
        gradients(first, seed)
        before.step()
    second.load_state_dict(first.state_dict())
    after = optimiser(second)
    after.load_state_dict(before.state_dict())
    for layers, each in ((whole, straight), (second, after)):
        gradients(layers, 2)
        each.step()
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True)
    )


def test_a_weight_without_a_gradient_stays():
    layers = net()
    before = layers[1].weight.detach().clone()
    gradients(layers, 0)
    layers[1].weight.grad = None
    optimiser(layers).step()
    assert torch.equal(before, layers[1].weight)
