"""A score that is cheap enough to be watched while training goes on."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from zeuxis.data import Prepared
from zeuxis.evaluation import shown
from zeuxis.evaluation.drawn import pick
from zeuxis.features import Features, features
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.patches import patch_distance

REAL = 1024
"""Training images that samples are compared with."""
RESTYLED = 64
"""Images whose distance to a style is measured at most."""


def probe(
    prepared: Prepared, count: int = 256, seed: int = 0, columns: Sequence[int] = ()
) -> Callable[..., dict[str, float]]:
    """A cheap score to watch while training: kernel distance to training images, or distance to a style.

    It never reads the hold-out. The real side's features are computed at the first call and kept.

    Args:
        prepared: what is trained on.
        count: images that the score will be given; fewer than 3 on either side give no score.
        seed: which training images.
        columns: of labels that the model is asked for.

    Returns:
        Maps (N, H, W, C) uint8 samples, the picture whose style they are to have or None, and (N, A) labels
        that were asked for or None, to `{"kernel_distance": ..., "variety": ...}` (variance of features, as a
        share of the real images') with what `shown.scores` says; or to `{"style_distance": ...}`.
    """
    chosen = pick(prepared.train, max(count, REAL), seed, "probe")

    @functools.cache
    def learned() -> tuple[Features, list[shown.Column]]:
        real = features(prepared.images[chosen])
        known_MA = np.asarray(prepared.labels)[chosen][:, list(columns)]
        return real, [*shown.columns(real.array, known_MA)]

    def score(
        samples_NHWC: np.ndarray,
        exemplar_HWC: np.ndarray | None = None,
        asked_NA: np.ndarray | None = None,
    ) -> dict[str, float]:
        if exemplar_HWC is not None:
            near = patch_distance(samples_NHWC[:RESTYLED], exemplar_HWC)
            return {"style_distance": float(near.mean())}
        if min(len(chosen), len(samples_NHWC)) < 3:
            return {}
        real, known = learned()
        mine = features(samples_NHWC)
        variety = float(mine.array.var(0).sum() / real.array.var(0).sum())
        scores = {"kernel_distance": kernel_distance(mine, real).value, "variety": variety}
        if asked_NA is None or len(columns) != asked_NA.shape[1]:
            return scores
        return scores | shown.scores(known, mine.array, asked_NA)

    return score
