"""Hostile files of statistics."""

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    Evil,
    arrays,
    nested,
    npy,
    npz,
    tensors_file,
)
from benchmarks.attack.trial import Case, Room

Content = Callable[[Room], bytes | Path]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _statistics()
    yield from _pickles()


def _statistic(name: str, file: str, content: Content | bytes, **more: Any) -> Case:
    """A file of statistics that is judged by an honest one."""

    def make(room: Room) -> list[object]:
        found = content(room) if callable(content) else content
        bad = found if isinstance(found, Path) else room.file(file, found)
        by = "photos" if "feats" in name else f"honest{bad.suffix}"
        return ["compare", bad, room.lab / by, "--out", "out"]

    return Case(kind="statistics", name=name, make=make, **more)


def _ours(tensors: dict[str, np.ndarray] | None = None, **facts: str) -> Callable[[Room], bytes]:
    """Our own file of statistics, with other tensors or facts."""

    def make(room: Room) -> bytes:
        with safetensors.safe_open(room.lab / "honest.safetensors", "np") as file:
            known = {**(file.metadata() or {}), **facts}
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return bytes(safetensors.numpy.save({**held, **(tensors or {})}, known))

    return make


def _moments(mu: float = 0.0, sigma: float = 1.0, corner: float = 0.0) -> Callable[[Room], bytes]:
    """Moments of as many features as the network has; `corner` breaks the symmetry."""

    def make(room: Room) -> bytes:
        sigma_DD = np.where(np.eye(1280) > 0, sigma, 0.0)
        sigma_DD[0, 1] = corner
        return arrays(mu=np.full(1280, mu), sigma=sigma_DD)

    return make


def _statistics() -> Iterator[Case]:
    yield _statistic("honest npz", "x.npz", lambda room: room.copy("honest.npz"), expect="used")
    yield _statistic("honest pkl", "x.pkl", lambda room: room.copy("honest.pkl"), expect="used")
    yield _statistic(
        "honest npz of feats", "x.npz", arrays(feats=lab.vectors().array), expect="used"
    )
    yield _statistic("honest, ours", "x.safetensors", _ours(), expect="used")
    table: dict[str, Content | bytes] = {
        "pickled": lambda room: arrays(
            mu=np.array([Evil(room.outside / "PWNED")], dtype=object), sigma=np.eye(1)
        ),
        "no zip": b"abc",
        "the head of a zip": b"PK\x03\x04" + bytes(30),
        "cut": lambda room: (room.lab / "honest.npz").read_bytes()[:-30],
        "nothing": b"",
        "shapes that differ": arrays(mu=np.zeros(3), sigma=np.zeros((2, 2))),
        "another number of features": arrays(mu=np.zeros(3), sigma=np.eye(3)),
        "mu a number": arrays(mu=np.float64(3), sigma=np.eye(2)),
        "mu text": arrays(mu=np.array(["a"]), sigma=np.eye(1)),
        "mu times": arrays(mu=np.zeros(3, "M8[s]"), sigma=np.eye(3)),
        "mu NaN": _moments(mu=np.nan),
        "sigma infinite": _moments(sigma=np.inf),
        "sigma negative": _moments(sigma=-1.0),
        "sigma not symmetric": _moments(corner=5.0),
        "feats empty": arrays(feats=np.zeros((3, 0))),
        "feats of no rows": arrays(feats=np.zeros((0, 1280))),
        "feats text": arrays(feats=np.array(["x"])),
        "feats flat": arrays(feats=np.zeros(5)),
        "feats NaN": arrays(feats=np.full((5, 1280), np.nan)),
        "feats infinite": arrays(feats=np.full((5, 1280), np.inf)),
        "feats, a bomb of 2 GiB": lambda room: npz(
            room.inside / "x.npz", "feats", npy("(419430, 1280)", "<f4", b""), 2048
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
        "receipts deep": _ours(receipts=nested(50_000)),
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
        "features of 2^40 by 0": tensors_file(
            {
                "features.pooled": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]},
                "__metadata__": {"format": "1", "receipts": receipts},
            }
        ),
        "a tensor of escape codes": _ours({ESCAPES: np.zeros(3, np.float32)}),
    }
    for name, content in ours.items():
        yield _statistic(
            f"ours, {name}",
            "x.safetensors",
            content,
            expect="either" if "tensor" in name else "refused",
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
        return pickle.dumps(
            {"num_items": 2, "all_features": None, "raw_mean": None, "raw_cov": None, **values}
        )

    def program(text: str) -> Content:
        return lambda room: text.replace("PWNED", str(room.outside / "PWNED")).encode()

    objects = b"\x80\x04}(\x8c\x09num_itemsK\x02\x8c\x0call_features"
    table: dict[str, Content | bytes] = {
        "os.system": evil(4),
        "os.system, protocol 0": evil(0),
        "os.system, protocol 2": evil(2),
        "exec": program('cbuiltins\nexec\n(S\'open("PWNED","w")\'\ntR.'),
        "eval": program('cbuiltins\neval\n(S\'open("PWNED","w")\'\ntR.'),
        "open": program("cio\nopen\n(S'PWNED'\nS'w'\ntR."),
        "numpy.save": program("cnumpy\nsave\n(S'PWNED'\nI1\ntR."),
        "numpy.load": b"cnumpy\nload\n(S'x'\ntR.",
        "fromfile": b"cnumpy.core.multiarray\nfromfile\n(S'/etc/passwd'\ntR.",
        "memmap": program("cnumpy\nmemmap\n(S'PWNED'\nS'uint8'\nS'w+'\nI0\n(I4\nttR."),
        "a class of a class": b"cnumpy\nndarray.__class__\n.",
        "tofile of an array": program(
            "cnumpy\nndarray.tofile\n(cnumpy\nndarray\n(I1\ntRS'PWNED'\ntR."
        ),
        "getattr": b"cbuiltins\ngetattr\n(cnumpy\nload\nS'x'\ntR.",
        "codecs.open": program("ccodecs\nopen\n(S'PWNED'\nS'w'\ntR."),
        "encode to a bomb": b"c_codecs\nencode\n(S'" + b"a" * 100_000 + b"'\nS'idna'\ntR.",
        "objects by address": objects
        + array
        + b"(K\x01K\x01\x86"
        + number
        + b"\x8c\x01O\x85RC\x08AAAAAAAAtRu.",
        "an array of objects": b"\x80\x04"
        + array
        + b"(K\x01\x85"
        + number
        + b"\x8c\x01O\x85RC\x08AAAAAAAAtR0}.",
        "objects in a record": b"\x80\x04"
        + array
        + b"(K\x01\x85"
        + number
        + b"\x8c\x05O,f8x\x85RC\x10"
        + b"A" * 16
        + b"tR.",
        "strides beyond the bytes": objects
        + array
        + b"(M\xff\xffK\x01\x86"
        + number
        + b"\x8c\x02f8\x85RC\x08AAAAAAAAK\x00J\x00\x00\x01\x00K\x08\x86tRu.",
        "an array of 2^40": b"cnumpy\nndarray\n(L1099511627776L\ntR.",
        "an array of 2^31 bytes": b"cnumpy\nndarray\n(L2147483648L\ntR.",
        "a state set on a dtype": b"\x80\x04"
        + number
        + b"\x8c\x02f8\x85R(K\x03\x8c\x01|N(\x8c\x01at}K\x08K\x01K\x10tb.",
        "_reconstruct and a state of objects": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
        + array
        + b"K\x00\x85C\x01b\x87R(K\x01K\x01\x85"
        + number
        + b"X\x01\0\0\0OK\0K\x01\x87R\x89]K\x01atb.",
        "scalar of an object": b"\x80\x02cnumpy.core.multiarray\nscalar\n"
        + number
        + b"X\x01\0\0\0O\x85RC\x08AAAAAAAA\x86R.",
        "_frombuffer of objects": b"\x80\x04cnumpy._core.numeric\n_frombuffer\n(C\x08AAAAAAAA"
        + number
        + b"\x8c\x01O\x85RK\x01\x85\x8c\x01CtR.",
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
