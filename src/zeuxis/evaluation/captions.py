"""Caption gain: how much less a model errs about an image when it is told the image's caption.

At strong noise, t = 0.9, hardly anything but the caption says what an image shows. The error is that of a
flow's velocity, e - x, where x_t = (1 - t) x + t e: E |v - (e - x)|^2 = E |x' - x|^2 / t^2, x' the image that
`denoise` expects. A model that ignores captions gains 0; samples may look fine long before it gains.

Of a model of likelihoods, it is the bits per dimension of an image that its caption saves; of one that says
captions, the bits a byte of a caption that its image saves.

Shapes: B batch, C channels, H height, W width, N images.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zeuxis.core.abilities import Captions, Denoises, Scores, Writes
from zeuxis.core.vocabulary import plain
from zeuxis.data import Prepared, described
from zeuxis.inference.model import Ask, Model

TIME = 0.9
MOST = 256
"""Images that it is measured on."""


class CaptionLoss(NamedTuple):
    """Mean squared errors, or bits per dimension, of N images; or bits a byte of the first caption of each.

    Attributes:
        without_N: with no caption, or no image.
        with_N: with the first of each image's captions, or its image.
    """

    without_N: np.ndarray
    with_N: np.ndarray

    @property
    def gain_N(self) -> np.ndarray:
        """By how much captions lower it."""
        return self.without_N - self.with_N


def measurable(model: Model) -> bool:
    """Whether a model takes captions, and expects an image of noise or gives likelihoods of either."""
    family = model.family
    both = isinstance(family, Captions) and isinstance(family, Writes)
    able = both or isinstance(family, Denoises | Scores)
    return family.config.text is not None and able and "image" in family.needs()


def caption_loss(model: Model, prepared: Prepared, rows: np.ndarray) -> CaptionLoss:
    """The errors about the first of these images that have a caption; the noise is always the same."""
    text = model.family.config.text
    said = [(row, described.captions(prepared, row)) for row in rows.tolist()]
    some = [(row, captions[0]) for row, captions in said if captions][:MOST]
    if text is None or not some:
        return CaptionLoss(np.zeros(0), np.zeros(0))
    images = prepared.images[[row for row, _ in some]]
    ids = text.rows([caption for _, caption in some]).astype(np.int64)
    deviation = TIME / (1 - TIME)

    def errors(ask: Ask) -> Tensor:
        image_BCHW, known = ask.inputs["image"], {"text": ask.cond["text"]}
        if isinstance(ask.family, Captions) and isinstance(ask.family, Writes):
            alone_B = ask.family.text_nats(known["text"])
            given_B = ask.family.caption_nats(image_BCHW, known["text"])
            return torch.stack([alone_B, given_B], 1) / math.log(2) / ask.inputs["size"][:, None]
        if not isinstance(ask.family, Denoises):
            batches = [{"image": image_BCHW, **cond} for cond in ({}, known)]
            return torch.stack([ask.family.bits_per_dim(one, ask.random) for one in batches], 1)
        noise_BCHW = ask.random.normal("caption gain", *image_BCHW.shape[1:])
        noisy_BCHW = image_BCHW + deviation * noise_BCHW
        deviation_B = torch.full_like(noisy_BCHW[:, 0, 0, 0], deviation)
        found = [
            (ask.family.denoise(noisy_BCHW, deviation_B, cond) - image_BCHW)
            .square()
            .mean((1, 2, 3))
            for cond in ({}, known)
        ]
        return torch.stack(found, 1) / TIME**2

    unknown = np.full((len(images), len(model.conditions)), -1, np.int64)
    size = np.array([len(plain(caption).encode()) + 1 for _, caption in some], np.float32)
    given = {"image": images, "text": ids, "size": size}
    both_N2 = model.batches(errors, unknown, given).cpu().numpy()
    return CaptionLoss(both_N2[:, 0], both_N2[:, 1])
