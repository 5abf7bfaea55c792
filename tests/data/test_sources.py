"""Every kind of source gives the same images, labels, captions and sides."""

import csv
import gzip
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis.data.source import arrays, base, files, fingerprint_of, open_source, places
from zeuxis.data.source.tar import Shards, TarShards


def pixels(number):
    image = np.random.default_rng(number).integers(0, 256, (3, 3, 3), np.uint8)
    return np.asarray(Image.fromarray(image).resize((16, 12), Image.BICUBIC))


def png(number):
    buffer = io.BytesIO()
    Image.fromarray(pixels(number)).save(buffer, "PNG")
    return buffer.getvalue()


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def opened(path):
    source = open_source(path)
    read = [source.read(i) for i in range(len(source.items))]
    source.close()
    return source, read


def said(source):
    return {i.name: (i.columns.get("label", ""), i.text, i.side) for i in source.items}


CLASSES = {f"{c}/sub/{i}.png": png(i) for i, c in enumerate(["cat", "dog", "cat", "dog"])}
SIDES = {
    f"{s}/{c}/{i}.png": png(i)
    for i, (s, c) in enumerate((s, c) for s in ("train", "val") for c in ("cat", "dog") * 2)
}


@pytest.mark.parametrize("pack", [write, lambda at, files: write_zip(at / "set.zip", files)])
class TestTrees:
    def test_class_folders(self, tmp_path, pack):
        source, read = opened(pack(tmp_path, CLASSES))
        assert [item.columns["label"] for item in source.items] == ["cat", "cat", "dog", "dog"]
        assert read == [CLASSES[item.name] for item in source.items]

    def test_official_sides(self, tmp_path, pack):
        source, _ = opened(pack(tmp_path, SIDES))
        assert {(i.name.split("/")[0], i.side) for i in source.items} == {
            ("train", "train"),
            ("val", "holdout"),
        }
        assert {i.columns["label"] for i in source.items} == {"cat", "dog"}

    def test_a_folder_around_everything_says_nothing(self, tmp_path, pack):
        files = {f"pets/{name}": content for name, content in CLASSES.items()}
        source, _ = opened(pack(tmp_path, {**files, "pets/LICENSE": "CC0"}))
        assert [item.columns["label"] for item in source.items] == ["cat", "cat", "dog", "dog"]
        assert source.licence == "CC0"

    def test_official_sides_below_a_folder_around_everything(self, tmp_path, pack):
        source, _ = opened(pack(tmp_path, {f"in/a/{name}": SIDES[name] for name in SIDES}))
        assert {(i.name.split("/")[2], i.side) for i in source.items} == {
            ("train", "train"),
            ("val", "holdout"),
        }
        assert {i.columns["label"] for i in source.items} == {"cat", "dog"}

    def test_class_folders_keep_their_labels_beside_captions(self, tmp_path, pack):
        source, _ = opened(pack(tmp_path, {**CLASSES, "cat/sub/0.txt": "asleep"}))
        assert [item.columns["label"] for item in source.items] == ["cat", "cat", "dog", "dog"]
        assert [item.text for item in source.items] == ["asleep", "", "", ""]

    def test_the_label_of_a_sidecar_counts_more_than_its_folder(self, tmp_path, pack):
        source, _ = opened(pack(tmp_path, {**CLASSES, "cat/sub/0.json": '{"label": "lynx"}'}))
        assert source.items[0].columns == {"label": "lynx"}

    def test_two_tables_complete_each_other(self, tmp_path, pack):
        files = {"a.png": png(0), "b.png": png(1)}
        files["metadata.csv"] = "file_name,label,age\na.png,x,\nb.png,y,4\n"
        lines = [{"file_name": "a.png", "text": "an a", "age": 3}, {"file_name": "b.png", "age": 5}]
        files["metadata.jsonl"] = "\n".join(json.dumps(line) for line in lines)
        source, _ = opened(pack(tmp_path, files))
        assert said(source) == {"a.png": ("x", "an a", None), "b.png": ("y", "", None)}
        assert [item.columns["age"] for item in source.items] == ["3", ""]
        assert source.notes == ["metadata.jsonl contradicts itself 1 times: unknown there"]

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_metadata(self, tmp_path, pack, kind):
        lines = [
            {"file_name": "a.png", "label": "x", "text": "an a", "age": 3},
            {"file_name": "in/b.png", "label": "", "text": "", "age": 4},
            {"file_name": "gone.png", "label": "y", "text": "", "age": 4},
            {"file_name": "a.png", "label": "y", "text": "an a", "age": 3},
        ]
        text = "\n".join(json.dumps(line) for line in lines)
        if kind == "csv":
            buffer = io.StringIO()
            table = csv.DictWriter(buffer, list(lines[0]))
            table.writeheader()
            table.writerows(lines)
            text = "\ufeff" + buffer.getvalue()
        files = {"a.png": png(0), "in/b.png": png(1), "c.png": png(2), f"metadata.{kind}": text}
        source, _ = opened(pack(tmp_path, files))
        assert said(source) == {
            "a.png": ("", "an a", None),
            "c.png": ("", "", None),
            "in/b.png": ("", "", None),
        }
        assert source.items[0].columns["age"] == "3"
        assert any("1 files that are not there" in note for note in source.notes)
        assert any("contradicts itself 1 times" in note for note in source.notes)

    def test_captions_and_sidecars(self, tmp_path, pack):
        files = {
            "1.png": png(0),
            "1.txt": " a fox \n",
            "2.png": png(1),
            "LICENSE": "CC0, all of it",
        }
        files["2.json"] = json.dumps({"caption": "a hen", "label": 4, "url": "x", "width": 3})
        source, _ = opened(pack(tmp_path, files))
        assert said(source) == {"1.png": ("", "a fox", None), "2.png": ("4", "a hen", None)}
        assert source.licence == "CC0, all of it"

    def test_stylegan(self, tmp_path, pack):
        names = [f"0000{i}/img{i:08d}.png" for i in range(4)]
        labels = [[names[0], 2], [names[1], [0, 1, 0]], [names[2], 0], ["gone.png", 1]]
        files = {name: png(i) for i, name in enumerate(names)}
        source, _ = opened(
            pack(tmp_path, {**files, "dataset.json": json.dumps({"labels": labels})})
        )
        assert [item.columns.get("label") for item in source.items] == ["2", "1", "0", None]

    def test_shard_folders_are_no_classes(self, tmp_path, pack):
        source, _ = opened(pack(tmp_path, {f"0000{i % 2}/{i}.png": png(i) for i in range(6)}))
        assert all(not item.columns for item in source.items)

    def test_other_pictures_are_named(self, tmp_path, pack):
        files = {"a.png": png(0), "b.heic": b"x", "notes.md": "y", ".hidden.png": b"z"}
        source, _ = opened(pack(tmp_path, files))
        assert [item.name for item in source.items] == ["a.png"]
        assert source.problems == [("b.heic", ".heic images are not read; convert it to PNG")]

    @pytest.mark.parametrize(
        ("name", "content", "match"),
        [
            ("metadata.csv", "file,label\na.png,x\n", "no column file_name"),
            ("metadata.jsonl", "{", "line 1 is no JSON object"),
            ("metadata.jsonl", "[1]", "no JSON object"),
            ("metadata.csv", b"file_name\n\xff\xfe", "cannot be used"),
            ("metadata.jsonl", "[" * 100000, "line 1 is no JSON object"),
            ("dataset.json", '{"labels": [1]}', "StyleGAN"),
            ("dataset.json", "[]", "StyleGAN"),
        ],
    )
    def test_broken_side_files_are_one_sentence(self, tmp_path, pack, name, content, match):
        with pytest.raises(ValueError, match=match):
            opened(pack(tmp_path, {"a.png": png(0), name: content}))


def test_a_tar_is_read_in_place_and_goes_on_at_any_sample(tmp_path):
    for shard in range(2):
        files = {}
        for i in range(5):
            number = shard * 5 + i
            files |= {f"{number:04d}.png": png(number), f"{number:04d}.txt": f"number {number}"}
            files |= {f"{number:04d}.json": json.dumps({"caption": "x", "label": number % 2})}
        files |= {"readme.md": "no sample", "lost.txt": "no image"}
        write_tar(tmp_path / f"{shard:05d}.tar", files)
    source, read = opened(tmp_path)
    assert read == [png(i) for i in range(10)] and source.problems == []
    assert [item.text for item in source.items] == [f"number {i}" for i in range(10)]
    assert [item.columns["label"] for item in source.items] == [str(i % 2) for i in range(10)]
    again = TarShards("again", sorted(tmp_path.glob("*.tar")))
    whole = list(again.stream())
    for start in range(11):
        assert list(again.stream(start)) == whole[start:]
    again.close()


def test_tar_shards_named_after_sides(tmp_path):
    write_tar(tmp_path / "train-000.tar", {"a.png": png(0), "a.cls": "3"})
    write_tar(tmp_path / "test-000.tar", {"b.png": png(1), "b.cls": "4"})
    source, _ = opened(tmp_path)
    assert [(item.columns["label"], item.side) for item in source.items] == [
        ("4", "holdout"),
        ("3", "train"),
    ]


def test_a_tar_names_what_it_passes_over(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a.png": png(0), "a.1.png": png(1), "b.png": png(2)})
    source, _ = opened(path)
    assert [item.name for item in source.items] == ["a.tar/a.png", "a.tar/b.png"]
    assert [name for name, _ in source.problems] == ["a.tar/a.1.png"]


def test_more_shards_than_files_may_be_open(tmp_path):
    resource = pytest.importorskip("resource")
    for shard in range(40):
        write_tar(tmp_path / f"{shard:05d}.tar", {f"{shard}.png": png(shard)})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 20, before[1]))
    try:
        _, read = opened(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert read == [png(i) for i in range(40)]


def test_pictures_beside_shards_are_remarked_on(tmp_path):
    write(tmp_path, {"old.png": png(0), "more/a.png": png(1), "stats.json": "{}"})
    write_tar(tmp_path / "a.tar", {"a.png": png(2)})
    source, read = opened(tmp_path)
    assert read == [png(2)] and source.notes[0].startswith("2 images or folders beside")


def test_a_damaged_tar_gives_what_lies_before_the_damage(tmp_path):
    path = write_tar(tmp_path / "a.tar", {f"{i}.png": png(i) for i in range(6)})
    content = bytearray(path.read_bytes())
    starts = Shards([path])._places
    broken = starts["a.tar/3.png"][0] - 512
    content[broken : broken + 512] = b"\xff" * 512
    path.write_bytes(content)
    source = TarShards("a", [path])
    assert len(source.items) == 3 and "damaged" in source.problems[0][1]
    path.write_bytes(content[: starts["a.tar/2.png"][0] + 10])
    cut = TarShards("a", [path])
    with pytest.raises(ValueError, match="ends .* too early"):
        cut.read(len(cut.items) - 1)
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(ValueError, match="compressed"):
        TarShards("a", [path])


def idx(array):
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@breaks("data/source/arrays.py", "if len(shape) > 1:", "if True:")
def test_labels_may_be_packed_to_less_than_a_byte_each(tmp_path):
    """As those of Fashion-MNIST are: 10,000 in 5,125 bytes."""
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 4), np.uint8)
    packed = gzip.compress(idx(np.arange(300) % 10))
    assert len(packed) < 300
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(packed)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    assert [item.columns["label"] for item in open_source(tmp_path).items][:3] == ["0", "1", "2"]


def test_idx_with_official_sides(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7), np.uint8)
    for word, part in (("train", images[:3]), ("t10k", images[3:])):
        labels = np.arange(len(part))
        (tmp_path / f"{word}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(part)))
        (tmp_path / f"{word}-labels-idx1-ubyte").write_bytes(idx(labels))
    source, read = opened(tmp_path)
    by_name = {item.name: (item, image) for item, image in zip(source.items, read, strict=True)}
    for i in range(3):
        item, image = by_name[f"train-{i:06d}"]
        assert (item.side, item.columns["label"]) == ("train", str(i))
        assert np.array_equal(image[..., 0], images[i])
    assert by_name["t10k-000001"][0].side == "holdout"
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(9)))
    with pytest.raises(ValueError, match="2 images but 9 labels"):
        opened(tmp_path)


def test_a_damaged_gzip_is_one_sentence(tmp_path):
    images = np.random.default_rng(0).integers(0, 4, (5, 6, 7), np.uint8)
    content = gzip.compress(idx(images))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    for at in range(10, len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        with pytest.raises(ValueError, match="train-images"):
            opened(path)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\1", b"\0\0\x08\x02\0\0\0\x09"]
)
def test_broken_idx(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="idx|header|should hold"):
        opened(path)


def test_npz_in_the_usual_shapes(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 9), np.uint8)
    np.savez(
        tmp_path / "a.npz",
        x_train=x[:4],
        y_train=np.arange(4)[:, None],
        x_test=x[4:],
        y_test=[7, 8],
    )
    source, read = opened(tmp_path / "a.npz")
    assert [item.columns["label"] for item in source.items] == ["0", "1", "2", "3", "7", "8"]
    assert [item.side for item in source.items] == ["train"] * 4 + ["holdout"] * 2
    assert np.array_equal(np.stack(read), x.transpose(0, 2, 3, 1))
    np.save(tmp_path / "b.npy", x.transpose(0, 2, 3, 1) / 255.0)
    _, read = opened(tmp_path / "b.npy")
    assert np.array_equal(np.stack(read), x.transpose(0, 2, 3, 1))


def test_npz_with_arrays_of_other_shapes(tmp_path):
    x = np.zeros((4, 8, 8), np.uint8)
    path = tmp_path / "a.npz"
    np.savez(path, images=x, labels=[0, 1, 1, 0], scale=0.5, boxes=np.zeros((4, 2)))
    source, _ = opened(path)
    assert [item.columns for item in source.items] == [
        {"label": i, "boxes": "[0.0, 0.0]"} for i in "0110"
    ]
    assert [note.split(":")[0] for note in source.notes] == [
        "scale was not used",
        "column 'boxes' as classes was not used",
    ]
    np.savez(path, images=x, labels=[0, 1, 1])
    with pytest.raises(ValueError, match="4 images but 3 labels"):
        opened(path)


def test_a_damaged_array_file_is_one_sentence_or_readable(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (3, 8, 8), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", images=x, labels=np.arange(3))
    np.save(tmp_path / "b.npy", x)
    refused = set()
    for path in (tmp_path / "a.npz", tmp_path / "b.npy"):
        content = path.read_bytes()
        for at in rng.integers(0, min(len(content), 400), 80).tolist():
            path.write_bytes(content[:at] + rng.bytes(1) + content[at + 1 :])
            try:
                opened(path)
            except ValueError as error:
                refused.add(type(error.__cause__).__name__)
    assert {"error", "BadZipFile"} <= refused  # `error` is zlib's


def test_names_of_array_sources_are_those_of_other_sources(tmp_path, monkeypatch):
    folder = tmp_path / "my set.v1"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 6, 7))))
    np.save(folder / "a b.npy", np.zeros((2, 8, 8), np.uint8))
    monkeypatch.chdir(folder)
    names = [open_source(path).name for path in (folder, ".", folder / "a b.npy")]
    assert names == ["my-set.v1", "my-set.v1", "a-b"]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((4, 5), np.uint8), "shape"),
        (np.full((2, 8, 8), 3.5), "scale it"),
        (np.full((2, 8, 8), np.nan), "scale it"),
        (np.array([{"a": 1}, None]), "numpy arrays"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, match):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=match):
        opened(tmp_path / "a.npy")


def test_npz_without_images_or_damaged(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(ValueError, match="holds weights"):
        opened(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="numpy arrays"):
        opened(tmp_path / "b.npz")


def test_parquet_as_the_hub_writes_it(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    features = {
        "image": {"_type": "Image"},
        "label": {"names": ["ant", "bee"], "_type": "ClassLabel"},
    }
    for word, numbers in (("train", range(7)), ("test", range(7, 10))):
        table = arrow.table(
            {
                "image": [{"bytes": png(i), "path": f"{i}.png"} for i in numbers],
                "label": [i % 2 for i in numbers],
                "caption": [f"number {i}" for i in numbers],
                "size": [float(i) for i in numbers],
            }
        ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        path = tmp_path / "data" / f"{word}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(table, path, row_group_size=3)
    source, read = opened(tmp_path)
    sides = {"train": range(7), "holdout": range(7, 10)}
    numbers = [int(item.text.split()[1]) for item in source.items]
    assert sorted(numbers) == list(range(10))
    for item, image, i in zip(source.items, read, numbers, strict=True):
        assert image == png(i) and item.columns["label"] == ["ant", "bee"][i % 2]
        assert i in sides[item.side] and item.columns["size"] == str(i)
    bare = tmp_path / "bare.parquet"
    parquet.write_table(arrow.table({"n": [1]}), bare)
    with pytest.raises(ValueError, match="no column of images among n"):
        opened(bare)
    bare.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(ValueError, match="cannot be used as parquet"):
        opened(bare)


def test_parquet_with_categories_and_plain_names(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for word, numbers in (("train", range(4)), ("test", range(4, 6))):
        kinds = arrow.array(["ab"[i % 2] for i in numbers]).dictionary_encode()
        table = arrow.table({"image": [png(i) for i in numbers], "kind": kinds})
        parquet.write_table(table, tmp_path / f"{word}.parquet")
    source, _ = opened(tmp_path)
    assert [item.side for item in source.items] == ["holdout"] * 2 + ["train"] * 4
    assert [item.columns["kind"] for item in source.items] == list("ababab")


@breaks("data/source/base.py", "if facts.st_size > most:", "if False:")
def test_files_cannot_be_larger_than_the_limit(tmp_path):
    packed = files.Zip(write_zip(tmp_path / "a.zip", {"bomb.png": bytes(100_000)}))
    plain = files.Folder(write(tmp_path / "set", {"bomb.png": bytes(100_000)}))
    for each in (packed, plain):
        with pytest.raises(ValueError, match="100,000 bytes; at most 99,999 are read"):
            each.read("bomb.png", 99_999)
        assert each.read("bomb.png", 100_000) == bytes(100_000)
        each.close()


def test_zip_paths_stay_names(tmp_path):
    files = {"../../up.png": png(0), "/root.png": png(1), "C:\\x.png": png(2)}
    _, read = opened(write_zip(tmp_path / "a.zip", files))
    assert len(read) == 3 and sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_a_damaged_zip(tmp_path):
    whole = write_zip(tmp_path / "a.zip", CLASSES).read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[:-30])
    with pytest.raises(ValueError, match="not of a kind|no readable zip"):
        opened(tmp_path / "b.zip")


def test_links_and_pipes_are_not_followed_for_ever(tmp_path):
    import os

    write(tmp_path / "set", {"a.png": png(0)})
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    os.mkfifo(tmp_path / "set" / "pipe.png")
    source = open_source(tmp_path / "set")
    assert [item.name for item in source.items] == ["a.png", "pipe.png"]
    assert [name for name, _ in source.problems] == ["loop"]
    with pytest.raises(ValueError, match="no regular file"):
        source.read(1)


def test_nothing_there_and_unknown_kinds(tmp_path):
    with pytest.raises(ValueError, match="there is no .*avatars"):
        open_source(tmp_path / "gone")
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(ValueError, match="not of a kind"):
        open_source(tmp_path / "a.docx")


def test_the_fingerprint_sees_every_change(tmp_path):
    import os

    write(tmp_path, CLASSES)
    seen = {fingerprint_of(tmp_path)}
    file = tmp_path / "cat/sub/0.png"
    os.utime(file, ns=(1, 1))
    seen.add(fingerprint_of(tmp_path))
    file.write_bytes(b"x")
    seen.add(fingerprint_of(tmp_path))
    file.rename(file.with_name("z.png"))
    seen.add(fingerprint_of(tmp_path))
    assert len(seen) == 4 and fingerprint_of(tmp_path) in seen


def test_the_avatars_have_readable_columns():
    source = open_source("avatars")
    assert len(source.items) == 8192 and source.read(0).shape == (16, 16, 3)
    assert source.items[0].columns["hair"] == "black"
    assert {item.columns["glasses"] for item in source.items} >= {"none", "dark01"}
    assert all(value for item in source.items for value in item.columns.values())
    assert "CC0" in source.licence


def test_suffixes_are_told_apart():
    assert not base.SUFFIXES & base.OTHER_IMAGES
    assert places.side_of("cat") is None
    assert (places.side_of("Training"), arrays.side_of("Testing")) == ("train", "holdout")
