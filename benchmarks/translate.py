"""How near translations come to the truth, beside what needs no training.

    python -m benchmarks.translate RUN DATA [--record]

RUN is of a family that translates, trained on the pairs of DATA; figures are of the hold-out, against the
partner of each source. The rows: identity (the source itself), regression (each pixel's colour by least
squares on the source's, its squares and products), retrieval (the partner of the nearest training source by
pixels), and the model. Of a model that draws samples: its mean ("point"), one sample, and the mean of 8, with
the share of true values within least and most of 8 samples (7 of 9 would be honest), that within mean +-
1.645 standard deviations of them (9 of 10), and the error by tenths of the standard deviation. Identity and
retrieval *are* real images: kernel distance alone says little.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.row import write_row
from zeuxis import load
from zeuxis.core.settings import Data
from zeuxis.data import ensure
from zeuxis.features import Features, features
from zeuxis.metrics import mean
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.perceptual import perceptual_distance
from zeuxis.metrics.similarity import psnr, ssim

SAMPLES = 8
CHUNK = 4096
"""Pixels that a regression is fitted on are drawn from so many images at most."""


def regression(train: tuple[np.ndarray, np.ndarray], source: np.ndarray) -> np.ndarray:
    """Each pixel's colour from the source's colour, squares and products, by least squares."""

    def terms(images: np.ndarray) -> np.ndarray:
        x = images.reshape(-1, images.shape[-1]).astype(np.float64) / 255
        pairs = [x[:, i] * x[:, j] for i in range(x.shape[1]) for j in range(i, x.shape[1])]
        return np.stack([np.ones(len(x)), *x.T, *pairs], 1)

    some = np.random.default_rng(0).permutation(len(train[0]))[:CHUNK]
    goal = train[1][some].reshape(-1, train[1].shape[-1])
    weights, *_ = np.linalg.lstsq(terms(train[0][some]), goal, rcond=None)
    made = terms(source) @ weights
    return np.rint(made.clip(0, 255)).astype(np.uint8).reshape(*source.shape[:3], -1)


def retrieval(train: tuple[np.ndarray, np.ndarray], source: np.ndarray) -> np.ndarray:
    """The partner of the training source that is nearest by pixels."""
    known, asked = (
        torch.from_numpy(np.ascontiguousarray(x)).flatten(1).float() for x in (train[0], source)
    )
    return train[1][torch.cdist(asked, known).argmin(1).numpy()]


def figures(made: np.ndarray, truth: np.ndarray, real: Features) -> dict[str, list[float]]:
    """Value and half of the 95 % interval of each figure."""
    distance = kernel_distance(features(made), real)
    found = {
        "psnr": mean(psnr(truth, made), {}),
        "ssim": mean(ssim(truth, made), {}),
        "perceptual": mean(perceptual_distance(truth, made), {}),
        "kernel": distance,
    }
    return {
        key: [round(one.value, 4), round((one.interval[1] - one.interval[0]) / 2, 4)]
        for key, one in found.items()
    }


def spread(samples_KNHWC: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    """Whether the samples' variety is honest."""
    mean_NHWC, deviation = samples_KNHWC.mean(0), samples_KNHWC.std(0, ddof=1)
    error = np.abs(mean_NHWC - truth)
    least, most = samples_KNHWC.min(0), samples_KNHWC.max(0)
    order, tenths = np.argsort(deviation, axis=None, kind="stable"), []
    for part in np.array_split(order, 10):
        tenths.append([round(float(x.reshape(-1)[part].mean()), 2) for x in (deviation, error)])
    return {
        "within_least_and_most": round(float(((truth >= least) & (truth <= most)).mean()), 4),
        "within_90": round(float((error <= 1.645 * deviation).mean()), 4),
        "deviation_and_error": tenths,
    }


def main() -> None:
    """Print the table, and record it if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", help="the source that it was trained on")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    prepared, model = ensure(asked.data, Data(), translates=True), load(asked.run)
    stored, images = prepared.fields["source"], prepared.images
    train = stored.take(stored.train), np.asarray(images[stored.train])
    source, truth = stored.take(stored.holdout), np.asarray(images[stored.holdout])
    real = features(truth)
    rows = {
        "identity": source,
        "regression": regression(train, source),
        "retrieval": retrieval(train, source),
    }
    honest: dict[str, object] = {}
    if "steps" in type(model.family).Controls.model_fields:
        drawn = np.stack([model.translate(source, seed=seed).images for seed in range(SAMPLES)])
        rows["point"] = model.translate(source, steps=0).images
        rows["sample"] = drawn[0]
        rows["mean of 8"] = np.rint(drawn.mean(0)).astype(np.uint8)
        honest = spread(drawn.astype(np.float32), truth.astype(np.float32))
    else:
        rows["model"] = model.translate(source).images
    table = {name: figures(made, truth, real) for name, made in rows.items()}
    for name, row in table.items():
        print(f"{name:12}", "  ".join(f"{k} {v:.3f} +- {half:.3f}" for k, (v, half) in row.items()))
    facts = {
        "set": prepared.name,
        "family": model.facts["family"],
        "holdout": len(truth),
        "training": len(train[0]),
        "progress": model.facts["progress"],
        "table": table,
        **honest,
    }
    if asked.record:
        write_row("translate", **facts)
    else:
        print(json.dumps({"progress": facts["progress"], **honest}))


if __name__ == "__main__":
    main()
