"""Sets of pictures that clients send. What became of each is a journal; what is left is a folder of images.

    sources/ID/000001.png         pictures to train on, as the decoder made them: a source as any other
    sources/ID/metadata.jsonl     their labels and captions
    datasets/ID/journal.jsonl     what was sent and changed, one line each: the truth
    datasets/ID/aside/000002.png  pictures that are left out
    datasets/ID/look.json         what was noticed of the pixels (`look`)
    datasets/ID/pairs/ID/A/000001.png  the pictures again, by class, for what learns from pairs
    datasets/ID/thumbs/           may be deleted, as may what `look` wrote

The names that a client gives are words in the journal and never parts of a path.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Conflict, Invalid, NotFound
from zeuxis.core.files import write_file
from zeuxis.core.log import append, parse_line
from zeuxis.core.words import printable
from zeuxis.server.findings import Done, Item, Look, Summary, pairs_of, summary, to_fix
from zeuxis.server.problems import Full

JOURNAL, ASIDE, PAIRS, THUMBS, LOOK, METADATA = (
    "journal.jsonl",
    "aside",
    "pairs",
    "thumbs",
    "look.json",
    "metadata.jsonl",
)
LONGEST_LINE = 1 << 26
"""Of the journal: a change names each of its pictures."""
MOST_BYTES = 20 << 30
"""Of a set's pictures."""
SPARE = 1 << 30
"""Bytes of the disk that are left to others."""
LONGEST_NAME, LONGEST_LABEL, LONGEST_CAPTION = 80, 100, 10_000
UNDOES = 100
"""Changes that can be taken back."""
SHOWN = 240
"""Pictures of somebody else's set that are shown."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A change of a set, one of its kinds: the fields are those of its JSON body."""

    items: Sequence[str] = ()
    label: str | None = None
    caption: str | None = None
    excluded: bool | None = None
    rename: str | None = None
    to: str | None = None
    fix: str | None = None


class Dataset:
    """A set of a client's own. Its methods may be called from several threads.

    Args:
        name: its id.
        root: folder of all sets, sources and jobs.
    """

    sample = False

    def __init__(self, name: str, root: Path) -> None:
        self.id, self.folder, self.source = name, root / "datasets" / name, root / "sources" / name
        self.revision = 0
        self._lock = threading.RLock()
        self._items: dict[int, Item] = {}
        self._sent: dict[tuple[str, str], int] = {}
        self._shas: dict[str, int] = {}
        self._done: list[Done] = []
        self._summed: tuple[object, Summary] | None = None
        self._next, self._bytes = 1, 0
        self._told = True
        """Whether the file of labels says what the journal says."""
        self.look = Look(self.folder / LOOK)
        self._read()

    @classmethod
    def create(cls, name: str, words: str, root: Path) -> "Dataset":
        """A new set, whose folder is there already and empty."""
        head = {"name": words, "created": time.time()}
        append(root / "datasets" / name / JOURNAL, head)
        return cls(name, root)

    def _read(self) -> None:
        """Do again what the journal says, and put each picture where it belongs."""
        rows = (self.folder / JOURNAL).read_bytes().split(b"\n")
        head, *rest = filter(None, (parse_line(row, LONGEST_LINE) for row in rows))
        self.name, self.created = str(head["name"]), float(head["created"])
        for row in rest:
            self._take(row)
        for place in (self.source, self.folder / ASIDE):
            place.mkdir(parents=True, exist_ok=True)
        self._place(self._items)
        known = {_file(number) for number in self._items} | {METADATA}
        for left in {path.name for path in self.source.iterdir()} - known:
            (self.source / left).unlink()  # of a picture that was sent when the server was killed
        self._told = False

    def _take(self, row: Mapping[str, Any]) -> None:
        """Follow a line of the journal."""
        if "add" in row:
            item = Item(**row["add"])
            self._items[item.number] = item
            self._sent[item.name, item.sent] = item.number
            self._bytes += item.bytes
            self._next = max(self._next, item.number + 1)
            if item.sha is not None:
                self._shas[item.sha] = item.number
        elif "set" in row:
            field, numbers = row["set"], row["items"]
            before = {n: getattr(self._items[n], field) for n in numbers}
            self._done = self._done[1 - UNDOES :]
            self._done.append(Done(row["words"], field, before, row.get("fix", "")))
            self._assign(field, dict.fromkeys(numbers, row["value"]))
        elif "undo" in row:
            done = self._done.pop()
            self._assign(done.field, done.before)
        self.revision += 1

    def _assign(self, field: str, values: Mapping[int, Any]) -> None:
        for number, value in values.items():
            self._items[number] = dataclasses.replace(self._items[number], **{field: value})
        self._told = False

    def _place(self, numbers: Iterable[int]) -> None:
        """Move pictures to those that are trained on, or aside."""
        for number in numbers:
            places = self.source / _file(number), self.folder / ASIDE / _file(number)
            there, elsewhere = places[::-1] if self._items[number].excluded else places
            with contextlib.suppress(FileNotFoundError):  # it is there, or has no pixels
                elsewhere.rename(there)

    def flush(self) -> None:
        """Write the labels and captions down where training reads them."""
        with self._lock:
            if self._told:
                return
            lines = [json.dumps(row) + "\n" for row in self._metadata()]
            if lines:
                text = "".join(lines)
                write_file(self.source / METADATA, lambda beside: beside.write_text(text, "utf-8"))
            else:
                (self.source / METADATA).unlink(missing_ok=True)
            self._told = True

    def _metadata(self) -> Iterator[dict[str, str]]:
        for number, item in sorted(self._items.items()):
            said = {"label": item.label, "text": item.caption}
            words = {name: word for name, word in said.items() if word}
            if words and item.sha is not None and not item.excluded:
                yield {"file_name": _file(number), **words}

    def find(self, name: str, sent: str) -> Item | None:
        """The item of the same name and bytes."""
        number = self._sent.get((name, sent))
        return None if number is None else self._items[number]

    def check_room(self, size: int) -> None:
        """Refuse what the set or the disk cannot take.

        Raises:
            Full: so it is.
        """
        if self._bytes + size > MOST_BYTES:
            raise Full(f"a set holds at most {MOST_BYTES >> 30} GiB; begin another one")
        free = shutil.disk_usage(self.folder).free
        if size > free - SPARE:
            raise Full(
                f"the server's disk has {free / 2**30:.1f} GiB left, of which 1 GiB is kept free"
            )

    def add(
        self, name: str, sent: str, png: bytes | None, size: tuple[int, int], problem: str | None
    ) -> tuple[Item, bool]:
        """Keep a picture, or that a file is none; and whether it is new.

        Args:
            name: of the file, as it was dropped.
            sent: SHA-256 of its bytes.
            png: what the decoder made of it; None of what it could not read.
            size: width and height.
            problem: why it could not be read.
        """
        with self._lock:
            number, self._next = self._next, self._next + 1
        folder = name.rpartition("/")[0].rpartition("/")[2]
        item = Item(
            number=number,
            name=name,
            sent=sent,
            sha=hashlib.sha256(png).hexdigest() if png is not None else None,
            width=size[0],
            height=size[1],
            bytes=len(png or b""),
            label=folder[:LONGEST_LABEL] or None,
            problem=problem,
        )
        if png is not None:
            write_file(self.source / _file(number), lambda beside: beside.write_bytes(png))
        with self._lock:
            if (known := self.find(name, sent)) is not None:  # sent twice
                (self.source / _file(number)).unlink(missing_ok=True)
                return known, False
            self._note({"add": dataclasses.asdict(item)})
            self._told = False
        return item, True

    def _note(self, row: Mapping[str, Any]) -> None:
        append(self.folder / JOURNAL, row)
        self._take(row)

    def change(self, asked: Asked, revision: int) -> list[Item]:
        """Change labels, captions, or what is left out; the items that are now others.

        Raises:
            Conflict: the set is no longer what the client saw, or does not have what is named.
        """
        with self._lock:
            self._check(revision)
            row = self._row(asked)
            self._note(row)
            self._place(row["items"])
            return [self._items[number] for number in row["items"]]

    def undo(self, revision: int) -> list[Item]:
        """Take the last change back.

        Raises:
            Conflict: the set is no longer what the client saw, or there is nothing to undo.
        """
        with self._lock:
            self._check(revision)
            if not self._done:
                raise Conflict("there is nothing to undo")
            numbers = list(self._done[-1].before)
            self._note({"undo": True})
            self._place(numbers)
            return [self._items[number] for number in numbers]

    def _check(self, revision: int) -> None:
        if revision != self.revision:
            raise Conflict(
                f"the set has changed: it is at revision {self.revision}, not {revision}; read it again"
            )

    def _row(self, asked: Asked) -> dict[str, Any]:
        """The journal's line for a change."""
        if asked.fix is not None:
            numbers = to_fix(asked.fix, self._items, self.look)
            words = f"left {_pictures(len(numbers))} out"
            return _set("excluded", numbers, True, words) | {"fix": asked.fix}
        if asked.rename is not None:
            numbers = [n for n, item in self._items.items() if item.label == asked.rename]
            if not numbers:
                raise NotFound(f"no class {asked.rename[:80]!r} in this set")
            to = _word(asked.to or "", LONGEST_LABEL, "a class")
            return _set("label", numbers, to, f"renamed {asked.rename} to {to}")
        numbers = [self._number(name) for name in dict.fromkeys(asked.items)]
        some = _pictures(len(numbers))
        if asked.excluded is not None:
            words = f"left {some} out" if asked.excluded else f"took {some} back in"
            return _set("excluded", numbers, asked.excluded, words)
        if asked.caption is not None:
            caption = printable(asked.caption[:LONGEST_CAPTION], lines=True).strip()
            return _set("caption", numbers, caption, f"captioned {some}")
        if asked.label is None:
            return _set("label", numbers, None, f"took {some} out of their class")
        label = _word(asked.label, LONGEST_LABEL, "a class")
        return _set("label", numbers, label, f"put {some} into {label}")

    def _number(self, name: str) -> int:
        if not (name.isascii() and name.isdigit()) or int(name[:12]) not in self._items:
            raise NotFound(f"no picture {name[:80]!r} in this set")
        return int(name)

    def items(self) -> list[Item]:
        """All, in the order in which they came."""
        with self._lock:
            return [self._items[number] for number in sorted(self._items)]

    def summary(self) -> Summary:
        """What there is, and what was noticed of it."""
        with self._lock:
            stamp = (self.revision, self.look.stamp())
            if self._summed is None or self._summed[0] != stamp:
                self._summed = stamp, summary(self.items(), self.look, self._done)
            return self._summed[1]

    def picture(self, sha: str) -> Path | None:
        """The file of a picture by the hash of its bytes."""
        number = self._shas.get(sha)
        if number is None:
            return None
        place = self.folder / ASIDE if self._items[number].excluded else self.source
        return place / _file(number)

    def cover(self) -> list[str]:
        """Hashes of some pictures."""
        return _cover(self.items())

    def arranged(self) -> Path:
        """The folder of links to the pictures of two classes, A and B, where those of a pair have one name.

        Raises:
            Invalid: there are not two classes.
        """
        with self._lock:
            used = [item for item in self.items() if item.sha is not None and not item.excluded]
            found = pairs_of(used)
            if found is None or found[0].kind == "halves":
                raise Invalid(
                    f"{self.name} has no two classes; pairs are files of one name in two classes"
                )
            first = {second.number: one.number for one, second in found[1]}
            folder = self.folder / PAIRS / self.id  # whose name is what reports call the data
            wanted = {}
            for item in used:
                side = "AB"[found[0].sides.index(item.label or "")]
                name = _file(first.get(item.number, item.number) if side == "B" else item.number)
                wanted[folder / side / name] = self.source / _file(item.number)
            for side in "AB":
                (folder / side).mkdir(parents=True, exist_ok=True)
            for path in {*folder.glob("*/*")} - set(wanted):
                path.unlink()
            for path, picture in wanted.items():
                if not (path.exists() and path.samefile(picture)):
                    path.unlink(missing_ok=True)
                    path.hardlink_to(picture)
            return folder

    def stale(self) -> bool:
        """Whether there are pictures that nobody has looked at."""
        return self.summary().pending > 0


class Sample:
    """A set of the server's: it is shown in part, and nobody changes it.

    Args:
        name: under which it is trained on.
        place: its path, or its name if it is embedded.
        folder: for what was noticed of it.
    """

    sample, revision = True, 0

    def __init__(self, name: str, place: str, folder: Path) -> None:
        self.id = self.name = name
        self.source, self.folder = place, folder
        self.look = Look(folder / LOOK)
        self.wanted = False
        """Whether a client has asked for it."""

    def items(self) -> list[Item]:
        """Some, spread over the set."""
        return [Item(**item) for item in self.look.told.get("items", ())]

    def summary(self) -> Summary:
        """What there is, and what was noticed of it."""
        self.wanted = True
        return self.look.of_sample()

    def picture(self, sha: str) -> Path | None:
        """The file of a picture by the hash of its bytes."""
        numbers = (item.number for item in self.items() if item.sha == sha)
        return next((self.folder / ASIDE / _file(number) for number in numbers), None)

    def cover(self) -> list[str]:
        """Hashes of some pictures."""
        return _cover(self.items())

    def stale(self) -> bool:
        """Whether somebody wants it, and nobody has looked at it."""
        return self.wanted and not self.look.told


Shown = Dataset | Sample


class Datasets:
    """All sets of a server, and whoever starts the processes that look at them.

    Args:
        root: holds `datasets` and `sources`.
        known: sets of the server's: name -> path, or the name of an embedded set.
    """

    def __init__(self, root: Path, known: Mapping[str, str]) -> None:
        self._root, self._lock = root, threading.Lock()
        self._own: dict[str, Dataset] = {}
        self._looking: subprocess.Popen[bytes] | None = None
        for folder in ("datasets", "looked", "sources"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (root / "datasets").iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)  # of a removal that was cut short
            elif (path / JOURNAL).exists():
                self._own[path.name] = Dataset(path.name, root)
        places = {name: hashlib.sha256(name.encode()).hexdigest()[:16] for name in known}
        self._samples = {
            name: Sample(name, place, root / "looked" / places[name])
            for name, place in known.items()
        }

    def all(self) -> list[Shown]:
        """A client's own, newest first, then the server's."""
        own = sorted(self._own.values(), key=lambda one: (-one.created, one.id))
        return [*own, *self._samples.values()]

    def get(self, name: str) -> Shown:
        """The set of that id.

        Raises:
            NotFound: there is none.
        """
        found = self._own.get(name) or self._samples.get(name)
        if found is None:
            raise NotFound(f"no set {name[:80]!r} here")
        return found

    def own(self, name: str) -> Dataset:
        """The same, to be changed.

        Raises:
            NotFound: there is none.
            Conflict: it is the server's.
        """
        found = self.get(name)
        if isinstance(found, Sample):
            raise Conflict(
                f"{name[:80]} is a set of the server's and stays as it is; make your own"
            )
        return found

    def create(self, words: str) -> Dataset:
        """A new set, whose id is made of its name.

        Raises:
            Invalid: no such name.
        """
        words = _word(words, LONGEST_NAME, "a set")
        plain = re.sub("[^a-z0-9]+", "-", words.lower()).strip("-")[:36].strip("-") or "pictures"
        with self._lock:
            names = (plain, *(f"{plain}-{count}" for count in range(2, 1000)))
            for name in names:
                taken = name in self._samples or (self._root / "sources" / name).exists()
                with contextlib.suppress(FileExistsError):
                    if not taken:
                        (self._root / "datasets" / name).mkdir()
                        self._own[name] = Dataset.create(name, words, self._root)
                        return self._own[name]
        raise Conflict(f"too many sets are called {plain}; give another name")

    def delete(self, name: str) -> None:
        """Remove a set and its pictures."""
        found = self.own(name)
        with self._lock:
            self._own.pop(name, None)
            for path in (found.source, found.folder):
                gone = self._root / "datasets" / f".{secrets.token_hex(8)}"
                with contextlib.suppress(FileNotFoundError):
                    path.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)

    def picture(self, sha: str) -> tuple[Path, Path]:
        """The file of a picture by the hash of its bytes, and the folder of its set.

        Raises:
            NotFound: there is none.
        """
        for one in self.all():
            path = one.picture(sha)
            if path is not None and path.is_file():
                return path, one.folder
        raise NotFound(f"no picture {sha[:80]!r} here")

    def tend(self) -> None:
        """Write labels down, and let a process look at what is new. To be called time and again."""
        for own in list(self._own.values()):
            with contextlib.suppress(FileNotFoundError):  # it was removed this moment
                own.flush()
        if self._looking is not None and self._looking.poll() is None:
            return
        self._looking = None
        for one in self.all():
            if one.stale():
                shown = str(SHOWN if one.sample else 0)
                one.folder.mkdir(exist_ok=True)
                words = [sys.executable, "-m", "zeuxis.server.look", str(one.source)]
                self._looking = subprocess.Popen(
                    [*words, str(one.folder), shown], stdin=subprocess.DEVNULL
                )
                return

    def close(self) -> None:
        """End the process that looks, if there is one."""
        if self._looking is not None:
            self._looking.terminate()
            self._looking.wait()


def _set(field: str, numbers: Sequence[int], value: object, words: str) -> dict[str, Any]:
    if not numbers:
        raise Invalid("a change names at least one picture")
    return {"set": field, "items": list(numbers), "value": value, "words": words}


def _file(number: int) -> str:
    return f"{number:06d}.png"


def _cover(items: Sequence[Item]) -> list[str]:
    shas = dict.fromkeys(item.sha for item in items if item.sha and not item.excluded)
    found = list(shas)
    return [sha for sha in found[:: max(1, len(found) // 4)] if sha][:4]


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _word(text: str, longest: int, what: str) -> str:
    """A name that is shown.

    Raises:
        Invalid: it is empty, too long, or not to be printed.
    """
    text = " ".join(text.split())
    if not text or len(text) > longest or not text.isprintable():
        raise Invalid(
            f"{printable(text[:80])!r} is no name of {what}: expected 1 to {longest} characters"
        )
    return text
