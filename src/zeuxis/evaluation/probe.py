"""A score that is cheap enough to be watched while training goes on."""

import dataclasses
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

    It never reads the hold-out. The real side's features are computed at the first call and kept, for later
    probes of the same set, too.

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
    side = _Side(prepared.hash, max(count, REAL), seed, tuple(columns), prepared)

    def score(
        samples_NHWC: np.ndarray,
        exemplar_HWC: np.ndarray | None = None,
        asked_NA: np.ndarray | None = None,
    ) -> dict[str, float]:
        if exemplar_HWC is not None:
            near = patch_distance(samples_NHWC[:RESTYLED], exemplar_HWC)
            return {"style_distance": float(near.mean())}
        if min(len(side.rows()), len(samples_NHWC)) < 3:
            return {}
        real, known = _learned(side)
        mine = features(samples_NHWC)
        variety = float(mine.array.var(0).sum() / real.array.var(0).sum())
        scores = {"kernel_distance": kernel_distance(mine, real).value, "variety": variety}
        if asked_NA is None or len(columns) != asked_NA.shape[1]:
            return scores
        return scores | shown.scores(known, mine.array, asked_NA)

    return score


@dataclasses.dataclass(frozen=True)
class _Side:
    """The real images of a probe; two are equal if they choose the same images of equal sets."""

    hash: str
    count: int
    seed: int
    columns: tuple[int, ...]
    prepared: Prepared = dataclasses.field(compare=False)

    def rows(self) -> np.ndarray:
        return pick(self.prepared.train, self.count, self.seed, "probe")


@functools.lru_cache(maxsize=2)
def _learned(side: _Side) -> tuple[Features, list[shown.Column]]:
    """Features of the real images, and what tells their labels."""
    rows = side.rows()
    real = features(side.prepared.images[rows])
    known_MA = np.asarray(side.prepared.labels)[rows][:, list(side.columns)]
    return real, [*shown.columns(real.array, known_MA)]
