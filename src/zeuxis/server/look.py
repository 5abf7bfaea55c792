"""The process that looks at a set's pixels: `python -m zeuxis.server.look SOURCE FOLDER SHOWN`."""

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

    Args:
        source: path, or name of an embedded set.
        folder: of the set.
        shown: pictures to keep there, of a set that is the server's.
    """
    seen = (
        []
        if shown
        else sorted(filter(None, (_number(path.name) for path in Path(source).iterdir())))
    )
    told: dict[str, Any] = {"seen": seen, "left_out": []}
    try:
        inspection = inspect(source)
        facts = inspection.facts
        for file, reason, detail in () if shown else inspection.left_out:
            told["left_out"].append((_number(file), reason, _number(detail)))
        told |= {name: facts[name] for name in ("found", "conditions", "captions")}
        told["count"] = facts["images"]["count"]
    except (Error, OSError) as error:
        told["problem"] = str(error).replace(source, "the set")
    if shown and "problem" not in told:
        told["items"] = list(_kept(source, folder / ASIDE, shown))
    write_json(folder / LOOK, told)


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
