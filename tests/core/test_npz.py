"""Arrays in .npz files of strangers: read if they are what their headers say, else one sentence."""

import struct
import zipfile

import numpy as np
import pytest

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis.core import npz
from zeuxis.metrics import files


def written(path, content):
    path.write_bytes(content)
    return path


def header(text, data=b"", version=b"\1\0"):
    """A .npy file with a header of one's own."""
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode() + data


def npy(descr="'<f8'", shape="(2,)", data=bytes(16)):
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n", data)


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


MEMBERS = {
    "objects": npy("'|O'"),
    "records": npy("[('a', '<f8')]"),
    "dates": npy("'<M8[s]'"),
    "words of no size": npy("'<U0'", "(1000000000,)", b""),
    "a shape of terabytes": npy(shape="(1000000, 1000000)"),
    "digits without end": npy(shape=f"({'9' * 5000},)"),
    "a negative shape": npy(shape="(-2,)"),
    "a product that overflows": npy(shape="(4294967296, 4294967296)"),
    "code": npy(shape="__import__('os')"),
    "a deep header": npy(shape="(" * 3000 + ")" * 3000),
    "a header beyond the end": b"\x93NUMPY\1\0\xff\xff{",
    "another version": header("{}", version=b"\3\0"),
    "no array": b"hello",
    "nothing": b"",
}


@breaks(
    "core/npz.py", "read_array(file, allow_pickle=False)", "read_array(file, allow_pickle=True)"
)
@pytest.mark.parametrize("name", MEMBERS)
def test_an_array_with_another_header_is_one_sentence(name, tmp_path):
    path = archive(tmp_path / "x.npz", mu=MEMBERS[name], sigma=npy(shape="(1, 2)"))
    with pytest.raises(
        ValueError, match=r"x\.npz(: the mean is| cannot be read as numpy)"
    ) as caught:
        files.read_statistics(path)
    assert "\n" not in str(caught.value)


@breaks(
    "core/npz.py",
    "(size := sum(each.file_size for each in members)) > limit",
    "(size := 0) > limit",
)
def test_an_archive_that_would_fill_the_memory_is_not_unpacked(monkeypatch, tmp_path):
    monkeypatch.setattr(npz, "SPARE", 1000)
    path = archive(tmp_path / "x.npz", feats=npy(shape="(1000, 1000)", data=bytes(8_000_000)))
    with pytest.raises(ValueError, match="would take 8,000"):
        files.read_statistics(path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"feats": np.zeros((3, 0))}, r"shape \(3, 0\); expected numbers \(N, D\)"),
        ({"feats": np.zeros(3)}, r"expected numbers \(N, D\)"),
        ({"feats": np.full((3, 2), np.inf)}, "NaN or infinite"),
        ({"feats": np.array([["1", "2"]])}, "expected numbers"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"expected \(D,\)"),
        ({"mu": np.zeros(()), "sigma": np.zeros(())}, r"expected \(D,\)"),
    ],
)
def test_features_that_are_none_are_one_sentence(arrays, words, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        files.read_statistics(tmp_path / "x.npz")


def test_arrays_come_back_as_numpy_wrote_them(tmp_path):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "name": np.array(["été", "b"]),
        "one": np.float32(3),
        "none": np.zeros((0, 4)),
        "big": np.arange(3, dtype=">i2"),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        found = npz.read(tmp_path / "x.npz")
        assert found.keys() == arrays.keys() == npz.names(tmp_path / "x.npz")
        for name, array in arrays.items():
            assert (
                np.array_equal(found[name], array) and found[name].dtype == np.asarray(array).dtype
            )


def test_every_cut_of_an_archive_is_one_sentence(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", mu=np.zeros(2), sigma=np.eye(2))
    whole = (tmp_path / "x.npz").read_bytes()
    for end in range(0, len(whole), 7):
        path = written(tmp_path / "cut.npz", whole[:end])
        assert not files.is_statistics(path)
        with pytest.raises(ValueError, match="cut.npz cannot be read"):
            files.read_statistics(path)


def test_the_command_says_one_sentence_of_a_cut_file(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", mu=np.zeros(2), sigma=np.eye(2))
    cut = written(tmp_path / "cut.npz", (tmp_path / "x.npz").read_bytes()[:200])
    assert zeuxis("compare", cut, cut) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cut.npz cannot be read" in said


def test_what_numpy_would_warn_of_is_read_or_refused_without_a_warning(tmp_path):
    old = npy(shape="(2L, 2L)", data=np.eye(2).tobytes())
    path = archive(tmp_path / "old.npz", mu=npy(), sigma=old)
    assert np.array_equal(files.read_statistics(path).covariance_DD, np.eye(2))
    assert npz.mapped(written(tmp_path / "old.npy", old)).tolist() == [[1, 0], [0, 1]]
    signalling = struct.pack("<Q", 0x7FF0000000000001) * 2
    path = archive(tmp_path / "nan.npz", feats=npy(shape="(1, 2)", data=signalling))
    with pytest.raises(ValueError, match="NaN or infinite"):
        files.read_statistics(path)
