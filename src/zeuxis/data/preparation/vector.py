"""SVG drawn as pixels by resvg (`pip install 'zeuxis[svg]'`), at the size that is wanted and with alpha.

resvg opens whatever file an `<image>` names and bounds neither time nor memory. So references that lead out
of the file are taken away first, as a browser does with an SVG in a page, entities are expanded by a parser
that bounds them, and only processes that decode (`workers`) draw, each drawing within limits. Fonts are the
machine's and no part of the file: text is not drawn, and that is noted.
"""

import contextlib
import importlib.util
import io
import re
import resource
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import numpy as np
from PIL import Image

AVAILABLE = importlib.util.find_spec("resvg_py") is not None
MISSING = "SVG is drawn by resvg: pip install 'zeuxis[svg]'; or convert it to PNG"
ELSEWHERE = (
    "an SVG is drawn where sets are prepared; give the set that `zeuxis data prepare` makes of it"
)
TEXT = "text of SVG is not drawn"
LARGEST = 1 << 22
"""Bytes of a file at most."""
CPU_S, MEMORY = 10, 3 << 30
"""Seconds of one drawing, and bytes of address space of a process that draws, at most."""
USUAL = 64
"""Pixels of the longer side where no size is asked for: a drawing has none of its own."""
FIT = {"crop": "xMidYMid slice", "pad": "xMidYMid meet", "stretch": "none"}
UNITS = {"": 1, "px": 1, "pt": 4 / 3, "pc": 16, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4}
SMALLEST, MOST_SIDE = 1e-6, 1e9


def is_svg(content: bytes) -> bool:
    """Whether it is markup with an SVG in it, behind what may stand before its first element."""
    if not content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return False
    return re.search(rb"<([\w.-]+:)?svg[\s>/]", content[: 1 << 16]) is not None


def size(content: bytes) -> tuple[int, int]:
    """Height and width of its proportions, with `USUAL` pixels on the longer side.

    Raises:
        ValueError: it is no XML.
    """
    _, root = next(ElementTree.iterparse(io.BytesIO(content[:LARGEST]), ("start",)))
    _, _, width, height = _view(root)
    scale = USUAL / max(width, height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def drawn(content: bytes, height: int, width: int, fit: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Its pixels (height, width, 4) uint8, colours straight, and notes. Only for a process that may die.

    Raises:
        ValueError: it is too large or no SVG that resvg draws.
    """
    import resvg_py

    if len(content) > LARGEST:
        raise ValueError(f"it has {len(content):,} bytes; SVG of at most {LARGEST:,} is drawn")
    with _bounded():
        root = ElementTree.fromstring(content)
        view = _view(root)
        notes = (TEXT,) if any(_plain(e.tag) == "text" for e in root.iter()) else ()
        for element in root.iter():
            _keep_within(element)
        root.set("viewBox", " ".join(map(str, view)))
        root.set("width", str(width))
        root.set("height", str(height))
        root.set("preserveAspectRatio", FIT[fit])
        text = ElementTree.tostring(root, encoding="unicode")
        encoded = resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=True)
        with Image.open(io.BytesIO(bytes(encoded)), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGBA")), notes


def _keep_within(element: ElementTree.Element) -> None:
    """Take away references to anything but parts of the file, and data in it."""
    for name in [name for name in element.attrib if _plain(name) == "href"]:
        if not element.attrib[name].strip().startswith(("#", "data:")):
            del element.attrib[name]


def _plain(name: object) -> str:
    """A name without its namespace; of a comment none."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _view(root: ElementTree.Element) -> tuple[float, float, float, float]:
    """The part of the plane that is drawn: left, top, width, height."""
    if _plain(root.tag) != "svg":
        raise ValueError("its first element is no svg")
    box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    with contextlib.suppress(ValueError):
        left, top, width, height = map(float, box)
        if min(width, height) > SMALLEST and max(width, height) < MOST_SIDE:
            return left, top, width, height
    across, down = (_length(root.get(side, "")) for side in ("width", "height"))
    return 0.0, 0.0, across or down or 100.0, down or across or 100.0


def _length(text: str) -> float | None:
    """Pixels of a length; None of a share, or where there is none."""
    found = re.fullmatch(r"\s*\+?(\d*\.?\d+(?:[eE][+-]?\d+)?)\s*([a-z]*)\s*", text)
    if not found or found[2] not in UNITS:
        return None
    length = float(found[1]) * UNITS[found[2]]
    return length if SMALLEST < length < MOST_SIDE else None


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Inside, the system ends this process if it takes too much time or memory."""
    limits = {
        resource.RLIMIT_CPU: int(time.process_time()) + 1 + CPU_S,
        resource.RLIMIT_AS: MEMORY,
    }
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, most in limits.items():
        hard = before[kind][1]
        resource.setrlimit(kind, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        for kind, limit in before.items():
            resource.setrlimit(kind, limit)
