"""What `zeuxis demo` does: train on the embedded avatars, draw and measure."""

import shutil
from pathlib import Path
from typing import Any

import torch

from zeuxis import data
from zeuxis.core import machine
from zeuxis.core.files import cache_folder, read_json, read_sealed
from zeuxis.core.lock import locked
from zeuxis.core.request import Request, nested
from zeuxis.inference.model import load
from zeuxis.training import budget, closing
from zeuxis.training.loop import Event, Watch
from zeuxis.training.run import train

FAMILY = "flow"


def demo(
    minutes: float = 3.0,
    out: str | Path = "runs/demo",
    evaluate: bool = True,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train on the embedded avatars, lay out samples and a report, and measure.

    Returns:
        family, folder, report, scores (None if they are not wanted) and samples (paths and numbers for a
        closing message).
    """
    tell: Watch = watch or (lambda event: None)
    source, place = _avatars(), machine.choose_device()
    words = settings(place)
    asked = {"out": out, "minutes": minutes, "evaluate": False, "overrides": nested(words)}
    folder = train(Request.read({"family": FAMILY, "source": source, **asked}), watch)
    drawn = load(folder).sample(64, seed=7)
    for i, picture in enumerate(drawn.images[:16]):
        drawn.write_picture(folder / "samples" / f"{i:04d}.png", picture)
    sheet = folder / "samples" / "grid.png"
    drawn.write_sheet(sheet)
    tell(Event("note", f"16 samples: {sheet.parent}; 64 on one sheet: {sheet}"))
    if evaluate:
        planned = read_sealed(folder / "run.json")["plan"]
        seconds = planned.get("measuring_seconds", budget.MOST_MEASURING)
        closing.measure(folder, data.open_prepared(source), place.type, seconds, tell)
    scores = folder / "report.json"
    return {
        "family": FAMILY,
        "folder": folder,
        "report": folder / "report.html",
        "scores": read_json(scores, finite=False) if scores.exists() else None,
        "samples": sheet,
    }


def settings(place: torch.device) -> dict[str, str]:
    """What draws the better avatars in three minutes here (docs/decisions/0006)."""
    slow = {"family.stem": "2", "training.batch_size": "32"}
    given = {} if machine.fast_bfloat16(place) else slow
    return {"data.conditions": "hair,skin,background", **given}


def _avatars() -> Path:
    """The embedded avatars as a prepared set in the cache."""
    folder = cache_folder() / "avatars"
    with locked(folder.with_name("avatars.lock"), f"{folder} is in use", wait=True):
        if not data.is_prepared(folder):
            shutil.rmtree(folder, ignore_errors=True)
            data.get("avatars", folder)
    return folder
