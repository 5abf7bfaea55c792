"""Pickles of numbers come back as they were, and nothing that a file names is called."""

import pickle

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.metrics import files, pickled

X = np.arange(6, dtype=np.float32).reshape(2, 3)
STATE = {
    "capture_all": True,
    "max_items": None,
    "num_items": 70_000,
    "all_features": [X, np.asfortranarray(X), X[:, ::2], X.astype(">f8"), X.astype(np.int32)],
    "raw_mean": X.sum(0, dtype=np.float64),
    "numbers": [np.float32(2.5), np.int64(-3), np.array(3.0), -5, 2.5, 10**30, 300],
}
HEAD = b"\x80\x02}X\x01\0\0\0a"
"""Opens a dictionary and names an entry `a`."""
F8 = b"cnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R"
OBJECT = F8.replace(b"f8", b"O8")
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R"
FROMBUFFER = b"cnumpy.core.numeric\n_frombuffer\n"


def as_numpy_1(content):
    """The same pickle by numpy 1, whose modules had other names; frames are only hints."""
    for length, name in ((0x16, b"multiarray"), (0x13, b"numeric")):
        was, now = b"numpy._core." + name, b"numpy.core." + name
        content = content.replace(bytes([0x8C, length]) + was, bytes([0x8C, length - 1]) + now)
        content = content.replace(was, now)
    return content


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy", [1, 2])
def test_what_pickle_wrote_comes_back(protocol, numpy):
    content = pickle.dumps(STATE, protocol)
    content = as_numpy_1(content) if numpy == 1 else content
    assert (b"numpy._core" in content) == (numpy == 2)
    found = pickled.loads(content)
    assert found.keys() == STATE.keys()
    for name, held in STATE.items():
        pairs = (
            zip(held, found[name], strict=True) if isinstance(held, list) else [(held, found[name])]
        )
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_program_by_hand_in_the_manner_of_numpy_1():
    bytes_8 = np.array([1.5]).tobytes()
    numbers = b"(K\x01K\x01\x85" + F8 + b"\x89C\x08" + bytes_8 + b"tb"
    assert pickled.loads(HEAD + RECONSTRUCT + numbers + b"s.")["a"].tolist() == [1.5]


@breaks("metrics/pickled.py", "if words not in NAMES:", "if False:")
@breaks("metrics/pickled.py", " if word in FORMATS:", ":")
@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"cos\nsystem\nX\x02\0\0\0id\x85R", r"os\.system"),
        (b"cnumpy\nndarray\nK\x01\x85" + OBJECT + b"C\x08AAAAAAAA\x87R", "calls"),
        (b"cnumpy\nndarray\nK\x01\x85" + F8 + b"C\x08AAAAAAAA\x87R", "calls"),
        (OBJECT, "calls"),
        (F8.replace(b"f8", b"V8"), "calls"),
        (F8.replace(b"\x89\x88", b"\x88\x88"), "calls"),
        (RECONSTRUCT + b"(K\x01K\x01\x85" + OBJECT + b"\x89]K\x01atb", "calls"),
        (RECONSTRUCT + b"(K\x01K\x01\x85" + F8 + b"\x89]K\x01atb", "state"),
        (RECONSTRUCT + b"(K\x01K\x02\x85" + F8 + b"\x89C\x08AAAAAAAAtb", "bytes"),
        (RECONSTRUCT + b"(K\x01J\xff\xff\xff\xff\x85" + F8 + b"\x89C\x08AAAAAAAAtb", "empty"),
        (RECONSTRUCT + b"(K\x01K\0\x85" + F8 + b"\x89C\0tb", "empty"),
        (RECONSTRUCT + b"(K\x01K\x01K\x01K\x01\x87" + F8 + b"\x89C\x08AAAAAAAAtb", "axes"),
        (RECONSTRUCT, "neither"),
        (F8 + b"(K\x03X\x01\0\0\0|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb", "state"),
        (F8 + b"(K\x03X\x01\0\0\0<NNNK\x08K\x01K\x10tb", "state"),
        (FROMBUFFER + b"(]" + F8 + b"K\x01\x85X\x01\0\0\0CtR", "calls"),
        (FROMBUFFER + b"(C\x08AAAAAAAA" + F8 + b"K\x01\x85X\x01\0\0\0KtR", "calls"),
        (b"cnumpy.core.multiarray\nscalar\n" + OBJECT + b"C\x08AAAAAAAA\x86R", "calls"),
        (b"cnumpy\nndarray.tofile\n", "not opened"),
        (b"K\x01K\x02\x85R", "calls"),
        (b"K\x01}b", "state"),
        (b"]]a", "neither"),
        (b"X\x01\0\0\0b", "neither"),
        (b"h\x05", "did not keep"),
        (b"Pabc\n", "PERSID"),
        (b"\x82\x01", "EXT1"),
        (b"K\x01K\x02a", "no list"),
        (b"t", "mark"),
        (b"\x80\x63", "protocol 99"),
    ],
)
def test_anything_else_is_refused(program, words):
    with pytest.raises(ValueError, match=words):
        pickled.loads(HEAD + program + b"s.")


@pytest.mark.parametrize(
    "content",
    [b"", b".", b"\x80\x02.", b"\x80\x02]K\x01\x87.", b"\x80\x02\x8b\xff\xff\xff\x7f.", b"hello"],
)
def test_a_broken_program_is_refused(content):
    with pytest.raises(ValueError, match="."):
        pickled.loads(content)


@breaks("metrics/pickled.py", "self.left -= len(text)", "pass")
@breaks("metrics/pickled.py", "if sum(a.nbytes", "if 0 * sum(a.nbytes")
def test_what_is_made_stays_as_small_as_the_file(monkeypatch):
    block = b"C\x08AAAAAAAA"
    once = FROMBUFFER + b"(" + block + F8 + b"K\x01\x85X\x01\0\0\0CtRq\x01"
    with pytest.raises(ValueError, match="repeats its arrays"):
        pickled.loads(HEAD + b"](" + once + b"h\x01" * 200 + b"es.")
    encode = b"c_codecs\nencode\nq\x01X\xff\0\0\0" + b"a" * 255 + b"X\x06\0\0\0latin1\x86q\x02R"
    with pytest.raises(ValueError, match="calls"):
        pickled.loads(HEAD + b"](" + encode + b"h\x01h\x02R" * 5 + b"es.")
    doubled = HEAD + b"K\x01" + b"q\0h\0\x86" * 200 + b"s."
    with pytest.raises(ValueError, match="neither"):
        pickled.loads(doubled)
    monkeypatch.setattr(pickled, "MOST_OPCODES", 20)
    with pytest.raises(ValueError, match="opcode 20"):
        pickled.loads(HEAD + b"]" * 30 + b"a" * 29 + b"s.")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"all_features": [X, X[:, :2]]}, "shapes of its features differ"),
        ({"all_features": [X * np.float32(np.nan)]}, "NaN or infinite"),
        ({"all_features": [X.astype(np.float64) + 1e300]}, "NaN or infinite"),
        ({"all_features": [3]}, "shapes of its features differ"),
        ({"all_features": 3}, "shapes of its features differ"),
        ({"all_features": ["abc"]}, "neither a number nor an array"),
        ({"num_items": 10**400}, "at least 2 images"),
        ({"num_items": 1.5}, "at least 2 images"),
        ({"raw_mean": 3.0}, "at least 2 images"),
        ({"raw_mean": np.zeros(2)}, r"expected \(D,\) and"),
        ({"raw_cov": np.full((3, 3), np.inf)}, "NaN or infinity"),
    ],
)
def test_statistics_of_numbers_that_do_not_fit_are_refused(changed, words, tmp_path):
    honest = {"num_items": 5, "all_features": None, "raw_mean": np.ones(3), "raw_cov": np.eye(3)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({**honest, **changed}))
    with pytest.raises(ValueError, match=words):
        files.read_statistics(tmp_path / "a.pkl")
