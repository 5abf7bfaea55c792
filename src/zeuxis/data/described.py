"""What a prepared set says of its images beside their classes: captions and numbers.

An image may have several captions, one a line. Both lie in the set as words; what models are given of them is
made here.

Legend: N images, B rows, K columns of numbers, T ids of a caption.
"""

import collections
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.family import Number
from zeuxis.core.rng import derive_seed
from zeuxis.core.sentences import Sentences
from zeuxis.core.settings import Data
from zeuxis.core.vocabulary import Vocabulary, words
from zeuxis.data.prepared import Prepared

SIDED = {
    *("left", "right", "leftmost", "rightmost", "mirror", "mirrored"),
    *("text", "letter", "letters", "digit", "digits", "number", "numbers", "word", "words"),
}
"""Words of what a mirror changes."""
COLOURED = {
    *("red", "orange", "yellow", "green", "blue", "purple", "violet", "pink", "brown", "golden"),
    *("black", "white", "grey", "gray", "dark", "light", "bright", "pale"),
}
"""Words of what other colours change."""
EXAMPLES, MOST_WORDS = 1000, 20_000
"""What a model keeps of its training images: captions and numbers of some, and the commonest words."""


def captions(prepared: Prepared, row: int) -> list[str]:
    """Those of an image; none of an image that has none."""
    texts = prepared.texts
    lines = texts[row].splitlines() if texts else []
    return [line.strip() for line in lines if line.strip()]


def vocabulary(prepared: Prepared, read_by: str = "own") -> Vocabulary:
    """What is learned from the captions of the training images, or what reads them.

    Raises:
        Invalid: there are none.
        Unable: sentence vectors are asked for and not installed.
    """
    found = trained_on(prepared)
    if not found:
        raise Invalid(
            f"no image of {prepared.name} to train on has a caption; put it into NAME.txt beside "
            "NAME.jpg, or into the column `text` of metadata.jsonl"
        )
    return Sentences.installed() if read_by == "minilm" else Vocabulary.learn(found)


def trained_on(prepared: Prepared) -> list[str]:
    """The captions of the training images."""
    return [one for row in prepared.train.tolist() for one in captions(prepared, row)]


def untrue(prepared: Prepared, settings: Data) -> list[str]:
    """What augmentation makes untrue of the captions of the training images, a sentence each."""
    lines = trained_on(prepared)
    asked = [("flip", "mirrors images", SIDED)] if settings.flip else []
    asked += [("colour", "changes colours", COLOURED)] if settings.colour else []
    out = []
    for setting, does, about in asked:
        said = [found for line in lines if (found := about.intersection(words(line)))]
        counts = collections.Counter(word for found in said for word in sorted(found))
        if said:
            named = ", ".join(word for word, _ in counts.most_common(3))
            out.append(
                f"data.{setting} {does}, and {len(said):,} of {len(lines):,} captions say {named} or such, "
                f"which it makes untrue; leave data.{setting} out"
            )
    return out


def numbers(prepared: Prepared, names: Sequence[str]) -> np.ndarray:
    """(N, K) float32 of columns, NaN where a number is missing.

    Raises:
        Invalid: there is no such column, or a word of it is no number.
    """
    found = np.full((len(prepared), len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        for row, word in enumerate(prepared.column(name)):
            found[row, column] = _number(word, name) if word else math.nan
    return found


def drawn(prepared: Prepared, rows: np.ndarray, share_B: np.ndarray) -> list[str]:
    """One of each image's captions, by a number in [0, 1) each; "" of an image that has none."""
    said = [captions(prepared, row) for row in rows.tolist()]
    pairs = zip(said, share_B.tolist(), strict=True)
    return [some[int(share * len(some))] if some else "" for some, share in pairs]


def _number(word: str, name: str) -> float:
    try:
        number = float(word)
    except ValueError as error:
        raise Invalid(
            f"column {name!r} holds {word[:40]!r}, which is no number; leave it out of data.numbers"
        ) from error
    if not math.isfinite(number):
        raise Invalid(f"column {name!r} holds {word}; give a finite number, or nothing")
    return number


def scales(prepared: Prepared, names: Sequence[str]) -> tuple[Number, ...]:
    """Mean and standard deviation over the training images.

    Raises:
        Invalid: as `numbers`, or all are the same.
    """
    out = []
    for name, column_N in zip(names, numbers(prepared, names)[prepared.train].T, strict=True):
        known = column_N[~np.isnan(column_N)].astype(np.float64)
        if len({*known.tolist()}) < 2:
            raise Invalid(
                f"column {name!r} has no two different numbers to train on; leave it out of data.numbers"
            )
        out.append(Number(name=name, mean=float(known.mean()), deviation=float(known.std())))
    return tuple(out)


def facts(prepared: Prepared, names: Sequence[str], text: bool) -> dict[str, Any]:
    """What a model is to know of the training images: `examples`, and the `words` of their captions.

    Args:
        prepared: the set.
        names: columns of numbers.
        text: whether the model is conditioned on captions.
    """
    if not names and not text:
        return {}
    train = prepared.train
    rows = np.random.default_rng(derive_seed(0, "examples")).permutation(train)[:EXAMPLES]
    table = numbers(prepared, names)
    out: dict[str, Any] = {"examples": []}
    for row in rows.tolist():
        said = captions(prepared, row) if text else []
        one = said[derive_seed(0, "example", row) % len(said)] if said else ""
        known = [None if math.isnan(n) else n for n in table[row].tolist()]
        out["examples"].append([one, known])
    if text:
        counts = collections.Counter(word for one in trained_on(prepared) for word in words(one))
        out["words"] = sorted(word for word, _ in counts.most_common(MOST_WORDS))
    return out
