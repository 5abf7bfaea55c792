"""Small pictures to captions: a flow of few positions, which leaves time for the captions.

docs/text.md has what it reaches on the avatars, the time and the machine. Mirroring (data.flip) is left to
the user: captions may say left and right.
"""

FAMILY = "flow"
SETTINGS = {
    "family.widths": "128,192",
    "family.stem": "2",
    "family.drop_label": "0.1",
    "family.time_mean": "0",
    "training.batch_size": "48",
}
