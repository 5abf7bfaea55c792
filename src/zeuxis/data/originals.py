"""The pictures of sources as they are, each at its own size, to be changed and given back under its name.

Files pass the decoder of sources: upright by their EXIF orientation, in sRGB by their colour profile.

Legend: H height, W width, C channels.
"""

import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms

from zeuxis.core.errors import Invalid
from zeuxis.core.family import Condition
from zeuxis.core.pixels import to_pil
from zeuxis.core.progress import Progress
from zeuxis.core.spool import Spool
from zeuxis.data.preparation import columns
from zeuxis.data.preparation.decode import Target, decode, guarded, header, opened
from zeuxis.data.source import Item, open_source
from zeuxis.data.source.base import SUFFIXES, read_file
from zeuxis.data.source.maps import GREY
from zeuxis.marks.metadata import Kept, kept_of


@dataclasses.dataclass(frozen=True)
class Originals:
    """Pictures and what is known of them.

    Attributes:
        name: of the sources.
        names: of the pictures' files.
        images: (H, W, C) uint8 each, or of maps (H, W) int16, if they are not in colours; on disk, not in
            memory.
        profiles: RGB colour profile of each file, if it has one other than sRGB.
        conditions: columns of classes.
        labels: (N, A) int64 in the order of `conditions`; -1 is unknown.
        refused: (file, why) of those that could not be read.
        kept: what each file said of itself, if anything.
    """

    name: str
    names: Sequence[str]
    images: Sequence[np.ndarray]
    profiles: Sequence[bytes | None]
    conditions: tuple[Condition, ...]
    labels: np.ndarray
    refused: Sequence[tuple[str, str]]
    kept: Sequence[Kept | None]


def originals(
    places: Sequence[str | Path],
    kind: Literal["image", "map"] = "image",
    progress: Progress | None = None,
) -> Originals:
    """All pictures of some places.

    Args:
        places: files of pictures, and sources of any kind: folders, archives, arrays, tables.
        kind: "map" reads class ids where a file holds some, and else colours.
        progress: called with (done, total) for each place.

    Raises:
        ValueError: there is no such place, or nothing in any of them can be read.
    """
    items, profiles, kept = list[Item](), list[bytes | None](), list[Kept | None]()
    refused, classes = list[tuple[str, str]](), dict[str, tuple[str, ...]]()
    with Spool() as spool:
        for place in places:
            for item, content in _contents(Path(place), refused, classes, progress):
                try:
                    with guarded():
                        spool.add(decode(content, _whole(content, kind)).pixels_HWC)
                        profiles.append(profile_of(content) if kind == "image" else None)
                        kept.append(kept_of(content))
                    items.append(item)
                except (OSError, ValueError) as error:
                    refused.append((item.name, str(error)))
        images, name = list(spool.arrays()), ", ".join(map(str, places))
    if not items:
        why = f"; the first: {refused[0][0]}: {refused[0][1]}" if refused else ""
        raise Invalid(f"{name} holds no image that can be read{why}")
    known = columns.names(item.columns for item in items)
    words = {column: [item.columns.get(column, "") for item in items] for column in known}
    conditions, labels = columns.split(words, classes)
    table = np.asarray(labels, np.int64) if conditions else np.zeros((len(items), 0), np.int64)
    names = [item.name for item in items]
    return Originals(name, names, images, profiles, conditions, table, refused, kept)


def _contents(
    place: Path,
    refused: list[tuple[str, str]],
    classes: dict[str, tuple[str, ...]],
    progress: Progress | None,
) -> Iterator[tuple[Item, bytes | np.ndarray]]:
    """Each picture of a place, encoded or as an array."""
    if place.is_file() and place.suffix.lower() in SUFFIXES:
        try:
            yield Item(place.name), read_file(place, None)
        except (OSError, ValueError) as error:
            refused.append((place.name, str(error)))
        return
    source = open_source(place)
    try:
        refused += source.problems
        classes |= source.classes
        for index, item in enumerate(source.items):
            try:
                yield item, source.read(index)
            except (OSError, ValueError) as error:
                refused.append((item.name, str(error)))
            if progress:
                progress(index + 1, len(source.items))
    finally:
        source.close()


def _whole(content: bytes | np.ndarray, kind: str) -> Target | None:
    """What a picture is decoded as: itself."""
    return None if kind == "image" or isinstance(content, np.ndarray) else as_map(content)


def as_map(content: bytes) -> Target | None:
    """What the file of a map is decoded as; None if it holds colours in place of class ids."""
    height, width, mode, _ = header(content)
    return Target(height, width, 1, kind="map") if mode in ("P", *GREY) else None


def profile_of(content: bytes | np.ndarray) -> bytes | None:
    """The colour profile of an encoded file, if it is one of RGB other than sRGB."""
    if isinstance(content, np.ndarray):
        return None
    with opened(content) as image:
        profile: Any = image.info.get("icc_profile")
        colour = image.mode in ("RGB", "RGBA", "P")
    if not profile or not colour:
        return None
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        described = ImageCms.getProfileDescription(read).lower()
    except (ImageCms.PyCMSError, OSError, TypeError):
        return None
    return None if read.profile.xcolor_space.strip() != "RGB" or "srgb" in described else profile


def through(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """An sRGB picture in the colours of a profile; unchanged if the profile only leads to sRGB."""
    if profile is None or picture.mode not in ("RGB", "RGBA"):
        return picture
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    try:
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), target, picture.mode, picture.mode
        )
        changed = ImageCms.applyTransform(picture, transform)
    except ImageCms.PyCMSError:
        return picture
    assert changed is not None  # it is only None in place
    changed.info["icc_profile"] = profile
    return changed


def in_profile(image_HWC: np.ndarray, profile: bytes | None) -> bytes:
    """The PNG file of an sRGB image in the colours of a profile, which it names; in sRGB without one."""
    image, buffer = through(to_pil(image_HWC), profile), io.BytesIO()
    image.save(buffer, "PNG", icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()
