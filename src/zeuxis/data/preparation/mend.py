"""What viewers forgive in sound pictures, and Pillow does not: taken out before it decodes."""

import io
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

PNG, START, END = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"\xff\xd9"
WORDS = (b"tEXt", b"zTXt", b"iTXt")
LARGEST_PROFILE = 1 << 24
MORE = 64 * b"\x5a\x3c"
"""Data that a JPEG whose pixels are all there passes over."""


def without_large_chunks(content: bytes) -> tuple[bytes, bytes | None]:
    """A PNG without text or a profile that Pillow would not unpack, and that profile, if it is up to 16 MiB.

    Generators write their workflow beside the pixels, displays large tables: both say nothing of the pixels'
    soundness. Anything else is given back as it is.
    """
    if not content.startswith(PNG) or not any(w in content for w in (*WORDS, b"iCCP")):
        return content, None
    kept, profile, at = [PNG], None, len(PNG)
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        kind, body = content[at + 4 : at + 8], content[at + 8 : end - 4]
        if kind in (*WORDS, b"iCCP") and _is_large(kind, body):
            profile = _unpacked(body) if kind == b"iCCP" else profile
        else:
            kept.append(content[at:end])
        at = end
    return b"".join(kept) + content[at:], profile


def _is_large(kind: bytes, body: bytes) -> bool:
    """Whether it unpacks to more than Pillow takes of one chunk."""
    limit = PngImagePlugin.MAX_TEXT_CHUNK
    if kind == b"tEXt":
        return len(body) > limit
    packed = body.find(b"\x78")  # a zlib stream's first byte, behind the keyword
    try:
        return (
            packed >= 0 and len(zlib.decompressobj().decompress(body[packed:], limit + 1)) > limit
        )
    except zlib.error:
        return len(body) > limit


def _unpacked(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    unpacked = zlib.decompressobj().decompress(rest[1:], LARGEST_PROFILE + 1)
    return unpacked if len(unpacked) <= LARGEST_PROFILE else None


def with_end(content: bytes) -> bytes | None:
    """A JPEG that lacks its end marker and nothing else, with it; None for any other file.

    Its pixels are all there if more data before the end changes none of them.
    """
    if not content.startswith(START):
        return None
    bare = content.rstrip(b"\xff")
    ways = [bare + END, bare + MORE + END]
    try:
        pixels = []
        for way in ways:
            with Image.open(io.BytesIO(way), formats=["JPEG"]) as image:
                if "progressive" in image.info:
                    return None  # later scans may be missing, which no pixel shows
                pixels.append(np.asarray(image))
    except (OSError, SyntaxError, ValueError):
        return None
    return ways[0] if np.array_equal(pixels[0], pixels[1]) else None


def low_bytes(content: bytes) -> Image.Image | None:
    """The lower bytes of a PNG of 16 bits a colour, which Pillow drops; None for other files."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if [tile.args for tile in image.tile] != ["RGB;16B"]:
            return None
        image.tile = [image.tile[0]._replace(args="RGB;16L")]
        image.load()
        return image.copy()
