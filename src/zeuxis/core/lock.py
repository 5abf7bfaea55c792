"""One process at a time: advisory locks on files, which vanish with their process, even a killed one."""

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from zeuxis.core.errors import Invalid


@contextlib.contextmanager
def locked(path: Path, doing: str, wait: bool = False) -> Iterator[str]:
    """Hold the lock on the file `path`, which is made for it and removed at the end.

    Args:
        path: its folder is made, too.
        doing: what only one may do, for the error: "runs/x is being trained".
        wait: until the other has finished, in place of an error.

    Yields:
        "", or why there is no lock: some network file systems have none, and nothing can be changed
        in a folder that is read-only.

    Raises:
        ValueError: another process, which is named, holds it.
    """
    try:
        handle, reason = _take(path, wait), ""
    except BlockingIOError as error:
        raise Invalid(
            f"{doing} by {_words(path) or 'another process'}; wait for it, stop it, or name another folder"
        ) from error
    except OSError as error:
        handle, reason = None, str(error.strerror)
    try:
        yield reason
    finally:
        if handle is not None:
            try:
                if _is(path, handle):
                    path.unlink()
            finally:
                os.close(handle)


def holder(path: Path) -> str | None:
    """`process N on HOST` that holds the lock, or None if nobody does.

    A process of another machine is believed; one of this machine has to be alive.
    """
    words = _words(path)
    if words is None:
        return None
    process, _, host = words.removeprefix("process ").partition(" on ")
    if host == platform.node():
        try:
            os.kill(int(process), 0)
        except (ProcessLookupError, ValueError, OverflowError):
            return None
        except PermissionError:  # somebody else's, and alive
            pass
    return words


def is_held(path: Path) -> bool:
    """Whether a process of this machine holds the lock now."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _take(path: Path, wait: bool) -> int:
    """A handle on the locked file, which says who holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is(path, handle):
                os.truncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # whoever held it has removed the file since: lock the new one


def _is(path: Path, handle: int) -> bool:
    """Whether `path` still names the file that was opened."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except OSError:
        return False


def _words(path: Path) -> str | None:
    """What the holder wrote; it may be about to write it, or to be gone."""
    try:
        words = path.read_text(encoding="utf-8", errors="replace")[:100]
    except OSError:
        return None
    return words if words.startswith("process ") and words.isprintable() else None
