"""Hostile single files: pictures, masks, latents, compressed images, feature networks."""

import importlib.util
import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    POLYGLOTS,
    Evil,
    arrays,
    bomb,
    external,
    nested,
    npy,
    npz,
    onnx,
    packed_zeros,
)
from benchmarks.attack.trial import Case, Room
from zeuxis.inference import codec


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _pictures()
    yield from _latents()
    yield from _codes()
    yield from _networks()


def _gif(room: Room) -> bytes:
    file = io.BytesIO()
    frames = [Image.new("P", (2000, 2000), i) for i in range(100)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def _tiff(room: Room) -> bytes:
    file = io.BytesIO()
    Image.new("L", (9000, 9000)).save(file, "TIFF", compression="tiff_deflate")
    return file.getvalue()


def _in_format(kind: str) -> Callable[[Room], bytes]:
    def make(room: Room) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (16, 16), "white").save(file, kind)
        return file.getvalue()

    return make


def _pipe(room: Room) -> list[object]:
    os.mkfifo(room.inside / "x.png")
    good = room.lab / "tray" / "000.png"
    return ["interpolate", room.lab / "vae", room.inside / "x.png", good, "--out", "out"]


def _endless(room: Room) -> list[object]:
    path = lab.link(room.inside / "x.png", "/dev/zero")
    words = ["complete", room.lab / "pixelcnn", room.lab / "tray", "--mask", path]
    return [*words, "--out", "out"]


def _named(room: Room) -> list[object]:
    path = room.file(f"{ESCAPES.replace('/', '_')}.png", b"bad")
    return ["interpolate", room.lab / "vae", path, path, "--out", "out"]


def _frames(room: Room) -> list[object]:
    path = room.file("x.gif", _gif(room))
    return ["interpolate", room.lab / "vae", path, path, "--count", 2, "--out", "out"]


def _walk(room: Room) -> list[object]:
    tray = room.lab / "tray"
    ends = [tray / "000.png", tray / "001.png"]
    return ["interpolate", room.lab / "vae", *ends, "--count", 3, "--out", "out"]


def _masked(room: Room) -> list[object]:
    path = room.inside / "mask.png"
    Image.new("L", (16, 16), 255).save(path)
    words = ["complete", room.lab / "pixelcnn", room.lab / "tray", "--mask", path]
    return [*words, "--out", "out"]


def _pictures() -> Iterator[Case]:
    """One picture as an end of a walk, and as a mask."""
    table: dict[str, tuple[str, Callable[[Room], bytes]]] = {
        "PNG bomb, 50,000 x 50,000": ("x.png", lambda room: bomb(50_000, 50_000)),
        "PNG bomb, 12,000 x 12,000": ("x.png", lambda room: bomb(12_000, 12_000)),
        "TIFF of 9,000 x 9,000": ("x.tif", _tiff),
        "PPM": ("x.ppm", _in_format("PPM")),
        "ICO": ("x.png", _in_format("ICO")),
        "TGA": ("x.tga", _in_format("TGA")),
        "PCX": ("x.pcx", _in_format("PCX")),
        "EPS": ("x.eps", lambda room: POLYGLOTS["a.png"]),
        "PDF": ("x.pdf", lambda room: b"%PDF-1.7\n1 0 obj\n"),
    }
    table |= {
        f"polyglot {name}": (name, lambda room, c=content: c) for name, content in POLYGLOTS.items()
    }
    for name, (file, content) in table.items():
        more: dict[str, Any] = {"megabytes": 300}

        def walk(room: Room, file: str = file, content: Any = content) -> list[object]:
            bad, good = room.file(file, content(room)), room.lab / "tray" / "000.png"
            return ["interpolate", room.lab / "vae", bad, good, "--count", 2, "--out", "out"]

        def mask(room: Room, file: str = file, content: Any = content) -> list[object]:
            bad = room.file(file, content(room))
            words = ["complete", room.lab / "pixelcnn", room.lab / "tray", "--mask", bad]
            return [*words, "--out", "out"]

        yield Case(kind="picture", name=f"{name}: interpolate", make=walk, **more)
        yield Case(kind="picture", name=f"{name}: a mask", make=mask, **more)

    yield Case(kind="picture", name="a pipe: interpolate", make=_pipe, seconds=5)
    yield Case(kind="picture", name="/dev/zero: a mask", make=_endless, seconds=10)
    yield Case(kind="picture", name="a name of escape codes: interpolate", make=_named)
    yield Case(kind="picture", name="GIF of 100 frames: interpolate", make=_frames, expect="either")
    yield Case(kind="picture", name="honest: interpolate", make=_walk, expect="used")
    yield Case(kind="picture", name="honest: a mask", make=_masked, expect="used")


def _latent(name: str, content: Callable[[Room], bytes | Path], **more: Any) -> Case:
    def make(room: Room) -> list[object]:
        found = content(room)
        path = found if isinstance(found, Path) else room.file("x.npz", found)
        return ["decode", room.lab / "vae", path, "--out", "out"]

    return Case(kind="latents", name=name, make=make, **more)


def _latents() -> Iterator[Case]:

    whole = arrays(latent=np.zeros((2, 4), np.float32))
    table: dict[str, Callable[[Room], bytes | Path]] = {
        "pickled": lambda room: arrays(
            latent=np.array([Evil(room.outside / "PWNED")], dtype=object)
        ),
        "no zip": lambda room: b"abc",
        "the head of a zip": lambda room: b"PK\x03\x04" + b"x" * 40,
        "cut": lambda room: whole[:-30],
        "flipped": lambda room: whole[:60] + bytes([whole[60] ^ 255]) + whole[61:],
        "NaN": lambda room: arrays(latent=np.full((2, 4), np.nan, np.float32)),
        "infinite": lambda room: arrays(latent=np.full((2, 4), np.inf, np.float32)),
        "text": lambda room: arrays(latent=np.array(["a"])),
        "times": lambda room: arrays(latent=np.zeros((2, 4), "M8[s]")),
        "a number": lambda room: arrays(latent=np.float64(1)),
        "none": lambda room: arrays(latent=np.zeros((0, 4), np.float32)),
        "another shape": lambda room: arrays(latent=np.zeros((2, 4, 9, 9), np.float32)),
        "complex": lambda room: arrays(latent=np.zeros((2, 4), np.complex64)),
        "of another name": lambda room: arrays(other=np.zeros((2, 4))),
        "a bomb of 2 GiB": lambda room: npz(
            room.inside / "x.npz", "latent", npy("(134217728, 4)", "<f4", b""), 2048
        ),
        "a bomb that says 1 TiB": lambda room: npz(
            room.inside / "x.npz", "latent", npy("(68719476736, 4)", "<f4", b""), 16
        ),
        "a link to /dev/zero": lambda room: lab.link(room.inside / "x.npz", "/dev/zero"),
    }
    yield _latent("honest", lambda room: room.copy("latents.npz"), expect="used")
    for name, content in table.items():
        yield _latent(name, content, seconds=30)


def _take(room: Room) -> tuple[bytes, dict[str, Any], bytes]:
    whole = (room.lab / "honest.zxi").read_bytes()
    at = len(codec.MAGIC) + 4
    (size,) = struct.unpack("<I", whole[at - 4 : at])
    return whole, json.loads(zlib.decompress(whole[at : at + size])), whole[at + size :]


def _pack(header: bytes, words: bytes) -> bytes:
    return codec.MAGIC + struct.pack("<I", len(header)) + header + words


def _code(name: str, change: Callable[[Room], bytes], **more: Any) -> Case:
    def make(room: Room) -> list[object]:
        path = room.file("x.zxi", change(room))
        return ["decompress", room.lab / "pixelcnn", path, "--out", "out"]

    return Case(kind="zxi", name=name, make=make, **more)


def _header(**values: Any) -> Callable[[Room], bytes]:
    def change(room: Room) -> bytes:
        _, known, words = _take(room)
        text = json.dumps({k: v for k, v in {**known, **values}.items() if v is not ...})
        return _pack(zlib.compress(text.encode()), words)

    return change


def _raw(text: bytes) -> Callable[[Room], bytes]:
    return lambda room: _pack(zlib.compress(text), _take(room)[2])


def _other(words: Callable[[bytes], bytes]) -> Callable[[Room], bytes]:
    def change(room: Room) -> bytes:
        _, known, old = _take(room)
        new = words(old)
        return _pack(zlib.compress(json.dumps({**known, "words": zlib.crc32(new)}).encode()), new)

    return change


def _foreign(room: Room) -> list[object]:
    return ["decompress", room.lab / "gan", room.lab / "honest.zxi", "--out", "out"]


def _piped(room: Room) -> list[object]:
    os.mkfifo(room.inside / "x.zxi")
    words = ["decompress", room.lab / "pixelcnn", room.inside / "x.zxi"]
    return [*words, "--out", "out"]


def _codes() -> Iterator[Case]:
    """`.zxi` files."""
    yield _code("honest zxi", lambda room: _take(room)[0], expect="used")
    for share in (0, 0.02, 0.05, 0.1, 0.3, 0.5, 0.9, 0.999):
        yield _code(
            f"cut at {share:.1%}",
            lambda room, s=share: _take(room)[0][: int(s * len(_take(room)[0]))],
        )
    for share in np.linspace(0, 0.999, 20):

        def flip(room: Room, share: float = float(share)) -> bytes:
            whole = bytearray(_take(room)[0])
            whole[int(share * len(whole))] ^= 4
            return bytes(whole)

        yield _code(f"a bit flipped at {share:.1%}", flip)
    yield _code("words of zeros", _other(lambda old: bytes(len(old))))
    yield _code("words of no bytes", _other(lambda old: b""))
    yield _code("half of the words", _other(lambda old: old[: len(old) // 8 * 4]))
    yield _code("words of ones", _other(lambda old: b"\xff" * len(old)))
    for key in ("model", "shape", "names", "pixels", "words", "doubtful"):
        yield _code(f"no {key}", _header(**{key: ...}))
        yield _code(f"{key} is null", _header(**{key: None}))
        yield _code(f"{key} is a list of lists", _header(**{key: [[]]}))
    shapes: list[Any] = [
        [10**9, 16, 16, 3],
        [10**7, 16, 16, 3],
        [4, 32, 32, 3],
        [4, 16, 16, 1],
        [-4, 16, 16, 3],
        [0, 16, 16, 3],
        "abc",
        [4, 16, 16, 3, 1],
        [4.0, 16, 16, 3],
        [True, 16, 16, 3],
        [4, 48, 48, -1],
        [4, 2**62, 4, 3],
        [10**40, 16, 16, 3],
    ]
    for shape in shapes:
        yield _code(f"shape {repr(shape)[:30]}", _header(shape=shape), expect="refused")
    doubts: list[Any] = [
        [[0, 0, 99, 99, 5]],
        [[0, 0, 0, 0, 10**9]],
        [[0, 0, 0, 0, -5]],
        "ab",
        [[0, 0]],
        [["a"] * 5],
        [[0, 0, -1, -1, 5]],
        [[0.5] * 5],
        [[0, 0, 0, 0, 10**40]],
        {"a": 1},
    ]
    for doubt in doubts:
        yield _code(f"doubtful {repr(doubt)[:30]}", _header(doubtful=doubt))
    yield _code("doubtful of 10^6 rows", _header(doubtful=[[0, 0, 0, 0, 5]] * 10**6))
    names: dict[str, Any] = {
        "climb": ["../../outside/x.png"] * 4,
        "of escape codes": [ESCAPES, MARKUP] * 2,
        "too few": ["a"],
        "numbers": [1, 2, 3, 4],
        "10 MB long": ["a" * 10**7] * 4,
    }
    for name, value in names.items():
        yield _code(f"names {name}", _header(names=value), expect="either")
    yield _code("pixels of another hash", _header(pixels="0" * 64))
    yield _code("another model", _header(model="0" * 16))
    yield _code("a model of escape codes", _header(model=ESCAPES))
    yield _code("a header that is a list", _raw(b"[]"))
    yield _code("a header that is deep", _raw(nested().encode()))
    yield _code("a header of 10,000 digits", _raw(b'{"a": ' + b"9" * 10_000 + b"}"))
    yield _code("a header of 1 GiB", lambda room: _pack(packed_zeros(1 << 30), _take(room)[2]))
    yield _code(
        "a header of 192 MB of lists", lambda room: _raw(b"[" + b"[]," * (1 << 26) + b"[]]")(room)
    )
    yield _code("a header of 2^32", lambda room: codec.MAGIC + b"\xff\xff\xff\xff" + b"abc")

    yield Case(kind="zxi", name="a model that cannot", make=_foreign)
    yield Case(kind="zxi", name="a pipe", make=_piped, seconds=5)


def _network(name: str, content: Callable[[Room], bytes], **more: Any) -> Case:
    def make(room: Room) -> list[object]:
        path = room.file("net.onnx", content(room))
        np.zeros(64, np.float32).tofile(room.outside / "secret.bin")
        photos = room.lab / "photos"
        return ["compare", photos, photos, "--network", path, "--out", "out"]

    return Case(kind="ONNX", name=name, make=make, **{"seconds": 40, **more})


def _near(room: Room) -> bytes:
    np.ones(3, np.float32).tofile(room.inside / "near.bin")
    return onnx(external("near.bin"), "scaled")


def _linked(room: Room) -> bytes:
    lab.link(room.inside / "link.bin", room.outside / "secret.bin")
    return onnx(external("link.bin"), "scaled")


def _inception(room: Room) -> list[object]:
    path = room.file("w.pth", pickle.dumps(Evil(room.outside / "PWNED")))
    tray = room.lab / "tray"
    words = ["compare", tray, tray, "--network", "inception", "--weights", path]
    return [*words, "--out", "out"]


def _dino(room: Room) -> list[object]:
    path = room.file("w.pth", pickle.dumps(Evil(room.outside / "PWNED")))
    tray = room.lab / "tray"
    words = ["compare", tray, tray, "--network", "dinov2-b", "--weights", path]
    return [*words, "--out", "out"]


def _networks() -> Iterator[Case]:
    """ONNX files, and files of weights."""
    whole = onnx()
    table: dict[str, Callable[[Room], bytes]] = {
        "weights that climb": lambda room: onnx(external("../outside/secret.bin"), "scaled"),
        "weights by their whole path": lambda room: onnx(
            external(str(room.outside / "secret.bin")), "scaled"
        ),
        "weights that are a link": _linked,
        "weights that are missing": lambda room: onnx(external("missing.bin"), "scaled"),
        "weights of /dev/zero": lambda room: onnx(external("/dev/zero"), "scaled"),
        "weights of 2^40 bytes": lambda room: onnx(external("near.bin", 2**40, 2**38), "scaled"),
        "garbage": lambda room: b"abc",
        "nothing": lambda room: b"",
        "zeros": lambda room: bytes(1000),
        "cut": lambda room: whole[: len(whole) // 2],
        "an operation that is not there": lambda room: whole.replace(b"Flatten", b"Evillll"),
        "escape codes for an operation": lambda room: whole.replace(b"Flatten", b"\x1b[31mE\x07"),
        "escape codes for an input": lambda room: onnx(shape=(0, 5, 16, 16)).replace(
            b"image", b"\x1b[31m"
        ),
        "another input": lambda room: onnx(shape=(0, 3)),
        "an input of 2^20 a side": lambda room: onnx(shape=(0, 3, 2**20, 2**20)),
        "an input of no side": lambda room: onnx(shape=(0, 3, 16, 0)),
    }
    here = "used" if importlib.util.find_spec("onnxruntime") else "refused"  # it comes with peers
    yield _network("honest network", lambda room: whole, expect=here)
    yield _network("honest, weights beside it", _near, expect="either")
    for name, content in table.items():
        yield _network(
            name, content, expect="either" if name == "an input of no side" else "refused"
        )

    yield Case(kind="weights", name="of inception: a program", make=_inception)
    yield Case(kind="weights", name="of dinov2: a program", make=_dino)
