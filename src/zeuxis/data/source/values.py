"""Values that are said of images, whatever file said them, as words: one rule for every kind of source."""

import ast
import collections
import json
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from zeuxis.data.source.base import LONGEST_TEXT

CAPTIONS = ("text", "caption")
"""Columns that are captions, the first that says something."""
NOTHING = frozenset(
    ("nan", "NaN", "NAN", "None", "NULL", "null", "<NA>", "NaT", "n/a", "N/A", "#N/A")
)
"""What tables write for a missing value. `none` and `NA` may be words of their own, and stay."""
LONGEST_LIST = 1000
"""Characters of a list in a cell that is taken apart."""
MOST_POSITIONS = 128
"""Positions of a vector that becomes a column each."""


class Unused:
    """What was seen and not used, with the reason: named by the first and counted."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, names: str | Collection[str], why: str) -> None:
        """Note one thing, or several, that a sentence of the same reason names."""
        names = [names] if isinstance(names, str) else names
        self._counts[why] += len(names)
        self._found[why] = [*self._found.get(why, ()), *names][:1]

    def sentences(self) -> list[str]:
        """One sentence a reason."""
        return [
            f"{names[0]} was not used: {why}"
            if self._counts[why] == 1
            else f"{self._counts[why]:,} were not used, such as {names[0]}: {why}"
            for why, names in self._found.items()
            if names
        ]


def decoded(content: bytes) -> str:
    r"""Text as editors and tables save it: UTF-8 with a byte order mark or none, or UTF-16 with one.

    >>> decoded("cat".encode("utf-8-sig")), decoded("cat".encode("utf-16"))
    ('cat', 'cat')

    Raises:
        ValueError: it is neither.
    """
    return content.decode(encoding(content))


def encoding(content: bytes) -> str:
    """Which of the two it is, by its first bytes."""
    return "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def word(value: Any) -> str:
    """A single value as one word; what says that nothing is known is empty.

    >>> word(3.0), word(1000001.0), word(0.1), word(None), word(" a "), word(True), word("NaN")
    ('3', '1000001', '0.1', '', 'a', 'true', '')
    """
    if isinstance(value, str):
        value = value.strip()
        return "" if value in NOTHING else value[:LONGEST_TEXT]
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return word(value.decode("utf-8", "replace"))
    return str(value)[:LONGEST_TEXT]


def said(value: Any) -> str:
    """A value as text: a word, or the JSON of lists and objects."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)[:LONGEST_TEXT] if value else ""
    return word(value)


def columns_of(name: str, values: Sequence[Any], unused: Unused) -> dict[str, list[str]]:
    """The words of a column: its own, or a column for each position of vectors of several classes.

    A list of one word is that word, and a one-hot vector is the number of its class, as StyleGAN's
    `dataset.json` may have it. Vectors with several ones become a column a position, `label_0`, `label_1`
    and so on, and lists of several words one a word. Other lists and objects are kept as JSON, no class.

    Args:
        name: of the column.
        values: one for each image, as they were read.
        unused: told what is no class, and what says nothing.
    """
    values = _written_lists(values)
    values = [v[0] if isinstance(v, list | tuple) and len(v) == 1 else v for v in values]
    nested = [v for v in values if isinstance(v, list | tuple | dict) and v]
    if not nested:
        words = [word(value) for value in values]
        _say_nothing(name, values, words, unused)
        return {name: words}
    if name in CAPTIONS:
        return {name: _captions(values)}
    form = _form(nested)
    if form == "one-hot":
        words = [_position(v) if isinstance(v, list | tuple) else word(v) for v in values]
        return {name: words}
    vectors = all(isinstance(v, list | tuple) or not word(v) for v in values)
    if form == "multi-hot" and vectors:
        sets = [_ones(v) if isinstance(v, list | tuple) and v else None for v in values]
        return _column_each(name, sets, list(map(str, range(len(nested[0])))), unused)
    if form == "words":
        several = [set(map(word, v if isinstance(v, list | tuple) else [v])) - {""} for v in values]
        vocabulary = sorted(set().union(*several))
        if len(vocabulary) <= MOST_POSITIONS:
            return _column_each(name, [each or None for each in several], vocabulary, unused)
    unused.add(f"column '{name}' as classes", f"it holds {_kind(nested)}, kept as text")
    return {name: [said(value) for value in values]}


def _written_lists(values: Sequence[Any]) -> Sequence[Any]:
    """The lists that a csv table holds as text, `[1, 0]` or `['cat', 'dog']`, if all its values are some."""
    texts = {value for value in values if isinstance(value, str) and word(value)}
    if not texts or not all(t.strip()[0] == "[" and t.strip()[-1] == "]" for t in texts):
        return values
    try:
        lists = {text: ast.literal_eval(text.strip()) for text in texts if len(text) < LONGEST_LIST}
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return values
    return [lists.get(value, value) if isinstance(value, str) else value for value in values]


def _column_each(
    name: str, sets: Sequence[set[str] | None], vocabulary: Sequence[str], unused: Unused
) -> dict[str, list[str]]:
    """A column for each class of several that an image may have: 1, 0 or unknown."""
    columns = {f"{name}_{each}": each for each in vocabulary}
    why = f"images have several, so each is a column of 0 and 1: {', '.join([*columns][:2])} ..."
    unused.add(f"column '{name}' as one class", why)
    return {
        column: ["" if ones is None else str(int(each in ones)) for ones in sets]
        for column, each in columns.items()
    }


def _ones(vector: Sequence[float]) -> set[str]:
    return {str(k) for k, value in enumerate(vector) if value}


def _say_nothing(name: str, values: Iterable[Any], words: Iterable[str], unused: Unused) -> None:
    """Name words such as NaN that were taken for a missing value."""
    found = collections.Counter(
        value.strip()
        for value, text in zip(values, words, strict=True)
        if not text and isinstance(value, str) and value.strip()
    )
    if found:
        named = ", ".join(f"'{text}'" for text, _ in found.most_common(3))
        unused.add(
            f"{named} in column '{name}'", f"{sum(found.values()):,} values say nothing: unknown"
        )


def _captions(values: Iterable[Any]) -> list[str]:
    """Those of each image, one a line."""
    return [
        "\n".join(filter(None, (" ".join(said(one).split()) for one in v)))
        if isinstance(v, list | tuple)
        else said(v)
        for v in values
    ]


def _form(nested: Sequence[Any]) -> str:
    """Whether they are `one-hot` or `multi-hot` vectors, or lists of `words`; "" for none of these."""
    if all(isinstance(v, list | tuple) and all(isinstance(x, str) for x in v) for v in nested):
        return "words"
    if not all(isinstance(v, list | tuple) and len(v) == len(nested[0]) for v in nested):
        return ""
    if not all(isinstance(x, int | float) and x in (0, 1) for v in nested for x in v):
        return ""
    sums = [sum(v) for v in nested]
    if max(sums) == 1:
        return "one-hot"
    return "multi-hot" if max(sums) > 1 and len(nested[0]) <= MOST_POSITIONS else ""


def _position(vector: Sequence[float]) -> str:
    """The number of the class of a one-hot vector; unknown if none is 1."""
    return str(list(vector).index(1)) if 1 in vector else ""


def _kind(nested: Sequence[Any]) -> str:
    if any(isinstance(v, dict) for v in nested):
        return "objects"
    numbers = all(isinstance(x, int | float) for v in nested for x in v)
    return "vectors of numbers" if numbers else "lists of several words"


def spread(rows: Sequence[dict[str, Any]], unused: Unused) -> list[dict[str, str]]:
    """What is said of each image as words, from values as they were read."""
    keys = dict.fromkeys(key for row in rows for key in row)
    out: list[dict[str, str]] = [{} for _ in rows]
    for key in keys:
        having = [k for k, row in enumerate(rows) if key in row]
        for column, words in columns_of(key, [rows[k][key] for k in having], unused).items():
            for k, text in zip(having, words, strict=True):
                out[k][column] = text
    return out


def caption(columns: dict[str, str]) -> str:
    """Take the caption out of an image's columns."""
    texts = [columns.pop(key, "") for key in CAPTIONS]
    return next(filter(None, texts), "")
