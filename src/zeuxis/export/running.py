"""Exported graphs, run by onnxruntime in the place of a model's own networks.

Shapes: B batch, C channels, L levels, P = H W pixels.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zeuxis.core import abilities
from zeuxis.core.pixels import from_levels
from zeuxis.export.graphs import NOISE
from zeuxis.export.onnx import SUFFIX
from zeuxis.inference.model import Model, load
from zeuxis.sampling.raster import draw

Runner = Callable[[Mapping[str, Tensor]], Tensor]


def runner(path: Path, threads: int = 1) -> Runner:
    """A file as a function of named tensors; those that it does not know are left out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(tensors: Mapping[str, Tensor]) -> Tensor:
        feeds = {name: np.ascontiguousarray(tensors[name].numpy()) for name in names}
        return torch.from_numpy(session.run(None, feeds)[0])

    return run


class PlaceByPlace:
    """Stepping through images by whole passes; see `zeuxis.sampling.raster.Stepper`."""

    def __init__(self, run: Runner, shape: tuple[int, int, int], levels: int, cond: Any) -> None:
        self.run, self.levels, self.cond, self.at = run, levels, cond, 0
        self.image_BPC = torch.full(shape, -1.0)

    @property
    def place(self) -> tuple[int, int]:
        """Pixel and channel of the next number."""
        return divmod(self.at, self.image_BPC.shape[2])

    def log_p(self) -> Tensor:
        """Of the next number, (B, L)."""
        pixel, channel = self.place
        return self.run({"place": torch.tensor([pixel]), **self.cond(self.image_BPC)})[:, channel]

    def push(self, level_B: Tensor) -> None:
        """Fix the next number."""
        pixel, channel = self.place
        self.image_BPC[:, pixel, channel] = from_levels(level_B, self.levels)
        self.at += 1


def outside(model: Model, folder: Path) -> Model:
    """The same model, whose networks are files of `folder`; it runs its own loops around them."""
    family: Any = model.family
    found = {path.stem: runner(path) for path in folder.glob(f"*{SUFFIX}")}
    for name in {"generate", "translate"} & set(found):
        setattr(family, name, functools.partial(_whole, found[name], name == "translate"))
    if isinstance(model.family, abilities.Encodes) and "encode" in found:
        code = "token" if isinstance(model.family, abilities.Tokenizes) else "latent"
        family.encode = lambda image, cond={}: found["encode"]({"image": image, **cond})
        family.decode = lambda latent, cond={}: found["decode"]({code: latent, **cond})
    if "velocity" in found:
        _step(family, found)
    if "log_p" in found:
        family.generate = functools.partial(_by_places, family.config, found["log_p"])
    return model


def _whole(run: Runner, translates: bool, *given: Any) -> Tensor:
    source = {"source": given[0]} if translates else {}
    noise, cond = given[1:3] if translates else given[:2]
    return run({**source, **{NOISE + key: value for key, value in noise.items()}, **cond})


def _step(family: Any, found: Mapping[str, Runner]) -> None:
    def velocity(x: Tensor, time: Tensor, length: Tensor | None = None, **given: Any) -> Tensor:
        run = found["velocity" if length is None else "jump"]
        asked = given.pop("told", None)
        for own in ("net", "tileable"):
            given.pop(own, None)
        at = {"x": x, "time": time, **({} if length is None else {"length": length})}
        return run({**at, **given, **(asked or {})})

    family.velocity = velocity
    for name in ("net", "jumper"):
        net: Any = getattr(family, name, None)
        if hasattr(net, "told"):
            net.told = lambda given: given
    if "mean" in found:
        family._means = lambda source: found["mean"]({"source": source})


def _by_places(
    config: Any, run: Runner, noise: Any, cond: Any, controls: Any, progress: Any = None
) -> Tensor:
    uniform_BHWC = noise["uniform"]
    height, width, channels = uniform_BHWC.shape[1:]
    shape = (len(uniform_BHWC), height * width, channels)

    def seen(image_BPC: Tensor) -> dict[str, Tensor]:
        return {"image": image_BPC.transpose(1, 2).unflatten(2, (height, width)), **cond}

    stepper = PlaceByPlace(run, shape, config.levels, seen)
    return draw(stepper, uniform_BHWC, config.levels, controls.temperature, None, progress)


def fresh(run: Path) -> Model:
    """The product in float32, whatever the run was trained in."""
    model = load(run, "cpu")
    model.precision = "float32"
    return model
