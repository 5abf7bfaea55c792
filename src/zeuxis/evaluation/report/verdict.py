"""One sentence that sums up a report, and what to do next."""

import dataclasses
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeuxis.core.log import read_log
from zeuxis.core.words import printable
from zeuxis.evaluation.diagnosis import Finding
from zeuxis.evaluation.report import FIRST, Card, Verdict, Word
from zeuxis.evaluation.report.charts import number
from zeuxis.families import ADOPTED
from zeuxis.inference.artefact import usage
from zeuxis.metrics import Estimate

REASONS = {
    "blur": "fine detail is missing",
    "noise": "the images are noisy",
    "jpeg": "the images show JPEG blocks",
    "colour": "the colours differ from those of real images",
    "modes": "some kinds of image are missing",
    "collapse": "the images repeat each other",
    "copies": "images are near-copies of real ones",
    "exact copies": "images are exact copies of real ones",
    "untranslated": "the images are no closer to the target than their sources",
    "captions unused": "captions are hardly used",
    "no gain": "nothing is gained over enlargement without a network",
    "no variety": "samples of one source do not differ",
    "no better": "what needs no training is nearer to the truth",
    "unlike": "the images differ measurably from real ones",
}
"""Damage -> why a set of images is not good."""
COPIED = ("copies", "exact copies")
WORDS: Mapping[str, Word] = {"poor": "not yet", "open": "unknown", "fair": "usable"}
"""Mood of a finding or score -> verdict; the first that occurs counts."""
LOOK = "Look at images"
"""What to do where measuring more samples would tell no more."""
MILDER = "Train with less of the style"
LONGER = 2
"""Times the minutes of a run that the next one is to have."""


UNMEASURED = Verdict(word="unknown", sentence="Nothing has been measured yet.")
TOO_LITTLE = Verdict(word="unknown", sentence="Unknown: too little was measured for a verdict.")


def verdict(
    found: Mapping[str, Estimate], findings: Sequence[Finding], cards: Sequence[Card]
) -> Verdict:
    """Sum up: good if nothing found is worse than on real images, not yet if anything is poor.

    It is unknown where a score is open: there were too few images to tell.

    Args:
        found: every measured number.
        findings: of `zeuxis.evaluation.diagnosis`, the strongest first.
        cards: of `zeuxis.evaluation.report.measures`.
    """
    if "gain" in found and cards:
        return _on_gain(found["gain"], cards[0])
    mine = found.get("kernel_distance")
    if mine is None or not cards:
        return _on_style(cards) if "style_distance" in found else TOO_LITTLE
    moods = [finding.mood for finding in findings] + [card.mood for card in cards]
    word: Word = next((said for mood, said in WORDS.items() if mood in moods), "good")
    reasons = [REASONS[one.damage] for one in findings if one.damage in REASONS]
    action = ""
    if word == "unknown":
        reasons = [one.words for one in cards if one.mood == "open"]
        action = LOOK if mine.receipt["real"] <= mine.receipt["fake"] else "Measure more samples"
    reasons += [one.words.partition(". ")[0] for one in cards[:FIRST] if one.mood == "poor"]
    if not reasons:
        close = word == "good"
        reasons = ["as close to real images as other real images are" if close else cards[0].words]
    real = found.get("kernel_distance_of_real")
    beside = "" if real is None else f"; other real images: {_about(real)}"
    few = ", few references" if "references" in mine.receipt else ""
    scores = f"kernel distance {number(mine.value)}{few}{beside}"
    why = " and ".join(map(_lower, reasons[:2]))
    return Verdict(word=word, sentence=f"{word.capitalize()}: {why} ({scores}).", action=action)


def _on_style(cards: Sequence[Card]) -> Verdict:
    """Of images that are to have the style of one picture."""
    if not cards:
        return TOO_LITTLE
    style, likeness = cards[0], cards[1]
    word: Word = next(
        (said for mood, said in WORDS.items() if mood in (style.mood, likeness.mood)), "good"
    )
    sentence = (
        f"{word.capitalize()}: {' and '.join(_lower(one.words) for one in (style, likeness))}."
    )
    milder = style.mood == "good" and likeness.mood != "good"
    return Verdict(word=word, sentence=sentence, action=MILDER if milder else "")


def _on_gain(gain: Estimate, card: Card) -> Verdict:
    """Of images that are made again from damaged ones: they are to be nearer to the originals than those."""
    word = WORDS.get(card.mood, "good")
    low, high = gain.interval
    sentence = (
        f"{word.capitalize()}: {_lower(card.words)} ({gain.value:+.2f} dB over {gain.receipt['over']}, "
        f"{low:+.2f} to {high:+.2f})."
    )
    return Verdict(word=word, sentence=sentence)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _about(estimate: Estimate) -> str:
    low, high = estimate.interval
    return "about 0" if low <= 0 <= high else number(estimate.value)


def advised(
    given: Verdict, findings: Sequence[Finding], folder: Path, facts: Mapping[str, Any]
) -> Verdict:
    """The verdict on a trained model with what to do next.

    A report may be given away, so its command names a run by its path only if that is relative; else
    it is to be typed beside the run.

    Args:
        given: the verdict.
        findings: of `zeuxis.evaluation.diagnosis`.
        folder: the run.
        facts: of the model, from `config.json`.
    """
    rate = _lowered(folder, facts)
    folder = Path(folder.name) if folder.is_absolute() else folder
    run, source = shlex.quote(str(folder)), shlex.quote(str(facts.get("source", "SOURCE")))
    if given.word == "unknown" and given.action != LOOK:
        action = given.action or "Measure it"
        command = f"zeuxis evaluate {run} --data {source}"
    elif given.word in ("good", "unknown") or facts.get("family") in ADOPTED:
        action = given.action or "Draw images"
        command = usage(str(facts.get("family")), run)
    elif given.action == MILDER:
        action = MILDER
        command = _train(facts, source, f"{folder}-milder", ["family.strength=0.3"])
    elif any(one.damage in COPIED for one in findings):
        action = "Train on more images, or with augmentation"
        words = ["data.flip=true", "data.crop=0.1"]
        command = _train(facts, source, f"{folder}-augmented", words)
    elif rate:
        action = "Train again with the learning rate that the doctor came down to"
        command = _train(facts, source, f"{folder}-slower", [f"training.lr={rate:.2g}"])
    else:
        action = "Train longer"
        command = _train(facts, source, f"{folder}-longer", [], f" --from {run}")
    typed = command == printable(command)
    return dataclasses.replace(given, action=action, command=command if typed else "")


def _lowered(folder: Path, facts: Mapping[str, Any]) -> float:
    """The learning rate that a run ended with, if the doctor had to lower it; else 0."""
    factor, asked = 1.0, facts.get("training", {}).get("lr")
    for row in read_log(folder / "log.jsonl"):
        if row.get("knob") == "lr":
            factor = row.get("value") or factor
    return factor * asked if factor < 1 and isinstance(asked, int | float) else 0.0


def _train(
    facts: Mapping[str, Any], source: str, out: str, more: Sequence[str], start: str = ""
) -> str:
    """A command that trains such a model again, longer, with the settings that were given then."""
    minutes = math.ceil(LONGER * facts.get("progress", {}).get("seconds", 0) / 60)
    words = [word for word in shlex.split(str(facts.get("command", "")))[1:] if "=" in word]
    new = ("training.precision=", *(f"{word.partition('=')[0]}=" for word in more))
    kept = [shlex.quote(word) for word in words if not word.startswith(new)]
    parts = [f"zeuxis train {facts.get('family')} {source}{start} --minutes {max(2, minutes)}"]
    return " ".join([*parts, "--out", shlex.quote(out), *kept, *more])
