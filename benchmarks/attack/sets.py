"""Hostile data: prepared and encoded sets, which somebody else may have made."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    nested,
)
from benchmarks.attack.sources import KIND
from benchmarks.attack.trial import SECRET, Case, Room
from zeuxis.core.files import read_json, sha256, write_json

Facts = dict[str, Any]
Spoil = Callable[[Room, Path, Facts], object]

INSPECT = ("data", "inspect", "SET", "--out", "out")
PREPARE = ("data", "prepare", "SET", "out", "--size", 8)
ENCODE = ("data", "encode", "SET", "TOKENIZER", "out")
QUICK = ("--steps", 1, "--threads", 1, "--out", "out", "training.batch_size=4")
TRAIN_GAN = ("train", "gan", "SET", *QUICK, "family.features=8", "family.latent=4")
TRAIN_FLOW = ("train", "flow", "SET", *QUICK, "family.widths=16,16", "family.blocks=1")


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _facts()
    yield from _files()
    yield from _columns()
    yield from _encoded()


def spoilt(
    name: str, spoil: Spoil, words: Sequence[object] = INSPECT, source: str = "set", **more: Any
) -> Case:
    """A case that opens a copy of an honest set after `spoil` was at it, or at its facts."""

    def make(room: Room) -> list[object]:
        path = room.copy(source)
        facts = dict(read_json(path / "dataset.json"))
        if spoil(room, path, facts) != "raw":
            write_json(path / "dataset.json", facts)
        known = {"SET": path, "TOKENIZER": room.lab / "tokenizer"}
        return [known.get(str(word), word) for word in words]

    what = {"inspect": "", "prepare": ": prepared", "encode": ": encoded"}
    how = what.get(str(words[1]), f": train {words[1]}")
    limits = {"seconds": 60, "megabytes": 1500} if words[0] == "train" else {}
    return Case(kind=KIND, name=f"{source}: {name}{how}", make=make, **{**limits, **more})


def _put(path: str, value: Any) -> Spoil:
    def spoil(room: Room, folder: Path, facts: Facts) -> None:
        *outer, last = path.split(".")
        at = facts
        for key in outer:
            at = at[key]
        at[last] = value

    return spoil


def _raw(text: str | bytes) -> Spoil:
    def spoil(room: Room, path: Path, facts: Facts) -> str:
        (path / "dataset.json").write_bytes(text.encode() if isinstance(text, str) else text)
        return "raw"

    return spoil


def _facts() -> Iterator[Case]:
    yield spoilt("honest", lambda room, path, facts: None, expect="used")
    yield spoilt("honest, prepared smaller", lambda room, path, facts: None, PREPARE, expect="used")
    lies: dict[str, Any] = {
        "images.count": [2**40, -6, 0, 1.5, "6", None, True, [6], 10**400],
        "images.height": [2**31, -16, 0, None],
        "images.channels": [2**31, 0, -3, 2],
        "images": [None, [], 5],
        "files": [None, [], {}, 5],
        "name": ["../../x", None, [], 5, f"<script>alert(1)</script>{ESCAPES}"],
        "hash": ["../../x", None, [], "x" * 10**6],
        "conditions": [
            None,
            5,
            "abc",
            [5],
            [{"name": "x"}],
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
        "left_out": [
            None,
            5,
            [],
            {"corrupt": 5},
            {f"{ESCAPES}": {"count": 1, "first": [["a", "b"]]}},
        ],
        "found": [None, 5, []],
        "format": [True, 99, None, "1", ESCAPES],
        "split": [None, 5, [], {"train": "x"}],
    }
    for path, values in lies.items():
        for value in values:
            yield spoilt(f"{path} is {repr(value)[:40]}", _put(path, value), expect="either")

    for word in (
        "name",
        "hash",
        "images",
        "files",
        "conditions",
        "columns",
        "captions",
        "licence",
        "format",
        "found",
    ):
        yield spoilt(
            f"no {word}", lambda room, path, facts, w=word: facts.pop(w, None), expect="either"
        )

    texts: dict[str, str | bytes] = {
        "a list": "[]",
        "null": "null",
        "deep": nested(),
        "10,000 digits": "9" * 10_000,
        "NUL bytes": bytes(50),
    }
    for name, text in texts.items():
        yield spoilt(f"dataset.json {name}", _raw(text))
    yield spoilt(
        "dataset.json 300 MB of spaces",
        lambda room, path, facts: _raw(b" " * 300_000_000)(room, path, facts),
    )


def _climbs(key: str) -> Spoil:
    def spoil(room: Room, path: Path, facts: Facts) -> None:
        known = {"bytes": len(SECRET) + 1, "sha256": sha256(room.secret())}
        facts["files"][key] = known

    return spoil


def _linked(name: str) -> Spoil:
    def spoil(room: Room, path: Path, facts: Facts) -> str:
        (path / name).rename(room.outside / "private")
        lab.link(path / name, room.outside / "private")
        return "raw"

    return spoil


def _cut(name: str) -> Spoil:
    def spoil(room: Room, path: Path, facts: Facts) -> None:
        content = (path / name).read_bytes()[:-5]
        (path / name).write_bytes(content)
        facts["files"][name] = {"bytes": len(content), "sha256": sha256(path / name)}

    return spoil


def _files() -> Iterator[Case]:
    for key in ("../../outside/secret.txt", "/etc/passwd", "..", "", "a\0b", "x/y", ESCAPES):
        yield spoilt(f"files names {key!r:.40}", _climbs(key))
    for key in ("../../outside/secret.txt", "x\0y"):
        yield spoilt(f"files names {key!r:.40}", _climbs(key), ENCODE)
    for name in ("images.u8", "columns.safetensors", "dataset.json", "left_out.jsonl"):
        yield spoilt(f"{name} is a link that leads outside", _linked(name), expect="either")
    yield spoilt("images.u8 cut", _cut("images.u8"))
    yield spoilt("columns.safetensors cut", _cut("columns.safetensors"))


def _with_columns(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(room: Room, path: Path, facts: Facts) -> None:
        file = path / "columns.safetensors"
        held = dict(safetensors.numpy.load_file(file))
        change(held)
        safetensors.numpy.save_file(held, file)
        facts["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}

    return spoil


def _columns() -> Iterator[Case]:
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
        yield spoilt(f"columns: {name}", _with_columns(change), PREPARE, expect="either")
        yield spoilt(f"columns: {name}", _with_columns(change), TRAIN_GAN, expect="either")


def _away(room: Room, path: Path, facts: Facts) -> None:
    (path / "encoder").rename(room.inside / "far")
    lab.link(path / "encoder", room.inside / "far")


def _encoded() -> Iterator[Case]:
    def change(**values: Any) -> Spoil:
        def spoil(room: Room, path: Path, facts: Facts) -> None:
            known = {**facts["fields"][1], **values}
            facts["fields"][1] = {k: v for k, v in known.items() if v is not ...}

        return spoil

    yield spoilt("honest", lambda room, path, facts: None, source="encoded", expect="used")
    table: dict[str, Spoil] = {
        "its file climbs": change(file="../../outside/token.i16"),
        "its file is another": change(file="images.u8"),
        "its file is a list": change(file=[]),
        "no file": change(file=...),
        "its kind is another": change(kind="latent"),
        "its kind is code": change(kind="__class__"),
        "a negative shape": change(shape=[-4, -4]),
        "a huge shape": change(shape=[2**31, 2**31]),
        "a shape of nothing": change(shape=None),
        "a huge vocabulary": change(vocabulary=2**40),
        "no encoder": change(encoder=...),
        "another encoder": change(encoder={"sha256": "0" * 64}),
        "an encoder that is a link": _away,
    }
    for name, spoil in table.items():
        yield spoilt(name, spoil, source="encoded", expect="either")
        yield spoilt(name, spoil, TRAIN_FLOW, source="encoded", expect="either")
    yield spoilt("fields are numbers", _put("fields", [1]), source="encoded")
    yield spoilt("fields are text", _put("fields", "x"), source="encoded")
