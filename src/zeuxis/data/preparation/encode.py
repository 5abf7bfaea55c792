"""Pre-encoded sets: a prepared set with one more field, what a trained encoder makes of each image.

  latent.f16 or token.i16   one item an image, in the same order; `dataset.json` says what made it
  encoder/                  the encoder's artefact, which also decodes

Images are encoded as they are stored: not flipped, not cropped. A model of latents sees no others.

Legend: B images, H height, W width, C channels of the images, D of the latents, h, w grid.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zeuxis.core.errors import Conflict, Invalid
from zeuxis.core.fields import KINDS
from zeuxis.core.files import inside, naming, sha256, sync_folder, write_json
from zeuxis.core.lock import locked
from zeuxis.core.progress import Progress
from zeuxis.data.facts import FACTS, TYPES
from zeuxis.data.prepared import ENCODER, Prepared

BLOCK = 512
"""Images that are encoded at a time."""
LARGE = 2.0**12
"""Latents that reach beyond it are stored in float32: float16 ends at 65504."""

Kind = Literal["latent", "token"]


def write(
    prepared: Prepared,
    dest: Path,
    kind: Kind,
    encode: Callable[[np.ndarray], np.ndarray],
    copy_encoder: Callable[[Path], str],
    encoder: Mapping[str, Any],
    progress: Progress | None = None,
) -> None:
    """Write the pre-encoded set of `prepared` at `dest`, which appears whole or not at all.

    Args:
        prepared: the images.
        dest: a folder that does not exist yet or is empty.
        kind: what `encode` gives.
        encode: (B, H, W, C) uint8 -> (B, D, h, w) or tokens (B, h, w).
        copy_encoder: copies the encoder's artefact into a folder and returns its SHA-256.
        encoder: JSON facts about it; of tokens `vocabulary`.
        progress: told of (done, total).

    Raises:
        ValueError: `dest` is taken, or the encoder gives no grid or no finite numbers.
    """
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise Conflict(f"{dest} is there and not empty; choose another folder or remove it")
    with locked(dest.parent / f".{dest.name}.lock", f"{dest} is being written"):
        staging = dest.with_name(dest.name + ".tmp")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            facts = dict(prepared.facts)
            kept = [entry for entry in facts["fields"] if "encoder" not in entry]
            gone = {entry["file"] for entry in facts["fields"] if "encoder" in entry}
            facts["files"] = {k: v for k, v in facts["files"].items() if k not in gone}
            for name in facts["files"]:
                _link(inside(prepared.folder, name), staging / name)
            entry = _encode(prepared, staging, kind, encode, encoder, progress)
            entry["encoder"] = {**encoder, "sha256": copy_encoder(staging / ENCODER)}
            file = entry["file"]
            sealed = {"bytes": (staging / file).stat().st_size, "sha256": sha256(staging / file)}
            facts |= {"files": {**facts["files"], file: sealed}, "fields": [*kept, entry]}
            seal = [facts["files"], entry["encoder"]["sha256"], entry["shape"]]
            facts["hash"] = hashlib.sha256(json.dumps(seal, sort_keys=True).encode()).hexdigest()
            write_json(staging / FACTS, facts)
            sync_folder(staging)
            staging.replace(dest)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _encode(
    prepared: Prepared,
    staging: Path,
    kind: Kind,
    encode: Callable[[np.ndarray], np.ndarray],
    encoder: Mapping[str, Any],
    progress: Progress | None,
) -> dict[str, Any]:
    """Write the file of latents or tokens; its entry in `fields`."""
    first = encode(np.array(prepared.images[:BLOCK]))
    if first.ndim != 1 + KINDS[kind].axes:
        raise Invalid(
            f"the encoder gives {kind}s of shape {first.shape[1:]}, but a grid of "
            f"{KINDS[kind].axes} axes is needed: train an autoencoder with family.layout=spatial, "
            "or a tokenizer"
        )
    narrow, *wide = KINDS[kind].stored
    suffix = wide[0] if wide and np.abs(first).max() >= LARGE else narrow
    file = f"{kind}.{suffix}"
    trained = np.zeros(len(prepared), bool)
    trained[prepared.train] = True
    total, squares = np.zeros(first.shape[1]), np.zeros(first.shape[1])
    with naming(staging / file), (staging / file).open("wb") as out:
        for start in range(0, len(prepared), BLOCK):
            pixels = np.array(prepared.images[start : start + BLOCK])
            rows = encode(pixels) if start else first
            stored = rows.astype(TYPES[suffix])
            if not np.isfinite(stored).all():
                at = f"images {start} to {start + len(rows) - 1}"
                raise Invalid(
                    f"the encoder's latents of {at} are no finite numbers; train it again"
                )
            out.write(stored.tobytes())
            chosen = stored[trained[start : start + BLOCK]].astype(np.float64)
            total += chosen.sum((0, *range(2, chosen.ndim)))
            squares += np.square(chosen).sum((0, *range(2, chosen.ndim)))
            if progress:
                progress(min(start + BLOCK, len(prepared)), len(prepared))
        out.flush()
        os.fsync(out.fileno())
    entry: dict[str, Any] = {"name": kind, "kind": kind, "shape": list(first.shape[1:])}
    entry |= {"file": file, "count": len(prepared)}
    if kind == "token":
        return {**entry, "vocabulary": encoder["vocabulary"]}
    places = max(1, trained.sum()) * first[0, 0].size
    mean = total / places
    deviation = np.sqrt(np.maximum(squares / places - mean**2, 0))
    return {
        **entry,
        "mean": [float(x) for x in mean],
        # A channel that never changes carries nothing; 1 leaves it as it is.
        "deviation": [float(x) if x > 1e-6 else 1.0 for x in deviation],
    }


def _link(source: Path, dest: Path) -> None:
    """The same file under another name; a copy where the disk cannot."""
    try:
        os.link(source, dest)
    except OSError:
        shutil.copyfile(source, dest)
