"""Hostile trained models: names of files and classes, tables of labels, parts."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.numpy
import safetensors.torch

from benchmarks.attack import lab
from benchmarks.attack.artefacts import KIND, resealed, sample, spoilt
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    nested,
)
from benchmarks.attack.trial import Case, Room
from zeuxis.core.files import sha256, write_sealed


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _names()
    yield from _copied()
    yield from _labels()
    yield from _parts()
    yield from _words()


def _outside(room: Room, folder: Path) -> None:
    path = next(folder.glob("model-*"))
    (folder / "model-x").mkdir()
    path.rename(room.inside / "far.safetensors")

    def change(c: dict[str, Any]) -> None:
        known = c["files"].pop(path.name)
        c["files"] = {"model-x/../../far.safetensors": known, **c["files"]}

    lab.reseal(folder, change)


def _made(folder: Path, path: str) -> str:
    there = folder / path
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("x")
    return path


def _names() -> Iterator[Case]:
    """Names of files that are no plain names inside of the folder, with right hashes where one can be."""

    def named(name: str, key: Callable[[Room, Path], object], **more: Any) -> Iterator[Case]:
        def spoil(room: Room, folder: Path) -> None:
            path = str(key(room, folder))
            known = "0" * 64
            with contextlib.suppress(OSError, ValueError):  # no such name can be
                known = sha256(folder / path) if (folder / path).is_file() else known
            lab.reseal(folder, lambda c: c["files"].update({path: known}))

        yield spoilt(f"files names {name}", spoil, **more)

    yield from named("../../outside/secret.txt", lambda room, folder: "../../outside/secret.txt")
    yield from named("a secret by its whole path", lambda room, folder: room.secret())
    yield from named("/etc/passwd", lambda room, folder: "/etc/passwd")
    yield from named("/dev/zero", lambda room, folder: "/dev/zero", seconds=5)
    yield from named("..", lambda room, folder: "..")
    yield from named("a dot", lambda room, folder: ".")
    yield from named("nothing", lambda room, folder: "")
    yield from named("a folder", lambda room, folder: (folder / "sub").mkdir() or "sub")
    yield from named("sub/x", lambda room, folder: _made(folder, "sub/x"))
    yield from named("./x", lambda room, folder: _made(folder, "./x"))
    yield from named("a backslash", lambda room, folder: _made(folder, "..\\x"))
    yield from named("C:x", lambda room, folder: _made(folder, "C:x"), expect="either")
    yield from named("a NUL", lambda room, folder: "a\0b")
    yield from named("a newline", lambda room, folder: _made(folder, "a\nb"), expect="either")
    yield from named("escape codes", lambda room, folder: ESCAPES)
    yield from named("300 letters", lambda room, folder: "x" * 300)
    yield from named("config.json itself", lambda room, folder: "config.json")
    yield from named(
        "a link to a secret", lambda room, folder: lab.link(folder / "x", room.secret()).name
    )
    yield from named(
        "a link to /dev/zero",
        lambda room, folder: lab.link(folder / "x", "/dev/zero").name,
        seconds=5,
    )
    yield from named("a pipe", lambda room, folder: os.mkfifo(folder / "x") or "x", seconds=5)

    yield spoilt("the weights lie outside", _outside)
    for name in ("model-*", "dataset.json"):

        def linked(room: Room, folder: Path, name: str = name) -> None:
            path = next(folder.glob(name))
            path.rename(room.inside / "far")
            path.symlink_to(room.inside / "far")

        yield spoilt(f"{name} is a link that leads outside", linked)

    def no_weights(c: dict[str, Any]) -> None:
        c["files"] = {"dataset.json": c["files"]["dataset.json"]}

    yield resealed("no weights among the files", no_weights)
    yield resealed(
        "no dataset.json among the files", lambda c: c["files"].pop("dataset.json"), expect="either"
    )


def _copied() -> Iterator[Case]:
    """The same through `data encode`, which copies the model into the set that it makes."""
    ways: dict[str, Callable[[Room, Path], str]] = {
        "climbs to the set": lambda room, run: "../x",
        "climbs out of the set": lambda room, run: "../../x",
        "climbs to .bashrc": lambda room, run: "../../../home/.bashrc",
        "climbs by a folder to .bashrc": lambda room, run: "sub/../../../../home/.bashrc",
        "is the whole path of .bashrc": lambda room, run: str(room.path / "home" / ".bashrc"),
        "is the whole path of a new file": lambda room, run: str(room.path / "home" / "new"),
        "is a link to a secret": lambda room, run: lab.link(run / "x", room.secret()).name,
    }
    for name, key in ways.items():

        def make(room: Room, key: Callable[[Room, Path], str] = key) -> list[object]:
            run = room.inside / "a" / "b" / "c" / "run"  # as deep as where the copy is written
            shutil.copytree(room.lab / "tokenizer", run)
            (run / "sub").mkdir()
            path = key(room, run)
            there = run / path
            if path.startswith((".", "sub")):
                there.resolve().parent.mkdir(exist_ok=True)
                there.write_text("echo PWNED\n")
            known = sha256(there) if there.is_file() else "0" * 64
            lab.reseal(run, lambda c: c["files"].update({path: known}))
            return ["data", "encode", room.lab / "set", run, "out"]

        yield Case(kind=KIND, name=f"copied by data encode: a name {name}", make=make)

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
        "deep": nested(),
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
    fine = ("no labels", "labels empty")  # unknown ones are drawn
    for name, text in table.items():
        content = text.encode("utf-8", "surrogateescape")
        yield spoilt(
            f"dataset.json: {name}",
            lambda room, folder, content=content: lab.set_file(folder, "dataset.json", content),
            expect="either" if name in fine else "refused",
        )


def _with_part(room: Room, spoil: Callable[[Path], object] | None, name: str = "decoder") -> Path:
    folder = room.copy("flow")
    part = Path(shutil.copytree(room.lab / "tokenizer", folder / "parts" / name))
    if spoil:
        spoil(part)
    known = sha256(part / "config.json") if (part / "config.json").is_file() else "0" * 64
    return lab.reseal(folder, lambda c: c.update(parts={name: known}))


def _poison(room: Room, folder: Path) -> None:
    tensors = lab.tensors_of(folder)
    key = next(k for k, v in tensors.items() if v.is_floating_point())
    tensors[key] = tensors[key] * float("nan")
    lab.set_weights(folder, safetensors.torch.save(tensors))


def _climb(room: Room, folder: Path) -> None:
    lab.reseal(folder, lambda c: c["files"].update({"../../../x": "0" * 64}))


def _away(room: Room, folder: Path) -> None:
    shutil.move(folder, room.inside / "far")
    folder.symlink_to(room.inside / "far")


def _nest(room: Room, folder: Path) -> None:
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


def _parts_away(room: Room) -> list[object]:
    folder = _with_part(room, None)
    shutil.move(folder / "parts", room.inside / "far")
    (folder / "parts").symlink_to(room.inside / "far")
    return sample(folder)


def _parts() -> Iterator[Case]:
    """A model on top of another one."""

    def part(name: str, spoil: Callable[[Room, Path], object], key: str = "decoder") -> Case:
        def make(room: Room) -> list[object]:
            return sample(_with_part(room, lambda path: spoil(room, path), key))

        return Case(kind=KIND, name=f"part: {name}", make=make)

    yield part("its weights are NaN", _poison)
    yield part("a name of its files climbs", _climb)
    yield part("is a link that leads outside", _away)
    yield part("60 parts inside one another", _nest)
    yield part("of no such name", lambda room, folder: None, "encoder")
    yield part("its name is a word of Python", lambda room, folder: None, "__class__")
    yield part("missing", lambda room, folder: shutil.rmtree(folder))

    yield Case(kind=KIND, name="part: their folder is a link that leads outside", make=_parts_away)


def _renamed(room: Room, model: str = "gan") -> Path:
    conditions = [{"name": ESCAPES, "classes": ["cat", MARKUP]}]
    folder = room.copy(model)
    write_sealed(
        folder / "config.json",
        {
            **lab.content_of(folder),
            "config": {**lab.content_of(folder)["config"], "conditions": conditions},
        },
    )
    return folder


def _evaluate(room: Room) -> list[object]:
    folder = _renamed(room)
    lab.reseal(folder, lambda c: c.update(source=MARKUP))
    return ["evaluate", folder, "--data", room.lab / "set", "--samples", 8]


def _reconstruct(room: Room) -> list[object]:
    return [
        "reconstruct",
        _renamed(room, "vae"),
        room.lab / "tray",
        "--out",
        "out",
        "--label",
        "nope",
    ]


def _encode(room: Room) -> list[object]:
    folder = room.copy("tokenizer")
    lab.reseal(folder, lambda c: c.update(source=MARKUP, data={"fit": ESCAPES}))
    return ["data", "encode", room.lab / "set", folder, "out"]


def _page(room: Room) -> list[object]:
    folder = room.copy("tokenizer")
    (folder / "README.md").write_text(MARKUP)
    return ["data", "encode", room.lab / "set", folder, "out"]


def _readme(room: Room) -> list[object]:
    folder = room.copy("tokenizer")
    lab.link(folder / "README.md", room.secret())
    return ["data", "encode", room.lab / "set", folder, "out"]


def _words() -> Iterator[Case]:
    """Names of classes that would speak to the terminal, or to whoever opens a page."""

    def drawn(room: Room) -> list[object]:
        return sample(_renamed(room))

    def asked(*words: str) -> Callable[[Room], list[object]]:
        return lambda room: [*sample(_renamed(room)), *words]

    yield Case(kind=KIND, name="classes of escape codes: sample", make=drawn, expect="either")
    yield Case(
        kind=KIND, name="classes of escape codes: an unknown label", make=asked("--label", "nope")
    )
    yield Case(
        kind=KIND,
        name="classes of escape codes: an unknown condition",
        make=asked("--label", "x=y"),
    )

    yield Case(
        kind=KIND,
        name="classes of escape codes: evaluate",
        make=_evaluate,
        expect="either",
        writes=("in/gan",),
    )

    yield Case(kind=KIND, name="classes of escape codes: reconstruct", make=_reconstruct)

    yield Case(kind=KIND, name="a fit of escape codes: data encode", make=_encode, expect="either")

    yield Case(kind=KIND, name="a README of escape codes is copied", make=_page, expect="either")

    yield Case(
        kind=KIND,
        name="a README that is a link to a secret is copied",
        make=_readme,
        expect="either",
    )
