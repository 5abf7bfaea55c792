"""Planes of numbers, resampled and transformed by matrices, the same on any number of threads.

What is multiplied lies on grids of binary fractions, on which float64 adds without rounding: so sums do not
depend on their order, and with it not on threads or on the library that multiplies.
"""

import functools
import math

import numpy as np


def fixed(values: np.ndarray, bits: int) -> np.ndarray:
    """Round to multiples of 2^-bits, whose products float64 adds exactly in any order."""
    return np.asarray(np.rint(values * 2.0**bits) * 2.0**-bits)


def times(left: np.ndarray, plane: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product of three, the outer ones by 2^-16ths; exact but for rounding to 2^-10ths of the middle."""
    if left.shape[0] * plane.shape[1] > left.shape[1] * right.shape[1]:
        return np.asarray(left @ fixed(fixed(plane, 10) @ right, 10))
    return np.asarray(fixed(left @ fixed(plane, 10), 10) @ right)


def cosines(side: int) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II), (side, side)."""
    k, x = np.indices((side, side))
    return np.cos(np.pi * k * (x + 0.5) / side) * np.sqrt(np.where(k == 0, 1, 2) / side)


def lapped(side: int, block: int) -> np.ndarray:
    """The orthonormal transform of a frame, (side, side): coefficient by frame pixel.

    Cosine transforms of blocks, after rotations of what is odd about each border between two of them: V of
    Malvar's fast lapped transform, in the time domain (Tran, Liang and Tu 2003). A constant is even about
    borders, so that no coefficient but a block's first sees the picture's brightness.
    """
    half = block // 2
    k, x = np.indices((half, half))
    fourth = np.cos(np.pi * (k + 0.5) * (x + 0.5) / half) * math.sqrt(2 / half)
    turn = fourth @ cosines(half).T[::-1] * (-1.0) ** x
    mirror, one = np.eye(half)[::-1], np.eye(half)
    butterfly = np.block([[one, mirror], [mirror, -one]]) / math.sqrt(2)
    middle = np.block([[one, 0 * one], [0 * one, turn]])
    border = butterfly @ middle @ butterfly
    whole = np.eye(side)
    for at in range(block, side, block):
        around = slice(at - half, at + half)
        whole[around, around] = border
    return np.kron(np.eye(side // block), cosines(block)) @ whole


def sampler(count: int, to: int, whole: float | None = None, start: float = 0.0) -> np.ndarray:
    """Antialiased cubic resampling (Keys 1981, a = -1/2) as a matrix, (to, count), rows of sum 1 or 0.

    Args:
        count: pixels of a side.
        to: frame pixels of the side.
        whole: pixels that the frame spans, where the picture is only a part of it.
        start: frame's pixels before the picture's first.
    """
    whole = count if whole is None else whole
    wide = max(1.0, whole / to)
    centre = (np.arange(to)[:, None] + 0.5) * whole / to - 0.5 - start
    x = np.abs(np.arange(count) - centre) / wide
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weight = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    inside = (centre > -0.6 * wide) & (centre < count - 1 + 0.6 * wide)
    return np.where(inside, weight / np.where(inside, weight.sum(1, keepdims=True), 1), 0.0)


@functools.lru_cache(maxsize=128)
def blur(side: int, sigma: float) -> np.ndarray:
    """Gaussian blur of a side that keeps constants, (side, side)."""
    apart = np.arange(side)[:, None] - np.arange(side)
    weight = np.exp(-0.5 * (apart / sigma) ** 2)
    return fixed(weight / weight.sum(1, keepdims=True), 16)
