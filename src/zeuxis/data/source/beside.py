"""What the files of a tree say about its images: tables, StyleGAN's labels, captions and sidecars.

Every kind of source that has files by name is read by these rules: a folder, a zip, tars. A file that
speaks of images and is not read is named with what it should be.
"""

import collections
import csv
import dataclasses
import io
import itertools
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any

from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json
from zeuxis.data.preparation import vector
from zeuxis.data.source import boxes, maps
from zeuxis.data.source.base import LONGEST_TEXT, MEMBER_LIMIT, OTHER_IMAGES, SIDE_LIMIT, SUFFIXES
from zeuxis.data.source.files import Files
from zeuxis.data.source.parquet import read_rows
from zeuxis.data.source.places import Kin, Names, parent_of
from zeuxis.data.source.values import CAPTIONS, Unused, decoded, encoding, said

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
LONGEST_LINE, MOST_LINES = 1 << 20, 5_000_000
"""Characters of a line of metadata, and lines, at most."""
LARGEST_LABELS = 1 << 27
"""Bytes of a `dataset.json`: ImageNet's has 38 million."""
LICENCES = ("licence", "license", "copying", "copyright")
SIDECAR = {"caption": "text", "text": "text", "label": "label", "class": "label", "cls": "label"}
"""What a key of an image's own JSON file is as a column."""
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
SPREADSHEETS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".ods")
OWN = (".txt", ".caption", ".json", ".cls")
"""Suffixes of files that belong to the image of their name."""


@dataclasses.dataclass
class Own:
    """What was noticed in files that belong to one image each."""

    keys: "collections.Counter[str]" = dataclasses.field(default_factory=collections.Counter)
    boxes: int = 0
    odd: int = 0
    differ: int = 0


class Beside:
    """All that is said about images by the files beside them.

    Attributes:
        rows: what is said of each image by column, as it was read.
        licence: text of a licence.
        legend: names of class ids.
        problems: (file, why) that could not be read.
        notes: sentences.
    """

    def __init__(
        self,
        files: Files,
        images: Sequence[str],
        others: Sequence[str],
        depth: int,
        legend: bool,
    ) -> None:
        """Read them.

        Args:
            files: of the source.
            images: of the set.
            others: images that are not of the set.
            depth: folders around all images, at whose level licences and legends lie.
            legend: whether names of class ids are looked for.
        """
        self._files, self._images, self._names = files, images, Names(images)
        self.rows: dict[str, dict[str, Any]] = {image: {} for image in images}
        self.licence = ""
        self.legend: dict[int, str] = {}
        self.problems: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.unused = Unused()
        self._read: set[str] = {*images, *others}
        self._missing: list[str] = []
        self._guessed: list[str] = []
        self._tables()
        self._own_files()
        self._stylegan()
        self._boxes()
        self._others(depth, legend)

    # Tables

    def _tables(self) -> None:
        """Columns from every metadata file; what two lines dispute is unknown."""
        wrong: set[tuple[str, str]] = set()
        for name in self._files.names:
            if posixpath.basename(name) not in TABLES:
                continue
            self._read.add(name)
            disputed = len(wrong)
            try:
                for line in read_table(
                    self._files.read(name, MEMBER_LIMIT), posixpath.splitext(name)[1]
                ):
                    image = self._find(str(line.pop(FILE_NAME, "") or ""), name)
                    if image is None:
                        continue
                    wrong |= {(image, key) for key in _merge(self.rows[image], line)}
            except (OSError, ValueError) as error:
                raise Invalid(f"{name} cannot be used: {error}") from error
            self._say_matches(name)
            if len(wrong) > disputed:
                times = len(wrong) - disputed
                self.notes.append(f"{name} contradicts itself {times:,} times: unknown there")
        for image, key in wrong:
            self.rows[image][key] = ""

    def _find(self, called: str, file: str) -> str | None:
        """The image that `file` calls so, and whether that had to be guessed or is not there."""
        folder = f"{parent_of(file)}/" if "/" in file else ""
        image = self._names.find(called, folder)
        if image is None:
            image = self._names.guess(called, folder)
            if image is None:
                self._missing.append(called)
            else:
                self._guessed.append(f"{called} for {image}")
        return image

    def _say_matches(self, file: str) -> None:
        if self._missing:
            such = f", such as {self._missing[0][:200]}" if self._missing[0] else ""
            count = f"{len(self._missing):,}"
            self.notes.append(f"{file} speaks of {count} files that are not there{such}")
        if self._guessed:
            count, such = f"{len(self._guessed):,}", self._guessed[0]
            why = "are not exact: taken for the only image that each can mean"
            self.notes.append(f"{count} names in {file} {why}, such as {such}")
        self._missing, self._guessed = [], []

    def _stylegan(self) -> None:
        """Labels from a `dataset.json` as StyleGAN's dataset tool writes it."""
        for name in self._files.names:
            if posixpath.basename(name) != "dataset.json":
                continue
            try:
                content = parse_json(self._files.read(name), most=LARGEST_LABELS)
                labels = content.get("labels")
                if not isinstance(labels, list):
                    continue
                self._read.add(name)
                for called, label in labels:
                    image = self._find(str(called), name)
                    if image is not None:
                        self.rows[image]["label"] = label
            except (OSError, ValueError, TypeError) as error:
                raise Invalid(
                    f"{name} is not as StyleGAN's dataset tool writes it ({error})"
                ) from error
            self._say_matches(name)

    # A file for each image

    def _own_files(self) -> None:
        """Captions from `name.txt` or `name.caption`, columns from `name.json` and `name.cls`."""
        own = {
            _lower_suffix(name): name for name in self._files.names if name.lower().endswith(OWN)
        }
        told = Own()
        for image in self._images if own else ():
            row, found = self.rows[image], {}
            stem = posixpath.splitext(image)[0]
            for suffix in OWN:
                name = own.get(stem + suffix) or own.get(image + suffix)
                if name:
                    self._read.add(name)
                    found[suffix] = name, self._text(name, told)
            if ".json" in found:
                row.update(self._sidecar(*found[".json"], told))
            if ".cls" in found and found[".cls"][1].strip():
                row["label"] = found[".cls"][1]
            _caption(row, [found[s][1].strip() for s in (".caption", ".txt") if s in found], told)
        self._say_own(told)

    def _say_own(self, told: "Own") -> None:
        if told.keys:
            named = ", ".join(key for key, _ in told.keys.most_common(8))
            why = "of images' own .json files, captions and classes are read"
            self.unused.add(f"the keys {named}", why)
        for count, what in (
            (told.boxes, ".txt files hold boxes: kept as the column 'boxes', not as captions"),
            (told.odd, "files beside images are not UTF-8: odd letters are replaced"),
            (told.differ, "images have captions that differ: the nearest file's is kept"),
        ):
            if count:
                self.notes.append(f"{count:,} {what}")

    def _text(self, name: str, told: "Own") -> str:
        """Text of a small file, with odd letters replaced."""
        try:
            content = self._files.read(name, SIDE_LIMIT)
        except (OSError, ValueError) as error:
            self.problems.append((name, f"cannot be read: {error}"))
            return ""
        try:
            return decoded(content)
        except ValueError:
            told.odd += 1
            return content.decode("utf-8", "replace")

    def _sidecar(self, name: str, text: str, told: "Own") -> dict[str, Any]:
        """Caption and class from an image's own JSON file."""
        try:
            entry = parse_json(text.encode(), finite=False, halves=True)
        except ValueError as error:
            self.problems.append((name, f"is no JSON object: {error}"))
            return {}
        told.keys.update(str(key)[:40] for key in entry if key not in SIDECAR)
        return {SIDECAR[k]: v for k, v in entry.items() if k in SIDECAR and said(v)}

    # Boxes

    def _boxes(self) -> None:
        """Boxes, and COCO's captions, from files that hold them for one image or for many."""
        kin = Kin(self._images)
        for name in self._files.names:
            suffix = posixpath.splitext(name)[1].lower()
            if name in self._read or suffix not in (".txt", ".xml", ".json"):
                continue
            try:
                found = self._boxes_in(name, suffix)
            except (OSError, ValueError) as error:
                self._read.add(name)
                self.unused.add(name, str(error))
                continue
            self._read |= {name} if found is not None else set()
            for called, row in (found or {}).items():
                image = kin.find(called, name) or self._names.guess(called)
                if image is not None:
                    self.rows[image] = row | self.rows[image]
                elif suffix == ".json":
                    self._missing.append(called)
                else:
                    self.unused.add(name, "its boxes are of an image that is not there")
            self._say_matches(name)

    def _boxes_in(self, name: str, suffix: str) -> dict[str, dict[str, str]] | None:
        """What a file says of images, by their names; None if it is not of this kind.

        Raises:
            OSError or ValueError: it cannot be read, or is of this kind and damaged.
        """
        content = self._files.read(name, boxes.LARGEST if suffix == ".json" else SIDE_LIMIT)
        if suffix == ".json":
            return boxes.of_coco(content) if boxes.is_coco(content) else None
        stem = posixpath.splitext(posixpath.basename(name))[0]
        if suffix == ".xml":
            return {stem: {"boxes": boxes.of_voc(content)}}
        text = content.decode("utf-8-sig", "replace").strip()
        return {stem: {"boxes": text}} if text and _are_boxes(text) else None

    # The rest

    def _others(self, depth: int, legend: bool) -> None:
        """Licence, legend, and what is passed over."""
        for name in self._files.names:
            if name in self._read:
                continue
            stem, suffix = posixpath.splitext(posixpath.basename(name))
            top = name.count("/") <= depth
            if suffix.lower() in OTHER_IMAGES:
                other = f"{suffix} images are not read; convert it to PNG"
                self.problems.append((name, vector.MISSING if suffix.lower() == ".svg" else other))
            elif top and stem.lower() in LICENCES and suffix not in (*SUFFIXES, ".json"):
                self._licence(name)
            elif not (legend and maps.is_legend(name, depth) and self._legend(name)):
                self.unused.add(name, _why_unused(suffix.lower()))

    def _legend(self, name: str) -> bool:
        """Whether names of class ids could be read; the first legend counts."""
        if self.legend:
            return False
        try:
            content = self._files.read(name, SIDE_LIMIT)
            self.legend = maps.read_legend(content, posixpath.splitext(name)[1].lower())
        except (OSError, ValueError) as error:
            self.problems.append((name, f"the names of classes cannot be read: {error}"))
        return True

    def _licence(self, name: str) -> None:
        try:
            content = self._files.read(name, SIDE_LIMIT)
            self.licence = content.decode("utf-8-sig", "replace")[:LONGEST_TEXT]
        except (OSError, ValueError) as error:
            self.problems.append((name, f"the licence cannot be read: {error}"))


def _why_unused(suffix: str) -> str:
    """What a file that was not read would have to be."""
    if suffix in SPREADSHEETS:
        return f"a table is read as metadata.csv, .jsonl or .parquet with a column {FILE_NAME}"
    if suffix == ".json":
        return (
            "JSON is read as name.json beside name.png, or as StyleGAN's dataset.json with labels"
        )
    if suffix == ".txt":
        return "text is read as name.txt beside name.png"
    if suffix in (".npy", ".npz"):
        return "arrays are a source of their own; give the file"
    if suffix in ARCHIVES:
        return "an archive in a source is not opened; unpack it, or give it as a source"
    return f"{suffix} files are not read" if suffix else "it is no image"


def _lower_suffix(name: str) -> str:
    """Its name with the suffix in lower case, as Windows takes both for one."""
    stem, suffix = posixpath.splitext(name)
    return stem + suffix.lower()


def _caption(row: dict[str, Any], texts: Sequence[str], told: Own) -> None:
    """Take the caption of the nearest file, and boxes for what they are."""
    texts = [text for text in texts if text]
    for text in [text for text in texts if _are_boxes(text)]:
        row["boxes"] = text
        texts.remove(text)
        told.boxes += 1
    before = [key for key in CAPTIONS if said(row.get(key))]
    told.differ += (
        len({*(text[:LONGEST_TEXT] for text in texts), *(said(row[k]) for k in before)}) > 1
    )
    if texts:
        row.update(dict.fromkeys(before, ""))
        row[CAPTIONS[0]] = texts[0][:LONGEST_TEXT]


def _are_boxes(text: str) -> bool:
    """Whether its lines are a class number and at least four coordinates, as YOLO writes boxes."""
    if not text[0].isdecimal():
        return False
    try:
        lines = [[float(part) for part in line.split()] for line in text.splitlines()]
    except ValueError:
        return False
    return all(len(line) > 4 and line[0].is_integer() for line in lines if line)


def _merge(row: dict[str, Any], line: dict[str, Any]) -> list[str]:
    """Note what a line says; returns the columns of which another line has said otherwise."""
    wrong = []
    for key, value in line.items():
        before = said(row[key]) if key in row else ""
        if not before:
            row[key] = value
        elif said(value) not in ("", before):
            wrong.append(key)
    return wrong


def read_table(content: bytes, suffix: str) -> Iterator[dict[str, Any]]:
    """Lines of a csv, jsonl or parquet table.

    Raises:
        ValueError: it is no table, no text of a known encoding, or has no `file_name`; or a line is too long.
    """
    named, first = False, ""
    for line in _rows(content, suffix):
        named = named or FILE_NAME in line
        first = first or ", ".join(line)[:1000]
        yield line
    if first and not named:
        raise Invalid(f"it has no column {FILE_NAME} (it has {first})")


def _rows(content: bytes, suffix: str) -> Iterator[dict[str, Any]]:
    if suffix == ".parquet":
        yield from read_rows(content)
        return
    text = io.TextIOWrapper(io.BytesIO(content), encoding(content), newline="")
    try:
        yield from (_csv if suffix == ".csv" else _jsonl)(_lines(text))
    except UnicodeDecodeError as error:
        raise Invalid(f"it is not UTF-8 ({error.reason}); save it again as UTF-8") from error


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise Invalid(f"line {number:,} has more than {LONGEST_LINE:,} characters")
        if number > MOST_LINES:
            raise Invalid(f"it has more than {MOST_LINES:,} lines")
        yield line


def _csv(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Lines of a table whose columns are parted by what parts `file_name` from the others in its head."""
    head = next(lines, "")
    if head.lower().startswith("sep="):  # Excel's own line
        head = next(lines, "")
    found = re.search(rf'(^|[,;\t|]) *"?{FILE_NAME}"? *([,;\t|]|$)', head.strip())
    parted = next(filter(None, found.groups()), ",") if found else ","
    try:
        for line in csv.DictReader(itertools.chain([head], lines), delimiter=parted, strict=True):
            yield {k.strip(): v for k, v in line.items() if k}
    except csv.Error as error:
        raise Invalid(f"it is no csv table ({error})") from error


def _jsonl(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(filter(str.strip, lines), 1):
        try:
            entry = parse_json(line.encode(), finite=False, halves=True)
        except UnicodeDecodeError:
            raise
        except ValueError as error:
            raise Invalid(f"line {number} is no JSON object ({error})") from error
        yield {str(k): v for k, v in entry.items()}
