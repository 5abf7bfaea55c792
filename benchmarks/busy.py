"""The demo on an idle machine, beside two niced programs and beside two others: does it keep its word?

    python -m benchmarks.busy [--minutes 3] [--limit 1800] [--loads idle ...]

A row for each load: the estimate that was printed, the time that it took, what was planned, and the kernel
distance. Run it while the machine does nothing else. A demo that takes over `--limit` seconds is ended.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import row

LOADS: dict[str, list[list[str]]] = {
    "idle": [],
    "two at nice 19": [["nice", "-n", "19", "yes"]] * 2,
    "two": [["yes"]] * 2,
}
UNITS = {"s": 1.0, "min": 60.0}
ESTIMATE = re.compile(
    r"about ([\d.]+) (s|min) to a first report, then at most ([\d.]+) (s|min) of measuring"
)


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, its seconds and what it said on standard error."""

    code: int
    seconds: float
    said: str


@contextlib.contextmanager
def beside(programs: Sequence[Sequence[str]]) -> Iterator[None]:
    """Let programs run while the body does; they end with it."""
    running = []
    try:
        for words in programs:
            running.append(subprocess.Popen(words, stdout=subprocess.DEVNULL))
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def run(words: Sequence[object], programs: Sequence[Sequence[str]], limit: float) -> Done:
    """Run a `zeuxis` command beside other programs; after `limit` seconds it is interrupted, then killed."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    with beside(programs), tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "zeuxis", *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - began
        errors.seek(0)
        return Done(process.returncode, round(seconds, 1), errors.read())


def demo(load: str, minutes: float, limit: float) -> None:
    """Write the row of one load."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "demo"
        done = run(["demo", "--minutes", minutes, "--out", out], LOADS[load], limit)
        told = ESTIMATE.search(done.said)
        estimate = None
        if told:
            first, unit, measuring, other = told.groups()
            estimate = float(first) * UNITS[unit] + float(measuring) * UNITS[other]
        planned = json.loads((out / "run.json").read_text())["plan"] if told else {}
        report = out / "report.json"
        measured = json.loads(report.read_text()) if report.exists() else {}
        config = out / "config.json"
        progress = json.loads(config.read_text())["progress"] if config.exists() else {}
        row.write_row(
            "busy",
            load=load,
            minutes=minutes,
            exit=done.code,
            estimate_seconds=estimate,
            seconds=done.seconds,
            of_estimate=round(done.seconds / estimate, 2) if estimate else None,
            steps=progress.get("step"),
            planned={
                name: planned.get(name)
                for name in (
                    "steps",
                    "threads",
                    "precision",
                    "seconds_per_step",
                    "measuring_seconds",
                )
            },
            kernel_distance=measured.get("scores", {}).get("kernel_distance"),
            samples=measured.get("facts", {}).get("samples"),
            notes=measured.get("notes"),
        )


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--limit", type=float, default=1800, help="seconds of a demo at most")
    parser.add_argument("--loads", nargs="+", default=list(LOADS), choices=list(LOADS))
    asked = parser.parse_args()
    for load in asked.loads:
        demo(load, asked.minutes, asked.limit)


if __name__ == "__main__":
    main()
