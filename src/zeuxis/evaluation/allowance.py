"""How much can be measured within a time limit."""

import math
import time
from collections.abc import Callable

COUNTS = (2000, 1000, 500, 250, 125, 64, 32)
"""Samples that are measured: as many as the time allows."""
COMPARING_SHARE = 0.6
"""Share of the time for samples and distances, where classifiers are to be trained as well."""


class Allowance:
    """The time that measuring may take, and what is made smaller to keep to it.

    Costs are counted in looks, one look being what it takes to see one image by the feature network on
    this machine at this moment. The constants were read off a profile of 64 to 1,000 avatars at one thread;
    that they are rough matters little, for time is looked at again before each larger part.

    Args:
        seconds: for everything; None is without end.

    Attributes:
        notes: sentences on what was made smaller, for the report.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + self.seconds
        self.notes: list[str] = []

    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    def affords(self, seconds: float) -> bool:
        """Whether so many seconds are left."""
        return seconds <= self.left()

    @property
    def short(self) -> str:
        """Why something was left out for which there was no time."""
        return f"no time left of the {self.seconds:.0f} s for measuring; `zeuxis evaluate` has no time limit"

    def samples(self, asked: int, seconds: Callable[[int], float], shared: bool) -> int:
        """As many samples as the time allows, at most `asked`.

        Args:
            asked: without an end of time.
            seconds: of drawing and comparing so many.
            shared: whether classifiers are trained within the same time.
        """
        share = COMPARING_SHARE if shared else 1.0
        for count in (asked, *(each for each in COUNTS if each < asked)):
            if seconds(count) <= share * self.left():
                break
        if count < asked:
            self.notes.append(
                f"This machine measures {count} samples in the {self.seconds:.0f} s for measuring, not "
                f"{asked:,}, so the intervals are wider; `zeuxis evaluate` has no time limit."
            )
        return count


def looks(count: int, reference: int, searched: int, values: int) -> float:
    """What it takes to compare `count` samples with `reference` real images, in looks.

    Args:
        count: samples, and as many other real images.
        reference: images of the reference set.
        searched: images that are searched for copies of the samples.
        values: pixels times channels of an image.
    """
    seen = 2 * count + reference + 2 * min(count, 500)
    return seen + 500 + 8 * min(count, 300) + count + 4e-8 * count * searched * values


def classifiers(values: int) -> float:
    """What it takes to train two classifiers on images of so many values, in looks."""
    return 6 * values


def duration(call: Callable[[], object]) -> float:
    """Seconds of a call, the second one where the first, which also loads, was short."""
    for _ in "ab":
        began = time.perf_counter()
        call()
        seconds = time.perf_counter() - began
        if seconds > 1:
            break
    return seconds
