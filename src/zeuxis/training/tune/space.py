"""What a search may turn: the settings that a family declares, and those that a user names."""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.request import word
from zeuxis.core.settings import read_value, suggest
from zeuxis.core.space import Among, Around, Range, Span, parse
from zeuxis.training.resolved import GENERATED, Resolved

if TYPE_CHECKING:
    import optuna

AUGMENTATIONS = ("flip", "flip_vertical", "crop", "rotate", "colour")
"""Settings of the data that may be searched: others change the images that all trials are compared by."""
FIXED = ("steps", "seed", "log_every", "save_every", "probe_every", "sheet_every", "doctor")
"""Settings of the training that may not: budget, luck and what looks on."""
POINTS = 3
"""Values of a span in a grid."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """One setting that is searched.

    Attributes:
        path: of the setting, such as training.lr.
        range: where.
        whole: whether it is a whole number.
        preset: its value without a search, as in JSON; the word of one of many.
    """

    path: str
    range: Range
    whole: bool
    preset: Any

    @property
    def low(self) -> float | int:
        """Lower end of a span."""
        assert isinstance(self.range, Span)
        return int(self.range.low) if self.whole else self.range.low

    @property
    def high(self) -> float | int:
        """Upper end of a span."""
        assert isinstance(self.range, Span)
        return int(self.range.high) if self.whole else self.range.high

    def suggest(self, trial: "optuna.Trial") -> Any:
        """A value of this trial: the one that it has, or a new one."""
        if isinstance(self.range, Among):
            return trial.suggest_categorical(self.path, self.range.words)
        log = self.range.log
        if self.whole:
            return trial.suggest_int(self.path, int(self.low), int(self.high), log=log)
        return trial.suggest_float(self.path, self.low, self.high, log=log)

    def word(self, value: Any) -> str:
        """A value as it is typed and trained with: numbers to three digits, but for the preset's."""
        return (
            word(value)
            if self.whole or isinstance(value, str) or value == self.preset
            else f"{value:.3g}"
        )

    def points(self) -> list[Any]:
        """Values of a grid."""
        if isinstance(self.range, Among):
            return list(self.range.words)
        low, high = self.low, self.high
        shares = [each / (POINTS - 1) for each in range(POINTS)]
        if self.range.log:
            found = [math.exp((1 - s) * math.log(low) + s * math.log(high)) for s in shares]
        else:
            found = [(1 - s) * low + s * high for s in shares]
        if self.whole:
            return list(dict.fromkeys(map(round, found)))
        return [min(max(each, low), high) for each in found]


def axes(resolved: Resolved, fixed: Collection[str], given: Mapping[str, str]) -> list[Axis]:
    """The settings that are searched.

    Args:
        resolved: what is trained without a search.
        fixed: paths that the user has set: these are searched only if they are `given`, from there on.
        given: by the user: setting -> where, as `1e-4..1e-2 log`.

    Raises:
        Invalid: an unknown setting, one that cannot be searched, or a range that its preset is not in.
    """
    parts: dict[str, Any] = {
        "training": resolved.training,
        "family": resolved.config,
        "data": resolved.data,
    }
    found = {path: each for path, each in _declared(parts) if path not in fixed}
    found = {path: each for path, each in found.items() if resolved.unmet(path) is None}
    typed = {_path(name, parts): text for name, text in given.items()}
    found |= {path: parse(text, path) for path, text in typed.items()}
    if not found:
        raise Invalid(
            f"nothing is left to search: {resolved.family} declares no settings for it, or all are set; name "
            "some, such as --space 'lr=1e-4..1e-2 log'"
        )
    return [_axis(path, each, parts, path in typed) for path, each in found.items()]


def grid(found: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """All combinations of the axes' points."""
    for values in itertools.product(*(axis.points() for axis in found)):
        yield {axis.path: value for axis, value in zip(found, values, strict=True)}


def _declared(parts: Mapping[str, Any]) -> Iterator[tuple[str, Range]]:
    for part, owner in parts.items():
        for name, field in type(owner).model_fields.items():
            for each in field.metadata:
                if isinstance(each, Around):
                    yield f"{part}.{name}", each.of(getattr(owner, name))
                if isinstance(each, Span | Among):
                    yield f"{part}.{name}", each


def _path(name: str, parts: Mapping[str, Any]) -> str:
    """The path that a setting's name stands for: `lr` for training.lr."""
    known = [
        f"{part}.{field}"
        for part, owner in parts.items()
        for field in type(owner).model_fields
        if (part != "training" or field not in FIXED)
        and (part != "data" or field in AUGMENTATIONS)
        and (part != "family" or field not in GENERATED)
    ]
    short = {path.partition(".")[2]: path for path in reversed(known)}
    if name not in {*known, *short}:
        near = suggest(name.rpartition(".")[2], short)
        raise NotFound(f"no setting {name!r} that can be searched; {near}")
    return short.get(name, name)


def _axis(path: str, where: Range, parts: Mapping[str, Any], typed: bool) -> Axis:
    part, _, name = path.partition(".")
    owner, prefix = parts[part], f"{part}."
    value = getattr(owner, name)
    if isinstance(where, Among):
        words = {read_value(type(owner), name, text, prefix): text for text in where.words}
        if value not in words:
            _widens(path, where, value, typed)
            where = Among((*where.words, word(value)))
        return Axis(path, where, False, words.get(value, word(value)))
    whole = isinstance(value, int)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Invalid(f"{path} is {word(value)}, not a number; give words with | between them")
    for end in (where.low, where.high):
        if whole and end % 1:
            raise Invalid(f"{path} is a whole number, and {where} ends at {end:g}")
        read_value(type(owner), name, word(int(end) if whole else end), prefix)
    if not where.low <= value <= where.high:
        _widens(path, where, value, typed)
        where = Span(min(where.low, value), max(where.high, value), where.log)
    return Axis(path, where, whole, value)


def _widens(path: str, where: Range, value: Any, typed: bool) -> None:
    """Refuse a typed range that the preset is not in; one that is declared may be widened."""
    if typed:
        raise Invalid(
            f"{path} is {word(value)} without a search, which is not in {where}; the search begins with that "
            "and is compared with it, so widen the range"
        )
