"""One HTML file that explains a trained model: it loads nothing, and reads well on a phone too."""

import base64
import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np

from zeuxis.core.files import write_file
from zeuxis.core.pixels import SHEET, checkered, png_bytes, whole_factor
from zeuxis.core.words import markup
from zeuxis.evaluation.report.charts import curve

MOST_SAID = 12
"""Lines of what happened in training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """One score in words.

    Attributes:
        title: the metric's name.
        value: its value.
        unit: what the value counts.
        words: what it means, a sentence or two.
        side: its interval, and which images it used.
        mood: good, fair or poor; open where there are too few images to tell.
    """

    title: str
    value: str
    unit: str
    words: str
    side: str
    mood: str


Word = Literal["good", "usable", "not yet", "unknown"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a report comes to.

    Attributes:
        word: good, usable or not yet; "unknown" where too little was measured.
        sentence: that, and why.
        action: what to do next; may be empty.
        command: the command that does it; may be empty.
    """

    word: Word
    sentence: str
    action: str = ""
    command: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of all metrics: name, value, what real images get, which direction is better."""

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
    """All that the report shows; every text is plain, not HTML, but `ladder`, an SVG, and `paired`.

    Attributes:
        title, summary: the head.
        verdict: one sentence, and what to do next; None shows none.
        notes: what limits the scores.
        cards: the scores.
        findings: (good, fair or poor; sentence): what is right and wrong, worst first.
        rows: every metric.
        left_out: lines on what was not measured, and why.
        ladder: the kernel distance beside those of real and damaged real images, as an SVG.
        tiles_NHWC: real images hidden among generated ones.
        real: places of the real ones in `tiles_NHWC`.
        real_side: where they come from.
        steps: (caption, sheet) of samples as training went on.
        pairs: a sheet of real images above their reconstructions, or of sources above their translations
            and the truth, if there is one; empty if there are none.
        translated: whether they are translations.
        paired: of translations whose truth is known: figures and pictures, instead of `pairs`.
        exemplar: the picture whose style all images have, if they have that of one.
        neighbours: samples beside what they are most like.
        curves: (title, steps, values).
        happenings: (step, sentence) of what went wrong in training, and what was done about it.
        facts: (name, value) about data, training and machine.
        receipts: JSON text of every number.
    """

    title: str
    summary: str
    verdict: Verdict | None = None
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
    translated: bool = False
    paired: str = ""
    exemplar: np.ndarray | None = None
    neighbours: Sequence[Neighbours] = ()
    curves: Sequence[tuple[str, Sequence[int], Sequence[float]]] = ()
    happenings: Sequence[tuple[int, str]] = ()
    facts: Sequence[tuple[str, str]]
    receipts: str


def write(path: Path, page: Page) -> None:
    """Write the page as one self-contained HTML file, atomically."""
    text = render(page)
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def render(page: Page) -> str:
    """The page as HTML."""
    notes = "".join(f'<p class="note">{markup(note)}</p>' for note in page.notes)
    said = "".join(f'<li class="{mood}">{markup(words)}</li>' for mood, words in page.findings)
    findings = f'<h2>What is right and wrong</h2><ul class="findings">{said}</ul>' if said else ""
    parts = [
        f'<p class="summary">{markup(page.summary)}</p>',
        _verdict(page),
        _cards(page.cards[:FIRST]),
        f'<div class="two"><div>{_game(page)}{_exemplar(page.exemplar)}</div>'
        f"<div>{findings}{notes}{_ladder(page)}</div></div>",
        _cards(page.cards[FIRST:], "Do labels mean what they say?"),
        page.paired or _through(page),
        _growth(page),
        _nearest(page.neighbours),
        _table(page.rows),
        _left_out(page.left_out),
        _curves(page.curves, page.happenings),
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


def table(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A heading and a table of words: a line for each of `rows`, a column for each of `heads`."""
    head = "".join(f"<th>{markup(one)}</th>" for one in heads)
    body = "".join(
        f"<tr><td>{_foldable(markup(name))}</td>{''.join(f'<td>{markup(value)}</td>' for value in row)}</tr>"
        for name, row in rows.items()
    )
    return (
        f'<h2>{markup(title)}</h2><div class="wide"><table class="measures"><thead><tr><th></th>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _foldable(name: str) -> str:
    """A setting's path that a narrow screen breaks at dots and underscores."""
    return re.sub("([._])", r"\1<wbr>", name)


def image(pixels_HWC: np.ndarray, alt: str = "", least: int = 0) -> str:
    """An image element that carries its own pixels.

    Args:
        pixels_HWC: uint8.
        alt: what it shows, in words.
        least: pixels that its longer side is shown at, at least: enlarged by a whole factor.
    """
    height, width = pixels_HWC.shape[:2]
    pixels_HWC = checkered(pixels_HWC[None])[0] if pixels_HWC.size else pixels_HWC
    factor = whole_factor(height, width, least)
    code = base64.b64encode(png_bytes(pixels_HWC)).decode()
    return (
        f'<img src="data:image/png;base64,{code}" width="{width * factor}" '
        f'height="{height * factor}" alt="{markup(alt)}">'
    )


def _verdict(page: Page) -> str:
    said = page.verdict
    if said is None:
        return ""
    todo = f"<p>{markup(said.action)}:</p><pre>{markup(said.command)}</pre>" if said.command else ""
    kind = {"good": "good", "not yet": "poor"}.get(said.word, "fair")
    return f'<div class="verdict {kind}"><p>{markup(said.sentence)}</p><div>{todo}</div></div>'


FIRST = 3
"""Cards under the verdict: distance, coverage, memorisation; others come further down."""


def _cards(cards: Sequence[Card], title: str = "") -> str:
    if not cards:
        return ""
    heading = f"<h2>{title}</h2>" if title else ""
    each = "".join(
        f'<div class="card"><h3>{markup(card.title)}</h3>'
        f'<div class="value {card.mood}">{markup(card.value)}</div>'
        f'<div class="unit">{markup(card.unit)}</div>'
        f'<p>{markup(card.words)}</p><div class="side">{markup(card.side)}</div></div>'
        for card in cards
    )
    return f'{heading}<div class="cards">{each}</div>'


def _ladder(page: Page) -> str:
    if not page.ladder:
        return ""
    return (
        f"<h2>Distance from real images</h2>{page.ladder}"
        '<p class="side">Kernel distance to the reference images; further left is closer. The pale bar is '
        "the 95 % interval. Grey marks are real images, unchanged and with detail removed.</p>"
    )


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    half = -(-len(rows) // 2) if len(rows) > 8 else len(rows)
    tables = "".join(_half(part) for part in (rows[:half], rows[half:]) if part)
    return (
        "<h2>All metrics</h2><p>With 95 % intervals, beside what other real images get where that was "
        f'measured.</p><div class="two">{tables}</div>'
    )


def _half(rows: Sequence[Row]) -> str:
    body = "".join(
        f"<tr><td>{markup(row.title)}</td><td>{markup(row.value)}</td><td>{markup(row.interval)}</td>"
        f"<td>{markup(row.real)}</td><td>{markup(row.better)}</td></tr>"
        for row in rows
    )
    return (
        '<div class="wide"><table class="measures"><thead><tr><th>Metric</th><th>Value</th><th>95 %</th>'
        f"<th>Real images</th><th>Better</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _left_out(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{markup(line)}</li>" for line in lines)
    return f'<h2>What was not measured</h2><ul class="left">{items}</ul>'


WIDE = 700
"""Pixels that the sheet of samples takes on a large screen, about."""


def _game(page: Page) -> str:
    if not len(page.tiles_NHWC):
        return ""
    tiles = "".join(
        f'<button type="button" aria-pressed="false"{" data-real" if i in page.real else ""}>'
        f"{image(tile, f'picture {i + 1}')}</button>"
        for i, tile in enumerate(page.tiles_NHWC)
    )
    width = page.tiles_NHWC.shape[2]
    tile = width * max(whole_factor(1, 8 * width), WIDE // (8 * width))
    return (
        f"<h2>Can you tell them apart?</h2><p>{len(page.real)} of these {len(page.tiles_NHWC)} images are "
        f"real ({markup(page.real_side)}); the others are samples, not cherry-picked. Pick the real ones, "
        f'then look.</p><div class="guess" style="--tile:{tile}px">{tiles}</div>'
        '<div class="act"><button type="button" id="reveal">Reveal the real ones</button>'
        f'<span id="found" class="soft" aria-live="polite">0 of {len(page.real)} picked</span></div>'
    )


def _growth(page: Page) -> str:
    figures = "".join(
        f"<figure>{image(sheet, caption, SHEET)}<figcaption>{markup(caption)}</figcaption></figure>"
        for caption, sheet in page.steps
    )
    if not figures:
        return ""
    words = (
        "The same sources, which training has seen, each above what was made of it"
        if page.translated
        else "The same seeds, drawn again"
    )
    return (
        f"<h2>Samples during training</h2><p>{words}, as training went on.</p>"
        f'<div class="steps">{figures}</div>'
    )


def _exemplar(picture_HWC: np.ndarray | None) -> str:
    if picture_HWC is None:
        return ""
    return f"<h2>The style</h2>{image(picture_HWC, 'the picture whose style was learned')}"


def _through(page: Page) -> str:
    if not page.pairs.size:
        return ""
    words = (
        "<h2>Translations</h2><p>Above what was given, which training never saw, or as the notes say. Below "
        "what the model made of it, and under that the truth where there is one.</p>"
        if page.translated
        else "<h2>Reconstructions</h2><p>Top row: real images that training never saw, or as the notes say. "
        "Below: their reconstructions.</p>"
    )
    sheet = image(page.pairs, "what was given, and what was made of it", 2 * SHEET)
    return f'{words}<div class="wide">{sheet}</div>'


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
        "<h2>Memorisation</h2><p>Left of each line a sample, right of it the three most similar training "
        "images, and in how many pixels the first of them differs visibly. The first four samples are the "
        "ones closest to any training image; the others are simply the first ones drawn.</p>"
        f'<div class="near">{rows}</div>'
    )


def _curves(
    curves: Iterable[tuple[str, Sequence[int], Sequence[float]]],
    happenings: Sequence[tuple[int, str]],
) -> str:
    marks = sorted({step for step, _ in happenings})
    drawn = "".join(curve(*one, marks) for one in curves)
    if not drawn:
        return ""
    said = "".join(
        f"<li>Step {step:,}: {markup(text)}</li>" for step, text in happenings[:MOST_SAID]
    )
    if len(happenings) > MOST_SAID:
        said += f"<li>and {len(happenings) - MOST_SAID:,} more lines of log.jsonl</li>"
    told = (
        f" Dashed lines mark what the doctor found and did.</p><ul>{said}</ul>" if said else "</p>"
    )
    return (
        f"<h2>Training curves</h2><p>Everything that was logged, over training steps.{told}"
        f'<div class="curves">{drawn}</div>'
    )


def _facts(page: Page) -> str:
    rows = "".join(
        f"<tr><td>{markup(name)}</td><td>{markup(value)}</td></tr>" for name, value in page.facts
    )
    return (
        f'<h2>Data, training and machine</h2><div class="two"><table>{rows}</table><details><summary>How '
        f"each number was computed</summary><pre>{markup(page.receipts, lines=True)}</pre></details></div>"
    )
