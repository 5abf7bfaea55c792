"""Draw `gan.png`: samples by class and a walk between two seeds, from a trained run.

python docs/families/gan_figure.py RUN
"""

import sys
from pathlib import Path

import numpy as np

from zeuxis.core.pixels import grid, save_png
from zeuxis.inference.model import load

COLUMNS = 16


def main(run: str) -> None:
    """A row of samples for each class, then one walk."""
    model = load(run)
    classes = len(model.conditions[0].classes)
    labels = np.repeat(np.arange(classes), COLUMNS)[:, None]
    rows = [
        model.sample(len(labels), seed=0, labels=labels).images,
        model.interpolate(1, 2, COLUMNS).images,
    ]
    sheet = grid(np.concatenate(rows), columns=COLUMNS, scale=2)
    save_png(Path(__file__).with_name("gan.png"), sheet)


if __name__ == "__main__":
    main(*sys.argv[1:])
