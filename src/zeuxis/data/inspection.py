"""What a source holds, said in plain words and shown on one self-contained page."""

import base64
import contextlib
import dataclasses
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.files import write_file
from zeuxis.core.lock import locked
from zeuxis.core.log import parse_line
from zeuxis.core.pixels import grid, png_bytes
from zeuxis.core.settings import Data
from zeuxis.core.words import markup
from zeuxis.data.facts import LEFT_OUT
from zeuxis.data.preparation import decode
from zeuxis.data.preparation.columns import CLASSES
from zeuxis.data.preparation.people import of_set
from zeuxis.data.preparation.prepare import Progress, prepare_source
from zeuxis.data.preparation.target import choose_target
from zeuxis.data.preparation.warn import faces_said, share
from zeuxis.data.prepared import Prepared, is_prepared, open_prepared
from zeuxis.data.source import open_source

SCRATCH = "zeuxis-inspect-"
SHEET, ROWS_OF_CLASSES, MOST_SIDE, MOST_SHOWN = 96, 12, 64, 256


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The findings, in memory: nothing of the source or the cache is kept open.

    Attributes:
        name: the source's name.
        facts: as in dataset.json (counts, sizes, class balance, what was left out and why).
        sheet: contact sheet (H, W, C) uint8 of images spread evenly over the set.
        classes: (column, class, count, sheet row) for the columns with at most 12 classes.
        left_out: (file, reason, detail) of each file that was left out.
    """

    name: str
    facts: dict[str, Any]
    sheet: np.ndarray
    classes: tuple[tuple[str, str, int, np.ndarray | None], ...]
    left_out: tuple[tuple[str, str, str], ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What one should know before training, the most important first."""
        return list(self.facts["warnings"])

    def lines(self) -> list[str]:
        """The findings as a few lines of text, for a terminal."""
        return [f"{label}: {value}" for label, value in _table(self.facts)] + self.warnings

    def write(self, folder: str | Path) -> Path:
        """Write `inspect.html` into `folder` and return its path; the page needs no other file."""
        path = Path(folder) / "inspect.html"
        page = self.html()
        write_file(path, lambda beside: beside.write_text(page, encoding="utf-8"))
        return path

    def html(self) -> str:
        """The page. Every word that comes from the data is escaped; there are no scripts."""
        facts = self.facts
        parts = [
            _section("Read this first", _list(self.warnings or ["nothing to warn about"])),
            _section("What is in it", _html_table(_table(facts))),
            _section("A look", _image(self.sheet, f"{SHEET} images, spread evenly")),
            *(_section(f"Classes of '{name}'", body) for name, body in self._balance()),
            _section("Left out", _left_out(facts["left_out"])),
            _section("How such files are handled", _html_table(list(facts["policy"].items()))),
        ]
        if facts["licence"] or facts["credits"]:
            said = f"{facts['licence']}\n\n{facts['credits']}".strip()
            parts.append(_section("Licence and credits", f"<pre>{markup(said, lines=True)}</pre>"))
        title = markup(self.name)
        return PAGE.format(title=title, body="\n".join(parts))

    def _balance(self) -> list[tuple[str, str]]:
        """Each column's classes as bars, with a few images of each where there are few classes."""
        out = []
        for column in self.facts["conditions"]:
            most = max(1, *column["counts"])
            rows = []
            looks = {c: look for name, c, _, look in self.classes if name == column["name"]}
            for name, count in sorted(
                zip(column["classes"], column["counts"], strict=True), key=lambda pair: -pair[1]
            )[:60]:
                bar = f'<span class="bar" style="width:{100 * count / most:.1f}%"></span>'
                look = looks.get(name)
                seen = _image(look, name) if look is not None else ""
                cells = f"<td>{markup(name)}</td><td>{count:,}</td><td class=wide>{bar}{seen}</td>"
                rows.append(f"<tr>{cells}</tr>")
            more = len(column["classes"]) - 60
            note = f"<p>and {more} more</p>" if more > 0 else ""
            out.append((column["name"], f"<table>{''.join(rows)}</table>{note}"))
        return out


def inspect(
    source: str | Path, settings: Data | None = None, progress: Progress | None = None
) -> Inspection:
    """Look at everything in a source without keeping anything of it.

    Every image is decoded, at no more than 64 px a side unless `settings.size` asks for more, into a
    temporary folder that is removed. Of a prepared set, what its preparation found is shown.

    Raises:
        ValueError: as in `prepare`.
    """
    settings = settings or Data()
    if is_prepared(Path(source)):
        return _looked(open_prepared(source))
    opened = open_source(source, settings)
    try:
        with _scratch() as scratch:
            if settings.size is None and opened.items:
                with decode.guarded():
                    target = choose_target(opened, settings)
                shrink = min(1.0, MOST_SIDE / max(target.height, target.width))
                sides = max(4, round(target.height * shrink)), max(4, round(target.width * shrink))
                settings = Data.model_validate({**settings.model_dump(), "size": sides})
            return _looked(prepare_source(opened, scratch / "set", settings, progress))
    finally:
        opened.close()


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder that goes at the end; those that killed processes of this user left go first.

    A scratch folder is there only while its lock is held, so that one without a holder is nobody's.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{SCRATCH}*"):
        with contextlib.suppress(ValueError), locked(_lock(left), "in use") as unlocked:
            if not unlocked:
                shutil.rmtree(left, ignore_errors=True)
    scratch = place / f"{SCRATCH}{secrets.token_hex(8)}"
    with locked(_lock(scratch), "in use"):
        scratch.mkdir(mode=0o700)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _lock(scratch: Path) -> Path:
    return scratch.with_name(f".{scratch.name}.lock")


def _looked(prepared: Prepared) -> Inspection:
    count = len(prepared)
    spread = np.unique(np.linspace(0, count - 1, SHEET).round().astype(np.int64))
    scale = max(1, 48 // prepared.height)
    thin = max(1, max(prepared.height, prepared.width) // MOST_SHOWN)
    images = prepared.images[:, ::thin, ::thin]  # a hundred images of 4,096 px would take gigabytes
    columns = 8 if "source" in prepared.fields else 16
    shown = _with_source(prepared, images, spread, thin)
    sheet = grid(shown, columns=columns, scale=scale)
    looks: list[tuple[str, str, int, np.ndarray | None]] = []
    for column, condition in enumerate(prepared.conditions):
        if len(condition.classes) > ROWS_OF_CLASSES:
            continue
        for number, name in enumerate(condition.classes):
            rows = np.flatnonzero(prepared.labels[:, column] == number)
            some = (
                rows[np.unique(np.linspace(0, len(rows) - 1, 10).round().astype(int))]
                if len(rows)
                else rows
            )
            look = grid(images[some], columns=10, scale=scale) if len(rows) else None
            looks.append((condition.name, name, len(rows), look))
    facts = {**prepared.facts, "faces": of_set(prepared)}
    return Inspection(prepared.name, facts, sheet, tuple(looks), _named(prepared))


def _named(prepared: Prepared) -> tuple[tuple[str, str, str], ...]:
    """What a set's list of files that were left out says."""
    path = prepared.folder / LEFT_OUT
    rows = map(parse_line, path.read_bytes().split(b"\n") if path.exists() else ())
    return tuple((row["file"], row["reason"], row["detail"]) for row in rows if row)


def _with_source(
    prepared: Prepared, images: np.ndarray, chosen: np.ndarray, thin: int
) -> np.ndarray:
    """Each image, at the right of its source if it has one."""
    shown = images[chosen]
    stored = prepared.fields.get("source")
    if stored is None:
        return shown
    height, width = shown.shape[1:3]
    some = stored.rows[chosen % len(stored.rows)][:, ::thin, ::thin]
    ys, xs = (np.arange(n) * m // n for n, m in zip((height, width), some.shape[1:3], strict=True))
    source = stored.field.visible(some)[:, ys][:, :, xs]
    return np.concatenate([_coloured(source), _coloured(shown)], 2)


def _coloured(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Three channels, whatever it has."""
    return pixels_NHWC[..., [0, 0, 0]] if pixels_NHWC.shape[-1] == 1 else pixels_NHWC[..., :3]


def _source_row(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What each translation starts from."""
    for entry in facts["fields"]:
        if entry["name"] == "source":
            form = entry["shape"]
            size = f"{form[-1]} x {form[-2]}"
            what = f"a map {size} of {len(entry.get('classes', ()))} class ids"
            if entry["kind"] == "image":
                what = f"an image {size}, {form[0]} channel{'s' if form[0] > 1 else ''}"
            made = f", made of it ({entry['made']})" if entry.get("made") else ""
            if entry.get("paired", True):
                return [("pairs", f"each image has a source: {what}{made}")]
            return [("pairs", f"none: {entry['count']:,} sources of their own, each {what}")]
    return []


def _table(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts that fit on a line."""
    image, split, found = facts["images"], facts["split"], facts["found"]
    left = sum(entry["count"] for entry in facts["left_out"].values())
    sizes = ", ".join(f"{w} x {h} ({n:,})" for h, w, n in found["sizes"][:5])
    more = found["distinct_sizes"] - 5
    rows = [
        ("source", f"{facts['name']} ({facts['source']['kind']})"),
        ("images", f"{image['count']:,} usable, {left:,} left out"),
        ("sizes", sizes + (f" and {more:,} more" if more > 0 else "")),
        ("formats", _counts(found["formats"])),
        ("pixel kinds", _counts(found["modes"])),
        ("looked at", f"{image['width']} x {image['height']}, {image['channels']} channels"),
        ("mean level", ", ".join(f"{x:.1f}" for x in image["mean"])),
        ("deviation", ", ".join(f"{x:.1f}" for x in image["deviation"])),
        (
            "split",
            f"{split['train']:,} to train on, {split['holdout']:,} held out "
            f"({_share(split['holdout'], image['count'])}{split['how']})",
        ),
    ]
    rows += _source_row(facts)
    rows.append(("faces", faces_said(facts["faces"])))
    remarks = [remark.removeprefix(CLASSES) for remark in facts["remarks"]]
    said, remarks = (remarks[:1], remarks[1:]) if remarks != facts["remarks"] else ([], remarks)
    rows += [("classes", line) for line in said]
    if facts["conditions"] and not said:  # a set of an earlier version
        columns = [f"{c['name']} ({len(c['classes'])} classes)" for c in facts["conditions"]]
        rows.append(("columns", ", ".join(columns)))
    gaps = {name: image["count"] - known for name, known in facts["columns"].items()}
    if any(gaps.values()):
        rows.append(("missing values", _counts({name: n for name, n in gaps.items() if n})))
    if facts["captions"]:
        rows.append(("captions", f"{facts['captions']:,} images have one"))
    if found["notes"]:
        rows.append(("on the way", _counts(found["notes"])))
    return rows + [("remark", remark) for remark in remarks]


def _share(part: int, whole: int) -> str:
    return f"{share(part, whole)}, " if part else ""


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())


def _left_out(left_out: dict[str, Any]) -> str:
    if not left_out:
        return "<p>Every file was used.</p>"
    parts = []
    for reason, entry in left_out.items():
        files = [f"{name}: {why}" for name, why in entry["first"]]
        more = entry["count"] - len(files)
        files += [f"and {more:,} more"] if more else []
        summary = f"<summary>{markup(reason)}: {entry['count']:,}</summary>"
        parts.append(f"<details>{summary}{_list(files)}</details>")
    return "".join(parts)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{markup(title)}</h2>{body}</section>"


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{markup(s)}</li>" for s in sentences) + "</ul>"


def _html_table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{markup(a)}</th><td>{markup(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(cells)}</table>"


def _image(pixels_HWC: np.ndarray, words: str) -> str:
    data = base64.b64encode(png_bytes(pixels_HWC)).decode("ascii")
    return f'<img alt="{markup(words)}" src="data:image/png;base64,{data}">'


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}: what is in it</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
img {{ image-rendering: pixelated; max-width: 100%; display: block; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }}
th {{ font-weight: 600; white-space: nowrap; }}
.wide {{ width: 100%; }}
.bar {{ display: block; height: .7rem; background: #7a5; margin: .4rem 0; min-width: 1px; }}
li {{ overflow-wrap: anywhere; }}
pre {{ white-space: pre-wrap; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""
