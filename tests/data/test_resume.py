"""A preparation that was killed goes on: nothing is decoded twice, and the set is the one of no kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.errors import Stopped
from zeuxis.core.settings import Data
from zeuxis.data.preparation import journal, prepare, rows

TINY = Data(size=(8, 8))
COUNT = 60
"""Images in a folder; one of them is damaged, one is there twice, one has a note."""


def pictures(root, count=COUNT):
    root.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{i:03d}.png")
    (root / "004.png").write_bytes(b"no picture")
    shutil.copy(root / "006.png", root / "007.png")
    clear = Image.fromarray(np.random.default_rng(9).integers(0, 256, (8, 8, 4), np.uint8))
    clear.save(root / "009.png")
    return root


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "BLOCK", 4)
    return pictures(tmp_path / "set")


def content(folder):
    """Every file of a set; of its facts all but the seconds that it took."""
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "dataset.json"}
    facts = json.loads((folder / "dataset.json").read_text())
    return files, {**facts, "seconds": 0}


def kept(folder):
    """The one folder of what is decoded, beside a set."""
    [found] = [p for p in folder.parent.glob(f".{folder.name}-*") if p.is_dir()]
    return found


def at(number, error=KeyboardInterrupt):
    def progress(done, total):
        if done >= number:
            raise error

    return progress


@pytest.fixture
def begun(source, tmp_path, monkeypatch):
    """A source, its set as never stopped, and what a pass left that was stopped behind its last image."""
    whole = data.prepare(source, tmp_path / "whole", TINY)
    with pytest.raises(Stopped, match="the same command goes on from there"):
        data.prepare(source, tmp_path / "out", TINY, at(COUNT))
    return source, content(whole.folder), kept(tmp_path / "out")


@pytest.fixture
def firsts(monkeypatch):
    """Where each pass over the files began."""
    real, found = rows.decode_all, []

    def noted(source, target, first):
        found.append(first)
        return real(source, target, first)

    monkeypatch.setattr(rows, "decode_all", noted)
    return found


@breaks(
    "data/preparation/rows.py",
    "decode_all(source, target, journal.done)",
    "decode_all(source, target)",
)
@breaks("data/preparation/journal.py", 'block["end"] - end', 'block["end"]')
@breaks("data/preparation/journal.py", "os.truncate(self._path, self._end)", "pass")
@breaks(
    "data/preparation/journal.py",
    'if zlib.crc32(pixels.read(block["end"] - end)) != block["sum"]',
    "if False",
)
@pytest.mark.parametrize(
    "damage", ["none", "cut", "pixels cut", "flipped", "zeros", "none written"]
)
def test_a_kill_at_any_byte_leaves_a_usable_part_or_none(begun, firsts, tmp_path, damage):
    source, expected, left = begun
    lines, pixels = left / "images.u8.journal", left / "images.u8"
    rng = np.random.default_rng(0)
    place = int(rng.integers(1, lines.stat().st_size - 1))
    if damage == "cut":
        os.truncate(lines, place)
    elif damage == "pixels cut":
        os.truncate(pixels, int(rng.integers(1, 192 * COUNT // 2)))
    elif damage == "flipped":
        whole = bytearray(pixels.read_bytes())
        whole[192 * 20] ^= 1
        pixels.write_bytes(whole)
    elif damage == "zeros":
        lines.write_bytes(lines.read_bytes()[:place] + bytes(300))
    elif damage == "none written":
        lines.write_bytes(b"")
    (left / "columns.safetensors.77.tmp").write_bytes(b"half")
    again = data.prepare(source, tmp_path / "out", TINY)
    assert content(again.folder) == expected
    [first] = firsts
    assert first == {"none": COUNT, "none written": 0, "flipped": 20}.get(damage, first)
    assert first % 4 == 0 and (first > 0 or damage == "none written")
    assert {p.name for p in tmp_path.iterdir()} == {"set", "whole", "out"}


@breaks(
    "data/preparation/prepare.py",
    'getattr(settings, name) for name in ("holdout"',
    '0 for name in ("holdout"',
)
@breaks("data/preparation/prepare.py", "known = (fingerprint, names", "known = (names")
@pytest.mark.parametrize("change", ["file", "size", "holdout", "nothing that matters"])
def test_only_the_same_files_and_settings_go_on(begun, firsts, tmp_path, change):
    source, expected, _ = begun
    asked = {"size": (8, 8)}
    if change == "file":
        os.utime(source / "050.png", (1, 1))
    elif change == "size":
        asked["size"] = (4, 4)
    elif change == "holdout":
        asked["holdout"] = 0.5
    else:
        asked["flip"] = True
    again = data.prepare(source, tmp_path / "out", Data(**asked))
    assert firsts == [COUNT if change == "nothing that matters" else 0]
    assert (content(again.folder) == expected) == (change in ("file", "nothing that matters"))
    assert {p.name for p in tmp_path.iterdir()} == {"set", "whole", "out"}


@breaks("data/preparation/prepare.py", "if (staging / FACTS).is_file():", "if False:")
def test_killed_when_all_was_done(source, firsts, tmp_path, monkeypatch):
    def killed(staging, dest):
        raise SystemExit

    whole = content(data.prepare(source, tmp_path / "whole", TINY).folder)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_move", killed)
        patch.setattr(prepare.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            data.prepare(source, tmp_path / "out", TINY)
    assert content(data.prepare(source, tmp_path / "out", TINY).folder) == whole
    assert firsts == [0, 0]


def test_both_arrays_of_pairs_go_on(source, firsts, tmp_path):
    both = tmp_path / "pairs"
    shutil.move(source, both / "A")
    pictures(tmp_path / "pairs" / "B", 50)
    asked = Data(size=(8, 8), pairs="A:B")
    whole = content(data.prepare(both, tmp_path / "whole", asked).folder)
    calls = []

    def late(done, total):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(Stopped):
        data.prepare(both, tmp_path / "out", asked, late)
    assert content(data.prepare(both, tmp_path / "out", asked).folder) == whole
    assert firsts == [0, 0, 0, 0, 48, 48]  # of 50 images, and of 49 pairs


SLOW = """
import sys, time
from zeuxis.cli.main import main
from zeuxis.data.preparation import journal
journal.BLOCK, real = 4, journal.Journal.add
def slow(self, result):
    time.sleep(0.005)
    real(self, result)
journal.Journal.add = slow
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_killed_in_the_middle(source, firsts, tmp_path):
    whole = content(data.prepare(source, tmp_path / "whole", TINY).folder)
    words = ["data", "prepare", str(source), str(tmp_path / "out"), "--size", "8"]
    command = subprocess.Popen(
        [sys.executable, "-c", SLOW, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    lines = 0
    while lines < 3 and command.poll() is None:
        time.sleep(0.01)
        found = [*tmp_path.glob(".out-*/images.u8.journal")]
        lines = found[0].read_bytes().count(b"\n") if found else 0
    command.send_signal(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    again = data.prepare(source, tmp_path / "out", TINY)
    assert content(again.folder) == whole
    assert firsts[0] == 0 and firsts[1] >= 12 and (tmp_path / ".out.lock").exists() is False
