"""Files that are never half written: written beside, synced, renamed. JSON and hashes.

What is read may be a stranger's: a name in it stays a name (`inside`), and its size and depth are bounded.
"""

import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import math
import os
import platform
import shutil
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Invalid, NotFound, TooLarge

LARGEST_JSON = 32 << 20
"""Bytes. The largest that are written, the facts of a set with hundreds of columns, have a third of it."""
MOST_JSON = 4_000_000
"""Objects and lists: StyleGAN's labels of ImageNet are 1.3 million; an empty one takes 64 bytes."""
DEEPEST = 100
"""Objects and lists in each other; what is written has less than ten."""
LONGEST_NUMBER = 100
"""Digits: any seed that somebody types, and no number that float cannot hold."""


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file that came with a request and lies nowhere: read like a path, named in sentences."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    def is_file(self) -> bool:
        """Whether there is something to read."""
        return True

    def read_bytes(self) -> bytes:
        """All of it."""
        return self.content

    def open(self, mode: str) -> io.BytesIO:
        """A stream of its bytes."""
        return io.BytesIO(self.content)


def write_file(path: Path, write: Callable[[Path], Any], sync: bool = True) -> None:
    """Let `write` fill a temporary file, then move it to `path` so that no reader sees a part.

    The temporary name ends in `.tmp`, and no other thread or process uses it at the same time.

    Args:
        path: where.
        write: called with the temporary path.
        sync: the file and its folder, so that the new content survives a power cut.

    Raises:
        OSError: the disk is full or not writable; `path`, which is named, is then as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{threading.get_native_id()}.tmp")
    try:
        with naming(path, beside):
            beside.unlink(missing_ok=True)  # it may be a link to somewhere else
            write(beside)
            if sync:
                with beside.open("rb+") as file:
                    os.fsync(file.fileno())
            beside.replace(path)
            if sync:
                sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


@contextlib.contextmanager
def naming(path: Path, beside: Path | None = None) -> Iterator[None]:
    """Give an OSError of the body that names no file, or only `beside`, the name of `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(beside)):
            error.filename = str(path)
        raise


def inside(folder: Path, name: object) -> Path:
    """The path of what is called `name` in `folder`, for names that a file of somebody else gives.

    Raises:
        ValueError: it is no plain name, or a link that leads out of the folder.
    """
    plain = isinstance(name, str) and name.isprintable() and 0 < len(name) <= 200
    if not plain or name in (".", "..") or set(str(name)) & set("/\\:"):
        raise Invalid(
            f"{folder} names a file {str(name)[:60]!r}, which is no plain name; get the folder again "
            "from a source that you trust"
        )
    path = folder / str(name)
    try:
        leads_out = path.resolve().parent != folder.resolve()
    except (OSError, RuntimeError):  # a link to itself
        leads_out = True
    if leads_out:
        raise Invalid(f"{path} is a link that leads out of its folder; replace it by the file")
    return path


def read_plain(path: Path) -> bytes:
    """The bytes of a file that is no link, whatever takes its place meanwhile.

    Raises:
        OSError: it is a link, or cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    _sync(folder)


def sync_files(folder: Path, paths: Iterable[Path]) -> None:
    """Make many files of `folder` durable, and their names, in a tenth of the time that one by one takes.

    A file system writes down together what many threads ask for at the same time.
    """
    with futures.ThreadPoolExecutor(32, "sync") as pool:
        collections.deque(pool.map(_sync, paths), maxlen=0)
    sync_folder(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_file(path, lambda beside: beside.write_text(json_text(value), encoding="utf-8"))


def json_text(value: Any) -> str:
    """The text of an indented JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path, finite: bool = True) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        path: of the file.
        finite: refuse NaN and the infinities.

    Raises:
        ValueError: it is no file, no JSON, no object, too large or too deep; the message names it.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotFound(f"{path} is no file; expected JSON")
    with path.open("rb") as file:
        content = file.read(LARGEST_JSON + 1)
    try:
        return parse_json(content, finite)
    except ValueError as error:
        raise Invalid(f"{path} is not valid JSON ({error}); restore it or remove it") from error


def parse_json(
    content: bytes, finite: bool = True, halves: bool = False, most: int = LARGEST_JSON
) -> dict[str, Any]:
    """The object that JSON bytes hold, within limits that no file of ours comes near.

    Args:
        content: of a file.
        finite: refuse NaN and the infinities.
        halves: let halves of pairs of surrogates pass, as captions that were cut have them.
        most: bytes.

    Raises:
        ValueError: no JSON, no object, too large or too deep, or a number or text that others cannot hold.
    """
    if len(content) > most:
        raise TooLarge(f"more than {most >> 20} MiB")
    if content.count(b"[") + content.count(b"{") > MOST_JSON:
        raise Invalid(f"more than {MOST_JSON:,} objects and lists")
    text = content.decode()
    hooks: Any = {"parse_constant": _no_number, "parse_float": _finite} if finite else {}
    try:
        value = json.loads(text, parse_int=_whole, **hooks)
    except RecursionError:
        raise Invalid(f"nested deeper than {DEEPEST}") from None
    if not isinstance(value, dict):
        raise Invalid(f"it holds {text.strip()[:20]!r}, expected an object")
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        nested = (each.values() if isinstance(each, dict) else each for each in level)
        level = [one for each in nested for one in each if isinstance(one, dict | list)]
    if level:
        raise Invalid(f"nested deeper than {DEEPEST}")
    if "\\u" in text and not halves:  # half of a pair of surrogates is no text
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise Invalid(f"a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _no_number(word: str) -> float:
    raise Invalid(f"{word:.20} is no finite number")


def sha256(path: Path) -> str:
    """Hash of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum(content: Any) -> str:
    """Hash of a JSON value, whatever its layout on disk."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object with its own checksum in it, so that `read_sealed` notices any change."""
    write_json(path, {**content, "checksum": checksum(content)})


def read_sealed(path: Path, finite: bool = True) -> dict[str, Any]:
    """Read what `write_sealed` wrote; `finite` as for `read_json`.

    Raises:
        ValueError: the file was damaged or changed by hand.
    """
    content = read_json(path, finite)
    if content.pop("checksum", None) != checksum(content):
        raise Invalid(damaged(path))
    return content


def damaged(path: Path) -> str:
    """The sentence for a file whose content is not what was written."""
    return (
        f"{path} is damaged or was changed (its checksum is not the recorded one); restore it "
        "from a copy, or run the same `zeuxis train` command again to write it anew"
    )


def cache_folder() -> Path:
    """Where Zeuxis keeps what it can make again: ZEUXIS_CACHE, else the platform's cache folder."""
    if os.environ.get("ZEUXIS_CACHE"):
        return Path(os.environ["ZEUXIS_CACHE"])
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "zeuxis"
    if platform.system() == "Windows":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "zeuxis" / "cache"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "zeuxis"


def check_disk(folder: Path, needed: int) -> None:
    """Refuse what would not fit.

    Raises:
        ValueError: the disk of `folder` has less than `needed` bytes free.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise Invalid(
            f"the disk of {folder} has {free / 2**20:.0f} MiB free and this needs about "
            f"{needed / 2**20:.0f} MiB; free some, or choose another --out"
        )
