"""Hostile trained models: weights, configs, names of files, labels, parts."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from benchmarks.attack import lab
from benchmarks.attack.trial import Case, Room
from zeuxis import families
from zeuxis.disk import sha256, write_sealed

KIND = "trained model"
ESCAPES = "\x1b]0;OWNED\x07\x1b[2J\x1b[31m<img src=x onerror=alert(1)>"
MARKUP = "](javascript:alert(1))\n# Injected\n[bold]<script>alert(2)</script>\x9b31m\u202e"
Tensors = dict[str, Any]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _weights()
    yield from _headers()
    yield from _configs()
    yield from _sizes()
    yield from _fields()
    yield from _raw()
    yield from _names()
    yield from _labels()
    yield from _parts()
    yield from _words()


def sample(folder: Path) -> list[object]:
    """The first thing that a person does with a downloaded model."""
    return ["sample", folder, "--count", 2, "--out", "out"]


def spoilt(name: str, spoil: Callable[[Room, Path], object], model: str = "gan", **more: Any) -> Case:
    """A case that draws from a copy of an honest model after `spoil` was at it."""

    def make(room: Room) -> list[object]:
        folder = room.copy(model)
        spoil(room, folder)
        return sample(folder)

    return Case(kind=KIND, name=name, make=make, **more)


def resealed(name: str, change: Callable[[dict[str, Any]], object], **more: Any) -> Case:
    """One whose config.json has another content under a right checksum."""
    return spoilt(name, lambda room, folder: lab.reseal(folder, change), **more)


def _weights() -> Iterator[Case]:
    def first(t: Tensors) -> str:
        return next(k for k, v in t.items() if v.is_floating_point() and v.ndim > 1)

    def one(value: float) -> Callable[[Tensors], Tensors]:
        def put(t: Tensors) -> Tensors:
            t[first(t)].view(-1)[3] = value
            return t

        return put

    def cast(kind: torch.dtype) -> Callable[[Tensors], Tensors]:
        return lambda t: {k: v.to(kind) if v.is_floating_point() else v for k, v in t.items()}

    def other(change: Callable[[Any], Any]) -> Callable[[Tensors], Tensors]:
        return lambda t: {**t, first(t): change(t[first(t)])}

    nan, infinity = float("nan"), float("inf")
    table: dict[str, Callable[[Tensors], Tensors]] = {
        "one weight is NaN": one(nan),
        "one weight is infinite": one(infinity),
        "one weight is minus infinity": one(-infinity),
        "all weights are NaN": lambda t: {
            k: v * nan if v.is_floating_point() else v for k, v in t.items()
        },
        "a tensor is missing": lambda t: {k: v for k, v in t.items() if k != first(t)},
        "a tensor too many": lambda t: {**t, "evil": torch.zeros(3)},
        "a tensor whose name has escape codes": lambda t: {**t, ESCAPES: torch.zeros(3)},
        "a tensor whose name is 100,000 letters": lambda t: {**t, "x" * 100_000: torch.zeros(1)},
        "20,000 tensors too many": lambda t: {**t, **{f"x{i}": torch.zeros(1) for i in range(20_000)}},
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

    def flip(room: Room, folder: Path) -> None:
        path = next(folder.glob("model-*"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    yield spoilt("weights: one bit flipped", flip)


def _headers() -> Iterator[Case]:
    f32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

    def two(a: dict[str, Any], b: dict[str, Any], size: int = 16) -> bytes:
        return lab.safetensors({"a": a, "b": b}, bytes(size))

    table = {
        "length 2^62": (2**62).to_bytes(8, "little") + b"{}",
        "length 2^32, 2 there": (2**32).to_bytes(8, "little") + b"{}",
        "no bytes": b"",
        "7 bytes": b"1234567",
        "not JSON": lab.safetensors(b"\xff\xfe{"),
        "a list": lab.safetensors(b"[]"),
        "tensors overlap": two(f32, {**f32, "data_offsets": [4, 12]}),
        "a hole between tensors": two(f32, {**f32, "data_offsets": [12, 20]}, 20),
        "offsets backwards": lab.safetensors({"a": {**f32, "data_offsets": [8, 0]}}, bytes(8)),
        "beyond the end": lab.safetensors(
            {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}, bytes(12)
        ),
        "bytes after the end": lab.safetensors({"a": f32}, bytes(4000)),
        "negative shape": lab.safetensors({"a": {**f32, "shape": [-2]}}, bytes(8)),
        "shape overflows": lab.safetensors(
            {"a": {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 0]}}
        ),
        "empty tensor of 2^40 by 0": lab.safetensors(
            {"a": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}}
        ),
        "no such dtype": lab.safetensors({"a": {**f32, "dtype": "OBJECT"}}, bytes(8)),
        "a name twice": lab.safetensors(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
            bytes(8),
        ),
        "deep": lab.safetensors(f'{{"a":{lab.nested()}}}'.encode()),
        "90 MB of spaces": lab.safetensors(b"{" + b" " * 90_000_000 + b"}"),
        "metadata that is no text": lab.safetensors({"__metadata__": {"a": 5}}),
    }
    for name, content in table.items():
        yield spoilt(
            f"header of the weights: {name}",
            lambda room, folder, content=content: lab.set_weights(folder, content),
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
        "10^6 classes": {"conditions": [{"name": "x", "classes": [str(i) for i in range(10**6)]}]},
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
        "config: a class of 50 MB",
        lambda c: c["config"].update(conditions=[{"name": "kind", "classes": ["a" * 50_000_000, "b"]}]),
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
    for value in ("../../x", "float64", [1], 5, {"a": 1}, ESCAPES):
        yield resealed(f"precision is {value!r:.40}", lambda c, v=value: c.update(precision=v))
    for key in ("progress", "source", "zeuxis", "data", "machine", "plan", "finished"):
        for value in (None, [], 5, "x" * 100_000, ESCAPES):
            yield resealed(
                f"{key} is {value!r:.30}", lambda c, k=key, v=value: c.update({k: v}), expect="either"
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
    yield raw("deep", lambda old: f'{{"a": {lab.nested()}}}')
    yield raw("deep objects", lambda old: '{"a":' * 200_000 + "1" + "}" * 200_000)
    yield raw("a number of 10,000 digits", lambda old: f'{{"a": {"9" * 10_000}}}')
    yield raw("latent of 5,000 digits", lambda old: old.replace('"latent": 4', '"latent": ' + "9" * 5000))
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
    yield instead("a link to a secret", lambda room, path: path.symlink_to(lab.secret(room)))
    yield instead("a link that leads nowhere", lambda room, path: path.symlink_to("nowhere"))
    yield instead("a link to itself", lambda room, path: path.symlink_to("config.json"))


def _names() -> Iterator[Case]:
    """Names of files that are no plain names inside of the folder, with right hashes where one can be."""

    def named(name: str, key: Callable[[Room, Path], object], **more: Any) -> Iterator[Case]:
        def spoil(room: Room, folder: Path) -> None:
            path = str(key(room, folder))
            there = folder / path if "\0" not in path else Path()
            known = sha256(there) if there.is_file() and "zero" not in path else "0" * 64
            lab.reseal(folder, lambda c: c["files"].update({path: known}))

        yield spoilt(f"files names {name}", spoil, **more)

    def made(folder: Path, path: str) -> str:
        there = folder / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("x")
        return path

    yield from named("../../outside/secret.txt", lambda room, folder: "../../outside/secret.txt")
    yield from named("a secret by its whole path", lambda room, folder: lab.secret(room))
    yield from named("/etc/passwd", lambda room, folder: "/etc/passwd")
    yield from named("/dev/zero", lambda room, folder: "/dev/zero", seconds=5)
    yield from named("..", lambda room, folder: "..")
    yield from named("a dot", lambda room, folder: ".")
    yield from named("nothing", lambda room, folder: "")
    yield from named("a folder", lambda room, folder: (folder / "sub").mkdir() or "sub")
    yield from named("sub/x", lambda room, folder: made(folder, "sub/x"))
    yield from named("./x", lambda room, folder: made(folder, "./x"))
    yield from named("a backslash", lambda room, folder: made(folder, "..\\x"))
    yield from named("C:x", lambda room, folder: made(folder, "C:x"))
    yield from named("a NUL", lambda room, folder: "a\0b")
    yield from named("a newline", lambda room, folder: made(folder, "a\nb"))
    yield from named("escape codes", lambda room, folder: ESCAPES)
    yield from named("300 letters", lambda room, folder: "x" * 300)
    yield from named("config.json itself", lambda room, folder: "config.json")
    yield from named(
        "a link to a secret", lambda room, folder: lab.link(folder / "x", lab.secret(room)).name
    )
    yield from named(
        "a link to /dev/zero", lambda room, folder: lab.link(folder / "x", "/dev/zero").name, seconds=5
    )
    yield from named("a pipe", lambda room, folder: os.mkfifo(folder / "x") or "x", seconds=5)

    def outside(room: Room, folder: Path) -> None:
        path = next(folder.glob("model-*"))
        (folder / "model-x").mkdir()
        path.rename(room.inside / "far.safetensors")

        def change(c: dict[str, Any]) -> None:
            known = c["files"].pop(path.name)
            c["files"] = {"model-x/../../far.safetensors": known, **c["files"]}

        lab.reseal(folder, change)

    yield spoilt("the weights lie outside", outside)
    for name in ("model-*", "dataset.json"):

        def linked(room: Room, folder: Path, name: str = name) -> None:
            path = next(folder.glob(name))
            path.rename(room.inside / "far")
            path.symlink_to(room.inside / "far")

        yield spoilt(f"{name} is a link that leads outside", linked)

    def no_weights(c: dict[str, Any]) -> None:
        c["files"] = {"dataset.json": c["files"]["dataset.json"]}

    yield resealed("no weights among the files", no_weights)
    yield resealed("no dataset.json among the files", lambda c: c["files"].pop("dataset.json"), expect="either")
    yield from _copied()


def _copied() -> Iterator[Case]:
    """The same through `data encode`, which copies the model into the set that it makes."""
    ways: dict[str, Callable[[Room, Path], str]] = {
        "climbs to .bashrc": lambda room, run: "../../home/.bashrc",
        "climbs further": lambda room, run: "../../../home/.bashrc",
        "is the whole path of .bashrc": lambda room, run: str(room.path / "home" / ".bashrc"),
        "climbs by a folder": lambda room, run: "sub/../../../home/.bashrc",
        "is a link to a secret": lambda room, run: lab.link(run / "x", lab.secret(room)).name,
    }
    for name, key in ways.items():

        def make(room: Room, key: Callable[[Room, Path], str] = key) -> list[object]:
            run = room.copy("tokenizer")
            (run / "sub").mkdir()
            path = key(room, run)
            bait = room.inside / "home" / ".bashrc"
            bait.parent.mkdir()
            bait.write_text("echo PWNED\n")
            there = run / path
            if not there.is_file() or there.resolve() == (room.path / "home" / ".bashrc").resolve():
                there = bait
            lab.reseal(run, lambda c: c["files"].update({path: sha256(there)}))
            # Where the copy is made, the same climb has to end at the person's file.
            return ["data", "encode", room.lab / "set", run, "out"]

        yield Case(kind=KIND, name=f"copied by data encode: a name {name}", make=make)

    def climbs(room: Room) -> list[object]:
        run = room.inside / "a" / "b" / "run"
        shutil.copytree(room.lab / "tokenizer", run)
        (room.inside / "a" / "b" / ".bashrc").write_text("echo PWNED\n")
        (room.path / "cwd" / ".bashrc").write_text("# the person's own\n")
        up = "../.bashrc"
        lab.reseal(run, lambda c: c["files"].update({up: sha256(run / up)}))
        return ["data", "encode", room.lab / "set", run, "out"]

    yield Case(kind=KIND, name="copied by data encode: a name climbs beside the encoder", make=climbs)

    def climbs_home(room: Room) -> list[object]:
        run = room.inside / "a" / "b" / "c" / "run"
        shutil.copytree(room.lab / "tokenizer", run)
        (room.inside / "a" / "home").mkdir()
        (room.inside / "a" / "home" / ".bashrc").write_text("echo PWNED\n")
        up = "../../../home/.bashrc"
        (run / up).resolve()
        lab.reseal(run, lambda c: c["files"].update({up: sha256(run / up)}))
        return ["data", "encode", room.lab / "set", run, "out"]

    yield Case(kind=KIND, name="copied by data encode: .bashrc is replaced", make=climbs_home)

    def honest(room: Room) -> list[object]:
        return ["data", "encode", room.lab / "set", room.lab / "tokenizer", "out"]

    yield Case(kind=KIND, name="honest: data encode", make=honest, expect="used")


def _labels() -> Iterator[Case]:
    """`dataset.json`, from which labels are drawn."""
    huge = 10**40
    table: dict[str, str] = {
        "null": "null",
        "a list": "[]",
        "text": '"abc"',
        "deep": lab.nested(),
        "no labels": "{}",
        "labels null": '{"labels": null}',
        "labels a number": '{"labels": 5}',
        "labels empty": '{"labels": []}',
        "labels text": '{"labels": "ab"}',
        "words for numbers": '{"labels": [[["x"], 1]]}',
        "out of range": '{"labels": [[[99999], 5]]}',
        "far below range": '{"labels": [[[-99999], 5]]}',
        "huge": f'{{"labels": [[[{huge}], 5]]}}',
        "fractions": '{"labels": [[[0.5], 5]]}',
        "too many columns": '{"labels": [[[0, 1, 0], 5]]}',
        "no columns": '{"labels": [[[], 5]]}',
        "ragged": '{"labels": [[[0], 5], [[0, 1], 5]]}',
        "negative counts": '{"labels": [[[0], -5], [[1], -5]]}',
        "counts of zero": '{"labels": [[[0], 0], [[1], 0]]}',
        "counts that cancel": '{"labels": [[[0], 5], [[1], -5]]}',
        "a huge count": f'{{"labels": [[[0], {huge}]]}}',
        "NaN counts": '{"labels": [[[0], NaN]]}',
        "infinite counts": '{"labels": [[[0], Infinity], [[1], Infinity]]}',
        "counts of 5,000 digits": f'{{"labels": [[[0], {"9" * 5000}]]}}',
        "10^6 rows": '{"labels": [' + ",".join(["[[0],1]"] * 10**6) + "]}",
        "not UTF-8": "\udcff",
    }
    fine = ("10^6 rows",)
    for name, text in table.items():
        content = text.encode("utf-8", "surrogateescape")
        yield spoilt(
            f"dataset.json: {name}",
            lambda room, folder, content=content: lab.set_file(folder, "dataset.json", content),
            expect="either" if name in fine else "refused",
        )


def _parts() -> Iterator[Case]:
    """A model on top of another one."""

    def with_part(room: Room, spoil: Callable[[Path], object] | None, name: str = "decoder") -> Path:
        folder = room.copy("flow")
        part = Path(shutil.copytree(room.lab / "tokenizer", folder / "parts" / name))
        if spoil:
            spoil(part)
        known = sha256(part / "config.json") if (part / "config.json").is_file() else "0" * 64
        return lab.reseal(folder, lambda c: c.update(parts={name: known}))

    def part(name: str, spoil: Callable[[Room, Path], object], key: str = "decoder") -> Case:
        def make(room: Room) -> list[object]:
            return sample(with_part(room, lambda path: spoil(room, path), key))

        return Case(kind=KIND, name=f"part: {name}", make=make)

    def poison(room: Room, folder: Path) -> None:
        tensors = lab.tensors_of(folder)
        key = next(k for k, v in tensors.items() if v.is_floating_point())
        tensors[key] = tensors[key] * float("nan")
        lab.set_weights(folder, safetensors.torch.save(tensors))

    def climb(room: Room, folder: Path) -> None:
        lab.reseal(folder, lambda c: c["files"].update({"../../../x": "0" * 64}))

    def away(room: Room, folder: Path) -> None:
        shutil.move(folder, room.inside / "far")
        folder.symlink_to(room.inside / "far")

    def nest(room: Room, folder: Path) -> None:
        """60 parts inside one another."""
        inner = folder
        chain = [folder]
        for _ in range(60):
            inner = inner / "parts" / "decoder"
            shutil.copytree(room.lab / "tokenizer", inner)
            chain.append(inner)
        for outer, below in zip(reversed(chain[:-1]), reversed(chain[1:]), strict=True):
            known = sha256(below / "config.json")
            lab.reseal(outer, lambda c, known=known: c.update(parts={"decoder": known}))

    yield part("its weights are NaN", poison)
    yield part("a name of its files climbs", climb)
    yield part("is a link that leads outside", away)
    yield part("60 parts inside one another", nest)
    yield part("of no such name", lambda room, folder: None, "encoder")
    yield part("its name is a word of Python", lambda room, folder: None, "__class__")
    yield part("missing", lambda room, folder: shutil.rmtree(folder))

    def folder_away(room: Room) -> list[object]:
        folder = with_part(room, None)
        shutil.move(folder / "parts", room.inside / "far")
        (folder / "parts").symlink_to(room.inside / "far")
        return sample(folder)

    yield Case(kind=KIND, name="part: their folder is a link that leads outside", make=folder_away)


def _words() -> Iterator[Case]:
    """Names of classes that would speak to the terminal, or to whoever opens a page."""

    def renamed(room: Room, model: str = "gan") -> Path:
        conditions = [{"name": ESCAPES, "classes": ["cat", MARKUP]}]
        folder = room.copy(model)
        write_sealed(
            folder / "config.json",
            {**lab.content_of(folder), "config": {**lab.content_of(folder)["config"], "conditions": conditions}},
        )
        return folder

    def drawn(room: Room) -> list[object]:
        return sample(renamed(room))

    def asked(*words: str) -> Callable[[Room], list[object]]:
        return lambda room: [*sample(renamed(room)), *words]

    yield Case(kind=KIND, name="classes of escape codes: sample", make=drawn, expect="either")
    yield Case(
        kind=KIND, name="classes of escape codes: an unknown label", make=asked("--label", "nope")
    )
    yield Case(
        kind=KIND, name="classes of escape codes: an unknown condition", make=asked("--label", "x=y")
    )

    def evaluate(room: Room) -> list[object]:
        folder = renamed(room)
        lab.reseal(folder, lambda c: c.update(source=MARKUP))
        return ["evaluate", folder, "--data", room.lab / "set", "--samples", 8]

    yield Case(
        kind=KIND,
        name="classes of escape codes: evaluate",
        make=evaluate,
        expect="either",
        writes=("in/gan",),
    )

    def reconstruct(room: Room) -> list[object]:
        return ["reconstruct", renamed(room, "vae"), room.lab / "tray", "--out", "out", "--label", "nope"]

    yield Case(kind=KIND, name="classes of escape codes: reconstruct", make=reconstruct)

    def encode(room: Room) -> list[object]:
        folder = room.copy("tokenizer")
        lab.reseal(folder, lambda c: c.update(source=MARKUP, data={"fit": ESCAPES}))
        return ["data", "encode", room.lab / "set", folder, "out"]

    yield Case(kind=KIND, name="a fit of escape codes: data encode", make=encode, expect="either")

    def page(room: Room) -> list[object]:
        folder = room.copy("tokenizer")
        (folder / "README.md").write_text(MARKUP)
        return ["data", "encode", room.lab / "set", folder, "out"]

    yield Case(kind=KIND, name="a README of escape codes is copied", make=page, expect="either")

    def readme(room: Room) -> list[object]:
        folder = room.copy("tokenizer")
        lab.link(folder / "README.md", lab.secret(room))
        return ["data", "encode", room.lab / "set", folder, "out"]

    yield Case(kind=KIND, name="a README that is a link to a secret is copied", make=readme, expect="either")
