"""Recipes: one file per result that we stand behind, found by its name.

A recipe is a module `<family>_<preset>.py` whose docstring states the result, the time and the
machine, and whose `SETTINGS` are the overrides that lead there, as a user would type them (see
docs/decisions/0001-recipes-are-overrides.md). A user's own recipe is a TOML file with the same in it, as
`zeuxis tune` writes it: comments, `family` and `[settings]`.
"""

import importlib
import json
import pkgutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.files import write_file
from zeuxis.core.settings import suggest

FILE = ".toml"
LARGEST = 1 << 20
"""Bytes of a file."""


def names(family: str) -> tuple[str, ...]:
    """The presets of `family`, in alphabetical order."""
    stems = (module.name for module in pkgutil.iter_modules(__path__))
    mine = (stem.removeprefix(f"{family}_") for stem in stems if stem.startswith(f"{family}_"))
    return tuple(sorted(stem.replace("_", "-") for stem in mine))


def find(family: str, preset: str | None) -> dict[str, str]:
    """The settings of `family`'s recipe `preset`, as `path: text`; none without a preset.

    Raises:
        ValueError: there is no such preset; the message names the nearest.
    """
    if preset is None:
        return {}
    known = names(family)
    if preset not in known:
        raise NotFound(f"{family} has no preset {preset!r}; {suggest(preset, known)}")
    return dict(_module(family, preset).SETTINGS)


def headline(family: str, preset: str) -> str:
    """The first line of a recipe's docstring."""
    return (_module(family, preset).__doc__ or "").strip().splitlines()[0]


def expanded(
    family: str, preset: str | None, settings: Mapping[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """A preset and the settings on top of it, where the preset may be the file of a recipe.

    Of a file nothing but its settings remains, so that a run does not depend on where it lay.

    Raises:
        Invalid: the file is missing, no recipe, or one of another family.
    """
    if preset is None or not preset.endswith(FILE):
        return preset, dict(settings)
    path = Path(preset)
    if not path.is_file():
        raise NotFound(f"there is no recipe {path}; `zeuxis tune` writes one")
    whose, found = read(path)
    if whose != family:
        raise Invalid(f"{path} is a recipe for {whose}, not for {family}")
    return None, {**found, **settings}


def read(path: Path) -> tuple[str, dict[str, str]]:
    """Family and settings of a recipe's file.

    Raises:
        Invalid: it is none.
    """
    try:
        content = path.read_bytes()[: LARGEST + 1]
        values = tomllib.loads(content.decode()) if len(content) <= LARGEST else {}
    except ValueError as error:
        raise Invalid(f"{path} is not valid TOML ({error})") from error
    family, settings = values.get("family"), values.get("settings")
    if not isinstance(family, str) or not isinstance(settings, dict):
        raise Invalid(f'{path} is no recipe: expected family = "NAME" and [settings]')
    for name, value in settings.items():
        if not isinstance(value, str):
            raise Invalid(f'{path}: "{name}" is {value!r}, expected a word in quotes')
    return family, settings


def write(path: Path, family: str, settings: Mapping[str, str], about: Sequence[str]) -> None:
    """Write a recipe's file.

    Args:
        path: of the file.
        family: whose.
        settings: `path: word`.
        about: lines of comment: result, time, machine.
    """
    lines = [f"# {line}" for line in about]
    lines += [f"family = {json.dumps(family)}", "", "[settings]"]
    lines += [f"{json.dumps(name)} = {json.dumps(word)}" for name, word in settings.items()]
    text = "\n".join(lines) + "\n"
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _module(family: str, preset: str) -> Any:
    return importlib.import_module(f"{__name__}.{family}_{preset.replace('-', '_')}")
