"""The verbs that take images, on files: read, brought to the model's form, treated, written.

Each file keeps its name. What a model is asked for is one label for all, or what the source says.
"""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core import npz
from zeuxis.core.abilities import Tokenizes
from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.files import write_file
from zeuxis.core.pixels import to_pil
from zeuxis.core.progress import Progress
from zeuxis.core.settings import override
from zeuxis.data.pictures import Pictures, picture, pictures
from zeuxis.data.preparation.decode import Target
from zeuxis.inference import codec, results
from zeuxis.inference.model import Model, load

MOST = 100_000
"""Images of a source, at most, that one call treats."""
SHOWN = 12
"""Images of a sheet that shows before and after."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Treated:
    """What a verb left.

    Attributes:
        folder: the images, or the file, that were written.
        count: how many images.
        sheet: a PNG file with inputs above outputs, if one was asked for.
        refused: (file, why) of those that could not be read.
    """

    folder: Path
    count: int
    sheet: Path | None = None
    refused: Sequence[tuple[str, str]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Bits per dimension of a source's images.

    Attributes:
        kind: exact, bound or estimate.
        names, bits: per image.
        refused: (file, why) of those that could not be read.
    """

    kind: str
    names: Sequence[str]
    bits: np.ndarray
    refused: Sequence[tuple[str, str]] = ()

    @property
    def mean(self) -> float:
        """Over the images."""
        return float(self.bits.mean(dtype=np.float64))

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(self.bits.astype(np.float64).std(ddof=1) / len(self.bits) ** 0.5)


def treat(
    verb: str,
    run: Path,
    source: str | Path,
    *,
    out: Path | None = None,
    sheet: Path | None = None,
    labels: Sequence[str] = (),
    controls: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Treated:
    """Reconstruct, denoise, complete or translate the images of a source into numbered PNG files.

    Args:
        verb: "reconstruct", "denoise", "complete" or "translate".
        run: a trained model's folder.
        source: images in any form that the data room reads; brought to the model's size.
        out: folder of the results; by default `samples/<run>-<verb>`.
        sheet: a PNG file for some inputs above their outputs.
        labels: one class, or `condition=class` words, for all images; by default those that the
            source gives, else unknown.
        controls: the family's controls as words.
        progress: told of progress.
        **settings: `sigma` of denoise; `mask` (a file) and `seed` of complete; `seed` of translate.

    Raises:
        ValueError: the family cannot do that, or the source, a label or a control is no good.
    """
    folder = out or Path("samples") / f"{run.resolve().name}-{verb}"
    results.check_free(folder)
    results.check_sheet(sheet)
    model = load(run)
    model.check_able(verb)
    seen = read(model, source, progress)
    given = asked(model, seen, labels)
    if controls:
        settings |= override(model.family.Controls(), dict(controls)).model_dump()
    shown = seen.images
    if verb == "complete":
        settings["mask"] = read_mask(settings["mask"], model)
        shown = np.where(settings["mask"][None, ..., None] != 0, 128, seen.images).astype(np.uint8)
    done = getattr(model, verb)(seen.images, labels=given, progress=progress, **settings)
    facts = {"run": str(run), "verb": verb, "source": str(source), "labels": list(labels)}
    plain = {key: value for key, value in settings.items() if key != "mask"}
    results.write(folder, done, {**facts, "controls": plain, "files": seen.names})
    both = np.concatenate([shown[:SHOWN], done[:SHOWN]])
    results.write_sheet(sheet, both, columns=min(SHOWN, len(done)))
    return Treated(folder=folder, count=len(done), sheet=sheet, refused=seen.refused)


def encode(
    run: Path,
    source: str | Path,
    *,
    out: Path | None = None,
    labels: Sequence[str] = (),
    progress: Progress | None = None,
) -> Treated:
    """Write the latents of a source's images to an .npz file: `latent` (N, ...) and `name` (N,)."""
    file = out or Path("samples") / f"{run.resolve().name}-latents.npz"
    check_npz(file)
    model = load(run)
    model.check_able("encode")
    seen = read(model, source, progress)
    latents = model.encode(seen.images, asked(model, seen, labels), progress)
    file.parent.mkdir(parents=True, exist_ok=True)

    def save(path: Path) -> None:
        with path.open("wb") as stream:
            np.savez(stream, latent=latents, name=np.array(seen.names))

    write_file(file, save)
    return Treated(folder=file, count=len(latents), refused=seen.refused)


def decode(
    run: Path,
    file: Path,
    *,
    out: Path | None = None,
    sheet: Path | None = None,
    labels: Sequence[str] = (),
    progress: Progress | None = None,
) -> Treated:
    """Write the images of the latents in an .npz file that `encode` (or another tool) wrote.

    Raises:
        ValueError: the file holds no array `latent`, or one of another shape than the model's.
    """
    check_npz(file)
    if not file.is_file():
        raise NotFound(f"there is no file {file}; `zeuxis encode` writes one")
    folder = out or Path("samples") / f"{run.resolve().name}-decode"
    results.check_free(folder)
    results.check_sheet(sheet)
    model = load(run)
    model.check_able("decode")
    latents = npz.read(file).get("latent")
    if latents is None:
        raise Invalid(f"{file} holds no array `latent`")
    _check_latents(file, latents, model)
    given = model.indices(results.label(labels), len(latents)) if labels else None
    done = model.decode(latents, given, progress)
    results.write(folder, done, {"run": str(run), "verb": "decode", "source": str(file)})
    results.write_sheet(sheet, done)
    return Treated(folder=folder, count=len(done), sheet=sheet)


def interpolate(
    run: Path,
    start: str,
    end: str,
    count: int,
    *,
    out: Path | None = None,
    sheet: Path | None = None,
    labels: Sequence[str] = (),
    controls: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Treated:
    """Write a walk between two seeds (whole numbers) or two image files, `count` images.

    Raises:
        ValueError: one end is a seed and the other a file, or the family cannot walk so.
    """
    folder = out or Path("samples") / f"{run.resolve().name}-interpolate"
    results.check_free(folder)
    results.check_sheet(sheet)
    model = load(run)
    model.check_able("interpolate")
    words = override(model.family.Controls(), dict(controls or {})).model_dump()
    first, last = (
        int(word) if word.lstrip("-").isdigit() else read_one(word, model) for word in (start, end)
    )
    asked_for = results.label(labels)
    done = model.interpolate(first, last, count, label=asked_for, progress=progress, **words)
    results.write(folder, done, {"run": str(run), "verb": "interpolate", "ends": [start, end]})
    results.write_sheet(sheet, done, columns=count)
    return Treated(folder=folder, count=count, sheet=sheet)


def score(
    run: Path,
    source: str | Path,
    *,
    out: Path | None = None,
    labels: Sequence[str] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Score:
    """Bits per dimension of a source's images; `out`, a .csv file, gets one line an image.

    Raises:
        ValueError: the family gives no likelihood, or fewer than 2 images could be read.
    """
    if out is not None and out.suffix.lower() != ".csv":
        raise Invalid(f"{out} cannot be a table; give --out a file name that ends in .csv")
    model = load(run)
    model.check_able("score")
    seen = read(model, source, progress)
    if len(seen.images) < 2:
        raise Invalid(f"{seen.name} has {len(seen.images)} image; a mean needs at least 2")
    bits = model.bits_per_dim(seen.images, asked(model, seen, labels), seed, progress)
    if out is not None:
        write_file(out, lambda path: _table(path, seen.names, bits))
    kind = str(model.family.kind)
    return Score(kind=kind, names=seen.names, bits=bits, refused=seen.refused)


def compress(
    run: Path, source: str | Path, *, out: Path | None = None, progress: Progress | None = None
) -> codec.Coded:
    """Code a source's images, brought to the model's form, into one lossless file.

    Raises:
        ValueError: the family cannot compress, or the file has another suffix than `codec.SUFFIX`.
    """
    file = out or Path("samples") / f"{run.resolve().name}{codec.SUFFIX}"
    if file.suffix != codec.SUFFIX:
        raise Invalid(f"{file} is to end in {codec.SUFFIX}; give --out such a name")
    model = load(run, device="cpu")
    model.check_able("compress")
    return codec.compress(model, read(model, source), file, progress)


def decompress(
    run: Path, file: Path, *, out: Path | None = None, progress: Progress | None = None
) -> Treated:
    """Write the images of a file that `compress` wrote as PNG files, bit for bit."""
    folder = out or Path("samples") / f"{run.resolve().name}-decompress"
    results.check_free(folder)
    images, names = codec.decompress(load(run, device="cpu"), file, progress)
    facts = {"run": str(run), "verb": "decompress", "source": str(file), "files": names}
    results.write(folder, images, facts)
    return Treated(folder=folder, count=len(images))


def read(model: Model, source: str | Path, progress: Progress | None = None) -> Pictures:
    """A source's images at the model's size and channels."""
    config = model.family.config
    channels: Any = config.channels
    return pictures(source, (config.height, config.width), channels, MOST, progress=progress)


def asked(model: Model, seen: Pictures, labels: Sequence[str]) -> np.ndarray | None:
    """(N, A) class indices: what `labels` say for all, else what the source says; None if nothing."""
    if labels:
        return model.indices(results.label(labels), len(seen.images))
    known = {condition: column for column, condition in enumerate(seen.conditions)}
    found = [known.get(condition) for condition in model.conditions]
    if all(column is None for column in found):
        return None
    unknown = np.full(len(seen.images), -1)
    return np.stack([unknown if at is None else seen.labels[:, at] for at in found], axis=1)


def read_mask(file: str | Path, model: Model) -> np.ndarray:
    """(H, W) uint8 of a mask file at the model's size: 1, where it is white and opaque, is to be painted."""
    config = model.family.config
    pixels = picture(Path(file), Target(config.height, config.width, 4))
    grey = np.asarray(to_pil(pixels[..., :3]).convert("L")) * (pixels[..., 3] / 255)
    mask = (grey >= 128).astype(np.uint8)
    if not mask.any():
        raise Invalid(f"the mask {file} is black: white is what is to be painted")
    return mask


def read_one(file: str, model: Model) -> np.ndarray:
    """One image file at the model's size and channels, (H, W, C) uint8, cropped as those of a source."""
    config = model.family.config
    return picture(Path(file), Target(config.height, config.width, config.channels))


def _check_latents(file: Path, latents: np.ndarray, model: Model) -> None:
    """Refuse what no image of the model could have been encoded as."""
    config, family = model.family.config, model.family
    one = model.encode(np.zeros((1, config.height, config.width, config.channels), np.uint8))
    if latents.ndim != one.ndim or latents.shape[1:] != one.shape[1:] or not len(latents):
        raise Invalid(
            f"{file} holds latents of shape {latents.shape}; this model's are (N, {str(one.shape[1:])[1:]}"
        )
    if latents.dtype.kind not in "iuf" or not np.isfinite(latents).all():
        raise Invalid(f"{file} holds latents that are no finite numbers; encode them anew")
    if isinstance(family, Tokenizes):
        most = family.vocabulary
        if latents.dtype.kind == "f" or latents.min() < 0 or latents.max() >= most:
            raise Invalid(f"{file} holds other tokens than 0 to {most - 1}; encode them anew")


def check_npz(file: Path) -> None:
    """Refuse a name that is not of an .npz file."""
    if file.suffix.lower() != ".npz":
        raise Invalid(f"{file} cannot hold latents; give a file name that ends in .npz")


def _table(path: Path, names: Sequence[str], bits_N: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "bits_per_dim"])
        writer.writerows(
            (name, f"{value:.6f}") for name, value in zip(names, bits_N.tolist(), strict=True)
        )
