"""Lossless files of images, coded by a model that gives exact likelihoods one number at a time.

Both sides walk through the images with the same steps and give an entropy coder (`constriction`, range
coding) the probabilities of each next number. These must agree to the last bit wherever the file is
read, whatever the threads, the instruction set and the precision of training. So the network is run in
float64, its log-probabilities are rounded to a coarse grid, and a frozen table turns the rounded
numbers into whole weights (docs/decisions/0008). A number so near the middle of two grid points that
another machine might round it otherwise is written into the header: there no one has to round.

file: magic, length of the header (4 bytes), header (JSON, deflated), range-coded words (4 bytes each)

Shapes: N images, R rows of a batch, L levels.
"""

import copy
import decimal
import functools
import hashlib
import io
import json
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pydantic
import torch
from PIL import Image

from zeuxis.core.abilities import Sequential
from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.files import LARGEST_JSON, Upload, parse_json
from zeuxis.core.pixels import divided, grid, seen, to_array, to_pil, to_tensor
from zeuxis.core.progress import Progress
from zeuxis.core.settings import explain
from zeuxis.inference import artefact
from zeuxis.inference.compressed import Compressed
from zeuxis.sampling.raster import Stepper

if TYPE_CHECKING:
    from zeuxis.inference.model import Model

MAGIC = b"ZEUXIS-IMAGES-1\n"
GRID = 32
"""Steps of the grid in a nat: rounding costs about 0.0001 bits a number."""
BITS = 24
"""A weight is at least 1 and at most 2 to this power."""
SURE = 1e-7
"""What is nearer to the middle of two grid points, in grid steps, is written down. Machines were seen to
differ by less than a thousandth of that."""
MOST_DOUBTFUL = 20_000
"""Numbers that are written down, at most: about one in 20,000 is."""
FEWEST_BITS = math.log2(1 + 255 * 2.0**-BITS)
"""What the surest number of 256 levels takes of the coded words."""
ROWS = 256
"""Images that are walked through together."""


Natural = Annotated[int, pydantic.Field(ge=0)]


class Header(pydantic.BaseModel, strict=True):
    """What stands before the coded words."""

    model: str
    shape: tuple[Natural, Natural, Natural, Natural]
    names: list[str]
    pixels: str
    words: Natural
    doubtful: Annotated[
        list[tuple[Natural, Natural, Natural, Natural, Natural]],
        pydantic.Field(max_length=MOST_DOUBTFUL),
    ]


def compress(
    model: "Model",
    images_NHWC: np.ndarray,
    names: Sequence[str],
    progress: Progress | None = None,
) -> Compressed:
    """Code images (N, H, W, C) uint8 of the model's form, with the names of their files, into one file.

    Raises:
        ValueError: the family is not sequential, its levels are fewer than 256, or constriction is
            not installed.
    """
    coding = _coding()
    _check(model)
    images_NHWC = np.ascontiguousarray(images_NHWC)
    coder = coding.queue.RangeEncoder()
    kind = coding.model.Categorical(perfect=False)
    coded_NHWC = _coded(model, images_NHWC)
    numbers_NT = torch.from_numpy(coded_NHWC.reshape(len(images_NHWC), -1).astype(np.int64))
    doubtful: list[list[int]] = []
    for rows, walk in _walks(model, len(images_NHWC), progress):
        for step, stepper in walk:
            nearest_RL, unsure = _rounded(stepper)
            doubtful += [
                [rows.start, step, row, one, int(nearest_RL[row, one])]
                for row, one in unsure.tolist()
            ]
            number_R = numbers_NT[rows, step]
            weights_RL = table()[nearest_RL].astype(np.float32)
            coder.encode(number_R.numpy().astype(np.int32), kind, weights_RL)
            stepper.push(number_R)
    words = np.asarray(coder.get_compressed(), "<u4").tobytes()
    header = {
        "model": identity(model),
        "shape": list(images_NHWC.shape),
        "names": list(names),
        "pixels": hashlib.sha256(images_NHWC.tobytes()).hexdigest(),
        "words": zlib.crc32(words),
        "doubtful": doubtful,
    }
    packed = zlib.compress(json.dumps(header).encode(), 9)
    head = MAGIC + struct.pack("<I", len(packed)) + packed
    stated = model.score(images_NHWC).bits
    return Compressed(
        content=head + words,
        count=len(images_NHWC),
        header=len(head),
        bits_per_dim=8 * len(words) / images_NHWC.size,
        stated=float(stated.astype(np.float64).mean()),
        written_down=len(doubtful),
        peers=dict(_peers(images_NHWC)),
    )


def _coded(model: "Model", images_NHWC: np.ndarray) -> np.ndarray:
    """The levels that the model sees.

    Raises:
        Unable: they do not tell the colours of half-transparent pixels exactly.
    """
    if model.straight:
        return images_NHWC
    coded_NHWC = seen(images_NHWC)
    if not np.array_equal(_straight(coded_NHWC), images_NHWC):
        raise Unable(
            "some pixels are half transparent, and the model sees their colours only times alpha, rounded; "
            "images are compressed without loss if each pixel is opaque, or wholly transparent and white"
        )
    return coded_NHWC


def _straight(coded_NHWC: np.ndarray) -> np.ndarray:
    """Colours divided by alpha."""
    if coded_NHWC.shape[-1] != 4:
        return coded_NHWC
    return to_array(divided(to_tensor(coded_NHWC).float()))


def decompress(
    model: "Model", file: Path | Upload, progress: Progress | None = None
) -> tuple[np.ndarray, list[str]]:
    """The images (N, H, W, C) uint8 of a file that `compress` wrote, and their names.

    Raises:
        ValueError: no such file, a damaged one, or one that another model wrote.
    """
    coding = _coding()
    header, words = _read(file)
    _check(model)
    if header["model"] != identity(model):
        raise Invalid(
            f"{file} was written with the model {header['model']} and {model.folder} holds "
            f"{identity(model)}; give the model that wrote it"
        )
    _check_sizes(model, file, header, words)
    coder = coding.queue.RangeDecoder(np.frombuffer(words, "<u4").astype(np.uint32))
    kind = coding.model.Categorical(perfect=False)
    count, height, width, channels = header["shape"]
    numbers_NT = torch.zeros(count, height * width * channels, dtype=torch.int64)
    written: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for start, step, row, one, value in header["doubtful"]:
        written.setdefault((start, step), []).append((row, one, value))
    for rows, walk in _walks(model, count, progress):
        for step, stepper in walk:
            nearest_RL, _ = _rounded(stepper)
            for row, one, value in written.get((rows.start, step), ()):
                nearest_RL[row, one] = value
            weights_RL = table()[nearest_RL].astype(np.float32)
            try:
                number_R = torch.from_numpy(coder.decode(kind, weights_RL).astype(np.int64))
            except AssertionError as error:  # constriction's word for words that no encoder writes
                raise Invalid(
                    f"{file} is damaged (its words code nothing); get it again"
                ) from error
            numbers_NT[rows, step] = number_R
            stepper.push(number_R)
    images = numbers_NT.reshape(count, height, width, channels).to(torch.uint8).numpy()
    images = images if model.straight else _straight(images)
    if hashlib.sha256(images.tobytes()).hexdigest() != header["pixels"]:
        raise Invalid(
            f"the images in {file} did not come out as they went in; this machine computes too differently"
        )
    return images, header["names"]


def count(file: Path | Upload) -> int:
    """Images in a file that `compress` wrote, as its header says.

    Raises:
        ValueError: it is no such file.
    """
    return int(_read(file)[0]["shape"][0])


def identity(model: "Model") -> str:
    """A short name that only the same weights under the same config have."""
    config = json.dumps(model.facts["config"], sort_keys=True)
    both = f"{model.facts['family']} {artefact.weights(model.facts)} {config}"
    return hashlib.sha256(both.encode()).hexdigest()[:16]


@functools.cache
def table() -> np.ndarray:
    """Whole weights by rounded -log p: 2^24 exp(-n / GRID), at least 1. Exact arithmetic made them."""
    with decimal.localcontext() as context:
        context.prec = 40
        weights: list[int] = []
        while not weights or weights[-1] > 1:
            weight = 2**BITS * (decimal.Decimal(-len(weights)) / GRID).exp()
            weights.append(max(1, int(weight.to_integral_value(decimal.ROUND_HALF_EVEN))))
    return np.array(weights, np.int64)


def _rounded(stepper: Stepper) -> tuple[np.ndarray, np.ndarray]:
    """-log p of each level in grid steps (R, L) int64, and the (row, level) of those hard to round."""
    last = len(table()) - 1
    exact_RL = np.minimum(-stepper.log_p().cpu().numpy().astype(np.float64) * GRID, last)
    nearest_RL = np.rint(exact_RL).astype(np.int64).clip(0, last)
    unsure = np.argwhere(np.abs(np.abs(exact_RL - np.rint(exact_RL)) - 0.5) < SURE)
    return nearest_RL, unsure


def _walks(
    model: "Model", count: int, progress: Progress | None
) -> Iterator[tuple[slice, Iterator[tuple[int, Stepper]]]]:
    """(Rows, (step, stepper) for each of their numbers), in float64."""
    family = copy.deepcopy(model.family).double()
    assert isinstance(family, Sequential)
    config = family.config
    steps = config.height * config.width * config.channels

    def walk(rows: slice) -> Iterator[tuple[int, Stepper]]:
        with torch.inference_mode():
            stepper = family.stepper(rows.stop - rows.start)
            for step in range(steps):
                yield step, stepper
                if progress and (step + 1) % (config.width * config.channels) == 0:
                    progress(rows.start + (rows.stop - rows.start) * (step + 1) // steps, count)

    for start in range(0, count, ROWS):
        rows = slice(start, min(start + ROWS, count))
        yield rows, walk(rows)


def _check_sizes(model: "Model", file: Path | Upload, header: dict[str, Any], words: bytes) -> None:
    """Refuse a header of other images than the model's, of more than the words hold, or of places outside."""
    count, *shape = header["shape"]
    config = model.family.config
    if shape != [config.height, config.width, config.channels] or len(header["names"]) != count:
        raise Invalid(f"{file} is damaged (its images are not the model's); get it again")
    if count * math.prod(shape) * FEWEST_BITS > 8 * len(words) + 64:
        raise Invalid(f"{file} is damaged (its words are too few for {count} images); get it again")
    for start, step, row, one, value in header["doubtful"]:
        rows = min(ROWS, count - start)
        places = start % ROWS == 0 and step < math.prod(shape) and row < rows and one < 256
        if not places or value >= len(table()):
            raise Invalid(f"{file} is damaged (doubtful places out of range); get it again")


def _check(model: "Model") -> None:
    """Refuse a model that cannot say how likely each of 256 levels is next."""
    levels = getattr(model.able("Sequential", "compress").config, "levels", 256)
    if levels != 256:
        raise Invalid(
            f"{model.folder} models {levels} levels and files have 256; train one with family.levels=256"
        )


def _read(file: Path | Upload) -> tuple[dict[str, Any], bytes]:
    """The header and the coded words, both checked."""
    if not file.is_file():
        raise NotFound(f"there is no file {file}; `zeuxis compress` writes one")
    content = file.read_bytes()
    if not content.startswith(MAGIC):
        raise Invalid(f"{file} is no file that `zeuxis compress` wrote")
    at = len(MAGIC) + 4
    try:
        (size,) = struct.unpack("<I", content[len(MAGIC) : at])
        packed = zlib.decompressobj().decompress(content[at : at + size], LARGEST_JSON + 1)
        header = parse_json(packed)
        Header.model_validate_json(json.dumps(header))
        words = content[at + size :]
        whole = zlib.crc32(words) == header["words"] and len(words) % 4 == 0
    except pydantic.ValidationError as error:
        raise Invalid(f"{file} is damaged ({explain(error)}); get it again") from error
    except (struct.error, zlib.error, ValueError) as error:
        raise Invalid(f"{file} is damaged ({error}); get it again") from error
    if not whole:
        raise Invalid(f"{file} is damaged (its checksum differs); get it again")
    return header, words


def _peers(images_NHWC: np.ndarray) -> Iterator[tuple[str, int]]:
    """Bytes of the same images as lossless PNG and WebP files."""
    sheet = grid(images_NHWC, gap=0)
    for name, settings in (
        ("PNG", {"optimize": True}),
        ("WebP", {"lossless": True, "quality": 100}),
    ):
        each = sum(len(_file(image, name, settings)) for image in images_NHWC)
        yield f"{name}, each image a file", each
        yield f"{name}, one sheet", len(_file(sheet, name, settings))


def _file(pixels_HWC: np.ndarray, name: str, settings: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image: Image.Image = to_pil(pixels_HWC)
    image.save(buffer, format=name, **settings)
    return buffer.getvalue()


def _coding() -> Any:
    """Constriction's streams, a library of its own that few need."""
    try:
        import constriction
    except ImportError as error:
        raise Invalid(
            "coding needs the package constriction: pip install 'zeuxis[compress]'"
        ) from error
    return constriction.stream
