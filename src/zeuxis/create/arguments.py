"""Types of the arguments that verbs of pictures take: pictures, masks, numbers, choices."""

import dataclasses
import math
import os
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.inference.arguments import Number
from zeuxis.inference.sent import file_bytes
from zeuxis.inference.verb import Argument, Encoded


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOf(Argument):
    """One picture: a file, an array, a Pillow image, or the entry of a recipe."""

    def take(self, model: Any, value: Any, most: int) -> Any:
        """The `create.pictures.Picture` that a file's bytes are; None where none was given."""
        from zeuxis.create.pictures import open_picture

        return None if value is None else open_picture(file_bytes(value, "the picture"))

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> Any:
        """The `create.pictures.Picture`; None where none was given."""
        from zeuxis.create.pictures import open_picture

        return None if value is None else open_picture(value)

    def plain(self, value: Any) -> Any:
        """What opens the same picture again: its file and the file's SHA-256."""
        from zeuxis.create.pictures import open_picture

        if value is None:
            return None
        picture = open_picture(value)
        file = {"file": picture.name} if picture.name else {}
        return {**file, "sha256": picture.sha256}

    def is_source(self, model: Any, value: Any) -> bool:
        """Where one was given."""
        return value is not None

    def kept(self, value: Any, checked: Any) -> list[Any]:
        """Of each of its files."""
        return [one.kept for one in _several(checked)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FramesOf(PictureOf):
    """One picture; where `frames` are asked for, a folder in the order of its names, or a list."""

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> Any:
        """A list of `create.pictures.Picture` of one size."""
        if not given.get("frames"):
            return [super().check(model, value, given)]
        found = [super(FramesOf, self).check(model, one, given) for one in _frames(value)]
        sizes = {one.pixels_HWC.shape[:2] for one in found}
        if len(sizes) > 1:
            listed = ", ".join(f"{width} x {height}" for height, width in sorted(sizes)[:3])
            raise Invalid(f"the frames have several sizes ({listed}); a film has one")
        return found

    def plain(self, value: Any) -> Any:
        """What opens the same again; of a folder, each of its frames."""
        if isinstance(value, str | os.PathLike) and Path(value).is_dir():
            return [super(FramesOf, self).plain(one) for one in _frames(value)]
        if isinstance(value, list | tuple):
            return [super(FramesOf, self).plain(one) for one in value]
        return super().plain(value)


def _frames(value: Any) -> Sequence[Any]:
    from zeuxis.create.pictures import frames_of

    return frames_of(Path(value)) if isinstance(value, str | os.PathLike) else _several(value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PicturesOf(PictureOf):
    """One picture or several."""

    def take(self, model: Any, value: Any, most: int) -> list[Any]:
        """A list of `create.pictures.Picture`."""
        return [super(PicturesOf, self).take(model, one, most) for one in _several(value)]

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> list[Any]:
        """A list of `create.pictures.Picture`, with at least one."""
        found = [super(PicturesOf, self).check(model, one, given) for one in _several(value)]
        if not found:
            raise Invalid("expected at least 1 picture, found 0")
        return found

    def plain(self, value: Any) -> Any:
        """What opens the same pictures again."""
        return [super(PicturesOf, self).plain(one) for one in _several(value)]


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumbersOf(Argument):
    """Several numbers of at least `least`, or none."""

    least: float = 0

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> list[float]:
        """The numbers."""
        number = Number(help="", word=float, least=self.least)
        name = next((name for name, one in given.items() if one is value), "value")
        return [number.check(model, one, {name: one}) for one in _several(value or [])]

    def plain(self, value: Any) -> Any:
        """The numbers."""
        return list(_several(value)) if value else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice(Argument):
    """One of several words; `word` is a `Literal` of them."""

    def schema(self) -> Any:
        """The words."""
        return self.word

    def take(self, model: Any, value: Any, most: int) -> Any:
        """The word."""
        return value

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> str:
        """The word."""
        words = typing.get_args(self.word)
        if value not in words:
            name = next(name for name, one in given.items() if one is value)
            raise NotFound(f"{name} is {value!r}; choose from {', '.join(words)}")
        return str(value)

    def plain(self, value: Any) -> Any:
        """The word."""
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayersOf(Argument):
    """Layers of a network by name, each with a weight; a name alone has weight 1."""

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> dict[str, float]:
        """Name -> weight; empty if none was given.

        `value` is such a mapping, or words such as "block9=0.5".
        """
        if not isinstance(value, Mapping):
            words = [str(word).partition("=") for word in _several(value or [])]
            value = {name: weight or 1 for name, _, weight in words}
        try:
            found = {str(name): float(weight) for name, weight in value.items()}
        except (TypeError, ValueError):
            found = {"": float("nan")}
        if not all(math.isfinite(weight) for weight in found.values()):
            raise Invalid(f"layers are {dict(value)!r}; expected NAME=WEIGHT, such as block9=0.5")
        return found

    def plain(self, value: Any) -> Any:
        """Name -> weight."""
        return self.check(None, value, {}) or None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOf(Argument):
    """A trained model's folder, or none."""

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> Any:
        """The `inference.model.Model`, if one was named."""
        from zeuxis.inference.model import load

        return None if value is None else load(value)

    def plain(self, value: Any) -> Any:
        """The folder."""
        return None if value is None else str(value)


Content = Annotated[
    Any,
    PictureOf(
        help="The picture: PNG, JPEG, WebP, GIF, BMP or TIFF.",
        body=Encoded,
        option=False,
        metavar="PICTURE",
    ),
]
