"""Single pictures as they are given: a file, an array or a Pillow image, at its own size.

Files pass the decoder of sources: upright by their EXIF orientation, 16 bits to 8, sRGB by their colour
profile, six formats, at most 67 million pixels. What is shown again goes back through the profile.

Shapes: H height, W width, C channels: 1 (grey), 3 or 4 (with alpha).
"""

import dataclasses
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from zeuxis.core.errors import Invalid, NotFound, TooLarge
from zeuxis.core.pixels import to_array, to_pil, to_tensor
from zeuxis.core.settings import similar
from zeuxis.data.originals import profile_of
from zeuxis.data.preparation.decode import Refused, decode, guarded
from zeuxis.data.source.base import read_file
from zeuxis.marks.metadata import Kept, kept_of


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """One picture.

    Attributes:
        pixels_HWC: uint8, in sRGB; where it is wholly transparent, white.
        sha256: of the file, or of the pixels of an array.
        name: of the file; empty if it came from none.
        profile: an RGB colour profile other than sRGB that the file has.
        kept: what the file says of itself, if anything.
    """

    pixels_HWC: np.ndarray
    sha256: str
    name: str = ""
    profile: bytes | None = None
    kept: Kept | None = None

    @property
    def alpha_HW(self) -> np.ndarray | None:
        """The alpha channel, uint8, if it has one."""
        return self.pixels_HWC[..., 3] if self.pixels_HWC.shape[-1] == 4 else None

    def colours(self) -> Tensor:
        """(1, 3, H, W) float32 in [0, 1], with a colour for each transparent pixel.

        Networks see neither a background nor its edge: hidden colours are spread from the visible ones, so
        that the result keeps its alpha without a fringe, and may be resized as it is.
        """
        shown_HWC = self.pixels_HWC[..., :3]
        colours = to_tensor(np.broadcast_to(shown_HWC, (*shown_HWC.shape[:2], 3))[None].copy())
        colours = colours.float().contiguous() / 255
        if self.alpha_HW is None:
            return colours
        visible = torch.from_numpy(self.alpha_HW.copy()).float()[None, None] / 255
        return torch.where(visible > 0, colours, _spread(colours * visible, visible))

    def with_colours(self, colours_1CHW: Tensor) -> np.ndarray:
        """Other colours (1, 3, H, W) in [0, 1] with this picture's alpha: (H, W, 3 or 4) uint8."""
        levels = (colours_1CHW * 255).round().clamp(0, 255).to(torch.uint8)
        pixels_HWC = to_array(levels)[0]
        if self.alpha_HW is None:
            return pixels_HWC
        alpha = Image.fromarray(self.alpha_HW).resize(
            pixels_HWC.shape[1::-1], Image.Resampling.BICUBIC
        )
        return np.concatenate([pixels_HWC, np.asarray(alpha)[..., None]], 2)


def _spread(weighted: Tensor, weight: Tensor) -> Tensor:
    """Colours where there are none: the mean of what is visible nearby, from ever wider places."""
    if min(weight.shape[2:]) < 2:
        return (weighted.sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-6))[:, :, None, None]
    smaller = [F.avg_pool2d(x, 2, ceil_mode=True) for x in (weighted, weight)]
    wide = F.interpolate(_spread(*smaller), weight.shape[2:], mode="bilinear")
    return torch.where(weight > 0, weighted / weight.clamp(min=1e-6), wide)


def open_picture(given: Any) -> Picture:
    """The picture that a path, a file's bytes, an array, a Pillow image or a recipe's entry is.

    Raises:
        NotFound: there is no such file.
        TooLarge: more than 67 million pixels.
        Invalid: it is a folder, no image, smaller than 4 pixels a side, or not the file that a recipe names.
    """
    if isinstance(given, Picture):
        return given
    if isinstance(given, Mapping):
        return _recorded(given)
    if isinstance(given, bytes):
        return _decoded(given, "the picture")
    if isinstance(given, Image.Image):
        return _decoded(_tiff(given), "the picture")
    if isinstance(given, np.ndarray):
        return _of_array(given)
    if not isinstance(given, str | os.PathLike):
        raise Invalid(
            f"a picture is a {type(given).__name__}; expected a file, an array (height, width, channels) "
            "of uint8 or a Pillow image"
        )
    return _of_file(Path(given))


def frames_of(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names.

    Raises:
        NotFound: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}{similar(folder)}; expected one with frames")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise NotFound(f"{folder} holds no frames; expected files such as 0001.png")
    return found


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")


def _of_file(path: Path) -> Picture:
    if path.is_dir():
        raise Invalid(f"{path} is a folder; expected one picture, such as {path / 'cat.png'}")
    if not path.exists():
        raise NotFound(f"there is no file {path}{similar(path)}")
    try:
        content = read_file(path, None)
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read as an image ({error})") from error
    return dataclasses.replace(_decoded(content, str(path)), name=str(path))


def _decoded(content: bytes, what: str) -> Picture:
    try:
        with guarded():
            pixels_HWC = decode(content, None).pixels_HWC
            profile = profile_of(content)
    except Refused as error:
        kind = TooLarge if error.reason == "oversized" else Invalid
        raise kind(f"{what} cannot be read as an image ({error})") from error
    sha256, kept = hashlib.sha256(content).hexdigest(), kept_of(content)
    return Picture(pixels_HWC, sha256, profile=profile, kept=kept)


def _of_array(given: np.ndarray) -> Picture:
    pixels = given[..., None] if given.ndim == 2 else given
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise Invalid(
            f"a picture is {given.dtype} of shape {given.shape}; expected uint8 of (height, width, channels) "
            "with 1, 3 or 4 channels"
        )
    made = _decoded(_tiff(to_pil(np.ascontiguousarray(pixels))), "the array")
    return dataclasses.replace(made, sha256=hashlib.sha256(pixels.tobytes()).hexdigest())


def _recorded(entry: Mapping[str, Any]) -> Picture:
    """The picture of a recipe's entry, which must be the one that it was."""
    if not isinstance(entry.get("file"), str):
        raise Invalid("the recipe's picture came from no file; call the verb with it again")
    picture = open_picture(entry["file"])
    if entry.get("sha256") != picture.sha256:
        raise Invalid(
            f"{entry['file']} is not the file of the recipe: its SHA-256 is {picture.sha256[:12]}..., "
            f"expected {str(entry.get('sha256'))[:12]}..."
        )
    return picture


def _tiff(image: Image.Image) -> bytes:
    """A file of a Pillow image, of any mode."""
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
    profile, buffer = image.info.get("icc_profile"), io.BytesIO()
    upright.save(buffer, "TIFF", icc_profile=profile)
    return buffer.getvalue()
