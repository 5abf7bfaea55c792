"""One training step of each family against the same networks in a plain loop, in one interleaved run.

    python -m benchmarks.speed [--families gan vae flow] [--batches 64 128] [--rounds 5] [--device cuda]
    python -m benchmarks.speed --families pix2pix unpaired --batches 32 --shape 3 32 32 [--set method=cycle]

Ours is the loop's own step as `zeuxis train` runs it: in the precision that it takes here, channels_last
memory, fused optimiser, weight average. The plain loop is what public trainers run: float32 (on a GPU
with PyTorch's own defaults: TF32 in convolutions only), NCHW memory, eager, stock Adam, stock group norm
and SiLU, no average. Both see the same weights, batches and draws, at 32x32x1 with 10 classes (or --shape,
without). A family that translates is given a source of the image's shape. A round
times some steps of each in turn; the figures are medians over rounds, the ratio the median of the
rounds' ratios. Each lives in a process of its own, since `zeuxis train` also tells the C library to keep
freed memory (`machine.keep_memory`), which a plain loop does not. FLOPs are counted, not estimated.
"""

import argparse
import dataclasses
import multiprocessing
import multiprocessing.connection
import resource
import statistics
import time
from collections.abc import Callable, Mapping
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
from zeuxis.core.fields import Field
from zeuxis.core.pixels import from_uint8
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.training.step import parameters, start, train_step

STEPS = 8
"""Steps a round: a whole number of the periods of lazy penalties."""
PROGRESS = 0.7
"""Where in a run the steps are taken: late enough for every phase to have started."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What is trained: a family, at a shape, with settings of its own, on batches of a size."""

    name: str
    size: int
    shape: tuple[int, int, int] = (1, 32, 32)
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    threads: int | None = None

    @property
    def classes(self) -> int:
        """Of the label of an image."""
        return 10 if self.shape[0] == 1 else 0

    def build(self) -> Family:
        """The family's network, as it is by default but for the settings."""
        cls, (channels, height, width) = families.get(self.name), self.shape
        given = {"channels": channels, "height": height, "width": width, **self.settings}
        if "source" in cls.Config.model_fields:
            given["source"] = Field(name="source", kind="image", shape=self.shape)
        elif cls.CONDITIONAL and self.classes:
            names = tuple(map(str, range(self.classes)))
            given["conditions"] = (Condition(name="label", classes=names),)
        return families.build(self.name, cls.Config(**given))

    def batch(self) -> dict[str, Tensor]:
        """One batch as a loader gives it."""
        generator, model = torch.Generator().manual_seed(0), self.build()

        def pixels() -> Tensor:
            shape = (self.size, *self.shape)
            return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

        found = {name: pixels() for name in ("image", "source") if name in model.needs()}
        if "label" in model.needs():
            found["label"] = torch.randint(0, self.classes, (self.size, 1), generator=generator)
        return found


def our_step(job: Job, batch: Batch, precision: str, device: torch.device) -> Callable[[], None]:
    """The loop's step."""
    training = families.get(job.name).TRAINING.model_copy(
        update={"batch_size": len(batch["image"]), "steps": 100_000, "warmup": 0}
    )
    state = start(job.build(), training, device, precision, Parallel())
    state.step = int(PROGRESS * training.steps) // STEPS * STEPS

    def run() -> None:
        train_step(state, lambda draw, rows: {key: value[rows] for key, value in batch.items()})
        state.step += 1

    return run


def plain_step(job: Job, batch: Batch, device: torch.device) -> Callable[[], None]:
    """The plain loop's step."""
    model = job.build().to(device).train()
    training = families.get(job.name).TRAINING
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
        pixels = {name: from_uint8(moved[name]) for name in ("image", "source") if name in moved}
        inside = {**moved, **pixels}
        for phase in model.phases():
            if step % phase.every or not phase.start <= PROGRESS < phase.stop:
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


def flops(job: Job) -> float:
    """Counted TFLOP of a step, the mean over the period of lazy terms."""
    step, counter = our_step(job, job.batch(), "float32", torch.device("cpu")), Counter()
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
        job: what is trained.
        device: where.
    """

    def __init__(self, kind: str, job: Job, device: torch.device) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, kind, job, device), daemon=True).start()

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
    job: Job,
    device: torch.device,
) -> None:
    machine.set_threads(job.threads)
    batch = job.batch()
    if kind == "plain":
        step = plain_step(job, batch, device)
    else:
        machine.keep_memory()
        step = our_step(job, batch, kind, device)
    while steps := pipe.recv():
        pipe.send((seconds(step, steps), 0))
    pipe.send((0.0, peak_memory(device)))


def measure(job: Job, rounds: int, device: torch.device) -> None:
    """Write the row of one job."""
    fast = machine.fast_bfloat16(device)
    kinds = ("plain", "float32", "bfloat16")[: 2 + fast]
    contestants = {kind: Contestant(kind, job, device) for kind in kinds}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    rates = []
    for i in range(rounds + 1):  # the first warms up
        for kind, contestant in contestants.items():
            took = contestant.seconds(STEPS if i else 2)
            if i:
                times[kind].append(took)
        rates.append(matrix_rate(getattr(torch, machine.precision(device)), device))
    ours = machine.precision(device)
    memory = {kind: contestant.end() for kind, contestant in contestants.items()}
    median = {kind: statistics.median(values) for kind, values in times.items()}
    reached, rate = flops(job) / median[ours], statistics.median(rates)
    row.write_row(
        "speed",
        family=job.name,
        settings=dict(job.settings),
        shape=job.shape,
        batch=job.size,
        peak_memory_mib=memory,
        parameters=sum(p.numel() for p in job.build().parameters()),
        precision=ours,
        ratio=round(_ratio(times["plain"], times[ours]), 2),
        ratio_float32=round(_ratio(times["plain"], times["float32"]), 2),
        images_per_second={kind: round(job.size / value, 1) for kind, value in median.items()},
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
    parser.add_argument("--shape", nargs=3, type=int, default=[1, 32, 32], help="of an image")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the family")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="default: as `zeuxis train`")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    args = parser.parse_args()
    machine.set_threads(args.threads)
    device = machine.choose_device(args.device)
    given = {"shape": tuple(args.shape), "threads": args.threads}
    settings = dict(each.split("=", 1) for each in args.set)
    for name in args.families:
        for size in args.batches:
            measure(Job(name=name, size=size, settings=settings, **given), args.rounds, device)


if __name__ == "__main__":
    main()
