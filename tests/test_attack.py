"""A taste of `benchmarks/attack`, which opens 1,100 hostile files: the worst of each kind."""

import re
import subprocess
import sys

import pytest

from benchmarks.attack.__main__ import QUICK, cases

OPEN = {
    "config of a gan: features 1099511627776",
    "dataset.json: null",
    "doubtful [[0, 0, 99, 99, 5]]",
    "family is []",
    "honest network",
    "no shape",
    "npz, cut",
    "pkl, objects by address",
    "weights that climb",
    "weights: one is complex64",
    "weights: one weight is NaN",
}
"""Known to be wrong still: to be emptied."""


def test_what_is_tried_has_names_of_its_own():
    names = [(case.kind, case.name) for case in cases()]
    assert len(names) == len(set(names)) >= 1000
    assert {name for _, name in names} >= QUICK >= OPEN


@pytest.mark.skipif(sys.platform != "linux", reason="limits and forks as Linux has them")
def test_nothing_hostile_reaches_further_than_a_sentence():
    words = [
        sys.executable,
        "-m",
        "benchmarks.attack",
        "--quick",
    ]  # forks: not with pytest's threads
    done = subprocess.run(words, capture_output=True, text=True)
    assert "inputs" in done.stdout, done.stderr
    failed = re.findall(r"^\w[\w ]*\| [^:|]*: (.*?) \| \+", done.stdout, re.MULTILINE)
    assert set(failed) <= OPEN, done.stdout
