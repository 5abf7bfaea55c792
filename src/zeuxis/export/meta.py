"""What whoever runs an exported model must know of it, as JSON: `meta.json`.

Shapes: N images, A conditions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zeuxis import __version__
from zeuxis.core import abilities
from zeuxis.core.errors import Unable
from zeuxis.core.fields import Field
from zeuxis.core.rng import Rng
from zeuxis.core.sentences import Sentences
from zeuxis.core.vocabulary import NO_CAPTION, PADDING
from zeuxis.export.graphs import NOISE, Graph, condition
from zeuxis.export.onnx import ROWS, SUFFIX
from zeuxis.families.unpaired import Unpaired
from zeuxis.inference.model import Model
from zeuxis.trust import cards

META = "meta.json"
FORMAT = 1
TYPES = {torch.float32: "float32", torch.int64: "int64"}
SHOWN = ("given", "planes", "mean")
"""Networks whose output the steps of a loop are shown of a source."""
LOOPED = {
    "flow": ("steps", "churn", "spread", "guidance_scale"),
    "bridge": ("steps", "strength"),
    "places": ("temperature",),
}
"""Controls that loops read, by their kind."""
MOST = {"steps": 64, "guidance_scale": 8}
"""Of controls that may be larger, in pages."""
STEP = 0.05
ROWS_TRIED = 2
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
    if isinstance(family, Unpaired):
        return {"kind": "bridge", **controls}
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
            "merges": config.text.merges,
            "examples": ids.tolist(),
            "unknown": unknown.tolist(),
            "words": data.get("words") or [],
        }
    return found


def source(family: Any, graphs: Sequence[Graph]) -> dict[str, Any] | None:
    """What pictures are made from, as the networks take it; None where a seed is enough."""
    draws = isinstance(family, abilities.Generates)
    if draws or not isinstance(family, abilities.Translates):
        return None
    fields: Mapping[str, Field] = family.fields()  # type: ignore[attr-defined]
    field = fields["source"]
    if field.kind == "map":
        colours = [f"#{bytes(colour).hex()}" for colour in field.palette.tolist()]
        return {"kind": "map", "shape": field.shape, "classes": field.classes, "colours": colours}
    inputs = graphs[0].inputs
    taken = inputs["source"] if "source" in inputs else inputs["x"]
    return {"kind": "image", "shape": [*taken.shape[1:]]}


def turned(family: Any, loop: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Controls that may be turned where pictures are drawn: those of the loop, and factors of the noise."""
    schema = family.Controls.model_json_schema()["properties"]
    named: list[tuple[str, str | None]]
    named = [(name, None) for name in LOOPED.get(loop["kind"], ()) if name in schema]
    if loop["kind"] == "once" and isinstance(family, abilities.Generates):
        named = [*factors(family)]
    found = []
    for name, key in named:
        told = schema[name]
        numeric = next((one for one in told.get("anyOf", []) if one["type"] != "null"), told)
        whole = numeric["type"] == "integer"
        least = numeric.get("minimum", numeric.get("exclusiveMinimum", 0))
        found.append(
            {
                "name": name,
                "hint": told.get("description", ""),
                "least": least if whole or "minimum" in numeric else least + STEP,
                "most": min(numeric.get("maximum", math.inf), MOST.get(name, 2)),
                "step": 1 if whole else STEP,
                "usual": loop[name],
                "noise": key,
            }
        )
    return found


def factors(family: Any) -> Iterator[tuple[str, str]]:
    """Controls of one that do nothing but scale one input of the noise, with that input's name."""
    noise, cond = family.noise(Rng(range(ROWS_TRIED), "example")), condition(family)
    cond = {name: value[:ROWS_TRIED] for name, value in cond.items()}
    usual = family.Controls()
    with torch.no_grad():
        whole = family.generate(noise, cond, usual)
        for name, value in usual.model_dump().items():
            if not isinstance(value, float) or value != 1:
                continue
            changed = family.generate(noise, cond, usual.model_copy(update={name: 0.5}))
            for key in noise:
                scaled = family.generate({**noise, key: 0.5 * noise[key]}, cond, usual)
                if torch.allclose(changed, scaled, atol=1e-6) and not torch.equal(changed, whole):
                    yield name, key


def needed(content: Mapping[str, Any]) -> list[str]:
    """The networks that draw pictures, new ones or of others, with the loop's usual controls, of a `meta`.

    Raises:
        Unable: the model does neither, or its noise is not a seed's as it is.
    """
    loop, graphs = content["loop"], content["graphs"]
    jumps = "jump" in graphs and loop["steps"] <= loop["most_jumps"]
    whole = "generate" if content["source"] is None else "translate"
    drawing = {
        "once": [whole],
        "places": ["log_p"],
        "flow": ["jump" if jumps else "velocity"],
        "bridge": ["velocity"],
    }.get(loop["kind"], ["nothing"])
    drawing += ["decode"] if loop.get("latent") else []
    drawing += [name for name in SHOWN if name in graphs]
    noise = content["random"].get("noise")
    if not {*drawing} <= {*graphs} or not (noise or content["source"]):
        raise Unable(
            f"a {content['family']} draws nothing new from a seed that a page could; export it with --to onnx"
        )
    if (
        loop["kind"] == "flow"
        and noise["image"]["shape"] != graphs[drawing[0]]["inputs"][0]["shape"][1:]
    ):
        raise Unable(
            "this model's pictures have sides that its networks do not divide, which a page cannot draw; "
            "export it with --to onnx, or serve it"
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
    draws = isinstance(family, abilities.Generates | abilities.Translates)
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
        "source": source(family, graphs),
        "loop": loop(family, graphs),
        "marks": UNMARKED,
    }
