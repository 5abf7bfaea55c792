"""The networks as files in a folder, with what is said of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeuxis.core import abilities
from zeuxis.core.errors import Conflict
from zeuxis.core.files import write_file, write_json
from zeuxis.core.progress import Progress
from zeuxis.export import marks, onnx
from zeuxis.export.graphs import graphs
from zeuxis.export.meta import META, loop, meta, needed, turned
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
        half: float16 weights and arithmetic; None: of what draws in one pass, in pages and packages. In loops
            what float16 is off by adds up, to 95 levels in one of 32 pictures of a flow.
        licence: of the model; empty is not stated.
        compared: pictures for the receipt; 0 compares the networks alone.
        count: pictures of a sheet.
        seed: of these.
    """

    run: Path
    out: Path
    half: bool | None = None
    licence: str = ""
    compared: int = COMPARED
    count: int = 64
    seed: int = 0

    @property
    def facts(self) -> cards.Facts:
        """What is known of the run."""
        return cards.facts_of(self.run, self.licence)


def networks(
    asked: Asked, folder: Path, progress: Progress | None = None, drawing: bool = False
) -> dict[str, Any]:
    """Write the networks and the receipt; the content of `meta.json`, which is written, too.

    Args:
        asked: what is asked for.
        folder: where they go.
        progress: told of each.
        drawing: only those that draw pictures, with what marks these.

    Raises:
        Unable: the model draws none, or a package is missing.
    """
    onnx.needed()
    family, model = artefact.load(asked.run), fresh(asked.run)
    found = graphs(family)
    half = asked.half
    if half is None:
        half = drawing and loop(family, found)["kind"] == "once"
    content = meta(model, found, half, asked.licence)
    if drawing:
        names = needed(content)
        found = [graph for graph in found if graph.name in names]
        content["graphs"] = {name: content["graphs"][name] for name in names}
        content["walks"] = content["loop"]["kind"] == "once" and isinstance(
            family, abilities.Interpolates
        )
        content["controls"] = turnable(family, content, names)
        given = content["source"]
        content |= marks.said(model, given is not None and given["kind"] == "image")
    folder.mkdir(parents=True, exist_ok=True)
    for number, graph in enumerate(found):
        made = onnx.convert(family, graph)
        onnx.write(folder / (graph.name + onnx.SUFFIX), onnx.halved(made) if half else made)
        if progress:
            progress(number + 1, len(found) + 1)
    text = json.dumps(content, ensure_ascii=False)  # on one line: it may list thousands of labels
    write_text(folder / META, text)
    write_json(folder / PARITY, receipt(asked.run, found, folder, asked.compared))
    return content


def turnable(family: Any, content: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """Controls of what is drawn by these networks, as the product would have it."""
    most = content["loop"].get("most_jumps", 0)
    guided = bool(content["asked"])
    found = []
    for one in turned(family, content["loop"]):
        if "jump" in names and one["name"] == "churn":  # long steps redraw nothing
            continue
        if one["name"] == "guidance_scale" and not guided:
            continue
        if one["name"] == "steps" and getattr(family.config, "jumps", 0):  # by the other network
            one |= {"most": most} if "jump" in names else {"least": most + 1}
        found.append(one)
    return found


def write_card(asked: Asked, folder: Path, use: str = "") -> Path:
    """The model's card, as a README; `use`, in Markdown, in place of the hub's front matter."""
    card = cards.model_card(asked.facts)
    if use:
        title, _, rest = card.partition("\n---\n\n")[2].partition("\n\n")
        card = f"{title}\n\n{use}{rest}"
    write_text(folder / cards.CARD, card)
    return folder / cards.CARD


def write_text(path: Path, text: str) -> None:
    """Write a file of text."""
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def check_folder(folder: Path, own: str) -> None:
    """Refuse a folder that holds anything but an earlier export, which has a file called `own`.

    Raises:
        Conflict: it does, or it is a file.
    """
    others = folder.is_dir() and any(folder.iterdir()) and not (folder / own).is_file()
    if folder.is_file() or others:
        raise Conflict(f"{folder} is there and is no earlier export; name another with --out")
