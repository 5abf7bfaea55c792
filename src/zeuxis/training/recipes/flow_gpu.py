"""A flow for a GPU and about 16,000 steps, with an early copy to guide samples if wanted.

`zeuxis train flow SOURCE --preset gpu --steps 16000`. Fashion-MNIST at 32x32: kernel distance of 256
samples 0.16; a small classifier trained on 20,000 samples names 0.901 of held-out training images
right. 443 s on an NVIDIA H100 that ran 15 other trainings.
"""

FAMILY = "flow"
SETTINGS = {"family.early": "0.15", "family.time_mean": "0.0", "family.time_scale": "1.0"}
