"""Checks that features may be compared: computed alike, of enough images, all finite.

Shapes: N images, D features.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.features.inception import PUBLISHED

ROWS = 4096
"""Rows looked at together."""


def agree(fake: Mapping[str, Any], real: Mapping[str, Any]) -> None:
    """Let pass two receipts that are equal.

    Raises:
        ValueError: they differ; names a key that does, and both values.
    """
    unlike = sorted(key for key in {*fake, *real} if fake.get(key) != real.get(key))
    if unlike:
        key = unlike[0]
        raise Invalid(
            f"these features cannot be compared: {key} is {fake.get(key)!r} on one side and "
            f"{real.get(key)!r} on the other; compute both in the same way"
        )


def check(what: str, fake: Features, real: Features, least: int) -> None:
    """Let pass two sets of features that `what` can be computed from.

    Args:
        what: the number's name with its article, for the messages.
        fake: (N, D).
        real: (M, D).
        least: how many images each side needs.

    Raises:
        ValueError: receipts, or numbers of features, differ; too few images; NaN or infinity.
    """
    agree(fake.receipt, real.receipt)
    if min(len(fake), len(real)) < least:
        raise Invalid(
            f"{what} needs at least {least} images a side, got {len(fake)} and {len(real)}"
        )
    same_width(fake.array.shape[1:], real.array.shape[1:])
    finite("fake", fake.array)
    finite("real", real.array)


def same_width(fake: tuple[int, ...], real: tuple[int, ...]) -> None:
    """Let pass two sets with one number of features.

    Raises:
        ValueError: they differ.
    """
    if fake != real:
        raise Invalid(
            f"one side has {fake} features an image and the other {real}; "
            "compute both with the same network and layer"
        )


def finite(side: str, x_ND: np.ndarray) -> None:
    """Let pass features without NaN and infinity.

    Raises:
        ValueError: there is one; names the first image that has it.
    """
    for start in range(0, len(x_ND), ROWS):
        bad_N = ~np.isfinite(x_ND[start : start + ROWS]).all(1)
        if bad_N.any():
            raise Invalid(
                f"the features of {side} image {start + int(bad_N.argmax())} hold NaN or infinity; "
                "leave it out, or find out what made them"
            )


def is_inception(receipt: Mapping[str, Any]) -> bool:
    """Whether a receipt says the Inception network of 2015 with its published weights.

    >>> digest = PUBLISHED["inception-2015-12-05.pt"]
    >>> is_inception({"network": "Inception 2015", "weights_sha256": digest})
    True
    >>> is_inception({"network": "EfficientNet-lite0"})
    False
    """
    return (
        str(receipt.get("network", "")).lower().startswith("inception")
        and receipt.get("weights_sha256") in PUBLISHED.values()
    )
