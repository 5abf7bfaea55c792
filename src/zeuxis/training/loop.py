"""The training loop, one for all families.

Step after step (`zeuxis.training.step`), with a look by each observer (`zeuxis.training.observers`) and
checkpoints in between. Batches and random draws are functions of (seed, step), so that a run which was
killed and resumed ends on the same bits as one which was not.
"""

import copy
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from zeuxis.core.errors import OutOfTime, Stopped
from zeuxis.core.family import Family, Loader
from zeuxis.core.log import Log
from zeuxis.core.machine import Pace
from zeuxis.core.processes import Parallel
from zeuxis.core.progress import Check, Event, Watch, interruptible, is_asked, stopping, unasked
from zeuxis.core.rng import of_run
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.training import checkpoint, observers, saving
from zeuxis.training.observers import Action, Losses, Observer, View
from zeuxis.training.state import State
from zeuxis.training.step import draws, start, train_step

__all__ = ["Event", "OutOfTime", "Stopped", "Watch", "fit"]

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
    watched_by: Sequence[Observer] = (),
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
        watched_by: looks at the run and may change its course, in this order; losses are logged first.
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
    state = start(model, training, torch.device(device), precision, parallel)
    if run is not None:
        state.rng = of_run(run)
    loop = _Loop(
        name=name,
        state=state,
        loader=loader,
        folder=folder,
        log=Log(folder, parallel.first),
        observers=(Losses(training.log_every, training.batch_size), *watched_by),
        facts=facts or {},
        run=run,
        watch=watch,
        pace=pace or Pace(),
        initial=copy.deepcopy(state.pack()),
    )
    loop.begin()
    with (
        stopping(f"stopped at once; {folder} holds what was saved last; {ON}"),
        interruptible(check) as either,
    ):
        try:
            loop.go(either)
        except Stopped as stop:
            loop.save()
            at = f"step {state.step} of {training.steps}; the state is saved; {ON}"
            raise type(stop)(f"stopped at {at}") from None
    if parallel.first:
        loop.log.check()
        loop.save_model(finished=True)
    parallel.wait()
    return artefact.load(folder)


@dataclasses.dataclass(kw_only=True)
class _Loop:
    """A run under way."""

    name: str
    state: State
    loader: Loader
    folder: Path
    log: Log
    observers: Sequence[Observer]
    facts: Mapping[str, Any]
    run: Mapping[str, Any] | None
    watch: Watch
    pace: Pace
    initial: checkpoint.Checkpoint
    on_disk: tuple[int, int] | None = None
    rate: float = 0.0

    def begin(self) -> None:
        """Take up what is on disk, or begin anew."""
        saved, state = checkpoint.load(self.folder / "checkpoints"), self.state
        if saved is None:
            self.log.cut(0)
            self._begin_anew()
            return
        state.unpack(saved)
        self.on_disk = state.step, state.attempt
        every, steps = state.training.log_every, state.training.steps
        logged = (s for s in range(state.step + 1) if _due(s, every, steps))
        lost = self.log.cut(saved.facts["log_bytes"], logged)
        for note in (lost, f"continuing at step {state.step} of {steps}"):
            if note:
                self.watch(Event("note", note))

    def _begin_anew(self) -> None:
        state = self.state
        state.model.begin(saving.first_batches(state, self.loader), draws(state, "begin"))
        state.average.load_state_dict(state.model.state_dict())

    def go(self, check: Check) -> None:
        """Steps, looks and saves, to the end of the run."""
        state, training = self.state, self.state.training
        began, done = time.perf_counter(), 0
        before = state.seconds
        while True:
            self._look(check)
            state.seconds = before + time.perf_counter() - began
            if any(_due(state.step, n, training.steps) for n in (training.save_every, state.back)):
                self.save()
            if end := state.parallel.highest(2 if is_asked(check) else self.pace.over()):
                raise Stopped if end == 2 else OutOfTime
            if state.ended or state.step >= training.steps:
                return
            now = time.perf_counter()
            state.terms, state.scores = train_step(state, self.loader), {}
            state.step, done = state.step + 1, done + 1
            slow = self.pace.note(time.perf_counter() - now, training.steps - state.step)
            self.rate = done / (time.perf_counter() - began)
            if slow:
                self.watch(Event("note", slow))

    def _look(self, check: Check) -> None:
        """Each observer whose turn it is looks once, and what it answers is done."""
        state, attempt = self.state, self.state.attempt
        for each in self.observers:
            step = state.step
            due = _due(step, each.every, state.training.steps)
            if not due or state.seen.get(each.name) == step:
                continue
            self.log.check()
            answer = self._answer(each, check)
            if state.parallel.highest(answer != []):  # mostly it is, and a number is sent sooner
                answer = state.parallel.agree(answer)
            if answer is None:
                raise Stopped
            state.seen[each.name] = step
            for action in answer:
                self._do(action, each.name)
                if isinstance(action, observers.Log) and action.kind == "probe":
                    state.scores |= action.numbers
            if state.attempt != attempt:
                self.save()
                return

    def _answer(self, observer: Observer, check: Check) -> list[Action] | None:
        """What an observer says, on the first process; None if it was stopped."""
        state = self.state
        if not state.parallel.first:
            return []
        view = View(
            model=state.model,
            average=state.average,
            step=state.step,
            steps=state.training.steps,
            terms=state.terms,
            scores=state.scores,
            skipped=state.skips_in_a_row,
            attempt=state.attempt,
            knobs=state.knobs,
            folder=self.folder,
            rate=self.rate,
            memory=state.memory.setdefault(observer.name, {}),
            check=check,
        )
        try:
            with torch.no_grad():
                return list(observer.see(view))
        except Stopped:
            return None

    def _do(self, action: Action, by: str) -> None:
        state, step = self.state, self.state.step
        match action:
            case observers.Log(numbers, kind, more):
                self.log.write(step, numbers)
                told = {**numbers, **more}
                self.watch(Event(kind, done=step, total=state.training.steps, numbers=told))
                return
            case observers.Say(finding, evidence, told):
                self.log.write(step, {"finding": finding, "evidence": evidence})
                self.watch(Event("note", told))
                return
            case observers.Keep():
                state.best_step = step
                state.best = {k: v.clone() for k, v in artefact.state(state.average).items()}
                return
        what = {"by": by, "action": type(action).__name__.lower(), **dataclasses.asdict(action)}
        self.log.write(step, what)
        if action.why:
            self.watch(Event("note", action.why))
        match action:
            case observers.Set(knob, value):
                state.knobs[knob] = value
            case observers.Rollback(before):
                self._roll_back(before, by)
            case observers.Stop():
                state.ended = True

    def _roll_back(self, before: int, by: str) -> None:
        """The state of an older checkpoint, but for what its author remembers and how often it went back."""
        state, folder = self.state, self.folder / "checkpoints"
        # limits were learned from what is gone
        turned = {k: v for k, v in state.knobs.items() if not k.startswith("limit/")}
        kept = {"attempt": state.attempt + 1, "knobs": turned}
        memory = state.memory.get(by, {})
        if state.parallel.first:
            checkpoint.drop(folder, before, state.back)
        state.parallel.wait()
        saved = checkpoint.load(folder)
        state.unpack(saved or self.initial)
        for name, value in kept.items():
            setattr(state, name, value)
        state.memory[by] = memory
        if saved is None:
            self._begin_anew()

    def save(self) -> None:
        """Write the state and the model down, unless they are."""
        state, now = self.state, (self.state.step, self.state.attempt)
        if now == self.on_disk:
            return
        if state.parallel.first:
            self.log.check()
            packed, more = state.pack(), {"log_bytes": self.log.sync(), "run": self.run}
            packed = dataclasses.replace(packed, facts={**packed.facts, **more})
            checkpoint.save(self.folder / "checkpoints", state.step, packed, state.back)
            self.save_model(finished=False)
        state.parallel.wait()
        self.on_disk = now
        self.watch(Event("saved", done=state.step, total=state.training.steps))

    def save_model(self, finished: bool) -> None:
        """Write the model down as it would be used."""
        facts = {**self.facts, "finished": finished}
        saving.save_model(self.folder, self.name, self.state, self.loader, facts)


def _due(step: int, every: int, last: int) -> bool:
    return step > 0 and (step % every == 0 or step == last)
