"""Types of the arguments that say in words and numbers what images should show."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.inference.arguments import check_count
from zeuxis.inference.verb import Argument

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model

LONGEST_TEXT = 4000
"""Characters of a text that is asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextOf(Argument):
    """What images show, in words: a text, or several."""

    def read(self, model: "Model", word: Sequence[str] | None, progress: "Progress | None") -> Any:
        """Texts as they are; a .txt file stands for its lines."""
        found: list[str] = []
        for one in word or ():
            if one.lower().endswith(".txt"):
                found += lines_of(Path(one))
            else:
                found.append(one)
        return found or None

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """The same, without files."""
        texts = [value] if isinstance(value, str) else value
        if texts is not None:
            self._all_text(texts)
            check_count(len(texts), most)
        return value

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> "list[str] | None":
        """Texts, or None."""
        if value is None:
            return None
        texts = [value] if isinstance(value, str) else value
        self._all_text(texts)
        if model.family.config.text is None:
            raise Unable(
                "this model was trained without captions, so it understands no text; train one on images "
                "with captions, data.conditions=text"
            )
        return list(texts)

    def plain(self, value: Any) -> Any:
        """The texts."""
        return [value] if isinstance(value, str) else value

    @staticmethod
    def _all_text(texts: Any) -> None:
        if (
            not isinstance(texts, list | tuple)
            or not texts
            or not all(isinstance(t, str) for t in texts)
        ):
            raise Invalid(f"text is {texts!r:.200}; expected a text, or a list of texts")
        for one in texts:
            if len(one) > LONGEST_TEXT:
                raise Invalid(
                    f"a text has {len(one):,} characters, expected {LONGEST_TEXT:,} at most"
                )


def lines_of(file: Path) -> list[str]:
    """What stands in a text file, a text a line; empty lines are left out."""
    try:
        content = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is no UTF-8 text; save it as such") from error
    except OSError as error:
        raise NotFound(f"cannot read the texts in {file} ({error.strerror})") from error
    found = [line.strip() for line in content.splitlines() if line.strip()]
    if not found:
        raise Invalid(f"{file} holds no text; write one a line")
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumbersOf(Argument):
    """What images have, in numbers by name."""

    def read(self, model: "Model", word: Sequence[str] | None, progress: "Progress | None") -> Any:
        """`NAME=NUMBER` words, as numbers by name."""
        found = {}
        for one in word or ():
            name, _, number = one.partition("=")
            try:
                found[name] = float(number)
            except ValueError as error:
                raise Invalid(f"cannot read the number {one!r}: expected NAME=NUMBER") from error
        return found or None

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """Numbers by name."""
        return self.check(model, value, {})

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """Numbers by name, or None."""
        from zeuxis.inference import labels

        if value is None:
            return None
        numbers: Any = value.values() if isinstance(value, Mapping) else [None]
        if not all(type(each) in (int, float) and math.isfinite(each) for each in numbers):
            raise Invalid(f"numbers is {value!r:.200}; expected finite numbers by name")
        labels.amounts(model.family.config.numbers, value)
        return dict(value)

    def plain(self, value: Any) -> Any:
        """The numbers that were asked for."""
        return value


Text = Annotated[
    Any,
    TextOf(
        help="What the images should show, in words; repeatable, or a .txt file with one a line. Image i is "
        "of text i, counted around.",
        word=list[str] | None,
        body=str | list[str] | None,
    ),
]
Numbers = Annotated[
    Any,
    NumbersOf(
        help="What the images should have: NAME=NUMBER; repeatable.",
        word=list[str] | None,
        body=dict[str, float] | None,
        flag="number",
    ),
]
