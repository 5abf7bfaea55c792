"""Events of all jobs as server-sent events, with the line of the file as their number.

A client that comes back says which it saw last (`Last-Event-ID`), also to another server on the same folder.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from zeuxis.core.log import parse_line

POLL = 0.2
"""Seconds between looks at the file."""
BEAT = 15.0
"""Seconds of silence after which a comment is sent, so that what is between keeps the connection."""
PIECE = 1 << 20
"""Bytes that are read at a time."""


async def events(path: Path, after: int | None, job: str | None = None) -> AsyncIterator[bytes]:
    """Lines of the file as they are written, for ever.

    Args:
        path: of the file.
        after: number of the last line that was seen, from 1 on; None begins with what happens from now on.
        job: only events of this one.
    """
    position, number = await asyncio.to_thread(_place, path, after)
    beat = time.monotonic()
    while True:
        lines, position = await asyncio.to_thread(_read, path, position)
        told = [
            b"id: %d\ndata: %s\n\n" % (at, line)
            for at, line in enumerate(lines, number + 1)
            if (row := parse_line(line)) is not None and job in (None, row.get("job"))
        ]
        number += len(lines)
        if not told and time.monotonic() - beat > BEAT:
            told = [b": still here\n\n"]
        if told:
            beat = time.monotonic()
            yield b"".join(told)
        if not lines:
            await asyncio.sleep(POLL)


def _place(path: Path, after: int | None) -> tuple[int, int]:
    """Where to go on, and the number of the line before; from the start if the file has fewer lines."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.count(b"\n")
    if after is None:
        return content.rfind(b"\n") + 1, whole
    if after > whole:
        return 0, 0
    position = 0
    for _ in range(after):
        position = content.index(b"\n", position) + 1
    return position, after


def _read(path: Path, position: int) -> tuple[list[bytes], int]:
    """Whole lines from a place on, and the place after them."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        file.seek(position)
        *lines, _ = file.read(PIECE).split(b"\n")
    return lines, position + sum(len(line) + 1 for line in lines)
