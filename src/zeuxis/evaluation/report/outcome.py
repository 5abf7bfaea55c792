"""What measuring comes to: `report.json`, and the page beside it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.files import write_json
from zeuxis.core.pixels import grid, save_png
from zeuxis.evaluation.diagnosis import Finding
from zeuxis.evaluation.report import Page, Verdict, write
from zeuxis.evaluation.report.measures import cards, distances, missing, rows
from zeuxis.metrics import Measured

COLUMNS = {"tiles": 8, "near": 0}
"""Of the sheets; 0: a sample and its neighbours."""


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
        """Write the files; what `report.json` holds, with the path of the page.

        What the page shows of samples and real images lies beside it: `report-tiles.png`, the game, and
        `report-near.png`, each sample before the training images that are nearest to it.
        """
        write(folder / "report.html", page)
        write_json(folder / "report.json", {**self.as_json(), "shown": _shown(folder, page)})
        return {**self.as_json(), "report": str(folder / "report.html")}


def _shown(folder: Path, page: Page) -> dict[str, Any]:
    """Write the sheets of a page; what stands on them."""
    rows = [np.concatenate([one.sample_HWC[None], one.nearest_KHWC]) for one in page.neighbours]
    sheets = {"tiles": page.tiles_NHWC, "near": np.concatenate(rows) if rows else np.zeros(0)}
    for name, images in sheets.items():
        path = folder / f"report-{name}.png"
        if len(images):
            save_png(path, grid(images, columns=COLUMNS[name] or len(rows[0]), gap=0))
        else:
            path.unlink(missing_ok=True)
    if not len(page.tiles_NHWC):
        return {}
    height, width = page.tiles_NHWC.shape[1:3]
    return {
        "size": [height, width],
        "tiles": len(page.tiles_NHWC),
        "real": sorted(page.real),
        "real_side": page.real_side,
        "near": [one.caption for one in page.neighbours],
        "nearest": len(rows[0]) - 1 if rows else 0,
    }
