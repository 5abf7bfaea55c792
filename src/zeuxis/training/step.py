"""One optimisation step.

A step runs each phase in order: loss and backward over this process' micro-batches, one exchange of
gradients, the finite guard, clip, optimiser; then the average of the weights follows.
"""

import copy
import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zeuxis.core.abilities import Batch
from zeuxis.core.errors import Diverged, Invalid
from zeuxis.core.family import Context, Family, Loader, Phase
from zeuxis.core.fields import Field
from zeuxis.core.machine import arithmetic
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training, suggest
from zeuxis.training import muon
from zeuxis.training.state import State

MOST_SKIPS = 10
"""So many steps in a row in which a player's gradient is not taken end the run."""


def start(
    model: Family, training: Training, device: torch.device, precision: str, parallel: Parallel
) -> State:
    """Fresh state: one optimiser a phase, the average equal to the weights."""
    size = parallel.world * training.accumulate * model.GROUP
    if training.batch_size % size:
        raise Invalid(
            f"training.batch_size is {training.batch_size}; it must be a multiple of {size} "
            f"({parallel.world} processes x {training.accumulate} micro-batches x groups of "
            f"{model.GROUP} rows)"
        )
    model = model.to(device, dtype(precision))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    phases = model.phases()
    optimisers = {p.name: _optimiser(model, p, training, device, precision) for p in phases}
    average = copy.deepcopy(model).eval().requires_grad_(False)
    return State(
        model=model.train(),
        average=average,
        optimisers=optimisers,
        training=training,
        device=device,
        precision=precision,
        parallel=parallel,
        updates={phase.name: 0 for phase in phases},
    )


def _optimiser(
    model: Family, phase: Phase, training: Training, device: torch.device, precision: str
) -> torch.optim.Optimizer:
    trained = parameters(model, phase)
    options: dict[str, Any] = {
        "lr": training.lr * phase.lr,
        "betas": phase.betas or training.betas,
        "weight_decay": training.weight_decay,
        "fused": device.type in ("cpu", "cuda"),
    }
    if training.optimiser == "adamw":
        return torch.optim.AdamW(trained, **options)
    matrices = [each for path in phase.modules for each in muon.matrices(model.get_submodule(path))]
    kind = torch.bfloat16 if precision == "bfloat16" else dtype(precision)
    return muon.Muon(trained, matrices, kind, **options)


def dtype(precision: str) -> torch.dtype:
    """Type of the weights: bfloat16 is a matter of autocast only."""
    return torch.float64 if precision == "float64" else torch.float32


def parameters(model: Family, phase: Phase) -> list[torch.nn.Parameter]:
    """The parameters that `phase` trains."""
    return [p for path in phase.modules for p in model.get_submodule(path).parameters()]


def train_step(state: State, loader: Loader) -> dict[str, Tensor]:
    """One step over all phases; returns the global batch's losses as `phase/term`."""
    phases = state.model.phases()
    per_step = 1 + sum(phase.own_batch for phase in phases)
    own, skipped, logged = 0, state.skipped, dict[str, Tensor]()
    for phase in phases:
        own += phase.own_batch
        progress = state.step / state.training.steps
        if state.step % phase.every or not phase.start <= progress < phase.stop:
            continue
        draw = state.moment * per_step + (own if phase.own_batch else 0)
        logged |= _update(state, phase, loader, draw, progress)
    state.skips_in_a_row = state.skips_in_a_row + 1 if state.skipped > skipped else 0
    if state.skips_in_a_row > MOST_SKIPS:
        raise Diverged(
            f"gradients were not finite, or far too large, for {state.skips_in_a_row} steps in a row "
            f"at step {state.step}; lower training.lr (now {state.training.lr})"
        )
    follow(state)
    return logged


def _update(
    state: State, phase: Phase, loader: Loader, draw: int, progress: float
) -> dict[str, Tensor]:
    training, model, fields = state.training, state.model, state.model.fields()
    trained = parameters(model, phase)
    if len(state.optimisers) > 1:
        model.requires_grad_(False)
    for p in trained:
        p.requires_grad_(True)
        p.grad = None
    terms: dict[str, Tensor] = {}
    for micro in range(training.accumulate):
        rows = state.parallel.rows(training.batch_size, training.accumulate, micro)
        batch = to_device(loader(draw, rows), fields, state.device, dtype(state.precision))
        rng = draws(state, phase.name, rows)
        ctx = Context(step=state.step, update=state.updates[phase.name], progress=progress, rng=rng)
        with arithmetic(state.device, state.precision):
            losses = model.loss(phase.name, batch, ctx)
        (losses["total"] / training.accumulate).backward()
        for key, value in losses.items():
            part = value.detach() / training.accumulate
            terms[key] = terms[key] + part if key in terms else part
    gradients = [p.grad for p in trained if p.grad is not None]
    state.parallel.mean_([*gradients, *terms.values()])
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm <= state.knobs.get(f"limit/{phase.name}", sys.float_info.max):
        clip = training.clip if phase.clip is None else phase.clip
        if clip:
            torch.nn.utils.clip_grads_with_norm_(trained, clip, norm)
        span = phase.first(training.steps), phase.last(training.steps)
        rate = learning_rate(training, state.step, *span) * phase.lr * state.knobs.get("lr", 1.0)
        for group in state.optimisers[phase.name].param_groups:
            group["lr"] = rate
        state.optimisers[phase.name].step()
        state.updates[phase.name] += 1
        stats = {key: value for key, value in terms.items() if key.startswith("stat/")}
        with torch.no_grad():
            model.update(phase.name, stats, ctx)
    else:
        state.skipped += 1
    named = {f"{phase.name}/{k}": v for k, v in terms.items() if not k.startswith("stat/")}
    return {**named, f"{phase.name}/grad_norm": norm.detach()}


def learning_rate(training: Training, step: int, first: int = 0, last: int | None = None) -> float:
    """Linear warm-up over at most a tenth of the steps from `first` on, then the decay to `final_lr`."""
    step, steps = step - first, (training.steps if last is None else last) - first
    warmup = min(training.warmup, steps // 10)
    if step < warmup:
        return training.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    low = training.final_lr
    if training.decay == "linear":
        return training.lr * (1 - (1 - low) * done)
    if training.decay == "cosine":
        return training.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))
    return training.lr


@torch.no_grad()
def follow(state: State) -> None:
    """Move the average towards the weights; its memory is a share of the steps so far."""
    for phase in state.model.phases():
        done = state.step + 1 - phase.first(state.training.steps)
        memory = max(1.0, state.training.average * done)
        decay = min(state.training.average_max, 1 - 1 / memory)
        averages: list[Tensor] = [*parameters(state.average, phase)]
        torch._foreach_lerp_(averages, [*parameters(state.model, phase)], 1 - decay)
    for mine, theirs in zip(state.average.buffers(), state.model.buffers(), strict=True):
        mine.copy_(theirs)


def to_device(
    batch: Batch, fields: Mapping[str, Field], device: torch.device, kind: torch.dtype
) -> Batch:
    """The batch on the device, each key as its field says: only images become [-1, 1].

    Raises:
        ValueError: a key is no field of the family's.
    """
    for key in batch:
        if key not in fields:
            raise Invalid(f"a batch holds {key!r}, which is no field; {suggest(key, fields)}")
    return {
        key: fields[key].inside(value.to(device, non_blocking=True), kind)
        for key, value in batch.items()
    }


def draws(state: State, purpose: str, rows: slice | None = None) -> Rng:
    """Random streams of `rows` of the global batch (default: all) at the state's moment."""
    rows = rows or slice(0, state.training.batch_size)
    return state.rng.for_rows(
        state.training.seed,
        purpose,
        state.moment,
        range(rows.start, rows.stop),
        state.device,
        dtype(state.precision),
    )
