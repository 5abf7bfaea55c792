"""The state of a run on disk: what resuming needs, always whole.

checkpoints/
  step-00000500/
    state.safetensors
    state.json         counters, and the SHA-256 of the tensors

A checkpoint is written under another name, synced, renamed, read back and verified; only then are
older ones removed, all but the previous one and two that a run may go back to.
"""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from zeuxis.core import tensors
from zeuxis.core.files import read_sealed, sha256, sync_folder, write_file, write_sealed

KEPT = 2


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Tensors and plain numbers."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def save(folder: Path, step: int, checkpoint: Checkpoint, every: int = 1) -> None:
    """Write a checkpoint and verify it, then remove all but the newest two, and two of planned steps.

    Args:
        folder: of checkpoints.
        step: of this one.
        checkpoint: what to write.
        every: planned steps are its multiples; others come of stops and of a clock.

    Raises:
        OSError: it could not be written; the older ones are untouched.
    """
    final = folder / f"step-{step:08d}"
    beside = final.with_name(final.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        plain = {
            key: value.detach().cpu().contiguous() for key, value in checkpoint.tensors.items()
        }
        tensors = beside / "state.safetensors"
        write_file(tensors, lambda path: path.write_bytes(safetensors.torch.save(plain)))
        write_sealed(beside / "state.json", {**checkpoint.facts, "sha256": sha256(tensors)})
        if final.exists():
            shutil.rmtree(final)
        beside.rename(final)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(folder)
    if next(_whole(folder), (None,))[0] != final:
        raise OSError(f"{final} was written but reads back differently; the disk may be failing")
    found = sorted(_finished(folder))
    planned = [path for path in found if not _step(path) % every]
    _remove({*found} - {*found[-KEPT:], *planned[-KEPT:]})


def load(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint in `folder`, or None if there is none."""
    for stale in folder.glob("step-*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)
    for path, facts in _whole(folder):
        return Checkpoint(tensors.read(path / "state.safetensors"), facts)
    return None


def drop(folder: Path, since: int, every: int) -> None:
    """Remove those of a step and of later ones, and all that were not planned: they depend on chance."""
    _remove(path for path in _finished(folder) if _step(path) >= since or _step(path) % every)


def run(folder: Path) -> dict[str, Any] | None:
    """What the newest whole checkpoint says of its run, or None if there is none or it says nothing."""
    return next((facts.get("run") for _, facts in _whole(folder)), None)


def _whole(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Whole checkpoints and their plain numbers, the newest first."""
    for path in sorted(_finished(folder), reverse=True):
        try:
            facts = read_sealed(path / "state.json", finite=False)
            if facts["sha256"] == sha256(path / "state.safetensors"):
                yield path, facts
        except (OSError, ValueError):
            continue


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _remove(paths: Iterable[Path]) -> None:
    for path in [*paths]:
        shutil.rmtree(path.rename(path.with_name(path.name + ".tmp")))


def _finished(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("step-*") if path.suffix != ".tmp")
