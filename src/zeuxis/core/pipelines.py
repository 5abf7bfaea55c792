"""Pipelines of the diffusers library on disk: which can be used, what is read of them, what is refused.

A pipeline is a folder: `model_index.json` names its class and, for each part, a library and a class; each
part has a folder of JSON and safetensors. Whoever wrote it is a stranger: no code of it is run, no pickle
is read.
"""

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.files import read_json


class Usual(NamedTuple):
    """What suits a pipeline: network passes, guidance, and cells of a latent that sides are multiples of."""

    steps: int
    guidance_scale: float
    cells: int = 1


PIPELINES = {
    "StableDiffusionPipeline": Usual(30, 7.5),
    "StableDiffusionXLPipeline": Usual(30, 5.0),
    "LatentConsistencyModelPipeline": Usual(4, 8.5),
    "StableDiffusion3Pipeline": Usual(28, 7.0, 2),
    "FluxPipeline": Usual(28, 3.5, 2),
}
"""Classes that can be adopted."""
FEW = Usual(4, 1.0)
"""For what was distilled to few steps without guidance."""
DISTILLED = ("turbo", "lightning", "lcm", "schnell", "hyper")
"""Parts of the names of folders of such."""
INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")
"""Where the classes of a pipeline's parts come from; the last is a part of diffusers."""
PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}
READ = {".safetensors", ".json", ".txt", ".model"}
"""Suffixes of the files of a pipeline's parts that are read."""
HALF = re.compile(r"\.fp16(?=[.-])")
"""In the name of a file of weights, what says that they are float16."""


def needed() -> Any:
    """The library diffusers, which is told to open no connection and to say little.

    Raises:
        Unable: it is not installed.
    """
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        found = importlib.import_module("diffusers")
        for library in ("diffusers", "transformers"):
            said = importlib.import_module(f"{library}.utils.logging")
            said.set_verbosity_error()
            said.disable_progress_bar()
    except ImportError as error:
        raise Unable(
            f"a pretrained pipeline needs {error.name}, which is not installed: "
            "pip install 'zeuxis[pretrained]'"
        ) from error
    return found


def index_of(folder: Path) -> dict[str, Any]:
    """What a pipeline says of itself, once it is known to be one that can be adopted.

    Raises:
        NotFound: it is no pipeline.
        Invalid: it brings code or pickles, or is of another class.
    """
    if not (folder / INDEX).is_file():
        raise NotFound(
            f"{folder} is no pipeline of diffusers (no {INDEX}); give a folder that save_pretrained wrote"
        )
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICKLES:
            raise Invalid(
                f"{path} is a pickle, which can run code as it is read; get the pipeline as .safetensors, "
                "and delete that file"
            )
        if path.suffix.lower() == ".py":
            raise Invalid(
                f"{path} is code, and none of a pipeline is run; delete it if it is not needed"
            )
    index = read_json(folder / INDEX)
    name = index.get("_class_name")
    if not isinstance(name, str) or name not in PIPELINES:
        raise Invalid(
            f"{folder} is a {str(name)[:80]}; those that can be adopted are {', '.join(PIPELINES)}"
        )
    for part, (library, _) in parts_of(index).items():
        if library not in LIBRARIES:
            raise Invalid(
                f"the {part} of {folder} is code of {str(library)[:80]!r}, and none but diffusers' and "
                "transformers' is run"
            )
    for path in folder.glob("*/*config.json"):
        if "auto_map" in read_json(path, finite=False):
            raise Invalid(
                f"{path} asks for code of its own (auto_map), and none of a pipeline is run"
            )
    return index


def parts_of(index: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Library and class of each part of a pipeline that is there."""
    pairs = {name: tuple(value) for name, value in index.items() if isinstance(value, list)}
    return {name: pair for name, pair in pairs.items() if len(pair) == 2 and pair[0] is not None}


def files_of(folder: Path) -> list[str]:
    """Paths in the folder of all that is read of a pipeline.

    Raises:
        NotFound, Invalid: as `index_of`.
    """
    parts = parts_of(index_of(folder))
    found = [path for part in parts for path in (folder / part).glob("*") if path.suffix in READ]
    return sorted([INDEX, *(path.relative_to(folder).as_posix() for path in found)])


def usual(folder: Path) -> Usual:
    """What suits a pipeline: its class's, or few steps without guidance if it was distilled to that.

    Those that were distilled have the same class as those that were not. Their name says so, or their
    scheduler (one for few steps, or Euler's with steps counted from the end), or a network without guidance.
    """
    index = index_of(folder)
    known = PIPELINES[index["_class_name"]]
    kind = str(index.get("scheduler", ("", ""))[1])
    config = _config(folder, "scheduler", "scheduler_config.json")
    trailing = kind.startswith("Euler") and config.get("timestep_spacing") == "trailing"
    few = kind in ("LCMScheduler", "TCDScheduler") or trailing
    few |= _config(folder, "transformer", "config.json").get("guidance_embeds") is False
    named = any(word in folder.name.lower() for word in DISTILLED)
    is_few = (few or named) and known.steps > FEW.steps
    return FEW._replace(cells=known.cells) if is_few else known


def is_half(folder: Path) -> bool:
    """Whether some weights are stored as float16 alone."""
    names = {name for name in files_of(folder) if name.endswith(".safetensors")}
    return any(HALF.search(name) and HALF.sub("", name) not in names for name in names)


def side(folder: Path) -> int:
    """Pixels of a side of the square images that it was trained for."""
    blocks = _config(folder, "vae", "config.json").get("block_out_channels", [0] * 4)
    networks = [_config(folder, part, "config.json") for part in ("unet", "transformer")]
    given = [net.get("sample_size") for net in networks]
    cells = next((one for one in given if type(one) is int), 128 if networks[1] else 64)
    return cells * 2 ** (len(blocks) - 1)


def licence(folder: Path) -> str:
    """As its model card or its LICENSE states it, in a line; "" if neither does."""
    card = folder / "README.md"
    if card.is_file():
        text = card.read_text("utf-8", "replace")
        front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
        found = dict(
            re.findall(r"^(license(?:_name)?)\s*:\s*(.+?)\s*$", front[1] if front else "", re.M)
        )
        stated = found.get("license_name") or found.get("license")
        if stated:
            return stated.strip("\"' ")[:80]
    for path in sorted(folder.glob("LICEN[CS]E*")):
        lines = path.read_text("utf-8", "replace").splitlines()
        if first := next((line.strip() for line in lines if line.strip()), ""):
            return first[:80]
    return ""


def _config(folder: Path, part: str, file: str) -> dict[str, Any]:
    path = folder / part / file
    return read_json(path, finite=False) if path.is_file() else {}
