"""Small pictures to captions: a flow of few positions, which leaves time for the captions.

RESULT
"""

FAMILY = "flow"
SETTINGS = {
    "family.widths": "128,192",
    "family.stem": "2",
    "family.drop_label": "0.1",
    "family.time_mean": "0",
    "training.batch_size": "48",
}
