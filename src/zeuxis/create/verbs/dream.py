"""The verb that exaggerates what a network sees in a picture."""

from typing import TYPE_CHECKING, Annotated, Any

from zeuxis.create.arguments import Content, LayersOf, PictureOf, RunOf
from zeuxis.create.results import Pictures
from zeuxis.inference.arguments import Number, Seed
from zeuxis.inference.verb import Encoded, verb

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress

Layers = Annotated[
    Any,
    LayersOf(
        help="Layer to look at, with its weight: block9=1, of stem, block1 ... block15, head; with --run the "
        "name of a convolution (`--layer list` names them all); repeatable.",
        word=list[str] | None,
        body=dict[str, float] | None,
        flag="layer",
        metavar="NAME=WEIGHT",
    ),
]
Run = Annotated[
    Any,
    RunOf(
        help="Dream by the discriminator or encoder of this trained model, in place of EfficientNet-lite0.",
        word=str | None,
        body=str | None,
        metavar="RUN",
    ),
]
Guide = Annotated[
    Any,
    PictureOf(
        help="Picture whose features are sought.",
        word=str | None,
        body=Encoded | None,
        metavar="FILE",
    ),
]
Size = Annotated[
    int, Number(help="Longer side of the result in pixels; 64 to 2,048.", word=int, least=64)
]
Steps = Annotated[
    int, Number(help="Steps at each size; half as many are gentle.", word=int, least=1)
]
Octaves = Annotated[
    int, Number(help="Sizes gone through, each 1.4 times the last.", word=int, least=1)
]
Frames = Annotated[
    int, Number(help="Frames of a film that zooms into the dream; 0: a picture.", word=int, least=0)
]


@verb(
    "",
    "zeuxis dream coffee.png",
    "zeuxis dream coffee.png --layer block6=1 --layer block12=0.5 --steps 7",
    "zeuxis dream sky.jpg --guide flowers.jpg --size 1024 --out sky.png",
    "zeuxis dream coffee.png --run runs/gan-photos --layer list",
    "zeuxis dream coffee.png --frames 48 --out zoom.webp",
)
def dream(
    picture: Content,
    layers: Layers = None,
    run: Run = None,
    guide: Guide = None,
    size: Size = 512,
    steps: Steps = 14,
    octaves: Octaves = 6,
    frames: Frames = 0,
    seed: Seed = 0,
    progress: "Progress | None" = None,
) -> Pictures:
    """Exaggerate what a network sees in a picture: eyes, fur, scales, or what one's own model has learned.

    Gradient ascent on the square of a layer's features, from coarse to fine (Mordvintsev et al. 2015,
    "Inceptionism"). About 10 s of one processor core at 512 pixels. It does not say what is in the picture.
    """
    from zeuxis.create.dreams import Settings, dreamed

    settings = Settings(size=size, steps=steps, octaves=octaves, frames=frames, seed=seed)
    return dreamed(picture, layers, run, guide, settings, progress)
