"""A last stage of all verbs that give images: another model makes these larger (`upscale`, `size`).

Shapes: H height, W width, C channels.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Invalid, TooLarge, Unable
from zeuxis.inference.arguments import Number
from zeuxis.inference.results import Images
from zeuxis.inference.verb import Argument, Stage

if TYPE_CHECKING:
    import numpy as np

    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model

LARGEST = 4096
"""Pixels of the longer side that can be asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UpscalerOf(Argument):
    """A model that makes images larger: itself, its folder, or the name that a server has for it."""

    def take(self, model: "Model", value: Any, most: int) -> "Model | None":
        """The model of that name."""
        if not isinstance(value, str | Path | None):
            raise Invalid(f"upscale is {value!r:.80}; expected the name of a run")
        return None if value is None else model.beside(str(value))

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> "Model | None":
        """The model, once it is known to enlarge.

        Raises:
            Unable: it does not.
            Invalid: there is a size, but none that could reach it.
        """
        if value is None:
            if given.get("size") is not None:
                raise Invalid(
                    f"a size of {given['size']} is reached by a model that enlarges: name its run by upscale"
                )
            return None
        found = model.another(value) if isinstance(value, str | Path) else value
        family = found.able("Translates", "upscale")
        if not family.stride or family.scale < 2:
            raise Unable(
                f"{found.folder} is a {found.facts['family']} that makes nothing larger; `zeuxis train "
                "enhance` makes a model that does"
            )
        return found

    def plain(self, value: Any) -> Any:
        """The run."""
        return None if value is None else str(getattr(value, "folder", value))


def enlarged(
    result: Images, upscale: "Model | None", size: int | None, progress: "Progress | None" = None
) -> Images:
    """The same with larger images.

    Args:
        result: images of any sizes.
        upscale: the model that makes them larger, as often as it takes; None leaves them.
        size: pixels of the longer side, to which what is larger is reduced; None is one pass.
        progress: called with (images done, of how many).

    Raises:
        TooLarge: too large a size.
        Invalid: images are larger already.
    """
    import numpy as np

    if upscale is None:
        return result
    if size is not None and size > LARGEST:
        raise TooLarge(f"size is {size:,}; expected at most {LARGEST:,} pixels")
    made = []
    for number, image in enumerate(result.images, 1):
        made.append(_larger(image, upscale, size))
        if progress:
            progress(number, len(result.images))
    alike = len({image.shape for image in made}) == 1
    return dataclasses.replace(result, images=np.stack(made) if alike else made)


def _larger(image_HWC: "np.ndarray", model: "Model", size: int | None) -> "np.ndarray":
    """One image whose longer side has `size` pixels."""
    from zeuxis.data.preparation.decode import Target, decode

    sides = image_HWC.shape[:2]
    goal = size or max(sides) * model.family.scale
    if goal < max(sides):
        raise Invalid(f"the images have {max(sides)} pixels a side already; give a larger size")
    while max(image_HWC.shape[:2]) < goal:
        image_HWC = model.translate([image_HWC]).images[0]
    if max(image_HWC.shape[:2]) == goal:
        return image_HWC
    height, width = (max(1, round(side * goal / max(sides))) for side in sides)
    return decode(image_HWC, Target(height, width, image_HWC.shape[2], "stretch")).pixels_HWC


ENLARGE = Stage(
    of=Images,
    run=enlarged,
    arguments={
        "upscale": UpscalerOf(
            help="Run of a model that makes the images larger, such as one of enhance.",
            word=Path | None,
            body=str | None,
            metavar="RUN",
        ),
        "size": Number(
            help="Pixels of their longer side, with --upscale; by default one pass of that model.",
            word=int | None,
            least=4,
        ),
    },
)
"""Follows every verb that gives images."""
