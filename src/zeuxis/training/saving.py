"""The model that a run leaves, written as training goes on and at its end."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from zeuxis.core.abilities import Batch
from zeuxis.core.family import Loader
from zeuxis.inference import artefact
from zeuxis.training.state import State
from zeuxis.training.step import draws, dtype, to_device


def save_model(
    folder: Path, name: str, state: State, loader: Loader, facts: Mapping[str, Any]
) -> None:
    """Write the averaged weights, or the best of them, as an artefact.

    Args:
        folder: of the run.
        name: of the family.
        state: of the run.
        loader: of batches, for what is fitted after the last step.
        facts: what else the artefact says; `finished`, whether this was the last step.
    """
    model = state.average
    if state.best is not None:
        model = copy.deepcopy(model)
        model.load_state_dict(state.best)
    if facts["finished"]:
        with torch.no_grad():
            model.finish(first_batches(state, loader, 64), draws(state, "finish"))
    progress = {
        "step": state.step if state.best is None else state.best_step,
        "steps": state.training.steps,
        "images": state.step * state.training.batch_size,
        "seconds": round(state.seconds, 1),
        "skipped": state.skipped,
        "keep": "last" if state.best is None else "best",
    }
    weights = {
        k: v.float() if v.is_floating_point() else v for k, v in artefact.state(model).items()
    }
    artefact.save(folder, name, model, weights, progress=progress, **facts)


def first_batches(state: State, loader: Loader, count: int = 8) -> Iterator[Batch]:
    """The first few global batches, for what is fitted before and after training."""
    rows, fields = slice(0, state.training.batch_size), state.model.fields()
    for draw in range(count):
        yield to_device(loader(draw, rows), fields, state.device, dtype(state.precision))
