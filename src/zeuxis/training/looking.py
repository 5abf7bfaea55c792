"""Scores of a few samples, and sheets of samples, as training goes on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zeuxis.core import pixels
from zeuxis.core.abilities import Denoises
from zeuxis.core.family import Family
from zeuxis.core.progress import Check
from zeuxis.core.rng import Rng
from zeuxis.data import Prepared
from zeuxis.evaluation import captions
from zeuxis.evaluation import evaluate as evaluation
from zeuxis.evaluation.drawn import Drawn, exemplar_of, first, laid_out, pick
from zeuxis.inference.model import BATCH, Model
from zeuxis.training import observers
from zeuxis.training.observers import Probe

PROBE_IMAGES, SHEET_IMAGES = 256, BATCH

Draw = Callable[[Family, int, Check], Drawn]
"""(EMA of the weights, how many images, check for a stop) -> the images."""


def drawing(
    prepared: Prepared,
    facts: Mapping[str, Any],
    precision: str,
    rng: type[Rng] = Rng,
    held: bool = False,
) -> Draw:
    """What probes and sheets show: the same seeds each time, made from nothing or from data.

    Sheets are to be looked at, so theirs may be `held` out; probes choose what is kept, so theirs are not.
    """

    def draw(average: Family, count: int, check: Check) -> Drawn:
        model = Model(average, facts, Path(), precision, rng)
        return first(model, prepared, count, lambda done, total: check(), held)

    return draw


def probe(prepared: Prepared, draw: Draw) -> Probe:
    """Scores of 256 samples."""
    score = evaluation.probe(prepared, PROBE_IMAGES)

    def look(average: Family, step: int, check: Check) -> Mapping[str, float]:
        return score(draw(average, PROBE_IMAGES, check).images, exemplar_of(average))

    return look


def caption_probe(
    prepared: Prepared, facts: Mapping[str, Any], precision: str, rng: type[Rng] = Rng
) -> Probe:
    """What captions are worth to the model (`evaluation.captions`), on training images; else no score."""
    rows = pick(prepared.train, PROBE_IMAGES, 0, "captions")

    def look(average: Family, step: int, check: Check) -> Mapping[str, float]:
        check()
        model = Model(average, facts, Path(), precision, rng)
        if not captions.measurable(model) or not isinstance(average, Denoises):
            return {}  # likelihoods take too long to be looked at often
        loss = captions.caption_loss(model, prepared, rows)
        return {"caption_gain": float(loss.gain_N.mean())} if len(loss.gain_N) else {}

    return look


def sheet(folder: Path | None, draw: Draw) -> observers.Draw:
    """A picture of some samples, in `folder` if there is one."""

    def look(average: Family, step: int, check: Check) -> None:
        made = draw(average, SHEET_IMAGES, check)
        if folder and len(made.images):
            path = folder / "samples" / f"step-{step:08d}.png"
            pixels.save_png(path, pixels.enlarged(laid_out(made)))

    return look
