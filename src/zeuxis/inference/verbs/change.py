"""Verbs that turn images into others."""

import dataclasses
from typing import TYPE_CHECKING

from zeuxis.inference.arguments import (
    Holes,
    Labels,
    Mask,
    NoisyPixels,
    Pixels,
    Samples,
    Seed,
    Sigma,
    SourcePixels,
)
from zeuxis.inference.prompts import Numbers, Text
from zeuxis.inference.results import SHOWN, Images
from zeuxis.inference.translations import Translations
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from zeuxis.core.family import Controls
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model


@verb("Reconstructs", "zeuxis reconstruct runs/vae-photos photos/ --grid before-after.png")
def reconstruct(
    model: "Model",
    images: Pixels,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    progress: "Progress | None" = None,
) -> Images:
    """Encode images and decode them again: what the model keeps of them."""
    from zeuxis.inference.labels import described, with_remarks

    more, texts = described(model, len(images), 0, numbers, text, open_to_data=False)
    made = model.images(
        lambda ask: ask.family.reconstruct(ask.inputs["images"], ask.cond),
        labels,
        {"images": images, **more},
        texts=texts,
        progress=progress,
        before=images,
    )
    return with_remarks(model, made, text)


@verb("Denoises", "zeuxis denoise runs/autoencoder-photos grainy/ --sigma 25 --grid both.png")
def denoise(
    model: "Model",
    images: NoisyPixels,
    sigma: Sigma = 25.0,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    progress: "Progress | None" = None,
) -> Images:
    """Remove Gaussian noise of a known strength from images.

    Images may be floats, on the scale of 0 to 255 and perhaps beyond, so that noise is not clipped.
    """
    import numpy as np

    from zeuxis.core.pixels import premultiplied, to_tensor
    from zeuxis.inference.labels import described, with_remarks

    more, texts = described(model, len(images), 0, numbers, text, open_to_data=False)
    noisy = to_tensor(np.require(images, np.float32, ("C", "W")))
    noisy = (noisy if model.straight else premultiplied(noisy)) / 127.5 - 1
    sigma_N = np.full(len(images), sigma / 127.5, np.float32)
    made = model.images(
        lambda ask: ask.family.denoise(ask.inputs["images"], ask.inputs["sigma"], ask.cond),
        labels,
        {"images": noisy, "sigma": sigma_N, **more},
        texts=texts,
        progress=progress,
        before=np.clip(np.rint(images[:SHOWN]), 0, 255).astype(np.uint8),
    )
    return with_remarks(model, made, text)


@verb(
    "Completes",
    "zeuxis complete runs/pixelcnn-photos photos/ --mask hole.png --grid both.png",
    "zeuxis complete runs/flow-photos photos/ --mask left-half.png --seed 3 steps=20",
)
def complete(
    model: "Model",
    images: Pixels,
    mask: Mask,
    seed: Seed = 0,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Images:
    """Fill the white part of a mask; the rest of the image stays unchanged."""
    import numpy as np

    from zeuxis.inference.labels import described, with_remarks

    more, texts = described(model, len(images), seed, numbers, text, open_to_data=False)
    made = model.images(
        lambda ask: ask.family.complete(
            *ask.inputs.values(), ask.noise(), ask.cond, controls, ask.progress
        ),
        labels,
        {"images": images, "mask": mask[:, None].astype(np.float32), **more},
        seed=seed,
        texts=texts,
        progress=progress,
        before=np.where(mask[:SHOWN, ..., None], 128, images[:SHOWN]).astype(np.uint8),
    )
    return dataclasses.replace(with_remarks(model, made, text), filled=mask)


@verb(
    "Varies",
    "zeuxis vary runs/flow-photos sketches/ --label style=oil strength=0.6",
    "zeuxis vary runs/flow-photos photos/ --text 'a red cat' strength=0.7",
)
def vary(
    model: "Model",
    images: Pixels,
    seed: Seed = 0,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Images:
    """Redraw images, near to or far from what they are; a label or a text says what they become."""
    from zeuxis.inference.labels import described, with_remarks

    more, texts = described(model, len(images), seed, numbers, text, open_to_data=False)
    made = model.images(
        lambda ask: ask.family.vary(
            ask.inputs["images"], ask.noise(), ask.cond, controls, ask.progress
        ),
        labels,
        {"images": images, **more},
        seed=seed,
        texts=texts,
        progress=progress,
        before=images,
    )
    return with_remarks(model, made, text)


@verb(
    "Translates",
    "zeuxis translate runs/pix2pix-maps maps/ --grid both.png",
    "zeuxis translate runs/stylise-photos cat.jpg holiday/ --out painted",
    "zeuxis translate runs/enhance-photos old.jpg noise=10",
)
def translate(
    model: "Model",
    sources: SourcePixels,
    seed: Seed = 0,
    labels: Labels = None,
    samples: Samples = 1,
    mask: Holes = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Translations:
    """Translate pictures or maps of any size to images of another kind, each under its name.

    Sample k is that of seed + k.
    """
    from zeuxis.inference.translate import translations

    return translations(model, sources, seed, labels, samples, mask, controls, progress)
