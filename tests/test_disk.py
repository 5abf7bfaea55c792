"""A file is the old one or the new one, never a part."""

import pytest

from zeuxis.disk import read_sealed, write_file, write_sealed


def test_a_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "file"
    write_file(path, lambda beside: beside.write_text("old"))
    with path.open() as reader:
        write_file(path, lambda beside: beside.write_text("new"))
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fails(beside):
        beside.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_file(path, fails)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_changed_value_breaks_the_seal(tmp_path):
    path = tmp_path / "sealed.json"
    write_sealed(path, {"step": 10})
    assert read_sealed(path) == {"step": 10}
    path.write_text(path.read_text().replace("10", "11"))
    with pytest.raises(ValueError, match=r"sealed\.json is damaged"):
        read_sealed(path)
