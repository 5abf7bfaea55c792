"""A taste of `benchmarks/attack`, which opens 1,100 hostile files: the worst of each kind."""

import subprocess
import sys

import pytest

from benchmarks.attack.__main__ import QUICK, cases


def test_what_is_tried_has_names_of_its_own():
    names = [(case.kind, case.name) for case in cases()]
    assert len(names) == len(set(names)) >= 1000
    assert {name for _, name in names} >= QUICK


@pytest.mark.skipif(sys.platform != "linux", reason="limits and forks as Linux has them")
def test_nothing_hostile_reaches_further_than_a_sentence():
    words = [
        sys.executable,
        "-m",
        "benchmarks.attack",
        "--quick",
    ]  # forks: not with pytest's threads
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
