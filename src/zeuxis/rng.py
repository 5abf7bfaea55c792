"""Randomness as values: nothing below `fit` touches the global generator.

Row i of every draw depends on row i's seed and on the draw's name, and on nothing else: not on the
batch size, not on the neighbours, not on which draws came before.
"""

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """Hash `parts` into a 63-bit seed, so that (seed, purpose, step) names one stream for ever.

    >>> derive_seed(0, "train", 7) == derive_seed(0, "train", 7) != derive_seed(0, "train", 8)
    True
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Rng:
    """One stream per row, plus one that the whole batch shares.

    Args:
        seeds: one seed per row.
        shared: seed of the draws that all rows, micro-batches and processes have in common.
        device: where draws are put. They are always drawn on the CPU, so that they do not depend on it.
        dtype: floating type of draws; they are drawn in float32 and then converted.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shared: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.seeds = tuple(seeds)
        self.device = torch.device(device)
        self.dtype = dtype
        self._shared = shared
        self._generator = torch.Generator()

    @classmethod
    def for_rows(
        cls,
        seed: int,
        purpose: str,
        step: int,
        rows: Iterable[int],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Rng":
        """Streams of global batch rows `rows` at `step`: no state to save, so resuming is exact."""
        seeds = [derive_seed(seed, purpose, step, row) for row in rows]
        return cls(seeds, derive_seed(seed, purpose, step, "shared"), device, dtype)

    def __len__(self) -> int:
        return len(self.seeds)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal, (N, *shape)."""
        draw = torch.empty(len(self), *shape)
        for row, seed in zip(draw, self.seeds, strict=True):
            row.normal_(generator=self._at(seed, name))
        return draw.to(self.device, self.dtype)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform on [0, 1), (N, *shape)."""
        draw = torch.empty(len(self), *shape)
        for row, seed in zip(draw, self.seeds, strict=True):
            row.uniform_(generator=self._at(seed, name))
        return draw.to(self.device, self.dtype)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, (N, *shape) int64."""
        draw = torch.empty(len(self), *shape, dtype=torch.int64)
        for row, seed in zip(draw, self.seeds, strict=True):
            row.random_(0, high, generator=self._at(seed, name))
        return draw.to(self.device)

    def shared(self, name: str, *shape: int) -> Tensor:
        """Uniform on [0, 1), (*shape): the same in every micro-batch and on every process."""
        draw = torch.empty(*shape).uniform_(generator=self._at(self._shared, name))
        return draw.to(self.device, self.dtype)

    def _at(self, seed: int, name: str) -> torch.Generator:
        return self._generator.manual_seed(derive_seed(seed, name))
