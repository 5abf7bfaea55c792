"""Honest files at tiny size, from which hostile ones are made: models, runs, sets, statistics, codes."""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.attack.trial import Room
from zeuxis import apply, artefact, cli, compare, families, pipeline, stages
from zeuxis.disk import read_json, sha256, write_sealed
from zeuxis.family import Condition

SIDE = 16
CONDITION = Condition(name="kind", classes=("cat", "dog"))
PLAIN = ("tokenizer", "autoencoder")
"""Families without conditions."""


def build(folder: Path) -> None:
    """Make everything that the cases start from, about 10 s of work."""
    os.environ["ZEUXIS_CACHE"] = str(folder / "cache")
    for name, count in (("photos", 16), ("tray", 4)):
        (folder / name).mkdir(parents=True)
        for index, image in enumerate(pictures(count)):
            Image.fromarray(image).save(folder / name / f"{index:03d}.png")
    for name in families.FAMILIES:
        _model(folder / name, name)
    _quiet(["data", "prepare", folder / "photos", folder / "set", "--size", SIDE])
    stages.encode(folder / "set", folder / "tokenizer", folder / "encoded")
    compare.statistics(folder / "photos", folder / "honest.safetensors")
    compare.statistics(folder / "photos", folder / "honest.npz")
    compare.statistics(folder / "photos", folder / "honest.pkl")
    apply.compress(folder / "pixelcnn", folder / "tray", out=folder / "honest.zxi")
    apply.encode(folder / "vae", folder / "tray", out=folder / "latents.npz")


def train(folder: Path) -> None:
    """A run of a few steps on `set`, with checkpoints, sheets and a report."""
    _quiet([*words_of_a_run(folder), "--out", folder / "run"])


def hurry() -> None:
    """Measure a run by few samples: what is measured here is another thing."""
    pipeline.PROBE_IMAGES = 8
    pipeline._sample_count = lambda model, prepared: 16  # type: ignore[assignment]


def words_of_a_run(folder: Path, steps: int = 4) -> list[object]:
    """The command that makes, or continues, the honest run."""
    small = ["family.features=8", "family.latent=4", "family.embedding=4"]
    every = ["training.save_every=2", "training.sheet_every=2", "training.batch_size=4"]
    words = ["train", "gan", folder / "set", "--steps", steps, "--threads", 1]
    return [*words, *small, *every, "training.precision=float32"]


def _quiet(words: Sequence[object]) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = cli.main([str(word) for word in words])
    except SystemExit as end:
        code = int(end.code or 0)
    if code:
        raise ValueError(f"the honest files could not be made: zeuxis {words}: {said.getvalue()}")


def pictures(count: int, seed: int = 0, channels: int = 3) -> list[np.ndarray]:
    """Distinct images of noise."""
    rng = np.random.default_rng(seed)
    shape = (SIDE, SIDE, channels) if channels > 1 else (SIDE, SIDE)
    return [rng.integers(0, 256, shape, np.uint8) for _ in range(count)]


def _model(folder: Path, name: str) -> None:
    cls = families.get(name)
    values: dict[str, Any] = {"height": SIDE, "width": SIDE, "channels": 3}
    values["conditions"] = () if name in PLAIN else (CONDITION,)
    if name == "autoencoder":
        values["layout"] = "spatial"
    config = cls.Config.model_validate({**cls.TINY.model_dump(), **values})
    model = families.build(name, config)
    labels = [] if name in PLAIN else [[[0], 6], [[1], 6]]
    facts = {"dataset": {"labels": labels, "name": "photos"}, "precision": "float32"}
    artefact.save(folder, name, model, model.state_dict(), source="photos", **facts)


# Spoiling a model: whoever makes a hostile one can compute its checksums, too.


def content_of(folder: Path) -> dict[str, Any]:
    """The `config.json` of an artefact, without its seal."""
    content = dict(read_json(folder / "config.json"))
    content.pop("checksum", None)
    return content


def reseal(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Let `change` edit the content of `config.json`, and seal it again."""
    content = content_of(folder)
    change(content)
    write_sealed(folder / "config.json", content)
    return folder


def set_file(folder: Path, name: str, content: bytes | str) -> Path:
    """Replace a file of an artefact, its hash included."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return reseal(folder, lambda c: c["files"].update({name: sha256(folder / name)}))


def set_weights(folder: Path, content: bytes) -> Path:
    """Replace the weights of an artefact by any bytes, under their right hash."""
    old = str(artefact.weights(content_of(folder)))
    (folder / old).unlink()
    new = f"model-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    (folder / new).write_bytes(content)

    def change(found: dict[str, Any]) -> None:
        del found["files"][old]
        found["files"][new] = sha256(folder / new)

    return reseal(folder, change)


def tensors_of(folder: Path) -> dict[str, Any]:
    """The weights of an artefact."""
    return dict(artefact.read_tensors(folder / str(artefact.weights(content_of(folder)))))


def link(path: Path, target: Path | str) -> Path:
    """Make `path` a link, whatever was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_file():
        path.unlink()
    path.symlink_to(target)
    return path


def secret(room: Room, name: str = "secret.txt") -> Path:
    """A file of the person that nothing may show."""
    return room.outside / name
