"""Sources that are arrays already: idx files (MNIST's format), npy and npz, a prepared set, a list.

Legend: N images, H height, W width, C channels.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zeuxis import npz
from zeuxis.data.sources.base import Item, Side, Source

ARRAY_LIMIT = 1 << 36
TRAIN_WORDS = ("train", "training")
HOLDOUT_WORDS = ("test", "testing", "t10k", "val", "valid", "validation", "dev", "holdout")
IMAGE_KEYS = ("images", "image", "x", "data", "arr_0")
LABEL_KEYS = ("labels", "label", "y")


class ArraySource(Source):
    """Pixels in memory or in a memory map, with columns."""

    curated = True

    def __init__(
        self, name: str, parts: Sequence[tuple[np.ndarray, list[Item]]], kind: str = "arrays"
    ) -> None:
        super().__init__(name, kind)
        self._parts = [pixels for pixels, _ in parts]
        self.items = [item for _, items in parts for item in items]
        self._starts = np.cumsum([0, *(len(pixels) for pixels in self._parts)])

    def read(self, index: int) -> np.ndarray:
        """Pixels of item `index`."""
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return np.asarray(self._parts[part][index - self._starts[part]])


def side_of(word: str) -> Side | None:
    """The side of the split that a folder's or file's name speaks of.

    >>> side_of("Train"), side_of("t10k"), side_of("cats")
    ('train', 'holdout', None)
    """
    word = word.lower()
    return "train" if word in TRAIN_WORDS else "holdout" if word in HOLDOUT_WORDS else None


def side_of_file(path: Path) -> Side | None:
    """The side that the first word of a file's name speaks of.

    >>> side_of_file(Path("test-000.tar")), side_of_file(Path("train.parquet"))
    ('holdout', 'train')
    """
    return side_of(re.split(r"[-_.]", path.name)[0])


def as_images(array: np.ndarray, name: str) -> np.ndarray:
    """Any usual array of images as (N, H, W, C) uint8.

    (N, H, W), (N, H, W, C) and (N, C, H, W) are told apart by where 1, 3 or 4 stands. Floats must lie
    in [0, 1], 16-bit numbers are divided by 257, booleans become black and white.

    Raises:
        ValueError: the shape or the values fit none of these.
    """
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim == 4 and array.shape[-1] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            f"{name} has shape {array.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "with 1, 3 or 4 channels"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(array * 255).astype(np.uint8)
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    raise ValueError(
        f"{name} holds {array.dtype} from {low:g} to {high:g}; expected uint8, or floats in [0, 1]: "
        "scale it and save it again"
    )


def read_idx(path: Path) -> np.ndarray:
    """One idx file, gzipped or not (http://yann.lecun.com/exdb/mnist, "the IDX file format").

    Raises:
        ValueError: it is no idx file of bytes, or shorter than its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}); fetch it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != 8:
        raise ValueError(f"{path} is no idx file of unsigned bytes (it begins {content[:4]!r})")
    axes = content[3]
    if len(content) < 4 + 4 * axes:
        raise ValueError(f"{path} ends within its header; fetch it again")
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    if len(content) != 4 + 4 * axes + math.prod(shape):
        raise ValueError(f"{path} should hold {shape} bytes but has {len(content)} in all")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _is_idx(path: Path) -> bool:
    return path.is_file() and "idx" in path.name and "ubyte" in path.name


def find_idx(path: Path) -> list[Path]:
    """The idx image files that `path` (one of them, or their folder) stands for."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if _is_idx(file) and "idx3" in file.name]


def open_idx(path: Path, class_names: tuple[str, ...] = ()) -> ArraySource:
    """MNIST and its kin: `train-images-idx3-ubyte[.gz]` with labels beside, `t10k` or `test` held out."""
    parts: list[tuple[np.ndarray, list[Item]]] = []
    for file in find_idx(path):
        pixels = as_images(read_idx(file), str(file))
        word = file.name.split("-")[0]
        beside = [
            file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1")),
        ]
        beside.append(beside[0].with_suffix("") if file.suffix == ".gz" else beside[0])
        labels = next((read_idx(b) for b in beside if b.exists() and b != file), None)
        if labels is not None and len(labels) != len(pixels):
            raise ValueError(f"{file} has {len(pixels)} images but {len(labels)} labels")
        columns = {} if labels is None else {"label": labels}
        parts.append((pixels, _items(word, len(pixels), columns, side_of(word), class_names)))
    if not parts:
        raise ValueError(f"{path} has no idx images (files named like train-images-idx3-ubyte.gz)")
    source = ArraySource(path.name.split(".")[0], parts, "idx")
    source.classes = {"label": class_names} if class_names else {}
    return source


def open_numpy(path: Path) -> ArraySource:
    """`.npy`: images. `.npz`: images and one-dimensional columns, plain or prefixed by a side.

    So `images` + `labels`, `x_train` + `y_train` + `x_test` + `y_test`, and
    `train_images` + `train_labels` + `test_images` + `test_labels` are all understood.

    Raises:
        ValueError: no images in it, labels for another number of images, a damaged file, or an array of
            Python objects (never unpickled).
    """
    arrays = {"images": _mapped(path)} if path.suffix == ".npy" else npz.read(path, ARRAY_LIMIT)
    by_side: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        side, role = _role(key)
        by_side.setdefault(side, {})[role] = array
    parts, notes = [], []
    for side, roles in sorted(by_side.items(), key=lambda entry: side_of(entry[0]) == "holdout"):
        if "image" not in roles:
            continue
        pixels = as_images(roles.pop("image"), str(path))
        columns = _columns(roles, len(pixels), path)
        if columns.keys() != roles.keys():
            others = ", ".join(sorted(roles.keys() - columns.keys()))
            notes.append(f"passed over, as they hold no single value per image: {others}")
        official = side_of(side) if len(by_side) > 1 else None
        parts.append((pixels, _items(side or "image", len(pixels), columns, official, ())))
    if not parts:
        keys = ", ".join(sorted(arrays)) or "nothing"
        raise ValueError(f"{path} holds {keys}; expected an array called images or x_train")
    source = ArraySource(path.stem, parts, path.suffix[1:])
    source.notes = notes
    return source


def _mapped(path: Path) -> np.ndarray:
    try:
        mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except npz.DAMAGE as error:
        raise ValueError(npz.damaged(path, error)) from error
    return mapped


def _columns(roles: Mapping[str, np.ndarray], count: int, path: Path) -> dict[str, np.ndarray]:
    """The arrays that hold one value for each image."""
    labels = roles.get("label")
    if labels is not None and labels.ndim and len(labels) != count:
        raise ValueError(
            f"{path} has {count} images but {len(labels)} labels; save it again with one for each"
        )
    flat = {k: v.reshape(-1) for k, v in roles.items() if v.ndim and v.shape[0] == v.size}
    return {k: v for k, v in flat.items() if len(v) == count}


def _role(key: str) -> tuple[str, str]:
    """('train', 'image') for x_train, ('', 'label') for y, ('', 'age') for age."""
    words = key.lower().split("_")
    side = next((word for word in words if side_of(word)), "")
    rest = "_".join(word for word in words if word != side) or key
    if rest in IMAGE_KEYS:
        return side, "image"
    return side, "label" if rest in LABEL_KEYS else rest


def _items(
    prefix: str,
    count: int,
    columns: Mapping[str, np.ndarray],
    side: Side | None,
    class_names: tuple[str, ...],
) -> list[Item]:
    words = {name: [_word(value) for value in values.tolist()] for name, values in columns.items()}
    if class_names and "label" in words:
        words["label"] = [_named(word, class_names) for word in words["label"]]
    names = list(words)
    rows = zip(*words.values(), strict=True) if words else iter(() for _ in range(count))
    return [
        Item(f"{prefix}-{i:06d}", dict(zip(names, row, strict=True)), side=side)
        for i, row in enumerate(rows)
    ]


def _named(word: str, class_names: tuple[str, ...]) -> str:
    return class_names[int(word)] if word.isdigit() and int(word) < len(class_names) else ""


def _word(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)
