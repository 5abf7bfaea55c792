"""Metrics of images, each with its interval, its sample size and what it was computed from."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from zeuxis.core.wilson import wilson


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured number that can be doubted.

    Attributes:
        value: the best guess.
        interval: 95 % confidence, (low, high).
        n: images of the smaller side.
        receipt: what it was computed from, JSON values: features, sides, settings.
    """

    value: float
    interval: tuple[float, float]
    n: int
    receipt: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """JSON values: what is not finite, such as the limits of an interval nobody knows, is null."""
        known = [x if math.isfinite(x) else None for x in (self.value, *self.interval)]
        return dataclasses.asdict(self) | {"value": known[0], "interval": known[1:]}


class Measured(dict[str, Estimate]):
    """Numbers by name, and the reason for each that could not be measured.

    Attributes:
        left_out: name -> why there is no such number.
    """

    def __init__(self, known: Mapping[str, Estimate] | None = None) -> None:
        super().__init__(known or {})
        self.left_out: dict[str, str] = {}

    def take(self, other: Mapping[str, Estimate]) -> None:
        """Add numbers, and the reasons of those that `other` lacks."""
        self.update(other)
        if isinstance(other, Measured):
            self.left_out |= other.left_out

    def leave_out(self, why: object, *names: str) -> None:
        """Say why there are no numbers of these names."""
        self.left_out |= dict.fromkeys(names, str(why))

    def attempt(self, names: Iterable[str], call: Callable[[], Mapping[str, Estimate]]) -> None:
        """Add what `call` finds; where it refuses, its sentence is why `names` are left out."""
        try:
            self.take(call())
        except ValueError as why:
            self.leave_out(why, *names)


def share(count: int, n: int, receipt: Mapping[str, Any]) -> Estimate:
    """`count` of `n` as an estimate, with Wilson's score interval (1927), which is right near 0 and 1.

    >>> share(0, 100, {}).interval[0], round(share(0, 100, {}).interval[1], 3)
    (0.0, 0.037)
    """
    return Estimate(value=count / n, interval=wilson(count, n), n=n, receipt=receipt)


def mean(values_N: np.ndarray, receipt: Mapping[str, Any]) -> Estimate:
    """The mean of at least 2 numbers, one an image; infinite ones are left out and counted."""
    finite_N = values_N[np.isfinite(values_N)].astype(np.float64)
    value = float(finite_N.mean()) if len(finite_N) else float("inf")
    half = 1.96 * float(finite_N.std(ddof=1)) / len(finite_N) ** 0.5 if len(finite_N) > 1 else 0.0
    noted = {**receipt, "infinite": int(len(values_N) - len(finite_N))}
    return Estimate(
        value=value, interval=(value - half, value + half), n=len(values_N), receipt=noted
    )
