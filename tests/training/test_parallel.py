"""Processes and micro-batches change the memory and the time, not the result."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import worker
from tests.support.kit import ALL
from tests.support.sabotage import breaks
from zeuxis.core.processes import Parallel

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def alone():
    return {precision: worker.losses(precision) for precision in worker.STEPS}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "losses.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, "-m", "tests.support.worker", "losses", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


def assert_equal(found, expected, relative):
    assert len(found) == len(expected)
    for step in range(len(expected)):
        assert set(found[step]) == set(expected[step])
        for key, value in expected[step].items():
            if isinstance(value, str):
                assert found[step][key] == value
                continue
            assert found[step][key] == pytest.approx(value, rel=relative, abs=relative), (step, key)


@breaks("core/processes.py", "self.rank * accumulate + micro", "self.rank + micro")
def test_processes_and_micro_batches_share_the_rows_of_a_batch():
    pieces = [Parallel(rank, 2).rows(24, 3, micro) for rank in range(2) for micro in range(3)]
    assert [row for piece in pieces for row in range(24)[piece]] == list(range(24))


@breaks("core/processes.py", "flat /= self.world", "pass")
@pytest.mark.parametrize("name", ALL)
def test_two_processes_equal_one(alone, two_processes, name):
    assert_equal(two_processes["float64"][name], alone["float64"][name], 1e-9)
    assert_equal(two_processes["float32"][name], alone["float32"][name], 1e-5)


@breaks("training/loop.py", "answer = state.parallel.agree(answer)", "pass")
def test_two_processes_do_what_the_first_one_s_observers_say(two_processes, tmp_path):
    alone, both = worker.turning(tmp_path), two_processes["turning"]
    assert [row["action"] for row in both if "action" in row] == ["set", "rollback"]
    assert_equal(both, alone, 1e-5)


@breaks("training/step.py", "value.detach() / training.accumulate", "value.detach()")
@breaks(
    "training/step.py",
    '(losses["total"] / training.accumulate).backward()',
    'losses["total"].backward()',
)
@pytest.mark.parametrize("name", ALL)
def test_four_micro_batches_equal_one(alone, name):
    micro = {precision: worker.losses(precision, 4, names=[name]) for precision in worker.STEPS}
    assert_equal(micro["float64"][name], alone["float64"][name], 1e-9)
    assert_equal(micro["float32"][name], alone["float32"][name], 1e-5)


def test_losses_move(alone):
    """The comparison would be empty if nothing was trained."""
    for name in ALL:
        first, last = alone["float64"][name][0], alone["float64"][name][-1]
        assert any(first[key] != last[key] for key in first)
