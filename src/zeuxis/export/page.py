"""A page that draws by itself: one HTML file with the networks, their runtime and the generator of noise."""

import base64
import gzip
import html
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Unable
from zeuxis.core.progress import Progress
from zeuxis.core.words import printable
from zeuxis.export.files import Asked, networks, write_text
from zeuxis.export.parity import PARITY
from zeuxis.trust.cards import UNSTATED

STATIC = Path(__file__).parent / "static"
"""What `web/` is built to."""
PLACE = re.compile("@(title|wasm|model|credits)@")


def static(name: str) -> bytes:
    """A file that was built for pages and packages.

    Raises:
        Unable: it was not.
    """
    path = STATIC / name
    if not path.is_file():
        raise Unable("this checkout has no page to fill in; run `make web` first (needs Node 20)")
    return path.read_bytes()


def write(asked: Asked, progress: Progress | None = None) -> list[Path]:
    """Write the page.

    Raises:
        Unable: the model draws nothing new from a seed, or packages or the built page are missing.
    """
    template, wasm = static("page.html").decode(), static("ort.wasm.gz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = networks(asked, folder, progress, drawing=True)
        packed = pack(content, folder)
        parity = json.loads((folder / PARITY).read_text())
    words = {
        "title": html.escape(printable(content["name"])),
        "wasm": base64.b64encode(wasm).decode(),
        "model": base64.b64encode(packed).decode(),
        "credits": html.escape(_credits(content, parity)),
    }
    write_text(asked.out, PLACE.sub(lambda found: words[found[1]], template))
    return [asked.out]


def pack(content: dict[str, Any], folder: Path) -> bytes:
    """Meta and networks in one: a line of JSON with the files' sizes, then the files."""
    files = {one["file"]: (folder / one["file"]).read_bytes() for one in content["graphs"].values()}
    sizes = {name: len(each) for name, each in files.items()}
    line = json.dumps({"meta": content, "sizes": sizes}).encode() + b"\n"
    return gzip.compress(line + b"".join(files.values()), mtime=0)


def _credits(content: dict[str, Any], parity: dict[str, Any]) -> str:
    off = parity.get("pictures")
    near = (
        f" Compared with Zeuxis itself on {off['count']} pictures, no value is off by more than "
        f"{off['largest_difference_in_levels']} of 255."
        if off
        else ""
    )
    licence = printable(content["licence"])
    stated = (
        f"Licence of the model: {licence}." if licence != UNSTATED else "Its licence is not stated."
    )
    family = content["family"]
    return (
        f"{'An' if family[0] in 'aeiou' else 'A'} {family} that was trained with Zeuxis "
        f"{content['zeuxis']}. {stated}{near} It runs on ONNX Runtime Web (MIT)."
    )
