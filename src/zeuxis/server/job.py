"""The process of a job: `python -m zeuxis.server.job FOLDER PATHS`."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Error, Stopped
from zeuxis.core.events import Recorder
from zeuxis.core.lock import locked
from zeuxis.core.progress import Event, Watch, leaving, ticks
from zeuxis.core.request import Request
from zeuxis.core.settings import Data
from zeuxis.server.jobs import ASKED, EVENTS, EXPORT, LOCK, STOP, Job, without_folders

NICE = 10
Values = Mapping[str, Any]
Asked = Callable[[], bool]
"""Whether an end was asked for."""


def main(folder: Path, paths: dict[str, Any]) -> None:
    """Do what a job's folder asks for, unless another process has or does."""
    job = Job(folder)
    with locked(folder / LOCK, f"{folder} is at work", wait=True):
        if job.state_alone() != "queued":
            return
        job.note(began=os.getpid())
        ended, sentence = _work(job, paths)
        (folder / STOP).unlink(missing_ok=True)
        job.note(ended=ended, sentence=sentence)


def _work(job: Job, paths: dict[str, Any]) -> tuple[str, str]:
    """How it ended: a state, and a sentence."""
    stop, kind = job.folder / STOP, job.asked["kind"]

    def plain(sentence: str) -> str:
        """Without the folders of this machine."""
        sentence = sentence.replace(str(job.run), job.id).replace(str(job.folder), job.id)
        return without_folders(sentence, paths, job.asked["request"])

    def asked() -> bool:
        return os.path.lexists(stop)

    try:
        with _recording(job, plain) as tell:
            WORK[kind]({**job.asked["request"], **paths}, job, tell, asked)
    except Stopped as stopped:
        return (ASKED.get(stop.read_text(), "stopped") if asked() else "queued"), plain(
            str(stopped)
        )
    except (Error, OSError) as error:
        return "failed", plain(str(error))
    return "finished", ""


@contextlib.contextmanager
def _recording(job: Job, plain: Callable[[str], str]) -> Iterator[Watch]:
    """A watcher that writes, plainly, into events of all jobs, and into the job's own where no run does."""
    recorders = [Recorder(job.folder.parent.parent / EVENTS, {"job": job.id}, bounded=False)]
    if job.asked["kind"] != "train":
        recorders.append(Recorder(job.folder / EVENTS))

    def tell(event: Event) -> None:
        for recorder in recorders:
            recorder(dataclasses.replace(event, text=plain(event.text)))

    try:
        yield tell
    finally:
        for recorder in recorders:
            recorder.close()


def _train(given: Values, job: Job, tell: Watch, asked: Asked) -> None:
    from zeuxis.training.run import train

    train(Request.read({**given, "out": str(job.run)}), tell, asked)


def _evaluate(given: Values, job: Job, tell: Watch, asked: Asked) -> None:
    from zeuxis.training.closing import evaluate

    def told(event: Event) -> None:
        tell(event)
        if asked():
            raise Stopped("stopped while measuring; the model stays as it is")

    evaluate(given["run"], given["source"], given.get("samples", 2000), told)


def _prepare(given: Values, job: Job, tell: Watch, asked: Asked) -> None:
    from zeuxis.data.preparation.prepare import ensure

    def check() -> None:
        if asked():
            raise Stopped("stopped while preparing")

    settings = {name: value for name, value in given.items() if name != "source"}
    data = Data.model_validate_json(json.dumps(settings))
    ensure(given["source"], data, ticks(tell, "preparing", check=check))


def _export(given: Values, job: Job, tell: Watch, asked: Asked) -> None:
    from zeuxis.export.write import KINDS, export

    def check() -> None:
        if asked():
            raise Stopped("stopped while exporting")

    kind, place = KINDS[given["to"]], job.folder / EXPORT
    name = re.sub(r"[^\w.-]", "-", job.asked["request"]["run"]) + "-" + given["to"]
    shutil.rmtree(place, ignore_errors=True)
    more = {key: given[key] for key in ("half", "licence", "count", "seed") if key in given}
    out = place / name / name if kind.suffix else place / name
    progress = ticks(tell, "exporting", check=check)
    files = export(
        given["run"], given["to"], out.with_name(out.name + kind.suffix), progress=progress, **more
    )
    if len(files) == 1:
        files[0].rename(place / files[0].name)
    else:
        shutil.make_archive(str(place / name), "zip", place / name)
    shutil.rmtree(place / name)


WORK: Mapping[str, Callable[[Values, Job, Watch, Asked], None]] = {
    "train": _train,
    "evaluate": _evaluate,
    "prepare": _prepare,
    "export": _export,
}
"""What is done for a job, by its kind."""


if __name__ == "__main__":
    os.nice(NICE)
    with leaving():
        main(Path(sys.argv[1]), json.loads(sys.argv[2]))
