"""`events.jsonl` of a run: what a live page shows, one JSON object a line, appended as things happen.

Unlike `log.jsonl` it holds times and what the machine did, and no run depends on it: it is not synced, a
line that a kill cut is passed over, and a disk that is full ends only the recording.

line: time (seconds since 1970), kind, done, total, and where there is any: text, numbers (as in `Event`;
null is no finite number), rate (done a second since the line before), cpu (cores in use since then),
memory (bytes in use), gpu_memory
"""

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zeuxis.core import machine
from zeuxis.core.log import opened, parse_line, write_line
from zeuxis.core.progress import Event

INTERVAL = 1.0
"""Seconds between lines of steps, and of what is prepared or measured, at least."""
LARGEST = 4 * 2**20
"""Bytes of the file. When it is full, every second of those lines goes, and the interval doubles."""
MANY = ("step", "prepare")
LONGEST_TEXT = 2000


@dataclasses.dataclass
class _Before:
    """The line of the same kind before this one."""

    time: float
    done: int


class Recorder:
    """A watcher that writes what it is told.

    Args:
        path: of the file; it is made when there is something to write.
        about: what every line says besides.
        bounded: keep the file below `LARGEST`; not if its lines are counted.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any] | None = None, bounded: bool = True
    ) -> None:
        self._path, self._interval = path, INTERVAL
        self._about, self._bounded = about or {}, bounded
        self._before: dict[tuple[str, str], _Before] = {}
        self._clock, self._busy = time.monotonic(), time.process_time()
        self._handle: int | None = None

    def __call__(self, event: Event) -> None:
        """Write the event down, unless one of its kind was a moment ago."""
        now = time.monotonic()
        before = self._before.get((event.kind, event.text))
        early = before and 0 <= now - before.time < self._interval
        if early and event.done < event.total:
            return
        row = {**self._about, **self._row(event, now, before)}
        if event.kind in MANY:
            self._before[event.kind, event.text] = _Before(now, event.done)
        with contextlib.suppress(OSError):  # the log and the checkpoints say what is wrong
            self._write(json.dumps(row, allow_nan=False).encode() + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _row(self, event: Event, now: float, before: _Before | None) -> dict[str, Any]:
        row: dict[str, Any] = {"time": round(time.time(), 2), "kind": event.kind}
        row |= {"done": event.done, "total": event.total}
        if event.text:
            row["text"] = event.text[:LONGEST_TEXT]
        if event.numbers:
            row["numbers"] = {
                name: value if math.isfinite(value) else None
                for name, value in event.numbers.items()
            }
        if before and event.done > before.done and now > before.time:
            row["rate"] = round((event.done - before.done) / (now - before.time), 3)
        busy = time.process_time()
        if now - self._clock >= self._interval / 2:
            row["cpu"] = round((busy - self._busy) / (now - self._clock), 2)
            self._clock, self._busy = now, busy
        return row | machine.memory()

    def _write(self, line: bytes) -> None:
        """Append, through one handle: what takes the folder's place meanwhile is not written to."""
        if self._handle is None:
            self._handle = opened(self._path)
        size = write_line(self._handle, line)
        if self._bounded and size > LARGEST:
            self._thin(self._handle, size)

    def _thin(self, handle: int, size: int) -> None:
        """Drop every second line of those of which there are many; half of all where that is too little."""
        lines = os.pread(handle, size, 0).splitlines(keepends=True)
        rows = [(line, (parse_line(line) or {}).get("kind") in MANY) for line in lines]
        kept = [line for at, (line, many) in enumerate(rows) if not many or at % 2]
        if sum(map(len, kept)) > 0.75 * LARGEST:
            kept = kept[len(kept) // 2 :]
        os.ftruncate(handle, 0)
        os.write(handle, b"".join(kept))
        self._interval *= 2


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of the file, oldest first; what a kill cut or somebody else wrote is left out."""
    if path.exists():
        for row in filter(None, map(parse_line, path.read_bytes().split(b"\n"))):
            if isinstance(row.get("kind"), str) and isinstance(row.get("time"), int | float):
                yield row
