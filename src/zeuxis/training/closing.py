"""Reports on a run: a first one at once, scores within a time limit, scores against any source."""

from pathlib import Path
from typing import Any

from zeuxis.core.progress import Check, Event, Watch, stopping, ticks, unasked
from zeuxis.data import Prepared
from zeuxis.evaluation import evaluate as evaluation
from zeuxis.inference.alike import prepared_as
from zeuxis.inference.model import load
from zeuxis.training.folder import is_measured


def first_report(folder: Path, prepared: Prepared, device: str, tell: Watch) -> None:
    """Write `report.html` with samples and curves but no scores, unless these weights are measured."""
    if is_measured(folder):
        return
    (folder / "report.json").unlink(missing_ok=True)  # of other weights
    page = evaluation.preview(load(folder, device), prepared)
    sheets = sorted((folder / "samples").glob("step-*.png"))
    tell(Event("note", f"samples: {sheets[-1] if sheets else 'none'}; a first report: {page}"))


def measure(
    folder: Path,
    prepared: Prepared,
    device: str,
    seconds: float,
    tell: Watch,
    check: Check = unasked,
) -> None:
    """Measure the weights in about so many seconds at most, unless they are measured."""
    if is_measured(folder):
        return
    kept = f"{folder} holds the model and a first report; the same command measures it"
    with stopping(f"stopped while measuring; {kept}"):
        tell(Event("note", f"measuring the model: about {seconds:.0f} s at most"))
        model, progress = load(folder, device), ticks(tell, "measuring", seconds, check)
        evaluation.evaluate(model, prepared, seconds=seconds, progress=progress)


def evaluate(
    run: str | Path, source: str | Path, samples: int = 2000, watch: Watch | None = None
) -> dict[str, Any]:
    """Measure a trained model against a source; writes report.json and report.html into the run.

    Raises:
        ValueError: no trained model there, or images of another kind.
    """
    model, tell = load(run), watch or (lambda event: None)
    prepared = prepared_as(model, source, ticks(tell, "preparing"))
    return evaluation.evaluate(model, prepared, samples=samples, progress=ticks(tell, "measuring"))
