"""What the marks of a picture tell: content credentials, then metadata, then the watermark.

Four answers, none of which is "real": a picture without marks may come from any model whose marks were
taken off, or that puts none.
"""

import dataclasses
import enum
import functools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.film import container_of, picture_frames, video_frames
from zeuxis.core.progress import Progress
from zeuxis.core.settings import similar
from zeuxis.data.preparation.decode import decode, guarded, opened
from zeuxis.data.source.base import read_file
from zeuxis.marks import containers, credentials, metadata
from zeuxis.marks.mark import artefact_of
from zeuxis.marks.watermark import PUBLIC_KEY, Key, detect, detect_film

CERTAIN = -6.0
"""Decimal logarithm of how often an unmarked picture may be taken for a marked one, all files together."""
FRAMES = 8
"""Of a film, that are looked at together at most."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".mp4", ".webm")
SOURCE_TYPE = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/(\w{1,60})")
VALUE = rb"Iptc4xmpExt:%s(?:\s*=\s*[\"']|\s*>)([^\"'<>]{1,100})"


class Answer(enum.Enum):
    """What is found of a picture, and the exit code that says so."""

    MADE = "made by Zeuxis", 0
    SAYS = "says it is AI-made", 1
    EDITED = "edited since", 3
    NONE = "no mark found, which proves nothing", 4
    UNREADABLE = "cannot be read", 2

    @property
    def words(self) -> str:
        """As it is printed."""
        return self.value[0]

    @property
    def code(self) -> int:
        """Exit code."""
        return self.value[1]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is known of one file.

    Attributes:
        name: of the file.
        answer: in short.
        evidence: why, in sentences.
        facts: the same as JSON values, by layer.
    """

    name: str
    answer: Answer
    evidence: Sequence[str]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        short = {"file": self.name, "answer": self.answer.words, "code": self.answer.code}
        return {**short, "evidence": list(self.evidence), **self.facts}


def verify(
    places: Sequence[str | Path],
    key: str | Path | None = None,
    thorough: bool = False,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Look for the marks of files, and of the pictures and films in folders.

    Args:
        places: files and folders.
        key: file of a private key that is looked for beside the public one.
        thorough: look for crops, turned and mirrored pictures as well, which takes seconds a picture.
        progress: called with (files done, of how many).

    Raises:
        NotFound: there is no such file, or no picture in a folder.
        Invalid: the one file that was given cannot be read.
    """
    keys = [PUBLIC_KEY, *([Key.load(key)] if key is not None else [])]
    files, found = list(_files(places)), list[Verdict]()
    for file in files:
        try:
            content = read_file(file, None)
            found.append(examine(content, str(file), keys, thorough, len(files) * len(keys)))
        except (OSError, ValueError) as error:
            if len(files) == 1:
                raise Invalid(f"{file} cannot be read as a picture ({error})") from error
            found.append(Verdict(str(file), Answer.UNREADABLE, [str(error)]))
        if progress:
            progress(len(found), len(files))
    return found


def _files(places: Sequence[str | Path]) -> Iterator[Path]:
    for place in map(Path, places):
        if not place.exists():
            raise NotFound(f"there is no file {place}{similar(place)}")
        inside = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES)
        if place.is_dir() and not inside:
            raise NotFound(f"{place} holds no picture; expected files such as 0000.png")
        yield from inside if place.is_dir() else [place]


def code_of(verdicts: Sequence[Verdict]) -> int:
    """Exit code of several: 2 if one cannot be read, else that of the weakest answer."""
    codes = [verdict.answer.code for verdict in verdicts]
    return 2 if 2 in codes else max(codes)


def examine(
    content: bytes, name: str, keys: Sequence[Key], thorough: bool = False, tests: int = 1
) -> Verdict:
    """What the marks of one encoded picture or film tell.

    Args:
        content: of the file.
        name: for whoever reads the verdict.
        keys: that are looked for.
        thorough: as for `verify`.
        tests: pictures times keys that are looked at, by whose number the chance of a false alarm grows.

    Raises:
        Invalid: it is no picture.
    """
    signed, about_signature = _signed(content)
    stated, about_metadata = _stated(content)
    mark = _mark(content, keys, thorough, tests)
    evidence = [*about_signature, *about_metadata, *mark.evidence]
    ours = stated is not None and stated["system"].startswith("Zeuxis")
    if signed is not None and signed.state == "broken":
        answer = Answer.EDITED
    elif mark.key is not None and not (ours or signed or container_of(content) == "webm"):
        answer = Answer.EDITED
        evidence.append(
            "the metadata that Zeuxis writes beside a watermark is gone: it was edited or saved again"
        )
    elif mark.key is not None or (signed and signed.state == "trusted"):
        answer = Answer.MADE
    elif (stated and stated["ai"]) or (signed and signed.made_by_ai):
        answer = Answer.SAYS
    else:
        answer = Answer.NONE
    facts = {
        "credentials": dataclasses.asdict(signed) if signed else None,
        "metadata": stated,
        "watermark": mark.facts,
    }
    return Verdict(name, answer, evidence, facts)


def _signed(content: bytes) -> tuple[credentials.Told | None, list[str]]:
    """What the credentials tell, and a sentence of it."""
    try:
        told = credentials.read(content)
    except Unable:
        return None, [
            "it has content credentials, which are not read here: pip install 'zeuxis[credentials]'"
        ]
    if told is None:
        return None, []
    by = f"by {told.signer} with {told.generator}"
    sentence = {
        "trusted": "signed with this user's own key, and unchanged since",
        "valid": f"signed {by}, whose key is not known here, and unchanged since",
        "broken": f"signed {by}, and changed since: the signature does not fit the file",
    }[told.state]
    return told, [sentence]


def _stated(content: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    """What the XMP states, and a sentence of it. Nothing of a stranger's XML is expanded: it is searched."""
    packet = containers.xmp_of(content)
    if packet is None:
        return None, []
    if not metadata.is_plain(packet):
        return None, ["its XMP is refused: it declares entities, is damaged or beyond 60,000 bytes"]
    kind = SOURCE_TYPE.search(packet)
    names = [re.search(VALUE % word, packet) for word in (b"AISystemUsed", b"AISystemVersionUsed")]
    system, version = (one[1].decode("utf-8", "replace") if one else "" for one in names)
    source = kind[1].decode() if kind else ""
    ai = metadata.DRAWN.lower() in source.lower()
    if not (source or system):
        return None, []
    by = f", by {system} {version}".rstrip() if system else ""
    stated = {"source_type": source, "system": system, "version": version, "ai": ai}
    said = f"its metadata says {source or 'nothing of its source'}{by}; anybody can write that"
    return stated, [said]


@dataclasses.dataclass(frozen=True)
class _Mark:
    """What was found of a watermark; no key where none was, no facts where it could not be looked for."""

    key: Key | None
    evidence: Sequence[str]
    facts: dict[str, Any] | None


def _mark(content: bytes, keys: Sequence[Key], thorough: bool, tests: int) -> _Mark:
    try:
        with guarded():
            first_HWC, frames = _pictures(content)
    except Unable:
        return _Mark(None, ["its frames are not looked at here: pip install 'zeuxis[film]'"], None)
    looks = [functools.partial(detect, first_HWC, thorough=thorough)]
    if frames:  # the first of a film that was compressed anew may be far better than those after it
        looks.append(functools.partial(detect_film, frames))
    found = [(look(key=key), key) for key in keys for look in looks]
    best, key = min(found, key=lambda pair: pair[0].log10_p)
    tests *= len(looks)
    logarithm = min(0.0, best.log10_p + math.log10(tests))
    facts = {"log10_p": logarithm, "found": logarithm < CERTAIN, "key": None, "model": None}
    if logarithm >= CERTAIN:
        return _Mark(None, ["no watermark of a known key was found"], facts)
    model = artefact_of(best.payload, best.bits)
    whose = "the key that every Zeuxis has" if key == PUBLIC_KEY else f"your key {key.number:06x}"
    chance = f"fewer than 1 in 10^{math.floor(-logarithm)} unmarked images look as marked"
    evidence = [f"it has the watermark of {whose}: {chance}{_among(tests)}"]
    if model:
        evidence.append(f"the watermark names a model whose weights' SHA-256 begins with {model}")
    return _Mark(key, evidence, {**facts, "key": f"{key.number:06x}", "model": model})


def _pictures(content: bytes) -> tuple[np.ndarray, list[np.ndarray]]:
    """The first picture of a file, and frames of a film; none of a still picture."""
    if container_of(content):
        frames = video_frames(content, FRAMES)
        return frames[0], frames
    first_HWC = decode(content, None).pixels_HWC
    with opened(content) as image:
        return first_HWC, picture_frames(image, FRAMES)


def _among(tests: int) -> str:
    return f", {tests:,} looks being allowed for" if tests > 1 else ""
