"""What a process asks of the machine."""

import platform
import subprocess
import sys

import pytest

from tests.support.sabotage import breaks
from zeuxis.core import machine

STEPS = 50

PROGRAM = f"""
import ctypes, resource, sys
from zeuxis.core import machine
if sys.argv[1] == "keep":
    machine.keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def step():
    blocks = [libc.malloc(2**20) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, 2**20)
    for block in blocks:
        libc.free(block)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({STEPS}):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that a fresh process had to be given in its later steps."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True)
    return int(done.stdout)


@breaks("core/machine.py", "libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)", "pass")
@breaks("core/machine.py", "libc.mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)", "pass")
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are"
)
def test_freed_memory_is_kept_for_the_next_step():
    assert faults("keep") < faults("leave") / 10


def test_other_c_libraries_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: pytest.fail("called the C library"))
    machine.keep_memory()
