"""Translations of held-out sources beside their truth, beside what needs no training, and beside each other.

Shapes: K samples, N images, H height, W width, C channels.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from zeuxis.core.abilities import Translates
from zeuxis.core.pixels import composites
from zeuxis.core.progress import Progress
from zeuxis.data import Prepared
from zeuxis.evaluation.allowance import Allowance
from zeuxis.evaluation.baselines import baselines
from zeuxis.evaluation.drawn import labels_of, pick, sources_of
from zeuxis.evaluation.report.translated import Strip
from zeuxis.features import features
from zeuxis.inference.model import Model
from zeuxis.metrics import Measured, mean
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.perceptual import perceptual_distance, perceptual_receipt
from zeuxis.metrics.similarity import psnr
from zeuxis.metrics.spread import spread

SAMPLES = 8
"""Of each source, from a family that promises that they differ."""
BASELINES = ("identity", "regression", "retrieval")
KNOWN = 8192
"""Training pairs that baselines know at most."""
COUNTS = (256, 128, 64, 32, 16)
"""Sources that are translated: as many as there are and the time allows."""
VALUES = 2**28
"""Of all samples at most."""
LOOKS = 3
"""What it takes to compare an image with its truth, in images seen by the feature network."""
SHOWN = 6
"""Best, and as many worst."""
NAMES = ("paired", "spread")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paired:
    """What is known of translations whose truth is known.

    Attributes:
        found: `paired_{measure}_of_{row}` for psnr, perceptual and kernel and each row of the table, the
            `paired_margin`, and what `metrics.spread` gives.
        strips: the best and the worst, to be looked at.
    """

    found: Measured
    strips: Sequence[Strip] = ()


def paired(
    model: Model,
    prepared: Prepared,
    rows: np.ndarray,
    seconds: tuple[float, float],
    allowance: Allowance,
    progress: Progress,
) -> Paired:
    """Translate the sources of held-out images, and hold what is made beside the images.

    Args:
        model: the model; any.
        prepared: a set.
        rows: its held-out images, in random order.
        seconds: of drawing a translation, and of seeing an image by the feature network.
        allowance: the time that is left.
        progress: told of progress.
    """
    found, family = Measured(), model.family
    if not isinstance(family, Translates) or "source" not in family.needs():
        return Paired(found=found)
    stored = sources_of(family, prepared)
    if not stored.paired:
        return Paired(found=found)
    draws = SAMPLES + 1 if family.POINT else 1
    few = len(rows) < COUNTS[-1] or len(prepared.train) < 2
    why = f"{len(rows)} held-out pairs, at least {COUNTS[-1]} are needed" if few else ""
    count = 0 if few else _count(len(rows), draws, prepared.images[:1].size, seconds, allowance)
    if not count:
        found.leave_out(why or allowance.short, *NAMES)
        return Paired(found=found)
    rows = np.sort(rows[:count])
    source, truth = stored.take(rows), prepared.images[rows]
    some = np.sort(pick(prepared.train, KNOWN, 0, "baselines"))
    known = stored.take(some), prepared.images[some]
    made = dict(baselines(stored.field, known, source))
    labels = labels_of(model, prepared, rows)

    def draw(seed: int, controls: Mapping[str, float]) -> np.ndarray:
        images: np.ndarray = model.translate(source, seed, labels, **controls).images
        progress(seed + 1, draws)
        return images

    samples = np.stack([draw(seed, {}) for seed in range(max(draws - 1, 1))])
    if family.POINT:
        made["point"] = draw(draws - 1, family.POINT)
        made["mean"] = np.rint(samples.mean(0)).astype(np.uint8)
        found.take(spread(samples, truth, {"side": "hold-out"}))
    made["sample"] = samples[0]
    distances = _compare(made, truth, found)
    strips = _strips(stored.field.visible(source), made, samples, truth, distances["sample"])
    return Paired(found=found, strips=strips)


def _count(
    most: int, draws: int, values: int, seconds: tuple[float, float], allowance: Allowance
) -> int:
    """Sources that half of the time that is left, and the memory, allow; 0 if too few."""
    looks = LOOKS * (len(BASELINES) + min(draws, 3))
    each = draws * seconds[0] + looks * seconds[1]
    fit = max(VALUES // (draws * values), COUNTS[-1])
    counts = (min(count, most) for count in COUNTS if count <= fit)
    return next((count for count in counts if count * each <= allowance.left() / 2), 0)


def _compare(
    made: Mapping[str, np.ndarray], truth: np.ndarray, found: Measured
) -> dict[str, np.ndarray]:
    """Put a row of the table for each way of making into `found`; perceptual distances image by image."""
    receipt = {"side": "hold-out", "interval": "95 %, normal, over images"}
    real, distances = features(truth), {}
    for name, images in made.items():
        both = composites(truth), composites(images)
        distances[name] = perceptual_distance(*both)
        found[f"paired_psnr_of_{name}"] = mean(psnr(*both), receipt)
        found[f"paired_perceptual_of_{name}"] = mean(
            distances[name], {**receipt, **perceptual_receipt()}
        )
        found[f"paired_kernel_of_{name}"] = kernel_distance(features(images), real)
    best = min((name for name in BASELINES if name in made), key=lambda one: distances[one].mean())
    margin_N = distances[best] - distances["sample"]
    found["paired_margin"] = mean(margin_N, {**receipt, **perceptual_receipt(), "baseline": best})
    return distances


def _strips(
    visible: np.ndarray,
    made: Mapping[str, np.ndarray],
    samples_KNHWC: np.ndarray,
    truth: np.ndarray,
    distance_N: np.ndarray,
) -> list[Strip]:
    """The best and the worst by their perceptual distance to the truth."""
    order = np.argsort(distance_N, kind="stable")
    half = min(SHOWN, len(order) // 2)
    strips = []
    for kind, part in (("best", order[:half]), ("worst", order[::-1][:half])):
        for row in part:
            shown = {"source": visible[row]}
            if "point" in made:
                shown["point estimate"] = made["point"][row]
            several = len(samples_KNHWC) > 1
            shown["one sample" if several else "translation"] = samples_KNHWC[0, row]
            shown["truth"] = truth[row]
            if several:
                deviation_HW = samples_KNHWC[:, row].astype(np.float32).std(0, ddof=1).mean(2)
                brightness_HW = np.rint(2 * deviation_HW).clip(0, 255).astype(np.uint8)
                shown["spread"] = brightness_HW[..., None]
            strips.append(Strip(kind=kind, images=shown, distance=float(distance_N[row])))
    return strips
