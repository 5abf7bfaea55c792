"""The images of a source as they are, to be measured: only what cannot be read is left out.

A generator that repeats itself must not have its duplicates removed before it is measured.
"""

import collections
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.family import Condition
from zeuxis.core.progress import Progress
from zeuxis.core.rng import derive_seed
from zeuxis.core.settings import Data
from zeuxis.data.preparation import columns
from zeuxis.data.preparation.decode import Target, decode, guarded, header, opened
from zeuxis.data.preparation.target import choose_target
from zeuxis.data.prepared import is_prepared, open_prepared
from zeuxis.data.source import Item, Source, open_source
from zeuxis.data.source.base import read_file
from zeuxis.marks.metadata import Kept, kept_of
from zeuxis.nn.corruption import LUMINANCE

MOST = 10_000
"""Images of a source that are looked at unless more are asked for."""
PEEK = 256
"""Files whose format and quality are looked up."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images of one size, and what is known of them.

    Attributes:
        name: the source's name.
        names: of the images' files.
        images: (N, H, W, C) uint8, or maps (N, H, W) int16, memory-mapped: an open set, or a file that goes
            with it.
        conditions: columns of classes.
        labels: (N, A) int64 in the order of `conditions`; -1 is unknown.
        form: how the files were stored, e.g. `{"JPEG, quality 75": 1.0}`: shares of those looked at.
        found: images in the source, of which at most so many were asked for.
        refused: (file, why) of those that could not be read.
        kept: what each file said of itself, if anything; empty of prepared sets.
    """

    name: str
    names: Sequence[str]
    images: np.ndarray
    conditions: tuple[Condition, ...]
    labels: np.ndarray
    form: Mapping[str, float]
    found: int
    refused: Sequence[tuple[str, str]]
    kept: Sequence[Kept | None] = ()


def pictures(
    source: str | Path,
    size: tuple[int, int] | None = None,
    channels: Literal[1, 3, 4] | None = None,
    most: int = MOST,
    seed: int = 0,
    progress: Progress | None = None,
    kind: Literal["image", "map"] = "image",
) -> Pictures:
    """The images of any source, or as many as `most` of them, drawn by seed.

    Args:
        source: folder, zip, tar, idx, npz, parquet file or prepared set.
        size: height and width to bring all to (cropped, antialiased); by default they must agree.
        channels: 1, 3 or 4; by default what the images have in common.
        most: how many at most.
        seed: which ones, if there are more.
        progress: called with (done, total).
        kind: "map" reads class ids, (N, H, W) int16, -1 where none is known; it needs a size.

    Raises:
        ValueError: there is no such source, none of its images can be read, or they differ in size
            and no size was given.
    """
    if is_prepared(Path(source)) and kind == "image":
        prepared = open_prepared(source)
        fits = size in (None, (prepared.height, prepared.width))
        if fits and channels in (None, prepared.channels):
            rows = _draw(len(prepared), most, seed)
            whole = len(rows) == len(prepared)
            return Pictures(
                prepared.name,
                [prepared.names[row] for row in rows.tolist()],
                prepared.images if whole else prepared.images[rows],
                prepared.conditions,
                prepared.labels[rows],
                {"pixels": 1.0},
                len(prepared),
                (),
            )
    found = open_source(source)
    try:
        with guarded():
            return _read(found, Data(size=size, channels=channels), most, seed, progress, kind)
    finally:
        found.close()


def picture(path: Path, target: Target | None, root: Path | None = None) -> np.ndarray:
    """One image file as (H, W, C) uint8, by the decoder that sources have.

    Args:
        path: of the file.
        target: size and channels; None keeps them.
        root: the folder that a link may not lead out of; None follows any, as where a user names the file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        content = read_file(path, root)
        with guarded():
            return decode(content, target).pixels_HWC
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read as an image ({error})") from error


def _draw(count: int, most: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(derive_seed(seed, "pictures")).permutation(count)
    return np.sort(order[:most])


def _read(
    source: Source,
    settings: Data,
    most: int,
    seed: int,
    progress: Progress | None,
    kind: Literal["image", "map"],
) -> Pictures:
    rows = _draw(len(source.items), most, seed)
    if settings.size is None:
        _check_sizes(source, rows)
    if kind == "map" and settings.size is not None:
        target = Target(*settings.size, 1, settings.fit, "map")
    else:
        target = choose_target(source, settings)
    refused: list[tuple[str, str]] = list(source.problems)
    kept: list[Item] = []
    said: list[Kept | None] = []
    with tempfile.TemporaryFile() as file:
        for done, row in enumerate(rows.tolist()):
            item = source.items[row]
            try:
                content = source.read(row)
                pixels = decode(content, target).pixels_HWC
                file.write(np.ascontiguousarray(pixels).data)
                kept.append(item)
                said.append(kept_of(content))
            except (OSError, ValueError) as error:
                refused.append((item.name, str(error)))
            if progress and (done % 64 == 63 or done + 1 == len(rows)):
                progress(done + 1, len(rows))
        if not kept:
            why = f"; the first: {refused[0][0]}: {refused[0][1]}" if refused else ""
            raise Invalid(f"{source.name} holds no image that can be read{why}")
        file.flush()
        shape = (len(kept), *target.shape)
        images = np.memmap(
            file, target.dtype, "r", shape=shape
        )  # keeps the file, which has no name
    names = columns.names(item.columns for item in kept)
    words = {name: [item.columns.get(name, "") for item in kept] for name in names}
    conditions, labels = columns.split(words, source.classes)
    if not conditions:
        labels = np.zeros((len(kept), 0), np.int32)
    return Pictures(
        source.name,
        [item.name for item in kept],
        images,
        conditions,
        labels.astype(np.int64),
        _form(source, rows),
        len(source.items),
        refused,
        said,
    )


def _check_sizes(source: Source, rows: np.ndarray) -> None:
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    for row in rows.tolist():
        try:
            h, w, _, _ = header(source.read(row))
        except (OSError, ValueError):
            continue
        sizes[h, w] += 1
    if len(sizes) > 1:
        listed = ", ".join(f"{count:,} of {h}x{w}" for (h, w), count in sizes.most_common(3))
        raise Invalid(
            f"{source.name} holds images of {len(sizes)} sizes ({listed}); measuring needs one size: "
            "pass --size, such as --size 64, to bring all to it"
        )


def _form(source: Source, rows: np.ndarray) -> dict[str, float]:
    """Formats, and qualities of JPEG, by share; a score moves with them."""
    seen: collections.Counter[str] = collections.Counter()
    for row in rows[:: max(1, len(rows) // PEEK)].tolist():
        try:
            content = source.read(row)
            seen["pixels" if isinstance(content, np.ndarray) else form_of(content)] += 1
        except (OSError, ValueError):
            continue
    total = sum(seen.values())
    return {name: round(count / total, 4) for name, count in seen.most_common()}


def form_of(content: bytes) -> str:
    """The format of an encoded file; of a JPEG also its quality, from its quantisation table.

    The quality is libjpeg's scale (of ITU-T T.81's table K.1) that explains the luminance table best.

    Raises:
        Refused: it is no image.
    """
    with opened(content) as image:
        tables = getattr(image, "quantization", None)
        if image.format != "JPEG" or not tables:
            return str(image.format)
        table = np.asarray(tables[0], np.float64)
    quality = min(range(1, 101), key=lambda q: float(np.abs(_scaled(q) - table).sum()))
    return f"JPEG, quality {quality}"


def _scaled(quality: int) -> np.ndarray:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(LUMINANCE.split(), np.float64) * scale + 50) // 100, 1, 255)
