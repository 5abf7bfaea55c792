r"""Restyling and dreaming: processor seconds, and the distance to the style by a measure not optimised.

    pip download --no-deps scikit-image==0.26.0 -d wheels
    unzip -q wheels/*.whl 'skimage/data/*' -d pictures
    python benchmarks/create.py pictures looked-at [--run runs/gan-avatars]

Two contents in three styles at 256 pixels and dreams at 512, seed 0, one thread; contents and styles were
fixed before any was tried. The measure is the sliced Wasserstein distance of 6,000 patches of 7 x 7 pixels
of the result and of the style (at the same longer side), of levels in [0, 1]. Rows go to
results/create.json.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from row import write_row

import zeuxis
from zeuxis.create.pictures import open_picture
from zeuxis.create.results import Pictures
from zeuxis.create.style import resized
from zeuxis.features.extraction import Features
from zeuxis.metrics.sliced import sliced_wasserstein

CONTENTS = {"astronaut": "astronaut.png", "cat": "chelsea.png"}
STYLES = {"vessels": "retina.jpg", "stars": "hubble_deep_field.jpg", "tissue": "ihc.png"}
SIZE, PATCH, COUNT = 256, 7, 6000


def levels(path: Path) -> np.ndarray:
    """A picture at the size that is compared, (H, W, 3) uint8."""
    picture = open_picture(path)
    return picture.painted(resized(picture.colours(), SIZE))


def patches(pixels_HWC: np.ndarray) -> Features:
    """Random patches as features."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels_HWC, (PATCH, PATCH), (0, 1))
    flat = windows.reshape(-1, 3 * PATCH**2)
    rows = np.random.default_rng(0).permutation(len(flat))[:COUNT]
    return Features(flat[rows].astype(np.float32) / 255, {"patch": PATCH, "side": SIZE})


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between the patches of two pictures."""
    return round(sliced_wasserstein(patches(a), patches(b), 300).raw, 5)


def styles(data: Path, out: Path) -> None:
    """Each content in each style."""
    for content, file in CONTENTS.items():
        for style, of in STYLES.items():
            began = time.process_time()
            made = zeuxis.create.restyle(data / file, data / of, size=SIZE)
            seconds = time.process_time() - began
            look = levels(data / of)
            made.write(out / f"{content}-{style}.png")
            write_row(
                "create",
                part="restyle",
                content=content,
                style=style,
                shape=made.array.shape,
                cpu_seconds=round(seconds, 1),
                before=distance(levels(data / file), look),
                after=distance(made.array, look),
                optimised=list(made.notes),
                peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            )


def figure(data: Path, out: Path) -> None:
    """Styles above, contents on the left, and what became of them: middle squares, `out/restyle.jpg`."""
    rows = [[None, *(data / of for of in STYLES.values())]]
    for content, file in CONTENTS.items():
        rows.append([data / file, *(out / f"{content}-{style}.png" for style in STYLES)])
    side, step = 240, 244
    sheet = Image.new("RGB", (4 * step - 4, 3 * step - 4), "white")
    for y, row in enumerate(rows):
        for x, path in enumerate(row):
            if path is not None:
                with Image.open(path) as image:
                    shown = ImageOps.fit(image.convert("RGB"), (side, side))
                sheet.paste(shown, (x * step, y * step))
    sheet.save(out / "restyle.jpg", quality=88)


def dreams(data: Path, out: Path, run: Path | None) -> None:
    """A dream at 512 x 512 by the feature network, and by one's own."""
    with Image.open(data / "astronaut.png") as image:
        picture = np.asarray(image.convert("RGB"))
    for name, by in {"efficientnet": None, "own": run}.items():
        if name == "own" and run is None:
            continue
        began = time.process_time()
        made: Pictures = zeuxis.create.dream(picture, run=by)
        seconds = time.process_time() - began
        made.write(out / f"dream-{name}.png")
        family = None if by is None else zeuxis.load(by).facts["family"]
        write_row(
            "create",
            part="dream",
            by=name,
            family=family,
            shape=made.array.shape,
            cpu_seconds=round(seconds, 1),
            peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        )


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = given.pictures / "skimage/data"
    dreams(data, given.out, given.run)
    styles(data, given.out)
    figure(data, given.out)


if __name__ == "__main__":
    main()
