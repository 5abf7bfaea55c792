"""Delete-half jackknife: bias and interval of a statistic that finite sets bias upwards.

A distance between finite sets of n images is off by about c / n on average, and no naive bootstrap
shows it: drawing with replacement repeats images, which adds the same bias once more, so its
interval can exclude the very number that it belongs to. Halves drawn *without* replacement are sets
as real as the whole. Each side is cut into 8 random groups; 7 balanced splits (the columns of a
Hadamard matrix: McCarthy 1969, "Pseudo-replication: half samples") take 4 of them and the other 4.
With f the number from all images, f_s and f'_s from the two halves of split s:

    corrected = 2 f - mean of all f_s and f'_s      (the c / n of the bias cancels: Quenouille 1949)
    variance  = mean over s of ((f_s - f'_s) / 2)^2

A half's deviation from the whole has the whole's own variance, so f_s - f'_s has four times that.
The interval is corrected +- t sqrt(variance), t = 2.365 for 7 degrees of freedom. Where the sets come from
one distribution the number has no linear part and the interval is too wide (by about a third).
"""

import math
from collections.abc import Sequence

import numpy as np

GROUPS = 8
STUDENT = 2.3646
"""97.5 % point of Student's t with 7 degrees of freedom."""

Half = Sequence[int]
"""Which 4 of the 8 groups."""


def splits() -> list[tuple[Half, Half]]:
    """The 7 balanced splits of 8 groups: two groups are together in just 3 of them.

    >>> splits()[0]
    ([0, 2, 4, 6], [1, 3, 5, 7])
    """
    odd = [[(group & mask).bit_count() % 2 for group in range(GROUPS)] for mask in range(1, GROUPS)]
    return [
        ([g for g in range(GROUPS) if not row[g]], [g for g in range(GROUPS) if row[g]])
        for row in odd
    ]


def groups(n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows 0 to n - 1 in 8 random groups, equal in size but for one."""
    return np.array_split(rng.permutation(n), GROUPS)


def corrected(whole: float, halves: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The number without the bias that its finite sets bring, and its 95 % interval.

    Args:
        whole: from all images.
        halves: (7, 2), from the two halves of each split.
    """
    value = 2 * whole - float(halves.mean())
    half = STUDENT * math.sqrt(np.square(np.diff(halves, axis=1) / 2).mean())
    return value, (value - half, value + half)
