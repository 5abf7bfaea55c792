"""Rows of different requests in one batch: the network costs as much for one image as for 32.

An image depends on its seed and its row alone, not on what else is in its batch. On where in the batch it
stands its last bits may depend, in kernels that treat the end of a tensor in another way. So before a call
shares a batch for the first time, it is tried with the rows in other places; if a bit differs, it never does.

Requests run in threads of their own; a single thread calls the networks.
"""

import dataclasses
import threading
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pydantic
import torch
from torch import Tensor

from zeuxis.core.errors import Stopped
from zeuxis.core.family import Family
from zeuxis.core.progress import Progress, is_asked
from zeuxis.core.rng import Rng
from zeuxis.inference.model import NOTHING, Ask, Model, padded, tensor_of

Call = Callable[[Ask], Tensor]
TURNS = (1, 8, 21)
"""Places by which rows are moved on to see whether their bits stay."""
MOST_KNOWN = 1000
"""Calls of a family that are remembered."""


@dataclasses.dataclass(eq=False)
class Rows:
    """Images that a request asks of a network call, and what was made of the first of them.

    Attributes:
        model: that is asked.
        call: as for `Model.batches`.
        labels: (N, A).
        inputs: (N, ...) each.
        seed: of noise.
        progress: raises `Stopped` once nobody waits any more.
        finish: as for `Model.batches`.
        made: parts of the result.
        done: rows in them.
        turn: when the next of them are due.
    """

    model: Model
    call: Call
    labels: Tensor
    inputs: Mapping[str, Tensor]
    seed: int
    progress: Progress | None
    finish: Callable[[Tensor], Tensor] | None
    made: list[Tensor] = dataclasses.field(default_factory=list)
    done: int = 0
    turn: "Future[None] | None" = None

    @property
    def left(self) -> int:
        """Rows that are still to be made."""
        return len(self.labels) - self.done

    @property
    def size(self) -> int:
        """Rows of a batch."""
        return self.model.family.BATCH

    @property
    def key(self) -> Hashable:
        """Rows with the same may share a batch."""
        forms = [(name, value.dtype, value.shape[1:]) for name, value in self.inputs.items()]
        return id(self.model.family), same(self.call), tuple(forms)

    def is_cancelled(self) -> bool:
        """Whether nobody waits for them any more."""
        progress = self.progress
        return progress is not None and is_asked(lambda: progress(self.done, len(self.labels)))


def same(value: Any) -> Hashable:
    """Equal for functions that do the same: their code is one, and so is what they hold."""
    if isinstance(value, types.FunctionType):
        held = tuple(same(cell.cell_contents) for cell in value.__closure__ or ())
        return value.__code__, held, id(value.__defaults__), id(value.__kwdefaults__)
    if isinstance(value, pydantic.BaseModel):
        return type(value), value.model_dump_json()
    return id(value)


class Joined(Rng):
    """The rows of several, one after another, and then moved on by `turn` places, in a circle."""

    def __init__(self, parts: Sequence[Rng], turn: int = 0) -> None:
        rows = [row for part in parts for row in part.rows]
        super().__init__(rows, "joined", parts[0].device, parts[0].dtype)
        self._parts, self._turn = parts, turn

    def normal(self, name: str, *shape: int) -> Tensor:
        """As of `Rng`."""
        return self._joined([part.normal(name, *shape) for part in self._parts])

    def uniform(self, name: str, *shape: int) -> Tensor:
        """As of `Rng`."""
        return self._joined([part.uniform(name, *shape) for part in self._parts])

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """As of `Rng`."""
        return self._joined([part.integers(name, high, *shape) for part in self._parts])

    def _joined(self, parts: list[Tensor]) -> Tensor:
        return torch.cat(parts).roll(self._turn, 0)

    def shared(self, name: str, *shape: int) -> Tensor:
        """Refused: it would couple the requests."""
        raise NotImplementedError(f"{name} is drawn for a whole batch")


class Batcher:
    """Calls networks in a thread of its own, with as many waiting rows at a time as a batch has."""

    def __init__(self) -> None:
        self.batches = self.images = 0
        self._thread = ThreadPoolExecutor(1, "network")
        self._lock = threading.Lock()
        self._waiting: list[Rows] = []
        self._known: WeakKeyDictionary[Family, dict[Hashable, bool]] = WeakKeyDictionary()

    def run(self, rows: Rows) -> Tensor:
        """What the call gives for all rows, (N, ...); in the thread of the request, which waits.

        Raises:
            Stopped: nobody waits for it.
        """
        with self._lock:
            self._waiting.append(rows)
        try:
            while rows.left:
                with self._lock:
                    if rows.left:
                        rows.turn = self._thread.submit(self._batch, rows)
                try:
                    if rows.turn is not None:
                        rows.turn.result()
                except CancelledError:  # the last of them were in a batch of others
                    continue
        finally:
            with self._lock:
                self._waiting.remove(rows)
        return torch.cat(rows.made)

    def _batch(self, rows: Rows) -> None:
        """One batch, of these rows first and then of others that have waited longest."""
        if rows.is_cancelled():
            raise Stopped("nobody waits for this any more")
        taken, made = self._shared(rows)
        with self._lock:
            self.batches, at = self.batches + 1, 0
            for each, count in taken:
                some = made[at : at + count]
                each.made.append(each.finish(some) if each.finish else some)
                each.done, at = each.done + count, at + count
                if each is not rows and not each.left and each.turn is not None:
                    each.turn.cancel()
            self.images += at

    def _shared(self, rows: Rows) -> tuple[list[tuple[Rows, int]], Tensor]:
        """What is in the batch, and what was made of it."""
        alone, key = [(rows, min(rows.left, rows.size))], rows.key
        known = self._known.setdefault(rows.model.family, {})
        if not known.get(key, True):
            return alone, _made(alone)
        with self._lock:
            taken = self._taken(rows)
        made = _made(taken)
        if len(taken) == 1 or key in known:
            return taken, made
        if len(known) > MOST_KNOWN:
            known.clear()
        known[key] = all(torch.equal(_made(taken, turn), made) for turn in TURNS)
        return (taken, made) if known[key] else (alone, _made(alone))

    def _taken(self, rows: Rows) -> list[tuple[Rows, int]]:
        taken, key = [(rows, min(rows.left, rows.size))], rows.key
        room = rows.size - taken[0][1]
        for other in self._waiting:
            if other is not rows and room and other.left and other.key == key:
                taken.append((other, min(other.left, room)))
                room -= taken[-1][1]
        return taken


def _made(taken: Sequence[tuple[Rows, int]], turn: int = 0) -> Tensor:
    """What the call of the first gives for all rows of a batch, if they stand `turn` places further on."""
    first = taken[0][0]
    spare = first.size - sum(count for _, count in taken)
    slices = [(rows, slice(rows.done, rows.done + count)) for rows, count in taken]
    last, end = slices[-1]
    drawn = [rows.model.random(rows.seed, part) for rows, part in slices[:-1]]
    drawn.append(last.model.random(last.seed, slice(end.start, end.stop + spare)))

    def whole(values: Sequence[Tensor]) -> Tensor:
        parts = [value[part] for value, (_, part) in zip(values, slices, strict=True)]
        return padded(torch.cat(parts), slice(0, first.size)).roll(turn, 0)

    def tick(done: int, total: int) -> None:
        if all(rows.is_cancelled() for rows, _ in taken):
            raise Stopped("nobody waits for this any more")

    inputs = {name: whole([rows.inputs[name] for rows, _ in taken]) for name in first.inputs}
    random = drawn[0] if len(drawn) == 1 else Joined(drawn, turn)
    labels = whole([rows.labels for rows, _ in taken])
    return first.model.batch(first.call, random, labels, inputs, tick).roll(-turn, 0)


class Shared(Model):
    """A model for one request, under the name that clients know: its rows share batches with others'."""

    def __init__(
        self,
        model: Model,
        name: str,
        batcher: Batcher,
        others: Callable[[str], Model] | None = None,
    ) -> None:
        self.__dict__.update(model.__dict__, folder=Path(name))
        if others is not None:
            self.__dict__["beside"] = others
        self._batcher = batcher

    def batches(
        self,
        call: Call,
        labels: np.ndarray,
        inputs: Mapping[str, Any] = NOTHING,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        finish: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """As of `Model`."""
        tensors = {name: tensor_of(value) for name, value in inputs.items()}
        known = torch.from_numpy(labels)
        return self._batcher.run(Rows(self, call, known, tensors, seed, progress, finish))
