"""Sources that are trees of files: a folder, or a zip of one. Class folders, metadata, captions.

Side files that are understood, besides folders named after classes and after `train` and `test`:
`metadata.csv` and `metadata.jsonl` (the hub's imagefolder), StyleGAN's `dataset.json`, and a
`name.txt` or `name.json` beside `name.png`.
"""

import abc
import csv
import io
import itertools
import math
import os
import threading
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json
from zeuxis.data.source import maps
from zeuxis.data.source.arrays import side_of
from zeuxis.data.source.base import (
    LEADS_OUT,
    LONGEST_TEXT,
    MEMBER_LIMIT,
    OTHER_IMAGES,
    SIDE_LIMIT,
    SUFFIXES,
    Item,
    Side,
    Source,
    leads_out,
    read_file,
)
from zeuxis.data.source.pairs import Folders

METADATA = ("metadata.csv", "metadata.jsonl")
CAPTION_KEYS = ("text", "caption")
LONGEST_LINE, MOST_LINES = 1 << 20, 5_000_000
"""Characters of a line of metadata, and lines, at most."""
LARGEST_LABELS = 1 << 27
"""Bytes of a `dataset.json`: ImageNet's has 38 million."""
LICENCES = ("licence", "license", "copying", "copyright")


class Files(abc.ABC):
    """Names, and bytes by name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.problems: list[tuple[str, str]] = []

    @abc.abstractmethod
    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A file's bytes.

        Raises:
            OSError or ValueError: it cannot be read, or has more than `most`.
        """

    def close(self) -> None:  # noqa: B027
        """Let go of open files."""


class Folder(Files):
    """Files below a folder. Linked folders are not followed (they may lead in circles), nor links out."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        for folder, folders, names in os.walk(root, onerror=self._note):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
            here = os.path.relpath(folder, root)
            here = "" if here == "." else here.replace(os.sep, "/") + "/"
            self.problems += [
                (here + name, "a link to a folder is not followed; give that folder by itself")
                for name in folders
                if Path(folder, name).is_symlink()
            ]
            for name in (name for name in names if not name.startswith(".")):
                if leads_out(Path(folder, name), root):
                    self.problems.append((here + name, LEADS_OUT))
                else:
                    self.names.append(here + name)
        self.names.sort()

    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A file's bytes."""
        return read_file(self._root / name, self._root, most)

    def _note(self, error: OSError) -> None:
        self.problems.append((str(error.filename), f"the folder may not be read: {error.strerror}"))


class Zip(Files):
    """Files in a zip: read in place, never unpacked to disk, so their paths can do no harm."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self._archive = zipfile.ZipFile(path)
            members = self._archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise Invalid(f"{path} is no readable zip ({error}); fetch or make it again") from error
        self._members = {
            m.filename: m for m in members if not m.is_dir() and not _hidden(m.filename)
        }
        self._locked = threading.Lock()
        self.names = sorted(self._members)

    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A member's bytes, at most `most` of them whatever its header says."""
        member = self._members[name]
        if member.file_size > most:
            raise Invalid(f"it unpacks to {member.file_size:,} bytes; at most {most:,} are read")
        try:
            with self._archive.open(member) as file:
                return file.read(most)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise Invalid(f"its part of the zip is damaged or locked ({error})") from error
        except Exception as error:  # zlib, lzma and bz2 each have an error of their own
            raise Invalid(f"its part of the zip cannot be unpacked ({error})") from error

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def images_of(files: Files) -> list[str]:
    """The names of images among files."""
    return [name for name in files.names if PurePosixPath(name).suffix.lower() in SUFFIXES]


class TreeSource(Source):
    """The images among `files`, with all that is said about them."""

    def __init__(self, name: str, kind: str, files: Files, folders: Folders | None = None) -> None:
        super().__init__(name, kind)
        self._files = files
        self.problems += files.problems
        images = images_of(files)
        # Folders of sources and targets are no classes: images are placed as if they were not there.
        placed = {image: folders.place(image)[1] if folders else image for image in images}
        depth = _depth(placed.values())
        self._note_others(len(images), depth)
        if folders:
            self._read_legend(depth)
        known = self._metadata(set(images))
        stylegan = self._stylegan(set(images))
        captions, sidecars = self._beside(images)
        sides = _sides(placed.values(), depth)
        said = stylegan or _said(known) or _said(sidecars)
        classes = {} if said else _class_folders(list(dict.fromkeys(placed.values())), sides, depth)
        for image in images:
            columns = dict(known.get(image, {}))
            columns.update(sidecars.get(image, {}))
            if image in stylegan:
                columns["label"] = stylegan[image]
            if placed[image] in classes:
                columns["label"] = classes[placed[image]]
            text = next((columns.pop(key) for key in CAPTION_KEYS if columns.get(key)), "")
            for key in CAPTION_KEYS:
                columns.pop(key, None)
            text = text or captions.get(image, "")
            self.items.append(Item(image, columns, text, sides.get(placed[image])))

    def read(self, index: int) -> bytes:
        """The encoded file of item `index`."""
        return self._files.read(self.items[index].name)

    def close(self) -> None:
        """Let go of the archive."""
        self._files.close()

    def _note_others(self, images: int, depth: int) -> None:
        others = 0
        for name in self._files.names:
            path = PurePosixPath(name)
            licence = path.stem.lower() in LICENCES and len(path.parts) <= 1 + depth
            if path.suffix.lower() in OTHER_IMAGES:
                self.problems.append(
                    (name, f"{path.suffix} images are not read; convert it to PNG")
                )
            elif path.suffix.lower() not in SUFFIXES and path.suffix not in (".txt", ".json"):
                others += path.name not in METADATA
                if licence:
                    self._licence(name)
            elif licence and path.suffix == ".txt":
                self._licence(name)
        if others and images:
            self.notes.append(f"{others:,} other files, not images, were passed over")

    def _read_legend(self, depth: int) -> None:
        """Names of class ids, from the first legend that can be read."""
        for name in self._files.names:
            if self.legend or not maps.is_legend(name, depth):
                continue
            try:
                content = self._files.read(name, SIDE_LIMIT)
                self.legend = maps.read_legend(content, PurePosixPath(name).suffix.lower())
            except (OSError, ValueError) as error:
                self.problems.append((name, f"the names of classes cannot be read: {error}"))

    def _licence(self, name: str) -> None:
        try:
            content = self._files.read(name, SIDE_LIMIT)
            self.licence = content.decode("utf-8", "replace")[:LONGEST_TEXT]
        except (OSError, ValueError) as error:
            self.problems.append((name, f"the licence cannot be read: {error}"))

    def _metadata(self, images: set[str]) -> dict[str, dict[str, str]]:
        """Image -> columns, from every metadata file; what two lines dispute is unknown."""
        known: dict[str, dict[str, str]] = {}
        wrong: set[tuple[str, str]] = set()
        for name in self._files.names:
            path = PurePosixPath(name)
            if path.name not in METADATA:
                continue
            try:
                missing, disputed = 0, len(wrong)
                for line in read_table(self._files.read(name), path.suffix):
                    image = str(path.parent / line.pop("file_name", "").replace("\\", "/"))
                    if image not in images:
                        missing += 1
                        continue
                    before = known.setdefault(image, {})
                    wrong |= {
                        (image, key)
                        for key, value in line.items()
                        if not _agree(before, key, value)
                    }
            except (OSError, ValueError) as error:
                raise Invalid(f"{self.name}: {name} cannot be used: {error}") from error
            if missing:
                self.notes.append(f"{name} speaks of {missing:,} files that are not there")
            if len(wrong) > disputed:
                times = len(wrong) - disputed
                self.notes.append(f"{name} contradicts itself {times:,} times: unknown there")
        for image, key in wrong:
            known[image][key] = ""
        return known

    def _stylegan(self, images: set[str]) -> dict[str, str]:
        """Image -> class, from a `dataset.json` as StyleGAN's dataset tool writes it."""
        if "dataset.json" not in self._files.names:
            return {}
        try:
            content = parse_json(self._files.read("dataset.json"), most=LARGEST_LABELS)
            labels = content.get("labels") or []
            return {str(n): _class_of(label) for n, label in labels if str(n) in images}
        except (OSError, ValueError, TypeError) as error:
            raise Invalid(
                f"{self.name}: dataset.json is not as StyleGAN's dataset tool writes it ({error})"
            ) from error

    def _beside(self, images: list[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Captions from `name.txt`, columns from `name.json`, beside `name.png`."""
        names = set(self._files.names)
        captions, sidecars = {}, {}
        for image in images:
            stem = image[: -len(PurePosixPath(image).suffix)]
            if stem + ".txt" in names:
                captions[image] = self._side_file(stem + ".txt").strip()[:LONGEST_TEXT]
            if stem + ".json" in names:
                sidecars[image] = sidecar(self._side_file(stem + ".json"))
        return captions, sidecars

    def _side_file(self, name: str) -> str:
        try:
            return self._files.read(name, SIDE_LIMIT).decode("utf-8", "replace")
        except (OSError, ValueError) as error:
            self.problems.append((name, f"cannot be read: {error}"))
            return ""


def read_table(content: bytes, suffix: str) -> Iterator[dict[str, str]]:
    """Lines of a csv or jsonl file as words.

    Raises:
        ValueError: it is not UTF-8, no table, or has no `file_name`; or a line is too long.
    """
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    named, first = False, ""
    for line in (_csv if suffix == ".csv" else _jsonl)(text):
        named = named or "file_name" in line
        first = first or ", ".join(line)[:1000]
        yield line
    if first and not named:
        raise Invalid(f"it has no column file_name (it has {first})")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise Invalid(f"line {number:,} has more than {LONGEST_LINE:,} characters")
        if number > MOST_LINES:
            raise Invalid(f"it has more than {MOST_LINES:,} lines")
        yield line


def _csv(text: io.TextIOWrapper) -> Iterator[dict[str, str]]:
    try:
        for line in csv.DictReader(_lines(text), strict=True):
            yield {k.strip(): word(v) for k, v in line.items() if k}
    except csv.Error as error:
        raise Invalid(f"it is no csv table ({error})") from error


def _jsonl(text: io.TextIOWrapper) -> Iterator[dict[str, str]]:
    for number, line in enumerate(filter(str.strip, _lines(text)), 1):
        try:
            entry = parse_json(line.encode(), finite=False, halves=True)
        except ValueError as error:
            raise Invalid(f"line {number} is no JSON object ({error})") from error
        yield {str(k): word(v) for k, v in entry.items()}


def sidecar(text: str) -> dict[str, str]:
    """Caption and class from an image's own JSON file; what it says of its download is passed over."""
    try:
        entry = parse_json(text.encode(), finite=False, halves=True)
    except ValueError:
        return {}
    wanted = {"caption": "text", "text": "text", "label": "label", "class": "label", "cls": "label"}
    return {wanted[k]: word(v) for k, v in entry.items() if k in wanted and word(v)}


def word(value: Any) -> str:
    """A value of a table as one word; nothing, lists and objects say nothing.

    >>> word(3.0), word(None), word(" a "), word(True)
    ('3', '', 'a', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else ""
    return str(value).strip()[:LONGEST_TEXT] if isinstance(value, str | int) else ""


def _agree(before: dict[str, str], key: str, value: str) -> bool:
    """Note what a line says, unless another one has said otherwise; nothing contradicts nothing."""
    before[key] = before.get(key) or value
    return value in ("", before[key])


def _class_of(label: Any) -> str:
    """A StyleGAN label: a number, or one-hot."""
    if isinstance(label, list):
        return str(max(range(len(label)), key=label.__getitem__)) if label else ""
    return "" if label is None else str(int(label))


def _said(known: Mapping[str, Mapping[str, str]]) -> bool:
    return any(line.get("label") for line in known.values())


def _depth(images: Iterable[str]) -> int:
    """How many folders enclose all images, as `pets` does in a zip of `pets/`: they say nothing.

    >>> _depth(["pets/cat/1.png", "pets/dog/sub/2.png"]), _depth(["cat/1.png", "2.png"])
    (1, 0)
    """
    folders = [image.split("/")[:-1] for image in images]
    pairs = zip(min(folders, default=[]), max(folders, default=[]), strict=False)
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _sides(images: Iterable[str], depth: int) -> dict[str, Side]:
    """Image -> side, if top folders speak of both sides (train/ and test/ or val/)."""
    sides: dict[str, Side] = {}
    for image in images:
        folders = image.split("/")[depth:-1]
        side = side_of(folders[0]) if folders else None
        if side:
            sides[image] = side
    return sides if len(set(sides.values())) == 2 else {}


def _class_folders(images: list[str], sides: Mapping[str, Side], depth: int) -> dict[str, str]:
    """Image -> the folder it lies in, where folders look like classes.

    They do if every image is in one (below train/ and test/), there are 2 to 1,000 of them, not all
    named by numbers of five digits (shards), and they hold at least 2 images each on average.
    """
    found = {}
    for image in images:
        parts = image.split("/")[depth + (image in sides) :]
        if len(parts) < 2:
            return {}
        found[image] = parts[0]
    counts = Counter(found.values())
    shards = all(len(name) == 5 and name.isdecimal() for name in counts)
    if not 2 <= len(counts) <= 1000 or len(images) < 2 * len(counts) or shards:
        return {}
    return found


def _hidden(name: str) -> bool:
    parts = (part for part in name.split("/") if part not in (".", ".."))
    return any(part.startswith((".", "__MACOSX")) for part in parts)
