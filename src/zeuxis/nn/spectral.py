"""Spectral normalisation (Miyato et al., 2018, https://arxiv.org/abs/1802.05957).

Each weight, as a matrix, is divided by its largest singular value, which the power method tracks.
Other versions move their buffers in every forward pass, so that a loss would depend on how often
it is called; here only `follow` moves them, once after each optimiser step.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

ITERATIONS = 20
"""Of the power method before training."""


class Spectral(nn.Module):
    """weight -> weight / its largest singular value."""

    left: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("left", F.normalize(torch.randn(len(weight)), dim=0))
        for _ in range(ITERATIONS):
            self.follow(weight)

    def forward(self, weight: Tensor) -> Tensor:
        """Same shape as `weight`, its largest singular value about 1."""
        matrix = weight.flatten(1)
        right = F.normalize(matrix.detach().t().mv(self.left), dim=0)
        return weight / matrix.mv(right).dot(self.left)

    @torch.no_grad()
    def follow(self, weight: Tensor) -> None:
        """One step of the power method."""
        matrix = weight.flatten(1)
        right = F.normalize(matrix.t().mv(self.left), dim=0)
        self.left.copy_(F.normalize(matrix.mv(right), dim=0))


def constrain(network: nn.Module) -> None:
    """Normalise the weights of all convolutions and linear layers in `network`."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            register_parametrization(module, "weight", Spectral(module.weight))


def follow(network: nn.Module) -> None:
    """After an optimiser step: let the singular vectors in `network`, if any, follow its weights."""
    for module in network.modules():
        if isinstance(module, nn.utils.parametrize.ParametrizationList):
            for parametrization in module:
                if isinstance(parametrization, Spectral):
                    parametrization.follow(module.original)
