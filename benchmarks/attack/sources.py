"""Hostile data: pictures, links, words and side files in a folder."""

import json
import os
import struct
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from PIL import Image

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    POLYGLOTS,
    bomb,
    chunk,
    nested,
    packed_zeros,
    png,
    with_chunk,
)
from benchmarks.attack.trial import PIXELS, SECRET, Case, Make, Room

KIND = "data"
Fill = Callable[[Room, Path], object]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _images()
    yield from _links()
    yield from _words()
    yield from _tables()


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


def _gif(room: Room, path: Path) -> None:
    frames = [Image.new("P", (2000, 2000), i) for i in range(100)]
    frames[0].save(path / "bomb.gif", save_all=True, append_images=frames[1:])


def _tiff(room: Room, path: Path) -> None:
    Image.new("L", (8000, 8000)).save(path / "bomb.tiff", compression="tiff_deflate")


def _pipe(room: Room, path: Path) -> None:
    os.mkfifo(path / "pipe.png")


def _deep(room: Room, path: Path) -> None:
    below = path.joinpath(*["d" * 10] * 80)
    below.mkdir(parents=True)
    (below / "x.png").write_bytes(png(9))


def _of(*words: object) -> Make:
    def make(room: Room) -> list[object]:
        path = photos(room.inside / "photos", 20)
        (path / "bomb.png").write_bytes(bomb(50_000, 50_000))
        (path / "a.png").write_bytes(POLYGLOTS["a.png"])
        at = {"MODEL": room.lab / "vae", "SET": room.lab / "photos", "PHOTOS": path}
        return [at.get(str(word), word) for word in words]

    return make


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

    yield from folder("GIF of 100 frames of 2000 x 2000", _gif)
    yield from folder("TIFF of 8000 x 8000", _tiff)
    for name, content in POLYGLOTS.items():
        kind = content[:8].decode("latin-1").strip() or "no bytes"
        yield from folder(
            f"polyglot {name}, {kind!r}",
            lambda room, path, n=name, c=content: (path / n).write_bytes(c),
            says=name,
        )

    yield from folder("a pipe", _pipe, says="pipe.png")
    yield from folder("80 folders deep", _deep, once=False)

    size = ["--size", "16"]
    table: dict[str, list[object]] = {
        "reconstruct": ["reconstruct", "MODEL", "PHOTOS", "--out", "out"],
        "encode": ["encode", "MODEL", "PHOTOS", "--out", "out.npz"],
        "score": ["score", "MODEL", "PHOTOS", "--out", "out.csv"],
        "compare": ["compare", "PHOTOS", "SET", "--out", "out", "--samples", 64, *size],
        "statistics": ["statistics", "PHOTOS", "out/x.npz", *size],
    }
    for name, words in table.items():
        writes = ("cwd/out.npz", "cwd/out.csv", "cwd/samples", "cwd/runs")
        yield Case(
            kind=KIND,
            name=f"a bomb and PostScript among pictures: {name}",
            make=_of(*words),
            expect="used",
            writes=writes,
        )


def _to(name: str, target: str = "secret.txt") -> Fill:
    return lambda room, path: lab.link(path / name, room.secret(target))


def _written(name: str, content: Callable[[], str]) -> Fill:
    def fill(room: Room, path: Path) -> None:
        (room.outside / "secret.any").write_text(content())
        lab.link(path / name, room.outside / "secret.any")

    return fill


def _linked_class(room: Room, path: Path) -> None:
    for name in ("cat", "dog"):
        photos(path / name, 2)
    lab.link(path / "private", room.outside / "precious")


def _chained(room: Room, path: Path) -> None:
    lab.link(path / "linked.txt", room.secret())
    lab.link(path / "000.txt", "linked.txt")


def _near(room: Room, path: Path) -> None:
    (path / "words.dat").write_text("a caption")
    lab.link(path / "000.txt", "words.dat")
    lab.link(path / "copy.png", "000.png")


def _loops(room: Room, path: Path) -> None:
    for name, target in (
        ("loop", ".."),
        ("self.png", "self.png"),
        ("no.png", "nowhere"),
        ("zero.png", "/dev/zero"),
    ):
        lab.link(path / name, target)


def _linked_tar(room: Room) -> Path:
    with tarfile.open(room.outside / "private.tar", "w") as file:
        file.add(room.outside / "secret.png", "a.png")
    path = room.inside / "shards"
    path.mkdir()
    lab.link(path / "private.tar", room.outside / "private.tar")
    return path


def _linked_idx(room: Room) -> Path:
    path = room.inside / "digits"
    path.mkdir()
    head = b"\0\0\x08\x03" + struct.pack(">III", 3, 16, 16)
    (room.outside / "private").write_bytes(head + PIXELS.tobytes())
    return lab.link(path / "train-images-idx3-ubyte", room.outside / "private").parent


def _linked_parquet(room: Room) -> Path:
    table = pyarrow.table({"image": [(room.outside / "secret.png").read_bytes()] * 2})
    pyarrow.parquet.write_table(table, room.outside / "private.parquet")
    path = room.inside / "tables"
    path.mkdir()
    return lab.link(path / "private.parquet", room.outside / "private.parquet").parent


def _links() -> Iterator[Case]:
    """Links out of the source folder, to files of the person."""
    table: dict[str, tuple[str, Fill]] = {
        "a caption": ("000.txt", _to("000.txt")),
        "LICENSE": ("LICENSE", _to("LICENSE")),
        "COPYING.txt": ("COPYING.txt", _to("COPYING.txt")),
        "metadata.csv": ("metadata.csv", _to("metadata.csv", "secret.csv")),
        "a picture": ("linked.png", _to("linked.png", "secret.png")),
        "a picture of text": ("linked.png", _to("linked.png")),
    }
    for name, (says, fill) in table.items():
        yield from folder(f"link to a secret: {name}", fill, once=False, expect="either", says=says)

    lines = [
        json.dumps({"file_name": f"{i:03d}.png", "label": f"{SECRET}{i % 2}"}) for i in range(6)
    ]
    labels = json.dumps({"labels": [[f"{i:03d}.png", i % 2] for i in range(6)], "x": SECRET})
    said: dict[str, Callable[[], str]] = {
        "metadata.jsonl": lambda: "\n".join(lines),
        "dataset.json": lambda: labels,
        "000.json": lambda: json.dumps({"label": SECRET, "caption": SECRET}),
        "sub/metadata.csv": lambda: f"file_name,label\n../000.png,{SECRET}\n",
    }
    for name, content in said.items():
        yield from folder(
            f"link to a secret: {name}", _written(name, content), expect="either", says=name
        )

    yield from folder("link to a secret: a folder of a class", _linked_class, says="private")
    yield from folder("link to a secret by another link", _chained, expect="either", says="000.txt")
    yield from folder("links inside of the folder", _near, once=False)
    yield from folder(
        "links in circles, to nothing, to /dev/zero", _loops, once=False, says="self.png"
    )

    for name, make in (
        ("a tar", _linked_tar),
        ("a parquet file", _linked_parquet),
        ("an idx file", _linked_idx),
    ):
        yield from both(f"link to a secret: {name}", make, expect="either")


def _labels(room: Room, path: Path) -> None:
    rows = [
        f'{i:03d}.png,"<script>alert({i})</script>{ESCAPES}","{(ESCAPES, MARKUP)[i % 2]}"'
        for i in range(6)
    ]
    (path / "metadata.csv").write_text("\n".join([f'file_name,text,"{ESCAPES}"', *rows]))


def _classes(room: Room, path: Path) -> None:
    for index, name in enumerate((ESCAPES.replace("/", "_"), MARKUP.replace("/", "_"))):
        for number in range(3):
            (path / name).mkdir(exist_ok=True)
            (path / name / f"{number}.png").write_bytes(png(10 * index + number + 20))
    for number in range(6):
        (path / f"{number:03d}.png").unlink()


def _files(room: Room, path: Path) -> None:
    for index, name in enumerate((ESCAPES, MARKUP.replace("/", "_"), "\x1b[31mred", "line\nbreak")):
        (path / f"{name}.png").write_bytes(b"bad" if index % 2 else png(30 + index))
        (path / f"{name}.heic").write_bytes(b"bad")


def _licence(room: Room, path: Path) -> None:
    (path / "LICENSE").write_text(f"{ESCAPES}{MARKUP}")


def _undecodable(room: Room, path: Path) -> None:
    (path / "000.png").rename(os.fsdecode(os.fsencode(path) + b"/\xff\xfe.png"))
    Path(os.fsdecode(os.fsencode(path) + b"/\xffbad.png")).write_bytes(b"x")


def _named(room: Room) -> Path:
    return photos(room.inside / f"{ESCAPES.replace('/', '_')}")


def _told(words: Sequence[object]) -> Make:
    def make(room: Room) -> list[object]:
        path = photos(room.inside / "photos")
        _labels(room, path)
        _files(room, path)
        at = {"PHOTOS": path, "VAE": room.lab / "vae", "PIXELCNN": room.lab / "pixelcnn"}
        at |= {"SET": room.lab / "photos"}
        return [at.get(str(word), word) for word in words]

    return make


def _trained(room: Room) -> list[object]:
    path = photos(room.inside / "photos")
    _labels(room, path)
    (path / "LICENSE").write_text(MARKUP)
    words = lab.words_of_a_run(room.lab, 2)
    words[2] = path
    return [*words, "data.size=16", "--out", "out"]


def _words() -> Iterator[Case]:
    """Names that would speak to the terminal, or to whoever opens a page."""
    table: dict[str, Fill] = {
        "captions, classes and a column": _labels,
        "folders of classes": _classes,
        "file names": _files,
        "a licence": _licence,
        "file names that are no UTF-8": _undecodable,
    }
    for name, fill in table.items():
        yield from folder(f"escape codes and markup: {name}", fill, once=False, expect="either")

    yield from both("escape codes and markup: the name of the folder", _named, expect="either")

    more = ("cwd/out.npz", "cwd/out.csv", "cwd/out.zxi", "cwd/runs", "cwd/samples")
    compare = ["compare", "PHOTOS", "SET", "--out", "out", "--samples", 16, "--size", "16"]
    for words in (
        ["reconstruct", "VAE", "PHOTOS", "--out", "out"],
        ["score", "PIXELCNN", "PHOTOS", "--out", "out.csv"],
        ["compress", "PIXELCNN", "PHOTOS", "--out", "out.zxi"],
        compare,
    ):
        yield Case(
            kind=KIND,
            name=f"escape codes and markup: {words[0]}",
            make=_told(words),
            expect="either",
            writes=more,
        )

    yield Case(
        kind=KIND,
        name="escape codes and markup: train, README and report",
        make=_trained,
        expect="either",
        seconds=90,
        megabytes=1500,
    )


def _text(name: str, content: str | bytes) -> Fill:
    raw = content.encode() if isinstance(content, str) else content
    return lambda room, path: (path / name).write_bytes(raw)


def _large(name: str) -> Fill:
    return lambda room, path: (path / name).write_bytes(b"\xff" * 100_000_000)


def _tables() -> Iterator[Case]:
    """Side files: metadata, labels, captions."""
    digits, deep = "9" * 5000, nested()
    table: dict[str, Fill] = {
        "metadata.csv, a field of 200 kB": _text(
            "metadata.csv", "file_name,text\n000.png," + "a" * 200_000
        ),
        "metadata.csv, NUL bytes": _text("metadata.csv", b"file_name,text\n\0\0\0"),
        "metadata.csv, 100,000 columns": _text(
            "metadata.csv",
            "file_name," + ",".join(f"c{i}" for i in range(100_000)) + "\n000.png,1\n",
        ),
        "metadata.csv, an open quote": _text("metadata.csv", 'file_name,text\n000.png,"abc'),
        "metadata.jsonl, deep": _text("metadata.jsonl", deep),
        "metadata.jsonl, 5,000 digits": _text(
            "metadata.jsonl", f'{{"file_name": "000.png", "label": {digits}}}\n'
        ),
        "metadata.jsonl, a number as name": _text(
            "metadata.jsonl", '{"file_name": 5, "label": 1}\n'
        ),
        "metadata.jsonl, infinite": _text(
            "metadata.jsonl", '{"file_name": "000.png", "label": 1e400}\n'
        ),
        "metadata.jsonl, names climb": _text(
            "metadata.jsonl",
            '{"file_name": "../../outside/secret.txt", "label": 1}\n{"file_name": "000.png"}',
        ),
        "dataset.json, infinite": _text("dataset.json", '{"labels": [["000.png", 1e400]]}'),
        "dataset.json, NaN": _text(
            "dataset.json", '{"labels": [["000.png", NaN], ["001.png", 1]]}'
        ),
        "dataset.json, deep": _text("dataset.json", deep),
        "dataset.json, 5,000 digits": _text(
            "dataset.json", f'{{"labels": [["000.png", {digits}]]}}'
        ),
        "dataset.json, nested": _text("dataset.json", '{"labels": [["000.png", [[1], 0]]]}'),
        "dataset.json, objects": _text("dataset.json", '{"labels": [["000.png", {"a": 1}]]}'),
        "dataset.json, a number": _text("dataset.json", "5"),
        "dataset.json, of words": _text("dataset.json", '{"labels": [["000.png", "cat"]]}'),
        "dataset.json, 10^6 wide": _text(
            "dataset.json", '{"labels": [["000.png", [' + "0," * 10**6 + "1]]]}"
        ),
        "a caption of 100 MB": _large("000.txt"),
        "a caption of NUL bytes": _text("000.txt", bytes(1000)),
        "000.json, deep": _text("000.json", deep),
        "000.json, 6,000 digits": _text("000.json", f'{{"label": {"9" * 6000}}}'),
        "000.json, a list": _text("000.json", "[]"),
        "000.json, a label that is a list": _text(
            "000.json", '{"label": [1, 2], "caption": {"a": 5}}'
        ),
        "000.json, infinite": _text("000.json", '{"label": 1e400}'),
        "a licence of 100 MB": _large("LICENSE"),
        "metadata.parquet, garbage": _text("metadata.parquet", b"PAR1" + bytes(50) + b"PAR1"),
        "labels.csv, climbs": _text("labels.csv", "id,label\n../../outside/secret,5\n"),
    }
    for name, fill in table.items():
        yield from folder(f"side file: {name}", fill, expect="either")
