"""Runs that SIGKILL hits at random moments, from the first 100 ms on, against one that nothing touched.

    python -m benchmarks.kills [--kills 15] [--steps 60] [--seed 1] [--doctored] [FAMILY ...]

Each family is trained once to its end on a folder of small pictures. Then victims, each in a folder and
with a cache of its own (so that preparing the pictures is hit, too), are killed three times and started
again each time by the same command: the first time before the untouched run had written `run.json`, then
later. Whatever a victim holds must in the end be what the untouched run holds, byte for byte: weights,
state, counters, log, sheets. Measuring is left out. With `--doctored` a weight becomes NaN at two thirds of
the first attempt, so that the doctor takes the run back. Writes one row a family.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import row
from zeuxis import families
from zeuxis.core.log import read_log
from zeuxis.training.resolved import GENERATED

TRAIN = """
import json, sys, zeuxis
from benchmarks.faults import Injector, broken_once
family, source, out, steps, words, doctored = sys.argv[1:]
asked = {"steps": int(steps), "overrides": json.loads(words)}
if json.loads(doctored):
    asked["observers"] = [Injector(broken_once(2 * int(steps) // 3))]
zeuxis.train(family, source, out=out, threads=1, evaluate=False, **asked)
"""
EARLIEST = 0.1
KILLS_A_VICTIM = 3
NOT_OF_THE_RUN = ("seconds", "run", "checksum")
"""What a checkpoint's JSON holds beside the state: times, the plan with its measured seconds, the seal."""


def make_pictures(folder: Path) -> None:
    """300 small pictures in two class folders."""
    rng = np.random.default_rng(0)
    for kind, level in (("bright", 170), ("dark", 20)):
        (folder / kind).mkdir(parents=True)
        for i in range(150):
            pixels = rng.integers(level, level + 80, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{i}.png")


def settings(name: str, steps: int) -> dict[str, str]:
    """The family's tiniest network, and a save every few steps."""
    config = families.get(name).TINY
    words = {
        f"family.{key}": ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for key in type(config).model_fields
        if key not in GENERATED and (value := getattr(config, key)) is not None
    }
    pace = {"save_every": 1, "log_every": 1, "sheet_every": steps // 3, "probe_every": steps // 2}
    return {
        **words,
        "training.batch_size": "8",
        **{f"training.{key}": str(value) for key, value in pace.items()},
    }


class Attempt:
    """One family under attack."""

    def __init__(self, family: str, steps: int, place: Path, doctored: bool) -> None:
        self.family, self.steps, self.place, self.doctored = family, steps, place, doctored

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Begin, or continue, the run called `name`."""
        words = [self.family, self.place / "pictures", self.place / name, str(self.steps)]
        asked = settings(self.family, self.steps)
        surroundings = {"ZEUXIS_CACHE": str(self.place / f"cache-{name}"), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, *words, *map(json.dumps, (asked, self.doctored))],
            env={**os.environ, **surroundings},
            start_new_session=True,
        )

    def untouched(self) -> tuple[dict[str, Any], float, float]:
        """What a run holds that nothing touched; seconds until `run.json`, and until its end."""
        began, planned = time.perf_counter(), 0.0
        process = self.start("untouched")
        while process.poll() is None:
            if not planned and (self.place / "untouched" / "run.json").exists():
                planned = time.perf_counter() - began
            time.sleep(0.01)
        if process.returncode:
            raise SystemExit(f"{self.family}: the untouched run ended with {process.returncode}")
        return outcome(self.place / "untouched"), planned, time.perf_counter() - began

    def attack(self, kills: int, seed: int) -> dict[str, Any]:
        """Kill until so many kills have hit; the figures of the row."""
        expected, planned, seconds = self.untouched()
        chance = random.Random(seed)
        found: dict[str, Any] = {"kills": 0, "while_planning": 0, "half_written": 0, "victims": 0}
        found |= {"identical": 0, "left_over": [], "failed": 0}
        while found["kills"] < kills:
            folder = self.place / f"victim-{found['victims']}"
            found["victims"] += 1
            for number in range(KILLS_A_VICTIM):
                process = self.start(folder.name)
                time.sleep(chance.uniform(*((planned, seconds) if number else (EARLIEST, planned))))
                if found["kills"] == kills or process.poll() is not None:
                    break
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                found["kills"] += 1
                found["while_planning"] += not (folder / "run.json").exists()
                found["half_written"] += any(folder.rglob("*.tmp"))
            process.wait()
            found["failed"] += self.start(folder.name).wait() != 0
            found["identical"] += outcome(folder) == expected
            left = [
                path for path in folder.rglob("*") if path.suffix == ".tmp" or path.name == ".lock"
            ]
            found["left_over"] += [str(path.relative_to(folder)) for path in left]
        if self.doctored:
            rows = read_log(self.place / "untouched" / "log.jsonl")
            found["actions"] = Counter(row["action"] for row in rows if "action" in row)
        return {**found, "seconds_until_planned": round(planned, 2), "seconds": round(seconds, 2)}


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that must be the same bits, by name; {} of a folder that holds no finished run."""
    config = folder / "config.json"
    if not config.exists() or not json.loads(config.read_text())["finished"]:
        return {}
    files = ["log.jsonl", "checkpoints/*/state.safetensors", "samples/*.png", "model-*"]
    held: dict[str, Any] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in files
        for path in sorted(folder.glob(pattern))
    }
    for path in sorted(folder.glob("checkpoints/*/state.json")):
        facts = json.loads(path.read_text())
        held[path.parent.name] = {k: v for k, v in facts.items() if k not in NOT_OF_THE_RUN}
    return held


def main() -> None:
    """Attack each family and write its row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=["gan", "vae", "pixelcnn"])
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doctored", action="store_true")
    asked = parser.parse_args()
    for family in asked.families:
        with tempfile.TemporaryDirectory(prefix="zeuxis-kills-") as place:
            make_pictures(Path(place) / "pictures")
            attempt = Attempt(family, asked.steps, Path(place), asked.doctored)
            found = attempt.attack(asked.kills, asked.seed)
        facts = {"family": family, "steps": asked.steps, "seed": asked.seed}
        row.write_row("kills", **facts, doctored=asked.doctored, **found)


if __name__ == "__main__":
    main()
