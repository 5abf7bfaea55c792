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

from zeuxis import families
from zeuxis.cli import main
from zeuxis.core import tensors
from zeuxis.core.family import Condition
from zeuxis.core.files import read_json, sha256, write_sealed
from zeuxis.evaluation import compare, evaluate
from zeuxis.features import Features
from zeuxis.inference import artefact, latents
from zeuxis.metrics import files
from zeuxis.metrics.moments import Moments
from zeuxis.training import looking

SIDE = 16
CONDITION = Condition(name="kind", classes=("cat", "dog"))
PLAIN = ("tokenizer", "autoencoder")
"""Families without conditions."""


class Lab:
    """A folder of honest files; each is made when it is first asked for: `lab / "vae"`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.environ["ZEUXIS_CACHE"] = str(folder / "cache")

    def __truediv__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            MAKE[name](self, path)
        return path


def _photos(count: int) -> Callable[[Lab, Path], object]:
    def make(lab: Lab, path: Path) -> None:
        path.mkdir(parents=True)
        for index, image in enumerate(pictures(count)):
            Image.fromarray(image).save(path / f"{index:03d}.png")

    return make


def vectors() -> Features:
    """As another tool may have made them: noise."""
    noise_ND = np.random.default_rng(0).normal(size=(16, 1280)).astype(np.float32)
    return Features(noise_ND, {"features": "not said by the file"})


def hurry() -> None:
    """Measure a run by few samples: what is measured here is another thing."""
    looking.PROBE_IMAGES = 8
    evaluate._affordable = lambda *_: 16


def words_of_a_run(lab: Lab, steps: int = 4) -> list[object]:
    """The command that makes, or continues, the honest run: with checkpoints, sheets and a report."""
    small = ["family.features=8", "family.latent=4", "family.embedding=4"]
    every = ["training.save_every=2", "training.sheet_every=2", "training.batch_size=4"]
    words = ["train", "gan", lab / "set", "--steps", steps, "--threads", 1]
    return [*words, *small, *every, "training.precision=float32"]


def _quiet(words: Sequence[object]) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main.main([str(word) for word in words])
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
    return dict(tensors.read(folder / str(artefact.weights(content_of(folder)))))


def link(path: Path, target: Path | str) -> Path:
    """Make `path` a link, whatever was there; with `NAME.tmp` every name that a child may use for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for each in (path, *_temporaries(path)):
        if each.is_symlink() or each.is_file():
            each.unlink()
        each.symlink_to(target)
    return path


def _temporaries(path: Path) -> list[Path]:
    """`NAME.PROCESS.tmp` (`zeuxis.core.files.write_file`) of the processes that come next."""
    newest = int(Path("/proc/loadavg").read_text().split()[-1])
    numbers = range(newest, newest + 100) if path.suffix == ".tmp" else ()
    return [path.with_name(f"{path.stem}.{number}.tmp") for number in numbers]


MAKE: dict[str, Callable[[Lab, Path], object]] = {
    "photos": _photos(16),
    "tray": _photos(4),
    "set": lambda lab, path: _quiet(["data", "prepare", lab / "photos", path, "--size", SIDE]),
    "encoded": lambda lab, path: latents.encode(lab / "set", lab / "tokenizer", path),
    "run": lambda lab, path: _quiet([*words_of_a_run(lab), "--out", path]),
    "latents.npz": lambda lab, path: _quiet(["encode", lab / "vae", lab / "tray", "--out", path]),
    "honest.zxi": lambda lab, path: _quiet(
        ["compress", lab / "pixelcnn", lab / "tray", "--out", path]
    ),
    "honest.safetensors": lambda lab, path: compare.statistics(lab / "photos", path),
    "honest.npz": lambda lab, path: files.write_pytorch_fid(path, Moments.of(vectors())),
    "honest.pkl": lambda lab, path: files.write_stylegan(path, vectors()),
    **{name: lambda lab, path: _model(path, path.name) for name in families.FAMILIES},
}
"""How each honest file is made."""
