"""One page on a search: the winner, how scores came, what mattered, all trials."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

from zeuxis.core.space import Among
from zeuxis.core.words import markup
from zeuxis.evaluation import report
from zeuxis.evaluation.report import searches
from zeuxis.evaluation.report.charts import number
from zeuxis.evaluation.report.searches import Point, Scale
from zeuxis.training.tune.confirm import Confirmed
from zeuxis.training.tune.space import Axis
from zeuxis.training.tune.study import Row, Study, best

ENOUGH = 8
"""Trials with a score of which what mattered is said."""


def render(
    study: Study,
    axes: Sequence[Axis],
    rows: Sequence[Row],
    title: str,
    measure: str,
    command: str,
    confirmed: Confirmed | None,
) -> str:
    """The page as HTML.

    Args:
        study: the search.
        axes: what is searched.
        rows: its trials.
        title: of the page.
        measure: what a score is.
        command: that trains the best.
        confirmed: what became of the winner on images that the search never saw.
    """
    winner = best(rows)
    shown = [row for row in rows if row.score]
    points = [Point(str(row.number), row.score, _kind(row, winner)) for row in shown]
    without = ", ".join(str(row.number) for row in rows if row.why and not row.score)
    absent = f" Ended before they had a score: {without}." if without else ""
    parts = [
        _head(rows, winner, command, confirmed),
        f"<h2>Scores</h2><p>Trials in their order: {markup(measure)}, lower is better, with 95 % intervals, "
        "on the half of the held-out images that the search sees. Trial 0 is the preset. Hollow ones ended "
        "early, and show their last score. The line is the best so far. What lies beyond the chart stands at "
        f"its edge.{absent}</p>{_wide(searches.history(points))}",
        _importance(study, len(shown)),
        "<h2>Settings beside scores</h2><p>A line a trial; the better its score, the stronger; the best is "
        "thick. Dashed ones ended early. The score stands at the right, low is good.</p>",
        _wide(searches.parallel(points, _scales(axes, shown))),
        _table(rows, winner, axes),
    ]
    return report.document(title, parts, sharp=False)


def _kind(row: Row, winner: Row | None) -> str:
    return "early" if row.state != "complete" else "best" if row == winner else "whole"


def _head(
    rows: Sequence[Row], winner: Row | None, command: str, confirmed: Confirmed | None
) -> str:
    if winner is None:
        return '<div class="verdict fair"><p>No trial is complete yet.</p></div>'
    if winner.number == 0:
        said, kind = "Nothing was better than the preset so far.", "fair"
    elif confirmed is None:
        usual = number(rows[0].score[0]) if rows[0].score else "no score"
        said = (
            f"Trial {winner.number} is the best so far: {number(winner.score[0])}, where the preset has "
            f"{usual}. As the best of many it is flattered: --confirm 3 tries it on images that the search "
            "never saw."
        )
        kind = "fair"
    else:
        said = confirmed.sentence()
        said = f"{said[:1].upper()}{said[1:]}."
        kind = {"better": "good", "worse": "poor"}.get(confirmed.word, "fair")
    return (
        f'<div class="verdict {kind}"><p>{markup(said)}</p><div><p>Train with its settings:</p>'
        f"<pre>{markup(command)}</pre></div></div>{_seeds(confirmed)}"
    )


def _seeds(confirmed: Confirmed | None) -> str:
    if confirmed is None:
        return ""
    rows = {
        f"trial {confirmed.winner}": [number(value) for value in confirmed.of_winner],
        "the preset": [number(value) for value in confirmed.of_preset],
    }
    heads = [f"seed {seed}" for seed in confirmed.seeds]
    return report.table("On images that the search never saw", heads, rows)


def _importance(study: Study, count: int) -> str:
    title = "<h2>What mattered</h2>"
    if count < ENOUGH:
        return f"{title}<p>It takes {ENOUGH} trials with a score to say that.</p>"
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shares: dict[str, float] = optuna.importance.get_param_importances(study.study)
        except (ValueError, RuntimeError):
            return f"{title}<p>Too few trials are complete to say that.</p>"
    if not math.isclose(sum(shares.values()), 1, abs_tol=0.05):
        return f"{title}<p>The scores of the trials are too alike to say that.</p>"
    return (
        f"{title}<p>How much of the difference between good and other trials goes with each setting (PED-"
        "ANOVA, Watanabe et al., 2023). Of few trials it is a hint, no more.</p>"
        f"{_wide(searches.bars(shares))}"
    )


def _wide(chart: str) -> str:
    """A chart that a narrow screen scrolls."""
    return f'<div class="wide">{chart}</div>'


def _scales(axes: Sequence[Axis], rows: Sequence[Row]) -> list[Scale]:
    found = [_scale(axis, rows) for axis in axes]
    values = [row.score[0] for row in rows]
    whole = [row.score[0] for row in rows if row.state == "complete"] or values
    low, high = min(whole, default=0.0), max(whole, default=1.0)
    places = [min(1.0, max(0.0, (v - low) / (high - low or 1))) for v in values]
    return [*found, Scale("score", places, [(0.0, number(low)), (1.0, number(high))])]


def _scale(axis: Axis, rows: Sequence[Row]) -> Scale:
    words: list[Any] = [row.settings[axis.path] for row in rows]
    name = axis.path.partition(".")[2]
    if isinstance(axis.range, Among):
        options = axis.range.words
        at = {word: i / (len(options) - 1) for i, word in enumerate(options)}
        return Scale(name, [at[word] for word in words], [(at[word], word) for word in options])
    low, high, log = axis.range.low, axis.range.high, axis.range.log

    def place(value: float) -> float:
        if log:
            return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return (value - low) / (high - low)

    ends = [(0.0, f"{low:g}"), (1.0, f"{high:g}")]
    return Scale(name, [place(float(word)) for word in words], ends)


def _table(rows: Sequence[Row], winner: Row | None, axes: Sequence[Axis]) -> str:
    order = sorted(rows, key=lambda row: (row.state != "complete", row.score[:1] or (math.inf,)))
    heads = [
        "Trial",
        "State",
        "Score",
        "95 %",
        "Time",
        *(axis.path.partition(".")[2] for axis in axes),
    ]
    head = "".join(f"<th>{markup(one)}</th>" for one in heads)
    body = "".join(_line(row, row == winner, axes) for row in order)
    return (
        f'<h2>All trials</h2><div class="wide"><table class="measures trials"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _line(row: Row, wins: bool, axes: Sequence[Axis]) -> str:
    folder = f"trials/{row.number:04d}/report.html"
    name = f'<a href="{folder}">{row.number}</a>{" (preset)" if row.number == 0 else ""}'
    value, low, high = (number(end) for end in row.score) if row.score else ("–", "", "")
    ends = f"{low} to {high}" if low else ""
    cells = [row.said, value, ends, f"{row.seconds:.0f} s"]
    cells += [row.settings.get(axis.path, "–") for axis in axes]
    line = "".join(f"<td>{markup(cell)}</td>" for cell in cells)
    why = ""
    if row.why:
        why = f'<tr class="why"><td></td><td colspan="{len(cells)}">{markup(row.why)}</td></tr>'
    return f"<tr{' class=wins' if wins else ''}><td>{name}</td>{line}</tr>{why}"
