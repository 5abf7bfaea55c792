"""What measuring comes to: `report.json`, and the page beside it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeuxis.core.files import write_json
from zeuxis.evaluation.diagnosis import Finding
from zeuxis.evaluation.report import Page, Verdict, write
from zeuxis.evaluation.report.measures import cards, distances, missing, rows
from zeuxis.metrics import Measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Figures with what is said of them.

    Attributes:
        found: every estimate by name, and why others are missing.
        verdict: the whole in a sentence.
        findings: defects, the worst first.
        notes: what limits the figures.
        words: more sentences about them.
        facts: how they were measured, as JSON values.
    """

    found: Measured
    verdict: Verdict
    findings: Sequence[Finding] = ()
    notes: Sequence[str]
    words: Sequence[str] = ()
    facts: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The content of `report.json`."""
        estimates = {name: estimate.facts() for name, estimate in self.found.items()}
        return {
            "format": 1,
            "verdict": dataclasses.asdict(self.verdict),
            "scores": {name: known["value"] for name, known in estimates.items()},
            "estimates": estimates,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "words": [*(finding.sentence for finding in self.findings), *self.words],
            "rows": [dataclasses.asdict(row) for row in rows(self.found)],
            "notes": self.notes,
            "not_measured": self.found.left_out,
            "facts": self.facts,
            "report": "report.html",
        }

    def page(self, **rest: Any) -> Page:
        """The report; `rest` is what the figures do not say: title, pictures, facts."""
        return Page(
            verdict=self.verdict,
            notes=self.notes,
            cards=list(cards(self.found)),
            findings=[(one.mood, one.sentence) for one in self.findings],
            rows=list(rows(self.found)),
            left_out=missing(self.found.left_out),
            ladder=distances(self.found),
            receipts=json.dumps(self.as_json()["estimates"], indent=1, ensure_ascii=False),
            **rest,
        )

    def write(self, folder: Path, page: Page) -> dict[str, Any]:
        """Write both files; what `report.json` holds, with the path of the page."""
        write(folder / "report.html", page)
        write_json(folder / "report.json", self.as_json())
        return {**self.as_json(), "report": str(folder / "report.html")}
