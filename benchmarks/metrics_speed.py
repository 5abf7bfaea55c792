"""Distance arithmetic against SciPy's and torch-fidelity's, and nearest neighbours in bounded memory.

    python -m benchmarks.metrics_speed distance [--dimension 2048] [--images 10000] [--repeats 5]
    python -m benchmarks.metrics_speed neighbours [--dimension 2048] [--images 50000]

`distance`: from the same two means and covariances to a Frechet distance, by our trace of the root;
with the noise floor, too; by `scipy.linalg.sqrtm` of the product, as pytorch-fid; and by NumPy's
eigenvalues of the product, as torch-fidelity. Interleaved, in one process; medians, and the medians
of the repeats' ratios. `neighbours`: precision, recall, density and coverage of as many fake as real
images, once; seconds, and the peak of the resident memory of a process that does nothing else,
features included. Features are Gaussian, float32, with deviations that fall like those of networks'
features do, turned at random. With --record the row goes to results/metrics_speed.json.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import row
from zeuxis.features import Features
from zeuxis.metrics.frechet import _between, _gaussian, frechet_distance
from zeuxis.metrics.moments import Moments
from zeuxis.metrics.neighbours import neighbours

BLOCK = 1024


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Features:
    """(N, D) float32, made block by block."""
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))
    mix_DD = (turn / np.sqrt(np.arange(1, d + 1))[:, None]).astype(np.float32)
    rng, x_ND = np.random.default_rng(seed), np.empty((n, d), np.float32)
    for start in range(0, n, BLOCK):
        part = x_ND[start : start + BLOCK]
        part[:] = rng.standard_normal(part.shape, np.float32) @ mix_DD + shift
    return Features(x_ND, {"network": "Gaussian"})


def seconds(run: Callable[[], float]) -> tuple[float, float]:
    """How long a call takes, and what it gives."""
    start = time.perf_counter()
    value = run()
    return time.perf_counter() - start, value


def distance(n: int, d: int, repeats: int) -> dict[str, Any]:
    """Times and values of each way to a Frechet distance."""
    import scipy
    from scipy import linalg

    a, b = (Moments.of(features(n, d, seed, shift)) for seed, shift in ((1, 0.0), (2, 0.02)))

    def rest(trace: float) -> float:
        step = a.mean_D - b.mean_D
        traces = np.trace(a.covariance_DD) + np.trace(b.covariance_DD)
        return float(step @ step + traces - 2 * trace)

    def by_sqrtm() -> float:
        return rest(np.trace(linalg.sqrtm(a.covariance_DD @ b.covariance_DD)).real)

    def by_eigenvalues() -> float:
        values = np.linalg.eigvals(a.covariance_DD @ b.covariance_DD)
        return rest(np.sqrt(values.astype(complex)).real.sum())

    ways = {
        "ours": lambda: _between(_gaussian(a, "fake"), _gaussian(b, "real")),
        "ours_with_floor": lambda: frechet_distance(a, b).raw,
        "eigvals": by_eigenvalues,
        "sqrtm": by_sqrtm,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    values = {}
    for _ in range(repeats):
        for name, way in ways.items():
            took, values[name] = seconds(way)
            times[name].append(took)
    found: dict[str, Any] = {"scipy": scipy.__version__, "numpy": np.__version__}
    for name in ways:
        found[f"{name}_seconds"] = round(statistics.median(times[name]), 3)
        found[f"{name}_value"] = values[name]
    for rival in ("sqrtm", "eigvals"):
        for ours in ("ours", "ours_with_floor"):
            ratios = [t / o for t, o in zip(times[rival], times[ours], strict=True)]
            found[f"{rival}_over_{ours}"] = round(statistics.median(ratios), 2)
    return found


def nearest(n: int, d: int) -> dict[str, Any]:
    """Time and memory of the nearest-neighbour metrics."""
    fake, real = features(n, d, 1, 0.02), features(n, d, 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = neighbours(fake, real)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": round(took, 1),
        "peak_gb": round(peak * 1024 / 1e9, 3),
        "peak_before_gb": round(before * 1024 / 1e9, 3),
        **{
            name: getattr(found, name).value
            for name in ("precision", "recall", "density", "coverage")
        },
    }


def main() -> None:
    """Measure and print a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("distance", "neighbours"))
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--images", type=int, help="a side; default 10,000 or 50,000")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    n = given.images or (10_000 if given.what == "distance" else 50_000)
    if given.what == "distance":
        figures = distance(n, given.dimension, given.repeats)
    else:
        figures = nearest(n, given.dimension)
    settings = {"what": given.what, "dimension": given.dimension, "images": n}
    if given.record:
        row.write_row("metrics_speed", **settings, **figures)
    else:
        print(json.dumps({**row.machine(), **settings, **figures}))


if __name__ == "__main__":
    main()
