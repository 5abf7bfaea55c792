"""Whether emoji that are drawn to names that training never saw show what the names say.

    zeuxis data get emoji emoji && zeuxis data prepare emoji emoji32 --size 32
    zeuxis train flow emoji32 --preset text data.conditions=style,text data.text=minilm --minutes 20 --out RUN
    python -m benchmarks.emoji RUN emoji32 [--record] [--sheet SHEET]

An emoji and its variants are all trained on or all held out. A line through features, fitted to real training
pictures alone, says which of nine categories a picture is of; what it says of the real held-out pictures, and
of pictures under each other's names, stands beside it. The sheet: rows of real held-out pictures over what
was drawn to their names, then sixteen combinations that no emoji has, in three seeds; nothing is picked.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import zeuxis
from benchmarks.row import write_row
from zeuxis import data
from zeuxis.core.pixels import grid, save_png
from zeuxis.core.wilson import wilson
from zeuxis.features import features
from zeuxis.metrics import linear

LEARNED = 3000
"""Training pictures that the line is fitted to."""
STYLE = "google"
NEW = (
    *("red cat", "blue dog", "green heart", "purple apple", "smiling pizza", "crying cat face"),
    *("blue rose", "sad face with glasses", "penguin with a hat", "orange fish", "pink car"),
    *("black horse", "golden trophy", "snowy mountain", "two green apples", "a burning house"),
)


def main() -> None:
    """Measure a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    prepared, model = data.open_prepared(args.set), zeuxis.load(args.run)
    names = [condition.name for condition in prepared.conditions]
    categories = prepared.labels[:, names.index("category")]
    count = len(prepared.conditions[names.index("category")].classes)
    styles = prepared.conditions[names.index("style")].classes
    own = prepared.labels[:, names.index("style")] == styles.index(STYLE)
    held = prepared.holdout[own[prepared.holdout]]
    rng = np.random.default_rng(0)
    some = np.sort(rng.choice(prepared.train, LEARNED, replace=False))
    weights = linear.fitted(features(prepared.images[some]).array, categories[some], count)
    texts = [(prepared.texts or [])[row] for row in held]

    def drawn(asked: list[str], seed: int) -> np.ndarray:
        found = model.sample(
            len(asked),
            seed=seed,
            text=asked,
            labels={"style": STYLE},
            guidance_scale=args.guidance,
        )
        return np.asarray(found.images)

    def right(images: np.ndarray, truth_N: np.ndarray) -> dict[str, float]:
        found_N = linear.said(weights, features(images).array).argmax(1)
        good = int((found_N == truth_N).sum())
        low, high = wilson(good, len(truth_N))
        return {
            "share": round(good / len(truth_N), 3),
            "low": round(low, 3),
            "high": round(high, 3),
        }

    made, truth = drawn(texts, 3), categories[held]
    row = {
        "run": args.run.name,
        "family": model.facts["family"],
        "progress": model.facts["progress"],
        "held_out_names": len(texts),
        "category_right": {
            "drawn": right(made, truth),
            "real": right(prepared.images[held], truth),
            "drawn_under_other_names": right(made[rng.permutation(len(made))], truth),
        },
        "guidance_scale": args.guidance,
    }
    if args.sheet:
        picked = np.sort(rng.choice(len(held), 32, replace=False))
        parts = []
        for half in (picked[:16], picked[16:]):
            parts += [prepared.images[held[half]], made[half]]
        parts += [drawn(list(NEW), seed) for seed in (1, 2, 3)]
        save_png(
            args.sheet,
            np.kron(grid(np.concatenate(parts), columns=16), np.ones((2, 2, 1), np.uint8)),
        )
        print([texts[each] for each in picked], NEW)
    if args.record:
        write_row("emoji", **row)
    else:
        print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
