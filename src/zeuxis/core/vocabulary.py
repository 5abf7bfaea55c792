"""Text as token ids: byte-pair encoding (Sennrich et al., 2016, https://arxiv.org/abs/1508.07909) on bytes.

    id 0             padding
    id 1             no caption
    id 2 ... 257     bytes
    id 258 ...       pairs that `merges` joins, in that order

Any text has ids, and they give it back. Merges stay inside words.
"""

import collections
import functools
import heapq
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import numpy as np
import pydantic

from zeuxis.core.errors import Invalid

PADDING, NO_CAPTION, FIRST = 0, 1, 2
MOST_MERGES = 2048
MOST_LENGTH = 96
"""Token ids of a caption."""
LEARNED_FROM = 50_000
"""Different words, the commonest, that merges are learned from."""
PIECE = re.compile(r" ?\w+| ?[^\w\s]|\s")


class Vocabulary(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Which pairs of ids are one, and how many ids a caption has."""

    merges: tuple[tuple[int, int], ...] = pydantic.Field((), max_length=MOST_MERGES)
    length: int = pydantic.Field(ge=1, le=MOST_LENGTH)
    """Ids that a model is given of a caption; what is longer is cut."""

    @pydantic.model_validator(mode="after")
    def _known(self) -> Self:
        for number, pair in enumerate(self.merges):
            if not all(FIRST <= each < FIRST + 256 + number for each in pair):
                raise Invalid(f"merge {number} joins {pair}, which are no ids before it")
        return self

    @classmethod
    def learn(cls, captions: Iterable[str], merges: int = 1024) -> Self:
        """The pairs that occur most in `captions`, and the length that holds the longest of them."""
        counts = collections.Counter(piece for text in captions for piece in pieces(text))
        common = counts.most_common(LEARNED_FROM)
        found = cls(merges=tuple(_merges(common, merges)), length=1)
        longest = max((len(found.encode(plain(text))) for text in captions), default=1)
        return found.model_copy(update={"length": min(max(longest, 1), MOST_LENGTH)})

    @property
    def size(self) -> int:
        """Number of ids."""
        return FIRST + 256 + len(self.merges)

    def spelled(self, caption: str) -> str:
        """A caption as models are given it."""
        return plain(caption)

    def encode(self, text: str) -> list[int]:
        """Ids of a text as it is."""
        return [one for piece in PIECE.findall(text) for one in self._ids(piece)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        known = self._bytes
        return b"".join(known[one] for one in ids).decode("utf-8", "replace")

    def say(self, ids: Iterable[int]) -> str:
        """The text of ids of a plain caption, with signs where people put them."""
        return fluent(self.decode(ids))

    def rows(self, captions: Sequence[str]) -> np.ndarray:
        """(N, length) int16 of captions; one that says nothing is `NO_CAPTION`."""
        out = np.full((len(captions), self.length), PADDING, np.int16)
        for row, caption in zip(out, captions, strict=True):
            ids = self.encode(self.spelled(caption))[: self.length] or [NO_CAPTION]
            row[: len(ids)] = ids
        return out

    def cut(self, caption: str) -> str:
        """What of a caption does not fit; "" if all does."""
        return self.decode(self.encode(self.spelled(caption))[self.length :]).strip()

    @functools.cached_property
    def _order(self) -> dict[tuple[int, int], int]:
        return {pair: FIRST + 256 + number for number, pair in enumerate(self.merges)}

    @functools.cached_property
    def _bytes(self) -> list[bytes]:
        known = [b"", b"", *(bytes([each]) for each in range(256))]
        for a, b in self.merges:
            known.append(known[a] + known[b])
        return known

    @functools.cached_property
    def _found(self) -> dict[str, tuple[int, ...]]:
        return {}

    def _ids(self, piece: str) -> tuple[int, ...]:
        """Ids of a word, joined in the order of the merges."""
        if piece not in self._found:
            ids = [FIRST + each for each in piece.encode("utf-8", "replace")]
            while len(ids) > 1:
                pair = min(itertools.pairwise(ids), key=lambda two: self._order.get(two, 1 << 30))
                if pair not in self._order:
                    break
                ids = _joined(ids, pair, self._order[pair])
            if len(self._found) >= LEARNED_FROM:
                self._found.clear()
            self._found[piece] = tuple(ids)
        return self._found[piece]


class Verbatim(Vocabulary):
    """Texts as they are, a byte an id: of models that bring vocabularies of their own."""

    merges: tuple[()] = ()
    length: int = pydantic.Field(4096, ge=1, le=1 << 14)

    def spelled(self, caption: str) -> str:
        """The same."""
        return caption


def plain(caption: str) -> str:
    """A caption as models are given it: small letters, a space before every word.

    >>> plain("A  Red cat, please")
    ' a red cat , please'
    """
    return "".join(f" {word}" for word in re.findall(r"\w+|[^\w\s]", caption.lower()))


def fluent(caption: str) -> str:
    """A plain caption with its signs beside the words that they belong to.

    >>> fluent(" a red - haired girl ' s cat , please")
    "a red-haired girl's cat, please"
    """
    closed = re.sub(r" ([^\w\s(\[{#@&])", r"\1", caption.strip())
    return re.sub(r"(\w['’-]|[(\[{#@]) (?=\w)", r"\1", closed)


def pieces(caption: str) -> list[str]:
    """Its words and signs, as merges see them."""
    return PIECE.findall(plain(caption))


def words(caption: str) -> list[str]:
    """Its words, in small letters, without signs.

    >>> words("A red cat, please")
    ['a', 'red', 'cat', 'please']
    """
    return re.findall(r"\w+", caption.lower())


def _joined(ids: Sequence[int], pair: tuple[int, int], new: int) -> list[int]:
    out: list[int] = []
    for one in ids:
        if out and (out[-1], one) == pair:
            out[-1] = new
        else:
            out.append(one)
    return out


def _merges(counts: Sequence[tuple[str, int]], most: int) -> Iterator[tuple[int, int]]:
    """The commonest pair, again and again; of equals the one with the smaller ids. Once is not enough."""
    texts = [[FIRST + each for each in piece.encode("utf-8", "replace")] for piece, _ in counts]
    pairs, where = collections.Counter[tuple[int, int]](), collections.defaultdict(set)

    def count(at: int, sign: int) -> set[tuple[int, int]]:
        found = list(itertools.pairwise(texts[at]))
        for pair in found:
            pairs[pair] += sign * counts[at][1]
            where[pair].add(at)
        return set(found)

    for at in range(len(texts)):
        count(at, 1)
    heap = [(-number, pair) for pair, number in pairs.items()]
    heapq.heapify(heap)
    new = FIRST + 256
    while heap and new < FIRST + 256 + most:
        number, best = heapq.heappop(heap)
        if -number != pairs[best]:  # it was counted anew since
            continue
        if -number < 2:
            return
        yield best
        changed = set[tuple[int, int]]()
        for at in sorted(where.pop(best)):
            changed |= count(at, -1)
            texts[at] = _joined(texts[at], best, new)
            changed |= count(at, 1)
        for pair in changed:
            heapq.heappush(heap, (-pairs[pair], pair))
        new += 1
