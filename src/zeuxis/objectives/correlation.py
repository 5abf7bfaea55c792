"""Total correlation: how far the dimensions of a latent are from independent.

Shapes: G groups, M rows of a group, Z numbers of a code.
"""

import math

import torch
from torch import Tensor


def total_correlation(z_GMZ: Tensor, mean_GMZ: Tensor, deviation_GMZ: Tensor) -> Tensor:
    """E log [q(z) / prod_i q(z_i)], (G,), in nats, with q(z) the average of a group's posteriors.

    Chen et al., 2018, https://arxiv.org/abs/1802.04942, equation 2 (its second term), with q
    estimated as in their section 4.1 from M rows, each row's own among them; constants that they
    carry for the size of the data cancel from its gradient and are left out. The estimate is 0 if
    all posteriors are equal, and at most (Z - 1) log M, which it reaches where posteriors do not
    overlap: it tells something only if Z is small or M is large.

    Args:
        z_GMZ: a draw of each row's posterior.
        mean_GMZ: of each row's posterior, a normal distribution.
        deviation_GMZ: its standard deviation.
    """
    away_GMMZ = (z_GMZ[:, :, None] - mean_GMZ[:, None]) / deviation_GMZ[:, None]
    log_GMMZ = -away_GMMZ.square() / 2 - deviation_GMZ[:, None].log()
    count = math.log(z_GMZ.shape[1])
    joint_GM = torch.logsumexp(log_GMMZ.sum(3), 2) - count
    product_GM = (torch.logsumexp(log_GMMZ, 2) - count).sum(2)
    return (joint_GM - product_GM).mean(1)
