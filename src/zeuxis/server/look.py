"""The process that looks at a set's pixels: `python -m zeuxis.server.look SOURCE FOLDER SHOWN`."""

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Error
from zeuxis.core.files import write_file, write_json
from zeuxis.core.pixels import png_bytes
from zeuxis.core.progress import leaving
from zeuxis.data.inspection import inspect
from zeuxis.data.preparation.decode import decode, guarded
from zeuxis.data.source import open_source
from zeuxis.server.datasets import ASIDE, LOOK

NICE = 10
OWN = re.compile(r"(?:of )?(\d{6,})\.png")


def look(source: str, folder: Path, shown: int) -> None:
    """Write down in `folder` what is noticed of a source.

    Pictures that are left out or taken back in meanwhile count as not seen, so that a process looks again.

    Args:
        source: path, or name of an embedded set.
        folder: of the set.
        shown: pictures to keep there, of a set that is the server's.
    """
    before = {} if shown else _moved(Path(source))
    told: dict[str, Any] = {"left_out": []}
    try:
        inspection = inspect(source)
        facts = inspection.facts
        told |= {name: facts[name] for name in ("found", "conditions", "captions", "faces")}
        told["count"] = facts["images"]["count"]
        left_out = inspection.left_out
    except (Error, OSError) as error:
        told["problem"], left_out = str(error).replace(source, "the set"), ()
    after = {} if shown else _moved(Path(source))
    seen = {number for number, moved in before.items() if after.get(number) == moved}
    if "problem" in told and len(seen) < len(before):
        del told["problem"]  # it may be about a picture that is elsewhere by now
        seen = set()
    told["seen"] = sorted(seen)
    for file, reason, detail in () if shown else left_out:
        number, of = _number(file), _number(detail)
        if number in seen and (of is None or of in seen):
            told["left_out"].append((number, reason, of))
    if shown and "problem" not in told:
        told["items"] = list(_kept(source, folder / ASIDE, shown))
    write_json(folder / LOOK, told)


def _moved(source: Path) -> dict[int, int]:
    """When each picture of a set was written or moved last, by its number."""
    found: dict[int, int] = {}
    for entry in os.scandir(source):
        number = _number(entry.name)
        with contextlib.suppress(FileNotFoundError):  # it was left out this moment
            found |= {number: entry.stat().st_ctime_ns} if number is not None else {}
    return found


def _number(name: str) -> int | None:
    """The number in a picture's name, or in `of NAME`."""
    found = OWN.fullmatch(name)
    return int(found[1]) if found else None


def _kept(source: str, folder: Path, shown: int) -> Iterator[dict[str, Any]]:
    """Some pictures, spread over a source."""
    opened = open_source(source)
    try:
        with guarded():
            for index in range(0, len(opened.items), max(1, -(-len(opened.items) // shown))):
                try:
                    pixels = decode(opened.read(index), None).pixels_HWC
                except (OSError, ValueError):
                    continue
                png, item = png_bytes(pixels), opened.items[index]
                _keep(folder / f"{index + 1:06d}.png", png)
                yield {
                    "number": index + 1,
                    "name": item.name,
                    "sha": hashlib.sha256(png).hexdigest(),
                    "width": pixels.shape[1],
                    "height": pixels.shape[0],
                    "label": next(iter(item.columns.values()), None) or None,
                    "caption": item.text,
                }
    finally:
        opened.close()


def _keep(path: Path, content: bytes) -> None:
    write_file(path, lambda beside: beside.write_bytes(content), sync=False)


if __name__ == "__main__":
    os.nice(NICE)
    with leaving():
        look(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
