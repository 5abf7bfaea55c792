"""Exports by name of their kind: what `zeuxis export RUN --to KIND` writes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Conflict, NotFound
from zeuxis.core.files import write_file, write_json
from zeuxis.core.progress import Progress
from zeuxis.core.settings import suggest
from zeuxis.export import onnx
from zeuxis.export.graphs import Graph, graphs
from zeuxis.export.meta import META, meta
from zeuxis.export.parity import PARITY, receipt
from zeuxis.export.running import fresh
from zeuxis.inference import artefact
from zeuxis.trust import cards

COMPARED = 32
"""Pictures that an export is compared with the product on, if nobody says."""


@dataclass(frozen=True)
class Asked:
    """What an export is asked for.

    Attributes:
        run: a trained model's folder.
        out: where it goes.
        half: float16 weights and arithmetic.
        licence: of the model; empty is not stated.
        compared: pictures for the receipt; 0 compares the networks alone.
        count: pictures of a sheet.
        seed: of these.
    """

    run: Path
    out: Path
    half: bool = False
    licence: str = ""
    compared: int = COMPARED
    count: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Kind:
    """A kind of export.

    Attributes:
        write: does it, and gives the files that it wrote.
        what: in a sentence.
        suffix: of the file; none if it is a folder.
        half: whether it is float16 unless somebody asks otherwise.
    """

    write: Callable[[Asked, Progress | None], list[Path]]
    what: str
    suffix: str = ""
    half: bool = False


def network_files(asked: Asked, progress: Progress | None = None) -> list[Path]:
    """The networks as ONNX files, with `meta.json`, the receipt, the card and how to use them."""
    onnx.needed()
    folder, family = asked.out, artefact.load(asked.run)
    check_folder(folder, META)
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Graph] = graphs(family)
    for number, graph in enumerate(found):
        model = onnx.convert(family, graph)
        path = folder / (graph.name + onnx.SUFFIX)
        onnx.write(path, onnx.halved(model) if asked.half else model)
        if progress:
            progress(number + 1, len(found) + 1)
    content = meta(fresh(asked.run), found, asked.half, asked.licence)
    text = json.dumps(content, ensure_ascii=False)  # on one line: it may list thousands of labels
    write_file(folder / META, lambda beside: beside.write_text(text, encoding="utf-8"))
    write_json(folder / PARITY, receipt(asked.run, found, folder, asked.compared))
    write_card(asked, folder)
    names = [graph.name + onnx.SUFFIX for graph in found]
    return [folder / name for name in (*names, META, PARITY, cards.CARD)]


def write_card(asked: Asked, folder: Path) -> None:
    """The model's card, as a README."""
    text = cards.model_card(cards.facts_of(asked.run, asked.licence))
    write_file(folder / cards.CARD, lambda beside: beside.write_text(text, encoding="utf-8"))


def check_folder(folder: Path, own: str) -> None:
    """Refuse a folder that holds anything but an earlier export, which has a file called `own`.

    Raises:
        Conflict: it does, or it is a file.
    """
    if folder.is_file() or (
        folder.is_dir() and any(folder.iterdir()) and not (folder / own).is_file()
    ):
        raise Conflict(f"{folder} is there and is no earlier export; name another with --out")


KINDS: Mapping[str, Kind] = {
    "onnx": Kind(network_files, "a folder of ONNX files, for other programs and languages"),
}
"""By the word after `--to`."""


def export(
    run: str | Path,
    to: str,
    out: str | Path | None = None,
    half: bool | None = None,
    progress: Progress | None = None,
    **more: Any,
) -> list[Path]:
    """Write a trained model for use outside of Zeuxis; the files.

    Args:
        run: the folder that `zeuxis train` wrote.
        to: one of `KINDS`.
        out: file or folder; by default `exports/RUN-KIND`.
        half: float16; by default as the kind has it.
        progress: told as it goes on.
        more: other fields of `Asked`.

    Raises:
        NotFound: no such kind, or no model.
        Conflict: the folder holds something else.
        Unable: this model cannot be exported so, or a package is missing.
    """
    if to not in KINDS:
        raise NotFound(f"no export called {to!r}; {suggest(to, KINDS)}")
    kind, run = KINDS[to], Path(run)
    path = Path(out) if out else Path("exports") / f"{run.resolve().name}-{to}{kind.suffix}"
    if kind.suffix and path.suffix.lower() != kind.suffix:
        raise Conflict(f"{path} cannot be that; give --out a name that ends in {kind.suffix}")
    artefact.read(run)
    asked = Asked(run, path, kind.half if half is None else half, **more)
    path.parent.mkdir(parents=True, exist_ok=True)
    return kind.write(asked, progress)
