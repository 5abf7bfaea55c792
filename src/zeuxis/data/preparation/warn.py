"""What a person should know of a set before training on it, in plain words."""

import math
from collections.abc import Mapping
from typing import Any

MOST = 0.05
"""Share of the pictures in which a face is found above which training asks why they may be used."""
FEW, RARE, UNEVEN = 1000, 50, 10
DEEP = "16-bit grey, divided by 257"
"""What is noted of a file that had more than 8 bits."""
DARK, CLASSES = 100, 32
"""Levels: no pixel of a set that is this dark is usual, nor is one that is hardly more than class ids."""
REFERENCES = 256
"""Held-out images below which a distance to them is uncertain."""


def warnings_for(facts: dict[str, Any]) -> list[str]:
    """Sentences, the most important first, from what `prepare` wrote down."""
    return [
        *_quantity(facts),
        *_people(facts),
        *_quality(facts),
        *_shape(facts),
        *(sentence for condition in facts["conditions"] for sentence in _balance(condition)),
        *_captions(facts),
    ]


def too_dark(brightest: int, notes: Mapping[str, int]) -> str:
    """What files hold whose brightest pixel of all is this dark; "" where it is no wonder.

    >>> too_dark(16, {DEEP: 8}).partition(";")[0]
    'the brightest of all pixels is 16 of 255: the files seem to hold 12 bits in 16'
    """
    if brightest >= DARK:
        return ""
    found = f"the brightest of all pixels is {brightest} of 255: the files seem to hold "
    if DEEP in notes:
        bits = round(math.log2(257 * (brightest + 0.25)))
        return found + f"{bits} bits in 16; multiply their values by {2 ** (16 - bits)}"
    if brightest < CLASSES:
        return (
            found + "masks or class ids; multiply them by 255, or read them as maps (docs/data.md)"
        )
    return found + "very dark pictures; brighten them if they should be seen"


def share(part: int, whole: int) -> str:
    """A percentage that never rounds to 0.

    >>> share(12, 100), share(1, 1000), share(1, 10**6)
    ('12 %', '0.1 %', 'less than 0.1 %')
    """
    percent = 100 * part / whole
    if percent < 0.1:
        return "less than 0.1 %"
    return f"{percent:.0f} %" if percent >= 1 else f"{percent:.1f} %"


def faces_said(found: dict[str, Any]) -> str:
    """How many of a set's pictures show faces; of pairs, on each side.

    >>> faces_said({"looked": 500, "found": 34, "interval": [0.0490, 0.0938]})
    '34 of 500 that were looked at (6.8 %; 95 % interval 4.9 to 9.4 %)'
    """
    if sources := found.get("sources"):
        return f"targets: {faces_said({**found, 'sources': None})}, sources: {faces_said(sources)}"
    low, high = (f"{100 * limit:.1f}" for limit in found["interval"])
    return (
        f"{found['found']:,} of {found['looked']:,} that were looked at "
        f"({100 * found['found'] / found['looked']:.1f} %; 95 % interval {low} to {high} %)"
    )


def many_faces(found: dict[str, Any]) -> bool:
    """Whether more of a set's pictures show faces than may without a word, on either side of pairs."""
    sides = [found, found.get("sources") or found]
    return any(side["found"] > MOST * side["looked"] for side in sides)


def _quantity(facts: dict[str, Any]) -> list[str]:
    out = []
    count, split = facts["images"]["count"], facts["split"]
    if count < FEW:
        out.append(
            f"there are only {count:,} images: a model will tend to memorise them; "
            "more images, or flips, crops and colour, help"
        )
    if not split["holdout"]:
        why = split["how"].removeprefix("none: ").partition(", ")[0]
        out.append(f"no images are held out ({why}): scores cannot tell learning from copying")
    elif split["holdout"] < REFERENCES:
        out.append(
            f"only {split['holdout']:,} images are held out: with so few references intervals are wide"
        )
    if split["copies_across"]:
        out.append(
            f"{split['copies_across']:,} training images have an exact copy on the hold-out side"
        )
    if count := split.get("sources_across"):  # sets of before do not say
        out.append(
            f"{count:,} training images have a source whose exact copy is on the hold-out side: scores of "
            "translations will flatter"
        )
    return out


def _people(facts: dict[str, Any]) -> list[str]:
    found = facts["faces"]
    asks = "training asks, with --faces, why they may be used"
    return [f"faces were found in {faces_said(found)}: {asks}"] if many_faces(found) else []


def _quality(facts: dict[str, Any]) -> list[str]:
    out, total = [], facts["source"]["items"]
    reasons = {reason: entry["count"] for reason, entry in facts["left_out"].items()}
    doubles = reasons.pop("duplicate", 0) + reasons.pop("near duplicate", 0)
    if doubles:
        verb = "is a duplicate" if doubles == 1 else "are duplicates"
        out.append(f"{share(doubles, total)} of the images ({doubles:,}) {verb}, kept once each")
    kept = facts["found"]["duplicates_kept"]
    if kept:
        out.append(
            f"{kept:,} images repeat another one exactly; they were kept, as in the original"
        )
    blank = facts["found"]["blank_kept"]
    if blank:
        out.append(f"{blank:,} images are blank (one colour); they were kept, as in the original")
    blank = reasons.pop("blank", 0)
    if blank:
        out.append(f"{blank:,} images are blank (one colour) and were left out")
    clear = reasons.pop("transparent", 0)
    if clear:
        first = [name for name, _ in facts["left_out"]["transparent"]["first"]]
        out.append(
            f"{clear:,} images are transparent and vanish on white "
            f"({_names({'count': clear, 'first': first})}): they were left out; data.channels=4 keeps them"
        )
    if hint := too_dark(facts["found"]["brightest"], facts["found"]["notes"]):
        out.append(hint)
    lost = facts["found"]["colour_lost"]
    if lost:
        out.append(
            f"{share(lost, total)} of the images ({lost:,}) have colour, which 1 channel throws away: "
            "data.channels=3 keeps it"
        )
    rest = sum(reasons.values())
    if rest:
        listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        out.append(f"{share(rest, total + rest)} of the files were left out: {listed}")
    for column, which in facts["found"]["contradictory"].items():
        state = "" if facts["source"]["curated"] else "; theirs is now unknown"
        out.append(
            f"{which['count']:,} equal images disagree about '{column}' ({_names(which)}){state}"
        )
    return out


def _shape(facts: dict[str, Any]) -> list[str]:
    out, found, image = [], facts["found"], facts["images"]
    seen = sum(found["formats"].values())
    size = f"{image['width']} x {image['height']}"
    if found["enlarged"] > seen // 100:
        out.append(
            f"{share(found['enlarged'], seen)} of the images are smaller than {size} and were enlarged: "
            "they are blurred, and so will be what is learned from them"
        )
    if found["cut"] >= 0.3:
        out.append(
            f"cropping to {size} cuts {100 * found['cut']:.0f} % of the middle image away; "
            "choose a size of the images' own proportions, or fit=pad"
        )
    animated = found["notes"].get("animated", 0)
    if animated:
        out.append(f"{animated:,} files are animated: their first frame was taken")
    pages = found["notes"].get("several pages", 0)
    if pages:
        out.append(f"{pages:,} files have several pages: their first page was taken")
    return out


def _balance(condition: dict[str, Any]) -> list[str]:
    out, name = [], condition["name"]
    pairs = sorted(zip(condition["counts"], condition["classes"], strict=True))
    pairs = [pair for pair in pairs if pair[0]]
    (least, rare), (most, common) = pairs[0], pairs[-1]
    if most >= UNEVEN * least:
        out.append(
            f"classes of '{name}' are uneven: '{rare}' has {least:,} images, '{common}' {most:,}"
        )
    elif least < RARE:
        out.append(f"class '{rare}' of '{name}' has only {least:,} images")
    if condition["unknown"]:
        out.append(f"{condition['unknown']:,} images have no '{name}'")
    return out


def _captions(facts: dict[str, Any]) -> list[str]:
    out = []
    missing = facts["images"]["count"] - facts["captions"]
    if facts["captions"] and missing:
        out.append(f"{missing:,} images have no caption")
    differ = facts["found"]["captions_differ"]
    if differ["count"]:
        out.append(f"{differ['count']:,} equal images have different captions ({_names(differ)})")
    return out


def _names(which: dict[str, Any]) -> str:
    """The first two files of a list, and how many more there are."""
    shown = which["first"][:2]
    more = which["count"] - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
