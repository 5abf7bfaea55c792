"""The folder of a run during training: used by one process, checked to be this run, free of leftovers.

`run.json` says what was asked for and what was planned. Each checkpoint holds the same, so that a damaged
or missing `run.json` is written anew from it.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zeuxis.core import events
from zeuxis.core.errors import Conflict, Invalid, NotFound, Stopped
from zeuxis.core.files import inside, read_json, read_sealed, write_sealed
from zeuxis.core.lock import holder, locked
from zeuxis.core.processes import Parallel
from zeuxis.core.progress import Check
from zeuxis.inference import artefact
from zeuxis.training import checkpoint
from zeuxis.training.loop import Event, Watch

SET_ASIDE = "move it away (`zeuxis train --fresh` does that)"
LOCK = ".lock"
STOP = ".stop"
"""A file that asks whoever trains in the folder to stop."""
LOOK = 1.0
"""Seconds between looks for it."""
EVENTS = "events.jsonl"
WRITTEN = ("*.json*", "README.md*", "model-*", "samples/step-*", "checkpoints/*", "parts/*")
"""What training writes into the folder, each first as `<name>.<number>.tmp`."""


@contextlib.contextmanager
def opened(
    folder: Path,
    fresh: bool,
    tell: Watch,
    processes: Parallel,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Check, Watch]]:
    """Hold the run's folder, which is made for it: nobody else trains in it meanwhile.

    Of processes that train together, the first does this. If nothing begins in it, the folder is at the
    end as it was before.

    Args:
        folder: of the run.
        fresh: set aside what is there.
        tell: told of what was set aside.
        processes: that train together.
        stop: another way to ask for an end than `request_stop`.

    Yields:
        A check that raises `Stopped` once an end was asked for, and a `tell` that writes `events.jsonl`.

    Raises:
        ValueError: it is a file, or it is in training.
    """
    if not processes.first:
        yield _check_for(folder, stop), tell
        return
    if folder.exists() and not folder.is_dir():
        raise Invalid(f"{folder} is a file; give a folder as --out")
    aside = _set_aside(folder, tell) if fresh else None
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder) as unlocked:
        if unlocked:
            tell(Event("note", f"{folder} has no lock ({unlocked}): train only once in it"))
        (folder / STOP).unlink(missing_ok=True)
        try:
            with _recorded(folder, tell) as told:
                yield _check_for(folder, stop), told
        finally:
            (folder / STOP).unlink(missing_ok=True)
            if made:
                _undo(folder, aside, tell)


def begin(
    folder: Path,
    request: Mapping[str, Any],
    tell: Watch,
    processes: Parallel,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Check that an opened folder holds this very run or nothing, and remove what a kill left half written.

    Of processes that train together, the first does this and the others wait.

    Args:
        folder: of the run.
        request: JSON values of what was asked for: they tell one run from another.
        tell: told of what was mended.
        processes: that train together.
        defaults: of settings, for a run of before there were some of them.

    Raises:
        ValueError: it holds another run (what differs is listed) or something else.
    """
    if processes.first:
        for link in filter(Path.is_symlink, folder.iterdir()):
            inside(folder, link.name)
        _check(folder, request, defaults or {}, tell)
        _sweep(folder)
    processes.wait()


def request_stop(folder: Path) -> str:
    """Ask whoever trains in the folder to stop, as Ctrl-C does; who that is, as `process N on HOST`.

    It is seen within a second or a step: the state is saved, and the same command goes on later.

    Raises:
        ValueError: nobody trains there.
    """
    who = holder(folder / LOCK)
    if who is None:
        raise NotFound(f"nothing is being trained in {folder}, so there is nothing to stop")
    (folder / STOP).touch()
    return who


def check_apart(folder: Path, source: Path) -> None:
    """Refuse a run's folder that holds the images: --fresh would move them.

    Raises:
        ValueError: it does.
    """
    if source.exists() and folder.resolve() in (source.resolve(), *source.resolve().parents):
        raise Invalid(f"{folder} holds the images of {source}; give another --out")


def is_finished(folder: Path, tell: Watch) -> bool:
    """Whether the run's artefact is that of its last step; a damaged one is to be written anew."""
    if not (folder / "config.json").exists():
        return False
    try:
        content = artefact.read(folder)
    except ValueError as error:
        tell(Event("note", f"{error}: writing the model anew from the last checkpoint"))
        return False
    artefact.drop_old_weights(folder, content)
    return bool(content.get("finished"))


def is_measured(folder: Path) -> bool:
    """Whether the report is there and speaks of these weights."""
    file = folder / "report.json"
    if not file.exists():
        return False
    facts = read_json(file, finite=False).get("facts")
    measured = facts.get("weights") if isinstance(facts, dict) else None
    return bool(measured == artefact.weights(artefact.read(folder)))


def differences(old: Any, new: Any, defaults: Any = None, path: str = "") -> list[str]:
    """What changed, as phrases; of another family's run only that. What `old` lacks has its default."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("family") != new.get("family"):
            old, new = {"family": old.get("family")}, {"family": new.get("family")}
        found = []
        usual = defaults if isinstance(defaults, Mapping) else {}
        for key in sorted({*old, *new}):
            known, default = old.get(key, usual.get(key)), usual.get(key)
            found += differences(known, new.get(key), default, f"{path}.{key}" if path else key)
        return found
    return [] if old == new else [f"{path} was {old!r} and is now {new!r}"]


def _lock(folder: Path) -> contextlib.AbstractContextManager[str]:
    return locked(folder / LOCK, f"{folder} is being trained")


def _check_for(folder: Path, stop: Callable[[], bool]) -> Check:
    """A check that asks `stop` each time and looks for a file once in a while."""
    due = 0.0

    def check() -> None:
        nonlocal due
        if stop():
            raise Stopped
        if time.monotonic() >= due:
            due = time.monotonic() + LOOK
            if os.path.lexists(folder / STOP):
                raise Stopped

    return check


@contextlib.contextmanager
def _recorded(folder: Path, tell: Watch) -> Iterator[Watch]:
    """Tell and write down, but for what happens in a folder that holds something else than a run."""
    if not (folder / "run.json").exists() and any(map(_counts, folder.iterdir())):
        yield tell
        return
    recorder = events.Recorder(folder / EVENTS)

    def both(event: Event) -> None:
        tell(event)
        recorder(event)

    try:
        yield both
    finally:
        recorder.close()


def _set_aside(folder: Path, tell: Watch) -> Path | None:
    """Rename the folder, unless it is empty or in training; its new path."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    if folder.samefile(Path.cwd()):
        raise Invalid("the current folder cannot be set aside; give another --out")
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    with _lock(folder):
        folder.rename(aside)
        (aside / LOCK).unlink(missing_ok=True)
    tell(Event("note", f"the old {folder} is now {aside}"))
    return aside


def _undo(folder: Path, aside: Path | None, tell: Watch) -> None:
    """Remove a folder in which nothing began, and bring back what was set aside for it."""
    if not folder.is_dir() or any(map(_counts, folder.iterdir())):
        return
    shutil.rmtree(folder)
    if aside:
        aside.rename(folder)
        tell(Event("note", f"nothing began, so {aside} is {folder} again"))


def _check(
    folder: Path, request: Mapping[str, Any], defaults: Mapping[str, Any], tell: Watch
) -> None:
    """Refuse another run; write `run.json` anew from a checkpoint if it is damaged or missing."""
    file, lost = folder / "run.json", ""
    run: dict[str, Any] | None
    try:
        run = read_sealed(file)
    except FileNotFoundError:
        run, lost = checkpoint.run(folder / "checkpoints"), "missing"
        if run is None and any(_counts(path) for path in folder.iterdir()):
            raise Conflict(
                f"{folder} holds other files and no run; give another --out, or {SET_ASIDE}"
            ) from None
    except ValueError as error:
        run, lost = checkpoint.run(folder / "checkpoints"), "damaged"
        if run is None:
            raise Invalid(
                f"{file} is damaged, and no checkpoint holds what was in it; restore it from a copy, give "
                f"another --out, or {SET_ASIDE}"
            ) from error
    if run is None:
        return
    changed = differences(run.get("request"), dict(request), defaults)
    if changed:
        on = f"go on from its weights with --from {folder} and another --out, "
        raise Conflict(
            f"{folder} holds another run: {'; '.join(changed)}. Repeat its settings to continue it, "
            f"{on if (folder / 'config.json').exists() else 'give another --out, '}or {SET_ASIDE}"
        )
    if lost:
        write_sealed(file, run)
        tell(Event("note", f"{file} was {lost} and is written anew from the last checkpoint"))


def _counts(path: Path) -> bool:
    """Whether a file makes a folder somebody's: hidden ones, events and what a kill leaves do not."""
    return path.suffix != ".tmp" and not path.name.startswith(".") and path.name != EVENTS


def _sweep(folder: Path) -> None:
    """Remove what a kill left half written; `report.*` may be somebody's who measures right now."""
    for pattern in WRITTEN:
        for path in folder.glob(f"{pattern}.tmp"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif not path.name.startswith("report."):
                path.unlink(missing_ok=True)
