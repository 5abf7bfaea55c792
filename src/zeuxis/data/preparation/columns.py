"""Words about images become labels: which columns hold classes, and in what order."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.family import MOST_CLASSES, Condition

MOST_COLUMNS = 1000


def as_classes(words: Sequence[str], known: Sequence[str] = ()) -> tuple[str, ...] | None:
    """The classes of a column, or None if it is no column of classes.

    Classes are 2 to 1,000 different words that occur twice on average (two words may occur once);
    fractions are numbers, and a word for nearly every image is a name. Whole numbers are sorted as
    numbers, and may be written 1.0, as tables with gaps in them do.

    >>> as_classes(["cat", "dog", "", "cat"])
    ('cat', 'dog')
    >>> as_classes(["0.5", "1.25", "0.5"]) is None
    True
    >>> as_classes(["1.0", "0.0", "", "1.0"])
    ('0.0', '1.0')
    """
    counts = Counter(word for word in words if word)
    if not 2 <= len(counts) <= MOST_CLASSES or len(counts) > max(2, sum(counts.values()) / 2):
        return None
    if counts.keys() <= set(known):
        return tuple(known)
    if all(_is_number(word) for word in counts) and any(float(word) % 1 > 0 for word in counts):
        return None
    return tuple(sorted(counts, key=natural))


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
        classes = as_classes(words, known.get(name, ()))
        if classes:
            conditions.append(Condition(name=name, classes=classes))
            labels.append(encode(words, classes))
    count = len(next(iter(columns.values()), ()))
    return tuple(conditions), np.stack(labels, 1) if labels else np.zeros((count, 0), np.int32)


def natural(word: str) -> list[tuple[int, int, str]]:
    """Sort key by which "9" comes before "10" and "image2" before "image10"."""
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", word) if p]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
