"""What is told while something runs, and how Ctrl-C, SIGTERM or a request ends it."""

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

Check = Callable[[], None]
"""Called between the parts of long work; raises `Stopped`, without words, once an end was asked for."""

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


def unasked() -> None:
    """A check where nobody can ask for an end."""


def ticks(watch: Watch, doing: str, most: float = math.inf, check: Check = unasked) -> Progress:
    """(done, total) calls as `prepare` events with the seconds that are left, at the pace so far.

    Args:
        watch: told.
        doing: what, as a word.
        most: seconds that all of it takes at most.
        check: called each time.
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
        check()

    return tick


def is_asked(check: Check) -> bool:
    """Whether an end was asked for."""
    try:
        check()
    except Stopped:
        return True
    return False


@contextlib.contextmanager
def stopping(sentence: str) -> Iterator[None]:
    """Make of Ctrl-C or a request in the body a `Stopped` that says what is kept, and what goes on."""
    try:
        yield
    except (KeyboardInterrupt, Stopped) as stop:
        if isinstance(stop, Stopped) and stop.args:
            raise
        raise Stopped(sentence) from None


@contextlib.contextmanager
def interruptible(check: Check = unasked) -> Iterator[Check]:
    """Turn the first Ctrl-C or SIGTERM into a request, beside those that `check` knows of.

    The second goes to whoever handled it before, and ends the body at once. Outside the main thread
    signals are not seen.
    """
    asked: list[int] = []  # no lock: a second signal may arrive while the first is handled

    def either() -> None:
        if asked:
            raise Stopped
        check()

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
        yield either
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
