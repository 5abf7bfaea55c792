"""Charts of a search, as inline SVG: how scores came, what mattered, which settings went with which.

A point is a trial. The best one is filled, those that ended early are hollow.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from zeuxis.core.words import markup
from zeuxis.evaluation.report.charts import number

WIDE, TALL, LEFT, EDGE = 720, 260, 56, 14


@dataclasses.dataclass(frozen=True)
class Point:
    """A trial in a chart.

    Attributes:
        name: what it is called.
        score: value and ends of its interval.
        kind: best, whole or early.
    """

    name: str
    score: tuple[float, ...]
    kind: str


@dataclasses.dataclass(frozen=True)
class Scale:
    """One axis of settings side by side.

    Attributes:
        name: of the setting.
        places: of each trial, 0 at the bottom to 1 at the top.
        labels: (place, words) along it.
    """

    name: str
    places: Sequence[float]
    labels: Sequence[tuple[float, str]]


def history(points: Sequence[Point]) -> str:
    """Scores in the order of the trials, with their intervals, and the best so far as a line."""
    if not points:
        return ""
    low, high = _ends([end for point in points if point.kind != "early" for end in point.score])
    floor, right = TALL - 26, WIDE - EDGE

    def x(index: int) -> float:
        return LEFT + (right - LEFT) * (index + 0.5) / len(points)

    def y(value: float) -> float:
        value = min(max(value, low), high)
        return EDGE + (floor - EDGE) * (high - value) / (high - low)

    parts, steps, least = [], "", math.inf
    every = max(1, -(-len(points) // 20))
    for index, point in enumerate(points):
        value, bottom, top = point.score
        parts.append(
            f'<path class="whisker {point.kind}" d="M{x(index):.1f} {y(bottom):.1f}V{y(top):.1f}"/>'
            f'<circle class="trial {point.kind}" cx="{x(index):.1f}" cy="{y(value):.1f}" r="5">'
            f"<title>{markup(said(point))}</title></circle>"
        )
        if index % every == 0:
            parts.append(
                f'<text x="{x(index):.1f}" y="{TALL - 8}" text-anchor="middle">{markup(point.name)}</text>'
            )
        if point.kind != "early" and value < least:
            steps += f"{'M' if not steps else f'H{x(index):.1f}V'}"
            steps += f"{x(index):.1f} {y(value):.1f}" if len(steps) == 1 else f"{y(value):.1f}"
            least = value
    return (
        f'<svg class="search" viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="scores of {len(points)} '
        f'trials in their order, the lowest {number(least)}">'
        f'<path class="axis" d="M{LEFT} {EDGE}V{floor}H{right}"/>'
        f'<text x="{LEFT - 8}" y="{EDGE + 8}" text-anchor="end">{number(high)}</text>'
        f'<text x="{LEFT - 8}" y="{floor}" text-anchor="end">{number(low)}</text>'
        f'<path class="so-far" d="{steps}H{right}"/>{"".join(parts)}</svg>'
    )


def parallel(points: Sequence[Point], scales: Sequence[Scale]) -> str:
    """A line a trial, through its place on the scale of each setting and of the score, which is the last."""
    if not points or not scales:
        return ""
    tall, floor = TALL + 60, TALL + 10
    wide = max(WIDE, 112 * len(scales))
    order = sorted(
        range(len(points)), key=lambda i: (points[i].kind != "early", -points[i].score[0])
    )
    ranks = {i: rank for rank, i in enumerate(order)}

    def x(index: int) -> float:
        return 60 + (wide - 120) * index / max(1, len(scales) - 1)

    def y(place: float) -> float:
        return EDGE + (floor - EDGE) * (1 - place)

    stagger = 16 if len(scales) > 7 else 0

    lines = []
    for i in order:
        at = " ".join(f"{x(j):.1f},{y(scale.places[i]):.1f}" for j, scale in enumerate(scales))
        faint = 0.25 + 0.65 * ranks[i] / max(1, len(points) - 1)
        lines.append(
            f'<polyline class="trial {points[i].kind}" style="opacity:{faint:.2f}" points="{at}">'
            f"<title>{markup(said(points[i]))}</title></polyline>"
        )
    axes = "".join(
        f'<path class="axis" d="M{x(j):.1f} {EDGE}V{floor}"/>'
        f'<text class="name" x="{x(j):.1f}" y="{tall - 14 - stagger * (j % 2)}" text-anchor="middle">'
        f"{markup(scale.name)}</text>"
        + "".join(
            f'<text x="{x(j) + (-6 if j == len(scales) - 1 else 6):.1f}" y="{y(place) + 4:.1f}" '
            f'text-anchor="{"end" if j == len(scales) - 1 else "start"}">{markup(words)}</text>'
            for place, words in scale.labels
        )
        for j, scale in enumerate(scales)
    )
    return (
        f'<svg class="search" viewBox="0 0 {wide} {tall}" role="img" aria-label="settings of {len(points)} '
        f'trials beside their scores">{"".join(lines)}{axes}</svg>'
    )


def bars(shares: Mapping[str, float]) -> str:
    """Shares of one, the largest first, as bars."""
    if not shares:
        return ""
    row, left = 26, 190
    items = sorted(shares.items(), key=lambda item: -item[1])
    most = max(max(shares.values()), 1e-9)
    parts = [
        f'<text class="name" x="{left - 8}" y="{row * i + 17}" text-anchor="end">{markup(name)}</text>'
        f'<rect class="bar" x="{left}" y="{row * i + 5}" width="{(WIDE - left - 70) * share / most:.1f}" '
        f'height="16" rx="3"/><text x="{left + (WIDE - left - 70) * share / most + 8:.1f}" '
        f'y="{row * i + 17}">{100 * share:.0f} %</text>'
        for i, (name, share) in enumerate(items)
    ]
    told = "; ".join(f"{name} {100 * share:.0f} %" for name, share in items)
    return (
        f'<svg class="search" viewBox="0 0 {WIDE} {row * len(items) + 6}" role="img" '
        f'aria-label="{markup(told)}">{"".join(parts)}</svg>'
    )


def said(point: Point) -> str:
    """A trial's name and score, in words."""
    value, low, high = point.score
    early = ", ended early" if point.kind == "early" else ""
    return f"trial {point.name}: {number(value)} ({number(low)} to {number(high)}){early}"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """What a chart shows: the values, with a margin about them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.06 * (high - low) or 0.5 * (abs(low) or 1)
    return low - margin, high + margin
