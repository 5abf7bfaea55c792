"""Who looks at a run as it goes on: scores of a few samples, sheets of samples, the doctor."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zeuxis import families
from zeuxis.core import pixels
from zeuxis.core.abilities import Captions, Denoises
from zeuxis.core.family import Family
from zeuxis.core.progress import Check
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.data import Prepared
from zeuxis.evaluation import captions, shown
from zeuxis.evaluation import probe as scoring
from zeuxis.evaluation.drawn import Drawn, exemplar_of, first, laid_out, pick
from zeuxis.inference.model import BATCH, Model
from zeuxis.training.doctor import Doctor, pictures
from zeuxis.training.observers import Best, Draw, Observer, Probe, Scores, Sheets
from zeuxis.training.resolved import Resolved

PROBE_IMAGES, SHEET_IMAGES = 256, BATCH


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What probes and sheets show: the same seeds each time, made from nothing or from data.

    Attributes:
        prepared: the data.
        facts: of the run.
        precision: of the networks.
        rng: the run's generator.
    """

    prepared: Prepared
    facts: Mapping[str, Any]
    precision: str
    rng: type[Rng] = Rng

    def model(self, average: Family) -> Model:
        """The averaged weights, as they would be used."""
        return Model(average, self.facts, Path(), self.precision, self.rng)

    def __call__(self, average: Family, count: int, check: Check, held: bool = False) -> Drawn:
        """So many images.

        Sheets are to be looked at, so theirs may be `held` out; probes choose what is kept: theirs are not.
        """
        return first(self.model(average), self.prepared, count, lambda done, total: check(), held)


def observers(
    folder: Path, resolved: Resolved, training: Training, draw: Drawing
) -> Iterator[Observer]:
    """Who looks at a run, in their order."""
    prepared = draw.prepared
    columns = prepared.label_columns(resolved.conditions)
    if training.probe_every <= training.steps:
        yield Scores(training.probe_every, *probes(draw, columns))
        if resolved.keep == "best":
            yield Best(training.probe_every)
    yield Sheets(training.sheet_every, sheet(folder, draw))
    if training.doctor != "off":
        usual = families.get(resolved.family).TRAINING
        known = pictures.signs(prepared, columns, training, usual)
        yield Doctor(training.doctor == "heal", [*known])


def probes(draw: Drawing, columns: Sequence[int]) -> tuple[Probe, ...]:
    """All that scores a run, whose time is planned."""
    return probe(draw, columns), caption_probe(draw)


def probe(draw: Drawing, columns: Sequence[int] = ()) -> Probe:
    """Scores of 256 samples, also of whether they show the labels in these columns."""
    score = scoring.probe(draw.prepared, PROBE_IMAGES, columns=columns)

    def look(average: Family, step: int, check: Check) -> Mapping[str, float]:
        made = draw(average, PROBE_IMAGES, check)
        policy = getattr(average.config, "augment", ())
        found = score(made.images, exemplar_of(average), made.labels, policy)
        return found | (shown.classes_merged(draw.model(average)) if columns else {})

    return look


def caption_probe(draw: Drawing) -> Probe:
    """What captions are worth to the model (`evaluation.captions`), on training images; else no score."""
    rows = pick(draw.prepared.train, PROBE_IMAGES, 0, "captions")

    def look(average: Family, step: int, check: Check) -> Mapping[str, float]:
        check()
        model = draw.model(average)
        if not captions.measurable(model) or not isinstance(average, Denoises | Captions):
            return {}  # likelihoods of images take too long to be looked at often
        loss = captions.caption_loss(model, draw.prepared, rows)
        return {"caption_gain": float(loss.gain_N.mean())} if len(loss.gain_N) else {}

    return look


def sheet(folder: Path | None, draw: Drawing) -> Draw:
    """A picture of some samples, in `folder` if there is one."""

    def look(average: Family, step: int, check: Check) -> None:
        made = draw(average, SHEET_IMAGES, check, held=folder is not None)
        if folder and len(made.images):
            path = folder / "samples" / f"step-{step:08d}.png"
            pixels.save_png(path, pixels.enlarged(laid_out(made)))

    return look
