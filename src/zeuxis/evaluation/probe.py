"""A score that is cheap enough to be watched while training goes on."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.data import Prepared
from zeuxis.evaluation import shown
from zeuxis.evaluation.drawn import pick
from zeuxis.evaluation.leaked import leaked
from zeuxis.features import features
from zeuxis.metrics.checkerboard import checkerboard
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.nearest import memorisation_without_holdout
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
        Maps (N, H, W, C) uint8 samples, the picture whose style they are to have or None, (N, A) labels
        that were asked for or None, and how images were augmented in training, to `{"kernel_distance": ...,
        "variety": ..., "checkerboard": ...}` (variance of features, and `metrics.checkerboard`, as a share of
        and beyond those of real images) with what `shown.scores` says, `{"augmented": ...}` (`leaked`), and
        of at most `REAL` images `{"copied": ...}` (`metrics.nearest.memorisation_without_holdout`); or to
        `{"style_distance": ...}`.
    """
    side = _Side(prepared.hash, max(count, REAL), seed, tuple(columns), prepared)

    def score(
        samples_NHWC: np.ndarray,
        exemplar_HWC: np.ndarray | None = None,
        asked_NA: np.ndarray | None = None,
        policy: tuple[str, ...] = (),
    ) -> dict[str, float]:
        if exemplar_HWC is not None:
            near = patch_distance(samples_NHWC[:RESTYLED], exemplar_HWC)
            return {"style_distance": float(near.mean())}
        chosen = side.rows()
        if min(len(chosen), len(samples_NHWC)) < 3:
            return {}
        real, mine = _learned(side), features(samples_NHWC)
        scores = {
            "kernel_distance": kernel_distance(mine, real.features).value,
            "variety": float(mine.array.var(0).sum() / real.features.array.var(0).sum()),
            "checkerboard": checkerboard(samples_NHWC) - real.checkerboard,
        }
        if len(chosen) == len(prepared.train):
            with contextlib.suppress(Invalid):  # so few, or so much alike, that copies say nothing
                found = memorisation_without_holdout(samples_NHWC, prepared.images, among=chosen)
                scores["copied"] = found.rate.value
        if policy:
            scores["augmented"] = real.leaked(samples_NHWC, policy)
        if asked_NA is None or len(columns) != asked_NA.shape[1]:
            return scores
        return scores | shown.scores(real.columns, mine.array, asked_NA)

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


class _Real:
    """What samples are compared with: real images, and the labels that are asked for."""

    def __init__(self, images_MHWC: np.ndarray, known_MA: np.ndarray) -> None:
        self.features = features(images_MHWC)
        self.columns = [*shown.columns(self.features.array, known_MA)]
        self.checkerboard = checkerboard(images_MHWC)
        self.leaked = leaked(images_MHWC)


@functools.lru_cache(maxsize=2)
def _learned(side: _Side) -> _Real:
    rows, prepared = side.rows(), side.prepared
    known_MA = np.asarray(prepared.labels)[rows][:, list(side.columns)]
    return _Real(np.asarray(prepared.images[rows]), known_MA)
