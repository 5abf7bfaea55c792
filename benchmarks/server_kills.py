"""A server that trains, killed time and again: is a job lost, done twice, or ended on other bits?

    python -m benchmarks.server_kills [--kills 50] [--jobs 12] [--steps 200] [--record]

`zeuxis serve --jobs` is killed (SIGKILL) after a random time, `--kills` times; each server but the first
finds what the one before left. Meanwhile clients ask for `--jobs` small trainings, each with an
Idempotency-Key, and ask again for those whose answer they did not get. Every third kill hits the process of
the job that runs, too. Then the last server finishes them all.

Counted are jobs that are missing, jobs of one key that are there twice, journals with more than one end,
and runs whose weights or log differ from those of the same request trained without a server.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks import row
from zeuxis.core.lock import holder
from zeuxis.core.request import Request
from zeuxis.training.run import train

LONGEST = 1800.0
"""Seconds for the jobs that are left at the end."""
GONE = (httpx.TransportError, json.JSONDecodeError)


def request(seed: int, steps: int) -> dict[str, Any]:
    """A training that takes seconds and saves often."""
    training = {"batch_size": 4, "save_every": 10, "log_every": 5, "probe_every": 9999}
    return {
        "family": "gan",
        "source": "avatars",
        "steps": steps,
        "seed": seed,
        "threads": 1,
        "evaluate": False,
        "overrides": {"family": {"features": 4}, "training": {**training, "sheet_every": 9999}},
    }


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A server, and a client of it."""
    command = [sys.executable, "-m", "zeuxis", "serve", "--jobs", str(folder), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
    assert server.stdout is not None
    address = server.stdout.readline().split()[-1]
    key = {"authorization": f"Bearer {server.stdout.readline().split()[-1]}"}
    try:
        with httpx.Client(base_url=address, headers=key, timeout=30) as client:
            yield server, client
    finally:
        server.kill()
        server.wait()


class Clients:
    """What clients want, and what they were told."""

    def __init__(self, jobs: int, steps: int) -> None:
        self.wanted = {f"key-{seed}": request(seed, steps) for seed in range(jobs)}
        self.told: dict[str, set[str]] = {key: set() for key in self.wanted}

    def ask(self, client: httpx.Client, keys: list[str]) -> None:
        """Ask for some; whoever gets no answer asks again some time."""
        for key in keys:
            with contextlib.suppress(*GONE):
                answer = client.post(
                    "/jobs", json={"request": self.wanted[key]}, headers={"idempotency-key": key}
                )
                self.told[key].add(answer.json()["id"])


def kill_job(folder: Path) -> bool:
    """Kill the process of the job that runs, if one does."""
    for lock in folder.glob("jobs/*/.lock"):
        words = holder(lock)
        if words is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(words.removeprefix("process ").partition(" on ")[0]), signal.SIGKILL)
                return True
    return False


def finish(client: httpx.Client) -> list[dict[str, Any]]:
    """All jobs, once none waits or runs; what was killed twice, so crashed, is resumed as by a person."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        jobs: list[dict[str, Any]] = client.get("/jobs").json()["jobs"]
        for job in jobs:
            if job["state"] == "crashed":
                client.post(f"/jobs/{job['id']}/resume")
        if all(job["state"] == "finished" for job in jobs):
            return jobs
        time.sleep(0.5)
    raise SystemExit("the jobs did not end in time")


def result(run: Path) -> tuple[list[str], bytes]:
    """Names of the weights, which are their hash, and the log."""
    return sorted(path.name for path in run.glob("model-*")), (run / "log.jsonl").read_bytes()


def main() -> None:
    """Kill, finish, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    chance, clients = random.Random(0), Clients(args.jobs, args.steps)
    began, of_jobs, running = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "studio"
        for number in range(args.kills):
            with serving(folder) as (server, client):
                keys = list(clients.wanted)[: 1 + number * args.jobs // args.kills]
                clients.ask(client, chance.sample(keys, min(3, len(keys))))
                time.sleep(chance.uniform(0.0, 1.5))
                running += bool(list(folder.glob("jobs/*/.lock")))
                if number % 3 == 2:
                    of_jobs += kill_job(folder)
                server.send_signal(signal.SIGKILL)
        with serving(folder) as (_, client):
            clients.ask(client, list(clients.wanted))
            ended = finish(client)
        ids = {key: next(iter(told)) for key, told in clients.told.items()}
        alone = Path(place) / "alone"
        differ = [
            key
            for key, wanted in clients.wanted.items()
            if result(folder / "jobs" / ids[key] / "run")
            != result(train(Request.read({**wanted, "out": str(alone / key)})))
        ]
        journals = [
            (folder / "jobs" / job["id"] / "journal.jsonl").read_text().count('"finished"')
            for job in ended
        ]
    figures = {
        "kills_of_the_server": args.kills,
        "while_a_job_ran": running,
        "kills_of_a_job": of_jobs,
        "jobs": args.jobs,
        "lost": args.jobs - len(ended),
        "doubled": sum(len(told) - 1 for told in clients.told.values())
        + sum(journals)
        - len(ended),
        "with_other_bits": len(differ),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(figures))
    if args.record:
        row.write_row("server_kills", **figures)


if __name__ == "__main__":
    main()
