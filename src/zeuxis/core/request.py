"""What is asked of training, as a value: Python, the command line, a contest and a JSON body all make one."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

import pydantic

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.settings import Data, Settings, Training, explain, override, suggest


def _path(given: Any) -> Any:
    return os.fspath(given) if isinstance(given, os.PathLike) else given


GROUNDS = ("consented", "acknowledged")
"""Why pictures of people may be trained on."""

Place = Annotated[str, pydantic.BeforeValidator(_path)]
Values = dict[str, pydantic.JsonValue]


def _known(given: Any, fields: Iterable[str], what: str) -> Any:
    """What is given, once all its names are known."""
    for name in given if isinstance(given, Mapping) else ():
        if name not in fields:
            raise NotFound(f"no {what} {name!r}; {suggest(str(name), fields)}")
    return given


class Overrides(Settings):
    """Settings of a run in place of its defaults; a value is as in JSON, or a word as it is typed."""

    family: Values = pydantic.Field({})
    """Of the family's network and loss, such as {"width": 64}."""
    data: Values = pydantic.Field({})
    """Of how images become batches, such as {"size": [64, 64]}."""
    training: Values = pydantic.Field({})
    """Of the optimiser and the loop, such as {"lr": 3e-4}."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        return _known(given, cls.model_fields, "part of the settings")

    def words(self) -> dict[str, dict[str, str]]:
        """The values as words, of the family, the data and the training."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            part: {name: word(value) for name, value in values.items()}
            for part, values in parts.items()
        }

    def paths(self) -> dict[str, str]:
        """The values as `path: word`, as a command line has them."""
        return {
            f"{part}.{name}": word
            for part, values in self.words().items()
            for name, word in values.items()
        }


class Request(Settings):
    """What to train, on what, how long and where."""

    family: str
    """A name of `zeuxis families`."""
    source: Place
    """Images in any form that `zeuxis.data` reads, or a prepared set."""
    out: Place | None = None
    """The run's folder, by default `runs/<family>-<source>`. A stopped run in it is continued."""
    minutes: float | None = None
    """Wall time until a first report; turned into steps once, before step 0."""
    steps: int | None = pydantic.Field(None, ge=1)
    """Optimiser steps, instead of minutes. With neither, the family's own number."""
    preset: str | None = None
    """A recipe of this family: settings to start from."""
    seed: int = 0
    """Same seed, machine and threads: same bits."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    threads: int | None = pydantic.Field(None, ge=1)
    """CPU threads; by default one per core, or with `minutes` one in all where that is quicker."""
    start_from: Place | None = None
    """An artefact whose weights to start from."""
    keep: Literal["last", "best"] = "last"
    """The weights of the last step, or the best by the probes' kernel distance."""
    fresh: bool = False
    """Rename what is in `out` and start anew."""
    evaluate: bool = True
    """Measure the result, in a fifth of the training time and 3 minutes at most."""
    faces: str | None = None
    """Why a set of which over 5 % show faces may be trained on: `consented=REGISTER`, a file, or
    `acknowledged=REASON`. Written into the run and its card."""
    overrides: Overrides = Overrides()
    """Settings in place of the defaults, nested: {"training": {"lr": 3e-4}}."""

    @classmethod
    def read(cls, values: Mapping[str, Any] | str) -> Self:
        """A request of values by name, or of a JSON text.

        >>> Request.read({"family": "gan", "source": "photos", "minutes": 10}).minutes
        10.0

        Raises:
            Invalid: an unknown setting or a wrong value, in one sentence.
        """
        try:
            return cls.model_validate_json(values) if isinstance(values, str) else cls(**values)
        except pydantic.ValidationError as error:
            raise Invalid(explain(error)) from error

    @pydantic.model_validator(mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        return _known(given, cls.model_fields, "setting of a request")

    @pydantic.field_validator("faces")
    @classmethod
    def _ground(cls, faces: str | None) -> str | None:
        word, _, rest = (faces or "acknowledged=-").partition("=")
        if word not in GROUNDS or not rest.strip():
            raise Invalid("expected consented=REGISTER or acknowledged=REASON")
        return faces

    def ground(self) -> tuple[str, str]:
        """`consented` and the path of a register, `acknowledged` and the reason, or nothing twice."""
        word, _, rest = (self.faces or "").partition("=")
        return word, rest.strip()

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> Self:
        words = self.overrides.words()
        override(Data(), words["data"], "data.")
        override(Training(), words["training"], "training.")
        if self.minutes is not None and (self.steps or "steps" in words["training"]):
            raise Invalid("found both minutes and steps; give one of them")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise Invalid(f"minutes is a positive number, not {self.minutes}")
        return self


def nested(words: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort `path: value` into the values of the family, the data and the training.

    >>> nested({"family.width": "64"})["family"]
    {'width': '64'}

    Raises:
        NotFound: a path that starts elsewhere.
    """
    parts: dict[str, dict[str, Any]] = {name: {} for name in Overrides.model_fields}
    for path, value in words.items():
        part, dot, name = path.partition(".")
        if part not in parts or not dot:
            raise NotFound(
                f"no setting {path!r}; settings start with family., data. or training., "
                f"{suggest(part, parts)}"
            )
        parts[part][name] = value
    return parts


def word(value: Any) -> str:
    """A JSON value as it is typed on a command line."""
    if isinstance(value, list | tuple):
        return ",".join(map(word, value))
    if value is None:
        return "auto"
    return value if isinstance(value, str) else json.dumps(value)
