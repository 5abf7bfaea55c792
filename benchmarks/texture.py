r"""Textures and films: tiles of 20 sources, a generator that tiles, loops that close.

    pip download --no-deps scikit-image==0.26.0 scikit-learn==1.9.1 -d wheels
    for w in wheels/*.whl; do unzip -q $w 'skimage/data/*' 'sklearn/datasets/images/*' -d pictures; done
    python benchmarks/texture.py tiles pictures --sheets looked-at
    python benchmarks/texture.py gan pictures runs --steps 800 --sheets looked-at
    python benchmarks/texture.py loops runs/gan-both
    python benchmarks/texture.py figure pictures ../docs/images/texture.jpg

The sources and their cuts were fixed before any was tried; the seed is 0 for all. Rows go to
results/texture.json. A picture without a seam has even ranks: each axis of each source is above 0.95
once in twenty by chance.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence
from row import write_row

import zeuxis
from zeuxis.core.film import write_film
from zeuxis.core.pixels import save_png
from zeuxis.metrics.seam import BAR, seams

SKIMAGE, SKLEARN = "skimage/data", "sklearn/datasets/images"
# name: file, left, top, side of the cut, side that it is brought to
SOURCES = {
    "gravel": (f"{SKIMAGE}/gravel.png", 0, 0, 512, 160),
    "brick": (f"{SKIMAGE}/brick.png", 0, 0, 512, 160),
    "grass": (f"{SKIMAGE}/grass.png", 0, 0, 512, 160),
    "gravel near": (f"{SKIMAGE}/gravel.png", 0, 0, 160, 160),
    "brick near": (f"{SKIMAGE}/brick.png", 100, 100, 160, 160),
    "grass near": (f"{SKIMAGE}/grass.png", 200, 200, 160, 160),
    "wood": (f"{SKIMAGE}/coffee.png", 448, 272, 128, 128),
    "fur": (f"{SKIMAGE}/chelsea.png", 200, 0, 96, 96),
    "suit": (f"{SKIMAGE}/astronaut.png", 60, 330, 96, 96),
    "stars": (f"{SKIMAGE}/hubble_deep_field.jpg", 256, 128, 512, 160),
    "tissue": (f"{SKIMAGE}/ihc.png", 0, 0, 160, 160),
    "nuclei": (f"{SKIMAGE}/ihc.png", 360, 250, 128, 128),
    "moon": (f"{SKIMAGE}/moon.png", 256, 300, 160, 160),
    "vessels": (f"{SKIMAGE}/retina.jpg", 640, 384, 384, 128),
    "coins": (f"{SKIMAGE}/coins.png", 0, 0, 303, 152),
    "meadow": (f"{SKIMAGE}/camera.png", 300, 360, 128, 128),
    "print": (f"{SKIMAGE}/page.png", 10, 45, 120, 120),
    "leaves": (f"{SKLEARN}/china.jpg", 220, 330, 96, 96),
    "petals": (f"{SKLEARN}/flower.jpg", 250, 150, 128, 128),
    "film grain": (f"{SKIMAGE}/cell.png", 0, 0, 256, 128),
}
LOOPS = ((7, 8), (1, 2), (3, 4))
KINDS = ("webp", "gif", "mp4")


def cut(folder: Path, name: str) -> np.ndarray:
    """A source, (side, side, 1 or 3) uint8."""
    file, left, top, side, to = SOURCES[name]
    with Image.open(folder / file) as image:
        shown = image if image.mode in ("L", "RGB") else image.convert("RGB")
        part = shown.crop((left, top, left + side, top + side))
    resized = np.asarray(part.resize((to, to), Image.Resampling.LANCZOS))
    return resized.reshape(to, to, -1)


def tiles(folder: Path, sheets: Path | None) -> None:
    """A tile of every source: ranks on both axes, CPU-seconds."""
    rows = {}
    for name in SOURCES:
        source = cut(folder, name)
        began = time.process_time()
        made = zeuxis.create.texture(source, seed=0)
        seconds = time.process_time() - began
        found, before = seams(made.array), seams(source)
        rows[name] = {
            "side": len(source),
            "cpu_seconds": round(seconds, 1),
            "step": {axis: round(seam.step, 3) for axis, seam in found.items()},
            "second_differences": {axis: round(seam.bend, 3) for axis, seam in found.items()},
            "step_of_source": {axis: round(seam.step, 3) for axis, seam in before.items()},
        }
        print(name, rows[name], flush=True)
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            made.write_sheet(sheets / f"{name}.png")
    passed = sum(max(row["step"].values()) <= BAR for row in rows.values())
    strict = sum(
        max(*row["step"].values(), *row["second_differences"].values()) <= BAR
        for row in rows.values()
    )
    write_row(
        "texture",
        part="tiles",
        sources=rows,
        passed_by_step=passed,
        passed_by_second_differences_too=strict,
        of=len(rows),
        mean_step=round(float(np.mean([list(row["step"].values()) for row in rows.values()])), 3),
        cpu_seconds=round(sum(row["cpu_seconds"] for row in rows.values()), 1),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    )


def figure(folder: Path, out: Path) -> None:
    """Sources, their tiles three by three, and the tiles' normal maps; all under CC0."""
    rows = []
    for name in ("brick", "gravel", "wood"):
        source = cut(folder, name)
        made = zeuxis.create.texture(source, maps=True)
        repeated = np.tile(made.array, (3, 3, 1))
        shown = (source, repeated, np.tile(made.maps["normal-opengl"], (2, 2, 1)))
        rows.append(np.concatenate([_fit(each) for each in shown], 1))
    Image.fromarray(np.concatenate(rows, 0)).save(out, quality=88)


def _fit(pixels_HWC: np.ndarray, side: int = 240) -> np.ndarray:
    image = Image.fromarray(np.broadcast_to(pixels_HWC, (*pixels_HWC.shape[:2], 3)).copy())
    shown = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))
    return np.pad(shown, ((0, 4), (0, 4), (0, 0)), constant_values=255)


def crops(folder: Path, out: Path, side: int = 32, count: int = 2000) -> None:
    """Random crops of gravel at half its size, to train on."""
    with Image.open(folder / SKIMAGE / "gravel.png") as image:
        pixels = np.asarray(image.convert("L").resize((256, 256), Image.Resampling.LANCZOS))
    generator = np.random.default_rng(0)
    out.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        y, x = generator.integers(0, 256 - side + 1, 2)
        Image.fromarray(pixels[y : y + side, x : x + side]).save(out / f"{i:04d}.png")


def gan(folder: Path, out: Path, steps: int, sheets: Path | None) -> None:
    """Train two generators, of which one tiles, alike in all else; the seams of 256 images of each."""
    crops(folder, out / "crops")
    small = {"training.batch_size": 32, "family.features": 16, "family.features_max": 64}
    for tileable in ("both", "none"):
        run, began = out / f"gan-{tileable}", time.process_time()
        zeuxis.train(
            "gan",
            out / "crops",
            out=run,
            steps=steps,
            threads=1,
            evaluate=False,
            overrides={**small, "family.tileable": tileable},
        )
        seconds = time.process_time() - began
        model = zeuxis.load(run)
        images = model.sample(256, seed=0).images
        found = [seams(image) for image in images]
        ranks = np.array([[s["x"].step, s["y"].step] for s in found])
        write_row(
            "texture",
            part="gan",
            tileable=tileable,
            steps=steps,
            cpu_seconds=round(seconds, 1),
            images=len(images),
            mean_rank={"x": round(ranks[:, 0].mean(), 3), "y": round(ranks[:, 1].mean(), 3)},
            share_up_to_bar=round(float((ranks.max(1) <= BAR).mean()), 3),
        )
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            shown = [np.tile(image, (3, 3, 1)) for image in images[:8]]
            save_png(sheets / f"{run.name}.png", np.concatenate(shown, 1))


def loops(run: Path) -> None:
    """Closed walks as films: the step across the seam in the decoded frames, against the mean step."""
    import av

    model = zeuxis.load(run)
    with tempfile.TemporaryDirectory() as folder:
        for start, end in LOOPS:
            walk = model.interpolate(start, end, 24, loop=True)
            plain = {"array": ratio(walk.images)}
            for kind in KINDS:
                path = Path(folder) / f"walk.{kind}"
                write_film(walk.images, path)
                if kind == "webp":
                    with Image.open(path) as film:
                        frames = [
                            np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(film)
                        ]
                else:
                    with av.open(str(path)) as film:
                        frames = [f.to_ndarray(format="rgb24") for f in film.decode(video=0)]
                plain[kind] = ratio(np.stack(frames))
            write_row("texture", part="loops", seeds=[start, end], frames=24, seam_to_mean=plain)


def ratio(frames_NHWC: np.ndarray) -> float:
    """The step from the last frame to the first, as a multiple of the mean step."""
    frames = frames_NHWC.astype(np.float32)
    steps = np.abs(np.roll(frames, -1, 0) - frames).mean((1, 2, 3))
    return round(float(steps[-1] / steps.mean()), 3)


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("tiles", "gan", "loops", "figure"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=800, help="of each gan")
    parser.add_argument("--sheets", type=Path)
    asked = parser.parse_args()
    if asked.part == "tiles":
        tiles(asked.paths[0], asked.sheets)
    elif asked.part == "figure":
        figure(*asked.paths)
    elif asked.part == "gan":
        gan(*asked.paths, asked.steps, asked.sheets)
    else:
        loops(asked.paths[0])


if __name__ == "__main__":
    main()
