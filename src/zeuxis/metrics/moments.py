"""Moments: mean and covariance of a set's features, all that a Frechet distance reads of it.

Two sets' moments merge into those of their union (Chan, Golub & LeVeque 1979, "Updating formulae
and a pairwise algorithm for computing sample variances", eq. 2.1 in matrix form):

    mean = (n a + m b) / (n + m),   scatter = scatter_a + scatter_b + (b - a)(b - a)^T n m / (n + m),

with scatter = (n - 1) covariance. Everything is float64; the covariance has the divisor n - 1 (as in
pytorch-fid and torch-fidelity; StyleGAN2-ada divides by n).

Shapes: N images, D features.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics.comparable import ROWS, agree, finite, same_width


@dataclasses.dataclass(frozen=True)
class Moments:
    """Mean and covariance of features.

    Attributes:
        n: images; None where a statistics file does not say.
        mean_D: float64.
        covariance_DD: float64, unbiased.
        receipt: how the features were computed; only moments with equal receipts may be compared.
    """

    n: int | None
    mean_D: np.ndarray
    covariance_DD: np.ndarray
    receipt: Mapping[str, Any]

    @classmethod
    def of(cls, features: Features) -> Self:
        """Moments of features, in O(N D^2) time and O(D^2) memory beside them.

        Raises:
            ValueError: fewer than 2 images, or NaN or infinity.
        """
        x_ND, n = features.array, len(features)
        if n < 2:
            raise Invalid(f"a covariance needs at least 2 images, got {n}")
        finite("a set's", x_ND)
        mean_D = x_ND.mean(0, dtype=np.float64)
        scatter_DD = np.zeros((x_ND.shape[1], x_ND.shape[1]))
        for start in range(0, n, ROWS):
            centred = x_ND[start : start + ROWS] - mean_D
            scatter_DD += centred.T @ centred
        return cls(n, mean_D, scatter_DD / (n - 1), features.receipt)

    def merge(self, other: Self) -> Self:
        """Moments of both sets together.

        Raises:
            ValueError: the features were computed in different ways, or a size is not known.
        """
        agree(self.receipt, other.receipt)
        same_width(self.mean_D.shape, other.mean_D.shape)
        if self.n is None or other.n is None:
            raise Invalid(
                "moments of a file that does not say its number of images cannot be merged; "
                "compute them anew from the images"
            )
        n, m = self.n, other.n
        step_D = other.mean_D - self.mean_D
        scatter_DD = (n - 1) * self.covariance_DD + (m - 1) * other.covariance_DD
        scatter_DD += np.outer(step_D, step_D * (n * m / (n + m)))
        return type(self)(
            n + m, self.mean_D + step_D * (m / (n + m)), scatter_DD / (n + m - 1), self.receipt
        )
