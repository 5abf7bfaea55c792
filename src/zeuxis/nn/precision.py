"""Computations that stay in full precision under autocast."""

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it is: verdicts, penalties and likelihoods need it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
