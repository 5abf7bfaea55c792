"""Verbs between images and their latents."""

from typing import TYPE_CHECKING

from zeuxis.inference.arguments import Labels, Pixels
from zeuxis.inference.arguments import Latents as LatentsGiven
from zeuxis.inference.results import Images, Latents
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model


@verb("Encodes", "zeuxis encode runs/vae-photos photos/ --out latents.npz")
def encode(
    model: "Model", images: Pixels, labels: Labels = None, progress: "Progress | None" = None
) -> Latents:
    """Encode images as latents; with a tokenizer, as tokens."""
    latents = model.batches(
        lambda ask: ask.family.encode(ask.inputs["images"], ask.cond),
        labels,
        {"images": images},
        progress=progress,
    )
    latents = latents.float() if latents.is_floating_point() else latents
    return Latents(latents=latents.cpu().numpy())


@verb("Decodes", "zeuxis decode runs/vae-photos latents.npz --grid sheet.png")
def decode(
    model: "Model",
    latents: LatentsGiven,
    labels: Labels = None,
    progress: "Progress | None" = None,
) -> Images:
    """Decode latents or tokens to images."""
    return model.images(
        lambda ask: ask.family.decode(ask.inputs["latents"], ask.cond),
        labels,
        {"latents": latents},
        progress=progress,
    )
