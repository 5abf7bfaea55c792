"""A prepared set on disk: an array file a field, `columns.safetensors` and, written last, `dataset.json`.

Legend: N images, B items, H height, W width, C channels, A columns of classes.
"""

import functools
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core import tensors
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Condition
from zeuxis.core.files import inside, read_json, sha256
from zeuxis.core.settings import suggest
from zeuxis.core.tabular import Tabular
from zeuxis.data.facts import COLUMNS, FACTS, IMAGES, TYPES, Array, read

ENCODER = "encoder"
WHOLE = {"BOOL", "U8", "I8", "I16", "I32", "I64"}
TABLE_ROWS = 4096
READ_AHEAD_UP_TO = 1 << 30
"""Bytes: a set up to this size is soon in memory as a whole, and reading ahead gets it there."""


class Texts(Sequence[str]):
    """Strings in one array of UTF-8 bytes: a million of them cost no Python objects."""

    def __init__(self, content: np.ndarray, ends: np.ndarray) -> None:
        self._content, self._ends = content, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start = self._ends[index - 1] if index else 0
        return self._content[start : self._ends[index]].tobytes().decode("utf-8", "replace")

    @staticmethod
    def pack(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(bytes, ends): uint8 and int64 arrays that hold `words`."""
        encoded = [word.encode("utf-8", "replace") for word in words]
        ends = np.cumsum([len(word) for word in encoded], dtype=np.int64)
        return np.frombuffer(b"".join(encoded) or b"\0", np.uint8).copy(), ends


class Stored:
    """One field of a set, memory-mapped.

    Attributes:
        field: what it means.
        rows: (N, ...) as stored, read only.
        train, holdout, withheld: int64 item numbers of each side; those of the images if it is `paired`.
        paired: whether item i belongs to image i.
        facts: what `dataset.json` says of it.
    """

    def __init__(self, folder: Path, entry: Mapping[str, Any], holdout: np.ndarray) -> None:
        array = Array.model_validate(entry)
        self.facts, self.field, self.paired = entry, array.field, array.paired
        self._folder, self._vocabulary = folder, array.vocabulary
        kind, full = TYPES[array.file.partition(".")[2]], (array.count, *self.field.stored_shape)
        self.rows = np.memmap(inside(folder, array.file), np.dtype(kind), "r", shape=full)
        if self.rows.nbytes > READ_AHEAD_UP_TO and hasattr(mmap, "MADV_RANDOM"):
            # Items are read in random order: reading ahead would fetch ten times what is used.
            self.rows._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
        self.train, self.holdout, self.withheld = (
            np.flatnonzero(holdout == side) for side in range(3)
        )

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """Items as they are stored, (B, ...).

        Raises:
            ValueError: an id is none of the classes or the vocabulary, or a latent no finite number.
        """
        rows = np.ascontiguousarray(self.rows[chosen])
        kind, again = self.field.kind, "prepare"
        if kind == "map":
            good = (rows >= -1) & (rows < len(self.field.classes))
        elif kind == "mask":
            good = rows <= 1
        elif kind == "token":
            good, again = (rows >= 0) & (rows < self._vocabulary), "encode"
        elif kind == "latent":
            good, again = np.isfinite(rows), "encode"
        else:
            return rows
        if not good.all():
            raise Invalid(f"{self.rows.filename} is damaged; {again} the images again")
        return rows

    def encoder(self) -> Path:
        """The folder of the model that encoded, whose `config.json` names the weights.

        Raises:
            ValueError: it is missing, or not the one that encoded.
        """
        folder = inside(self._folder, ENCODER)
        file = inside(folder, "config.json")
        if not file.is_file() or sha256(file) != self.facts["encoder"]["sha256"]:
            raise Invalid(
                f"{folder} is not the model that encoded this set; encode the images again"
            )
        return folder


class Prepared(Tabular):
    """Images and other fields as memory-mapped arrays, their columns, and what `dataset.json` holds.

    Attributes:
        folder: where it lies.
        name: the source's name.
        hash: SHA-256 over pixels, columns and split: two sets with the same hash train the same.
        fields: every array by name; `image` is one of them.
        images: (N, H, W, C) uint8, memory-mapped, read only.
        train, holdout: int64 row numbers of the two sides.
        withheld: those of the combinations that are never trained on (`data.withhold`).
        conditions: every column of classes (2 to 1,000 classes).
        labels: (N, A) int64 in the order of `conditions`; -1 is unknown.
        facts: the whole of dataset.json.
        names, texts: file names, and captions (None if the source had none).
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder, self.facts = folder, facts
        self.name, self.hash = facts["name"], facts["hash"]
        count, self.height, self.width, self.channels = (
            facts["images"][key] for key in ("count", "height", "width", "channels")
        )
        self.conditions = tuple(
            Condition(name=c["name"], classes=tuple(c["classes"])) for c in facts["conditions"]
        )
        labels = self._stored("labels", count, len(self.conditions)).astype(np.int64)
        classes = [len(condition.classes) for condition in self.conditions]
        if ((labels < -1) | (labels >= np.array(classes, np.int64))).any():
            raise Invalid(f"{folder / COLUMNS} has labels of no class; prepare the set again")
        self.labels = labels
        self.fields = {entry["name"]: self._field(entry) for entry in facts["fields"]}
        image = self.fields["image"]
        self.images, self.withheld = image.rows, image.withheld
        self.train, self.holdout = image.train, image.holdout

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return (
            f"Prepared({self.name}: {len(self):,} images {self.width}x{self.height}, "
            f"{len(self.train):,} to train on, {self.hash[:12]})"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.images, dtype, copy=copy)

    def table(self) -> dict[str, Sequence[Any]]:
        """`name`, `side`, `text` if there are captions, and every column as words."""
        sides = np.full(len(self), "train", dtype=object)
        sides[self.holdout], sides[self.withheld] = "holdout", "withheld"
        out: dict[str, Sequence[Any]] = {
            "name": list(self.names),
            "side": sides.tolist(),
        }
        out |= {"text": [text or None for text in self.texts]} if self.texts else {}
        return out | {
            name: [w or None for w in self.column(name)] for name in self.facts["columns"]
        }

    def _field(self, entry: Mapping[str, Any]) -> Stored:
        name = "holdout" if entry.get("paired", True) else f"{entry['name']}.holdout"
        return Stored(self.folder, entry, self._stored(name, entry["count"]))

    @functools.cached_property
    def names(self) -> Texts:
        """The files that the images came from."""
        return self._texts("names")

    @functools.cached_property
    def texts(self) -> Texts | None:
        """Captions, "" where one is missing; None if no image has one."""
        return self._texts("texts") if self.facts["captions"] else None

    @functools.cached_property
    def source_names(self) -> Texts:
        """The files of an unpaired source."""
        return self._texts("source.names", len(self.fields["source"].rows))

    def column(self, name: str) -> Texts:
        """The words of any column, classes or not.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self.facts["columns"]:
            raise Invalid(f"no column {name!r}; {suggest(name, self.facts['columns'])}")
        return self._texts(f"column.{name}")

    def select(self, names: Sequence[str] | None) -> tuple[Condition, ...]:
        """The conditions called `names`, in that order; all of them for None.

        Raises:
            ValueError: there is no such column of classes; the message names the nearest.
        """
        if names is None:
            return self.conditions
        known = {condition.name: condition for condition in self.conditions}
        for name in names:
            if name not in known:
                raise Invalid(
                    f"{self.name} has no column of classes {name!r}; {suggest(name, known)}"
                )
        return tuple(known[name] for name in names)

    def label_columns(self, names: Sequence[str] | None) -> list[int]:
        """Where the columns called `names` stand in `labels`."""
        order = [condition.name for condition in self.conditions]
        return [order.index(condition.name) for condition in self.select(names)]

    def label_table(self, names: Sequence[str] | None = None) -> list[tuple[list[int], int]]:
        """The joint distribution of the training rows' labels: (labels, count), most frequent first.

        Labels drawn from it go together as they do in the data (no beard on a face that has none).
        At most 4,096 rows are kept.
        """
        columns = self.label_columns(names)
        if not columns:
            return []
        rows, counts = np.unique(self.labels[self.train][:, columns], axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:TABLE_ROWS]
        return [(rows[i].tolist(), int(counts[i])) for i in order]

    def verify(self) -> None:
        """Hash every file in full.

        Raises:
            ValueError: a file is not what was written; the message names it.
        """
        for name, known in self.facts["files"].items():
            if sha256(inside(self.folder, name)) != known["sha256"]:
                raise Invalid(
                    f"{self.folder / name} has changed since it was written (its SHA-256 differs); "
                    "prepare the set again"
                )

    def _texts(self, name: str, count: int | None = None) -> Texts:
        count = len(self) if count is None else count
        if f"{name}.bytes" not in tensors.header(self.folder / COLUMNS):
            return Texts(np.zeros(0, np.uint8), np.zeros(count, np.int64))
        content = self._stored(f"{name}.bytes", None).astype(np.uint8, copy=False)
        ends = self._stored(f"{name}.ends", count).astype(np.int64)
        if ends[0] < 0 or (ends[1:] < ends[:-1]).any() or ends[-1] > len(content):
            raise Invalid(
                f"{self.folder / COLUMNS}: {name}.ends are no places in {name}.bytes; prepare the set again"
            )
        return Texts(content, ends)

    def _stored(self, name: str, *shape: int | None) -> np.ndarray:
        """Whole numbers of `columns.safetensors`; an axis of None is as long as it is.

        Raises:
            ValueError: there is something else.
        """
        path = self.folder / COLUMNS
        found = tensors.header(path).get(name)
        if (
            found is None
            or found.dtype not in WHOLE
            or len(found.shape) != len(shape)
            or any(n not in (None, m) for n, m in zip(shape, found.shape, strict=True))
        ):
            raise Invalid(
                f"{path} is damaged ({name} is {found or 'missing'}, expected whole numbers of shape "
                f"{[n or 'any' for n in shape]}); prepare the set again"
            )
        with tensors.opened(path, "np") as file:
            return file.get_tensor(name)


def is_prepared(folder: Path) -> bool:
    """Whether `folder` looks like a prepared set (whole or not)."""
    return (folder / FACTS).is_file() and (folder / IMAGES).exists()


def open_prepared(folder: str | Path) -> Prepared:
    """Open a prepared set. Sizes are always checked; `verify()` hashes every byte.

    Raises:
        ValueError: it is no prepared set, of a later format, or a file of it is missing or cut short.
    """
    folder = Path(folder)
    if not is_prepared(folder):
        raise Invalid(
            f"{folder} is no prepared set ({FACTS} and {IMAGES} are needed); "
            f"make one with: zeuxis data prepare SOURCE {folder}"
        )
    facts = read(read_json(inside(folder, FACTS)), folder / FACTS)
    for name, written in facts["files"].items():
        path = inside(folder, name)
        size = path.stat().st_size if path.is_file() else -1
        if size != written["bytes"]:
            state = "is missing" if size < 0 else f"has {size:,} bytes, not {written['bytes']:,}"
            raise Invalid(f"{path} {state}; prepare the set again")
    return Prepared(folder, facts)
