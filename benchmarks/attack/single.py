"""Hostile single files: pictures, masks, latents, statistics, compressed images, feature networks."""

import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from PIL import Image

from benchmarks.attack import lab, sources
from benchmarks.attack.artefacts import ESCAPES, MARKUP
from benchmarks.attack.sources import POLYGLOTS, Evil, bomb, npy, npz, png
from benchmarks.attack.trial import Case, Room
from zeuxis import codec


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _pictures()
    yield from _latents()
    yield from _statistics()
    yield from _pickles()
    yield from _codes()
    yield from _networks()


def _pictures() -> Iterator[Case]:
    """One picture as an end of a walk, and as a mask."""

    def gif(room: Room) -> bytes:
        file = io.BytesIO()
        frames = [Image.new("P", (2000, 2000), i) for i in range(100)]
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        return file.getvalue()

    def tiff(room: Room) -> bytes:
        file = io.BytesIO()
        Image.new("L", (9000, 9000)).save(file, "TIFF", compression="tiff_deflate")
        return file.getvalue()

    def in_format(kind: str) -> Callable[[Room], bytes]:
        def make(room: Room) -> bytes:
            file = io.BytesIO()
            Image.new("RGB", (16, 16), "white").save(file, kind)
            return file.getvalue()

        return make

    table: dict[str, tuple[str, Callable[[Room], bytes]]] = {
        "PNG bomb, 50,000 x 50,000": ("x.png", lambda room: bomb(50_000, 50_000)),
        "PNG bomb, 12,000 x 12,000": ("x.png", lambda room: bomb(12_000, 12_000)),
        "TIFF of 9,000 x 9,000": ("x.tif", tiff),
        "PPM": ("x.ppm", in_format("PPM")),
        "ICO": ("x.png", in_format("ICO")),
        "TGA": ("x.tga", in_format("TGA")),
        "PCX": ("x.pcx", in_format("PCX")),
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

    def pipe(room: Room) -> list[object]:
        os.mkfifo(room.inside / "x.png")
        good = room.lab / "tray" / "000.png"
        return ["interpolate", room.lab / "vae", room.inside / "x.png", good, "--out", "out"]

    def endless(room: Room) -> list[object]:
        path = lab.link(room.inside / "x.png", "/dev/zero")
        words = ["complete", room.lab / "pixelcnn", room.lab / "tray", "--mask", path]
        return [*words, "--out", "out"]

    def named(room: Room) -> list[object]:
        path = room.file(f"{ESCAPES.replace('/', '_')}.png", b"bad")
        return ["interpolate", room.lab / "vae", path, path, "--out", "out"]

    def frames(room: Room) -> list[object]:
        path = room.file("x.gif", gif(room))
        return ["interpolate", room.lab / "vae", path, path, "--count", 2, "--out", "out"]

    def honest(room: Room) -> list[object]:
        tray = room.lab / "tray"
        ends = [tray / "000.png", tray / "001.png"]
        return ["interpolate", room.lab / "vae", *ends, "--count", 3, "--out", "out"]

    def honest_mask(room: Room) -> list[object]:
        path = room.inside / "mask.png"
        Image.new("L", (16, 16), 255).save(path)
        words = ["complete", room.lab / "pixelcnn", room.lab / "tray", "--mask", path]
        return [*words, "--out", "out"]

    yield Case(kind="picture", name="a pipe: interpolate", make=pipe, seconds=5)
    yield Case(kind="picture", name="/dev/zero: a mask", make=endless, seconds=10)
    yield Case(kind="picture", name="a name of escape codes: interpolate", make=named)
    yield Case(kind="picture", name="GIF of 100 frames: interpolate", make=frames, expect="either")
    yield Case(kind="picture", name="honest: interpolate", make=honest, expect="used")
    yield Case(kind="picture", name="honest: a mask", make=honest_mask, expect="used")


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _latents() -> Iterator[Case]:
    def case(name: str, content: Callable[[Room], bytes | Path], **more: Any) -> Case:
        def make(room: Room) -> list[object]:
            found = content(room)
            path = found if isinstance(found, Path) else room.file("x.npz", found)
            return ["decode", room.lab / "vae", path, "--out", "out"]

        return Case(kind="latents", name=name, make=make, **more)

    whole = _npz(latent=np.zeros((2, 4), np.float32))
    table: dict[str, Callable[[Room], bytes | Path]] = {
        "pickled": lambda room: _npz(
            latent=np.array([Evil(room.outside / "PWNED")], dtype=object)
        ),
        "no zip": lambda room: b"abc",
        "the head of a zip": lambda room: b"PK\x03\x04" + b"x" * 40,
        "cut": lambda room: whole[:-30],
        "flipped": lambda room: whole[:60] + bytes([whole[60] ^ 255]) + whole[61:],
        "NaN": lambda room: _npz(latent=np.full((2, 4), np.nan, np.float32)),
        "infinite": lambda room: _npz(latent=np.full((2, 4), np.inf, np.float32)),
        "text": lambda room: _npz(latent=np.array(["a"])),
        "times": lambda room: _npz(latent=np.zeros((2, 4), "M8[s]")),
        "a number": lambda room: _npz(latent=np.float64(1)),
        "none": lambda room: _npz(latent=np.zeros((0, 4), np.float32)),
        "another shape": lambda room: _npz(latent=np.zeros((2, 4, 9, 9), np.float32)),
        "complex": lambda room: _npz(latent=np.zeros((2, 4), np.complex64)),
        "of another name": lambda room: _npz(other=np.zeros((2, 4))),
        "a bomb of 4 GiB": lambda room: npz(
            room.inside / "x.npz", "latent", npy("(268435456, 4)", "<f4", b""), 4096
        ),
        "a bomb that says 1 TiB": lambda room: npz(
            room.inside / "x.npz", "latent", npy("(68719476736, 4)", "<f4", b""), 16
        ),
        "a link to /dev/zero": lambda room: lab.link(room.inside / "x.npz", "/dev/zero"),
    }
    yield case("honest", lambda room: room.copy("latents.npz"), expect="used")
    for name, content in table.items():
        yield case(name, content, seconds=30)


Content = Callable[[Room], bytes | Path]


def _statistic(name: str, file: str, content: Content | bytes, **more: Any) -> Case:
    """A file of statistics that is judged by an honest one."""

    def make(room: Room) -> list[object]:
        found = content(room) if callable(content) else content
        bad = found if isinstance(found, Path) else room.file(file, found)
        return ["compare", bad, room.lab / f"honest{bad.suffix}", "--out", "out"]

    return Case(kind="statistics", name=name, make=make, **more)


def _ours(
    tensors: dict[str, np.ndarray] | None = None, **facts: str
) -> Callable[[Room], bytes]:
    """Our own file of statistics, with other tensors or facts."""

    def make(room: Room) -> bytes:
        with safetensors.safe_open(room.lab / "honest.safetensors", "np") as file:
            known = {**(file.metadata() or {}), **facts}
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return bytes(safetensors.numpy.save({**held, **(tensors or {})}, known))

    return make


def _statistics() -> Iterator[Case]:
    eye, zero = np.eye(1280), np.zeros(1280)
    yield _statistic("honest npz", "x.npz", lambda room: room.copy("honest.npz"), expect="used")
    yield _statistic("honest pkl", "x.pkl", lambda room: room.copy("honest.pkl"), expect="used")
    yield _statistic("honest, ours", "x.safetensors", _ours(), expect="used")
    table: dict[str, Content | bytes] = {
        "pickled": lambda room: _npz(
            mu=np.array([Evil(room.outside / "PWNED")], dtype=object), sigma=np.eye(1)
        ),
        "no zip": b"abc",
        "the head of a zip": b"PK\x03\x04" + bytes(30),
        "cut": lambda room: (room.lab / "honest.npz").read_bytes()[:-30],
        "nothing": b"",
        "shapes that differ": _npz(mu=np.zeros(3), sigma=np.zeros((2, 2))),
        "another number of features": _npz(mu=np.zeros(3), sigma=np.eye(3)),
        "mu a number": _npz(mu=np.float64(3), sigma=np.eye(2)),
        "mu text": _npz(mu=np.array(["a"]), sigma=np.eye(1)),
        "mu times": _npz(mu=np.zeros(3, "M8[s]"), sigma=np.eye(3)),
        "mu NaN": _npz(mu=zero * np.nan, sigma=eye),
        "sigma infinite": _npz(mu=zero, sigma=np.full_like(eye, np.inf)),
        "sigma negative": _npz(mu=zero, sigma=-eye),
        "sigma not symmetric": _npz(mu=zero, sigma=np.triu(np.ones((1280, 1280)))),
        "feats empty": _npz(feats=np.zeros((3, 0))),
        "feats of no rows": _npz(feats=np.zeros((0, 1280))),
        "feats text": _npz(feats=np.array(["x"])),
        "feats flat": _npz(feats=np.zeros(5)),
        "feats NaN": _npz(feats=np.full((5, 1280), np.nan)),
        "feats infinite": _npz(feats=np.full((5, 1280), np.inf)),
        "a bomb of 4 GiB": lambda room: npz(
            room.inside / "x.npz", "feats", npy("(838860, 1280)", "<f4", b""), 4096
        ),
    }
    fine = ("sigma not symmetric", "sigma negative")
    for name, content in table.items():
        expect = "either" if name in fine else "refused"
        yield _statistic(f"npz, {name}", "x.npz", content, expect=expect, seconds=40)

    receipts = '{"output": {}}'
    ours: dict[str, Content | bytes] = {
        "a header of 2^60": struct.pack("<Q", 2**60),
        "nothing in it": struct.pack("<Q", 2) + b"{}",
        "receipts deep": _ours(receipts=lab.nested(50_000)),
        "receipts a list": _ours(receipts="[]"),
        "receipts null": _ours(receipts="null"),
        "receipts empty": _ours(receipts="{}"),
        "receipts no JSON": _ours(receipts="abc"),
        "receipts of another layer": _ours(receipts=receipts),
        "receipts of text": _ours(receipts='{"pooled": "abc"}'),
        "receipts of escape codes": _ours(receipts=json.dumps({ESCAPES: {"network": MARKUP}})),
        "an image of escape codes": _ours(image=ESCAPES),
        "another format": _ours(format=ESCAPES),
        "features NaN": _ours_features(lambda x: x * np.nan),
        "features of integers": _ours_features(lambda x: x.astype(np.int8)),
        "features flat": _ours_features(lambda x: x.reshape(-1)),
        "features narrow": _ours_features(lambda x: x[:, :3]),
        "features of one row": _ours_features(lambda x: x[:1]),
        "features of 2^40 by 0": lab.safetensors(
            {
                "features.pooled": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]},
                "__metadata__": {"format": "1", "receipts": receipts},
            }
        ),
        "a tensor of escape codes": _ours({ESCAPES: np.zeros(3, np.float32)}),
    }
    for name, content in ours.items():
        yield _statistic(
            f"ours, {name}", "x.safetensors", content, expect="either" if "tensor" in name else "refused"
        )


def _ours_features(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Room], bytes]:
    """Our own file with other features in every layer."""

    def make(room: Room) -> bytes:
        with safetensors.safe_open(room.lab / "honest.safetensors", "np") as file:
            facts = file.metadata()
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        spoilt = {
            name: np.ascontiguousarray(change(array)) if name.startswith("features.") else array
            for name, array in held.items()
        }
        return bytes(safetensors.numpy.save(spoilt, facts))

    return make


def _pickles() -> Iterator[Case]:
    """`.pkl` statistics: programs, and states that are no numbers."""
    array, number = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"

    def evil(protocol: int) -> Content:
        return lambda room: pickle.dumps(Evil(room.outside / "PWNED"), protocol)

    def state(**values: Any) -> bytes:
        return pickle.dumps({"num_items": 2, "all_features": None, "raw_mean": None, "raw_cov": None, **values})

    def program(text: str) -> Content:
        return lambda room: text.replace("PWNED", str(room.outside / "PWNED")).encode()

    objects = b"\x80\x04}(\x8c\x09num_itemsK\x02\x8c\x0call_features"
    table: dict[str, Content | bytes] = {
        "os.system": evil(4),
        "os.system, protocol 0": evil(0),
        "os.system, protocol 2": evil(2),
        "exec": program("cbuiltins\nexec\n(S'open(\"PWNED\",\"w\")'\ntR."),
        "eval": program("cbuiltins\neval\n(S'open(\"PWNED\",\"w\")'\ntR."),
        "open": program("cio\nopen\n(S'PWNED'\nS'w'\ntR."),
        "numpy.save": program("cnumpy\nsave\n(S'PWNED'\nI1\ntR."),
        "numpy.load": b"cnumpy\nload\n(S'x'\ntR.",
        "fromfile": b"cnumpy.core.multiarray\nfromfile\n(S'/etc/passwd'\ntR.",
        "memmap": program("cnumpy\nmemmap\n(S'PWNED'\nS'uint8'\nS'w+'\nI0\n(I4\nttR."),
        "a class of a class": b"cnumpy\nndarray.__class__\n.",
        "tofile of an array": program("cnumpy\nndarray.tofile\n(cnumpy\nndarray\n(I1\ntRS'PWNED'\ntR."),
        "getattr": b"cbuiltins\ngetattr\n(cnumpy\nload\nS'x'\ntR.",
        "codecs.open": program("ccodecs\nopen\n(S'PWNED'\nS'w'\ntR."),
        "encode to a bomb": b"c_codecs\nencode\n(S'" + b"a" * 100_000 + b"'\nS'idna'\ntR.",
        "objects by address": objects + array + b"(K\x01K\x01\x86" + number + b"\x8c\x01O\x85RC\x08AAAAAAAAtRu.",
        "an array of objects": b"\x80\x04" + array + b"(K\x01\x85" + number + b"\x8c\x01O\x85RC\x08AAAAAAAAtR0}.",
        "objects in a record": b"\x80\x04" + array + b"(K\x01\x85" + number + b"\x8c\x05O,f8x\x85RC\x10" + b"A" * 16 + b"tR.",
        "strides beyond the bytes": objects + array + b"(M\xff\xffK\x01\x86" + number
        + b"\x8c\x02f8\x85RC\x08AAAAAAAAK\x00J\x00\x00\x01\x00K\x08\x86tRu.",
        "an array of 2^40": b"cnumpy\nndarray\n(L1099511627776L\ntR.",
        "an array of 2^31 bytes": b"cnumpy\nndarray\n(L2147483648L\ntR.",
        "a state set on a dtype": b"\x80\x04" + number + b"\x8c\x02f8\x85R(K\x03\x8c\x01|N(\x8c\x01at}K\x08K\x01K\x10tb.",
        "_reconstruct and a state of objects": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n" + array
        + b"K\x00\x85C\x01b\x87R(K\x01K\x01\x85" + number + b"X\x01\0\0\0OK\0K\x01\x87R\x89]K\x01atb.",
        "scalar of an object": b"\x80\x02cnumpy.core.multiarray\nscalar\n" + number + b"X\x01\0\0\0O\x85RC\x08AAAAAAAA\x86R.",
        "_frombuffer of objects": b"\x80\x04cnumpy._core.numeric\n_frombuffer\n(C\x08AAAAAAAA" + number + b"\x8c\x01O\x85RK\x01\x85\x8c\x01CtR.",
        "nothing": b"",
        "random bytes": np.random.default_rng(0).bytes(200),
        "text": b"hello",
        "a number": pickle.dumps(5),
        "a memo that is not there": b"\x80\x04h\x05.",
        "a negative memo": b"\x80\x04K\x01p-1\n.",
        "a memo of 2^31": b"\x80\x04K\x01r\xff\xff\xff\x7f.",
        "a long of 2^31 bytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "bytes of 2^40": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
        "a frame of 2^62": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
        "bytes of 2^31, some there": b"\x80\x04B" + struct.pack("<I", 2**31) + b"A" * 100 + b".",
        "an unhashable key": b"\x80\x02}]K\x01s.",
        "a state set on a number": b"\x80\x02K\x01}b.",
        "200,000 lists": b"]" * 100_000 + b"a" * 99_999 + b".",
        "a call of a number": b"K\x01K\x02\x85R.",
        "text that is no UTF-8": b"\x80\x02X\x02\0\0\0\xff\xfe.",
        "a number of letters": b"Iabc\n.",
        "a persistent name": b"Pabc\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "a buffer from outside": b"\x80\x05\x97.",
        "protocol 99": b"\x80\x63.",
        "10^6 tuples doubled": b"(" + b"K\x01" + b"\x85q\0" + b"h\0h\0\x86q\0" * 60 + b".",
        "features are text": state(all_features=["abc"]),
        "features are a number": state(all_features=5),
        "features ragged": state(all_features=[np.zeros((2, 3)), np.zeros((2, 4))]),
        "features NaN": state(all_features=[np.full((5, 1280), np.nan)]),
        "features of three axes": state(all_features=[np.zeros((2, 3, 4))]),
        "features of no width": state(all_features=[np.zeros((5, 0))]),
        "features of times": state(all_features=[np.zeros((5, 3), "M8[s]")]),
        "a count in words": state(num_items="x", raw_mean=np.zeros(3), raw_cov=np.eye(3)),
        "a count of 10^400": state(num_items=10**400, raw_mean=np.zeros(3), raw_cov=np.eye(3)),
        "a count of NaN": state(num_items=float("nan"), raw_mean=np.zeros(3), raw_cov=np.eye(3)),
        "a negative count": state(num_items=-5, raw_mean=np.zeros(3), raw_cov=np.eye(3)),
        "a mean of no axes": state(num_items=5, raw_mean=np.float64(3), raw_cov=np.eye(3)),
        "a mean in words": state(num_items=5, raw_mean="abc", raw_cov=np.eye(3)),
        "a covariance of another size": state(num_items=5, raw_mean=np.zeros(3), raw_cov=np.eye(4)),
        "a covariance that is a list": state(num_items=5, raw_mean=np.zeros(3), raw_cov=[[1]]),
    }
    for name, content in table.items():
        yield _statistic(f"pkl, {name}", "x.pkl", content)


def _codes() -> Iterator[Case]:
    """`.zxi` files."""

    def take(room: Room) -> tuple[bytes, dict[str, Any], bytes]:
        whole = (room.lab / "honest.zxi").read_bytes()
        at = len(codec.MAGIC) + 4
        (size,) = struct.unpack("<I", whole[at - 4 : at])
        return whole, json.loads(zlib.decompress(whole[at : at + size])), whole[at + size :]

    def pack(header: bytes, words: bytes) -> bytes:
        return codec.MAGIC + struct.pack("<I", len(header)) + header + words

    def case(name: str, change: Callable[[Room], bytes], **more: Any) -> Case:
        def make(room: Room) -> list[object]:
            path = room.file("x.zxi", change(room))
            return ["decompress", path, "--model", room.lab / "pixelcnn", "--out", "out"]

        return Case(kind="zxi", name=name, make=make, **more)

    def header(**values: Any) -> Callable[[Room], bytes]:
        def change(room: Room) -> bytes:
            _, known, words = take(room)
            text = json.dumps({k: v for k, v in {**known, **values}.items() if v is not ...})
            return pack(zlib.compress(text.encode()), words)

        return change

    def raw(text: bytes) -> Callable[[Room], bytes]:
        return lambda room: pack(zlib.compress(text), take(room)[2])

    def other(words: Callable[[bytes], bytes]) -> Callable[[Room], bytes]:
        def change(room: Room) -> bytes:
            _, known, old = take(room)
            new = words(old)
            return pack(zlib.compress(json.dumps({**known, "words": zlib.crc32(new)}).encode()), new)

        return change

    yield case("honest", lambda room: take(room)[0], expect="used")
    for share in (0, 0.02, 0.05, 0.1, 0.3, 0.5, 0.9, 0.999):
        yield case(f"cut at {share:.1%}", lambda room, s=share: take(room)[0][: int(s * len(take(room)[0]))])
    for share in np.linspace(0, 0.999, 20):

        def flip(room: Room, share: float = float(share)) -> bytes:
            whole = bytearray(take(room)[0])
            whole[int(share * len(whole))] ^= 4
            return bytes(whole)

        yield case(f"a bit flipped at {share:.1%}", flip)
    yield case("words of zeros", other(lambda old: bytes(len(old))))
    yield case("no words", other(lambda old: b""))
    yield case("half of the words", other(lambda old: old[: len(old) // 8 * 4]))
    yield case("words of ones", other(lambda old: b"\xff" * len(old)))
    for key in ("model", "shape", "names", "pixels", "words", "doubtful"):
        yield case(f"no {key}", header(**{key: ...}))
        yield case(f"{key} is null", header(**{key: None}))
        yield case(f"{key} is a list of lists", header(**{key: [[]]}))
    shapes: list[Any] = [
        [10**9, 16, 16, 3], [10**7, 16, 16, 3], [4, 32, 32, 3], [4, 16, 16, 1], [-4, 16, 16, 3],
        [0, 16, 16, 3], "abc", [4, 16, 16, 3, 1], [4.0, 16, 16, 3], [True, 16, 16, 3], [4, 48, 48, -1],
        [4, 2**62, 4, 3], [10**40, 16, 16, 3],
    ]
    for shape in shapes:
        yield case(f"shape {repr(shape)[:30]}", header(shape=shape), expect="refused")
    doubts: list[Any] = [
        [[0, 0, 99, 99, 5]], [[0, 0, 0, 0, 10**9]], [[0, 0, 0, 0, -5]], "ab", [[0, 0]], [["a"] * 5],
        [[0, 0, -1, -1, 5]], [[0.5] * 5], [[0, 0, 0, 0, 10**40]], {"a": 1},
    ]
    for doubt in doubts:
        yield case(f"doubtful {repr(doubt)[:30]}", header(doubtful=doubt))
    yield case("doubtful of 10^6 rows", header(doubtful=[[0, 0, 0, 0, 5]] * 10**6))
    names: dict[str, Any] = {
        "climb": ["../../outside/x.png"] * 4, "of escape codes": [ESCAPES, MARKUP] * 2,
        "too few": ["a"], "numbers": [1, 2, 3, 4], "10 MB long": ["a" * 10**7] * 4,
    }
    for name, value in names.items():
        yield case(f"names {name}", header(names=value), expect="either")
    yield case("pixels of another hash", header(pixels="0" * 64))
    yield case("another model", header(model="0" * 16))
    yield case("a model of escape codes", header(model=ESCAPES))
    yield case("a header that is a list", raw(b"[]"))
    yield case("a header that is deep", raw(lab.nested().encode()))
    yield case("a header of 10,000 digits", raw(b'{"a": ' + b"9" * 10_000 + b"}"))
    yield case("a header of 1 GiB", lambda room: pack(sources.packed_zeros(1 << 30), take(room)[2]))
    yield case("a header of 256 MB of lists", raw(b"[" + b"[]," * (1 << 26) + b"[]]"))
    yield case("a header of 2^32", lambda room: codec.MAGIC + b"\xff\xff\xff\xff" + b"abc")

    def foreign(room: Room) -> list[object]:
        return ["decompress", room.lab / "honest.zxi", "--model", room.lab / "gan", "--out", "out"]

    def piped(room: Room) -> list[object]:
        os.mkfifo(room.inside / "x.zxi")
        words = ["decompress", room.inside / "x.zxi", "--model", room.lab / "pixelcnn"]
        return [*words, "--out", "out"]

    yield Case(kind="zxi", name="a model that cannot", make=foreign)
    yield Case(kind="zxi", name="a pipe", make=piped, seconds=5)


def onnx(tensor: bytes = b"", last: str = "vector", shape: tuple[int, ...] = (0, 3, 16, 16)) -> bytes:
    """The bytes of a graph: the mean of each channel; `tensor` is one more initialiser, multiplied in."""

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    def field(number: int, value: int | str | bytes) -> bytes:
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        raw = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(raw)) + raw

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

    def field(number: int, value: int | str | bytes) -> bytes:
        if isinstance(value, int):
            out = bytes([number << 3])
            while value > 127:
                out, value = out + bytes([value & 127 | 128]), value >> 7
            return out + bytes([value])
        raw = value.encode() if isinstance(value, str) else value
        size = [len(raw)] if len(raw) < 128 else [len(raw) & 127 | 128, len(raw) >> 7]
        return bytes([number << 3 | 2, *size]) + raw

    parts = {"location": location, "offset": "0", "length": str(length)}
    told = b"".join(field(13, field(1, k) + field(2, v)) for k, v in parts.items())
    return field(1, sides) + field(2, 1) + field(8, "W") + told + field(14, 1)


def _networks() -> Iterator[Case]:
    """ONNX files, and files of weights."""

    def case(name: str, content: Callable[[Room], bytes], **more: Any) -> Case:
        def make(room: Room) -> list[object]:
            path = room.file("net.onnx", content(room))
            np.zeros(64, np.float32).tofile(room.outside / "secret.bin")
            tray = room.lab / "tray"
            return ["compare", tray, room.lab / "photos", "--network", path, "--out", "out"]

        return Case(kind="ONNX", name=name, make=make, **{"seconds": 40, **more})

    def near(room: Room) -> bytes:
        np.ones(3, np.float32).tofile(room.inside / "near.bin")
        return onnx(external("near.bin"), "scaled")

    def linked(room: Room) -> bytes:
        lab.link(room.inside / "link.bin", room.outside / "secret.bin")
        return onnx(external("link.bin"), "scaled")

    whole = onnx()
    table: dict[str, Callable[[Room], bytes]] = {
        "weights that climb": lambda room: onnx(external("../outside/secret.bin"), "scaled"),
        "weights by their whole path": lambda room: onnx(
            external(str(room.outside / "secret.bin")), "scaled"
        ),
        "weights that are a link": linked,
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
    yield case("honest", lambda room: whole, expect="used")
    yield case("honest, weights beside it", near, expect="either")
    for name, content in table.items():
        yield case(name, content, expect="either" if name == "an input of no side" else "refused")

    def weights(room: Room) -> list[object]:
        path = room.file("w.pth", pickle.dumps(Evil(room.outside / "PWNED")))
        tray = room.lab / "tray"
        words = ["compare", tray, tray, "--network", "inception", "--weights", path]
        return [*words, "--out", "out"]

    def dino(room: Room) -> list[object]:
        path = room.file("w.pth", pickle.dumps(Evil(room.outside / "PWNED")))
        tray = room.lab / "tray"
        words = ["compare", tray, tray, "--network", "dinov2-b", "--weights", path]
        return [*words, "--out", "out"]

    yield Case(kind="weights", name="of inception: a program", make=weights)
    yield Case(kind="weights", name="of dinov2: a program", make=dino)
