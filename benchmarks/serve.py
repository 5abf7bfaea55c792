"""`zeuxis serve` under load, on this machine's loopback: images a second, health, memory, jobs.

    python -m benchmarks.serve [--seconds 20] [--clients 64] [--images 10000] [--requests 20000] [--jobs 1000]
        [--cheap 100000] [--parts speeds equal health memory jobs] [--run RUN] [--record]

One server, a process as users start it, with a GAN at 32 x 32 (random weights unless `--run`, which cost
the same):

- images/s of one client that asks for one image at a time, so that each has a batch for itself, and of
  `--clients` at once, whose requests share batches;
- images of requests with 1 to 31 images each, by all clients at once, against `Model.sample`, bit by bit;
- the time of `/health`, asked every 20 ms by a process of its own, so that the clients' work does not
  count as the server's: idle, while all clients ask, and while a job trains besides;
- memory of the server's and of the models' process over `--requests` samples, and over `--cheap` requests for
  the list of runs, the cheapest that needs the token;
- `--jobs` jobs that wait: how many are taken in a second, the time of their list, and of a new server.

Every loop is bounded. Figures depend on what else runs on the machine: run it alone.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks import row
from zeuxis import families
from zeuxis.inference import artefact
from zeuxis.inference.model import load

PARTS = ["speeds", "equal", "health", "memory", "jobs"]
PAUSE = 0.02
"""Seconds between requests for health."""
JOB = {"family": "gan", "source": "avatars", "minutes": 5, "evaluate": False, "threads": 1}


def made(folder: Path) -> Path:
    """A GAN of the default size with random weights."""
    torch.manual_seed(0)
    config = families.get("gan").Config(height=32, width=32, channels=3)
    family = families.build("gan", config)
    artefact.save(folder / "gan", "gan", family, family.state_dict())
    return folder / "gan"


@contextlib.contextmanager
def serving(run: Path, folder: Path) -> Iterator[tuple[int, str, str]]:
    """A server as a process: its id, address and token."""
    command = [sys.executable, "-m", "zeuxis", "serve", str(run), "--port", "0"]
    command += ["--jobs", str(folder / "studio"), "--queue", "1000"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        address = server.stdout.readline().split()[-1]
        yield server.pid, address, server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait()


def quantile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    return round(1000 * sorted(seconds)[int(share * (len(seconds) - 1))], 2)


def of_models(pid: int) -> int:
    """The process of the models: the largest child of the server's."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return max(map(int, children.split()), key=_resident)


def memory(pid: int) -> dict[str, float]:
    """MiB of the server's process, and of the models'."""
    return {"server": _resident(pid), "models": _resident(of_models(pid))}


def busy(pid: int) -> float:
    """Seconds of processor time that the server and the models took so far."""
    return _cpu(pid) + _cpu(of_models(pid))


def _cpu(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) / 1024, 1)
    return 0.0


class Wires:
    """Connections that stay open, without a client library, which would take longer than the server."""

    def __init__(self, address: str, token: str, path: str) -> None:
        self._host, _, self._port = address.partition("//")[2].partition("/")[0].partition(":")
        self._path, self._token = path, token
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON of an answer to the path."""
        return await self.ask("POST", self._path, json.dumps(body).encode())

    async def ask(self, method: str, path: str, content: bytes = b"") -> dict[str, Any]:
        """The JSON of an answer."""
        while self._free and self._free[-1][0].at_eof():  # the server closes those that wait
            self._free.pop()[1].close()
        opened = self._free.pop() if self._free else None
        reader, writer = opened or await asyncio.open_connection(self._host, int(self._port))
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
        head += f"authorization: Bearer {self._token}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        answered = await reader.readuntil(b"\r\n\r\n")
        size = int(answered.lower().partition(b"content-length: ")[2].split()[0])
        found: dict[str, Any] = json.loads(await reader.readexactly(size))
        if not answered.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server refused: {found}")
        self._free.append((reader, writer))
        return found


def watch(address: str, pipe: Connection) -> None:
    """Ask for health until told to stop; the seconds that each answer took."""
    place = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    seconds: list[float] = []
    pipe.send(None)
    while not pipe.poll(PAUSE):
        began = time.perf_counter()
        connection.request("GET", f"{place.path.rstrip('/')}/health")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - began)
    pipe.send(seconds)


class Bench:
    """A server and clients of it."""

    def __init__(self, client: httpx.AsyncClient, wires: Wires, args: argparse.Namespace) -> None:
        self.client, self.wires, self.args = client, wires, args

    async def sample(self, seed: int, count: int = 1) -> list[bytes]:
        """The PNG files of one request."""
        answer = await self.wires.post({"seed": seed, "count": count, "unmarked": True})
        return [base64.b64decode(image["png"]) for image in answer["images"]]

    async def at_once(
        self, work: Callable[[int], Awaitable[Any]], count: int, seconds: float
    ) -> int:
        """Let all clients do what `work` does with 0, 1, ... until either bound; how many were done."""
        numbers, end, done = iter(range(count)), time.perf_counter() + seconds, 0

        async def one() -> None:
            nonlocal done
            for number in numbers:
                await work(number)
                done += 1
                if time.perf_counter() > end:
                    return

        await asyncio.gather(*(one() for _ in range(self.args.clients)))
        return done

    async def speeds(self, pid: int) -> dict[str, Any]:
        """One client against all."""
        await asyncio.gather(*(self.sample(seed) for seed in range(self.args.clients)))
        seconds, alone, took = self.args.seconds, 0, busy(pid)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            await self.sample(alone)
            alone += 1
        cpu_alone = (busy(pid) - took) / alone
        before, began, took = await self.batches(), time.perf_counter(), busy(pid)
        done = await self.at_once(self.sample, 10**6, seconds)
        spent, cpu = time.perf_counter() - began, (busy(pid) - took) / done
        batches = await self.batches() - before
        return {
            "images_per_second_alone": round(alone / seconds, 1),
            "images_per_second_together": round(done / spent, 1),
            "ratio": round(done / spent / (alone / seconds), 2),
            "cpu_ms_per_image_alone": round(1000 * cpu_alone, 2),
            "cpu_ms_per_image_together": round(1000 * cpu, 2),
            "cpu_ratio": round(cpu_alone / cpu, 2),
            "images_per_batch": round(done / batches, 1),
        }

    async def batches(self) -> int:
        """Network calls so far."""
        text = (await self.client.get("/metrics")).text
        return int(text.partition("\nzeuxis_batches_total ")[2].split()[0])

    async def equal(self, run: Path) -> dict[str, int]:
        """How many of the images are those of `Model.sample`."""
        draw, asked = random.Random(0), []
        while sum(asked) < self.args.images:
            asked.append(draw.randint(1, 31))
        found: dict[int, list[bytes]] = {}

        async def ask(number: int) -> None:
            found[number] = await self.sample(number, asked[number])

        await self.at_once(ask, len(asked), 600)
        model, same = load(run), 0
        for number, files in found.items():
            alone = model.sample(asked[number], seed=number, unmarked=True)
            same += sum(a == b for a, b in zip(files, alone.files(), strict=True))
        return {"compared": sum(map(len, found.values())), "equal": same}

    @contextlib.asynccontextmanager
    async def health(self, found: dict[str, float], name: str) -> AsyncIterator[None]:
        """Ask for health while the body runs; its percentiles in `found`."""
        ours, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=watch, args=(str(self.client.base_url), theirs))
        process.start()
        await asyncio.to_thread(ours.recv)
        yield
        ours.send(None)
        seconds: list[float] = await asyncio.to_thread(ours.recv)
        process.join()
        found[f"{name}_p50"], found[f"{name}_p99"] = quantile(seconds, 0.5), quantile(seconds, 0.99)

    async def healths(self) -> dict[str, Any]:
        """Idle, under load, and with a job that trains."""
        found: dict[str, float] = {}
        seconds = self.args.seconds
        async with self.health(found, "idle"):
            await asyncio.sleep(seconds / 2)
        async with self.health(found, "sampling"):
            await self.at_once(self.sample, 10**6, seconds)
        job = (await self.client.post("/jobs", json={"request": JOB})).json()["id"]
        for _ in range(600):
            await asyncio.sleep(0.2)
            state = (await self.client.get(f"/jobs/{job}")).json()["state"]
            if state != "queued":
                break
        await asyncio.sleep(seconds)  # it starts Python and prepares the images
        async with self.health(found, "training_and_sampling"):
            await self.at_once(self.sample, 10**6, seconds)
        await self.client.delete(f"/jobs/{job}")
        return {"health_ms": found}

    async def memories(self, pid: int) -> dict[str, Any]:
        """Over many requests of two kinds."""

        async def cheap(number: int) -> None:
            await self.wires.ask("GET", "/api/v1/runs")

        async def over(work: Callable[[int], Awaitable[Any]], count: int) -> dict[str, Any]:
            steps, done = [memory(pid)], 0
            for _ in range(4):
                done += await self.at_once(work, count // 4, 150)
                steps.append(memory(pid))
            return {"requests": done, "memory_mib": steps}

        return {
            "samples": await over(self.sample, self.args.requests),
            "lists_of_runs": await over(cheap, self.args.cheap),
        }

    async def jobs(self, pid: int) -> dict[str, Any]:
        """Many that wait."""
        count = self.args.jobs
        began = time.perf_counter()

        async def post(number: int) -> None:
            (await self.client.post("/jobs", json={"request": JOB})).raise_for_status()

        done = await self.at_once(post, count, 120)
        accepted = done / (time.perf_counter() - began)
        times, took = [], _cpu(pid)
        for _ in range(20):
            began = time.perf_counter()
            listed = (await self.client.get("/jobs?state=queued")).json()["jobs"]
            times.append(time.perf_counter() - began)
        return {
            "jobs": len(listed),
            "jobs_accepted_per_second": round(accepted, 1),
            "jobs_list_ms": round(1000 * statistics.median(times), 1),
            "jobs_list_cpu_ms": round(1000 * (_cpu(pid) - took) / len(times), 1),
        }


async def measure(
    pid: int, address: str, token: str, run: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """All figures of one server."""
    limits = httpx.Limits(max_connections=args.clients + 8)
    key = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=address, headers=key, limits=limits, timeout=120
    ) as client:
        bench = Bench(client, Wires(address, token, f"/api/v1/runs/{run.name}/sample"), args)
        parts: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
            "speeds": lambda: bench.speeds(pid),
            "equal": lambda: bench.equal(run),
            "health": bench.healths,
            "memory": lambda: bench.memories(pid),
            "jobs": lambda: bench.jobs(pid),
        }
        figures: dict[str, Any] = {}
        for name in args.parts:
            figures |= await parts[name]()
        return figures


def restarted(run: Path, folder: Path) -> dict[str, Any]:
    """Seconds from the start of a server until it has listed all jobs."""
    began = time.perf_counter()
    with serving(run, folder) as (_, address, token):
        key = {"authorization": f"Bearer {token}"}
        listed = httpx.get(f"{address}/jobs", headers=key, timeout=60).json()["jobs"]
        seconds = time.perf_counter() - began
        for job in listed:  # they outlive the server, and would train on
            httpx.delete(f"{address}/jobs/{job['id']}", headers=key, timeout=60)
        return {"restart_seconds": round(seconds, 2), "found_again": len(listed)}


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--cheap", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--run", type=Path, help="a trained model instead of a random one")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = args.run or made(Path(folder))
        with serving(run, Path(folder)) as (pid, address, token):
            figures = asyncio.run(measure(pid, address, token, run, args))
        if "jobs" in args.parts:
            figures |= restarted(run, Path(folder))
    load = [round(one, 1) for one in os.getloadavg()]
    figures = {"clients": args.clients, "seconds": args.seconds, "load": load, **figures}
    if args.record:
        row.write_row("serve", **figures)
    else:
        print(figures)


if __name__ == "__main__":
    main()
