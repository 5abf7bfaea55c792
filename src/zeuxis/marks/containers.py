"""XMP packets, the name of a software and credentials inside encoded pictures, without decoding them.

| format | XMP | software | C2PA |
|---|---|---|---|
| PNG | `iTXt` chunk `XML:com.adobe.xmp` | `tEXt` chunk `Software` | `caBX` chunk |
| JPEG | `APP1` segment | EXIF in an `APP1` segment | `APP11` segments |
| WebP | `XMP ` chunk | `EXIF` chunk | `C2PA` chunk |
| GIF | application extension `XMP DataXMP` | in the packet | application extension `C2PA_GIF` |
| MP4 | `uuid` box | in the packet | `uuid` box |

Sources: XMP Specification Part 3 (Adobe, 2020); W3C PNG, third edition; RFC 9649 (WebP); GIF89a; C2PA 2.2,
annex A.
"""

import struct
import zlib
from collections.abc import Iterator

PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8"
XMP_KEYWORD, XMP_NAMESPACE = b"XML:com.adobe.xmp", b"http://ns.adobe.com/xap/1.0/\0"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
GIF_XMP, GIF_C2PA = b"\x21\xff\x0bXMP DataXMP", b"\x21\xff\x0bC2PA_GIF"
GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Leads decoders that take the packet for blocks of data, wherever they stand in it, to its end."""
LARGEST_SEGMENT = 65_533
"""Bytes of a JPEG segment without its length."""
EXIF, XMP, ICC, ALPHA = 0x08, 0x04, 0x20, 0x10
"""Bits of WebP's extended header."""

Part = tuple[bytes, int, int]
"""Name of a chunk, segment or box, where its content begins, and where it ends."""


def kind_of(content: bytes) -> str:
    """png, jpeg, webp, gif, mp4, or nothing for formats that are not known here."""
    if content.startswith(PNG):
        return "png"
    if content.startswith(JPEG):
        return "jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content.startswith(GIF):
        return "gif"
    return "mp4" if content[4:8] == b"ftyp" else ""


def parts(content: bytes) -> Iterator[Part]:
    """Chunks of PNG and WebP, segments of JPEG before the picture, boxes of MP4; up to the first damage."""
    kind = kind_of(content)
    if kind == "png":
        yield from _walk(content, 8, ">I4s", before=8, after=4)
    elif kind == "webp":
        yield from _walk(content, 12, "<4sI", before=8, after=0, even=True)
    elif kind == "mp4":
        yield from _walk(content, 0, ">I4s", before=8, after=0, counted=8)
    elif kind == "jpeg":
        at = 2
        while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
            name, size = content[at + 1 : at + 2], int.from_bytes(content[at + 2 : at + 4])
            if name in (b"\xda", b"\xd9") or size < 2:
                return
            yield name, at + 4, min(at + 2 + size, len(content))
            at += 2 + size


def _walk(
    content: bytes,
    at: int,
    layout: str,
    before: int,
    after: int,
    even: bool = False,
    counted: int = 0,
) -> Iterator[Part]:
    """Parts that begin with their name and size; `counted` bytes of the header are in the size."""
    while at + before <= len(content):
        one, other = struct.unpack_from(layout, content, at)
        name, size = (one, other) if isinstance(one, bytes) else (other, one)
        if size < counted:
            return
        end = at + before - counted + size
        yield name, at + before, min(end, len(content))
        at = end + after + (size % 2 if even else 0)


def xmp_of(content: bytes) -> bytes | None:
    """The XMP packet of an encoded picture, as it is; it may be a stranger's."""
    kind = kind_of(content)
    if kind == "gif":
        start = content.find(GIF_XMP)
        end = content.find(GIF_TRAILER, start)
        return content[start + len(GIF_XMP) : end] if 0 <= start < end else None
    for name, start, end in parts(content):
        part = content[start:end]
        if name == b"iTXt" and part.startswith(XMP_KEYWORD + b"\0\0"):
            return part[len(XMP_KEYWORD) + 3 :].split(b"\0", 2)[-1]
        if name == b"\xe1" and part.startswith(XMP_NAMESPACE):
            return part[len(XMP_NAMESPACE) :]
        if name == b"XMP ":
            return part
        if name == b"uuid" and part.startswith(XMP_UUID):
            return part[16:]
    return None


def has_credentials(content: bytes) -> bool:
    """Whether a C2PA manifest lies in an encoded picture; nothing is checked."""
    if kind_of(content) == "gif":
        return GIF_C2PA in content
    return any(_signed(name, content[start : start + 40]) for name, start, _ in parts(content))


def _signed(name: bytes, part: bytes) -> bool:
    return (
        name in (b"caBX", b"C2PA")
        or (name == b"\xeb" and part.startswith(b"JP") and b"jumb" in part)
        or (name == b"uuid" and part.startswith(C2PA_UUID))
    )


def carries(content: bytes) -> bool:
    """Whether the format can hold what `put` writes."""
    return kind_of(content) != ""


def put(content: bytes, packet: bytes, software: str) -> bytes:
    """An encoded picture with an XMP packet and the name of what made it.

    Args:
        content: a file without XMP and EXIF. What is of a format not known here stays as it is.
        packet: XMP of at most 65,000 bytes.
        software: ASCII.
    """
    kind = kind_of(content)
    if kind == "png":
        text = _png(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + packet)
        named = _png(b"tEXt", b"Software\0" + software.encode())
        return content[:33] + named + text + content[33:]  # behind the header chunk
    if kind == "jpeg":
        at = 2
        for name, start, end in parts(content):  # JFIF's own segment comes first
            at = end if name == b"\xe0" and start == 6 else at
        return content[:at] + _app1(_exif(software)) + _app1(XMP_NAMESPACE + packet) + content[at:]
    if kind == "webp":
        return _webp(content, packet, _exif(software)[6:])
    if kind == "gif":
        palette = 3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0
        at = 13 + palette
        return b"GIF89a" + content[6:at] + GIF_XMP + packet + GIF_TRAILER + content[at:]
    if kind == "mp4":
        return content + struct.pack(">I", 24 + len(packet)) + b"uuid" + XMP_UUID + packet
    return content


def _png(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _app1(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def _exif(software: str) -> bytes:
    """EXIF of one entry, Software (0x0131)."""
    text = software.encode() + b"\0"
    text += b"\0" * (4 - len(text))  # four bytes or less would lie in the entry itself
    entry = struct.pack("<HHHII", 1, 0x0131, 2, len(text), 26) + b"\0\0\0\0"
    return b"Exif\0\0II*\0\x08\0\0\0" + entry + text


def _webp(content: bytes, packet: bytes, exif: bytes) -> bytes:
    """The extended form, with the two chunks behind the picture."""
    found = list(parts(content))
    name, start, _ = found[0]
    if name == b"VP8X":
        header = bytearray(content[start : start + 10])
        body = content[found[1][1] - 8 :]
    else:
        header, body = bytearray(10), content[12:]
        if name == b"VP8L":
            bits = int.from_bytes(content[start + 1 : start + 5], "little")
            width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
        else:
            sides = struct.unpack_from("<HH", content, start + 6)
            width, height, alpha = (sides[0] & 0x3FFF) - 1, (sides[1] & 0x3FFF) - 1, 0
        header[0] = ALPHA * alpha
        header[4:7], header[7:10] = width.to_bytes(3, "little"), height.to_bytes(3, "little")
    header[0] |= EXIF | XMP
    chunks = _riff(b"VP8X", bytes(header)) + body + _riff(b"EXIF", exif) + _riff(b"XMP ", packet)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _riff(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
