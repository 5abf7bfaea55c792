"""What is measured image by image: likelihood, and nearness to what was to be made again, or to a style."""

import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from zeuxis.core.abilities import Captions, Denoises, Reconstructs, Scores
from zeuxis.core.pixels import composites, grid
from zeuxis.core.progress import Progress
from zeuxis.core.sheets import above
from zeuxis.data import Prepared
from zeuxis.data.preparation.decode import Target, decode
from zeuxis.evaluation import captions
from zeuxis.evaluation.allowance import Allowance
from zeuxis.evaluation.drawn import Drawn, drawn, labels_of, restores, sources_of, unpaired
from zeuxis.inference.model import BATCH, Model
from zeuxis.metrics import Measured, mean
from zeuxis.metrics.edges import edge_agreement
from zeuxis.metrics.patches import COUNT, DIRECTIONS, PATCH, patch_distance
from zeuxis.metrics.perceptual import perceptual_distance, perceptual_receipt
from zeuxis.metrics.similarity import psnr, ssim

SCORED = 256
"""Images whose likelihood, reconstructions or translations are measured."""
PAIRS = 4
RECONSTRUCTED = ("psnr", "ssim")
TRANSLATED = ("translation_psnr", "translation_ssim", "translation_perceptual")
KEPT = "edge_agreement"
STYLED = ("style_distance", "style_distance_of_real", KEPT)
GAIN = "gain"
CAPTIONS = "caption_gain"


def by_image(
    model: Model,
    prepared: Prepared,
    rows: np.ndarray,
    side: str,
    allowance: Allowance,
    progress: Progress,
) -> Measured:
    """Likelihood, reconstructions and translations of the first of some images, where the family has them.

    Args:
        model: the model.
        prepared: a set.
        rows: its images to measure by.
        side: what they are called.
        allowance: the time that is left.
        progress: told of progress.
    """
    held, family, found = rows[:SCORED], model.family, Measured()
    receipt = {"side": side, "interval": "95 %, normal, over images"}

    def measure(names: tuple[str, ...], why: str, call: Callable[[], Measured]) -> None:
        few = f"{len(held)} reference images, at least 2 are needed" if len(held) < 2 else ""
        short = "" if allowance.affords(0.0) else allowance.short
        if reason := why or few or short:
            found.leave_out(reason, *names)
        else:
            found.take(call())

    kind = f"a {model.facts.get('family')}"
    scores = isinstance(family, Scores) and "image" in family.needs()
    measure(
        ("bits_per_dim",),
        "" if scores else f"{kind} scores no images",
        lambda: _likelihood(model, prepared, held, receipt, allowance, progress),
    )
    if captions.measurable(model):
        measure((CAPTIONS,), "", lambda: _captions(model, prepared, held, receipt))
    if family.shows() == "translate":
        own = "source" in family.needs() and sources_of(family, prepared).paired
        paired = own or restores(family)
        measure(
            TRANSLATED,
            "" if paired else "the sources are not paired with images",
            lambda: _nearness(drawn_again(model, prepared, held), TRANSLATED, receipt),
        )
        if restores(family):
            measure((GAIN,), "", lambda: _gain(model, prepared, held, receipt))
        if unpaired(family, prepared):
            measure((KEPT,), "", lambda: _kept(model, prepared, receipt))
    else:
        remakes = isinstance(family, Reconstructs) or family.shows() == "reconstruct"
        measure(
            RECONSTRUCTED,
            "" if remakes else f"{kind} does not reconstruct",
            lambda: _nearness(drawn_again(model, prepared, held), RECONSTRUCTED, receipt),
        )
    progress(1, 1)
    return found


def _likelihood(
    model: Model,
    prepared: Prepared,
    held: np.ndarray,
    receipt: Mapping[str, str],
    allowance: Allowance,
    progress: Progress,
) -> Measured:
    assert isinstance(model.family, Scores)
    images, labels = prepared.images[held], labels_of(model, prepared, held)
    bits = _bits(model, images, labels, allowance, progress)
    return Measured({"bits_per_dim": mean(bits, {**receipt, "kind": str(model.family.kind)})})


def _nearness(
    both: tuple[np.ndarray, np.ndarray], names: tuple[str, ...], receipt: Mapping[str, str]
) -> Measured:
    """PSNR, SSIM and, of translations, the perceptual distance to the truth."""
    both = composites(both[0]), composites(both[1])
    found = Measured({names[0]: mean(psnr(*both), receipt)})
    found.attempt(names[1:2], lambda: {names[1]: mean(ssim(*both), receipt)})
    if names == TRANSLATED:
        seen = {**receipt, **perceptual_receipt()}
        found.attempt(names[2:], lambda: {names[2]: mean(perceptual_distance(*both), seen)})
    return found


def _gain(
    model: Model, prepared: Prepared, rows: np.ndarray, receipt: Mapping[str, str]
) -> Measured:
    """By how many decibels the mean squared error is below that of sources enlarged without a network.

    The interval is that of the logarithm of a ratio of means, to the first order.
    """
    rows = np.sort(rows)
    made, truth = drawn(model, prepared, rows, len(rows), 0), prepared.images[rows]
    assert made.sources is not None
    height, width, channels = truth.shape[1:]
    target = Target(height, width, channels, "stretch")
    plain = np.stack([decode(one, target).pixels_HWC for one in made.sources])
    left_N, lacked_N = (
        255**2 * 10 ** (-psnr(composites(truth), composites(each)) / 10)
        for each in (made.images, plain)
    )
    left, lacked = (max(float(each.mean()), 1e-6) for each in (left_N, lacked_N))
    slope_N = 10 / math.log(10) * (lacked_N / lacked - left_N / left)
    same = plain.shape == made.sources.shape
    over = "the damaged source" if same else "bicubic enlargement"
    gain_N = 10 * math.log10(lacked / left) + slope_N
    return Measured({GAIN: mean(gain_N, {**receipt, "over": over})})


def _captions(
    model: Model, prepared: Prepared, rows: np.ndarray, receipt: Mapping[str, str]
) -> Measured:
    """How much captions help to tell an image from noise, or either to predict the other."""
    loss, found = captions.caption_loss(model, prepared, rows), Measured()
    if len(loss.gain_N) < 2:
        found.leave_out("fewer than 2 of these images have a caption", CAPTIONS)
        return found
    kind = "bits a byte of captions" if isinstance(model.family, Captions) else "bits per dimension"
    at = {"t": captions.TIME} if isinstance(model.family, Denoises) else {"of": kind}
    of = {"loss_without": round(float(loss.without_N.mean()), 5), **at}
    return Measured({CAPTIONS: mean(loss.gain_N, {**receipt, **of})})


def _kept(model: Model, prepared: Prepared, receipt: Mapping[str, str]) -> Measured:
    """How much of a source's drawing its translation shows, where no truth is known."""
    stored = sources_of(model.family, prepared)
    held = stored.holdout[:SCORED] if len(stored.holdout) >= 2 else stored.train[:SCORED]
    made, found = drawn(model, prepared, held, len(held), 0), Measured()
    assert made.sources is not None
    if made.sources.shape[1:3] != made.images.shape[1:3]:
        found.leave_out("sources and translations differ in size", KEPT)
        return found
    return Measured({KEPT: mean(edge_agreement(made.sources, made.images), receipt)})


def styled(made: Drawn, exemplar_HWC: np.ndarray, side: str) -> Measured:
    """Distance to a picture's style: of images that are to have it, and of those that they were made from."""
    assert made.sources is not None
    both = made.images, made.sources
    receipt = {"side": side, "interval": "95 %, normal, over images"}
    by_patch = receipt | {
        "statistic": f"squared sliced Wasserstein-2, {COUNT:,} patches of {PATCH} x {PATCH} pixels at most, "
        f"{DIRECTIONS} directions"
    }
    found = Measured()
    if len(made.images) < 2:
        found.leave_out(f"{len(made.images)} images, at least 2 are needed", *STYLED)
        return found

    def distances() -> Measured:
        return Measured(
            {
                name: mean(patch_distance(images, exemplar_HWC), by_patch)
                for name, images in zip(STYLED, both, strict=False)
            }
        )

    found.attempt(STYLED[:2], distances)
    found[KEPT] = mean(edge_agreement(*reversed(both)), receipt)
    return found


def drawn_again(
    model: Model, prepared: Prepared, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Images of a set, and what the model makes of them or of their sources."""
    if model.family.shows() == "generate":
        images = prepared.images[rows]
        return images, model.reconstruct(images).images
    rows = np.sort(rows)
    return prepared.images[rows], drawn(model, prepared, rows, len(rows), 0).images


def _bits(
    model: Model,
    images: np.ndarray,
    labels: np.ndarray,
    allowance: Allowance,
    progress: Progress,
) -> np.ndarray:
    """Bits/dim of the first images, as many as half of the time allows, at least a batch of the networks."""

    def score(count: int) -> np.ndarray:
        return model.score(images[:count], labels[:count], progress=progress).bits

    if allowance.left() == math.inf or len(images) <= BATCH:
        return score(len(images))
    began = time.perf_counter()
    first = score(BATCH)
    batches = int(0.5 * allowance.left() / (time.perf_counter() - began))
    return score(min(len(images), batches * BATCH)) if batches > 1 else first


def pairs(model: Model, prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """A sheet of images above their reconstructions, or of sources above translations above the truth.

    Empty where the family makes neither. Sources that are not paired with images are rows of their own.
    """
    stored, translates = sources_of(model.family, prepared), model.family.shows() == "translate"
    if not stored.paired:
        rows = stored.holdout if len(stored.holdout) else stored.train
    rows = np.sort(rows[: PAIRS * max(1, 256 // (PAIRS * prepared.width))])
    if not (translates or isinstance(model.family, Reconstructs)) or not len(rows):
        return np.zeros((0, 0, prepared.channels), np.uint8)
    if not translates:
        return grid(np.concatenate(drawn_again(model, prepared, rows)), columns=len(rows))
    made = drawn(model, prepared, rows, len(rows), 0)
    assert made.sources is not None
    columns = [made.sources, made.images]
    if restores(model.family) or (stored.paired and "source" in model.family.needs()):
        columns.append(prepared.images[rows])
    return grid(above(*columns), columns=len(rows))
