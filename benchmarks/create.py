r"""Restyling and dreaming: processor seconds, and the distance to the style by a measure not optimised.

    pip download --no-deps scikit-image==0.26.0 -d wheels
    unzip -q wheels/*.whl 'skimage/data/*' -d pictures
    python benchmarks/create.py restyle pictures looked-at
    python benchmarks/create.py dream pictures looked-at [--run runs/gan-avatars]
    python benchmarks/create.py large pictures looked-at
    python benchmarks/create.py stylise pictures looked-at --run runs/stylise-photos

`restyle` is two contents in three styles at 256 pixels, by optimisation and with --fast; `dream` a dream at
512, `large` a restyling at 1,536; seed 0, one thread; contents and styles were fixed before any was tried.
The measure is the sliced Wasserstein distance of 6,000 patches of 7 x 7 pixels of the result and of the style
(at the same longer side), of levels in [0, 1]. `stylise` sets a trained model of one style, given as --run,
beside the optimisation of the same pictures for the same style. Rows go to results/create.json.
"""

import argparse
import itertools
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
from zeuxis.create.style import STRIDE, STYLE, resized
from zeuxis.features.efficientnet import load_network
from zeuxis.features.maps import maps
from zeuxis.metrics.edges import edge_agreement
from zeuxis.metrics.patches import patch_distance
from zeuxis.objectives.style import Sums, style_distance

CONTENTS = {"astronaut": "astronaut.png", "cat": "chelsea.png"}
STYLES = {"vessels": "retina.jpg", "stars": "hubble_deep_field.jpg", "tissue": "ihc.png"}
SIZE, TIMES = 256, 5


def levels(path: Path) -> np.ndarray:
    """A picture at the size that is compared, (H, W, 3) uint8."""
    picture = open_picture(path)
    return picture.with_colours(resized(picture.colours(), SIZE))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between the patches of two pictures."""
    return round(patch_distance(a[None], b)[0], 5)


def peak() -> int:
    """Most memory that the process had so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def styles(data: Path, out: Path) -> None:
    """Each content in each style, by optimisation and in one pass."""
    for fast in (False, True):
        for (content, file), (style, of) in itertools.product(CONTENTS.items(), STYLES.items()):
            began = time.process_time()
            made = zeuxis.create.restyle(data / file, data / of, size=SIZE, fast=fast)
            seconds = time.process_time() - began
            look = levels(data / of)
            made.write(out / f"{content}-{style}{'-fast' if fast else ''}.png")
            write_row(
                "create",
                part="restyle fast" if fast else "restyle",
                content=content,
                style=style,
                shape=made.array.shape,
                cpu_seconds=round(seconds, 2),
                before=distance(levels(data / file), look),
                after=distance(made.array, look),
                notes=list(made.notes),
                peak_mib=peak(),
            )


def large(data: Path, out: Path) -> None:
    """One restyling in four tiles."""
    began = time.process_time()
    made = zeuxis.create.restyle(data / CONTENTS["astronaut"], data / STYLES["tissue"], size=1536)
    seconds = time.process_time() - began
    made.write(out / "large.png")
    write_row(
        "create",
        part="restyle large",
        shape=made.array.shape,
        cpu_seconds=round(seconds, 1),
        notes=list(made.notes),
        peak_mib=peak(),
    )


def stylise(data: Path, out: Path, run: Path) -> None:
    """A trained model of one style against the optimisation, on contents that it has not seen."""
    model = zeuxis.load(run)
    style = model.family.style.permute(1, 2, 0).numpy()
    model.translate(levels(data / CONTENTS["cat"])[None])  # the first call is slower
    blank, rows = np.full((SIZE, SIZE, 3), 255, np.uint8), []
    for content, file in CONTENTS.items():
        picture = levels(data / file)
        began = time.process_time()
        for _ in range(TIMES):
            fed = model.translate(picture[None]).images[0]
        middle = time.process_time()
        best = zeuxis.create.restyle(picture, style, size=SIZE).array
        ended = time.process_time()
        shown = {"photo": picture, "optimised": best, "feed-forward": fed}
        patch = {name: distance(pixels, style) for name, pixels in shown.items()}
        term = {name: statistics(pixels, style) for name, pixels in shown.items()}
        first = blank if rows else _square(style)
        rows.append(np.concatenate([first, *map(_square, shown.values())], 1))
        write_row(
            "create",
            part="stylise",
            content=content,
            shape=fed.shape,
            steps=model.facts["progress"]["step"],
            training_seconds=model.facts["progress"]["seconds"],
            cpu_seconds={
                "feed-forward": round((middle - began) / TIMES, 3),
                "optimised": round(ended - middle, 1),
            },
            patch_distance=patch,
            style_term=term,
            edges_kept={
                name: round(float(edge_agreement(picture[None], pixels[None])[0]), 3)
                for name, pixels in shown.items()
            },
            ratio={
                name: round(found["feed-forward"] / found["optimised"], 2)
                for name, found in {"patch_distance": patch, "style_term": term}.items()
            },
        )
    Image.fromarray(np.concatenate(rows)).save(out / "stylise.jpg", quality=88)


def statistics(pixels_HWC: np.ndarray, style_HWC: np.ndarray) -> float:
    """What `restyle` and `stylise` minimise, but for likeness."""
    net = load_network()
    layers = {name: net.layers()[name] for name in STYLE}

    def sums(pixels_HWC: np.ndarray) -> dict[str, Sums]:
        height, width = (side // STRIDE * STRIDE for side in pixels_HWC.shape[:2])
        pixels_HWC = pixels_HWC[:height, :width]
        x = torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1)[None].float()
        return {name: Sums.of(f) for name, f in maps(lambda: net((x - 127) / 128), layers).items()}

    with torch.no_grad():
        return round(style_distance(sums(pixels_HWC), sums(style_HWC)).item(), 4)


def _square(pixels_HWC: np.ndarray) -> np.ndarray:
    """The middle, `SIZE` pixels a side."""
    return np.asarray(ImageOps.fit(Image.fromarray(pixels_HWC), (SIZE, SIZE)))


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
            peak_mib=peak(),
        )


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=("restyle", "dream", "large", "stylise"))
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path, help="of one's own model; stylise needs one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    data = given.pictures / "skimage/data"
    if given.part == "restyle":
        styles(data, given.out)
        figure(data, given.out)
    elif given.part == "dream":
        dreams(data, given.out, given.run)
    elif given.part == "large":
        large(data, given.out)
    else:
        stylise(data, given.out, given.run)


if __name__ == "__main__":
    main()
