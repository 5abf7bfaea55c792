"""Hostile trained models: weights, configs, whatever else config.json says."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.numpy
import safetensors.torch
import torch

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    nested,
    tensors_file,
)
from benchmarks.attack.trial import Case, Room
from zeuxis import families

KIND = "trained model"
Tensors = dict[str, Any]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _weights()
    yield from _headers()
    yield from _configs()
    yield from _sizes()
    yield from _fields()
    yield from _raw()


def sample(folder: Path) -> list[object]:
    """The first thing that a person does with a downloaded model."""
    return ["sample", folder, "--count", 2, "--out", "out"]


def spoilt(
    name: str, spoil: Callable[[Room, Path], object], model: str = "gan", **more: Any
) -> Case:
    """A case that draws from a copy of an honest model after `spoil` was at it."""

    def make(room: Room) -> list[object]:
        folder = room.copy(model)
        spoil(room, folder)
        return sample(folder)

    return Case(kind=KIND, name=name, make=make, **more)


def resealed(name: str, change: Callable[[dict[str, Any]], object], **more: Any) -> Case:
    """One whose config.json has another content under a right checksum."""
    return spoilt(name, lambda room, folder: lab.reseal(folder, change), **more)


def _first(t: Tensors) -> str:
    return next(k for k, v in t.items() if v.is_floating_point() and v.ndim > 1)


def _flip(room: Room, folder: Path) -> None:
    path = next(folder.glob("model-*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _weights() -> Iterator[Case]:

    def one(value: float) -> Callable[[Tensors], Tensors]:
        def put(t: Tensors) -> Tensors:
            t[_first(t)].view(-1)[3] = value
            return t

        return put

    def cast(kind: torch.dtype) -> Callable[[Tensors], Tensors]:
        return lambda t: {k: v.to(kind) if v.is_floating_point() else v for k, v in t.items()}

    def other(change: Callable[[Any], Any]) -> Callable[[Tensors], Tensors]:
        return lambda t: {**t, _first(t): change(t[_first(t)])}

    nan, infinity = float("nan"), float("inf")
    table: dict[str, Callable[[Tensors], Tensors]] = {
        "one weight is NaN": one(nan),
        "one weight is infinite": one(infinity),
        "one weight is minus infinity": one(-infinity),
        "all weights are NaN": lambda t: {
            k: v * nan if v.is_floating_point() else v for k, v in t.items()
        },
        "a tensor is missing": lambda t: {k: v for k, v in t.items() if k != _first(t)},
        "a tensor too many": lambda t: {**t, "evil": torch.zeros(3)},
        "a tensor whose name has escape codes": lambda t: {**t, ESCAPES: torch.zeros(3)},
        "a tensor whose name is 100,000 letters": lambda t: {**t, "x" * 100_000: torch.zeros(1)},
        "20,000 tensors too many": lambda t: {
            **t,
            **{f"x{i}": torch.zeros(1) for i in range(20_000)},
        },
        "float64": cast(torch.float64),
        "float16": cast(torch.float16),
        "bfloat16": cast(torch.bfloat16),
        "one is int64": other(lambda v: v.to(torch.int64)),
        "one is complex64": other(lambda v: v.to(torch.complex64)),
        "one is bool": other(lambda v: v > 0),
        "one is uint8": other(lambda v: v.to(torch.uint8)),
        "one has another shape": other(lambda v: v[:1]),
        "one is transposed": other(lambda v: v.transpose(0, 1).contiguous()),
        "one is flat": other(lambda v: v.reshape(-1)),
        "one is a number": other(lambda v: v.sum()),
        "one has no numbers": other(lambda v: v[:0]),
    }

    def spoil(change: Callable[[Tensors], Tensors]) -> Callable[[Room, Path], object]:
        return lambda room, folder: lab.set_weights(
            folder, safetensors.torch.save(change(lab.tensors_of(folder)))
        )

    yield spoilt("honest", lambda room, folder: None, expect="used")
    for name in ("flow", "vae", "hvae", "stylegan", "pixelcnn", "pixelrnn"):
        yield spoilt(f"honest {name}", lambda room, folder: None, model=name, expect="used")
    yield spoilt("honest, weights saved anew", spoil(lambda t: t), expect="used")
    for name, change in table.items():
        yield spoilt(f"weights: {name}", spoil(change))
    for model in ("vae", "pixelcnn", "flow"):
        yield spoilt(f"weights of a {model}: one is NaN", spoil(one(nan)), model=model)

    yield spoilt("weights: one bit flipped", _flip)


def _headers() -> Iterator[Case]:
    f32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

    def two(a: dict[str, Any], b: dict[str, Any], size: int = 16) -> bytes:
        return tensors_file({"a": a, "b": b}, bytes(size))

    table = {
        "length 2^62": (2**62).to_bytes(8, "little") + b"{}",
        "length 2^32, 2 there": (2**32).to_bytes(8, "little") + b"{}",
        "no bytes": b"",
        "7 bytes": b"1234567",
        "not JSON": tensors_file(b"\xff\xfe{"),
        "a list": tensors_file(b"[]"),
        "tensors overlap": two(f32, {**f32, "data_offsets": [4, 12]}),
        "a hole between tensors": two(f32, {**f32, "data_offsets": [12, 20]}, 20),
        "offsets backwards": tensors_file({"a": {**f32, "data_offsets": [8, 0]}}, bytes(8)),
        "beyond the end": tensors_file(
            {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}, bytes(12)
        ),
        "bytes after the end": tensors_file({"a": f32}, bytes(4000)),
        "negative shape": tensors_file({"a": {**f32, "shape": [-2]}}, bytes(8)),
        "shape overflows": tensors_file(
            {"a": {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 0]}}
        ),
        "empty tensor of 2^40 by 0": tensors_file(
            {"a": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}}
        ),
        "no such dtype": tensors_file({"a": {**f32, "dtype": "OBJECT"}}, bytes(8)),
        "a name twice": tensors_file(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
            bytes(8),
        ),
        "deep": tensors_file(f'{{"a":{nested()}}}'.encode()),
        "metadata that is no text": tensors_file({"__metadata__": {"a": 5}}),
    }
    for name, content in table.items():
        yield spoilt(
            f"header of the weights: {name}",
            lambda room, folder, content=content: lab.set_weights(folder, content),
        )
    yield spoilt(
        "header of the weights: 90 MB of spaces",
        lambda room, folder: lab.set_weights(folder, tensors_file(b"{" + b" " * 90_000_000 + b"}")),
    )


def _configs() -> Iterator[Case]:
    table: dict[str, dict[str, Any]] = {
        "height 10^6": {"height": 10**6, "width": 10**6},
        "height 2^30": {"height": 2**30, "width": 2**30},
        "height 0": {"height": 0},
        "height true": {"height": True, "width": True},
        "height is text": {"height": "sixteen"},
        "height NaN": {"height": float("nan")},
        "channels 2^31": {"channels": 2**31},
        "latent -1": {"latent": -1},
        "latent 0": {"latent": 0},
        "an unknown key": {"__class__": "os.system"},
        "a key of escape codes": {ESCAPES: 1},
        "conditions is text": {"conditions": "abc"},
        "conditions of other things": {"conditions": [5]},
        "10,000 conditions": {
            "conditions": [{"name": f"c{i}", "classes": ["a", "b"]} for i in range(10_000)]
        },
        "no classes": {"conditions": [{"name": "kind", "classes": []}]},
        "a code of a library as a value": {"network": "__import__('os').system('id')"},
        "text of escape codes as a value": {"network": ESCAPES},
    }
    for name, values in table.items():
        yield resealed(f"config: {name}", lambda c, v=values: c["config"].update(v))
    yield resealed(
        "config: 10^6 classes",
        lambda c: c["config"].update(
            conditions=[{"name": "x", "classes": [str(i) for i in range(10**6)]}]
        ),
    )
    yield resealed(
        "config: a class of 50 MB",
        lambda c: c["config"].update(
            conditions=[{"name": "kind", "classes": ["a" * 50_000_000, "b"]}]
        ),
        expect="either",
    )
    yield resealed("config: a list", lambda c: c.update(config=[]))
    yield resealed("config: null", lambda c: c.update(config=None))
    yield resealed("config: text", lambda c: c.update(config="{}"))
    yield resealed("config: deep", lambda c: c.update(config={"height": _deep(400)}))
    yield resealed("config: of another family", lambda c: c.update(family="vae"))


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _sizes() -> Iterator[Case]:
    """Every whole number of every family's config, as a lie that is likely and one that is not."""
    for name in families.FAMILIES:
        tiny = families.get(name).TINY
        for field, value in tiny:
            if field in ("height", "width", "channels", "conditions") or isinstance(value, bool):
                continue
            lies: list[Any] = []
            if isinstance(value, int):
                lies = [2**17, 2**40]
            elif isinstance(value, tuple) and value and isinstance(value[0], int):
                lies = [[2**17] * len(value), [4] * 20_000]
            for lie in lies:
                said = lie if isinstance(lie, int) else f"{len(lie):,} times {lie[0]:,}"
                yield resealed(
                    f"config of a {name}: {field} {said}",
                    lambda c, field=field, lie=lie: c["config"].update({field: lie}),
                    model=name,
                    expect="either",  # some fields matter in training alone
                )


def _fields() -> Iterator[Case]:
    gone = ("format", "family", "config", "files")
    for key in gone:
        yield resealed(f"no {key}", lambda c, key=key: c.pop(key))
    wrong: dict[str, list[Any]] = {
        "format": [99, 0, -1, True, 1.5, "1", None, [], "x" * 100_000, ESCAPES],
        "family": ["../../x", "os.system", [], {}, None, 5, ESCAPES],
        "files": [[], {}, None, 5, "abc", {"dataset.json": 5}, {"dataset.json": None}],
        "parts": [["a"], 7, "abc", {"../../x": "0"}, {"encoder": "0"}, {"decoder": None}],
    }
    for key, values in wrong.items():
        for value in values:
            shown = repr(value)[:40]
            yield resealed(f"{key} is {shown}", lambda c, k=key, v=value: c.update({k: v}))
    yield resealed("parts is null", lambda c: c.update(parts=None), expect="either")
    for value in ("../../x", "float8", [1], 5, {"a": 1}, ESCAPES):
        yield resealed(f"precision is {value!r:.40}", lambda c, v=value: c.update(precision=v))
    for key in ("progress", "source", "zeuxis", "data", "machine", "plan", "finished"):
        for value in (None, [], 5, "x" * 100_000, ESCAPES):
            yield resealed(
                f"{key} is {value!r:.30}",
                lambda c, k=key, v=value: c.update({k: v}),
                expect="either",
            )
    yield resealed(
        "10^6 facts more", lambda c: c.update({str(i): i for i in range(10**6)}), expect="either"
    )
    yield resealed(
        "dataset in config.json", lambda c: c.update(dataset={"labels": 5}), expect="either"
    )


def _raw() -> Iterator[Case]:
    def raw(name: str, text: Callable[[str], str | bytes], **more: Any) -> Case:
        def spoil(room: Room, folder: Path) -> None:
            content = text((folder / "config.json").read_text())
            content = content if isinstance(content, bytes) else content.encode()
            (folder / "config.json").write_bytes(content)

        return spoilt(f"config.json: {name}", spoil, **more)

    yield raw("a list", lambda old: "[]")
    yield raw("text", lambda old: '"abc"')
    yield raw("null", lambda old: "null")
    yield raw("nothing", lambda old: "")
    yield raw("NUL bytes", lambda old: bytes(100))
    yield raw("a byte order mark", lambda old: b"\xef\xbb\xbf" + old.encode(), expect="either")
    yield raw("UTF-16", lambda old: old.encode("utf-16"))
    yield raw("a key twice", lambda old: old.rstrip()[:-1] + ', "family": "flow"}')
    yield raw("deep", lambda old: f'{{"a": {nested()}}}')
    yield raw("deep objects", lambda old: '{"a":' * 200_000 + "1" + "}" * 200_000)
    yield raw("a number of 10,000 digits", lambda old: f'{{"a": {"9" * 10_000}}}')
    yield raw(
        "latent of 5,000 digits", lambda old: old.replace('"latent": 4', '"latent": ' + "9" * 5000)
    )
    yield raw("a lone surrogate", lambda old: '{"a": "\\ud800", "checksum": "x"}')
    yield raw("NaN and Infinity", lambda old: '{"a": NaN, "b": Infinity, "checksum": "x"}')
    yield raw("garbage behind it", lambda old: old + "garbage")
    yield raw("300 MB of spaces", lambda old: b" " * 300_000_000)
    yield raw("10^6 empty lists", lambda old: '{"a": [' + "[]," * 3_000_000 + "[]]}")

    def instead(name: str, put: Callable[[Room, Path], object], **more: Any) -> Case:
        def spoil(room: Room, folder: Path) -> None:
            (folder / "config.json").unlink()
            put(room, folder / "config.json")

        return spoilt(f"config.json: {name}", spoil, **more)

    yield instead("a pipe", lambda room, path: os.mkfifo(path), seconds=5)
    yield instead("a folder", lambda room, path: path.mkdir())
    yield instead("a link to /dev/zero", lambda room, path: path.symlink_to("/dev/zero"), seconds=5)
    yield instead("a link to a secret", lambda room, path: path.symlink_to(room.secret()))
    yield instead("a link that leads nowhere", lambda room, path: path.symlink_to("nowhere"))
    yield instead("a link to itself", lambda room, path: path.symlink_to("config.json"))
