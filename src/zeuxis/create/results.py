"""What verbs of pictures give: pictures of any size, or the frames of a film, and the recipe beside them.

A file is PNG, JPEG or WebP by its suffix. PNG and WebP are lossless and keep alpha; JPEG lays what is
transparent on white. One picture keeps the colour profile that it was made from; all others are in sRGB.
"""

import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zeuxis.core.errors import Conflict, Invalid
from zeuxis.core.files import read_json, write_file, write_json
from zeuxis.inference.results import Images, Visual

if TYPE_CHECKING:
    import numpy as np

STILL = (".png", ".jpg", ".jpeg", ".webp")
FILMS = (".webp", ".gif", ".mp4")
QUALITY = 95
"""Of JPEG, without subsampling of colours."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pictures(Visual):
    """Pictures.

    Attributes:
        pictures: (H, W, C) uint8 each, in sRGB; sizes may differ, but for frames.
        fps: frames a second of a film; 0 where it is none.
        profile: RGB colour profile that a single picture is written in; None: sRGB.
        notes: sentences about what was measured.
    """

    pictures: "Sequence[np.ndarray]"
    fps: float = 0
    profile: bytes | None = None
    notes: Sequence[str] = ()

    SUFFIX: ClassVar[str] = ".png"
    WRITES: ClassVar[str] = (
        "File of the picture (.png, .jpg, .webp) or film (.webp, .gif, .mp4), or a folder for several"
    )

    MEDIA: ClassVar[str] = "application/zip"

    @property
    def media(self) -> str:
        """Type of `as_file`."""
        return "image/png" if len(self) == 1 else self.MEDIA

    @property
    def array(self) -> "np.ndarray":
        """The one picture (H, W, C), or several of one size (N, H, W, C)."""
        import numpy as np

        return self.pictures[0] if len(self.pictures) == 1 else np.stack(self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    @classmethod
    def default_out(cls, of: Path, verb: str, asked: Mapping[str, Any]) -> Path | None:
        """`samples/NAME-VERB.png`, with a number if that is there already."""
        return super().default_out(of.with_suffix(""), verb, asked)

    @classmethod
    def check_out(cls, path: Path) -> None:
        """Refuse a name that no picture can have, and a file that no verb wrote.

        Raises:
            Invalid: the suffix is none of a picture.
            Conflict: something else is there.
        """
        if not path.suffix or path.is_dir():
            Images.check_out(path)
            return
        if path.suffix.lower() not in (*STILL, *FILMS):
            raise Invalid(
                f"{path} cannot be a picture; give --out a name that ends in {', '.join(STILL)}, "
                ".gif or .mp4 for a film, or a folder"
            )
        note = recipe_of(path)
        ours = note.is_file() and read_json(note).get("result") == path.name
        if path.exists() and not ours:
            raise Conflict(
                f"{path} is there and was not made by a recipe beside it; give --out another name"
            )
        if note.exists() and not ours:
            raise Conflict(
                f"{note}, where the recipe goes, is of something else; give --out another name"
            )

    def as_file(self) -> bytes:
        """The picture as PNG; several as a zip of their files."""
        if len(self.pictures) == 1:
            return self._single(".png")
        return self._several(self.provenance).as_file()

    def _single(self, suffix: str) -> bytes:
        return self.encoded(self.pictures[0], lambda image: file_of(image, suffix, self.profile), 0)

    def _several(self, provenance: Mapping[str, Any]) -> Images:
        return Images(images=self.pictures, provenance=provenance, kept=self.kept, key=self.key)

    def write(self, path: str | Path) -> None:
        """Write the picture, the film or a folder of pictures, and the recipe: `NAME.json` or `samples.json`.

        Raises:
            Invalid: several pictures, no film, and the name of a file.
            Conflict: what is there is of another origin.
        """
        from zeuxis import __version__

        path = Path(path)
        self.check_out(path)
        recipe = {**self.provenance, "version": __version__, "notes": list(self.notes)}
        if not path.suffix or path.is_dir():
            several = self._several(recipe)
            several.write(path)
            self.bare.update(several.bare)
            return
        if self.fps:
            self.save_film(self.array, path, self.fps, loop=True)
        elif len(self.pictures) == 1:
            content = self._single(path.suffix.lower())
            write_file(path, lambda beside: beside.write_bytes(content))
        else:
            raise Invalid(f"{path} cannot hold {len(self)} pictures; give --out a folder's name")
        recipe |= self._record()
        write_json(recipe_of(path), {"result": path.name, **recipe})

    def lines(self, path: Path | None) -> Iterator[str]:
        """Where it lies, and what was measured."""
        height, width = self.pictures[0].shape[:2]
        many = f"{len(self)} {'frames' if self.fps else 'pictures'}, " if len(self) > 1 else ""
        yield f"wrote {path} ({many}{width} x {height} pixels)"
        jpeg = path is not None and path.suffix.lower() in (".jpg", ".jpeg")
        if jpeg and self.pictures[0].shape[2] == 4:
            yield "  JPEG holds no alpha: what is transparent became white"
        yield from self.said_of_marks()
        for note in self.notes:
            yield f"  {note}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Texture(Pictures):
    """A texture, with its maps if they were asked for.

    Attributes:
        maps: `height` and `normal-opengl` or `normal-directx` -> (H, W, 1 or 3) uint8; they tile as it does.
    """

    maps: "Mapping[str, np.ndarray]" = dataclasses.field(default_factory=dict)

    EDITED: ClassVar[str] = "algorithmicallyEnhanced"
    WRITES: ClassVar[str] = "File of the texture (.png, .jpg, .webp)"
    SHEET: ClassVar[str] = "it repeated three by three"

    def write(self, path: str | Path) -> None:
        """Write the texture, its recipe, and `NAME-height.png` and `NAME-normal-....png` beside it.

        Raises:
            Conflict: one of these files is there and is of another origin.
        """
        from zeuxis.core.pixels import save_png

        path = Path(path)
        files = {name: path.with_name(f"{path.stem}-{name}.png") for name in self.maps}
        note = recipe_of(path)
        known = read_json(note).get("beside", ()) if note.is_file() else ()
        for file in files.values():
            if file.exists() and file.name not in known:
                raise Conflict(f"{file} is there and is of another origin; give --out another name")
        named = dataclasses.replace(
            self, provenance={**self.provenance, "beside": [file.name for file in files.values()]}
        )
        super(Texture, named).write(path)
        for name, file in files.items():
            save_png(file, self.maps[name])

    def write_sheet(self, path: Path) -> None:
        """Write it repeated, three times along each axis, as one PNG file."""
        import numpy as np

        self.write_picture(path, np.tile(self.pictures[0], (3, 3, 1)))


def recipe_of(path: Path) -> Path:
    """Where the recipe of a picture lies."""
    return path.with_suffix(".json")


def file_of(pixels_HWC: "np.ndarray", suffix: str, profile: bytes | None) -> bytes:
    """The bytes of a picture's file, in the format of its suffix and the colours of a profile."""
    from PIL import Image

    from zeuxis.core.pixels import to_pil
    from zeuxis.data.originals import through

    image = to_pil(pixels_HWC)
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    if suffix in (".jpg", ".jpeg"):
        options = {"quality": QUALITY, "subsampling": 0}
        if image.mode == "RGBA":
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
    image, buffer = through(image, profile), io.BytesIO()
    kind = {".png": "PNG", ".webp": "WEBP"}.get(suffix, "JPEG")
    image.save(buffer, kind, icc_profile=image.info.get("icc_profile"), **options)
    return buffer.getvalue()
