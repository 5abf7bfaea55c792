"""Types of the arguments that verbs take: images, masks, latents, labels, numbers.

Each is a class that says how a value is read, checked and described, and an alias for signatures.
Shapes: N images, H height, W width, C channels, A conditions.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zeuxis.core.errors import Invalid, NotFound, TooLarge
from zeuxis.core.files import Upload
from zeuxis.inference.sent import Sent, check_count, decoded, each, file_bytes, told
from zeuxis.inference.verb import Argument, Encoded

if TYPE_CHECKING:
    import numpy as np

    from zeuxis.core.fields import Field
    from zeuxis.core.progress import Progress
    from zeuxis.data.originals import Originals
    from zeuxis.data.pictures import Pictures
    from zeuxis.data.preparation.decode import Target
    from zeuxis.inference.model import Model

MOST = 100_000
"""Images of a source, at most, that one call takes."""
NAMED = 8
"""Class ids that an error names."""
FAR = 48
"""Levels of a channel: further from each colour of a legend a pixel is of none of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number(Argument):
    """A number of at least `least`, or any.

    Attributes:
        least: bound.
        counts: whether it is one of images.
    """

    least: float | None = None
    counts: bool = False

    def schema(self) -> Any:
        """The type with its bounds."""
        import pydantic

        return Annotated[self.word, pydantic.Field(ge=self.least, allow_inf_nan=False)]

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """The number."""
        import pydantic

        try:
            return pydantic.TypeAdapter(self.schema()).validate_python(value)
        except pydantic.ValidationError as error:
            name = next((name for name, one in given.items() if one is value), "value")
            kind = "a whole number" if self.word in (int, int | None) else "a number"
            least = "" if self.least is None else f" of at least {self.least:g}"
            raise Invalid(f"{name} is {value!r}; expected {kind}{least}") from error

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """The number, if it counts not too many images."""
        if self.counts and isinstance(value, int) and value > most:
            raise TooLarge(f"{value:,} images are asked for and one request may have {most:,}")
        return value

    def plain(self, value: Any) -> Any:
        """The number."""
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Switch(Argument):
    """Yes or no."""

    word: Any = bool
    body: Any = bool

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> bool:
        """The value."""
        if not isinstance(value, bool):
            name = next(name for name, one in given.items() if one is value)
            raise Invalid(f"{name} is {value!r}; expected true or false")
        return value

    def plain(self, value: Any) -> Any:
        """The value."""
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelsOf(Argument):
    """Images of the model's size: (N, H, W, C) uint8, or what `data.pictures.pictures` read.

    Attributes:
        exact: only uint8; else numbers on the same scale, and perhaps beyond, do as well.
    """

    exact: bool = True

    def read(self, model: "Model", word: str, progress: "Progress | None") -> "Pictures":
        """The images of a source, brought to the model's size and channels."""
        from zeuxis.data.pictures import pictures

        height, width, channels = model.shape()
        form: Any = channels
        return pictures(word, (height, width), form, MOST, progress=progress)

    def take(self, model: "Model", value: Any, most: int) -> "Sent":
        """The images of the files, brought to the model's size and channels."""
        from zeuxis.data.preparation.decode import Target
        from zeuxis.marks.metadata import kept_of

        images = decoded(value, "images", Target(*model.shape()), most)
        return Sent(images, told(value, kept_of))

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> "np.ndarray":
        """(N, H, W, C) uint8, or as given if not `exact`."""
        import numpy as np

        expected = model.shape()
        bgr = "; of images that OpenCV read, which are BGR, give images[..., ::-1]"
        bgr = bgr if expected[-1] == 3 else ""
        try:
            images_NHWC = np.asarray(getattr(value, "images", value))
        except ValueError as error:
            raise Invalid(
                f"images have several sizes, or one is missing (OpenCV gives None for what it cannot read); "
                f"expected uint8 of shape {expected} each"
            ) from error
        if images_NHWC.shape[1:] != expected or images_NHWC.ndim != 4:
            raise Invalid(
                f"images are {images_NHWC.dtype} of shape {images_NHWC.shape[1:]}, "
                f"expected uint8 of shape {expected} (height, width, channels{bgr})"
            )
        if self.exact and images_NHWC.dtype != np.uint8:
            raise Invalid(f"images are {images_NHWC.dtype}, expected uint8, 0 to 255{bgr}")
        if not len(images_NHWC):
            raise Invalid("expected at least 1 image, found 0")
        return np.require(images_NHWC, requirements=("C", "W"))

    def plain(self, value: Any) -> Any:
        """The name of the source."""
        return getattr(value, "name", None)

    def is_source(self, model: "Model", value: Any) -> bool:
        """Always."""
        return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourcesOf(Argument):
    """What a family `Translates`, of any sizes: images (h, w, c) uint8, or maps of class ids (h, w).

    Colours become what the model takes: grey is repeated, colour weighed to grey; alpha is given back as it
    was, unless the model makes its own.
    """

    def read(self, model: "Model", word: Sequence[str], progress: "Progress | None") -> "Originals":
        """The images or maps of files and sources, each at its own size."""
        from zeuxis.data.originals import originals

        kind: Any = model.family.fields()["source"].kind
        return originals([word] if isinstance(word, str) else word, kind, progress)

    def take(self, model: "Model", value: Any, most: int) -> "Sent":
        """The images or maps of the files."""
        from zeuxis.data.originals import as_map, profile_of
        from zeuxis.marks.metadata import kept_of

        kind = model.family.fields()["source"].kind

        def whole(content: bytes) -> "Target | None":
            return as_map(content) if kind == "map" else None

        images = each(value, "sources", whole, most)
        profiles = told(value, profile_of) if kind == "image" else ()
        return Sent(images, told(value, kept_of), profiles)

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> "Sequence[np.ndarray]":
        """(h, w, c) uint8 each, or (h, w) int64; sizes may differ."""
        import numpy as np

        field = model.family.fields()["source"]
        found = [np.asarray(one) for one in getattr(value, "images", value)]
        if not found:
            raise Invalid("expected at least 1 source, found 0")
        if field.kind != "map":
            return [_pixels(one) for one in found]
        names = getattr(value, "names", [f"source {number}" for number in range(len(found))])
        made = Sources()
        for one, name in zip(found, names, strict=True):
            if one.ndim == 3 and one.dtype == np.uint8 and one.shape[2] in (3, 4):
                one, note = _of_colours(one, field, name)
                made.notes += [note] if note else []
            made.append(_ids(one, field, name))
        return made

    def plain(self, value: Any) -> Any:
        """The name of the source."""
        return getattr(value, "name", None)

    def is_source(self, model: "Model", value: Any) -> bool:
        """Of pictures; a map says only where what is."""
        return bool(model.family.fields()["source"].kind != "map")


def _pixels(source: "np.ndarray") -> "np.ndarray":
    """(h, w, c) uint8 with 1, 3 or 4 channels."""
    import numpy as np

    if source.ndim != 3 or source.shape[2] not in (1, 3, 4) or source.dtype != np.uint8:
        raise Invalid(
            f"sources are {source.dtype} of shape {source.shape}, expected uint8 images "
            "(height, width, channels) with 1, 3 or 4 channels"
        )
    return source


class Sources(list["np.ndarray"]):
    """Maps of class ids, and what is to be said of how they were read."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []


def _ids(source: "np.ndarray", field: "Field", name: str) -> "np.ndarray":
    """(h, w) int64, ids of classes that a model has learned."""
    import numpy as np

    if source.ndim != 2 or source.dtype.kind not in "iu":
        raise Invalid(
            f"{name} is {source.dtype} of shape {source.shape}, expected a map of class ids "
            "(height, width), or a picture in the colours of its legend"
        )
    unknown = [n for n in np.unique(source).tolist() if not -1 <= n < len(field.classes)]
    if unknown:
        found = ", ".join(map(str, unknown[:NAMED])) + (" ..." if unknown[NAMED:] else "")
        raise Invalid(
            f"{name} has class ids that the model has not learned: {found}; it knows {_legend(field)}, and "
            "-1 where none is known; of a picture in these colours each pixel is taken as the nearest's class"
        )
    return source.astype(np.int64)


def _of_colours(source: "np.ndarray", field: "Field", name: str) -> "tuple[np.ndarray, str | None]":
    """(h, w) int64 ids of the legend's nearest colours, and a remark if some are not exact."""
    from zeuxis.core.pixels import nearest_ids

    ids, off = nearest_ids(source, field.palette)
    far, count = (off > FAR).mean(), int((off > 0).sum())
    if far > 0.5:
        raise Invalid(
            f"{name} holds colours, and {far:.0%} of its pixels are like none of the legend's: expected a "
            f"map of class ids, or a picture in the colours {_legend(field)}"
        )
    note = f"{name}: {count:,} of {off.size:,} pixels have no colour of the legend; the nearest is taken"
    return ids, note if count else None


def _legend(field: "Field") -> str:
    """Ids with names and colours, some of them."""
    shown = zip(field.classes[:NAMED], field.palette.tolist(), strict=False)
    known = ", ".join(f"{n} {word} #{bytes(rgb).hex()}" for n, (word, rgb) in enumerate(shown))
    return known + (f" and {len(field.classes) - NAMED:,} more" if field.classes[NAMED:] else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedPixelsOf(PixelsOf):
    """Images with the names of their files."""

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """(N, H, W, C) uint8 and N names, which are numbers if nothing was read from files."""
        images = super().check(model, value, given)
        return images, list(getattr(value, "names", map(str, range(len(images)))))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskOf(Argument):
    """What is to be filled: (H, W) for all images, or (N, H, W); other than 0 is open."""

    def read(self, model: "Model", word: Path, progress: "Progress | None") -> "np.ndarray":
        """(H, W) uint8 of an image file at the model's size: 1 where it is white and opaque."""
        from zeuxis.data.pictures import picture
        from zeuxis.data.preparation.decode import Target

        height, width, _ = model.shape()
        return _white(picture(word, Target(height, width, 4)), f"the mask {word}")

    def take(self, model: "Model", value: Any, most: int) -> "np.ndarray":
        """The same of the bytes of one."""
        from zeuxis.data.preparation.decode import Target

        height, width, _ = model.shape()
        pixels_NHWC = decoded([value], "mask", Target(height, width, 4), most)
        return _white(pixels_NHWC[0], "the mask")

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> "np.ndarray":
        """(N, H, W) bool."""
        import numpy as np

        open_NHW = np.asarray(value) != 0
        images = given["images"]
        count, size = len(getattr(images, "images", images)), model.shape()[:2]
        if open_NHW.shape not in (size, (count, *size)):
            raise Invalid(
                f"the mask has shape {open_NHW.shape}, expected {size} or {(count, *size)}"
            )
        return np.broadcast_to(open_NHW, (count, *size))


@dataclasses.dataclass(frozen=True, kw_only=True)
class HolesOf(Argument):
    """What of sources is to be filled: (h, w) of their size, for all or one of each; other than 0 is open."""

    def read(self, model: "Model", word: Path | None, progress: "Progress | None") -> Any:
        """(h, w) uint8 of an image file: 1 where it is white and opaque."""
        from zeuxis.data.preparation.decode import decode
        from zeuxis.data.source.base import read_file

        return (
            None
            if word is None
            else _white(decode(read_file(word, None), None).pixels_HWC, f"the mask {word}")
        )

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """The same of the bytes of one."""
        from zeuxis.data.preparation.decode import decode

        if value is None:
            return None
        return _white(decode(file_bytes(value, "mask"), None).pixels_HWC, "the mask")

    def check(
        self, model: "Model", value: Any, given: Mapping[str, Any]
    ) -> "Sequence[np.ndarray] | None":
        """(h, w) bool of each source."""
        import numpy as np

        if value is None:
            return None
        sources = getattr(given["sources"], "images", given["sources"])
        masks = [value] * len(sources) if getattr(value, "ndim", 0) == 2 else list(value)
        for mask, source in zip(masks, sources, strict=False):
            if np.shape(mask) != np.shape(source)[:2]:
                raise Invalid(
                    f"the mask has shape {np.shape(mask)} and a source {np.shape(source)[:2]}; give one "
                    "of the same size"
                )
        if len(masks) != len(sources):
            raise Invalid(f"found {len(masks)} masks for {len(sources)} sources; give one of each")
        return [np.asarray(mask) != 0 for mask in masks]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentsOf(Argument):
    """What `encode` gives: (N, ...) float32, or tokens (N, h, w) int64."""

    def read(self, model: "Model", word: Path, progress: "Progress | None") -> "np.ndarray":
        """The array `latent` of an .npz file."""
        if word.suffix.lower() != ".npz":
            raise Invalid(f"{word} cannot hold latents; give a file name that ends in .npz")
        if not word.is_file():
            raise NotFound(f"there is no file {word}; `zeuxis encode` writes one")
        return self._of(word)

    def take(self, model: "Model", value: Any, most: int) -> "np.ndarray":
        """The same of the file's bytes."""
        latents = self._of(Upload("latents", file_bytes(value, "latents")))
        check_count(len(latents) if latents.ndim else 1, most)
        return latents

    def _of(self, file: Path | Upload) -> "np.ndarray":
        from zeuxis.core import npz

        latents = npz.read(file).get("latent")
        if latents is None:
            raise Invalid(f"{file} holds no array `latent`")
        return latents

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> "np.ndarray":
        """(N, ...) float32 or int64."""
        import numpy as np

        from zeuxis.core.abilities import Encodes, Tokenizes

        latents, family = np.asarray(value), model.family
        if latents.dtype.kind not in "iuf" or not np.isfinite(latents).all():
            raise Invalid("the latents are no finite numbers; encode images anew")
        if isinstance(family, Encodes):
            one = model.latent_shape
            if latents.shape[1:] != one or not len(latents):
                expected = str(one)[1:]
                raise Invalid(
                    f"the latents have shape {latents.shape}; this model's are (N, {expected}"
                )
        if isinstance(family, Tokenizes):
            most = family.vocabulary
            if latents.dtype.kind == "f" or latents.min() < 0 or latents.max() >= most:
                raise Invalid(f"the latents are other tokens than 0 to {most - 1}; encode anew")
        return latents.astype(np.int64 if latents.dtype.kind in "iu" else np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelsOf(Argument):
    """What images show: a class name, names by condition, or (N, A) class indices, -1 unknown."""

    def read(self, model: "Model", word: Sequence[str] | None, progress: "Progress | None") -> Any:
        """`CLASS`, or `CONDITION=CLASS` words, as a name or names by condition."""
        words = list(word or ())
        if len(words) == 1 and "=" not in words[0]:
            return words[0]
        for one in words:
            if "=" not in one:
                raise Invalid(f"cannot read the label {one!r}: expected CONDITION=CLASS")
        asked = dict(one.split("=", 1) for one in words)
        if len(asked) < len(words):
            raise Invalid(
                f"found a condition twice in {', '.join(words)}; give each one class, and draw the "
                "others in another call"
            )
        return asked or None

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """A class name, or names by condition."""
        named = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        if not (value is None or isinstance(value, str) or named):
            raise Invalid(f"labels is {value!r:.200}; expected a class, or classes by condition")
        return value

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """(N, A) int64 where the call has images, with what their source says; else as given."""
        from zeuxis.inference import labels

        images = next(
            (given[name] for name in ("images", "sources", "latents") if name in given), None
        )
        if images is None:
            return value
        if value is None and hasattr(images, "conditions"):
            value = labels.of_source(model.conditions, images)
        return labels.table(model.conditions, value, len(getattr(images, "images", images)))

    def plain(self, value: Any) -> Any:
        """The names that were asked for."""
        return value if isinstance(value, str | Mapping) else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileOf(Argument):
    """A compressed file."""

    def take(self, model: "Model", value: Any, most: int) -> Upload:
        """The file."""
        from zeuxis.inference import codec

        file = Upload("the file", file_bytes(value, "file"))
        check_count(codec.count(file), most)
        return file

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Path | Upload:
        """The path, or what came with a request."""
        return value if isinstance(value, Upload) else Path(value)

    def plain(self, value: Any) -> Any:
        """Its name."""
        return (value if isinstance(value, Upload) else Path(value)).name


def _white(pixels_HWC: "np.ndarray", what: str) -> "np.ndarray":
    """(H, W) uint8, 1 where an image is white and opaque."""
    import numpy as np

    from zeuxis.core.pixels import to_pil

    grey = np.asarray(to_pil(pixels_HWC[..., :3]).convert("L"))
    if pixels_HWC.shape[2] == 4:
        grey = grey * (pixels_HWC[..., 3] / 255)
    mask = (grey >= 128).astype(np.uint8)
    if not mask.any():
        raise Invalid(f"{what} is black: white is what is to be filled")
    return mask


_IMAGES: dict[str, Any] = {"word": str, "body": list[Encoded], "option": False, "metavar": "SOURCE"}

Pixels = Annotated[
    Any,
    PixelsOf(
        help="Images in any form that Zeuxis reads: a folder, zip, tar, idx, npz, npy or parquet file, "
        "a prepared set. They are brought to the model's size.",
        **_IMAGES,
    ),
]
NamedPixels = Annotated[Any, NamedPixelsOf(help="Images to compress, from any source.", **_IMAGES)]
NoisyPixels = Annotated[
    Any, PixelsOf(help="Noisy images, from any source.", exact=False, **_IMAGES)
]
SourcePixels = Annotated[
    Any,
    SourcesOf(
        help="Pictures or maps to translate, of any size: files, folders, or sources of any form.",
        **{**_IMAGES, "word": list[str], "metavar": "INPUT..."},
    ),
]
Mask = Annotated[
    Any,
    MaskOf(help="Image whose white part is to be filled.", word=Path, body=Encoded, metavar="FILE"),
]
Holes = Annotated[
    Any,
    HolesOf(
        help="Picture of the source's size whose white part is to be filled, of models that learned holes.",
        word=Path | None,
        body=Encoded | None,
        metavar="FILE",
    ),
]
Latents = Annotated[
    Any,
    LatentsOf(
        help="The file that `zeuxis encode` wrote.",
        word=Path,
        body=Encoded,
        option=False,
        metavar="LATENTS",
    ),
]
Labels = Annotated[
    Any,
    LabelsOf(
        help="What the images should show: CLASS, or CONDITION=CLASS; repeatable.",
        word=list[str] | None,
        body=str | dict[str, str] | None,
        flag="label",
    ),
]
Count = Annotated[int, Number(help="How many images.", word=int, least=1, counts=True)]
Loop = Annotated[bool, Switch(help="End where it began, for a film that repeats.")]
Steps = Annotated[
    int, Number(help="How many images, ends included.", word=int, least=2, counts=True)
]
Samples = Annotated[
    int,
    Number(
        help="Translations of each source, by this seed and those after it; from 2 on also their mean and "
        "standard deviation.",
        word=int,
        least=1,
        counts=True,
    ),
]
Seed = Annotated[int, Number(help="Same seed: same images.", word=int)]
Sigma = Annotated[
    float,
    Number(help="Standard deviation of the noise, in levels of 255.", word=float, least=0),
]
Coded = Annotated[
    Any,
    FileOf(
        help="What `zeuxis compress` wrote.", word=Path, body=Encoded, option=False, metavar="FILE"
    ),
]
