"""Scores as people read them: cards for the first three, a table of all metrics, a chart of distances."""

import re
from collections.abc import Iterator, Mapping

from zeuxis.evaluation.diagnosis import BASELINE
from zeuxis.evaluation.report import Card, Row
from zeuxis.evaluation.report.charts import ladder, number
from zeuxis.metrics import Estimate

REFERENCES = {2: "real, half the detail", 4: "real, a quarter of the detail"}
COPIES_ALLOWED = 0.02
FEW_MISSING, MOST_MISSING = 0.9, 0.5
"""Coverage, as a share of that by other real images: above the first few kinds of image are missing, and
most are where even the end of the interval is below the second. An interval that holds both says nothing."""
HALFWAY = 0.5
"""Share of the distance to a style that may be left where it is said to be reached."""
LIKE, UNLIKE = 0.3, 0.05
"""Correlation of edges: `zeuxis restyle` at strength 1 keeps 0.37 to 0.46 of two photos."""
LOW, HIGH, ONE, ZERO = "lower", "higher", "near 1", "near 0"
TABLE = {  # name of the estimate -> title, what is better
    "frechet_distance": ("Frechet distance, bias-corrected", LOW),
    "frechet_infinity": ("Frechet distance extrapolated to infinite samples", LOW),
    "kernel_distance": ("Kernel distance", LOW),
    "kernel_distance_of_sources": ("Kernel distance of the sources, untranslated", HIGH),
    "kernel_distance_to_train": ("Kernel distance to the training images", LOW),
    "gaussian_kernel_distance": ("Gaussian kernel distance x 1,000", LOW),
    "sliced_wasserstein": ("Sliced Wasserstein distance, squared", LOW),
    "precision": ("Precision: samples that resemble real images", HIGH),
    "recall": ("Recall: real images that samples resemble", HIGH),
    "density": ("Density: samples around each real image", ONE),
    "coverage": ("Coverage: real images with a sample nearby", HIGH),
    "different_bins": ("Statistically different bins, share", "near 0.05"),
    "bin_divergence": ("Divergence of the bins, nats", ZERO),
    "class_score": ("Class-probability score", "like real"),
    "diversity": ("Diversity: perceptual distance of pairs, relative to real", ONE),
    "diversity_within": ("Diversity within classes, relative to real", ONE),
    "ms_ssim_diversity": ("Diversity: 1 - MS-SSIM of pairs, relative to real", ONE),
    "repeat_rate": ("Repeated samples: with a near-duplicate", "near 0.01"),
    "copy_rate": ("Near-copies", LOW),
    "exact_copy_rate": ("Exact copies", ZERO),
    "exact_repeat_rate": ("Exact repeats: samples with an identical other", ZERO),
    "bits_per_dim": ("Bits per dimension", LOW),
    "psnr": ("PSNR of reconstructions, dB", HIGH),
    "ssim": ("SSIM of reconstructions", HIGH),
    "style_distance": ("Distance of patches to the style's", LOW),
    "caption_gain": ("Caption gain: loss without captions minus with them", HIGH),
    "gain": ("Gain over enlargement without a network, dB", HIGH),
    "edge_agreement": ("Edges of the source that its translation keeps: correlation", HIGH),
    "translation_psnr": ("PSNR of translations, dB", HIGH),
    "translation_ssim": ("SSIM of translations", HIGH),
    "spread": ("Standard deviation over samples of one source, of 255 levels", "above 0"),
    "within_samples": ("True values between the least and most of 8 samples", "near 0.778"),
    "within_interval": (
        "True values within mean ± 1.645 standard deviations of 8 samples",
        "near 0.835",
    ),
    "spread_correlation": ("Correlation of standard deviation and error within an image", HIGH),
    "paired_margin": ("Perceptual distance by which translations beat the best baseline", HIGH),
    "translation_perceptual": ("Perceptual distance of translations to the truth", LOW),
}
STARTS = {  # beginnings of names that go on with a condition's or a statistic's
    "taught_": ("Classification accuracy score:", HIGH),
    "recognised_": ("Samples classified as the label asked for:", HIGH),
    "bias_amplification_": ("Bias amplification:", ZERO),
    "effective_classes_": ("Effective number of classes:", "like real"),
    "rarest_": ("Frequency of the rarest class, relative to the data:", ONE),
    "shift_": ("Shift in standard deviations:", ZERO),
}
ENDS = ("_of_real", "_by_real")
"""Endings of the same metric on real images."""


def rows(found: Mapping[str, Estimate]) -> Iterator[Row]:
    """Every metric, each beside what real images get."""
    for name, estimate in found.items():
        named = _named(name)
        if named is None:
            continue
        title, better = named
        real = next((found[name + end] for end in ENDS if name + end in found), None)
        if name == "frechet_distance" and "raw" in estimate.receipt:
            title += f" (uncorrected {number(estimate.receipt['raw'])}{_floor(estimate)})"
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


def missing(left_out: Mapping[str, str], most: int = 1000) -> list[str]:
    """A line for each reason why metrics were left out, which names `most` of them.

    >>> missing({"precision": "5 images of a", "copy_rate": "a holds no images", "recall": "5 images of a"})
    ['precision, recall: 5 images of a', 'near-copies: a holds no images']
    """
    named: dict[str, list[str]] = {}
    for name, why in left_out.items():
        named.setdefault(why, []).append(plain(name))
    lines = []
    for why, names in named.items():
        more = f" and {len(names) - most} more" if len(names) > most else ""
        lines.append(f"{', '.join(names[:most])}{more}: {why}")
    return lines


def plain(name: str) -> str:
    """A metric's name in a sentence.

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
    "paired": "translations beside baselines",
    "spread": "spread of samples",
    "effective_classes": "class balance",
    "shift": "blur, noise, JPEG blocks and colour",
    "taught": "classification accuracy score",
}
PROPER = ("Frechet", "Gaussian", "PSNR", "SSIM", "Wasserstein")


def _floor(estimate: Estimate) -> str:
    floor = estimate.receipt.get("noise_floor")
    return "" if floor is None else f", of which {number(floor)} is bias"


def cards(found: Mapping[str, Estimate]) -> Iterator[Card]:
    """The scores to read first, in words."""
    gain, truth = "gain" in found, "paired_psnr_of_sample" in found
    if gain:
        yield _gain_card(found["gain"])
    if truth:
        yield _truth_card(found)
    if "kernel_distance" in found and "kernel_distance_of_real" in found:
        yield _distance_card(found)
    # which kinds of image there are, the sources say
    if not gain and not truth and "coverage" in found and "coverage_of_real" in found:
        yield _variety_card(found)
    if "copy_rate" in found:
        yield _copy_card(found["copy_rate"])
    if "style_distance" in found and "style_distance_of_real" in found:
        yield _style_card(found["style_distance"], found["style_distance_of_real"])
        yield _likeness_card(found["edge_agreement"])
    for name, estimate in found.items():
        if name.startswith("taught_") and not name.endswith("_by_real"):
            yield _accuracy_card(name.removeprefix("taught_"), estimate, found[f"{name}_by_real"])


def _gain_card(gain: Estimate) -> Card:
    low, high = gain.interval
    mood = "good" if low > 0 else "open" if high > 0 else "poor"
    words = {
        "good": "The originals are met better than without a network.",
        "open": "There are too few images to tell whether anything is gained.",
        "poor": "Nothing is gained.",
    }
    return Card(
        title="Gain",
        value=f"{gain.value:+.2f} dB",
        unit=f"nearer to the originals than {gain.receipt['over']}",
        words=words[mood],
        side=f"95 %: {low:+.2f} to {high:+.2f} dB; {gain.n:,} images{_side(gain)}",
        mood=mood,
    )


def _truth_card(found: Mapping[str, Estimate]) -> Card:
    """Of translations: the model's point estimate, or its translation, beside the best baseline."""
    rows = {name: found.get(f"paired_psnr_of_{name}") for name in ("point", "sample", *BASELINE)}
    known = {name: row for name, row in rows.items() if row is not None}
    mine = known.get("point", known["sample"])
    name = max(known.keys() & BASELINE.keys(), key=lambda one: known[one].value)
    best = known[name]
    if mine.interval[0] > best.interval[1]:
        mood, words = "good", "Nearer to the truth than anything that needs no training."
    elif mine.interval[1] < best.interval[0]:
        mood, words = "poor", "Further from the truth than what needs no training."
    else:
        mood, words = "fair", "About as near to the truth as what needs no training."
    return Card(
        title="Nearness to the truth",
        value=f"{mine.value:.1f} dB",
        unit=f"PSNR; {BASELINE[name]}: {best.value:.1f} dB (higher is better)",
        words=words,
        side=f"95 %: {span(mine)}; without training: {span(best)}; {mine.n:,} images{_side(mine)}",
        mood=mood,
    )


def _distance_card(found: Mapping[str, Estimate]) -> Card:
    mine, real = found["kernel_distance"], found["kernel_distance_of_real"]
    half = found.get("kernel_distance_of_real_shrunk_2x")
    quarter = found.get("kernel_distance_of_real_shrunk_4x")
    if mine.interval[0] <= max(real.interval[1], 0):
        mood, words = "good", "As close to real images as other real images are."
    elif half is None or mine.value <= half.value:
        share_of = f" ({100 * mine.value / half.value:.0f} % of that distance)" if half else ""
        mood, words = (
            "fair",
            f"Closer to real images than real images downsampled to half their detail{share_of}.",
        )
        words = words if half else "Further from real images than other real images are."
    elif quarter is None or mine.value <= quarter.value:
        mood = "fair"
        words = (
            "As far from real images as real images between a half and a quarter of their detail."
        )
    else:
        mood, words = (
            "poor",
            "Further from real images than real images downsampled to a quarter of their detail.",
        )
    return Card(
        title="Kernel distance",
        value=number(mine.value),
        unit=f"(other real images: {number(real.value)}; lower is better)",
        words=words,
        side=f"95 %: {span(mine)}; other real images: {span(real)}; {mine.receipt['fake']:,} samples "
        f"against {mine.receipt['real']:,} images{_side(mine)}",
        mood=mood,
    )


def _variety_card(found: Mapping[str, Estimate]) -> Card:
    mine, real = found["coverage"], found["coverage_of_real"]
    low, value, high = (
        share / max(real.value, 1e-9) for share in (mine.interval[0], mine.value, mine.interval[1])
    )
    words = {
        "good": "Nearly all kinds of real image occur among the samples.",
        "fair": "Some kinds of real image are missing among the samples.",
        "poor": "Most kinds of real image are missing among the samples.",
        "open": "There are too few images to tell whether kinds of real image are missing.",
    }
    if low <= MOST_MISSING and high > FEW_MISSING:
        mood = "open"
    else:
        mood = "good" if value > FEW_MISSING else "fair" if high > MOST_MISSING else "poor"
    return Card(
        title="Coverage and diversity",
        value=percent(mine.value),
        unit=f"of real images are covered; by other real images: {percent(real.value)}{_diversity(found)}",
        words=words[mood],
        side=f"95 %: {percent(mine.interval[0])} to {percent(mine.interval[1])}; "
        f"{mine.receipt['fake']:,} samples, {mine.receipt['real']:,} images{_side(mine)}, "
        f"k = {mine.receipt['k']}",
        mood=mood,
    )


def _diversity(found: Mapping[str, Estimate]) -> str:
    if "diversity" not in found:
        return ""
    return f". Diversity {number(found['diversity'].value)}; real images: 1"


def _side(estimate: Estimate) -> str:
    return f", {estimate.receipt['side']}" if "side" in estimate.receipt else ""


def _copy_card(rate: Estimate) -> Card:
    count = round(rate.value * rate.n)
    quantile = rate.receipt["quantile"]
    control = f"New real images would score about {percent(quantile)}."
    allowed = max(COPIES_ALLOWED, 2 * quantile)
    if rate.interval[0] > allowed:
        mood, words = "poor", f"The model has memorised training images. {control}"
    elif rate.value > allowed:
        mood, words = "fair", f"The model may have memorised some training images. {control}"
    else:
        mood, words = "good", f"No memorisation found. {control}"
    return Card(
        title="Memorisation",
        value=percent(rate.value),
        unit=f"of samples are near-copies ({count:,} of {rate.n:,})",
        words=words,
        side=f"95 %: {percent(rate.interval[0])} to {percent(rate.interval[1])}; compared with all "
        f"{rate.receipt['train']:,} training images. A near-copy differs visibly from one of them in fewer "
        f"than {rate.receipt['threshold_pixels']} pixels; {percent(quantile)} of the "
        f"{rate.receipt['control']} do",
        mood=mood,
    )


def _style_card(mine: Estimate, photos: Estimate) -> Card:
    left = mine.value / max(photos.value, 1e-12)
    if mine.interval[1] >= photos.value:
        mood, words = "poor", "The images have hardly come nearer to the style than they were."
    else:
        mood = "good" if mine.interval[1] <= HALFWAY * photos.value else "fair"
        words = f"{percent(left)} of the distance of the photos to the style is left."
    return Card(
        title="Distance to the style",
        value=number(mine.value),
        unit=f"(the photos themselves: {number(photos.value)}; lower is better)",
        words=words,
        side=f"95 %: {span(mine)}; the photos: {span(photos)}; {mine.n:,} images{_side(mine)}; of patches of "
        "pixels, which training does not look at",
        mood=mood,
    )


def _likeness_card(kept: Estimate) -> Card:
    mood = "good" if kept.value >= LIKE else "fair" if kept.interval[1] > UNLIKE else "poor"
    words = {
        "good": "The photos can be recognised.",
        "fair": "Only large shapes of the photos are left.",
        "poor": "Nothing of the photos is left.",
    }
    return Card(
        title="Likeness to the photos",
        value=number(kept.value),
        unit="(correlation of edges; 1: all are where they were, 0: no relation)",
        words=words[mood],
        side=f"95 %: {span(kept)}; {kept.n:,} images{_side(kept)}",
        mood=mood,
    )


def _accuracy_card(name: str, mine: Estimate, real: Estimate) -> Card:
    label = name.replace("_", " ")
    ratio = mine.value / max(real.value, 1e-9)
    return Card(
        title=f"Classification accuracy score: {label}",
        value=percent(mine.value),
        unit=f"of real images classified correctly; trained on real images: {percent(real.value)}",
        words=f"Accuracy on held-out real images of a small classifier of “{label}” that was trained on "
        "samples alone: whether labels mean what they say.",
        side=f"95 %: {percent(mine.interval[0])} to {percent(mine.interval[1])}; trained on "
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
    """The interval, and that it is from few references where it is."""
    low, high = estimate.interval
    known = f"{number(low)} to {number(high)}" if abs(low) < float("inf") else "not known"
    return ", ".join([known, *filter(None, [estimate.receipt.get("references")])])


def percent(value: float) -> str:
    """A share for people.

    >>> percent(0.0123), percent(0.5)
    ('1.2 %', '50 %')
    """
    return f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"
