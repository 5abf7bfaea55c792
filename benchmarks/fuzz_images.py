"""Damaged image files through the data room: none may crash it, each must be reported or used.

Usage: python -m benchmarks.fuzz_images [COUNT=100000]
"""

import io
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from benchmarks.row import write_row
from zeuxis.core.settings import Data
from zeuxis.data.preparation import decode, prepare
from zeuxis.data.source.base import Item, Source


def seeds() -> list[bytes]:
    """Small whole files of every format, mode and oddity that is read."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    photo = small.resize((40, 30), Image.Resampling.BICUBIC)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[274] = 6
    deep = Image.fromarray((np.asarray(photo.convert("L")).astype(np.uint16)) * 257)
    saves: list[tuple[Image.Image, str, dict[str, object]]] = [
        (photo, "PNG", {}),
        (photo, "PNG", {"icc_profile": profile, "exif": exif}),
        (photo.convert("P"), "PNG", {"transparency": 3}),
        (photo.convert("LA"), "PNG", {}),
        (deep, "PNG", {}),
        (photo, "PNG", {"save_all": True, "append_images": [photo.rotate(90)]}),
        (photo, "JPEG", {"exif": exif, "icc_profile": profile}),
        (photo, "JPEG", {"progressive": True}),
        (photo.convert("CMYK"), "JPEG", {}),
        (photo.convert("L"), "JPEG", {}),
        (photo, "WEBP", {"lossless": True}),
        (photo.convert("RGBA"), "WEBP", {"exif": exif}),
        (photo, "WEBP", {"save_all": True, "append_images": [photo.rotate(90)]}),
        (photo, "GIF", {}),
        (photo, "GIF", {"save_all": True, "append_images": [photo.rotate(90)]}),
        (photo, "BMP", {}),
        (photo.convert("P"), "BMP", {}),
        (photo, "TIFF", {}),
        (photo, "TIFF", {"compression": "tiff_lzw"}),
        (photo, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (photo, "TIFF", {"compression": "jpeg"}),
        (deep, "TIFF", {}),
        (photo.convert("1"), "TIFF", {"compression": "group4"}),
    ]
    out = []
    for image, kind, options in saves:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)  # type: ignore[arg-type]
        out.append(buffer.getvalue())
    return out


def bombs() -> list[bytes]:
    """Files made to exhaust memory or time, or to reach another parser."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    def png(width: int, height: int, *extra: bytes) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IEND", b"")

    zeros = zlib.compress(bytes(50_000_000), 9)
    sizes = [(8193, 8192), (30000, 30000), (2**31 - 1, 1), (1, 2**31 - 1), (65535, 65535)]
    out = [png(w, h, chunk(b"IDAT", zeros)) for w, h in sizes]
    out.append(
        png(16, 16, chunk(b"zTXt", b"x\0\0" + zeros), chunk(b"IDAT", zlib.compress(bytes(800))))
    )
    out.append(
        png(16, 16, chunk(b"iCCP", b"x\0\0" + zeros), chunk(b"IDAT", zlib.compress(bytes(800))))
    )
    gif = io.BytesIO()
    frames = [Image.new("P", (8, 8), i) for i in range(64)]
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
    body = gif.getvalue()
    out.append(body[:6] + struct.pack("<HH", 65535, 65535) + body[10:])
    out.append(body[:-1] + body[-200:-1] * 20_000 + body[-1:])
    out.append(
        b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 60000, -60000, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    out.append(
        b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\x10\0\0\0"
        + b"\xff" * 6
    )
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 2)
    tiff += struct.pack("<HHII", 256, 4, 1, 60000) + struct.pack("<HHII", 257, 4, 1, 60000)
    out.append(tiff + struct.pack("<I", 8))
    out += [
        b"<svg/>",
        b"%!PS-Adobe",
        b"<html><script>",
        b"8BPS\0\1",
        b"SIMPLE  =",
        b"\0\0\1\0",
        b"P6 9 9 255 ",
    ]
    return out


def mutate(content: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """One to eight small harms: flipped and extreme bytes, cuts, insertions, repeats, splices."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if not data:
            break
        at = int(rng.integers(len(data)))
        end = at + int(rng.integers(1, 33))
        harm = int(rng.integers(8))
        if harm == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif harm == 1:
            data[at] = int(rng.choice([0, 1, 127, 128, 254, 255]))
        elif harm == 2:
            data[at : at + 4] = struct.pack(
                ">I", int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
            )
        elif harm == 3:
            del data[at:end]
        elif harm == 4:
            data[at:at] = rng.bytes(end - at)
        elif harm == 5:
            data[at:end] = data[at:end] * int(rng.integers(1, 9))
        elif harm == 6:
            del data[max(at, 12) :]
        else:
            other = others[int(rng.integers(len(others)))]
            cut = int(rng.integers(len(other)))
            data[at:] = other[cut:]
    return bytes(data)


class Mutants(Source):
    """File i is a function of i alone; nothing is kept."""

    def __init__(self, count: int) -> None:
        super().__init__("mutants", "fuzz")
        self._seeds = seeds()
        self._bombs = bombs()
        self.slowest = (0.0, 0)
        self.items = [Item(f"{i:07d}") for i in range(count)]

    def read(self, index: int) -> bytes:
        """Mutant `index`; the first ones are the hand-made bombs."""
        if index < len(self._bombs):
            return self._bombs[index]
        rng = np.random.default_rng(index)
        return mutate(self._seeds[index % len(self._seeds)], rng, self._seeds)


def run(count: int) -> dict[str, object]:
    """Prepare a set of `count` mutants; returns what became of them."""
    source = Mutants(count)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as room:
        settings = Data(size=(16, 16), channels=3)
        prepared = prepare.prepare_source(source, Path(room) / "out", settings)
        used = len(prepared)
        reasons = {r: e["count"] for r, e in prepared.facts["left_out"].items()}
        lines = (prepared.folder / "left_out.jsonl").read_text().splitlines()
    seconds = time.perf_counter() - began
    assert used + len(lines) == count, f"{count - used - len(lines)} files were passed over"
    return {"files": count, "used": used, "left_out": reasons, "seconds": round(seconds, 1)}


def slowest(count: int) -> tuple[float, Counter[str]]:
    """The longest that any of the first `count` took, in seconds, one at a time."""
    source = Mutants(count)
    worst = 0.0
    kinds: Counter[str] = Counter()
    with decode.guarded():
        for index in range(count):
            content = source.read(index)
            began = time.perf_counter()
            try:
                decode.decode(content, decode.Target(16, 16, 3))
                kinds["used"] += 1
            except decode.Refused as refused:
                kinds[refused.reason] += 1
            worst = max(worst, time.perf_counter() - began)
    return worst, kinds


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worst, _ = slowest(min(count, 5000))
    figures = run(count)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_row(
        "fuzz_images",
        **figures,
        crashes=0,
        slowest_ms=round(1000 * worst, 1),
        memory_grown_mb=(after - before) // 1024,
    )
