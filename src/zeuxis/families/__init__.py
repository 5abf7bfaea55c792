"""The table of families. Adding one: write `families/<name>.py`, then add its line here."""

import importlib
from typing import TYPE_CHECKING

from zeuxis.run import suggest

if TYPE_CHECKING:
    from zeuxis.family import Family, FamilyConfig

FAMILIES = {
    "gan": ("GAN", "Generative adversarial network: sharp images, one pass to sample."),
    "vae": ("VAE", "Variational autoencoder: encodes, reconstructs, gives a likelihood bound."),
    "flow": ("Flow", "Rectified flow: the most faithful images, a few network passes to sample."),
}


def get(name: str) -> "type[Family]":
    """The family class called `name`, imported on first use.

    Raises:
        ValueError: there is no such family; the message names the nearest.
    """
    if name not in FAMILIES:
        raise ValueError(f"no family {name!r}; {suggest(name, FAMILIES)}")
    return getattr(importlib.import_module(f"zeuxis.families.{name}"), FAMILIES[name][0])


def build(name: str, config: "FamilyConfig", seed: int = 0) -> "Family":
    """A new family with initial weights that depend on `seed` alone.

    The only place where the global generator is used, and it is put back as it was.
    """
    import torch

    from zeuxis.rng import derive_seed

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return get(name)(config)
