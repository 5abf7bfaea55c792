"""Hostile folders of runs and of samples: what does a command write through, and what does it read?"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch

from benchmarks.attack import lab
from benchmarks.attack.forge import (
    ESCAPES,
    MARKUP,
    nested,
)
from benchmarks.attack.trial import Case, Room
from zeuxis.core.files import read_json, sha256, write_json, write_sealed

KIND = "run"
Spoil = Callable[[Room, Path], object]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _links()
    yield from _states()
    yield from _reports()
    yield from _samples()


def run(
    name: str, spoil: Spoil, words: Callable[[Room, Path], Sequence[object]], **more: Any
) -> Case:
    """A command on a copy of the honest run after `spoil` was at it."""

    def make(room: Room) -> Sequence[object]:
        folder = room.copy("run")
        spoil(room, folder)
        return words(room, folder)

    known = {"expect": "either", "writes": ("in/run",), "seconds": 60, "megabytes": 1500}
    return Case(kind=KIND, name=name, make=make, **{**known, **more})


def resume(room: Room, folder: Path) -> list[object]:
    """The same command again."""
    return [*lab.words_of_a_run(room.lab), "--out", folder]


def evaluate(room: Room, folder: Path) -> list[object]:
    """Measure the run, which writes into it."""
    return ["evaluate", folder, "--data", room.lab / "set", "--samples", 8]


def back(folder: Path) -> None:
    """Take the run back to its first checkpoint, so that resuming writes everything again."""
    newest = sorted((folder / "checkpoints").glob("step-*"))[1:]
    for path in newest:
        shutil.rmtree(path)
    (folder / "config.json").unlink()


def _nothing(room: Room, folder: Path) -> None:
    pass


def _to(name: str, target: str) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        lab.link(path, room.path / target)

    return spoil


def _whole(name: str, target: str) -> Spoil:
    """The run stays finished."""
    return lambda room, folder: lab.link(folder / name, room.path / target)


def _predicted(room: Room, folder: Path) -> None:
    """The temporary name of the weights that resuming will write, as a link."""
    weights = next(folder.glob("model-*"))
    back(folder)
    weights.unlink()
    lab.link(folder / f"{weights.name}.tmp", room.outside / "precious" / "thesis.txt")


def _links() -> Iterator[Case]:
    """Links in the folder of a run, to files and folders of the person."""
    yield run("honest: train again", _nothing, resume, expect="used")
    yield run("honest: resumed", lambda room, folder: back(folder), resume, expect="used")
    yield run("honest: evaluate", _nothing, evaluate, expect="used")

    diary = "outside/precious/thesis.txt"
    table = {
        "log.jsonl": diary,
        "README.md": diary,
        "dataset.json": diary,
        "config.json": diary,
        "report.html": diary,
        "report.json": diary,
        "run.json": diary,
        "lock": diary,
        ".lock": diary,
        "samples": "outside/precious",
        "checkpoints": "outside/precious",
        "parts": "outside/precious",
        "checkpoints/step-00000004": "outside/precious",
        "checkpoints/step-00000004.tmp": "outside/precious",
        "samples/step-00000004.png": "outside/precious/0000.png",
        "samples/step-00000004.png.tmp": "outside/precious/0000.png",
        "config.json.tmp": diary,
        "README.md.tmp": diary,
        "dataset.json.tmp": diary,
        "report.html.tmp": diary,
        "report.json.tmp": diary,
        "log.jsonl.tmp": diary,
        "model-0000000000000000.safetensors": diary,
        "home": "home/.bashrc",
    }
    for name, target in table.items():
        yield run(f"{name} is a link to a file of the person: resumed", _to(name, target), resume)

    for name in ("report.html", "report.json", "report.html.tmp", "report.json.tmp"):
        yield run(
            f"{name} is a link to a file of the person: evaluate", _whole(name, diary), evaluate
        )

    yield run("the temporary name of the weights is a link: resumed", _predicted, resume)


def _state(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        file = next((folder / "checkpoints").glob("step-*")) / "state.json"
        content = dict(read_json(file))
        content.pop("checksum", None)
        change(content)
        write_sealed(file, content)

    return spoil


def _raw_state(text: str) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        (next((folder / "checkpoints").glob("step-*")) / "state.json").write_text(text)

    return spoil


def _tensors(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        path = next((folder / "checkpoints").glob("step-*"))
        file = path / "state.safetensors"
        file.write_bytes(safetensors.numpy.save(change(safetensors.numpy.load_file(file))))
        content = dict(read_json(path / "state.json"))
        content.pop("checksum", None)
        write_sealed(path / "state.json", {**content, "sha256": sha256(file)})

    return spoil


def _first(t: dict[str, np.ndarray]) -> str:
    return next(k for k, v in sorted(t.items()) if v.dtype == np.float32 and v.ndim > 1)


def _named(name: str) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        old = next((folder / "checkpoints").glob("step-*"))
        old.rename(old.with_name(name))

    return spoil


def _plan(path: str, value: Any) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        content = dict(read_json(folder / "run.json"))
        content.pop("checksum", None)
        *outer, last = path.split(".")
        at = content
        for key in outer:
            at = at[key]
        if value is ...:
            del at[last]
        else:
            at[last] = value
        write_sealed(folder / "run.json", content)

    return spoil


def _log(content: bytes) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        back(folder)
        (folder / "log.jsonl").write_bytes(content)

    return spoil


def _states() -> Iterator[Case]:
    """What a resumed run believes."""
    table: dict[str, list[Any]] = {
        "log_bytes": [10**12, -5, "abc", None, 1.5, 2**70],
        "step": [10**12, -1, "x", None, 1.5, True],
        "sha256": [None, 5, ["a"]],
    }
    for key, values in table.items():
        for value in values:
            yield run(
                f"state.json: {key} is {value!r}",
                _state(lambda c, k=key, v=value: c.update({k: v})),
                resume,
            )
    yield run(
        "state.json: empty", _state(lambda c: [c.pop(k) for k in list(c) if k != "sha256"]), resume
    )

    for name, text in (
        ("a list", "[]"),
        ("deep", nested()),
        ("digits", "9" * 9999),
        ("nothing", ""),
    ):
        yield run(f"state.json: {name}", _raw_state(text), resume)

    spoilt: dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
        "none": lambda t: {},
        "one is missing": lambda t: {k: v for k, v in t.items() if k != _first(t)},
        "one too many": lambda t: {**t, "evil": np.zeros(3, np.float32)},
        "another shape": lambda t: {**t, _first(t): t[_first(t)][:1].copy()},
        "NaN": lambda t: {**t, _first(t): t[_first(t)] * np.float32("nan")},
        "float64": lambda t: {**t, _first(t): t[_first(t)].astype(np.float64)},
        "int64": lambda t: {**t, _first(t): t[_first(t)].astype(np.int64)},
    }
    for name, change in spoilt.items():
        yield run(f"state.safetensors: {name}", _tensors(change), resume)

    for name in ("step-99999999999", "step-abc", "step--1", "step-\x1b[31m"):
        yield run(f"a checkpoint called {name!r}", _named(name), resume)

    lies: list[tuple[str, Any]] = [
        ("plan", ...),
        ("plan", None),
        ("plan", []),
        ("plan.steps", -1),
        ("plan.steps", "x"),
        ("plan.steps", 2.5),
        ("plan.precision", "../../x"),
        ("plan.precision", ESCAPES),
        ("plan.precision", None),
        ("plan.probe_every", 0),
        ("plan.save_every", -1),
        ("plan.evil", 5),
        ("request", ...),
        ("request", None),
        ("request", []),
        ("request.family", ESCAPES),
        ("request.config", MARKUP),
        ("machine", None),
        ("machine", ...),
        ("machine", ["a"]),
    ]
    for path, value in lies:
        shown = "missing" if value is ... else repr(value)[:30]
        yield run(f"run.json: {path} is {shown}", _plan(path, value), resume)
    for name, text in (
        ("a list", "[]"),
        ("deep", nested()),
        ("digits", "9" * 9999),
        ("NULs", "\0" * 50),
    ):

        def put(room: Room, folder: Path, text: str = text) -> None:
            back(folder)
            (folder / "run.json").write_text(text)

        yield run(f"run.json: {name}", put, resume)

    for name, content in (
        ("shorter", b'{"step": 1'),
        ("of NULs", bytes(500)),
        ("deep", nested().encode()),
    ):
        yield run(f"log.jsonl: {name}", _log(content), resume)


def _report(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(room: Room, folder: Path) -> None:
        content = dict(read_json(folder / "report.json"))
        change(content)
        write_json(folder / "report.json", content)

    return spoil


def _odd_log(room: Room, folder: Path) -> None:
    line = json.dumps({"step": ESCAPES, "main/total": MARKUP, MARKUP: 5})
    (folder / "log.jsonl").write_text(f"{line}\n[]\n{nested()}\n")


def _parent(room: Room, folder: Path) -> list[object]:
    words = lab.words_of_a_run(room.lab, 2)
    return [*words, "--from", folder, "--out", "out"]


def _evil(room: Room, folder: Path) -> None:
    lab.reseal(
        folder, lambda c: c["files"].update({"../../outside/secret.txt": sha256(room.secret())})
    )


def _nan(room: Room, folder: Path) -> None:
    tensors = lab.tensors_of(folder)
    key = next(k for k, v in tensors.items() if v.is_floating_point())
    tensors[key] = tensors[key] * float("nan")
    import safetensors.torch

    lab.set_weights(folder, safetensors.torch.save(tensors))


def _reports() -> Iterator[Case]:
    """What is read when a finished run is shown again, or measured again."""
    table: dict[str, Callable[[dict[str, Any]], object]] = {
        "words of escape codes": lambda c: c.update(words=[ESCAPES, MARKUP]),
        "words a number": lambda c: c.update(words=5),
        "no words": lambda c: c.pop("words"),
        "words null": lambda c: c.update(words=None),
        "notes of escape codes": lambda c: c.update(notes=[f"[bold]{ESCAPES}"]),
        "notes of numbers": lambda c: c.update(notes=[5]),
        "no facts": lambda c: c.pop("facts"),
        "facts a list": lambda c: c.update(facts=[]),
        "scores text": lambda c: c.update(scores="x"),
    }
    for name, change in table.items():
        yield run(f"report.json: {name}: train again", _report(change), resume)
        yield run(f"report.json: {name}: evaluate", _report(change), evaluate)
    for name, text in (
        ("a list", "[]"),
        ("null", "null"),
        ("deep", nested()),
        ("digits", "9" * 9999),
    ):

        def put(room: Room, folder: Path, text: str = text) -> None:
            (folder / "report.json").write_text(text)

        yield run(f"report.json: {name}: train again", put, resume)

    yield run("log.jsonl of other things: evaluate", _odd_log, evaluate)

    yield run("--from a model whose files climb", _evil, _parent, expect="refused")
    yield run("--from a model of NaN", _nan, _parent, expect="refused")
    yield run("honest: --from", lambda room, folder: None, _parent, expect="used")


def _drawn(name: str, spoil: Spoil, **more: Any) -> Case:
    def make(room: Room) -> list[object]:
        folder = room.inside / "drawn"
        folder.mkdir()
        (folder / "samples.json").write_text('{"count": 1}')
        spoil(room, folder)
        words = ["sample", room.lab / "gan", "--count", 2, "--out", folder]
        return [*words, "--grid", folder / "sheet.png"]

    known = {"expect": "either", "writes": ("in/drawn",)}
    return Case(kind="samples", name=name, make=make, **{**known, **more})


def _samples() -> Iterator[Case]:
    """A folder of samples that somebody else made, into which a person draws again."""
    picture, diary = "outside/precious/0000.png", "outside/precious/thesis.txt"
    yield _drawn("honest", lambda room, folder: None, expect="used")
    table = {
        "0000.png": picture,
        "0000.png.tmp": picture,
        "0001.png.tmp": diary,
        "samples.json": diary,
        "samples.json.tmp": diary,
        "sheet.png": picture,
        "sheet.png.tmp": picture,
        "9999.png": picture,
    }
    for name, target in table.items():
        yield _drawn(
            f"{name} is a link to a file of the person",
            lambda room, folder, n=name, t=target: lab.link(folder / n, room.path / t),
        )

    def folder(room: Room, path: Path) -> None:
        (path / "0000.png").mkdir()

    yield _drawn("0000.png is a folder", folder)

    def linked(room: Room) -> list[object]:
        """The folder itself leads to pictures that are not samples."""
        path = lab.link(room.inside / "drawn", room.outside / "precious")
        return ["sample", room.lab / "gan", "--count", 2, "--out", path]

    yield Case(kind="samples", name="the folder is a link to a folder of the person", make=linked)

    def page(room: Room) -> list[object]:
        (room.path / "cwd" / "runs" / "inspect-photos").mkdir(parents=True)
        target = room.outside / "precious" / "thesis.txt"
        lab.link(room.path / "cwd" / "runs" / "inspect-photos" / "inspect.html", target)
        return ["data", "inspect", room.lab / "photos"]

    yield Case(
        kind="samples",
        name="inspect.html is a link to a file of the person",
        make=page,
        expect="either",
        writes=("cwd/runs",),
    )
