"""What is looked at as training goes on: scores of a few samples, and sheets of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis import evaluate as evaluation
from zeuxis import images, use
from zeuxis.data import Prepared
from zeuxis.family import Family
from zeuxis.fit import Probe, Sheet
from zeuxis.rng import Rng

PROBE_IMAGES, SHEET_IMAGES = 256, use.LANE


def probe(
    prepared: Prepared, facts: Mapping[str, Any], precision: str, rng: type[Rng] = Rng
) -> Probe:
    """Scores of 256 samples."""
    score = evaluation.probe(prepared, PROBE_IMAGES)

    def look(average: Family, step: int, check: Callable[[], None]) -> Mapping[str, float]:
        return score(_drawn(average, prepared, facts, precision, PROBE_IMAGES, check, rng))

    return look


def sheet(
    folder: Path | None,
    prepared: Prepared,
    facts: Mapping[str, Any],
    precision: str,
    rng: type[Rng] = Rng,
) -> Sheet:
    """Draws the same seeds each time, into a picture in `folder` if there is one."""

    def look(average: Family, step: int, check: Callable[[], None]) -> None:
        drawn = _drawn(average, prepared, facts, precision, SHEET_IMAGES, check, rng)
        if folder:
            path = folder / "samples" / f"step-{step:08d}.png"
            images.save_png(path, images.grid(drawn, columns=8))

    return look


def _drawn(
    average: Family,
    prepared: Prepared,
    facts: Mapping[str, Any],
    precision: str,
    count: int,
    check: Callable[[], None],
    rng: type[Rng],
) -> np.ndarray:
    """Samples; of a family that does not generate, what it makes of training images."""
    model = use.Model(average, facts, Path(), precision, rng)
    sources = evaluation.draw(prepared.train, count, 0, "sheet")
    made, _ = evaluation.made(model, prepared, sources, count, 0, lambda done, total: check())
    return made
