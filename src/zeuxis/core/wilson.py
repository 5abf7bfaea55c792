"""The interval of a share."""

import math


def wilson(count: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval (1927) of `count` of `n`, which is right near 0 and 1.

    >>> [round(limit, 3) for limit in wilson(0, 100)]
    [0.0, 0.037]
    """
    p, z2 = count / n, 1.96**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # at 0 the formula's zero, without its rounding error
    return max(0.0, centre - half) if count else 0.0, min(1.0, centre + half)
