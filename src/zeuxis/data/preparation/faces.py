"""Whether pictures show a face from the front, by OpenCV's cascade of local binary patterns.

A stump looks at a grid of 3 x 3 blocks: which of the eight around are at least as bright as the middle?
Each stage sums a few of them and drops the window if the sum is low (Viola and Jones 2001; Liao et al. 2007).
Windows that pass all stages are confirmed by their neighbours. It tells that there is a face, never whose,
how old or of what sex; faces from the side, turned or half hidden it does not see.

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
TOGETHER = 16
"""Pictures that are looked at together."""
STRIDE = MOST + 2 * MARGIN + 1
AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))

Stage = tuple[list[list[int]], np.ndarray, float]


def seen(pictures: Sequence[np.ndarray]) -> list[bool]:
    """Whether each picture (H, W) uint8, grey, shows a face from the front."""
    batches = [pictures[at : at + TOGETHER] for at in range(0, len(pictures), TOGETHER)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [one for found in pool.map(_seen, batches) for one in found]


@functools.cache
def stages() -> tuple[Stage, ...]:
    """Offsets of blocks' corners (K, 16), leaves by pattern (K, 256) and the least sum of each stage."""
    root = ET.parse(FILE).getroot()
    rectangles = [_numbers(one) for one in root.iterfind("cascade/features/_/rect")]
    corners = list(itertools.product(range(4), range(4)))
    found = []
    for stage in root.iterfind("cascade/stages/_"):
        offsets, leaves = [], []
        for stump in stage.iterfind("weakClassifiers/_"):
            _, _, feature, *subset = map(int, _numbers(stump.find("internalNodes")))
            x, y, w, h = map(int, rectangles[feature])
            offsets.append([(y + j * h) * STRIDE + x + i * w for j, i in corners])
            left = np.unpackbits(np.array(subset, "<i4").view(np.uint8), bitorder="little")
            leaves.append(np.where(left, *_numbers(stump.find("leafValues"))))
        (threshold,) = _numbers(stage.find("stageThreshold"))
        found.append((offsets, np.array(leaves, np.float32), threshold))
    return tuple(found)


def _numbers(node: ET.Element | None) -> list[float]:
    return [float(word) for word in (node.text or "").split()] if node is not None else []


@dataclasses.dataclass(frozen=True)
class Level:
    """A picture at one of its sizes.

    Attributes:
        picture: its number.
        scale: times its own size.
        sums: (h + 1, w + 1) of all pixels above and to the left.
    """

    picture: int
    scale: float
    sums: np.ndarray


def _levels(number: int, picture: np.ndarray) -> Iterator[Level]:
    image = Image.fromarray(picture)
    scale = min(MOST / max(image.size), max(1.0, LEAST / min(image.size)))
    while True:
        size = [max(1, round(side * scale)) for side in image.size]
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        pixels = np.pad(pixels, MARGIN, mode="edge")
        if min(pixels.shape) < WINDOW:
            return
        sums = np.pad(pixels.cumsum(0, dtype=np.int32).cumsum(1), ((1, 0), (1, 0)))
        yield Level(number, scale, sums)
        scale /= SCALE


def _seen(pictures: Sequence[np.ndarray]) -> list[bool]:
    levels = [one for number, picture in enumerate(pictures) for one in _levels(number, picture)]
    if not levels:  # strips, as narrow as no face
        return [False] * len(pictures)
    limit = np.array([one.sums.shape for one in levels]) - WINDOW
    top = np.cumsum([0, *(len(one.sums) for one in levels)])
    flat = np.zeros((top[-1], STRIDE), np.int32)
    for start, one in zip(top, levels, strict=False):
        flat[start : start + len(one.sums), : one.sums.shape[1]] = one.sums
    flat = flat.ravel()
    grids = [np.mgrid[0:h:STEP, 0:w:STEP].reshape(2, -1) for h, w in limit]
    level = np.repeat(np.arange(len(levels)), [grid.shape[1] for grid in grids])
    y, x = np.concatenate(grids, 1)
    hit = _passed(flat, (top[level] + y) * STRIDE + x)
    level, at = level[hit], np.stack([y[hit], x[hit]])
    picture = np.array([one.picture for one in levels])
    scale = np.array([one.scale for one in levels])
    agree = np.zeros(len(level), int)
    for step in (-1, 0, 1):
        other = np.clip(level + step, 0, len(levels) - 1)
        ratio = scale[other] / scale[level]
        inner = WINDOW / 2 - MARGIN  # from a window's corner to its middle, in the picture itself
        place = np.rint((at + inner) * ratio - inner).astype(int)
        fits = (picture[other] == picture[level]) & (other == level + step)
        agree += np.where(fits, _near(flat, top[other], limit[other], place), 0)
    found = np.zeros(len(pictures), bool)
    found[picture[level[agree >= AGREE]]] = True
    return found.tolist()


def _near(flat: np.ndarray, top: np.ndarray, limit: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(H,) how many of the windows about each of the places (2, H) pass all stages."""
    y, x = place[:, :, None] + np.mgrid[-NEAR : NEAR + 1, -NEAR : NEAR + 1].reshape(2, 1, -1)
    h, w = limit.T[..., None]
    passed = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    number = np.flatnonzero(passed)
    corner = ((top[:, None] + y) * STRIDE + x).ravel()[number]
    passed.ravel()[np.delete(number, _passed(flat, corner))] = False
    return passed.sum(1)


def _passed(flat: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Numbers of the windows, given by their upper left corners (W,), that pass all stages."""
    alive = np.arange(len(corner))
    for offsets, leaves, threshold in stages():
        score = np.zeros(len(alive), np.float32)
        for offset, leaf in zip(offsets, leaves, strict=True):
            score += leaf[_pattern(flat, corner[alive], offset)]
        alive = alive[score >= threshold]
    return alive


def _pattern(flat: np.ndarray, corner: np.ndarray, offsets: Sequence[int]) -> np.ndarray:
    """(W,) eight bits: which of the blocks around are at least as bright as the middle."""
    sums = [flat[offset:].take(corner, mode="clip") for offset in offsets]

    def block(y: int, x: int) -> np.ndarray:
        at = 4 * y + x
        return sums[at] - sums[at + 1] - sums[at + 4] + sums[at + 5]

    middle = block(1, 1)
    code: np.ndarray = np.zeros(len(corner), np.uint8)
    for y, x in AROUND:
        code = code << 1 | (block(y, x) >= middle).view(np.uint8)
    return code
