"""The part of a report that is about translations whose truth is known, as HTML."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from zeuxis.core.words import markup
from zeuxis.evaluation.report import image
from zeuxis.evaluation.report.charts import number, with_half
from zeuxis.metrics import Estimate

ROWS = {
    "identity": "identity: the source itself",
    "regression": "regression: each pixel's colour from the source's",
    "retrieval": "retrieval: the image of the nearest training source",
    "point": "the model: point estimate",
    "mean": "the model: mean of 8 samples",
    "sample": "the model: one translation",
}
MEASURES = {
    "psnr": "PSNR, dB (higher is better)",
    "perceptual": "Perceptual distance (lower)",
    "kernel": "Kernel distance (lower)",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strip:
    """One source and all that belongs to it.

    Attributes:
        kind: "best" or "worst".
        images: what it is -> (H, W, C) uint8.
        distance: perceptual, of the translation to the truth.
    """

    kind: str
    images: Mapping[str, np.ndarray]
    distance: float


SIDE = 96
"""Pixels that the longer side of a picture is shown at, at least."""


def section(found: Mapping[str, Estimate], strips: Sequence[Strip]) -> str:
    """Table, pictures, and what is known of the spread; "" where nothing of it was measured."""
    rows = [name for name in ROWS if f"paired_psnr_of_{name}" in found]
    if not rows:
        return ""
    head = "".join(f"<th>{markup(title)}</th>" for title in MEASURES.values())
    body = "".join(_row(name, found) for name in rows)
    return (
        "<h2>Translations beside the truth</h2><p>Of sources that training never saw, beside what needs no "
        "training, with 95 % intervals. Identity and retrieval are real images: their kernel distance alone "
        f'says little.</p><div class="wide"><table class="measures"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_spread(found)}{_pictures(strips)}"
    )


def _row(name: str, found: Mapping[str, Estimate]) -> str:
    cells = []
    for measure in MEASURES:
        one = found[f"paired_{measure}_of_{name}"]
        half = (one.interval[1] - one.interval[0]) / 2
        cells.append(f"<td>{with_half(one.value, half)}</td>")
    return f"<tr><td>{markup(ROWS[name])}</td>{''.join(cells)}</tr>"


def _spread(found: Mapping[str, Estimate]) -> str:
    if "spread" not in found:
        return ""
    one, within, wide = (found[key] for key in ("spread", "within_samples", "within_interval"))
    tenths = one.receipt["tenths"]
    errors = [error for _, error in tenths]
    rises = "rises" if errors == sorted(errors) else "does not always rise"
    parts = [
        f"The standard deviation over {one.receipt['samples']} samples of a source is {number(one.value)} of "
        f"255 levels on average. {100 * within.value:.1f} % of the true values lie between their least and "
        f"most; {100 * within.receipt['ideal']:.1f} % would if the truth were one more sample.",
        f"{100 * wide.value:.1f} % lie within their mean ± {wide.receipt['deviations']} standard deviations, "
        "uncorrected.",
        f"The error of their mean {rises} from each tenth of the values, sorted by their standard deviation, "
        "to the next:",
    ]
    cells = ["".join(f"<td>{number(pair[column])}</td>" for pair in tenths) for column in (0, 1)]
    numbers = "".join(f"<th>{i + 1}</th>" for i in range(len(tenths)))
    return (
        f'<h2>Is the variety of samples honest?</h2><p>{markup(" ".join(parts))}</p><div class="wide">'
        f'<table class="measures"><thead><tr><th>Tenth of the values</th>{numbers}</tr></thead><tbody>'
        f"<tr><td>standard deviation</td>{cells[0]}</tr><tr><td>error</td>{cells[1]}</tr></tbody></table>"
        "</div>"
    )


def _pictures(strips: Sequence[Strip]) -> str:
    if not strips:
        return ""
    order = ", ".join(strips[0].images)
    parts = []
    for kind in ("best", "worst"):
        figures = "".join(_figure(strip) for strip in strips if strip.kind == kind)
        parts.append(f'<h3>The {kind}</h3><div class="strips">{figures}</div>')
    bright = " The brighter the spread, the more samples differ." if "spread" in order else ""
    return (
        f"<h2>Best and worst</h2><p>By the perceptual distance of a translation to the truth. From left to "
        f"right: {markup(order)}.{bright}</p>{''.join(parts)}"
    )


def _figure(strip: Strip) -> str:
    shown = "".join(image(picture, name, SIDE) for name, picture in strip.images.items())
    return f"<figure><div>{shown}</div><figcaption>{number(strip.distance)}</figcaption></figure>"
