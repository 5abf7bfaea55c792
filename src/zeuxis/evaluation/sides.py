"""Two sets of images and every metric that compares them, from one pass over each.

`fake` is the set that is measured and `real` the reference set: generated images and photographs, or any
two folders. `look` takes a set's features, class probabilities and image statistics; `measure`
turns two such sides into estimates, each with its interval and its receipt.

Shapes: N fake, M real images.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.family import Condition
from zeuxis.core.pixels import composites
from zeuxis.core.progress import Progress
from zeuxis.features import Extractor, Features
from zeuxis.metrics import Estimate, Measured
from zeuxis.metrics.accumulator import Accumulator
from zeuxis.metrics.balance import Balance, balance
from zeuxis.metrics.bins import different_bins
from zeuxis.metrics.cmmd import gaussian_kernel_distance
from zeuxis.metrics.comparable import agree
from zeuxis.metrics.diversity import MS_SSIM, PERCEPTUAL, against, diversity
from zeuxis.metrics.exact import exact_copies, exact_repeats
from zeuxis.metrics.frechet import frechet_distance, frechet_infinity
from zeuxis.metrics.inception_score import class_probability_score
from zeuxis.metrics.kernel import kernel_distance
from zeuxis.metrics.moments import Moments
from zeuxis.metrics.neighbours import neighbours
from zeuxis.metrics.repeats import repeat_rate
from zeuxis.metrics.sliced import sliced_wasserstein
from zeuxis.metrics.statistics import shifts

FEWEST = 16
"""Images a side that distances and their intervals need at least."""
ENOUGH = 5
"""Images a feature, below which a Frechet distance keeps a part of its bias: real features have few strong
directions and many weak ones, and the error falls like 1 / n only once all of these are seen."""
BINS, PER_BIN = 100, 20
"""Bins at most, and real images that each must hold on average."""
NEIGHBOURS = 5
PAIRS = 200
"""Pairs of images whose mean difference is a set's variety."""
REFERENCES = 256
"""Images of the reference set below which a distance to it is said to be from few."""
DISTANCES = (
    "frechet_distance",
    "frechet_infinity",
    "kernel_distance",
    "gaussian_kernel_distance",
    "sliced_wasserstein",
)
NEIGHBOURHOODS = ("precision", "recall", "density", "coverage")
OF_FEATURES = (
    "kernel_distance",
    "gaussian_kernel_distance",
    "sliced_wasserstein",
    *NEIGHBOURHOODS,
    "repeat_rate",
)
"""Measures that moments alone do not allow."""
OF_SETS = (
    "frechet_infinity",
    *OF_FEATURES,
    "different_bins",
    "bin_divergence",
    "class_score",
    "diversity",
    "diversity_within",
    "ms_ssim_diversity",
    "shift",
    "effective_classes",
)
"""Measures of which `measure` gives each or a reason; the last two stand for one a statistic and a column."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """What is known of one set.

    Attributes:
        name: what reports call it.
        features: of every image, or only their moments, where a statistics file holds no more.
        probabilities: of the network's classes, where it is a classifier.
        statistics: image statistics by name, each (N,).
        images: (N, H, W, C) uint8, None for a statistics file.
        conditions: columns of classes.
        labels: (N, A) int64 in their order; -1 is unknown.
        form: how the files were stored, by share.
    """

    name: str
    features: Features | Moments
    probabilities: Features | None = None
    statistics: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    images: np.ndarray | None = None
    conditions: tuple[Condition, ...] = ()
    labels: np.ndarray | None = None
    form: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def table(self) -> Features:
        """The features of every image.

        Raises:
            ValueError: there are none, only their moments.
        """
        if not isinstance(self.features, Features):
            raise Invalid(_holds_moments(self))
        return self.features

    def rows(self, rows: np.ndarray) -> "Side":
        """The side with only those images."""
        return dataclasses.replace(
            self,
            features=_rows(self.table, rows),
            probabilities=_rows(self.probabilities, rows) if self.probabilities else None,
            statistics={name: array[rows] for name, array in self.statistics.items()},
            images=None if self.images is None else self.images[rows],
            labels=None if self.labels is None else self.labels[rows],
        )


def look(
    name: str,
    images_NHWC: np.ndarray,
    extractor: Extractor,
    conditions: tuple[Condition, ...] = (),
    labels: np.ndarray | None = None,
    form: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Side:
    """One pass over a set's images.

    Raises:
        ValueError: there are too few images, or features that are no numbers.
    """
    if len(images_NHWC) < FEWEST:
        raise Invalid(
            f"{name} has {len(images_NHWC)} images; measuring needs at least {FEWEST} a side, and "
            "2,000 or more for narrow intervals"
        )
    seen = Accumulator(extractor, taps_of(extractor)).add(images_NHWC, progress)
    return dataclasses.replace(
        side_of(name, seen),
        images=images_NHWC,
        conditions=conditions,
        labels=labels,
        form=form or {},
    )


def side_of(name: str, seen: Accumulator) -> Side:
    """What an accumulator of the layers of `taps_of` holds, as a side without images."""
    return Side(
        name=name,
        features=seen.features(),
        probabilities=seen.features(seen.taps[1]) if len(seen.taps) > 1 else None,
        statistics=seen.statistics(),
    )


def taps_of(extractor: Extractor) -> tuple[str, ...]:
    """The layers that measuring reads: the network's own, then its class probabilities, if it has any."""
    return (extractor.taps[0], *(tap for tap in extractor.taps if tap == "probabilities"))


def measure(fake: Side, real: Side, seed: int = 0, progress: Progress | None = None) -> Measured:
    """Every number that the two sides allow, by name, in the order in which reports show them.

    Where one side is only moments there is the Frechet distance and nothing else. `left_out` of the result
    holds the reason for every measure of `OF_SETS` that is not there.

    Raises:
        ValueError: the sides were not looked at in the same way, so that no number would mean anything.
    """
    found = distances(fake, real, seed, progress)
    if blind := _without_features(fake, real):
        found.leave_out(blind, *(name for name in OF_SETS if name not in found))
    else:
        found.attempt(("different_bins", "bin_divergence"), lambda: _bins(fake, real, seed))
        found.take(_scores(fake, real))
        found.take(_diversity(fake, real, seed))
        found.attempt(("shift",), lambda: _shifts(fake, real))
        found.take(_balances(fake, real))
    stored = {"fake_form": dict(fake.form), "real_form": dict(real.form), "seed": seed}
    for name, estimate in found.items():
        found[name] = dataclasses.replace(estimate, receipt={**estimate.receipt, **stored})
    return found


def distances(fake: Side, real: Side, seed: int = 0, progress: Progress | None = None) -> Measured:
    """What features alone say: Frechet, kernel and sliced distances, precision to coverage.

    Raises:
        ValueError: as `measure`.
    """
    agree(fake.features.receipt, real.features.receipt)
    found = _frechet(fake, real, seed)
    if blind := _without_features(fake, real):
        found.leave_out(blind, *OF_FEATURES)
        return doubted(found)
    a, b = fake.table, real.table
    steps: tuple[Callable[[], None], ...] = (
        lambda: found.update(kernel_distance=kernel_distance(a, b)),
        lambda: found.attempt(
            ("gaussian_kernel_distance",),
            lambda: {"gaussian_kernel_distance": gaussian_kernel_distance(a, b)},
        ),
        lambda: found.update(sliced_wasserstein=sliced_wasserstein(a, b, seed=seed).corrected),
        lambda: found.update(_neighbours(a, b, seed)),
        lambda: found.update(repeat_rate=repeat_rate(a, b, seed)),
    )
    for done, step in enumerate(steps):
        step()
        if progress:
            progress(done + 1, len(steps))
    return doubted(found)


def doubted(found: Measured) -> Measured:
    """The same; distances to fewer than 256 references say so in their receipts."""
    for name, estimate in found.items():
        count = estimate.receipt.get("real")
        if name in DISTANCES and count is not None and count < REFERENCES:
            receipt = {**estimate.receipt, "references": "few references"}
            found[name] = dataclasses.replace(estimate, receipt=receipt)
    return found


def _holds_moments(side: Side) -> str:
    return f"{side.name} is a file of moments: it holds no single image's features"


def _without_features(fake: Side, real: Side) -> str:
    """Which side is moments only, as a reason; "" if none is."""
    sides = (side for side in (fake, real) if not isinstance(side.features, Features))
    return next((_holds_moments(side) for side in sides), "")


def _few(count: int, side: Side, least: int) -> str:
    return f"{count:,} images of {side.name}, at least {least:,} are needed"


def _frechet(fake: Side, real: Side, seed: int) -> Measured:
    """The corrected distance; its receipt holds the raw value and the floor."""
    found = frechet_distance(fake.features, real.features, seed)
    receipt = {**found.receipt, "raw": found.raw, "noise_floor": found.noise_floor}
    smaller = min((n for n in (found.receipt["fake"], found.receipt["real"]) if n), default=0)
    if smaller < ENOUGH * _width(real.features):
        receipt["caution"] = (
            f"with fewer than {ENOUGH} images a feature a part of the bias stays: an upper bound"
        )
    if found.corrected is None:
        value = found.raw if found.above_floor is None else found.above_floor
        receipt |= {"interval": "none: a statistics file on each side holds no images to leave out"}
        only = Estimate(value=value, interval=(-np.inf, np.inf), n=smaller, receipt=receipt)
        result = Measured({"frechet_distance": only})
        result.leave_out(_holds_moments(fake), "frechet_infinity")
        return result
    corrected = dataclasses.replace(found.corrected, receipt={**found.corrected.receipt, **receipt})
    result = Measured({"frechet_distance": corrected})
    if not isinstance(fake.features, Features):
        result.leave_out(_holds_moments(fake), "frechet_infinity")
    elif len(fake.features) < 10 * FEWEST:
        result.leave_out(_few(len(fake.features), fake, 10 * FEWEST), "frechet_infinity")
    else:
        endless = frechet_infinity(fake.features, real.features, seed=seed)
        caution = {key: receipt[key] for key in ("caution",) if key in receipt}
        result["frechet_infinity"] = dataclasses.replace(
            endless, receipt={**endless.receipt, **caution}
        )
    return result


def _width(features: Features | Moments) -> int:
    return features.array.shape[1] if isinstance(features, Features) else len(features.mean_D)


def _neighbours(a: Features, b: Features, seed: int) -> dict[str, Estimate]:
    """Of as many images on both sides: coverage and recall depend on how many there are."""
    n = min(len(a), len(b))
    rng = np.random.default_rng(seed)
    a, b = (_rows(side, np.sort(rng.permutation(len(side))[:n])) for side in (a, b))
    found = neighbours(a, b, NEIGHBOURS)
    return {name: getattr(found, name) for name in NEIGHBOURHOODS}


def _bins(fake: Side, real: Side, seed: int) -> dict[str, Estimate]:
    a, b = fake.table, real.table
    side, count = min(((fake, len(a)), (real, len(b))), key=lambda pair: pair[1])
    k = min(BINS, count // PER_BIN)
    if k < 2:
        raise Invalid(_few(count, side, 2 * PER_BIN))
    if len(np.unique(b.array, axis=0)) < k:
        raise Invalid(f"{real.name} holds fewer than {k} different images")
    found = different_bins(a, b, k, seed)
    return {"different_bins": found.different, "bin_divergence": found.divergence}


def _scores(fake: Side, real: Side) -> Measured:
    found = Measured()
    for name, side in (("class_score", fake), ("class_score_of_real", real)):
        if side.probabilities is None:
            found.leave_out(f"there are no class probabilities of {side.name}", name)
            continue
        splits = min(10, len(side.probabilities) // 2)
        found[name] = class_probability_score(side.probabilities, "probabilities", splits).score
    return found


def _diversity(fake: Side, real: Side, seed: int) -> Measured:
    """As a share of the real images': over all, and within the classes of their first column."""
    found = Measured()
    columns = _first_columns(fake, real)

    def varied(measure: str) -> dict[str, Estimate]:
        mine, theirs = (
            diversity(composites(images_of(side)), labels, measure, PAIRS, seed)
            for side, labels in zip((fake, real), columns, strict=True)
        )
        return against(mine, theirs)

    def perceptual() -> Measured:
        seen = varied(PERCEPTUAL)
        result = Measured({"diversity": seen["overall"]})
        if "within" in seen:
            result["diversity_within"] = seen["within"]
        else:
            result.leave_out("no class has enough images on both sides", "diversity_within")
        return result

    found.attempt(("diversity", "diversity_within"), perceptual)
    found.attempt(("ms_ssim_diversity",), lambda: {"ms_ssim_diversity": varied(MS_SSIM)["overall"]})
    return found


def images_of(side: Side) -> np.ndarray:
    """The side's images.

    Raises:
        ValueError: it is a statistics file, which holds none.
    """
    if side.images is None:
        raise Invalid(f"{side.name} is a statistics file, which holds no images")
    return side.images


def _shifts(fake: Side, real: Side) -> dict[str, Estimate]:
    for side in (fake, real):
        if not side.statistics:
            raise Invalid(f"{side.name} holds no statistics of single images")
    return {f"shift_{name}": one for name, one in shifts(fake.statistics, real.statistics).items()}


def _first_columns(fake: Side, real: Side) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels of the first column of classes, if it is one and the same on both sides."""
    if fake.labels is None or real.labels is None or not fake.conditions or not real.conditions:
        return None, None
    if fake.conditions[0] not in real.conditions:
        return None, None
    return fake.labels[:, 0], real.labels[:, real.conditions.index(fake.conditions[0])]


def _balances(fake: Side, real: Side) -> Measured:
    """Of every column of classes that both sides have."""
    found = Measured()
    for side in (fake, real):
        if side.labels is None or not side.conditions:
            found.leave_out(f"{side.name} has no classes", "effective_classes")
            return found
    assert fake.labels is not None and real.labels is not None
    theirs = {condition: i for i, condition in enumerate(real.conditions)}
    for column, condition in enumerate(fake.conditions):
        name = f"effective_classes_{condition.name}"
        if condition not in theirs:
            found.leave_out(f"{real.name} has no column of the same classes", name)
            continue
        sides = fake.labels[:, column], real.labels[:, theirs[condition]]
        found.attempt((name,), functools.partial(_balance, condition, *sides))
    return found


def _balance(condition: Condition, mine_N: np.ndarray, other_M: np.ndarray) -> dict[str, Estimate]:
    return balances(condition, balance(mine_N, other_M, len(condition.classes)))


def balances(condition: Condition, seen: Balance) -> dict[str, Estimate]:
    """Estimates of a comparison of classes, by name."""
    name = condition.name
    found = {
        f"effective_classes_{name}": seen.effective_fake,
        f"effective_classes_{name}_of_real": seen.effective_real,
    }
    if seen.amplification is not None:
        found[f"bias_amplification_{name}"] = seen.amplification
    if seen.ratios:
        rarest = min(seen.ratios, key=lambda k: seen.ratios[k].value)
        receipt = {
            **seen.ratios[rarest].receipt,
            "class": condition.classes[rarest],
            "missing": [condition.classes[k] for k in seen.missing],
            "p_value": seen.p_value,
        }
        found[f"rarest_{name}"] = dataclasses.replace(seen.ratios[rarest], receipt=receipt)
    return found


def identical(
    samples_NHWC: np.ndarray,
    images_MHWC: np.ndarray,
    of: str,
    among: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Exact copies of images, repeats among the samples, and repeats among as many of the images.

    Args:
        samples_NHWC: uint8, at least one.
        images_MHWC: uint8, of the same size.
        of: what the images are, for sentences.
        among: rows of `images_MHWC` to look among; default all.
        seed: of which images repeats are looked for.
    """
    among = np.arange(len(images_MHWC)) if among is None else among
    some = np.random.default_rng(seed).permutation(among)[: len(samples_NHWC)]
    return {
        "exact_copy_rate": exact_copies(samples_NHWC, images_MHWC, among, of),
        "exact_repeat_rate": exact_repeats(samples_NHWC),
        "exact_repeat_rate_of_real": exact_repeats(images_MHWC, some),
    }


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(features.array[rows], features.receipt)


def parts(progress: Progress | None) -> Callable[[float, float], Progress]:
    """Turn the progress of each part into hundredths of the whole."""

    def part(start: float, end: float) -> Progress:
        def tick(done: int, total: int) -> None:
            if progress:
                progress(round(start + (end - start) * done / max(total, 1)), 100)

        return tick

    return part
