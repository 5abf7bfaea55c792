"""An invisible mark in the pixels of a picture, and the proof that it is there.

A mark is put and looked for with a key. Whoever has the key can do both, and can also forge and erase:
`PUBLIC_KEY`, which every copy of Zeuxis has, says "some Zeuxis made this" and is no evidence of origin; a
private key is, for whoever keeps it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zeuxis.core.errors import Invalid

SHORTEST_KEY = 16
"""Bytes that the file of a private key has at least."""


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


PUBLIC_KEY = Key(b"zeuxis-1")
"""The key of every copy of Zeuxis: finds what any of them has marked."""


@dataclass(frozen=True)
class Found:
    """What a picture tells of a key's mark.

    Attributes:
        log10_p: the decimal logarithm of a bound on the probability that a picture which was never marked
            with this key looks at least as marked as this one; 0 says nothing, -6 one in a million.
        payload: what was put in, its `bits` lowest bits; None where that cannot be read for sure.
        bits: bits of payload that the mark holds, 0, 16, 32 or 64.
    """

    log10_p: float
    payload: int | None
    bits: int


def capacity(height: int, width: int) -> int:
    """Bits of payload that a picture of this size carries: 0, 16, 32 or 64."""
    shorter = min(height, width)
    return 0 if shorter < 23 else 16 if shorter < 46 else 32 if shorter < 128 else 64


def embed(image_HWC: np.ndarray, key: Key, payload: int) -> np.ndarray | None:
    """Mark a picture; no picture is marked yet.

    Args:
        image_HWC: uint8 (H, W, C) with 1, 3 or 4 channels; alpha stays as it is.
        key: the key that will find the mark.
        payload: its lowest `capacity(H, W)` bits are put in.

    Returns:
        The marked picture, or None where it cannot carry a mark.
    """
    return None


def detect(image_HWC: np.ndarray, key: Key, thorough: bool = False) -> Found:
    """Look for a key's mark; `thorough` tries crops, quarter turns and flips, too.

    Args:
        image_HWC: uint8 (H, W, C) with 1, 3 or 4 channels.
        key: the key that the mark was put with.
        thorough: seconds instead of milliseconds.
    """
    return Found(0.0, None, 0)
