"""A file is the old one or the new one, never a part."""

import errno
import os
import resource
import threading

import pytest

from tests.support.sabotage import breaks
from zeuxis.cli.terminal import sentence
from zeuxis.core.files import inside, read_json, read_sealed, write_file, write_sealed


@breaks("core/files.py", "beside.replace(path)", "path.write_bytes(beside.read_bytes())")
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


@breaks("core/files.py", "beside.unlink(missing_ok=True)  #", "pass  #")
def test_a_link_under_the_temporary_name_is_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / f"file.{threading.get_native_id()}.tmp").symlink_to(mine)
    write_file(tmp_path / "file", lambda beside: beside.write_text("new"))
    assert mine.read_text() == "mine" and (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "../x",
        "/x",
        "a/b",
        "a\\b",
        "C:x",
        "a\nb",
        "a\0b",
        "\x1b[31m",
        "x" * 201,
        5,
        None,
    ],
)
def test_what_is_no_plain_name_leads_nowhere(tmp_path, name):
    with pytest.raises(ValueError, match="no plain name") as refused:
        inside(tmp_path, name)
    assert str(refused.value).isprintable()


@breaks("core/files.py", "with naming(path, beside):", "if True:")
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()]
)
def test_nothing_is_left_of_a_write_that_ends_early_and_an_error_names_the_file(tmp_path, error):
    def fails(beside):
        beside.write_text("half")
        raise error

    with pytest.raises(type(error)) as caught:
        write_file(tmp_path / "file", fails)
    assert not list(tmp_path.iterdir())
    assert not isinstance(error, OSError) or caught.value.filename == str(tmp_path / "file")


@breaks("core/files.py", "{threading.get_native_id()}.", "")
def test_two_who_write_one_file_do_not_share_the_temporary_one(tmp_path):
    path = tmp_path / "file"

    def slowly(beside):
        beside.write_text("long and ")
        other = threading.Thread(
            target=write_file, args=(path, lambda other: other.write_text("b"))
        )
        other.start()
        other.join()
        assert path.read_text() == "b"
        with beside.open("a") as file:
            file.write("whole")

    write_file(path, slowly)
    assert path.read_text() == "long and whole" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_limit_of_file_sizes_is_named_with_what_to_do(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_file(tmp_path / "file", lambda beside: beside.write_bytes(bytes(1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    words = sentence(caught.value)
    assert words.startswith(f"{tmp_path / 'file'}: ") and "ulimit -f" in words
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_the_system_says_what_to_do(number):
    words = sentence(OSError(number, "it failed", "runs/x"))
    assert words.startswith("runs/x: ") and (";" in words)


@breaks("core/files.py", 'content.pop("checksum", None) != checksum(content)', "False")
def test_a_changed_value_breaks_the_seal(tmp_path):
    path = tmp_path / "sealed.json"
    write_sealed(path, {"step": 10})
    assert read_sealed(path) == {"step": 10}
    path.write_text(path.read_text().replace("10", "11"))
    with pytest.raises(ValueError, match=r"sealed\.json is damaged"):
        read_sealed(path)


@breaks("core/files.py", "path.resolve().parent != folder.resolve()", "path.parent != folder")
def test_a_name_does_not_lead_out_by_a_link(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret").write_text("s")
    (home / "own").write_text("o")
    (home / "kept").symlink_to("own")
    (home / "out").symlink_to(tmp_path / "secret")
    (home / "loop").symlink_to("loop")
    (home / "away").symlink_to(tmp_path)
    assert inside(home, "own").read_text() == inside(home, "kept").read_text() == "o"
    assert inside(tmp_path / "home" / ".." / "home", "new").name == "new"
    for name in ("out", "away", "loop"):
        with pytest.raises(ValueError, match="leads out"):
            inside(home, name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1]", "expected an object"),
        (b"null", "expected an object"),
        (b"", "not valid JSON"),
        (bytes(9), "not valid JSON"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper than 100"),
        (b'{"a": ' + b"9" * 101 + b"}", "101 digits"),
        (b'{"a": NaN}', "NaN is no finite"),
        (b'{"a": -Infinity}', "-Infinity is no finite"),
        (b'{"a": 1e999}', "1e999 is no finite"),
        (b'{"a": "\\ud800"}', "surrogates"),
        (b" " * (32 << 20) + b"{}", "more than 32 MiB"),
    ],
)
def test_json_that_is_none_of_ours_is_refused_in_a_sentence(tmp_path, content, said):
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        read_json(path)
    assert "some.json" in str(caught.value) and len(str(caught.value)) < 300


def test_json_within_the_limits_is_read(tmp_path):
    path = tmp_path / "some.json"
    path.write_text('{"a": "\\ud83d\\ude00", "seed": 100000000000000000000000000}')
    assert read_json(path) == {"a": "\U0001f600", "seed": 10**26}
    path.write_text('{"best": Infinity}')
    assert read_json(path, finite=False) == {"best": float("inf")}


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path, tmp_path / "pipe.json"):
        with pytest.raises(ValueError, match="is no file"):
            read_json(path)
