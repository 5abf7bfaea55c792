"""Artefact + data + metrics -> report.json and report.html; and the probe that training watches.

Every number names the side of the data it was measured on: `train` (what the model saw) or
`hold-out` (what it never saw). Beside each stands what real images score.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from zeuxis import artefact, machine
from zeuxis.data import Prepared
from zeuxis.disk import write_json
from zeuxis.family import Tick
from zeuxis.features import Features, features
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.classifier import predict, train_classifier
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.nearest import Copies, copies, differing, nearest
from zeuxis.report import Card, Neighbours, Page, write
from zeuxis.report.charts import ladder, number
from zeuxis.rng import derive_seed
from zeuxis.use import Model, load

HIDDEN, TILES = 8, 64
SHOWN = 12
SUSPECTS = 4
SHEETS = 8
REFERENCES = {2: "real, half the detail", 4: "real, a quarter of the detail"}
REFERENCE_IMAGES = 500
JUDGES = 2000
TAUGHT = 3
TEACH_STEPS = 300
PROBE_REAL = 1024
COPIES_ALLOWED = 0.02


def probe(
    prepared: Prepared, count: int = 256, seed: int = 0
) -> Callable[[np.ndarray], dict[str, float]]:
    """A cheap score to watch while training: kernel distance to training images.

    It never reads the hold-out. The real side's features are computed at the first call and kept.

    Args:
        prepared: what is trained on.
        count: images that the score will be given; fewer than 3 on either side give no score.
        seed: which training images.

    Returns:
        Maps (N, H, W, C) uint8 samples to `{"kernel_distance": ...}`, lower is better.
    """
    rows = _draw(prepared.train, max(count, PROBE_REAL), seed, "probe")
    real: list[Features] = []

    def score(samples_NHWC: np.ndarray) -> dict[str, float]:
        if min(len(rows), len(samples_NHWC)) < 3:
            return {}
        if not real:
            real.append(features(prepared.images[rows]))
        return {"kernel_distance": kernel_distance(features(samples_NHWC), real[0]).value}

    return score


def evaluate(
    run: str | Path | Model,
    prepared: Prepared,
    samples: int = 2000,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Tick | None = None,
) -> dict[str, Any]:
    """Measure a trained model and write `report.json` and `report.html`.

    Args:
        run: a run's folder, or the loaded model.
        prepared: real images of the model's size and channels.
        samples: images to draw; fewer widen the intervals.
        seed: of the samples, and of which real images are used.
        out: folder for the report; default the run's.
        progress: called with (done, 100).

    Returns:
        The content of report.json: `scores` (name -> number), `estimates` (with interval, number of
        images, side, words and receipt), `facts`, and `report`, the path of the page.

    Raises:
        ValueError: no such model, or images of another shape, or fewer than 8 samples.
    """
    model = run if isinstance(run, Model) else load(run)
    _check(model, prepared, samples)
    part = _parts(progress)
    began = time.perf_counter()
    labels = model.draw_labels(samples, seed)
    fake = model.sample(samples, seed=seed, labels=labels, progress=part(0, 40))
    seconds = time.perf_counter() - began
    rows = _Rows.of(prepared, samples, seed)
    found = _distances(fake, prepared, rows, part)
    copied = None
    if len(rows.holdout):
        held = prepared.images[rows.holdout]
        copied = copies(fake, prepared.images, held, prepared.train)
        found["copy_rate"] = dataclasses.replace(
            copied.rate, receipt={**copied.rate.receipt, "side": "train, against hold-out"}
        )
    part(85, 86)(1, 1)
    found |= _taught(model, prepared, rows, fake, labels, part(86, 100))
    folder = Path(out) if out is not None else model.folder
    cards = list(_cards(found))
    facts = {
        "family": model.facts.get("family"),
        "samples": samples,
        "seed": seed,
        "sampling_seconds": round(seconds, 2),
        "precision": model.precision,
        "weights": artefact.weights(model.facts),
        "data": prepared.name,
        "data_hash": prepared.hash,
        "machine": machine.facts(model.device),
    }
    result = {
        "format": 1,
        "scores": {name: estimate.value for name, estimate in found.items()},
        "estimates": {name: estimate.facts() for name, estimate in found.items()},
        "words": [
            f"{card.title} {card.value} {card.unit}. {card.words} ({card.side})" for card in cards
        ],
        "notes": _notes(model, prepared, rows),
        "facts": facts,
        "report": "report.html",
    }
    page = _page(model, prepared, rows, fake, copied, found, cards, result)
    write(folder / "report.html", page)
    write_json(folder / "report.json", result)
    return {**result, "report": str(folder / "report.html")}


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Which rows of the prepared set play which part; all drawn by seed."""

    train: np.ndarray
    holdout: np.ndarray
    judge: np.ndarray
    """The side that the model is measured against: hold-out, or half of training if there is none."""
    other: np.ndarray
    """Real images, none of them judges, that the same measure is tried on."""
    side: str

    @classmethod
    def of(cls, prepared: Prepared, count: int, seed: int) -> "_Rows":
        train = _draw(prepared.train, count, seed, "train")
        holdout = _draw(prepared.holdout, max(count, JUDGES), seed, "holdout")
        if len(holdout) >= 3:
            return cls(train, holdout, holdout, train, "hold-out")
        half = len(train) // 2
        return cls(train, holdout[:0], train[:half], train[half:], "train (there is no hold-out)")


def _check(model: Model, prepared: Prepared, samples: int) -> None:
    config = model.family.config
    wanted = (config.height, config.width, config.channels)
    given = (prepared.height, prepared.width, prepared.channels)
    if wanted != given:
        raise ValueError(
            f"the model makes {wanted[0]}x{wanted[1]} images with {wanted[2]} channels and "
            f"{prepared.name} has {given[0]}x{given[1]} with {given[2]}; prepare it at the model's size"
        )
    if samples < TILES // HIDDEN:
        raise ValueError(f"{samples} samples measure nothing; draw at least {TILES // HIDDEN}")


def _distances(
    fake: np.ndarray,
    prepared: Prepared,
    rows: _Rows,
    part: Callable[[float, float], Tick],
) -> dict[str, Estimate]:
    """Kernel distances: of the model, of real images, and of real images that were damaged."""
    if min(len(rows.judge), len(rows.other)) < 3:
        return {}
    images = prepared.images
    fake_features = features(fake, progress=part(40, 58))
    judge = features(images[rows.judge], progress=part(58, 66))
    other = features(images[rows.other], progress=part(66, 80))
    found = {
        "kernel_distance": _on(kernel_distance(fake_features, judge), rows.side),
        "kernel_distance_of_real": _on(kernel_distance(other, judge), f"train to {rows.side}"),
    }
    if rows.side == "hold-out":
        found["kernel_distance_to_train"] = _on(kernel_distance(fake_features, other), "train")
    damaged = images[rows.other[:REFERENCE_IMAGES]]
    for factor in REFERENCES:
        if min(prepared.height, prepared.width) >= 2 * factor and len(damaged) >= 3:
            blurred = features(_coarse(damaged, factor))
            found[f"kernel_distance_of_real_shrunk_{factor}x"] = _on(
                kernel_distance(blurred, judge), f"train to {rows.side}"
            )
    part(80, 85)(1, 1)
    return found


def _on(estimate: Estimate, side: str) -> Estimate:
    return dataclasses.replace(estimate, receipt={**estimate.receipt, "side": side})


def _coarse(pixels_NHWC: np.ndarray, factor: int) -> np.ndarray:
    """The images shrunk by `factor` and enlarged again, uint8."""
    image = torch.from_numpy(pixels_NHWC.astype(np.float32)).permute(0, 3, 1, 2)
    height, width = image.shape[2:]
    small = F.interpolate(
        image, (height // factor, width // factor), mode="bilinear", antialias=True
    )
    large = F.interpolate(small, (height, width), mode="bilinear")
    return large.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _taught(
    model: Model,
    prepared: Prepared,
    rows: _Rows,
    fake: np.ndarray,
    labels: np.ndarray,
    progress: Tick,
) -> dict[str, Estimate]:
    """Accuracy on hold-out images of a classifier taught by samples, and by as many real images."""
    known = {condition.name: condition for condition in prepared.conditions}
    usable = [
        (column, condition)
        for column, condition in enumerate(model.conditions)
        if known.get(condition.name) == condition
    ][:TAUGHT]
    found = {}
    for done, (column, condition) in enumerate(usable):
        truth = prepared.labels[:, prepared.label_columns([condition.name])[0]]
        test = rows.holdout[truth[rows.holdout] >= 0]
        real = rows.train[truth[rows.train] >= 0]
        mine = labels[:, column] >= 0
        if min(len(test), len(real), int(mine.sum())) < 50:
            continue
        lessons = {
            f"taught_{condition.name}": (fake[mine], labels[mine, column]),
            f"taught_{condition.name}_by_real": (prepared.images[real], truth[real]),
        }
        for name, (pixels, classes) in lessons.items():
            net = train_classifier(pixels, classes, len(condition.classes), 0, TEACH_STEPS)
            right = int((predict(net, prepared.images[test]) == truth[test]).sum())
            receipt = {
                "side": "train" if name.endswith("_by_real") else "samples",
                "tested_on": "hold-out",
                "taught_with": len(pixels),
                "steps": TEACH_STEPS,
                "classifier": "pinned, 3 convolutions 32-64-128, batches of 128, seed 0",
            }
            found[name] = share(right, len(test), receipt)
        progress(done + 1, len(usable))
    progress(1, 1)
    return found


def _cards(found: Mapping[str, Estimate]) -> Iterator[Card]:
    if "kernel_distance" in found:
        yield _distance_card(found)
    if "copy_rate" in found:
        yield _copy_card(found["copy_rate"])
    for name, estimate in found.items():
        if name.startswith("taught_") and not name.endswith("_by_real"):
            yield _taught_card(name.removeprefix("taught_"), estimate, found[f"{name}_by_real"])


def _distance_card(found: Mapping[str, Estimate]) -> Card:
    mine, real = found["kernel_distance"], found["kernel_distance_of_real"]
    half = found.get("kernel_distance_of_real_shrunk_2x")
    quarter = found.get("kernel_distance_of_real_shrunk_4x")
    if mine.interval[0] <= max(real.interval[1], 0):
        mood, words = "good", "As close to new real images as other real images are."
    elif half is None or mine.value <= half.value:
        share_of = f", {mine.value / half.value:.0%} of the way" if half else ""
        mood, words = "fair", f"Closer than real images that lost half their detail{share_of}."
    elif quarter is None or mine.value <= quarter.value:
        mood, words = "fair", "Between real images at half and at a quarter of their detail."
    else:
        mood, words = "poor", "Further than real images that kept a quarter of their detail."
    return Card(
        title="How close to real, as a whole?",
        value=number(mine.value),
        unit="kernel distance, 0 is real",
        words=words,
        side=f"95 %: {_span(mine)}; {mine.receipt['fake']:,} samples against "
        f"{mine.receipt['real']:,} images, {mine.receipt['side']}. Real images: {number(real.value)} "
        f"({_span(real)})",
        mood=mood,
    )


def _copy_card(rate: Estimate) -> Card:
    count = round(rate.value * rate.n)
    control = "New real images would score about 1 %."
    if rate.interval[0] > COPIES_ALLOWED:
        mood, words = "poor", f"It repeats training images. {control}"
    elif rate.value > COPIES_ALLOWED:
        mood, words = "fair", f"It may repeat some training images. {control}"
    else:
        mood, words = "good", f"It does not repeat its training images. {control}"
    return Card(
        title="Does it copy?",
        value=_percent(rate.value),
        unit=f"of samples are near-copies ({count:,} of {rate.n:,})",
        words=words,
        side=f"95 %: {_percent(rate.interval[0])} to {_percent(rate.interval[1])}; against all "
        f"{rate.receipt['train']:,} training images. A near-copy differs visibly from one of them in "
        f"fewer than {rate.receipt['threshold_pixels']} pixels, as 1 % of the hold-out do",
        mood=mood,
    )


def _taught_card(name: str, mine: Estimate, real: Estimate) -> Card:
    label = name.replace("_", " ")
    ratio = mine.value / max(real.value, 1e-9)
    return Card(
        title=f"Does “{label}” mean what it says?",
        value=_percent(mine.value),
        unit=f"named right; taught by as many real images: {_percent(real.value)}",
        words=f"A small classifier learned “{label}” from samples alone, then named it in real "
        "images that nobody had trained on.",
        side=f"95 %: {_percent(mine.interval[0])} to {_percent(mine.interval[1])}; taught by "
        f"{mine.receipt['taught_with']:,} samples, tested on {mine.n:,} hold-out images",
        mood="good" if ratio > 0.95 else "fair" if ratio > 0.8 else "poor",
    )


def _span(estimate: Estimate) -> str:
    return f"{number(estimate.interval[0])} to {number(estimate.interval[1])}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"


def _notes(model: Model, prepared: Prepared, rows: _Rows) -> list[str]:
    notes = []
    trained_on = model.facts.get("dataset_hash")
    if trained_on not in (None, prepared.hash):
        notes.append(
            f"The model was trained on other data ({str(trained_on)[:12]}) than it is measured with "
            f"({prepared.hash[:12]}): here, 'training images' are those of the latter."
        )
    if not len(rows.holdout):
        notes.append(
            "There are too few images for a hold-out: all numbers are against images that the model "
            "saw in training, so a model that copies would look good."
        )
    elif len(rows.holdout) < 1000:
        notes.append(f"Only {len(rows.holdout)} images were held out, so the intervals are wide.")
    if model.facts.get("finished") is False:
        notes.append("Training has not finished: this is the state of the last save.")
    return notes


def _page(
    model: Model,
    prepared: Prepared,
    rows: _Rows,
    fake: np.ndarray,
    copied: Copies | None,
    found: Mapping[str, Estimate],
    cards: list[Card],
    result: Mapping[str, Any],
) -> Page:
    shown = rows.holdout if len(rows.holdout) >= HIDDEN else rows.train
    tiles, real = hide(prepared.images[shown[:HIDDEN]], fake[: TILES - HIDDEN])
    log = list(_log(model.folder / "log.jsonl"))
    facts = list(_facts(model, prepared, result["facts"]))
    name = str(model.facts.get("family", "model"))
    source = model.facts.get("source", prepared.name)
    return Page(
        title=f"{name.upper() if len(name) < 4 else name.capitalize()}, trained on {source}",
        summary=_summary(model),
        notes=result["notes"],
        cards=cards,
        ladder=_ladder(found),
        tiles_NHWC=tiles,
        real=real,
        real_side="from the hold-out, never seen in training"
        if len(rows.holdout) >= HIDDEN
        else "from the training set",
        steps=list(_sheets(model, log)),
        neighbours=list(_neighbours(fake, prepared, copied)),
        curves=list(_series(log)),
        facts=facts,
        receipts=json.dumps(result["estimates"], indent=1, ensure_ascii=False),
    )


def hide(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, frozenset[int]]:
    """Real images shuffled among generated ones, and where they ended up."""
    order = np.random.default_rng(derive_seed("hide")).permutation(len(real) + len(fake))
    places = frozenset(np.flatnonzero(order < len(real)).tolist())
    return np.concatenate([real, fake])[order], places


def _ladder(found: Mapping[str, Estimate]) -> str:
    if "kernel_distance" not in found:
        return ""
    mine = found["kernel_distance"]
    marks = [("this model", mine.value, "model")]
    marks.append(("other real images", found["kernel_distance_of_real"].value, "reference"))
    for factor, label in REFERENCES.items():
        if reference := found.get(f"kernel_distance_of_real_shrunk_{factor}x"):
            marks.append((label, reference.value, "reference"))
    return ladder(marks, mine.interval)


def _neighbours(
    fake: np.ndarray, prepared: Prepared, copied: Copies | None
) -> Iterator[Neighbours]:
    chosen = list(range(min(SHOWN - SUSPECTS, len(fake))))
    if copied is not None:
        closest = np.argsort(copied.differing_N, kind="stable")[:SUSPECTS].tolist()
        chosen = closest + [i for i in chosen if i not in closest]
    most = min(3, len(prepared.train))
    _, near = nearest(fake[chosen], prepared.images, most, prepared.train)
    for place, row in zip(chosen, near, strict=True):
        pixels = int(differing(fake[place : place + 1], prepared.images[row[:1]])[0])
        total = prepared.height * prepared.width
        yield Neighbours(
            sample_HWC=fake[place],
            nearest_KHWC=prepared.images[row],
            caption=f"sample {place}: {pixels:,} of {total:,} pixels differ",
        )


def _log(path: Path) -> Iterator[dict[str, float]]:
    """Lines of log.jsonl; a last line that a kill cut short is left out."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def _series(log: list[dict[str, float]]) -> Iterator[tuple[str, list[int], list[float]]]:
    """Each logged quantity, scores first, then totals, then the rest."""
    names = sorted(
        {name for line in log for name in line if name != "step"},
        key=lambda name: ("/" in name, not name.endswith("/total"), name),
    )
    for name in names:
        lines = [line for line in log if isinstance(line.get(name), int | float)]
        title = name.replace("/", ": ").replace("_", " ")
        yield title, [int(line["step"]) for line in lines], [float(line[name]) for line in lines]


def _sheets(model: Model, log: list[dict[str, float]]) -> Iterator[tuple[str, np.ndarray]]:
    """Samples from some steps of the training, evenly spread, as many columns as a phone shows."""
    paths = sorted((model.folder / "samples").glob("step-*.png"))
    keep = np.unique(np.linspace(0, len(paths) - 1, min(SHEETS, len(paths))).round().astype(int))
    scores = {line["step"]: line["kernel_distance"] for line in log if "kernel_distance" in line}
    config = model.family.config
    columns = min(8, max(2, 280 // (config.width + 1)))
    lines = min(8, max(2, 280 // (config.height + 1)))
    for path in (paths[i] for i in keep):
        step = int(path.stem.removeprefix("step-"))
        with Image.open(path) as file:
            sheet = np.asarray(file)
        sheet = sheet[: lines * (config.height + 1) - 1, : columns * (config.width + 1) - 1]
        score = f", distance {number(scores[step])}" if step in scores else ""
        yield f"step {step:,}{score}", sheet if sheet.ndim == 3 else sheet[..., None]


def _summary(model: Model) -> str:
    progress = model.facts.get("progress", {})
    device = model.facts.get("machine", {})
    words = []
    if progress:
        words.append(
            f"{_duration(progress['seconds'])} of training: {progress['steps']:,} steps, "
            f"{progress['images']:,} images seen"
        )
    if device:
        words.append(f"on {_machine(device)}")
    return " ".join(words) + "." if words else ""


def _facts(
    model: Model, prepared: Prepared, measured: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    facts, dataset = model.facts, model.facts.get("dataset") or prepared.facts
    split = dataset.get("split", {})
    yield "Family", str(facts.get("family"))
    yield "Parameters", f"{sum(p.numel() for p in model.family.parameters()):,} in the artefact"
    yield (
        "Data",
        f"{dataset.get('name')}, {prepared.height}x{prepared.width}, {prepared.channels} channels",
    )
    yield "Images", f"{split.get('train', 0):,} to train on, {split.get('holdout', 0):,} held out"
    yield "Split", str(split.get("how", "unknown"))
    if dataset.get("licence"):
        yield "Licence of the data", str(dataset["licence"])[:300]
    yield "Hash of the data", str(facts.get("dataset_hash", prepared.hash))
    if model.conditions:
        asked = (f"{c.name} ({len(c.classes)})" for c in model.conditions)
        yield "Can be asked for", ", ".join(asked)
    if training := facts.get("training"):
        yield "Settings", ", ".join(f"{key} {value}" for key, value in training.items())
    if facts.get("precision"):
        yield "Arithmetic", str(facts["precision"])
    if there := facts.get("machine"):
        yield "Trained on", f"{_machine(there)}, torch {there.get('torch')}"
    yield "Started", str(facts.get("started", "unknown"))
    here, each = measured["machine"], measured["sampling_seconds"] / measured["samples"]
    yield (
        "Measured on",
        f"{_machine(here)}; {measured['samples']:,} samples from seed {measured['seed']}",
    )
    yield "Sampling", f"{1000 * each:.2g} ms an image ({measured['precision']})"
    yield "Made with", f"zeuxis {facts.get('zeuxis', '')}"


def _machine(facts: Mapping[str, Any]) -> str:
    if facts.get("device") not in (None, "cpu"):
        return f"{facts['device']}"
    threads = facts.get("threads")
    return f"{facts.get('processor')}, {threads} thread{'' if threads == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.3g} minutes" if seconds < 6000 else f"{seconds / 3600:.3g} hours"


def _draw(rows: np.ndarray, count: int, seed: int, name: str) -> np.ndarray:
    """At most `count` of the rows, by seed, in random order."""
    return np.random.default_rng(derive_seed(seed, name)).permutation(rows)[:count]


def _parts(progress: Tick | None) -> Callable[[float, float], Tick]:
    """Turn the progress of each part into hundredths of the whole."""

    def part(start: float, end: float) -> Tick:
        def tick(done: int, total: int) -> None:
            if progress:
                progress(round(start + (end - start) * done / max(total, 1)), 100)

        return tick

    return part
