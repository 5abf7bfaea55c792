"""Randomness as values: nothing below `fit` touches the global generator.

Row i of every draw depends on its stream, on i and on the draw's name, and on nothing else: not on the
batch size, not on the neighbours, not on which draws came before.

The numbers are those of Philox-4x64-10, a counter-based generator (Salmon, Moraes, Dror and Shaw, "Parallel
random numbers: as easy as 1, 2, 3", SC 2011). The key is a hash of stream and name, the counter is (block,
row). A key permutes the counters, so that no two rows of a draw hold the same block, whatever their number.
`docs/decisions/0011` states every formula, with test vectors, for whoever writes it in another language.

Shapes: N rows, W words of 32 bits.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

ROW = 64
"""The counter's lowest bits number the blocks of a row, the next ones the rows."""
BLOCK = 4
"""Words of 64 bits that one counter gives."""


def derive_seed(*parts: int | str) -> int:
    """Hash `parts` into a 63-bit seed, so that (seed, purpose, step) names one stream for ever.

    >>> derive_seed(0, "train", 7) == derive_seed(0, "train", 7) != derive_seed(0, "train", 8)
    True
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Rng:
    """One stream of numbers a row, plus one that the whole batch shares.

    Args:
        rows: the number of each row in its stream, in [0, 2^64).
        stream: names the stream. Rows of the same stream, number and draw are equal.
        device: where draws are put. They are always drawn on the CPU, so that they do not depend on it.
        dtype: floating type of draws; they are drawn in float32 and then converted.
    """

    VERSION: ClassVar[int] = 2
    """Written into `run.json`: a run ends on the numbers that it began with."""

    def __init__(
        self,
        rows: Sequence[int],
        stream: int | str = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.rows = tuple(rows)
        self.stream = stream
        self.device = torch.device(device)
        self.dtype = dtype

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
        """Global batch rows `rows` at `step`: no state to save, so resuming is exact."""
        return cls(tuple(rows), f"{seed}/{purpose}/{step}", device, dtype)

    @classmethod
    def for_images(
        cls, seed: int, rows: Iterable[int], device: torch.device | str = "cpu"
    ) -> "Rng":
        """Images number `rows` among those that a trained model draws by `seed`."""
        return cls.for_rows(seed, "sample", 0, rows, device)

    def __len__(self) -> int:
        return len(self.rows)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal, (N, *shape)."""
        return self._put(_normal(self._words(name, math.prod(shape))), shape)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform on [0, 1), (N, *shape)."""
        share_NW = (self._words(name, math.prod(shape)) >> 8).astype(np.float32)
        share_NW *= np.float32(2.0**-24)
        return self._put(torch.from_numpy(share_NW), shape)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, (N, *shape) int64; `high` is at most 2^31."""
        word_NW = self._words(name, math.prod(shape)).astype(np.int64)
        drawn = torch.from_numpy((word_NW * high) >> 32)  # Lemire (2019), without the rejection
        return drawn[:, : math.prod(shape)].reshape(len(self), *shape).to(self.device)

    def shared(self, name: str, *shape: int) -> Tensor:
        """Uniform on [0, 1), (*shape): the same in every micro-batch and on every process."""
        alone = type(self)([0], f"{self.stream}/shared", self.device, self.dtype)
        return alone.uniform(name, *shape)[0]

    def _words(self, name: str, count: int) -> np.ndarray:
        """At least `count` words a row, an even number, as (N, W) uint32."""
        key = hashlib.sha256(f"{self.stream}/{name}".encode()).digest()
        philox = np.random.Philox(key=np.frombuffer(key, "<u8", 2), counter=0)
        words = -(-count // 2)
        out = np.empty((len(self), words), "<u8")
        at = 0
        for i, row in enumerate(self.rows):
            philox.advance(((row << ROW) - at) % 2**256)
            out[i] = philox.random_raw(words)
            at = (row << ROW) + -(-words // BLOCK)
        return out.view("<u4")

    def _put(self, drawn: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The first numbers of each row, in shape and place."""
        whole = drawn[:, : math.prod(shape)].reshape(len(self), *shape)
        return whole.to(self.device, self.dtype)


def _normal(word_NW: np.ndarray) -> Tensor:
    """Box and Muller (1958) with the angle in a half-circle, (N, W) float32.

    The first half of a row's words gives the radius (24 bits) and its sign (the highest bit), the second
    half the angle: in [-pi/2, pi/2) float32 is as exact as 1e-6 needs.
    """
    a, b = torch.from_numpy(word_NW.view("<i4")).chunk(2, 1)
    share = ((a & 0x7FFFFFFF) >> 7).add_(1).float().mul_(2.0**-24)  # in (0, 1]
    radius = share.log_().mul_(-2).sqrt_().copysign_(a)
    angle = (b >> 8).float().mul_(math.pi / 2**24)
    out = torch.empty(word_NW.shape)
    torch.mul(radius, angle.cos(), out=out[:, : a.shape[1]])
    torch.mul(radius, angle.sin_(), out=out[:, a.shape[1] :])
    return out


class FirstRng(Rng):
    """The numbers of runs that began before version 2: torch's generator by the low 32 bits of a hash.

    Two rows in 2^32 share their numbers by chance. Only for such runs to end on the bits that they
    would have ended on.
    """

    VERSION = 1

    def __init__(
        self,
        rows: Sequence[int],
        stream: int | str = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(rows, stream, device, dtype)
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
    ) -> Rng:
        """As of `Rng`; each row has a seed of its own."""
        seeds = [derive_seed(seed, purpose, step, row) for row in rows]
        return cls(seeds, derive_seed(seed, purpose, step, "shared"), device, dtype)

    @classmethod
    def for_images(cls, seed: int, rows: Iterable[int], device: torch.device | str = "cpu") -> Rng:
        """As of `Rng`."""
        return cls([derive_seed(seed, "sample", row) for row in rows], 0, device)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal, (N, *shape)."""
        draw = torch.empty(len(self), *shape)
        for row, seed in zip(draw, self.rows, strict=True):
            row.normal_(generator=self._at(seed, name))
        return draw.to(self.device, self.dtype)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform on [0, 1), (N, *shape)."""
        draw = torch.empty(len(self), *shape)
        for row, seed in zip(draw, self.rows, strict=True):
            row.uniform_(generator=self._at(seed, name))
        return draw.to(self.device, self.dtype)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, (N, *shape) int64."""
        draw = torch.empty(len(self), *shape, dtype=torch.int64)
        for row, seed in zip(draw, self.rows, strict=True):
            row.random_(0, high, generator=self._at(seed, name))
        return draw.to(self.device)

    def shared(self, name: str, *shape: int) -> Tensor:
        """Uniform on [0, 1), (*shape): the same in every micro-batch and on every process."""
        draw = torch.empty(*shape).uniform_(generator=self._at(self.stream, name))
        return draw.to(self.device, self.dtype)

    def _at(self, seed: int | str, name: str) -> torch.Generator:
        return self._generator.manual_seed(derive_seed(seed, name))


def of_run(run: Mapping[str, Any]) -> type[Rng]:
    """The generator of a run, by the content of its `run.json`."""
    return Rng if run.get("rng", FirstRng.VERSION) == Rng.VERSION else FirstRng
