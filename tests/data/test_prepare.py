"""A prepared set appears whole or not at all, keeps what it should, and says what it left out."""

import errno
import io
import json
import os
import threading
import tracemalloc
import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.lock import locked
from zeuxis.core.settings import Data
from zeuxis.data.preparation import clean, prepare, split
from zeuxis.data.source.arrays import ArraySource
from zeuxis.data.source.base import Item

SMALL = Data(size=(32, 32))


def photo(number, side=64, mode="RGB"):
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    fine = Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8))
    both = Image.blend(*(i.resize((side, side), Image.BICUBIC) for i in (image, fine)), 0.3)
    return both.convert(mode)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture
def messy(tmp_path):
    """A folder with one of everything that goes wrong."""
    root = tmp_path / "messy"
    for i in range(12):
        save(root / "cat" / f"{i:02d}.png", photo(i))
    for i in range(12, 24):
        save(root / "dog" / f"{i:02d}.jpg", photo(i), quality=90)
    save(root / "dog" / "copy.png", photo(3))
    save(root / "cat" / "again.jpg", photo(5), quality=60)
    save(root / "cat" / "larger.png", photo(6, 128).resize((128, 128)))
    save(root / "cat" / "blank.png", Image.new("RGB", (64, 64), (9, 9, 9)))
    save(root / "cat" / "tiny.png", photo(7, 3))
    (root / "cat" / "empty.png").write_bytes(b"")
    (root / "cat" / "lies.png").write_bytes(b"this is text, not a picture")
    (root / "cat" / "cut.png").write_bytes((root / "cat/00.png").read_bytes()[:500])
    (root / "cat" / "photo.heic").write_bytes(b"x")
    return root


def left_out(prepared):
    lines = (prepared.folder / "left_out.jsonl").read_text().splitlines()
    return {entry["file"]: entry["reason"] for entry in map(json.loads, lines)}


def test_everything_that_goes_wrong_is_named_and_the_rest_is_kept(messy, tmp_path):
    prepared = data.prepare(messy, tmp_path / "out", SMALL)
    assert left_out(prepared) == {
        "cat/photo.heic": "not used",
        "cat/tiny.png": "too small",
        "cat/empty.png": "empty",
        "cat/lies.png": "not an image",
        "cat/cut.png": "truncated",
        "cat/blank.png": "blank",
        "cat/again.jpg": "near duplicate",
        "dog/copy.png": "duplicate",
    } | ({"cat/larger.png": "near duplicate"} if "cat/larger.png" in left_out(prepared) else {})
    assert len(prepared) == len(prepared.names) >= 24
    facts = prepared.facts
    counted = {reason: entry["count"] for reason, entry in facts["left_out"].items()}
    assert counted == Counter(left_out(prepared).values())
    assert any("are duplicates" in warning for warning in prepared.facts["warnings"])
    assert any("only 2" in warning for warning in prepared.facts["warnings"])
    for name, image in zip(prepared.names, prepared.images, strict=True):
        original = np.asarray(
            Image.open(messy / name).convert("RGB").resize((32, 32), Image.BICUBIC)
        )
        assert np.abs(image.astype(int) - original).mean() < 4, name


def test_equal_images_that_disagree_lose_that_label(messy, tmp_path):
    prepared = data.prepare(messy, tmp_path / "out", SMALL)
    rows = dict(zip(prepared.names, prepared.labels[:, 0].tolist(), strict=True))
    assert rows["cat/03.png"] == -1 and rows["cat/04.png"] == 0 and rows["dog/14.jpg"] == 1
    found = prepared.facts["found"]["contradictory"]
    assert found == {"label": {"count": 2, "first": ["cat/03.png", "dog/copy.png"]}}


def test_the_same_source_gives_the_same_bytes(messy, tmp_path):
    one = data.prepare(messy, tmp_path / "a", SMALL)
    two = data.prepare(messy, tmp_path / "b", SMALL)
    assert one.hash == two.hash
    assert (one.folder / "images.u8").read_bytes() == (two.folder / "images.u8").read_bytes()
    assert data.prepare(messy, tmp_path / "c", Data(size=(32, 30))).hash != one.hash


def test_sizes_and_channels_follow_the_source(tmp_path):
    for i in range(4):
        save(tmp_path / "same" / f"{i}.png", photo(i, 48).crop((0, 0, 48, 36)))
        save(tmp_path / "mixed" / f"{i}.png", photo(i, 40 + i))
        save(tmp_path / "grey" / f"{i}.png", photo(i, 40, "L"))
        save(tmp_path / "clear" / f"{i}.png", half_clear(photo(i, 40)))
        save(tmp_path / "opaque" / f"{i}.png", photo(i, 40, "RGBA"))
        save(tmp_path / "some" / f"{i}.png", half_clear(photo(i, 40)) if i else photo(i, 40))
    shapes = {
        name: data.prepare(tmp_path / name, tmp_path / f"p{name}").images.shape[1:]
        for name in ("same", "mixed", "grey", "clear", "opaque", "some")
    }
    assert shapes == {
        "same": (36, 48, 3),
        "mixed": (64, 64, 3),
        "grey": (40, 40, 1),
        "clear": (40, 40, 4),
        "opaque": (40, 40, 3),
        "some": (40, 40, 3),
    }


@pytest.mark.parametrize("side", [3, 5000])
def test_a_common_size_that_cannot_be_prepared_is_no_default(tmp_path, side):
    for i in range(2):
        save(tmp_path / "a" / f"{i}.png", photo(i, 8).resize((side, 8)))
    if side > 4096:
        assert data.prepare(tmp_path / "a", tmp_path / "out").images.shape[1:] == (64, 64, 3)
        assert len(data.inspect(tmp_path / "a").facts["warnings"])
    else:
        with pytest.raises(ValueError, match=r"none of the 2 images .* \(2 too small\)"):
            data.prepare(tmp_path / "a", tmp_path / "out")


def half_clear(image):
    image = image.convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 20, 20))
    return image


def test_the_cache_is_used_until_the_source_changes(messy, monkeypatch, tmp_path):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    calls = []
    first = data.ensure(messy, SMALL, lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] > 0
    calls.clear()
    again = data.ensure(messy, SMALL, lambda done, total: calls.append((done, total)))
    assert again.folder == first.folder and not calls
    assert data.ensure(messy, Data(size=(24, 24))).folder != first.folder
    assert data.ensure(messy, Data(size=(32, 32), flip=True)).folder == first.folder
    save(messy / "cat" / "new.png", photo(99))
    new = data.ensure(messy, SMALL)
    assert new.folder != first.folder and len(new) == len(first) + 1


def test_a_prepared_set_is_used_as_it_is_or_refused(messy, tmp_path):
    prepared = data.prepare(messy, tmp_path / "out", SMALL)
    assert data.ensure(prepared.folder, Data()).hash == prepared.hash
    assert data.ensure(prepared.folder, SMALL).hash == prepared.hash
    with pytest.raises(ValueError, match="prepared at 32x32 with 3 channels, but 16x16"):
        data.ensure(prepared.folder, Data(size=(16, 16)))
    with pytest.raises(ValueError, match="--channels 1"):
        data.ensure(prepared.folder, Data(channels=1))
    smaller = data.prepare(prepared.folder, tmp_path / "small", Data(size=(16, 16), channels=1))
    assert smaller.images.shape == (len(prepared), 16, 16, 1)
    assert np.array_equal(smaller.holdout, prepared.holdout)
    assert np.array_equal(smaller.labels, prepared.labels)
    with pytest.raises(ValueError, match="already holds a prepared set"):
        data.prepare(messy, prepared.folder, SMALL)


def many(count, side=None, groups=1, same=()):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    for a, b in same:
        images[b] = images[a]
    items = [
        Item(
            f"{i:05d}",
            side=side(i) if side else None,
            group=f"g{i // groups}" if groups > 1 else "",
        )
        for i in range(count)
    ]
    source = ArraySource("many", [(images, items)])
    source.curated = False
    return source


@breaks("data/preparation/split.py", "return chosen[inverse]", "return ~chosen[inverse]")
def test_the_split(tmp_path):
    none = prepare.prepare_source(many(219), tmp_path / "a", Data())
    assert len(none.holdout) == 0 and "fewer than 220" in none.facts["split"]["how"]
    assert any("fewer than 220" in warning for warning in none.facts["warnings"])
    some = prepare.prepare_source(many(400), tmp_path / "b", Data())
    assert len(some.holdout) == 60 and "only 60 images are held out" in str(some.facts["warnings"])
    more = prepare.prepare_source(many(6000, groups=7), tmp_path / "c", Data())
    assert 290 <= len(more.holdout) <= 300
    groups = [
        {int(name) // 7 for name in np.array(list(more.names))[rows]}
        for rows in (more.train, more.holdout)
    ]
    assert not groups[0] & groups[1]
    assert sorted([*more.train, *more.holdout]) == list(range(6000))
    own = many(500, side=lambda i: "holdout" if i >= 490 else "train")
    own = prepare.prepare_source(own, tmp_path / "d", Data(holdout=0.5))
    assert own.holdout.tolist() == list(range(490, 500))
    assert "which data.holdout does not change" in own.facts["split"]["how"]


@breaks("data/preparation/split.py", "int(MOST_SHARE * count), MOST)", "MOST)")
@breaks("data/preparation/split.py", "wanted >= count", "False")
@pytest.mark.parametrize(
    ("count", "asked", "held"),
    [
        (219, None, 0),
        (220, None, 33),
        (426, None, 63),
        (427, None, 64),
        (1280, None, 64),
        (1300, None, 65),
        (100_001, None, 5000),
        (400, 0, 0),
        (100, 0.25, 25),
        (100, 1, 1),
        (100, 99, 99),
        (100, 100, "data.holdout=100 leaves none of 100 images to train on"),
    ],
)
def test_how_many_are_held_out(count, asked, held):
    if isinstance(held, str):
        with pytest.raises(ValueError, match=held):
            split.holdout_count(count, asked)
    else:
        assert split.holdout_count(count, asked) == held
        assert split.by_hash([str(i) for i in range(count)], asked).sum() == held


@breaks("data/preparation/prepare.py", ', "fit": fit}', "}")
@breaks("data/preparation/prepare.py", '{"paired": paired, ', "{")
@breaks("data/preparation/prepare.py", ', "source_kind": kind}', "}")
def test_the_hold_out_that_is_asked_for_is_announced_and_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    np.save(
        tmp_path / "some.npy",
        many(100).read(0)[None].repeat(100, 0)
        + np.arange(100, dtype=np.uint8)[:, None, None, None],
    )
    split_of = {}
    for asked, sentence in (
        (None, "all 100 images are trained on; held out are none: a set of fewer than 220 images"),
        (0, "all 100 images are trained on; held out are none: none were asked for"),
        (
            30,
            r"70 images to train on; 30 (30 %) are held out to measure with (data.holdout= changes that)",
        ),
    ):
        prepared = data.ensure(tmp_path / "some.npy", Data(holdout=asked))
        assert split.announced(prepared.facts["split"]).startswith(sentence)
        split_of[prepared.folder] = len(prepared.holdout)
    assert sorted(split_of.values()) == [0, 0, 30]
    with pytest.raises(ValueError, match="is prepared, with 30 images held out"):
        data.ensure(prepared.folder, Data(holdout=20))
    for name, value in (
        ("withhold", "a=b"),
        ("tiles", 8),
        ("fit", "pad"),
        ("paired", False),
        ("source_kind", "map"),
    ):
        with pytest.raises(ValueError, match=f"is prepared; give data.{name} with the source"):
            data.ensure(prepared.folder, Data(**{name: value}))
    with pytest.raises(ValueError, match="a whole number of images, or a share below 1"):
        Data(holdout=1.5)


def test_a_large_set_of_one_group_says_why_nothing_is_held_out(tmp_path):
    prepared = prepare.prepare_source(many(450, groups=450), tmp_path / "a", Data())
    assert len(prepared.holdout) == 0 and "one group" in prepared.facts["split"]["how"]
    assert any("these images form one group" in warning for warning in prepared.facts["warnings"])


def test_a_copy_of_a_held_out_image_leaves_the_training_side(tmp_path):
    source = many(500, side=lambda i: "holdout" if i >= 490 else "train", same=[(3, 495), (4, 5)])
    prepared = prepare.prepare_source(source, tmp_path / "a", Data())
    assert left_out(prepared) == {"00003": "duplicate", "00005": "duplicate"}
    curated = many(500, side=lambda i: "holdout" if i >= 490 else "train", same=[(3, 495), (4, 5)])
    curated.curated = True
    kept = prepare.prepare_source(curated, tmp_path / "b", Data())
    assert len(kept) == 500 and kept.facts["split"]["copies_across"] == 1
    assert any("exact copy on the hold-out side" in warning for warning in kept.facts["warnings"])


def test_the_split_changes_little_when_images_are_added():
    names = [f"{i}.png" for i in range(10000)]
    before = {n for n, held in zip(names, split.by_hash(names), strict=True) if held}
    names += [f"new{i}.png" for i in range(100)]
    after = {n for n, held in zip(names, split.by_hash(names), strict=True) if held}
    assert len(before - after) <= 10


def test_near_duplicates_are_found_and_different_pictures_are_not():
    def prepared(image):
        return np.asarray(image.resize((64, 64), Image.BICUBIC))

    def jpeg(image, quality):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer)

    originals = [photo(i, 200) for i in range(60)]
    copies = [jpeg(image.resize((150, 150)), 50 + i % 40) for i, image in enumerate(originals)]
    images = np.stack([prepared(i) for i in [*originals, *copies]])
    found = {tuple(pair) for pair in clean.examine(images).pairs.tolist()}
    wanted = {(i, 60 + i) for i in range(60)}
    assert len(found & wanted) >= 57 and not found - wanted
    marked = images[:60].copy()
    marked[:, 24:40, 24:40] = 255 - marked[:, 24:40, 24:40]
    assert not len(clean.examine(np.concatenate([images[:60], marked])).pairs)


def test_large_pictures_are_compared_a_few_at_a_time():
    images = np.random.default_rng(0).integers(0, 256, (8, 128, 128, 3), np.uint8)
    pairs = np.array([(a % 8, (a + 1) % 8) for a in range(400)])
    tracemalloc.start()
    assert not clean.alike(images, pairs).any()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6
    assert clean.alike(images, np.array([(0, 0), (0, 1)])).tolist() == [True, False]


def test_blank_images_of_a_curated_set_are_kept_and_counted(tmp_path):
    source = many(20)
    source.curated = True
    source._parts[0][3:5] = 7
    prepared = prepare.prepare_source(source, tmp_path / "a", Data())
    assert len(prepared) == 20
    assert any("2 images are blank" in warning for warning in prepared.facts["warnings"])


def test_labels_that_a_table_wrote_as_fractions_are_classes(tmp_path):
    root = tmp_path / "set"
    lines = [
        "file_name,label",
        *(f"{i}.png,{i % 2 if i else ''}{'.0' if i else ''}" for i in range(6)),
    ]
    for i in range(6):
        save(root / f"{i}.png", photo(i))
    (root / "metadata.csv").write_text("\n".join(lines))
    prepared = data.prepare(root, tmp_path / "out", SMALL)
    assert prepared.conditions[0].classes == ("0.0", "1.0")
    assert prepared.labels[:, 0].tolist() == [-1, 1, 0, 1, 0, 1]


def test_means_and_deviations_are_those_of_the_training_side(tmp_path):
    prepared = prepare.prepare_source(many(600), tmp_path / "a", Data())
    train = prepared.images[prepared.train].astype(np.float64)
    assert prepared.facts["images"]["mean"] == pytest.approx(
        train.mean((0, 1, 2)).tolist(), abs=1e-3
    )
    assert prepared.facts["images"]["deviation"] == pytest.approx(
        train.std((0, 1, 2)).tolist(), abs=1e-3
    )


def test_captions_and_plain_columns_survive(tmp_path):
    root = tmp_path / "set"
    lines = ["file_name,text,score,kind"]
    for i in range(6):
        save(root / f"{i}.png", photo(i))
        lines.append(f"{i}.png,{'grüße ' + str(i) if i else ''},{i / 7},{'ab'[i % 2]}")
    (root / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    prepared = data.prepare(root, tmp_path / "out", SMALL)
    assert list(prepared.texts) == ["", *(f"grüße {i}" for i in range(1, 6))]
    assert [c.name for c in prepared.conditions] == ["kind"]
    assert prepared.conditions[0].classes == ("a", "b")
    assert float(prepared.column("score")[3]) == pytest.approx(3 / 7, abs=1e-5)
    assert "1 images have no caption" in prepared.facts["warnings"]
    with pytest.raises(ValueError, match="did you mean 'score'"):
        prepared.column("scor")


@pytest.mark.parametrize("damage", ["short", "gone", "json", "format", "columns", "shape"])
def test_a_damaged_set_is_one_clear_sentence(messy, tmp_path, damage):
    folder = data.prepare(messy, tmp_path / "out", SMALL).folder
    facts = json.loads((folder / "dataset.json").read_text())
    if damage == "short":
        os.truncate(folder / "images.u8", 1000)
    elif damage == "gone":
        (folder / "columns.safetensors").unlink()
    elif damage == "json":
        (folder / "dataset.json").write_text("{")
    elif damage == "format":
        (folder / "dataset.json").write_text(json.dumps({**facts, "format": 99}))
    elif damage == "columns":
        size = (folder / "columns.safetensors").stat().st_size
        (folder / "columns.safetensors").write_bytes(b"\xff" * size)
    else:
        facts["images"]["count"] += 1
        (folder / "dataset.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"out"):
        data.open_prepared(folder)


def test_a_flipped_bit_is_found_by_the_full_check(messy, tmp_path):
    prepared = data.prepare(messy, tmp_path / "out", SMALL)
    prepared.verify()
    content = bytearray((prepared.folder / "images.u8").read_bytes())
    content[1234] ^= 1
    (prepared.folder / "images.u8").write_bytes(content)
    with pytest.raises(ValueError, match="SHA-256"):
        data.open_prepared(prepared.folder).verify()


def test_damaged_file_names_are_one_clear_sentence(messy, tmp_path):
    path = data.prepare(messy, tmp_path / "out", SMALL).folder / "columns.safetensors"
    path.write_bytes(path.read_bytes().replace(b"names.ends", b"names.end5", 1))
    with pytest.raises(ValueError, match="columns.safetensors is damaged"):
        _ = data.open_prepared(path.parent).names


def test_no_images_one_image_and_nothing_usable(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="none holds no images"):
        data.prepare(tmp_path / "none", tmp_path / "out")
    (tmp_path / "none" / "a.heic").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"1 files .*a\.heic: \.heic images are not read"):
        data.prepare(tmp_path / "none", tmp_path / "out")
    save(tmp_path / "one" / "a.png", photo(0))
    with pytest.raises(ValueError, match="only 1 image"):
        data.prepare(tmp_path / "one", tmp_path / "out")
    save(tmp_path / "one" / "b.png", photo(0))
    with pytest.raises(ValueError, match=r"only 1 image of one can be used \(1 duplicate\)"):
        data.prepare(tmp_path / "one", tmp_path / "out")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"nope")
    with pytest.raises(ValueError, match=r"none of the 1 images .* \(1 not an image\)"):
        data.prepare(tmp_path / "bad", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_full_disk_leaves_nothing_behind(messy, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write_columns", full)
        with pytest.raises(ValueError, match="disk of .* is full; nothing was kept"):
            data.prepare(messy, tmp_path / "out", SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(prepare.shutil, "disk_usage", lambda path: type("U", (), {"free": 1000}))
        with pytest.raises(ValueError, match="GB free"):
            data.prepare(messy, tmp_path / "out", SMALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["messy"]


def test_stopping_leaves_nothing_behind(messy, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.prepare(messy, tmp_path / "out", SMALL, stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["messy"]


def test_a_second_process_that_was_faster_wins(messy, tmp_path):
    first = data.prepare(messy, tmp_path / "out", SMALL)
    other = tmp_path / "staging"
    other.mkdir()
    (other / "x").write_text("late")
    prepare._move(other, first.folder)
    assert data.open_prepared(first.folder).hash == first.hash


@breaks("data/preparation/prepare.py", ", wait=True):", "):")
def test_two_who_prepare_at_once(messy, tmp_path, monkeypatch):
    """For the cache the second waits and takes what the first made; a named folder is refused."""
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    real, made, found = prepare.prepare_source, [], []

    def noted(source, dest, *rest):
        made.append(dest)
        return real(source, dest, *rest)

    monkeypatch.setattr(prepare, "prepare_source", noted)
    workers = [
        threading.Thread(target=lambda: found.append(data.ensure(messy, SMALL))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(made) == 1 and found[0].folder == found[1].folder
    assert [path.name for path in made[0].parent.iterdir()] == [made[0].name]
    refused = pytest.raises(ValueError, match=f"out is being prepared by process {os.getpid()}")
    with locked(tmp_path / ".out.lock", "it is in use"), refused:
        data.prepare(messy, tmp_path / "out", SMALL)


@breaks("data/preparation/prepare.py", "shutil.rmtree(left, ignore_errors=True)", "pass")
def test_what_a_killed_preparation_left_is_removed_by_the_next_one(messy, tmp_path):
    others = [".out-2-abcd1234", ".other-abcd1234", ".out-abcd12345"]
    for name in (".out-abcd1234", *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "images.u8").write_bytes(b"half")
    data.prepare(messy, tmp_path / "out", SMALL)
    assert {path.name for path in tmp_path.iterdir()} == {"messy", "out", *others}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_and_files_without_permission(messy, tmp_path):
    (messy / "cat" / "00.png").chmod(0)
    (messy / "dog").chmod(0)
    try:
        prepared = data.prepare(messy, tmp_path / "out", SMALL)
    finally:
        (messy / "dog").chmod(0o755)
    assert left_out(prepared)["cat/00.png"] == "no permission"
    assert any(
        "may not be read" in entry[1] for entry in prepared.facts["left_out"]["not used"]["first"]
    )


def test_a_file_without_permission_is_named(messy, tmp_path, monkeypatch):
    from zeuxis.data.source import files

    real = files.Folder.read

    def read(self, name):
        if name == "cat/00.png":
            raise PermissionError(13, "Permission denied")
        return real(self, name)

    monkeypatch.setattr(files.Folder, "read", read)
    assert left_out(data.prepare(messy, tmp_path / "out", SMALL))["cat/00.png"] == "no permission"


@pytest.mark.parametrize("size", [(1, 9), (9000, 64)])
def test_impossible_sizes(messy, tmp_path, size):
    with pytest.raises(ValueError, match="sides are 4 to 4096"):
        data.prepare(messy, tmp_path / "out", Data(size=size))


def test_strange_file_names(tmp_path):
    root = tmp_path / "set"
    for i, name in enumerate(["ünï", "a b'\"<&>", "\udcff", "-rf", "%s{0}"]):
        save(root / f"{name}.png", photo(i))
    (root / "\udcfe<b>.png").write_bytes(b"bad")
    prepared = data.prepare(root, tmp_path / "out", SMALL)
    assert len(prepared) == 5
    inspection = data.inspect(root)
    page = inspection.write(tmp_path / "page").read_text(encoding="utf-8")
    assert "<b>" not in page


def test_strange_class_names(tmp_path):
    for i in range(8):
        save(tmp_path / "set" / ("caf\udce9", "b")[i % 2] / f"{i}.png", photo(i))
    prepared = data.prepare(tmp_path / "set", tmp_path / "out", SMALL)
    assert prepared.conditions[0].classes == ("b", "caf\\udce9")
    assert len(data.prepare(prepared.folder, tmp_path / "again", SMALL)) == 8


def test_inspection_is_silent_about_broken_metadata_and_small_on_large_pictures(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    for i in range(3):
        save(tmp_path / "set" / f"{i}.jpg", photo(i, 600), exif=exif)
        path = tmp_path / "set" / f"{i}.jpg"
        content = bytearray(path.read_bytes())
        at = content.find(b"Exif\0\0")
        content[at + 10 : at + 14] = b"\xff\xff\xff\x0f"
        path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.inspect(tmp_path / "set")
    assert not [str(each.message) for each in caught]
    large = data.prepare(tmp_path / "set", tmp_path / "large")
    assert large.images.shape[1:] == (600, 600, 3)
    assert data.inspect(large.folder).sheet.shape[0] == 300


def test_inspection_says_it_in_words_and_keeps_nothing(messy, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path / "cache"))
    before = sorted(tmp_path.rglob("*"))
    inspection = data.inspect(messy)
    assert sorted(tmp_path.rglob("*")) == before
    text = "\n".join(inspection.lines())
    assert "only 2" in text and "duplicates" in text and "classes: label (2: cat, dog)" in text
    page = inspection.write(tmp_path / "page").read_text(encoding="utf-8")
    assert "cat/lies.png" in page and "data:image/png;base64," in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    prepared = data.prepare(messy, tmp_path / "out", SMALL)
    assert data.inspect(prepared.folder).facts == prepared.facts


def test_class_balance_is_warned_of():
    from zeuxis.data.preparation.warn import _balance

    column = {"name": "label", "classes": ["coat", "bag"], "counts": [40, 6000], "unknown": 3}
    assert _balance(column) == [
        "classes of 'label' are uneven: 'coat' has 40 images, 'bag' 6,000",
        "3 images have no 'label'",
    ]
