"""From a file's bytes to pixels or class ids of the wanted shape. Trusts nothing.

Only six decoders can be reached, the size in the header is checked before a pixel is decoded, and
whatever goes wrong is one `ValueError` with a short reason. Imports neither torch nor the rest of the
library: processes that decode (`workers`) start with it.
"""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from zeuxis.core.errors import Invalid
from zeuxis.data.preparation import mend, vector
from zeuxis.data.preparation.colour import CLEAR, Unsupported, plain

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The decoders that a file may reach. Everything else is refused."""
PIXEL_LIMIT = 1 << 26
"""Pixels (67 million) above which a file is taken for a decompression bomb."""
SMALLEST = 4
"""Pixels a side below which an image is left out."""
MOST_ID = (1 << 15) - 1
"""The largest class id of a map: ids are stored in 16 bits."""
GAP = 2.0
"""JPEGs are decoded at the smallest scale that is still this much larger than what is wanted."""


Part = Literal["whole", "left", "right"]


class Refused(Invalid):
    """The file is left out. `reason` is a word of the report's table, the message says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What images are turned into.

    Attributes:
        fit: `crop` fills the frame and cuts what sticks out, `pad` shrinks what is too large (and
            never enlarges), centres it on black, `stretch` ignores proportions.
        kind: an image, or a map of class ids: it has no channels, and no id is made of others.
        part: the half of the file that is meant.
    """

    height: int
    width: int
    channels: int
    fit: str = "crop"
    kind: Literal["image", "map"] = "image"
    part: "Part" = "whole"

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, C) of pixels, (H, W) of ids."""
        channels = (self.channels,) if self.kind == "image" else ()
        return (self.height, self.width, *channels)

    @property
    def dtype(self) -> Any:
        """uint8 of pixels, int16 of ids."""
        return np.dtype(np.uint8 if self.kind == "image" else np.int16)


@dataclasses.dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels, or of a map (H, W) int16 ids; the size before resizing; what was seen on the way."""

    pixels_HWC: np.ndarray
    height: int
    width: int
    format: str
    mode: str
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Inside, Pillow's bomb warning is an error and its complaints about metadata are silent.

    Warning filters belong to the process, so this is entered once around a pool of threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(content: bytes | np.ndarray, target: Target | None) -> Decoded:
    """Decode, turn upright, convert to sRGB, resize.

    Args:
        content: an encoded file, or pixels (H, W, C) uint8, or ids (H, W).
        target: the shape wanted; None keeps size and channels (1, 3 or 4).

    Raises:
        Refused: the file is empty, corrupt, truncated, too large, too small or of another kind.
    """
    if isinstance(content, np.ndarray):
        content = content[half(content.shape[1], target.part if target else "whole")]
        return _from_ids(content, target) if content.ndim == 2 else _from_array(content, target)
    if vector.is_svg(content):
        raise Refused("unsupported", vector.ELSEWHERE if vector.AVAILABLE else vector.MISSING)
    try:
        return _decode_file(content, target)
    except Refused as refused:
        whole = mend.with_end(content) if refused.reason == "truncated" else None
        if whole is None:
            raise
    return _decode_file(whole, target)


def _decode_file(content: bytes, target: Target | None) -> Decoded:
    with opened(content) as image:
        if image.mode == "RGB" and isinstance(image.info.get("transparency"), tuple):
            image.info["low"] = mend.low_bytes(content)
        return _decode(image, target)


def half(width: int, part: Part) -> tuple[slice, slice]:
    """Where a half of an image lies in it.

    Raises:
        Refused: it has no two halves.
    """
    if part == "whole":
        return slice(None), slice(None)
    if width % 2:
        raise Refused("not two halves", f"it is {width} pixels wide, an odd number")
    middle = width // 2
    return slice(None), slice(0, middle) if part == "left" else slice(middle, width)


@contextlib.contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """An encoded file, opened by one of the six decoders; what goes wrong in the body is `Refused`, too."""
    if not content:
        raise Refused("empty", "the file has no bytes")
    try:
        content, profile = mend.without_large_chunks(content)
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if profile is not None:
                image.info["icc_profile"] = profile
            yield image
    except Refused:
        raise
    except Unsupported as error:
        raise Refused("unsupported", str(error)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused("oversized", str(error)) from error
    except UnidentifiedImageError as error:
        raise Refused(
            "not an image", f"no {'/'.join(FORMATS)} file ({_begins(content)})"
        ) from error
    except MemoryError as error:
        raise Refused("oversized", "decoding it takes more memory than there is") from error
    except Exception as error:
        # Decoders raise whatever their C code or their parser happens to raise (OSError, SyntaxError,
        # struct.error, KeyError, ...): for us it all means that the file is broken.
        word = "truncated" if "truncated" in str(error).lower() else "corrupt"
        raise Refused(word, f"{type(error).__name__}: {error}") from error


def header(content: bytes | np.ndarray, part: Part = "whole") -> tuple[int, int, str, bool]:
    """Height, width (of the part), mode and whether it has an alpha channel, without decoding pixels.

    Raises:
        Refused: as in `decode`.
    """
    if isinstance(content, np.ndarray):
        h, w, c = content.shape if content.ndim == 3 else (*content.shape, 1)
        return h, _part_of(w, part), {1: "L", 3: "RGB", 4: "RGBA"}[c], c == 4
    if vector.is_svg(content):
        return _header_of_svg(content)
    with opened(content) as image:
        w, h = image.size
        if _orientation(image) >= 5:
            w, h = h, w
        return h, _part_of(w, part), image.mode, image.has_transparency_data


def _header_of_svg(content: bytes) -> tuple[int, int, str, bool]:
    try:
        return (*vector.size(content), "RGBA", True)
    except (ValueError, SyntaxError) as error:
        raise Refused("corrupt", f"it cannot be drawn: {error}") from error


def _part_of(width: int, part: Part) -> int:
    return len(range(width)[half(width, part)[1]])


def _decode(image: Image.Image, target: Target | None) -> Decoded:
    w, h = image.size
    if w * h > PIXEL_LIMIT:
        raise Refused("oversized", f"{w} x {h} pixels; at most {PIXEL_LIMIT:,} are decoded")
    kind, mode = str(image.format), image.mode
    kind = "JPEG" if kind == "MPO" else kind  # a camera's JPEG with a preview behind it
    notes = []
    orientation = _orientation(image)
    turned = orientation >= 5
    if turned:
        w, h = h, w
    _check_size(h, w)
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append("several pages" if kind == "TIFF" else "animated")
        image.seek(0)
    if target and kind == "JPEG":
        image.draft(None, _draft_size(h, w, target, turned))
    image.load()
    of_ids = target is not None and target.kind == "map"
    picture = _ids(image) if of_ids else plain(image, notes)
    if orientation > 1:
        picture = picture.transpose(TURNS[orientation])
        notes.append("turned by its EXIF or XMP orientation")
    if target and target.part != "whole":
        across = half(picture.width, target.part)[1]
        picture = picture.crop((across.start, 0, across.stop, picture.height))
        w //= 2
    if target and of_ids:
        picture = _fitted(picture, target, Image.Resampling.NEAREST, MISSING)
        return Decoded(np.asarray(picture).astype(np.int16), h, w, kind, mode, tuple(notes))
    if target:
        if _vanishes(picture, target.channels):
            notes.append(CLEAR)
        picture = _with_channels(picture, target.channels)
        picture = _fitted(picture, target)
    return Decoded(_pixels(picture), h, w, kind, mode, tuple(notes))


MISSING = -1
"""The id of what no class is known of, and of what lies beyond the edge of a padded map."""


def _ids(image: Image.Image) -> Image.Image:
    """The class ids that an indexed or grey image holds, as 32-bit numbers."""
    if image.format in ("JPEG", "MPO", "WEBP"):
        raise Refused("not a map", f"{image.format} changes class ids; save it as an indexed PNG")
    if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
        raise Refused("not a map", "it holds colours, no class ids; save it as an indexed PNG")
    ids = np.asarray(image).astype(np.int32)
    if ids.min() < MISSING or ids.max() > MOST_ID:
        raise Refused(
            "not a map", f"a class id of {int(ids.max())}; at most {MOST_ID:,} are stored"
        )
    return Image.fromarray(ids)


def _from_ids(ids_HW: np.ndarray, target: Target | None) -> Decoded:
    h, w = ids_HW.shape
    if target and (h, w) != (target.height, target.width):
        _check_size(h, w)
        picture = Image.fromarray(ids_HW.astype(np.int32))
        ids_HW = np.asarray(_fitted(picture, target, Image.Resampling.NEAREST, MISSING))
    return Decoded(ids_HW.astype(np.int16), h, w, "array", "ids")


def _from_array(pixels_HWC: np.ndarray, target: Target | None) -> Decoded:
    h, w, c = pixels_HWC.shape
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[c]
    if target and (h, w, c) != (target.height, target.width, target.channels):
        if (
            c == target.channels
            and target.fit == "pad"
            and h <= target.height
            and w <= target.width
        ):
            frame = np.zeros((target.height, target.width, c), np.uint8)
            y, x = (target.height - h) // 2, (target.width - w) // 2
            frame[y : y + h, x : x + w] = pixels_HWC
            return Decoded(_hidden_white(frame), h, w, "array", mode)
        _check_size(h, w)
        flat = pixels_HWC[..., 0] if c == 1 else pixels_HWC
        picture = Image.fromarray(np.ascontiguousarray(flat))
        notes = (CLEAR,) if _vanishes(picture, target.channels) else ()
        picture = _with_channels(picture, target.channels)
        return Decoded(_pixels(_fitted(picture, target)), h, w, "array", mode, notes)
    return Decoded(_hidden_white(pixels_HWC), h, w, "array", mode)


def _pixels(picture: Image.Image) -> np.ndarray:
    """(H, W, C) uint8."""
    pixels = np.asarray(picture)
    return _hidden_white(pixels if pixels.ndim == 3 else pixels[..., None])


def _hidden_white(pixels_HWC: np.ndarray) -> np.ndarray:
    """What is wholly transparent becomes white: no model should learn hidden colours."""
    if pixels_HWC.shape[-1] != 4:
        return pixels_HWC
    return np.where(pixels_HWC[..., 3:] == 0, HIDDEN, pixels_HWC)


HIDDEN = np.array([255, 255, 255, 0], np.uint8)


def _check_size(h: int, w: int) -> None:
    if min(h, w) < SMALLEST:
        raise Refused("too small", f"{w} x {h} pixels; at least {SMALLEST} a side are needed")


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation (TIFF 6.0, tag 274) -> what turns the image upright."""


def _orientation(image: Image.Image) -> int:
    """How it is still to be turned, 1 to 8; PNG and WebP carry EXIF too, and Pillow turns TIFF itself."""
    if image.format == "TIFF" or (
        image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}
    ):
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1  # broken metadata is no reason to lose the picture
    return value if value in TURNS else 1


def _draft_size(h: int, w: int, target: Target, turned: bool) -> tuple[int, int]:
    """Smallest (width, height) to decode a JPEG at, in the file's own orientation."""
    if target.part != "whole":
        return (h, w) if turned else (w, h)  # at full size, for at a smaller one w might be odd
    scale = max(target.height / h, target.width / w)
    if target.fit == "pad":
        scale = min(target.height / h, target.width / w)
    size = max(1, round(w * scale * GAP)), max(1, round(h * scale * GAP))
    return (size[1], size[0]) if turned else size


def _vanishes(picture: Image.Image, channels: int) -> bool:
    """Whether some of it is transparent, and will lie on white."""
    return channels < 4 and picture.mode == "RGBA" and _least_alpha(picture) < 255


def _least_alpha(picture: Image.Image) -> float:
    low, _ = picture.getchannel("A").getextrema()
    return float(low)  # type: ignore[arg-type]


def _with_channels(picture: Image.Image, channels: int) -> Image.Image:
    """1, 3 or 4 channels; what is transparent becomes white where there is no alpha channel."""
    if channels == 4:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(ground, picture)
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _fitted(
    picture: Image.Image,
    target: Target,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
    ground: int = 0,
) -> Image.Image:
    """Antialiased bicubic resize (Parmar et al. 2022, "On aliased resizing": Pillow's is the right one).

    Ids take the nearest pixel's.
    """
    w, h = picture.size
    if (h, w) == (target.height, target.width):
        return picture
    box: tuple[float, float, float, float] = (0, 0, w, h)
    size = (target.width, target.height)
    if target.fit == "crop":
        scale = max(target.width / w, target.height / h)
        cut_w, cut_h = target.width / scale, target.height / scale
        x, y = (w - cut_w) / 2, (h - cut_h) / 2
        box = (max(x, 0), max(y, 0), min(x + cut_w, w), min(y + cut_h, h))
    elif target.fit == "pad":
        scale = min(target.width / w, target.height / h, 1.0)
        size = max(1, round(w * scale)), max(1, round(h * scale))
    alpha = picture.mode == "RGBA"
    if size != picture.size or box != (0, 0, w, h):
        # Colours under full transparency must not bleed into edges: resize premultiplied.
        picture = picture.convert("RGBa") if alpha else picture
        picture = picture.resize(size, resampling, box)
        picture = picture.convert("RGBA") if alpha else picture
    if size == (target.width, target.height):
        return picture
    frame = Image.new(picture.mode, (target.width, target.height), ground)
    frame.paste(picture, ((target.width - size[0]) // 2, (target.height - size[1]) // 2))
    return frame


def _begins(content: bytes) -> str:
    """How a file begins, for a report."""
    kinds = {b"<": "markup", b"{": "JSON", b"%PDF": "PDF", b"PK": "a zip", b"8BPS": "PSD"}
    known = next((word for magic, word in kinds.items() if content.startswith(magic)), "")
    return f"it is {known}" if known else f"it begins {content[:8].hex(' ')}"
