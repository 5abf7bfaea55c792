"""How many faces the guard finds, and how often it finds one where there is none.

    python -m benchmarks.faces SKIMAGE EMOJI FASHION [--record]

SKIMAGE: the folder `skimage/data` of scikit-image's wheel: 100 faces and 100 other cuts of Labeled Faces in
the Wild at 25 pixels, and photos. EMOJI and FASHION: what `zeuxis data get` wrote. Avatars are embedded.

The number of windows that must agree was chosen on the faces of even number, the cuts of photos of seed 1
and 300 emoji; the faces of odd number and the rest were looked at once. The share of equal neighbours above
which a window is flat was chosen on the faces of even number, alone and in photos (at most 0.18), Twemoji (at
least 0.37) and Fluent emoji (0.06 to 0.29: no share parts these from photos); Noto's and the faces of odd
number were then looked at once again.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from zeuxis import data
from zeuxis.core.wilson import wilson
from zeuxis.data.preparation import clean, faces
from zeuxis.data.source.avatars import open_avatars

PHOTOS = ("chelsea", "coffee", "rocket", "camera", "grass", "gravel", "brick", "motorcycle_left")
SHARES = (0.1, 0.15, 0.2, 0.3, 0.45, 0.6)
SEED, HEIGHT = 0, 384


def of_lfw(folder: Path) -> np.ndarray:
    """(200, 25, 25) uint8, stretched to all levels; the first 100 are faces."""
    cuts = np.load(folder / "lfw_subset.npy")
    return (cuts * 255 / cuts.max((1, 2), keepdims=True)).astype(np.uint8)


def photo(folder: Path, name: str) -> Image.Image:
    """One of scikit-image's, in grey."""
    (file,) = [*folder.glob(f"{name}.png"), *folder.glob(f"{name}.jpg")]
    return Image.open(file).convert("L")


def composed(folder: Path, cuts: np.ndarray, share: float) -> list[np.ndarray]:
    """Each face, as high as a share of the picture, with soft edges somewhere in a photo."""
    rng = np.random.default_rng(SEED)
    grounds = [photo(folder, name).resize((HEIGHT * 4 // 3, HEIGHT)) for name in PHOTOS]
    out = []
    for number, cut in enumerate(cuts):
        ground = grounds[number % len(grounds)].copy()
        side = round(share * HEIGHT / 0.8)  # about so much of a cut's height is the face
        face = Image.fromarray(cut).resize((side, side), Image.Resampling.BICUBIC)
        y, x = np.mgrid[0:side, 0:side] / (side - 1) * 2 - 1
        soft = np.clip((1 - np.hypot(x / 0.9, y)) * 6, 0, 1)
        place = [int(rng.integers(0, whole - side + 1)) for whole in ground.size]
        ground.paste(face, (place[0], place[1]), Image.fromarray((255 * soft).astype(np.uint8)))
        ground.thumbnail((faces.MOST, faces.MOST))
        out.append(np.asarray(ground))
    return out


def cuts_of_photos(folder: Path, count: int) -> list[np.ndarray]:
    """Parts of photos without people, as large as the detector takes pictures."""
    rng = np.random.default_rng(SEED)
    photos, found = [photo(folder, name) for name in PHOTOS], []
    for number in range(count):
        whole = photos[number % len(photos)]
        side = int(rng.integers(200, min(whole.size) + 1))
        left, top = (int(rng.integers(0, n - side + 1)) for n in whole.size)
        part = whole.crop((left, top, left + side, top + side))
        found.append(np.asarray(part.resize((faces.MOST, faces.MOST))))
    return found


def grey(pixels_NHWC: np.ndarray) -> list[np.ndarray]:
    """Each picture as the detector takes it."""
    return list(clean.grey(pixels_NHWC).round().astype(np.uint8))


def found(pictures: list[np.ndarray]) -> dict[str, object]:
    """How many, their share with its interval, and the processor's time."""
    began = time.process_time()
    count = sum(faces.seen(pictures))
    spent = 1000 * (time.process_time() - began) / len(pictures)
    interval = [round(limit, 4) for limit in wilson(count, len(pictures))]
    return {
        "found": count,
        "of": len(pictures),
        "interval": interval,
        "cpu_ms_each": round(spent, 1),
    }


def main() -> None:
    """Print all, and record it if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("skimage", type=Path)
    parser.add_argument("emoji", type=Path)
    parser.add_argument("fashion", type=Path)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    cuts = of_lfw(args.skimage)
    odd = cuts[1:100:2]
    avatars = open_avatars()
    kinds = {
        "LFW, even": list(cuts[0:100:2]),
        "LFW, odd": list(odd),
        "LFW, no faces": list(cuts[100:]),
        **{f"odd, {share:.0%} of a photo": composed(args.skimage, odd, share) for share in SHARES},
        "cuts of photos, 256 pixels": cuts_of_photos(args.skimage, 500),
        "avatars": grey(np.stack([avatars.read(i)[..., :3] for i in range(0, 8192, 8)])),
    }
    emoji = data.open_prepared(args.emoji)
    styles = emoji.column("style")
    for style in sorted(set(styles)):
        rows = [row for row, one in enumerate(styles) if one == style][:: len(styles) // 3000]
        kinds[f"emoji, {style}"] = grey(emoji.images[rows])
    kinds["Fashion-MNIST"] = grey(data.open_prepared(args.fashion).images[:2000])
    rows = {}
    for name, pictures in kinds.items():
        rows[name] = found(pictures)
        print(name, rows[name], flush=True)
    if args.record:
        write_row("faces", pictures=rows)


if __name__ == "__main__":
    main()
