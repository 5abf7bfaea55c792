"""Unpaired translation of emoji, Noto to Fluent 3D and back, beside what needs no training.

    npm pack emoji-datasource-google@16.0.0 @lobehub/fluent-emoji-3d@1.1.0
    python -m benchmarks.unpaired cut . emoji            # 32 pixels, over white
    zeuxis train unpaired emoji/train data.paired=false --steps 2000
    python -m benchmarks.unpaired measure runs/unpaired-train emoji [--record]

Emoji are split by what they show without skin tone, sex and joiners. Training has the Noto pictures of one
half of 80 % of these and the Fluent pictures of the other half, so that no two belong together; the table is
of the remaining 20 %, whose partners nobody has seen. The rows: identity (the source itself), colours (its
mean and covariance of colours brought to the target's), retrieval (the training image of the target that is
nearest by pixels), and the model; then the way back. Identity and retrieval are real images.
"""

import argparse
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from benchmarks.translate import figures, retrieval
from zeuxis import load
from zeuxis.features import features
from zeuxis.inference.model import Model
from zeuxis.metrics import mean
from zeuxis.metrics.edges import edge_agreement

SIDE = 32
NOTO = "emoji-datasource-google-16.0.0.tgz", "package/img/google/64/"
FLUENT = "lobehub-fluent-emoji-3d-1.1.0.tgz", "package/assets/"
MODIFIERS = re.compile("-?(1f3f[b-f]|fe0f|200d|2640|2642)")
PEOPLE = re.compile("1f46[89]")


def members(archive: Path, prefix: str) -> Iterator[tuple[str, Image.Image]]:
    """Code points and picture of each file."""
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.name.startswith(prefix) and member.isfile():
                codes = Path(member.name).stem.lower()
                content = opened.extractfile(member)
                assert content is not None
                plain = "-".join(part for part in codes.split("-") if part != "fe0f")
                yield plain, Image.open(io.BytesIO(content.read()))


def opaque(picture: Image.Image) -> Image.Image:
    """Over white, SIDE pixels a side."""
    colours = picture.convert("RGBA")
    ground = Image.new("RGBA", colours.size, "white")
    ground.alpha_composite(colours)
    return ground.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)


def base(codes: str) -> str:
    """What an emoji shows, whoever does it."""
    return PEOPLE.sub("1f9d1", MODIFIERS.sub("", codes))


def cut(packages: Path, out: Path) -> None:
    """Write train/A, train/B, test/A, test/B, and say how many there are."""
    styles = [dict(members(packages / name, prefix)) for name, prefix in (NOTO, FLUENT)]
    both = sorted(styles[0].keys() & styles[1].keys())
    kinds = sorted({base(codes) for codes in both})
    order = np.random.default_rng(0).permutation(len(kinds))
    place = {kinds[at]: rank / len(kinds) for rank, at in enumerate(order)}
    seen, count = set(), dict.fromkeys(("train/A", "train/B", "test/A", "test/B"), 0)
    for codes in both:
        kind = base(codes)
        held = place[kind] < 0.2
        if held and kind in seen:
            continue  # one of each kind is measured
        seen.add(kind)
        wanted = ("test/A", "test/B") if held else (f"train/{'AB'[place[kind] < 0.6]}",)
        for folder in wanted:
            path = out / folder / f"{codes}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            opaque(styles["AB".index(folder[-1])][codes]).save(path)
            count[folder] += 1
    print(json.dumps(count))


def folder(path: Path) -> np.ndarray:
    """All pictures of a folder by name, (N, H, W, 3) uint8."""
    return np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])


def colours(source: np.ndarray, target: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Mean and covariance of the colours of one domain brought to the other's (Monge's map of normals)."""
    moments = []
    for each in (source, target):
        flat = each.reshape(-1, 3).astype(np.float64)
        moments.append((flat.mean(0), np.cov(flat.T)))
    (mean_a, cov_a), (mean_b, cov_b) = moments

    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        half: np.ndarray = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
        return half

    half = root(cov_a)
    inverse = np.linalg.inv(half)
    brought = inverse @ root(half @ cov_b @ half) @ inverse
    made = (images - mean_a) @ brought.T + mean_b
    return np.rint(made.clip(0, 255)).astype(np.uint8)


def table(
    model: Model, data: Path, way: tuple[str, str], controls: dict[str, object]
) -> dict[str, dict[str, list[float]]]:
    """Figures of each row for one direction."""
    known = [folder(data / "train" / side) for side in way]
    source, truth = (folder(data / "test" / side) for side in way)
    real = features(truth)
    made = {
        "identity": source,
        "colours": colours(known[0], known[1], source),
        "retrieval": retrieval((known[1], known[1]), source),
        "model": np.stack(model.translate(list(source), **controls).images),
    }
    found = {}
    for name, images in made.items():
        found[name] = figures(images, truth, real)
        kept = mean(edge_agreement(images, source), {})
        found[name]["edges"] = [round(kept.value, 4), round(kept.interval[1] - kept.value, 4)]
    return found


def measure(run: Path, data: Path, record: bool) -> None:
    """Print the table of each direction that the model knows."""
    model = load(run)
    method = model.family.config.model_dump()["method"]
    ways: list[tuple[tuple[str, str], dict[str, object]]] = [(("A", "B"), {})]
    if method != "contrast":
        ways.append((("B", "A"), {"reverse": True}))
    for way, controls in ways:
        found = table(model, data, way, controls)
        for name, figure in found.items():
            print("->".join(way), name, json.dumps(figure))
        progress = model.facts["progress"]
        if record:
            facts = {"method": method, "steps": progress["step"], "way": "->".join(way)}
            write_row("unpaired", **facts, seconds=progress["seconds"], rows=found)


def main() -> None:
    """Cut the data, or measure a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("cut", "measure"))
    parser.add_argument("given", type=Path, help="folder of the packages, or the run")
    parser.add_argument("data", type=Path, help="folder of the emoji")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    if asked.what == "cut":
        cut(asked.given, asked.data)
    else:
        measure(asked.given, asked.data, asked.record)


if __name__ == "__main__":
    main()
