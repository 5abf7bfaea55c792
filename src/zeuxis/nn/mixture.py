"""A mixture of normal distributions fitted to points, and the smooth map from a standard normal to it.

Fitted after training to the latents of the data it replaces the prior that an autoencoder was trained
with (Ghosh et al., 2020, https://arxiv.org/abs/1903.12436, section 4). Points are drawn by the
Knothe-Rosenblatt map: number i of a standard normal u becomes the z_i at which

    P(z_i | z_<i) = Phi(u_i),    P(z_i | z_<i) = sum_k r_k Phi((z_i - m_ki) / s_ki)

with r_k the probability of component k given z_<i, and m_ki, s_ki that component's mean and deviation
of z_i given z_<i, from the Cholesky factor of its covariance. No component is ever chosen, so that
near u make near z, and the map has an inverse.

Shapes: B batch, A label conditions, K components, N points, Z numbers of a point.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zeuxis.core.rng import Rng

HALVINGS = 50
"""Of the interval that holds z_i: 2^-50 of its length is left."""
NEWTON = 12
"""Steps of Newton's method for the inverse of log Phi, which is concave: they come from one side."""
DRAWS = 4
"""Draws of z from each posterior that it is fitted to."""
ROUNDS = 60
"""Of expectation and maximisation."""


class Mixture(nn.Module):
    """A standard normal until it is fitted. Everything is computed in float64.

    Args:
        components: K.
        size: Z.
        classes: number of classes of each condition; a label changes the components' weights.
    """

    def __init__(self, components: int, size: int, classes: Sequence[int]) -> None:
        super().__init__()
        self.fitted: Tensor
        self.log_weight_K: Tensor
        self.mean_KZ: Tensor
        self.factor_KZZ: Tensor
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("log_weight_K", torch.full((components,), -math.log(components)))
        self.register_buffer("mean_KZ", torch.zeros(components, size))
        self.register_buffer("factor_KZZ", torch.eye(size).repeat(components, 1, 1))
        self.count = len(classes)
        for i, n in enumerate(classes):
            self.register_buffer(f"log_odds_{i}", torch.zeros(n + 1, components))

    def log_weight(self, label_BA: Tensor) -> Tensor:
        """Log P(component | labels), (B, K): the conditions count as independent given the component."""
        log_BK = self.log_weight_K.double().expand(label_BA.shape[0], -1)
        for i in range(self.count):
            log_BK = (
                log_BK + self.get_buffer(f"log_odds_{i}").double()[label_BA[:, i]]
            )  # -1: the last
        return log_BK.log_softmax(1)

    def nats(self, z_BZ: Tensor, label_BA: Tensor) -> Tensor:
        """-log p(z | labels) less Z log(2 pi) / 2, (B,) in the type of `z_BZ`; differentiable."""
        if not self.fitted:
            return z_BZ.square().sum(1) / 2
        log_BK = log_normal(z_BZ.double(), self.mean_KZ.double(), self.factor_KZZ.double())
        return -torch.logsumexp(log_BK + self.log_weight(label_BA), 1).to(z_BZ.dtype)

    def to_z(self, latent_BZ: Tensor, label_BA: Tensor) -> Tensor:
        """The point that a standard normal is carried to, (B, Z)."""

        def place(
            i: int, log_BK: Tensor, mean_BK: Tensor, scale_K: Tensor
        ) -> tuple[Tensor, Tensor]:
            u_B = latent_BZ[:, i].double()
            return u_B, _quantile(u_B, log_BK, mean_BK, scale_K)

        return self._along(latent_BZ, label_BA, place)[1]

    def to_latent(self, z_BZ: Tensor, label_BA: Tensor) -> Tensor:
        """Inverse of `to_z`."""

        def place(
            i: int, log_BK: Tensor, mean_BK: Tensor, scale_K: Tensor
        ) -> tuple[Tensor, Tensor]:
            z_B = z_BZ[:, i].double()
            return _normal(z_B, log_BK, mean_BK, scale_K), z_B

        return self._along(z_BZ, label_BA, place)[0]

    @torch.no_grad()
    def _along(
        self,
        given_BZ: Tensor,
        label_BA: Tensor,
        place: Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, Tensor]:
        """Number after number: the latent and z, both (B, Z)."""
        if not self.fitted:
            return given_BZ, given_BZ
        mean_KZ, factor_KZZ = self.mean_KZ.double(), self.factor_KZZ.double()
        log_BK, size = self.log_weight(label_BA), mean_KZ.shape[1]
        noise_BKZ = given_BZ.new_zeros(given_BZ.shape[0], *mean_KZ.shape, dtype=torch.float64)
        latents, points = [], []
        for i in range(size):
            mean_BK = mean_KZ[:, i] + torch.einsum(
                "bkj,kj->bk", noise_BKZ[..., :i], factor_KZZ[:, i, :i]
            )
            scale_K = factor_KZZ[:, i, i]
            u_B, z_B = place(i, log_BK, mean_BK, scale_K)
            noise_BKZ[..., i] = (z_B[:, None] - mean_BK) / scale_K
            log_BK = log_BK - noise_BKZ[..., i].square() / 2 - scale_K.log()
            log_BK = log_BK.log_softmax(1)
            latents.append(u_B)
            points.append(z_B)
        kind = given_BZ.dtype
        return torch.stack(latents, 1).to(kind), torch.stack(points, 1).to(kind)

    def fit_posteriors(
        self, mean_NZ: Tensor, deviation_NZ: Tensor, label_NA: Tensor, rng: Rng
    ) -> None:
        """`fit` to draws of normal posteriors; rows of `rng` are no posteriors, only so many streams."""
        n, size = mean_NZ.shape
        each = math.ceil(n / len(rng))
        noise_NSZ = rng.normal("z", each, DRAWS, size).flatten(0, 1)[:n]
        z_NSZ = mean_NZ[:, None] + deviation_NZ[:, None] * noise_NSZ
        start_K = rng.shared("mixture", len(self.mean_KZ))
        self.fit(z_NSZ.flatten(0, 1), label_NA.repeat_interleave(DRAWS, 0), start_K)

    @torch.no_grad()
    def fit(self, z_NZ: Tensor, label_NA: Tensor, uniform_K: Tensor) -> None:
        """Expectation and maximisation (Dempster et al., 1977) from starting points far apart.

        Each covariance is drawn towards that of all points within components, with the weight of Z
        points, so that few points suffice (Fraley and Raftery, 2007, J. Classification 24, section 2).

        Args:
            z_NZ: the points.
            label_NA: their labels, -1 unknown.
            uniform_K: one number in [0, 1) for each component, which chooses where it starts.
        """
        z_NZ = z_NZ.double()
        n, size = z_NZ.shape
        mean_KZ = _far_apart(z_NZ, uniform_K.double())
        nearest_N = torch.cdist(z_NZ, mean_KZ).argmin(1)
        share_NK = nn.functional.one_hot(nearest_N, len(mean_KZ)).double()
        floor_ZZ = (
            1e-6 * z_NZ.var(0, correction=0).mean().clamp(min=1e-12) * torch.eye(size).to(z_NZ)
        )
        for _ in range(ROUNDS):
            count_K = share_NK.sum(0) + 1e-9
            mean_KZ = (share_NK.T @ z_NZ) / count_K[:, None]
            scatter_KZZ = torch.stack(
                [
                    (z_NZ - mean_Z).T @ ((z_NZ - mean_Z) * share_N[:, None])
                    for mean_Z, share_N in zip(mean_KZ, share_NK.T, strict=True)
                ]
            )
            pooled_ZZ = scatter_KZZ.sum(0) / n
            covariance_KZZ = (scatter_KZZ + size * pooled_ZZ) / (count_K + size)[:, None, None]
            factor_KZZ = torch.linalg.cholesky(covariance_KZZ + floor_ZZ)
            weight_K = count_K / count_K.sum()
            share_NK = (log_normal(z_NZ, mean_KZ, factor_KZZ) + weight_K.log()).softmax(1)
        self.log_weight_K.copy_(weight_K.log())
        self.mean_KZ.copy_(mean_KZ)
        self.factor_KZZ.copy_(factor_KZZ)
        for i in range(self.count):
            table = self.get_buffer(f"log_odds_{i}")
            classes = len(table) - 1
            one_hot_NC = nn.functional.one_hot(label_NA[:, i] % (classes + 1), classes + 1)
            count_CK = one_hot_NC[:, :classes].double().T @ share_NK + weight_K
            odds_CK = count_CK / count_CK.sum(1, keepdim=True) / weight_K
            table[:classes].copy_(odds_CK.log())
        self.fitted.fill_(True)


def log_normal(z_BZ: Tensor, mean_KZ: Tensor, factor_KZZ: Tensor) -> Tensor:
    """Log N(z; mean, factor factor^T) plus Z log(2 pi) / 2, (B, K)."""
    away_KZB = (z_BZ[None] - mean_KZ[:, None]).transpose(1, 2)
    noise_KZB = torch.linalg.solve_triangular(factor_KZZ, away_KZB, upper=False)
    log_det_K = factor_KZZ.diagonal(dim1=1, dim2=2).log().sum(1)
    return (-noise_KZB.square().sum(1) / 2 - log_det_K[:, None]).T


def _far_apart(z_NZ: Tensor, uniform_K: Tensor) -> Tensor:
    """Starting points, each drawn by its squared distance to those before (k-means++)."""
    chance_N, chosen = torch.ones(len(z_NZ)).to(z_NZ), []
    for uniform in uniform_K:
        edge_N = chance_N.cumsum(0)
        index = torch.searchsorted(edge_N, uniform * edge_N[-1], right=True).clamp(
            max=len(z_NZ) - 1
        )
        chosen.append(z_NZ[index])
        away_N = (z_NZ - chosen[-1]).square().sum(1) + 1e-12
        chance_N = away_N if len(chosen) == 1 else torch.minimum(chance_N, away_N)
    return torch.stack(chosen)


def _tail(z_B: Tensor, side_B: Tensor, log_BK: Tensor, mean_BK: Tensor, scale_K: Tensor) -> Tensor:
    """Log of the mixture's mass below (side 1) or above (side -1) of z, (B,)."""
    away_BK = (z_B[:, None] - mean_BK) / scale_K
    return torch.logsumexp(log_BK + torch.special.log_ndtr(side_B[:, None] * away_BK), 1)


def _quantile(u_B: Tensor, log_BK: Tensor, mean_BK: Tensor, scale_K: Tensor) -> Tensor:
    """The z whose mass below is Phi(u), by halving; on the side where the mass is the smaller."""
    side_B = torch.where(u_B < 0, 1.0, -1.0).to(u_B)
    wanted_B = torch.special.log_ndtr(side_B * u_B)
    ends_BK = mean_BK + scale_K * u_B[:, None]  # where each component alone would have it
    low_B, high_B = ends_BK.min(1).values, ends_BK.max(1).values
    for _ in range(HALVINGS):
        middle_B = (low_B + high_B) / 2
        more_B = _tail(middle_B, side_B, log_BK, mean_BK, scale_K) > wanted_B
        left_B = more_B == (side_B > 0)
        low_B, high_B = torch.where(left_B, low_B, middle_B), torch.where(left_B, middle_B, high_B)
    return (low_B + high_B) / 2


def _normal(z_B: Tensor, log_BK: Tensor, mean_BK: Tensor, scale_K: Tensor) -> Tensor:
    """The u with Phi(u) equal to the mass below z: inverse of `_quantile`."""
    one_B = torch.ones_like(z_B)
    below_B = _tail(z_B, one_B, log_BK, mean_BK, scale_K)
    above_B = _tail(z_B, -one_B, log_BK, mean_BK, scale_K)
    wanted_B = torch.minimum(below_B, above_B)
    u_B = -(-2 * wanted_B).sqrt()  # left of the root, and log Phi is concave
    for _ in range(NEWTON):
        log_B = torch.special.log_ndtr(u_B)
        slope_B = torch.exp(-u_B.square() / 2 - math.log(2 * math.pi) / 2 - log_B)
        u_B = u_B + (wanted_B - log_B) / slope_B
    return torch.where(below_B < above_B, u_B, -u_B)
