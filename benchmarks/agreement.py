"""Two whole paths from the same image files, ours and torch-fidelity's: do features and scores agree?

    python -m benchmarks.agreement [--data avatars] [--images 2000] [--folder DIR] [--record]

Images of a prepared set are written as PNG files, half of them blurred ("fake"), half as they are
("real"). Each library reads the files, resizes, and looks with Inception of the same random weights, whose
norms are calibrated (`make peers` installs torch-fidelity 0.4.0; published weights are not needed to
compare two implementations). Then each computes its own scores from its own features, at all
images and at the first 500, both fewer than the 2,048 features; subsets hold half of a side. Whatever
was computed is kept in DIR, shard by shard: a stopped run goes on. Expect ten minutes for 2,000
images on two cores.

The row holds the largest relative error of an image's features for each tap (bound 1e-5), and the
relative error of each score (bound 1e-4).
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from benchmarks.row import write_row
from tests.support.peers import inception_weights, torch_fidelity
from zeuxis.core.settings import Data
from zeuxis.data import ensure
from zeuxis.data.pictures import pictures
from zeuxis.features import Extractor, Features, extractor, stream
from zeuxis.metrics.frechet import frechet_distance
from zeuxis.metrics.inception_score import class_probability_score
from zeuxis.metrics.kernel import kernel_distance_subsets

TAPS = ("2048", "logits_unbiased", "64", "192", "768", "logits")
SHARD = 50
SMALL = 250
"""Images a side of the smaller comparison."""
FEATURES, SCORES = 1e-5, 1e-4
"""Bounds."""


def write_files(folder: Path, data: str, count: int) -> list[Path]:
    """`count` images as PNG, in shards; those of the first half are blurred."""
    prepared = ensure(data, Data())
    if len(prepared.images) < count:
        raise ValueError(f"{prepared.name} has {len(prepared.images)} images, fewer than {count}")
    order = np.random.default_rng(0).permutation(len(prepared.images))[:count]
    shards = []
    for start in range(0, count, SHARD):
        shard = folder / f"{'fake' if start < count // 2 else 'real'}-{start:06}"
        shard.mkdir(parents=True, exist_ok=True)
        for i, row in enumerate(order[start : start + SHARD]):
            path = shard / f"{i:03}.png"
            if not path.exists():
                image = Image.fromarray(np.ascontiguousarray(prepared.images[row]).squeeze())
                if start < count // 2:
                    image = image.filter(ImageFilter.GaussianBlur(0.7))
                image.save(path)
        shards.append(shard)
    return shards


def look(shard: Path, ours: Extractor, theirs: torch.nn.Module) -> dict[str, np.ndarray]:
    """Features of a shard by both, kept beside it."""
    kept = shard.with_suffix(".npz")
    if not kept.exists():
        from torch_fidelity.utils import extract_featuresdict_from_input_id

        images = np.asarray(pictures(shard).images)
        if len(images) != len(list(shard.glob("*.png"))):
            raise ValueError(f"{shard}: {len(images)} images were read, not all of the files")
        parts = list(stream(images, ours))
        found = {f"ours/{tap}": np.concatenate([part[tap] for part in parts]) for tap in TAPS}
        expected = extract_featuresdict_from_input_id(
            1,
            theirs,
            input1=str(shard),
            batch_size=20,
            cuda=False,
            save_cpu_ram=True,
            verbose=False,
        )
        found |= {f"theirs/{tap}": expected[tap].numpy() for tap in TAPS}
        np.savez(kept, **found)
        print(f"{shard.name}: {len(images)} images", flush=True)
    with np.load(kept) as arrays:
        return dict(arrays)


def their_scores(fake: dict[str, torch.Tensor], real: dict[str, torch.Tensor]) -> dict[str, float]:
    """By torch-fidelity's own functions, from its own features."""
    from torch_fidelity import metric_fid, metric_isc, metric_kid

    size = min(1000, len(fake["2048"]) // 2)
    statistics = [metric_fid.fid_features_to_statistics(side["2048"]) for side in (fake, real)]
    kernel = metric_kid.kid_features_to_metric(
        fake["2048"], real["2048"], kid_subset_size=size, verbose=False
    )
    classes = metric_isc.isc_features_to_metric(fake["logits_unbiased"])
    frechet = metric_fid.fid_statistics_to_metric(*statistics, False)
    return {
        "frechet": frechet["frechet_inception_distance"],
        "kernel_mean": kernel["kernel_inception_distance_mean"],
        "kernel_std": kernel["kernel_inception_distance_std"],
        "score_mean": classes["inception_score_mean"],
        "score_std": classes["inception_score_std"],
    }


def our_scores(fake: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> dict[str, float]:
    """By ours, from ours."""
    sides = [Features(side["2048"], {"network": "random Inception"}) for side in (fake, real)]
    kernel = kernel_distance_subsets(*sides, size=min(1000, len(sides[0]) // 2))
    classes = class_probability_score(Features(fake["logits_unbiased"], {}))
    return {
        "frechet": frechet_distance(*sides, halves=False).raw,
        "kernel_mean": kernel.mean,
        "kernel_std": kernel.std,
        "score_mean": classes.score.value,
        "score_std": classes.std,
    }


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="avatars", help="a prepared set, or a known set's name")
    parser.add_argument("--images", type=int, default=2000, help="of both sides, together")
    parser.add_argument("--folder", type=Path, help="where to keep the work; default is temporary")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        figures = run(args.folder or Path(temporary), args.data, args.images)
    if args.record:
        write_row("agreement", **figures)
    else:
        print(json.dumps(figures, indent=1))


def run(folder: Path, data: str, count: int) -> dict[str, object]:
    """Write files, look, score, compare; the row's figures."""
    if count % (2 * SHARD):
        raise ValueError(f"--images {count}: give a multiple of {2 * SHARD}")
    library = torch_fidelity()
    shards = write_files(folder, data, count)
    path = folder / "random-inception.pth"
    if not path.exists():
        torch.save(inception_weights(), path)
    ours = extractor("inception", weights=path, published=False)
    theirs = library.FeatureExtractorInceptionV3("inception", list(TAPS), str(path))
    parts = [look(shard, ours, theirs) for shard in shards]
    whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    figures: dict[str, object] = {"data": data, "images": count, "peer": library.__version__}
    worst = {tap: _worst(whole[f"ours/{tap}"], whole[f"theirs/{tap}"]) for tap in TAPS}
    figures["features"] = worst
    half, errors = count // 2, []
    for n in sorted({half, min(SMALL, half)}):
        mine, reference = scores(whole, half, n)
        figures[f"scores_at_{n}_a_side"] = {
            name: {
                "ours": mine[name],
                "theirs": reference[name],
                "error": _error(mine, reference, name),
            }
            for name in mine
        }
        errors += [_error(mine, reference, name) for name in mine]
    figures["holds"] = max(worst.values()) <= FEATURES and max(errors) <= SCORES
    return figures


def scores(
    whole: dict[str, np.ndarray], half: int, n: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Ours and theirs of the first `n` images of each side."""

    def side(kind: str, start: int) -> dict[str, np.ndarray]:
        return {tap: whole[f"{kind}/{tap}"][start : start + n] for tap in TAPS}

    theirs = [
        {tap: torch.from_numpy(array) for tap, array in side("theirs", start).items()}
        for start in (0, half)
    ]
    return our_scores(side("ours", 0), side("ours", half)), their_scores(*theirs)


def _worst(found_ND: np.ndarray, expected_ND: np.ndarray) -> float:
    """Largest relative error of an image's feature vector."""
    lengths_N = np.linalg.norm(expected_ND, axis=1)
    return _short(float((np.linalg.norm(found_ND - expected_ND, axis=1) / lengths_N).max()))


def _error(mine: dict[str, float], reference: dict[str, float], name: str) -> float:
    return _short(abs(mine[name] / reference[name] - 1))


def _short(value: float) -> float:
    return float(f"{value:.2e}")


if __name__ == "__main__":
    main()
