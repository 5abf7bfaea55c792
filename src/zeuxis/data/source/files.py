"""Files by name, wherever they lie: below a folder, or in a zip that is never unpacked to disk."""

import abc
import functools
import os
import posixpath
import threading
import unicodedata
import zipfile
from pathlib import Path

from zeuxis.core.errors import Invalid
from zeuxis.data.source.base import (
    LEADS_OUT,
    MEMBER_LIMIT,
    OTHER_IMAGES,
    SUFFIXES,
    leads_out,
    read_file,
)

HIDDEN = (".", "__MACOSX", "@eaDir")
"""What file managers leave beside pictures: macOS's resource forks, thumbnails of a NAS."""
TEXTS = (".txt", ".json", ".csv", ".xml", ".md")
HEAD = 16
UTF8_NAMES = 0x800
"""Flag of a zip's member whose name is UTF-8."""


class Files(abc.ABC):
    """Names, and bytes by name.

    Attributes:
        names: with forward slashes.
        around: folders around every name that are none, such as the tar that it is in.
        problems: (file, why) that cannot be read.
        notes: sentences.
    """

    around = 0

    def __init__(self) -> None:
        self.names: list[str] = []
        self.problems: list[tuple[str, str]] = []
        self.notes: list[str] = []

    @abc.abstractmethod
    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A file's bytes.

        Raises:
            OSError or ValueError: it cannot be read, or has more than `most`.
        """

    @abc.abstractmethod
    def head(self, name: str) -> bytes:
        """A file's first bytes, `HEAD` at most; none if it cannot be read."""

    def placed(self, name: str) -> str:
        """The path whose folders say something."""
        return name

    @functools.cached_property
    def images(self) -> list[str]:
        """Names of images: by their suffix, or by their first bytes if they, or all of them, have none."""
        suffixes = {name: posixpath.splitext(name)[1].lower() for name in self.names}
        named = [name for name in self.names if suffixes[name] in SUFFIXES]
        known = {*OTHER_IMAGES, *TEXTS}
        odd = [n for n in self.names if not suffixes[n] or (not named and suffixes[n] not in known)]
        sniffed = {name for name in odd if is_image(self.head(name))}
        if not sniffed:
            return named
        self.notes.append(f"{len(sniffed):,} files are images by their first bytes, not by suffix")
        return [name for name in self.names if name in sniffed or suffixes[name] in SUFFIXES]

    def close(self) -> None:  # noqa: B027
        """Let go of open files."""


def is_image(head: bytes) -> bool:
    """Whether a file begins as one of the six formats does that are read."""
    return (
        head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and head[6:10] == bytes(4))
    )


def hidden(name: str) -> bool:
    """Whether a file, or a folder that it is in, is one that people do not see."""
    parts = (part for part in name.split("/") if part not in (".", ".."))
    return any(part.startswith(HIDDEN) for part in parts)


class Folder(Files):
    """Files below a folder. Linked folders are not followed (they may lead in circles), nor links out."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        for folder, folders, names in os.walk(root, onerror=self._note):
            folders[:] = sorted(f for f in folders if not f.startswith(HIDDEN))
            here = os.path.relpath(folder, root)
            here = "" if here == "." else here.replace(os.sep, "/") + "/"
            self.problems += [
                (here + name, "a link to a folder is not followed; give that folder by itself")
                for name in folders
                if Path(folder, name).is_symlink()
            ]
            for name in (name for name in names if not name.startswith(".")):
                path = os.path.join(folder, name)  # noqa: PTH118  a Path a file takes most of the time
                if os.path.islink(path) and leads_out(Path(path), root):  # noqa: PTH114
                    self.problems.append((here + name, LEADS_OUT))
                else:
                    self.names.append(here + name)
        self.names.sort()

    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A file's bytes."""
        return read_file(self._root / name, self._root, most)

    def head(self, name: str) -> bytes:
        """A file's first bytes."""
        try:
            return read_file(self._root / name, self._root, cut=HEAD)
        except (OSError, ValueError):
            return b""

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
        self._locked = threading.Lock()
        self._members: dict[str, zipfile.ZipInfo] = {}
        twice, guessed = 0, []
        for member in members:
            name = _name_of(member)
            if name.endswith("/") or hidden(name):
                continue
            twice += name in self._members
            self._members[name] = member
            if name != member.filename.replace("\\", "/"):
                guessed.append(name)
        self.names = sorted(self._members)
        if twice:
            self.notes.append(f"{twice:,} names are in the zip twice: the later file counts")
        if guessed:
            self.notes.append(
                f"{len(guessed):,} names in the zip are in an encoding that it does not tell, guessed to be "
                f"such as {guessed[0]}"
            )

    def read(self, name: str, most: int = MEMBER_LIMIT) -> bytes:
        """A member's bytes, at most `most` of them whatever its header says."""
        member = self._members[name]
        if member.file_size > most:
            raise Invalid(f"it unpacks to {member.file_size:,} bytes; at most {most:,} are read")
        return self._first(member, most)

    def head(self, name: str) -> bytes:
        """A member's first bytes."""
        try:
            return self._first(self._members[name], HEAD)
        except ValueError:
            return b""

    def _first(self, member: zipfile.ZipInfo, most: int) -> bytes:
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


def _name_of(member: zipfile.ZipInfo) -> str:
    r"""A member's name with forward slashes, and its letters as its maker saw them.

    PowerShell's early `Compress-Archive` wrote `cat\1.png`. A name without the flag for UTF-8 is in code
    page 437 by the standard; many programs wrote UTF-8 or Windows' own letters all the same.
    """
    name = member.filename
    if not member.flag_bits & UTF8_NAMES and not name.isascii():
        written = name.encode("cp437")
        for guess in ("utf-8", "cp437", "cp1252"):
            try:
                read = written.decode(guess)
            except UnicodeDecodeError:
                continue
            if all(
                c.isascii() or unicodedata.category(c) in ("Ll", "Lu", "Lo", "Mn") for c in read
            ):
                name = read
                break
    return name.replace("\\", "/")
