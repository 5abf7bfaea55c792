"""How near translations come to the truth, beside what needs no training.

    python -m benchmarks.translate RUN DATA [steps=32] [--pair grey] [--bright 128] [--sheet X.png] [--record]

RUN is of a family that translates, trained on the pairs of DATA; figures are of the hold-out, against the
partner of each source, with the family's controls as given. The rows: identity (the source itself),
regression (each pixel's colour by least squares on the source's, its squares and products), retrieval (the
partner of the nearest training source by pixels), and the model. Of a model that draws samples: its mean
("point"), one sample, and the mean of 8, with what `metrics.spread` says of 8 samples: the share of true
values between their least and most (7 of 9 would be honest), that within mean +- 1.645 standard deviations
(83.5 % of a normal distribution), and the error by tenths of the standard deviation. Identity and retrieval
*are* real images: kernel distance alone says little. With --bright another table is of the pairs whose truth
has a value of at least that much. A sheet shows the first eight pairs of a permutation, none picked: source,
what the model makes of it (mean and three samples, where it draws samples), truth.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.row import write_row
from zeuxis import load
from zeuxis.core.pixels import enlarged, grid, save_png
from zeuxis.core.settings import Data
from zeuxis.core.sheets import above
from zeuxis.data import ensure
from zeuxis.evaluation.baselines import baselines
from zeuxis.features import Features, features
from zeuxis.metrics import mean
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.perceptual import perceptual_distance
from zeuxis.metrics.similarity import psnr, ssim
from zeuxis.metrics.spread import spread

SAMPLES = 8
SHOWN = 8


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


def table(
    rows: dict[str, np.ndarray], truth: np.ndarray, at: np.ndarray
) -> dict[str, dict[str, list[float]]]:
    """Figures of each row, over the images of a mask."""
    real, found = features(truth[at]), {}
    for name, made in rows.items():
        found[name] = figures(made[at], truth[at], real)
        said = (f"{key} {v:.3f} +- {half:.3f}" for key, (v, half) in found[name].items())
        print(f"{name:12}", "  ".join(said))
    return found


def sheet(source: np.ndarray, made: list[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Some pairs with what was made of them between, one column each."""
    some = np.sort(np.random.default_rng(0).permutation(len(truth))[:SHOWN])
    columns = above(source[some], *(each[some] for each in made), truth[some])
    return enlarged(grid(columns, columns=len(some)))


def main() -> None:
    """Print the table, and record it if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", help="the source that it was trained on")
    parser.add_argument("controls", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--pair", help="how sources were made of images, as data.pair")
    parser.add_argument("--bright", type=int, help="another table, of pairs whose truth is")
    parser.add_argument("--sheet", type=Path, help="also write a sheet")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    controls = {k: json.loads(v) for k, v in (each.split("=") for each in asked.controls)}
    prepared, model = ensure(asked.data, Data(pair=asked.pair), translates=True), load(asked.run)
    stored, images = prepared.fields["source"], prepared.images
    train = stored.take(stored.train), np.asarray(images[stored.train])
    source, truth = stored.take(stored.holdout), np.asarray(images[stored.holdout])
    rows = dict(baselines(stored.field, train, source))
    honest: dict[str, object] = {}
    if point := getattr(type(model.family), "POINT", {}):
        drawn = np.stack(
            [model.translate(source, seed, **controls).images for seed in range(SAMPLES)]
        )
        rows["point"] = model.translate(source, **point).images
        rows["sample"] = drawn[0]
        shown = [rows["point"], *drawn[:3]]
        rows["mean of 8"] = np.rint(drawn.mean(0)).astype(np.uint8)
        shares = spread(drawn, truth, {})
        honest = {name: round(one.value, 4) for name, one in shares.items()}
        honest["deviation_and_error"] = shares["spread"].receipt["tenths"]
    else:
        rows["model"] = model.translate(source, **controls).images
        shown = [rows["model"]]
    if asked.sheet:
        save_png(asked.sheet, sheet(stored.field.visible(source), shown, truth))
    parts = {"table": np.ones(len(truth), bool)}
    if asked.bright:
        parts["bright"] = truth.reshape(len(truth), -1).max(1) >= asked.bright
    tables = {part: table(rows, truth, at) for part, at in parts.items()}
    facts = {
        "set": prepared.name,
        "family": model.facts["family"],
        "holdout": len(truth),
        "training": len(train[0]),
        "progress": model.facts["progress"],
        "controls": controls,
        **tables,
        **honest,
    }
    if asked.record:
        write_row("translate", **facts)
    else:
        print(json.dumps({"progress": facts["progress"], **honest}))


if __name__ == "__main__":
    main()
