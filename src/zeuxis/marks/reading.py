"""What the carriers of a picture, or of a part of one, say of a key's mark; and how sure that is.

The dithers of a key's carriers are uniform, and nothing of a picture that was not marked with the key depends
on them. So, whatever that picture is, t, the sum of K terms cos 2 pi (s / step - dither), is a sum of cosines
of independent uniform angles, and for each a > 0

    P(T >= t) <= exp(-a t) I0(a)^K      (Chernoff's bound; I0: the modified Bessel function)

times all that is tried: gains, frames, words of the payload's code, turns, places of a crop. The proof is
over keys: it holds for each picture, were the key drawn anew.

Shapes: H, W picture, P, Q plane, S frame, K carriers, G gains, C words of the code.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.marks import crops
from zeuxis.marks.carriers import CODES, FRAMES, Carriers, Frame, Key, carriers
from zeuxis.marks.planes import fixed, lapped, sampler, times

SURE, CLEAR = -6.0, -1.5
"""Logarithms of the bounds below which a mark counts as found, and a symbol of its payload as read."""
GROUND = 128
"""Grey level that transparent pictures are laid on: colours that nobody sees carry nothing."""
LUMA = np.array([77, 150, 29])
"""Parts in 256 of red, green and blue (ITU-R BT.601)."""
GAIN_G = np.exp(0.02 * np.arange(-16, 17))
"""Contrasts that a picture may have got since it was marked."""
SHRUNK = 0.45
"""Share of its shortest side that a picture of a frame may have been brought to."""
PLANE = 256
"""The longest side of a plane to work on; of what is larger, nothing is lost that carries a mark."""
SMALLEST_PART = 64
"""The shortest side that is looked for in a larger picture."""
LAP = 4
"""Frame pixels around a block that must be seen for its carriers to count."""
TILT = np.geomspace(1e-3, 60, 400)
LOG_BESSEL = np.log(np.i0(TILT))
"""Some a of the bound, and log I0(a)."""


@dataclass(frozen=True)
class Found:
    """What a picture tells of a key's mark.

    Attributes:
        log10_p: the decimal logarithm of a bound on the probability that a picture which was never marked
            with this key looks at least as marked as this one; 0 says nothing, -6 one in a million.
        payload: what was put in, its `bits` lowest bits; None where that cannot be read for sure.
        bits: bits of payload that the mark holds, 0, 16, 32 or 64.
    """

    log10_p: float
    payload: int | None
    bits: int


def luma(image_HWC: np.ndarray) -> np.ndarray:
    """Brightness, (H, W) float64 in [0, 255] by 256ths; transparent pictures on grey.

    Raises:
        Invalid: not uint8 (H, W, C) with 1, 3 or 4 channels.
    """
    shape = image_HWC.shape
    if image_HWC.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3, 4) or 0 in shape:
        raise Invalid(
            f"found {image_HWC.dtype} {shape}; a mark lies in uint8 pictures (height, width, channels) "
            "with 1, 3 or 4 channels"
        )
    if shape[2] == 1:
        return image_HWC[..., 0].astype(np.float64)
    red, green, blue = (image_HWC[..., c].astype(np.int32) for c in range(3))
    whole = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    if shape[2] == 4:
        alpha = image_HWC[..., 3].astype(np.int32)
        whole = (whole * alpha + 256 * GROUND * (255 - alpha) + 127) // 255
    return whole / 256.0


@functools.lru_cache(maxsize=8)
def basis(side: int, block: int) -> np.ndarray:
    """The transform of a frame, (S, S)."""
    return fixed(lapped(side, block), 24)


@functools.lru_cache(maxsize=16)
def analysis(side: int, block: int, count: int) -> np.ndarray:
    """Coefficients of a frame by pixels of a picture's side, (S, count)."""
    return fixed(basis(side, block) @ fixed(sampler(count, side), 24), 16)


def coefficients(luma_HW: np.ndarray, side: int, block: int) -> np.ndarray:
    """The coefficients of a whole picture, (S, S)."""
    rows, columns = (analysis(side, block, count) for count in luma_HW.shape)
    return times(rows, luma_HW, columns.T)


def whole(luma_HW: np.ndarray, key: Key, copies: int) -> Found:
    """What a picture says that nothing was cut from, if it is one of `copies` that are looked at."""
    best = Found(0.0, None, 0)
    fitting = [frame for frame in FRAMES if frame.smallest * SHRUNK <= min(luma_HW.shape)]
    planes = {shape: coefficients(luma_HW, *shape) for shape in {f.shape for f in fitting}}
    for frame in fitting:
        drawn = carriers(frame, key)
        value_K = drawn.values(planes[frame.shape])
        found = read(drawn, frame, value_K, math.log10(2 * copies * len(FRAMES)))
        best = min(best, found, key=lambda each: each.log10_p)
    return best


def part(luma_HW: np.ndarray, key: Key) -> Found:
    """What a picture says that is a part of a marked one."""
    best = Found(0.0, None, 0)
    if min(luma_HW.shape) < SMALLEST_PART:
        return best
    small = [sampler(n, min(n, PLANE)) for n in luma_HW.shape]
    plane_PQ = small[0] @ luma_HW @ small[1].T
    for near in crops.places(plane_PQ, key):
        place = crops.refined(near, lambda at: crops.stands_out(plane_PQ, at, key), (16, 8, 4))
        for frame in (frame for frame in FRAMES if frame.piloted):
            best = min(best, placed(plane_PQ, place, frame, key), key=lambda f: f.log10_p)
        if best.log10_p <= SURE:
            break
    return best


def placed(plane_PQ: np.ndarray, near: crops.Place, frame: Frame, key: Key) -> Found:
    """What the carriers of a part say around a place."""
    tried = math.log10(2 * len(FRAMES) * crops.PLACES)
    transform, drawn = basis(*frame.shape), carriers(frame, key)

    def seen(place: crops.Place) -> tuple[Carriers, np.ndarray]:
        rows, columns = place.samplers(*plane_PQ.shape)
        value_K = drawn.values(transform @ (rows @ plane_PQ @ columns.T) @ transform.T)
        shown = [np.repeat(shown_blocks(each, frame), frame.block) for each in (rows, columns)]
        shown_K = np.outer(*shown).reshape(-1)[drawn.at_2K[0]]
        return drawn.of(shown_K), value_K[shown_K]

    def score(place: crops.Place) -> float:
        some, value_K = seen(place)
        return float(pilots(some, frame, value_K).max()) / math.sqrt(len(value_K) + 1)

    place = crops.refined(near, score, (4, 2, 1))
    some, value_K = seen(place)
    return read(some, frame, value_K, tried)


def shown_blocks(rows: np.ndarray, frame: Frame) -> np.ndarray:
    """Which blocks of a frame's side a part shows with enough of what they lap over."""
    shown = np.pad(rows.any(1), LAP, mode="edge")
    wide = frame.block + 2 * LAP
    return np.array([shown[at : at + wide].all() for at in range(0, frame.side, frame.block)])


def pilots(drawn: Carriers, frame: Frame, value_K: np.ndarray) -> np.ndarray:
    """How well the pilots lie on their lattices at each gain: sums of cosines, (G,)."""
    pilot_K = drawn.role_K < 0
    turn_GK = value_K[pilot_K] / (frame.step * GAIN_G[:, None]) - drawn.dither_K[pilot_K]
    return np.asarray(np.cos(2 * math.pi * turn_GK).sum(1))


def read(drawn: Carriers, frame: Frame, value_K: np.ndarray, tried: float) -> Found:
    """What carriers say; `tried`: the logarithm of how much is looked at besides gains."""
    sum_G = pilots(drawn, frame, value_K)
    gain = int(sum_G.argmax())
    agree_K = np.cos(2 * math.pi * (value_K / (frame.step * GAIN_G[gain]) - drawn.dither_K))
    words = [
        drawn.code_CK[:, drawn.role_K == symbol] @ agree_K[drawn.role_K == symbol]
        for symbol in range(frame.symbols)
    ]
    # By the pilots alone, or with the payload, all words of which are tried.
    total, count = float(sum_G[gain]), int((drawn.role_K < 0).sum())
    alone = chernoff(total, count)
    total += float(sum(score_C.max() for score_C in words))
    together = chernoff(total, len(value_K)) + frame.symbols * math.log10(CODES)
    log10_p = min(0.0, min(alone, together) + math.log10(2 * len(GAIN_G)) + tried)
    clear = [
        chernoff(float(score_C.max()), int((drawn.role_K == symbol).sum())) + math.log10(CODES)
        for symbol, score_C in enumerate(words)
    ]
    payload = sum(int(score_C.argmax()) << 8 * j for j, score_C in enumerate(words))
    readable = words and log10_p <= SURE and max(clear) <= CLEAR
    return Found(log10_p, payload if readable else None, frame.bits)


def chernoff(total: float, count: int) -> float:
    """Logarithm of a bound on P(sum of `count` cosines of uniform angles >= total)."""
    if total <= 0:
        return 0.0
    bound = count * LOG_BESSEL - TILT * total
    return float(bound.min()) / math.log(10)
