"""Jobs of training: processes that outlive the server, in folders that say all that is known of them.

    jobs/<id>/job.json       what was asked for, written once
    jobs/<id>/journal.jsonl  when a process began, how one ended, what was asked meanwhile
    jobs/<id>/log            what the processes printed
    jobs/<id>/run/           the run
    jobs/<id>/.lock          held as long as its process lives
    jobs/<id>/.stop          holds pause, stop or cancel, until it is obeyed

The state of a job follows from its journal and its lock, so a server that is killed loses nothing, and the
next one goes on. A process that was killed leaves a journal without an end: it is started again once.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import pydantic

from zeuxis.core.errors import Conflict, Invalid, NotFound
from zeuxis.core.files import cache_folder, read_json, sync_folder, write_json
from zeuxis.core.lock import is_held
from zeuxis.core.log import append, parse_line
from zeuxis.core.request import Request
from zeuxis.core.settings import Data, Settings, explain, suggest
from zeuxis.families import FAMILIES
from zeuxis.server.datasets import Dataset, Datasets
from zeuxis.server.problems import Busy

State = Literal[
    "queued", "running", "paused", "stopped", "cancelled", "failed", "crashed", "finished"
]
STARTS = 2
"""Processes of a job that may be killed before it counts as crashed."""
MOST = 10_000
"""Jobs that may wait."""
LOCK, STOP, JOURNAL, LOG, RUN = ".lock", ".stop", "journal.jsonl", "log", "run"
EXPORT = "export"
"""Folder of the one file that an export leaves."""
EVENTS = "events.jsonl"
"""Beside `jobs`: what happened in all of them, in order."""
TAIL = 65_536
"""Bytes of a log that are shown."""
ENOUGH = 16_384
"""Bytes at the end of events, which hold some of how far a job is."""
BY_CLASS = ("A:B", "B:A")
"""Values of `data.pairs` that mean the two classes of a set, in the order in which they came up."""
ASKED = {"pause": "paused", "stop": "stopped", "cancel": "cancelled"}
"""What can be asked of a process, and the state that follows."""


class Evaluate(Settings):
    """Measure a trained model; the report is written into its run."""

    run: str
    """A name of /runs."""
    source: str
    """Real images to compare with: a name of /sources."""
    samples: int = pydantic.Field(2000, ge=8, le=100_000)
    """Images to draw."""


class Prepare(Data):
    """Prepare a source, so that training on it begins at once."""

    source: str
    """A name of /sources."""


class Export(Settings):
    """Write a trained model for use elsewhere; what is written is the job's `export`."""

    run: str
    """A name of /runs."""
    to: Literal["onnx", "page", "npm", "sheet", "folder"]
    """What is written, as by `zeuxis export --to`."""
    half: bool | None = None
    """float16; by default in pages and packages of models that draw in one pass."""
    licence: str = pydantic.Field("", max_length=100)
    """Of the model."""
    count: int = pydantic.Field(64, ge=1, le=4096)
    """Pictures of a sheet."""
    seed: int = pydantic.Field(0, ge=0)
    """Of these."""


KINDS: Mapping[str, type[Settings]] = {
    "train": Request,
    "evaluate": Evaluate,
    "prepare": Prepare,
    "export": Export,
}
"""What may be asked of a job, by its kind."""


class Progress(pydantic.BaseModel):
    """What a job said last."""

    kind: str
    text: str
    done: int
    total: int
    seconds_left: float | None


class JobFacts(pydantic.BaseModel):
    """What a client may know of a job."""

    id: str
    kind: str
    state: State
    sentence: str
    """How it ended."""
    created: float
    """Seconds since 1970."""
    request: dict[str, Any]
    progress: Progress | None
    place: int | None
    """Jobs before it, of one that waits."""


@dataclasses.dataclass(frozen=True)
class Known:
    """What a journal says.

    Attributes:
        state: of the job, as far as the journal tells: of a process that is dead it does not.
        sentence: how it ended.
        began: processes since the last end.
    """

    state: State = "queued"
    sentence: str = ""
    began: int = 0


class Job:
    """A job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name
        self.run = folder / RUN
        self._journal = folder / JOURNAL
        self._read: tuple[Any, Known] = (None, Known())

    @functools.cached_property
    def asked(self) -> dict[str, Any]:
        """Content of `job.json`, which never changes."""
        return read_json(self.folder / "job.json")

    def known(self) -> Known:
        """What the journal says now."""
        try:
            stat = self._journal.stat()
        except FileNotFoundError:
            return Known()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if self._read[0] != stamp:
            self._read = (stamp, _told(self._journal))
        return self._read[1]

    def state(self) -> State:
        """What it is doing; a process that died without a word leaves it queued, or crashed."""
        return self._state(self.known())

    def state_alone(self) -> State:
        """The same where no other process is at work."""
        return self._alone(self.known())

    def _state(self, known: Known) -> State:
        running = known.state == "running" and is_held(self.folder / LOCK)
        return "running" if running else self._alone(known)

    def _alone(self, known: Known) -> State:
        if known.state != "running":
            return known.state
        return "queued" if known.began < STARTS else "crashed"

    def note(self, **told: Any) -> None:
        """Append a line to the journal, and to the events of all jobs."""
        row = {"time": round(time.time(), 3), **told}
        append(self.folder / JOURNAL, row)
        append(self.folder.parent.parent / EVENTS, {"job": self.id, "kind": "job", **row})

    def progress(self) -> Progress | None:
        """What its process said last of how far it is."""
        own = self.folder / EVENTS
        path = own if own.exists() else self.run / EVENTS
        for row in filter(None, map(parse_line, reversed(_end(path, ENOUGH).split(b"\n")))):
            if row.get("kind") in ("step", "prepare"):
                left = row.get("numbers", {}).get("seconds_left")
                words = {name: row.get(name) for name in ("kind", "done", "total")}
                return Progress(text=row.get("text", ""), seconds_left=left, **words)
        return None

    def facts(self) -> JobFacts:
        """What a client may know."""
        known = self.known()
        state = self._state(known)
        sentence = known.sentence
        if state == "crashed" and known.state == "running":
            sentence = f"its process was killed {known.began} times; the log may say why"
        return JobFacts(
            id=self.id,
            kind=self.asked["kind"],
            state=state,
            sentence=sentence,
            created=self.asked["created"],
            request=self.asked["request"],
            progress=None if state in ("queued", "finished") else self.progress(),
            place=None,
        )

    def log(self) -> str:
        """The end of what its processes printed."""
        return _end(self.folder / LOG, TAIL).decode("utf-8", "replace")

    def ask(self, what: str) -> None:
        """Ask its process to pause, stop or cancel; what waits or paused obeys at once.

        Raises:
            Conflict: it has ended.
        """
        state = self.state()
        if state not in ("queued", "running", "paused"):
            raise Conflict(f"job {self.id} is {state}, so it cannot {what}")
        (self.folder / STOP).write_text(what)
        if state != "running":
            self.note(ended=ASKED[what], sentence="")

    def resume(self) -> None:
        """Let it wait for its turn again.

        Raises:
            Conflict: it is running, waits already, or is over.
        """
        state = self.state()
        if state not in ("paused", "stopped", "failed", "crashed", "cancelled"):
            raise Conflict(f"job {self.id} is {state}, so there is nothing to resume")
        (self.folder / STOP).unlink(missing_ok=True)
        self.note(asked="resume")


def _end(path: Path, most: int) -> bytes:
    """The last bytes of a file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read()
    except FileNotFoundError:
        return b""


def _told(path: Path) -> Known:
    known = Known()
    for row in filter(None, map(parse_line, path.read_bytes().split(b"\n"))):
        if "began" in row:
            known = Known("running", "", known.began + 1)
        elif "ended" in row:
            known = Known(row["ended"], str(row.get("sentence", "")))
        elif "asked" in row:
            known = Known()
    return known


def without_folders(sentence: str, paths: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    """A sentence for clients, in which folders of this server have the names that clients know.

    Args:
        sentence: that may name them.
        paths: of what a request names, by its field.
        asked: the request, as the client wrote it.
    """
    known = {path: str(asked[field]) for field, path in paths.items() if Path(path).is_absolute()}
    for path, name in {**known, str(cache_folder()): "the cache"}.items():
        sentence = sentence.replace(path, name)
    return sentence


def read_request(kind: str, asked: Mapping[str, Any]) -> Settings:
    """A request of a kind.

    Raises:
        Invalid: it is none, or names a folder; one sentence.
    """
    if kind not in KINDS:
        raise NotFound(f"no kind {kind[:80]!r} of job; {suggest(kind, KINDS)}")
    for name in ("out", "fresh"):
        if asked.get(name):
            raise Invalid(f"a job has a folder of its own, so leave {name} away")
    if kind == "train":
        request = Request.read(asked)
        if request.family not in FAMILIES:
            raise NotFound(f"no family {request.family!r}; {suggest(request.family, FAMILIES)}")
        if request.ground()[0] == "consented" or "consent" in request.overrides.data:
            raise Invalid(
                "a server reads no registers of consent; give faces as acknowledged=REASON"
            )
        if request.overrides.family.get("style"):
            raise Invalid(
                "a server reads no files that requests name; leave family.style away: the first picture of "
                "the set gives the style"
            )
        return request
    if asked.get("consent"):
        raise Invalid("a server reads no registers of consent")
    try:
        return KINDS[kind].model_validate_json(json.dumps(asked))
    except pydantic.ValidationError as error:
        raise Invalid(explain(error)) from error


class Jobs:
    """All jobs of a folder, and whoever starts their processes.

    Args:
        folder: holds `jobs/`, and what `Datasets` keeps.
        sources: images that may be trained on, by name, beside the sets that clients made.
        runs: trained models that a job may start from, by name.
    """

    def __init__(self, folder: Path, sources: Mapping[str, Path], runs: Mapping[str, Path]) -> None:
        self.folder = folder
        self.runs: Mapping[str, Path] = ChainMap(dict(runs), cast(Any, Trained(self)))
        """Folders of trained models, those of jobs among them, as clients call them."""
        self.sets = Datasets(
            folder, {"avatars": "avatars"} | {n: str(p) for n, p in sources.items()}
        )
        self._jobs: dict[str, Job] = {}
        self._looking = threading.Lock()
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "jobs").mkdir(parents=True, exist_ok=True)

    def sources(self) -> dict[str, str]:
        """What may be trained on: name -> path, or the name of an embedded set."""
        return {one.id: str(one.source) for one in self.sets.all()}

    def all(self) -> list[Job]:
        """Oldest first."""
        with self._looking:
            found = {entry.name for entry in os.scandir(self.folder / "jobs")}
            names = {name for name in found if not name.startswith(".")}
            self._jobs = {
                name: self._jobs.get(name) or Job(self.folder / "jobs" / name) for name in names
            }
            return sorted(self._jobs.values(), key=lambda job: (job.asked["created"], job.id))

    def get(self, name: str) -> Job:
        """The job of that id.

        Raises:
            NotFound: there is none.
        """
        job = self._jobs.get(name) or next((job for job in self.all() if job.id == name), None)
        if job is None:
            raise NotFound(f"no job {name[:80]!r} here")
        return job

    def listed(self) -> Iterator[JobFacts]:
        """What a client may know of all jobs, oldest first, with the places of those that wait."""
        place = 0
        for job in self.all():
            facts = job.facts()
            if facts.state == "queued":
                facts, place = facts.model_copy(update={"place": place}), place + 1
            yield facts

    def facts(self, job: Job) -> JobFacts:
        """What a client may know of a job, with its place."""
        facts = job.facts()
        if facts.state != "queued":
            return facts
        before = itertools.takewhile(lambda one: one is not job, self.all())
        place = sum(one.state() == "queued" for one in before)
        return facts.model_copy(update={"place": place})

    def create(self, body: Mapping[str, Any], key: str | None = None) -> tuple[Job, bool]:
        """A new job, or the one that was made for the same key; and whether it is new.

        Args:
            body: `kind`, one of `KINDS`, and `request`, one of its class, whose source, run and start are
                names of this server.
            key: `Idempotency-Key` of the client.

        Raises:
            Invalid: no such request; one sentence.
            Conflict: the key was used for another.
            Busy: too many wait.
        """
        kind, request = self._checked(body)
        known = self.all()
        if len(known) >= MOST and sum(job.state() == "queued" for job in known) >= MOST:
            raise Busy(f"{MOST:,} jobs are waiting already")
        name = hashlib.sha256(key.encode()).hexdigest()[:16] if key else secrets.token_hex(8)
        made = self.folder / "jobs" / f".{secrets.token_hex(8)}"
        made.mkdir()
        asked = {"kind": kind, "request": request, "created": time.time()}
        try:
            write_json(made / "job.json", asked)
            made.rename(made.with_name(name))  # fails if it is there, with the same key
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if not made.with_name(name).is_dir():
                raise
            job = self.get(name)
            if (job.asked["kind"], job.asked["request"]) != (kind, request):
                raise Conflict("this Idempotency-Key was used for another request") from None
            return job, False
        sync_folder(made.parent)
        return self.get(name), True

    def _checked(self, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The kind, and the request as JSON values, as the client named its source and start."""
        if unknown := set(body) - {"kind", "request"}:
            raise NotFound(f"a job has no {min(unknown)!r}; there are kind, request")
        kind, asked = body.get("kind", "train"), body.get("request")
        if not isinstance(kind, str) or not isinstance(asked, dict):
            raise Invalid('expected {"kind": "train", "request": {...}}')
        request = read_request(kind, asked)
        self.named(request)
        values = request.model_dump(mode="json")
        return kind, {name: value for name, value in values.items() if name in asked}

    def named(self, request: Settings) -> dict[str, str]:
        """Paths of what a request names.

        Raises:
            NotFound: it names something else.
            Invalid: pairs are asked of a set without two classes.
        """
        known = {"source": self.sources(), "start_from": self.runs, "run": self.runs}
        paths = {}
        for field, names in known.items():
            name = getattr(request, field, None)
            if name is not None and name not in names:
                what = "source" if field == "source" else "run"
                raise NotFound(f"no {what} {name[:80]!r} here; {suggest(name, names)}")
            if name is not None:
                paths[field] = str(names[name])
        if isinstance(request, Request) and request.overrides.data.get("pairs") in BY_CLASS:
            chosen = self.sets.get(request.source)
            if isinstance(chosen, Dataset):
                paths["source"] = str(chosen.arranged())
        return paths

    def tend(self) -> None:
        """Start the next job if none runs; note crashes. To be called time and again, by one server."""
        for name, process in list(self._started.items()):
            if process.poll() is not None:
                del self._started[name]
        states = [(job, job.state()) for job in self.all()]
        for job, state in states:
            if state == "crashed" and job.known().state == "running":
                job.note(ended="crashed", sentence=job.facts().sentence)
        if self._started or any(state == "running" for _, state in states):
            return
        for job, state in states:
            if state == "queued":
                return self._start(job)

    def _start(self, job: Job) -> None:
        """Start a process that outlives this one, and tell it the paths of what its request names."""
        try:
            paths = self.named(read_request(job.asked["kind"], job.asked["request"]))
        except Invalid as error:
            return job.note(ended="failed", sentence=str(error))
        words = [sys.executable, "-m", "zeuxis.server.job", str(job.folder), json.dumps(paths)]
        with (job.folder / LOG).open("ab") as log:
            self._started[job.id] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


class Trained(Mapping[str, Path]):
    """Runs of jobs, by the job's id; one that has just begun holds no model yet."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def __getitem__(self, name: str) -> Path:
        with contextlib.suppress(NotFound):
            if self._jobs.get(name).run.is_dir():
                return self._jobs.get(name).run
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (job.id for job in self._jobs.all() if job.run.is_dir())

    def __len__(self) -> int:
        return sum(1 for _ in self)
