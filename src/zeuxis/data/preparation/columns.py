"""Words about images become labels: which columns hold classes, and in what order."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.family import MOST_CLASSES, Condition
from zeuxis.data.source.base import Source

MOST_COLUMNS, MOST_NAMED = 1000, 6
KEPT = {"boxes": "what is where in {:,} images", "mask_file": "masks of {:,} images"}
"""Columns that sources make and that never are classes, and what they hold."""
CLASSES = "classes: "
"""What the one remark begins with that every set has."""


def as_classes(words: Sequence[str], known: Sequence[str] = ()) -> tuple[str, ...] | None:
    """The classes of a column, or None if it is no column of classes, for which `why_not` has the reason.

    Whole numbers are sorted as numbers, and may be written 1.0, as tables with gaps in them do.

    >>> as_classes(["cat", "dog", "", "cat"])
    ('cat', 'dog')
    >>> as_classes(["0.5", "1.25", "0.5"]) is None
    True
    >>> as_classes(["1.0", "0.0", "", "1.0"])
    ('0.0', '1.0')
    """
    counts = Counter(word for word in words if word)
    if _why_not(counts, known):
        return None
    return tuple(known) if counts.keys() <= set(known) else tuple(sorted(counts, key=natural))


def why_not(words: Sequence[str], known: Sequence[str] = ()) -> str:
    """Why a column holds no classes; "" if it does.

    Classes are 2 to 1,000 different words that occur twice on average (two words may occur once);
    fractions are numbers, a word for nearly every image is a name, and lists are more than one class.

    >>> why_not(["a", "b", "c", ""])
    '3 different words for 3 images; classes occur twice on average'
    """
    return _why_not(Counter(word for word in words if word), known)


def _why_not(counts: Counter[str], known: Sequence[str]) -> str:
    total, different = sum(counts.values()), f"{len(counts):,} different words"
    if not counts:
        return "it says nothing"
    if any(map(_is_list, counts)):
        return "its words are lists or objects"
    if len(counts) == 1:
        return f"all {total:,} are '{next(iter(counts))[:40]}'"
    if len(counts) > MOST_CLASSES:
        return f"{different}; classes are at most {MOST_CLASSES:,}"
    if len(counts) > max(2, total / 2):
        return f"{different} for {total:,} images; classes occur twice on average"
    if counts.keys() <= set(known):
        return ""
    fractions = all(_is_number(w) for w in counts) and any(float(w) % 1 > 0 for w in counts)
    return "its words are fractions" if fractions else ""


def remarks(
    words: Mapping[str, Sequence[str]],
    conditions: Sequence[Condition],
    source: Source,
    captions: int,
) -> list[str]:
    """What became of the columns: always which classes there are, or why none; and what no family uses."""
    classes = [f"{c.name} ({len(c.classes):,}: {_few(c.classes)})" for c in conditions]
    used = {c.name for c in conditions}
    rest = {
        name: KEPT[name].format(sum(map(bool, w)))
        if name in KEPT
        else why_not(w, source.classes.get(name, ()))
        for name, w in words.items()
        if name not in used
    }
    label = rest.pop("label", "")
    reasons = [f"column 'label' is none: {label}"] if label else []
    reasons += [source.no_classes] if source.no_classes else []
    if classes:
        out = [CLASSES + "; ".join([", ".join(classes), *reasons])]
    else:
        out = [f"{CLASSES}none: " + ("; ".join(reasons) or "no folder or file speaks of any")]
    out += [f"captions: of {captions:,} images"] if captions else []
    if rest:
        named = ", ".join(f"{name} ({why})" for name, why in [*rest.items()][:MOST_NAMED])
        more = f" and {len(rest) - MOST_NAMED:,} more" if len(rest) > MOST_NAMED else ""
        out.append(f"kept as columns that no family uses: {named}{more}")
    return out


def _few(classes: Sequence[str]) -> str:
    return ", ".join(c[:40] for c in classes[:3]) + (" ..." if len(classes) > 3 else "")


def names(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Every column, in the order in which it is first met.

    Raises:
        ValueError: there are more than `MOST_COLUMNS`; a word of each is kept for each image.
    """
    found: dict[str, None] = {}
    for row in rows:
        found.update(dict.fromkeys(row))
        if len(found) > MOST_COLUMNS:
            raise Invalid(f"the images have more than {MOST_COLUMNS:,} columns; leave some out")
    return list(found)


def encode(words: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """(N,) int32 class numbers; -1 where the word is missing."""
    numbers = {word: i for i, word in enumerate(classes)}
    return np.array([numbers.get(word, -1) for word in words], np.int32)


def split(
    columns: Mapping[str, Sequence[str]], known: Mapping[str, Sequence[str]]
) -> tuple[tuple[Condition, ...], np.ndarray]:
    """Every column of classes as a condition, and (N, A) int32 labels in that order."""
    conditions, labels = [], []
    for name, words in columns.items():
        classes = as_classes(words, known.get(name, ())) if name not in KEPT else None
        if classes:
            conditions.append(Condition(name=name, classes=classes))
            labels.append(encode(words, classes))
    count = len(next(iter(columns.values()), ()))
    return tuple(conditions), np.stack(labels, 1) if labels else np.zeros((count, 0), np.int32)


def natural(word: str) -> list[tuple[int, int, str]]:
    """Sort key by which "9" comes before "10" and "image2" before "image10"."""
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", word) if p]


def _is_list(word: str) -> bool:
    """Whether it is the JSON of a list or an object."""
    if word[0] + word[-1] not in ("[]", "{}"):
        return False
    try:
        return isinstance(json.loads(word), list | dict)
    except (ValueError, RecursionError):
        return False


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
