"""One training step of each family against the same networks in a plain loop, in one interleaved run.

    python -m benchmarks.speed [--families gan vae flow] [--batches 64 128] [--rounds 5] [--device cuda]

Ours is the loop's own step as `zeuxis train` runs it: bfloat16 where the hardware has it, channels_last
memory, fused optimiser, weight average. The plain loop is what public trainers run: float32 (on a GPU
with PyTorch's own defaults: TF32 in convolutions only), NCHW memory, eager, stock Adam, stock group norm
and SiLU, no average. Both see the same weights, batches and draws, at 32x32x1 with 10 classes. A round
times some steps of each in turn; the figures are medians over rounds, the ratio the median of the
rounds' ratios. Each lives in a process of its own, since `zeuxis train` also tells the C library to keep
freed memory (`machine.keep_memory`), which a plain loop does not. FLOPs are counted, not estimated.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import row
from zeuxis import families
from zeuxis.core import machine
from zeuxis.core.abilities import Batch
from zeuxis.core.family import Condition, Context, Family
from zeuxis.core.pixels import from_uint8
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.training.step import parameters, start, train_step

STEPS = 8
"""Steps a round: a whole number of the periods of lazy penalties."""
PROGRESS = 0.7
"""Where in a run the steps are taken: late enough for every phase to have started."""


def build(name: str) -> Family:
    """The family's default network for 32x32x1 images of 10 classes."""
    digits = Condition(name="label", classes=tuple("0123456789"))
    cls = families.get(name)
    conditions = (digits,) if cls.CONDITIONAL else ()
    return families.build(name, cls.Config(height=32, width=32, channels=1, conditions=conditions))


def batch_of(size: int) -> dict[str, Tensor]:
    """One batch as a loader gives it."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (size, 1, 32, 32), generator=generator, dtype=torch.uint8)
    return {"image": pixels, "label": torch.randint(0, 10, (size, 1), generator=generator)}


def our_step(name: str, batch: Batch, precision: str, device: torch.device) -> Callable[[], None]:
    """The loop's step."""
    training = families.get(name).TRAINING.model_copy(
        update={"batch_size": len(batch["image"]), "steps": 100_000, "warmup": 0}
    )
    state = start(build(name), training, device, precision, Parallel())
    state.step = int(PROGRESS * training.steps) // STEPS * STEPS

    def run() -> None:
        train_step(state, lambda draw, rows: {key: value[rows] for key, value in batch.items()})
        state.step += 1

    return run


def plain_step(name: str, batch: Batch, device: torch.device) -> Callable[[], None]:
    """The plain loop's step."""
    model = build(name).to(device).train()
    training = families.get(name).TRAINING
    for module in model.modules():
        if hasattr(module, "fused"):
            module.fused = False
    optimisers = {
        phase.name: torch.optim.Adam(parameters(model, phase), lr=training.lr)
        for phase in model.phases()
    }
    rows, step = range(len(batch["image"])), 0

    def run() -> None:
        nonlocal step
        moved = {key: value.to(device) for key, value in batch.items()}
        inside = {**moved, "image": from_uint8(moved["image"])}
        for phase in model.phases():
            if step % phase.every or phase.start > PROGRESS:
                continue
            model.requires_grad_(False)
            for p in parameters(model, phase):
                p.requires_grad_(True)
            optimisers[phase.name].zero_grad(set_to_none=True)
            rng = Rng.for_rows(0, phase.name, step, rows, device)
            ctx = Context(step=step, update=step // phase.every, progress=PROGRESS, rng=rng)
            model.loss(phase.name, inside, ctx)["total"].backward()
            optimisers[phase.name].step()
        step += 1

    return run


def wait() -> None:
    """Until a GPU has done what it was asked for."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def seconds(step: Callable[[], None], steps: int = STEPS) -> float:
    """Mean time of a step."""
    wait()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - began) / steps


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """TFLOP/s of the machine's fastest square matrix product out of several."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size).to(device, dtype)
    return 2 * size**3 / min(seconds(lambda: a @ a, 1) for _ in range(12)) / 1e12


class Counter(TorchDispatchMode):
    """Adds up the FLOPs of products and convolutions, those of gradients included."""

    total = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run `operation` and count it."""
        result = operation(*args, **(kwargs or {}))
        count = flop_registry.get(operation._overloadpacket)
        if count:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


def flops(name: str, batch: Batch) -> float:
    """Counted TFLOP of a step, the mean over the period of lazy terms."""
    step, counter = our_step(name, batch, "float32", torch.device("cpu")), Counter()
    with counter:
        seconds(step)
    return counter.total / STEPS / 1e12


def peak_memory(device: torch.device) -> int:
    """MiB: on a GPU of tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    status = Path("/proc/self/status")
    if status.exists():  # a child's ru_maxrss starts at its parent's
        words = status.read_text().split()
        return int(words[words.index("VmHWM:") + 1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Contestant:
    """A process of its own that takes steps when asked.

    Args:
        kind: "plain", or the precision of the loop's own step.
        name: the family.
        size: rows of a batch.
        device: where.
    """

    def __init__(self, kind: str, name: str, size: int, device: torch.device) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, kind, name, size, device), daemon=True).start()

    def seconds(self, steps: int) -> float:
        """Mean time of a step."""
        self.pipe.send(steps)
        return self.pipe.recv()[0]

    def end(self) -> int:
        """End the process; its peak memory in MiB."""
        self.pipe.send(0)
        return self.pipe.recv()[1]


def _serve(
    pipe: multiprocessing.connection.Connection,
    kind: str,
    name: str,
    size: int,
    device: torch.device,
) -> None:
    machine.set_threads(None)
    batch = batch_of(size)
    if kind == "plain":
        step = plain_step(name, batch, device)
    else:
        machine.keep_memory()
        step = our_step(name, batch, kind, device)
    while steps := pipe.recv():
        pipe.send((seconds(step, steps), 0))
    pipe.send((0.0, peak_memory(device)))


def measure(name: str, size: int, rounds: int, device: torch.device) -> None:
    """Write the row of one family at one batch size."""
    fast = machine.fast_bfloat16(device)
    kinds = ("plain", "float32", "bfloat16")[: 2 + fast]
    contestants = {kind: Contestant(kind, name, size, device) for kind in kinds}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    rates = []
    for i in range(rounds + 1):  # the first warms up
        for kind, contestant in contestants.items():
            took = contestant.seconds(STEPS if i else 2)
            if i:
                times[kind].append(took)
        rates.append(matrix_rate(torch.bfloat16 if fast else torch.float32, device))
    ours = kinds[-1]
    memory = {kind: contestant.end() for kind, contestant in contestants.items()}
    median = {kind: statistics.median(values) for kind, values in times.items()}
    reached, rate = flops(name, batch_of(size)) / median[ours], statistics.median(rates)
    row.write_row(
        "speed",
        family=name,
        batch=size,
        peak_memory_mib=memory,
        parameters=sum(p.numel() for p in build(name).parameters()),
        precision=ours,
        ratio=round(_ratio(times["plain"], times[ours]), 2),
        ratio_float32=round(_ratio(times["plain"], times["float32"]), 2),
        images_per_second={kind: round(size / value, 1) for kind, value in median.items()},
        tflops=round(reached, 3),
        matrix_tflops=round(rate, 3),
        share_of_matrix_rate=round(reached / rate, 3),
        rounds=rounds,
    )


def _ratio(plain: list[float], ours: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(plain, ours, strict=True))


def main() -> None:
    """One row for each family and batch size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--families", nargs="+", default=list(families.FAMILIES))
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    args = parser.parse_args()
    machine.set_threads(None)
    device = machine.choose_device(args.device)
    for name in args.families:
        for size in args.batches:
            measure(name, size, args.rounds, device)


if __name__ == "__main__":
    main()
