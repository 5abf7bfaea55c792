"""What a class-conditional generator of Fashion-MNIST is worth as a teacher.

The pinned small classifier is trained on 20,000 generated images and tested on real ones, mean of
three seeds; the copy rate stands beside it, since a memoriser would score what real images score.

    python -m benchmarks.quality RUN --selection      # choose settings: never reads the test set
    python -m benchmarks.quality RUN steps=6          # the result: reads the test set, once
    python -m benchmarks.quality SAMPLES.npz          # arrays `images` (N,H,W,C) uint8, `labels` (N,)
    python -m benchmarks.quality --real [--samples N] # what all, or N, real training images score

With `--selection` the judges are the last 5,000 images of the official training set (rows 55,000 to
59,999). A generator that saw them in training can be ranked with them, not praised. The data are
the official idx files (Debian's package dataset-fashion-mnist), padded from 28 to 32 pixels.
"""

import argparse
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.row import write_row
from zeuxis.core.settings import override
from zeuxis.metrics.classifier import accuracy, train_classifier
from zeuxis.metrics.nearest import memorisation

SELECTION = 5000
SAMPLES = 20_000
CLASSES = 10
IDX = Path("/usr/share/datasets/fashion-mnist")


def official(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N,32,32,1) uint8 and labels (N,) of `part`, "train" or "t10k"."""
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    padded = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return padded, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def generated(
    source: Path, count: int, seed: int, controls: dict[str, str]
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Images, labels and facts from an artefact or an .npz file."""
    if source.suffix == ".npz":
        with np.load(source) as arrays:
            images, labels = arrays["images"], arrays["labels"]
        if len(images) < count:
            raise SystemExit(f"{source} holds {len(images)} images, expected {count}")
        return images[:count], labels[:count].reshape(count, -1)[:, 0], {"samples": str(source)}
    from zeuxis.inference.model import load

    model = load(source)
    labels = np.arange(count)[:, None] % CLASSES
    start = time.perf_counter()
    settings = override(model.family.Controls(), controls).model_dump()
    images = model.sample(count, seed=seed, labels=labels, **settings).images
    seconds = time.perf_counter() - start
    facts = {"run": source.name, "family": model.facts["family"], "controls": settings}
    facts |= {"sampling_seconds": round(seconds, 1)}
    facts |= {"minutes": model.facts["minutes"], "progress": model.facts["progress"]}
    facts |= {"trained_with": model.facts["precision"]}
    # 60,000 means that the judges of --selection were among what it was trained on
    facts["trained_on"] = model.facts["dataset"].get("split", {}).get("train")
    return images, labels[:, 0], facts


def main() -> None:
    """Train, test, print one row of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path, nargs="?", help="artefact folder or .npz")
    parser.add_argument(
        "controls", nargs="*", metavar="CONTROL=VALUE", help="how to sample, e.g. steps=6"
    )
    parser.add_argument("--real", action="store_true", help="train on the real training images")
    parser.add_argument(
        "--selection", action="store_true", help="judge on held-out training images"
    )
    parser.add_argument("--data", type=Path, default=IDX, help="folder of the idx files")
    parser.add_argument("--samples", type=int, help=f"by default {SAMPLES:,}, or all real images")
    parser.add_argument("--seeds", type=int, default=3, help="classifiers to train")
    parser.add_argument("--seed", type=int, default=0, help="of the generated images")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_intermixed_args()
    controls = dict(word.split("=", 1) for word in args.controls)
    if args.real == (args.source is not None):
        parser.error("name an artefact or .npz file, or pass --real")

    seen, seen_labels = official(args.data, "train")
    held, held_labels = seen[-SELECTION:], seen_labels[-SELECTION:]
    row: dict = {
        "judge": "last 5,000 of the official training set" if args.selection else "test set"
    }
    if args.selection:
        seen, seen_labels = seen[:-SELECTION], seen_labels[:-SELECTION]
        judge, judge_labels = held, held_labels
    else:
        judge, judge_labels = official(args.data, "t10k")
    if args.real:
        count = args.samples or len(seen)
        images, labels = seen[:count], seen_labels[:count]
        facts = {"samples": "real training images"}
    else:
        images, labels, facts = generated(args.source, args.samples or SAMPLES, args.seed, controls)
        found = memorisation(images[:2000], seen, judge[:2000])
        row |= {"copies": found.rate.value, "copies_interval": found.rate.interval}
        row |= {"copies_threshold_pixels": found.threshold}
    start = time.perf_counter()
    scores = []
    for seed in range(args.seeds):
        net = train_classifier(images, labels, CLASSES, seed)
        scores.append(accuracy(net, judge, judge_labels))
        print(f"seed {seed}: {scores[-1]:.4f}", file=sys.stderr, flush=True)
    row |= {"score": round(float(np.mean(scores)), 4), "scores": scores, "n": len(images)}
    row |= facts | {"seconds": round(time.perf_counter() - start, 1)}
    if args.record:
        write_row("quality", **row)
    else:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
