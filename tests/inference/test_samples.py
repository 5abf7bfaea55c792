"""Samples on disk: whole files, an honest note, one writer at a time, and no sync for each."""

import json
import os
import threading

import numpy as np
import pytest
from PIL import Image

from tests.support.front import classes
from tests.support.sabotage import breaks
from zeuxis.core.lock import locked
from zeuxis.data import inspect, inspection
from zeuxis.inference import results


def images(count, level=0):
    return np.full((count, 4, 4, 1), level, np.uint8)


def write(folder, images_NHWC, facts):
    results.Images(images=images_NHWC, provenance=facts).write(folder)


def note(folder):
    return json.loads((folder / results.NOTE).read_text())


@breaks("inference/results.py", "content), sync=False)", "content))")
@breaks("inference/results.py", "sync_files(path, written(path))", "pass")
def test_files_are_synced_all_at_once(tmp_path, monkeypatch):
    synced = []

    def fsync(handle):
        found = (tmp_path / "out").glob("*.png")
        synced.append((len(list(found)), os.fstat(handle).st_ino))

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path / "out", images(50), {"unmarked": True})
    files = {path.stat().st_ino for path in results.written(tmp_path / "out")}
    assert [count for count, _ in synced] == [0] * 2 + [50] * 55  # note, images, metadata, note
    assert {inode for _, inode in synced[2:52]} == files
    assert note(tmp_path / "out") == {"count": 50, "unmarked": True}
    assert len(results.written(tmp_path / "out")) == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@breaks("inference/results.py", '"count": 0, **facts', '"count": len(self.images), **facts')
def test_a_kill_among_them_leaves_whole_files_and_a_note_that_counts_none(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    write(folder, images(9, 7), {})
    save = results.write_file

    def killed(path, *rest, **more):
        if path.name == "0003.png":
            path.with_name("0003.png.123.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        save(path, *rest, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(results, "write_file", killed)
        write(folder, images(8), {})
    assert note(folder)["count"] == 0
    assert sorted(path.name for path in results.written(folder)) == [
        f"000{i}.png" for i in range(3)
    ]
    (folder / "2024.png.tmp").write_text("mine")
    write(folder, images(2), {})
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["0000.png", "0001.png", "2024.png.tmp", results.METADATA, results.NOTE]


@breaks("inference/results.py", 'being written", wait=True)', 'being written")')
def test_of_two_at_once_one_is_there_whole(tmp_path):
    folder, failed = tmp_path / "out", []
    start = threading.Barrier(2)

    def repeat(count):
        try:
            start.wait()
            for _ in range(5):
                write(folder, images(count, count), {"by": count})
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=repeat, args=(count,)) for count in (5, 9)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    found = note(folder)
    assert not failed and found["count"] == found["by"] == len(results.written(folder))
    for path in results.written(folder):
        with Image.open(path) as image:
            assert np.asarray(image).max() == found["by"]


@breaks("data/inspection.py", "shutil.rmtree(left, ignore_errors=True)", "pass")
@breaks("data/inspection.py", "if not unlocked:", "if unlocked:")
def test_inspecting_leaves_nothing_and_removes_what_killed_ones_left(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection.tempfile, "gettempdir", lambda: str(tmp_path))
    pets = classes(tmp_path / "pets", "cat", "dog", count=3)
    dead, alive = tmp_path / f"{inspection.SCRATCH}dead", tmp_path / f"{inspection.SCRATCH}alive"
    for scratch in (dead, alive):
        (scratch / "set").mkdir(parents=True)
    (tmp_path / f"{inspection.SCRATCH}link").symlink_to(pets)
    with locked(inspection._lock(alive), "in use"):
        assert inspect(pets).facts["images"]["count"] == 6
        left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert left == {"pets", alive.name, f"{inspection.SCRATCH}link"}
    assert len(list(pets.rglob("*.png"))) == 6
