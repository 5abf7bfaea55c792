"""Type of the ends of a walk: seeds, samples of seeds, images."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zeuxis.core.errors import Invalid
from zeuxis.inference.arguments import MOST
from zeuxis.inference.sent import decoded
from zeuxis.inference.verb import Argument, Encoded

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model


@dataclasses.dataclass(frozen=True, kw_only=True)
class EndOf(Argument):
    """One end of a walk: a seed, a sample of one (seed, number), or an image (H, W, C) uint8."""

    def read(self, model: "Model", word: str, progress: "Progress | None") -> Any:
        """A whole number is a seed, 7:3 its sample 3; else an image file, at the model's size."""
        from zeuxis.data.pictures import picture
        from zeuxis.data.preparation.decode import Target

        seed, _, row = word.partition(":")
        if seed.lstrip("-").isdigit() and (row.isdigit() or word == seed):
            return (int(seed), int(row)) if row else int(seed)
        return picture(Path(word), Target(*model.shape()))

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """A whole number is a seed, two are one's sample; else the bytes of an image file."""
        from zeuxis.data.preparation.decode import Target

        if isinstance(value, int | list | dict):
            return self.check(model, tuple(value) if isinstance(value, list) else value, {})
        return decoded([value], "an end", Target(*model.shape()), most)[0]

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """An image, or (seed, number)."""
        if hasattr(value, "shape"):
            return value
        place = (value, 0) if isinstance(value, int) else value
        match place:
            case (int(), int(row)) if 0 <= row < MOST:
                return tuple(place)
        found = list(value) if isinstance(value, tuple) else value
        raise Invalid(
            f"an end of a walk is {found!r:.80}; expected a seed, or a seed and the number of one of its "
            f"samples, 0 to {MOST - 1:,}"
        )

    def plain(self, value: Any) -> Any:
        """The seed, and which of its samples."""
        return value if isinstance(value, int | tuple) else "an image"

    def is_source(self, model: "Model", value: Any) -> bool:
        """Of an image."""
        return not isinstance(value, int | tuple)


Start = Annotated[
    Any,
    EndOf(
        help="A seed, one of its samples such as 7:3, or an image file.",
        body=int | tuple[int, int] | Encoded,
        option=False,
        metavar="START",
    ),
]
End = Annotated[
    Any,
    EndOf(
        help="Another of the same kind.",
        body=int | tuple[int, int] | Encoded,
        option=False,
        metavar="END",
    ),
]
