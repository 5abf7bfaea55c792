"""The table of families. Adding one: write `families/<name>.py`, then add its line here."""

import importlib
from typing import TYPE_CHECKING

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.settings import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zeuxis.core.family import Family, FamilyConfig

FAMILIES = {
    "gan": ("GAN", "Generative adversarial network: sharp images, one network pass per sample."),
    "stylegan": ("StyleGAN", "StyleGAN2: a GAN whose images can be controlled layer by layer."),
    "autoencoder": (
        "Autoencoder",
        "Autoencoder: short codes; removes noise, holes and JPEG damage; does not generate.",
    ),
    "vae": ("VAE", "Variational autoencoder: encodes, reconstructs, gives a likelihood bound."),
    "hvae": ("HVAE", "Hierarchical VAE: latents from coarse to fine, a tighter likelihood bound."),
    "tokenizer": (
        "Tokenizer",
        "Tokenizer: encodes an image as a small grid of integers, for other models.",
    ),
    "pixelcnn": (
        "PixelCNN",
        "Autoregressive convolutions: exact likelihoods, lossless compression, inpainting.",
    ),
    "pixelrnn": (
        "PixelRNN",
        "Autoregressive two-dimensional LSTMs: exact likelihoods, completes lower parts.",
    ),
    "flow": ("Flow", "Rectified flow: the most faithful images, a few network passes per sample."),
    "illustrate": (
        "Illustrate",
        "Images and their captions in one transformer: draws to words, captions, writes.",
    ),
    "pix2pix": ("Pix2Pix", "Paired translation: from a source or a map to its image, in one pass."),
    "palette": (
        "Palette",
        "Paired translation with variety: many possible images of a source or a map.",
    ),
    "paint": ("Paint", "A scene from a map of class ids, of any size, in one to four passes."),
    "unpaired": (
        "Unpaired",
        "Unpaired translation: one set of images as another, and back, without pairs.",
    ),
    "enhance": ("Enhance", "Larger, sharper, cleaner images of any size; needs no pairs."),
    "stylise": ("Stylise", "One style for any picture, of any size, in one pass; needs no pairs."),
}

ADOPTED = {
    "pretrained": (
        "Pretrained",
        "Another's diffusers pipeline, used as it is: text to image, image to image, inpainting.",
    ),
}
"""Families whose models others have trained; `zeuxis adopt` makes runs of them."""


def get(name: str) -> "type[Family]":
    """The family class called `name`, imported on first use.

    Raises:
        ValueError: there is no such family; the message names the nearest.
    """
    known = {**FAMILIES, **ADOPTED}
    if name not in known:
        raise NotFound(f"no family {name!r}; {suggest(name, FAMILIES)}")
    return getattr(importlib.import_module(f"zeuxis.families.{name}"), known[name][0])


def build(
    name: str,
    config: "FamilyConfig",
    seed: int = 0,
    parts: "Mapping[str, Family] | None" = None,
) -> "Family":
    """A new family with initial weights that depend on `seed` alone, on top of trained `parts`.

    The only place where the global generator is used, and it is put back as it was.

    Raises:
        ValueError: the family builds on no such parts.
    """
    import torch

    from zeuxis.core.rng import derive_seed

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        cls, given = get(name), dict(parts or {})
        for part in given:
            if part not in cls.PARTS:
                raise Invalid(f"a {name} builds on no {part!r}; {suggest(part, cls.PARTS)}")
        # `Family.__init__` itself takes the parts; families take their config first, which mypy cannot know
        return cls(config, given) if cls.PARTS else cls(config)  # type: ignore[call-arg, arg-type]


def able(ability: type) -> list[str]:
    """Names of the families that have an ability, in the order of the table."""
    return [name for name in FAMILIES if issubclass(get(name), ability)]
