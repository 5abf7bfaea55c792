"""An invertible map to a standard normal, of affine couplings.

Dinh et al., 2017, https://arxiv.org/abs/1605.08803, equations 7 and 8.

Shapes: B batch, E embedding of what is given, Z numbers.
"""

import torch
from torch import Tensor, nn

from zeuxis.nn.precision import full


class Coupling(nn.Module):
    """Scales and shifts one half of z by a function of the other half and of what is given."""

    def __init__(self, size: int, given: int, hidden: int) -> None:
        super().__init__()
        half = size // 2
        last = nn.Linear(hidden, 2 * half)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            nn.Linear(half + given, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            last,
        )

    def forward(self, half_BZ: Tensor, given_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Log scale, within (-2, 2), and shift of the other half."""
        raw_BZ, shift_BZ = full(self.net(torch.cat([half_BZ, given_BE], 1))).chunk(2, 1)
        return 2 * torch.tanh(raw_BZ / 2), shift_BZ


class Couplings(nn.Module):
    """p(z | given) as a standard normal latent carried by `depth` couplings; it starts as the identity.

    Args:
        size: Z, even.
        given: E.
        hidden: units of each coupling.
        depth: number of couplings; 0 leaves a standard normal.
    """

    def __init__(self, size: int, given: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(size, given, hidden) for _ in range(depth))

    @property
    def standard(self) -> bool:
        """Whether it is a standard normal, whatever is given."""
        return not self.couplings

    def to_latent(self, z_BZ: Tensor, given_BE: Tensor) -> tuple[Tensor, Tensor]:
        """The latent (B, Z), and log |d latent / d z| (B,)."""
        log_det_B = z_BZ.new_zeros(z_BZ.shape[0])
        for coupling in self.couplings:
            fixed_BZ, moved_BZ = z_BZ.chunk(2, 1)
            log_scale_BZ, shift_BZ = coupling(fixed_BZ, given_BE)
            moved_BZ = moved_BZ * log_scale_BZ.exp() + shift_BZ
            log_det_B = log_det_B + log_scale_BZ.sum(1)
            z_BZ = torch.cat([moved_BZ, fixed_BZ], 1)
        return z_BZ, log_det_B

    def to_z(self, latent_BZ: Tensor, given_BE: Tensor) -> Tensor:
        """Inverse of `to_latent`."""
        for coupling in reversed(self.couplings):
            moved_BZ, fixed_BZ = latent_BZ.chunk(2, 1)
            log_scale_BZ, shift_BZ = coupling(fixed_BZ, given_BE)
            moved_BZ = (moved_BZ - shift_BZ) * (-log_scale_BZ).exp()
            latent_BZ = torch.cat([fixed_BZ, moved_BZ], 1)
        return latent_BZ
