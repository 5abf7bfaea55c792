"""The machine that this process runs on: device, threads, arithmetic, and the facts to record."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

BYTES = {"float32": 4, "bfloat16": 2, "float64": 8}
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""The parameters of `mallopt` that `keep_memory` sets, as glibc's malloc.h numbers them."""
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""Bytes; glibc takes no larger one."""


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
