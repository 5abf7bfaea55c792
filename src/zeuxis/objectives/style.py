"""Distance of styles: means and covariances of feature maps, relative to those of the style.

    L = mean_l ( |C_l - C*_l|^2 / |C*_l|^2 + |m_l - m*_l|^2 / tr C*_l )

of layers l (after Gatys et al. 2015, arXiv:1508.06576, whose Gram matrices are not centred). Both terms have
no unit and are 1 where nothing of the style is there, so that layers need no weights.

Shapes: B batch, C channels, H height, W width of a map, P = H W places.
"""

import dataclasses
from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Sums:
    """Sums over places of a map, which add up over its tiles.

    Attributes:
        weight_B: of the places.
        first_BC: of the features.
        second_BCC: of their products.
    """

    weight_B: Tensor
    first_BC: Tensor
    second_BCC: Tensor

    @classmethod
    def of(cls, map_BCHW: Tensor, weight_B1HW: Tensor | None = None) -> Self:
        """The sums of a map, with a weight for each place."""
        f_BCP = map_BCHW.flatten(2)
        if weight_B1HW is None:
            count_B = f_BCP.new_full((len(f_BCP),), f_BCP.shape[2])
            return cls(count_B, f_BCP.sum(2), f_BCP @ f_BCP.mT)
        weight_B1P = weight_B1HW.flatten(2)
        weighted_BCP = f_BCP * weight_B1P
        return cls(weight_B1P.sum((1, 2)), weighted_BCP.sum(2), weighted_BCP @ f_BCP.mT)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.weight_B + other.weight_B,
            self.first_BC + other.first_BC,
            self.second_BCC + other.second_BCC,
        )

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (B, C) and covariance (B, C, C)."""
        weight_B1 = self.weight_B.clamp(min=1e-6)[:, None]
        mean_BC = self.first_BC / weight_B1
        outer_BCC = mean_BC[:, :, None] * mean_BC[:, None, :]
        return mean_BC, self.second_BCC / weight_B1[..., None] - outer_BCC


def style_distance(sums: Mapping[str, Sums], style: Mapping[str, Sums]) -> Tensor:
    """How far maps are from those of a style, (B,); 0 where means and covariances are equal.

    Args:
        sums: of the maps by layer, of B pictures.
        style: of the style's maps by the same layers, of 1 picture or B.
    """
    terms = []
    for layer, of_style in style.items():
        mean_BC, covariance_BCC = sums[layer].moments()
        mean, covariance = of_style.moments()
        spread_B = covariance.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-12)
        size_B = covariance.square().sum((1, 2)).clamp(min=1e-12)
        terms.append((covariance_BCC - covariance).square().sum((1, 2)) / size_B)
        terms.append((mean_BC - mean).square().sum(1) / spread_B)
    return torch.stack(terms).sum(0) / len(style)
