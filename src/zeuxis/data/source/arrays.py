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

from zeuxis.core import npz
from zeuxis.core.errors import Invalid
from zeuxis.data.source.base import LEADS_OUT, Item, Side, Source, check_count, leads_out
from zeuxis.data.source.places import side_and_rest, side_of, side_of_file
from zeuxis.data.source.values import MOST_POSITIONS, Unused, columns_of, word

UNPACKED_LIMIT = 1 << 30
"""Bytes that a packed file of arrays may hold in memory, whatever its own size."""
RATIO = 20
"""Bytes that one byte of such a file may unpack to beyond that: of photographs 2, of drawings 10."""
IMAGE_KEYS = ("images", "image", "x", "data", "arr_0")
LABEL_KEYS = ("labels", "label", "y")
MOST_VALUES = 1 << 25
"""Of an array of vectors that becomes words."""
OBJECTS = "holds Python objects, which are never unpickled: save "


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
        raise Invalid(
            f"{name} has shape {array.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "with 1, 3 or 4 channels"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise Invalid(f"{name} holds {array.dtype}; expected uint8, or floats in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(array * 255).astype(np.uint8)
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    raise Invalid(
        f"{name} holds {array.dtype} from {low:g} to {high:g}; expected uint8, or floats in [0, 1]: "
        "scale it and save it again"
    )


def read_idx(path: Path) -> np.ndarray:
    """One idx file, gzipped or not (http://yann.lecun.com/exdb/mnist, "the IDX file format").

    No more is unpacked than the header says, and at most `UNPACKED_LIMIT`.

    Raises:
        ValueError: it is no idx file of bytes, or shorter or longer than its header says.
    """
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise Invalid(f"{path} is no idx file of unsigned bytes (it begins {head!r})")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise Invalid(f"{path} ends within its header; fetch it again")
            shape = struct.unpack(f">{head[3]}I", sizes)
            most = UNPACKED_LIMIT if packed else path.stat().st_size
            if packed and math.prod(shape) > most:
                raise Invalid(f"{path} unpacks to {math.prod(shape):,} bytes; gunzip it first")
            content = file.read(min(math.prod(shape), most) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{path} cannot be unpacked ({error}); fetch it again") from error
    if len(content) != math.prod(shape):
        found = f"{len(content):,}" if len(content) < math.prod(shape) else "more"
        raise Invalid(f"{path} should hold {shape} bytes but has {found}; fetch it again")
    # labels count nothing by themselves, and may well be packed to less than a byte each
    if len(shape) > 1:
        check_count(path, shape[0])
    return np.frombuffer(content, np.uint8).reshape(shape)


def _is_idx(path: Path) -> bool:
    return path.is_file() and "idx" in path.name and "ubyte" in path.name


def find_idx(path: Path) -> list[Path]:
    """The idx image files that `path` (one of them, or their folder) stands for."""
    files = (
        [file for file in sorted(path.iterdir()) if not leads_out(file, path)]
        if path.is_dir()
        else [path]
    )
    return [file for file in files if _is_idx(file) and "idx3" in file.name]


def open_idx(path: Path, class_names: tuple[str, ...] = ()) -> ArraySource:
    """MNIST and its kin: `train-images-idx3-ubyte[.gz]` with labels beside, `t10k` or `test` held out."""
    parts: list[tuple[np.ndarray, list[Item]]] = []
    problems: list[tuple[str, str]] = []
    files = find_idx(path)
    files = [file for file in files if file.suffix != ".gz" or file.with_suffix("") not in files]
    for file in files:
        pixels = as_images(read_idx(file), str(file))
        beside = [
            file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1")),
        ]
        beside.append(beside[0].with_suffix("") if file.suffix == ".gz" else beside[0])
        beside = [b for b in dict.fromkeys(beside) if b.exists() and b != file]
        problems += [(b.name, LEADS_OUT) for b in beside if leads_out(b, b.parent)]
        labels = next((read_idx(b) for b in beside if not leads_out(b, b.parent)), None)
        if labels is not None and len(labels) != len(pixels):
            raise Invalid(f"{file} has {len(pixels)} images but {len(labels)} labels")
        columns = {} if labels is None else {"label": list(map(word, labels.tolist()))}
        items = _items(_stem(file), len(pixels), columns, side_of_file(file), class_names)
        parts.append((pixels, items))
    if not parts:
        raise Invalid(f"{path} has no idx images (files named like train-images-idx3-ubyte.gz)")
    source = ArraySource(path.name.split(".")[0], parts, "idx")
    source.classes = {"label": class_names} if class_names else {}
    source.problems = problems
    sets = {side_and_rest(_stem(file))[1] for file in files}
    if len(sets) > 1:
        source.notes.append(
            f"the files are of several sets ({', '.join(sorted(sets))}), whose labels may differ in meaning: "
            "give the files of one in a folder of their own"
        )
    return source


def _stem(file: Path) -> str:
    """What a file calls its images: `train` for train-images-idx3-ubyte.gz.

    >>> _stem(Path("emnist-letters-test-images-idx3-ubyte.gz"))
    'emnist-letters-test'
    """
    return re.split(r"[-_.]?(?:images|idx3)", file.name)[0] or "image"


def open_numpy(path: Path) -> ArraySource:
    """`.npy`: images. `.npz`: images and one-dimensional columns, plain or prefixed by a side.

    So `images` + `labels`, `x_train` + `y_train` + `x_test` + `y_test`, and
    `train_images` + `train_labels` + `test_images` + `test_labels` are all understood.

    Raises:
        ValueError: no images in it, labels for another number of images, a damaged file, or an array of
            Python objects (never unpickled).
    """
    objects: list[str] = []
    if path.suffix == ".npy":
        arrays = {"images": npz.mapped(path)}
    else:
        arrays = npz.read(path, UNPACKED_LIMIT + RATIO * path.stat().st_size, objects)
    by_side: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        side, role = _role(key)
        by_side.setdefault(side, {})[role] = array
    unused = Unused()
    for key in objects:
        role = _role(key)[1]
        if role == "image":
            raise Invalid(f"{path}: {key} {OBJECTS}images of one size as one array of uint8")
        unused.add(f"{key} in {path.name}", f"it {OBJECTS}words with .astype(str)")
    parts = []
    for side, roles in sorted(by_side.items(), key=lambda entry: side_of(entry[0]) == "holdout"):
        if "image" not in roles:
            continue
        pixels = as_images(roles.pop("image"), str(path))
        check_count(path, len(pixels))
        columns = _columns(roles, len(pixels), path, unused)
        official = side_of(side) if len(by_side) > 1 else None
        parts.append((pixels, _items(side or "image", len(pixels), columns, official, ())))
    if not parts:
        keys = ", ".join(sorted(arrays)) or "nothing"
        raise Invalid(f"{path} holds {keys}; expected an array called images or x_train")
    source = ArraySource(path.stem, parts, path.suffix[1:])
    source.notes = unused.sentences()
    return source


def _columns(
    roles: Mapping[str, np.ndarray], count: int, path: Path, unused: Unused
) -> dict[str, list[str]]:
    """Words of the arrays that hold a value, or the vector of a class, for each image."""
    labels = roles.get("label")
    if labels is not None and labels.ndim and len(labels) != count:
        raise Invalid(
            f"{path} has {count} images but {len(labels)} labels; save it again with one for each"
        )
    out: dict[str, list[str]] = {}
    for name, array in roles.items():
        flat = array.reshape(-1) if array.ndim and array.shape[0] == array.size else array
        wide = flat.ndim == 2 and (flat.shape[1] > MOST_POSITIONS or flat.size > MOST_VALUES)
        if flat.ndim not in (1, 2) or len(flat) != count or wide:
            unused.add(name, f"it has shape {array.shape}, no value or short vector for each image")
            continue
        if flat.dtype.kind == "f" and flat.dtype.itemsize < 8:  # 0.1 stays 0.1
            flat = flat.astype(str).astype(float)
        out |= columns_of(name, flat.tolist(), unused)
    return out


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
    columns: Mapping[str, Sequence[str]],
    side: Side | None,
    class_names: tuple[str, ...],
) -> list[Item]:
    words = dict(columns)
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
