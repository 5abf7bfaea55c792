"""What whoever runs an exported model must know of it, as JSON: `meta.json`.

Shapes: N images, A conditions.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zeuxis import __version__
from zeuxis.core import abilities
from zeuxis.core.errors import Unable
from zeuxis.core.rng import Rng
from zeuxis.core.sentences import Sentences
from zeuxis.core.vocabulary import NO_CAPTION, PADDING
from zeuxis.export.graphs import NOISE, Graph
from zeuxis.export.onnx import ROWS, SUFFIX
from zeuxis.inference.model import Model
from zeuxis.trust import cards

META = "meta.json"
FORMAT = 1
TYPES = {torch.float32: "float32", torch.int64: "int64"}
UNMARKED = (
    "What these networks give carries no mark that it is AI-generated: whoever shows it must say so. "
    "`zeuxis sample` and the exported page mark what they write."
)
"""Of raw output."""


class Recorder(Rng):
    """Draws that tell which they are: number i of all that a row draws is i."""

    def __init__(self) -> None:
        super().__init__([0], dtype=torch.float64)
        self.draws: list[dict[str, Any]] = []
        self.count = 0

    def _draw(self, name: str, kind: str, shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        self.draws.append({"name": name, "kind": kind, "count": count})
        self.count += count
        found = torch.arange(self.count - count, self.count, dtype=torch.float64)
        return found.reshape(1, *shape)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Numbers of these draws among all."""
        return self._draw(name, "normal", shape)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Numbers of these draws among all."""
        return self._draw(name, "uniform", shape)


def randomness(family: Any) -> dict[str, Any]:
    """Which draws a seed's noise is made of: inputs by name, each a part of one draw; {} of other noise.

    `docs/decisions/0011` says how a draw follows from a seed, a row and a name.
    """
    recorder, inputs = Recorder(), {}
    for key, value in family.noise(recorder).items():
        flat, start = value.flatten(), 0
        if not len(flat) or not torch.equal(flat - flat[0], torch.arange(len(flat)).to(flat)):
            return {}
        for draw in recorder.draws:
            at = int(flat[0]) - start
            if 0 <= at < draw["count"]:
                shape = [*value.shape[1:]]
                inputs[key] = {"draw": draw["name"], "start": at, "shape": shape}
            start += draw["count"]
    return {"stream": "SEED/sample/0", "draws": recorder.draws, "noise": inputs}


def loop(family: Any, graphs: Sequence[Graph]) -> dict[str, Any]:
    """Whether one pass makes an image, or what is run around it, with the usual controls."""
    names, config = {graph.name for graph in graphs}, family.config
    controls = {k: v for k, v in family.Controls().model_dump(mode="json").items() if v is not None}
    if "log_p" in names:
        return {"kind": "places", "levels": config.levels, **controls}
    if "tokens" in names:
        return {"kind": "tokens", **controls}
    if "velocity" not in names:
        return {"kind": "once", **controls}
    guided = bool(config.text) and isinstance(family, abilities.Generates)
    found = {"kind": "flow", "guidance_scale": 2.0 if guided else 1.0, **controls}
    if getattr(config, "latent", None):
        found["latent"] = True
    if hasattr(family, "shift_C11"):
        found |= {
            "shift": family.shift_C11.flatten().tolist(),
            "scale": family.scale_C11.flatten().tolist(),
        }
    return found


def asked(model: Model) -> dict[str, Any]:
    """What an image can be asked to show, and what training images showed: (classes, images) of each kind."""
    config, data = model.family.config, model.facts.get("dataset", {})
    if isinstance(config.text, Sentences):
        raise Unable(
            "this model reads captions by sentence vectors, whose network is not exported; train one with "
            "data.text=own for that"
        )
    found: dict[str, Any] = {}
    if config.conditions:
        found["labels"] = [{"name": c.name, "classes": [*c.classes]} for c in config.conditions]
        found["table"] = data.get("labels") or [[[-1] * len(config.conditions), 1]]
    if config.numbers:
        found["numbers"] = [number.model_dump(mode="json") for number in config.numbers]
    if config.text or config.numbers:
        rows = data.get("examples") or []
        found["examples"] = [{"text": text, "numbers": numbers} for text, numbers in rows]
    if config.text:
        ids = config.text.rows([one["text"] for one in found["examples"]] or [""])
        unknown = config.text.rows([""])[0]
        unknown[0], unknown[1:] = NO_CAPTION, PADDING
        found["text"] = {
            "length": config.text.length,
            "examples": ids.tolist(),
            "unknown": unknown.tolist(),
        }
    return found


def needed(content: Mapping[str, Any]) -> list[str]:
    """The networks that draw new pictures with the loop's usual controls, of a `meta`.

    Raises:
        Unable: the model draws none, or its noise is not a seed's as it is.
    """
    loop, graphs = content["loop"], content["graphs"]
    drawing = {"once": ["generate"], "places": ["log_p"], "flow": ["velocity"]}.get(
        loop["kind"], ["nothing"]
    )
    if "jump" in graphs and loop["steps"] <= loop["most_jumps"]:
        drawing = ["jump"]
    drawing += ["decode"] if loop.get("latent") else []
    if not content["random"].get("noise") or not {*drawing} <= {*graphs}:
        raise Unable(
            f"a {content['family']} draws nothing new from a seed that a page could; export it with --to onnx"
        )
    return drawing


def shape_of(graph: Graph, name: str, value: Tensor) -> dict[str, Any]:
    """Name, type and shape of a tensor of a graph."""
    first = [1] if name in graph.fixed else [ROWS]
    return {"name": name, "type": TYPES[value.dtype], "shape": [*first, *value.shape[1:]]}


def meta(model: Model, graphs: Sequence[Graph], half: bool, licence: str = "") -> dict[str, Any]:
    """The content of `meta.json`."""
    family, facts = model.family, cards.facts_of(model.folder, licence)
    height, width, channels = model.shape()
    files = {}
    for graph in graphs:
        with torch.no_grad():
            out = graph.call(graph.inputs)
        files[graph.name] = {
            "file": graph.name + SUFFIX,
            "inputs": [shape_of(graph, name, value) for name, value in graph.inputs.items()],
            "output": shape_of(graph, graph.output, out),
        }
    draws = isinstance(family, abilities.Generates)
    return {
        "format": FORMAT,
        "zeuxis": __version__,
        "name": facts.name,
        "family": facts.family,
        "weights": facts.weights,
        "licence": licence or cards.UNSTATED,
        "image": {
            "height": height,
            "width": width,
            "channels": channels,
            "range": [-1, 1],
            "levels": "round((x + 1) * 127.5), clipped to 0 ... 255",
            **(
                {"colours": "straight" if model.straight else "premultiplied"}
                if channels == 4
                else {}
            ),
        },
        "precision": "float16, inputs and outputs float32" if half else "float32",
        "graphs": files,
        "random": randomness(family) if draws else {},
        "noise_prefix": NOISE,
        "asked": asked(model),
        "loop": loop(family, graphs),
        "marks": UNMARKED,
    }
