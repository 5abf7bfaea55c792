"""Whether pictures show a face from the front, by OpenCV's cascade of local binary patterns.

A stump looks at a grid of 3 x 3 blocks: which of the eight around are at least as bright as the middle?
Each stage sums a few of them and drops the window if the sum is low (Viola and Jones 2001; Liao et al. 2007).
Windows that pass all stages are confirmed by their neighbours, and do not count if they are drawn in flat
colours. It tells that there is a face, never whose, how old or of what sex; faces from the side, turned or
half hidden it does not see.

Legend: W windows, K stumps of a stage, L levels (pictures at one of their sizes), H hits.
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FILE = Path(__file__).with_name("frontal_face.xml")
WINDOW = 24
"""Pixels a side that the cascade was trained on."""
MOST = 256
"""Pixels a side to which larger pictures are shrunk: a face needs about a tenth of that."""
LEAST = 48
"""Pixels to which the shorter side of smaller pictures is enlarged."""
MARGIN = 8
"""Pixels by which the edges are repeated, for faces that fill their picture."""
SCALE, STEP = 1.2, 2
"""Ratio of the sizes that are looked at, and pixels between windows at first."""
NEAR, AGREE = 3, 5
"""Of the windows up to so many pixels beside a hit, at its size and the two next ones, so many must agree."""
FLAT = 1 / 3
"""Share of equal neighbours above which something is drawn in flat colours: no person is in it."""
TOGETHER = 16
"""Pictures that are looked at together."""
NEARBY = 1 << 15
"""Windows that are looked at together at first, so that what is made of them stays near the processor."""
AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))

Stage = tuple[list[list[tuple[int, int]]], np.ndarray, float]


def seen(pictures: Sequence[np.ndarray]) -> list[bool]:
    """Whether each picture (H, W) uint8, grey, shows a face from the front."""
    batches = [pictures[at : at + TOGETHER] for at in range(0, len(pictures), TOGETHER)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [one for found in pool.map(_seen, batches) for one in found]


@functools.cache
def stages() -> tuple[Stage, ...]:
    """Rows and columns of blocks' corners (K, 16), leaves by pattern (K, 256), least sum of each stage."""
    root = ET.parse(FILE).getroot()
    rectangles = [_numbers(one) for one in root.iterfind("cascade/features/_/rect")]
    corners = list(itertools.product(range(4), range(4)))
    found = []
    for stage in root.iterfind("cascade/stages/_"):
        offsets, leaves = [], []
        for stump in stage.iterfind("weakClassifiers/_"):
            _, _, feature, *subset = map(int, _numbers(stump.find("internalNodes")))
            x, y, w, h = map(int, rectangles[feature])
            offsets.append([(y + j * h, x + i * w) for j, i in corners])
            left = np.unpackbits(np.array(subset, "<i4").view(np.uint8), bitorder="little")
            leaves.append(np.where(left, *_numbers(stump.find("leafValues"))))
        (threshold,) = _numbers(stage.find("stageThreshold"))
        found.append((offsets, np.array(leaves, np.float32), threshold))
    return tuple(found)


def _numbers(node: ET.Element | None) -> list[float]:
    return [float(word) for word in (node.text or "").split()] if node is not None else []


@dataclasses.dataclass(frozen=True)
class Levels:
    """Pictures at all of their sizes, below one another.

    Attributes:
        picture: (L,) number of the picture.
        scale: (L,) times its own size.
        limit: (L, 2) places for a window, down and across.
        top: (L,) row of the first pixel, an even one.
        sums: of all pixels above and to the left, of a level each; zeros at the right and below.
    """

    picture: np.ndarray
    scale: np.ndarray
    limit: np.ndarray
    top: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, pictures: Sequence[np.ndarray]) -> "Levels | None":
        """Of pictures; None if all are strips, as narrow as no face."""
        known = [(n, *each) for n, picture in enumerate(pictures) for each in _sizes(picture)]
        if not known:
            return None
        shapes = np.array([pixels.shape for _, _, pixels in known]) + 2 * MARGIN + 1
        even = shapes + shapes % 2
        top = np.cumsum([0, *even[:, 0]])
        all_sums = np.zeros((top[-1] + WINDOW + 2, even[:, 1].max()), np.int32)
        for start, (height, width), (_, _, pixels) in zip(top, shapes, known, strict=False):
            near = (np.arange(-MARGIN, n + MARGIN).clip(0, n - 1) for n in pixels.shape)
            sums = pixels[np.ix_(*near)].cumsum(0, dtype=np.int32)
            np.cumsum(sums, 1, out=all_sums[start + 1 : start + height, 1:width])
        picture, scale = (np.array([one[part] for one in known]) for part in (0, 1))
        return cls(picture, scale, shapes - WINDOW, top[:-1], all_sums)


def _sizes(picture: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    image = Image.fromarray(picture)
    scale = min(MOST / max(image.size), max(1.0, LEAST / min(image.size)))
    while True:
        size = [max(1, round(side * scale)) for side in image.size]
        if min(size) + 2 * MARGIN < WINDOW:
            return
        yield scale, np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        scale /= SCALE


def _seen(pictures: Sequence[np.ndarray]) -> list[bool]:
    levels = Levels.of(pictures)
    if levels is None:
        return [False] * len(pictures)
    y, x = _first(levels)
    stay = _passed(levels.sums, y, x, stages()[1:])
    y, x = y[stay], x[stay]
    level = np.searchsorted(levels.top, y, "right") - 1
    at = np.stack([y - levels.top[level], x])
    agree = np.zeros(len(level), int)
    for step in (-1, 0, 1):
        other = np.clip(level + step, 0, len(levels.top) - 1)
        ratio = levels.scale[other] / levels.scale[level]
        inner = WINDOW / 2 - MARGIN  # from a window's corner to its middle, in the picture itself
        place = np.rint((at + inner) * ratio - inner).astype(int)
        fits = (levels.picture[other] == levels.picture[level]) & (other == level + step)
        agree += np.where(fits, _near(levels, other, place), 0)
    found = [False] * len(pictures)
    for hit in np.flatnonzero(agree >= AGREE):
        number, scale = levels.picture[level[hit]], levels.scale[level[hit]]
        low, high = (at[:, hit] - MARGIN) / scale, (at[:, hit] - MARGIN + WINDOW) / scale
        (top, left), (bottom, right) = (np.rint(each).astype(int).clip(0) for each in (low, high))
        found[number] = found[number] or not _flat(pictures[number][top:bottom, left:right])
    return found


def _flat(part: np.ndarray) -> bool:
    """Whether so many neighbours of a part are equal that it was drawn; photos have grain."""
    equal = [np.diff(part.astype(np.int16), axis=axis) == 0 for axis in (0, 1)]
    return sum(each.sum() for each in equal) > FLAT * sum(each.size for each in equal)


def _first(levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the windows, every other one down and across, that pass the first stage.

    They are so many that sums are not gathered one by one: those of even and odd rows and columns are brought
    together, and then a corner of all windows is a slice.
    """
    height, width = (side // 2 for side in levels.sums.shape)
    parity = levels.sums.reshape(height, 2, width, 2).transpose(1, 3, 0, 2).reshape(2, 2, -1)
    inside = np.zeros((height - WINDOW // 2 - 1, width), bool)
    for top, (h, w) in zip(levels.top, levels.limit, strict=True):
        inside[top // STEP : (top + h + 1) // STEP, : (w + 1) // STEP] = True
    corners, leaves, threshold = stages()[0]
    found = []
    for start in range(0, inside.size, NEARBY):
        end = min(start + NEARBY, inside.size)
        score = np.zeros(end - start, np.float32)
        for places, leaf in zip(corners, leaves, strict=True):
            ahead = [(y % 2, x % 2, y // 2 * width + x // 2) for y, x in places]
            score += leaf[_pattern([parity[y, x, start + by : end + by] for y, x, by in ahead])]
        found.append(start + np.flatnonzero((score >= threshold) & inside.ravel()[start:end]))
    row, column = np.divmod(np.concatenate(found), width)
    return STEP * row, STEP * column


def _near(levels: Levels, level: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(H,) how many of the windows about each of the places (2, H) pass all stages."""
    y, x = place[:, :, None] + np.mgrid[-NEAR : NEAR + 1, -NEAR : NEAR + 1].reshape(2, 1, -1)
    h, w = levels.limit[level].T[..., None]
    passed = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    number = np.flatnonzero(passed)
    y, x = (each.ravel()[number] for each in (levels.top[level][:, None] + y, x))
    passed.ravel()[np.delete(number, _passed(levels.sums, y, x, stages()))] = False
    return passed.sum(1)


def _passed(sums: np.ndarray, y: np.ndarray, x: np.ndarray, some: Sequence[Stage]) -> np.ndarray:
    """Numbers of the windows, given by rows and columns of their corners (W,), that pass some stages."""
    width, flat = sums.shape[1], sums.ravel()
    corner, alive = y * width + x, np.arange(len(y))
    for corners, leaves, threshold in some:
        score = np.zeros(len(alive), np.float32)
        for places, leaf in zip(corners, leaves, strict=True):
            ahead = [down * width + across for down, across in places]
            score += leaf[_pattern([flat[by:].take(corner, mode="clip") for by in ahead])]
        stay = score >= threshold
        corner, alive = corner[stay], alive[stay]
    return alive


def _pattern(sums: Sequence[np.ndarray]) -> np.ndarray:
    """(W,) eight bits: which of the blocks around are at least as bright as the middle.

    Args:
        sums: (W,) each, at the 16 corners of the blocks.
    """
    rows = [[sums[4 * y + x + 1] - sums[4 * y + x] for x in range(3)] for y in range(4)]
    blocks = [
        [lower - upper for upper, lower in zip(*pair, strict=True)]
        for pair in itertools.pairwise(rows)
    ]
    code: np.ndarray = np.zeros(len(sums[0]), np.uint8)
    for y, x in AROUND:
        code = code << 1 | (blocks[y][x] >= blocks[1][1]).view(np.uint8)
    return code
