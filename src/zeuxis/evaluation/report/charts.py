"""Charts as inline SVG: no script, no font, no address; colours come from the page."""

import math
from collections.abc import Mapping, Sequence

from zeuxis.core.words import markup

WIDTH, HEIGHT, LEFT, BOTTOM = 320, 150, 50, 20
POINTS = 300
LOOKS = 6
"""Ways in which lines of one chart look (`page.css`); then they begin again."""


def number(value: float) -> str:
    """A number for a label: three digits that matter, in at most seven characters.

    >>> number(0.01234), number(12345.6), number(0.0), number(-7.89e27), number(2e-5)
    ('0.0123', '12,346', '0', '-7.9e27', '2.0e-5')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "not finite"
    if not 1e-3 <= abs(value) < 99_999.5:
        digits, _, exponent = f"{value:.1e}".partition("e")
        return f"{digits}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def quantity(name: str) -> str:
    """What is logged as phase/term, or as a score, in words.

    >>> quantity("main/total"), quantity("generator/grad_norm"), quantity("kernel_distance")
    ('loss', 'generator: gradient norm', 'kernel distance')
    """
    phase, _, term = name.rpartition("/")
    words = {"total": "loss", "grad_norm": "gradient norm"}.get(term, term.replace("_", " "))
    return words if phase in ("", "main") else f"{phase}: {words}"


def with_half(value: float, half: float) -> str:
    """A value and half of its interval, to the two digits of the half that matter.

    >>> with_half(12.5522, 0.4123), with_half(412.3, 12.0), with_half(3.0, 0.0)
    ('12.55 ± 0.41', '412 ± 12', '3 ± 0')
    """
    if half <= 0 or not math.isfinite(value + half):
        return f"{number(value)} ± {number(half)}"
    digits = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:,.{digits}f} ± {half:,.{digits}f}"


def curve(
    title: str, steps: Sequence[int], values: Sequence[float], marks: Sequence[int] = ()
) -> str:
    """One quantity over training steps: what was logged faintly, its running mean on top.

    Fewer than two finite values make no curve, and the result is empty. `marks` are steps at which
    something happened.
    """
    points = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
    if len(points) < 2:
        return ""
    every = max(1, len(points) // POINTS)
    points = points[::-every][::-1]  # the last one is always among them
    smooth = _running_mean([v for _, v in points])
    low, high = _range([v for _, v in points], smooth)
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def place(step: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - 8) * (step - first) / (last - first)
        y = 8 + (HEIGHT - BOTTOM - 8) * (1 - (min(max(value, low), high) - low) / (high - low))
        return f"{x:.1f},{y:.1f}"

    raw = " ".join(place(s, v) for s, v in points)
    mean = " ".join(place(s, v) for (s, _), v in zip(points, smooth, strict=True))
    floor = HEIGHT - BOTTOM
    happened = "".join(
        f'<path class="mark" d="M{place(step, high).partition(",")[0]} 8V{floor}"/>'
        for step in marks
        if first <= step <= last
    )
    return (
        f'<figure class="curve"><figcaption>{markup(title)} <b>{number(smooth[-1])}</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{markup(title)}, '
        f'{number(smooth[0])} at first, {number(smooth[-1])} at the end">'
        f'<path class="axis" d="M{LEFT} 8V{floor}H{WIDTH - 8}"/>'
        f'<text x="{LEFT - 6}" y="14" text-anchor="end">{number(high)}</text>'
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">{number(low)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 5}">{first:,}</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 5}" text-anchor="end">step {last:,}</text>{happened}'
        f'<polyline class="raw" points="{raw}"/><polyline class="mean" points="{mean}"/>'
        f"</svg></figure>"
    )


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """One quantity of several runs: a line each, told apart by colour and by dashes.

    Args:
        title: what is drawn.
        series: (step, value) points by the name of the run; fewer than two finite ones make no line.
    """
    finite = {
        name: [(s, v) for s, v in points if math.isfinite(v)] for name, points in series.items()
    }
    drawn = {name: points for name, points in finite.items() if len(points) > 1}
    if not drawn:
        return ""
    smooth = {name: _running_mean([v for _, v in points]) for name, points in drawn.items()}
    low, high = _range(*(2 * [[v for values in smooth.values() for v in values]]))
    last = max(points[-1][0] for points in drawn.values())
    floor, paths, names = HEIGHT - BOTTOM, [], []
    for i, name in enumerate(series):
        if name not in drawn:
            continue
        points = drawn[name]
        every = max(1, len(points) // POINTS)
        places = " ".join(
            f"{LEFT + (WIDTH - LEFT - 8) * step / last:.1f},"
            f"{8 + (floor - 8) * (1 - (min(max(value, low), high) - low) / (high - low)):.1f}"
            for (step, _), value in [*zip(points, smooth[name], strict=True)][::-every][::-1]
        )
        look = f"line{i % LOOKS}"
        paths.append(f'<polyline class="mean {look}" points="{places}"/>')
        names.append(
            f'<li><svg class="key" viewBox="0 0 24 8" aria-hidden="true"><polyline class="mean {look}" '
            f'points="0,4 24,4"/></svg>{markup(name)} <b>{number(smooth[name][-1])}</b></li>'
        )
    return (
        f'<figure class="curve"><figcaption>{markup(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{markup(title)} of {len(drawn)} runs">'
        f'<path class="axis" d="M{LEFT} 8V{floor}H{WIDTH - 8}"/>'
        f'<text x="{LEFT - 6}" y="14" text-anchor="end">{number(high)}</text>'
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">{number(low)}</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 5}" text-anchor="end">step {last:,.0f}</text>'
        f'{"".join(paths)}</svg><ul class="legend">{"".join(names)}</ul></figure>'
    )


def ladder(marks: Sequence[tuple[str, float, str]], interval: tuple[float, float]) -> str:
    """Distances on one line from "real" on the left; square roots, so that small ones stay apart.

    Args:
        marks: (label, squared distance, class: "model" or "reference").
        interval: of the mark whose class is "model".
    """
    wide, row, left = 440, 34, 12
    most = math.sqrt(max(max(value for _, value, _ in marks), interval[1], 1e-12))
    tall = row * len(marks) + 12

    def x(value: float) -> float:
        return left + (wide - 2 * left) * math.sqrt(max(value, 0.0)) / most

    parts = []
    for i, (label, value, kind) in enumerate(sorted(marks, key=lambda mark: mark[1])):
        y = row * i + 24
        parts.append(f'<path class="axis" d="M{left} {y}H{wide - left}"/>')
        if kind == "model":
            parts.append(
                f'<path class="whisker" d="M{x(interval[0]):.1f} {y}H{x(interval[1]):.1f}"/>'
            )
        parts.append(f'<circle class="{kind}" cx="{x(value):.1f}" cy="{y}" r="6"/>')
        end = x(value) > wide / 2
        at = x(value) + (-12 if end else 12)
        anchor = "end" if end else "start"
        parts.append(
            f'<text class="{kind}" x="{at:.1f}" y="{y - 6}" text-anchor="{anchor}">'
            f"{markup(label)} <tspan>{number(value)}</tspan></text>"
        )
    said = "; ".join(f"{label}: {number(value)}" for label, value, _ in marks)
    return (
        f'<svg class="ladder" viewBox="0 0 {wide} {tall}" role="img" '
        f'aria-label="{markup(said)}">{"".join(parts)}</svg>'
    )


def _running_mean(values: Sequence[float]) -> list[float]:
    """Mean of a twentieth of the run up to each point, so that the line follows the trend."""
    width = max(1, len(values) // 20)
    found, total = [], 0.0
    for i, value in enumerate(values):
        total += value - (values[i - width] if i >= width else 0.0)
        found.append(total / min(i + 1, width))
    return found


def _range(values: Sequence[float], smooth: Sequence[float]) -> tuple[float, float]:
    """What the chart shows: all of the mean, and the values without their wildest hundredth."""
    ordered = sorted(values)
    cut = len(ordered) // 100
    low = min(ordered[cut], *smooth)
    high = max(ordered[-1 - cut], *smooth)
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1), low + 0.5 * (abs(low) or 1))
