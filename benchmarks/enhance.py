"""What a model of enhance gains over no network, on pictures that it was not trained on.

    python -m benchmarks.enhance RUN PICTURES... [--tile 96] [--name photos] [--sheet rows.png] [--record]

PICTURES are held-out files or folders; with --tile they are cut into squares. Each is damaged in the ways of
`DAMAGES` and given to the model, which is told nothing, beside bicubic enlargement (at scale 1 beside the
source itself). "reduced" and "sharp" are what the training has; the five after them it has never seen, and
they were fixed before any was tried. A model of scale 1 that learned holes is held beside OpenCV's two fills
(`pip install opencv-python-headless`), by the error inside the holes. Intervals are 95 %, over pictures.
"""

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from zeuxis import load
from zeuxis.core.pixels import enlarged, grid, save_png
from zeuxis.core.sheets import above
from zeuxis.data.originals import originals
from zeuxis.inference.model import Model
from zeuxis.metrics import Estimate, mean
from zeuxis.metrics.perceptual import perceptual_distance
from zeuxis.metrics.similarity import psnr

SHOWN = 8
MOTION = 5
"""Pixels of the image that motion goes, along the diagonal."""
PHOTONS = 500
"""That make white."""
WEBP, FIRST, SECOND, SHIFT = 50, 50, 75, 3
"""Qualities of WebP, and of two JPEGs whose blocks lie so many pixels apart."""
HOLE = 6
"""Pixels along the sides of a source's holes."""

Make = Callable[[np.ndarray, int], np.ndarray]
"""(image (H, W, 3) uint8, scale) -> source."""


def resized(image_HWC: np.ndarray, size: tuple[int, int], method: int) -> np.ndarray:
    """By Pillow; height and width."""
    return np.asarray(Image.fromarray(image_HWC).resize(size[::-1], Image.Resampling(method)))


def reduced(image_HWC: np.ndarray, scale: int, method: int = Image.Resampling.BOX) -> np.ndarray:
    """So many times smaller."""
    height, width = image_HWC.shape[:2]
    return resized(image_HWC, (height // scale, width // scale), method)


def coded(pixels_HWC: np.ndarray, kind: str, quality: int) -> np.ndarray:
    """After a lossy file."""
    file = io.BytesIO()
    Image.fromarray(pixels_HWC).save(file, kind, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def moved(image_HWC: np.ndarray, scale: int) -> np.ndarray:
    """Mean over a diagonal path."""
    around = np.pad(image_HWC.astype(np.float32), ((0, MOTION), (0, MOTION), (0, 0)), "edge")
    height, width = image_HWC.shape[:2]
    steps = [around[i : i + height, i : i + width] for i in range(MOTION)]
    middle = np.roll(np.mean(steps, 0), (MOTION // 2, MOTION // 2), (0, 1))
    return reduced(np.rint(middle).astype(np.uint8), scale)


def shot(image_HWC: np.ndarray, scale: int) -> np.ndarray:
    """Noise of counted photons, stronger where it is bright."""
    source = reduced(image_HWC, scale)
    rng = np.random.default_rng(int(source.astype(np.int64).sum()))
    return (
        np.rint(rng.poisson(source / 255 * PHOTONS) * 255 / PHOTONS).clip(0, 255).astype(np.uint8)
    )


def twice(image_HWC: np.ndarray, scale: int) -> np.ndarray:
    """Two JPEGs whose blocks do not lie on one another, chrominance halved in both."""
    once = np.roll(coded(reduced(image_HWC, scale), "JPEG", FIRST), SHIFT, (0, 1))
    return np.roll(coded(once, "JPEG", SECOND), -SHIFT, (0, 1))


DAMAGES: Mapping[str, Make] = {
    "reduced": reduced,
    "sharp": lambda image, scale: reduced(image, scale, Image.Resampling.BICUBIC),
    "lanczos": lambda image, scale: reduced(image, scale, Image.Resampling.LANCZOS),
    "webp": lambda image, scale: coded(reduced(image, scale), "WEBP", WEBP),
    "motion": moved,
    "shot noise": shot,
    "jpeg twice": twice,
}


def half(estimate: Estimate) -> list[float]:
    """Value and half of its interval."""
    low, high = estimate.interval
    return [round(estimate.value, 3), round((high - low) / 2, 3)]


def figures(truth: np.ndarray, made: np.ndarray, plain: np.ndarray) -> dict[str, list[float]]:
    """PSNR of both, the gain, and the perceptual distances to the truth."""
    best = 60.0  # decibels that count: equal flat tiles would be infinitely near
    net, none = (np.minimum(psnr(truth, each), best) for each in (made, plain))
    found = {"bicubic": none, "net": net, "gain": net - none}
    found["perceptual_bicubic"] = perceptual_distance(truth, plain)
    found["perceptual"] = perceptual_distance(truth, made)
    return {name: half(mean(values, {})) for name, values in found.items()}


def table(model: Model, truth: np.ndarray, sheet: Path | None) -> dict[str, dict[str, list[float]]]:
    """Figures by damage, and a sheet of the first images: source, bicubic, model, truth."""
    found, columns = {}, []
    for name, make in DAMAGES.items():
        scale = model.family.scale
        if scale == 1 and name in ("reduced", "sharp", "lanczos"):
            continue
        sources = np.stack([make(image, scale) for image in truth])
        bicubic = Image.Resampling.BICUBIC
        plain = np.stack([resized(one, truth.shape[1:3], bicubic) for one in sources])
        made = np.stack(list(model.translate(sources).images))
        found[name] = figures(truth, made, plain)
        print(
            f"{name:12}", "  ".join(f"{k} {v:.3f} +- {h:.3f}" for k, (v, h) in found[name].items())
        )
        if name in ("reduced", "jpeg twice"):
            columns += [above(sources[:SHOWN], plain[:SHOWN], made[:SHOWN], truth[:SHOWN])]
    if sheet:
        save_png(sheet, enlarged(grid(np.concatenate(columns), columns=SHOWN)))
    return found


def holes(model: Model, truth: np.ndarray, sheet: Path | None) -> dict[str, list[float]]:
    """PSNR inside squares that cover about a tenth, of the model and of OpenCV's fills."""
    import cv2

    rng, (height, width) = np.random.default_rng(0), truth.shape[1:3]
    masks = np.zeros(truth.shape[:3], np.uint8)
    for mask in masks:
        for _ in range(max(1, height * width // (10 * HOLE**2))):
            top, left = (int(rng.integers(0, side - HOLE + 1)) for side in (height, width))
            mask[top : top + HOLE, left : left + HOLE] = 1
    given = np.where(masks[..., None] > 0, 0, truth).astype(np.uint8)
    made = {
        "model": np.stack(list(model.translate(given, mask=list(masks)).images)),
        "navier-stokes": np.stack(
            [cv2.inpaint(a, m, 3, cv2.INPAINT_NS) for a, m in zip(given, masks, strict=True)]
        ),
        "telea": np.stack(
            [cv2.inpaint(a, m, 3, cv2.INPAINT_TELEA) for a, m in zip(given, masks, strict=True)]
        ),
    }
    if sheet:
        rows = above(given[:SHOWN], *(each[:SHOWN] for each in made.values()), truth[:SHOWN])
        save_png(sheet, enlarged(grid(rows, columns=SHOWN)))
    found = {}
    for name, each in made.items():
        error = (each.astype(np.float32) - truth) ** 2 * masks[..., None]
        inside = error.sum((1, 2, 3)) / (3 * masks.sum((1, 2)))
        found[name] = half(
            mean(np.minimum(10 * np.log10(255**2 / np.maximum(inside, 1e-9)), 60), {})
        )
        print(f"{name:14}", "inside the holes", *found[name], "dB")
    return found


def main() -> None:
    """Print the figures, and record them if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--tile", type=int, help="cut pictures into squares of this side")
    parser.add_argument("--most", type=int, default=256, help="images, drawn by seed 0")
    parser.add_argument("--name", default="", help="of the pictures, for the row")
    parser.add_argument("--sheet", type=Path, help="also write a sheet")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    model = load(asked.run)
    facts = {"run": asked.run.name, "progress": model.facts["progress"], "set": asked.name}
    images = [image[..., :3] for image in originals(asked.pictures).images]
    side = asked.tile
    tiles = [
        image[y : y + side, x : x + side] if side else image
        for image in images
        for y in range(0, (image.shape[0] - (side or 0)) + 1, side or image.shape[0])
        for x in range(0, (image.shape[1] - (side or 0)) + 1, side or image.shape[1])
    ]
    some = np.random.default_rng(0).permutation(len(tiles))[: asked.most]
    truth = np.stack([tiles[i] for i in np.sort(some)])
    fills = model.family.fills and model.family.scale == 1
    facts["images"] = len(truth)
    facts["table"] = (holes if fills else table)(model, truth, asked.sheet)
    if asked.record:
        write_row("enhance", **facts)


if __name__ == "__main__":
    main()
