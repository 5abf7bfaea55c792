"""Embedding of labels.

Shapes: B batch, A label conditions, E embedding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Labels(nn.Module):
    """Sum of one learned vector per condition; an unknown label (-1) has a vector of its own.

    Args:
        classes: number of classes of each condition.
        size: E, numbers of a vector. Without conditions `size` is 0, and so is what comes out.
    """

    def __init__(self, classes: Sequence[int], size: int) -> None:
        super().__init__()
        self.classes = list(classes)
        self.size = size if self.classes else 0
        self.tables = nn.ModuleList(nn.Embedding(n + 1, self.size) for n in self.classes)

    def forward(self, label_BA: Tensor) -> Tensor:
        """(B, A) int64 -> (B, E)."""
        known = zip(self.tables, label_BA.unbind(1), self.classes, strict=True)
        vectors = [table(torch.where(index < 0, n, index)) for table, index, n in known]
        if not vectors:
            return torch.zeros(label_BA.shape[0], 0, device=label_BA.device)
        return torch.stack(vectors).sum(0)
