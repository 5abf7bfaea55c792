"""From a prepared set to batches: a pure function of (seed, draw, row), with no state to save.

Row r of draw d is position p = d * batch_size + r of an endless sequence. Epoch p // n is a fresh
permutation of the n training images; which image stands at position p % n of it is *computed*, by a
small cipher on {0, ..., n - 1}, so nothing of the size of the set is shuffled, stored or resumed.

The fields of an item stay together, and one crop, flip or turn moves all that show its frame. A field of an
unpaired set has a permutation and augmentation of its own.

Legend: B rows, H height, W width, C channels, A conditions.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch

from zeuxis.core.abilities import Batch
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Loader
from zeuxis.core.rng import derive_seed
from zeuxis.core.settings import Data
from zeuxis.core.vocabulary import Vocabulary
from zeuxis.data import described
from zeuxis.data.augment import augment, is_active
from zeuxis.data.prepared import Prepared, Stored

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


def order(seed: int, size: int, positions: np.ndarray, *of: str) -> np.ndarray:
    """Item number at each position of the endless sequence of epochs, (B,) int64 in [0, size).

    `of` names the field whose order it is, if that is not the images'.
    """
    epochs, first = np.unique(positions // size, return_inverse=True)
    keys = np.array([derive_seed(seed, "epoch", *of, int(epoch)) for epoch in epochs], np.uint64)
    rounds = mix(keys[first][:, None] + np.arange(ROUNDS, dtype=np.uint64) * _STEP)
    return permute(positions % size, size, rounds)


def batches(
    prepared: Prepared,
    settings: Data,
    seed: int,
    batch_size: int,
    names: tuple[str, ...] | None = None,
    needs: Sequence[str] = ("image",),
    numbers: Sequence[str] = (),
    text: Vocabulary | None = None,
) -> Loader:
    """Batches of the training side, for ever.

    Args:
        prepared: the set; only `prepared.train` is ever touched.
        settings: which augmentations.
        seed: of order and augmentation.
        batch_size: rows of a global batch.
        names: the columns of `label`, in order; None takes `settings.conditions`, or all.
        needs: the fields that the family reads; those that the set lacks are left out.
        numbers: the columns of `number`, in order.
        text: makes `text` of captions; of an image's several, one is drawn.

    Returns:
        (draw, rows) -> each field (B, *shape) as stored, images (B, C, H, W) in channels_last memory,
        "label" (B, A) int64, "number" (B, K) float32 and "text" (B, T) int16. Rows may be any slice of a
        global batch. A set smaller than a batch wraps around.

    Raises:
        ValueError: there is nothing to train on, a column does not exist, or latents are to be
            augmented.
    """
    if not len(prepared.train):
        raise Invalid(f"{prepared.name} has no images to train on")
    columns = prepared.label_columns(settings.conditions if names is None else names)
    labels = np.ascontiguousarray(prepared.labels[:, columns])
    table = described.numbers(prepared, numbers)
    used = [prepared.fields[name] for name in needs if name in prepared.fields]
    active = is_active(settings)
    for stored in used:
        _check(prepared, stored, active)

    def load(draw: int, rows: slice) -> Batch:
        places = np.arange(*rows.indices(batch_size), dtype=np.int64)
        positions, batch = draw * batch_size + places, dict[str, torch.Tensor]()
        chosen = prepared.train[order(seed, len(prepared.train), positions)]
        for stored in used:
            own = () if stored.paired else (stored.field.name,)
            some = stored.train[order(seed, len(stored.train), positions, *own)] if own else chosen
            items = stored.take(some)
            if active:
                uniforms = functools.partial(_uniforms, seed, own, draw, places)
                items = augment(items, settings, uniforms, stored.field.facts)
            tensor = torch.from_numpy(np.ascontiguousarray(items))
            image = stored.field.kind == "image"
            batch[stored.field.name] = tensor.permute(0, 3, 1, 2) if image else tensor
        if columns:
            batch["label"] = torch.from_numpy(labels[chosen])
        if numbers:
            batch["number"] = torch.from_numpy(table[chosen])
        if text:
            share_B = uniform(seed, "caption", draw, places)[:, 0]
            batch["text"] = torch.from_numpy(text.rows(described.drawn(prepared, chosen, share_B)))
        return batch

    return load


def _check(prepared: Prepared, stored: Stored, active: bool) -> None:
    """Refuse a field that is to be augmented and cannot be, or of which there is none."""
    if active and not stored.field.spatial:
        raise Invalid(
            f"{prepared.name} was encoded image by image, and its {stored.field.kind}s cannot be "
            "augmented; leave data.flip, data.crop, data.rotate and data.colour alone, or train on "
            "the images"
        )
    if not len(stored.train):
        raise Invalid(f"{prepared.name} has no {stored.field.name} to train on")


def _uniforms(
    seed: int, own: tuple[str, ...], draw: int, rows: np.ndarray, name: str, count: int
) -> np.ndarray:
    """What `augment` draws from: the same for all fields of an item."""
    return uniform(seed, "/".join((*own, name)), draw, rows, count)
