"""The process of a job: `python -m zeuxis.server.job FOLDER PATHS`."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Error, Stopped
from zeuxis.core.events import Recorder
from zeuxis.core.lock import locked
from zeuxis.core.progress import Event, leaving
from zeuxis.core.request import Request
from zeuxis.server.jobs import ASKED, EVENTS, LOCK, STOP, Job

NICE = 10


def main(folder: Path, paths: dict[str, Any]) -> None:
    """Train what a job's folder asks for, unless another process has or does."""
    job = Job(folder)
    with locked(folder / LOCK, f"{folder} is at work", wait=True):
        if job.state_alone() != "queued":
            return
        job.note(began=os.getpid())
        ended, sentence = _train(job, paths)
        (folder / STOP).unlink(missing_ok=True)
        job.note(ended=ended, sentence=sentence)


def _train(job: Job, paths: dict[str, Any]) -> tuple[str, str]:
    """How it ended: a state, and a sentence."""
    stop = job.folder / STOP

    def asked() -> bool:
        return os.path.lexists(stop)

    recorder = Recorder(job.folder.parent.parent / EVENTS, {"job": job.id}, bounded=False)
    try:
        from zeuxis.training.run import train

        request = Request.read({**job.asked["request"], **paths, "out": str(job.run)})
        train(request, lambda event: recorder(_told(job, event)), asked)
    except Stopped as stopped:
        return (ASKED.get(stop.read_text(), "stopped") if asked() else "queued"), str(stopped)
    except (Error, OSError) as error:
        return "failed", str(error).replace(str(job.run), job.id)
    finally:
        recorder.close()
    return "finished", ""


def _told(job: Job, event: Event) -> Event:
    """An event without the folders of this machine."""
    return dataclasses.replace(event, text=event.text.replace(str(job.run), job.id))


if __name__ == "__main__":
    os.nice(NICE)
    with leaving():
        main(Path(sys.argv[1]), json.loads(sys.argv[2]))
