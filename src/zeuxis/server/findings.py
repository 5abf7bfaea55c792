"""What is in a set of pictures, and what should be mended before training, in plain sentences.

What was noticed of the pixels comes from `zeuxis.data.inspection` (in a process of its own, `look`); what
depends on labels and on what is left out is counted anew each time.
"""

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pydantic

from zeuxis.core.errors import NotFound
from zeuxis.core.files import read_json
from zeuxis.data.preparation.warn import FEW, RARE, UNEVEN, faces_said, many_faces, share

Severity = Literal["bad", "fair", "note"]
SHOWN = 200
"""Pictures that a finding names."""
SCARCE = 100
"""Pictures below which a model can only copy."""
CUT = 0.3
"""Share of the middle picture that a square frame may cut away without a word."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A file that was sent.

    Attributes:
        number: in the order in which they came.
        name: as it was dropped, such as cats/one.png.
        sent: SHA-256 of its bytes.
        sha: of the PNG file that the decoder made of it; None: it could not be read.
        width, height: of the picture.
        bytes: of the PNG file.
        label: its class.
        caption: what it shows, in words.
        excluded: left out of training.
        problem: why it could not be read.
    """

    number: int
    name: str
    sent: str = ""
    sha: str | None = None
    width: int = 0
    height: int = 0
    bytes: int = 0
    label: str | None = None
    caption: str = ""
    excluded: bool = False
    problem: str | None = None

    @property
    def id(self) -> str:
        """What clients call it."""
        return f"{self.number:06d}"


@dataclasses.dataclass(frozen=True)
class Done:
    """A change that can be taken back: in words, of what, from what; and the finding that it mended."""

    words: str
    field: str
    before: Mapping[int, Any]
    fix: str = ""


class Finding(pydantic.BaseModel, frozen=True):
    """Something that one should know of a set."""

    id: str
    severity: Severity
    sentence: str
    count: int
    items: list[str]
    """Ids of some of what it is about."""
    fix: str | None
    """Words of the button that mends it; null: nothing to press."""
    fixed: bool
    """It was mended, and the sentence says what was done."""


class Enough(pydantic.BaseModel, frozen=True):
    """Whether a set is large enough."""

    level: Literal["few", "fair", "good"]
    sentence: str


class Class(pydantic.BaseModel, frozen=True):
    """A class and its pictures that are trained on."""

    name: str
    count: int


class Pairs(pydantic.BaseModel, frozen=True):
    """How a set's pictures belong to one another, for what learns to make one of another."""

    kind: Literal["names", "halves", "apart"]
    """Files of equal name in two classes; pictures that hold both halves; two classes without such names."""
    count: int
    """Pairs; 0 of two classes without."""
    sides: list[str]
    """Two classes, A and B of `data.pairs`; or left and right."""


class Summary(pydantic.BaseModel, frozen=True):
    """What a set is, as a client sees it."""

    count: int
    """Pictures that would be trained on."""
    excluded: int
    pending: int
    """Pictures that nobody has looked at yet."""
    classes: list[Class]
    unlabelled: int
    captions: int
    findings: list[Finding]
    enough: Enough
    pairs: Pairs | None
    """As what learns from pairs could read it; null: it could not."""
    smallest: int
    """Pixels of the shortest side of any picture; 0: not known."""
    undo: str | None
    """What undo would take back, in words."""


class Look:
    """What a process noticed of a set's pixels, read again when it is written again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._told: dict[str, Any] = {}

    def stamp(self) -> tuple[int, int] | None:
        """Changes with the file; None if there is none."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_size

    @property
    def told(self) -> dict[str, Any]:
        """Content of the file; empty if there is none."""
        stamp = self.stamp()
        if stamp != self._stamp:
            self._told = read_json(self._path) if stamp else {}
            self._stamp = stamp
        return self._told

    def of_sample(self) -> Summary:
        """Of a set that nobody changes."""
        told = self.told
        column: dict[str, Any] = next(iter(told.get("conditions", ())), {})
        pairs = zip(column.get("classes", ()), column.get("counts", ()), strict=True)
        count = told.get("count", 0)
        return Summary(
            count=count,
            excluded=0,
            pending=0 if told else 1,
            classes=[Class(name=name, count=number) for name, number in pairs],
            unlabelled=column.get("unknown", 0 if column else count),
            captions=told.get("captions", 0),
            findings=list(_seen(told)),
            enough=_enough(count),
            pairs=None,
            smallest=0,
            undo=None,
        )


RULES: dict[str, tuple[Severity, tuple[str, ...], str, str, str]] = {
    "unreadable": (
        "bad",
        (),
        "{} cannot be read as {pictures}.",
        "Leave {them} out",
        "{} that cannot be read {were} left out.",
    ),
    "blank": (
        "bad",
        ("blank",),
        "{} {show} one colour and nothing else.",
        "Leave {them} out",
        "{} of one colour {were} left out.",
    ),
    "transparent": (
        "bad",
        ("transparent",),
        "{} {are} transparent and cannot be seen on white.",
        "Leave {them} out",
        "{} that cannot be seen on white {were} left out.",
    ),
    "small": (
        "bad",
        ("too small", "oversized", "unsupported", "corrupt", "truncated", "not an image"),
        "{} {are} too small or of a kind that training cannot use.",
        "Leave {them} out",
        "{} that training cannot use {were} left out.",
    ),
    "duplicates": (
        "fair",
        ("duplicate", "near duplicate"),
        "{} {are} the same as another one, or nearly.",
        "Leave the copies out",
        "{} that {were} copies of others {were} left out.",
    ),
}
"""Rule -> severity, the reasons of an inspection behind it, the sentence, the button, what was done."""


def summary(items: Sequence[Item], look: Look, done: Sequence[Done]) -> Summary:
    """What a set is."""
    told, seen = look.told, set(look.told.get("seen", ()))
    readable = [item for item in items if item.sha is not None and not item.excluded]
    useless = _noticed({item.number: item for item in items}, told)
    gone = {number for rule, numbers in useless.items() for number in numbers}
    used = [item for item in readable if item.number not in gone]
    labels = collections.Counter(item.label for item in readable if item.label is not None)
    fixes = {one.fix: list(one.before) for one in done if one.fix}
    noticed = [_finding(rule, numbers) for rule, numbers in useless.items() if numbers]
    found = [*noticed, *_seen(told), *_of_words(readable, labels)]
    mended = [_mended(rule, numbers) for rule, numbers in fixes.items() if not useless.get(rule)]
    pairs = pairs_of(used)
    if pairs is not None and pairs[0].kind == "names":
        found.append(_of_pairs(*pairs))
    order = ["bad", "fair", "note"]
    return Summary(
        count=len(used),
        excluded=sum(item.excluded for item in items),
        pending=sum(item.number not in seen for item in readable),
        classes=[Class(name=name, count=count) for name, count in labels.items()],
        unlabelled=sum(item.label is None for item in readable),
        captions=sum(bool(item.caption) for item in readable),
        findings=sorted(found, key=lambda one: order.index(one.severity)) + mended,
        enough=_enough(len(used)),
        pairs=None if pairs is None else pairs[0],
        smallest=min((min(item.width, item.height) for item in used), default=0),
        undo=done[-1].words if done else None,
    )


def to_fix(rule: str, items: Mapping[int, Item], look: Look) -> list[int]:
    """Numbers of what a finding would leave out.

    Raises:
        NotFound: there is no such finding now.
    """
    numbers = _noticed(items, look.told).get(rule)
    if not numbers:
        raise NotFound(f"nothing to mend by {rule[:80]!r} in this set now")
    return numbers


def pairs_of(items: Sequence[Item]) -> tuple[Pairs, list[tuple[Item, Item]]] | None:
    """How pictures belong to one another, and the pairs, if those are of files; None if they do not.

    Two files are a pair if they have one name but for the class: `A/1.png` and `B/1_B.jpg`.
    """
    labels = list(dict.fromkeys(item.label for item in items))
    if len(labels) == 2 and None not in labels:
        sides: list[dict[str, Item]] = [{}, {}]
        for item in items:
            sides[labels.index(item.label)].setdefault(_key(item), item)
        both = [(one, sides[1][key]) for key, one in sides[0].items() if key in sides[1]]
        kind = "names" if 2 * len(both) >= min(map(len, sides)) else "apart"
        count = len(both) if kind == "names" else 0
        return Pairs(kind=kind, count=count, sides=labels), both
    if items and all(item.width == 2 * item.height for item in items):
        return Pairs(kind="halves", count=len(items), sides=["left", "right"]), []
    return None


def _key(item: Item) -> str:
    name = item.name.rpartition("/")[2].rpartition(".")[0]
    return re.sub(f"[_-]{re.escape(item.label or '')}$", "", name)


def _of_pairs(pairs: Pairs, both: Sequence[tuple[Item, Item]]) -> Finding:
    source, target = pairs.sides
    said = f"{pairs.count:,} pair{'s' if pairs.count > 1 else ''}" + (
        f": files of {source} and {target} that have one name."
    )
    return _told(
        "pairs", "note", said, pairs.count, [one.id for two in both for one in two][:SHOWN]
    )


def _noticed(items: Mapping[int, Item], told: Mapping[str, Any]) -> dict[str, list[int]]:
    """Rule -> numbers of the items, of those that are not left out, that training has no use for."""
    found: dict[str, list[int]] = {rule: [] for rule in RULES}
    rules = {reason: rule for rule, (_, reasons, *_) in RULES.items() for reason in reasons}
    found["unreadable"] = [
        number for number, item in items.items() if item.problem and not item.excluded
    ]
    for number, reason, of in told.get("left_out", ()):
        there = number in items and not items[number].excluded
        alone = of is not None and (of not in items or items[of].excluded)
        if there and not alone and reason in rules:
            found[rules[reason]].append(number)
    return found


def _finding(rule: str, numbers: Sequence[int]) -> Finding:
    severity, _, sentence, fix, _ = RULES[rule]
    return Finding(
        id=rule,
        severity=severity,
        sentence=_said(sentence, len(numbers), rule),
        count=len(numbers),
        items=[f"{number:06d}" for number in numbers[:SHOWN]],
        fix=fix.format(them="it" if len(numbers) == 1 else "them"),
        fixed=False,
    )


def _mended(rule: str, numbers: Sequence[int]) -> Finding:
    return Finding(
        id=rule,
        severity="note",
        sentence=_said(RULES[rule][-1], len(numbers), rule),
        count=len(numbers),
        items=[f"{number:06d}" for number in numbers[:SHOWN]],
        fix=None,
        fixed=True,
    )


def _told(rule: str, severity: Severity, sentence: str, count: int, items: list[str]) -> Finding:
    """Something that no button mends."""
    return Finding(
        id=rule,
        severity=severity,
        sentence=sentence,
        count=count,
        items=items,
        fix=None,
        fixed=False,
    )


def _said(sentence: str, count: int, rule: str) -> str:
    """A sentence of one or several."""
    thing, one = "file" if rule == "unreadable" else "picture", count == 1
    many = f"{count:,} {thing}{'' if one else 's'}"
    return sentence.format(
        many,
        are="is" if one else "are",
        were="was" if one else "were",
        show="shows" if one else "show",
        pictures="a picture" if one else "pictures",
    )


def _seen(told: Mapping[str, Any]) -> Iterator[Finding]:
    """What an inspection says of the set as a whole."""

    def finding(rule: str, severity: Severity, sentence: str, count: int = 0) -> Finding:
        return _told(rule, severity, sentence, count, [])

    if told.get("problem"):
        yield finding("unusable", "bad", told["problem"][:1].upper() + told["problem"][1:] + ".")
    faces = told.get("faces")
    if faces and faces["found"]:
        asks = many_faces(faces)
        yield finding(
            "faces",
            "fair" if asks else "note",
            f"Faces were found in {faces_said(faces)}"
            f"{': training will ask why pictures of people may be used' if asks else ''}.",
            faces["found"],
        )
    found: Mapping[str, Any] = told.get("found", {})
    looked = sum(found.get("formats", {}).values())
    small = found.get("enlarged", 0)
    if small > looked // 100:
        yield finding(
            "enlarged",
            "fair",
            f"{share(small, looked)} of the pictures are smaller than what is learned, so they are blurred.",
            small,
        )
    if found.get("cut", 0) >= CUT:
        yield finding(
            "cut",
            "fair",
            f"The frame cuts {100 * found['cut']:.0f} % of the middle picture away; "
            "another size or padding keeps it (Advanced).",
        )
    if found.get("brightest", 255) < 255:
        yield finding(
            "dark", "fair", "All pictures are very dark; brighten them if they should be seen."
        )
    notes: Mapping[str, int] = found.get("notes", {})
    for note, what in (
        ("animated", "moves: its first frame"),
        ("several pages", "has several pages: the first"),
    ):
        if notes.get(note):
            yield finding(note.replace(" ", "-"), "note", f"A file {what} is taken.", notes[note])


def _of_words(readable: Sequence[Item], labels: "collections.Counter[str]") -> Iterator[Finding]:
    """What labels and captions leave to wish."""

    def finding(
        rule: str, severity: Severity, sentence: str, items: Sequence[Item] = ()
    ) -> Finding:
        return _told(rule, severity, sentence, len(items), [item.id for item in items[:SHOWN]])

    if len(labels) > 1:
        (common, most), (rare, least) = labels.most_common()[0], labels.most_common()[-1]
        few = [item for item in readable if item.label == rare]
        if most >= UNEVEN * least:
            uneven = f"Classes are uneven: {common} has {most:,} pictures, {rare} {least:,}."
            yield finding("uneven", "fair", uneven, few)
        elif least < RARE:
            yield finding("rare", "note", f"The class {rare} has only {least:,} pictures.", few)
    unlabelled = [item for item in readable if item.label is None]
    if labels and unlabelled:
        count = len(unlabelled)
        said = f"{count:,} pictures have" if count > 1 else "1 picture has"
        yield finding("unlabelled", "note", f"{said} no class.", unlabelled)
    silent = [item for item in readable if not item.caption]
    if silent and len(silent) < len(readable):
        count = len(silent)
        said = f"{count:,} pictures have" if count > 1 else "1 picture has"
        yield finding("uncaptioned", "note", f"{said} no caption.", silent)


def _enough(count: int) -> Enough:
    if not count:
        return Enough(level="few", sentence="No pictures yet.")
    if count < SCARCE:
        return Enough(
            level="few", sentence=f"{count:,}: too few to learn from; the model will copy them."
        )
    if count < FEW:
        return Enough(
            level="fair", sentence=f"{count:,}: fine for simple shapes; the model may copy."
        )
    return Enough(level="good", sentence=f"{count:,}: enough to learn from.")
