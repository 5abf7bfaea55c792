"""Numbers as people read them: cards for the first questions, a table of every measure, a ladder."""

import re
from collections.abc import Iterator, Mapping

from zeuxis.evaluation.report import Card, Row
from zeuxis.evaluation.report.charts import ladder, number
from zeuxis.metrics import Estimate

REFERENCES = {2: "real, half the detail", 4: "real, a quarter of the detail"}
COPIES_ALLOWED = 0.02

LOW, HIGH, ONE, ZERO = "lower", "higher", "near 1", "near 0"
TABLE = {  # name of the estimate -> title, what is better
    "frechet_distance": ("Frechet distance, bias removed", LOW),
    "frechet_infinity": ("Frechet distance of endless samples", LOW),
    "kernel_distance": ("Kernel distance", LOW),
    "kernel_distance_to_train": ("Kernel distance to the training images", LOW),
    "gaussian_kernel_distance": ("Gaussian kernel distance x 1,000", LOW),
    "sliced_wasserstein": ("Sliced Wasserstein distance, squared", LOW),
    "precision": ("Precision: like some real image", HIGH),
    "recall": ("Recall: real images like some sample", HIGH),
    "density": ("Density: crowd around real images", ONE),
    "coverage": ("Coverage: real images with a sample near", HIGH),
    "different_bins": ("Bins that differ, of all", "near 0.05"),
    "bin_divergence": ("Divergence of the bins, nats", ZERO),
    "class_score": ("Class-probability score", "like real"),
    "diversity": ("Variety, perceptual, against real", ONE),
    "diversity_within": ("Variety within classes, against real", ONE),
    "ms_ssim_diversity": ("Variety, 1 - MS-SSIM, against real", ONE),
    "repeat_rate": ("Repeats: samples with a twin", "near 0.01"),
    "copy_rate": ("Near-copies", LOW),
    "exact_copy_rate": ("Exact copies", ZERO),
    "exact_repeat_rate": ("Exact repeats: samples with an equal twin", ZERO),
    "bits_per_dim": ("Bits per dimension", LOW),
    "psnr": ("PSNR of reconstructions, dB", HIGH),
    "ssim": ("SSIM of reconstructions", HIGH),
    "translation_psnr": ("PSNR of translations, dB", HIGH),
    "translation_ssim": ("SSIM of translations", HIGH),
    "translation_perceptual": ("Perceptual distance of translations to the truth", LOW),
}
STARTS = {  # beginnings of names that go on with a condition's or a statistic's
    "taught_": ("Taught by it, right about", HIGH),
    "recognised_": ("Recognised as asked:", HIGH),
    "bias_amplification_": ("Bias amplification of", ZERO),
    "effective_classes_": ("Effective number of classes of", "like real"),
    "rarest_": ("Rarest class against the data's share, of", ONE),
    "shift_": ("Shift, in deviations:", ZERO),
}
ENDS = ("_of_real", "_by_real")
"""What the same measure is on real images."""


def rows(found: Mapping[str, Estimate]) -> Iterator[Row]:
    """Every measure, each beside what real images get."""
    for name, estimate in found.items():
        named = _named(name)
        if named is None:
            continue
        title, better = named
        real = next((found[name + end] for end in ENDS if name + end in found), None)
        if name == "frechet_distance" and "raw" in estimate.receipt:
            title += f" (raw {number(estimate.receipt['raw'])}{_floor(estimate)})"
        if "caution" in estimate.receipt:
            title += "; too few images, an upper bound"
        yield Row(
            title=title,
            value=number(estimate.value),
            interval=span(estimate),
            real="" if real is None else f"{number(real.value)} ({span(real)})",
            better=better,
        )


def _named(name: str) -> tuple[str, str] | None:
    if name in TABLE:
        return TABLE[name]
    if name.endswith(ENDS) or name.startswith("kernel_distance_of_real"):
        return None
    for start, (title, better) in STARTS.items():
        if name.startswith(start):
            return f"{title} {name.removeprefix(start).replace('_', ' ')}", better
    return None


def missing(left_out: Mapping[str, str]) -> list[str]:
    """A line for each reason why measures were left out, which names them.

    >>> missing({"precision": "5 images of a", "copy_rate": "a holds no images", "recall": "5 images of a"})
    ['precision, recall: 5 images of a', 'near-copies: a holds no images']
    """
    named: dict[str, list[str]] = {}
    for name, why in left_out.items():
        named.setdefault(why, []).append(plain(name))
    return [f"{', '.join(names)}: {why}" for why, names in named.items()]


def plain(name: str) -> str:
    """A measure's name in a sentence.

    >>> plain("copy_rate"), plain("frechet_distance"), plain("coverage_of_real")
    ('near-copies', 'Frechet distance', 'coverage of real images')
    """
    short, real = (
        (name.removesuffix(ENDS[0]), " of real images") if name.endswith(ENDS[0]) else (name, "")
    )
    named = UNNUMBERED.get(short) or (_named(short) or (short.replace("_", " "),))[0]
    title = re.split("[:,]", named)[0] if short in TABLE else named.replace(":", "")
    proper = title.split()[0] in PROPER
    return (title if proper else title[:1].lower() + title[1:]) + real


UNNUMBERED = {
    "effective_classes": "balance of classes",
    "shift": "blur, noise, blocks and colour",
    "taught": "accuracy of a classifier that it taught",
}
PROPER = ("Frechet", "Gaussian", "PSNR", "SSIM", "Wasserstein")


def _floor(estimate: Estimate) -> str:
    floor = estimate.receipt.get("noise_floor")
    return "" if floor is None else f", of it {number(floor)} by chance"


def cards(found: Mapping[str, Estimate]) -> Iterator[Card]:
    """The few numbers to read first, in words."""
    if "kernel_distance" in found and "kernel_distance_of_real" in found:
        yield _distance_card(found)
    if "coverage" in found and "coverage_of_real" in found:
        yield _variety_card(found)
    if "copy_rate" in found:
        yield _copy_card(found["copy_rate"])
    for name, estimate in found.items():
        if name.startswith("taught_") and not name.endswith("_by_real"):
            yield _taught_card(name.removeprefix("taught_"), estimate, found[f"{name}_by_real"])


def _distance_card(found: Mapping[str, Estimate]) -> Card:
    mine, real = found["kernel_distance"], found["kernel_distance_of_real"]
    half = found.get("kernel_distance_of_real_shrunk_2x")
    quarter = found.get("kernel_distance_of_real_shrunk_4x")
    if mine.interval[0] <= max(real.interval[1], 0):
        mood, words = "good", "As close to new real images as other real images are."
    elif half is None or mine.value <= half.value:
        share_of = f", {mine.value / half.value:.0%} of the way" if half else ""
        mood, words = "fair", f"Closer than real images that lost half their detail{share_of}."
        words = words if half else "Further than other real images are."
    elif quarter is None or mine.value <= quarter.value:
        mood, words = "fair", "Between real images at half and at a quarter of their detail."
    else:
        mood, words = "poor", "Further than real images that kept a quarter of their detail."
    return Card(
        title="How close to real, as a whole?",
        value=number(mine.value),
        unit="kernel distance, 0 is real",
        words=words,
        side=f"95 %: {span(mine)}; {mine.receipt['fake']:,} samples against "
        f"{mine.receipt['real']:,} images{_side(mine)}. Real images: {number(real.value)} "
        f"({span(real)})",
        mood=mood,
    )


def _variety_card(found: Mapping[str, Estimate]) -> Card:
    mine, real = found["coverage"], found["coverage_of_real"]
    ratio = mine.value / max(real.value, 1e-9)
    words = {
        "good": "Nearly all kinds of real image have something like them among the samples.",
        "fair": "Some kinds of real image have nothing like them among the samples.",
        "poor": "Most kinds of real image have nothing like them among the samples.",
    }
    mood = "good" if ratio > 0.9 else "fair" if ratio > 0.5 else "poor"
    return Card(
        title="How much of the variety is there?",
        value=percent(mine.value),
        unit=f"of real images are covered; by other real images: {percent(real.value)}",
        words=words[mood],
        side=f"95 %: {percent(mine.interval[0])} to {percent(mine.interval[1])}; "
        f"{mine.receipt['fake']:,} samples, {mine.receipt['real']:,} images{_side(mine)}, "
        f"k = {mine.receipt['k']}",
        mood=mood,
    )


def _side(estimate: Estimate) -> str:
    return f", {estimate.receipt['side']}" if "side" in estimate.receipt else ""


def _copy_card(rate: Estimate) -> Card:
    count = round(rate.value * rate.n)
    control = "New real images would score about 1 %."
    if rate.interval[0] > COPIES_ALLOWED:
        mood, words = "poor", f"It repeats training images. {control}"
    elif rate.value > COPIES_ALLOWED:
        mood, words = "fair", f"It may repeat some training images. {control}"
    else:
        mood, words = "good", f"It does not repeat its training images. {control}"
    return Card(
        title="Does it copy?",
        value=percent(rate.value),
        unit=f"of samples are near-copies ({count:,} of {rate.n:,})",
        words=words,
        side=f"95 %: {percent(rate.interval[0])} to {percent(rate.interval[1])}; against all "
        f"{rate.receipt['train']:,} training images. A near-copy differs visibly from one of them in "
        f"fewer than {rate.receipt['threshold_pixels']} pixels, as 1 % of the {rate.receipt['control']} do",
        mood=mood,
    )


def _taught_card(name: str, mine: Estimate, real: Estimate) -> Card:
    label = name.replace("_", " ")
    ratio = mine.value / max(real.value, 1e-9)
    return Card(
        title=f"Does “{label}” mean what it says?",
        value=percent(mine.value),
        unit=f"named right; taught by as many real images: {percent(real.value)}",
        words=f"A small classifier learned “{label}” from samples alone, then named it in real "
        "images that nobody had trained on.",
        side=f"95 %: {percent(mine.interval[0])} to {percent(mine.interval[1])}; taught by "
        f"{mine.receipt['taught_with']:,} samples, tested on {mine.n:,} hold-out images",
        mood="good" if ratio > 0.95 else "fair" if ratio > 0.8 else "poor",
    )


def distances(found: Mapping[str, Estimate]) -> str:
    """The kernel distance among those of real images, whole and damaged, as an SVG; "" without one."""
    if "kernel_distance" not in found or "kernel_distance_of_real" not in found:
        return ""
    mine = found["kernel_distance"]
    marks = [("this model", mine.value, "model")]
    marks.append(("other real images", found["kernel_distance_of_real"].value, "reference"))
    for factor, label in REFERENCES.items():
        if reference := found.get(f"kernel_distance_of_real_shrunk_{factor}x"):
            marks.append((label, reference.value, "reference"))
    return ladder(marks, mine.interval)


def span(estimate: Estimate) -> str:
    """The interval; empty where there is none."""
    low, high = estimate.interval
    return f"{number(low)} to {number(high)}" if abs(low) < float("inf") else "not known"


def percent(value: float) -> str:
    """A share for people.

    >>> percent(0.0123), percent(0.5)
    ('1.2 %', '50 %')
    """
    return f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"
