"""Decoding in processes gives the same bytes as decoding here, and outlives a decoder that does not."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.data.preparation import workers
from zeuxis.data.preparation.decode import Decoded, Refused, Target
from zeuxis.data.source import open_source


def png(number):
    image = np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def worker():
    one = workers.Worker(Target(16, 16, 3))
    yield one
    one.close()


def test_the_same_set_with_processes_and_without(tmp_path, monkeypatch):
    root = tmp_path / "set"
    root.mkdir()
    for i in range(70):
        (root / f"{i:02d}.png").write_bytes(png(i) if i % 9 else png(i)[: 40 * (i + 1)])
    here = data.prepare(root, tmp_path / "here", Data(size=(16, 16)))
    monkeypatch.setattr(workers, "WORTH_PROCESSES", 1)
    there = data.prepare(root, tmp_path / "there", Data(size=(16, 16)))
    assert here.hash == there.hash
    assert here.facts["left_out"] == there.facts["left_out"]
    assert here.facts["found"] == there.facts["found"]


def test_a_process_that_dies_takes_only_its_file_along(worker, monkeypatch):
    good = [png(i) for i in range(4)]
    real = workers.Worker._ask

    def ask(self, contents):
        if b"killer" in contents:
            self._process = self._process or self._start()
            self._process.kill()
            self._process.wait()
        return real(self, contents)

    monkeypatch.setattr(workers.Worker, "_ask", ask)
    out = worker.decode([*good[:2], b"killer", *good[2:]])
    assert [type(item) for item in out] == [Decoded, Decoded, Refused, Decoded, Decoded]
    assert out[2].reason == "corrupt" and str(out[2]) == workers.CRASHED


def test_bad_files_come_back_as_refusals(worker):
    out = worker.decode([png(0), b"", b"nonsense"])
    assert [getattr(item, "reason", "") for item in out] == ["", "empty", "not an image"]
    assert out[0].pixels_HWC.shape == (16, 16, 3) and (out[0].height, out[0].width) == (20, 30)


def test_a_worker_imports_nothing_from_the_current_folder(worker, tmp_path, monkeypatch):
    (tmp_path / "PIL.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert isinstance(worker.decode([png(0)])[0], Decoded)


def test_large_images_do_not_wait_in_great_numbers(tmp_path, monkeypatch):
    started = []
    real = workers._fetch

    def fetch(source, index):
        started.append(index)
        return real(source, index)

    monkeypatch.setattr(workers, "_fetch", fetch)
    monkeypatch.setattr(workers, "CHUNK_BYTES", 2 * 16 * 16 * 3)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda process: {0})
    root = tmp_path / "set"
    root.mkdir()
    for i in range(60):
        (root / f"{i:02d}.png").write_bytes(png(i))
    source = open_source(root)
    out = workers.decode_all(source, Target(16, 16, 3))
    assert next(out)[0] == 0 and len(started) <= 10
    assert [number for number, _ in out] == list(range(1, 60))


def test_a_worker_starts_without_torch():
    code = "import sys, zeuxis.data.preparation.workers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
