"""Defects of a set of images, found by indicators and said in plain words.

A distance says that two sets differ; the indicators say how. Each is a metric of `zeuxis.evaluation.sides`
with a threshold. A defect is reported only if even the end of the confidence interval that is closer to zero
passes the threshold, so that chance alone reports nothing. The defect furthest beyond its threshold comes
first. The thresholds were chosen on one half of Fashion-MNIST's hold-out; `benchmarks/damage_ladder.py` tries
them on the other half and on the avatars.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from zeuxis.metrics import Estimate

Damage = Literal[
    "blur",
    "noise",
    "jpeg",
    "colour",
    "modes",
    "collapse",
    "copies",
    "exact copies",
    "untranslated",
    "no gain",
    "captions unused",
    "no variety",
    "no better",
    "unlike",
    "none",
]
Found = Mapping[str, Estimate]

SHIFT = 0.2
"""Standard deviations by which a statistic of single images may differ."""
GRAIN = 0.5
"""The same for noise, which small damage of every kind raises a little."""
LOST = 0.1
"""Share of coverage that may be missing beyond the precision that is."""
CLASSES_LOST = 0.05
"""Share of the effective number of classes that may be missing."""
REPEATED = 0.05
"""Share of samples that may have a near-duplicate among the others."""
COPIED = 0.02
"""Share of samples that may be near-copies: twice what new real images are, which is more of few images."""
USED = 0.02
"""Share of the loss at strong noise that captions must explain."""
POOR = 2.0
"""Multiple of the threshold from which on a defect is severe."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is right or wrong.

    Attributes:
        damage: its kind.
        strength: of the evidence, as a multiple of the threshold; reported from 1 on.
        mood: good, fair or poor.
        sentence: what to tell people.
    """

    damage: Damage = "none"
    strength: float = 0.0
    mood: str
    sentence: str


def findings(found: Found, left_out: Mapping[str, str] | None = None) -> list[Finding]:
    """Defects, the strongest evidence first; one finding that says so if there are none.

    Args:
        found: metrics of `zeuxis.evaluation.sides` by name.
        left_out: those that could not be measured, with reasons; a finding of no defect names them.
    """
    praise = _praise(found, _unseen(left_out or {}))
    return sorted(_defects(found), key=lambda one: -one.strength) or [praise]


def _defects(found: Found) -> Iterator[Finding]:
    for damage, (indicator, sentence) in INDICATORS.items():
        strength = indicator(found)
        if strength >= 1:
            mood = "poor" if strength >= POOR or damage == "untranslated" else "fair"
            yield Finding(damage=damage, strength=strength, mood=mood, sentence=sentence(found))


LOOKED_FOR = {
    "exact_copy_rate": "exact copies",
    "copy_rate": "near-copies",
    "exact_repeat_rate": "exact repeats",
    "repeat_rate": "repeats",
    "coverage": "missing kinds of image",
    "effective_classes_": "missing classes",
    "kernel_distance_of_real": "the baseline of other real images",
    "shift": "blur, noise, JPEG blocks and colour",
}
"""Beginning of a metric's name -> the defect that it would show."""


def _unseen(left_out: Mapping[str, str]) -> list[str]:
    """Defects that were not looked for."""
    return [
        words for name, words in LOOKED_FOR.items() if any(one.startswith(name) for one in left_out)
    ]


def _praise(found: Found, unseen: Sequence[str]) -> Finding:
    mine, real = found.get("kernel_distance"), found.get("kernel_distance_of_real")
    if mine is None and "frechet_distance" not in found:
        sentence = "There were no images to compare, so nothing was looked for."
        return Finding(mood="fair", sentence=sentence)
    if mine is None:
        return Finding(
            mood="fair",
            sentence="Only a distance could be measured: the diagnosis needs the images of both sets.",
        )
    if real is not None and mine.interval[0] > max(real.interval[1], 0.0):
        return Finding(
            damage="unlike",
            strength=1.0,
            mood="fair",
            sentence="The images differ from real ones by more than chance, but no known defect explains it: "
            "look at them.",
        )
    alike = ": the images are as close to the reference set as other real images are"
    close = "" if real is None else alike
    among = " among those looked for" if unseen else ""
    missed = f" Not looked for: {', '.join(unseen)}." if unseen else ""
    return Finding(
        mood="fair" if unseen else "good",
        sentence=f"No defect found{among}{close}.{missed}",
    )


def _kinder(estimate: Estimate | None) -> float:
    """The point of the interval that is nearest to zero."""
    if estimate is None:
        return 0.0
    low, high = estimate.interval
    return low if low > 0 else high if high < 0 else 0.0


def _shift(found: Found, name: str, limit: float = SHIFT) -> float:
    return _kinder(found.get(f"shift_{name}")) / limit


def _missing(found: Found, name: str) -> float:
    """Share that is missing of what real images get, at least."""
    mine, real = found.get(name), found.get(f"{name}_of_real")
    if mine is None or real is None or real.interval[0] <= 0:
        return 0.0
    return max(0.0, 1 - mine.interval[1] / real.interval[0])


def _blur(found: Found) -> float:
    return -_shift(found, "detail")


def _noise(found: Found) -> float:
    """Noise; if there are JPEG blocks too, only the stronger of the two is reported."""
    grain, blocks = _shift(found, "noise", GRAIN), _shift(found, "blocks")
    return grain if grain >= blocks else 0.0


def _jpeg(found: Found) -> float:
    grain, blocks = _shift(found, "noise", GRAIN), _shift(found, "blocks")
    return blocks if blocks > grain else 0.0


COLOURS = ("warmth", "tint", "brightness", "contrast")


def _colour(found: Found) -> float:
    return max(abs(_shift(found, name)) for name in COLOURS)


def _modes(found: Found) -> float:
    """Missing classes; without labels, coverage that is lower than precision explains."""
    classes = [_missing(found, name) for name in found if name.startswith("effective_classes_")]
    if classes:
        return max(max(classes) / CLASSES_LOST, float(bool(_rare(found))))
    return (_missing(found, "coverage") - _missing(found, "precision")) / LOST


def _rare(found: Found) -> list[str]:
    """Classes generated significantly less than half as often as they occur in the data."""
    return [
        f"{word} ({name.removeprefix('rarest_').replace('_', ' ')})"
        for name, estimate in found.items()
        if name.startswith("rarest_")
        for word in estimate.receipt.get("missing", [])
    ]


def _collapse(found: Found) -> float:
    """Near-duplicates among the samples, or identical ones beyond those of real images."""
    alike = found["repeat_rate"].interval[0] if "repeat_rate" in found else 0.0
    return max(alike, _equal(found)) / REPEATED


def _equal(found: Found) -> float:
    """Lower bound of the share of samples identical to another, beyond that of real images."""
    if "exact_repeat_rate" not in found:
        return 0.0
    real = found.get("exact_repeat_rate_of_real")
    return found["exact_repeat_rate"].interval[0] - (real.interval[1] if real else 0.0)


def _copies(found: Found) -> float:
    """Near-copies that are not exact copies."""
    if "copy_rate" not in found:
        return 0.0
    exact = found["exact_copy_rate"].value if "exact_copy_rate" in found else 0.0
    rate = found["copy_rate"]
    return (rate.interval[0] - exact) / max(COPIED, 2 * rate.receipt.get("quantile", 0.0))


def _exact(found: Found) -> float:
    """Exact copies; a single one cannot be chance and is reported."""
    rate = found["exact_copy_rate"].value if "exact_copy_rate" in found else 0.0
    return max(1.0, rate / COPIED) if rate else 0.0


def _untranslated(found: Found) -> float:
    """The distance to the target as a share of that of the sources as they are; reported from 1 on."""
    mine, given = found.get("kernel_distance"), found.get("kernel_distance_of_sources")
    if mine is None or given is None or given.value <= 0:
        return 0.0
    return mine.value / given.value


def _say_untranslated(found: Found) -> str:
    mine, given = found["kernel_distance"].value, found["kernel_distance_of_sources"].value
    return (
        f"The translation has failed so far: its images are no closer to the target's ({mine:.3g}) than the "
        f"sources are as they stand ({given:.3g})."
    )


def _no_gain(found: Found) -> float:
    """Reported unless a gain is certain."""
    gain = found.get("gain")
    return 0.0 if gain is None or gain.interval[0] > 0 else POOR if gain.interval[1] <= 0 else 1.0


def _say_no_gain(found: Found) -> str:
    gain = found["gain"]
    low, high = gain.interval
    return (
        f"No gain: the images are no nearer to the originals than {gain.receipt['over']} "
        f"({gain.value:+.2f} dB, {low:+.2f} to {high:+.2f})."
    )


def _captions_unused(found: Found) -> float:
    """Captions that explain hardly anything of an image."""
    gain = found.get("caption_gain")
    if gain is None or gain.value >= USED * gain.receipt["loss_without"]:
        return 0.0
    if "t" not in gain.receipt and gain.interval[0] > 0:
        return 0.0  # a caption saves few of an image's bits
    return POOR if gain.interval[0] <= 0 else 1.0


def _say_captions_unused(found: Found) -> str:
    gain = found["caption_gain"]
    share = max(0.0, gain.value / gain.receipt["loss_without"])
    where = "at strong noise" if "t" in gain.receipt else "of images in bits"
    return (
        f"Captions are hardly used so far: {where} they explain {share:.1%} of the loss. Samples "
        "look fine long before they show what is asked for; train longer."
    )


def _no_variety(found: Found) -> float:
    """Samples that do not differ, of a family that promises that they do."""
    return POOR if "spread" in found and found["spread"].value == 0 else 0.0


def _no_better(found: Found) -> float:
    """Translations that are certainly further from the truth than a baseline."""
    return POOR if "paired_margin" in found and found["paired_margin"].interval[1] < 0 else 0.0


def _say_no_better(found: Found) -> str:
    margin = found["paired_margin"]
    name = margin.receipt["baseline"]
    mine = found["paired_perceptual_of_sample"].value
    best = found[f"paired_perceptual_of_{name}"].value
    return (
        f"Translations are further from the truth ({mine:.2f}, perceptual distance) than {BASELINE[name]} is "
        f"({best:.2f}), which needs no training."
    )


BASELINE = {
    "identity": "the source itself",
    "regression": "a regression of colours",
    "retrieval": "the image of the nearest training source",
}


def _say_colour(found: Found) -> str:
    name = max(COLOURS, key=lambda one: abs(_shift(found, one)))
    words = {
        "warmth": ("warmer (redder)", "colder (bluer)"),
        "tint": ("greener", "more purple"),
        "brightness": ("brighter", "darker"),
        "contrast": ("higher in contrast", "lower in contrast"),
    }[name]
    shift = found[f"shift_{name}"]
    return (
        f"The images are {words[shift.value < 0]} than real ones, by {abs(shift.value):.1f} standard "
        "deviations of real images."
    )


def _say_modes(found: Found) -> str:
    if named := _rare(found):
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        return f"Some classes are generated far too rarely: {', '.join(named[:6])}{more}."
    mine, real = found.get("coverage"), found.get("coverage_of_real")
    if mine is None or real is None or mine.value >= real.value:
        return "Some classes are generated too rarely, others too often."
    return (
        f"Some kinds of image are missing: the images cover {100 * mine.value:.0f} % of real images; other "
        f"real images cover {100 * real.value:.0f} %."
    )


def _say_collapse(found: Found) -> str:
    if _equal(found) >= REPEATED:
        rate = found["exact_repeat_rate"]
        return (
            f"The images repeat: {round(rate.value * rate.n):,} of {rate.n:,} are identical to another one; "
            f"only {rate.receipt['different_images']:,} are different."
        )
    return (
        f"The images repeat: {100 * found['repeat_rate'].value:.0f} % have a near-duplicate among the others "
        "(real images: 1 %)."
    )


def _say_exact(found: Found) -> str:
    rate = found["exact_copy_rate"]
    count, of = round(rate.value * rate.n), rate.receipt["of"]
    if count == rate.n > 1:
        return f"All {count:,} images are exact copies of {of}."
    are = "is an exact copy of one of the" if count == 1 else "are exact copies of"
    return f"{count:,} of {rate.n:,} images {are} {of}."


def _say_copies(found: Found) -> str:
    rate = found["copy_rate"]
    return (
        f"Memorisation: {100 * rate.value:.0f} % of the images are near-copies of reference images."
    )


INDICATORS: dict[Damage, tuple[Callable[[Found], float], Callable[[Found], str]]] = {
    "blur": (_blur, lambda found: "The images are blurred: fine detail is missing."),
    "noise": (
        _noise,
        lambda found: "The images are noisy: they have grain that real images do not have.",
    ),
    "jpeg": (
        _jpeg,
        lambda found: (
            "The images show 8x8 blocks, as JPEG compression leaves them: store both sets in one format."
        ),
    ),
    "colour": (_colour, _say_colour),
    "modes": (_modes, _say_modes),
    "collapse": (_collapse, _say_collapse),
    "no gain": (_no_gain, _say_no_gain),
    "captions unused": (_captions_unused, _say_captions_unused),
    "copies": (_copies, _say_copies),
    "exact copies": (_exact, _say_exact),
    "untranslated": (_untranslated, _say_untranslated),
    "no variety": (
        _no_variety,
        lambda found: (
            "Samples of one source do not differ: the model has no variety, whatever the seed."
        ),
    ),
    "no better": (_no_better, _say_no_better),
}
"""Damage -> strength of its evidence in thresholds, and what to say."""
