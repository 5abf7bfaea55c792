"""Help pages as plain text: usage, arguments, options, settings, examples.

Everything is shown as it is typed (`data.flip=false`), never as a type of Python. Nothing heavy is
imported before a family's settings are asked for.
"""

import shutil
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

WIDTH = 100
FROM_DATA = ("height", "width", "channels", "conditions", "numbers", "text")
"""Settings of a family that its data decides."""
FIRST = ("data.size", "data.conditions", "data.flip", "training.batch_size")
"""What most people change, beside the size of the network."""
SIZE = ("features", "widths")
"""How families call the size of their network."""


class App(typer.Typer):
    """Commands whose help pages are ours."""

    def command(self, name: str | None = None, **rest: Any) -> Callable[[Any], Any]:
        """Add a command, as `typer.Typer.command` does."""
        return super().command(name, **{"cls": Command, **rest})


class Command(TyperCommand):
    """A command with arguments, options and examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        formatter.width = _width()
        params: list[Any] = self.get_params(ctx)
        arguments = [p for p in params if p.param_type_name == "argument"]
        names = [p.metavar or p.name.upper() for p in arguments]
        words = [n if p.required else f"[{n}]" for n, p in zip(names, arguments, strict=True)]
        formatter.write_usage(ctx.command_path, " ".join([*words, "[OPTIONS]"]))
        self.format_help_text(ctx, formatter)
        meanings = [p.help or "" for p in arguments]
        _list(formatter, "Arguments", zip(names, meanings, strict=True))
        options = (p for p in params if p.param_type_name == "option" and not p.hidden)
        _list(formatter, "Options", ((_option(p), _meaning(p)) for p in options))
        self.format_settings(ctx, formatter)
        formatter.write("\n" + (self.epilog or "") + "\n")

    def format_settings(self, ctx: Any, formatter: Any) -> None:
        """Write what a command adds to its options."""


class Group(TyperGroup):
    """Commands under their headings."""

    headings: tuple[str, ...] = ()
    """In the order of the page."""
    rest = "Commands"
    """The heading of commands that name none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; without a command, ask for help."""
        return super().parse_args(ctx, args or ["--help"])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        formatter.width = _width()
        formatter.write_usage(ctx.command_path, "COMMAND ...")
        self.format_help_text(ctx, formatter)
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in self.headings}
        shown = {name: one for name, one in self.commands.items() if not one.hidden}
        for name, command in shown.items():
            heading = getattr(command, "rich_help_panel", None) or self.rest
            groups.setdefault(heading, []).append((name, (command.help or "").splitlines()[0]))
        for heading, rows in groups.items():
            _list(formatter, heading, rows)
        if self.epilog:
            formatter.write("\n" + self.epilog + "\n")


class FamilyCommand(Command):
    """A command whose help, once a family is named, also lists that family's settings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember the family, then parse as usual."""
        from zeuxis.families import FAMILIES

        ctx.obj = {
            "family": next((word for word in args if word in FAMILIES), None),
            "all": "--help-all" in args,
        }
        return super().parse_args(ctx, ["--help" if w == "--help-all" else w for w in args])

    def format_settings(self, ctx: Any, formatter: Any) -> None:
        """Write the settings that matter first, or with `--help-all` every one."""
        family, everything = ctx.obj["family"], ctx.obj["all"]
        sections = settings(family)
        if everything:
            for title, fields in sections.items():
                _list(formatter, title, fields.items())
            return
        found = {name: text for fields in sections.values() for name, text in fields.items()}
        first = [f"family.{name}" for name in SIZE] + list(FIRST)
        rows = [(n, t) for name in first for n, t in found.items() if n.startswith(f"{name}=")]
        whose = f"zeuxis train {family or 'FAMILY'} --help-all"
        _list(formatter, f"Settings to look at first (all: {whose})", rows)


def settings(family: str | None) -> dict[str, dict[str, str]]:
    """Title -> `path=default` -> meaning: what can be set for a family, or for any."""
    from zeuxis.core.settings import Data, Training

    found: dict[str, dict[str, str]] = {}
    defaults: Mapping[str, Any] = {}
    controls: dict[str, str] = {}
    presets: dict[str, str] = {}
    if family:
        from zeuxis import families
        from zeuxis.training import recipes

        cls = families.get(family)
        own = {key: f for key, f in cls.Config.model_fields.items() if key not in FROM_DATA}
        found[f"Network and objective of {family}"] = _fields("family.", own)
        defaults = cls.TRAINING.model_dump()
        controls = _fields("", cls.Controls.model_fields)
        presets = {f"--preset {p}": recipes.headline(family, p) for p in recipes.names(family)}
    found["Training"] = _fields("training.", Training.model_fields, defaults)
    found["Data and augmentation"] = _fields("data.", Data.model_fields)
    return {**found, "Controls of `zeuxis sample`": controls, "Presets": presets}


def _fields(
    prefix: str, fields: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> dict[str, str]:
    rows = {}
    for name, field in fields.items():
        default = (defaults or {}).get(name, field.get_default(call_default_factory=True))
        options = choices(field.annotation)
        about = " ".join((field.description or "").split())
        rows[f"{prefix}{name}={_word(default)}"] = f"{about} [{options}]" if options else about
    return rows


def choices(annotation: Any) -> str:
    """What may be typed for a setting with few values; empty for numbers and words.

    >>> choices(Literal["a", "b"] | None), choices(bool), choices(tuple[float, float])
    ('a|b', 'true|false', '')
    """
    options = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return "|".join(str(option) for option in options)
    if origin is typing.Union or isinstance(annotation, types.UnionType):
        return "|".join(filter(None, map(choices, options)))
    return "true|false" if annotation is bool else ""


def _word(value: Any) -> str:
    """A value as it would be typed."""
    if value is None:
        return "auto"
    if isinstance(value, tuple):
        return ",".join(_word(part) for part in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(formatter: Any, title: str, rows: Iterable[tuple[str, str]]) -> None:
    found = list(rows)
    if found:
        with formatter.section(title):
            formatter.write_dl(found)


def _width() -> int:
    return max(60, min(WIDTH, shutil.get_terminal_size().columns - 2))


def _option(param: Any) -> str:
    """`--steps NUMBER`, `--evaluate/--no-evaluate`."""
    kind = param.type_descriptor
    word = param.metavar
    if word is None and kind.is_choice:
        word = "|".join(map(str, kind.choices))
    elif word is None:
        words = {int: "NUMBER", float: "NUMBER", Path: "PATH"}
        word = words.get(kind.annotation, "TEXT")
    names = "/".join([", ".join(sorted(param.opts, key=len)[::-1]), *param.secondary_opts])
    return names if param.is_flag else f"{names} {word}"


def _meaning(param: Any) -> str:
    about = param.help or ""
    if param.required:
        return f"{about} [required]"
    plain = param.default is None or isinstance(param.default, bool | list)
    return about if plain or not param.show_default else f"{about} [default: {param.default}]"


# Usage errors


def usage(error: typer.TyperException) -> str:
    """One sentence for words that do not parse: what was found and what to type."""
    ctx = getattr(error, "ctx", None)
    name = getattr(error, "option_name", "") if hasattr(error, "possibilities") else ""
    where = f"see `{ctx.command_path} --help`" if ctx is not None else "see `zeuxis --help`"
    if name:
        return f"there is no option {name}{_instead(name, ctx)} ({where})"
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]} ({where})"


def _instead(name: str, ctx: Any) -> str:
    """What to type in place of an option that is not there; empty if nothing is like it."""
    from zeuxis.core.settings import Data, Training, nearest

    word = name.lstrip("-").replace("-", "_")
    params = ctx.command.params
    options = [o.lstrip("-") for p in params for o in p.opts if o.startswith("--")]
    takes = {param.name for param in params}
    known = {option.replace("-", "_"): f"--{option}" for option in options}
    if "overrides" in takes:
        for prefix, cls in (("training", Training), ("data", Data)):
            known |= {n: f"{prefix}.{n}=VALUE" for n in cls.model_fields if n not in known}
    near = nearest(word, known)
    if near is not None:
        return f"; did you mean {known[near]}?"
    return "; a family's controls are typed as NAME=VALUE" if "controls" in takes else ""
