"""Verbs between images and their latents."""

from typing import TYPE_CHECKING

from zeuxis.inference.arguments import Labels, Pixels
from zeuxis.inference.arguments import Latents as LatentsGiven
from zeuxis.inference.prompts import Numbers, Text
from zeuxis.inference.results import Images, Latents
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model


@verb("Encodes", "zeuxis encode runs/vae-photos photos/ --out latents.npz")
def encode(
    model: "Model",
    images: Pixels,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    progress: "Progress | None" = None,
) -> Latents:
    """Encode images as latents; with a tokenizer, as tokens."""
    from zeuxis.inference.labels import described

    more, _ = described(model, len(images), 0, numbers, text, open_to_data=False)
    latents = model.batches(
        lambda ask: ask.family.encode(ask.inputs["images"], ask.cond),
        labels,
        {"images": images, **more},
        progress=progress,
    )
    latents = latents.float() if latents.is_floating_point() else latents
    return Latents(latents=latents.cpu().numpy())


@verb("Decodes", "zeuxis decode runs/vae-photos latents.npz --grid sheet.png")
def decode(
    model: "Model",
    latents: LatentsGiven,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    progress: "Progress | None" = None,
) -> Images:
    """Decode latents or tokens to images."""
    from zeuxis.inference.labels import described, with_remarks

    more, texts = described(model, len(latents), 0, numbers, text, open_to_data=False)
    made = model.images(
        lambda ask: ask.family.decode(ask.inputs["latents"], ask.cond),
        labels,
        {"latents": latents, **more},
        texts=texts,
        progress=progress,
    )
    return with_remarks(model, made, text)
