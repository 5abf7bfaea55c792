"""A compressed file: its bits come back, it weighs what the model says, and no other model reads it."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.front import zeuxis
from tests.support.kit import able, build, config_for, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.abilities import Sequential
from zeuxis.data.pictures import Pictures
from zeuxis.inference import artefact, codec
from zeuxis.inference.model import load

SEQUENTIAL = able(Sequential)


def untrained(folder, name, **values):
    family = wake(build(name, conditional=False, **values))
    artefact.save(folder, name, family, family.state_dict(), dataset={"labels": []})
    return folder


def some(name, count, **values):
    config = config_for(name, conditional=False, **values)
    shape = (count, config.height, config.width, config.channels)
    generator = np.random.default_rng(1)
    images = (generator.normal(128, 30, shape)).clip(0, 255).astype(np.uint8)
    names = [f"{i}.png" for i in range(count)]
    return Pictures("some", names, images, (), np.zeros((count, 0), np.int64), {}, count, ())


def packed_into(file, model, seen, **more):
    coded = model.compress(seen, **more)
    coded.write(file)
    return coded


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_went_in_comes_out_at_the_stated_size(name, channels, tmp_path):
    run = untrained(tmp_path / "run", name, height=6, width=5, channels=channels)
    seen = some(name, 40, height=6, width=5, channels=channels)
    coded = packed_into(tmp_path / "a.zxi", load(run), seen)
    assert coded.total == (tmp_path / "a.zxi").stat().st_size
    again, names = codec.decompress(load(run), tmp_path / "a.zxi")
    assert np.array_equal(again, seen.images) and names == seen.names
    assert coded.bits_per_dim == pytest.approx(coded.stated, rel=0.01)
    assert coded.stated == pytest.approx(load(run).score(seen.images).mean, rel=1e-5)
    assert set(coded.peers) > {"PNG, one sheet", "WebP, one sheet"}


def test_several_batches_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(codec, "ROWS", 3)
    run = untrained(tmp_path / "run", "pixelcnn", height=3, width=3)
    seen = some("pixelcnn", 7, height=3, width=3)
    ticks = []
    told = lambda done, total: ticks.append((done, total))  # noqa: E731
    packed_into(tmp_path / "a.zxi", load(run), seen, progress=told)
    assert ticks[-1] == (7, 7) and ticks == sorted(ticks)
    assert np.array_equal(codec.decompress(load(run), tmp_path / "a.zxi")[0], seen.images)


@breaks("inference/codec.py", "weights[-1] > 1:", "weights[-1] > 2:")
def test_the_table_is_whole_numbers_of_exact_arithmetic():
    table = codec.table()
    assert table[0] == 2**24 and table[-1] == 1 and table.dtype == np.int64
    assert (np.diff(table) <= 0).all()
    nats = np.arange(len(table) - 1) / codec.GRID
    assert np.abs(table[:-1] - 2.0**24 * np.exp(-nats)).max() <= 0.5 + 1e-6


class Shaken:
    """A stepper whose log-probabilities are off by less than what the file is made to bear."""

    def __init__(self, stepper, size):
        self.stepper, self.size = stepper, size
        self.generator = np.random.default_rng(0)

    def log_p(self):
        log_p = self.stepper.log_p()
        return log_p + self.size * torch.from_numpy(2 * self.generator.random(log_p.shape) - 1)

    def push(self, level_B):
        self.stepper.push(level_B)


@breaks("inference/codec.py", "nearest_RL[row, one] = value", "pass")
@breaks("inference/codec.py", '!= header["pixels"]:', "== 0:")
def test_small_differences_between_machines_do_no_harm(tmp_path, monkeypatch):
    """With a wide margin many numbers are written down, and twice the margin's noise goes wrong."""
    monkeypatch.setattr(codec, "SURE", 0.05)
    run = untrained(tmp_path / "run", "pixelcnn", height=4, width=4)
    seen = some("pixelcnn", 8, height=4, width=4)
    coded = packed_into(tmp_path / "a.zxi", load(run), seen)
    assert coded.written_down > 100
    cls = families.get("pixelcnn")
    plain = cls.stepper
    for share, whole in ((0.9, True), (6.0, False)):
        size = share * codec.SURE / codec.GRID
        shaken = lambda self, rows, size=size: Shaken(plain(self, rows), size)  # noqa: E731
        monkeypatch.setattr(cls, "stepper", shaken)
        if whole:
            again, _ = codec.decompress(load(run), tmp_path / "a.zxi")
            assert np.array_equal(again, seen.images)
        else:
            with pytest.raises(ValueError, match="did not come out as they went in"):
                codec.decompress(load(run), tmp_path / "a.zxi")


@breaks("inference/codec.py", "copy.deepcopy(model.family).double()", "copy.deepcopy(model.family)")
def test_the_steps_are_taken_in_float64(tmp_path, monkeypatch):
    """Nothing less is the same on another instruction set to within what is written down."""
    run = untrained(tmp_path / "run", "pixelcnn", height=3, width=3)
    seen, types = some("pixelcnn", 2, height=3, width=3), set()
    rounded = codec._rounded
    monkeypatch.setattr(
        codec, "_rounded", lambda stepper: types.add(stepper.log_p().dtype) or rounded(stepper)
    )
    packed_into(tmp_path / "a.zxi", load(run), seen)
    assert types == {torch.float64}


@breaks("inference/arguments.py", "else Path(value)).name", "else Path(value))")
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_another_instruction_set_and_thread_count_read_the_file(name, tmp_path):
    run = untrained(tmp_path / "run", name)
    seen = some(name, 5)
    for image, file in zip(seen.images, seen.names, strict=True):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(tmp_path / "in" / file)
    words = ["-m", "zeuxis"]
    plain = {**os.environ, "PYTHONPATH": str(Path(codec.__file__).parents[2])}
    there = {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "OMP_NUM_THREADS": "2",
    }
    file, out = tmp_path / "a.zxi", tmp_path / "out"
    for command, surroundings in (
        (["compress", run, tmp_path / "in", "--out", file], plain),
        (["decompress", run, file, "--out", out], {**plain, **there}),
    ):
        subprocess.run([sys.executable, *words, *map(str, command)], env=surroundings, check=True)
    for place, image in enumerate(seen.images):
        with Image.open(out / f"{place:04d}.png") as again:
            assert np.array_equal(np.asarray(again), image[..., 0])
    note = json.loads((out / "samples.json").read_text())  # may be given away with the images
    assert (note["run"], note["file"]) == ("run", "a.zxi")


@breaks("inference/codec.py", 'if header["model"] != identity(model):', "if False:")
@breaks("inference/codec.py", 'whole = zlib.crc32(words) == header["words"] and', "whole =")
def test_bad_input_is_one_sentence(tmp_path, capsys):
    run = untrained(tmp_path / "run", "pixelcnn", height=4, width=4)
    other = untrained(tmp_path / "other", "pixelcnn", height=4, width=4, widths=(8,))
    few = untrained(tmp_path / "few", "pixelcnn", height=4, width=4, levels=16)
    gan = untrained(tmp_path / "gan", "gan")
    file = tmp_path / "a.zxi"
    packed_into(file, load(run), some("pixelcnn", 2, height=4, width=4))
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    (tmp_path / "flipped.zxi").write_bytes(content)
    (tmp_path / "short.zxi").write_bytes(content[:20])
    (tmp_path / "text.zxi").write_text("no such file")
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    cases = [
        (["decompress", other, file], "was written with the model"),
        (["decompress", run, tmp_path / "flipped.zxi"], "is damaged"),
        (["decompress", run, tmp_path / "short.zxi"], "is damaged"),
        (["decompress", run, tmp_path / "text.zxi"], "no file that `zeuxis compress`"),
        (["decompress", run, tmp_path / "none.zxi"], "there is no file"),
        (
            ["compress", gan, tmp_path / "in"],
            "cannot compress; families that can: pixel",
        ),
        (["compress", few, tmp_path / "in"], "models 16 levels and files have 256"),
        (["compress", run, tmp_path / "in", "--out", "a.png"], "a name that ends in .zxi"),
    ]
    for words, sentence in cases:
        if "--out" not in words:
            words = [*words, "--out", tmp_path / ("x.zxi" if words[0] == "compress" else "x")]
        assert zeuxis(*words) == 2
        assert sentence in capsys.readouterr().err


def packed(header):
    deflated = zlib.compress(header)
    return codec.MAGIC + struct.pack("<I", len(deflated)) + deflated


GOOD = {"model": "m", "shape": [1, 8, 8, 1], "names": ["a"], "pixels": "0", "words": 0}


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"[" * 100_000,
        b" " * (64 << 20),
        json.dumps(GOOD).encode(),
        *(
            json.dumps({**GOOD, "doubtful": [], **wrong}).encode()
            for wrong in (
                {"shape": "abc"},
                {"shape": [1, 8, 8]},
                {"shape": [-1, 8, 8, 1]},
                {"shape": [1.5, 8, 8, 1]},
                {"names": 5},
                {"doubtful": "ab"},
                {"doubtful": [[0, 0, 0, 0, -5]]},
                {"doubtful": [["0", 0, 0, 0, 5]]},
                {"doubtful": [[0, 0, 0.5, 0, 5]]},
                {"doubtful": [[0, 0, 0, 0, 5]] * (codec.MOST_DOUBTFUL + 1)},
                {"model": []},
            )
        ),
    ],
)
def test_a_header_that_compress_would_not_write_is_refused_in_a_sentence(tmp_path, header):
    file = tmp_path / "some.zxi"
    file.write_bytes(packed(header))
    with pytest.raises(ValueError, match=r"some\.zxi is damaged"):
        codec._read(file)


@breaks("inference/codec.py", "> 8 * len(words) + 64", "> 8 * len(words)")
@breaks("inference/codec.py", "except AssertionError", "except KeyError")
@pytest.mark.parametrize(
    "change, words, sentence",
    [
        ({}, b"\xff" * 40, "words code nothing"),
        ({"shape": [10**6, 4, 4, 3], "names": ["a"] * 10**6}, b"", "too few for 1000000 images"),
        ({"shape": [2, 5, 4, 3]}, b"", "images are not the model's"),
        ({"doubtful": [[0, 0, 2, 0, 5]]}, b"", "doubtful places"),
    ],
)
def test_words_that_no_encoder_wrote_are_refused(tmp_path, change, words, sentence):
    run = untrained(tmp_path / "run", "pixelcnn", height=4, width=4)
    model, file = load(run), tmp_path / "some.zxi"
    channels = model.family.config.channels
    shape = [2, 4, 4, channels]
    header = {"model": codec.identity(model), "shape": shape, "names": ["a", "b"], "pixels": "0"}
    header |= {"words": zlib.crc32(words), "doubtful": [], **change}
    header["shape"][3] = channels
    file.write_bytes(packed(json.dumps(header).encode()) + words)
    with pytest.raises(ValueError, match=sentence):
        codec.decompress(model, file)
