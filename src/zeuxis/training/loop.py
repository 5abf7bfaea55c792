"""The training loop, one for all families.

Step after step (`zeuxis.training.step`), with logs, probes and checkpoints in between. Batches and random
draws are functions of (seed, step), so that a run which was killed and resumed ends on the
same bits as one which was not.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from zeuxis.core.abilities import Batch
from zeuxis.core.errors import OutOfTime, Stopped
from zeuxis.core.family import Family, Loader
from zeuxis.core.log import Log
from zeuxis.core.machine import Pace
from zeuxis.core.processes import Parallel
from zeuxis.core.progress import Check, Event, Watch, interruptible, is_asked, stopping, unasked
from zeuxis.core.rng import of_run
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.training import checkpoint
from zeuxis.training.step import State, draws, dtype, start, to_device, train_step

__all__ = ["Event", "OutOfTime", "Probe", "Sheet", "Stopped", "Watch", "fit"]


Probe = Callable[[Family, int, Check], Mapping[str, float]]
"""(averaged model, step, check) -> scores. `check` raises `Stopped` if an end was asked for.
The first score decides what `keep="best"` means: lower is better."""
Sheet = Callable[[Family, int, Check], None]
"""(averaged model, step, check): draws a few samples to look at."""

ON = "run the same command to continue"


def fit(
    name: str,
    model: Family,
    loader: Loader,
    training: Training,
    folder: Path,
    *,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    parallel: Parallel = Parallel(),  # noqa: B008  (frozen)
    probes: tuple[Probe, ...] = (),
    sheet: Sheet | None = None,
    keep: str = "last",
    facts: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    watch: Watch = lambda event: None,
    pace: Pace | None = None,
    check: Check = unasked,
) -> Family:
    """Train `model`, continuing what `folder` holds, and return the weights that were kept.

    Args:
        name: the family's name in `FAMILIES`.
        model: with its initial weights, the same on every process.
        loader: batches by (draw, rows).
        training: how; `training.steps` ends the run.
        folder: becomes an artefact plus `log.jsonl` and `checkpoints/`.
        precision: float32, bfloat16 (autocast) or float64.
        device: where to train.
        parallel: this process among those that train together.
        probes: called with the averaged weights every `training.probe_every` steps and at the end.
        sheet: called with the averaged weights every `training.sheet_every` steps and at the end.
        keep: "last" or "best" by the first probe's first score.
        facts: JSON values for the artefact.
        run: JSON values for each checkpoint: what `run.json` holds.
        watch: told of steps, probes and saves.
        pace: how fast steps were planned to be, and how long they may take.
        check: raises `Stopped` once an end was asked for, other than by a signal.

    Raises:
        Stopped: after Ctrl-C, SIGTERM or a request, or when the time is over (`OutOfTime`); the state
            was saved.
        Diverged: gradients stopped being finite for good.
        OSError: the disk is full, or `folder` was taken away; the last checkpoint is whole.
    """
    pace = pace or Pace()
    state = start(model, training, torch.device(device), precision, parallel)
    if run is not None:
        state.rng = of_run(run)
    log = Log(folder, parallel.first)
    saved = checkpoint.load(folder / "checkpoints")
    if saved is None:
        log.cut(0)
        state.model.begin(_batches(state, loader), draws(state, "begin"))
        state.average.load_state_dict(state.model.state_dict())
    else:
        state.unpack(saved)
        logged = (s for s in range(state.step + 1) if _due(s, training.log_every, training.steps))
        lost = log.cut(saved.facts["log_bytes"], logged)
        for note in (lost, f"continuing at step {state.step} of {training.steps}"):
            if note:
                watch(Event("note", note))
    on_disk = state.step if saved else -1

    def keep_on_disk() -> None:
        nonlocal on_disk
        if state.step != on_disk:
            _save(name, state, folder, log, keep, facts or {}, run)
            on_disk = state.step
            watch(Event("saved", done=state.step, total=training.steps))

    with (
        stopping(f"stopped at once; {folder} holds what was saved last; {ON}"),
        interruptible(check) as either,
    ):
        try:
            _loop(state, loader, log, probes, sheet, keep, watch, either, keep_on_disk, pace)
        except Stopped as stop:
            keep_on_disk()
            at = f"step {state.step} of {training.steps}; the state is saved; {ON}"
            raise type(stop)(f"stopped at {at}") from None
    if parallel.first:
        log.check()
        _save_artefact(name, state, folder, keep, {**(facts or {}), "finished": True}, loader)
    parallel.wait()
    return artefact.load(folder)


def _loop(
    state: State,
    loader: Loader,
    log: Log,
    probes: tuple[Probe, ...],
    sheet: Sheet | None,
    keep: str,
    watch: Watch,
    check: Check,
    keep_on_disk: Callable[[], None],
    pace: Pace,
) -> None:
    training, began = state.training, time.perf_counter() - state.seconds
    first, since = state.step, time.perf_counter()
    while True:
        if (
            probes
            and _due(state.step, training.probe_every, training.steps)
            and state.probed < state.step
        ):
            scores = run_probes(state, probes, keep, check)
            log.write(state.step, scores)
            watch(Event("probe", done=state.step, total=training.steps, numbers=scores))
            state.probed = state.step
        due = _due(state.step, training.sheet_every, training.steps)
        if sheet and due and state.parallel.first:
            log.check()
            sheet(state.average, state.step, check)
        state.seconds = time.perf_counter() - began
        if _due(state.step, training.save_every, training.steps):
            keep_on_disk()
        if state.parallel.any(is_asked(check)):
            raise Stopped
        if state.parallel.any(pace.over()):
            raise OutOfTime
        if state.step >= training.steps:
            return
        before = time.perf_counter()
        losses = train_step(state, loader)
        state.step += 1
        slow = pace.note(time.perf_counter() - before, training.steps - state.step)
        if slow:
            watch(Event("note", slow))
        if _due(state.step, training.log_every, training.steps):
            numbers = {key: value.item() for key, value in losses.items()}
            log.write(state.step, numbers)
            rate = (state.step - first) / (time.perf_counter() - since)
            speed = {
                "images_per_second": rate * training.batch_size,
                "seconds_left": (training.steps - state.step) / rate,
            }
            watch(
                Event("step", done=state.step, total=training.steps, numbers={**numbers, **speed})
            )


def run_probes(
    state: State, probes: tuple[Probe, ...], keep: str, check: Check
) -> dict[str, float]:
    """Scores of the averaged weights; remembers the best ones if they are to be kept."""
    scores: dict[str, float] = {}
    with torch.no_grad():
        for probe in probes if state.parallel.first else ():
            scores |= probe(state.average, state.step, check)
    score = next(iter(scores.values()), None)
    better = score is not None and (state.best_score is None or score < state.best_score)
    if state.parallel.agree(better):
        state.best_score, state.best_step = score, state.step
        if keep == "best":
            state.best = {
                key: value.clone() for key, value in artefact.state(state.average).items()
            }
    return scores


def _save(
    name: str,
    state: State,
    folder: Path,
    log: Log,
    keep: str,
    facts: Mapping[str, Any],
    run: Mapping[str, Any] | None,
) -> None:
    if state.parallel.first:
        log.check()
        packed = state.pack()
        more = {"log_bytes": log.sync(), "run": run}
        packed = dataclasses.replace(packed, facts={**packed.facts, **more})
        checkpoint.save(folder / "checkpoints", state.step, packed)
        _save_artefact(name, state, folder, keep, {**facts, "finished": False})
    state.parallel.wait()


def _save_artefact(
    name: str,
    state: State,
    folder: Path,
    keep: str,
    facts: Mapping[str, Any],
    loader: Loader | None = None,
) -> None:
    model = state.average
    if keep == "best" and state.best is not None:
        model = copy.deepcopy(model)
        model.load_state_dict(state.best)
    if loader is not None:
        with torch.no_grad():
            model.finish(_batches(state, loader, 64), draws(state, "finish"))
    progress = {
        "step": state.best_step if keep == "best" and state.best is not None else state.step,
        "steps": state.training.steps,
        "images": state.step * state.training.batch_size,
        "seconds": round(state.seconds, 1),
        "skipped": state.skipped,
        "keep": keep,
    }
    weights = {
        k: v.float() if v.is_floating_point() else v for k, v in artefact.state(model).items()
    }
    artefact.save(folder, name, model, weights, progress=progress, **facts)


def _batches(state: State, loader: Loader, count: int = 8) -> Iterator[Batch]:
    """The first few global batches, for what is fitted before and after training."""
    rows, fields = slice(0, state.training.batch_size), state.model.fields()
    for draw in range(count):
        yield to_device(loader(draw, rows), fields, state.device, dtype(state.precision))


def _due(step: int, every: int, last: int) -> bool:
    return step > 0 and (step % every == 0 or step == last)
