"""Before training: how fast, how large, how many steps. Measured on copies that are thrown away."""

import dataclasses
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from zeuxis import families, machine, step
from zeuxis.family import Family, FamilyConfig, Loader
from zeuxis.parallel import Parallel
from zeuxis.run import Training

PROBE_SHARE = 0.05
"""Probes take at most this share of a run's time."""
MOST_PROBES = 20
SHEET_SHARE = 0.02
"""Sheets of samples take at most this share of a run's time; it counts towards the probes' share."""
MOST_SHEETS = 8
SAVE_SECONDS = 60.0
"""Time between checkpoints: what a power cut can cost."""
CYCLE = 8
CLEARLY = 0.8
"""float32 must beat hardware bfloat16 by so much to be chosen: noise is not to decide."""
SPARE_DISK = 64 * 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What was measured and decided before step 0."""

    precision: str
    steps: int
    probe_every: int
    sheet_every: int
    save_every: int
    seconds_per_step: float
    probe_seconds: float
    sheet_seconds: float
    seconds: float
    memory_bytes: int
    disk_bytes: int
    parameters: int

    def sentence(self) -> str:
        """The plan in one line."""
        return (
            f"{self.parameters / 1e6:.2f} M parameters, {self.precision}, {self.steps} steps of "
            f"{self.seconds_per_step:.3f} s: about {_time(self.seconds)}, "
            f"{self.memory_bytes / 2**30:.1f} GiB of memory, {self.disk_bytes / 2**20:.0f} MiB of disk"
        )


def make(
    name: str,
    config: FamilyConfig,
    training: Training,
    loader: Loader,
    device: torch.device,
    parallel: Parallel,
    minutes: float | None = None,
    probe: Callable[[Family], object] | None = None,
    sheet: Callable[[Family], object] | None = None,
    sheets_a_probe: float = 1.0,
    fixed: frozenset[str] = frozenset(),
    parts: Mapping[str, Family] | None = None,
) -> Plan:
    """Measure a few steps, a probe and a sheet, and turn the time budget into steps.

    Args:
        name: the family.
        config: its config.
        training: as asked for; `steps` holds if `minutes` is None.
        loader: batches.
        device: where.
        parallel: each process measures its own share of the batch.
        minutes: wall time of the loop, probes and saves included.
        probe: measures the given averaged model once.
        sheet: draws a few samples of it.
        sheets_a_probe: how many sheets' samples a probe draws: where that alone would take too much
            of the run, none is tried.
        fixed: names of training settings that the user has set, to be left alone.
        parts: trained models that the family builds on.
    """
    candidates: list[str] = [training.precision]
    if training.precision == "auto":
        candidates = ["float32"]
        if machine.fast_bfloat16(device):
            candidates = ["bfloat16", "float32"]
    budget = 2.0 if minutes is None else min(12.0, max(1.0, 0.02 * 60 * minutes))
    states = {
        precision: step.start(
            families.build(name, config, parts=parts), training, device, precision, parallel
        )
        for precision in candidates
    }
    measured = _seconds_per_step(states, loader, budget)
    precision = candidates[0]
    if len(candidates) > 1 and measured["float32"] < CLEARLY * measured["bfloat16"]:
        precision = "float32"
    seconds, state = measured[precision], states[precision]
    size = sum(p.numel() * p.element_size() for p in state.model.parameters())
    save_seconds = 0.05 + 8 * size / 200e6
    steps = training.steps
    total = 60 * minutes if minutes is not None else steps * seconds
    sheet_seconds = _second_call(sheet, state.average, SHEET_SHARE * total)
    affordable = sheets_a_probe * sheet_seconds < PROBE_SHARE * total
    probe = probe if affordable else None
    probe_seconds = _second_call(probe, state.average, PROBE_SHARE * total)
    sheets = min(MOST_SHEETS, int(SHEET_SHARE * total / sheet_seconds)) if sheet else 0
    left = PROBE_SHARE * total - sheets * sheet_seconds
    probes = min(MOST_PROBES, int(left / probe_seconds)) if probe else 0
    looking = probes * probe_seconds + sheets * sheet_seconds
    if minutes is not None:
        rest = total - looking - (total / SAVE_SECONDS + 1) * save_seconds
        steps = max(1, int(rest / seconds))
    every = {
        "probe_every": -(-steps // probes) if probes else steps + 1,
        "sheet_every": -(-steps // sheets) if sheets else steps + 1,
        "save_every": max(1, round(SAVE_SECONDS / seconds)),
    }
    every |= {name: getattr(training, name) for name in every if name in fixed}
    mine: dict[str, Any] = {"steps": steps, "precision": precision, **every}
    return Plan(
        **parallel.agree(mine),
        seconds_per_step=seconds,
        probe_seconds=probe_seconds,
        sheet_seconds=sheet_seconds,
        seconds=steps * seconds + looking,
        memory_bytes=_memory(device),
        disk_bytes=13 * size + SPARE_DISK,
        parameters=sum(p.numel() for p in state.model.parameters()),
    )


def _second_call(call: Callable[[Family], object] | None, average: Family, most: float) -> float:
    """Seconds of the second call; the first also loads and caches, and counts if it was far too long."""
    seconds = 0.0
    for _ in range(2 if call else 0):
        began = time.perf_counter()
        call(average)  # type: ignore[misc]
        seconds = time.perf_counter() - began
        if seconds > 4 * most:
            break
    return seconds


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a run that would not fit.

    Raises:
        ValueError: the disk of `folder` has less than `needed` bytes free.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ValueError(
            f"the disk of {folder} has {free / 2**20:.0f} MiB free and this run needs about "
            f"{needed / 2**20:.0f} MiB; free some, or choose another --out"
        )


def _seconds_per_step(
    states: dict[str, step.State], loader: Loader, budget: float
) -> dict[str, float]:
    """Time of a step in each state, measured in turns so that a busy moment hits all alike.

    A turn is a whole cycle of the usual lazy terms, or less where steps are slow, spread over the whole
    run, so that a phase that starts late takes its share. The first turn
    warms up (kernels are compiled on first use, those of lazy terms too) and is not counted.
    """
    turns: dict[str, list[float]] = {name: [] for name in states}
    counts = dict.fromkeys(states, 0)
    began = time.perf_counter()
    while True:
        for name, state in states.items():
            before, done = time.perf_counter(), 0
            while done < CYCLE and (not done or time.perf_counter() - before < budget / 4):
                state.step = _place(counts[name], state.training.steps)
                step.train_step(state, loader)
                counts[name] += 1
                done += 1
            if state.device.type == "cuda":
                torch.cuda.synchronize(state.device)
            turns[name].append((time.perf_counter() - before) / done)
        if len(turns[name]) >= 2 and time.perf_counter() - began > budget:
            return {name: statistics.median(times[1:]) for name, times in turns.items()}


def _place(count: int, steps: int) -> int:
    """The step that stands for the `count`-th measured one: spread over the run, equal modulo CYCLE.

    >>> [_place(i, 1000) for i in range(9)]
    [0, 129, 250, 379, 500, 629, 750, 879, 0]
    """
    start = count % CYCLE * steps // CYCLE
    return min(start + (count - start) % CYCLE, steps - 1)


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
