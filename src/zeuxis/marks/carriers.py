"""Where a mark lies: in which patterns of a picture, by a key.

Whatever its size, a picture is brought to a square frame; so a mark outlives scaling. A frame has an
orthonormal basis F of smooth patterns: a cosine transform of the whole (frames up to 64) or a lapped one
(Malvar, "Signal Processing with Lapped Transforms", 1992), whose blocks have no seams and which a crop only
takes blocks of. With A and B the antialiased cubic resamplers of rows and columns, the coefficients of a
picture's luma Y are C = (F A) Y (F B)^T. A *carrier* is a mixture of two coefficients of about the same
frequency, drawn by the key: s = c1 cos a + c2 sin a.

Shapes: S frame, K carriers, C words of the code.
"""

import functools
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.marks.planes import fixed

SHORTEST_KEY = 16
"""Bytes that the file of a private key has at least."""
CODES = 256
"""Words of the code that a symbol of the payload, 8 bits, is one of."""


@dataclass(frozen=True)
class Key:
    """What all that is random in a mark is derived from."""

    secret: bytes

    @classmethod
    def load(cls, path: Path | str) -> "Key":
        """The private key in a file of at least 16 secret bytes, such as `openssl rand -hex 32` writes.

        Raises:
            Invalid: the file is shorter.
        """
        content = Path(path).read_bytes().strip()
        if len(content) < SHORTEST_KEY:
            raise Invalid(
                f"{path}: {len(content)} bytes are no key; write one by `openssl rand -hex 32 > {path}`"
            )
        return cls(content)

    @property
    def number(self) -> int:
        """24 bits that tell keys apart and say nothing of the secret."""
        return int.from_bytes(self.random("number", 3), "little")

    def random(self, label: str, count: int) -> bytes:
        """The `count` bytes of this key under a label: SHAKE-256 of both."""
        return hashlib.shake_256(self.secret + b"|" + label.encode()).digest(count)

    def uniform(self, label: str, *shape: int) -> np.ndarray:
        """Numbers in (0, 1) by this key under a label, float64."""
        words = np.frombuffer(self.random(label, 4 * math.prod(shape)), "<u4")
        return (words.reshape(shape) + 0.5) / 2**32


@dataclass(frozen=True)
class Frame:
    """A square that pictures of some sizes are brought to, and how they are marked in it.

    Attributes:
        name: labels what is drawn by key.
        side: S, in frame pixels.
        block: side of a block of its transform; S for a transform of the whole.
        band: least and greatest frequency of carriers, as index of a block's coefficients.
        ring: coefficients next to each other in frequency, among which the key chooses pairs.
        step: distance between neighbouring points of a carrier's lattice, in levels of the orthonormal basis.
        slack: distance from its lattice point that a carrier is left at, in steps.
        pilot: share of carriers that say that there is a mark, but hold no payload.
        symbols: 8 bits of payload each.
        smallest: the shortest side of pictures that it is for; up to the next frame's.
    """

    name: str
    side: int
    block: int
    band: tuple[float, float]
    ring: int
    step: float
    slack: float
    pilot: float
    symbols: int
    smallest: int

    @property
    def shape(self) -> tuple[int, int]:
        """S and the side of a block: what its transform depends on."""
        return self.side, self.block

    @property
    def piloted(self) -> bool:
        """Whether it is made of blocks, so that parts of a picture can be found."""
        return self.block < self.side

    @property
    def bits(self) -> int:
        """Bits of payload."""
        return 8 * self.symbols


FRAMES = (
    Frame("16", 16, 16, (1.0, 8.32), 8, 26.0, 0.05, 1.0, 0, 12),
    Frame("32", 32, 32, (3.84, 16.64), 8, 26.0, 0.10, 0.45, 2, 23),
    Frame("64", 64, 64, (7.68, 28.0), 8, 22.0, 0.10, 0.35, 4, 46),
    Frame("128", 128, 16, (1.9, 7.6), 4, 22.0, 0.12, 0.22, 8, 128),
    Frame("192", 128, 16, (1.9, 7.6), 4, 13.0, 0.12, 0.22, 8, 192),
)


def frame_of(height: int, width: int) -> Frame | None:
    """The frame that a picture of this size is marked in; None if it is too small."""
    fitting = [frame for frame in FRAMES if frame.smallest <= min(height, width)]
    return fitting[-1] if fitting else None


@dataclass(frozen=True)
class Carriers:
    """The carriers of a frame by a key.

    Attributes:
        at_2K: the two coefficients that each mixes, as indices of the flat S x S.
        mix_2K: cos a and sin a.
        dither_K: where the lattice of each lies, in steps, uniform on (0, 1): it alone makes the mark's
            proof, and nothing else is drawn with it.
        role_K: the symbol that each holds a part of, -1 for pilots.
        code_CK: the words of the code, 1 or -1.
    """

    at_2K: np.ndarray
    mix_2K: np.ndarray
    dither_K: np.ndarray
    role_K: np.ndarray
    code_CK: np.ndarray

    def values(self, plane_SS: np.ndarray) -> np.ndarray:
        """The carriers of a frame's coefficients, (K,)."""
        return np.asarray((plane_SS.reshape(-1)[self.at_2K] * self.mix_2K).sum(0))

    def spread(self, value_K: np.ndarray, side: int) -> np.ndarray:
        """Transpose of `values`, (S, S)."""
        plane = np.zeros(side * side)
        plane[self.at_2K] = self.mix_2K * value_K
        return plane.reshape(side, side)

    def of(self, seen_K: np.ndarray) -> "Carriers":
        """Some of the carriers."""
        drawn = (self.at_2K, self.mix_2K, self.dither_K, self.role_K, self.code_CK)
        return Carriers(*(each[..., seen_K] for each in drawn))

    def goal(self, payload: int) -> np.ndarray:
        """Lattice of each carrier for a payload, in steps: half a step away where the code has a -1."""
        goal_K = self.dither_K.copy()
        for symbol in range(self.role_K.max() + 1):
            word_K = self.code_CK[payload >> 8 * symbol & 255]
            goal_K += np.where((self.role_K == symbol) & (word_K < 0), 0.5, 0.0)
        return goal_K


@functools.lru_cache(maxsize=32)
def carriers(frame: Frame, key: Key) -> Carriers:
    """The carriers of a frame by a key: 28, 108, 292 or 1,536 of them."""
    block, blocks = frame.block, frame.side // frame.block
    row, column = np.indices((block, block)).reshape(2, -1)
    radius = np.hypot(row, column)
    inside = np.flatnonzero((radius >= frame.band[0]) & (radius <= frame.band[1]))
    inside = inside[np.argsort(radius[inside], kind="stable")]
    rings = inside[: len(inside) // frame.ring * frame.ring].reshape(1, -1, frame.ring)
    rings = np.repeat(rings, blocks * blocks, 0)
    order = np.argsort(key.uniform(f"{frame.name}/order", *rings.shape), -1, kind="stable")
    pairs = np.take_along_axis(rings, order, -1).reshape(blocks, blocks, -1, 2)
    down, across = np.indices((blocks, blocks)) * block
    at = (row[pairs] + down[..., None, None]) * frame.side + column[pairs] + across[..., None, None]
    at_2K = at.reshape(-1, 2).T
    count = at_2K.shape[1]
    angle_K = 2 * math.pi * key.uniform(f"{frame.name}/angle", count)
    mix_2K = fixed(np.stack([np.cos(angle_K), np.sin(angle_K)]), 16)
    drawn = np.argsort(key.uniform(f"{frame.name}/role", count), kind="stable")
    role_K = np.full(count, -1)
    for symbol in range(frame.symbols):
        role_K[drawn[round(frame.pilot * count) :][symbol :: frame.symbols]] = symbol
    code_CK = np.where(key.uniform(f"{frame.name}/code", CODES, count) < 0.5, 1.0, -1.0)
    return Carriers(at_2K, mix_2K, key.uniform(f"{frame.name}/dither", count), role_K, code_CK)
