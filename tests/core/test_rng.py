"""Draws depend on stream, row and name, and on nothing else; the numbers are those of a known generator."""

import json
import math
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support.sabotage import breaks
from zeuxis import train
from zeuxis.core.rng import FirstRng, Rng, derive_seed, of_run

BEFORE = Path(__file__).parents[1] / "fixtures" / "first_rng"
"""A run of the code before version 2, stopped at step 6 of 12, and the weights that it ended on."""

BOTH = pytest.mark.parametrize("kind", [Rng, FirstRng])


def philox(counter, key):
    """Philox-4x64-10 in whole numbers, after Salmon et al. (2011), one block."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (b >> 64) ^ c1 ^ k0, b % 2**64, (a >> 64) ^ c3 ^ k1, a % 2**64
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % 2**64, (k1 + 0xBB67AE8584CAA73B) % 2**64
    return [c0, c1, c2, c3]


def words(stream, name, count, row):
    """What `Rng` should draw from, by the words of docs/decisions/0011."""
    key = [
        int.from_bytes(sha256(f"{stream}/{name}".encode()).digest()[i : i + 8], "little")
        for i in (0, 8)
    ]
    pairs = -(-count // 2)
    drawn = [
        word for block in range(-(-pairs // 4)) for word in philox((block + 1, row, 0, 0), key)
    ]
    return [half for word in drawn[:pairs] for half in (word % 2**32, word >> 32)]


def test_the_generator_of_these_tests_gives_the_vectors_of_its_authors():
    """Of kat_vectors in Random123: philox4x64 10."""
    zero = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    ones = [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0]
    assert philox((0, 0, 0, 0), (0, 0)) == zero
    assert philox((2**64 - 1,) * 4, (2**64 - 1,) * 2) == ones


@breaks("core/rng.py", "((row << ROW) - at) % 2**256", "0")
@breaks("core/rng.py", "(row << ROW) + -(-words // BLOCK)", "(row << ROW) + words")
@breaks("core/rng.py", "((a & 0x7FFFFFFF) >> 7).add_(1)", "((a & 0x7FFFFFFF) >> 7)")
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 50])
def test_words_uniforms_normals_and_integers_are_those_of_the_decision_page(count):
    rows = [5, 6, 0, 2**64 - 1]
    rng = Rng.for_rows(-3, "sample", 0, rows)
    for i, row in enumerate(rows):
        word = words("-3/sample/0", "z", count, row)
        assert rng._words("z", count)[i].tolist() == word
        assert rng.uniform("z", count)[i].tolist() == [(w >> 8) / 2**24 for w in word[:count]]
        assert rng.integers("z", 10, count)[i].tolist() == [w * 10 >> 32 for w in word[:count]]
        half = len(word) // 2
        signed = [w - 2**32 * (w >> 31) for w in word]
        radius = [
            math.sqrt(-2 * math.log(((w % 2**31 >> 7) + 1) / 2**24)) * (1 - 2 * (w >> 31))
            for w in word[:half]
        ]
        angle = [(w >> 8) * math.pi / 2**24 for w in signed[half:]]
        expected = [r * math.cos(a) for r, a in zip(radius, angle, strict=True)]
        expected += [r * math.sin(a) for r, a in zip(radius, angle, strict=True)]
        assert rng.normal("z", count)[i].tolist() == pytest.approx(expected[:count], abs=1e-6)


def test_vectors():
    """Of docs/decisions/0011: what another language has to give."""
    rng = Rng.for_rows(7, "sample", 0, [0, 1])
    given = rng._words("z", 4)
    assert given.tolist() == VECTORS["words"]
    assert rng.uniform("z", 4).numpy() == pytest.approx(np.array(VECTORS["uniform"]), abs=0)
    assert rng.normal("z", 4).numpy() == pytest.approx(np.array(VECTORS["normal"]), abs=1e-6)


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_javascript_draws_the_same():
    file = Path(__file__).parents[1] / "support" / "rng.mjs"
    asked = ["node", str(file), "7/sample/0", "z", "48", "0", "1", "123456789012"]
    answer = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    rng = Rng.for_rows(7, "sample", 0, [0, 1, 123456789012])
    assert rng._words("z", 48).tolist() == [a["words"] for a in answer]
    assert rng.uniform("z", 48).tolist() == [a["uniform"] for a in answer]
    theirs = np.array([a["normal"] for a in answer])
    assert np.abs(rng.normal("z", 48).numpy() - theirs).max() < 1e-6


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_no_two_rows_are_alike(count):
    """Nor can any: a key permutes the counters (docs/decisions/0011); 32 bits of a hash had pairs."""
    rng = Rng.for_rows(0, "sample", 0, range(count))
    first = rng._words("z", 2).view(np.uint64)[:, 0]
    assert len(np.unique(first)) == count


def test_what_was_one_picture_is_two():
    pair = [81836, 84265]  # one picture, by the first version
    old, new = (kind.for_images(0, pair).normal("z", 8) for kind in (FirstRng, Rng))
    assert torch.equal(old[0], old[1]) and not torch.equal(new[0], new[1])


@breaks(
    "core/rng.py",
    "self.rows, strict=True):\n            row.normal_",
    "self.rows[:1] * len(self), strict=True):\n            row.normal_",
)
@BOTH
def test_a_row_does_not_depend_on_its_neighbours_or_on_earlier_draws(kind):
    many, alone = kind([1, 2, 3]), kind([2])
    many.normal("first", 7)
    assert torch.equal(many.normal("z", 5)[1:2], alone.normal("z", 5))
    assert torch.equal(many.uniform("u", 2, 3)[1:2], alone.uniform("u", 2, 3))
    assert torch.equal(many.integers("i", 9, 4)[1:2], alone.integers("i", 9, 4))
    assert kind([]).normal("z", 2).shape == (0, 2) and alone.normal("z").shape == (1,)


@pytest.mark.parametrize("size", [1, 3, 31, 3072, 3073, 40_000])
def test_the_bits_of_a_row_do_not_depend_on_where_it_stands(size):
    whole = Rng.for_rows(3, "main", 5, range(65)).normal("z", size)
    for start, stop in ((0, 1), (17, 18), (30, 65), (64, 65)):
        part = Rng.for_rows(3, "main", 5, range(start, stop)).normal("z", size)
        assert torch.equal(whole[start:stop], part)
    order = [4, 60, 4, 0]
    assert torch.equal(whole[order], Rng.for_rows(3, "main", 5, order).normal("z", size))
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    other = Rng.for_rows(3, "main", 5, range(65)).normal("z", size)
    torch.set_num_threads(threads)
    assert torch.equal(whole, other)


@breaks("core/rng.py", "derive_seed(seed, name)", "seed")
@breaks("core/rng.py", 'f"{self.stream}/{name}"', "name")
@breaks("core/rng.py", 'f"{seed}/{purpose}/{step}"', 'f"{seed}/{step}"')
@BOTH
def test_names_rows_seeds_purposes_and_steps_make_different_draws(kind):
    drawn = [
        kind.for_rows(seed, purpose, step, [row]).normal(name, 5)
        for seed, purpose, step, row, name in (
            (0, "main", 1, 0, "a"),
            (0, "main", 1, 0, "b"),
            (0, "main", 1, 1, "a"),
            (0, "main", 2, 0, "a"),
            (0, "begin", 1, 0, "a"),
            (2**32, "main", 1, 0, "a"),
            (-1, "main", 1, 0, "a"),
        )
    ]
    assert len({tuple(row.flatten().tolist()) for row in drawn}) == len(drawn)


@breaks("core/rng.py", ".copysign_(a)", "")
@BOTH
def test_moments(kind):
    rng = kind(range(2000))
    z = rng.normal("z", 8).double()
    assert abs(z.mean()) < 0.03 and abs(z.std() - 1) < 0.03
    assert abs((z**4).mean() - 3) < 0.2 and abs((z[:, :4] * z[:, 4:]).mean()) < 0.03
    assert abs((z.square()[:, :4] * z.square()[:, 4:]).mean() - 1) < 0.1
    assert abs(rng.uniform("u", 8).mean() - 0.5) < 0.01
    counts = rng.integers("i", 5, 8).flatten().bincount(minlength=5)
    assert len(counts) == 5 and (counts - 3200).abs().max() < 250


def test_normals_follow_their_distribution():
    z = Rng(range(500)).normal("z", 1000).flatten().double().sort().values
    exact = torch.special.ndtr(z)
    share = (torch.arange(len(z)) + 0.5) / len(z)
    assert (exact - share).abs().max() < 1.63 / len(z) ** 0.5  # Kolmogorov and Smirnov, 1 %


@breaks("core/rng.py", 'f"{self.stream}/shared"', "self.stream")
@BOTH
def test_shared_draws_ignore_the_rows(kind):
    whole = kind.for_rows(3, "main", 5, range(8))
    part = kind.for_rows(3, "main", 5, range(4, 8))
    assert torch.equal(whole.shared("t", 3), part.shared("t", 3))
    assert not torch.equal(whole.shared("t", 3), whole.shared("u", 3))
    assert not torch.equal(whole.shared("t", 3), whole.uniform("t", 3)[0])
    assert torch.equal(whole.normal("z", 2)[4:], part.normal("z", 2))


def test_a_run_keeps_the_numbers_that_it_began_with():
    assert of_run({}) is FirstRng and of_run({"rng": 1}) is FirstRng and of_run({"rng": 2}) is Rng
    seeds = [derive_seed(3, "main", 5, row) for row in range(2)]
    first = torch.empty(2, 4)
    for row, seed in zip(first, seeds, strict=True):
        row.uniform_(generator=torch.Generator().manual_seed(derive_seed(seed, "u")))
    assert torch.equal(FirstRng.for_rows(3, "main", 5, range(2)).uniform("u", 4), first)


@breaks("training/loop.py", "state.rng = of_run(run)", "pass")
@breaks("training/run.py", "planned.precision, of_run(run)", "planned.precision")
def test_a_run_of_the_first_version_ends_on_the_weights_that_it_would_have_ended_on(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(BEFORE / "run", tmp_path / "run")
    words = {"precision": "float32", "batch_size": "8", "save_every": "6", "log_every": "2"}
    words |= {"probe_every": "6", "sheet_every": "50"}
    given = {f"training.{name}": word for name, word in words.items()}
    given |= {"family.widths": "8,8", "family.embedding": "8"}
    told = []
    run = train(
        "flow",
        BEFORE / "set",
        out=tmp_path / "run",
        steps=12,
        threads=1,
        evaluate=False,
        overrides=given,
        watch=lambda event: told.append(event.text),
    )
    assert "continuing at step 6 of 12" in told
    ended = load_file(next(run.glob("model-*.safetensors")))
    for name, expected in load_file(BEFORE / "expected.safetensors").items():
        assert torch.allclose(ended[name], expected, atol=1e-5), name
    logs = (run / "log.jsonl", BEFORE / "expected.jsonl")
    mine, theirs = ([json.loads(line) for line in log.read_text().splitlines()] for log in logs)
    mine = [row for row in mine if "finding" not in row]  # of 9 images: there was no doctor then
    assert len(mine) == len(theirs)
    for row, expected in zip(mine, theirs, strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3)


VECTORS = {
    "words": [
        [2186427456, 703956816, 2802842466, 446580148],
        [3425004838, 1877258454, 2782143951, 1755758088],
    ],
    "uniform": [
        [0.5090672969818115, 0.16390269994735718, 0.6525875926017761, 0.1039775013923645],
        [0.797446072101593, 0.43708324432373047, 0.6477683186531067, 0.4087942838668823],
    ],
    "normal": [
        [-1.3061414, 1.4145657, 2.5127387, 0.4792430],
        [-0.4563249, 0.1465763, 0.9113274, 0.4974776],
    ],
}
