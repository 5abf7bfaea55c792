"""A verb, what can be done with a model or with pictures alone, is declared once: a function with types.

From its signature follow the method of `Model` or the function of `create`, the command, the JSON schema
of a request, and the tests that hold for all verbs. The type of an argument knows how it is given in each
of these places, the type of the result how it is written. Nothing here imports torch or numpy before a
verb is called.

    @verb("Completes", "zeuxis complete runs/flow photos/ --mask hole.png")
    def complete(model, images: Pixels, mask: Mask, seed: Seed = 0, ...) -> Images:
        ...

One that needs no ability takes no model: its arguments are read and checked with None in its place.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.inference.results import UNMARKED, Result

if TYPE_CHECKING:
    import pydantic

    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model
    from zeuxis.marks.metadata import Kept


class Encoded:
    """Type in a JSON body of a file's bytes."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, str]:
        """As OpenAPI has it."""
        return {"type": "string", "contentEncoding": "base64"}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A text."""
        return handler(str)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Argument:
    """How an argument is given: in Python, as a word of the command line, in a JSON body.

    Attributes:
        help: a sentence for a reader of `--help` or of a form.
        word: type of a word on the command line.
        body: type in a JSON body.
        option: it has a name on the command line (`--seed 3`); else it goes by its place.
        metavar: what stands for its value in help.
        flag: its name on the command line, if not the parameter's.
    """

    help: str
    word: Any = str
    body: Any = str
    option: bool = True
    metavar: str | None = None
    flag: str | None = None

    def read(self, model: "Model", word: Any, progress: "Progress | None") -> Any:
        """The value that a word of the command line stands for; files are read here."""
        return word

    @property
    def is_file(self) -> bool:
        """Whether it is given as a file, or as several."""
        return Encoded in (self.body, *typing.get_args(self.body))

    def schema(self) -> Any:
        """Type in a JSON body, with its bounds."""
        return self.body

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """The value that one of a JSON body stands for; a file is its bytes, or they as base64.

        Words are refused unless a type of argument says otherwise: on the command line they may be paths,
        and a request names no file of the machine that answers it.

        Args:
            model: that the verb is asked of.
            value: of the body, or the default.
            most: images that a request may give or ask for.

        Raises:
            Invalid: it is of another type, or cannot be read.
            TooLarge: more images.
        """
        if _has_words(value):
            raise Invalid(f"found {value!r:.80}; a request cannot name what is on this machine")
        return value

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """The value as the verb takes it.

        Args:
            model: that the verb is asked of.
            value: as Python gives it, or `read`.
            given: the arguments of the call, as they were given.

        Raises:
            Invalid: it is wrong.
        """
        return value

    def plain(self, value: Any) -> Any:
        """What the provenance of a result says of a value, as JSON; None leaves it out."""
        return None

    def is_source(self, model: "Model", value: Any) -> bool:
        """Whether a value is pictures that the result is made from."""
        return False

    def kept(self, value: Any, checked: Any) -> "Sequence[Kept | None]":
        """What the files of such pictures said of themselves.

        Args:
            value: as it was given.
            checked: what `check` made of it.
        """
        return getattr(value, "kept", ())


def _has_words(value: Any) -> bool:
    """Whether a JSON value is a text or holds one; names of an object do not count."""
    if isinstance(value, dict | list):
        return any(map(_has_words, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What can be done with the results of all verbs of a kind, by arguments that all of these have.

    Attributes:
        of: kind of result.
        run: (result, progress=..., and the arguments by name) -> a result of the same kind.
        arguments: by name; each may be left out.
        defaults: values of those that are left out, where they are not None.
    """

    of: type[Result]
    run: Callable[..., Any]
    arguments: Mapping[str, Argument]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Verb:
    """A function of a model or of pictures, under the name that it has everywhere.

    Attributes:
        run: the function; its first parameter is the model, if it needs one.
        needs: name of the ability in `core.abilities` that a family must have; empty if it takes no model.
        examples: commands.
        device: where the model runs, if it is not to be chosen.
        alias: another name of the command.
        marked: whether pictures that it gives say where they come from, once they are written.
        stages: what can follow, in this order.
    """

    run: Callable[..., Result]
    needs: str
    examples: tuple[str, ...]
    device: str = "auto"
    alias: str = ""
    marked: bool = True
    stages: tuple[Stage, ...] = ()

    @property
    def name(self) -> str:
        """As it is typed and called."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring."""
        return " ".join((inspect.getdoc(self.run) or "").split("\n\n")[0].split())

    @property
    def gives(self) -> type[Result]:
        """Class of the result."""
        found: type[Result] = inspect.signature(self.run).return_annotation
        return found

    @functools.cached_property
    def arguments(self) -> dict[str, Argument]:
        """What it takes, in order, but for the model, the family's controls and `progress`."""
        own = {
            name: argument
            for name, parameter in self._parameters.items()
            for argument in getattr(parameter.annotation, "__metadata__", ())
            if isinstance(argument, Argument)
        }
        return {**own, **self._later}

    @property
    def _later(self) -> Mapping[str, Argument]:
        """Arguments of what follows."""
        return {name: one for stage in self.stages for name, one in stage.arguments.items()}

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """Values of the arguments that may be left out."""
        own = {name: self._parameters[name].default for name in self._parameters}
        known = {**own, **dict.fromkeys(self._later)}
        known |= {name: value for stage in self.stages for name, value in stage.defaults.items()}
        empty = inspect.Parameter.empty
        return {name: known[name] for name in self.arguments if known[name] is not empty}

    @property
    def files(self) -> list[str]:
        """Names of the arguments that must be given and are files."""
        known = self.arguments.items()
        return [name for name, one in known if one.is_file and name not in self.defaults]

    @property
    def has_controls(self) -> bool:
        """Whether the family's controls apply."""
        return "controls" in self._parameters

    @functools.cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.run).parameters

    def of(self, model: "Model | None") -> Callable[..., Any]:
        """The function that Python calls, with its documentation."""
        return functools.wraps(self.run)(functools.partial(self, model))

    def __call__(
        self, model: Any, *values: Any, progress: "Progress | None" = None, **given: Any
    ) -> Result:
        """Check every value, then run.

        Args:
            model: a trained model; None if it takes none.
            values: arguments by place.
            progress: called with (images done, of how many).
            given: arguments by name; what is no argument is a control of the family.

        Raises:
            Unable: the family cannot do that.
            Invalid: an argument or control is wrong or missing.
        """
        origin, takes = {"verb": self.name}, []
        if self.needs:
            model.able(self.needs, self.name)
            known_by = {"run": model.folder.resolve().name, "family": model.facts["family"]}
            known_by |= {"weights": model.weights} if model.weights else {}
            origin = {**known_by, **origin}
            takes = [model]
        asked, controls = self._bind(values, given)
        checked = {
            name: argument.check(model, asked[name], asked)
            for name, argument in self.arguments.items()
        }
        facts = {name: a.plain(asked[name]) for name, a in self.arguments.items()}
        if self.has_controls:
            checked["controls"] = model.controls(controls)
            facts["controls"] = checked["controls"].model_dump()
        later = {name: checked.pop(name) for name in self._later}
        result = self.run(*takes, **checked, progress=progress)
        for stage in self.stages:
            given = {name: later[name] for name in stage.arguments}
            result = stage.run(result, **given, progress=progress)
        known = {name: value for name, value in facts.items() if value is not None}
        read = next((value for value in asked.values() if hasattr(value, "kept")), None)
        sources = [n for n, a in self.arguments.items() if a.is_source(model, asked[n])]
        kept: Sequence[Kept | None] = ()
        for name in sources[:1]:
            kept = self.arguments[name].kept(asked[name], checked[name])
        origin |= result.origin(bool(sources)) if self.marked else UNMARKED
        return dataclasses.replace(result.known_as(origin | known, read), kept=kept)

    def _bind(
        self, values: tuple[Any, ...], given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments by name, and what is left for the family's controls."""
        names = list(self.arguments)
        placed = [name for name in names if name not in self._later]
        if len(values) > len(placed):
            raise Invalid(f"{self.name} takes at most {len(placed)} values: {', '.join(placed)}")
        asked = self.defaults | dict(zip(placed, values, strict=False)) | dict(given)
        controls = {name: asked.pop(name) for name in list(asked) if name not in names}
        if controls and not self.has_controls:
            raise Invalid(f"{self.name} takes no {', '.join(controls)}, only {', '.join(names)}")
        missing = [name for name in names if name not in asked]
        if missing:
            raise Invalid(f"{self.name} needs {' and '.join(missing)}")
        return asked, controls

    def read(
        self, model: Any, words: Mapping[str, Any], progress: "Progress | None" = None
    ) -> dict[str, Any]:
        """The values that words of the command line stand for, by name."""
        return {
            name: self.arguments[name].read(model, word, progress) for name, word in words.items()
        }

    def take(self, model: "Model", body: Mapping[str, Any], most: int) -> dict[str, Any]:
        """The values that a JSON body stands for, by name, the family's controls among them.

        Args:
            model: that the verb is asked of.
            body: as `body` describes it.
            most: images that a request may give or ask for.

        Raises:
            NotFound: an unknown argument or control.
            Invalid: a value of another type, or that cannot be read.
            TooLarge: more images.
        """
        from zeuxis.core.settings import suggest

        names = [*self.arguments, *(("controls",) if self.has_controls else ())]
        for name, value in body.items():
            if name not in names:
                raise NotFound(f"{self.name} takes no {name!r}; {suggest(name, names)}")
            if value is None and name in self.arguments and name not in self.defaults:
                raise Invalid(f"{self.name} needs {name}, and found null")
        controls = body.get("controls") or {}
        if not isinstance(controls, dict):
            raise Invalid(f"controls is {controls!r}; expected an object of values by name")
        if controls:
            model.controls(controls)  # none is called like an argument
        given = {**self.defaults, **body}
        return controls | {
            name: argument.take(model, given[name], most)
            for name, argument in self.arguments.items()
            if name in given
        }

    def body(
        self, controls: "type[pydantic.BaseModel] | None" = None
    ) -> "type[pydantic.BaseModel]":
        """The JSON body of a request, as a model with a schema; with the family's controls, or with any."""
        import pydantic

        fields: dict[str, Any] = {}
        for name, argument in self.arguments.items():
            default = self.defaults.get(name, ...)
            fields[name] = (
                argument.schema(),
                pydantic.Field(default, description=argument.help),
            )
        if self.has_controls:
            kind = controls or dict[str, Any]
            fields["controls"] = (kind, pydantic.Field(default_factory=controls or dict))
        made: type[pydantic.BaseModel] = pydantic.create_model(
            f"{self.name.title()}Request",
            __config__=pydantic.ConfigDict(extra="forbid"),
            __doc__=self.summary,
            **fields,
        )
        return made


def verb(
    needs: str, *examples: str, device: str = "auto", alias: str = "", marked: bool = True
) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function a verb; `Verb` says what the values are."""
    return lambda run: Verb(run, needs, examples, device, alias, marked)


def followed(verb: Verb, *stages: Stage) -> Verb:
    """A verb, and after it those of the stages that are for what it gives."""
    fit = tuple(stage for stage in stages if issubclass(verb.gives, stage.of))
    return dataclasses.replace(verb, stages=fit)
