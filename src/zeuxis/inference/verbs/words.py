"""Verbs that give texts."""

from typing import TYPE_CHECKING

from zeuxis.inference.arguments import Pixels, Seed
from zeuxis.inference.texts import Known, Many, Prefix, Texts
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from zeuxis.core.family import Controls
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Ask, Model


@verb(
    "Captions",
    "zeuxis caption runs/illustrate-photos photos/",
    "zeuxis caption runs/illustrate-photos photos/ --out photos/metadata.jsonl",
    "zeuxis caption runs/illustrate-photos photos/ --seed 3 temperature=0.7 top_p=0.9",
)
def caption(
    model: "Model",
    images: Pixels,
    prefix: Prefix = "",
    seed: Seed = 0,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Texts:
    """Say in words what images show: the likeliest words, unless a temperature is given."""
    import numpy as np

    from zeuxis.inference.texts import started, texts_of, vocabulary_of, with_bits

    vocabulary, start = vocabulary_of(model), started(model, prefix, len(images))

    def call(ask: "Ask") -> "Tensor":
        image_BCHW, start_BS = ask.inputs["images"], ask.inputs["start"]
        text_BT = ask.family.caption(
            image_BCHW, ask.noise(), start_BS, ask.cond, controls, ask.progress
        )
        return with_bits(text_BT, ask.family.caption_nats(image_BCHW, text_BT))

    unknown = np.full((len(images), len(model.conditions)), -1)
    found = model.batches(
        call, unknown, {"images": images, "start": start}, seed=seed, progress=progress
    )
    return texts_of(vocabulary, found)


@verb(
    "Writes",
    "zeuxis write runs/illustrate-photos --count 20",
    "zeuxis write runs/illustrate-photos --prefix 'a sad face with' temperature=0.8 top_k=40",
    "zeuxis write runs/illustrate-photos --count 500 --data photos/ --out texts.txt",
)
def write(
    model: "Model",
    count: Many = 16,
    prefix: Prefix = "",
    seed: Seed = 0,
    data: Known = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Texts:
    """Write texts like the captions that the model learned from."""
    import dataclasses

    import numpy as np

    from zeuxis.inference.texts import started, texts_of, verbatim, vocabulary_of, with_bits

    vocabulary, start = vocabulary_of(model), started(model, prefix, count)

    def call(ask: "Ask") -> "Tensor":
        text_BT = ask.family.write(
            ask.noise(), ask.inputs["start"], ask.cond, controls, ask.progress
        )
        return with_bits(text_BT, ask.family.text_nats(text_BT, ask.cond))

    unknown = np.full((count, len(model.conditions)), -1)
    found = model.batches(call, unknown, {"start": start}, seed=seed, progress=progress)
    made = texts_of(vocabulary, found)
    known = None if data is None else verbatim(model, made.texts, data, progress)
    return dataclasses.replace(made, verbatim=known)
