"""What trials are compared by: held-out images, of which a search sees one half and never the other.

A family that generates is scored by the kernel distance of its samples to the half, one that makes each
image again by its squared error. Either is, but for what all models share, a constant of the model and the
mean of a number an image of the half,

    distance = mean k(x, x') + mean k(y, y') - 2 mean_j mean_i k(x_i, y_j),

so that of a difference of two models the interval over images is that of a mean.

Shapes: N samples, M images of the half, D features.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import Family
from zeuxis.core.progress import Check, unasked
from zeuxis.data import Prepared
from zeuxis.evaluation.by_image import drawn_again
from zeuxis.evaluation.drawn import drawn, pick, sources_of, unpaired
from zeuxis.features import Features, features
from zeuxis.inference.model import Model
from zeuxis.metrics import Estimate, mean
from zeuxis.metrics.kernel import cubic, kernel_distance, own

FEWEST = 32
"""Images that each half needs."""
MOST = 1000
"""Images of a half that are compared with at most."""


@dataclasses.dataclass(frozen=True)
class Score:
    """Of one model.

    Attributes:
        estimate: with its interval; lower is better.
        constant: part that no image of the half has a share in.
        by_image_M: the rest, whose mean it is, by image of the half.
    """

    estimate: Estimate
    constant: float
    by_image_M: np.ndarray

    @property
    def ends(self) -> list[float]:
        """Value, lower and upper end."""
        return [self.estimate.value, *self.estimate.interval]


def check(family: type[Family], prepared: Prepared) -> None:
    """Refuse what cannot be compared.

    Raises:
        Unable: the family makes no images, or none that can be compared with held-out ones.
        Invalid: too few images are held out.
    """
    if family.shows() is None or prepared.fields["image"].field.kind != "image":
        raise Unable(f"{family.__name__} makes no images by which trials could be compared")
    if len(prepared.holdout) < 2 * FEWEST:
        raise Invalid(
            f"{prepared.name} has {len(prepared.holdout)} held-out images, and a search needs "
            f"{2 * FEWEST}: one half to search by, one to try the winner on; hold more out with data.holdout"
        )


def named(family: type[Family], count: int) -> str:
    """What a score is, with so many samples."""
    if family.shows() == "generate":
        return f"kernel distance of {count} samples"
    return "squared error of images that are made again"


def halves(prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the half that the search sees and of the half that it never sees, the same each time."""
    rows = pick(prepared.holdout, len(prepared.holdout), 0, "tune")
    half = len(rows) // 2
    return np.sort(rows[:half][:MOST]), np.sort(rows[half:][:MOST])


class Scoring:
    """Scores models, and keeps the features of the real images."""

    def __init__(self) -> None:
        self._real: dict[tuple[str, bytes], Features] = {}

    def __call__(
        self,
        model: Model,
        prepared: Prepared,
        rows: np.ndarray,
        count: int,
        seed: int = 0,
        check: Check = unasked,
    ) -> Score:
        """The score of a model.

        Args:
            model: to be scored.
            prepared: the data.
            rows: of the half.
            count: samples of a family that generates.
            seed: of the samples.
            check: called now and then; may raise `Stopped`.

        Raises:
            Unable: what it makes cannot be compared.
        """

        def progress(done: int, total: int) -> None:
            check()

        if model.family.shows() == "generate":
            made = drawn(model, prepared, rows, count, seed, progress).images
            key = prepared.hash, rows.tobytes()
            if key not in self._real:
                self._real[key] = features(prepared.images[rows], progress=progress)
            return of_sets(features(made, progress=progress), self._real[key])
        if unpaired(model.family, prepared) or not sources_of(model.family, prepared).paired:
            raise Unable(
                f"a {model.facts.get('family')} without pairs has no truth to compare with"
            )
        truth, made = drawn_again(model, prepared, rows)
        if truth.shape != made.shape:
            raise Unable(
                f"a {model.facts.get('family')} makes images of another shape than those held out"
            )
        return of_images(truth, made)


def of_sets(fake: Features, real: Features) -> Score:
    """By the kernel distance of (N, D) to (M, D) features."""
    x_ND, y_MD = fake.array.astype(np.float64), real.array.astype(np.float64)
    n = len(x_ND)
    within = (cubic(x_ND, x_ND).sum() - own(x_ND, cubic).sum()) / (n * (n - 1))
    across_M = -2 * cubic(y_MD, x_ND).mean(1)
    return Score(kernel_distance(fake, real), float(within), across_M)


def of_images(truth: np.ndarray, made: np.ndarray) -> Score:
    """By the mean squared error of (M, H, W, C) uint8 images, in squares of the whole range."""
    apart = truth.astype(np.float64) - made
    error_M = np.square(apart / 255).reshape(len(truth), -1).mean(1)
    receipt: Mapping[str, str] = {"interval": "95 %, normal, over images"}
    return Score(mean(error_M, receipt), 0.0, error_M)
