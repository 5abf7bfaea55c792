"""Archives, arrays and tables as strangers make them: links, holes, old encodings, lists in cells."""

import io
import json
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest

from tests.data.test_layouts import pictures, read
from tests.data.test_sources import idx, opened, png, write, write_tar, write_zip
from tests.support.sabotage import breaks
from zeuxis.core.settings import Data
from zeuxis.data import ensure
from zeuxis.data.preparation import prepare
from zeuxis.data.source import open_source


def images(count=4):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


def labels(source):
    return [item.columns.get("label", "") for item in source.items]


# Tars


@breaks("data/source/tar.py", "if not (member.islnk() or member.issym()):", "if True:")
def test_members_that_are_links_are_read_where_they_lead(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, target, kind in (
            ("pool/x.bin", None, tarfile.REGTYPE),
            ("0.png", "pool/x.bin", tarfile.LNKTYPE),
            ("in/1.png", "../pool/./x.bin", tarfile.SYMTYPE),
            ("2.png", "gone.png", tarfile.LNKTYPE),
            ("3.png", "/etc/passwd", tarfile.SYMTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target or ""
            info.size = 0 if target else len(png(7))
            archive.addfile(info, io.BytesIO(png(7)))
    source, content = opened(tmp_path / "a.tar")
    assert [item.name for item in source.items] == ["a.tar/0.png", "a.tar/in/1.png"]
    assert content == [png(7)] * 2
    assert [name for name, _ in source.problems] == ["a.tar/2.png", "a.tar/3.png"]
    assert "a link to gone.png, which is not in the tar" in source.problems[0][1]


@breaks("data/source/tar.py", "if member.issparse():", "if False:")
def test_a_sparse_member_is_pieced_together(tmp_path):
    whole = bytearray(1 << 16)
    whole[:4096], whole[-4096:] = bytes(range(256)) * 16, bytes(range(256)) * 16
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "hole.png").open("wb") as file:
        file.write(whole[:4096])
        file.seek(len(whole) - 4096)
        file.write(whole[-4096:])
    write(tmp_path / "in", {"z.png": png(1)})
    command = ["tar", "-C", tmp_path / "in", "-S", "--sort=name", "-cf", tmp_path / "a.tar", "."]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no GNU tar")
    if (tmp_path / "a.tar").stat().st_size > len(whole):
        pytest.skip("this file system keeps no holes")
    source, content = opened(tmp_path / "a.tar")
    assert [item.name for item in source.items] == ["a.tar/./hole.png", "a.tar/./z.png"]
    assert content == [bytes(whole), png(1)]


def test_members_of_a_sample_need_not_stand_side_by_side(tmp_path):
    files = {"0.cls": "a", "1.cls": "b", "0.png": png(0), "1.png": png(1), "0.txt": "a cat"}
    source, _ = opened(write_tar(tmp_path / "a.tar", files))
    assert labels(source) == ["a", "b"] and source.items[0].text == "a cat"


@breaks("data/source/tar.py", "again[key] = at", "pass")
def test_a_key_that_a_shard_repeats_is_another_sample(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, content in (("0.png", png(0)), ("0.png", png(1)), ("0.cls", b"b"),
                              ("0.png", png(2)), ("0.cls", b"c")):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    source, content = opened(tmp_path / "a.tar")
    assert content == [png(0), png(1), png(2)] and labels(source) == ["", "b", "c"]
    assert len({item.name for item in source.items}) == 3


def test_dots_in_names(tmp_path):
    files = {"22.05.png": png(0), "22.06.png": png(1), "1.jpg": png(2), "1.seg.png": png(3)}
    source, _ = opened(write_tar(tmp_path / "a.tar", files))
    assert [i.name for i in source.items] == ["a.tar/22.05.png", "a.tar/22.06.png", "a.tar/1.jpg"]
    assert [name for name, _ in source.problems] == ["a.tar/1.seg.png"]


# Zips


def test_backslashes_and_names_that_occur_twice_in_a_zip(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name, content in (("p\\cat\\0.png", 0), ("p\\dog\\0.png", 1), ("p\\dog\\0.png", 2)):
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, png(content))
    source, classes, said = read(path)
    assert classes == {"label": ("cat", "dog")}
    assert [item.name for item in source.items] == ["p/cat/0.png", "p/dog/0.png"]
    assert "1 names are in the zip twice: the later file counts" in said
    assert opened(path)[1] == [png(0), png(2)]


@breaks("data/source/files.py", '("utf-8", "cp437", "cp1252")', '("cp437",)')
@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp1252"])
def test_names_in_a_zip_without_the_flag_of_utf8(encoding, tmp_path):
    written = "\u00fc".encode(encoding)
    placeholder = f"M{'X' * len(written)}ller"  # as many bytes, and no flag
    files = {f"{c}/{i}.png": png(i) for c in (placeholder, "Y") for i in (0, 1)}
    path = write_zip(tmp_path / "a.zip", files)
    named = placeholder.encode().replace(b"X" * len(written), written)
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), named))
    _, classes, said = read(path)
    assert classes == {"label": ("M\u00fcller", "Y")}
    assert ("encoding that it does not tell" in said) == (encoding != "cp437")


# Arrays


@breaks(
    "data/source/places.py", "found = {side_of(word) for word in words} - {None}", "found = set()"
)
def test_idx_files_named_like_emnist_s(tmp_path):
    for side, count in (("train", 6), ("test", 2)):
        for kind, array in (
            ("images-idx3", images(count)[..., 0]),
            ("labels-idx1", np.arange(count)),
        ):
            name = f"emnist-letters-{side}-{kind}-ubyte"
            (tmp_path / name).write_bytes(idx(array.astype(np.uint8)))
    source, _ = opened(tmp_path)
    assert [item.side for item in source.items] == ["holdout"] * 2 + ["train"] * 6
    assert [item.name for item in source.items][::2] == [
        *("emnist-letters-test-000000", "emnist-letters-train-000000"),
        *("emnist-letters-train-000002", "emnist-letters-train-000004"),
    ]
    assert source.notes == []
    (tmp_path / "emnist-digits-train-images-idx3-ubyte").write_bytes(idx(images(3)[..., 0]))
    assert "several sets (emnist digits, emnist letters)" in read(tmp_path)[2]


def test_arrays_of_other_byte_order_and_kinds(tmp_path):
    np.save(tmp_path / "a.npy", (images().astype(np.uint16) * 257).astype(">u2"))
    assert np.array_equal(np.stack(opened(tmp_path / "a.npy")[1]), images())


@breaks("data/source/values.py", "if max(sums) == 1:", "if True:")
@pytest.mark.parametrize(
    ("array", "classes", "said"),
    [
        (np.eye(2)[[0, 1, 0, 1]], {"label": ("0", "1")}, "classes: label"),
        ([[1, 0], [1, 1], [0, 0], [0, 1]], {"label_0": ("0", "1"), "label_1": ("0", "1")}, "several"),
        (np.float32([0.1, 0.3, 0.1, 0.3]), {}, "its words are fractions"),
        (np.array(["a", "b", "a", "b"], object), {}, "save words with .astype(str)"),
        (np.array([b"a", b"b", b"a", b"b"]), {"label": ("a", "b")}, "classes: label"),
        (np.zeros((4, 200)), {}, "label was not used: it has shape (4, 200)"),
        (np.arange(1, 5)[:, None] * 1e6 + 1, {}, "4 different words"),
    ],
)  # fmt: skip
def test_labels_of_a_strangers_npz(array, classes, said, tmp_path):
    np.savez(tmp_path / "a.npz", images=images(), labels=array)
    source, found, told = read(tmp_path / "a.npz")
    assert found == classes and said in told
    if "fractions" in said:
        assert labels(source) == ["0.1", "0.3", "0.1", "0.3"]


def test_images_that_are_python_objects_are_refused_by_name(tmp_path):
    ragged = np.empty(2, object)
    ragged[:] = [images(1)[0], images(1)[0, :4]]
    np.savez(tmp_path / "a.npz", x_train=ragged)
    with pytest.raises(ValueError, match="x_train holds Python objects, .* one array of uint8"):
        opened(tmp_path / "a.npz")


# Parquet


def table(path, **values):
    arrow = pytest.importorskip("pyarrow")
    written = pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    written.write_table(arrow.table(values), path)
    return path


@breaks(
    "data/source/__init__.py", "tables = [file for file in tables if holds_images(file)]", "pass"
)
@pytest.mark.parametrize("name", ["metadata.parquet", "words.parquet"])
def test_a_table_of_words_beside_images(name, tmp_path):
    write(tmp_path, {f"{i}.png": png(i) for i in range(4)})
    table(tmp_path / name, file_name=[f"{i}.png" for i in range(4)], label=list("abab"))
    _, classes, said = read(tmp_path)
    assert classes == ({"label": ("a", "b")} if name == "metadata.parquet" else {})
    assert ("words.parquet was not used: a table is read as metadata.csv" in said) == (not classes)


@breaks("data/source/parquet.py", 'f"{what}_view"', "what")
def test_arrow_s_views(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    path = table(
        tmp_path / "a.parquet",
        image=arrow.array([png(i) for i in range(4)], arrow.binary_view()),
        label=arrow.array(list("abab"), arrow.string_view()),
    )
    source, content = opened(path)
    assert labels(source) == list("abab") and content == [png(i) for i in range(4)]


def test_columns_of_a_strangers_parquet(tmp_path):
    rows = [{"bytes": png(i), "path": f"{i}.png"} for i in range(4)]
    path = table(
        tmp_path / "a.parquet",
        conditioning_image=rows,
        image=rows,
        labels=[["a"], ["a", "b"], ["b"], []],
        caption=[["one", "two"]] * 4,
        embedding=[[0.5] * 200] * 4,
        meta=[{"width": 3}] * 4,
        score=np.float32([0.1, 0.2, 0.3, 0.4]),
    )
    source, classes, said = read(path)
    assert classes == {"labels_a": ("0", "1"), "labels_b": ("0", "1")}
    assert [item.columns["labels_b"] for item in source.items] == ["0", "1", "1", ""]
    assert [item.text for item in source.items] == ["one\ntwo"] * 4
    assert source.items[0].columns["score"] == "0.1"
    assert json.loads(source.items[0].columns["meta"]) == {"width": 3}
    for part in (
        "column 'conditioning_image' was not used: images are read from 'image'",
        "column 'embedding' was not used: it holds 800 values in lists",
        "column 'labels' as one class was not used",
        "captions: of 4 images",
        "kept as columns that no family uses: meta (its words are lists or objects), score",
    ):
        assert part in said


@breaks("data/source/parquet.py", "return [_named(each, names) for each in value]", 'return ""')
def test_numbers_of_several_classes_get_their_names(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    written = pytest.importorskip("pyarrow.parquet")
    kind = {"feature": {"names": ["cat", "dog", "hen"], "_type": "ClassLabel"}, "_type": "Sequence"}
    rows = arrow.table({"image": [png(i) for i in range(4)], "labels": [[0, 2], [1], [2], [0]]})
    features = json.dumps({"info": {"features": {"labels": kind, "image": {"_type": "Image"}}}})
    rows = rows.replace_schema_metadata({"huggingface": features})
    written.write_table(rows, tmp_path / "a.parquet")
    source, classes, _ = read(tmp_path / "a.parquet")
    assert list(classes) == ["labels_cat", "labels_dog", "labels_hen"]
    assert [item.columns["labels_hen"] for item in source.items] == ["1", "0", "1", "0"]


def test_rows_that_hold_only_paths_say_what_to_do(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    rows = arrow.array([{"bytes": None, "path": "/data/0.png"}], kind)
    source = open_source(table(tmp_path / "a.parquet", image=rows))
    with pytest.raises(ValueError, match="only a path or nothing; save the set with its images"):
        source.read(0)


@breaks("data/source/__init__.py", "if not files.images else None", "if False else None")
@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_in_folders_of_their_sides(kind, tmp_path):
    for number, side in enumerate(("train", "test")):
        path = tmp_path / "default" / side / f"0000.{kind}"
        path.parent.mkdir(parents=True)
        if kind == "tar":
            write_tar(
                path, {"cat/0.png": png(number), "dog/0.png": png(9 + number), "LICENSE": "CC0"}
            )
        else:
            table(path, image=[png(number), png(9 + number)], label=["cat", "dog"])
    source, content = opened(tmp_path)
    assert [item.side for item in source.items] == ["holdout"] * 2 + ["train"] * 2
    assert labels(source) == ["cat", "dog"] * 2
    assert content == [png(1), png(10), png(0), png(9)]
    assert source.items[0].name.startswith(f"default/test/0000.{kind}/")
    assert source.licence == ("CC0" if kind == "tar" else "")


def test_a_tar_of_other_things_beside_images_is_named(tmp_path):
    write_tar(tmp_path / "boxes.tar", {"0.xml": "<a/>"})
    source, _, said = read(write(tmp_path, {"0.png": png(0), "1.png": png(1)}))
    assert len(source.items) == 2 and "boxes.tar was not used: an archive" in said


# The cache


@breaks("data/preparation/prepare.py", "SEAL, READING)", "SEAL)")
def test_the_cache_holds_no_set_that_was_read_by_older_rules(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    files = {name: png(i) for i, name in enumerate(pictures("cat", "dog"))}
    root = write(tmp_path / "set", files)
    first = ensure(root, Data(size=(8, 8)))
    assert ensure(root, Data(size=(8, 8))).folder == first.folder
    monkeypatch.setattr(prepare, "READING", prepare.READING + 1)
    again = ensure(root, Data(size=(8, 8)))
    assert again.folder != first.folder and again.facts["hash"] == first.facts["hash"]
