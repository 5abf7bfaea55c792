"""What watches a run: the losses, scores, sheets, the best weights, and whoever else wants to know.

After a step the loop shows the run as it stands (`View`) to each observer whose turn it is, and does what it
answers (`Action`). Observers look on the first process only; what they answer is done on all. An action
that changes the run is a line of the log before it is taken, and what an observer remembers is saved
with the state, so that a run that was stopped and goes on ends on the bits of one that was not.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from zeuxis.core.family import Family
from zeuxis.core.progress import Check

if TYPE_CHECKING:
    from zeuxis.training.looking import Drawing

Probe = Callable[[Family, int, Check], Mapping[str, float]]
"""(averaged model, step, check) -> scores. `check` raises `Stopped` if an end was asked for.
The first score of the first probe decides which weights are the best: lower is better."""
Draw = Callable[[Family, int, Check], None]
"""(averaged model, step, check): draws a few samples to look at."""


@dataclasses.dataclass(frozen=True)
class Log:
    """Write a line of `log.jsonl`, and then tell whoever follows the run.

    Attributes:
        numbers: by name.
        kind: of the event.
        more: numbers of the event alone.
    """

    numbers: Mapping[str, float]
    kind: str = "probe"
    more: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Say:
    """Write down that something is wrong, and tell whoever follows the run.

    Attributes:
        finding: its name.
        evidence: a sentence with figures.
        told: what the event says.
    """

    finding: str
    evidence: str
    told: str


@dataclasses.dataclass(frozen=True)
class Keep:
    """Make the averaged weights as they are those that the run leaves."""


@dataclasses.dataclass(frozen=True)
class Set:
    """Give a knob (`zeuxis.training.state.KNOBS`) another value.

    Attributes:
        knob: its name.
        value: from now on.
        why: a sentence; "" tells nobody.
    """

    knob: str
    value: float
    why: str


@dataclasses.dataclass(frozen=True)
class Rollback:
    """Go back to a checkpoint, and on from there with other draws of data and noise.

    Attributes:
        before: the step that it must be older than; without such a checkpoint the run begins anew.
        why: a sentence.
    """

    before: int
    why: str


@dataclasses.dataclass(frozen=True)
class Stop:
    """End the run here, with the model as it is.

    Attributes:
        why: a sentence.
    """

    why: str


Action = Log | Say | Keep | Set | Rollback | Stop


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """A run as it stands after a step.

    Attributes:
        model: the weights in training; not to be changed, as nothing here is but `memory`.
        average: the averaged weights.
        step: steps done, of `steps`.
        steps: of the run.
        terms: losses and gradient norms of the step, as phase/term.
        scores: what observers before this one have logged at this step.
        skipped: steps in a row whose gradients were not taken.
        attempt: how often the run has gone back.
        knobs: that were turned, by name.
        folder: of the run.
        rate: steps a second, since this process began.
        memory: JSON values that the observer keeps; saved with the state.
        check: raises `Stopped` if an end was asked for.
    """

    model: Family
    average: Family
    step: int
    steps: int
    terms: Mapping[str, Tensor]
    scores: Mapping[str, float]
    skipped: int
    attempt: int
    knobs: Mapping[str, float]
    folder: Path
    rate: float
    memory: dict[str, Any]
    check: Check

    @cached_property
    def losses(self) -> dict[str, float]:
        """`terms` as numbers."""
        return {key: value.item() for key, value in self.terms.items()}


class Observer(abc.ABC):
    """Something that watches.

    Attributes:
        name: under which its memory is saved.
        every: steps between looks; it looks at the last step, too.
        draw: of the run, for who was given to `train`: makes of the averaged weights a model that draws.
    """

    name: ClassVar[str]
    draw: "Drawing"

    def __init__(self, every: int) -> None:
        self.every = every

    def begin(self, draw: "Drawing") -> None:
        """Take up a run, before its first step."""
        self.draw = draw

    @abc.abstractmethod
    def see(self, view: View) -> Iterable[Action]:
        """What to do. A function of the view alone: what is remembered is in `view.memory`."""


class Losses(Observer):
    """Logs the losses.

    Args:
        every: steps between lines.
        batch_size: images of a step, for the speed that is told.
    """

    name = "losses"

    def __init__(self, every: int, batch_size: int) -> None:
        super().__init__(every)
        self._batch_size = batch_size

    def see(self, view: View) -> Iterable[Action]:
        """One line."""
        speed = {
            "images_per_second": view.rate * self._batch_size,
            "seconds_left": (view.steps - view.step) / view.rate,
        }
        yield Log(view.losses, "step", speed)


class Scores(Observer):
    """Logs scores of the averaged weights.

    Args:
        every: steps between lines.
        probes: what to score.
    """

    name = "scores"

    def __init__(self, every: int, *probes: Probe) -> None:
        super().__init__(every)
        self._probes = probes

    def see(self, view: View) -> Iterable[Action]:
        """One line of all scores."""
        found: dict[str, float] = {}
        for probe in self._probes:
            found |= probe(view.average, view.step, view.check)
        yield Log(found)


class Best(Observer):
    """Keeps the averaged weights whose first score is the lowest; comes after `Scores`."""

    name = "best"

    def see(self, view: View) -> Iterable[Action]:
        """Keep these weights if they are better."""
        score = next(iter(view.scores.values()), None)
        best = view.memory.get("score")
        if score is not None and (best is None or score < best):
            view.memory["score"] = score
            yield Keep()


class Sheets(Observer):
    """Draws samples to look at.

    Args:
        every: steps between sheets.
        draw: draws one.
    """

    name = "sheets"

    def __init__(self, every: int, draw: Draw) -> None:
        super().__init__(every)
        self._draw = draw

    def see(self, view: View) -> Iterable[Action]:
        """Nothing is to be done: the sheet is a file."""
        self._draw(view.average, view.step, view.check)
        return ()
