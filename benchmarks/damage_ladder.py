"""Seven damages in four steps: what each measure answers, and whether the verdict names the damage.

    python -m benchmarks.damage_ladder DATA --record

DATA is a prepared set with classes: Fashion-MNIST or the avatars. Images of its hold-out are damaged and
judged by others of its hold-out; training images serve as copies. The thresholds of
`zeuxis.evaluation.diagnosis` were chosen on Fashion-MNIST with the last 5,000 official training images
as hold-out (`benchmarks.quality` calls them the selection); what they are worth is read on the official test
images and on the avatars.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.row import RESULTS, write_row
from zeuxis.core.rng import derive_seed
from zeuxis.data import open_prepared
from zeuxis.evaluation import diagnosis, sides
from zeuxis.features import extractor
from zeuxis.metrics.damage import DAMAGES, STEPS, Pool, damage
from zeuxis.metrics.nearest import memorisation

CONTROL = 500


def main() -> None:
    """Climb the ladder, print a line for each step, perhaps record it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a prepared set with classes and a hold-out")
    parser.add_argument("--column", default="", help="the column of classes; default the first")
    parser.add_argument(
        "--images", type=int, default=1000, help="damaged images, and judges, at most"
    )
    parser.add_argument("--labels", action="store_true", help="tell the verdict the classes")
    parser.add_argument("--only", default="", help="one damage")
    parser.add_argument("--record", action="store_true", help="append rows to benchmarks/results")
    args = parser.parse_args()
    prepared = open_prepared(args.data)
    column = prepared.label_columns([args.column] if args.column else None)[0]
    condition = prepared.conditions[column]
    order = np.random.default_rng(derive_seed("ladder")).permutation(prepared.holdout)
    count = min(args.images, len(order) // 2)
    mine, judges = order[:count], order[count : 2 * count]
    pool = Pool(
        prepared.images[mine], prepared.labels[mine, column], prepared.images[prepared.train]
    )
    eye = extractor("efficientnet-lite0")

    def side(name: str, images: np.ndarray, labels: np.ndarray | None) -> sides.Side:
        known = () if labels is None else (condition,)
        return sides.look(name, images, eye, known, None if labels is None else labels[:, None])

    judge = side("judges", prepared.images[judges], prepared.labels[judges, column])
    rest = prepared.holdout[~np.isin(prepared.holdout, mine)][:CONTROL]
    rows = []
    steps = [("none", 0)] + [(name, step) for name in DAMAGES for step in range(1, len(STEPS) + 1)]
    for name, step in steps:
        if args.only and name != args.only:
            continue
        images = pool.images_NHWC if not step else damage(name, pool, step)
        labels = None
        if args.labels and name != "copies":
            labels = pool.labels_N if name != "modes" else _kept(pool, images)
        found = sides.measure(side(name, images, labels), judge)
        found |= {f"{key}_of_real": value for key, value in _real(judge).items()}
        copied = memorisation(images, prepared.images, prepared.images[rest], prepared.train)
        found["copy_rate"] = copied.rate
        said = diagnosis.findings(found)
        row = {
            "damage": name,
            "step": step,
            "labels": labels is not None,
            "images": len(images),
            "named": said[0].damage,
            "evidence": {finding.damage: round(finding.strength, 2) for finding in said},
            "sentence": said[0].sentence,
            "scores": {key: round(value.value, 5) for key, value in found.items()},
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    if args.record:
        named = [row["named"] == row["damage"] for row in rows if row["step"] >= 2]
        write_row(
            "damage_ladder",
            data=prepared.name,
            labels=args.labels,
            images=count,
            named_from_visible_on=f"{sum(named)} of {len(named)}",
            named_faint=[
                row["damage"] for row in rows if row["step"] == 1 and row["named"] == row["damage"]
            ],
            ladder=rows,
        )
        print(RESULTS / "damage_ladder.json")


_REAL: dict[int, dict] = {}


def _real(judge: sides.Side) -> dict:
    """What half of the judges gets against the other half: once."""
    if not _REAL:
        half = len(judge.table) // 2
        one, two = judge.rows(np.arange(half)), judge.rows(np.arange(half, 2 * half))
        _REAL[0] = sides.distances(one, two)
    return _REAL[0]


def _kept(pool: Pool, images: np.ndarray) -> np.ndarray:
    """The labels of the images that dropping modes left."""
    left = {image.tobytes() for image in images}
    return np.array(
        [
            label
            for image, label in zip(pool.images_NHWC, pool.labels, strict=True)
            if image.tobytes() in left
        ]
    )


if __name__ == "__main__":
    main()
