"""Parquet tables with encoded images in a column, as the hub writes them. Needs `zeuxis[parquet]`."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json
from zeuxis.data.source.base import Item, Side, Source, check_count
from zeuxis.data.source.places import side_of_file
from zeuxis.data.source.values import MOST_POSITIONS, Unused, caption, columns_of

UNPACKED = 1 << 26
"""Bytes that the columns of a file, and the images of a row group, may unpack to whatever is stored."""
RATIO, WORDS_RATIO = 100, 20
"""Bytes that one stored byte of images, or of words, may unpack to beyond that; images are packed already."""
MOST_WORDS = 50_000_000
"""Of all columns of a file."""
FOUND = (
    "expected a column of files as bytes, or of structs with `bytes`, as image data sets on the hub have; "
    "pixels in lists are read from an npz (numpy.savez with images and labels)"
)


class ParquetSource(Source):
    """One parquet file or several; rows are decoded a row group at a time, in order."""

    def __init__(
        self, name: str, paths: Sequence[Path], names: Sequence[str] = (), column: str = ""
    ) -> None:
        """Read the columns.

        Args:
            name: of the source.
            paths: in order.
            names: what the source calls the files, by default their own.
            column: of the images; by default the one that is called so, or the first.
        """
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
        names = names or [path.name for path in paths]
        sides = [side_of_file(PurePath(name)) for name in names]
        both = {"train", "holdout"} <= set(sides)
        unused, raw = Unused(), dict[str, list[Any]]()
        labels: list[tuple[str, Side | None]] = []
        for path, called, side in zip(paths, names, sides, strict=True):
            told = unused if path is paths[0] else Unused()  # once is enough
            try:
                file = parquet.ParquetFile(path)
                check_count(path, file.metadata.num_rows)
                image = column or _image_column(file.schema_arrow, told)
                table = _columns(file, path, image, arrow, told)
            except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
                raise Invalid(f"{path} cannot be used as parquet: {error}") from error
            for number in range(file.num_row_groups):
                self._groups.append((file, number))
                self._images.append(image)
                starts.append(starts[-1] + file.metadata.row_group(number).num_rows)
            for name in {**raw, **table}:
                before = raw.setdefault(name, [None] * len(labels))
                before += table.get(name, [None] * file.metadata.num_rows)
            rows = range(file.metadata.num_rows)
            labels += [(f"{called}/{row:06d}", side if both else None) for row in rows]
            self.classes |= _class_names(file.schema_arrow)
        words: dict[str, list[str]] = {}
        for name, values in raw.items():
            words |= columns_of(name, values, unused)
        for row, (label, side) in enumerate(labels):
            columns = {name: column[row] for name, column in words.items()}
            self.items.append(Item(label, columns, caption(columns), side))
        self._starts = np.array(starts)
        self.notes += unused.sentences()

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
            raise Invalid(
                "the row holds no image bytes, only a path or nothing; save the set with its images in it, "
                "or give their folder"
            )
        return content

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._groups:
            file.close()
        if self.partner:
            self.partner.close()

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


def _image_column(schema: Any, unused: Unused) -> str:
    """The column of encoded images, by its name or else the first; the others are not used."""
    fields = sorted(schema, key=lambda field: field.name not in ("image", "img", "jpg", "png"))
    found = [str(field.name) for field in fields if _holds_files(field.type)]
    if not found:
        raise Invalid(f"no column of images among {', '.join(schema.names)}; {FOUND}")
    for name in found[1:]:
        unused.add(f"column '{name}'", f"images are read from '{found[0]}'")
    return found[0]


def _holds_files(kind: Any) -> bool:
    import pyarrow.types as kinds

    if kinds.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return _is_any(kind, "binary")


def _is_any(kind: Any, what: str) -> bool:
    """Whether it is of `string` or `binary`, in any of Arrow's layouts."""
    import pyarrow.types as kinds

    return any(
        getattr(kinds, f"is_{form}")(kind) for form in (what, f"large_{what}", f"{what}_view")
    )


def _columns(file: Any, path: Path, image: str, arrow: Any, unused: Unused) -> dict[str, list[Any]]:
    """The values of every column but images; class numbers by their names."""
    named = [f for f in file.schema_arrow if f.name != image and not _holds_files(f.type)]
    texts = [field.name for field in named if arrow.types.is_string(field.type)]
    named = [field for field in named if not _is_long(file, field, unused)]
    stored, unpacked = _sizes(file, range(file.num_row_groups), image, words=True)
    if unpacked > UNPACKED + WORDS_RATIO * stored:
        raise Invalid(f"its columns of words unpack to {unpacked:,} bytes")
    if len(named) * file.metadata.num_rows > MOST_WORDS:
        raise Invalid(f"its {len(named):,} columns hold more than {MOST_WORDS:,} words")
    names = _class_names(file.schema_arrow)
    # A word that a dictionary repeats a million times stays one word.
    table = arrow.parquet.ParquetFile(path, read_dictionary=texts).read([f.name for f in named])
    out = {}
    for field in named:
        known = names.get(field.name)
        values = [each for chunk in table.column(field.name).chunks for each in _values(chunk)]
        if known:
            values = [_named(value, known) for value in values]
        out[str(field.name)] = values
    return out


def _named(value: Any, names: Sequence[str]) -> Any:
    """The name of a class by its number, or those of a list."""
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    return names[value] if value in range(len(names)) else ""


def _is_long(file: Any, field: Any, unused: Unused) -> bool:
    """Whether a column holds lists that are no words about an image, such as embeddings or pixels."""
    if not field.type.num_fields:
        return False
    values = sum(
        column.num_values
        for number in range(file.num_row_groups)
        for column in _of(file, number, field.name)
    )
    if values <= MOST_POSITIONS * file.metadata.num_rows and values <= MOST_WORDS:
        return False
    unused.add(f"column '{field.name}'", f"it holds {values:,} values in lists")
    return True


def _of(file: Any, number: int, name: str) -> Iterator[Any]:
    """What a row group stores of a column and its parts."""
    group = file.metadata.row_group(number)
    for column in map(group.column, range(group.num_columns)):
        if column.path_in_schema.partition(".")[0] == name:
            yield column


def _values(chunk: Any) -> Iterator[Any]:
    """The values of a column, each different one of a dictionary made once; 0.1 in few bits stays 0.1."""
    if hasattr(chunk, "dictionary"):
        values = chunk.dictionary.to_pylist()
        yield from (None if i is None else values[i] for i in chunk.indices.to_pylist())
    elif str(chunk.type) in ("float", "halffloat"):
        yield from (None if v is None else float(str(np.float32(v))) for v in chunk.to_pylist())
    else:
        yield from chunk.to_pylist()


def holds_images(path: Path) -> bool:
    """Whether a table has a column of encoded images; True where only reading it will say why not."""
    return columns_of_images(path) != []


def columns_of_images(path: Path) -> list[str] | None:
    """The names of a table's columns of encoded images; None where only reading it will say why not."""
    try:
        import pyarrow.parquet as parquet

        with parquet.ParquetFile(path) as file:
            return [str(f.name) for f in file.schema_arrow if _holds_files(f.type)]
    except (ImportError, ValueError, OSError):
        return None


def read_rows(content: bytes) -> Iterator[dict[str, Any]]:
    """Rows of a small table without images, such as `metadata.parquet`.

    Raises:
        ValueError: it is no parquet, too large, or pyarrow is missing.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise Invalid("it needs pyarrow: pip install 'zeuxis[parquet]'") from error
    try:
        file = parquet.ParquetFile(arrow.BufferReader(content))
        rows, columns = file.metadata.num_rows, len(file.schema_arrow)
        unpacked = sum(
            file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)
        )
        if rows > len(content) or rows * columns > MOST_WORDS:
            raise Invalid(f"it says that it holds {rows:,} rows")
        if unpacked > UNPACKED + WORDS_RATIO * len(content):
            raise Invalid(f"it unpacks to {unpacked:,} bytes")
        for batch in file.iter_batches(1024):
            yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise Invalid(f"it is no parquet table ({error})") from error


def _class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Column -> names of its classes, which the hub's `datasets` library keeps in the metadata."""
    try:
        features = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        several = {
            c: f["feature"] for c, f in features.items() if isinstance(f.get("feature"), dict)
        }
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in {**features, **several}.items()
            if isinstance(feature.get("names"), list)
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
