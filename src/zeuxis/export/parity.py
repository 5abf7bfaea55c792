"""A receipt: how far what is exported is from the product, measured and not promised."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zeuxis.core import abilities
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.export.graphs import Graph
from zeuxis.export.onnx import SUFFIX
from zeuxis.export.running import fresh, outside, runner
from zeuxis.inference.labels import drawn
from zeuxis.inference.model import Model
from zeuxis.inference.results import Images

PARITY = "parity.json"
SEED = 7


def graphs_off(graphs: Sequence[Graph], folder: Path) -> dict[str, float]:
    """The largest difference of each graph's output from PyTorch's, on any inputs."""
    found = {}
    for graph in graphs:
        with torch.no_grad():
            ours = graph.call(graph.inputs)
        found[graph.name] = float(
            (runner(folder / (graph.name + SUFFIX))(graph.inputs) - ours).abs().max()
        )
    return found


def drawn_by(model: Model, count: int, progress: Progress | None = None) -> Images | None:
    """Pictures of a seed; or what is made of noise as sources or images; None of what makes none."""
    family: Any = model.family
    if isinstance(family, abilities.Writes):
        return None  # whose loop over tokens runs nowhere but in the product
    if isinstance(family, abilities.Generates):
        images: Images = model.sample(count, seed=SEED, progress=progress)
        return images
    if not isinstance(family, abilities.Translates):
        if not isinstance(family, abilities.Reconstructs):
            return None
        noise = Rng(range(count), "images").integers("x", 256, *model.shape())
        again: Images = model.reconstruct(noise.numpy().astype(np.uint8), progress=progress)
        return again
    table = drawn(model.conditions, model.facts.get("dataset", {}), count, SEED)
    controls = model.family.Controls()

    def call(ask: Any) -> Tensor:
        out: Tensor = ask.family.translate(ask.inputs["source"], ask.noise(), ask.cond, controls)
        return out

    given = {"source": sources(family, count)}
    return model.images(call, table, given, seed=SEED, progress=progress)


def sources(family: Any, count: int) -> np.ndarray:
    """Any sources: levels (N, H, W, C) uint8, or class ids (N, H, W)."""
    field, rng = family.fields()["source"], Rng(range(count), "sources")
    if field.kind == "image":
        return rng.integers("s", 256, *field.shape[1:], field.shape[0]).numpy().astype(np.uint8)
    return rng.integers("s", len(field.classes), *field.shape).numpy()


def receipt(
    run: Path, graphs: Sequence[Graph], folder: Path, count: int, progress: Progress | None = None
) -> dict[str, Any]:
    """What `parity.json` says: files of `folder` in onnxruntime against the run's model in float32.

    Args:
        run: the run.
        graphs: what was exported.
        folder: where the files lie.
        count: pictures that are drawn on both sides.
        progress: told of them.
    """
    import onnxruntime

    found: dict[str, Any] = {
        "against": f"Zeuxis in float32, torch {torch.__version__}",
        "in": f"onnxruntime {onnxruntime.__version__}, CPU, one thread",
        "machine": platform.machine(),
        "largest_difference": graphs_off(graphs, folder),
    }
    ours = drawn_by(fresh(run), count) if count else None
    theirs = drawn_by(outside(fresh(run), folder), count, progress) if ours is not None else None
    if ours is not None and theirs is not None:
        off = np.abs(ours.array.astype(int) - theirs.array.astype(int))
        found["pictures"] = {
            "count": count,
            "seed": SEED,
            "largest_difference_in_levels": int(off.max()),
            "values_that_differ": float((off > 0).mean()),
            "equal_pictures": int((off.reshape(count, -1).max(1) == 0).sum()),
            "farthest": [
                int(i) for i in np.argsort(-off.reshape(count, -1).max(1), kind="stable")[:6]
            ],
        }
    return found
