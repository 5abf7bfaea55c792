"""What a run's log and report say went wrong, what was done about it, and what to try."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zeuxis.core.errors import NotFound
from zeuxis.core.files import read_json
from zeuxis.core.log import ACTIONS, read_log
from zeuxis.training.doctor.words import WORDS

ENDED = {"tune": "the search (zeuxis tune)"}
"""What observers are called that end a run; others by their name."""


@dataclasses.dataclass(frozen=True)
class Explained:
    """One finding.

    Attributes:
        name: of the finding.
        step: at which it was seen first; None of a finished run's report.
        evidence: a sentence with figures.
        means: a sentence for people who have never trained a model; "" where the evidence says it all.
        tries: what to do.
        done: what was done about it, as sentences.
    """

    name: str
    step: int | None
    evidence: str
    means: str
    tries: str
    done: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Of a run.

    Attributes:
        state: a sentence: how far it came.
        watched: whether the doctor looked on.
        findings: in the order in which they were seen; those of the report last.
    """

    state: str
    watched: bool
    findings: tuple[Explained, ...]

    def values(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)


def explain(run: str | Path) -> Explanation:
    """What happened in a run, finished or not.

    Raises:
        NotFound: there is no run.
    """
    folder = Path(run)
    if not (folder / "run.json").exists() and not (folder / "config.json").exists():
        raise NotFound(f"{folder} is no run: it holds neither run.json nor config.json")
    rows = list(read_log(folder / "log.jsonl"))
    found = [*_seen(rows), *_reported(folder)]
    facts = read_json(folder / "run.json", finite=False) if (folder / "run.json").exists() else {}
    asked = facts.get("request", {}).get("training", {})
    return Explanation(_state(folder, rows), asked.get("doctor", "off") != "off", tuple(found))


def _state(folder: Path, rows: list[dict[str, Any]]) -> str:
    config = folder / "config.json"
    content = read_json(config, finite=False) if config.exists() else {}
    step = max((row["step"] for row in rows), default=0)
    steps = content.get("progress", {}).get("steps")
    for row in rows:
        if row.get("action") == "stop" and (by := row.get("by")) != "doctor":
            who = ENDED.get(str(by), f"the observer {by}")
            return f"{who} ended it at step {row['step']:,}: {row.get('why')}"
    if "adopted" in content:
        return "others have trained it (zeuxis adopt)"
    if content.get("finished"):
        return f"finished after {step:,} steps"
    return f"not finished: at step {step:,}" + (f" of {steps:,}" if steps else "")


def _seen(rows: list[dict[str, Any]]) -> Iterator[Explained]:
    """Findings of the log, each once, with what was done right after it was seen."""
    found: dict[str, Explained] = {}
    last = ""
    for row in rows:
        if isinstance(name := row.get("finding"), str) and name in WORDS:
            words, last = WORDS[name], name
            first = Explained(name, row["step"], str(row.get("evidence")), words.means, words.tries)
            found.setdefault(name, first)
        elif row.get("by") == "doctor" and row.get("why") and last:
            before, at = found[last], f"at step {row['step']:,}"
            done = f"{ACTIONS.get(row['action'], row['why'])} {at}"
            found[last] = dataclasses.replace(before, done=(*before.done, done))
    yield from found.values()


def _reported(folder: Path) -> Iterator[Explained]:
    """Defects of the samples, by the report."""
    path = folder / "report.json"
    report = read_json(path, finite=False) if path.exists() else {}
    tries = report.get("verdict", {}).get("action") or ""
    for each in report.get("findings", []):
        if each.get("damage") not in (None, "none"):
            yield Explained(each["damage"], None, each["sentence"], "", tries)
