"""Bits per dimension and reconstruction of a trained model on the hold-out side of its data.

    python -m benchmarks.likelihood runs/vae-fashion-mnist PREPARED [--record]

Bits per dimension are of the 8-bit image, by the family's own `bits_per_dim` (its kind says whether
they are exact or a bound), mean and standard error over images. PSNR is 10 log10(255^2 / MSE) of each
8-bit reconstruction, averaged over images.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.row import write_row
from zeuxis.core.abilities import Reconstructs
from zeuxis.data import open_prepared
from zeuxis.inference.model import load


def psnr(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> np.ndarray:
    """Decibels of each pair of uint8 images, (N,)."""
    squared = (a_NHWC.astype(np.float64) - b_NHWC) ** 2
    return 10 * np.log10(255**2 / np.maximum(squared.mean(axis=(1, 2, 3)), 1e-12))


def main() -> None:
    """Measure and print one row of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="the prepared set that it was trained on")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    model, prepared = load(args.run), open_prepared(args.data)
    names = [condition.name for condition in model.conditions]
    images = prepared.images[prepared.holdout]
    labels = prepared.labels[prepared.holdout][:, prepared.label_columns(names)]
    bits = model.score(images, labels if names else None).bits
    row = {
        "family": model.facts["family"],
        "side": "hold-out",
        "n": len(images),
        "bits_per_dim": round(float(bits.mean()), 4),
        "standard_error": round(float(bits.std(ddof=1) / len(bits) ** 0.5), 4),
        "kind": model.family.kind,
        "trained_minutes": model.facts["minutes"],
        "trained_on": model.facts["source"],
    }
    if isinstance(model.family, Reconstructs):
        decibels = psnr(images, model.reconstruct(images, labels if names else None).images)
        row["psnr_db"] = round(float(decibels.mean()), 2)
    if args.record:
        write_row("likelihood", **row)
    else:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
