"""Affine couplings that are fitted to latents by maximum likelihood after training.

The second stage of Dai and Wipf, 2019, https://arxiv.org/abs/1903.05789, with an invertible map, whose
density is known: a bound of the likelihood that takes it as the prior remains a bound. It minimises

    E over images of E_q [-log p(z | y)],  p(z | y) = N(u(z, y); 0, 1) |du/dz|,  u = couplings of A (z - m)

where m and A make the latents of all images uncorrelated, of mean 0 and variance 1: fitting starts there.

Shapes: B batch, E embedding of what is given, N images, Z numbers.
"""

import math

import torch
from torch import Tensor, nn

from zeuxis.core.rng import Rng
from zeuxis.nn.coupling import Couplings
from zeuxis.nn.frozen import as_buffers
from zeuxis.nn.precision import full

BATCH = 256
"""Draws of z a step, each of another image."""
LR = 5e-3
"""Adam's rate in the first step; it falls to 0 along half a cosine."""
EVERY = 25
"""Steps from one look at the images held out to the next."""
HELD = 8
"""Every so manieth image is held out: the couplings that suit those best are kept."""
FEW = 64
"""With fewer images only the mean and the covariance are fitted."""
DRAWS = 4
"""Draws of z of each image that is held out."""


class FittedFlow(nn.Module):
    """p(z | given); a standard normal until it is fitted. It has buffers only: no phase trains it.

    Args:
        size: Z, even.
        given: E.
        hidden: units of each coupling.
        depth: number of couplings; 0 fits a normal distribution.
    """

    def __init__(self, size: int, given: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.fitted: Tensor
        self.mean_Z: Tensor
        self.factor_ZZ: Tensor
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("mean_Z", torch.zeros(size))
        self.register_buffer("factor_ZZ", torch.eye(size))  # lower: the inverse of A
        self.flow = as_buffers(Couplings(size, given, hidden, depth))

    @property
    def standard(self) -> bool:
        """Whether it is a standard normal, whatever is given."""
        return not self.fitted

    def to_latent(self, z_BZ: Tensor, given_BE: Tensor) -> tuple[Tensor, Tensor]:
        """The latent (B, Z), and log |d latent / d z| (B,)."""
        if not self.fitted:
            return z_BZ, z_BZ.new_zeros(z_BZ.shape[0])
        with torch.autocast(z_BZ.device.type, enabled=False):  # or it would not undo `to_z`
            away_ZB = (full(z_BZ) - self.mean_Z).T
            even_BZ = torch.linalg.solve_triangular(self.factor_ZZ, away_ZB, upper=False).T
            latent_BZ, log_det_B = self.flow.to_latent(even_BZ, full(given_BE))
        return latent_BZ, log_det_B - self.factor_ZZ.diagonal().log().sum()

    def to_z(self, latent_BZ: Tensor, given_BE: Tensor) -> Tensor:
        """Inverse of `to_latent`."""
        if not self.fitted:
            return latent_BZ
        with torch.autocast(latent_BZ.device.type, enabled=False):
            even_BZ = self.flow.to_z(full(latent_BZ), full(given_BE))
            return even_BZ @ self.factor_ZZ.T + self.mean_Z

    @torch.no_grad()
    def fit(
        self, mean_NZ: Tensor, deviation_NZ: Tensor, given_NE: Tensor, rng: Rng, steps: int
    ) -> list[float]:
        """Fit to the posteriors of N images, afresh whatever was fitted before.

        Args:
            mean_NZ: means of the posteriors, in an order that says nothing.
            deviation_NZ: their standard deviations.
            given_NE: what is given for each.
            rng: draws; its rows are no images here, only so many streams.
            steps: of Adam; fewer where those held out are suited best earlier.

        Returns:
            Mean -log p(z | given), less Z log(2 pi) / 2, of the images held out, before the first step
            and after each `EVERY` steps.
        """
        mean_NZ, deviation_NZ = mean_NZ.to(self.mean_Z), deviation_NZ.to(self.mean_Z)
        self._standardise(mean_NZ, deviation_NZ)
        self._restart(rng)
        n, size = mean_NZ.shape
        if n < FEW or not self.flow.couplings:
            return []
        held_N = torch.arange(n, device=mean_NZ.device) % HELD == HELD - 1
        held_mean, held_deviation, held_given = (
            v[held_N].repeat(DRAWS, 1) for v in (mean_NZ, deviation_NZ, given_NE)
        )
        held_BZ = held_mean + held_deviation * _normal(rng, "held", len(held_mean), size)
        mean_NZ, deviation_NZ, given_NE = (v[~held_N] for v in (mean_NZ, deviation_NZ, given_NE))
        weights = list(self.flow.buffers())
        best, curve = [w.clone() for w in weights], [self._cost(held_BZ, held_given).item()]
        adam = torch.optim.Adam(weights, LR, betas=(0.9, 0.99))
        order = torch.empty(0, dtype=torch.int64, device=mean_NZ.device)
        for weight in weights:
            weight.requires_grad_(True)
        for step in range(steps):
            if len(order) < min(BATCH, len(mean_NZ)):
                order = rng.shared(f"order/{step}", len(mean_NZ)).argsort(stable=True)
            rows, order = order[:BATCH], order[BATCH:]
            noise_BZ = _normal(rng, f"noise/{step}", len(rows), size)
            adam.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * step / steps)) / 2
            with torch.enable_grad():
                cost = self._cost(mean_NZ[rows] + deviation_NZ[rows] * noise_BZ, given_NE[rows])
                adam.zero_grad()
                cost.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            adam.step()
            if (step + 1) % EVERY == 0 or step + 1 == steps:
                curve.append(self._cost(held_BZ, held_given).item())
                if curve[-1] <= min(curve):
                    best = [w.clone() for w in weights]
        adam.zero_grad()
        for weight, value in zip(weights, best, strict=True):
            weight.requires_grad_(False).copy_(value)
        return curve

    def _cost(self, z_BZ: Tensor, given_BE: Tensor) -> Tensor:
        latent_BZ, log_det_B = self.to_latent(z_BZ, given_BE)
        return (latent_BZ.square().sum(1) / 2 - log_det_B).mean()

    def _standardise(self, mean_NZ: Tensor, deviation_NZ: Tensor) -> None:
        """Mean and covariance of the average posterior: no draw is needed for them."""
        mean_NZ, variance_Z = mean_NZ.double(), deviation_NZ.double().square().mean(0)
        mean_Z = mean_NZ.mean(0)
        away_NZ = mean_NZ - mean_Z
        covariance_ZZ = away_NZ.T @ away_NZ / len(mean_NZ) + variance_Z.diag()
        floor = 1e-6 * covariance_ZZ.diagonal().mean().clamp(min=1e-12)
        covariance_ZZ.diagonal().add_(floor)
        self.mean_Z.copy_(mean_Z)
        self.factor_ZZ.copy_(torch.linalg.cholesky(covariance_ZZ))
        self.fitted.fill_(True)

    def _restart(self, rng: Rng) -> None:
        """The couplings as the identity, their first layers uniform within 1 / sqrt(inputs)."""
        for i, coupling in enumerate(self.flow.couplings):
            layers = [layer for layer in coupling.modules() if isinstance(layer, nn.Linear)]
            for j, layer in enumerate(layers):
                last = j == len(layers) - 1
                width = 0.0 if last else layer.in_features**-0.5
                for kind, weight in layer.named_buffers():
                    draw = rng.shared(f"start/{i}/{j}/{kind}", *weight.shape)
                    weight.copy_(width * (2 * draw - 1))


def _normal(rng: Rng, name: str, rows: int, size: int) -> Tensor:
    """So many rows of standard normal numbers, from as many streams as the generator has."""
    return rng.normal(name, math.ceil(rows / len(rng)), size).flatten(0, 1)[:rows]
