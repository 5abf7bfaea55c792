"""Named sets: what is fetched is read in place; a missing manager is one clear sentence."""

import gzip
import io
import json
import stat
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

from zeuxis import data
from zeuxis.data.known import fetch


def test_the_avatars_need_nothing(tmp_path):
    prepared = data.get("avatars", tmp_path / "a")
    assert len(prepared) == 8192 and prepared.images.shape[1:] == (16, 16, 3)
    assert len(prepared.holdout) == pytest.approx(410, abs=2)
    assert "CC0" in prepared.facts["licence"] and "Körner" in prepared.facts["credits"]
    hair = next(c for c in prepared.conditions if c.name == "hair")
    assert "red" in hair.classes and len(hair.classes) == 11
    reds = prepared.images[prepared.labels[:, 0] == hair.classes.index("red")].astype(int)
    others = prepared.images[prepared.labels[:, 0] == hair.classes.index("blue")].astype(int)
    warmth = [np.mean(x[:, :8, :, 0] - x[:, :8, :, 2]) for x in (reds, others)]
    assert warmth[0] > warmth[1] + 40


def test_an_unknown_name_and_a_taken_place(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'emoji'"):
        data.get("emojis", tmp_path / "a")
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        data.get("avatars", tmp_path)


@pytest.mark.parametrize("name", ["emoji", "earth"])
def test_a_missing_manager_is_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="npm is needed for this but not installed; install npm"):
        data.get(name, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_failing_manager_is_quoted(tmp_path):
    words = [sys.executable, "-c", "import sys; sys.exit('no such package')"]
    with pytest.raises(ValueError, match=r"failed \(no such package\); do this"):
        fetch.call(words, tmp_path, "do this")
    with pytest.raises(ValueError, match=r"left no \*\.tgz"):
        fetch.fetched(tmp_path, "*.tgz", ["npm", "pack"])


def png(number, side=64):
    image = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).resize((side, side), Image.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A stand-in for npm that packs what the test lays out."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        "name = sys.argv[2].rpartition('@')[0].replace('@', '').replace('/', '-')\n"
        f"shutil.copy(f'{shelf}/' + name + '.tgz', name + '-1.0.0.tgz')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))

    def lay(name, files):
        with tarfile.open(shelf / f"{name}.tgz", "w:gz") as archive:
            for path, content in files.items():
                info = tarfile.TarInfo(f"package/{path}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    return lay


def test_emoji_are_aligned_and_split_by_base(npm, tmp_path):
    bases = [f"{0x1F600 + i:x}" for i in range(60)]
    tones = [f"{0x1F3FB + i:x}" for i in range(3)]
    codes = [*bases, *(f"{base}-{tone}" for base in bases for tone in tones)]
    table = [
        {
            "name": f"FACE {base}",
            "unified": base.upper(),
            "category": "Smileys" if i % 2 else "People",
            "subcategory": f"sub{i % 3}",
            "skin_variations": {t: {"unified": f"{base}-{t}".upper()} for t in tones},
        }
        for i, base in enumerate(bases)
    ]
    facts = {"emoji.json": json.dumps(table).encode()}
    for shift, (name, folder, tail) in enumerate(
        [
            ("emoji-datasource-google", "img/google/64/", ""),
            ("emoji-datasource-twitter", "img/twitter/64/", "-fe0f"),
            ("lobehub-fluent-emoji-3d", "assets/", "-fe0f"),
        ]
    ):
        files = {
            f"{folder}{code}{tail}.png": png(hash((shift, i)) % 2**31)
            for i, code in enumerate(codes)
        }
        files |= {f"{folder}ffff.png": png(1)} if shift else {}
        npm(name, {**facts, **files})
    prepared = data.get("emoji", tmp_path / "out")
    assert len(prepared) == 3 * len(codes) and prepared.channels == 3
    assert {c.name for c in prepared.conditions} == {"category", "subcategory", "style"}
    sides = {}
    for row, name in enumerate(prepared.names):
        sides.setdefault(name.split("/")[1].split("-")[0], set()).add(row in set(prepared.holdout))
    assert len(sides) == 60 and all(len(side) == 1 for side in sides.values())
    assert prepared.texts[0] == "face 1f600"
    assert "CC-BY" in prepared.facts["licence"]


def test_idx_files_get_their_class_names(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    for word, part in (("train", pixels[:15]), ("t10k", pixels[15:])):
        head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in part.shape)
        path = tmp_path / f"{word}-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(head + part.tobytes()))
        head = b"\0\0\x08\x01" + len(part).to_bytes(4, "big")
        labels = bytes(i % 10 for i in range(len(part)))
        (tmp_path / f"{word}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels))
    source = fetch.open_idx(tmp_path, fetch.FASHION)
    assert source.items[0].columns["label"] == "T-shirt/top"
    assert source.classes["label"] == fetch.FASHION
