"""Several families on the same images, with equal training time, side by side on one page."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from zeuxis import families
from zeuxis.core.abilities import Generates
from zeuxis.core.errors import Invalid
from zeuxis.core.files import read_json, write_file, write_json
from zeuxis.core.log import read_log
from zeuxis.core.pixels import SHEET, grid, save_png
from zeuxis.core.request import Request, nested
from zeuxis.core.words import markup
from zeuxis.data.source import name_of
from zeuxis.evaluation import report
from zeuxis.evaluation.drawn import first
from zeuxis.inference.alike import prepared_as
from zeuxis.inference.model import load
from zeuxis.training.loop import Event, Watch
from zeuxis.training.run import train

SHOWN = 24
"""Samples of each family that the page and the picture show."""
COLUMNS = 12
GOOD = "kernel_distance_of_real_shrunk_2x"
"""A good sample is closer to real images than real ones that lost half their detail."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What one family made of it.

    Attributes:
        family: its name.
        folder: its run.
        facts: of the artefact.
        report: of the run: scores, rows, notes.
        samples: (N, H, W, C) uint8, what it shows, from seed 0; perhaps none.
        first_good: seconds of training until the first probe that found good samples, if any did.
        file_bytes: size of the weights.
    """

    family: str
    folder: Path
    facts: Mapping[str, Any]
    report: Mapping[str, Any]
    samples: np.ndarray
    first_good: float | None
    file_bytes: int


def compare_families(
    source: str | Path,
    names: Sequence[str] = (),
    *,
    minutes: float = 5.0,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    faces: str | None = None,
    overrides: Mapping[str, str] | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train families one after another under one budget, and lay the results side by side.

    Args:
        source: images in any form, or a prepared set.
        names: families; by default all that generate.
        minutes: of training for each; measuring comes on top.
        out: folder for the runs and the page; by default `runs/contest-<source>`. The same call
            continues where it was stopped.
        seed: of every run.
        device: auto, cpu, cuda or mps.
        threads: CPU threads.
        faces: as in `train`.
        overrides: `data.` and `training.` settings that hold for all.
        watch: told of what happens.

    Returns:
        `page` and `picture` (paths), and `families`: name -> scores and facts, best first.

    Raises:
        ValueError: an unknown family, a setting of one family only, or bad input as in `train`.
    """
    asked = {"source": source, "minutes": minutes, "seed": seed, "device": device}
    settings = {"threads": threads, "faces": faces, "overrides": nested(overrides or {})}
    request = Request.read({"family": "", **asked, **settings})
    chosen = list(dict.fromkeys(names)) or families.able(Generates)
    for name in chosen:
        families.get(name)
    for path in overrides or {}:
        if path.startswith("family."):
            raise Invalid(f"{path} is of one family; a contest takes data. and training. only")
    tell: Watch = watch or (lambda event: None)
    stem = name_of(source)
    folder = Path(out) if out else Path("runs") / f"contest-{stem}"
    entries = []
    for name in chosen:
        tell(Event("note", f"{name}: {minutes:g} minutes"))
        one = request.model_copy(update={"family": name, "out": str(folder / name)})
        entries.append(_entry(name, source, train(one, watch)))
    entries.sort(key=lambda entry: entry.report["scores"].get("kernel_distance", float("inf")))
    picture, page = folder / "contest.png", folder / "contest.html"
    drawn = [entry for entry in entries if len(entry.samples)]
    if drawn:
        save_png(picture, _picture(drawn))
    text = _page(entries, stem, minutes)
    write_file(page, lambda path: path.write_text(text, encoding="utf-8"))
    result = {
        "minutes": minutes,
        "seed": seed,
        "families": {
            entry.family: {"scores": entry.report["scores"], **dict(_costs(entry))}
            for entry in entries
        },
    }
    write_json(folder / "contest.json", result)
    return {**result, "page": page, "picture": picture if drawn else None}


def _entry(name: str, source: str | Path, run: Path) -> Entry:
    model = load(run)
    measured = read_json(run / "report.json", finite=False)
    weights = next(path for path in model.facts["files"] if path.startswith("model-"))
    return Entry(
        family=name,
        folder=run,
        facts=model.facts,
        report=measured,
        samples=first(model, prepared_as(model, source), SHOWN).images,
        first_good=_first_good(run, model.facts, measured["scores"]),
        file_bytes=(run / weights).stat().st_size,
    )


def _first_good(run: Path, facts: Mapping[str, Any], scores: Mapping[str, float]) -> float | None:
    """Seconds of training up to the first probe below the threshold, at the run's mean speed."""
    if GOOD not in scores:
        return None
    progress = facts["progress"]
    for line in read_log(run / "log.jsonl"):
        if line.get("kernel_distance", float("inf")) < scores[GOOD]:
            return float(line["step"]) / progress["steps"] * float(progress["seconds"])
    return None


def _costs(entry: Entry) -> list[tuple[str, str]]:
    """(Name, value) of what a family costs, in words."""
    plan, progress, measured = (
        entry.facts["plan"],
        entry.facts["progress"],
        entry.report["facts"],
    )
    good = "none seen" if entry.first_good is None else f"{entry.first_good:.0f} s"
    each = 1000 * measured["sampling_seconds"] / max(measured["samples"], 1)
    rate = progress["images"] / max(progress["seconds"], 1e-9)
    return [
        ("First good samples after", good),
        ("Time of a sample", f"{each:.2g} ms"),
        ("Training", f"{rate:,.0f} images/s, {progress['steps']:,} steps"),
        ("Parameters", f"{plan['parameters']:,}"),
        ("File of weights", f"{entry.file_bytes / 2**20:.1f} MiB"),
        ("Memory", f"{plan['memory_bytes'] / 2**30:.1f} GiB"),
    ]


def _page(entries: Sequence[Entry], source: str, minutes: float) -> str:
    """The comparison as one self-contained HTML page."""
    sheets = "".join(
        f"<figure><h3>{markup(entry.family)}</h3>"
        f"{report.image(grid(entry.samples, columns=COLUMNS), f'samples of {entry.family}', SHEET)}"
        "</figure>"
        for entry in entries
        if len(entry.samples)
    )
    machine = entries[0].facts.get("machine", {})
    where = f"{machine.get('processor')}, {machine.get('threads')} threads"
    parts = [
        f"<p>{minutes:g} minutes of training for each family on the same images, one after another "
        f"({markup(where)}). Best kernel distance first. Samples are the first {SHOWN} of seed 0, not "
        f"cherry-picked.</p>",
        f'<h2>Side by side</h2><div class="wide">{sheets}</div>',
        _table("What it costs", entries, [_costs(entry) for entry in entries]),
        _table(
            "All metrics",
            entries,
            [[(row["title"], _cell(row)) for row in entry.report["rows"]] for entry in entries],
        ),
        _links(entries),
    ]
    size = entries[0].facts["config"]["height"]
    return report.document(f"Families compared on {source}", parts, sharp=size <= 64)


def _cell(row: Mapping[str, str]) -> str:
    return f"{row['value']} ({row['interval']})" if row["interval"] else row["value"]


def _table(
    title: str, entries: Sequence[Entry], columns: Sequence[Sequence[tuple[str, str]]]
) -> str:
    """One line a measure, one column a family; a dash where a family lacks it."""
    tables = [dict(column) for column in columns]
    names = list(dict.fromkeys(name.partition(";")[0] for column in columns for name, _ in column))
    short = [{name.partition(";")[0]: value for name, value in table.items()} for table in tables]
    rows = {name: [table.get(name, "–") for table in short] for name in names}
    return report.table(title, [entry.family for entry in entries], rows)


def _links(entries: Sequence[Entry]) -> str:
    items = "".join(
        f'<li><a href="{markup(entry.family)}/report.html">{markup(entry.family)}</a></li>'
        for entry in entries
    )
    return f"<h2>Full reports</h2><ul>{items}</ul>"


def _picture(entries: Sequence[Entry]) -> np.ndarray:
    """The samples of all families under one another, each under its name, (H, W, 3) uint8."""
    height, width, _ = entries[0].samples.shape[1:]
    scale = max(1, 64 // max(height, width))
    sheets = [grid(entry.samples, columns=COLUMNS, scale=scale, gap=2) for entry in entries]
    rows, band, margin = sheets[0].shape[0], 22, 8
    canvas = Image.new(
        "RGB", (sheets[0].shape[1] + 2 * margin, len(entries) * (rows + band) + margin), "white"
    )
    pen = ImageDraw.Draw(canvas)
    for i, (entry, sheet) in enumerate(zip(entries, sheets, strict=True)):
        top = i * (rows + band)
        distance = entry.report["scores"].get("kernel_distance")
        words = entry.family if distance is None else f"{entry.family}   {distance:.3g} from real"
        pen.text((margin, top + 5), words, fill="black")
        pixels = sheet[..., 0] if sheet.shape[-1] == 1 else sheet
        canvas.paste(Image.fromarray(pixels).convert("RGB"), (margin, top + band))
    return np.asarray(canvas)
