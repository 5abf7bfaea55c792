"""A prepared set on disk: `images.u8`, `columns.safetensors` and, written last, `dataset.json`.

Legend: N images, H height, W width, C channels, A columns of classes.
"""

import functools
import math
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from zeuxis.data.encoded import Encoded
from zeuxis.disk import inside, read_json, sha256
from zeuxis.family import Condition
from zeuxis.run import suggest

FORMAT = 1
IMAGES, COLUMNS, FACTS, LEFT_OUT = (
    "images.u8",
    "columns.safetensors",
    "dataset.json",
    "left_out.jsonl",
)
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


class Prepared:
    """Images as one memory-mapped array, their columns, and the facts that `dataset.json` holds.

    Attributes:
        folder: where it lies.
        name: the source's name.
        hash: SHA-256 over pixels, columns and split: two sets with the same hash train the same.
        images: (N, H, W, C) uint8, memory-mapped, read only.
        train, holdout: int64 row numbers of the two sides.
        conditions: every column of classes (2 to 1,000 classes).
        labels: (N, A) int64 in the order of `conditions`; -1 is unknown.
        facts: the whole of dataset.json.
        encoded: latents or tokens of the images, if the set has been encoded.
        names, texts: file names, and captions (None if the source had none).
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder, self.facts = folder, facts
        self.name, self.hash = str(facts["name"]), str(facts["hash"])
        shape = facts["images"]
        count = int(shape["count"])
        self.height, self.width = int(shape["height"]), int(shape["width"])
        self.channels = int(shape["channels"])
        full = (count, self.height, self.width, self.channels)
        self.images = np.memmap(folder / IMAGES, np.uint8, "r", shape=full)
        if self.images.nbytes > READ_AHEAD_UP_TO and hasattr(mmap, "MADV_RANDOM"):
            # Rows are read in random order: reading ahead would fetch ten times what is used.
            self.images._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
        self.conditions = tuple(
            Condition(name=c["name"], classes=tuple(c["classes"])) for c in facts["conditions"]
        )
        with safe_open(folder / COLUMNS, framework="np") as columns:
            held_out = columns.get_tensor("holdout")
            labels = columns.get_tensor("labels").astype(np.int64)
        if held_out.shape != (count,) or labels.shape != (count, len(self.conditions)):
            raise ValueError(f"{folder / COLUMNS} does not fit {FACTS}; prepare the set again")
        described = facts.get("encoded")
        self.encoded = Encoded(folder, described, count) if described else None
        self.labels = labels
        self.holdout = np.flatnonzero(held_out)
        self.train = np.flatnonzero(held_out == 0)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return (
            f"Prepared({self.name}: {len(self):,} images {self.width}x{self.height}, "
            f"{len(self.train):,} to train on, {self.hash[:12]})"
        )

    @functools.cached_property
    def names(self) -> Texts:
        """The files that the images came from."""
        return self._texts("names")

    @functools.cached_property
    def texts(self) -> Texts | None:
        """Captions, "" where one is missing; None if no image has one."""
        return self._texts("texts") if self.facts["captions"] else None

    def column(self, name: str) -> Texts:
        """The words of any column, classes or not.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self.facts["columns"]:
            raise ValueError(f"no column {name!r}; {suggest(name, self.facts['columns'])}")
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
                raise ValueError(
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
                raise ValueError(
                    f"{self.folder / name} has changed since it was written (its SHA-256 differs); "
                    "prepare the set again"
                )

    def _texts(self, name: str) -> Texts:
        try:
            with safe_open(self.folder / COLUMNS, framework="np") as columns:
                if f"{name}.bytes" not in columns.keys():  # noqa: SIM118 - not a dict
                    return Texts(np.zeros(0, np.uint8), np.zeros(len(self), np.int64))
                content, ends = (columns.get_tensor(f"{name}.{part}") for part in ("bytes", "ends"))
        except SafetensorError as error:
            raise ValueError(
                f"{self.folder / COLUMNS} is damaged ({error}); prepare the set again"
            ) from error
        return Texts(content, ends)


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
        raise ValueError(
            f"{folder} is no prepared set ({FACTS} and {IMAGES} are needed); "
            f"make one with: zeuxis data prepare SOURCE {folder}"
        )
    facts = read_json(inside(folder, FACTS))
    if facts.get("format") != FORMAT:
        found = facts.get("format")
        raise ValueError(f"{folder / FACTS} has format {found!r:.40}; this version reads {FORMAT}")
    try:
        for name, known in facts["files"].items():
            path = inside(folder, name)
            size = path.stat().st_size if path.exists() else -1
            if size != known["bytes"]:
                state = "is missing" if size < 0 else f"has {size:,} bytes, not {known['bytes']:,}"
                raise ValueError(f"{path} {state}; prepare the set again")
        shape = facts["images"]
        expected = math.prod(int(shape[k]) for k in ("count", "height", "width", "channels"))
        if expected != facts["files"][IMAGES]["bytes"]:
            raise ValueError(f"{folder / FACTS} contradicts itself about the images' shape")
        return Prepared(folder, facts)
    except (KeyError, TypeError, AttributeError, SafetensorError, OSError) as error:
        raise ValueError(
            f"{folder} is a damaged prepared set ({type(error).__name__}: {error}); prepare it again"
        ) from error
