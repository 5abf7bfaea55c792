"""A residual block without normalisation, which autoencoders that model a likelihood do best with."""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions around an identity; it starts as the identity, which keeps depth harmless."""

    def __init__(self, features: int, kernel: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(features, features, kernel, padding=kernel // 2)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return x + self.second(F.relu(self.first(F.relu(x)), inplace=True))
