"""From a prepared set to batches: a pure function of (seed, draw, row), with no state to save.

Row r of draw d is position p = d * batch_size + r of an endless sequence. Epoch p // n is a fresh
permutation of the n training images; which image stands at position p % n of it is *computed*, by a
small cipher on {0, ..., n - 1}, so nothing of the size of the set is shuffled, stored or resumed.

Legend: B rows, H height, W width, C channels, A conditions.
"""

from collections.abc import Sequence

import numpy as np
import torch

from zeuxis.core.errors import Invalid
from zeuxis.core.family import Batch, Loader
from zeuxis.core.pixels import to_tensor
from zeuxis.core.rng import derive_seed
from zeuxis.core.settings import Data
from zeuxis.data.augment import augment, is_active
from zeuxis.data.prepared import Prepared

ROUNDS = 6
_MULTIPLY = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(numbers: np.ndarray) -> np.ndarray:
    """Scramble uint64 numbers: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x: np.ndarray = (numbers + _STEP).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * _MULTIPLY[0]
    x = (x ^ (x >> np.uint64(27))) * _MULTIPLY[1]
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, name: str, draw: int, rows: np.ndarray, count: int = 1) -> np.ndarray:
    """(B, count) float64 on [0, 1), a pure function of (seed, name, draw, row)."""
    key = np.uint64(derive_seed(seed, name, draw))
    base = mix(mix(rows.astype(np.uint64)) ^ key)
    numbers = mix(base[:, None] + np.arange(count, dtype=np.uint64) * _STEP)
    return (numbers >> np.uint64(11)) * 2.0**-53


def permute(positions: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """Image number at each position of a permutation of {0, ..., size - 1}.

    A Feistel network on pairs of base a = ceil(sqrt(size)), walked until it lands below `size`
    (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", the cycle-walking and
    generalised-Feistel constructions).

    Args:
        positions: (B,) int64 in [0, size).
        size: how many there are.
        keys: (B, ROUNDS) uint64: each position's permutation.
    """
    base = np.uint64(max(1, int(np.ceil(np.sqrt(size)))))
    out: np.ndarray = positions.astype(np.uint64)
    todo = np.arange(len(out))
    while len(todo):
        left: np.ndarray = out[todo] // base
        right: np.ndarray = out[todo] % base
        for i in range(ROUNDS):
            left, right = right, (left + mix(right ^ keys[todo, i]) % base) % base
        out[todo] = left * base + right
        todo = todo[out[todo] >= np.uint64(size)]
    return out.astype(np.int64)


def order(seed: int, size: int, positions: np.ndarray) -> np.ndarray:
    """Image number at each position of the endless sequence of epochs, (B,) int64 in [0, size)."""
    epochs, first = np.unique(positions // size, return_inverse=True)
    keys = np.array([derive_seed(seed, "epoch", int(epoch)) for epoch in epochs], np.uint64)
    rounds = mix(keys[first][:, None] + np.arange(ROUNDS, dtype=np.uint64) * _STEP)
    return permute(positions % size, size, rounds)


def batches(
    prepared: Prepared,
    settings: Data,
    seed: int,
    batch_size: int,
    names: tuple[str, ...] | None = None,
    needs: Sequence[str] = ("image",),
) -> Loader:
    """Batches of the training side, for ever.

    Args:
        prepared: the set; only `prepared.train` is ever touched.
        settings: which augmentations.
        seed: of order and augmentation.
        batch_size: rows of a global batch.
        names: the columns of `label`, in order; None takes `settings.conditions`, or all.
        needs: keys that the family reads; `latent` or `token` are given if the set has them.

    Returns:
        (draw, rows) -> {"image": (B, C, H, W) uint8 in channels_last memory, "label": (B, A) int64},
        of a pre-encoded set also "latent" (B, D, h, w) float32 or "token" (B, h, w) int64 if needed.
        Rows may be any slice of a global batch. A set smaller than a batch wraps around.

    Raises:
        ValueError: there is nothing to train on, a column does not exist, or latents are to be
            augmented.
    """
    if not len(prepared.train):
        raise Invalid(f"{prepared.name} has no images to train on")
    columns = prepared.label_columns(settings.conditions if names is None else names)
    labels = np.ascontiguousarray(prepared.labels[:, columns])
    train, images = prepared.train, prepared.images
    encoded = prepared.encoded if prepared.encoded and prepared.encoded.kind in needs else None
    if encoded and is_active(settings):
        raise Invalid(
            f"{prepared.name} was encoded image by image, and its {encoded.kind}s cannot be augmented; "
            "leave data.flip, data.crop, data.rotate and data.colour alone, or train on the images"
        )

    def load(draw: int, rows: slice) -> Batch:
        numbers = np.arange(*rows.indices(batch_size), dtype=np.int64)
        chosen = train[order(seed, len(train), draw * batch_size + numbers)]
        pixels = images[chosen]
        if is_active(settings):
            pixels = augment(
                pixels, settings, lambda name, n: uniform(seed, name, draw, numbers, n)
            )
        batch = {"image": to_tensor(np.ascontiguousarray(pixels))}
        if columns:
            batch["label"] = torch.from_numpy(labels[chosen])
        if encoded:
            batch[encoded.kind] = torch.from_numpy(encoded.take(chosen))
        return batch

    return load
