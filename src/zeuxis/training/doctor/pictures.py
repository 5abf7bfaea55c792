"""Signs of trouble in what is trained on, looked for before the first step."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from zeuxis.core.settings import Training
from zeuxis.data import Prepared
from zeuxis.training.doctor.signs import Finding

LOOKED_AT = 2000
"""Images, at most."""
FEW = 100
"""Images below which a model learns them by heart."""
COMPARED, BYTES = 20_000, 128 * 2**20
"""Images among which repeats are looked for, and bytes of them, at most."""
REPEATED = 0.05
"""Share of images that may be equal to another one."""
ACROSS = 0.01
"""Copies of held-out images that may be trained on, as a share of those held out."""
ONE_CLASS = 0.95
"""Share of images that one class may have; of several columns, that have the same class in all."""
ALONE = 0.5
"""Share of images that may have a label of their own in a column."""
SMOOTH = 0.006
"""Power of the finest details as a share of that of coarse ones, below which images are blurred. Photographs
of 64 to 96 pixels have 0.016 to 0.05, drawings of 32 0.011 and more, their means over 5 x 5 pixels 0.0002 to
0.0013, and those of drawings of 16 pixels 0.0033."""
FAR = 30.0
"""Factor by which a learning rate may differ from the family's own."""


def signs(
    prepared: Prepared, columns: Sequence[int], training: Training, usual: Training
) -> Iterator[Finding]:
    """What is wrong before anything is trained.

    Args:
        prepared: what is trained on.
        columns: of labels that the model is conditioned on.
        training: how it will be trained.
        usual: how the family is trained by default.
    """
    rows = np.asarray(prepared.train)
    images_NHWC = np.asarray(prepared.images[_spread(rows, LOOKED_AT)])
    yield from _of_pixels(images_NHWC, len(rows))
    if len(images_NHWC):
        most = min(COMPARED, BYTES // images_NHWC[0].nbytes)
        yield from _of_repeats(prepared.images, _spread(rows, most))
    across = prepared.facts["split"].get("copies_across", 0)
    if across > ACROSS * len(prepared.holdout):
        evidence = f"{across} images that are trained on have a copy among those held out"
        yield Finding("held-out images in training", evidence)
    yield from _of_labels(np.asarray(prepared.labels)[rows][:, list(columns)])
    is_class = any(condition.name == "label" for condition in prepared.conditions)
    if "label" in prepared.facts["columns"] and not is_class:
        words = [word for word in prepared.column("label") if word]
        if (different := len(set(words))) > len(words) / 2:
            evidence = f"{len(words)} images have {different} labels"
            yield Finding("labels too fine", f"{evidence}: too many to be classes")
    times = training.lr / usual.lr
    if not 1 / FAR <= times <= FAR:
        factor = f"{times:,.0f}" if times > 1 else f"{times:.2g}"
        evidence = f"training.lr is {training.lr:g}, {factor} times what this family trains with"
        yield Finding("learning rate", evidence)


def _of_pixels(images_NHWC: np.ndarray, count: int) -> Iterator[Finding]:
    if count < FEW:
        yield Finding("too few images", f"there are {count} images to train on")
    different = len({image.tobytes() for image in images_NHWC})
    if different == 1 < len(images_NHWC):
        yield Finding(
            "constant images", f"{len(images_NHWC)} images of {count} were looked at: all equal"
        )
        return
    fine = _fine_details(images_NHWC)
    if fine < SMOOTH:
        evidence = f"the finest details have {100 * fine:.2g} % of the power of coarse ones"
        yield Finding("blurred images", evidence)


def _of_repeats(images: np.ndarray, rows: np.ndarray) -> Iterator[Finding]:
    seen = {
        hashlib.blake2b(np.asarray(images[row]).tobytes(), digest_size=8).digest() for row in rows
    }
    repeated = 1 - len(seen) / max(1, len(rows))
    if repeated > REPEATED and len(seen) > 1:
        yield Finding("repeated images", f"{100 * repeated:.0f} % of the images repeat another one")


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, from the first to the last."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)]


def _fine_details(images_NHWC: np.ndarray) -> float:
    """Mean power at 0.4 to 0.5 cycles a pixel over that at 0.05 to 0.2; 1 for tiny images."""
    grey_NHW = images_NHWC.astype(np.float32).mean(-1)
    _, h, w = grey_NHW.shape
    if min(h, w) < 8:
        return 1.0
    window_HW = np.hanning(h + 2)[1:-1, None] * np.hanning(w + 2)[1:-1]
    spectrum = np.fft.rfft2((grey_NHW - grey_NHW.mean((1, 2), keepdims=True)) * window_HW)
    power = (np.abs(spectrum) ** 2).mean(0)
    cycles = np.maximum(np.abs(np.fft.fftfreq(h))[:, None], np.fft.rfftfreq(w))
    coarse = power[(cycles >= 0.05) & (cycles <= 0.2)].mean()
    return float(power[cycles >= 0.4].mean() / max(coarse, 1e-6))


def _of_labels(labels_NA: np.ndarray) -> Iterator[Finding]:
    """Columns are learned one by one: combinations may be rare, and one of several columns may be uneven."""
    told_NA = labels_NA[(labels_NA >= 0).any(1)]
    if not told_NA.size:
        return
    for column_N in told_NA.T:
        known = column_N[column_N >= 0]
        alone = int((np.bincount(known) == 1).sum())
        if alone > ALONE * len(known) > 0:
            evidence = f"{alone} of {len(known)} images have a label that no other image has"
            yield Finding("labels too fine", evidence)
            break
    counts = np.unique(told_NA, axis=0, return_counts=True)[1]
    if len(counts) > 1 and counts.max() > ONE_CLASS * len(told_NA):
        share = 100 * counts.max() / len(told_NA)
        yield Finding("one class", f"{share:.0f} % of the images are of one class")
