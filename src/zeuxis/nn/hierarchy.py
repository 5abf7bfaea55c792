"""A group of latents on one grid of a hierarchical decoder.

Child, 2021, https://arxiv.org/abs/2011.10650, figure 3, with the posterior told as its distance from
the prior (Vahdat and Kautz, 2020, https://arxiv.org/abs/2007.03898, section 3.2).

Shapes: B batch, F features, U latent numbers of a position, h, w sides of the grid.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.nn.plain import Block
from zeuxis.nn.precision import full

LEAST_SPREAD = 1e-3
"""The posterior's deviation, in units of the prior's, stays above this."""


def _last(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution that starts at zero."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class Group(nn.Module):
    """One group of latent numbers: what the prior and the posterior think of it, and its use."""

    def __init__(self, features: int, latent: int, kernel: int) -> None:
        super().__init__()
        self.latent = latent
        # Prior and posterior look at the same features: one wide convolution serves both.
        self.look = nn.Conv2d(features, 2 * features, kernel, padding=kernel // 2)
        self.prior = _last(features, features + 2 * latent)
        # Not from zero: a latent that says nothing at first is noise, and is soon not listened to.
        self.posterior = nn.Conv2d(features, 2 * latent, 1)
        self.use = nn.Conv2d(latent, features, 1)
        self.block = Block(features, kernel)

    def forward(
        self, x: Tensor, u: Tensor, evidence: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features with this group in them, its latent numbers (B, U, h, w), and their nats (B,).

        Args:
            x: features so far (B, F, h, w).
            u: standard normal (B, U, h, w): the latent itself, or, with evidence, the noise of q.
            evidence: the encoder's features (B, F, h, w).
        """
        own, shared = self.look(F.relu(x)).chunk(2, 1)
        rate_B = torch.zeros(x.shape[0], device=x.device)
        if evidence is not None:
            moves = full(self.posterior(F.relu(shared + evidence, inplace=True)))
            move, spread = moves.chunk(2, 1)
            spread = _positive(spread) + LEAST_SPREAD
            rate_B = normal_nats(move, spread)
            u = move + spread * u
        known = self.prior(F.relu(own))
        mean, scale = full(known[:, : 2 * self.latent]).chunk(2, 1)
        x = x + known[:, 2 * self.latent :] + self.use(mean + _positive(scale) * u)
        return self.block(x), u, rate_B


def _positive(raw: Tensor) -> Tensor:
    """Softplus, 1 at 0."""
    return F.softplus(raw + math.log(math.e - 1))


def normal_nats(move: Tensor, spread: Tensor) -> Tensor:
    """KL(N(move, spread^2) || N(0, 1)), summed over all but the first axis."""
    return ((move.square() + spread.square() - 1) / 2 - spread.log()).flatten(1).sum(1)
