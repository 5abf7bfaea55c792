"""An invisible mark in the pixels of a picture, and the proof that it is there.

Spread-transform dither modulation (Chen and Wornell, "Quantization index modulation", 2001): each carrier s
of a picture (`carriers`) is moved next to the nearest point of a lattice, step (m + dither) with m whole, or
of one half a step further where the payload's code says so. The change is the smallest that does it, weighed
by what hides it. It is found by conjugate gradients, again and again after the pixels were rounded. A carrier
is left `slack` steps away from its point: that saves much change and costs little proof.

Whoever has a key can find its mark, and can forge and erase it: `PUBLIC_KEY`, which every copy of Zeuxis has,
says "some Zeuxis made this" and is no evidence of origin; a private key is, for whoever keeps it.

Shapes: H, W picture, P, Q plane to work on, S frame, K carriers.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from zeuxis.marks import crops
from zeuxis.marks.carriers import Key, carriers, frame_of
from zeuxis.marks.planes import blur, fixed, sampler, times
from zeuxis.marks.reading import (
    LUMA,
    PLANE,
    SURE,
    Found,
    analysis,
    coefficients,
    luma,
    part,
    turned,
    whole,
)

__all__ = ["PUBLIC_KEY", "Found", "Key", "capacity", "detect", "detect_film", "embed"]

PUBLIC_KEY = Key(b"zeuxis-1")
"""The key of every copy of Zeuxis: finds what any of them has marked."""
HIDES = (0.35, 1.6)
"""The least and the most that a place hides, about its picture's mean."""
GREATEST = 10.0
"""Levels that a pixel is changed by at most."""
ROUNDS, STEPS = 6, 12
"""Times that pixels are rounded and the change is mended; steps of conjugate gradients each time."""
RIDGE = 0.03
"""What hides less than this can hardly be changed, and carriers that lie there are given up."""
COPIES = 8
"""A picture, turned and flipped."""


def capacity(height: int, width: int) -> int:
    """Bits of payload that a picture of this size carries: 0, 16, 32 or 64."""
    frame = frame_of(height, width)
    return frame.bits if frame else 0


def embed(image_HWC: np.ndarray, key: Key, payload: int) -> np.ndarray | None:
    """Mark a picture. The same picture, key and payload give the same bytes.

    Args:
        image_HWC: uint8 (H, W, C) with 1, 3 or 4 channels; alpha stays as it is.
        key: the key that will find the mark.
        payload: its lowest `capacity(H, W)` bits are put in.

    Returns:
        The marked picture, or None where it cannot carry a mark: it is smaller than 12 pixels, up to 45
        pixels and mostly black or white, or nothing can be moved in it.

    Raises:
        Invalid: not uint8, or not of such a shape.
    """
    luma_HW = luma(image_HWC)
    frame = frame_of(*luma_HW.shape)
    if frame is None or (frame.side <= 32 and np.isin(luma_HW, (0, 255)).mean() > 0.5):
        return None
    drawn = carriers(frame, key)
    height, width = luma_HW.shape
    up, across = enlarger(height), enlarger(width)
    rows, columns = (fixed(analysis(*frame.shape, m.shape[0]) @ m, 16) for m in (up, across))
    weight_PQ = hiding(image_HWC, luma_HW)
    if not weight_PQ.any():
        return None

    def moved(value_K: np.ndarray) -> np.ndarray:
        return drawn.values(times(rows, change(value_K), columns.T)) + RIDGE * value_K

    def change(value_K: np.ndarray) -> np.ndarray:
        return weight_PQ * times(rows.T, drawn.spread(value_K, frame.side), columns)

    goal_K = drawn.goal(payload)
    change_PQ = np.zeros_like(weight_PQ)
    marked_HWC = image_HWC
    for number in range(ROUNDS):
        if number == 1 and frame.piloted:
            change_PQ += pilot_of(luma(marked_HWC), weight_PQ, key)
            marked_HWC = added(image_HWC, times(up, change_PQ, across.T))
        value_K = drawn.values(coefficients(luma(marked_HWC), *frame.shape))
        off_K = value_K / frame.step - goal_K
        off_K -= np.rint(off_K)
        missing_K = np.sign(off_K) * np.maximum(np.abs(off_K) - frame.slack, 0) * -frame.step
        change_PQ += change(solved(moved, missing_K))
        change_PQ = change_PQ.clip(-GREATEST, GREATEST)
        marked_HWC = added(image_HWC, times(up, change_PQ, across.T))
    found = detect(marked_HWC, key)
    return marked_HWC if found.log10_p <= 1.5 * SURE else None


def detect(image_HWC: np.ndarray, key: Key, thorough: bool = False) -> Found:
    """Look for a key's mark; `thorough` tries turns, flips and parts of pictures, too.

    Args:
        image_HWC: uint8 (H, W, C) with 1, 3 or 4 channels.
        key: the key that the mark was put with.
        thorough: seconds instead of milliseconds.

    Raises:
        Invalid: not uint8, or not of such a shape.
    """
    luma_HW = luma(image_HWC)
    best = whole(luma_HW[None], key, COPIES if thorough else 1)
    if not thorough:
        return best
    copies = [np.rot90(side, turn) for side in (luma_HW, luma_HW[:, ::-1]) for turn in range(4)]
    looks = [lambda copy=copy: whole(copy[None], key, COPIES) for copy in copies[1:]]
    for look in [*looks, lambda: part(luma_HW, key), lambda: turned(luma_HW, key)]:
        if best.log10_p <= SURE:
            break
        best = min(best, look(), key=lambda found: found.log10_p)
    return best


def detect_film(frames: Sequence[np.ndarray], key: Key) -> Found:
    """Look for a key's mark in frames of one film together, each of which has it if the film has.

    Args:
        frames: uint8 (H, W, C) each, with 1, 3 or 4 channels, all of one height and width.
        key: the key that the mark was put with.

    Raises:
        Invalid: not uint8, or not of such a shape.
    """
    return whole(np.stack([luma(frame) for frame in frames]), key, 1)


def pilot_of(luma_HW: np.ndarray, weight_PQ: np.ndarray, key: Key) -> np.ndarray:
    """The change that lets parts of a picture be found, (P, Q)."""
    rows, columns = (fixed(sampler(n, crops.SIDE), 16) for n in luma_HW.shape)
    frame_SS = times(rows, luma_HW, columns.T)
    rows, columns = (fixed(m @ enlarger(m.shape[1]), 16) for m in (rows, columns))
    way_SS = crops.way(frame_SS, key)
    way_PQ = weight_PQ * times(rows.T, way_SS, columns)
    way_PQ *= crops.GREATEST / math.sqrt(float((way_PQ * way_PQ).mean()))
    return way_PQ * crops.amount(frame_SS, times(rows, way_PQ, columns.T), key)


def solved(operator: Callable[[np.ndarray], np.ndarray], goal_K: np.ndarray) -> np.ndarray:
    """Solve operator(x) = goal by conjugate gradients (Hestenes and Stiefel 1952), nearly."""
    x_K, left_K = np.zeros_like(goal_K), goal_K
    way_K, square = left_K, float((left_K * left_K).sum())
    for _ in range(STEPS):
        if square < 1e-2:
            break
        moved_K = operator(way_K)
        length = square / float((way_K * moved_K).sum())
        x_K, left_K = x_K + length * way_K, left_K - length * moved_K
        before, square = square, float((left_K * left_K).sum())
        way_K = left_K + square / before * way_K
    return x_K


def added(image_HWC: np.ndarray, change_HW: np.ndarray) -> np.ndarray:
    """A picture with the same change to all of its colours, rounded and clipped; alpha as it is."""
    whole_HW1 = np.floor(change_HW + 0.5).astype(np.int16)[..., None]
    colours = image_HWC[..., :3] if image_HWC.shape[2] == 4 else image_HWC
    changed = (colours + whole_HW1).clip(0, 255).astype(np.uint8)
    if image_HWC.shape[2] == 4:
        return np.concatenate([changed, image_HWC[..., 3:]], -1)
    return changed


@functools.lru_cache(maxsize=32)
def enlarger(side: int) -> np.ndarray:
    """Pixels of a picture's side by those of the plane to work on, (side, P)."""
    return fixed(sampler(min(side, PLANE), side), 16)


def hiding(image_HWC: np.ndarray, luma_HW: np.ndarray) -> np.ndarray:
    """How much each place hides, (P, Q): its local deviation, and its room up and down."""
    height, width = luma_HW.shape
    down, across = (fixed(sampler(n, min(n, PLANE)), 16) for n in (height, width))
    plane_PQ = times(down, luma_HW, across.T)
    sigma = max(0.8, min(plane_PQ.shape) / 160)
    rows, columns = (blur(n, sigma) for n in plane_PQ.shape)
    detail = plane_PQ - times(rows, plane_PQ, columns.T)
    busy = np.sqrt(times(rows, detail * detail, columns.T).clip(0) + 1)
    busy = (busy / np.sqrt((busy * busy).mean())).clip(*HIDES)
    colours = image_HWC[..., : 3 if image_HWC.shape[2] > 1 else 1].astype(np.int32)
    parts = LUMA if colours.shape[2] == 3 else np.array([256])
    room_HW = np.minimum(
        *((np.minimum(space, 8) * parts).sum(-1) for space in (colours, 255 - colours))
    ) / (8 * 256.0)
    room_HW = 0.25 + 0.75 * room_HW
    if image_HWC.shape[2] == 4:
        room_HW *= image_HWC[..., 3] / 255.0
    return np.asarray(busy * times(down, room_HW, across.T))
