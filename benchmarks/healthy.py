"""Runs with nothing wrong: how often does the doctor say that something is?

    python -m benchmarks.healthy [--seed 2] [--steps 200] [--only NAME ...]

Every family is trained as by `zeuxis train` on the avatars, whole or a part of them, a fixed number of steps;
those that translate on pairs, maps or two sets made of the avatars. Thresholds are set on seed 0; what is
quoted comes from seed 2. One file a run in `results/healthy/`, so that the list can be continued. Findings
about what a model has learned are not made before step 400: runs of 200 steps cannot tell of those.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import zeuxis
from benchmarks import row
from zeuxis import data
from zeuxis.core.errors import Stopped
from zeuxis.core.log import read_log
from zeuxis.core.settings import Data

SMALL = {"training.batch_size": "16"}


def avatars(folder: Path, rng: np.random.Generator) -> str:
    """All of them."""
    return "avatars"


def some(folder: Path, rng: np.random.Generator) -> str:
    """1,500 avatars without labels."""
    images = np.asarray(data.ensure("avatars", Data()).images)
    np.savez(folder / "some.npz", images=images[rng.choice(len(images), 1500, replace=False)])
    return str(folder / "some.npz")


def grey(folder: Path, rng: np.random.Generator) -> str:
    """3,000 avatars in grey, with hair colours."""
    prepared = data.ensure("avatars", Data())
    rows = rng.choice(len(prepared), 3000, replace=False)
    images = np.asarray(prepared.images[np.sort(rows)]).mean(-1, keepdims=True).astype(np.uint8)
    np.savez(folder / "grey.npz", images=images, labels=prepared.labels[np.sort(rows)][:, 0])
    return str(folder / "grey.npz")


def maps(folder: Path, rng: np.random.Generator) -> str:
    """400 avatars, and the nearest of four shades of each pixel."""
    for number, image in _pictures(rng, 400):
        _save(folder / "images" / f"{number}.png", image)
        _save(folder / "maps" / f"{number}.png", (image.mean(-1) // 64).astype(np.uint8))
    return str(folder)


def two_sets(folder: Path, rng: np.random.Generator) -> str:
    """Avatars, and others with red and blue exchanged."""
    for number, image in _pictures(rng, 800):
        side, turned = ("A", image) if number % 2 else ("B", image[..., ::-1])
        _save(folder / side / f"{number}.png", turned)
    return str(folder)


def _pictures(rng: np.random.Generator, count: int) -> list[tuple[int, np.ndarray]]:
    images = np.asarray(data.ensure("avatars", Data()).images)
    return [*enumerate(images[rng.choice(len(images), count, replace=False)])]


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(image)).save(path)


PLAIN = (
    "gan",
    "stylegan",
    "autoencoder",
    "vae",
    "hvae",
    "tokenizer",
    "pixelcnn",
    "pixelrnn",
    "flow",
)
"""Families that need nothing but images."""
Source = Callable[[Path, np.random.Generator], str]
RUNS: dict[str, tuple[str, Source, dict[str, str]]] = {
    **{name: (name, avatars, {}) for name in (*PLAIN, "enhance")},
    "illustrate": ("illustrate", avatars, {"data.conditions": "text"}),
    "pix2pix": ("pix2pix", avatars, {"data.pair": "grey"}),
    "palette": ("palette", avatars, {"data.pair": "grey"}),
    "paint": ("paint", maps, {"data.pairs": "maps:images"}),
    "unpaired": ("unpaired", two_sets, {"data.paired": "false"}),
    "gan of some": ("gan", some, {}),
    "gan in grey": ("gan", grey, {}),
    "dcgan": ("gan", avatars, {"family.network": "dcgan"}),
    "flow of some": ("flow", some, {}),
    "vae in grey": ("vae", grey, {}),
}


def run(name: str, seed: int, steps: int) -> dict[str, Any]:
    """Train once; what the doctor said."""
    family, source, words = RUNS[name]
    with tempfile.TemporaryDirectory() as place:
        folder, began, error = Path(place), time.perf_counter(), ""
        (folder / "source").mkdir()
        try:
            zeuxis.train(
                family,
                source(folder / "source", np.random.default_rng(seed)),
                out=str(folder / "run"),
                steps=steps,
                seed=seed,
                threads=1,
                evaluate=False,
                overrides=SMALL | words,
            )
        except Stopped:
            raise
        except Exception as raised:  # a row says so
            error = f"{type(raised).__name__}: {raised}"
        rows = [*read_log(folder / "run" / "log.jsonl")]
        return {
            "alarms": [each for each in rows if "finding" in each],
            "rollbacks": sum(each.get("action") == "rollback" for each in rows),
            "scores": [each for each in rows if "kernel_distance" in each],
            "error": error,
            "seconds": round(time.perf_counter() - began, 1),
        }


def main() -> None:
    """Run what is missing and print the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=[*RUNS], choices=RUNS)
    options = parser.parse_args()
    for name in options.only:
        file = f"{name.replace(' ', '-')}-{options.seed}-{options.steps}.json"
        path = row.RESULTS / "healthy" / file
        if not path.exists():
            known = {"run": name, "seed": options.seed, "steps": options.steps}
            found = known | run(name, options.seed, options.steps)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                json.dumps(found | {"commit": row.commit(), **row.machine()}, indent=1) + "\n"
            )
        found = json.loads(path.read_text())
        print(name, [each["finding"] for each in found["alarms"]], found["error"][:80])


if __name__ == "__main__":
    main()
