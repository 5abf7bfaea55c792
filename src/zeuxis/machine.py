"""The machine that this process runs on: device, threads, arithmetic, and the facts to record."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

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
        raise ValueError(f"no device {name!r} on this machine; it has {here}")
    return torch.device(name)


def set_threads(threads: int | None) -> int:
    """Use `threads` threads (default: one per core this process may use) and return their number."""
    if not threads:  # macOS and Windows do not tell which cores a process may use
        counts = getattr(os, "sched_getaffinity", None)
        threads = len(counts(0)) if counts else os.cpu_count() or 1
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    return threads


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
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Enter autocast for bfloat16; the other precisions need nothing."""
    if precision == "bfloat16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    else:
        yield


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
