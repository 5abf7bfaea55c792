"""What is wrong with a set of images, in plain words: each kind of damage has its own witness.

A distance says that two sets differ; the witnesses say how. Each is a number of `zeuxis.evaluation.sides`
with a threshold, taken at the edge of its interval that is kinder, so that chance alone accuses nobody. What
is beyond it the furthest, in thresholds, is named first. The thresholds were chosen on one half of
Fashion-MNIST's hold-out; `benchmarks/damage_ladder.py` tries them on the other half and on the avatars.
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
    "unlike",
    "none",
]
Found = Mapping[str, Estimate]

SHIFT = 0.2
"""Deviations by which a statistic of single images may differ."""
GRAIN = 0.5
"""The same for noise, which small damage of every kind raises a little."""
LOST = 0.1
"""Share of coverage that may be missing beyond the precision that is."""
CLASSES_LOST = 0.05
"""Share of the effective number of classes that may be missing."""
REPEATED = 0.05
"""Share of samples that may have a twin."""
COPIED = 0.02
"""Share of samples that may be near-copies."""
POOR = 2.0
"""Thresholds from which on a fault is called grave."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is right or wrong.

    Attributes:
        damage: its kind.
        strength: of the evidence, in thresholds; from 1 on it is said aloud.
        mood: good, fair or poor.
        sentence: what to tell people.
    """

    damage: Damage
    strength: float
    mood: str
    sentence: str


def findings(found: Found, left_out: Mapping[str, str] | None = None) -> list[Finding]:
    """What can be said, the strongest evidence first; where nothing is wrong, that.

    Args:
        found: numbers of `zeuxis.evaluation.sides` by name.
        left_out: those that could not be measured, with reasons: praise says what was not looked for.
    """
    praise = _praise(found, _unseen(left_out or {}))
    return sorted(_accused(found), key=lambda one: -one.strength) or [praise]


def _accused(found: Found) -> Iterator[Finding]:
    for damage, (witness, sentence) in WITNESSES.items():
        strength = witness(found)
        if strength >= 1:
            mood = "poor" if strength >= POOR else "fair"
            yield Finding(damage=damage, strength=strength, mood=mood, sentence=sentence(found))


LOOKED_FOR = {
    "exact_copy_rate": "exact copies",
    "copy_rate": "near-copies",
    "exact_repeat_rate": "exact repeats",
    "repeat_rate": "repeats",
    "coverage": "missing kinds of image",
    "effective_classes_": "missing classes",
    "kernel_distance_of_real": "what other real images get",
    "shift": "blur, noise, blocks and colour",
}
"""Beginning of a measure's name -> the fault that it would show."""


def _unseen(left_out: Mapping[str, str]) -> list[str]:
    """Faults that were not looked for."""
    return [
        words for name, words in LOOKED_FOR.items() if any(one.startswith(name) for one in left_out)
    ]


def _praise(found: Found, unseen: Sequence[str]) -> Finding:
    mine, real = found.get("kernel_distance"), found.get("kernel_distance_of_real")
    if mine is None and "frechet_distance" not in found:
        sentence = "There were no images to compare, so nothing was looked for."
        return Finding(damage="none", strength=0.0, mood="fair", sentence=sentence)
    if mine is None:
        return Finding(
            damage="none",
            strength=0.0,
            mood="fair",
            sentence="Only a distance could be measured; images would tell what is right and wrong.",
        )
    if real is not None and mine.interval[0] > max(real.interval[1], 0.0):
        return Finding(
            damage="unlike",
            strength=1.0,
            mood="fair",
            sentence="The images differ from real ones beyond chance, but in no way that has a name here: "
            "look at the pictures.",
        )
    close = "" if real is None else ": the images are as close to real ones as other real ones are"
    among = "among what was looked for" if unseen else "that can be measured"
    missed = f" Not looked for: {', '.join(unseen)}." if unseen else ""
    return Finding(
        damage="none",
        strength=0.0,
        mood="fair" if unseen else "good",
        sentence=f"Nothing is wrong {among}{close}.{missed}",
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
    """Where grain and blocks are both there, the weaker is taken for a trace of the stronger."""
    grain, blocks = _shift(found, "noise", GRAIN), _shift(found, "blocks")
    return grain if grain >= blocks else 0.0


def _jpeg(found: Found) -> float:
    grain, blocks = _shift(found, "noise", GRAIN), _shift(found, "blocks")
    return blocks if blocks > grain else 0.0


COLOURS = ("warmth", "tint", "brightness", "contrast")


def _colour(found: Found) -> float:
    return max(abs(_shift(found, name)) for name in COLOURS)


def _modes(found: Found) -> float:
    """Classes are missing; without labels: real images go without, though samples are like real ones."""
    classes = [_missing(found, name) for name in found if name.startswith("effective_classes_")]
    if classes:
        return max(max(classes) / CLASSES_LOST, float(bool(_rare(found))))
    return (_missing(found, "coverage") - _missing(found, "precision")) / LOST


def _rare(found: Found) -> list[str]:
    """Classes that are made less than half as often as the data has them, beyond doubt."""
    return [
        f"{word} ({name.removeprefix('rarest_').replace('_', ' ')})"
        for name, estimate in found.items()
        if name.startswith("rarest_")
        for word in estimate.receipt.get("missing", [])
    ]


def _collapse(found: Found) -> float:
    """Twins among the samples, alike or equal; equal ones beyond what real images have."""
    alike = found["repeat_rate"].interval[0] if "repeat_rate" in found else 0.0
    return max(alike, _equal(found)) / REPEATED


def _equal(found: Found) -> float:
    """Share of samples with an equal twin, at least, beyond that of real images."""
    if "exact_repeat_rate" not in found:
        return 0.0
    real = found.get("exact_repeat_rate_of_real")
    return found["exact_repeat_rate"].interval[0] - (real.interval[1] if real else 0.0)


def _copies(found: Found) -> float:
    """Near-copies that are no exact ones."""
    if "copy_rate" not in found:
        return 0.0
    exact = found["exact_copy_rate"].value if "exact_copy_rate" in found else 0.0
    return (found["copy_rate"].interval[0] - exact) / COPIED


def _exact(found: Found) -> float:
    """A single exact copy is no chance and is said."""
    rate = found["exact_copy_rate"].value if "exact_copy_rate" in found else 0.0
    return max(1.0, rate / COPIED) if rate else 0.0


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
        f"The images are {words[shift.value < 0]} than real ones, by {abs(shift.value):.1f} times what real "
        "images usually differ by."
    )


def _say_modes(found: Found) -> str:
    if named := _rare(found):
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        return f"Kinds of image are made far too rarely: {', '.join(named[:6])}{more}."
    mine, real = found.get("coverage"), found.get("coverage_of_real")
    if mine is None or real is None or mine.value >= real.value:
        return "Some classes are made too rarely, others too often."
    return (
        f"Kinds of image are missing: {mine.value:.0%} of real images have one like them, and "
        f"{real.value:.0%} have among other real images."
    )


def _say_collapse(found: Found) -> str:
    if _equal(found) >= REPEATED:
        rate = found["exact_repeat_rate"]
        return (
            f"The images repeat themselves: {round(rate.value * rate.n):,} of {rate.n:,} equal another one "
            f"in every pixel; {rate.receipt['different_images']:,} different images are left."
        )
    return (
        f"The images repeat themselves: {found['repeat_rate'].value:.0%} of them have a twin among the "
        "others (real images: 1 %)."
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
    return f"Images were given back: {rate.value:.0%} of them are near-copies of ones they are compared with."


WITNESSES: dict[Damage, tuple[Callable[[Found], float], Callable[[Found], str]]] = {
    "blur": (_blur, lambda found: "The images are blurred: fine detail is missing."),
    "noise": (
        _noise,
        lambda found: "The images are noisy: there is grain that real ones do not have.",
    ),
    "jpeg": (
        _jpeg,
        lambda found: (
            "The images show 8x8 blocks, as JPEG compression leaves: store both sides alike."
        ),
    ),
    "colour": (_colour, _say_colour),
    "modes": (_modes, _say_modes),
    "collapse": (_collapse, _say_collapse),
    "copies": (_copies, _say_copies),
    "exact copies": (_exact, _say_exact),
}
"""Damage -> strength of its evidence in thresholds, and what to say."""
