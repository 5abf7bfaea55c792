"""Small pictures to captions, in one pass: a GAN with a large embedding of captions beside the noise.

docs/text.md has what it reaches on the avatars, the time and the machine. Mirroring (data.flip) is left to
the user: captions may say left and right.
"""

FAMILY = "gan"
SETTINGS = {
    "family.embedding": "128",
    "family.drop_label": "0.1",
}
