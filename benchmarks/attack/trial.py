"""One case: hostile files are made, a forked child opens them as a person would, and what it did is judged.

Every trial has a folder of its own:

  in/        what was downloaded: the hostile files
  outside/   files of the person that nothing may touch, and secrets that nothing may show
  home/      HOME, with a .bashrc that nothing may touch
  cwd/       where the command runs; `cwd/out` is what the person named as output
  tmp/       TMPDIR
  cache/     ZEUXIS_CACHE
  bin/       first on PATH, with a Ghostscript that leaves a mark if anything runs it
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from benchmarks.attack.lab import Lab
from zeuxis.cli import main, terminal

SECRET = "SECRET-c0ffee-of-the-person"
PIXELS = np.random.default_rng(99).integers(0, 256, (16, 16, 3), np.uint8)
"""A private picture; its rows of bytes may turn up in nothing that is made."""
GIB = 1 << 30
ROOM_FOR_ADDRESSES = 6 * GIB
"""Bytes of addresses beyond what the parent has: more is refused by the system, and the machine lives."""

Expected = Literal["refused", "used", "either"]
Verdict = Literal[
    "clean", "effect", "traceback", "killed", "timeout", "memory", "refused though honest"
]


@dataclasses.dataclass(frozen=True)
class Room:
    """The folder of one trial."""

    path: Path
    lab: Lab
    """Honest files, shared by all trials: to be copied, never written to."""

    @property
    def inside(self) -> Path:
        """Where hostile files are made."""
        return self.path / "in"

    @property
    def outside(self) -> Path:
        """The person's own files."""
        return self.path / "outside"

    @property
    def out(self) -> Path:
        """What the command is told to write."""
        return self.path / "cwd" / "out"

    def secret(self, name: str = "secret.txt") -> Path:
        """A file of the person that nothing may show."""
        return self.outside / name

    def copy(self, name: str) -> Path:
        """A copy of something honest, to be spoilt."""
        dest = self.inside / name
        source = self.lab / name
        if source.is_dir():
            return Path(shutil.copytree(source, dest, symlinks=True))
        dest.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(source, dest))

    def file(self, name: str, content: bytes | str) -> Path:
        """A new hostile file."""
        path = self.inside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


Call = Callable[[], object]
Make = Callable[[Room], Sequence[object] | Call]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One hostile input, or an honest one that must go on working.

    Attributes:
        kind: what sort of thing is opened.
        name: what is wrong with it.
        make: writes it into the room and returns the words of a command, or a function to call.
        expect: `refused` (a sentence, exit 2), `used` (exit 0), or `either`.
        says: text that the terminal or a file that was made has to hold.
        writes: folders, beside the output, that the command is meant to write into.
        megabytes: growth of memory that is allowed, in MiB.
        seconds: of processor time, and three times as many on the clock.
    """

    kind: str
    name: str
    make: Make
    expect: Expected = "refused"
    says: str = ""
    writes: tuple[str, ...] = ()
    megabytes: int = 512
    seconds: int = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a case did."""

    case: Case
    verdict: Verdict
    why: str
    megabytes: int
    seconds: float


def run(case: Case, lab: Lab) -> Outcome:
    """Make, open and judge one case in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        room = Room(Path(name), lab)
        furnish(room)
        call = case.make(room)
        before = dict(snapshot(room, case))
        began = time.monotonic()
        ended, grown = fork(call, room, case)
        seconds = time.monotonic() - began
        verdict, why = judge(case, room, before, ended, grown)
    return Outcome(case=case, verdict=verdict, why=why, megabytes=grown, seconds=round(seconds, 2))


def furnish(room: Room) -> None:
    """The person's own files."""
    for name in ("in", "outside/precious", "home", "cwd", "tmp", "cache", "bin"):
        (room.path / name).mkdir(parents=True)
    (room.path / "home" / ".bashrc").write_text("# the person's own\n")
    (room.outside / "secret.txt").write_text(SECRET + "\n")
    (room.outside / "secret.csv").write_text(f"file_name,label\n000.png,{SECRET}\n001.png,b\n")
    picture = Image.fromarray(PIXELS)
    for path in (room.outside / "secret.png", room.outside / "precious" / "0000.png"):
        picture.save(path, compress_level=0)
    (room.outside / "precious" / "thesis.txt").write_text("years of work\n")
    ghostscript = room.path / "bin" / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch '{room.outside}/ghostscript was run'\n")
    ghostscript.chmod(0o755)


def snapshot(room: Room, case: Case) -> Iterator[tuple[str, object]]:
    """Path -> what it is, for all that the command is not meant to write."""
    free = ("cwd/out", "tmp", "cache", *case.writes)
    for folder, folders, names in os.walk(room.path):
        here = os.path.relpath(folder, room.path)
        folders[:] = [f for f in folders if os.path.normpath(f"{here}/{f}") not in free]
        for name in (*names, *folders):
            path = Path(folder, name)
            short = os.path.normpath(f"{here}/{name}")
            if short not in free:
                yield short, _state(path)


def _state(path: Path) -> object:
    facts = path.lstat()
    if path.is_symlink():
        return str(path.readlink())
    if not path.is_file():
        return facts.st_mode
    if facts.st_size > 1 << 24:
        return facts.st_size, facts.st_mtime_ns
    return hashlib.sha256(path.read_bytes()).hexdigest(), facts.st_mtime_ns


def fork(call: Sequence[object] | Call, room: Room, case: Case) -> tuple[dict[str, object], int]:
    """Run `call` in a child with limits: (how it ended, MiB that its memory grew)."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _live(call, room, case)
    deadline = time.monotonic() + 3 * case.seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"kind": "timeout"}, 0
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    note = room.path / "tmp" / "ended.json"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        kind = "timeout" if number in (signal.SIGXCPU, signal.SIGALRM) else "killed"
        return {"kind": kind, "signal": signal.Signals(number).name}, 0
    if not note.exists():
        return {"kind": "killed", "signal": f"exit {os.WEXITSTATUS(status)}"}, 0
    ended = json.loads(note.read_text())
    return ended, ended["grown"]


def _live(call: Sequence[object] | Call, room: Room, case: Case) -> None:
    """The child: never returns."""
    os.setsid()
    grown = 0
    try:
        _limit(case.seconds)
        _settle(room)
        at_rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ended = _open(call)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_rest) // 1024
    except BaseException:
        ended = {"kind": "traceback", "text": traceback.format_exc()[-600:]}
    sys.stdout.flush()
    sys.stderr.flush()
    (room.path / "tmp" / "ended.json").write_text(json.dumps({**ended, "grown": grown}))
    os._exit(0)


def _limit(seconds: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM_FOR_ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (GIB, GIB))
    used = int(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 5))


def _settle(room: Room) -> None:
    """Home, folders and terminal of the trial."""
    os.environ |= {
        "HOME": str(room.path / "home"),
        "TMPDIR": str(room.path / "tmp"),
        "ZEUXIS_CACHE": str(room.path / "cache"),
        "PATH": f"{room.path}/bin:{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    os.environ.pop("ZEUXIS_TRACEBACK", None)
    tempfile.tempdir = None
    os.chdir(room.path / "cwd")
    sys.stdin = io.StringIO()
    for number, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(room.path / "tmp" / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        stream = os.fdopen(number, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
        setattr(sys, name, stream)


def _open(call: Sequence[object] | Call) -> dict[str, object]:
    """How the call ended; a function's errors count as the command line would have counted them."""
    try:
        if callable(call):
            call()
            return {"kind": "ended", "code": 0, "said": ""}
        return {"kind": "ended", "code": main.main([str(word) for word in call]), "said": ""}
    except SystemExit as end:
        return {"kind": "ended", "code": int(end.code or 0), "said": ""}
    except Exception as error:
        code = terminal.exit_code(error)
        if callable(call) and code is not None:
            return {"kind": "ended", "code": code, "said": terminal.sentence(error)}
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/zeuxis/" in f.filename]
        last = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        text = f"{type(error).__name__} at {last} ({where}): {error}"
        return {"kind": "traceback", "text": text[:600]}


LEAKS = re.compile(
    r"Traceback|RuntimeError|TypeError|AttributeError|KeyError|IndexError|NoneType|has no attribute"
    r"|could not convert|values to unpack|cannot unpack|np\.\w+\(|size mismatch|Aborted"
    r"|\w\.(cpp|cc|h|py):\d|object is not|unsupported operand|0x[0-9a-f]{8}|Error\(s\) in loading"
)
"""Words of a library's insides, which no sentence for a person has."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
"""Control characters but tab and newline, and those that turn the direction of text or begin a line."""
LONGEST = 4000


def judge(
    case: Case,
    room: Room,
    before: dict[str, object],
    ended: dict[str, object],
    grown: int,
) -> tuple[Verdict, str]:
    """The verdict on a case, worst first, and why."""
    if ended["kind"] != "ended":
        for left in (room.path / "cwd").glob(".out-*"):  # what a kill leaves of a set half made
            shutil.rmtree(left)
    found = next(_effects(case, room, before), None)
    if found:
        return "effect", found
    if ended["kind"] != "ended":
        kind: Verdict = ended["kind"]  # type: ignore[assignment]
        return kind, str(ended.get("text") or ended.get("signal") or "no end in sight")
    spoken = _spoken(room, "stderr") + str(ended["said"])
    leak = LEAKS.search(spoken)
    if leak or len(spoken) > LONGEST:
        what = f"says {leak[0]!r}" if leak else f"speaks {len(spoken):,} characters"
        return "traceback", f"{what}: {_tail(spoken)}"
    if grown > case.megabytes:
        return "memory", f"grew by {grown:,} MiB: {_tail(spoken)}"
    return _met(case, room, int(str(ended["code"])), spoken)


def _met(case: Case, room: Room, code: int, spoken: str) -> tuple[Verdict, str]:
    """Whether it ended as expected."""
    if "Usage:" in spoken:
        raise AssertionError(f"{case.kind}, {case.name}: the words are wrong: {spoken}")
    if case.expect == "refused" and code == 0:
        return "effect", "accepted in silence, though it has to be refused"
    if code not in (0, 2, 130):
        return "traceback", f"exit {code}: {_tail(spoken)}"
    if case.expect == "used" and code != 0:
        return "refused though honest", f"exit {code}: {_tail(spoken)}"
    if case.says and not any(case.says in text for text in _texts(room)):
        return "effect", f"nothing says {case.says!r}: {_tail(spoken)}"
    return "clean", f"exit {code}: {_tail(spoken)}"


def _effects(case: Case, room: Room, before: dict[str, object]) -> Iterator[str]:
    after = dict(snapshot(room, case))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            how = "made" if name not in before else "removed" if name not in after else "changed"
            yield f"{name!r} was {how}"
    for stream in ("stdout", "stderr"):
        bad = CONTROL.search(_spoken(room, stream))
        if bad:
            yield f"{stream} holds the control character {bad[0]!r}"
    for path in _made(room, case):
        bad = _in_file(path)
        if bad:
            yield f"{path.name!r} {bad}"


def _made(room: Room, case: Case) -> Iterator[Path]:
    """Every file that the command wrote, and what it said."""
    for name in ("cwd", "tmp", "cache", *case.writes):
        for path in sorted((room.path / name).rglob("*")):
            if path.is_file() and not path.is_symlink() and path.name != "ended.json":
                yield path


def _in_file(path: Path) -> str:
    """What a file that was made must not hold."""
    if path.stat().st_size > 1 << 26:
        return ""
    content = path.read_bytes()
    if SECRET.encode() in content or PIXELS[0].tobytes() in content:
        return "holds a secret of the person"
    if path.suffix in (".html", ".md"):
        text = content.decode("utf-8", "replace")
        if CONTROL.search(text):
            return "holds a control character"
        words = r"<script>alert|<img src=x"
        if path.suffix == ".md":
            text = re.sub(r"(`+)[^`\n]+\1", "", text)  # code spans, in which nothing has a meaning
            words += r"|\]\(javascript:|^# Injected"
        if re.search(words, text, re.MULTILINE):
            return "holds injected markup"
    return ""


def _spoken(room: Room, stream: str) -> str:
    path = room.path / "tmp" / stream
    return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""


def _texts(room: Room) -> Iterator[str]:
    for stream in ("stdout", "stderr"):
        yield _spoken(room, stream)
    for path in room.out.rglob("*"):
        if path.suffix in (".html", ".json", ".jsonl", ".md"):
            yield path.read_text(errors="replace")


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-2:])[-300:]
