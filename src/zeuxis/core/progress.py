"""What is told while something runs, and how Ctrl-C or SIGTERM ends it."""

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from zeuxis.core.errors import Stopped

Progress = Callable[[int, int], None]
"""(done, total): called between the steps of long work, to show progress; may raise to cancel."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that a watcher of the run may show.

    Attributes:
        kind: note, plan, prepare, step, probe, saved or done.
        text: a sentence, if any.
        done: steps (or files) so far, of `total`.
        numbers: losses as phase/term, images_per_second, seconds_left; scores for a probe.
    """

    kind: str
    text: str = ""
    done: int = 0
    total: int = 0
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)


Watch = Callable[[Event], None]


def ticks(watch: Watch, doing: str, most: float = math.inf) -> Progress:
    """(done, total) calls as `prepare` events with the seconds that are left, at the pace so far.

    Args:
        watch: told.
        doing: what, as a word.
        most: seconds that all of it takes at most.
    """
    began, first, last = time.monotonic(), 0, 0
    end = began + most

    def tick(done: int, total: int) -> None:
        nonlocal began, first, last
        now = time.monotonic()
        if done < last:  # something else begins
            began, first = now, done
        last = done
        pace = (now - began) / (done - first) if done > first else None
        left = math.inf if pace is None else pace * (total - done)
        left = min(left, max(0.0, end - now))
        numbers = {"seconds_left": left} if left < math.inf else {}
        watch(Event("prepare", doing, done, total, numbers))

    return tick


@contextlib.contextmanager
def stopping(sentence: str) -> Iterator[None]:
    """Make of Ctrl-C in the body a `Stopped` with this sentence: what is kept, and what goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(sentence) from None


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Turn the first Ctrl-C or SIGTERM into a request; the yielded check raises `Stopped` after it.

    The second goes to whoever handled it before, and ends the body at once.
    """
    asked: list[int] = []  # no lock: a second signal may arrive while the first is handled

    def check() -> None:
        if asked:
            raise Stopped("stopped as asked")

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def leaving() -> Iterator[list[int]]:
    """Let Ctrl-C and SIGTERM raise `KeyboardInterrupt`, once: a second one ends the process at once.

    Yields the signals that have come.
    """
    came: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        came.append(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
