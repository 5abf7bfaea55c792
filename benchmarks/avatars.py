"""Whether a generator of the embedded avatars is good enough: looks, copies, balance.

    python -m benchmarks.avatars runs/demo --sheet sheet.png

Looks: a sheet of 8 real avatars (hold-out) among 56 generated ones, for eyes; where the real ones are
is printed. Copies: samples that differ from their nearest training image, by more than 16 levels, in
fewer pixels than the 1 % quantile of hold-out images; at most 2 % of 2,000. Balance: by a small
classifier with at least 97 % accuracy on the hold-out, each hair and skin colour has at least half
the share that it has in the training images. Exit code 1 if a bound does not hold.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.row import write_row
from zeuxis.core.pixels import grid, save_png
from zeuxis.core.settings import Data
from zeuxis.data import Prepared, ensure, open_prepared
from zeuxis.evaluation.evaluate import hide
from zeuxis.inference.model import load
from zeuxis.metrics.classifier import Classifier, accuracy, predict, train_classifier
from zeuxis.metrics.nearest import memorisation

ATTRIBUTES = ("hair", "skin")
SAMPLES = 2000
COPIES, ACCURACY, SHARE = 0.02, 0.97, 0.5


def judge(prepared: Prepared, attribute: str) -> tuple[Classifier, float]:
    """A classifier of one attribute, taught by real training images, and its hold-out accuracy."""
    column = prepared.label_columns([attribute])[0]
    classes = len(prepared.conditions[column].classes)
    train, held = prepared.train, prepared.holdout
    labels = prepared.labels[:, column]
    net = train_classifier(prepared.images[train], labels[train], classes)
    return net, accuracy(net, prepared.images[held], labels[held])


def balance(
    net: Classifier, prepared: Prepared, attribute: str, images: np.ndarray
) -> dict[str, list[float]]:
    """Class -> [share among samples, share among training images, their ratio]."""
    column = prepared.label_columns([attribute])[0]
    names = prepared.conditions[column].classes
    drawn = np.bincount(predict(net, images), minlength=len(names)) / len(images)
    real = np.bincount(prepared.labels[prepared.train, column], minlength=len(names))
    real = real / real.sum()
    rows = zip(names, drawn, real, strict=True)
    return {name: [round(float(v), 4) for v in (a, b, a / b)] for name, a, b in rows if b > 0}


def main() -> None:
    """Measure, print one row of JSON, and say which bounds hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="artefact folder, or .npz with `images`")
    parser.add_argument("--data", type=Path, help="prepared avatars; default: the embedded ones")
    parser.add_argument("--sheet", type=Path, help="write 8 real among 56 generated as a PNG")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    prepared = open_prepared(args.data) if args.data else ensure("avatars", Data())
    start = time.perf_counter()
    if args.run.suffix == ".npz":
        with np.load(args.run) as arrays:
            images = arrays["images"][: args.samples]
    else:
        images = load(args.run).sample(args.samples, seed=args.seed)
    row: dict = {"run": args.run.name, "sampling_seconds": round(time.perf_counter() - start, 1)}

    train, held = prepared.images[prepared.train], prepared.images[prepared.holdout]
    found = memorisation(images, train, held)
    row |= {"copies": found.rate.value, "copies_interval": found.rate.interval}
    row |= {"threshold_pixels": found.threshold}
    holds = {"copies": found.rate.value <= COPIES}
    for attribute in ATTRIBUTES:
        net, correct = judge(prepared, attribute)
        shares = balance(net, prepared, attribute, images)
        rarest = min(shares, key=lambda name: shares[name][2])
        row[attribute] = {"holdout_accuracy": round(correct, 4), "shares": shares}
        row[attribute] |= {"rarest": rarest, "rarest_ratio": shares[rarest][2]}
        holds[f"{attribute}_judge"] = correct >= ACCURACY
        holds[f"{attribute}_balance"] = shares[rarest][2] >= SHARE
    if args.sheet:
        tiles, real = hide(held[:8], images[:56])
        save_png(args.sheet, grid(tiles, columns=8, gap=4, scale=4))
        row["real_at"] = sorted(f"row {i // 8 + 1} column {i % 8 + 1}" for i in real)
    row["holds"] = holds
    if args.record:
        write_row("avatars", **row)
    else:
        print(json.dumps(row))
    sys.exit(0 if all(holds.values()) else 1)


if __name__ == "__main__":
    main()
