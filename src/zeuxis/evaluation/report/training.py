"""What a run's folder tells of its training: curves, sheets of samples, facts."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zeuxis.data import Prepared
from zeuxis.data.pictures import picture
from zeuxis.evaluation.drawn import COLUMNS, cell
from zeuxis.evaluation.report.charts import number, quantity
from zeuxis.inference.model import Model

SHEETS = 8


def curves(log: list[dict[str, float]]) -> Iterator[tuple[str, list[int], list[float]]]:
    """Each logged quantity, scores first, then totals, then the rest."""
    found: dict[str, dict[int, float]] = {}  # where a run went back, what it did then counts
    for line in log:
        for name, value in line.items() if "action" not in line else ():
            if name != "step" and isinstance(value, int | float):
                found.setdefault(name, {})[int(line["step"])] = float(value)
    for name in sorted(found, key=lambda name: ("/" in name, not name.endswith("/total"), name)):
        points = sorted(found[name].items())
        yield quantity(name), [step for step, _ in points], [value for _, value in points]


def sheets(model: Model, log: list[dict[str, float]]) -> Iterator[tuple[str, np.ndarray]]:
    """Samples from some steps of the training, evenly spread, as many columns as a phone shows."""
    paths = sorted((model.folder / "samples").glob("step-*.png"))
    keep = np.unique(np.linspace(0, len(paths) - 1, min(SHEETS, len(paths))).round().astype(int))
    scores = {line["step"]: line["kernel_distance"] for line in log if "kernel_distance" in line}
    height, width = cell(model.family)
    columns = min(COLUMNS, max(2, 280 // (width + 1)))
    lines = min(8, max(2, 280 // (height + 1)))
    for path in (paths[i] for i in keep):
        try:
            step = int(path.stem.removeprefix("step-"))
            sheet = picture(path, None, model.folder)
        except ValueError:
            continue  # the run may be a stranger's
        factor = max(1, sheet.shape[1] // (COLUMNS * (width + 1) - 1))  # it was enlarged by that
        sheet = sheet[::factor, ::factor]
        sheet = sheet[: lines * (height + 1) - 1, : columns * (width + 1) - 1]
        score = f", distance {number(scores[step])}" if step in scores else ""
        yield f"step {step:,}{score}", sheet


def summary(model: Model) -> str:
    """How long it was trained, on what machine; "" where the artefact does not say."""
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


def facts(
    model: Model, prepared: Prepared, measured: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """(Name, value) about data, training and machine, for the table at the report's end."""
    known, dataset = model.facts, model.facts.get("dataset") or prepared.facts
    split = dataset.get("split", {})
    yield "Family", str(known.get("family"))
    yield "Parameters", f"{sum(p.numel() for p in model.family.parameters()):,} in the artefact"
    yield (
        "Data",
        f"{dataset.get('name')}, {prepared.height}x{prepared.width}, {prepared.channels} channels",
    )
    yield "Images", f"{split.get('train', 0):,} to train on, {split.get('holdout', 0):,} held out"
    yield "Split", str(split.get("how", "unknown"))
    if dataset.get("licence"):
        yield "Licence of the data", str(dataset["licence"])[:300]
    yield "Hash of the data", str(known.get("dataset_hash", prepared.hash))
    if model.conditions:
        asked = (f"{c.name} ({len(c.classes)})" for c in model.conditions)
        yield "Conditions (classes)", ", ".join(asked)
    if training := known.get("training"):
        yield "Settings", ", ".join(f"{key} {value}" for key, value in training.items())
    if known.get("precision"):
        yield "Number format", str(known["precision"])
    if there := known.get("machine"):
        yield "Trained on", f"{_machine(there)}, torch {there.get('torch')}"
    yield "Started", str(known.get("started", "unknown"))
    here, count = measured["machine"], measured["samples"]
    yield "Measured on", f"{_machine(here)}; {count:,} samples from seed {measured['seed']}"
    if count:
        each = 1000 * measured["sampling_seconds"] / count
        yield "Sampling", f"{each:.3g} ms per image ({measured['precision']})"
    yield "Made with", f"zeuxis {known.get('zeuxis', '')}"


def _machine(facts: Mapping[str, Any]) -> str:
    if facts.get("device") not in (None, "cpu"):
        return f"{facts['device']}"
    threads = facts.get("threads")
    return f"{facts.get('processor')}, {threads} thread{'' if threads == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.3g} minutes" if seconds < 6000 else f"{seconds / 3600:.3g} hours"
