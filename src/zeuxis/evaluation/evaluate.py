"""Artefact + data + metrics -> report.json and report.html; and the probe that training watches.

Every number names the side of the data it was measured on: `train` (what the model saw) or
`hold-out` (what it never saw). Beside each stands what real images score.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from zeuxis.core import machine
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Family
from zeuxis.core.log import happenings, read_log, standing
from zeuxis.core.pixels import divided, premultiplied, to_array
from zeuxis.core.progress import Progress
from zeuxis.data import Prepared
from zeuxis.evaluation import diagnosis, sides
from zeuxis.evaluation.allowance import Allowance, classifiers, duration, looks
from zeuxis.evaluation.by_image import by_image, pairs, styled
from zeuxis.evaluation.drawn import Drawn, drawn, exemplar_of, pick, sources_of, unpaired
from zeuxis.evaluation.paired import paired
from zeuxis.evaluation.report import Page, write
from zeuxis.evaluation.report.measures import REFERENCES, cards
from zeuxis.evaluation.report.outcome import Outcome
from zeuxis.evaluation.report.pictures import HIDDEN, TILES, beside, hide
from zeuxis.evaluation.report.training import curves, facts, sheets, summary
from zeuxis.evaluation.report.translated import section
from zeuxis.evaluation.report.verdict import UNMEASURED, advised, verdict
from zeuxis.evaluation.sides import Side, look, measure
from zeuxis.features import extractor, features
from zeuxis.inference import artefact
from zeuxis.inference.model import BATCH, Model, load
from zeuxis.metrics import Estimate, Measured
from zeuxis.metrics.balance import predicted_balance
from zeuxis.metrics.classifier import classification_accuracy
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.nearest import (
    QUANTILE,
    Memorisation,
    memorisation,
    memorisation_without_holdout,
)

REFERENCES_MOST = 2000
"""Images of the reference set at most, unless there are more samples; else twice as many as samples."""
SHRUNK = 500
"""Real images whose detail is lost on purpose, as a baseline."""
COLUMNS = 3
"""Columns of classes that classifiers are trained on at most."""
LABELLED = 50
"""Images on each side that a classifier needs at least."""
NO_CLASSES = "the data has no classes"
CLASSIFIER_STEPS = 300
RESTYLED = 64
"""Images whose distance to a style is measured at most."""


def evaluate(
    run: str | Path | Model,
    prepared: Prepared,
    samples: int = 2000,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Measure a trained model and write `report.json` and `report.html`.

    Args:
        run: a run's folder, or the loaded model.
        prepared: real images of the model's size and channels.
        samples: images to draw; they are compared with twice as many held-out images, 2,000 at most (or as
            many as samples), so fewer widen the intervals.
        seed: of the samples, and of which real images are used.
        out: folder for the report; default the run's.
        progress: called with (done, 100).
        seconds: about what it may take at most; fewer samples are drawn and classifiers left out to keep to
            it, which the report says.

    Returns:
        The content of report.json: `scores` (name -> number), `estimates` (with interval, number of
        images, side and receipt), `findings`, `words`, `facts`, and `report`, the path of the page.

    Raises:
        ValueError: no such model, or images of another shape, or fewer than 8 samples.
        OSError: its folder was deleted or moved meanwhile.
    """
    model = run if isinstance(run, Model) else load(run)
    _check(model, prepared, samples)
    if exemplar_of(model.family) is not None:
        samples = min(samples, RESTYLED)
    part = sides.parts(progress)
    allowance = Allowance(seconds)
    with _quick_threads(prepared) as look_seconds:
        costs = 0.0 if seconds is None else _draw_seconds(model, prepared), look_seconds
        # nearness to the truth, where that is known, says most: it comes before time runs out
        held = pick(prepared.holdout, len(prepared.holdout), seed, "holdout")
        true = paired(model, prepared, held, costs, allowance, part(0, 10))
        if seconds is not None:
            samples = _affordable(model, prepared, samples, allowance, costs)
        chosen = _Rows.of(prepared, samples, seed, model.family)
        began = time.perf_counter()
        made = drawn(model, prepared, chosen.source, samples, seed, part(10, 35))
        drawing = time.perf_counter() - began
        found = _compared(model, made, prepared, chosen, seed, part)
        copied = _copied(model, made.images, prepared, chosen, seed, found)
        found.take(
            by_image(model, prepared, chosen.reference, chosen.side, allowance, part(84, 90))
        )
        found.take(true.found)
        training_seconds = look_seconds * classifiers(prepared.images[:1].size)
        found.take(
            _classes(model, prepared, chosen, made, allowance, training_seconds, part(90, 100))
        )
        if any(name.startswith("effective_classes_") for name in found):
            found.left_out.pop("effective_classes", None)  # a classifier named the samples' classes
        compared = not _incomparable(model)
        findings = diagnosis.findings(found, found.left_out) if compared else []
        shown = list(cards(found))
        said = advised(verdict(found, findings, shown), findings, model.folder, model.facts)
        words = [
            f"{card.title}: {card.value} {card.unit}. {card.words} ({card.side})" for card in shown
        ]
        outcome = Outcome(
            found=found,
            verdict=said,
            findings=findings,
            notes=[*_notes(model, prepared, chosen), *allowance.notes],
            words=words,
            facts=_facts(model, prepared, len(made.images), seed, drawing),
        )
        page = _page(model, prepared, chosen, made.images, copied, outcome)
        page = dataclasses.replace(page, paired=section(found, true.strips))
    if out is None:
        _check_stays(model.folder)
    return outcome.write(model.folder if out is None else Path(out), page)


def preview(model: Model, prepared: Prepared) -> Path:
    """Write `report.html` with samples, curves and facts before anything is measured; its path."""
    chosen = _Rows.of(prepared, TILES, 0, model.family)
    with _quick_threads(prepared):
        began = time.perf_counter()
        fake = drawn(model, prepared, chosen.source, TILES, 0).images
        outcome = Outcome(
            found=Measured(),
            verdict=advised(UNMEASURED, [], model.folder, model.facts),
            notes=_notes(model, prepared, chosen),
            facts=_facts(model, prepared, len(fake), 0, time.perf_counter() - began),
        )
        page = _page(model, prepared, chosen, fake, None, outcome)
    _check_stays(model.folder)
    write(model.folder / "report.html", page)
    return model.folder / "report.html"


@contextlib.contextmanager
def _quick_threads(prepared: Prepared) -> Iterator[float]:
    """In the body use the threads that look at images the quickest; yields the seconds of an image."""
    some = prepared.images[prepared.train[:BATCH]]
    with machine.quick_threads(lambda: features(some)) as seconds:
        yield seconds / len(some)


def _check_stays(folder: Path) -> None:
    """Make no folder again for a report on a model that is gone."""
    if not folder.is_dir():
        raise OSError(f"{folder} was deleted or moved while it was measured; there is no report")


def _draw_seconds(model: Model, prepared: Prepared) -> float:
    """What it takes to draw an image in a full batch."""
    rows = sources_of(model.family, prepared).train[:BATCH]
    return duration(lambda: drawn(model, prepared, rows, BATCH, 0)) / BATCH


def _affordable(
    model: Model,
    prepared: Prepared,
    asked: int,
    allowance: Allowance,
    costs: tuple[float, float],
) -> int:
    """Samples that can be drawn and compared in the time that is left.

    Args:
        model: the model.
        prepared: a set.
        asked: samples without an end of time.
        allowance: the time that is left.
        costs: seconds of drawing an image, and of seeing one by the feature network.
    """

    def seconds(count: int) -> float:
        reference = min(len(prepared.holdout) or count, _references(count))
        values, searched = prepared.images[:1].size, len(prepared.train)
        drawing = -(-count // BATCH) * BATCH * costs[0]
        return drawing + costs[1] * looks(count, reference, searched, values)

    return allowance.samples(asked, seconds, shared=bool(prepared.conditions))


def _references(samples: int) -> int:
    """How many held-out images samples are compared with, at most."""
    return max(samples, min(2 * samples, REFERENCES_MOST))


def _facts(
    model: Model, prepared: Prepared, count: int, seed: int, sampling_seconds: float
) -> dict[str, Any]:
    """How it was measured."""
    return {
        "family": model.facts.get("family"),
        "samples": count,
        "seed": seed,
        "sampling_seconds": round(sampling_seconds, 2),
        "precision": model.precision,
        "weights": artefact.weights(model.facts),
        "data": prepared.name,
        "data_hash": prepared.hash,
        "machine": machine.facts(model.device),
    }


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Which rows of the prepared set play which part; all drawn by seed."""

    train: np.ndarray
    holdout: np.ndarray
    reference: np.ndarray
    """The reference set: the hold-out, or half of training if there is none."""
    other: np.ndarray
    """Real images outside the reference set, as a baseline."""
    side: str
    source: np.ndarray
    """What a family that does not generate is given (`drawn.sources_of`), outside the reference set."""

    @classmethod
    def of(cls, prepared: Prepared, count: int, seed: int, family: Family) -> "_Rows":
        train = other = source = pick(prepared.train, count, seed, "train")
        holdout = reference = pick(prepared.holdout, _references(count), seed, "holdout")
        side, stored = "hold-out", sources_of(family, prepared)
        if family.shows() != "generate" and len(holdout) >= 2 * sides.FEWEST:
            reference, source = holdout[::2], holdout[1::2][:count]
        elif len(holdout) < sides.FEWEST:
            both = pick(prepared.train, 2 * count, seed, "train")
            half = len(both) // 2
            reference, other = both[:half], both[half:]
            holdout, source, side = holdout[:0], other, "train (there is no hold-out)"
        if not stored.paired:
            own = stored.holdout if len(stored.holdout) >= sides.FEWEST else stored.train
            source = pick(own, count, seed, "source")
        return cls(train, holdout, reference, other, side, source)


def _check(model: Model, prepared: Prepared, samples: int) -> None:
    config = model.family.config
    wanted = (config.height, config.width, config.channels)
    given = (prepared.height, prepared.width, prepared.channels)
    if wanted != given:
        raise Invalid(
            f"the model makes {wanted[0]}x{wanted[1]} images with {wanted[2]} channels and "
            f"{prepared.name} has {given[0]}x{given[1]} with {given[2]}; prepare it at the model's size"
        )
    if samples < TILES // HIDDEN:
        raise Invalid(f"{samples} samples measure nothing; draw at least {TILES // HIDDEN}")


def _compared(
    model: Model,
    made: Drawn,
    prepared: Prepared,
    chosen: _Rows,
    seed: int,
    part: Callable[[float, float], Progress],
) -> Measured:
    """Compare the samples, and real images whole and downsampled, with the reference set."""
    fake, labels = made.images, made.labels
    if why := _incomparable(model):
        found, exemplar = Measured(), exemplar_of(model.family)
        found.leave_out(why, "kernel_distance", "frechet_distance", *sides.OF_SETS)
        if exemplar is not None:
            found.take(styled(made, exemplar, chosen.side))
        return found
    if min(len(fake), len(chosen.reference), len(chosen.other)) < sides.FEWEST:
        return _few(fake, prepared.images, chosen)
    eye = extractor("efficientnet-lite0")
    images, truth = prepared.images, prepared.labels
    three = [
        look("samples", fake, eye, model.conditions, labels, {"pixels": 1.0}, part(35, 48)),
        *(
            look(name, images[at], eye, prepared.conditions, truth[at], {"pixels": 1.0}, progress)
            for name, at, progress in (
                ("reference images", chosen.reference, part(48, 58)),
                ("other real images", chosen.other, part(58, 68)),
            )
        ),
    ]
    mine, real, other = three
    found = measure(mine, real, seed, part(68, 78))
    found |= {name: _on(estimate, chosen.side) for name, estimate in found.items()}
    found |= of_real(other, real, seed, f"train to {chosen.side}")
    if chosen.side == "hold-out":
        to_train = kernel_distance(mine.table, other.table)
        found["kernel_distance_to_train"] = _on(to_train, "train")
    else:
        found.leave_out(NO_HOLDOUT, "kernel_distance_to_train")
    if made.sources is not None and unpaired(model.family, prepared):
        as_given = kernel_distance(look("sources", made.sources, eye).table, real.table)
        found["kernel_distance_of_sources"] = _on(as_given, chosen.side)
    damaged = images[chosen.other[:SHRUNK]]
    for factor in REFERENCES:
        if min(prepared.height, prepared.width) >= 2 * factor and len(damaged) >= sides.FEWEST:
            shrunk = look("shrunk", coarse(damaged, factor), eye).table
            found[f"kernel_distance_of_real_shrunk_{factor}x"] = _on(
                kernel_distance(shrunk, real.table), f"train to {chosen.side}"
            )
    part(78, 84)(1, 1)
    return found


def _few(fake: np.ndarray, images: np.ndarray, chosen: _Rows) -> Measured:
    """What fewer than 16 images a side allow: the kernel distance, from 3 on."""
    found, few = Measured(), min(len(fake), len(chosen.reference), len(chosen.other))
    why = f"{few} images on a side, at least {sides.FEWEST} are needed"
    found.leave_out(why, "frechet_distance", *sides.OF_SETS[:1], *sides.OF_SETS[2:])
    if few < 3:
        found.leave_out(f"{few} images on a side, at least 3 are needed", "kernel_distance")
        return found
    mine, real, other = map(features, (fake, images[chosen.reference], images[chosen.other]))
    found["kernel_distance"] = _on(kernel_distance(mine, real), chosen.side)
    sides.doubted(found)
    of_other = kernel_distance(other, real)
    found["kernel_distance_of_real"] = _on(of_other, f"train to {chosen.side}")
    return found


NO_HOLDOUT = "there is no hold-out: too few images"
FEWEST_ALONE = 10
"""Training images without a hold-out that say how alike two of them are."""


def _incomparable(model: Model) -> str:
    """Why what it makes is not to be compared with real images; "" if it is."""
    if model.family.shows() is None:
        return f"a {model.facts.get('family')} makes no images by itself"
    if exemplar_of(model.family) is not None:
        return "its images have the style of one picture: they are not meant to look like real ones"
    return ""


def _copied(
    model: Model,
    fake: np.ndarray,
    prepared: Prepared,
    chosen: _Rows,
    seed: int,
    found: Measured,
) -> Memorisation | None:
    """Put exact and near copies of training images into `found`."""
    why = _incomparable(model)
    if model.family.shows() == "reconstruct":
        why = f"a {model.facts['family']} does not generate: it is given the images that it makes"
    if why:
        found.leave_out(why, "exact_copy_rate", "exact_repeat_rate", "copy_rate")
        return None
    images, train = prepared.images, prepared.train
    same = sides.identical(fake, images, "training images", train, seed)
    found |= {name: _on(estimate, "train") for name, estimate in same.items()}
    # Of a hold-out this small it is not known what 1 % do; of this many training images it is. Of fewer than
    # that, without a hold-out, the closest two are known.
    few = 0 < len(chosen.holdout) < 1 / QUANTILE <= len(train)
    few |= not len(chosen.holdout) and len(train) >= FEWEST_ALONE
    quantile = QUANTILE if len(chosen.holdout) else max(QUANTILE, 1 / max(1, len(train)))
    try:
        copied = (
            memorisation_without_holdout(fake, images, seed=seed, quantile=quantile, among=train)
            if few
            else memorisation(fake, images, images[chosen.holdout], train)
        )
    except ValueError as why:
        found.leave_out(why if len(chosen.holdout) else NO_HOLDOUT, "copy_rate")
        return None
    found["copy_rate"] = _on(copied.rate, "train" if few else "train, against hold-out")
    return copied


def of_real(other: Side, real: Side, seed: int, side: str) -> dict[str, Estimate]:
    """Baseline: the same metrics for other real images against the reference set."""
    found = sides.distances(other, real, seed)
    return {f"{name}_of_real": _on(estimate, side) for name, estimate in found.items()}


def _on(estimate: Estimate, side: str) -> Estimate:
    return dataclasses.replace(estimate, receipt={**estimate.receipt, "side": side})


def coarse(pixels_NHWC: np.ndarray, factor: int) -> np.ndarray:
    """The images shrunk by `factor` and enlarged again, uint8."""
    image = premultiplied(torch.from_numpy(pixels_NHWC.astype(np.float32)).permute(0, 3, 1, 2))
    height, width = image.shape[2:]
    small = F.interpolate(
        image, (height // factor, width // factor), mode="bilinear", antialias=True
    )
    large = F.interpolate(small, (height, width), mode="bilinear")
    if large.shape[1] == 4:
        return to_array(divided(large))
    return large.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _classes(
    model: Model,
    prepared: Prepared,
    chosen: _Rows,
    made: Drawn,
    allowance: Allowance,
    seconds: float,
    progress: Progress,
) -> Measured:
    """Classification accuracy scores for each condition; class balance of a model without conditions."""
    found, fake, labels = Measured(), made.images, made.labels
    if why := _incomparable(model):
        found.leave_out(why, "taught")
        return found
    asked = {condition: column for column, condition in enumerate(model.conditions)}
    usable = [c for c in prepared.conditions if not asked or c in asked]
    if not usable:
        found.leave_out(
            "the data has none of the model's classes" if asked else NO_CLASSES, "taught"
        )
    for done, condition in enumerate(usable):
        truth = prepared.labels[:, prepared.label_columns([condition.name])[0]]
        test = chosen.holdout[truth[chosen.holdout] >= 0]
        real = chosen.train[truth[chosen.train] >= 0]
        column = labels[:, asked[condition]] if asked else np.zeros(len(fake), np.int64)
        mine = column >= 0
        starts = ("taught", "recognised") if asked else ("effective_classes",)
        names = [f"{start}_{condition.name}" for start in starts]
        fewest = min(len(test), len(real), int(mine.sum())) if asked else min(len(test), len(real))
        if done >= COLUMNS:
            found.leave_out(f"only the first {COLUMNS} columns of classes are tried", *names)
            continue
        if fewest < LABELLED:
            found.leave_out(
                f"{fewest} labelled images on a side, at least {LABELLED} are needed", *names
            )
            continue
        if not allowance.affords(seconds):
            found.leave_out(allowance.short, *names)
            continue
        training = (prepared.images[real], truth[real])
        test_set, classes = (prepared.images[test], truth[test]), len(condition.classes)
        if asked:
            seen = classification_accuracy(
                fake[mine], column[mine], *training, *test_set, classes, steps=CLASSIFIER_STEPS
            )
            found[names[0]] = _on(seen["by_samples"], "samples")
            found[f"{names[0]}_by_real"] = _on(seen["by_real"], "train")
            found[names[1]] = _on(seen["on_samples"], "samples")
        else:
            balance = predicted_balance(fake, *training, *test_set, classes, steps=CLASSIFIER_STEPS)
            found.take(sides.balances(condition, balance))
        progress(done + 1, min(len(usable), COLUMNS))
    progress(1, 1)
    return found


NOTES: Mapping[str | None, str] = {
    "reconstruct": "A {0} does not generate: samples here are reconstructions of real images ({1}), "
    "compared with other real images.",
    "translate": "Samples here are translations of source images ({1}), compared with other real images.",
    None: "A {0} makes no images by itself: there are no samples to show or to compare.",
}

STYLED = (
    "Samples here are photos ({0}) in the style of one picture. They are measured against that picture, "
    "beside the photos as they were. How much is left of a photo, its edges tell."
)


def _notes(model: Model, prepared: Prepared, chosen: _Rows) -> list[str]:
    notes, exemplar = [], exemplar_of(model.family)
    if exemplar is not None:
        notes.append(STYLED.format(chosen.side))
    elif said := NOTES.get(model.family.shows()):
        notes.append(said.format(model.facts["family"], chosen.side))
    trained_on = model.facts.get("dataset_hash")
    if trained_on not in (None, prepared.hash):
        notes.append(
            f"The model was trained on other data ({str(trained_on)[:12]}) than it is measured with "
            f"({prepared.hash[:12]}); 'training images' are those of the latter."
        )
    if not len(chosen.holdout):
        notes.append(
            "There are too few images for a hold-out: all scores are against training images, so a model "
            "that has memorised them would look good."
        )
    elif len(chosen.holdout) < 1000:
        used, there = len(chosen.holdout), len(prepared.holdout)
        what = (
            f"{there} images were held out"
            if used == there
            else f"{used} of {there} held-out images were used"
        )
        notes.append(f"Only {what}, so the intervals are wide.")
    if model.facts.get("finished") is False:
        notes.append("Training has not finished: this is the state of the last save.")
    return notes


def _page(
    model: Model,
    prepared: Prepared,
    chosen: _Rows,
    fake: np.ndarray,
    copied: Memorisation | None,
    outcome: Outcome,
) -> Page:
    held = len(chosen.holdout) >= HIDDEN
    real_rows = chosen.holdout if held else chosen.train
    if compared := not _incomparable(model):
        tiles, real = hide(prepared.images[real_rows[:HIDDEN]][: len(fake)], fake[: TILES - HIDDEN])
    else:
        tiles, real = fake[:0], frozenset()
    near = beside(fake, prepared.images, copied, prepared.train) if compared else ()
    log = list(read_log(model.folder / "log.jsonl"))
    name = str(model.facts.get("family", "model"))
    source = model.facts.get("source", prepared.name)
    return outcome.page(
        title=f"{name.upper() if len(name) < 4 else name.capitalize()}, trained on {source}",
        summary=summary(model),
        tiles_NHWC=tiles,
        real=real,
        real_side="from the hold-out, never seen in training" if held else "from the training set",
        steps=list(sheets(model, log)),
        pairs=pairs(model, prepared, chosen.reference),
        exemplar=exemplar_of(model.family),
        translated=model.family.shows() == "translate",
        neighbours=list(near),
        curves=list(curves(standing(log))),
        happenings=happenings(log),
        facts=list(facts(model, prepared, outcome.facts)),
    )
