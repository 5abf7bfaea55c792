"""One HTML file that explains a trained model: no request leaves it, and a phone can read it."""

import base64
import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from zeuxis.core.files import write_file
from zeuxis.core.pixels import png_bytes
from zeuxis.core.words import markup
from zeuxis.evaluation.report.charts import curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """One score in words.

    Attributes:
        title: what was asked.
        value: the answer, short.
        unit: what stands small beside it.
        words: what it means, a sentence or two.
        side: which images it used, and its interval.
        mood: good, fair or poor.
    """

    title: str
    value: str
    unit: str
    words: str
    side: str
    mood: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One measure in the table of all: its name, what it is here, what real images get, what is better."""

    title: str
    value: str
    interval: str
    real: str
    better: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neighbours:
    """A sample beside its nearest training images, nearest first, and a caption."""

    sample_HWC: np.ndarray
    nearest_KHWC: np.ndarray
    caption: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """All that the report shows; every text is plain, not HTML, but `ladder`, which is an SVG.

    Attributes:
        title, summary: the head.
        notes: what the reader must know before believing the rest.
        cards: the scores.
        findings: (good, fair or poor; sentence): what is right and wrong, worst first.
        rows: every measure.
        left_out: lines on what was not measured, and why.
        ladder: the model's distance among known ones.
        tiles_NHWC: real images hidden among generated ones.
        real: places of the real ones in `tiles_NHWC`.
        real_side: where they come from.
        steps: (caption, sheet) of samples as training went on.
        pairs: a sheet of real images above their reconstructions; empty if there are none.
        neighbours: samples beside what they are most like.
        curves: (title, steps, values).
        facts: (name, value) about data, training and machine.
        receipts: JSON text of every number.
    """

    title: str
    summary: str
    notes: Sequence[str]
    cards: Sequence[Card]
    findings: Sequence[tuple[str, str]] = ()
    rows: Sequence[Row] = ()
    left_out: Sequence[str] = ()
    ladder: str = ""
    tiles_NHWC: np.ndarray
    real: frozenset[int]
    real_side: str
    steps: Sequence[tuple[str, np.ndarray]] = ()
    pairs: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0, 1), np.uint8))
    neighbours: Sequence[Neighbours] = ()
    curves: Sequence[tuple[str, Sequence[int], Sequence[float]]] = ()
    facts: Sequence[tuple[str, str]]
    receipts: str


def write(path: Path, page: Page) -> None:
    """Write the page as one self-contained HTML file, atomically."""
    text = render(page)
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def render(page: Page) -> str:
    """The page as HTML."""
    parts = [
        f"<p>{markup(page.summary)}</p>",
        *(f'<p class="note">{markup(note)}</p>' for note in page.notes),
        _game(page),
        _scores(page),
        _table(page.rows),
        _left_out(page.left_out),
        _growth(page.steps),
        _through(page.pairs),
        _nearest(page.neighbours),
        _curves(page.curves),
        _facts(page),
    ]
    return document(page.title, parts, sharp=page.tiles_NHWC.shape[1] <= 64)


def document(title: str, parts: Iterable[str], sharp: bool) -> str:
    """A whole page of `parts`, HTML that is safe already; `sharp` shows pixels as squares.

    Its policy lets a browser run this script and no other, and load nothing.
    """
    folder = resources.files(__name__)
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'unsafe-inline'; script-src 'sha256-{known}'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{markup(title)}</title><style>{style}</style></head>\n"
        f"<body{' class=sharp' if sharp else ''}><main>\n<h1>{markup(title)}</h1>{''.join(parts)}\n"
        f"</main><script>{script}</script></body></html>\n"
    )


def image(pixels_HWC: np.ndarray, alt: str = "") -> str:
    """An image element that carries its own pixels."""
    height, width = pixels_HWC.shape[:2]
    code = base64.b64encode(png_bytes(pixels_HWC)).decode()
    return (
        f'<img src="data:image/png;base64,{code}" width="{width}" height="{height}" '
        f'alt="{markup(alt)}">'
    )


def _scores(page: Page) -> str:
    if not page.cards and not page.findings:
        return ""
    cards = "".join(
        f'<div class="card"><h3>{markup(card.title)}</h3>'
        f'<div class="value {card.mood}">{markup(card.value)}</div>'
        f'<div class="unit">{markup(card.unit)}</div>'
        f'<p>{markup(card.words)}</p><div class="side">{markup(card.side)}</div></div>'
        for card in page.cards
    )
    scale = (
        '<div class="card" style="margin-top:1rem"><h3>How far from new real images</h3>'
        f'{page.ladder}<div class="side">Kernel distance to the judges; '
        "left is closer. The pale bar is the interval. The grey marks are real images, as they are "
        "and damaged on purpose.</div></div>"
        if page.ladder
        else ""
    )
    said = "".join(f'<li class="{mood}">{markup(words)}</li>' for mood, words in page.findings)
    findings = f'<ul class="findings">{said}</ul>' if said else ""
    return f'<h2>How good is it?</h2>{findings}<div class="cards">{cards}</div>{scale}'


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><td>{markup(row.title)}</td><td>{markup(row.value)}</td><td>{markup(row.interval)}</td>"
        f"<td>{markup(row.real)}</td><td>{markup(row.better)}</td></tr>"
        for row in rows
    )
    return (
        "<h2>Every measure</h2><p>Each with its 95 % interval, and with what other real images get where "
        'that was measured.</p><div class="wide"><table class="measures"><thead><tr><th>Measure</th>'
        "<th>Here</th><th>95 %</th><th>Real images</th><th>Better</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _left_out(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{markup(line)}</li>" for line in lines)
    return f"<h2>What was not measured</h2><ul>{items}</ul>"


def _game(page: Page) -> str:
    if not len(page.tiles_NHWC):
        return ""
    tiles = "".join(
        f'<button type="button" aria-pressed="false"{" data-real" if i in page.real else ""}>'
        f"{image(tile, f'picture {i + 1}')}</button>"
        for i, tile in enumerate(page.tiles_NHWC)
    )
    return (
        f"<h2>Can you tell?</h2><p>{len(page.real)} of these {len(page.tiles_NHWC)} pictures are "
        f"real ({markup(page.real_side)}), the others were generated, in no order and not chosen. "
        f'Pick the real ones, then look.</p><div class="guess">{tiles}</div><div class="act">'
        '<button type="button" id="reveal">Reveal the real ones</button>'
        f'<span id="found" class="soft" aria-live="polite">0 of {len(page.real)} picked</span></div>'
    )


def _growth(steps: Iterable[tuple[str, np.ndarray]]) -> str:
    figures = "".join(
        f"<figure>{image(sheet, caption)}<figcaption>{markup(caption)}</figcaption></figure>"
        for caption, sheet in steps
    )
    if not figures:
        return ""
    return (
        "<h2>As it learned</h2><p>The same random numbers, drawn again and again while training went "
        f'on.</p><div class="steps">{figures}</div>'
    )


def _through(pairs_HWC: np.ndarray) -> str:
    if not pairs_HWC.size:
        return ""
    return (
        "<h2>Through the bottleneck</h2><p>Above, real images that the measures use; below, what the "
        f'model makes of them.</p><div class="wide">{image(pairs_HWC, "real and reconstructed")}</div>'
    )


def _nearest(neighbours: Iterable[Neighbours]) -> str:
    rows = "".join(
        f'<figure><div class="row">{image(one.sample_HWC, "sample")}<i></i>'
        f"{''.join(image(near, 'training image') for near in one.nearest_KHWC)}</div>"
        f"<figcaption>{markup(one.caption)}</figcaption></figure>"
        for one in neighbours
    )
    if not rows:
        return ""
    return (
        "<h2>Did it copy?</h2><p>Left, a sample; right of the line, the three training images that "
        "are most like it, and in how many pixels the first of them differs visibly. The first four "
        "samples are those closest to a training image of all that were drawn; the others are simply "
        f'the first.</p><div class="near">{rows}</div>'
    )


def _curves(curves: Iterable[tuple[str, Sequence[int], Sequence[float]]]) -> str:
    drawn = "".join(curve(*one) for one in curves)
    if not drawn:
        return ""
    return (
        "<h2>The training</h2><p>Everything that was logged, over training steps.</p>"
        f'<div class="curves">{drawn}</div>'
    )


def _facts(page: Page) -> str:
    rows = "".join(
        f"<tr><td>{markup(name)}</td><td>{markup(value)}</td></tr>" for name, value in page.facts
    )
    return (
        f"<h2>What was done with what</h2><table>{rows}</table><details><summary>How each number was "
        f"computed</summary><pre>{markup(page.receipts, lines=True)}</pre></details>"
    )
