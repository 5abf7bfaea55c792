"""Strangers' layouts: what becomes of their folders and of the files beside their images, and what is said.

One table, read from a folder, a zip and a tar alike. Names of cases are the layouts' own.
"""

import dataclasses
import json
import unicodedata
from collections.abc import Mapping

import pytest

from tests.data.test_sources import png, write, write_tar, write_zip
from tests.support.sabotage import breaks
from zeuxis.data.preparation import columns
from zeuxis.data.source import open_source


@dataclasses.dataclass(frozen=True)
class Case:
    """Files by name, and what is expected of them.

    Attributes:
        files: name -> content; a number is a picture.
        labels: of each image by its name, where there is a column `label`.
        classes: of each condition.
        texts: captions by image.
        columns: all other words of an image.
        held: images that are held out.
        said: parts of sentences.
        images: how many; as many as `labels` by default.
    """

    files: Mapping[str, str | bytes | int]
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    held: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    images: int | None = None


def pictures(*folders, count=2, name="{}.png"):
    """Pictures in each of the folders, named alike in all."""
    return {f"{f}/{name.format(i)}".lstrip("/"): 0 for f in folders for i in range(count)}


def jsonl(*lines):
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def table(*labels, column="label", **more):
    """A metadata.jsonl for 0.png, 1.png ..."""
    return jsonl(*({"file_name": f"{i}.png", column: v, **more} for i, v in enumerate(labels)))


def stylegan(*labels, name="{}.png"):
    return json.dumps({"labels": [[name.format(i), label] for i, label in enumerate(labels)]})


FOUR = pictures("", count=4)
AB = {f"{i}.png": "ab"[i % 2] for i in range(4)}
LABELLED = {"label": ("a", "b")}
PETS = {"classes": {"label": ("cat", "dog")}}
PETS["labels"] = {f"{c}/{i}.png": c for c in ("cat", "dog") for i in range(2)}
CSV = "file_name,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\n"
HOT = [[1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0]]
NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))


def voc(*names):
    box = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>4</ymax></bndbox>"
    entries = "".join(f"<object><name>{name}</name>{box}</object>" for name in names)
    return f"<annotation><filename>odd.jpg</filename>{entries}</annotation>"


COCO = {
    "images": [{"id": 7, "file_name": "0.png"}, {"id": 9, "file_name": "1.png"}],
    "categories": [{"id": 3, "name": "traffic light"}],
    "annotations": [
        {"image_id": 7, "bbox": [1, 2.5, 29, 1.5], "category_id": 3},
        {"image_id": 7, "bbox": [0, 0, 1, 1], "category_id": 4},
        {"image_id": 9, "caption": "a pear "},
        {"image_id": 9, "caption": "fruit"},
    ],
}
COCO_BOXES = {"boxes": "1 2.5 30 4 traffic light\n0 0 1 1"}

FOLDERS = {
    "class folders": Case(pictures("cat", "dog"), **PETS, said=("classes: label (2: cat, dog)",)),
    "a picture beside class folders": Case(
        {**pictures("cat", "dog"), "preview.png": 0},
        classes=PETS["classes"],
        labels={**PETS["labels"], "preview.png": ""},
        said=("1 of 5 images lie in no folder of a class, such as preview.png",),
    ),
    "a picture beside the folder around all": Case(
        {**pictures("pets/cat", "pets/dog"), "preview.png": 0},
        classes=PETS["classes"],
        labels={"pets/cat/0.png": "cat", "preview.png": ""},
        images=5,
    ),
    "more pictures than the folders hold": Case(
        {**pictures("cat", "dog", count=1), **FOUR},
        said=("classes: none: 4 of 6 images lie in no folder",),
        images=6,
    ),
    "one folder": Case(
        pictures("cat", count=4), said=("classes: none: no folder or file speaks of any",), images=4
    ),
    "shards of StyleGAN and img2dataset": Case(
        {f"0000{i % 2}/{i:09d}.png": 0 for i in range(6)},
        said=("classes: none: folders are numbered on, 00000 to 00001, as shards are",),
        images=6,
    ),
    "people in folders of five digits": Case(
        pictures("00000", "00001"), classes={"label": ("00000", "00001")}
    ),
    "a folder for each picture": Case(
        {f"{i}/x.png": 0 for i in range(4)},
        labels={f"{i}/x.png": str(i) for i in range(4)},
        said=("classes: none: column 'label' is none: 4 different words for 4 images",),
    ),
    "train and test": Case(
        {f"{s}/{name}": 0 for s in ("train", "val") for name in PETS["labels"]},
        classes=PETS["classes"],
        held=("val/cat/0.png", "val/cat/1.png", "val/dog/0.png", "val/dog/1.png"),
    ),
    "Kaggle's training_set, twice": Case(
        {f"{s}/{s}/{name}": 0 for s in ("training_set", "test_set") for name in PETS["labels"]},
        classes=PETS["classes"],
        held=tuple(f"test_set/test_set/{name}" for name in PETS["labels"]),
    ),
    "Intel's seg_train, seg_test and seg_pred": Case(
        {
            f"{s}/{s}/{c}/{i}.png": 0
            for s in ("seg_train", "seg_test")
            for c in ("cat", "dog")
            for i in (0, 1)
        }
        | {"seg_pred/seg_pred/0.png": 0},
        classes=PETS["classes"],
        held=tuple(f"seg_test/seg_test/{name}" for name in PETS["labels"]),
        said=("1 of 9 images lie in no folder of a class, such as seg_pred/seg_pred/0.png",),
    ),
    "a contest's test side without classes": Case(
        {f"{s}/{i}.png": 0 for s in ("train/cat", "train/dog", "test") for i in range(6)},
        classes=PETS["classes"],
        held=tuple(f"test/{i}.png" for i in range(6)),
        said=("6 of 18 images lie in no folder of a class, such as test/0.png",),
    ),
    "train2017 and val2014": Case(
        pictures("train2017", "val2014"), held=("val2014/0.png", "val2014/1.png"), images=4
    ),
    "DIV2K": Case(
        pictures("DIV2K_train_HR", "DIV2K_valid_HR"),
        held=("DIV2K_valid_HR/0.png", "DIV2K_valid_HR/1.png"),
        images=4,
    ),
    "sides within class folders": Case(
        pictures("cat/train", "cat/test", "dog/train", "dog/test"),
        classes=PETS["classes"],
        held=tuple(f"{c}/test/{i}.png" for c in ("cat", "dog") for i in range(2)),
    ),
    "sides and classes in one name": Case(
        pictures("cat_train", "cat_test", "dog_train", "dog_test"),
        classes=PETS["classes"],
        held=tuple(f"{c}_test/{i}.png" for c in ("cat", "dog") for i in range(2)),
    ),
    "classes that are called like sides": Case(
        pictures("test tube", "train station"), classes={"label": ("test tube", "train station")}
    ),
    "one folder name in two normal forms": Case(
        {f"{NFC}/0.png": 0, f"{NFD}/1.png": 0, "bar/2.png": 0, "bar/3.png": 0},
        classes={"label": ("bar", NFC)},
    ),
    "masks in a folder beside": Case(
        {**pictures("images", "masks"), "labels/0.txt": "0 0.5 0.5 0.2 0.2"},
        said=(
            "2 were not used, such as masks/0.png: it is a mask",
            "no family uses: boxes (what is where in 1 images), mask_file (masks of 2 images)",
        ),
        columns={
            "images/0.png": {"mask_file": "masks/0.png", "boxes": "0 0.5 0.5 0.2 0.2"},
            "images/1.png": {"mask_file": "masks/1.png"},
        },
    ),
    "files called after sides of a split": Case(
        {"train_1.png": 0, "train_2.png": 0, "test_1.png": 0, "extra.png": 0},
        said=("as train_1.png and test_1.png are, which decides nothing", "column 'split'"),
        images=4,
    ),
    "trains on rails": Case(
        pictures("", name="train_{}.png", count=4), said=("classes: none",), images=4
    ),
    "masks by name": Case(
        {**pictures("benign", "normal"), "benign/0_mask.png": 0, "benign/0_mask_1.png": 0},
        classes={"label": ("benign", "normal")},
        said=("2 were not used, such as benign/0_mask.png", "mask_file (masks of 1 images)"),
    ),
}

BESIDE = {
    "StyleGAN's labels in a folder around all": Case(
        {"my/00000/0.png": 0, "my/00000/1.png": 0, "my/dataset.json": stylegan(1, 0, name="00000/{}.png")},
        labels={"my/00000/0.png": "1", "my/00000/1.png": "0"},
        classes={"label": ("0", "1")},
    ),
    "StyleGAN's labels with backslashes": Case(
        {**pictures("00000"), "dataset.json": stylegan(1, 0, name="00000\\{}.png")},
        labels={"00000/0.png": "1", "00000/1.png": "0"},
        classes={"label": ("0", "1")},
    ),
    "StyleGAN's labels of other files": Case(
        {**FOUR, "dataset.json": stylegan(0, 1, name="x{}.png")},
        said=("dataset.json speaks of 2 files that are not there, such as x0.png",),
        images=4,
    ),
    "one-hot vectors": Case(
        {**FOUR, "dataset.json": stylegan([1, 0], [0, 1.0], [0, 1], [0, 0])},
        labels={"0.png": "0", "1.png": "1", "2.png": "1", "3.png": ""},
        classes={"label": ("0", "1")},
    ),
    "vectors with several ones": Case(
        {**FOUR, "dataset.json": stylegan(*HOT)},
        classes={f"label_{k}": ("0", "1") for k in range(3)},
        said=("column 'label' as one class was not used: images have several",),
        images=4,
    ),
    "vectors of a pose": Case(
        {**FOUR, "dataset.json": stylegan(*([0.5 * i, -1, 2] for i in (1, 1, 2, 2)))},
        said=("classes: none: column 'label' is none: its words are lists", "holds vectors of numbers"),
        images=4,
    ),
    "lists of one word": Case(
        {**FOUR, "metadata.jsonl": table(["a"], ["b"], ["a"], ["b"])}, AB, LABELLED
    ),
    "lists of several words": Case(
        {**FOUR, "metadata.jsonl": table(["cat", "in"], ["dog"], ["dog", "in"], ["cat"])},
        classes={f"label_{w}": ("0", "1") for w in ("cat", "dog", "in")},
        images=4,
    ),
    "lists in cells": Case(
        {**FOUR, "metadata.csv": CSV.replace(",a", ",\"['x', 'y']\"").replace(",b", ",['x']")},
        classes={"label_y": ("0", "1")},
        images=4,
    ),
    "objects": Case(
        {**FOUR, "metadata.jsonl": table(*[{"bbox": [[0, 0, 1, 1]]}] * 4, column="objects")},
        said=("kept as columns that no family uses: objects", "it holds objects, kept as text"),
        images=4,
    ),
    "ids as floats": Case(
        {**FOUR, "metadata.jsonl": table(1000001.0, 1000002.0, 1000001.0, 1000002.0)},
        classes={"label": ("1000001", "1000002")},
    ),
    "missing values in words": Case(
        {**pictures("", count=6), "metadata.jsonl": table("a", "b", "nan", "None", "a", "NULL")},
        labels={"2.png": "", "3.png": "", "5.png": ""},
        classes=LABELLED,
        said=("'nan', 'None', 'NULL' in column 'label' was not used: 3 values say nothing",),
        images=6,
    ),
    "few images a class": Case(
        {**FOUR, "metadata.jsonl": table(*"abca")},
        said=("column 'label' is none: 3 different words for 4 images",),
        images=4,
    ),
    "fractions": Case(
        {**FOUR, "metadata.jsonl": table(0.5, 1.5, 0.5, 1.5)},
        labels={"0.png": "0.5"},
        said=("classes: none: column 'label' is none: its words are fractions",),
        images=4,
    ),
    "a column of sides": Case(
        {**FOUR, "metadata.jsonl": table("train", "train", "test", "val", column="split")},
        held=("2.png", "3.png"),
        said=("column 'split' says the sides of the split",),
        images=4,
    ),
    "semicolons": Case({**FOUR, "metadata.csv": CSV.replace(",", ";")}, AB, LABELLED),
    "Excel's own first line": Case(
        {**FOUR, "metadata.csv": "sep=;\r\n" + CSV.replace(",", ";")}, AB, LABELLED
    ),
    "tabs in UTF-16": Case(
        {**FOUR, "metadata.csv": CSV.replace(",", "\t").encode("utf-16")}, AB, LABELLED
    ),
    "a line separator in a caption": Case(
        {**FOUR, "metadata.jsonl": table(*"abab", text="one\u2028two\u0085three")},
        AB,
        LABELLED,
        texts={"3.png": "one\u2028two\u0085three"},
    ),
    "composed names in the table, decomposed ones on disk": Case(
        {f"{NFD}{i}.png": 0 for i in range(4)}
        | {"metadata.csv": CSV.replace("\n0", f"\n{NFC}0").replace("\n1", f"\n{NFC}1")},
        labels={f"{NFD}0.png": "a", f"{NFD}1.png": "b", f"{NFD}2.png": ""},
        classes=LABELLED,
        said=("speaks of 2 files that are not there, such as 2.png",),
        images=4,
    ),
    "names in another case": Case(
        {**pictures("", count=4, name="{}.PNG"), "metadata.csv": CSV},
        labels={f"{i}.PNG": "ab"[i % 2] for i in range(4)},
        classes=LABELLED,
    ),
    "a table of another name": Case(
        {**FOUR, "labels.csv": CSV},
        said=("labels.csv was not used: a table is read as metadata.csv",),
        images=4,
    ),
    "labels beside class folders": Case(
        {**pictures("cat", "dog"), "metadata.csv": "file_name,label\ncat/0.png,x\ndog/1.png,y\n"},
        labels={"cat/0.png": "x", "cat/1.png": ""},
        classes={"label": ("x", "y")},
        said=("folders as classes (cat, dog) was not used: other files say the labels",),
        images=4,
    ),
    "a byte order mark in files of one image": Case(
        {**FOUR, "0.txt": b"\xef\xbb\xbfa grape", "1.json": b'\xef\xbb\xbf{"caption": "a pear", "url": "x"}'},
        texts={"0.png": "a grape", "1.png": "a pear", "2.png": ""},
        said=("captions: of 2 images", "the keys url was not used"),
        images=4,
    ),
    "captions of kohya's kind": Case(
        {**FOUR, "0.caption": "near", "0.txt": "far", "1.png.txt": "also", "2.cls": "7"},
        labels={"2.png": "7"},
        texts={"0.png": "near", "1.png": "also"},
        said=("1 images have captions that differ",),
        images=4,
    ),
    "captions in another encoding": Case(
        {**FOUR, "0.txt": "caf\u00e9".encode("latin-1")},
        texts={"0.png": "caf\ufffd"},
        said=("1 files beside images are not UTF-8",),
        images=4,
    ),
    "boxes of YOLO": Case(
        {**FOUR, "0.txt": "0 0.5 0.5 0.2 0.2\n11 0.1 .1 1e-3 0.1\n", "1.txt": "3 2 1 go"},
        texts={"0.png": "", "1.png": "3 2 1 go"},
        said=("1 .txt files hold boxes", "captions: of 1 images", "uses: boxes (what is where in 1 images)"),
        images=4,
    ),
    "boxes of Pascal VOC": Case(
        {
            **{f"VOC/{side}/JPEGImages/{i}.jpg": 0 for side in ("train", "val") for i in (0, 1)},
            "VOC/train/Annotations/0.xml": voc("dog", "traffic light"),
            "VOC/val/Annotations/0.xml": voc("cat"),
            "VOC/val/Annotations/5.xml": voc("cat"),
            "VOC/val/Annotations/1.xml": "<other/>",
        },
        columns={
            "VOC/train/JPEGImages/0.jpg": {"boxes": "1 2.5 30 4 dog\n1 2.5 30 4 traffic light"},
            "VOC/train/JPEGImages/1.jpg": {},
            "VOC/val/JPEGImages/0.jpg": {"boxes": "1 2.5 30 4 cat"},
            "VOC/val/JPEGImages/1.jpg": {},
        },
        held=tuple(f"VOC/val/JPEGImages/{i}.jpg" for i in (0, 1)),
        said=(
            "uses: boxes (what is where in 2 images)",
            "5.xml was not used: its boxes are of an image that is not there",
            "1.xml was not used: XML is read as Pascal VOC writes boxes",
        ),
    ),
    "boxes and captions of COCO": Case(
        {**pictures("train2017"), "annotations/instances.json": json.dumps(COCO)},
        columns={"train2017/0.png": COCO_BOXES, "train2017/1.png": {}},
        texts={"train2017/1.png": "a pear"},
        said=("captions: of 1 images", "uses: boxes (what is where in 1 images)",),
    ),
    "boxes of COCO beside the images, as Roboflow writes them": Case(
        {
            **pictures("train", "test", count=1),
            "train/_annotations.coco.json": json.dumps(COCO),
            "test/_annotations.coco.json": '{"images": 1, "annotations": []}',
        },
        columns={"train/0.png": COCO_BOXES, "test/0.png": {}},
        held=("test/0.png",),
        said=(
            "speaks of 1 files that are not there, such as 1.png",
            "test/_annotations.coco.json was not used: it is not as COCO writes boxes",
        ),
    ),
    "boxes that repeat are no classes": Case(
        {**FOUR, **{f"{i}.txt": f"{i % 2} .5 .5 .2 .2" for i in range(4)}},
        columns={f"{i}.png": {"boxes": f"{i % 2} .5 .5 .2 .2"} for i in range(4)},
    ),
    "boxes of ultralytics": Case(
        {**pictures("images/train", "images/val", count=1), "labels/val/0.txt": "0 .5 .5 .2 .2"},
        columns={"images/train/0.png": {}, "images/val/0.png": {"boxes": "0 .5 .5 .2 .2"}},
        held=("images/val/0.png",),
    ),
    "an archive among images": Case(
        {**FOUR, "more.zip": b"PK"}, said=("more.zip was not used: an archive",), images=4
    ),
    "no suffix": Case(
        {"0a1b": 0, "2c3d": 0, "README": "no image"},
        said=("2 files are images by their first bytes", "README was not used: it is no image"),
        images=2,
    ),
}  # fmt: skip

FLAT = pictures("train", "test", count=4)
TAGS = ("clear primary", "cloudy water", "clear primary", "cloudy water")

REPORTS = {
    "huggingface/datasets#7880: sides are no classes": Case(
        FLAT, held=tuple(f"test/{i}.png" for i in range(4)), images=8
    ),
    "cvat-ai/cvat#5143: a class folder within another": Case(
        {**pictures("cat", "dog"), "dog/cat/9.png": 0, "labels.txt": "cat\ndog\n"},
        classes=PETS["classes"],
        labels={**PETS["labels"], "dog/cat/9.png": "dog"},
        said=("labels.txt was not used",),
    ),
    "cvat-ai/cvat#8973: YOLO's boxes in a folder of their own": Case(
        {**pictures("obj_train_data"), "obj_train_labels/0.txt": "0 .5 .5 .2 .2", "obj.names": "a"},
        said=("classes: none", "obj.names was not used"),
        columns={"obj_train_data/0.png": {"boxes": "0 .5 .5 .2 .2"}, "obj_train_data/1.png": {}},
    ),
    "roboflow/supervision#625: a table a side": Case(
        {**FLAT, **{f"{s}/_classes.csv": "filename, cat\n0.png, 1\n" for s in ("train", "test")}},
        held=tuple(f"test/{i}.png" for i in range(4)),
        said=(
            "2 were not used, such as",
            "/_classes.csv: a table is read as metadata.csv",
        ),
        images=8,
    ),
    "rom1504/clip-retrieval#14: images called .img": Case(
        {"0000.img": 0, "0001.img": 0, "0000.cap": "a cat"},
        said=("2 files are images by their first bytes", "0000.cap was not used"),
        images=2,
    ),
    "ieee8023/covid-chestxray-dataset#96: names without suffix": Case(
        {**pictures("images"), "images/metadata.csv": "file_name,label\n0,a\n1.png,b\n"},
        labels={"images/0.png": "a", "images/1.png": "b"},
        classes=LABELLED,
        said=("1 names in images/metadata.csv are not exact", "such as 0 for images/0.png"),
    ),
    "fastai/fastai#1169: train.csv beside train": Case(
        {f"train/n0{k}/{i}.JPEG": 0 for k in range(2) for i in range(2)}
        | {"train.csv": "filenames,cats\nn00/0.JPEG,352\n"},
        classes={"label": ("n00", "n01")},
        said=("train.csv was not used: a table is read as metadata.csv",),
        images=4,
    ),
    "modestyachts/ImageNetV2#10: folders 0 to 11": Case(
        pictures(*map(str, range(12))), classes={"label": tuple(map(str, range(12)))}
    ),
    "tensorflow/tensorflow#46595: Jupyter's hidden folders": Case(
        {
            **pictures("cat", "dog"),
            ".ipynb_checkpoints/0.png": 0,
            "cat/.ipynb_checkpoints/0.png": 0,
        },
        **PETS,
    ),
    "bhklab/med-imagetools#426: nnU-Net's dataset.json": Case(
        {**FOUR, "dataset.json": json.dumps({"labels": {"background": 0, "tumour": 1}})},
        said=("dataset.json was not used",),
        images=4,
    ),
    "NVIDIA/DALI_extra#122: suffixes in capitals": Case(
        {"0.PNG": 0, "0.TXT": "a cat", "0.CLS": "1", "1.PNG": 0, "1.Json": '{"label": 0}'},
        labels={"0.png": "1", "1.png": "0"},
        classes={"label": ("0", "1")},
        texts={"0.png": "a cat"},
        images=2,
    ),
    "SkalskiP/make-sense#164: names without folders, of two images each": Case(
        {**pictures("set_1", "set_2"), "metadata.csv": "file_name,label\n0.png,a\n1.png,b\n"},
        classes={"label": ("set_1", "set_2")},
        said=("metadata.csv speaks of 2 files that are not there, such as 0.png",),
    ),
    "fastai/fastai_dev#41: several tags in a word": Case(
        {
            **FOUR,
            "metadata.csv": "file_name,tags\n"
            + "".join(f"{i}.png,{t}\n" for i, t in enumerate(TAGS)),
        },
        classes={"tags": ("clear primary", "cloudy water")},
        said=("classes: tags (2: clear primary, cloudy water)",),
        images=4,
    ),
}
"""Reports of other projects' users, tried after these rules stood (docs/reading-your-data.md)."""


def contents(files):
    return {
        name: png(i) if content == 0 else content for i, (name, content) in enumerate(files.items())
    }


PACKS = {
    "folder": (write, ""),
    "zip": (lambda at, files: write_zip(at / "set.zip", files), ""),
    "tar": (lambda at, files: write_tar(at / "set.tar", files), "set.tar/"),
}


def read(path):
    """The source, its conditions, and all that is said of it."""
    source = open_source(path)
    words = {
        n: [i.columns.get(n, "") for i in source.items]
        for n in columns.names(i.columns for i in source.items)
    }
    conditions, _ = columns.split(words, source.classes)
    texts = sum(bool(item.text) for item in source.items)
    said = [*columns.remarks(words, conditions, source, texts), *source.notes]
    source.close()
    return source, {c.name: c.classes for c in conditions}, "\n".join(said)


@breaks(
    "data/source/values.py",
    "str(int(value)) if value.is_integer() else repr(value)",
    'f"{value:g}"',
)
@breaks("data/source/values.py", 'return "" if value in NOTHING else', "return")
@breaks(
    "data/source/places.py", "if len(deeper) != 1 or here >= below:", "if len(deeper) != 1 or here:"
)
@breaks("data/source/places.py", "groups.setdefault(rest, {})", 'groups.setdefault("", {})')
@breaks("data/source/beside.py", "image = self._names.guess(called, folder)", "image = None")
@breaks("data/source/files.py", "is_image(self.head(name))", "False")
@breaks("data/preparation/columns.py", "if any(map(_is_list, counts)):", "if False:")
@breaks("data/preparation/columns.py", "if name not in KEPT else None", "if True else None")
@breaks("data/source/boxes.py", "left + width", "width")
@breaks("data/source/places.py", 'f"{_role(parent)[1]}/{called}"', "called")
@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("name", [*FOLDERS, *BESIDE, *REPORTS])
def test_layouts(name, pack, tmp_path):
    case = (FOLDERS | BESIDE | REPORTS)[name]
    make, around = PACKS[pack]
    source, classes, said = read(make(tmp_path, contents(case.files)))
    items = {item.name.removeprefix(around).lower(): item for item in source.items}
    assert len(items) == len(source.items) == (case.images or len(items))
    assert classes == case.classes
    for image, label in case.labels.items():
        assert items[image.lower()].columns.get("label", "") == label
    for image, text in case.texts.items():
        assert items[image.lower()].text == text
    for image, words in case.columns.items():
        found = {k: v.replace(around, "") for k, v in items[image.lower()].columns.items() if v}
        assert found == words
    held = {image for image, item in items.items() if item.side == "holdout"}
    assert held == {image.lower() for image in case.held}
    for part in case.said:
        assert part in said.replace(around, "")
    assert said.startswith("classes: "), "there is always a line about classes"
    assert source.problems == []
