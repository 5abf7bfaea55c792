"""Parquet tables with encoded images in a column, as the hub writes them. Needs `zeuxis[parquet]`."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json
from zeuxis.data.source.arrays import side_of_file
from zeuxis.data.source.base import Item, Source, check_count
from zeuxis.data.source.tree import CAPTION_KEYS, word

UNPACKED = 1 << 26
"""Bytes that the columns of a file, and the images of a row group, may unpack to whatever is stored."""
RATIO, WORDS_RATIO = 100, 20
"""Bytes that one stored byte of images, or of words, may unpack to beyond that; images are packed already."""
MOST_WORDS = 50_000_000
"""Of all columns of a file."""
FOUND = "expected a column of bytes, or of structs with `bytes`, as image data sets on the hub have"


class ParquetSource(Source):
    """One parquet file or several; rows are decoded a row group at a time, in order."""

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        super().__init__(name, "parquet")
        try:
            import pyarrow as arrow
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise Invalid(
                f"{name} is parquet, which needs pyarrow: pip install 'zeuxis[parquet]'"
            ) from error
        self._lock = threading.Lock()
        self._group: tuple[int, list[Any] | ValueError] = (-1, [])
        self._groups: list[tuple[Any, int]] = []
        self._images: list[str] = []
        starts = [0]
        sides = {side_of_file(path) for path in paths}
        for path in paths:
            try:
                file = parquet.ParquetFile(path)
                check_count(path, file.metadata.num_rows)
                image = _image_column(file.schema_arrow)
                table = _plain_columns(file, path, image, arrow)
            except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
                raise Invalid(f"{path} cannot be used as parquet: {error}") from error
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
            rows = self._group[1]
        if isinstance(rows, ValueError):
            raise rows
        content = rows[index - int(self._starts[group])]
        if not isinstance(content, bytes):
            raise Invalid("the row holds no image bytes")
        return content

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._groups:
            file.close()

    def _load(self, group: int) -> list[Any] | ValueError:
        """The images of a row group, or why it gives none: a page of a few bytes may stand for gigabytes."""
        file, number = self._groups[group]
        stored, unpacked = _sizes(file, [number], self._images[group])
        most = UNPACKED + RATIO * stored
        too_large = ValueError(f"row group {number} unpacks to more than {most:,} bytes")
        if unpacked > most:
            return too_large
        rows: list[Any] = []
        found, few = 0, max(4, min(1024, UNPACKED // max(1, unpacked)))
        try:
            # One value, however often a dictionary repeats it, is no larger than all that is stored.
            for batch in file.iter_batches(few, [number], [_bytes_of(file, self._images[group])]):
                found += batch.nbytes
                if found > most:
                    return too_large
                rows += batch.column(0).to_pylist()
        except Exception as error:
            # Arrow has a family of errors for damaged pages; the rows are lost, the run is not.
            return ValueError(f"row group {number} is damaged ({error})")
        return [row.get("bytes") if isinstance(row, dict) else row for row in rows]


def _bytes_of(file: Any, image: str) -> str:
    """The column to read: of a struct only its bytes."""
    return f"{image}.bytes" if file.schema_arrow.field(image).type.num_fields else image


def _sizes(file: Any, groups: Iterable[int], image: str, words: bool = False) -> tuple[int, int]:
    """Bytes, stored and unpacked, of the images in these row groups; for `words` of all other columns."""
    stored = unpacked = 0
    for number in groups:
        group = file.metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            if (column.path_in_schema.partition(".")[0] == image) != words:
                stored += column.total_compressed_size
                unpacked += column.total_uncompressed_size
    return stored, unpacked


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
    raise Invalid(f"no column of images among {', '.join(schema.names)}; {FOUND}")


def _plain_columns(file: Any, path: Path, image: str, arrow: Any) -> dict[str, list[str]]:
    """Every column of words, numbers or truth values, as words; class numbers by their names."""
    kinds = arrow.types
    plain = [
        field.name
        for field in file.schema_arrow
        if field.name != image and _is_plain(field.type, kinds)
    ]
    stored, unpacked = _sizes(file, range(file.num_row_groups), image, words=True)
    if unpacked > UNPACKED + WORDS_RATIO * stored:
        raise Invalid(f"its columns of words unpack to {unpacked:,} bytes")
    if len(plain) * file.metadata.num_rows > MOST_WORDS:
        raise Invalid(f"its {len(plain):,} columns hold more than {MOST_WORDS:,} words")
    names = _class_names(file.schema_arrow)
    texts = [field.name for field in file.schema_arrow if kinds.is_string(field.type)]
    # A word that a dictionary repeats a million times stays one word.
    table = arrow.parquet.ParquetFile(path, read_dictionary=texts).read(plain)
    out = {}
    for column in plain:
        values = table.column(column)
        known = names.get(column)
        said = _named(known) if known else word
        out[column] = [each for chunk in values.chunks for each in _words(chunk, said)]
    return out


def _named(names: Sequence[str]) -> Callable[[Any], str]:
    """From the number of a class to its name."""
    return lambda value: names[value] if value in range(len(names)) else ""


def _words(chunk: Any, said: Callable[[Any], str]) -> Iterator[str]:
    """The values of a column as words, each different one made once."""
    if not hasattr(chunk, "dictionary"):
        yield from map(said, chunk.to_pylist())
        return
    words = [said(value) for value in chunk.dictionary.to_pylist()]
    for index in chunk.indices.to_pylist():
        yield said(None) if index is None else words[index]


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
        features = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
