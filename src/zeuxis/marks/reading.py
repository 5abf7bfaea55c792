"""What the carriers of a picture, or of a part of one, say of a key's mark; and how sure that is.

The dithers of a key's carriers are uniform, and nothing of a picture that was not marked with the key depends
on them. So, whatever that picture is, t, the sum of K terms cos 2 pi (s / step - dither), is a sum of cosines
of independent uniform angles, and for each a > 0

    P(T >= t) <= exp(-a t) I0(a)^K      (Chernoff's bound; I0: the modified Bessel function)

times all that is tried: gains, frames, words of the payload's code, turns, places of a crop. The proof is
over keys: it holds for each picture, were the key drawn anew.

Pictures of a film have the same dithers and are much alike, so they are no independent tests. But the mean of
cos 2 pi (s / step - dither) over them is w cos(angle - 2 pi dither) for each carrier, w and the angle being
length and direction of the mean of exp(2 pi i s / step), which the key has no part in. So the bound holds for
the sum of these means with I0(a w) in place of I0(a), whatever the pictures have in common. Each w is rounded
up to one of 32 levels.

Shapes: N pictures, H, W picture, P, Q plane, S frame, K carriers, G gains, C words of the code, A a's, L
levels.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

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
TURNED, COARSE = 40, 4
"""Eighths of a degree that a picture may have been turned by before it was cut; steps at first."""
UNEVEN, LIKELIEST = 2, 3
"""Frame pixels that sides of what was turned may differ by at first; angles that are looked at closely."""
LAP = 4
"""Frame pixels around a block that must be seen for its carriers to count."""
TILT = np.geomspace(1e-3, 60, 400)
LEVELS = 32
LOG_BESSEL_LA = np.log(np.i0(np.arange(LEVELS + 1)[:, None] / LEVELS * TILT))
"""Some a of the bound, and log I0(a w) for each level of w."""


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


def whole(luma_NHW: np.ndarray, key: Key, copies: int) -> Found:
    """What pictures that all have a mark say, of which nothing was cut, by one of `copies` ways to look."""
    best = Found(0.0, None, 0)
    fitting = [frame for frame in FRAMES if frame.smallest * SHRUNK <= min(luma_NHW.shape[1:])]
    shapes = {frame.shape for frame in fitting}
    planes = {shape: [coefficients(each, *shape) for each in luma_NHW] for shape in shapes}
    for frame in fitting:
        drawn = carriers(frame, key)
        value_NK = np.stack([drawn.values(plane) for plane in planes[frame.shape]])
        found = read(drawn, frame, value_NK, math.log10(2 * copies * len(FRAMES)))
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


def turned(luma_HW: np.ndarray, key: Key) -> Found:
    """What a picture says that was turned by a few degrees, and cut to what has no corner missing."""
    best = Found(0.0, None, 0)
    if min(luma_HW.shape) < SMALLEST_PART:
        return best
    image = Image.fromarray(luma_HW.astype(np.float32))
    image.thumbnail((2 * PLANE, 2 * PLANE), Image.Resampling.BICUBIC)
    planes = {angle: upright(image, angle) for angle in range(-TURNED, TURNED + 1, COARSE) if angle}
    seen = []
    for angle, plane_PQ in planes.items():
        place = next(crops.places(plane_PQ, key, UNEVEN))
        seen.append((crops.stands_out(plane_PQ, place, key), angle, place))
    for _, angle, place in sorted(seen, key=lambda one: -one[0])[:LIKELIEST]:
        for step in (COARSE // 2, COARSE // 4):
            near = [each for each in (angle, angle - step, angle + step) if abs(each) <= TURNED]
            looks = [closer(upright(image, each), place, key) for each in near]
            (_, place), angle = max(zip(looks, near, strict=True), key=lambda one: one[0][0])
        for frame in (frame for frame in FRAMES if frame.piloted):
            found = placed(upright(image, angle), place, frame, key, turned=True)
            best = min(best, found, key=lambda each: each.log10_p)
        if best.log10_p <= SURE:
            break
    return best


def closer(plane_PQ: np.ndarray, near: crops.Place, key: Key) -> tuple[float, crops.Place]:
    """The place around one at which the pilot stands out most, and by how much."""
    place = crops.refined(near, lambda at: crops.stands_out(plane_PQ, at, key), (16, 8, 4))
    return crops.stands_out(plane_PQ, place, key), place


def upright(image: Image.Image, angle: int) -> np.ndarray:
    """A picture turned back by eighths of a degree, without missing corners, as a plane to work on."""
    width, height = image.size
    cosine, sine = math.cos(math.radians(angle / 8)), abs(math.sin(math.radians(angle / 8)))
    share = min(n / (n * cosine + m * sine) for n, m in ((width, height), (height, width)))
    back = image.rotate(-angle / 8, Image.Resampling.BICUBIC)
    left, top = ((1 - share) / 2 * n for n in (width, height))
    left, top = round(left), round(top)
    plane = np.asarray(back.crop((left, top, width - left, height - top)), np.float64)
    rows, columns = (sampler(n, min(n, PLANE)) for n in plane.shape)
    return np.asarray(rows @ plane @ columns.T)


def placed(
    plane_PQ: np.ndarray, near: crops.Place, frame: Frame, key: Key, turned: bool = False
) -> Found:
    """What the carriers of a part say around a place.

    Of the chance that parts have to be taken for marked, one in 21 is for those that were turned.
    """
    share = 1 / (21 * 2 * TURNED) if turned else 20 / 21
    tried = math.log10(2 * len(FRAMES) * crops.PLACES / share)
    transform, drawn = basis(*frame.shape), carriers(frame, key)

    def seen(place: crops.Place) -> tuple[Carriers, np.ndarray]:
        rows, columns = place.samplers(*plane_PQ.shape)
        value_K = drawn.values(transform @ (rows @ plane_PQ @ columns.T) @ transform.T)
        shown = [np.repeat(shown_blocks(each, frame), frame.block) for each in (rows, columns)]
        shown_K = np.outer(*shown).reshape(-1)[drawn.at_2K[0]]
        return drawn.of(shown_K), value_K[shown_K]

    def score(place: crops.Place) -> float:
        some, value_K = seen(place)
        return float(pilots(some, frame, value_K[None]).max()) / math.sqrt(len(value_K) + 1)

    place = crops.refined(near, score, (4, 2, 1))
    some, value_K = seen(place)
    return read(some, frame, value_K[None], tried)


def shown_blocks(rows: np.ndarray, frame: Frame) -> np.ndarray:
    """Which blocks of a frame's side a part shows with enough of what they lap over."""
    shown = np.pad(rows.any(1), LAP, mode="edge")
    wide = frame.block + 2 * LAP
    return np.array([shown[at : at + wide].all() for at in range(0, frame.side, frame.block)])


def pilots(drawn: Carriers, frame: Frame, value_NK: np.ndarray) -> np.ndarray:
    """How well the pilots lie on their lattices at each gain: sums of means of cosines, (G,)."""
    pilot_K = drawn.role_K < 0
    turn_GNK = value_NK[:, pilot_K] / (frame.step * GAIN_G[:, None, None]) - drawn.dither_K[pilot_K]
    return np.asarray(np.cos(2 * math.pi * turn_GNK).mean(1).sum(1))


def read(drawn: Carriers, frame: Frame, value_NK: np.ndarray, tried: float) -> Found:
    """What carriers say; `tried`: the logarithm of how much is looked at besides gains."""
    sum_G = pilots(drawn, frame, value_NK)
    gain = int(sum_G.argmax())
    turn_NK = value_NK / (frame.step * GAIN_G[gain])
    agree_K = np.cos(2 * math.pi * (turn_NK - drawn.dither_K)).mean(0)
    length_K = np.abs(np.exp(2j * math.pi * turn_NK).mean(0))
    level_K = np.ceil(LEVELS * length_K).clip(max=LEVELS).astype(int)
    held = [drawn.role_K == symbol for symbol in range(frame.symbols)]
    words = [drawn.code_CK[:, held_K] @ agree_K[held_K] for held_K in held]
    # By the pilots alone, or with the payload, all words of which are tried.
    total = float(sum_G[gain])
    alone = chernoff(total, level_K[drawn.role_K < 0])
    total += float(sum(score_C.max() for score_C in words))
    together = chernoff(total, level_K) + frame.symbols * math.log10(CODES)
    log10_p = min(0.0, min(alone, together) + math.log10(2 * len(GAIN_G)) + tried)
    clear = [
        chernoff(float(score_C.max()), level_K[held_K]) + math.log10(CODES)
        for score_C, held_K in zip(words, held, strict=True)
    ]
    payload = sum(int(score_C.argmax()) << 8 * j for j, score_C in enumerate(words))
    readable = words and log10_p <= SURE and max(clear) <= CLEAR
    return Found(log10_p, payload if readable else None, frame.bits)


def chernoff(total: float, level_K: np.ndarray) -> float:
    """Logarithm of a bound on P(sum of w cos(uniform angle) >= total), by the level of each w."""
    if total <= 0:
        return 0.0
    bound = np.bincount(level_K, minlength=LEVELS + 1) @ LOG_BESSEL_LA - TILT * total
    return float(bound.min()) / math.log(10)
