"""The grids that an image passes through, each half of the one before, and their channels."""

from zeuxis.core.errors import Invalid

COARSEST = 4
"""Networks halve the grid until no side is longer than this; smaller images are refused."""


def grids(height: int, width: int, patch: int = 1) -> list[tuple[int, int]]:
    """Height and width of each grid, finest first; odd sides are rounded up.

    Args:
        height: of the image.
        width: of the image.
        patch: pixels along each side that the finest grid sees as one point.

    >>> grids(28, 20, patch=2)
    [(14, 10), (7, 5), (4, 3)]
    """
    sizes = [(-(-height // patch), -(-width // patch))]
    while max(sizes[-1]) > COARSEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def widths(features: int, most: int, count: int) -> list[int]:
    """Channels of `count` grids, finest first: each halving doubles them, up to `most`.

    >>> widths(16, 48, 4)
    [16, 32, 48, 48]
    """
    return [min(features * 2**i, most) for i in range(count)]


def check_size(family: str, height: int, width: int) -> None:
    """Refuse images that leave nothing to halve.

    Raises:
        ValueError: a side shorter than `COARSEST`.
    """
    if min(height, width) < COARSEST:
        raise Invalid(
            f"height x width is {height} x {width}, but a {family} needs at least "
            f"{COARSEST} x {COARSEST}; prepare larger images"
        )
