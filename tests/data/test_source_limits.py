"""What a stranger's data may reach: nothing outside of it, and no more memory than it is worth."""

import gzip
import json
import os
import struct

import numpy as np
import pytest

from tests.data.test_sources import idx, opened, png, write, write_tar, write_zip
from tests.support.front import workshop, zeuxis
from tests.support.sabotage import breaks
from zeuxis.data import open_prepared
from zeuxis.data.preparation import columns
from zeuxis.data.source import arrays, base, beside, open_source, parquet

SECRET = "the secret of a person"


def photos(root, count=4):
    return write(root, {f"{number:03d}.png": png(number) for number in range(count)})


# Links


def outside(tmp_path, content):
    return write(tmp_path, {"home/private": content}) / "home" / "private"


LINKS = {
    "LICENSE": SECRET,
    "COPYING.txt": SECRET,
    "000.txt": SECRET,
    "000.json": json.dumps({"label": SECRET, "caption": SECRET}),
    "metadata.csv": f"file_name,label,text\n000.png,{SECRET},{SECRET}\n",
    "metadata.jsonl": json.dumps({"file_name": "000.png", "label": SECRET}),
    "sub/metadata.csv": f"file_name,label\n../000.png,{SECRET}\n",
    "dataset.json": json.dumps({"labels": [["000.png", 1]], "x": SECRET}),
    "linked.png": png(9),
    "sub/linked.png": png(9),
    "words.png": SECRET,
}


@breaks("data/source/base.py", "if root and not there.is_relative_to(root.resolve()):", "if False:")
@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("chained", [False, True])
def test_a_link_that_leads_out_is_not_read_and_named(name, chained, tmp_path):
    target = outside(tmp_path, LINKS[name])
    root = photos(tmp_path / "set")
    (root / "sub").mkdir()
    if chained:
        (root / "first").symlink_to(target)
        target = root / "first"
    (root / name).symlink_to(target)
    source, read = opened(root)
    assert (name, base.LEADS_OUT) in source.problems
    assert [item.name for item in source.items] == [f"{number:03d}.png" for number in range(4)]
    assert SECRET not in repr((source.items, source.licence, source.notes)) and png(9) not in read
    assert all(not item.columns and not item.text for item in source.items)


def test_links_within_a_source_and_to_it_are_followed(tmp_path):
    root = photos(tmp_path / "set")
    write(root, {"words.dat": "a caption", "more/9.png": png(9)})
    (root / "000.txt").symlink_to("words.dat")
    (root / "copy.png").symlink_to(root / "more" / "9.png")
    (root / "more" / "up.png").symlink_to("../001.png")
    (tmp_path / "link").symlink_to(root)
    for path in (root, tmp_path / "link", tmp_path / "set" / ".." / "set"):
        source, read = opened(path)
        found = dict(zip((item.name for item in source.items), read, strict=True))
        assert source.items[0].text == "a caption" and not source.problems
        assert found["copy.png"] == png(9) and found["more/up.png"] == png(1)


@breaks("data/source/base.py", "if not stat.S_ISREG(facts.st_mode):", "if False:")
def test_links_to_nowhere_and_in_circles_are_named_by_reading_them(tmp_path):
    root = photos(tmp_path / "set", 1)
    (root / "loop.png").symlink_to("loop.png")
    (root / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(root / "pipe.png")
    source = open_source(root)
    assert not source.problems and len(source.items) == 4
    for number in (1, 2, 3):
        with pytest.raises((OSError, ValueError)):
            source.read(number)


def test_a_link_that_takes_a_file_s_place_after_it_was_listed_is_not_followed(tmp_path):
    root = photos(tmp_path / "set", 2)
    source = open_source(root)
    for number in (0, 1):
        (root / f"00{number}.png").unlink()
    (root / "000.png").symlink_to(outside(tmp_path, png(9)))
    (root / "001.png").symlink_to(root / "000.png")
    for number in (0, 1):
        with pytest.raises(ValueError, match="leads out"):
            source.read(number)


@breaks(
    "data/source/__init__.py",
    "source.problems += [(entry.name, LEADS_OUT) for entry in linked]",
    "pass",
)
@pytest.mark.parametrize("kind", ["tar", "parquet", "data/parquet", "idx", "labels"])
def test_linked_shards_and_labels_are_left_out(kind, tmp_path):
    root = photos(tmp_path / "set")
    if kind == "tar":
        name, target = "b.tar", write_tar(tmp_path / "private.tar", {"a.png": png(9)})
        write_tar(root / "a.tar", {"0.png": png(0)})
    elif kind.endswith("parquet"):
        name, target = "b.parquet", table(tmp_path / "private.parquet", image=[png(9)])
        (root / "data").mkdir()
        folder = root / "data" if "/" in kind else root
        table(folder / "a.parquet", image=[png(0)])
        name = "data/b.parquet" if "/" in kind else "b.parquet"
    else:
        images = idx(np.arange(32).reshape(2, 4, 4))
        name = "t10k-images-idx3-ubyte" if kind == "idx" else "train-labels-idx1-ubyte"
        target = outside(tmp_path, images if kind == "idx" else idx(np.array([7, 7])))
        write(root, {"train-images-idx3-ubyte": images})
    (root / name).symlink_to(target)
    source, read = opened(root)
    assert len(read) == (2 if "-ubyte" in name else 1)
    assert all(not item.columns for item in source.items)
    assert kind == "idx" or (name.split("/")[-1], base.LEADS_OUT) in source.problems


def test_inspect_and_prepare_name_what_leads_out(tmp_path, capsys):
    root = photos(tmp_path / "set", 8)
    (root / "LICENSE").symlink_to(outside(tmp_path, SECRET))
    with workshop(tmp_path / "cache"):
        assert zeuxis("data", "inspect", root, "--out", tmp_path / "page") == 0
        assert zeuxis("data", "prepare", root, tmp_path / "out") == 0
    assert SECRET not in capsys.readouterr().out
    page = (tmp_path / "page" / "inspect.html").read_text()
    assert f"LICENSE: {base.LEADS_OUT}" in page and SECRET not in page
    prepared = open_prepared(tmp_path / "out")
    assert prepared.facts["licence"] == ""
    assert prepared.facts["left_out"]["not used"]["first"] == [["LICENSE", base.LEADS_OUT]]


# Sizes


def table(path, **values):
    arrow = pytest.importorskip("pyarrow")
    written = pytest.importorskip("pyarrow.parquet")
    options = {key: values.pop(key) for key in ("compression", "row_group_size") if key in values}
    written.write_table(arrow.table(values), path, **options)
    return path


def packed(path, shape, content):
    """An idx file of that shape in its header, gzipped."""
    head = b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    path.write_bytes(gzip.compress(head + content))
    return path


@breaks("data/source/arrays.py", "if packed and math.prod(shape) > most:", "if False:")
@pytest.mark.parametrize(
    ("shape", "content", "match"),
    [
        ((2**11, 2**10, 2**10), b"", "unpacks to 2,147,483,648 bytes; gunzip it first"),
        ((2**32 - 1,) * 3, b"", "gunzip it first"),
        ((2, 4, 4), bytes(10**6), "should hold .* but has more"),
        ((2, 4, 4), bytes(31), "should hold .* but has 31"),
        ((0,) * 255, b"", "no idx file"),
        ((10**6, 4, 4), bytes(16 * 10**6), "holds 1,000,000 images but has"),
    ],
)
def test_an_idx_unpacks_no_further_than_its_header_says(shape, content, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        opened(packed(tmp_path / "train-images-idx3-ubyte.gz", shape, content))


def test_an_idx_like_mnist_s_is_read(tmp_path):
    images = np.random.default_rng(0).integers(0, 2, (600, 28, 28), np.uint8)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    source = open_source(tmp_path)
    assert len(source.items) == 600 and np.array_equal(source.read(9)[..., 0], images[9])


@breaks("data/source/arrays.py", "UNPACKED_LIMIT + RATIO * path.stat().st_size", "1 << 40")
def test_npz_files_unpack_within_proportion(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    images = np.zeros((500, 32, 32), np.uint8)
    np.savez_compressed(path, images=images)
    monkeypatch.setattr(arrays, "UNPACKED_LIMIT", 100_000)
    with pytest.raises(ValueError, match=r"a.npz .* would take 512,\d\d\d bytes"):
        opened(path)
    np.savez(path, images=images)
    assert len(opened(path)[1]) == 500
    monkeypatch.undo()
    np.savez_compressed(path, images=np.zeros((200_000, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="holds 200,000 images but has"):
        opened(path)


@breaks("data/source/base.py", "if count > size:", "if False:")
def test_a_parquet_file_of_nothing_is_refused_before_its_rows_are_named(tmp_path):
    path = table(tmp_path / "a.parquet", image=[b""] * 300_000, compression="zstd")
    with pytest.raises(ValueError, match="holds 300,000 images but has"):
        opened(path)


@breaks("data/source/parquet.py", "if found > most:", "if False:")
@breaks("data/source/parquet.py", "max(4, min(1024, UNPACKED // max(1, unpacked)))", "1024")
def test_parquet_images_that_a_dictionary_repeats_stop_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "UNPACKED", 1_000_000)
    path = table(tmp_path / "a.parquet", image=[bytes(100_000)] * 100, compression="zstd")
    source = open_source(path)
    sizes = []
    group = source._groups[0][0]
    batches = type(group).iter_batches
    monkeypatch.setattr(
        type(group), "iter_batches", lambda *a: (sizes.append(b.nbytes) or b for b in batches(*a))
    )
    for number in (0, 99):
        with pytest.raises(ValueError, match="row group 0 unpacks to more than"):
            source.read(number)
    assert max(sizes) <= 1_100_000 and sum(sizes) < 3_000_000  # it was tried once


@breaks("data/source/parquet.py", "if unpacked > most:", "if False:")
def test_parquet_images_that_unpack_to_a_thousand_times_are_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "UNPACKED", 1_000_000)
    rows = [number.to_bytes(4, "big") * 100_000 for number in range(20)]
    path = table(tmp_path / "a.parquet", image=rows, compression="zstd")
    source = open_source(path)
    monkeypatch.setattr(type(source._groups[0][0]), "iter_batches", None)
    with pytest.raises(ValueError, match="row group 0 unpacks to more than"):
        source.read(0)


@breaks("data/source/parquet.py", "if unpacked > UNPACKED + WORDS_RATIO * stored:", "if False:")
def test_parquet_words_in_proportion(tmp_path, monkeypatch):
    images = [png(number) for number in range(4)]
    monkeypatch.setattr(parquet, "UNPACKED", 100_000)
    path = table(tmp_path / "a.parquet", image=images, label=["a" * 10**6] * 4, compression="zstd")
    with pytest.raises(ValueError, match="columns of words unpack to"):
        opened(path)
    monkeypatch.setattr(parquet, "MOST_WORDS", 7)
    path = table(tmp_path / "a.parquet", image=images, label=list("abab"), n=[1, 2, 3, 4])
    with pytest.raises(ValueError, match="hold more than 7 words"):
        opened(path)


@breaks(
    "data/source/parquet.py", "None if i is None else values[i]", "None if not i else values[i]"
)
def test_parquet_words_of_every_kind(tmp_path):
    images = [png(number) for number in range(4)]
    path = table(
        tmp_path / "a.parquet",
        image=images,
        label=["a", None, "b ", "a"],
        text=["x" * (base.LONGEST_TEXT + 1)] * 4,
        n=[1.0, float("inf"), None, 2.5],
        row_group_size=2,
    )
    source, read = opened(path)
    assert read == images and len(source.items[0].text) == base.LONGEST_TEXT
    assert [item.columns["label"] for item in source.items] == ["a", "", "b", "a"]
    assert [item.columns["n"] for item in source.items] == ["1", "", "", "2.5"]


@breaks("data/source/beside.py", "if len(line) > LONGEST_LINE:", "if False:")
@breaks("data/preparation/columns.py", "if len(found) > MOST_COLUMNS:", "if False:")
@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("metadata.csv", "file_name,label\n" + "," * ((1 << 20) + 1), "line 2 has more than"),
        ("metadata.csv", "file_name" + ",x" * 1001 + "\n000.png\n", None),
        ("metadata.csv", "file_name," + ",".join(map(str, range(1100))) + "\n000.png\n", "columns"),
        ("metadata.jsonl", '{"file_name": "000.png", "n": ' + "9" * 101 + "}", "101 digits"),
        ("metadata.jsonl", '{"x": "' + "a" * (1 << 20), "line 1 has more than"),
        ("metadata.jsonl", '{"file_name": ' + "[" * 200 + "]" * 200 + "}", "deeper than 100"),
        ("dataset.json", '{"labels": [["000.png", 1e400]]}', "1e400 is no finite number"),
        ("dataset.json", '{"labels": [["000.png", Infinity]]}', "no finite number"),
        ("dataset.json", '{"labels": [["000.png", ' + "9" * 5000 + "]]}", "5,000 digits"),
        ("dataset.json", "[" * 100_000, "deeper than 100"),
    ],
)  # fmt: skip
def test_side_files_have_limits(name, content, match, tmp_path):
    root = write(photos(tmp_path / "set"), {name: content})
    if match is None:
        assert opened(root)[0].items[0].columns["x"] == ""
        return
    with pytest.raises(ValueError, match=match):
        columns.names(item.columns for item in opened(root)[0].items)


@breaks("data/source/beside.py", "if number > MOST_LINES:", "if False:")
def test_tables_of_many_lines(tmp_path, monkeypatch):
    lines = [f"{number:06d}.png,{number % 2}," + ",".join(["-1"] * 40) for number in range(2_000)]
    head = "file_name,label," + ",".join(f"a{number}" for number in range(40))
    root = photos(tmp_path / "set", 1)
    write(root, {"000001.png": png(7), "metadata.csv": "\n".join([head, *lines])})
    assert opened(root)[0].items[1].columns["label"] == "1"
    monkeypatch.setattr(beside, "MOST_LINES", 2_000)
    with pytest.raises(ValueError, match="metadata.csv cannot be used: it has more than 2,000"):
        opened(root)


def test_a_caption_that_was_cut_in_an_emoji_is_read(tmp_path):
    line = r'{"file_name": "000.png", "text": "fun \ud83d"}' + "\n"
    root = write(photos(tmp_path / "set"), {"metadata.jsonl": line, "001.json": line})
    assert opened(root)[0].items[0].text == "fun \ud83d"


def test_long_texts_are_cut_and_larger_files_left_out(tmp_path):
    files = {"000.txt": "a" * (1 << 20), "001.txt": "b" * ((1 << 20) + 1), "LICENSE": "c" * 70_000}
    root = write(photos(tmp_path / "set"), files)
    pack = write_zip(tmp_path / "a.zip", {**files, "000.png": png(0), "001.png": png(1)})
    members = {"000.png": png(0), "001.png": png(1), **files}
    tar = write_tar(tmp_path / "a.tar", {name: members[name] for name in sorted(members)})
    for path in (root, pack, tar):
        source, _ = opened(path)
        assert source.items[0].text == "a" * base.LONGEST_TEXT and source.items[1].text == ""
        assert [name.split("/")[-1] for name, _ in source.problems] == ["001.txt"]
        assert len(source.licence) == base.LONGEST_TEXT


@pytest.mark.parametrize("huggingface", [b"[" * 100_000, b"5", b'{"info": 5}', b"{}"])
def test_class_names_of_a_strangers_parquet(huggingface, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    written = pytest.importorskip("pyarrow.parquet")
    rows = arrow.table({"image": [png(0)], "label": [1]})
    rows = rows.replace_schema_metadata({b"huggingface": huggingface})
    written.write_table(rows, tmp_path / "a.parquet")
    assert opened(tmp_path / "a.parquet")[0].items[0].columns == {"label": "1"}


@breaks("core/npz.py", "except HEADER_DAMAGE as error:", "except ZeroDivisionError as error:")
@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("(4294967296, 4294967296, 3)", "has not the bytes that its header says"),
        ("(-1, 4, 4)", "has not the bytes"),
        ("(4, 4, 5)", "has not the bytes"),
        ("(" * 2000 + ")" * 2000, "has no header as numpy writes it"),
        ("print(5)", "has no header as numpy writes it"),
        ("(4, 4, 4)", None),
    ],
)
def test_headers_of_a_strangers_npy(header, match, tmp_path):
    words = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {header}, }}\n".encode()
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(words)) + words + bytes(64))
    if match is None:
        assert len(opened(path)[1]) == 4
        return
    with pytest.raises(ValueError, match=match) as refused:
        opened(path)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("array", [np.zeros((2, 4, 4), "<M8[s]"), np.zeros((2, 4, 4), "V8")])
def test_arrays_of_no_numbers(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match="expected uint8, or floats"):
        opened(tmp_path / "a.npy")
