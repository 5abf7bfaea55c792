"""A trained model on disk: a folder of JSON and tensors. Loading one runs no code that it brings.

run/
  config.json                 format, family, config, facts, and the SHA-256 of every other file
  model-<hash>.safetensors    the averaged weights
  dataset.json                what it was trained on, with the distribution of its labels
  README.md                   the same in words
  parts/<name>/               the artefact of a frozen model that it builds on, whole

`config.json` is replaced last, and it names the weights by their hash, so that a kill between two
files leaves the old artefact whole (docs/decisions/0002-content-addressed-weights.md).
"""

import functools
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pydantic
import safetensors.torch
import torch
from torch import Tensor

from zeuxis import __version__, families
from zeuxis.core import tensors
from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.family import Family, FamilyConfig
from zeuxis.core.files import (
    damaged,
    inside,
    read_json,
    read_sealed,
    sha256,
    write_file,
    write_json,
    write_sealed,
)
from zeuxis.core.settings import Hash, checked, similar
from zeuxis.core.words import code
from zeuxis.nn.condition import renamed

FORMAT = 1
PREMULTIPLIED = "premultiplied"
DEEPEST = 8
"""Parts in each other; so far no model has more than one."""
MOST_ROWS = 4096
"""Of labels: as many as a prepared set gives."""
LARGEST_COUNT = 10**12
"""Of one row of labels: so many images nobody has."""


class Progress(pydantic.BaseModel, strict=True):
    """How far training came."""

    step: int = 0
    steps: int = 0
    images: int = 0
    seconds: float = 0


class Stored(pydantic.BaseModel, strict=True):
    """How images were prepared."""

    fit: Literal["crop", "pad", "stretch"] = "crop"


class Content(pydantic.BaseModel, strict=True):
    """What others rely on in `config.json`; more may stand in it."""

    family: str
    config: dict[str, Any]
    files: dict[str, Hash]
    parts: dict[str, Hash] = {}
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    progress: Progress = Progress()
    data: Stored = Stored()
    machine: dict[str, Any] = {}
    training: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    source: str = ""
    zeuxis: str = ""
    dataset_hash: str = ""
    alpha: Literal["straight", "premultiplied"] = "straight"

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> "Content":
        if "dataset.json" not in self.files or weights({"files": self.files}) is None:
            raise Invalid("files must name dataset.json and the weights, model-*.safetensors")
        return self


class Dataset(pydantic.BaseModel):
    """What others rely on in `dataset.json`. Without labels, as after `fit` alone, all are unknown."""

    labels: list[tuple[list[pydantic.StrictInt], pydantic.StrictInt]] = []
    split: dict[str, Any] = {}

    def check(self, config: FamilyConfig) -> None:
        """Refuse labels that the conditions do not know, and counts that are none."""
        classes = [len(condition.classes) for condition in config.conditions]
        for row, count in self.labels if classes else ():  # without conditions nobody reads them
            known = len(row) == len(classes) and all(
                -1 <= one < n for one, n in zip(row, classes, strict=True)
            )
            if not known or not 0 <= count <= LARGEST_COUNT:
                raise Invalid(f"labels {str(row)[:40]}, {count:.3g} times, fit no condition")
        if classes and self.labels and not any(count for _, count in self.labels):
            raise Invalid("labels has no row that occurs")


class _Tree(NamedTuple):
    """An artefact on disk whose files and parts are those that were written, each read once."""

    folder: Path
    content: dict[str, Any]
    parts: dict[str, "_Tree"]


def save(
    folder: Path, name: str, model: Family, weights: Mapping[str, Tensor], **facts: Any
) -> None:
    """Write `weights` as those of `model`, a family called `name`.

    Args:
        folder: where; made if missing.
        name: the family's name in `FAMILIES`.
        model: gives the config and says which modules belong to the artefact.
        weights: full state dict; modules of phases with `keep=False` are left out.
        facts: JSON values. `dataset` becomes `dataset.json`, the rest goes to `config.json`.

    Raises:
        ValueError: a part was not loaded from an artefact, or that has changed since.
    """
    kept = {key: value for key, value in weights.items() if not is_dropped(model, key)}
    files = {}
    file = write_tensors(folder, "model", kept)
    files[file] = sha256(folder / file)
    write_json(folder / "dataset.json", facts.pop("dataset", {}))
    files["dataset.json"] = sha256(folder / "dataset.json")
    content = {
        "format": FORMAT,
        "family": name,
        "config": model.config.model_dump(mode="json"),
        "files": files,
        "parts": {
            part: _save_part(folder / "parts" / part, each) for part, each in model.parts.items()
        },
        "zeuxis": __version__,
        **facts,
        **({"alpha": _alpha(folder, model)} if model.config.channels == 4 else {}),
    }
    write_file(folder / "README.md", lambda path: path.write_text(_card(content)))
    write_sealed(folder / "config.json", content)
    drop_old_weights(folder, content)


def _alpha(folder: Path, model: Family) -> str:
    """Whether its colours are multiplied by alpha: those that a part makes are as that was trained."""
    parts = [read_json(folder / "parts" / part / "config.json") for part in model.parts]
    straight = any(part.get("alpha") != PREMULTIPLIED for part in parts)
    return "straight" if straight else PREMULTIPLIED


def drop_old_weights(folder: Path, content: Mapping[str, Any]) -> None:
    """Remove the weights that `config.json`, whose content is given, no longer names."""
    for stale in folder.glob("model-*.safetensors"):
        if stale.name not in content["files"]:
            stale.unlink()


def _save_part(dest: Path, part: Family) -> str:
    """Copy the part's artefact to `dest`, unless it is there; the SHA-256 of its `config.json`."""
    if part.origin is None:
        raise Invalid(f"the part {dest.name!r} was not loaded from a folder; save it and load it")
    folder, known = part.origin
    if (dest / "config.json").is_file() and sha256(dest / "config.json") == known:
        return known
    if copy(folder, dest) != known:
        raise Invalid(f"{folder} is not what was loaded as {dest.name!r}; start anew")
    return known


def _part(folder: Path, name: str) -> Path:
    """Where a part lies; never outside of the artefact, whatever its `config.json` says."""
    return inside(inside(folder, "parts"), name)


def write_tensors(folder: Path, stem: str, tensors: Mapping[str, Tensor]) -> str:
    """Write `<stem>-<hash>.safetensors` and return its name."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    content = safetensors.torch.save(plain)
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    write_file(folder / name, lambda path: path.write_bytes(content))
    return name


def copy(source: Path, dest: Path) -> str:
    """Copy an artefact and nothing else of a run; the SHA-256 of its `config.json`.

    The card is written anew, since nothing vouches for what may stand in a `README.md`.

    Raises:
        ValueError: as `read`.
    """
    content = read(source)
    beside = dest.with_name(dest.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name in (*content["files"], "config.json"):
        write_file(beside / name, functools.partial(shutil.copyfile, inside(source, name)))
    write_file(beside / "README.md", lambda path: path.write_text(_card(content)))
    for part in content.get("parts", {}):
        copy(_part(source, part), beside / "parts" / part)
    shutil.rmtree(dest, ignore_errors=True)
    beside.rename(dest)
    return sha256(dest / "config.json")


def read(folder: Path) -> dict[str, Any]:
    """The checked content of an artefact's `config.json`, with `dataset` filled in.

    Raises:
        ValueError: not an artefact, of a later format, or damaged; the message says what to do.
    """
    return _tree(folder).content


def _tree(folder: Path, depth: int = 0) -> _Tree:
    if not (folder / "config.json").is_file():
        raise NotFound(
            f"{folder} holds no trained model (no config.json){similar(folder)}; "
            "give the folder that `zeuxis train` wrote"
        )
    content = read_sealed(inside(folder, "config.json"))
    found = content.get("format")
    if type(found) is not int or found != FORMAT:
        raise Invalid(f"{folder} has format {found!r:.40}, expected {FORMAT}; update zeuxis")
    checked(Content, content, folder / "config.json")
    for name, expected in content["files"].items():
        path = inside(folder, name)
        if not path.is_file() or sha256(path) != expected:
            raise Invalid(damaged(path))
    parts = {}
    for part, expected in content.get("parts", {}).items():
        if depth == DEEPEST:
            raise Invalid(
                f"{folder} has parts inside {DEEPEST} others; get it again from its maker"
            )
        file = _part(folder, part) / "config.json"
        if not file.is_file() or sha256(file) != expected:
            raise Invalid(damaged(file))
        parts[part] = _tree(file.parent, depth + 1)
    content["dataset"] = read_json(folder / "dataset.json")
    return _Tree(folder, content, parts)


def weights(content: Mapping[str, Any]) -> str | None:
    """The name of the file of weights in a `config.json`, which is also their hash."""
    return next((name for name in content.get("files", ()) if name.startswith("model-")), None)


def load(folder: Path) -> Family:
    """The family in `folder`, in `eval` mode, without gradients.

    Raises:
        ValueError: as `read`, or the weights do not belong to the config.
    """
    return load_with_facts(folder)[0]


def load_with_facts(folder: Path) -> tuple[Family, dict[str, Any]]:
    """The family in `folder` and what `read` gives, both of one moment: training may go on meanwhile.

    Raises:
        ValueError: as `load`.
    """
    while True:
        before = _version(folder)
        try:
            tree = _tree(folder)
            return _rebuild(tree), tree.content
        except (OSError, ValueError):
            if before == _version(folder):
                raise  # else a save has just replaced the weights that were looked for


def _version(folder: Path) -> tuple[int, int] | None:
    """What changes whenever `config.json` is written."""
    try:
        found = (folder / "config.json").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _rebuild(tree: _Tree) -> Family:
    """The family that it describes."""
    folder, content = tree.folder, tree.content
    name = content["family"]
    config = checked(families.get(name).Config, content["config"], folder / "config.json")
    file = folder / "dataset.json"
    labels = content["dataset"].get("labels")
    if isinstance(labels, list) and len(labels) > MOST_ROWS:
        raise Invalid(f"{file} has {len(labels):,} rows of labels, expected {MOST_ROWS:,} at most")
    known = checked(Dataset, content["dataset"], file)
    try:
        known.check(config)
    except ValueError as error:
        raise Invalid(f"{file}: {error}") from error
    path = inside(folder, weights(content))
    found = tensors.header(path)
    parts = {part: _rebuild(each) for part, each in tree.parts.items()}
    try:
        with tensors.Budget(found):
            model = families.build(name, config, parts=parts)
    except (ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise Invalid(f"{folder} cannot be built: {error}") from error
    kept = {key for key in model.state_dict() if not is_dropped(model, key)}
    tensors.fill(model, path, found, kept, renamed)
    model.origin = (folder, sha256(folder / "config.json"))
    model.ready()
    return model.eval().requires_grad_(False)


def is_dropped(model: Family, key: str) -> bool:
    """Whether the tensor called `key` belongs to a module that only training needs."""
    paths = [path for phase in model.phases() if not phase.keep for path in phase.modules]
    return any(key.startswith(path + ".") for path in paths)


def state(model: torch.nn.Module) -> dict[str, Tensor]:
    """The state dict, detached."""
    return {key: value.detach() for key, value in model.state_dict().items()}


def _adopted(content: Mapping[str, Any]) -> str:
    """The card of a model that others have trained."""
    config, adopted = content["config"], content.get("adopted", {})
    licence = adopted.get("licence")
    return f"""# {code(adopted.get("name", "A pipeline"))}, used with Zeuxis {content["zeuxis"]}

- A {code(config["pipeline"])} of diffusers. Others have trained it: its weights are theirs, lie in a folder
  of their own, and are only named here, with their hashes.
- Licence: {code(licence) if licence else "not stated in that folder; ask whoever made it"}
- Images from this model are generated: say so where you show them.

Use: `zeuxis sample . --text "a red cat"`,
or `zeuxis.load(".")` in Python.
"""


USES = {
    "generate": "zeuxis sample {} --count 64 --seed 7 --grid sheet.png",
    "translate": "zeuxis translate {} SOURCES/ --grid both.png",
    "reconstruct": "zeuxis reconstruct {} PHOTOS/ --grid before-after.png",
}


def usage(family: str, run: str) -> str:
    """A command that makes images by a trained model of a family; of what it can do, if it makes none."""
    return USES.get(families.get(family).shows() or "", "zeuxis families").format(run)


def _card(content: Mapping[str, Any]) -> str:
    """A short model card."""
    if content["family"] in families.ADOPTED:
        return _adopted(content)
    config, progress = content["config"], content.get("progress", {})
    size = f"{config['height']} x {config['width']}, {config['channels']} channel(s)"
    conditions = ", ".join(code(condition["name"]) for condition in config["conditions"]) or "none"
    command = (
        f"- To repeat this run bit for bit: {code(content['command'])}\n"
        if "command" in content
        else ""
    )
    return f"""# A `{content["family"]}` trained with Zeuxis {content["zeuxis"]}

- Images: {size}; conditions: {conditions}
- Trained on: {code(content["source"]) if "source" in content else "unknown"}
- Step {progress.get("step")} of {progress.get("steps")}, {progress.get("images")} images seen
{command}- Images from this model are generated: say so where you show them.

Use: `{usage(content["family"], ".")}`,
or `zeuxis.load(".")` in Python.
"""
