"""The ratio of two measured numbers, with an interval made from theirs.

Each side may have a lopsided interval, such as Wilson's for a share. A ratio r is refused where the
interval of a - r b, by the squares of the distances from each estimate to its limits, excludes
zero; solved for r this gives the limits in closed form (Donner & Zou 2012, Statistical Methods in Medical
Research 21:347, eq. 9; "MOVER-R" in Newcombe 2016, ibid. 25:1774). With symmetric intervals it is Fieller's
(1954). The sides must be independent of each other.
"""

import math

from zeuxis.core.errors import Invalid
from zeuxis.metrics import Estimate


def ratio(above: Estimate, below: Estimate) -> Estimate:
    """`above` / `below` of two quantities that cannot be negative; the receipt is `above`'s.

    Raises:
        ValueError: a limit is negative, or `below` may be zero.
    """
    a, (low_a, high_a) = above.value, above.interval
    b, (low_b, high_b) = below.value, below.interval
    if low_a < 0 or low_b <= 0:
        raise Invalid(
            f"a ratio needs numbers that are not negative over one that is not zero, got "
            f"{a:.3g} ({low_a:.3g} to {high_a:.3g}) over {b:.3g} ({low_b:.3g} to {high_b:.3g})"
        )
    # roots of u r^2 - 2 a b r + v, where each limit meets the other side's opposite one
    u, v = high_b * (2 * b - high_b), low_a * (2 * a - low_a)
    low = v / (a * b + math.sqrt(max(0.0, (a * b) ** 2 - u * v))) if v else 0.0
    u, v = low_b * (2 * b - low_b), high_a * (2 * a - high_a)
    high = (a * b + math.sqrt(max(0.0, (a * b) ** 2 - u * v))) / u
    receipt = {**above.receipt, "interval": "95 %, from both sides' intervals (Donner & Zou 2012)"}
    return Estimate(value=a / b, interval=(low, high), n=min(above.n, below.n), receipt=receipt)


def difference(above: Estimate, below: Estimate) -> Estimate:
    """`above` - `below` of independent numbers (Newcombe 1998, Statistics in Medicine 17:873, method 10)."""
    down = math.hypot(above.value - above.interval[0], below.interval[1] - below.value)
    up = math.hypot(above.interval[1] - above.value, below.value - below.interval[0])
    value = above.value - below.value
    receipt = {**above.receipt, "interval": "95 %, from both sides' intervals (Newcombe 1998)"}
    interval = (value - down, value + up)
    return Estimate(value=value, interval=interval, n=min(above.n, below.n), receipt=receipt)


MUST_AGREE = (
    "network",
    "weights_sha256",
    "layer",
    "input",
    "precision",
    "image",
    "statistic",
    "k",
    "ties",
    "bins",
    "measure",
    "side",
    "fake",
    "real",
    "fake_form",
    "real_form",
)
"""Keys of a receipt without which two numbers of one name are two different numbers."""


def change(before: Estimate, after: Estimate) -> Estimate:
    """How much a measured number changed, `after` - `before`, for instance between two reports.

    Raises:
        ValueError: the receipts differ in what the number depends on; names the key and both values.
    """
    for key in MUST_AGREE:
        one, other = before.receipt.get(key), after.receipt.get(key)
        if one != other:
            raise Invalid(
                f"these two numbers cannot be compared: {key} is {one!r} before and {other!r} after; "
                "measure both in the same way"
            )
    return difference(after, before)
