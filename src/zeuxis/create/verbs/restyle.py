"""The verb that gives a picture the style of others."""

from typing import TYPE_CHECKING, Annotated, Any

from zeuxis.create.arguments import FramesOf, NumbersOf, PictureOf, PicturesOf
from zeuxis.create.results import Pictures
from zeuxis.inference.arguments import Number, Seed, Switch
from zeuxis.inference.verb import Encoded, verb

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress

Content = Annotated[
    Any,
    FramesOf(
        help="The picture: PNG, JPEG, WebP, GIF, BMP or TIFF; with --frames a folder of frames.",
        body=Encoded,
        option=False,
        metavar="PICTURE",
    ),
]
Frames = Annotated[
    bool,
    Switch(help="Restyle the frames of a film, each from the one before.", flag="frames"),
]
Styles = Annotated[
    Any,
    PicturesOf(
        help="Pictures in the style that is wanted, at least 32 pixels a side.",
        word=list[str],
        body=list[Encoded],
        option=False,
        metavar="STYLE...",
    ),
]
Size = Annotated[
    int, Number(help="Longer side of the result in pixels; 64 to 4,096.", word=int, least=64)
]
Strength = Annotated[
    float,
    Number(
        help="How much style against likeness: 1 is strong, 0.3 keeps faces.",
        word=float,
        least=0.01,
    ),
]
Weights = Annotated[
    Any,
    NumbersOf(
        help="How much each style counts, in their order; repeatable.",
        word=list[float] | None,
        body=list[float] | None,
        flag="weight",
    ),
]
Where = Annotated[
    Any,
    PictureOf(
        help="Picture whose white part is restyled; black stays.",
        word=str | None,
        body=Encoded | None,
        metavar="FILE",
    ),
]
KeepColours = Annotated[
    bool,
    Switch(help="Keep the picture's colours and take only strokes.", flag="keep-colours"),
]
Fast = Annotated[
    bool,
    Switch(
        help="In one pass by a ready network: under a second, less like the style, detail of strokes as at "
        "384 pixels; needs pip install 'zeuxis[fast]'."
    ),
]


@verb(
    "",
    "zeuxis restyle cat.jpg wave.jpg",
    "zeuxis restyle cat.jpg wave.jpg night.jpg --weight 2 --weight 1 --size 1024 --out cat.png",
    "zeuxis restyle portrait.png wave.jpg --strength 0.3 --keep-colours --mask background.png",
    "zeuxis restyle shots/ wave.jpg --frames --out film.webp",
    "zeuxis restyle cat.jpg wave.jpg --fast",
    alias="style",
)
def restyle(
    picture: Content,
    styles: Styles,
    size: Size = 512,
    strength: Strength = 1.0,
    weights: Weights = None,
    keep_colours: KeepColours = False,
    mask: Where = None,
    frames: Frames = False,
    fast: Fast = False,
    seed: Seed = 0,
    progress: "Progress | None" = None,
) -> Pictures:
    """Restyle a picture by others, without training.

    The pixels themselves are optimised so that feature statistics are those of the styles, first at a small
    size and then at larger ones (Gatys et al. 2015, arXiv:1508.06576, on EfficientNet-lite0). About 13 s of
    one processor core at 256 pixels; four times as many pixels take about four times as long. With `fast`
    a network that others trained for any style does it in one pass (Ghiasi et al. 2017, arXiv:1705.06830).
    """
    from zeuxis.create import style

    settings = style.Settings(size=size, strength=strength, keep_colours=keep_colours, seed=seed)
    if fast:
        from zeuxis.create.fast import restyled
    else:
        from zeuxis.create.style import restyled
    return restyled(picture, styles, weights, mask, settings, progress)
