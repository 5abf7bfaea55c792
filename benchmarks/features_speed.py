"""Images a second of the feature networks, ours against torch-fidelity's on the same Inception weights.

    python -m benchmarks.features_speed [--images 64] [--rounds 5] [--record]

Both take the same uint8 images in memory, resize them to 299x299 and hand out pool3, in float32;
torch-fidelity at its own default batch of 64 and at ours, whichever is faster. A round times each in
turn; figures are medians over rounds, the ratio is the median of the rounds' ratios. The weights are
random with calibrated norms, whose speed is that of the published ones. Beside them EfficientNet-lite0,
and bfloat16 with its error: the median over images of |difference| / |features|. Images are avatars.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.row import write_row
from tests.support.peers import inception_weights, torch_fidelity
from zeuxis.core import machine
from zeuxis.core.settings import Data
from zeuxis.data import ensure
from zeuxis.features import Extractor, extractor

THEIR_BATCH = 64


def ours(network: Extractor, images: np.ndarray) -> Callable[[], np.ndarray]:
    """One pass of our extractor, in its own chunks."""

    def run() -> np.ndarray:
        starts = range(0, len(images), network.chunk)
        found = [network(images[i : i + network.chunk])[network.taps[0]] for i in starts]
        return torch.cat(found).numpy()

    return run


def theirs(path: Path, images: np.ndarray, batch: int) -> Callable[[], np.ndarray]:
    """One pass of torch-fidelity's extractor, as its own loop calls it."""
    network = torch_fidelity().FeatureExtractorInceptionV3("inception", ["2048"], str(path))
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def run() -> np.ndarray:
        with torch.no_grad():
            return torch.cat([network(part)[0] for part in tensor.split(batch)]).numpy()

    return run


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-bfloat16", action="store_true", help="minutes where it is emulated")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    machine.set_threads(None)
    images = np.asarray(ensure("avatars", Data()).images[: args.images])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random-inception.pth"
        torch.save(inception_weights(), path)
        inception = extractor("inception", weights=path, published=False)
        runs = {
            "torch-fidelity, batch 64": theirs(path, images, THEIR_BATCH),
            f"torch-fidelity, batch {inception.chunk}": theirs(path, images, inception.chunk),
            "inception": ours(inception, images),
            "efficientnet-lite0": ours(extractor("efficientnet-lite0"), images),
        }
        if not args.no_bfloat16:
            low = extractor("inception", weights=path, published=False, precision="bfloat16")
            runs["inception, bfloat16"] = ours(low, images)
            low = extractor("efficientnet-lite0", precision="bfloat16")
            runs["efficientnet-lite0, bfloat16"] = ours(low, images)
    times: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, np.ndarray] = {}
    for i in range(args.rounds + 1):  # the first warms up
        for name, run in runs.items():
            began = time.perf_counter()
            found[name] = run()
            if i:
                times[name].append(time.perf_counter() - began)
    rivals = [times[name] for name in runs if name.startswith("torch-fidelity")]
    best = min(rivals, key=statistics.median)
    ratios = [a / b for a, b in zip(best, times["inception"], strict=True)]
    figures = {
        "images": len(images),
        "rounds": args.rounds,
        "peer": torch_fidelity().__version__,
        "ratio": round(statistics.median(ratios), 2),
        "images_per_second": {
            name: round(len(images) / statistics.median(values), 2)
            for name, values in times.items()
        },
        "error_to_torch_fidelity": error(found["inception"], found["torch-fidelity, batch 64"]),
        "error_of_bfloat16": {
            name: error(found[name], found[name.removesuffix(", bfloat16")])
            for name in runs
            if name.endswith("bfloat16")
        },
    }
    if args.record:
        write_row("features_speed", **figures)
    else:
        print(json.dumps(figures, indent=1))


def error(found_ND: np.ndarray, expected_ND: np.ndarray) -> float:
    """Median over images of the relative error of the feature vector."""
    lengths_N = np.linalg.norm(expected_ND, axis=1)
    return float(f"{np.median(np.linalg.norm(found_ND - expected_ND, axis=1) / lengths_N):.2e}")


if __name__ == "__main__":
    main()
