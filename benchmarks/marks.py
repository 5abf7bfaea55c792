"""What the invisible mark survives, what it costs, and how often it is seen where it is not.

    pip download --no-deps scikit-image==0.26.0 scikit-learn==1.9.1 -d wheels
    for w in wheels/*.whl; do unzip -q $w 'skimage/data/*' 'sklearn/datasets/images/*' -d pictures; done
    python -m benchmarks.marks table pictures --sizes 16 32 64 96 128 192 512 --record
    python -m benchmarks.marks turned pictures --sizes 128 512 --record
    python -m benchmarks.marks keys pictures --record
    python -m benchmarks.marks photos pictures --record
    python -m benchmarks.marks times pictures --record
    python -m benchmarks.marks paired pictures --sizes 16 32 64 --record
    python -m benchmarks.marks drawn RUN SET --record
    python -m benchmarks.marks restored RUN pictures --sizes 32 64 --record
    python -m benchmarks.marks look pictures ../docs/images/marks.png

The steps and bands were chosen on the first 12 pictures; the 20 others were fixed before any was tried, and
are only reported. Rows go to results/marks.json. Times are of the process's CPU, one thread.
"""

import argparse
import functools
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.row import write_row
from zeuxis.data import open_prepared
from zeuxis.features import Extractor, extractor, features
from zeuxis.inference.model import load
from zeuxis.marks import reading
from zeuxis.marks.carriers import CODES, FRAMES, carriers
from zeuxis.marks.watermark import PUBLIC_KEY, Key, capacity, detect, embed
from zeuxis.metrics.kernel import cubic, kernel_distance

SKIMAGE, SKLEARN = "skimage/data", "sklearn/datasets/images"
CHOSEN = [
    *(f"{SKIMAGE}/{name}.png" for name in ("astronaut", "chelsea", "coffee", "camera", "coins")),
    *(f"{SKIMAGE}/{name}" for name in ("rocket.jpg", "moon.png", "hubble_deep_field.jpg")),
    *(f"{SKIMAGE}/{name}" for name in ("retina.jpg", "ihc.png")),
    "drawn 1",
    "drawn 2",
]
# name: file, left, top, side of the cut; 0: the largest square in the middle
OTHERS = {
    "brick": (f"{SKIMAGE}/brick.png", 0, 0, 0),
    "grass": (f"{SKIMAGE}/grass.png", 0, 0, 0),
    "gravel": (f"{SKIMAGE}/gravel.png", 0, 0, 0),
    "motorcycle": (f"{SKIMAGE}/motorcycle_left.png", 0, 0, 0),
    "wheel": (f"{SKIMAGE}/motorcycle_left.png", 60, 180, 300),
    "cell": (f"{SKIMAGE}/cell.png", 0, 0, 0),
    "clock": (f"{SKIMAGE}/clock_motion.png", 0, 0, 0),
    "colours": (f"{SKIMAGE}/color.png", 0, 0, 0),
    "logo": (f"{SKIMAGE}/logo.png", 0, 0, 0),
    "page": (f"{SKIMAGE}/page.png", 0, 0, 0),
    "text": (f"{SKIMAGE}/text.png", 0, 0, 0),
    "phantom": (f"{SKIMAGE}/phantom.png", 0, 0, 0),
    "temple": (f"{SKLEARN}/china.jpg", 0, 0, 0),
    "leaves": (f"{SKLEARN}/china.jpg", 0, 200, 220),
    "flower": (f"{SKLEARN}/flower.jpg", 0, 0, 0),
    "petals": (f"{SKLEARN}/flower.jpg", 250, 150, 200),
    "drawn 3": ("drawn 3", 0, 0, 0),
    "drawn 4": ("drawn 4", 0, 0, 0),
    "drawn 5": ("drawn 5", 0, 0, 0),
    "drawn 6": ("drawn 6", 0, 0, 0),
}
PAYLOAD = 0x9F3A_55C0_1287_E6D4
CUTS = ("crop 10 %", "crop 25 %", "crop 15 %, x0.8, JPEG 75")
CUT_PICTURES = 8
TURNS = (0.7, 2.2, -4.8)
"""Degrees, none of which is a step of the search."""


def drawing(number: int) -> Image.Image:
    """Twelve flat ellipses and rectangles on a flat ground, 512 x 512."""
    drawn = np.random.default_rng(number)

    def colour() -> tuple[int, ...]:
        return tuple(int(level) for level in drawn.integers(0, 256, 3))

    image = Image.new("RGB", (512, 512), colour())
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        left, right, top, bottom = (int(n) for n in drawn.integers(0, 512, 4))
        box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        (pen.ellipse if drawn.integers(2) else pen.rectangle)(box, fill=colour())
    return image


def opened(folder: Path, file: str) -> Image.Image:
    """A picture, grey or of three colours."""
    if file.startswith("drawn"):
        return drawing(int(file.split()[1]))
    image = Image.open(folder / file)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def sources(folder: Path, which: str) -> dict[str, Image.Image]:
    """Square pictures by name."""
    listed = {Path(file).stem: (file, 0, 0, 0) for file in CHOSEN} if which == "chosen" else OTHERS
    found = {}
    for name, (file, left, top, side) in listed.items():
        image = opened(folder, file)
        if not side:
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
        found[name] = image.crop((left, top, left + side, top + side))
    return found


def pixels(image: Image.Image, side: int | None = None) -> np.ndarray:
    """(H, W, C) uint8."""
    if side:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def pillow(array: np.ndarray) -> Image.Image:
    """The picture of an array."""
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def saved(array: np.ndarray, quality: int, kind: str = "JPEG") -> np.ndarray:
    """A picture as a lossy file brings it back."""
    beside = io.BytesIO()
    pillow(array).save(beside, kind, quality=quality)
    return pixels(Image.open(beside).convert(pillow(array).mode))


def scaled(array: np.ndarray, by: float) -> np.ndarray:
    """A picture brought to another size."""
    image = pillow(array)
    size = (round(image.width * by), round(image.height * by))
    return pixels(image.resize(size, Image.Resampling.BICUBIC))


def level(values: np.ndarray) -> np.ndarray:
    """Rounded and clipped."""
    return np.rint(values).clip(0, 255).astype(np.uint8)


def noisy(array: np.ndarray, sigma: float) -> np.ndarray:
    """With Gaussian noise."""
    return level(array + np.random.default_rng(1).normal(0, sigma, array.shape))


def cut(array: np.ndarray, share: float) -> np.ndarray:
    """A part of a picture that has lost a share of its sides, anywhere in it."""
    drawn = np.random.default_rng(3)
    side = round(array.shape[0] * (1 - share))
    top, left = drawn.integers(0, array.shape[0] - side + 1, 2)
    return array[top : top + side, left : left + side]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda a: a,
    "JPEG 90": lambda a: saved(a, 90),
    "JPEG 75": lambda a: saved(a, 75),
    "JPEG 50": lambda a: saved(a, 50),
    "WebP 80": lambda a: saved(a, 80, "WEBP"),
    "WebP 50": lambda a: saved(a, 50, "WEBP"),
    "x2": lambda a: scaled(a, 2),
    "x0.75": lambda a: scaled(a, 0.75),
    "x0.5": lambda a: scaled(a, 0.5),
    "x0.5, JPEG 75": lambda a: saved(scaled(a, 0.5), 75),
    "brightness +20": lambda a: level(a + 20.0),
    "contrast 0.8": lambda a: level((a - 128.0) * 0.8 + 128),
    "contrast 1.2": lambda a: level((a - 128.0) * 1.2 + 128),
    "gamma 0.8": lambda a: level(255 * (a / 255.0) ** 0.8),
    "noise 3": lambda a: noisy(a, 3),
    "noise 6": lambda a: noisy(a, 6),
    "blur 0.6": lambda a: pixels(pillow(a).filter(ImageFilter.GaussianBlur(0.6))),
    CUTS[0]: lambda a: cut(a, 0.1),
    CUTS[1]: lambda a: cut(a, 0.25),
    CUTS[2]: lambda a: saved(scaled(cut(a, 0.15), 0.8), 75),
}


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio, in dB."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity by windows of 7 x 7, the mean over channels (Wang et al. 2004)."""
    a, b = (np.lib.stride_tricks.sliding_window_view(each, (7, 7), (0, 1)) for each in (one, other))
    a, b = (each.reshape(*each.shape[:3], 49).astype(float) for each in (a, b))
    mean_a, mean_b = a.mean(-1), b.mean(-1)
    spread = ((a - mean_a[..., None]) * (b - mean_b[..., None])).sum(-1) / 48
    top = (2 * mean_a * mean_b + (0.01 * 255) ** 2) * (2 * spread + (0.03 * 255) ** 2)
    bottom = (mean_a**2 + mean_b**2 + (0.01 * 255) ** 2) * (
        a.var(-1, ddof=1) + b.var(-1, ddof=1) + (0.03 * 255) ** 2
    )
    return float((top / bottom).mean())


def flat_change(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square change of luma, in levels, in the flattest quarter of a picture's 8 x 8 squares."""
    a, b = reading.luma(one), reading.luma(other)
    high, wide = (n // 8 * 8 for n in a.shape)

    def squares(plane: np.ndarray) -> np.ndarray:
        parts = plane[:high, :wide].reshape(high // 8, 8, wide // 8, 8)
        return parts.transpose(0, 2, 1, 3).reshape(-1, 64)

    spread, change = squares(a).std(1), squares(b - a)
    return float(np.sqrt((change[spread <= np.quantile(spread, 0.25)] ** 2).mean()))


def table(folder: Path, sizes: list[int]) -> Iterator[dict[str, object]]:
    """What survives, a row for each size and set of pictures."""
    for size in sizes:
        for which in ("chosen", "others"):
            marked = {}
            plain = {name: pixels(image, size) for name, image in sources(folder, which).items()}
            for name, array in plain.items():
                marked[name] = embed(array, PUBLIC_KEY, PAYLOAD)
            left = [name for name, array in marked.items() if array is None]
            kept = {name: array for name, array in marked.items() if array is not None}
            quality = {name: psnr(plain[name], array) for name, array in kept.items()}
            alike = (
                [ssim(plain[name], array) for name, array in kept.items()] if size <= 256 else []
            )
            bits = capacity(size, size)
            changes = {}
            for change, make in CHANGES.items():
                arrays = list(kept.values())
                if change in CUTS:
                    arrays = arrays[:CUT_PICTURES] if size in (128, 512) else []
                if not arrays:
                    continue
                seen = [detect(make(array), PUBLIC_KEY, change in CUTS) for array in arrays]
                logs = [found.log10_p for found in seen]
                read = [found.payload for found in seen]
                right = sum(value == PAYLOAD % 2**bits for value in read)
                changes[change] = {
                    "pictures": len(seen),
                    "found": sum(value <= reading.SURE for value in logs),
                    "median_log10_p": round(float(np.median(logs)), 1),
                    "worst_log10_p": round(max(logs), 1),
                    "payload_right": right if bits else None,
                    "payload_wrong": len(read) - right - read.count(None) if bits else None,
                }
            yield {
                "part": "table",
                "size": size,
                "set": which,
                "pictures": len(plain),
                "cannot_carry": left,
                "bits": bits,
                "psnr_mean": round(float(np.mean(list(quality.values()))), 2),
                "psnr_min": round(min(quality.values()), 2),
                "psnr_worst": min(quality, key=lambda name: quality[name]),
                "ssim_mean": round(float(np.mean(alike)), 4) if alike else None,
                "ssim_min": round(min(alike), 4) if alike else None,
                "flat_change_mean": round(
                    float(np.mean([flat_change(plain[n], a) for n, a in kept.items()])), 2
                ),
                "changes": changes,
            }


def turned_and_cut(array: np.ndarray, degrees: float) -> np.ndarray:
    """A picture turned, and cut to the largest square in its middle that has no corner missing."""
    angle = np.deg2rad(abs(degrees))
    side = int(array.shape[0] / (np.cos(angle) + np.sin(angle)))
    at = (array.shape[0] - side) // 2
    image = pillow(array).rotate(degrees, Image.Resampling.BICUBIC)
    return pixels(image.crop((at, at, at + side, at + side)))


def turned(folder: Path, sizes: list[int]) -> Iterator[dict[str, object]]:
    """What is found, looked for as always and thoroughly, of pictures that were turned a little and cut."""
    for size in sizes:
        some = list(sources(folder, "others").values())[:CUT_PICTURES]
        marked = [embed(pixels(image, size), PUBLIC_KEY, PAYLOAD) for image in some]
        for degrees in TURNS:
            given = [turned_and_cut(image, degrees) for image in marked if image is not None]
            plain = [detect(image, PUBLIC_KEY).log10_p for image in given]
            began = time.process_time()
            seen = [detect(image, PUBLIC_KEY, thorough=True) for image in given]
            spent = (time.process_time() - began) / len(given)
            yield {
                "part": "turned",
                "size": size,
                "set": "others",
                "degrees": degrees,
                "side_left": round(given[0].shape[0] / size, 3),
                "pictures": len(given),
                "found": sum(value <= reading.SURE for value in plain),
                "found_thoroughly": sum(found.log10_p <= reading.SURE for found in seen),
                "payload_right": sum(found.payload == PAYLOAD % 2**found.bits for found in seen),
                "median_log10_p": round(float(np.median([found.log10_p for found in seen])), 1),
                "cpu_s_each": round(spent, 1),
            }


def keys(folder: Path, size: int, count: int) -> Iterator[dict[str, object]]:
    """How often an unmarked picture is below a bound, over keys drawn anew: all frames, as `detect`."""
    image = pixels(opened(folder, CHOSEN[0]), size)
    luma = reading.luma(image)
    fitting = [f for f in FRAMES if f.smallest * reading.SHRUNK <= size]
    limits = {-2: 0, -4: 0, -6: 0}
    tried = np.log10(2 * len(reading.GAIN_G)) + np.log10(2 * len(FRAMES))
    drawn = np.random.default_rng(0)
    parts = []
    for frame in fitting:
        some = carriers(frame, PUBLIC_KEY)
        value = some.values(reading.coefficients(luma, *frame.shape))
        angle = 2 * np.pi * value / (frame.step * reading.GAIN_G[:, None])
        angle = angle.astype(np.float32)  # (G, K)
        pilot = some.role_K < 0
        words = frame.symbols * np.log10(CODES)
        least = {
            limit: (
                threshold(limit - tried, int(pilot.sum())),
                threshold(limit - tried - words, len(value)),
            )
            for limit in limits
        }
        parts.append((frame, some, angle, pilot, least))
    block = 20_000
    for _ in range(count // block):
        below = {limit: np.zeros(block, bool) for limit in limits}
        for frame, some, angle, pilot, least in parts:
            dither = drawn.random((block, angle.shape[1]), dtype=np.float32) * np.float32(2 * np.pi)
            cosine, sine = np.cos(dither), np.sin(dither)
            across = np.cos(angle), np.sin(angle)
            sums = cosine[:, pilot] @ across[0][:, pilot].T + sine[:, pilot] @ across[1][:, pilot].T
            gain = sums.argmax(1)
            alone = sums.max(1)
            agree = cosine * across[0][gain] + sine * across[1][gain]
            together = alone.copy()
            for symbol in range(frame.symbols):
                held = some.role_K == symbol
                code = some.code_CK[:, held].astype(np.float32)
                together += (agree[:, held] @ code.T).max(1)
            for limit, hit in below.items():
                hit |= (alone >= least[limit][0]) | (together >= least[limit][1])
        for limit, hit in below.items():
            limits[limit] += int(hit.sum())
    trials = count // block * block
    yield {
        "part": "keys",
        "size": size,
        "picture": Path(CHOSEN[0]).stem,
        "frames": [frame.name for frame in fitting],
        "trials": trials,
        "below": {f"1e{limit}": hits for limit, hits in limits.items()},
        "allowed": {f"1e{limit}": trials * 10.0**limit for limit in limits},
    }


def threshold(limit: float, count: int) -> float:
    """The sum of cosines whose bound is 10^limit."""
    low, high, levels = 0.0, float(count), np.full(count, reading.LEVELS)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if reading.chernoff(middle, levels) <= limit else (middle, high)
    return high


def crops_of(folder: Path, size: int, count: int, seed: int) -> np.ndarray:
    """Cuts of photos of any side from `size` on, brought to it, (count, size, size, 3)."""
    drawn = np.random.default_rng(seed)
    photos = [
        opened(folder, file).convert("RGB")
        for file in [
            *CHOSEN[:10],
            *(OTHERS[name][0] for name in ("motorcycle", "temple", "flower")),
        ]
    ]
    found = []
    for number in range(count):
        photo = photos[number % len(photos)]
        side = int(drawn.integers(size, min(photo.size) + 1))
        left = int(drawn.integers(0, photo.width - side + 1))
        top = int(drawn.integers(0, photo.height - side + 1))
        found.append(pixels(photo.crop((left, top, left + side, top + side)), size))
    return np.stack(found)


def photos(folder: Path) -> Iterator[dict[str, object]]:
    """Unmarked cuts by the one public key, and marked pictures by other keys."""
    for size in (16, 32, 64, 128):
        logs = [detect(image, PUBLIC_KEY).log10_p for image in crops_of(folder, size, 1000, 9)]
        marked = [
            embed(pixels(image, size), PUBLIC_KEY, PAYLOAD)
            for image in list(sources(folder, "chosen").values())[:3]
        ]
        others = [
            detect(image, Key(b"some other key %d" % number)).log10_p
            for number in range(100)
            for image in marked
            if image is not None
        ]
        yield {
            "part": "photos",
            "size": size,
            "unmarked": len(logs),
            "below": {f"1e{n}": sum(v <= n for v in logs) for n in (-1, -2, -6)},
            "lowest_log10_p": round(min(logs), 2),
            "other_keys": len(others),
            "lowest_log10_p_of_other_keys": round(min(others), 2),
        }


def times(folder: Path) -> Iterator[dict[str, object]]:
    """Milliseconds of CPU, the median of 5, matrices of the size made before."""
    picture = sources(folder, "chosen")["astronaut"]
    found = {}
    for size in (16, 32, 64, 128, 256, 512, 1024, 2048):
        array = pixels(picture, size)
        marked = embed(array, PUBLIC_KEY, PAYLOAD)
        assert marked is not None
        calls: dict[str, Callable[[], object]] = {
            "put": functools.partial(embed, array, PUBLIC_KEY, 5),
            "found": functools.partial(detect, marked, PUBLIC_KEY),
        }
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(5):
            for name, call in calls.items():
                began = time.process_time()
                call()
                taken[name].append(time.process_time() - began)
        found[size] = {name: round(1e3 * float(np.median(each)), 1) for name, each in taken.items()}
        if size in (128, 512):
            began = time.process_time()
            detect(array, PUBLIC_KEY, thorough=True)
            found[size]["not found, thorough"] = round(1e3 * (time.process_time() - began), 1)
    yield {"part": "times", "cpu_ms": found}


def paired(folder: Path, sizes: list[int], count: int) -> Iterator[dict[str, object]]:
    """Kernel distance to real pictures of the same pictures, unmarked and marked."""
    network = extractor("efficientnet-lite0")
    for size in sizes:
        if size == 16:
            sheet = np.asarray(Image.open("src/zeuxis/data/avatars/avatars.png").convert("RGB"))
            cells = sheet.reshape(sheet.shape[0] // 16, 16, sheet.shape[1] // 16, 16, 3)
            cells = cells.transpose(0, 2, 1, 3, 4).reshape(-1, 16, 16, 3)
            cells = cells[np.random.default_rng(0).permutation(len(cells))]
            plain, real = cells[:count], cells[count:]
        else:
            plain, real = crops_of(folder, size, count, 1), crops_of(folder, size, count, 2)
        what = "avatars" if size == 16 else "cuts of photos"
        yield compared(plain, real, network) | {"part": "paired", "samples": what}


def drawn(run: Path, source: Path, count: int) -> Iterator[dict[str, object]]:
    """The same of what a trained model draws, beside as many of the pictures that it learned from."""
    network, model = extractor("efficientnet-lite0"), load(run)
    learned = open_prepared(source)
    plain = model.sample(count, seed=1).images
    rows = np.random.default_rng(0).permutation(learned.train)[:count]
    real = np.asarray(learned.images[np.sort(rows)])
    facts = {"family": model.facts["family"], "steps": model.facts["progress"]["steps"]}
    yield compared(plain, real, network) | {"part": "drawn", "set": learned.name, **facts}


def restored(run: Path, folder: Path, sizes: list[int], count: int) -> Iterator[dict[str, object]]:
    """The same of what a model that enlarges makes of cuts of photos at half their size."""
    network, model = extractor("efficientnet-lite0"), load(run)
    facts = {"family": model.facts["family"], "steps": model.facts["progress"]["steps"]}
    for size in sizes:
        cuts, real = crops_of(folder, size, count, 1), crops_of(folder, size, count, 2)
        small = [pixels(Image.fromarray(cut).reduce(2)) for cut in cuts]
        plain = np.stack(model.translate(small).images)
        yield compared(plain, real, network) | {"part": "restored", **facts}


def compared(plain: np.ndarray, real: np.ndarray, network: Extractor) -> dict[str, object]:
    """Kernel distance to real pictures, unmarked and marked, and the difference."""
    made = [embed(image, PUBLIC_KEY, PAYLOAD) for image in plain]
    marked = np.stack([a if b is None else b for a, b in zip(plain, made, strict=True)])
    quality = [psnr(a, b) for a, b in zip(plain, made, strict=True) if b is not None]
    x, y, z = (features(images, network) for images in (plain, marked, real))
    before, after = kernel_distance(x, z), kernel_distance(y, z)
    half = difference(x.array, y.array, z.array)
    change = after.value - before.value
    return {
        "size": plain.shape[1],
        "count": len(plain),
        "real": len(real),
        "marked": sum(image is not None for image in made),
        "psnr_mean": round(float(np.mean(quality)), 2),
        "network": x.receipt.get("network"),
        "unmarked": [before.value, *before.interval],
        "marked_value": [after.value, *after.interval],
        "difference": [change, change - half, change + half],
    }


def difference(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """Half of the 95 % interval of the difference of paired kernel distances: first-order influences."""
    x, y, z = (each.astype(np.float64) for each in (x, y, z))
    own = cubic(y, y).mean(1) - cubic(x, x).mean(1)
    across = cubic(y, z) - cubic(x, z)
    sample = 2 * own - 2 * across.mean(1)
    real = -2 * across.mean(0)
    return float(1.96 * np.sqrt(sample.var() / len(sample) + real.var() / len(real)))


def look(folder: Path, out: Path) -> None:
    """Pictures, marked ones, and ten times the change, four times enlarged."""
    avatar = Image.open("src/zeuxis/data/avatars/avatars.png").convert("RGB").crop((0, 0, 16, 16))
    disc = Image.new("RGB", (64, 64), (0, 0, 0))
    ImageDraw.Draw(disc).ellipse((10, 10, 54, 54), fill=(230, 180, 40))
    chosen = sources(folder, "chosen")
    shown = [
        pixels(chosen["astronaut"], 64),
        pixels(chosen["chelsea"], 64),
        pixels(drawing(1), 64),
        pixels(avatar.resize((64, 64), Image.Resampling.NEAREST)),
        pixels(disc),
        np.full((64, 64, 3), 128, np.uint8),
    ]
    columns = []
    for image in shown:
        marked = embed(image, PUBLIC_KEY, PAYLOAD)
        assert marked is not None
        change = level(128 + 10 * (marked - image.astype(float)))
        columns.append(np.concatenate([image, marked, change]))
    sheet = np.concatenate(columns, 1).repeat(4, 0).repeat(4, 1)
    Image.fromarray(sheet).save(out, optimize=True)


def main() -> None:
    """Measure one part, print its rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "part",
        choices=[
            "table",
            "turned",
            "keys",
            "photos",
            "times",
            "paired",
            "drawn",
            "restored",
            "look",
        ],
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16])
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    given = parser.parse_args()
    if given.part == "look":
        return look(given.folder, given.out)
    if given.part == "table":
        rows = table(given.folder, given.sizes)
    elif given.part == "turned":
        rows = turned(given.folder, given.sizes)
    elif given.part == "keys":
        rows = keys(given.folder, given.sizes[0], given.count or 4_000_000)
    elif given.part == "drawn":
        rows = drawn(given.folder, given.out, given.count or 5000)
    elif given.part == "restored":
        rows = restored(given.folder, given.out, given.sizes, given.count or 5000)
    elif given.part == "paired":
        rows = paired(given.folder, given.sizes, given.count or 5000)
    else:
        rows = (photos if given.part == "photos" else times)(given.folder)
    for row in rows:
        print(row, flush=True)
        if given.record:
            write_row("marks", **row)
    return None


if __name__ == "__main__":
    main()
