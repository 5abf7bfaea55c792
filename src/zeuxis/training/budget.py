"""Before training: measure speed and memory on throwaway copies; choose precision, threads and steps."""

import dataclasses
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pydantic
import torch

from zeuxis import families
from zeuxis.core import machine
from zeuxis.core.errors import Invalid, Stopped
from zeuxis.core.family import Family, FamilyConfig, Loader
from zeuxis.core.processes import Parallel
from zeuxis.core.progress import Check, is_asked, unasked
from zeuxis.core.settings import Training, explain
from zeuxis.training import step
from zeuxis.training.state import State

PROBE_SHARE = 0.05
"""Probes take at most this share of a run's time."""
MOST_PROBES = 20
SHEET_SHARE = 0.02
"""Sheets of samples take at most this share of a run's time; it counts towards the probes' share."""
MOST_SHEETS = 8
SAVE_SECONDS = 60.0
"""Time between checkpoints: what a power cut can cost."""
CYCLE = 8
REPORT_SHEETS, REPORT_SECONDS = 2, 2.0
"""What the first report takes after the last step: so many sheets' samples, and the page."""
MEASURING_SHARE, LEAST_MEASURING, MOST_MEASURING = 0.2, 10.0, 180.0
"""Measuring takes this share of the training time, within these bounds in seconds."""
SPARE_DISK = 64 * 2**20

Way = tuple[str, int]
"""Precision and threads of a step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What was decided before step 0, and what it is expected to take.

    Attributes:
        precision, threads, steps, probe_every, sheet_every, save_every: decided.
        seconds_per_step, probe_seconds, sheet_seconds: measured.
        seconds: expected until a first report, which shows samples and no scores.
        measuring_seconds: what measuring may take after that.
        memory_bytes, disk_bytes, parameters: how large.
        remark: what was seen of the machine that its user should know.
    """

    precision: str
    threads: int
    steps: int
    probe_every: int
    sheet_every: int
    save_every: int
    seconds_per_step: float
    probe_seconds: float
    sheet_seconds: float
    seconds: float
    measuring_seconds: float = MOST_MEASURING
    memory_bytes: int
    disk_bytes: int
    parameters: int
    remark: str = ""

    def sentence(self) -> str:
        """The plan in one line."""
        return (
            f"{self.parameters / 1e6:.2f} M parameters, {self.precision}, "
            f"{self.threads} thread{'' if self.threads == 1 else 's'}, {self.steps} steps of "
            f"{self.seconds_per_step:.3f} s: about {_time(self.seconds)} to a first report, "
            f"then at most {_time(self.measuring_seconds)} of measuring; "
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
    check: Check = unasked,
) -> Plan:
    """Measure a few steps, a probe and a sheet, and turn a time budget, if there is one, into steps.

    Without `minutes` nothing that the run's bits or log depend on comes from a clock: what is measured is
    only told (docs/decisions/0013).

    Args:
        name: the family.
        config: its config.
        training: as asked for; `steps` holds if `minutes` is None.
        loader: batches.
        device: where.
        parallel: each process measures its own share of the batch.
        minutes: wall time until a first report, planning, probes and saves included.
        probe: measures the given averaged model once.
        sheet: draws a few samples of it.
        sheets_a_probe: how many sheets' samples a probe draws: where that alone would take too much
            of the run, none is tried.
        fixed: names of settings that the user has set, to be left alone: those of training, and "threads".
        parts: trained models that the family builds on.
        check: called between steps.
    """
    began = time.perf_counter()
    ways = _ways(training, device, parallel, minutes, fixed)
    budget = 1.0 if minutes is None else min(12.0, max(1.0, 0.02 * 60 * minutes))
    states = {
        precision: step.start(
            families.build(name, config, parts=parts), training, device, precision, parallel
        )
        for precision in dict(ways)
    }
    most = math.inf if minutes is not None else training.steps
    measured = _seconds_per_step(states, ways, loader, budget, most, check)
    way = ways[0] if minutes is None else parallel.agree(machine.quicker(measured))
    precision, threads = way
    machine.set_threads(threads)
    seconds, state = measured[way], states[precision]
    size = sum(p.numel() * p.element_size() for p in state.model.parameters())
    asked = training.steps * seconds if minutes is None else 60 * minutes
    sheet_seconds = _second_call(sheet, state.average, SHEET_SHARE * asked)
    affordable = sheets_a_probe * sheet_seconds < PROBE_SHARE * asked
    probe = probe if affordable else None
    probe_seconds = _second_call(probe, state.average, PROBE_SHARE * asked)
    closing = REPORT_SHEETS * sheet_seconds + REPORT_SECONDS
    steps = training.steps
    if minutes is None:
        every = {
            "probe_every": _spread(steps, training.probe_every, MOST_PROBES),
            "sheet_every": _spread(steps, training.sheet_every, MOST_SHEETS),
        }
    else:
        sheets = min(MOST_SHEETS, int(SHEET_SHARE * asked / sheet_seconds)) if sheet else 0
        left = PROBE_SHARE * asked - sheets * sheet_seconds
        probes = min(MOST_PROBES, int(left / probe_seconds)) if probe else 0
        saving = (asked / SAVE_SECONDS + 1) * (0.05 + 8 * size / 200e6)
        looking = probes * probe_seconds + max(1, sheets) * sheet_seconds
        rest = asked - (time.perf_counter() - began) - looking - saving - closing
        steps = max(1, int(rest / seconds))
        every = {
            "probe_every": -(-steps // probes) if probes else steps + 1,
            "sheet_every": -(-steps // sheets) if sheets else steps + 1,
        }
    every["save_every"] = max(1, round(SAVE_SECONDS / seconds))
    every |= {name: getattr(training, name) for name in every if name in fixed}
    mine: dict[str, Any] = {"steps": steps, "precision": precision, "threads": threads, **every}
    decided = parallel.agree(mine)
    loop = steps * seconds + steps // decided["probe_every"] * probe_seconds
    loop += max(1, steps // decided["sheet_every"]) * sheet_seconds
    return Plan(
        **decided,
        seconds_per_step=seconds,
        probe_seconds=probe_seconds,
        sheet_seconds=sheet_seconds,
        seconds=loop + closing,
        measuring_seconds=min(MOST_MEASURING, max(LEAST_MEASURING, MEASURING_SHARE * loop)),
        memory_bytes=_memory(device),
        disk_bytes=13 * size + SPARE_DISK,
        parameters=sum(p.numel() for p in state.model.parameters()),
        remark=_remark(measured, way),
    )


def _ways(
    training: Training,
    device: torch.device,
    parallel: Parallel,
    minutes: float | None,
    fixed: frozenset[str],
) -> list[Way]:
    """Precisions and threads to measure, first those that are taken unless others are clearly quicker."""
    auto = training.precision == "auto"
    usual = machine.precision(device) if auto else training.precision
    precisions = [usual]
    if minutes is not None and auto and machine.fast_bfloat16(device):
        precisions.append("float32" if usual == "bfloat16" else "bfloat16")
    threads = [torch.get_num_threads()]
    alone = device.type == "cpu" and parallel.world == 1
    if alone and threads[0] > 1 and "threads" not in fixed:
        threads.append(1)
    return [(precision, count) for precision in precisions for count in threads]


def _spread(steps: int, least: int, most: int) -> int:
    """Steps between looks: `least`, or more where there would be over `most` looks; the last step has one.

    >>> _spread(100, 500, 20), _spread(5000, 500, 20), _spread(100_000, 500, 20)
    (100, 500, 5000)
    """
    return min(steps, max(least, -(-steps // most)))


def _remark(measured: Mapping[Way, float], way: Way) -> str:
    """That one thread is quicker than all, which is so on a busy machine; "" if it is not."""
    precision = way[0]
    counts = {count: seconds for (each, count), seconds in measured.items() if each == precision}
    if machine.quicker(counts) == next(iter(counts)):
        return ""
    most = max(counts)
    return (
        f"at this moment one thread makes a step in {counts[1]:.3f} s and {most} threads in "
        f"{counts[most]:.3f} s: other programs use the processor, or the network is very small; "
        + ("one is used" if way[1] == 1 else "--threads 1 would be faster (its bits are others)")
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


def read(run: Mapping[str, Any]) -> Plan:
    """The plan in the content of a `run.json`.

    Raises:
        ValueError: there is none.
    """
    try:
        values = json.dumps({"threads": run["machine"]["threads"], **run["plan"]})
        return pydantic.TypeAdapter(Plan).validate_json(values, strict=True)
    except pydantic.ValidationError as error:
        raise Invalid(f"run.json holds no plan: {explain(error)}; train --fresh") from error
    except (KeyError, TypeError) as error:
        raise Invalid("run.json holds no plan and no machine; train --fresh") from error


def _seconds_per_step(
    states: Mapping[str, State],
    ways: Sequence[Way],
    loader: Loader,
    budget: float,
    most: float,
    check: Check,
) -> dict[Way, float]:
    """Time of a step in each way, measured in turns so that a busy moment hits all alike.

    A turn is a whole cycle of the usual lazy terms, or less where steps are slow, spread over the whole
    run, so that a phase that starts late takes its share. The first turn
    warms up (kernels are compiled on first use, those of lazy terms too) and is not counted. Processes
    that train together make the same number of steps, for each of them waits for the others. After two
    turns of each way it ends with the time, or with the `most` steps, which a short run has itself.
    """
    turns: dict[Way, list[float]] = {way: [] for way in ways}
    counts = dict.fromkeys(ways, 0)
    parallel = next(iter(states.values())).parallel
    agree = parallel.agree
    began = time.perf_counter()
    while True:
        for way in ways:
            machine.set_threads(way[1])
            state = states[way[0]]
            before, done = time.perf_counter(), 0
            while done < CYCLE and agree(not done or time.perf_counter() - before < budget / 4):
                if parallel.highest(is_asked(check)):
                    raise Stopped
                state.step = _place(counts[way], state.training.steps)
                step.train_step(state, loader)
                counts[way] += 1
                done += 1
            if state.device.type == "cuda":
                torch.cuda.synchronize(state.device)
            turns[way].append((time.perf_counter() - before) / done)
        over = time.perf_counter() - began > budget or counts[way] >= most
        if agree(len(turns[way]) >= 2 and over):
            return {way: statistics.median(times[1:]) for way, times in turns.items()}


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
