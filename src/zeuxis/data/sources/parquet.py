"""Parquet tables with encoded images in a column, as the hub writes them. Needs `zeuxis[parquet]`."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.data.sources.arrays import side_of_file
from zeuxis.data.sources.base import Item, Source
from zeuxis.data.sources.tree import CAPTION_KEYS, word

FOUND = "expected a column of bytes, or of structs with `bytes`, as image data sets on the hub have"


class ParquetSource(Source):
    """One parquet file or several; rows are decoded a row group at a time, in order."""

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        super().__init__(name, "parquet")
        try:
            import pyarrow as arrow
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise ValueError(
                f"{name} is parquet, which needs pyarrow: pip install 'zeuxis[parquet]'"
            ) from error
        self._lock = threading.Lock()
        self._group: tuple[int, list[Any]] = (-1, [])
        self._groups: list[tuple[Any, int]] = []
        self._images: list[str] = []
        starts = [0]
        sides = {side_of_file(path) for path in paths}
        for path in paths:
            try:
                file = parquet.ParquetFile(path)
                image = _image_column(file.schema_arrow)
                table = _plain_columns(file, image, arrow)
            except (arrow.ArrowException, OSError, ValueError) as error:
                raise ValueError(f"{path} cannot be used as parquet: {error}") from error
            for number in range(file.num_row_groups):
                self._groups.append((file, number))
                self._images.append(image)
                starts.append(starts[-1] + file.metadata.row_group(number).num_rows)
            side = side_of_file(path) if {"train", "holdout"} <= sides else None
            for row in range(file.metadata.num_rows):
                columns = {name: values[row] for name, values in table.items()}
                text = next((columns[key] for key in CAPTION_KEYS if columns.get(key)), "")
                for key in CAPTION_KEYS:
                    columns.pop(key, None)
                self.items.append(Item(f"{path.name}/{row:06d}", columns, text, side))
            self.classes |= _class_names(file.schema_arrow)
        self._starts = np.array(starts)

    def read(self, index: int) -> bytes:
        """The encoded image of row `index`; its row group stays in memory until another is read."""
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        with self._lock:
            if self._group[0] != group:
                self._group = (group, self._load(group))
            content = self._group[1][index - int(self._starts[group])]
        if not isinstance(content, bytes):
            raise ValueError("the row holds no image bytes")
        return content

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._groups:
            file.close()

    def _load(self, group: int) -> list[Any]:
        file, number = self._groups[group]
        image = self._images[group]
        try:
            rows = file.read_row_group(number, columns=[image]).column(0).to_pylist()
        except Exception as error:
            # Arrow has a family of errors for damaged pages; the rows are lost, the run is not.
            raise ValueError(f"row group {number} is damaged ({error})") from error
        return [row.get("bytes") if isinstance(row, dict) else row for row in rows]


def _image_column(schema: Any) -> str:
    """The first column that holds encoded images."""
    import pyarrow.types as kinds

    fields = sorted(schema, key=lambda field: field.name not in ("image", "img", "jpg", "png"))
    for field in fields:
        kind = field.type
        if kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return str(field.name)
        if kinds.is_binary(kind) or kinds.is_large_binary(kind):
            return str(field.name)
    raise ValueError(f"no column of images among {', '.join(schema.names)}; {FOUND}")


def _plain_columns(file: Any, image: str, arrow: Any) -> dict[str, list[str]]:
    """Every column of words, numbers or truth values, as words; class numbers by their names."""
    kinds = arrow.types
    plain = [
        field.name
        for field in file.schema_arrow
        if field.name != image and _is_plain(field.type, kinds)
    ]
    names = _class_names(file.schema_arrow)
    table = file.read(columns=plain)
    out = {}
    for column in plain:
        values = table.column(column).to_pylist()
        known = names.get(column)
        if known:
            inside = range(len(known))
            out[column] = [known[value] if value in inside else "" for value in values]
        else:
            out[column] = [word(value) for value in values]
    return out


def _is_plain(kind: Any, kinds: Any) -> bool:
    """Words, numbers or truth values; pandas' categories are a dictionary of such."""
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        kinds.is_integer(kind)
        or kinds.is_floating(kind)
        or kinds.is_boolean(kind)
        or kinds.is_string(kind)
        or kinds.is_large_string(kind)
    )


def _class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Column -> names of its classes, which the hub's `datasets` library keeps in the metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
