"""`log.jsonl` of a run: one JSON object a line, a function of the run alone (no times in it)."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from zeuxis.core.files import naming, write_file

Row = TypeVar("Row", bound=Mapping[str, Any])
LONGEST = 100_000
"""Characters of a line; a longer one is none of ours."""
ACTIONS = {"rollback": "went back", "stop": "ended the run"}
"""Actions in words; a knob is set by a sentence of its own."""


class Log:
    """Writes the log, and says whether the run's folder is still the one that it was opened in."""

    def __init__(self, folder: Path, writes: bool) -> None:
        self.path = folder / "log.jsonl"
        self.writes = writes
        if writes:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = folder.stat()

    def cut(self, size: int, logged: Iterable[int] = ()) -> str:
        """Forget what was written after the checkpoint, and lines that are damaged.

        Args:
            size: bytes that the log had at the checkpoint.
            logged: steps that had been logged by then.

        Returns:
            A sentence if lines from before the checkpoint are missing, else "".
        """
        if not self.writes or not (size or self.path.exists()):
            return ""
        content = self.path.read_bytes() if self.path.exists() else b""
        *ended, _ = content[:size].split(b"\n")
        rows = [(line + b"\n", row) for line in ended if (row := _row(line))]
        whole = b"".join(line for line, _ in rows)
        if whole != content:
            write_file(self.path, lambda beside: beside.write_bytes(whole))
        if len(whole) == size:
            return ""
        lost = sorted(set(logged) - {row["step"] for _, row in rows})
        where = f" the lines of steps {lost[0]} to {lost[-1]}" if lost else " lines"
        return f"{self.path} lost{where} in a crash; the model is not affected"

    def write(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            OSError: as `check`, or the disk is full.
        """
        if self.writes:
            self.check()
            with naming(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **numbers}) + "\n")

    def sync(self) -> int:
        """Make the lines durable and count their bytes: a checkpoint never knows of more than is there."""
        if not self.path.exists():
            return 0
        with naming(self.path), self.path.open("rb+") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size

    def check(self) -> None:
        """Notice that the run's folder was taken away, before anything is written in its old place.

        Raises:
            OSError: it was deleted, moved or replaced.
        """
        folder = self.path.parent
        try:
            stays = not self.writes or os.path.samestat(folder.stat(), self._folder)
        except OSError:
            stays = False
        if not stays:
            raise OSError(
                f"{folder} was deleted, moved or replaced while it was trained, so its state cannot be "
                "saved; if it was moved, move it back and run the same command: it goes on from the "
                "last checkpoint"
            )


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line to a file that other processes may append to, and make it durable."""
    handle = opened(path)
    try:
        write_line(handle, json.dumps(row, allow_nan=False).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def opened(path: Path) -> int:
    """A handle to append to a file, which is made if it is not there; a link is not followed."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)


def write_line(handle: int, line: bytes) -> int:
    """Append a line, on a line of its own if a kill cut the last one; the size of the file."""
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    os.write(handle, line)
    return size + len(line)


def read_log(path: Path) -> Iterator[dict[str, float]]:
    """Lines of a log; what a crash or a kill made of others is left out."""
    if path.exists():
        yield from filter(None, map(_row, path.read_bytes().split(b"\n")))


def standing(rows: Iterable[Row]) -> list[Row]:
    """Lines of a log without those that a rollback replaced, so that steps never fall.

    >>> standing([{"step": 1}, {"step": 2}, {"step": 3}, {"step": 2, "again": True}])
    [{'step': 1}, {'step': 2, 'again': True}]
    """
    kept: list[Row] = []
    for row in rows:
        back = bool(kept) and row["step"] < kept[-1]["step"]
        while back and kept and kept[-1]["step"] >= row["step"]:
            kept.pop()
        kept.append(row)
    return kept


def happenings(log: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """(Step, sentence): what was found wrong as the run went on, and what was done about it."""
    found: list[tuple[int, str]] = []
    for row in log:
        said = row.get("evidence") if "finding" in row else row.get("why")
        if isinstance(said, str) and said:
            what = row.get("finding") or ACTIONS.get(str(row.get("action")), "")
            known = "action" in row and found and said in found[-1][1]
            told = [str(what)] if known else [str(what), said]
            found.append((int(row["step"]), ": ".join(filter(None, told))))
    return found


def parse_line(line: bytes, longest: int = LONGEST) -> dict[str, Any] | None:
    """The JSON object that a line of at most so many characters holds, or None."""
    if len(line) > longest:
        return None
    try:
        row = json.loads(line.decode(), parse_int=_number)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _row(line: bytes) -> dict[str, float] | None:
    """The JSON object, if that is what the line holds, and it says its step."""
    row = parse_line(line)
    return row if row is not None and type(row.get("step")) is int else None


def _number(digits: str) -> float:
    return int(digits) if len(digits) < 19 else float(digits)
