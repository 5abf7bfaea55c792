"""Scores of a few samples, and sheets of samples, as training goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeuxis.core import pixels
from zeuxis.core.family import Family
from zeuxis.core.progress import Check
from zeuxis.core.rng import Rng
from zeuxis.data import Prepared
from zeuxis.evaluation import evaluate as evaluation
from zeuxis.evaluation.drawn import Drawn, drawn, laid_out, sources_of
from zeuxis.inference.model import BATCH, Model
from zeuxis.training.loop import Probe, Sheet

PROBE_IMAGES, SHEET_IMAGES = 256, BATCH


def probe(
    prepared: Prepared, facts: Mapping[str, Any], precision: str, rng: type[Rng] = Rng
) -> Probe:
    """Scores of 256 samples."""
    score = evaluation.probe(prepared, PROBE_IMAGES)

    def look(average: Family, step: int, check: Check) -> Mapping[str, float]:
        return score(_drawn(average, prepared, facts, precision, PROBE_IMAGES, check, rng).images)

    return look


def sheet(
    folder: Path | None,
    prepared: Prepared,
    facts: Mapping[str, Any],
    precision: str,
    rng: type[Rng] = Rng,
) -> Sheet:
    """Draws the same seeds each time, into a picture in `folder` if there is one."""

    def look(average: Family, step: int, check: Check) -> None:
        made = _drawn(average, prepared, facts, precision, SHEET_IMAGES, check, rng)
        if folder and len(made.images):
            path = folder / "samples" / f"step-{step:08d}.png"
            pixels.save_png(path, pixels.enlarged(laid_out(made)))

    return look


def _drawn(
    average: Family,
    prepared: Prepared,
    facts: Mapping[str, Any],
    precision: str,
    count: int,
    check: Check,
    rng: type[Rng],
) -> Drawn:
    """What it shows, made from nothing or from training data."""
    model = Model(average, facts, Path(), precision, rng)
    rows = evaluation.draw(sources_of(average, prepared).train, count, 0, "sheet")
    return drawn(model, prepared, rows, count, 0, lambda done, total: check())
