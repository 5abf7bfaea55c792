"""Hostile data: archives, arrays and tables."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    Evil,
    nested,
    npy,
    npz,
    png,
)
from benchmarks.attack.sources import prepared
from benchmarks.attack.trial import GIB, Case, Room


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _zips()
    yield from _tars()
    yield from _arrays()
    yield from _parquet()


def _zip(room: Room, name: str, items: Sequence[tuple[Any, bytes]], honest: bool = True) -> Path:
    path = room.inside / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(6 if honest else 0):
            archive.writestr(f"{index:03d}.png", png(index))
        for member, content in items:
            archive.writestr(member, content)
    return path


def _zipped(*items: tuple[Any, bytes]) -> Callable[[Room], Path]:
    return lambda room: _zip(room, "photos.zip", items)


def _big(lie: bool) -> Callable[[Room], Path]:
    def make(room: Room) -> Path:
        path = _zip(room, "photos.zip", [])
        with (
            zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
            archive.open("bomb.png", "w", force_zip64=False) as member,
        ):
            for _ in range(1024):
                member.write(bytes(1 << 20))
        if lie:
            content = path.read_bytes().replace(struct.pack("<I", GIB), struct.pack("<I", 100))
            path.write_bytes(content)
        return path

    return make


def _many(room: Room) -> Path:
    path = room.inside / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(30_000):
            archive.writestr(f"{index}.png", b"")
    return path


def _cut(room: Room) -> Path:
    path = _zip(room, "photos.zip", [])
    path.write_bytes(path.read_bytes()[:-30])
    return path


def _flipped(room: Room) -> Path:
    path = _zip(room, "photos.zip", [])
    content = bytearray(path.read_bytes())
    for at in range(40, len(content), 97):
        content[at] ^= 255
    path.write_bytes(content)
    return path


def _locked(room: Room) -> Path:
    path = _zip(room, "photos.zip", [])
    content = path.read_bytes().replace(
        b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1"
    )
    path.write_bytes(content)
    return path


def _zips() -> Iterator[Case]:
    slips = (
        "../../../../outside/slip.png",
        "/tmp/attack-slip.png",
        "..\\..\\win.png",
        "C:\\win.png",
    )
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.png", png())
    table: dict[str, tuple[Callable[[Room], Path], dict[str, Any]]] = {
        "honest": (_zipped(), {"expect": "used"}),
        "names climb": (_zipped(*((name, png(40 + i)) for i, name in enumerate(slips))), {}),
        "a member of 1 GiB": (_big(False), {"says": "bomb.png"}),
        "a member of 1 GiB that says 100 bytes": (_big(True), {"megabytes": 600}),
        "a name twice": (_zipped(("000.png", b"x"), ("000.png", png(50))), {}),
        "30,000 empty members": (_many, {}),
        "cut": (_cut, {"expect": "refused"}),
        "bytes flipped": (_flipped, {}),
        "locked": (_locked, {}),
        "a link": (_zipped((link, b"/etc/passwd")), {"says": "link.png"}),
        "a zip": (_zipped(("in.zip", inner.getvalue())), {}),
        "names of escape codes": (_zipped((f"{ESCAPES}.png", b"x"), (f"{MARKUP}.png", b"y")), {}),
        "a metadata.csv that climbs": (
            _zipped(("metadata.csv", b"file_name,label\n../../../etc/passwd,a\n000.png,b\n")),
            {},
        ),
        "a dataset.json that is deep": (_zipped(("dataset.json", nested().encode())), {}),
    }
    for name, (make, more) in table.items():
        yield prepared(f"zip: {name}", make, **{"expect": "either", **more})


def _member(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def _tar(*extra: tuple[tarfile.TarInfo, bytes]) -> Callable[[Room], Path]:
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


def _sized(field: bytes) -> Callable[[Room], Path]:
    """The last member's size is a lie."""

    def make(room: Room) -> Path:
        path = _tar((_member("x.png", tarfile.REGTYPE, size=3), b"abc"))(room)
        content = bytearray(path.read_bytes())
        at = content.find(b"x.png")
        content[at + 124 : at + 136] = field
        total = sum(content[at : at + 148]) + sum(content[at + 156 : at + 512]) + 256
        content[at + 148 : at + 156] = b"%06o\0 " % total
        path.write_bytes(content)
        return path

    return make


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Room], Path]:
    def make(room: Room) -> Path:
        path = _tar()(room)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def _tars() -> Iterator[Case]:

    plain, odd = tarfile.REGTYPE, tarfile.TarInfo("000.txt")
    odd.size = 9
    pax = tarfile.TarInfo("pax.png")
    pax.pax_headers = {"path": "../../outside/pax.png", "size": "9" * 30, "x": "y" * 1_000_000}
    table: dict[str, tuple[Callable[[Room], Path], dict[str, Any]]] = {
        "honest": (_tar(), {"expect": "used"}),
        "a link to /etc/passwd": (
            _tar((_member("s.png", tarfile.SYMTYPE, "/etc/passwd"), b"")),
            {},
        ),
        "a hard link to /etc/passwd": (
            _tar((_member("h.png", tarfile.LNKTYPE, "/etc/passwd"), b"")),
            {},
        ),
        "a hard link to itself": (_tar((_member("h.png", tarfile.LNKTYPE, "h.png"), b"")), {}),
        "a caption that is a link": (
            _tar((_member("000.txt", tarfile.SYMTYPE, "../outside/secret.txt"), b"")),
            {},
        ),
        "a device": (_tar((_member("d.png", tarfile.CHRTYPE), b"")), {}),
        "a pipe": (_tar((_member("f.png", tarfile.FIFOTYPE), b"")), {}),
        "a name that climbs": (
            _tar((_member("../../outside/slip.png", plain, size=len(png())), png())),
            {},
        ),
        "a whole path": (
            _tar((_member("/tmp/attack-slip.png", plain, size=len(png())), png())),
            {},
        ),
        "a name of escape codes": (_tar((_member(f"{ESCAPES}.png", plain, size=3), b"bad")), {}),
        "2^62 bytes": (_sized(b"\x80\0\0\0\x7f" + b"\xff" * 7), {}),
        "a negative size": (_sized(b"\xff" * 12), {}),
        "a size that is no number": (_sized(b"abcdefghijkl"), {}),
        "long headers": (_tar((pax, b"")), {}),
        "cut": (_changed(lambda old: old[: len(old) // 3]), {}),
        "only zeros": (_changed(lambda old: bytes(10240)), {}),
        "random": (_changed(lambda old: np.random.default_rng(0).bytes(10240)), {}),
        "a caption of 9 bytes": (_tar((odd, b"a caption")), {"expect": "used"}),
    }
    for name, (make, more) in table.items():
        yield prepared(f"tar: {name}", make, **{"expect": "either", **more})


def _evil(room: Room) -> Any:
    return np.array([Evil(room.outside / "PWNED")], dtype=object)


def _saved(room: Room, suffix: str) -> Path:
    path = room.inside / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, _evil(room), allow_pickle=True)
    else:
        np.savez(path, images=_evil(room))
    return path


def _evil_labels(room: Room) -> Path:
    path = room.inside / "x.npz"
    np.savez(path, images=np.stack(lab.pictures(4)), labels=_evil(room))
    return path


def _gz(room: Room) -> Path:
    path = room.inside / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">III", 1 << 11, 1 << 10, 1 << 10))
        for _ in range(2048):
            file.write(bytes(1 << 20))
    return path


def _gz_lie(room: Room) -> Path:
    path = room.inside / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">III", 4, 16, 16))
        for _ in range(2048):
            file.write(bytes(1 << 20))
    return path


def _idx(content: bytes) -> Callable[[Room], Path]:
    return lambda room: room.file("train-images-idx3-ubyte", content)


def _array(content: bytes) -> Callable[[Room], Path]:
    return lambda room: room.file("x.npy", content)


def _honest_npz(room: Room) -> Path:
    path = room.inside / "x.npz"
    np.savez(path, images=np.stack(lab.pictures(6)), labels=np.array([0, 1] * 3))
    return path


def _arrays() -> Iterator[Case]:

    code = b"\x93NUMPY\x01\0" + struct.pack("<H", 64) + b"__import__('os').system('id')".ljust(64)
    three = npy("(1048576, 32, 32, 3)", data=b"")
    table: dict[str, Callable[[Room], Path]] = {
        "npy of pickles": lambda room: _saved(room, "npy"),
        "npz of pickles": lambda room: _saved(room, "npz"),
        "npz with pickled labels": _evil_labels,
        "npy that says 2^40 images": _array(npy("(1099511627776, 16, 16, 3)")),
        "npy of a negative shape": _array(npy("(-1, 16, 16, 3)")),
        "npy whose shape overflows": _array(npy("(4294967296, 4294967296, 3)")),
        "npy with code for a header": _array(code),
        "npy with a deep header": _array(npy("(" * 2000 + ")" * 2000)),
        "npy of text": _array(npy("(4,)", "<U4")),
        "npy of times": _array(npy("(2, 1, 1)", "<M8[s]")),
        "npy of records": _array(npy("(2, 1, 1)", "|V8")),
        "npy cut": _array(npy("(4, 16, 16, 3)")[:40]),
        "npz that says 3 GiB and has 1": lambda room: npz(
            room.inside / "x.npz", "images", three, 1024
        ),
        "npz that is no zip": lambda room: room.file("x.npz", b"abc"),
        "npz with the head of a zip": lambda room: room.file("x.npz", b"PK\x03\x04" + bytes(30)),
        "idx of 2^32 on each axis": _idx(b"\0\0\x08\x03" + b"\xff" * 12),
        "idx of 255 axes": _idx(b"\0\0\x08\xff" + bytes(1020)),
        "idx of no images": _idx(b"\0\0\x08\x03" + bytes(12)),
        "idx cut": _idx(b"\0\0\x08"),
        "idx.gz of 2 GiB that says 1 KiB": _gz_lie,
        "idx.gz that is no gzip": lambda room: room.file("train-images-idx3-ubyte.gz", b"abc"),
    }
    for name, make in table.items():
        yield prepared(name, make, seconds=60)

    def large(room: Room) -> Path:
        return npz(room.inside / "x.npz", "images", npy("(2048, 1024, 1024, 1)", data=b""), 2048)

    # EMNIST, honest, unpacks to 0.55 GiB: so much may be held, but not whatever a file unpacks to.
    for name, make in (("npz of 2 GiB", large), ("idx.gz of 2 GiB", _gz)):
        yield prepared(name, make, expect="either", megabytes=1200, seconds=60)

    yield prepared("honest npz", _honest_npz, expect="used")


def _write(room: Room, columns: dict[str, Any], **more: Any) -> Path:
    path = room.inside / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **more)
    return path


def _honest_table(room: Room) -> Path:
    return _write(room, {"image": [png(i) for i in range(6)], "label": ["a", "b"] * 3})


def _flipped_table(at: int) -> Callable[[Room], Path]:
    def make(room: Room) -> Path:
        path = _honest_table(room)
        content = bytearray(path.read_bytes())
        content[at] ^= 0xFF
        path.write_bytes(content)
        return path

    return make


def _changed_table(change: Callable[[bytes], bytes]) -> Callable[[Room], Path]:
    def make(room: Room) -> Path:
        path = _honest_table(room)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def _fat(room: Room) -> Path:
    column = pyarrow.array([bytes(1 << 27)] * 8, pyarrow.binary())
    return _write(room, {"image": column}, compression="zstd")


def _many_rows(room: Room) -> Path:
    column = pyarrow.array([b""] * 3_000_000, pyarrow.binary())
    return _write(room, {"image": column}, compression="zstd")


def _words(room: Room) -> Path:
    names = [ESCAPES, MARKUP] * 3
    return _write(room, {"image": [png(i) for i in range(6)], ESCAPES: names, "text": names})


def _wide(room: Room) -> Path:
    columns = {f"c{i}": ["a"] * 2 for i in range(3000)}
    return _write(room, {"image": [png(), png(1)], **columns})


def _paths(room: Room) -> Path:
    rows = [{"bytes": None, "path": str(room.secret("secret.png"))}] * 4
    return _write(room, {"image": rows})


def _fat_labels(room: Room) -> Path:
    table: dict[str, Any] = {"image": [png(i) for i in range(4)]}
    column = pyarrow.array(["a" * (1 << 27)] * 4)
    return _write(room, {**table, "label": column}, compression="zstd")


def _parquet() -> Iterator[Case]:

    table: dict[str, tuple[Callable[[Room], Path], dict[str, Any]]] = {
        "honest": (_honest_table, {"expect": "used"}),
        "byte 20 flipped": (_flipped_table(20), {}),
        "byte 200 flipped": (_flipped_table(200), {}),
        "byte -40 flipped": (_flipped_table(-40), {}),
        "byte -8 flipped": (_flipped_table(-8), {}),
        "a footer of 2^31": (
            _changed_table(lambda old: old[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"),
            {"expect": "refused"},
        ),
        "cut": (_changed_table(lambda old: old[: len(old) // 2]), {"expect": "refused"}),
        "1 GiB of zeros in 8 rows": (_fat, {}),
        "3,000,000 empty rows": (_many_rows, {}),
        "a label of 512 MiB": (_fat_labels, {}),
        "3,000 columns": (_wide, {}),
        "words of escape codes": (_words, {}),
        "paths to a secret": (_paths, {}),
    }
    for name, (make, more) in table.items():
        yield prepared(f"parquet: {name}", make, **{"expect": "either", "seconds": 60, **more})
