"""DCGAN, for teaching: strided convolutions, the non-saturating loss, no penalty.

After Radford et al., 2015 (https://arxiv.org/abs/1511.06434): their rates and moments, latent of 100.
What differs is in docs/families/gan.md: a norm over each row where they have batch norm, and a linear
layer before the verdict. It trains at any size that the family can do.
"""

FAMILY = "gan"
SETTINGS = {
    "family.network": "dcgan",
    "family.features": "64",
    "family.features_max": "256",
    "family.latent": "100",
    "family.loss": "non_saturating",
    "family.penalty": "none",
    "family.augment": "none",
    "family.classify": "0",
    "training.batch_size": "128",
    "training.lr": "2e-4",
    "training.betas": "0.5,0.999",
    "training.decay": "constant",
}
