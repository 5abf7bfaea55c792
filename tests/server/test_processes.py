"""Real processes: a server, its job and its models are killed, and nothing is lost or done twice."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.server.test_jobs import REQUEST
from tests.support.front import pictures, workshop
from zeuxis.core.request import Request
from zeuxis.server.jobs import JOURNAL, Jobs
from zeuxis.server.models import Models, process
from zeuxis.server.orders import Order
from zeuxis.server.problems import Late, Lost
from zeuxis.training.run import train

LONGEST = 300
"""Seconds after which waiting is given up."""
NAME = "icons;$(touch sung)"
"""No shell ever sees it (mlflow 2026-0596)."""
KEYS = {"family": {**REQUEST["overrides"]["family"]}, "data": {"size": [8, 8]}}
LONG = {
    **REQUEST,
    "source": NAME,
    "steps": 60,
    "overrides": {
        **KEYS,
        "training": {
            "batch_size": 4,
            "save_every": 10,
            "log_every": 5,
            "probe_every": 999,
            "sheet_every": 999,
        },
    },
}


def until(seen):
    """What `seen` gives, once it gives something."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if found := seen():
            return found
        time.sleep(0.05)
    pytest.fail("waited too long")


def weights(folder):
    return [path.name for path in folder.glob("model-*.safetensors")]


@contextlib.contextmanager
def serving(tmp_path, *words):
    """`zeuxis serve` as a process, and a client of it."""
    said = tmp_path / "said"
    with said.open("wb") as file:
        command = [sys.executable, "-m", "zeuxis", "serve", "--port", "0", *map(str, words)]
        server = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        until(lambda: server.poll() is not None or said.read_bytes().count(b"\n") > 1)
        first, second = said.read_text().splitlines()[:2]
        key = {"authorization": f"Bearer {second.removeprefix('token: ')}"}
        with httpx.Client(
            base_url=first.rpartition(" ")[2], headers=key, timeout=LONGEST
        ) as client:
            until(lambda: _answers(client))
            yield server, client
    finally:
        server.kill()
        server.wait()


def _answers(client):
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def streamed(client, url, count, **headers):
    """Numbers and rows of the first events."""
    found, number = [], 0
    with client.stream("GET", url, headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            if line.startswith("data: "):
                found.append((number, json.loads(line[6:])))
            if len(found) == count:
                return found


def test_server_and_job_are_killed_and_the_run_ends_as_if_never(tmp_path):
    with workshop(tmp_path / "cache"):
        icons = pictures(tmp_path / NAME, count=12)
        with serving(tmp_path, "--jobs", tmp_path / "studio", "--source", icons) as (
            server,
            client,
        ):
            name = client.post("/jobs", json={"request": LONG}).json()["id"]
            told = streamed(client, "/events?after=0", 2)
            again = streamed(client, "/events", 1, **{"last-event-id": "1"})
            assert [number for number, _ in told] == [1, 2] and again == told[1:]
            assert {row["job"] for _, row in told} == {name}
            server.kill()
        jobs = Jobs(tmp_path / "studio", {NAME: icons}, {})
        job = jobs.get(name)
        log = job.run / "log.jsonl"
        until(lambda: log.exists() and log.read_bytes().count(b"\n") > 2)
        assert job.state() == "running"  # and belongs to nobody
        began = json.loads((job.folder / JOURNAL).read_text().splitlines()[0])["began"]
        jobs.tend()
        assert not jobs._started
        os.kill(began, signal.SIGKILL)
        until(lambda: job.state() != "running")
        assert job.state() == "queued"
        jobs.tend()  # goes on once
        undisturbed = train(Request.read({**LONG, "source": icons, "out": tmp_path / "alone"}))
        until(lambda: job.state() == "finished" and not (jobs.tend() or jobs._started))
    assert not list(tmp_path.rglob("sung")) and not Path("sung").exists()
    assert weights(job.run) == weights(undisturbed) != []
    rows = [json.loads(line) for line in (job.folder / JOURNAL).read_text().splitlines()]
    assert [next(key for key in ("began", "ended") if key in row) for row in rows] == [
        "began"
    ] * 2 + ["ended"]
    assert (job.run / "log.jsonl").read_bytes() == (undisturbed / "log.jsonl").read_bytes()


def test_models_that_are_killed_are_started_again(runs):
    async def go():
        models = Models(process(64), queue=64, deadline=LONGEST)
        body = b'{"count": 64, "credentials": false}'  # a signature differs each time
        order = Order(number=0, verb="sample", run="gan", folder=runs("gan"), body=body)
        first = await models.ask(order)
        pending = [asyncio.ensure_future(models.ask(order)) for _ in range(20)]
        await asyncio.sleep(0)
        (child,) = multiprocessing.active_children()
        os.kill(child.pid, signal.SIGKILL)
        lost = await asyncio.gather(*pending, return_exceptions=True)
        assert any(isinstance(one, Lost) for one in lost)
        assert not models.waiting
        assert (await models.ask(order)).body == first.body
        models.deadline = 0.0001
        with pytest.raises(Late, match="no answer within"):
            await models.ask(order)
        models.close()

    asyncio.run(go())
    until(lambda: not multiprocessing.active_children())
