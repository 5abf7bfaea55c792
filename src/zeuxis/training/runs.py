"""Runs beside each other: what there is, how they differ, and what one under way is at."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zeuxis.core.errors import NotFound
from zeuxis.core.events import read_events
from zeuxis.core.files import read_json, write_file
from zeuxis.core.lock import is_held
from zeuxis.core.log import read_log, standing
from zeuxis.core.progress import Event, Watch
from zeuxis.core.request import word
from zeuxis.evaluation import report
from zeuxis.evaluation.report import charts
from zeuxis.training.folder import EVENTS, LOCK

SHOWN = ("kernel_distance", "total")
"""Parts of the names of what is drawn in the comparison's curves."""
LEDE = (
    "Kernel distance is how far samples are from real images: lower is better, and only runs on the same "
    "images compare. After ± is half of the 95 % interval; without it the score was taken during training, "
    "of fewer samples."
)
LOOK = 0.5
"""Seconds between looks at a run that is followed."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A run.

    Attributes:
        folder: where it is.
        family: what is trained.
        source: on what.
        state: training, finished, ended early (by the doctor or a search), stopped, or adopted (others have
            trained it).
        step: the last one that was logged.
        steps: of the plan.
        seconds: of training so far.
        score: kernel distance with the ends of its interval, of the report; else the last on the way, alone.
        verdict: the report's word.
        settings: all that was asked for, by path.
    """

    folder: Path
    family: str
    source: str
    state: str
    step: int
    steps: int
    seconds: float
    score: tuple[float, ...]
    verdict: str
    settings: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """As JSON."""
        return {**dataclasses.asdict(self), "folder": str(self.folder)}


def find(places: Sequence[Path]) -> list[Entry]:
    """The runs among folders and right inside of them, the newest first.

    Raises:
        NotFound: a folder is missing, or none holds a run.
    """
    folders: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            raise NotFound(f"{place} is no folder; give runs, or folders of runs")
        for path in (place, *sorted(place.glob("*/"))):
            if made := _told(path):
                folders[path] = made
    if not folders:
        listed = ", ".join(map(str, places))
        raise NotFound(f"{listed}: no runs there; `zeuxis train` makes one")
    newest = sorted(folders, key=lambda path: -folders[path].stat().st_mtime)
    return [entry(folder) for folder in newest]


def _told(folder: Path) -> Path | None:
    """The file that says how the run in a folder came to be; None if there is no run."""
    if (folder / "run.json").is_file():
        return folder / "run.json"
    with contextlib.suppress(OSError, ValueError):
        if isinstance(read_json(folder / "config.json").get("adopted"), dict):
            return folder / "config.json"
    return None


def entry(folder: Path) -> Entry:
    """What the files of a run say of it.

    Raises:
        ValueError: they are damaged.
    """
    made, content = (
        read_json(path, finite=False) if path.exists() else {}
        for path in (folder / "run.json", folder / "config.json")
    )
    adopted = content.get("adopted")
    asked, plan = made.get("request", {}), made.get("plan", {})
    if adopted:
        asked = {"family": content.get("family"), "source": adopted.get("name")}
    log = list(read_log(folder / "log.jsonl"))
    step, steps = max((row["step"] for row in log), default=0), plan.get("steps", 0)
    whole = "finished" if step >= steps else "ended early"
    ended = "adopted" if adopted else whole if content.get("finished") else "stopped"
    state = "training" if is_held(folder / LOCK) else ended
    score, verdict = _measured(folder, log)
    return Entry(
        folder=folder,
        family=str(asked.get("family")),
        source=Path(str(asked.get("source"))).name,
        state=state,
        step=int(step),
        steps=int(steps),
        seconds=float(content.get("progress", {}).get("seconds", 0.0)),
        score=score,
        verdict=verdict,
        settings=dict(_flat(asked)),
    )


def _measured(folder: Path, log: Sequence[Mapping[str, Any]]) -> tuple[tuple[float, ...], str]:
    path = folder / "report.json"
    measured = read_json(path, finite=False) if path.exists() else {}
    found = measured.get("estimates", {}).get("kernel_distance")
    verdict = str(measured.get("verdict", {}).get("word", ""))
    if found:
        return (found["value"], *found["interval"]), verdict
    on_the_way = [row["kernel_distance"] for row in log if "kernel_distance" in row]
    return tuple(on_the_way[-1:]), verdict


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested objects as (path, value); lists stay whole."""
    if not isinstance(value, dict):
        yield path, value[:12] if path == "dataset" and isinstance(value, str) else value
        return
    for key, inner in value.items():
        key = "family" if (path, key) == ("", "config") else key  # as it is typed
        yield from _flat(inner, f"{path}.{key}" if path else key)


def differing(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Settings that are not the same in all runs, by path: as typed for each, "–" where it has none.

    Those that all of them have come first.
    """
    paths = dict.fromkeys(path for each in entries for path in each.settings)
    rows = {
        path: [word(each.settings[path]) if path in each.settings else "–" for each in entries]
        for path in paths
    }
    differ = {path: row for path, row in rows.items() if any(value != row[0] for value in row)}
    return dict(sorted(differ.items(), key=lambda item: "–" in item[1]))


def names(entries: Sequence[Entry]) -> list[str]:
    """What runs are called: the names of their folders, or whole paths where two have the same."""
    short = [each.folder.name for each in entries]
    return short if len({*short}) == len(short) else [str(each.folder) for each in entries]


def write_page(entries: Sequence[Entry], out: Path) -> Path:
    """Write a page that compares runs: scores, settings that differ, curves beside each other."""
    called = names(entries)
    rows: dict[str, list[str]] = {
        "family": [each.family for each in entries],
        "images": [each.source for each in entries],
        "state": [
            f"{each.state}, step {far}" if (far := reached(each)) else each.state
            for each in entries
        ],
        "kernel distance": [scored(each) for each in entries],
        "verdict": [each.verdict or "–" for each in entries],
    }
    differ = differing(entries)
    logs = [standing(read_log(each.folder / "log.jsonl")) for each in entries]
    parts = [
        f'<p class="summary">{LEDE}</p>',
        report.table("Scores", called, rows),
        report.table("Settings that differ", called, differ)
        if differ
        else "<p>All settings are equal.</p>",
        f'<h2>Curves</h2><div class="curves">{"".join(_curves(called, logs))}</div>',
    ]
    title = " and ".join(called) if len(called) < 3 else f"{len(called)} runs"
    page = report.document(title, parts, sharp=False)
    write_file(out, lambda beside: beside.write_text(page, encoding="utf-8"))
    return out


def reached(each: Entry) -> str:
    """The last step and how many there are to be; "" of a run that is not trained here."""
    if each.state == "adopted":
        return ""
    return f"{each.step:,}" if each.steps in (0, each.step) else f"{each.step:,} of {each.steps:,}"


def scored(each: Entry) -> str:
    """The kernel distance with half of its interval, if it has one."""
    if len(each.score) == 3:
        value, low, high = each.score
        return charts.with_half(value, (high - low) / 2)
    return charts.number(each.score[0]) if each.score else "–"


def _curves(called: Sequence[str], logs: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """One figure a quantity, a line a run."""
    quantities = dict.fromkeys(
        name for log in logs for row in log for name in row if name.endswith(SHOWN)
    )
    for name in sorted(quantities, key=lambda name: ("/" in name, name)):
        lines = {
            run: [(row["step"], float(row[name])) for row in log if name in row]
            for run, log in zip(called, logs, strict=True)
        }
        yield charts.lines(charts.quantity(name), lines)


def _ended(folder: Path) -> str:
    """How a run stands that nobody trains."""
    each = entry(folder)
    score = f"; kernel distance {scored(each)}" if each.score else ""
    again = "; the command that began it goes on with it" if each.state == "stopped" else ""
    return f"{each.state} at step {reached(each)}{score}{again}"


def follow(folder: Path, watch: Watch) -> None:
    """Tell what happened in a run, and what happens, until it ends or nobody trains it.

    Raises:
        NotFound: there is no run.
    """
    path, seen = folder / EVENTS, 0
    if not path.exists() and _told(folder) == folder / "config.json":
        raise NotFound(
            f"{folder} is a pipeline that others have trained (zeuxis adopt): there is no training to watch"
        )
    if not path.exists():
        raise NotFound(f"{folder} has no {EVENTS}; is it a run?")
    size = -1
    while True:
        held, now = is_held(folder / LOCK), path.stat().st_size
        events = list(read_events(path)) if now != size else []
        for row in events[min(seen, len(events)) :]:
            numbers = {k: v for k, v in row.get("numbers", {}).items() if v is not None}
            watch(Event(row["kind"], row.get("text", ""), row["done"], row["total"], numbers))
        size, seen = now, len(events) or seen
        if not held:
            watch(Event("note", _ended(folder)))
            return
        time.sleep(LOOK)
