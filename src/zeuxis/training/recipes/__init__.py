"""Recipes: one file per result that we stand behind, found by its name.

A recipe is a module `<family>_<preset>.py` whose docstring states the result, the time and the
machine, and whose `SETTINGS` are the overrides that lead there, as a user would type them (see
docs/decisions/0001-recipes-are-overrides.md).
"""

import importlib
import pkgutil
from typing import Any

from zeuxis.core.errors import NotFound
from zeuxis.core.settings import suggest


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


def _module(family: str, preset: str) -> Any:
    return importlib.import_module(f"{__name__}.{family}_{preset.replace('-', '_')}")
