"""Where in its frame a part of a marked picture lies.

A picture of 128 pixels or more has a second mark, a *pilot*: weak noise by the key, as spread-spectrum marks
are (Cox, Kilian, Leighton and Shamoon 1997), in the frame's middle frequencies. All sizes and places are
tried against it by Fourier transforms, the best are refined, and only then the carriers decide.

Places lie on a grid, so that they can be counted: there are `PLACES`, and a proof by one is weaker by that.

Shapes: S frame, P, Q plane, F frequencies.
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from zeuxis.marks.carriers import Key
from zeuxis.marks.planes import blur, sampler, times

SIDE = 128
"""S, of all frames that have a pilot."""
BAND = (0.1, 0.4)
"""Frequencies of the pilot, in cycles a frame pixel."""
SLOPE = 1.5
"""Power of the frequency that whitens pictures, which hide a mark otherwise."""
WANTED = 12.0
"""Standard deviations of unmarked pictures that the pilot is to stand out by."""
GREATEST = 10 ** (-43 / 20) * 255
"""Root mean square of the pilot in levels, at most."""
LEAST = 0.7
"""Share of a frame's side that a part must have."""
GRID = 32
"""Places in a frame pixel."""
PLACES = (((1 - LEAST) * SIDE * GRID) ** 2 / 2) ** 2
"""Upper and lower border, left and right border: no crop takes more than the share left over of either."""
FLAT = 30.0
"""Local variance below which a picture counts as flat, where a pilot would be seen."""
CANDIDATES = 6
"""Places that are refined."""


@dataclass(frozen=True)
class Place:
    """Borders of a part in its frame, in 32nds of a frame pixel."""

    top: int
    bottom: int
    left: int
    right: int

    def moved(self, by: tuple[int, int, int, int]) -> "Place | None":
        """The place with its borders moved; None where the grid has no such place."""
        top, bottom, left, right = by
        there = Place(self.top + top, self.bottom + bottom, self.left + left, self.right + right)
        return there if there.possible else None

    @property
    def possible(self) -> bool:
        """Whether it is one of the `PLACES`."""
        whole, least = SIDE * GRID, LEAST * SIDE * GRID
        return all(
            low >= 0 and high <= whole and high - low >= least
            for low, high in ((self.top, self.bottom), (self.left, self.right))
        )

    def samplers(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Resamplers of rows and columns of the part into its frame; rows of zeros outside of it."""
        sides = ((height, self.top, self.bottom), (width, self.left, self.right))
        rows, columns = (
            sampler(n, SIDE, n * SIDE * GRID / (high - low), n * low / (high - low))
            for n, low, high in sides
        )
        return rows, columns


@dataclass(frozen=True)
class Pilot:
    """The pilot of a key: a unit vector in the space of the band's whitened coefficients."""

    at_2F: tuple[np.ndarray, np.ndarray]
    white_F: np.ndarray
    drawn_F: np.ndarray

    def score(self, plane_SS: np.ndarray) -> float:
        """How far a frame's plane stands out, in standard deviations of planes without the pilot."""
        seen_F = np.fft.rfft2(plane_SS)[self.at_2F] * self.white_F
        length = math.sqrt(float((np.abs(seen_F) ** 2).sum())) or 1.0
        along = float((seen_F.real * self.drawn_F.real + seen_F.imag * self.drawn_F.imag).sum())
        return along / length * math.sqrt(2 * len(seen_F))

    def pattern(self) -> np.ndarray:
        """The change of a normalised plane that moves it towards the pilot most, (S, S)."""
        spectrum = np.zeros((SIDE, SIDE // 2 + 1), complex)
        spectrum[self.at_2F] = self.drawn_F * self.white_F
        return np.fft.irfft2(spectrum, (SIDE, SIDE))


@functools.lru_cache(maxsize=8)
def pilot(key: Key) -> Pilot:
    """The pilot of a key."""
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)
    radius = np.hypot(down, across)
    high, wide = np.nonzero((radius >= BAND[0]) & (radius <= BAND[1]) & (across > 0))
    at_2F, count = (high, wide), len(high)
    length = np.sqrt(-2 * np.log(key.uniform("pilot/length", count)))
    drawn_F = length * np.exp(2j * math.pi * key.uniform("pilot/angle", count))
    return Pilot(at_2F, radius[at_2F] ** SLOPE, drawn_F / np.linalg.norm(drawn_F))


def normalised(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A plane less what is smooth, over its local deviation; and one over that."""
    sigma = max(1.0, min(plane.shape) / 24)
    near = [blur(n, sigma) for n in plane.shape]
    far = [blur(n, 2 * sigma) for n in plane.shape]
    detail = plane - times(near[0], plane, near[1].T)
    power = times(far[0], detail * detail, far[1].T).clip(0)
    gain = 1 / np.sqrt(power + 0.02 * power.mean() + FLAT)
    return (detail * gain).clip(-2.5, 2.5), gain


def way(frame_SS: np.ndarray, key: Key) -> np.ndarray:
    """The change of a frame's luma that its pilot grows by most, (S, S), of root mean square 1."""
    change_SS = pilot(key).pattern() * normalised(frame_SS)[1]
    return change_SS / math.sqrt(float((change_SS * change_SS).mean()))


def amount(frame_SS: np.ndarray, change_SS: np.ndarray, key: Key) -> float:
    """The least share of a change, in [0, 1], that lets a frame stand out as wanted, if any does."""
    low, high = 0.0, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        enough = pilot(key).score(normalised(frame_SS + middle * change_SS)[0]) > WANTED
        low, high = (low, middle) if enough else (middle, high)
    return high


def places(plane_PQ: np.ndarray, key: Key, uneven: int = SIDE) -> Iterator[Place]:
    """Where in its frame a picture that is a part may lie, the likeliest first.

    Args:
        plane_PQ: luma of the picture.
        key: of the pilot.
        uneven: by how many frame pixels height and width may differ.
    """
    along = pilot(key)
    wanted = np.zeros((SIDE, SIDE // 2 + 1), np.complex64)
    wanted[along.at_2F] = along.drawn_F * along.white_F
    white = np.zeros(wanted.shape, np.float32)
    white[along.at_2F] = along.white_F
    middle = round((1 + LEAST) / 2 * SIDE)
    small = [sampler(n, middle) for n in plane_PQ.shape]
    plain = normalised(small[0] @ plane_PQ @ small[1].T)[0].astype(np.float32)
    sides = range(SIDE, math.ceil(LEAST * SIDE) - 1, -1)
    bring = {side: sampler(middle, side).astype(np.float32) for side in sides}
    found: list[tuple[float, Place]] = []
    for height in sides:
        widths = [width for width in sides if abs(width - height) <= uneven]
        planes = np.zeros((len(widths), SIDE, SIDE), np.float32)
        high = bring[height] @ plain
        for i, width in enumerate(widths):
            planes[i, :height, :width] = high @ bring[width].T
        spectrum = np.fft.rfft2(planes) * white
        length = np.sqrt((np.abs(spectrum) ** 2).sum((1, 2)))
        score = np.fft.irfft2(wanted * spectrum.conj(), (SIDE, SIDE))
        for i, width in enumerate(widths):
            here = score[i, : SIDE - height + 1, : SIDE - width + 1] / length[i]
            top, left = (int(n) for n in np.unravel_index(here.argmax(), here.shape))
            borders = (top, top + height, left, left + width)
            found.append((float(here.max()), Place(*(GRID * n for n in borders))))
    found.sort(key=lambda each: -each[0])
    chosen: list[Place] = []
    for _, place in found:
        if len(chosen) < CANDIDATES and all(apart(place, other) > 4 * GRID for other in chosen):
            chosen.append(place)
    yield from chosen


def apart(one: Place, other: Place) -> int:
    """Sum of distances of the borders."""
    names = ("top", "bottom", "left", "right")
    return sum(abs(getattr(one, name) - getattr(other, name)) for name in names)


def stands_out(plane_PQ: np.ndarray, place: Place, key: Key) -> float:
    """Score of the pilot in a part at a place."""
    rows, columns = place.samplers(*plane_PQ.shape)
    inside = [np.flatnonzero(each.any(1)) for each in (rows, columns)]
    framed = np.zeros((SIDE, SIDE))
    framed[np.ix_(*inside)] = normalised(rows[inside[0]] @ plane_PQ @ columns[inside[1]].T)[0]
    return pilot(key).score(framed)


MOVES = [
    tuple(sign * step for step in move)
    for move in ((1, 0, 0, 0), (0, 1, 0, 0), (1, 1, 0, 0), (1, -1, 0, 0))
    for sign in (1, -1)
]
MOVES += [move[2:] + move[:2] for move in MOVES]


def refined(place: Place, score: Callable[[Place], float], steps: tuple[int, ...]) -> Place:
    """The best place around one: borders and their means are moved by smaller and smaller steps."""
    best = score(place)
    for step in steps:
        better = True
        while better:
            better = False
            for move in MOVES:
                there = place.moved(
                    (move[0] * step, move[1] * step, move[2] * step, move[3] * step)
                )
                if there and (value := score(there)) > best:
                    place, best, better = there, value, True
    return place
