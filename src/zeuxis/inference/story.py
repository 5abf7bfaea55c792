"""Stories: one subject in several scenes, as frames with a page that shows them with their words."""

import dataclasses
import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from zeuxis.core.errors import Invalid, Unable
from zeuxis.inference.arguments import Number, Switch
from zeuxis.inference.prompts import TextOf, lines_of
from zeuxis.inference.results import Images
from zeuxis.inference.texts import vocabulary_of

if TYPE_CHECKING:
    import numpy as np

    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model

PAGE = "story.html"
ADDED, ROOM = 2, 3
"""How often a caption is continued, and ids that must fit after it."""
STYLE = """:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; }
img { width: 100%; image-rendering: pixelated; border-radius: .4rem; }
footer { margin-top: 2rem; font-size: .85rem; opacity: .75; }
"""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Story(Images):
    """Frames of a story, side by side on a sheet.

    Attributes:
        subject: who is in all of them.
        scenes: what is said of each beside that.
    """

    subject: str
    scenes: Sequence[str]

    WRITES: ClassVar[str] = "Folder of the frames and a page of them"
    SHEET: ClassVar[str] = "one strip"

    def names_beside(self) -> Sequence[str]:
        """The page."""
        return (PAGE,)

    def beside(self) -> Iterator[tuple[str, bytes]]:
        """The page: the frames, and the words under them."""
        known = self.provenance
        figures = "".join(
            f'<figure><img src="{name}" alt="{html.escape(text)}">'
            f"<figcaption>{html.escape(scene)}</figcaption></figure>\n"
            for name, text, scene in zip(self.file_names(), self.texts, self.scenes, strict=True)
        )
        made = f"Drawn by a model ({known.get('family', 'unknown')}), seed {known.get('seed', 0)}."
        subject = html.escape(self.subject)
        page = (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{subject}</title>\n<style>{STYLE}</style>\n<h1>{subject}</h1>\n"
            f"<main>\n{figures}</main>\n<footer>{html.escape(made)} AI-generated.</footer></html>\n"
        )
        yield PAGE, page.encode()

    def lines(self, path: Path | None) -> Iterator[str]:
        """Also where the page is."""
        yield from super().lines(path)
        if path is not None:
            yield f"wrote the page {path / PAGE}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScriptOf(TextOf):
    """The subject, and what each frame shows beside it."""

    def read(self, model: "Model", word: Any, progress: "Progress | None") -> Any:
        """The lines of a text file."""
        return lines_of(Path(word))

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """Texts, of a model that understands them."""
        script = super().check(model, value, given) or []
        if len(script) < 2:
            raise Invalid(
                f"the script has {len(script)} lines; write who it is about into the first, and what "
                "a frame shows into each of the others"
            )
        return script


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrengthOf(Number):
    """How far frames go from the first, of a family that varies."""

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """A number in (0, 1], or None."""
        from zeuxis.core.abilities import Varies

        if value is None:
            return None
        strength = super().check(model, value, given)
        if not 0 < strength <= 1:
            raise Invalid(f"vary is {strength:g}; expected a strength above 0, at most 1")
        if not isinstance(model.family, Varies):
            raise Unable(
                f"{model.facts['family']} cannot vary its first frame; leave --vary out: all frames have "
                "the same noise"
            )
        return strength


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescribeOf(Switch):
    """Yes or no; yes of a family that captions."""

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> bool:
        """The value."""
        from zeuxis.core.abilities import Captions

        if super().check(model, value, given) and not isinstance(model.family, Captions):
            raise Unable(f"{model.facts['family']} cannot say what it sees; leave --describe out")
        return bool(value)


def continued(model: "Model", image_1HWC: "np.ndarray", text: str) -> str:
    """A caption, followed by what the model sees in a picture and the caption does not name."""
    from zeuxis.core.vocabulary import plain

    vocabulary = vocabulary_of(model)
    for _ in range(ADDED):
        if len(vocabulary.encode(plain(f"{text},"))) + ROOM > vocabulary.length:
            break
        text = model.caption(image_1HWC, prefix=f"{text},").texts[0]
    return text


Script = Annotated[
    Any,
    ScriptOf(
        help="A .txt file: who it is about in the first line, and in each other line what a frame shows.",
        word=str,
        body=list[str],
        option=False,
        metavar="SCRIPT",
    ),
]
Vary = Annotated[
    Any,
    StrengthOf(
        help="Make the other frames of the first, this far from it (0.6 to 0.8), in place of the same noise.",
        word=float | None,
        least=0,
    ),
]
Describe = Annotated[
    bool,
    DescribeOf(help="Let the model add to each caption what it sees in the first frame."),
]
