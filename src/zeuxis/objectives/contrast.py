"""Contrast between places of a picture: those of a translation are to be recognised in its source.

Shapes: B batch, F features, h, w their sides, P places, D numbers of a place that are compared.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def patch_contrast(
    made_BFhw: Tensor,
    source_BFhw: Tensor,
    place_BP: Tensor,
    project: Callable[[Tensor], Tensor],
    temperature: float,
) -> Tensor:
    """Mean cross-entropy of the place that a place of `made` is taken for, in nats; log P is by chance.

    Park et al., 2020, https://arxiv.org/abs/2007.15651, equation 3: the candidates are places of the same
    source; no gradient passes through them.

    Args:
        made_BFhw: features of what was made.
        source_BFhw: features of its source, by the same network.
        place_BP: places, in [0, h * w).
        project: features (..., F) to what is compared, (..., D).
        temperature: divides the cosines.
    """
    at_BFP = place_BP[:, None].expand(-1, made_BFhw.shape[1], -1)
    made_BPD, source_BPD = (
        F.normalize(project(x.flatten(2).gather(2, at_BFP).mT).float(), dim=-1)
        for x in (made_BFhw, source_BFhw)
    )
    logits_BPP = made_BPD @ source_BPD.detach().mT / temperature
    right_BP = torch.arange(place_BP.shape[1], device=place_BP.device).expand_as(place_BP)
    return F.cross_entropy(logits_BPP.flatten(0, 1), right_BP.flatten())
