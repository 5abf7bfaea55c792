"""What is declared beside a setting: the range that a search may take it from, and when it is used at all.

    gamma: Annotated[float, Span(0.1, 10, log=True), When("penalty")] = pydantic.Field(1.0, ge=0)

is searched from 0.1 to 10, evenly on a logarithmic scale, and changes nothing unless `penalty` is on. Without
a range, declared or typed by a user, nothing is searched.
"""

import dataclasses
import math
import operator
import re
from typing import Any

import pydantic

from zeuxis.core.errors import Invalid

FORMS = "expected LOW..HIGH, LOW..HIGH log, or words with | between them, such as 1e-4..1e-2 log or 16|32"
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"


@dataclasses.dataclass(frozen=True)
class Span:
    """All numbers from `low` to `high`, both included; whole ones where the setting is whole.

    Attributes:
        low, high: the ends.
        log: whether what counts is the ratio, not the difference.
    """

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}{' log' if self.log else ''}"


@dataclasses.dataclass(frozen=True)
class Among:
    """One of some words, as they are typed for the setting."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.words)


@dataclasses.dataclass(frozen=True)
class Around:
    """By a factor below and above the family's default: any number, or powers of two times a whole one."""

    factor: float

    def of(self, default: float) -> "Span | Among":
        """The range about a default.

        >>> str(Around(5).of(0.001)), str(Around(2).of(64))
        ('0.0002..0.005 log', '32|64|128')
        """
        if isinstance(default, int):
            powers = range(-int(math.log2(self.factor)), int(math.log2(self.factor)) + 1)
            return Among(tuple(str(round(default * 2.0**power)) for power in powers))
        return Span(default / self.factor, default * self.factor, log=True)


class When:
    """The setting is used only with some values of another, or without these while that is on.

    Attributes:
        name: of the other setting, or of what a config knows of its data (`given`, `source.kind`).
        values: of which it has, or holds, one; by default any but 0, nothing and `none`.
    """

    def __init__(self, name: str, *values: str) -> None:
        self.name, self.values = name, values

    def found(self, settings: pydantic.BaseModel) -> Any:
        """What the other setting is."""
        return operator.attrgetter(self.name)(settings)

    def met(self, settings: pydantic.BaseModel) -> bool:
        """Whether a setting that is declared so is used."""
        found = self.found(settings)
        if not self.values:
            return bool(found) and found != "none"
        return not {*self.values}.isdisjoint(found if isinstance(found, tuple) else (found,))


Range = Span | Among


def parse(text: str, name: str) -> Range:
    """The range that a user typed for the setting `name`.

    >>> parse("1e-4..1e-2 log", "lr"), parse("16|32", "features")
    (Span(low=0.0001, high=0.01, log=True), Among(words=('16', '32')))

    Raises:
        Invalid: it is none; one sentence.
    """
    found = re.fullmatch(rf"({NUMBER})\s*\.\.\s*({NUMBER})(\s+log)?", text.strip(), re.IGNORECASE)
    if found is None:
        words = tuple(word.strip() for word in text.split("|"))
        if len(words) < 2 or not all(words) or len({*words}) < len(words) or ".." in text:
            raise Invalid(f"{name} is to be searched in {text!r}: {FORMS}")
        return Among(words)
    low, high, log = float(found[1]), float(found[2]), bool(found[3])
    if not low < high < math.inf:
        raise Invalid(f"{name} is to be searched from {low:g} to {high:g}; the first is the lower")
    if log and low <= 0:
        raise Invalid(f"{name} is to be searched from {low:g} on a log scale, which begins above 0")
    return Span(low, high, log)
