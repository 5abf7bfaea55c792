"""The verb that makes textures of a picture."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from zeuxis.create.arguments import Choice, Content
from zeuxis.create.results import Texture
from zeuxis.inference.arguments import Number, Seed, Switch
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress

Mode = Annotated[
    Any,
    Choice(
        help="A tile without a seam, a variation, or more of the same at twice the size.",
        word=Literal["tile", "vary", "extend"],
    ),
]
Tile = Annotated[
    Any,
    Choice(help="Axes along which a tile repeats.", word=Literal["x", "y", "both"]),
]
Size = Annotated[
    int,
    Number(
        help="Longer side of the result in pixels, to 2,048; detail keeps its scale. 0: the picture's own.",
        word=int,
        least=0,
    ),
]
Maps = Annotated[
    bool, Switch(help="Also write a height and a normal map: a bump look, not geometry.")
]
Normals = Annotated[
    Any,
    Choice(
        help="Whether green is up the picture (opengl) or down (directx) in the normal map.",
        word=Literal["opengl", "directx"],
    ),
]


@verb(
    "",
    "zeuxis texture gravel.jpg --grid repeated.png",
    "zeuxis texture bricks.jpg --tile x --maps --normals directx --out bricks.png",
    "zeuxis texture grass.jpg --mode extend --size 1024 --seed 3",
)
def texture(
    picture: Content,
    mode: Mode = "tile",
    tile: Tile = "both",
    size: Size = 0,
    maps: Maps = False,
    normals: Normals = "opengl",
    seed: Seed = 0,
    progress: "Progress | None" = None,
) -> Texture:
    """Make a seamless tile, a variation or more of a texture out of a picture, without training.

    Patches of the picture replace those of a guess, from coarse to fine (Granot et al., 2022,
    arXiv:2103.15545). About 3 s of one processor core for 128 x 128 pixels, 14 s for 512 x 512.
    """
    from zeuxis.create.textures import Settings, textured

    settings = Settings(mode=mode, tile=tile, size=size, seed=seed, maps=maps, normals=normals)
    return textured(picture, settings, progress)
