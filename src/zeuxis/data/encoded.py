"""Pre-encoded sets: a prepared set with what a trained encoder makes of each image beside it.

  images.u8, columns.safetensors   as in the prepared set, so that everything else works as before
  latent.f16 or token.i16          one row an image, in the same order
  encoder/                         the encoder's artefact, which also decodes
  dataset.json                     with `encoded`: what is there and what made it

Images are encoded as they are stored: not flipped, not cropped. A model of latents sees no others.

Legend: N images, B rows, H height, W width, C channels of the images, D of the latents, h, w grid.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zeuxis.core.errors import Conflict, Invalid
from zeuxis.core.files import inside, naming, sha256, sync_folder, write_json
from zeuxis.core.lock import locked
from zeuxis.core.progress import Progress
from zeuxis.data.facts import SHAPES

if TYPE_CHECKING:
    from zeuxis.data.prepared import Prepared

ENCODER = "encoder"
BLOCK = 512
"""Images that are encoded at a time."""
TYPES = {"latent.f16": np.float16, "latent.f32": np.float32, "token.i16": np.int16}
LARGE = 2.0**12
"""Latents that reach beyond it are stored in float32: float16 ends at 65504."""

Kind = Literal["latent", "token"]


class Encoded:
    """The rows of a pre-encoded set, memory-mapped.

    Attributes:
        kind: `latent` or `token`, the key in a batch.
        shape: (D, h, w) of a latent, (h, w) of tokens.
        rows: (N, *shape) as stored.
        folder: the encoder's artefact.
        facts: what `dataset.json` says of it.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], count: int) -> None:
        self.facts, self.folder = facts, inside(folder, ENCODER)
        self.kind: Kind = facts["kind"]
        self.shape: tuple[int, ...] = tuple(facts["shape"])
        file = inside(folder, facts["file"])
        self.rows = np.memmap(file, TYPES[file.name], "r", shape=(count, *self.shape))

    def settings(self) -> dict[str, Any]:
        """What a family of this kind has to know, by the names of its config's fields."""
        if self.kind == "token":
            return {"token": self.shape, "vocabulary": self.facts["vocabulary"]}
        return {
            "latent": self.shape,
            "latent_mean": tuple(self.facts["mean"]),
            "latent_deviation": tuple(self.facts["deviation"]),
        }

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """Rows as a family reads them: (B, D, h, w) float32 or (B, h, w) int64.

        Raises:
            ValueError: a token is none of the vocabulary, or a latent no finite number.
        """
        rows = self.rows[chosen]
        token = self.kind == "token"
        good = (rows >= 0) & (rows < self.facts["vocabulary"]) if token else np.isfinite(rows)
        if not good.all():
            raise Invalid(f"{self.rows.filename} is damaged; encode the images again")
        return rows.astype(np.int64 if token else np.float32)

    def check_encoder(self) -> Path:
        """The encoder's folder, once its `config.json`, which names the weights, is the one that encoded.

        Raises:
            ValueError: it is missing or another.
        """
        file = inside(self.folder, "config.json")
        if not file.is_file() or sha256(file) != self.facts["encoder"]["sha256"]:
            raise Invalid(
                f"{self.folder} is not the model that encoded this set; encode the images again"
            )
        return self.folder


def write(
    prepared: "Prepared",
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
            facts = {k: v for k, v in prepared.facts.items() if k != "encoded"}
            old = (prepared.facts.get("encoded") or {}).get("file")
            facts["files"] = {k: v for k, v in facts["files"].items() if k != old}
            for name in facts["files"]:
                _link(inside(prepared.folder, name), staging / name)
            described = _encode(prepared, staging, kind, encode, encoder, progress)
            described["encoder"] = {**encoder, "sha256": copy_encoder(staging / ENCODER)}
            file = described["file"]
            sealed = {"bytes": (staging / file).stat().st_size, "sha256": sha256(staging / file)}
            facts |= {"files": {**facts["files"], file: sealed}, "encoded": described}
            seal = [facts["files"], described["encoder"]["sha256"], described["shape"]]
            facts["hash"] = hashlib.sha256(json.dumps(seal, sort_keys=True).encode()).hexdigest()
            write_json(staging / "dataset.json", facts)
            sync_folder(staging)
            staging.replace(dest)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _encode(
    prepared: "Prepared",
    staging: Path,
    kind: Kind,
    encode: Callable[[np.ndarray], np.ndarray],
    encoder: Mapping[str, Any],
    progress: Progress | None,
) -> dict[str, Any]:
    """Write the file of latents or tokens; what is to be said of it."""
    first = encode(np.array(prepared.images[:BLOCK]))
    if first.ndim != 1 + SHAPES[kind]:
        raise Invalid(
            f"the encoder gives {kind}s of shape {first.shape[1:]}, but a grid of "
            f"{SHAPES[kind]} axes is needed: train an autoencoder with family.layout=spatial, "
            "or a tokenizer"
        )
    file = "token.i16"
    if kind == "latent":
        file = "latent.f16" if np.abs(first).max() < LARGE else "latent.f32"
    trained = np.zeros(len(prepared), bool)
    trained[prepared.train] = True
    total, squares = np.zeros(first.shape[1]), np.zeros(first.shape[1])
    with naming(staging / file), (staging / file).open("wb") as out:
        for start in range(0, len(prepared), BLOCK):
            pixels = np.array(prepared.images[start : start + BLOCK])
            rows = encode(pixels) if start else first
            stored = rows.astype(TYPES[file])
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
    described = {"kind": kind, "file": file, "shape": list(first.shape[1:])}
    if kind == "token":
        return {**described, "vocabulary": encoder["vocabulary"]}
    places = max(1, trained.sum()) * first[0, 0].size
    mean = total / places
    deviation = np.sqrt(np.maximum(squares / places - mean**2, 0))
    return {
        **described,
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
