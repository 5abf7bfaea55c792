"""Icons as a designer may have them: drawn here, in classes, with broken files and copies among them."""

import math
import shutil

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

INKS = ["#c2452d", "#d98a1f", "#3f7d4e", "#2b6c8f", "#7a4a8a", "#b0456f", "#2f4858", "#8a6d3b"]
GROUNDS = ["#fbe9d7", "#e6f0e2", "#e3ecf4", "#f3e4ef", "#fdf3d0", "#ece7e1"]
FINE = 8
"""Times that a picture is drawn larger, so that its edges are smooth."""


def star(points, turn):
    return [
        (r * math.cos(a), r * math.sin(a))
        for i in range(2 * points)
        for r, a in [((0.95, 0.42)[i % 2], turn + math.pi * (i / points - 0.5))]
    ]


def heart(_, turn):
    ts = np.linspace(0, 2 * math.pi, 60)
    xs = 16 * np.sin(ts) ** 3 / 18
    ys = -(13 * np.cos(ts) - 5 * np.cos(2 * ts) - 2 * np.cos(3 * ts) - np.cos(4 * ts)) / 18
    c, s = math.cos(turn / 3), math.sin(turn / 3)
    return list(zip(c * xs - s * ys, s * xs + c * ys, strict=True))


def leaf(_, turn):
    ts = np.linspace(0, math.pi, 30)
    side = [(0.5 * math.sin(t), -math.cos(t)) for t in ts]
    whole = side + [(-x, y) for x, y in reversed(side)]
    c, s = math.cos(turn), math.sin(turn)
    return [(c * x - s * y, s * x + c * y) for x, y in whole]


SHAPES = {"stars": star, "hearts": heart, "leaves": leaf}


def icon(rng, shape, side):
    """One of them, as an image."""
    big = side * FINE
    image = Image.new("RGB", (big, big), GROUNDS[rng.integers(len(GROUNDS))])
    outline = SHAPES[shape](int(rng.integers(4, 8)), rng.uniform(-0.5, 0.5))
    scale, middle = rng.uniform(0.28, 0.4) * big, (0.5 + rng.uniform(-0.05, 0.05, 2)) * big
    points = [(middle[0] + scale * x, middle[1] + scale * y) for x, y in outline]
    ImageDraw.Draw(image).polygon(points, fill=INKS[rng.integers(len(INKS))])
    return image.resize((side, side), Image.Resampling.BOX)


def icons(folder, count=120, side=32, broken=3, doubles=5, classes=True):
    """A folder of icons, of which so many are broken or copies of others; the names of these."""
    rng = np.random.default_rng(7)
    whole = count - broken - doubles
    paths = []
    for i in range(whole):
        shape = list(SHAPES)[i % len(SHAPES)]
        path = folder / (shape if classes else "") / f"{shape}-{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        icon(rng, shape, side).save(path)
        paths.append(path)
    bad = [path.with_name(f"broken-{i}.png") for i, path in enumerate(paths[:broken])]
    for path in bad:
        path.write_bytes(paths[0].read_bytes()[:60])
    same = [path.with_name(f"copy-of-{path.name}") for path in paths[:doubles]]
    for path, original in zip(same, paths, strict=False):
        shutil.copy(original, path)
    return sorted(path.name for path in bad + same)


def pairs(folder, count=24, side=32):
    """A folder of icons, and of their outlines under the same names."""
    rng = np.random.default_rng(8)
    for i in range(count):
        photo = icon(rng, list(SHAPES)[i % len(SHAPES)], side)
        edges = (
            photo.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda v: 255 - min(255, 4 * v))
        )
        for name, image in (("outlines", edges.convert("RGB")), ("photos", photo)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / name / f"{i:03d}.png")
