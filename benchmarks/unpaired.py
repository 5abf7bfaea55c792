"""Unpaired translation of emoji, Noto to Fluent 3D and back, beside what needs no training.

    python -m benchmarks.pairs.emoji PACKAGES emoji noto fluent --unpaired
    zeuxis train unpaired emoji/train data.paired=false --steps 2000
    python -m benchmarks.unpaired runs/unpaired-train emoji [--record]

The table is of emoji held out, whose partners nobody has seen. The rows: identity (the source itself),
colours (its mean and covariance of colours brought to the target's), retrieval (the training image of the
target that is nearest by pixels), and the model; then the way back. Identity and retrieval are real images.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from benchmarks.translate import figures
from zeuxis import load
from zeuxis.core.fields import Field
from zeuxis.evaluation.baselines import retrieval
from zeuxis.features import features
from zeuxis.inference.model import Model
from zeuxis.metrics import mean
from zeuxis.metrics.edges import edge_agreement


def folder(path: Path) -> np.ndarray:
    """All pictures of a folder by name, (N, H, W, 3) uint8."""
    return np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])


def colours(source: np.ndarray, target: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Mean and covariance of the colours of one domain brought to the other's (Monge's map of normals)."""
    moments = []
    for each in (source, target):
        flat = each.reshape(-1, 3).astype(np.float64)
        moments.append((flat.mean(0), np.cov(flat.T)))
    (mean_a, cov_a), (mean_b, cov_b) = moments

    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        half: np.ndarray = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
        return half

    half = root(cov_a)
    inverse = np.linalg.inv(half)
    brought = inverse @ root(half @ cov_b @ half) @ inverse
    made = (images - mean_a) @ brought.T + mean_b
    return np.rint(made.clip(0, 255)).astype(np.uint8)


def table(
    model: Model, data: Path, way: tuple[str, str], controls: dict[str, object]
) -> dict[str, dict[str, list[float]]]:
    """Figures of each row for one direction."""
    known = [folder(data / "train" / side) for side in way]
    source, truth = (folder(data / "test" / side) for side in way)
    real = features(truth)
    made = {
        "identity": source,
        "colours": colours(known[0], known[1], source),
        "retrieval": retrieval(Field(name="source", kind="image"), (known[1], known[1]), source),
        "model": np.stack(model.translate(list(source), **controls).images),
    }
    found = {}
    for name, images in made.items():
        found[name] = figures(images, truth, real)
        kept = mean(edge_agreement(images, source), {})
        found[name]["edges"] = [round(kept.value, 4), round(kept.interval[1] - kept.value, 4)]
    return found


def measure(run: Path, data: Path, record: bool) -> None:
    """Print the table of each direction that the model knows."""
    model = load(run)
    method = model.family.config.model_dump()["method"]
    ways: list[tuple[tuple[str, str], dict[str, object]]] = [(("A", "B"), {})]
    if method != "contrast":
        ways.append((("B", "A"), {"reverse": True}))
    for way, controls in ways:
        found = table(model, data, way, controls)
        for name, figure in found.items():
            print("->".join(way), name, json.dumps(figure))
        progress = model.facts["progress"]
        if record:
            facts = {"method": method, "steps": progress["step"], "way": "->".join(way)}
            write_row("unpaired", **facts, seconds=progress["seconds"], rows=found)


def main() -> None:
    """Print the tables, and record them if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="folder of the emoji")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    measure(asked.run, asked.data, asked.record)


if __name__ == "__main__":
    main()
