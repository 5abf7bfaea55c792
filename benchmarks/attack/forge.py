"""Bytes of formats, where no library would write what is wanted."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ESCAPES = "\x1b]0;OWNED\x07\x1b[2J\x1b[31m<img src=x onerror=alert(1)>"
MARKUP = "](javascript:alert(1))\n# Injected\n[bold]<script>alert(2)</script>\x9b31m\u202e"


def tensors_file(header: Mapping[str, object] | bytes, data: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data


def nested(depth: int = 200_000) -> str:
    """JSON that is nothing but depth."""
    return "[" * depth + "]" * depth


def png(seed: int = 0, side: int = 16) -> bytes:
    """An honest picture."""
    file = io.BytesIO()
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_zeros(size: int) -> bytes:
    """`size` zeros, deflated, without ever holding them."""
    packer, parts = zlib.compressobj(9), []
    for _ in range(size >> 20):
        parts.append(packer.compress(bytes(1 << 20)))
    return b"".join([*parts, packer.flush()])


def bomb(width: int, height: int, size: int = 64 << 20) -> bytes:
    """A PNG of many pixels in few bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", packed_zeros(size))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def with_chunk(extra: bytes) -> bytes:
    """An honest PNG with one more chunk."""
    return png()[:33] + extra + png()[33:]


POLYGLOTS: Mapping[str, bytes] = {
    "a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) (w) file closefile\n",
    "b.png": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "c.jpg": b"<html><script>alert(1)</script>",
    "d.png": b"8BPS\0\1" + bytes(30),
    "e.gif": b"GIF89a" + bytes(100),
    "f.png": b"",
    "g.png": png()[:60],
    "h.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 40,
    "i.tif": b"II*\0" + b"\xff" * 200,
    "j.bmp": b"BM" + b"\xff" * 60,
    "k.png": b"\0\0\1\0\1\0" + b"\x10" * 40,
    "l.png": b"P6 99999999 99999999 255\n",
    "m.png": b"SIMPLE  =                    T",
    "n.png": b"%PDF-1.7\n",
}


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def npy(shape: str, dtype: str = "|u1", data: bytes = bytes(16)) -> bytes:
    """An npy file with any words in its header."""
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (64 - (len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + data


def npz(path: Path, name: str, head: bytes, mebibytes: int) -> Path:
    """An npz file with an array of `mebibytes` zeros behind any header."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        member.write(head)
        for _ in range(mebibytes):
            member.write(bytes(1 << 20))
    return path


def arrays(**arrays: Any) -> bytes:
    """An honest npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def varint(value: int) -> bytes:
    """A number of a protocol buffer."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def onnx(
    tensor: bytes = b"", last: str = "vector", shape: tuple[int, ...] = (0, 3, 16, 16)
) -> bytes:
    """The bytes of a graph: the mean of each channel; `tensor` is one more initialiser, multiplied in."""

    def value(name: str, sides: Sequence[int]) -> bytes:
        dims = b"".join(field(1, field(1, s) if s else field(2, "B")) for s in sides)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    def node(operation: str, given: Sequence[str], made: str) -> bytes:
        inputs = b"".join(field(1, name) for name in given)
        return field(1, inputs + field(2, made) + field(4, operation))

    graph = node("GlobalAveragePool", ["image"], "pooled") + node("Flatten", ["pooled"], "vector")
    if tensor:
        graph += node("Mul", ["vector", "W"], last) + field(5, tensor)
    graph += field(2, "mean") + field(11, value("image", shape)) + field(12, value(last, (0, 3)))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def external(location: str, length: int = 12, sides: int = 3) -> bytes:
    """An initialiser `W` whose numbers lie in another file."""
    parts = {"location": location, "offset": "0", "length": str(length)}
    told = b"".join(field(13, field(1, k) + field(2, v)) for k, v in parts.items())
    return field(1, sides) + field(2, 1) + field(8, "W") + told + field(14, 1)
