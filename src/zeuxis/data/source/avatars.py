"""The embedded avatars: 8,192 faces of 16x16 pixels, with every attribute. See avatars/CREDITS.md."""

import csv
import functools
import io
from importlib import resources

import numpy as np
from PIL import Image

from zeuxis.core.rng import derive_seed
from zeuxis.data.source.arrays import ArraySource
from zeuxis.data.source.avatar_captions import DRAWS, EACH, HATS, caption, traits
from zeuxis.data.source.base import Item

HAIR = {
    "#28150a": "black",
    "#603a14": "brown",
    "#603015": "chestnut",
    "#612616": "auburn",
    "#611c17": "mahogany",
    "#83623b": "light-brown",
    "#a78961": "dark-blond",
    "#cab188": "blond",
    "#bd1700": "red",
    "#91cb15": "green",
    "#009bbd": "blue",
}
SKIN = {
    "#ffdbac": "porcelain",
    "#f5cfa0": "ivory",
    "#eac393": "sand",
    "#e0b687": "beige",
    "#cb9e6e": "honey",
    "#b68655": "caramel",
    "#a26d3d": "bronze",
    "#8d5524": "brown",
}
"""From the lightest tone to the darkest."""
BACKGROUND = {
    "#ffdfbf": "peach",
    "#ffd5dc": "pink",
    "#d1d4f9": "lavender",
    "#c0aede": "violet",
    "#b6e3f4": "sky",
}
CLOTHING = {
    "#ae0001": "dark-red",
    "#d11141": "crimson",
    "#ff6f69": "coral",
    "#ffc425": "amber",
    "#ffd969": "yellow",
    "#ffeead": "cream",
    "#88d8b0": "mint",
    "#44c585": "emerald",
    "#00b159": "green",
    "#5bc0de": "light-blue",
    "#428bca": "blue",
    "#03396c": "navy",
}
PLAIN = {"hairstyle": "hair", "eyes": "eyes", "mouth": "mouth", "clothing": "clothing"}
WORN = {"glasses": "glasses", "beard": "beard", "hat": "hat", "accessory": "accessories"}
"""What most avatars do not have: `none` then."""


def open_avatars() -> ArraySource:
    """The avatars as a source; nothing is downloaded."""
    here = resources.files("zeuxis.data") / "avatars"
    with Image.open(io.BytesIO((here / "avatars.png").read_bytes()), formats=["PNG"]) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    h, w = pixels.shape[0] // 16, pixels.shape[1] // 16
    images = pixels.reshape(h, 16, w, 16, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 16, 16, 3)
    lines = _lines()
    items = [
        Item(f"avatar-{line['index']:0>4}", _columns(line), text=text)
        for line, text in zip(lines, _captions(), strict=True)
    ]
    source = ArraySource("avatars", [(images, items)], "avatars")
    source.classes = {
        "hair": tuple(HAIR.values()),
        "skin": tuple(SKIN.values()),
        "background": tuple(BACKGROUND.values()),
        "clothing_colour": tuple(CLOTHING.values()),
    }
    source.licence = "Designs: CC0 1.0. Rendering code: MIT."
    source.credits = (here / "CREDITS.md").read_text()
    return source


@functools.cache
def _lines() -> list[dict[str, str]]:
    table = resources.files("zeuxis.data") / "avatars" / "avatars.csv"
    return list(csv.DictReader(io.StringIO(table.read_text())))


def all_traits() -> list[dict[str, str]]:
    """What can be seen of each avatar."""
    return [traits(_columns(line), HATS.get(line["hatColor"], "")) for line in _lines()]


@functools.cache
def _captions() -> list[str]:
    """Five of each avatar, one a line; the same everywhere."""
    seen = all_traits()
    draws = np.random.default_rng(derive_seed(0, "avatar captions"))
    share_NEU = draws.random((len(seen), EACH, DRAWS)).tolist()
    return [
        "\n".join(caption(one, share_U, k)[0] for k, share_U in enumerate(share_EU))
        for one, share_EU in zip(seen, share_NEU, strict=True)
    ]


def _columns(line: dict[str, str]) -> dict[str, str]:
    return {
        "hair": HAIR[line["hairColor"]],
        "skin": SKIN[line["skinColor"]],
        "background": BACKGROUND[line["primaryBackgroundColor"]],
        **{name: line[key].removeprefix("variant") for name, key in PLAIN.items()},
        **{name: line[key].removeprefix("variant") or "none" for name, key in WORN.items()},
        "clothing_colour": CLOTHING[line["clothingColor"]],
    }
