"""The machine that this process runs on: device, threads, arithmetic, and the facts to record."""

import contextlib
import ctypes
import math
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from zeuxis.core.errors import Invalid

BYTES = {"float32": 4, "bfloat16": 2, "float64": 8}
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""The parameters of `mallopt` that `keep_memory` sets, as glibc's malloc.h numbers them."""
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""Bytes; glibc takes no larger one."""
PRECISION = {"cuda": "float32", "amx_bf16": "bfloat16", "avx2": "float32"}
"""What training takes where it is left open: by the first of these features that the machine has, float32
where it has none of them (docs/decisions/0013 names the measured rows)."""
CLEARLY = 0.8
"""Another way must take at most this share of the usual one's time to be chosen: noise is not to decide."""
SLOW, LOOK = 4.0, 10.0
"""So many times the planned seconds of a step are slow, over at least so many seconds of steps."""

W = TypeVar("W")


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        ValueError: no such device, or not on this machine.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if name == "auto":
        name = "cuda" if present["cuda"] else "mps" if present["mps"] else "cpu"
    if not present.get(name):
        here = ", ".join(kind for kind, there in present.items() if there)
        raise Invalid(f"no device {name!r} on this machine; it has {here}")
    return torch.device(name)


def set_threads(threads: int | None) -> int:
    """Use `threads` threads (default: one per core this process may use) and return their number."""
    threads = threads or cores()
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    return threads


def cores() -> int:
    """Cores that this process may use; macOS and Windows do not tell, there it is all of them."""
    counts = getattr(os, "sched_getaffinity", None)
    return len(counts(0)) if counts else os.cpu_count() or 1


def keep_memory() -> None:
    """Let the C library keep the memory that a step frees, for the next step.

    By default glibc hands large blocks back to the system at once, and each step then waits for
    the system to give and clear thousands of pages anew. Other C libraries are left as they are.
    """
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are done by the hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(flags.get("amx_bf16") or flags.get("avx512_bf16"))


def precision(device: torch.device) -> str:
    """What `training.precision=auto` is on this machine: a function of its features, never of a clock."""
    found = {device.type}
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found |= {name for name, there in torch.cpu.get_capabilities().items() if there is True}
    return next((PRECISION[name] for name in PRECISION if name in found), "float32")


def quicker(seconds: Mapping[W, float]) -> W:
    """The first of several ways to do the same, unless another is clearly quicker.

    >>> quicker({"usual": 1.0, "other": 0.9}), quicker({"usual": 1.0, "other": 0.5})
    ('usual', 'other')
    """
    usual, best = next(iter(seconds)), min(seconds, key=lambda way: seconds[way])
    return best if seconds[best] < CLEARLY * seconds[usual] else usual


@contextlib.contextmanager
def quick_threads(call: Callable[[], object]) -> Iterator[float]:
    """In the body use all threads or one, whichever makes `call` clearly quicker now; yields its seconds.

    On a busy machine threads wait for one another at each small operation. What is computed must not
    depend on the number of threads, or not in a way that matters.
    """
    usual = torch.get_num_threads()
    counts = (usual,) if usual == 1 or torch.cuda.is_initialized() else (1, usual)
    seconds = dict.fromkeys((usual, *counts), math.inf)
    try:
        set_threads(counts[0])
        call()  # the first one also loads and compiles
        for _ in counts:  # a second look where there is a choice
            for count in counts:
                set_threads(count)
                began = time.perf_counter()
                call()
                seconds[count] = min(seconds[count], time.perf_counter() - began)
            if seconds[usual] > 2 * seconds[counts[0]]:  # a busy machine: one look is slow enough
                break
        yield seconds[set_threads(quicker(seconds))]
    finally:
        set_threads(usual)


class Pace:
    """How fast steps were planned to be: says once that they have become far slower, and why.

    Args:
        planned: seconds of a step; 0 expects nothing.
        limit: seconds from now after which the time is over.
    """

    def __init__(self, planned: float = 0.0, limit: float = math.inf) -> None:
        self._planned = planned
        self._end = time.monotonic() + limit
        self._said = not planned
        self._clear()

    def _clear(self) -> None:
        self._steps, self._seconds, self._used = 0, 0.0, time.process_time()

    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._end

    def note(self, seconds: float, left: int) -> str:
        """What the user should know after a step that took `seconds`, with `left` steps to go; mostly ""."""
        if self._said:
            return ""
        self._steps += 1
        self._seconds += seconds
        if self._seconds < LOOK:
            return ""
        now, busy = self._seconds / self._steps, time.process_time() - self._used
        share = busy / (self._seconds * torch.get_num_threads())
        self._clear()
        if now < SLOW * self._planned:
            return ""
        self._said = True
        rest = min(now * left, max(0.0, self._end - time.monotonic()))
        return (
            f"a step takes {now:.2f} s, {now / self._planned:.0f} times what was planned: {_why(share)}. "
            f"At this pace training ends in {rest / 60:.1f} min"
            + (
                f", at step {int(rest / now)} of the {left} that are left"
                if rest < now * left
                else ""
            )
            + ". Close the other programs, or press Ctrl-C: what was learned is saved, and the same command "
            "goes on later (with --threads 1 faster on a busy machine, with other bits)"
        )


def _why(share: float) -> str:
    """Why steps may have become slow, by the share of its threads' time that the process got."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > cores() + 0.5:
        return f"other programs use the processor (load {load:.1f} on {cores()} cores)"
    if share < 0.5:
        return f"the processor gave this run {share:.0%} of the time of its threads"
    return "the processor has become slower, by heat or by what else it runs"


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Enter autocast for bfloat16; the other precisions need nothing."""
    if precision == "bfloat16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    else:
        yield


def memory() -> dict[str, int]:
    """Bytes that this process uses now: `memory`, and `gpu_memory` where there is a GPU in use."""
    used, status = {}, Path("/proc/self/statm")
    if status.exists():
        used["memory"] = int(status.read_text().split()[1]) * resource.getpagesize()
    if torch.cuda.is_initialized():
        used["gpu_memory"] = torch.cuda.memory_allocated()
    return used


def processor() -> str:
    """The processor's name as its maker gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def facts(device: torch.device) -> dict[str, Any]:
    """What the bits of a run depend on, and what its report says of the machine."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "fast_bfloat16": fast_bfloat16(device),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": platform.system(),
    }
