"""What verbs give: arrays with what is behind them, and the only way for them into files.

A folder of images is one that `zeuxis data` and `zeuxis train` read again: numbered PNG files and
`metadata.jsonl` with the classes that each was asked to show.

Shapes: N images, H height, W width, C channels, A conditions.
"""

import base64
import csv
import dataclasses
import functools
import io
import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zeuxis.core.errors import Conflict, Invalid
from zeuxis.core.files import json_text, read_json, sync_files, write_file, write_json
from zeuxis.core.lock import locked
from zeuxis.core.tabular import Tabular, imported

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

    from zeuxis.core.family import Condition
    from zeuxis.marks.metadata import Kept
    from zeuxis.marks.watermark import Key

NOTE = "samples.json"
"""Marks a folder as written by `Images.write`: only such a folder is ever overwritten."""
UNMARKED: Mapping[str, Any] = {"unmarked": True}
"""In the provenance of pictures that are written as they are, without marks of where they come from."""
METADATA, METADATA_NAME = "metadata.jsonl", "file_name"
NAMED = 5
"""Files that a sentence lists."""
SHOWN = 12
"""Images of a sheet that shows before and after."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Result(Tabular):
    """What a verb gives. It stands for its array wherever one is expected.

    Attributes:
        provenance: run, family, verb, and what was asked for, as JSON values.
        names: of the files that it was made from, if any.
        refused: (file, why) of those that could not be read.
        kept: what each of these files said of itself, if anything.
    """

    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    names: Sequence[str] = ()
    refused: Sequence[tuple[str, str]] = ()
    kept: "Sequence[Kept | None]" = ()

    SUFFIX: ClassVar[str] = ""
    """Of the file that it is written to; none if that is a folder."""
    WRITES: ClassVar[str]
    """What `--out` names."""
    SHEET: ClassVar[str] = ""
    """What `--grid` names and `write_sheet` writes, if anything."""
    MEDIA: ClassVar[str] = "application/octet-stream"
    """What `media` is most often."""

    @property
    def media(self) -> str:
        """Type of `as_file`."""
        return self.MEDIA

    @property
    def array(self) -> "np.ndarray":
        """The array that it stands for."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "np.ndarray":
        return self.array if dtype is None else self.array.astype(dtype)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def table(self) -> dict[str, Sequence[Any]]:
        """`name` of each file, or its number, and what the result says of it."""
        return {"name": list(self.names) or [str(index) for index in range(len(self))]}

    def known_as(self, provenance: Mapping[str, Any], read: Any = None) -> Self:
        """The same with its provenance, and the names of a source's files if it was read from some."""
        if not hasattr(read, "names"):
            return dataclasses.replace(self, provenance=provenance)
        return dataclasses.replace(
            self, provenance=provenance, names=read.names, refused=read.refused
        )

    def origin(self, edits: bool) -> Mapping[str, Any]:
        """What its provenance says of what it is, if it was made from pictures or from none."""
        return {}

    @classmethod
    def default_out(cls, of: Path, verb: str, asked: Mapping[str, Any]) -> Path | None:
        """Where it is written if nobody says: `samples/NAME-VERB`, with a number if that is there already.

        Args:
            of: the run, or the picture, that it is made of.
            verb: its name.
            asked: the verb's arguments.
        """
        what = f"seed{asked['seed']}" if verb == "sample" else verb
        name, number = f"{of.resolve().name}-{what}", 2
        path = Path("samples") / f"{name}{cls.SUFFIX}"
        while path.exists():
            path, number = Path("samples") / f"{name}-{number}{cls.SUFFIX}", number + 1
        return path

    @classmethod
    def check_out(cls, path: Path) -> None:
        """Refuse a path that it cannot be written to.

        Raises:
            Invalid: the suffix is another.
        """
        if path.suffix.lower() != cls.SUFFIX:
            raise Invalid(f"{path} cannot be {cls.WRITES}; give a name that ends in {cls.SUFFIX}")

    def as_file(self) -> bytes:
        """The file that `write` writes; of a folder, a zip of its files."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """It as JSON values: what it is, and how it was made."""
        return {**self._values(), "provenance": dict(self.provenance)}

    def _values(self) -> dict[str, Any]:
        return {"file": _base64(self.as_file())}

    def write(self, path: str | Path) -> None:
        """Write it, whole or not at all."""
        content = self.as_file()
        write_file(Path(path), lambda beside: beside.write_bytes(content))

    def lines(self, path: Path | None) -> Iterator[str]:
        """What is to be said of it, and where it lies."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Visual(Result):
    """Pictures. What is written or sent of them says where it comes from; arrays in memory do not.

    Attributes:
        key: a private one of the watermark; None is the one that every Zeuxis has.
    """

    key: "Key | None" = None

    DRAWN: ClassVar[str] = "trainedAlgorithmicMedia"
    """IPTC's source type of what it is, made from no picture."""
    EDITED: ClassVar[str] = "compositeWithTrainedAlgorithmicMedia"
    """The same, made from a picture."""

    def origin(self, edits: bool) -> Mapping[str, Any]:
        """IPTC's source type."""
        return {"digital_source_type": self.EDITED if edits else self.DRAWN}

    def encoded(
        self,
        image_HWC: "np.ndarray",
        encode: "Callable[[np.ndarray], bytes]",
        source: int | None = None,
        name: str = "the picture",
    ) -> bytes:
        """A picture as a file: the one place where marks are put.

        Args:
            image_HWC: uint8.
            encode: makes a file of it.
            source: number of the source's file that it was made from, if it was from one.
            name: of the file.
        """
        from zeuxis.marks.mark import Mark

        mark = Mark.of(self.provenance, self.key, name)
        if mark is None:
            return encode(image_HWC)
        kept = None if source is None or source >= len(self.kept) else self.kept[source]
        content, carries = mark.encoded(image_HWC, encode, kept, self._open(source, image_HWC))
        self.bare.update({} if carries else {name: None})
        return content

    def _open(self, source: int | None, image_HWC: "np.ndarray") -> "np.ndarray | None":
        """(H, W) bool, where the watermark may change a picture; None: everywhere."""
        return None

    @functools.cached_property
    def bare(self) -> dict[str, None]:
        """Names of the files that were written or sent and whose pixels cannot carry the watermark."""
        return {}

    def _record(self) -> dict[str, Any]:
        """What is to be known of how it was made and written."""
        bare = {"without_watermark": list(self.bare)} if self.bare else {}
        return {**self.provenance, **bare}

    def values(self) -> dict[str, Any]:
        """It as JSON values: what it is, and how it was made."""
        return {**self._values(), "provenance": self._record()}

    def said_of_marks(self) -> Iterator[str]:
        """Which files have no watermark."""
        if self.bare:
            listed = ", ".join([*self.bare][:NAMED]) + (" ..." if len(self.bare) > NAMED else "")
            yield f"  metadata, but no watermark (too small, or mostly black or white): {listed}"

    def write_picture(self, path: Path, image_HWC: "np.ndarray") -> None:
        """Write one of the pictures, or some on a sheet, as a PNG file."""
        from zeuxis.core.pixels import png_bytes

        content = self.encoded(image_HWC, png_bytes, name=path.name)
        write_file(path, functools.partial(_write, content))

    def save_film(self, frames_NHWC: "np.ndarray", path: Path, fps: float, loop: bool) -> None:
        """Write a film with its marks, if it is to have any: in each frame, and in the file."""
        from zeuxis.core.film import check_film, write_film
        from zeuxis.marks.mark import Mark

        check_film(path)
        mark = Mark.of(self.provenance, self.key)
        shown, carried = mark.film(frames_NHWC) if mark else (frames_NHWC, "")
        finish = functools.partial(mark.file, watermark=carried) if mark else None
        write_film(shown, path, fps, loop, finish)
        self.bare.update({path.name: None} if carried is None else {})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Images(Visual):
    """Images.

    Attributes:
        images: (N, H, W, C) uint8; a list of (H, W, C) where sizes differ.
        labels: (N, A) int64 class indices that they were asked to show, -1 where left open.
        conditions: what the columns of `labels` are.
        before: (M, h, w, c) uint8, what the first of them were made from, if anything that can be shown.
        columns: of a sheet; 0 makes it about square.
        texts: what each was asked to show, in words; empty of a model that knows none.
        remarks: what of that was not taken.
        filled: (N, H, W) bool, what was filled of pictures whose other pixels stay in every byte; None: all.
    """

    images: Any
    labels: "np.ndarray | None" = None
    conditions: Sequence["Condition"] = ()
    before: "np.ndarray | None" = None
    columns: int = 0
    texts: Sequence[str] = ()
    remarks: Sequence[str] = ()
    filled: "np.ndarray | None" = None

    WRITES: ClassVar[str] = "Folder of the images"
    SHEET: ClassVar[str] = "one sheet"
    MEDIA: ClassVar[str] = "application/zip"

    @property
    def array(self) -> "np.ndarray":
        """The images.

        Raises:
            Invalid: they are of several sizes.
        """
        if isinstance(self.images, list):
            raise Invalid("the images are of several sizes: take each from `images`")
        found: np.ndarray = self.images
        return found

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def check_out(cls, path: Path) -> None:
        """Refuse a folder that holds anything but samples.

        Raises:
            Conflict: it does, or it is a file.
        """
        if path.exists() and not path.is_dir():
            raise Conflict(f"{path} is a file; name a folder with --out")
        if path.is_dir() and any(path.iterdir()) and not (path / NOTE).is_file():
            found = min(file.name for file in path.iterdir())
            raise Conflict(
                f"{path} holds files that are not samples (such as {found}); "
                "name a new or an empty folder with --out"
            )

    def write(self, path: str | Path) -> None:
        """Write `0000.png`, `0001.png` ..., `metadata.jsonl` and the note, in place of earlier samples.

        The note says how many there are once they are on the disk, and 0 until then. Another process
        that writes to the folder is waited for.

        Raises:
            Conflict: the folder holds files of another origin.
        """
        path, facts = Path(path), self._facts()
        with locked(path.parent / f".{path.name}.lock", f"{path} is being written", wait=True):
            self.check_out(path)
            path.mkdir(parents=True, exist_ok=True)
            old = [*written(path), *path.glob("*.png.[0-9]*.tmp")]
            named = {"written": [*facts.get("written", ()), *(each.name for each in old)]}
            write_json(path / NOTE, {"count": 0, **facts, **named})
            for stale in old:
                stale.unlink()
            for name, content in self._all_files():
                write_file(path / name, functools.partial(_write, content), sync=False)
            sync_files(path, written(path))
            metadata = self._metadata()
            write_file(path / METADATA, lambda beside: beside.write_bytes(metadata))
            write_json(path / NOTE, {"count": len(self.images), **self._facts()})

    def as_file(self) -> bytes:
        """A zip of the files that `write` writes, not compressed: PNG is."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in self._all_files():
                archive.writestr(zipfile.ZipInfo(name), content)
            archive.writestr(zipfile.ZipInfo(METADATA), self._metadata())
            note = {"count": len(self.images), **self._facts()}
            archive.writestr(zipfile.ZipInfo(NOTE), json_text(note))
        return buffer.getvalue()

    def _all_files(self) -> Iterator[tuple[str, bytes]]:
        yield from zip(self.file_names(), self.files(), strict=True)
        yield from self.beside()

    def _open(self, source: int | None, image_HWC: "np.ndarray") -> "np.ndarray | None":
        same = self.filled is not None and self.filled.shape[1:] == image_HWC.shape[:2]
        return self.filled[source] if same and source is not None else None  # type: ignore[index]

    def file_names(self) -> Sequence[str]:
        """Of the images."""
        return [f"{index:04d}.png" for index in range(len(self.images))]

    def names_beside(self) -> Sequence[str]:
        """Of the files that are written beside the images."""
        return ()

    def beside(self) -> Iterator[tuple[str, bytes]]:
        """These files, by name."""
        yield from ()

    def files(self) -> Iterator[bytes]:
        """Each image as a PNG file."""
        from zeuxis.core.pixels import png_bytes

        for index, name in enumerate(self.file_names()):
            yield self.encoded(self.images[index], png_bytes, index, name)

    def _values(self) -> dict[str, Any]:
        rows = zip(self.files(), self._rows(), strict=True)
        return {
            "images": [
                {
                    "png": _base64(file),
                    "labels": {k: v for k, v in row.items() if k != METADATA_NAME},
                }
                for file, row in rows
            ],
            **({"remarks": list(self.remarks)} if self.remarks else {}),
        }

    def table(self) -> dict[str, Sequence[Any]]:
        """`file_name` as `write` calls it, and the class of each condition."""
        rows = list(self._rows())
        names = [METADATA_NAME, *(condition.name for condition in self.conditions)]
        names += ["text"] if self.texts else []
        return {name: [row.get(name) for row in rows] for name in names}

    def to_arrow(self) -> "pyarrow.Table":
        """A table as image data sets on the hub have it: the files of the images, and their classes.

        Written as parquet it is a source of data.

        Raises:
            Unable: pyarrow is not installed.
        """
        arrow, table = imported("pyarrow"), super().to_arrow()
        names = table.column(METADATA_NAME).to_pylist()
        files = [{"bytes": f, "path": n} for f, n in zip(self.files(), names, strict=True)]
        return table.append_column("image", arrow.array(files))

    def _facts(self) -> dict[str, Any]:
        said = {"remarks": list(self.remarks)} if self.remarks else {}
        files = {"files": list(self.names)} if self.names else {}
        names = (*self.file_names(), *self.names_beside())
        named = [name for name in names if not Path(name).stem.isdigit()]
        return {**self._record(), **said, **files, **({"written": named} if named else {})}

    def _metadata(self) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in self._rows()).encode()

    def _rows(self) -> Iterator[dict[str, str]]:
        """A line of `metadata.jsonl` for each image: its file and its classes."""
        for index, name in enumerate(self.file_names()):
            row = {METADATA_NAME: name}
            if self.labels is not None:
                for condition, at in zip(self.conditions, self.labels[index].tolist(), strict=True):
                    row |= {condition.name: condition.classes[at]} if at >= 0 else {}
            if self.texts:
                row["text"] = self.texts[index]
            yield row

    def write_sheet(self, path: Path) -> None:
        """Write all side by side as one PNG file, or some below what they were made from."""
        from zeuxis.core.pixels import enlarged, grid
        from zeuxis.core.sheets import above

        shown, columns = self.images, self.columns
        if self.before is not None:
            before = self.before[:SHOWN]
            shown = above(before, self.images[: len(before)])
            columns = len(shown)
        self.write_picture(path, enlarged(grid(shown, columns=columns)))

    def lines(self, path: Path | None) -> Iterator[str]:
        """How many there are, and where."""
        yield from self.remarks
        yield f"wrote {counted(len(self))} to {path}"
        yield from self.said_of_marks()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Walk(Images):
    """Images in the order of a walk, which are also the frames of a film.

    Attributes:
        loop: whether the first follows the last.
    """

    loop: bool = False

    def write_film(self, path: str | Path, fps: float = 12) -> None:
        """Write them as a film, a file that ends in .webp, .gif, .mp4 or .webm; `core.film` says how."""
        self.save_film(self.images, Path(path), fps, self.loop)

    def film(self, suffix: str) -> bytes:
        """The file of a film, of the kind of a suffix."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"walk{suffix}"
            self.write_film(path)
            return path.read_bytes()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Latents(Result):
    """Latents of images.

    Attributes:
        latents: (N, ...) float32; of a tokenizer, the tokens (N, h, w) int64.
    """

    latents: "np.ndarray"

    SUFFIX: ClassVar[str] = ".npz"
    WRITES: ClassVar[str] = "File of the latents (.npz)"

    @property
    def array(self) -> "np.ndarray":
        """The latents."""
        return self.latents

    def table(self) -> dict[str, Sequence[Any]]:
        """`name`, and the values of each latent in a row."""
        return {**super().table(), "latent": list(self.latents.reshape(len(self), -1))}

    def as_file(self) -> bytes:
        """An .npz file with the arrays `latent` (N, ...) and `name` (N,)."""
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, latent=self.latents, name=np.array(self.names))
        return buffer.getvalue()

    def lines(self, path: Path | None) -> Iterator[str]:
        """How many there are, and where."""
        yield f"wrote the latents of {counted(len(self))} to {path}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scores(Result):
    """How likely images are.

    Attributes:
        bits: (N,) float32 bits per dimension.
        kind: exact, bound or estimate.
    """

    bits: "np.ndarray"
    kind: str

    SUFFIX: ClassVar[str] = ".csv"
    WRITES: ClassVar[str] = "Also write one line an image, a table (.csv)"
    MEDIA: ClassVar[str] = "text/csv"
    KINDS: ClassVar[Mapping[str, str]] = {
        "exact": "exact",
        "bound": "an upper bound of the true value",
        "estimate": "an estimate, neither exact nor a bound",
    }

    @property
    def array(self) -> "np.ndarray":
        """Bits per dimension."""
        return self.bits

    @classmethod
    def default_out(cls, of: Path, verb: str, asked: Mapping[str, Any]) -> None:
        """No table unless one is asked for."""
        return None

    @property
    def mean(self) -> float:
        """Over the images."""
        return float(self.bits.mean(dtype="float64"))

    @property
    def standard_error(self) -> float:
        """Of the mean; NaN of a single image."""
        return float(self.bits.astype("float64").std(ddof=1) / len(self.bits) ** 0.5)

    def table(self) -> dict[str, Sequence[Any]]:
        """`name` and `bits_per_dim`."""
        return {**super().table(), "bits_per_dim": self.bits.tolist()}

    def as_file(self) -> bytes:
        """A table with a line an image."""
        table = self.table()
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(table)
        rows = zip(*table.values(), strict=True)
        writer.writerows((name, f"{value:.6f}") for name, value in rows)
        return text.getvalue().encode()

    def _values(self) -> dict[str, Any]:
        finite = [value if math.isfinite(value) else None for value in self.bits.tolist()]
        return {"bits_per_dim": finite, "kind": self.kind}

    def lines(self, path: Path | None) -> Iterator[str]:
        """The mean, what kind of figure it is, and the least likely images."""
        error = f", standard error {self.standard_error:.4f}" if len(self) > 1 else ""
        yield (
            f"{self.mean:.4f} bits/dim{error} over {counted(len(self))} ({self.KINDS[self.kind]})"
        )
        if self.names:
            yield "least likely:"
            for row in self.bits.argsort()[::-1][:5].tolist():
                yield f"  {self.bits[row]:.3f}  {self.names[row]}"
        if path is not None:
            yield f"wrote {path}"


def written(folder: Path) -> list[Path]:
    """The images that `Images.write` left in `folder`; other files may lie beside them."""
    note = read_json(folder / NOTE) if (folder / NOTE).is_file() else {}
    named = {str(name) for name in note.get("written", ())}
    return [path for path in folder.glob("*.png") if path.stem.isdigit() or path.name in named]


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def check_sheet(sheet: Path) -> None:
    """Refuse a name that is not of a PNG file."""
    if sheet.suffix.lower() != ".png" or sheet.is_dir():
        raise Invalid(f"{sheet} cannot be a PNG file; give --grid a file name that ends in .png")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def counted(count: int) -> str:
    """As `1 image`, `2 images`."""
    return f"{count:,} image{'' if count == 1 else 's'}"
