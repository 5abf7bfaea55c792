"""Pairs: every layout becomes the same two fields; what is odd is said; what does not fit is refused."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.family import Family, FamilyConfig
from zeuxis.core.fields import Field
from zeuxis.core.processes import Parallel
from zeuxis.core.settings import Data, Training, override
from zeuxis.data.preparation import derive
from zeuxis.training.resolved import make_config
from zeuxis.training.step import start, train_step

SIDE, COUNT = 16, 10


def target(number, side=SIDE):
    """A picture of its own: noise that no other one resembles."""
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)


def source(number):
    """Tells its target: the negative."""
    return 255 - target(number)


def ids(number, side=SIDE):
    """A map of ids 0, 1, 2 and 255, with the target's number in its first pixels."""
    out = np.random.default_rng(number).choice(np.array([0, 1, 2, 255], np.uint8), (side, side))
    out[0, 0] = number % 3
    return out


def save(path, pixels, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette([c for i in range(256) for c in (i, 255 - i, i)])
    image.save(path)


def halves(left, right):
    return lambda folder: [
        save(folder / f"{i}.png", np.concatenate([left(i), right(i)], 1)) for i in range(COUNT)
    ]


def folders(*places, of=(source, target), palette=False):
    """Files `i.png` below the place of the source and that of the target."""

    def make(folder):
        for i in range(COUNT):
            for place, pixels in zip(places, of, strict=True):
                path = place(i) if callable(place) else f"{place}/{i}.png"
                save(folder / path, pixels(i), palette and pixels is ids)

    return make


def sided(role):
    return lambda i: f"{'train' if i < 6 else 'test'}{role}/{i}.png"


# name: (what makes the files, settings)
LAYOUTS = {
    "A and B": (folders("A", "B"), {}),
    "B to A": (folders("B", "A"), {"pairs": "B:A"}),
    "named folders": (folders("summer", "winter"), {"pairs": "summer:winter"}),
    "inside another folder": (folders("set/A", "set/B"), {}),
    "trainA": (folders(sided("A"), sided("B")), {}),
    "A/train": (folders(*(lambda i, r=r: f"{r}/{'train' if i < 6 else 'val'}/{i}.png" for r in "AB")), {}),
    "train/A": (folders(*(lambda i, r=r: f"{'train' if i < 6 else 'val'}/{r}/{i}.png" for r in "AB")), {}),
    "names that end in the folder": (folders(lambda i: f"A/{i}_A.png", lambda i: f"B/{i}_B.png"), {}),
    "other suffixes": (folders(lambda i: f"A/{i}.bmp", "B"), {}),
    "side by side": (halves(source, target), {}),
    "side by side, asked": (halves(source, target), {"pairs": "left:right"}),
    "side by side, other way": (halves(target, source), {"pairs": "right:left"}),
}  # fmt: skip
SIDED = ("trainA", "A/train", "train/A")


@breaks("data/source/pairs.py", 'rf"[_-]{re.escape(role)}$"', 'r"$^"')
@breaks("data/source/tree.py", "parent_of(placed[image])", "parent_of(image)")
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_becomes_the_same_pairs(tmp_path, name):
    make, settings = LAYOUTS[name]
    make(tmp_path / "raw")
    prepared = data.prepare(
        tmp_path / "raw", tmp_path / "set", Data(**settings), translates=not settings
    )
    prepared.verify()
    stored = prepared.fields["source"]
    assert stored.field.kind == "image" and stored.field.shape == (3, SIDE, SIDE) and stored.paired
    assert len(prepared) == COUNT and prepared.conditions == ()
    assert np.array_equal(stored.rows, 255 - np.asarray(prepared.images))
    assert len(prepared.holdout) == (4 if name in SIDED else 0)
    if name in SIDED:
        held = {Path(prepared.names[i]).stem for i in prepared.holdout}
        assert held == {"6", "7", "8", "9"}


def test_a_zip_is_read_as_its_folder(tmp_path):
    folders("A", "B")(tmp_path / "raw")
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for file in (tmp_path / "raw").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))
    prepared = data.prepare(tmp_path / "raw.zip", tmp_path / "set", translates=True)
    assert np.array_equal(prepared.fields["source"].rows, 255 - np.asarray(prepared.images))


@breaks(
    "data/source/pairs.py",
    "both = _keys(files, folders)\n    beside",
    "both = {}, {}, []\n    beside",
)
@pytest.mark.parametrize("name", LAYOUTS)
def test_tars_are_read_as_their_folder(tmp_path, name):
    """Sources and targets may lie in shards of their own, too."""
    make, settings = LAYOUTS[name]
    make(tmp_path / "raw")
    (tmp_path / "tars").mkdir()
    for number, file in enumerate(sorted((tmp_path / "raw").rglob("*.*"))):
        with tarfile.open(tmp_path / "tars" / f"{number // 7:03d}.tar", "a") as archive:
            archive.add(file, file.relative_to(tmp_path / "raw"))
    asked = Data(**settings)
    prepared = data.prepare(tmp_path / "tars", tmp_path / "set", asked, translates=not settings)
    assert len(prepared) == COUNT
    assert np.array_equal(prepared.fields["source"].rows, 255 - np.asarray(prepared.images))
    assert len(prepared.holdout) == (4 if name in SIDED else 0)


def encoded(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        (("source", "target"), {}),
        (("conditioning_image", "image"), {}),
        (("A", "B"), {}),
        (("before", "after"), {"pairs": "before:after"}),
    ],
)
def test_columns_of_a_table_are_pairs(tmp_path, columns, settings):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    made = zip(columns, (source, target), strict=True)
    table = {name: [encoded(of(i)) for i in range(COUNT)] for name, of in made}
    table["label"] = ["a", "b"] * (COUNT // 2)
    parquet.write_table(arrow.table(table), tmp_path / "pairs.parquet")
    prepared = data.prepare(
        tmp_path / "pairs.parquet", tmp_path / "set", Data(**settings), translates=not settings
    )
    assert np.array_equal(prepared.fields["source"].rows, 255 - np.asarray(prepared.images))
    assert prepared.conditions[0].classes == ("a", "b")
    assert not any("was not used" in remark for remark in prepared.facts["remarks"])
    with pytest.raises(ValueError, match=f"no column x holds images; .*{columns[0]}"):
        data.prepare(tmp_path / "pairs.parquet", tmp_path / "no", Data(pairs=f"x:{columns[1]}"))


def test_halves_of_arrays_are_pairs_too(tmp_path):
    wide = [np.concatenate([source(i), target(i)], 1) for i in range(COUNT)]
    np.savez(tmp_path / "wide.npz", images=np.stack(wide), label=np.arange(COUNT) % 2)
    prepared = data.prepare(tmp_path / "wide.npz", tmp_path / "set", translates=True)
    assert np.array_equal(prepared.fields["source"].rows, 255 - np.asarray(prepared.images))
    assert prepared.conditions[0].classes == ("0", "1")


def test_the_command_line_prepares_and_inspects_pairs(tmp_path, capsys):
    folders("A", "B")(tmp_path / "raw")
    assert zeuxis("data", "prepare", tmp_path / "raw", tmp_path / "set", "data.pairs=A:B") == 0
    assert data.open_prepared(tmp_path / "set").fields["source"].paired
    page = ("--out", tmp_path / "page")
    assert zeuxis("data", "inspect", tmp_path / "raw", "data.pair=downscale:4", *page) == 0
    assert "an image 4 x 4, 3 channels" in " ".join(capsys.readouterr().out.split())
    for word, sentence in (
        ("data.pair=gray", "did you mean 'grey'?"),
        ("training.lr=1", "settings of data start with data."),
    ):
        assert zeuxis("data", "prepare", tmp_path / "raw", tmp_path / "other", word) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())


def test_folders_stay_classes_unless_pairs_are_asked_for_and_inspect_says_what_they_look_like(
    tmp_path,
):
    folders("A", "B")(tmp_path / "raw")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set")
    assert prepared.conditions[0].classes == ("A", "B") and set(prepared.fields) == {"image"}
    assert any("hold pairs (10 files" in line for line in data.inspect(tmp_path / "raw").lines())
    assert any("hold pairs (10 files" in remark for remark in prepared.facts["remarks"])
    halves(source, target)(tmp_path / "wide")
    assert any("data.pairs=left:right" in line for line in data.inspect(tmp_path / "wide").lines())
    both = data.prepare(tmp_path / "raw", tmp_path / "both", Data(pairs="A:B"))
    same = Data(paired=True, source_kind="image")
    assert (
        data.ensure(both.folder, same).hash == both.hash
    )  # as they are, so there is nothing to refuse
    for other in (Data(paired=False), Data(source_kind="map")):
        with pytest.raises(ValueError, match="is prepared; give data"):
            data.ensure(both.folder, other)
    said = "\n".join(data.inspect(tmp_path / "raw", Data(pairs="A:B")).lines())
    assert (
        "look as if" not in said and "each image has a source: an image 16 x 16, 3 channels" in said
    )


@breaks("data/augment.py", 'mode="bilinear" if smooth else "nearest"', 'mode="bilinear"')
@breaks("data/augment.py", "if settings.colour and kind.coloured:", "if settings.colour:")
@pytest.mark.parametrize("palette", [True, False], ids=["indexed", "grey"])
def test_a_map_keeps_its_ids_through_preparation_and_loading(tmp_path, palette):
    folders("labels", "images", of=(ids, target), palette=palette)(tmp_path / "raw")
    (tmp_path / "raw" / "labels.txt").write_text("0 sky\n1 sea\n")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", translates=True)
    stored = prepared.fields["source"]
    assert stored.field.kind == "map" and stored.field.classes[:4] == ("sky", "sea", "2", "3")
    assert len(stored.field.classes) == 256
    for i, name in enumerate(prepared.names):
        assert np.array_equal(stored.rows[i], ids(int(Path(name).stem)))
    needs = ("image", "source")
    batch = data.batches(prepared, Data(), 0, 8, needs=needs)(0, slice(0, 8))
    given = stored.field.inside(batch["source"])
    assert given.dtype == torch.int64 and set(given.unique().tolist()) == {0, 1, 2, 255}
    hard = Data(flip=True, flip_vertical=True, crop=0.4, rotate=30.0, colour=0.5)
    batch = data.batches(prepared, hard, 0, 64, needs=needs)(0, slice(0, 64))
    assert set(batch["source"].unique().tolist()) == {0, 1, 2, 255}


@breaks(
    "data/preparation/decode.py",
    "Image.Resampling.NEAREST, MISSING)\n        return Decoded",
    "Image.Resampling.BICUBIC, MISSING)\n        return Decoded",
)
def test_a_map_of_another_size_takes_the_nearest_id(tmp_path):
    folders("labels", "images", of=(lambda i: ids(i, 32), lambda i: target(i, 32)), palette=False)(
        tmp_path / "raw"
    )
    settings = Data(size=(8, 8), pairs="labels:images")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", settings)
    for row, name in zip(prepared.fields["source"].rows, prepared.names, strict=True):
        assert np.array_equal(row, ids(int(Path(name).stem), 32)[2::4, 2::4])
    again = data.prepare(tmp_path / "set", tmp_path / "half", Data(size=(4, 4)))
    assert again.fields["source"].field.shape == (4, 4)
    assert set(np.unique(again.fields["source"].rows)) <= {0, 1, 2, 255}


@breaks(
    "data/preparation/target.py",
    "ratio = ratios.pop() if len(ratios) == 1 else Fraction(1)",
    "ratio = Fraction(1)",
)
def test_sources_keep_their_share_of_the_size(tmp_path):
    folders("A", "B", of=(lambda i: target(i, 8), lambda i: target(100 + i, 32)))(tmp_path / "raw")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pairs="A:B", size=(16, 16)))
    assert prepared.fields["source"].field.shape == (3, 4, 4)


@breaks("data/preparation/prepare.py", "        beside.keep(keep)", "        pass")
def test_what_has_no_partner_or_another_shape_is_named_and_left_out(tmp_path):
    folders("A", "B")(tmp_path / "raw")
    save(tmp_path / "raw" / "A" / "alone.png", target(50))
    save(tmp_path / "raw" / "A" / "3.png", target(51)[:8])
    (tmp_path / "raw" / "A" / "4.png").write_bytes(b"no image")
    save(tmp_path / "raw" / "B" / "5.png", target(2))  # the same target as pair 2
    save(tmp_path / "raw" / "beside.png", target(52))
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pairs="A:B", size=(16, 16)))
    left = {reason: entry["first"] for reason, entry in prepared.facts["left_out"].items()}
    assert left["not used"] == [["A/alone.png", "it has no partner of equal name"]]
    assert left["shapes differ"][0][0] == "A/3.png" and left["not an image"][0][0] == "A/4.png"
    assert left["duplicate"] == [["B/5.png", "of B/2.png"]]
    remarks = "\n".join(prepared.facts["remarks"])
    assert "1 files have no partner" in remarks and "1 images beside A and B" in remarks
    assert [Path(n).stem for n in prepared.names] == ["0", "1", "2", "6", "7", "8", "9"]
    assert np.array_equal(prepared.fields["source"].rows, 255 - np.asarray(prepared.images))


@pytest.fixture(scope="module")
def unpaired(tmp_path_factory):
    """Two domains of 10 and 7 files whose names do not match, with a side each."""
    folder = tmp_path_factory.mktemp("unpaired")
    for i in range(COUNT):
        save(folder / "raw" / ("testB" if i == 9 else "trainB") / f"b{i}.png", target(i))
    save(folder / "raw" / "beside.png", target(99))
    for i in range(7):
        save(folder / "raw" / ("testA" if i > 4 else "trainA") / f"a{i}.png", source(20 + i))
    return data.prepare(folder / "raw", folder / "set", translates=True)


@breaks("data/loader.py", "own = () if stored.paired else", "own = () if True else")
@breaks("data/source/pairs.py", "2 * len(both) >= fewer", "True")
def test_unpaired_domains_have_counts_sides_and_orders_of_their_own(unpaired, tmp_path):
    stored = unpaired.fields["source"]
    assert not stored.paired and len(unpaired) == 10 and len(stored.rows) == 7
    assert len(unpaired.train) == 9 and len(stored.train) == 5 and len(stored.holdout) == 2
    assert [unpaired.source_names[i] for i in stored.holdout] == ["testA/a5.png", "testA/a6.png"]
    remarks = "\n".join(unpaired.facts["remarks"])
    assert "unpaired (no names match)" in remarks and "1 images beside A and B" in remarks
    load = data.batches(unpaired, Data(), 0, 45, needs=("image", "source"))
    whole = load(0, slice(0, 45))
    orders = []
    for key, rows, cycle in (("image", unpaired.images, 9), ("source", stored.rows, 5)):
        place = {row.tobytes(): i for i, row in enumerate(np.asarray(rows))}
        drawn = [place[x.tobytes()] for x in whole[key].permute(0, 2, 3, 1).contiguous().numpy()]
        sides = unpaired.train if key == "image" else stored.train
        for first in range(0, 45, cycle):
            assert sorted(drawn[first : first + cycle]) == sides.tolist()
        orders.append(drawn)
        assert torch.equal(load(0, slice(7, 20))[key], whole[key][7:20])
    met = {pair for pair in zip(*orders, strict=True)}
    assert len(met) > 20  # each image meets several sources
    again = data.prepare(unpaired.folder, tmp_path / "again", Data(size=(8, 8)))
    assert len(again.fields["source"].train) == 5 and not again.fields["source"].paired


@breaks("data/loader.py", 'derive_seed(seed, "epoch", *of, int', 'derive_seed(seed, "epoch", int')
def test_names_that_match_are_unpaired_only_if_asked_and_then_meet_at_random(tmp_path):
    folders("A", "B")(tmp_path / "raw")
    settings = Data(pairs="A:B", paired=False)
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", settings)
    assert not prepared.fields["source"].paired and len(prepared.fields["source"].train) == COUNT
    batch = data.batches(prepared, Data(), 0, 50, needs=("image", "source"))(0, slice(0, 50))
    met = (batch["source"] == 255 - batch["image"]).all((1, 2, 3))
    assert 0 < met.sum() < 15


def test_one_flip_crop_and_turn_moves_source_and_target_alike(tmp_path):
    """The source is its target at twice the size, so that it still is after augmentation."""
    large = [np.asarray(Image.fromarray(target(i, 4)).resize((32, 32))) for i in range(COUNT)]
    for i, pixels in enumerate(large):
        save(tmp_path / "raw" / "A" / f"{i}.png", pixels)
        save(
            tmp_path / "raw" / "B" / f"{i}.png",
            pixels.reshape(16, 2, 16, 2, 3).mean((1, 3)).astype(np.uint8),
        )
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pairs="A:B"))
    assert prepared.fields["source"].field.shape == (3, 32, 32)
    hard = Data(flip=True, flip_vertical=True, crop=0.5, rotate=90.0)
    load = data.batches(prepared, hard, 0, 64, needs=("image", "source"))
    batch = load(0, slice(0, 64))
    small = torch.nn.functional.avg_pool2d(batch["source"].float(), 2)
    apart = (small - batch["image"].float()).abs().mean((1, 2, 3))
    others = (small - batch["image"].float().roll(1, 0)).abs().mean((1, 2, 3))
    assert apart.max() < 12 and others.mean() > 30
    plain = data.batches(prepared, Data(), 0, 64, needs=("image",))(0, slice(0, 64))
    assert (batch["image"].float() - plain["image"].float()).abs().mean() > 20


@pytest.mark.parametrize(
    ("word", "shape"),
    {
        "grey": (1, 16, 16), "downscale:2": (3, 8, 8), "edges": (1, 16, 16), "mask": (3, 16, 16),
        "jpeg:10": (3, 16, 16), "jpeg": (3, 16, 16), "blur": (3, 16, 16), "blur:1": (3, 16, 16),
    }.items(),
)  # fmt: skip
def test_a_source_is_made_of_each_image(tmp_path, word, shape):
    pixels = np.stack([target(i) for i in range(4)])
    np.savez(tmp_path / "x.npz", images=pixels)
    prepared = data.prepare(tmp_path / "x.npz", tmp_path / "set", Data(pair=word))
    stored = prepared.fields["source"]
    assert stored.field.shape == shape and stored.paired
    make = derive.operation(word)
    assert all(np.array_equal(stored.rows[i], make(pixels[i], i)) for i in range(4))
    assert data.ensure(prepared.folder, Data(pair=word)).hash == prepared.hash


def test_made_sources_are_what_their_names_say():
    soft = np.zeros((32, 32, 3), np.uint8)
    soft[:, 16:] = 200
    drawn = derive.operation("edges")(soft, 0)[..., 0]
    assert (
        (drawn[:, :13] == 255).all() and (drawn[:, 19:] == 255).all() and (drawn == 0).any(1).all()
    )
    hidden = [derive.operation("mask")(soft, i) != soft for i in range(20)]
    assert (
        all(1 / 20 < h.any(-1).mean() < 0.3 for h in hidden)
        and len({h.tobytes() for h in hidden}) > 15
    )
    clear = np.dstack([soft, np.full((32, 32), 0, np.uint8)])
    assert (derive.operation("grey")(clear, 0) == 255).all()
    assert derive.operation("blur")(soft, 0)[:, 15:17].std() > 0
    assert derive.operation("jpeg:5")(clear, 0).shape == (32, 32, 3)


# settings: (the files, the sentence)
REFUSED = [
    ({"pair": "gray"}, folders("A", "B"), "no operation 'gray'; did you mean 'grey'"),
    ({"pair": "jpeg:0"}, folders("A", "B"), "from 1 to 100, such as jpeg:10"),
    ({"pair": "jpeg:x"}, folders("A", "B"), "from 1 to 100"),
    ({"pair": "downscale"}, folders("A", "B"), "needs a number, such as downscale:4"),
    ({"pair": "grey:2"}, folders("A", "B"), "takes no number"),
    ({"pair": "downscale:5"}, folders("A", "B"), "no whole image of 16x16"),
    ({"pairs": "A:X"}, folders("A", "B"), "no folder X holds images"),
    ({"pairs": "A:B"}, folders("A", lambda i: f"B/b{i}.png"), None),
    ({"pairs": "A:B", "paired": True}, folders("A", lambda i: f"B/b{i}.png"), "no file of A has one"),
    ({"pairs": "A:B"}, folders("A", "B", of=(lambda i: target(i)[:8], target)), "none of the 10 pairs"),
    ({"pairs": "left:right"}, lambda f: folders("A", "B", of=(lambda i: target(i)[:, :15],) * 2)(f), "odd"),
    ({"pairs": "A:B", "source_kind": "map"}, folders("A", "B"), "it holds colours, no class ids"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "make", "sentence"), REFUSED)
def test_bad_input_is_one_sentence(tmp_path, settings, make, sentence):
    make(tmp_path / "raw")
    if sentence is None:
        assert (
            not data.prepare(tmp_path / "raw", tmp_path / "set", Data(**settings))
            .fields["source"]
            .paired
        )
        return
    with pytest.raises(ValueError, match=sentence) as error:
        data.prepare(tmp_path / "raw", tmp_path / "set", Data(**settings))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"pair": "grey", "pairs": "A:B"}, "both data.pair and data.pairs"),
        *(
            ({"pairs": word}, r"data\.pairs: expected two folders")
            for word in ("A", "A:", "A:A", "a/b:c")
        ),
    ],
)
def test_settings_of_pairs_are_checked(words, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        override(Data(), words, "data.")
    assert "\n" not in str(error.value)


def test_a_family_that_translates_is_not_given_single_images(tmp_path):
    for i in range(COUNT):
        save(tmp_path / "raw" / f"{i}.png", target(i))
    for given in (tmp_path / "raw", "avatars"):
        with pytest.raises(ValueError, match=r"learns from pairs.*data\.pair=OPERATION"):
            data.prepare(given, tmp_path / "set", translates=True)
    prepared = data.prepare(tmp_path / "raw", tmp_path / "plain")
    with pytest.raises(ValueError, match="prepared as single images"):
        data.ensure(prepared.folder, Data(pairs="A:B"))
    made = data.ensure(prepared.folder, Data(pair="grey"))
    assert made.folder != prepared.folder and made.fields["source"].field.shape == (1, SIDE, SIDE)


@pytest.mark.parametrize(
    ("name", "content"),
    [("legend.txt", "sky\nsea\n"), ("classes.csv", "id,name\n1,sea\n0,sky\n"),
     ("labels.json", json.dumps({"sky": 0, "sea": 1})), ("names.json", json.dumps({"0": "sky", "1": "sea"}))],
)  # fmt: skip
def test_a_legend_names_the_ids(tmp_path, name, content):
    folders("A", "B", of=(lambda i: ids(i) % 2, target), palette=False)(tmp_path / "raw")
    (tmp_path / "raw" / name).write_text(content)
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pairs="A:B"))
    assert prepared.fields["source"].field.classes == ("sky", "sea")


def test_ids_that_the_legend_lacks_are_named(tmp_path):
    folders("A", "B", of=(lambda i: ids(i) % 4, target), palette=False)(tmp_path / "raw")
    (tmp_path / "raw" / "labels.txt").write_text("sky\nsea")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pairs="A:B"))
    said = "the legend (0 sky, 1 sea ...) does not name: 2, 3"
    assert any(said in remark for remark in prepared.facts["remarks"])


@breaks("data/preparation/partner.py", "sources[held_out == 1]", "sources[:0]")
def test_a_source_on_both_sides_of_the_split_is_said(tmp_path):
    for side, first in (("train", 0), ("test", 50)):
        for i in range(6):
            save(tmp_path / "raw" / side / "A" / f"{i}.png", source(i if i < 2 else first + i))
            save(tmp_path / "raw" / side / "B" / f"{i}.png", target(first + i))
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pairs="A:B"))
    assert any(w.startswith("2 training images have a source") for w in prepared.facts["warnings"])


class Translator(Family):
    """One convolution from a source, image or map of any size, to its target."""

    class Config(FamilyConfig):
        """With a source."""

        source: Field

    def __init__(self, config):
        super().__init__()
        self.config, given = config, config.source
        self.depth = len(given.classes) if given.kind == "map" else given.shape[0]
        self.net = torch.nn.Conv2d(self.depth, config.channels, 1)

    def needs(self):
        """Both."""
        return ("image", "source")

    def loss(self, phase, batch, ctx):
        """The mean squared error."""
        given, image = batch["source"], batch["image"]
        if self.config.source.kind == "map":
            given = functional.one_hot(given, self.depth).permute(0, 3, 1, 2).to(image.dtype)
        given = functional.interpolate(given, image.shape[-2:])
        return {"total": (self.net(given) - image).square().mean()}


class Unpaired(Translator):
    """One that does without pairs."""

    UNPAIRED = True


@breaks("training/resolved.py", "if not stored.paired and not cls.UNPAIRED:", "if False:")
def test_the_config_of_a_family_that_translates_takes_its_source_from_the_set(tmp_path, unpaired):
    folders("A", "B")(tmp_path / "raw")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(pair="downscale:2"))
    made = make_config(Translator, prepared, Data(), {})
    assert made.source == prepared.fields["source"].field and made.source.shape == (3, 8, 8)
    assert Translator.Config.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(ValueError, match="comes from the data"):
        make_config(Translator, prepared, Data(), {"source": "x"})
    plain = data.prepare(tmp_path / "raw", tmp_path / "plain")
    with pytest.raises(ValueError, match=r"holds single images.*data\.pairs=A:B"):
        make_config(Translator, plain, Data(), {})
    assert make_config(Unpaired, unpaired, Data(), {}).source.shape == (3, SIDE, SIDE)
    with pytest.raises(ValueError, match="do not belong to its images one by one"):
        make_config(Translator, unpaired, Data(), {})


@pytest.mark.parametrize(
    ("of", "settings"),
    [((source, target), {"pairs": "A:B"}), ((source, target), {"pair": "downscale:2"}),
     ((lambda i: ids(i) % 3, target), {"pairs": "A:B", "source_kind": "map"})],
    ids=["image", "smaller image", "map"],
)  # fmt: skip
def test_a_family_learns_from_images_and_maps_as_sources(tmp_path, of, settings):
    folders("A", "B", of=of)(tmp_path / "raw")
    prepared = data.prepare(tmp_path / "raw", tmp_path / "set", Data(**settings))
    torch.manual_seed(0)  # the same start, whichever tests ran before
    model = Translator(make_config(Translator, prepared, Data(), {}))
    load = data.batches(prepared, Data(flip=True, crop=0.1), 0, 10, needs=model.needs())
    training = Training(steps=40, batch_size=10, lr=0.05, warmup=0)
    state = start(model, training, torch.device("cpu"), "float32", Parallel())
    losses = []
    for state.step in range(40):
        losses.append(float(train_step(state, load)["main/total"]))
    assert np.mean(losses[-5:]) < (0.05 if settings == {"pairs": "A:B"} else 0.9) * losses[0]


@breaks("data/source/pairs.py", "source.palette = maps.palette(source)", "pass")
@breaks("data/source/maps.py", "if len(found) != 1:", "if False:")
def test_a_legend_s_colours_come_from_its_file_or_from_indexed_maps(tmp_path):
    """And there are none if the maps disagree."""

    def field(name, legend, palettes):
        folder = tmp_path / name
        for number, palette in enumerate(palettes):
            ids = np.random.default_rng(number).integers(0, 3, (16, 16), np.uint8)
            indexed = Image.fromarray(ids)
            if palette:
                indexed = Image.frombytes("P", (16, 16), ids.tobytes())
                indexed.putpalette(palette)
            (folder / "labels").mkdir(parents=True, exist_ok=True)
            indexed.save(folder / "labels" / f"{number}.png")
            save(folder / "images" / f"{number}.png", 80 * ids[..., None].repeat(3, 2))
        if legend:
            (folder / "legend.txt").write_text(legend)
        return data.ensure(folder, translates=True).fields["source"].field

    one, other = [0, 0, 255, 255, 0, 0, 0, 128, 0], [0, 0, 255, 255, 0, 0, 0, 128, 9]
    said = field("said", "0 deep sea #0000FF\n1 sand #ffee00\n2 wood #008000\n", [None] * 12)
    assert said.classes == ("deep sea", "sand", "wood")
    assert said.colours == ("#0000ff", "#ffee00", "#008000")
    indexed = field("indexed", "sea\nsand\nwood", [one] * 12)
    assert indexed.colours == ("#0000ff", "#ff0000", "#008000")
    assert indexed.palette.tolist() == [[0, 0, 255], [255, 0, 0], [0, 128, 0]]
    assert field("mixed", "", [one, other] * 6).colours == ()
    assert field("grey", "sea\nsand\nwood", [None] * 12).colours == ()
