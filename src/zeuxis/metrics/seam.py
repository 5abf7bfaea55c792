"""Whether a picture tiles: the step across its border among the steps inside it.

A ratio to the mean step misleads where steps differ much, as on bricks; a rank does not.

Shapes: H height, W width, C channels.
"""

import dataclasses

import numpy as np

BAR = 0.95
"""Rank up to which a border is no more conspicuous than the picture itself."""


@dataclasses.dataclass(frozen=True)
class Seam:
    """A border across which a picture repeats itself.

    Attributes:
        step: share of the interior steps that are smaller than the one across the border; a step is the mean
            absolute difference of neighbouring lines of pixels.
        bend: the same of the second differences that touch a step, two each.
    """

    step: float
    bend: float

    @property
    def rank(self) -> float:
        """The worse of both."""
        return max(self.step, self.bend)


def seams(pixels_HWC: np.ndarray) -> dict[str, Seam]:
    """The borders of a picture that is repeated, `x` from left to right and `y` from top to bottom.

    A picture without a seam has ranks that are even between 0 and 1: one in twenty is above `BAR` by chance.

    Args:
        pixels_HWC: any scale; at least 5 pixels along each side.
    """
    return {"x": _seam(pixels_HWC.swapaxes(0, 1)), "y": _seam(pixels_HWC)}


def _seam(lines: np.ndarray) -> Seam:
    """Of the border between the last of the lines and the first."""
    lines = lines.astype(np.float32)
    steps = lines - np.roll(lines, 1, 0)
    bends = np.roll(steps, -1, 0) - steps
    step, bend = (np.abs(d).mean((1, 2), dtype=np.float64) for d in (steps, bends))
    touching = bend + np.roll(bend, 1)
    return Seam(
        step=float((step[1:] < step[0]).mean()),
        bend=float((touching[2:-1] < touching[0]).mean()),  # the others touch the border, too
    )
