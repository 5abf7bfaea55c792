"""What one setting of a family is worth after a given number of steps, judged on the hold-out.

    python -m benchmarks.variants PREPARED FAMILY STEPS [--judge teach] [--device cuda] [path=value ...]

Equal steps where settings cost the same, or the steps that equal minutes give on the machine in mind
(`zeuxis train` says how many before it starts): so a GPU, or many processes on one, can do in minutes
what two cores would take hours for. For choosing settings: give it a set that holds images of the
training side out, never the official test side.

--judge teach   the pinned classifier of `benchmarks.quality`, taught by 20,000 samples, on the hold-out
        kernel  kernel distance of 2,000 samples to the hold-out, or to all images if it is below 500
        bits    bits per dimension of the hold-out, at most 3,000 images
        labels  share of 2,000 samples in which a classifier taught by real images sees the class that was
                asked for, by the first condition; the least of the classes' shares over those of the
                training images; kernel distance of 1,000 samples
--sample WORD   a control of sampling, e.g. `steps=4`; repeat it
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import CLASSES, SAMPLES
from benchmarks.row import write_row
from zeuxis import train
from zeuxis.core.settings import override
from zeuxis.data import open_prepared
from zeuxis.data.prepared import Prepared
from zeuxis.features import features
from zeuxis.inference.model import Model, load
from zeuxis.metrics.classifier import accuracy, predict, train_classifier
from zeuxis.metrics.kernel import kernel_distance

NEVER = "1000000000"
ENOUGH = 500
"""Images of the hold-out with which a kernel distance says something."""


def teach(model: Model, prepared: Prepared, controls: dict[str, Any]) -> dict[str, Any]:
    """Accuracy on held-out images of two classifiers that were taught by samples."""
    labels = np.arange(SAMPLES)[:, None] % CLASSES
    images = model.sample(SAMPLES, labels=labels, **controls).images
    held, held_labels = prepared.images[prepared.holdout], prepared.labels[prepared.holdout][:, 0]
    nets = [train_classifier(images, labels[:, 0], CLASSES, seed) for seed in range(2)]
    scores = [round(accuracy(net, held, held_labels), 4) for net in nets]
    return {"score": round(float(np.mean(scores)), 4), "scores": scores, "n": len(held)}


def kernel(model: Model, prepared: Prepared, controls: dict[str, Any]) -> dict[str, Any]:
    """Kernel distance with its interval."""
    rows = prepared.holdout
    rows = rows if len(rows) >= ENOUGH else np.arange(len(prepared.images))
    real = features(prepared.images[rows])
    found = kernel_distance(features(model.sample(2000, **controls).images), real)
    return {"kernel_distance": found.value, "interval": found.interval, "n": len(rows)}


def bits(model: Model, prepared: Prepared, controls: dict[str, Any]) -> dict[str, Any]:
    """Mean and standard error."""
    found = model.score(prepared.images[prepared.holdout[:3000]]).bits
    error = found.std() / len(found) ** 0.5
    return {"bits_per_dim": float(found.mean()), "standard_error": float(error), "n": len(found)}


def labels(model: Model, prepared: Prepared, controls: dict[str, Any]) -> dict[str, Any]:
    """Whether samples show what was asked for, and how close they are as a whole."""
    columns = prepared.label_columns([condition.name for condition in model.conditions])
    real, held = prepared.labels[:, columns[0]], prepared.holdout
    classes = len(model.conditions[0].classes)
    train_real = real[prepared.train]
    judge = train_classifier(prepared.images[prepared.train], train_real, classes)
    rows = np.random.default_rng(0).choice(prepared.train, 2000)
    images = model.sample(2000, labels=prepared.labels[rows][:, columns], **controls).images
    seen = predict(judge, images)
    shares = np.bincount(seen, minlength=classes) / np.bincount(train_real, minlength=classes)
    found = kernel_distance(features(images[:1000]), features(prepared.images[held]))
    return {
        "as_asked": round(float((seen == real[rows]).mean()), 4),
        "judge_accuracy": round(accuracy(judge, prepared.images[held], real[held]), 4),
        "rarest": round(float(shares.min() * len(train_real) / 2000), 2),
        "kernel_distance": found.value,
        "interval": found.interval,
        "n": len(held),
    }


JUDGES = {"teach": teach, "kernel": kernel, "bits": bits, "labels": labels}


def main() -> None:
    """Train, judge, append a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("family")
    parser.add_argument("steps", type=int)
    parser.add_argument("settings", nargs="*", metavar="path=value")
    parser.add_argument("--judge", choices=sorted(JUDGES), default="teach")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", action="append", default=[], metavar="control=value")
    args = parser.parse_intermixed_args()
    words = dict(word.split("=", 1) for word in args.settings)
    quiet = {"training.probe_every": NEVER, "training.sheet_every": NEVER}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = train(
            args.family,
            args.data,
            out=Path(folder) / "run",
            steps=args.steps,
            seed=args.seed,
            device=args.device,
            overrides=quiet | words,
            evaluate=False,
        )
        seconds = time.perf_counter() - began
        model, prepared = load(run, args.device), open_prepared(args.data)
    words_of_sampling = dict(word.split("=", 1) for word in args.sample)
    controls = override(model.family.Controls(), words_of_sampling).model_dump()
    judged = JUDGES[args.judge](model, prepared, controls)
    write_row(
        "variants",
        family=args.family,
        data=args.data.name,
        steps=args.steps,
        seed=args.seed,
        settings=words,
        sample=words_of_sampling,
        judge=args.judge,
        **judged,
        seconds=round(seconds, 1),
        trained_on=model.device.type,
    )


if __name__ == "__main__":
    main()
