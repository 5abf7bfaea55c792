"""Small pictures to captions, by styles: at the learning rate of the paper, which captions can follow.

What it reaches was not measured yet; that of `gan` is in docs/text.md. Mirroring (data.flip) is left to
the user: captions may say left and right.
"""

FAMILY = "stylegan"
SETTINGS = {
    "family.embedding": "128",
    "family.drop_label": "0.1",
    "training.lr": "3e-3",
}
