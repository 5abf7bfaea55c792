"""Draw `vae.png`: samples, reconstructions and a walk between two images, from a trained run.

python docs/families/vae_figure.py RUN PREPARED_SET
"""

import sys
from pathlib import Path

import numpy as np

from zeuxis.core.pixels import grid, save_png
from zeuxis.data.prepared import open_prepared
from zeuxis.inference.model import load

COLUMNS = 12


def main(run: str, source: str) -> None:
    """Ten rows of samples by class, real images above their reconstructions, and one walk."""
    model = load(run)
    classes = len(model.conditions[0].classes)
    labels = np.repeat(np.arange(classes), COLUMNS)[:, None]
    samples = model.sample(len(labels), seed=0, labels=labels).images
    data = open_prepared(source)
    real = np.asarray(data.images[data.holdout[:COLUMNS]])
    rows = [samples, real, model.reconstruct(real).images, model.interpolate(1, 2, COLUMNS).images]
    sheet = grid(np.concatenate(rows), columns=COLUMNS, scale=2)
    save_png(Path(__file__).with_name("vae.png"), sheet)


if __name__ == "__main__":
    main(*sys.argv[1:])
