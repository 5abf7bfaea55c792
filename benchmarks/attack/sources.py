"""Hostile data: folders, archives, arrays, tables, prepared and encoded sets."""

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.attack import lab
from benchmarks.attack.artefacts import ESCAPES, MARKUP
from benchmarks.attack.trial import GIB, PIXELS, SECRET, Case, Make, Room
from zeuxis.disk import read_json, sha256, write_json

KIND = "data"
Fill = Callable[[Room, Path], object]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _images()
    yield from _links()
    yield from _words()
    yield from _tables()
    yield from _zips()
    yield from _tars()
    yield from _arrays()
    yield from _parquet()
    yield from _prepared()


def png(seed: int = 0, side: int = lab.SIDE) -> bytes:
    """An honest picture."""
    file = io.BytesIO()
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def photos(folder: Path, count: int = 6) -> Path:
    """A folder of honest pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"{index:03d}.png").write_bytes(png(index))
    return folder


def both(name: str, make: Callable[[Room], object], **more: Any) -> Iterator[Case]:
    """A source that is looked at and one that is prepared."""

    def inspect(room: Room) -> list[object]:
        return ["data", "inspect", make(room), "--out", "out"]

    def prepare(room: Room) -> list[object]:
        return ["data", "prepare", make(room), "out", "--size", lab.SIDE]

    yield Case(kind=KIND, name=f"{name}: inspect", make=inspect, **more)
    yield Case(kind=KIND, name=f"{name}: prepare", make=prepare, **more)


def prepared(name: str, make: Callable[[Room], object], **more: Any) -> Case:
    """A source that is prepared."""
    return list(both(name, make, **more))[1]


def folder(name: str, fill: Fill | None = None, once: bool = True, **more: Any) -> Iterator[Case]:
    """Honest pictures, and what `fill` puts beside them."""

    def make(room: Room) -> Path:
        path = photos(room.inside / "photos")
        if fill:
            fill(room, path)
        return path

    found = both(name, make, **{"expect": "used", **more})
    yield from list(found)[1:] if once else found


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


def _images() -> Iterator[Case]:
    yield from folder("honest", once=False)
    bombs: dict[str, Callable[[], bytes]] = {
        "50,000 x 50,000": lambda: bomb(50_000, 50_000),
        "12,000 x 12,000": lambda: bomb(12_000, 12_000),
        "2^31 x 1": lambda: bomb(2**31 - 1, 1),
        "zTXt of 900 MB": lambda: with_chunk(chunk(b"zTXt", b"a\0\0" + packed_zeros(900 << 20))),
        "iCCP of 900 MB": lambda: with_chunk(chunk(b"iCCP", b"a\0\0" + packed_zeros(900 << 20))),
        "iTXt of 900 MB": lambda: with_chunk(
            chunk(b"iTXt", b"a\0\1\0\0\0" + packed_zeros(900 << 20))
        ),
    }
    for name, make in bombs.items():
        yield from folder(
            f"PNG bomb, {name}",
            lambda room, path, make=make: (path / "bomb.png").write_bytes(make()),
            once=False,
        )

    def gif(room: Room, path: Path) -> None:
        frames = [Image.new("P", (2000, 2000), i) for i in range(100)]
        frames[0].save(path / "bomb.gif", save_all=True, append_images=frames[1:])

    def tiff(room: Room, path: Path) -> None:
        Image.new("L", (8000, 8000)).save(path / "bomb.tiff", compression="tiff_deflate")

    yield from folder("GIF of 100 frames of 2000 x 2000", gif)
    yield from folder("TIFF of 8000 x 8000", tiff)
    for name, content in POLYGLOTS.items():
        kind = content[:8].decode("latin-1").strip() or "no bytes"
        yield from folder(
            f"polyglot {name}, {kind!r}",
            lambda room, path, n=name, c=content: (path / n).write_bytes(c),
            says=name,
        )

    def pipe(room: Room, path: Path) -> None:
        os.mkfifo(path / "pipe.png")

    def deep(room: Room, path: Path) -> None:
        below = path.joinpath(*["d" * 10] * 80)
        below.mkdir(parents=True)
        (below / "x.png").write_bytes(png(9))

    yield from folder("a pipe", pipe, says="pipe.png")
    yield from folder("80 folders deep", deep, once=False)

    def of(*words: object) -> Make:
        def make(room: Room) -> list[object]:
            path = photos(room.inside / "photos")
            (path / "bomb.png").write_bytes(bomb(50_000, 50_000))
            (path / "a.png").write_bytes(POLYGLOTS["a.png"])
            at = {"MODEL": room.lab / "vae", "SET": room.lab / "photos", "PHOTOS": path}
            return [at.get(str(word), word) for word in words]

        return make

    size = ["--size", "16"]
    table: dict[str, list[object]] = {
        "reconstruct": ["reconstruct", "MODEL", "PHOTOS", "--out", "out"],
        "encode": ["encode", "MODEL", "PHOTOS", "--out", "out.npz"],
        "score": ["score", "MODEL", "PHOTOS", "--out", "out.csv"],
        "compare": ["compare", "PHOTOS", "SET", "--out", "out", "--samples", 16, *size],
        "statistics": ["statistics", "PHOTOS", "out/x.npz", *size],
    }
    for name, words in table.items():
        writes = ("cwd/out.npz", "cwd/out.csv", "cwd/samples", "cwd/runs")
        yield Case(
            kind=KIND,
            name=f"a bomb and PostScript among pictures: {name}",
            make=of(*words),
            expect="used",
            writes=writes,
        )


def _links() -> Iterator[Case]:
    """Links out of the source folder, to files of the person."""

    def to(name: str, target: str = "secret.txt") -> Fill:
        return lambda room, path: lab.link(path / name, lab.secret(room, target))

    table: dict[str, tuple[str, Fill]] = {
        "a caption": ("000.txt", to("000.txt")),
        "LICENSE": ("LICENSE", to("LICENSE")),
        "COPYING.txt": ("COPYING.txt", to("COPYING.txt")),
        "metadata.csv": ("metadata.csv", to("metadata.csv", "secret.csv")),
        "a picture": ("linked.png", to("linked.png", "secret.png")),
        "a picture of text": ("linked.png", to("linked.png")),
    }
    for name, (says, fill) in table.items():
        yield from folder(f"link to a secret: {name}", fill, once=False, expect="either", says=says)

    def written(name: str, content: Callable[[], str]) -> Fill:
        def fill(room: Room, path: Path) -> None:
            (room.outside / "secret.any").write_text(content())
            lab.link(path / name, room.outside / "secret.any")

        return fill

    lines = [json.dumps({"file_name": f"{i:03d}.png", "label": f"{SECRET}{i % 2}"}) for i in range(6)]
    labels = json.dumps({"labels": [[f"{i:03d}.png", i % 2] for i in range(6)], "x": SECRET})
    said: dict[str, Callable[[], str]] = {
        "metadata.jsonl": lambda: "\n".join(lines),
        "dataset.json": lambda: labels,
        "000.json": lambda: json.dumps({"label": SECRET, "caption": SECRET}),
        "sub/metadata.csv": lambda: f"file_name,label\n../000.png,{SECRET}\n",
    }
    for name, content in said.items():
        yield from folder(f"link to a secret: {name}", written(name, content), expect="either", says=name)

    def class_folder(room: Room, path: Path) -> None:
        for name in ("cat", "dog"):
            photos(path / name, 2)
        lab.link(path / "private", room.outside / "precious")

    def chained(room: Room, path: Path) -> None:
        lab.link(path / "linked.txt", lab.secret(room))
        lab.link(path / "000.txt", "linked.txt")

    def near(room: Room, path: Path) -> None:
        (path / "words.dat").write_text("a caption")
        lab.link(path / "000.txt", "words.dat")
        lab.link(path / "copy.png", "000.png")

    def loops(room: Room, path: Path) -> None:
        for name, target in (
            ("loop", ".."), ("self.png", "self.png"), ("no.png", "nowhere"), ("zero.png", "/dev/zero"),
        ):
            lab.link(path / name, target)

    yield from folder("link to a secret: a folder of a class", class_folder, says="private")
    yield from folder("link to a secret by another link", chained, expect="either", says="000.txt")
    yield from folder("links inside of the folder", near, once=False)
    yield from folder("links in circles, to nothing, to /dev/zero", loops, once=False, says="self.png")

    def tar(room: Room) -> Path:
        with tarfile.open(room.outside / "private.tar", "w") as file:
            file.add(room.outside / "secret.png", "a.png")
        path = room.inside / "shards"
        path.mkdir()
        lab.link(path / "private.tar", room.outside / "private.tar")
        return path

    def parquet(room: Room) -> Path:
        import pyarrow as arrow
        import pyarrow.parquet

        table = arrow.table({"image": [(room.outside / "secret.png").read_bytes()] * 2})
        pyarrow.parquet.write_table(table, room.outside / "private.parquet")
        path = room.inside / "tables"
        path.mkdir()
        return lab.link(path / "private.parquet", room.outside / "private.parquet").parent

    def idx(room: Room) -> Path:
        path = room.inside / "digits"
        path.mkdir()
        head = b"\0\0\x08\x03" + struct.pack(">III", 3, 16, 16)
        (room.outside / "private").write_bytes(head + PIXELS.tobytes())
        return lab.link(path / "train-images-idx3-ubyte", room.outside / "private").parent

    for name, make in (("a tar", tar), ("a parquet file", parquet), ("an idx file", idx)):
        yield from both(f"link to a secret: {name}", make, expect="either")


def _words() -> Iterator[Case]:
    """Names that would speak to the terminal, or to whoever opens a page."""

    def labels(room: Room, path: Path) -> None:
        rows = [f'{i:03d}.png,"<script>alert({i})</script>{ESCAPES}","{(ESCAPES, MARKUP)[i % 2]}"' for i in range(6)]
        (path / "metadata.csv").write_text("\n".join([f'file_name,text,"{ESCAPES}"', *rows]))

    def classes(room: Room, path: Path) -> None:
        for index, name in enumerate((ESCAPES.replace("/", "_"), MARKUP.replace("/", "_"))):
            for number in range(3):
                (path / name).mkdir(exist_ok=True)
                (path / name / f"{number}.png").write_bytes(png(10 * index + number + 20))
        for number in range(6):
            (path / f"{number:03d}.png").unlink()

    def files(room: Room, path: Path) -> None:
        for index, name in enumerate((ESCAPES, MARKUP.replace("/", "_"), "\x1b[31mred", "line\nbreak")):
            (path / f"{name}.png").write_bytes(b"bad" if index % 2 else png(30 + index))
            (path / f"{name}.heic").write_bytes(b"bad")

    def licence(room: Room, path: Path) -> None:
        (path / "LICENSE").write_text(f"{ESCAPES}{MARKUP}")

    def undecodable(room: Room, path: Path) -> None:
        (path / "000.png").rename(os.fsdecode(os.fsencode(path) + b"/\xff\xfe.png"))
        Path(os.fsdecode(os.fsencode(path) + b"/\xffbad.png")).write_bytes(b"x")

    table: dict[str, Fill] = {
        "captions, classes and a column": labels,
        "folders of classes": classes,
        "file names": files,
        "a licence": licence,
        "file names that are no UTF-8": undecodable,
    }
    for name, fill in table.items():
        yield from folder(f"escape codes and markup: {name}", fill, once=False, expect="either")

    def named(room: Room) -> Path:
        return photos(room.inside / f"{ESCAPES.replace('/', '_')}")

    yield from both("escape codes and markup: the name of the folder", named, expect="either")

    def told(words: Sequence[object]) -> Make:
        def make(room: Room) -> list[object]:
            path = photos(room.inside / "photos")
            labels(room, path)
            files(room, path)
            at = {"PHOTOS": path, "VAE": room.lab / "vae", "PIXELCNN": room.lab / "pixelcnn"}
            at |= {"SET": room.lab / "photos"}
            return [at.get(str(word), word) for word in words]

        return make

    more = ("cwd/out.npz", "cwd/out.csv", "cwd/out.zxi", "cwd/runs", "cwd/samples")
    compare = ["compare", "PHOTOS", "SET", "--out", "out", "--samples", 16, "--size", "16"]
    for words in (
        ["reconstruct", "VAE", "PHOTOS", "--out", "out"],
        ["score", "PIXELCNN", "PHOTOS", "--out", "out.csv"],
        ["compress", "PHOTOS", "--model", "PIXELCNN", "--out", "out.zxi"],
        compare,
    ):
        yield Case(
            kind=KIND,
            name=f"escape codes and markup: {words[0]}",
            make=told(words),
            expect="either",
            writes=more,
        )

    def trained(room: Room) -> list[object]:
        path = photos(room.inside / "photos")
        labels(room, path)
        (path / "LICENSE").write_text(MARKUP)
        words = lab.words_of_a_run(room.lab, 2)
        words[2] = path
        return [*words, "data.size=16", "--out", "out"]

    yield Case(
        kind=KIND,
        name="escape codes and markup: train, README and report",
        make=trained,
        expect="either",
        seconds=90,
        megabytes=1500,
    )


def _tables() -> Iterator[Case]:
    """Side files: metadata, labels, captions."""

    def text(name: str, content: str | bytes) -> Fill:
        raw = content.encode() if isinstance(content, str) else content
        return lambda room, path: (path / name).write_bytes(raw)

    digits, deep = "9" * 5000, lab.nested()
    table: dict[str, Fill] = {
        "metadata.csv, a field of 200 kB": text("metadata.csv", "file_name,text\n000.png," + "a" * 200_000),
        "metadata.csv, NUL bytes": text("metadata.csv", b"file_name,text\n\0\0\0"),
        "metadata.csv, 100,000 columns": text(
            "metadata.csv",
            "file_name," + ",".join(f"c{i}" for i in range(100_000)) + "\n000.png,1\n",
        ),
        "metadata.csv, an open quote": text("metadata.csv", 'file_name,text\n000.png,"abc'),
        "metadata.jsonl, deep": text("metadata.jsonl", deep),
        "metadata.jsonl, 5,000 digits": text(
            "metadata.jsonl", f'{{"file_name": "000.png", "label": {digits}}}\n'
        ),
        "metadata.jsonl, a number as name": text("metadata.jsonl", '{"file_name": 5, "label": 1}\n'),
        "metadata.jsonl, infinite": text(
            "metadata.jsonl", '{"file_name": "000.png", "label": 1e400}\n'
        ),
        "metadata.jsonl, names climb": text(
            "metadata.jsonl", '{"file_name": "../../outside/secret.txt", "label": 1}\n{"file_name": "000.png"}'
        ),
        "dataset.json, infinite": text("dataset.json", '{"labels": [["000.png", 1e400]]}'),
        "dataset.json, NaN": text("dataset.json", '{"labels": [["000.png", NaN], ["001.png", 1]]}'),
        "dataset.json, deep": text("dataset.json", deep),
        "dataset.json, 5,000 digits": text("dataset.json", f'{{"labels": [["000.png", {digits}]]}}'),
        "dataset.json, nested": text("dataset.json", '{"labels": [["000.png", [[1], 0]]]}'),
        "dataset.json, objects": text("dataset.json", '{"labels": [["000.png", {"a": 1}]]}'),
        "dataset.json, a number": text("dataset.json", "5"),
        "dataset.json, of words": text("dataset.json", '{"labels": [["000.png", "cat"]]}'),
        "dataset.json, 10^6 wide": text(
            "dataset.json", '{"labels": [["000.png", [' + "0," * 10**6 + "1]]]}"
        ),
        "a caption of 100 MB": text("000.txt", b"a" * 100_000_000),
        "a caption of NUL bytes": text("000.txt", bytes(1000)),
        "000.json, deep": text("000.json", deep),
        "000.json, 6,000 digits": text("000.json", f'{{"label": {"9" * 6000}}}'),
        "000.json, a list": text("000.json", "[]"),
        "000.json, a label that is a list": text("000.json", '{"label": [1, 2], "caption": {"a": 5}}'),
        "000.json, infinite": text("000.json", '{"label": 1e400}'),
        "a licence of 100 MB": text("LICENSE", b"\xff" * 100_000_000),
        "metadata.parquet, garbage": text("metadata.parquet", b"PAR1" + bytes(50) + b"PAR1"),
        "labels.csv, climbs": text("labels.csv", "id,label\n../../outside/secret,5\n"),
    }
    for name, fill in table.items():
        yield from folder(f"side file: {name}", fill, expect="either")


def _zip(room: Room, name: str, items: Sequence[tuple[Any, bytes]], honest: bool = True) -> Path:
    path = room.inside / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(6 if honest else 0):
            archive.writestr(f"{index:03d}.png", png(index))
        for member, content in items:
            archive.writestr(member, content)
    return path


def _zips() -> Iterator[Case]:
    slips = ("../../../../outside/slip.png", "/tmp/attack-slip.png", "..\\..\\win.png", "C:\\win.png")
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16

    def zipped(*items: tuple[Any, bytes]) -> Callable[[Room], Path]:
        return lambda room: _zip(room, "photos.zip", items)

    def big(lie: bool) -> Callable[[Room], Path]:
        def make(room: Room) -> Path:
            path = _zip(room, "photos.zip", [])
            with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
                with archive.open("bomb.png", "w", force_zip64=False) as member:
                    for _ in range(1024):
                        member.write(bytes(1 << 20))
            if lie:
                content = path.read_bytes().replace(struct.pack("<I", GIB), struct.pack("<I", 100))
                path.write_bytes(content)
            return path

        return make

    def many(room: Room) -> Path:
        path = room.inside / "many.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for index in range(30_000):
                archive.writestr(f"{index}.png", b"")
        return path

    def cut(room: Room) -> Path:
        path = _zip(room, "photos.zip", [])
        path.write_bytes(path.read_bytes()[:-30])
        return path

    def flipped(room: Room) -> Path:
        path = _zip(room, "photos.zip", [])
        content = bytearray(path.read_bytes())
        for at in range(40, len(content), 97):
            content[at] ^= 255
        path.write_bytes(content)
        return path

    def locked(room: Room) -> Path:
        path = _zip(room, "photos.zip", [])
        content = path.read_bytes().replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1")
        path.write_bytes(content)
        return path

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.png", png())
    table: dict[str, tuple[Callable[[Room], Path], dict[str, Any]]] = {
        "honest": (zipped(), {"expect": "used"}),
        "names climb": (zipped(*((name, png(40 + i)) for i, name in enumerate(slips))), {}),
        "a member of 1 GiB": (big(False), {"says": "bomb.png"}),
        "a member of 1 GiB that says 100 bytes": (big(True), {}),
        "a name twice": (zipped(("000.png", b"x"), ("000.png", png(50))), {}),
        "30,000 empty members": (many, {}),
        "cut": (cut, {"expect": "refused"}),
        "bytes flipped": (flipped, {}),
        "locked": (locked, {}),
        "a link": (zipped((link, b"/etc/passwd")), {"says": "link.png"}),
        "a zip": (zipped(("in.zip", inner.getvalue())), {}),
        "names of escape codes": (zipped((f"{ESCAPES}.png", b"x"), (f"{MARKUP}.png", b"y")), {}),
        "a metadata.csv that climbs": (
            zipped(("metadata.csv", b"file_name,label\n../../../etc/passwd,a\n000.png,b\n")),
            {},
        ),
        "a dataset.json that is deep": (zipped(("dataset.json", lab.nested().encode())), {}),
    }
    for name, (make, more) in table.items():
        yield prepared(f"zip: {name}", make, **{"expect": "either", **more})


def _tars() -> Iterator[Case]:
    def member(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, size
        return info

    def tar(*extra: tuple[tarfile.TarInfo, bytes]) -> Callable[[Room], Path]:
        def make(room: Room) -> Path:
            path = room.inside / "photos.tar"
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
                for index in range(6):
                    info = tarfile.TarInfo(f"{index:03d}.png")
                    info.size = len(png(index))
                    archive.addfile(info, io.BytesIO(png(index)))
                for info, content in extra:
                    archive.addfile(info, io.BytesIO(content) if content else None)
            return path

        return make

    def sized(field: bytes) -> Callable[[Room], Path]:
        """The last member's size is a lie."""

        def make(room: Room) -> Path:
            path = tar((member("x.png", tarfile.REGTYPE, size=3), b"abc"))(room)
            content = bytearray(path.read_bytes())
            at = content.find(b"x.png")
            content[at + 124 : at + 136] = field
            total = sum(content[at : at + 148]) + sum(content[at + 156 : at + 512]) + 256
            content[at + 148 : at + 156] = b"%06o\0 " % total
            path.write_bytes(content)
            return path

        return make

    def changed(change: Callable[[bytes], bytes]) -> Callable[[Room], Path]:
        def make(room: Room) -> Path:
            path = tar()(room)
            path.write_bytes(change(path.read_bytes()))
            return path

        return make

    plain, odd = tarfile.REGTYPE, tarfile.TarInfo("000.txt")
    odd.size = 9
    pax = tarfile.TarInfo("pax.png")
    pax.pax_headers = {"path": "../../outside/pax.png", "size": "9" * 30, "x": "y" * 1_000_000}
    table: dict[str, tuple[Callable[[Room], Path], dict[str, Any]]] = {
        "honest": (tar(), {"expect": "used"}),
        "a link to /etc/passwd": (tar((member("s.png", tarfile.SYMTYPE, "/etc/passwd"), b"")), {}),
        "a hard link to /etc/passwd": (tar((member("h.png", tarfile.LNKTYPE, "/etc/passwd"), b"")), {}),
        "a hard link to itself": (tar((member("h.png", tarfile.LNKTYPE, "h.png"), b"")), {}),
        "a caption that is a link": (
            tar((member("000.txt", tarfile.SYMTYPE, "../outside/secret.txt"), b"")),
            {},
        ),
        "a device": (tar((member("d.png", tarfile.CHRTYPE), b"")), {}),
        "a pipe": (tar((member("f.png", tarfile.FIFOTYPE), b"")), {}),
        "a name that climbs": (
            tar((member("../../outside/slip.png", plain, size=len(png())), png())),
            {},
        ),
        "a whole path": (tar((member("/tmp/attack-slip.png", plain, size=len(png())), png())), {}),
        "a name of escape codes": (tar((member(f"{ESCAPES}.png", plain, size=3), b"bad")), {}),
        "2^62 bytes": (sized(b"\x80\0\0\0\x7f" + b"\xff" * 7), {}),
        "a negative size": (sized(b"\xff" * 12), {}),
        "a size that is no number": (sized(b"abcdefghijkl"), {}),
        "long headers": (tar((pax, b"")), {}),
        "cut": (changed(lambda old: old[: len(old) // 3]), {}),
        "only zeros": (changed(lambda old: bytes(10240)), {}),
        "random": (changed(lambda old: np.random.default_rng(0).bytes(10240)), {}),
        "a caption of 9 bytes": (tar((odd, b"a caption")), {"expect": "used"}),
    }
    for name, (make, more) in table.items():
        yield prepared(f"tar: {name}", make, **{"expect": "either", **more})


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
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            member.write(head)
            for _ in range(mebibytes):
                member.write(bytes(1 << 20))
    return path


def _arrays() -> Iterator[Case]:
    def evil(room: Room) -> Any:
        return np.array([Evil(room.outside / "PWNED")], dtype=object)

    def saved(room: Room, suffix: str) -> Path:
        path = room.inside / f"x.{suffix}"
        if suffix == "npy":
            np.save(path, evil(room), allow_pickle=True)
        else:
            np.savez(path, images=evil(room))
        return path

    def labels(room: Room) -> Path:
        path = room.inside / "x.npz"
        np.savez(path, images=np.stack(lab.pictures(4)), labels=evil(room))
        return path

    def gz(room: Room) -> Path:
        path = room.inside / "train-images-idx3-ubyte.gz"
        with gzip.open(path, "wb") as file:
            file.write(b"\0\0\x08\x03" + struct.pack(">III", 1 << 11, 1 << 10, 1 << 10))
            for _ in range(2048):
                file.write(bytes(1 << 20))
        return path

    def gz_lie(room: Room) -> Path:
        path = room.inside / "train-images-idx3-ubyte.gz"
        with gzip.open(path, "wb") as file:
            file.write(b"\0\0\x08\x03" + struct.pack(">III", 4, 16, 16))
            for _ in range(2048):
                file.write(bytes(1 << 20))
        return path

    def idx(content: bytes) -> Callable[[Room], Path]:
        return lambda room: room.file("train-images-idx3-ubyte", content)

    def array(content: bytes) -> Callable[[Room], Path]:
        return lambda room: room.file("x.npy", content)

    code = b"\x93NUMPY\x01\0" + struct.pack("<H", 64) + b"__import__('os').system('id')".ljust(64)
    three = npy("(1048576, 32, 32, 3)", data=b"")
    table: dict[str, Callable[[Room], Path]] = {
        "npy of pickles": lambda room: saved(room, "npy"),
        "npz of pickles": lambda room: saved(room, "npz"),
        "npz with pickled labels": labels,
        "npy that says 2^40 images": array(npy("(1099511627776, 16, 16, 3)")),
        "npy of a negative shape": array(npy("(-1, 16, 16, 3)")),
        "npy whose shape overflows": array(npy("(4294967296, 4294967296, 3)")),
        "npy with code for a header": array(code),
        "npy with a deep header": array(npy("(" * 2000 + ")" * 2000)),
        "npy of text": array(npy("(4,)", "<U4")),
        "npy of times": array(npy("(2, 1, 1)", "<M8[s]")),
        "npy of records": array(npy("(2, 1, 1)", "|V8")),
        "npy cut": array(npy("(4, 16, 16, 3)")[:40]),
        "npz that says 3 GiB and has 1": lambda room: npz(room.inside / "x.npz", "images", three, 1024),
        "npz of 4 GiB": lambda room: npz(
            room.inside / "x.npz", "images", npy("(4194304, 32, 32, 1)", data=b""), 4096
        ),
        "npz that is no zip": lambda room: room.file("x.npz", b"abc"),
        "npz with the head of a zip": lambda room: room.file("x.npz", b"PK\x03\x04" + bytes(30)),
        "idx of 2^32 on each axis": idx(b"\0\0\x08\x03" + b"\xff" * 12),
        "idx of 255 axes": idx(b"\0\0\x08\xff" + bytes(1020)),
        "idx of no images": idx(b"\0\0\x08\x03" + bytes(12)),
        "idx cut": idx(b"\0\0\x08"),
        "idx.gz of 2 GiB": gz,
        "idx.gz of 2 GiB that says 1 KiB": gz_lie,
        "idx.gz that is no gzip": lambda room: room.file("train-images-idx3-ubyte.gz", b"abc"),
    }
    for name, make in table.items():
        # an honest 4 GiB of images may be prepared: then it has to be in little memory
        yield prepared(name, make, seconds=60)

    def honest(room: Room) -> Path:
        path = room.inside / "x.npz"
        np.savez(path, images=np.stack(lab.pictures(6)), labels=np.array([0, 1] * 3))
        return path

    yield prepared("honest npz", honest, expect="used")


def _parquet() -> Iterator[Case]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        return

    def write(room: Room, columns: dict[str, Any], **more: Any) -> Path:
        path = room.inside / "x.parquet"
        parquet.write_table(arrow.table(columns), path, **more)
        return path

    def honest(room: Room) -> Path:
        return write(room, {"image": [png(i) for i in range(6)], "label": ["a", "b"] * 3})

    def flipped(at: int) -> Callable[[Room], Path]:
        def make(room: Room) -> Path:
            path = honest(room)
            content = bytearray(path.read_bytes())
            content[at] ^= 0xFF
            path.write_bytes(content)
            return path

        return make

    def changed(change: Callable[[bytes], bytes]) -> Callable[[Room], Path]:
        def make(room: Room) -> Path:
            path = honest(room)
            path.write_bytes(change(path.read_bytes()))
            return path

        return make

    def fat(room: Room) -> Path:
        column = arrow.array([bytes(1 << 27)] * 8, arrow.binary())
        return write(room, {"image": column}, compression="zstd")

    def many(room: Room) -> Path:
        column = arrow.array([b""] * 3_000_000, arrow.binary())
        return write(room, {"image": column}, compression="zstd")

    def words(room: Room) -> Path:
        names = [ESCAPES, MARKUP] * 3
        return write(room, {"image": [png(i) for i in range(6)], ESCAPES: names, "text": names})

    def wide(room: Room) -> Path:
        columns = {f"c{i}": ["a"] * 2 for i in range(3000)}
        return write(room, {"image": [png(), png(1)], **columns})

    def paths(room: Room) -> Path:
        rows = [{"bytes": None, "path": str(lab.secret(room, "secret.png"))}] * 4
        return write(room, {"image": rows})

    def labels(room: Room) -> Path:
        table: dict[str, Any] = {"image": [png(i) for i in range(4)]}
        column = arrow.array(["a" * (1 << 27)] * 4)
        return write(room, {**table, "label": column}, compression="zstd")

    table: dict[str, tuple[Callable[[Room], Path], dict[str, Any]]] = {
        "honest": (honest, {"expect": "used"}),
        "byte 20 flipped": (flipped(20), {}),
        "byte 200 flipped": (flipped(200), {}),
        "byte -40 flipped": (flipped(-40), {}),
        "byte -8 flipped": (flipped(-8), {}),
        "a footer of 2^31": (
            changed(lambda old: old[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"),
            {"expect": "refused"},
        ),
        "cut": (changed(lambda old: old[: len(old) // 2]), {"expect": "refused"}),
        "1 GiB of zeros in 8 rows": (fat, {}),
        "3,000,000 empty rows": (many, {}),
        "a label of 512 MiB": (labels, {}),
        "3,000 columns": (wide, {}),
        "words of escape codes": (words, {}),
        "paths to a secret": (paths, {}),
    }
    for name, (make, more) in table.items():
        yield prepared(f"parquet: {name}", make, **{"expect": "either", "seconds": 60, **more})


def _prepared() -> Iterator[Case]:
    """Prepared and encoded sets, which somebody else may have made."""

    def spoilt(
        name: str,
        spoil: Callable[[Room, Path, dict[str, Any]], object],
        words: Sequence[object] = ("data", "inspect", "SET", "--out", "out"),
        source: str = "set",
        **more: Any,
    ) -> Case:
        def make(room: Room) -> list[object]:
            path = room.copy(source)
            facts = dict(read_json(path / "dataset.json"))
            if spoil(room, path, facts) != "raw":
                write_json(path / "dataset.json", facts)
            return [path if word == "SET" else word for word in words]

        return Case(kind=KIND, name=f"{source}: {name}", make=make, **more)

    smaller = ("data", "prepare", "SET", "out", "--size", 8)

    def put(path: str, value: Any) -> Callable[[Room, Path, dict[str, Any]], object]:
        def spoil(room: Room, folder: Path, facts: dict[str, Any]) -> None:
            *outer, last = path.split(".")
            at = facts
            for key in outer:
                at = at[key]
            at[last] = value

        return spoil

    yield spoilt("honest", lambda room, path, facts: None, expect="used")
    yield spoilt("honest, prepared smaller", lambda room, path, facts: None, smaller, expect="used")
    lies: dict[str, Any] = {
        "images.count": [2**40, -6, 0, 1.5, "6", None, True, [6], 10**400],
        "images.height": [2**31, -16, 0, None],
        "images.channels": [2**31, 0, -3, 2],
        "images": [None, [], 5],
        "files": [None, [], {}, 5],
        "name": ["../../x", None, [], 5, f"<script>alert(1)</script>{ESCAPES}"],
        "hash": ["../../x", None, [], "x" * 10**6],
        "conditions": [
            None, 5, "abc", [5], [{"name": "x"}],
            [{"name": "x", "classes": ["a", "b"]}],
            [{"name": ESCAPES, "classes": [MARKUP]}],
            [{"name": "x", "classes": 5}],
        ],
        "columns": [None, 5, ["x"], {"x": 1}],
        "captions": [5, -1, "yes", True],
        "licence": [None, 5, ["a"], f"{ESCAPES}{MARKUP}"],
        "credits": [None, 5, f"{ESCAPES}{MARKUP}"],
        "remarks": [None, 5, [["a"] * 3], [f"{ESCAPES}{MARKUP}"], {"a": 5}],
        "warnings": [None, 5, [5], [f"{ESCAPES}{MARKUP}"]],
        "left_out": [None, 5, [], {"corrupt": 5}, {f"{ESCAPES}": {"count": 1, "first": [["a", "b"]]}}],
        "found": [None, 5, []],
        "format": [True, 99, None, "1", ESCAPES],
        "split": [None, 5, [], {"train": "x"}],
    }
    for path, values in lies.items():
        for value in values:
            yield spoilt(f"{path} is {repr(value)[:40]}", put(path, value), expect="either")

    for word in (
        "name", "hash", "images", "files", "conditions", "columns", "captions", "licence", "format", "found",
    ):
        yield spoilt(f"no {word}", lambda room, path, facts, w=word: facts.pop(w, None), expect="either")

    def raw(name: str, text: str | bytes) -> Case:
        def spoil(room: Room, path: Path, facts: dict[str, Any]) -> str:
            content = text.encode() if isinstance(text, str) else text
            (path / "dataset.json").write_bytes(content)
            return "raw"

        return spoilt(f"dataset.json {name}", spoil)

    yield raw("a list", "[]")
    yield raw("null", "null")
    yield raw("deep", lab.nested())
    yield raw("10,000 digits", "9" * 10_000)
    yield raw("NUL bytes", bytes(50))
    yield raw("300 MB of spaces", b" " * 300_000_000)

    def climbs(key: str) -> Callable[[Room, Path, dict[str, Any]], object]:
        def spoil(room: Room, path: Path, facts: dict[str, Any]) -> None:
            known = {"bytes": len(SECRET) + 1, "sha256": sha256(lab.secret(room))}
            facts["files"][key] = known

        return spoil

    train = ["train", "gan", "SET", "--steps", 1, "--threads", 1, "--out", "out"]
    train += ["family.features=8", "family.latent=4", "training.batch_size=4", "training.precision=float32"]
    for key in ("../../outside/secret.txt", "/etc/passwd", "..", "", "a\0b", "x/y", ESCAPES):
        yield spoilt(f"files names {key!r:.40}", climbs(key))
    for key in ("../../outside/secret.txt", "x\0y"):
        yield spoilt(
            f"files names {key!r:.40}: copied by data encode",
            climbs(key),
            ("data", "encode", "SET", "TOKENIZER", "out"),
        )

    def linked(name: str) -> Callable[[Room, Path, dict[str, Any]], object]:
        def spoil(room: Room, path: Path, facts: dict[str, Any]) -> str:
            (path / name).rename(room.outside / "private")
            lab.link(path / name, room.outside / "private")
            return "raw"

        return spoil

    for name in ("images.u8", "columns.safetensors", "dataset.json", "left_out.jsonl"):
        yield spoilt(f"{name} is a link that leads outside", linked(name), expect="either")

    def cut(name: str) -> Callable[[Room, Path, dict[str, Any]], object]:
        def spoil(room: Room, path: Path, facts: dict[str, Any]) -> None:
            content = (path / name).read_bytes()[:-5]
            (path / name).write_bytes(content)
            if name in facts["files"]:
                facts["files"][name] = {"bytes": len(content), "sha256": sha256(path / name)}

        return spoil

    yield spoilt("images.u8 cut", cut("images.u8"))
    yield spoilt("columns.safetensors cut", cut("columns.safetensors"))

    def columns(change: Callable[[dict[str, Any]], object]) -> Callable[[Room, Path, dict[str, Any]], object]:
        def spoil(room: Room, path: Path, facts: dict[str, Any]) -> None:
            import safetensors.numpy as tensors

            file = path / "columns.safetensors"
            held = dict(tensors.load_file(file))
            change(held)
            tensors.save_file(held, file)
            facts["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}

        return spoil

    table: dict[str, Callable[[dict[str, Any]], object]] = {
        "holdout is text": lambda t: t.update(holdout=np.zeros(3, np.float64)),
        "labels out of range": lambda t: t.update(labels=np.full((16, 0), 99)),
        "no labels": lambda t: t.pop("labels"),
        "ends of names beyond": lambda t: t.update(
            {"names.ends": np.full(16, 2**60), "names.bytes": np.zeros(4, np.uint8)}
        ),
        "ends of names negative": lambda t: t.update({"names.ends": np.full(16, -5)}),
        "ends of names are fractions": lambda t: t.update({"names.ends": np.full(16, 0.5)}),
        "too few names": lambda t: t.update({"names.ends": np.zeros(2, np.int64)}),
        "names are floats": lambda t: t.update({"names.bytes": np.zeros(40, np.float32)}),
        "all held out": lambda t: t.update(holdout=np.ones(16, np.uint8)),
    }
    for name, change in table.items():
        yield spoilt(f"columns: {name}", columns(change), smaller, expect="either")
        yield spoilt(
            f"columns: {name}: train",
            columns(change),
            train,
            expect="either",
            seconds=60,
            megabytes=1500,
        )

    def encoded(change: Callable[[Room, Path, dict[str, Any]], object]) -> Callable[..., object]:
        return lambda room, path, facts: change(room, path, facts["encoded"])

    flow = ["train", "flow", "SET", "--steps", 1, "--threads", 1, "--out", "out", "training.batch_size=4"]
    flow += ["family.widths=16,16", "family.blocks=1", "family.embedding=16", "training.precision=float32"]
    away: dict[str, Callable[[Room, Path, dict[str, Any]], object]] = {
        "its file climbs": lambda room, path, e: e.update(file="../../outside/token.i16"),
        "its file is another": lambda room, path, e: e.update(file="images.u8"),
        "its file is a list": lambda room, path, e: e.update(file=[]),
        "its kind is another": lambda room, path, e: e.update(kind="latent"),
        "its kind is code": lambda room, path, e: e.update(kind="__class__"),
        "a negative shape": lambda room, path, e: e.update(shape=[-4, -4]),
        "a huge shape": lambda room, path, e: e.update(shape=[2**31, 2**31]),
        "a shape of nothing": lambda room, path, e: e.update(shape=None),
        "a huge vocabulary": lambda room, path, e: e.update(vocabulary=2**40),
        "no encoder": lambda room, path, e: e.pop("encoder"),
        "another encoder": lambda room, path, e: e.update(encoder={"sha256": "0" * 64}),
        "an encoder that is a link": lambda room, path, e: (
            (path / "encoder").rename(room.inside / "far"),
            lab.link(path / "encoder", room.inside / "far"),
        ),
    }
    yield spoilt("honest", lambda room, path, facts: None, source="encoded", expect="used")
    for name, change in away.items():
        yield spoilt(name, encoded(change), source="encoded", expect="either")
        yield spoilt(
            f"{name}: train",
            encoded(change),
            flow,
            source="encoded",
            expect="either",
            seconds=60,
            megabytes=1500,
        )
    yield spoilt("encoded is a list", put("encoded", [1]), source="encoded")
    yield spoilt("encoded is text", put("encoded", "x"), source="encoded")
