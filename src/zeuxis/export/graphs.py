"""What of a family becomes a file of its own: networks whose inputs and outputs are tensors.

A family that makes an image in one pass is exported whole. Of one that makes it in many, the pass is
exported, and who uses it runs the loop. All randomness is an input, and so is what is asked for.

Shapes: B batch, C channels, H height, W width, L levels; I images of a batch of noise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import Family
from zeuxis.core.rng import Rng
from zeuxis.families.flow import Flow
from zeuxis.families.illustrate import Illustrate
from zeuxis.families.paint import Paint
from zeuxis.families.palette import Palette
from zeuxis.families.unpaired import Unpaired
from zeuxis.nn.joint import there, told
from zeuxis.nn.transformer import before

ROWS = 3
"""Of the examples that a graph is traced with: one or two would be taken for constants."""
NOISE = "noise_"
"""Before the names of inputs that are the family's noise."""
Call = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Graph:
    """One network to export.

    Attributes:
        name: of the file.
        call: named tensors to the output; none of the tensors is another's shape.
        inputs: an example of each, of `ROWS` rows.
        output: what comes out.
        fixed: inputs that are the same for all rows.
    """

    name: str
    call: Call
    inputs: Mapping[str, Tensor]
    output: str
    fixed: tuple[str, ...] = ()


class Module(nn.Module):
    """A graph as a module of positional tensors, which is what is traced."""

    def __init__(self, family: Family, graph: Graph) -> None:
        super().__init__()
        self.family, self.graph = family, graph
        self.parts = nn.ModuleList(family.parts.values())

    def forward(self, *tensors: Tensor) -> Tensor:
        """The graph's output."""
        return self.graph.call(dict(zip(self.graph.inputs, tensors, strict=True)))


def graphs(family: Any) -> list[Graph]:
    """All that a family exports, at its config's size.

    Args:
        family: in `eval` mode, float32, on the CPU; it is made fit to be traced: without gradients written
            by hand, and with what was fitted or not as plain values, which are not looked at again.
    """
    if getattr(family.config, "prior", "") == "mixture":
        raise Unable(
            "a vae whose prior is a mixture cannot be exported: its noise becomes a latent number by number, "
            "each by bisection; train one with family.prior=flow"
        )
    for module in family.modules():
        if hasattr(module, "fused"):
            module.fused = False
        if "fitted" in dict(module.named_buffers(recurse=False)):
            fitted = bool(module.fitted)
            del module.fitted
            module.fitted = fitted
    found = [*_drawing(family), *_codes(family)]
    if not found:
        raise Unable(f"a {type(family).__name__} has no network that can be exported")
    return found


def condition(family: Any) -> dict[str, Tensor]:
    """What is asked for, as an example: all of it unknown."""
    return {name: value.clone() for name, value in family.condition({}, ROWS).items()}


def image(family: Any) -> Tensor:
    """Any images (B, C, H, W)."""
    config = family.config
    return (
        Rng(range(ROWS), "example").uniform("x", config.channels, config.height, config.width) * 2
        - 1
    )


def source(family: Any) -> Tensor:
    """Any sources, as `family.fields` has them."""
    field = family.fields()["source"]
    if field.kind == "image":
        return Rng(range(ROWS), "example").uniform("s", *field.shape) * 2 - 1
    return Rng(range(ROWS), "example").integers("s", len(field.classes), *field.shape)


def _drawing(family: Any) -> list[Graph]:
    for kind, make in STEPPING.items():
        if isinstance(family, kind):
            found: list[Graph] = make(family)
            return found
    if isinstance(family, abilities.Sequential):
        return [_log_p(family)]
    if isinstance(family, abilities.Generates):
        return [_whole(family, "generate", {})]
    if isinstance(family, abilities.Translates):
        return [_whole(family, "translate", {"source": source(family)})]
    return []


def _whole(family: Any, name: str, given: Mapping[str, Tensor]) -> Graph:
    """The ability's method, with the family's usual controls; noise that these do not use is no input."""
    controls, method, asked = family.Controls(), getattr(family, name), condition(family)
    noise = family.noise(Rng(range(ROWS), "example"))
    with torch.enable_grad():
        for value in noise.values():
            value.requires_grad_()
        out = method(*given.values(), noise, asked, controls).sum()
        slopes = torch.autograd.grad(out, [*noise.values()], allow_unused=True) if noise else ()
    used = {key for key, slope in zip(noise, slopes, strict=True) if slope is not None}

    def call(tensors: Mapping[str, Tensor]) -> Tensor:
        drawn = {
            key: tensors[NOISE + key] if key in used else value for key, value in noise.items()
        }
        cond = {key: tensors[key] for key in asked}
        out: Tensor = method(*(tensors[key] for key in given), drawn, cond, controls)
        return out

    inputs = {
        **given,
        **{NOISE + key: noise[key].detach() for key in noise if key in used},
        **asked,
    }
    return Graph(name, call, inputs, "image")


def _log_p(family: Any) -> Graph:
    asked = condition(family)
    inputs = {"image": image(family), "place": torch.tensor([5]), **asked}

    def call(tensors: Mapping[str, Tensor]) -> Tensor:
        cond = {key: tensors[key] for key in asked}
        out: Tensor = family.log_p(tensors["image"], tensors["place"], cond)
        return out

    return Graph("log_p", call, inputs, "log_p", fixed=("place",))


def _codes(family: Any) -> list[Graph]:
    """Encoder, decoder and what takes noise away, of a family that does so in one pass."""
    if isinstance(family, tuple(STEPPING)):
        return []
    asked, found = condition(family), []
    pairs: list[tuple[type, str, Mapping[str, Tensor], str]] = []
    coded = "token" if isinstance(family, abilities.Tokenizes) else "latent"
    if isinstance(family, abilities.Encodes):
        pairs.append((abilities.Encodes, "encode", {"image": image(family)}, coded))
    if isinstance(family, abilities.Encodes) and isinstance(family, abilities.Decodes):
        with torch.no_grad():
            latent = family.encode(image(family), asked).detach()
        pairs.append((abilities.Decodes, "decode", {coded: latent}, "image"))
    if isinstance(family, abilities.Denoises):
        noisy = {"image": image(family), "deviation": torch.full((ROWS,), 0.2)}
        pairs.append((abilities.Denoises, "denoise", noisy, "clean"))
    for _, name, given, output in pairs:
        graph = _method(family, name, given, asked, output)
        try:
            with torch.no_grad():
                graph.call(graph.inputs)
        except Invalid:  # an autoencoder that has not learned it
            continue
        found.append(graph)
    return found


def _method(
    family: Any, name: str, given: Mapping[str, Tensor], asked: Mapping[str, Tensor], output: str
) -> Graph:
    method = getattr(family, name)

    def call(tensors: Mapping[str, Tensor]) -> Tensor:
        cond = {key: tensors[key] for key in asked}
        out: Tensor = method(*(tensors[key] for key in given), cond)
        return out

    return Graph(name, call, {**given, **asked}, output)


def _times(jump: bool) -> dict[str, Tensor]:
    """Examples of a time, and of the length of a step where it is the distilled copy's."""
    times = {"time": torch.linspace(0.9, 0.5, ROWS)}
    return {**times, "length": torch.full((ROWS,), 0.25)} if jump else times


def _velocities(family: Any, x: Tensor, call: Call, given: Mapping[str, Tensor]) -> list[Graph]:
    """The velocity, and its mean over a step if a copy was distilled; `call` is given all inputs."""
    jumps = [False, *([True] if getattr(family.config, "jumps", 0) else [])]
    return [
        Graph("jump" if jump else "velocity", call, {"x": x, **_times(jump), **given}, "velocity")
        for jump in jumps
    ]


def _flow(family: Flow) -> list[Graph]:
    asked, shape = condition(family), family.config.shape
    x = Rng(range(ROWS), "example").normal("x", *shape)

    def velocity(tensors: Mapping[str, Tensor]) -> Tensor:
        length = tensors.get("length")
        net = family.net if length is None else family.jumper
        told = net.told({key: tensors[key] for key in asked})
        tileable = family.config.tileable
        return family.velocity(tensors["x"], tensors["time"], length, told=told, tileable=tileable)

    found = _velocities(family, x, velocity, asked)
    if family.config.latent:
        found.append(Graph("decode", lambda t: family._image(t["x"]), {"x": x}, "image"))
    return found


def _palette(family: Palette) -> list[Graph]:
    shown = source(family)
    with torch.no_grad():
        planes = family.planes(family.placed(shown))
        mean = family._means(family.placed(shown))

    def velocity(tensors: Mapping[str, Tensor]) -> Tensor:
        given = {name: tensors[name] for name in ("planes_BKHW", "mean_BCHW")}
        return family.velocity(tensors["x"], tensors["time"], tensors.get("length"), **given)

    given = {"planes_BKHW": planes, "mean_BCHW": mean}
    return [
        Graph(
            "planes",
            lambda t: family.planes(family.placed(t["source"])),
            {"source": shown},
            "planes_BKHW",
        ),
        Graph(
            "mean",
            lambda t: family._means(family.placed(t["source"])),
            {"source": shown},
            "mean_BCHW",
        ),
        *_velocities(family, torch.randn_like(mean), velocity, given),
    ]


def _paint(family: Paint) -> list[Graph]:
    shown = source(family)
    with torch.no_grad():
        given = family.given(family.placed(shown))
    size = family.config.channels, *given.shape[2:]
    x = Rng(range(ROWS), "example").normal("x", *size)

    def velocity(tensors: Mapping[str, Tensor]) -> Tensor:
        told = tensors["given_BKHW"]
        return family.velocity(
            tensors["x"], tensors["time"], tensors.get("length"), given_BKHW=told
        )

    return [
        Graph(
            "given",
            lambda t: family.given(family.placed(t["source"])),
            {"source": shown},
            "given_BKHW",
        ),
        *_velocities(family, x, velocity, {"given_BKHW": given}),
    ]


def _unpaired(family: Unpaired) -> list[Graph]:
    if family.config.method != "bridge":
        return [_whole(family, "translate", {"source": source(family)})]
    told = torch.full((ROWS, 1 + len(family.config.conditions)), -1)
    told[:, 0] = 1
    config = family.config
    x = Rng(range(ROWS), "example").normal("x", config.channels, config.height, config.width)

    def velocity(tensors: Mapping[str, Tensor]) -> Tensor:
        return family.velocity(tensors["x"], tensors["time"], tensors["told_BA"])

    return _velocities(family, x, velocity, {"told_BA": told})


def _illustrate(family: Illustrate) -> list[Graph]:
    """Codes of patches as images and back, and the log-probabilities of each code given those before it."""
    asked, net, patches = condition(family), family.net, family.patches
    with torch.no_grad():
        token = patches.encode(image(family))

    def log_p(tensors: Mapping[str, Tensor]) -> Tensor:
        cond, token_BP = {key: tensors[key] for key in asked}, tensors["token"]
        text_BT = family._text(cond, token_BP.shape[0])
        images_BNE = net.images(token_BP, told(text_BT), patches.codes_KD)
        x_BNE = torch.cat([net.texts(text_BT), images_BNE], 1) + family._vector(cond)
        there_BN = F.pad(there(text_BT), (0, token_BP.shape[1] + 1), value=True)
        rank_N = torch.arange(x_BNE.shape[1])
        h_BNE = net.layers(x_BNE, before(rank_N.expand(x_BNE.shape[:2]), there_BN))
        return net.image_log_p(h_BNE[:, text_BT.shape[1] + 1 : -1])

    return [
        Graph("encode", lambda t: patches.encode(t["image"]), {"image": image(family)}, "token"),
        Graph("tokens", log_p, {"token": token, **asked}, "log_p"),
        Graph("decode", lambda t: patches.decode(t["token"]), {"token": token}, "image"),
    ]


STEPPING: Mapping[type, Callable[[Any], list[Graph]]] = {
    Flow: _flow,
    Palette: _palette,
    Paint: _paint,
    Unpaired: _unpaired,
    Illustrate: _illustrate,
}
"""Families that draw in steps of more than a pixel: their step, in place of their methods."""
