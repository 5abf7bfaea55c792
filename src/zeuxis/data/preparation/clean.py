"""What should not be learned from: blank images, exact and near duplicates, contradictory labels.

Works on the prepared pixels, in blocks, so that a million images need no more memory than a thousand.

Legend: N images, H height, W width, C channels, P pairs.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

BLOCK = 2048
NEAR_FROM = 24
"""Pixels a side below which near duplicates are not looked for: two sprites may differ by one pixel."""
WINDOW, BANDS, HAMMING = 24, 4, 10
PAIRS, PAIR_VALUES = 512, 1 << 22
"""Pairs that are compared at once, and how many values of theirs at most."""
RMS_LIMIT, BLOCK_LIMIT = 6.0, 10.0
"""Levels: how far a re-encoded picture is from the original, overall and in any 8th x 8th of it..."""
RMS_SHARE, BLOCK_SHARE = 0.15, 0.25
"""...and as shares of the picture's own deviation, so that calm pictures (two seas) stay apart."""


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found, as row numbers.

    Attributes:
        blank: (N,) bool, one colour throughout.
        exact: (N,) the first row with the same pixels (its own number if there is none).
        pairs: (P, 2) near duplicates, the lower number first.
    """

    blank: np.ndarray
    exact: np.ndarray
    pairs: np.ndarray

    def groups(self) -> np.ndarray:
        """(N,) the lowest row number of each row's cluster of exact and near duplicates."""
        own = np.arange(len(self.exact))
        links = np.concatenate([np.stack([self.exact, own], 1), self.pairs])
        return components(len(own), links)

    def repeats(self, first: np.ndarray) -> np.ndarray:
        """(N,) for each row the kept row that it repeats, or -1.

        Rows are taken in the order `first`; a near duplicate goes only if its like itself is kept, so
        that a chain of ever smaller differences does not swallow everything.
        """
        rank = np.empty(len(first), np.int64)
        rank[first] = np.arange(len(first))
        of = np.full(len(first), -1)
        leaders: dict[int, int] = {}
        for row in first.tolist():
            leader = leaders.setdefault(int(self.exact[row]), row)
            if leader != row:
                of[row] = leader
        ranked = np.sort(rank[self.pairs], axis=1)
        for a, b in first[ranked[np.lexsort(ranked.T[::-1])]].tolist():
            if of[a] < 0 and of[b] < 0:
                of[b] = a
        return of


def examine(images_NHWC: np.ndarray) -> Findings:
    """Look at every image once."""
    n, h, w, _ = images_NHWC.shape
    blank = np.zeros(n, bool)
    seen: dict[bytes, int] = {}
    exact = np.arange(n)
    hashes, means = np.zeros(n, np.uint64), np.zeros(n, np.float32)
    near = min(h, w) >= NEAR_FROM
    for start, block in blocks(images_NHWC):
        blank[start : start + len(block)] = is_blank(block)
        for i, image in enumerate(block, start):
            digest = hashlib.blake2b(image.data, digest_size=16).digest()
            exact[i] = seen.setdefault(digest, i)
        if near:
            part = slice(start, start + len(block))
            hashes[part], means[part] = difference_hash(block)
    pairs = np.zeros((0, 2), np.int64)
    if near:
        rows = np.flatnonzero((exact == np.arange(n)) & ~blank)
        pairs = rows[_candidates(hashes[rows], means[rows])]
        pairs = pairs[alike(images_NHWC, pairs)]
    return Findings(blank, exact, pairs)


def blocks(images_NHWC: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, copy of a few rows): about 1 MB at a time.

    What is computed from so little stays in the cache, and its memory is used again: with 64 MB the
    pages of fresh arrays took five times as long as the sums.
    """
    size = max(1, min(BLOCK, (1 << 20) // max(1, images_NHWC[0].size)))
    for start in range(0, len(images_NHWC), size):
        yield start, np.array(images_NHWC[start : start + size])


def is_blank(pixels_NHWC: np.ndarray) -> np.ndarray:
    """(N,) bool: every channel spans at most 2 levels, or nothing is opaque."""
    n, h, w, c = pixels_NHWC.shape
    few = pixels_NHWC[:, :: max(1, h // 4), :: max(1, w // 4)].reshape(n, -1, c)
    blank = _flat(few)  # a few pixels acquit nearly all images, and only the rest are read whole
    blank[blank] = _flat(pixels_NHWC[blank].reshape(-1, h * w, c))
    return blank


def _flat(pixels_NPC: np.ndarray) -> np.ndarray:
    low, high = pixels_NPC.min(1).astype(int), pixels_NPC.max(1).astype(int)
    flat = ((high - low) <= 2).all(1)
    return flat | (high[:, 3] == 0) if pixels_NPC.shape[-1] == 4 else flat


def grey(pixels_NHWC: np.ndarray) -> np.ndarray:
    """(N, H, W) float32 luma; transparent pixels count as white."""
    pixels: np.ndarray = pixels_NHWC.astype(np.float32)
    luma: np.ndarray = pixels[..., 0]
    if pixels.shape[-1] >= 3:
        luma = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    if pixels.shape[-1] == 4:
        alpha = pixels[..., 3] / 255
        luma = luma * alpha + 255 * (1 - alpha)
    return luma


def averages(length: int, parts: int) -> np.ndarray:
    """(parts, length) matrix that averages a row of pixels over equal parts, fractions included.

    >>> averages(4, 2).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    edges = np.linspace(0, length, parts + 1)
    pixel = np.arange(length)
    upper = np.minimum(edges[1:, None], pixel + 1)
    lower = np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(upper - lower, 0, None) * parts / length, np.float32)


def difference_hash(pixels_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uint64 perceptual hash and (N,) float32 mean level.

    Is each cell of an 8 x 9 thumbnail darker than its right neighbour? 64 bits that survive
    re-encoding, resizing and changes of brightness ("dHash", Krawetz 2013).
    """
    luma = grey(pixels_NHWC)
    thumb = averages(luma.shape[1], 8) @ luma @ averages(luma.shape[2], 9).T
    bits = thumb[:, :, 1:] > thumb[:, :, :-1] + 0.5
    packed = np.packbits(bits.reshape(len(luma), 64), axis=1)
    return packed.view(np.uint64)[:, 0], luma.mean(axis=(1, 2))


def _candidates(hashes: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(P, 2) pairs whose hashes differ in few bits.

    Two hashes that differ in at most 3 bits share at least one of four 16-bit bands; rows that share
    a band are sorted by mean level and compared with the next few only, which keeps sets where
    millions share a band (white grounds) linear.
    """
    found = []
    for band in range(BANDS):
        key = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.lexsort((means, key))
        for step in range(1, min(WINDOW, len(order) - 1) + 1):
            a, b = order[:-step], order[step:]
            close = (key[a] == key[b]) & (np.abs(means[a] - means[b]) <= RMS_LIMIT)
            a, b = a[close], b[close]
            close = np.bitwise_count(hashes[a] ^ hashes[b]) <= HAMMING
            found.append(np.stack([a[close], b[close]], 1))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def alike(images_NHWC: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) bool: the two differ by no more than compression does, everywhere in the picture.

    Fine detail is compared in grey, because compression is coarse with colour; the colour of each
    8th x 8th of the picture must agree too.
    """
    h, w = images_NHWC.shape[1:3]
    rows, columns = averages(h, 8), averages(w, 8).T
    out = np.zeros(len(pairs), bool)
    step = max(1, min(PAIRS, PAIR_VALUES // max(1, images_NHWC[0].size)))
    for start in range(0, len(pairs), step):
        part = pairs[start : start + step]
        a, b = images_NHWC[part[:, 0]].astype(np.float32), images_NHWC[part[:, 1]]
        light = grey(a)
        deviation = light.std(axis=(1, 2))
        difference = a - b
        rms = np.sqrt(np.square(light - grey(b)).mean(axis=(1, 2)))
        local = np.abs(rows @ difference.transpose(0, 3, 1, 2) @ columns).max(axis=(1, 2, 3))
        near = rms <= np.minimum(RMS_LIMIT, RMS_SHARE * deviation)
        near &= local <= np.minimum(BLOCK_LIMIT, BLOCK_SHARE * deviation)
        out[start : start + len(part)] = near
    return out


def components(count: int, links: np.ndarray) -> np.ndarray:
    """(N,) the lowest number in each number's connected component.

    >>> components(4, np.array([[1, 3]])).tolist()
    [0, 1, 2, 1]
    """
    parent = np.arange(count)
    while len(links):
        lowest = parent[links].min(axis=1)
        update = parent.copy()
        np.minimum.at(update, links[:, 0], lowest)
        np.minimum.at(update, links[:, 1], lowest)
        update = update[update]
        if np.array_equal(update, parent):
            break
        parent = update
    return parent


def contradictions(clusters: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Rows whose word contradicts that of another row of their cluster (empty words say nothing)."""
    said: dict[int, str] = {}
    wrong: set[int] = set()
    for cluster, word in zip(clusters.tolist(), words, strict=True):
        if word and said.setdefault(cluster, word) != word:
            wrong.add(cluster)
    return np.flatnonzero(np.isin(clusters, list(wrong))) if wrong else np.zeros(0, np.int64)
