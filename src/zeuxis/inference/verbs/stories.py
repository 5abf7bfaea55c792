"""The verb that tells a story in pictures."""

from typing import TYPE_CHECKING, Any

from zeuxis.inference.arguments import Seed
from zeuxis.inference.story import Describe, Script, Story, Vary
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from zeuxis.core.family import Controls
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Ask, Model

NOISE = "noise "
"""Before the names of inputs that are noise."""


@verb(
    "Generates",
    "zeuxis story runs/flow-photos script.txt --grid strip.png",
    "zeuxis story runs/flow-photos script.txt --seed 3 --vary 0.7",
    "zeuxis story runs/illustrate-photos script.txt --describe",
)
def story(
    model: "Model",
    script: Script,
    seed: Seed = 0,
    vary: Vary = None,
    describe: Describe = False,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Story:
    """Draw one subject in several scenes, from a script.

    Each frame's caption is the subject and its scene, and all frames have the same noise, so that much of
    what the captions leave open stays as it is. A family that captions can add to them what it sees in the
    first frame.
    """
    from zeuxis.inference.labels import described, drawn, remarks
    from zeuxis.inference.story import continued

    subject, *scenes = script
    captions, count = [f"{subject}, {scene}" for scene in scenes], len(scenes)
    table = drawn(model.conditions, model.facts.get("dataset", {}), 1, seed).repeat(count, 0)

    def frames(ability: str, turned: Any, **given: Any) -> "np.ndarray":
        """All of them, by one noise."""
        noise = model.family.noise(model.random(seed, slice(0, 1)))  # type: ignore[operator]
        more, _ = described(model, count, seed, None, captions, open_to_data=False)
        inputs = {NOISE + k: v.expand(count, *v.shape[1:]) for k, v in noise.items()}

        def call(ask: "Ask") -> "Tensor":
            same = {k.removeprefix(NOISE): v for k, v in ask.inputs.items() if k.startswith(NOISE)}
            known = [ask.inputs[name] for name in given]
            out: Tensor = getattr(ask.family, ability)(*known, same, ask.cond, turned, ask.progress)
            return out

        return model.images(call, table, {**inputs, **more, **given}, progress=progress).images

    images = frames("generate", controls)
    if describe:
        asked = captions
        captions = [asked[0], *(continued(model, images[:1], one) for one in asked[1:])]
        images = frames("generate", controls)
    if vary is not None:
        turned = controls.model_copy(update={"strength": vary})  # type: ignore[union-attr]
        images[1:] = frames("vary", turned, images=images[:1].repeat(count, 0))[1:]
    return Story(
        images=images,
        labels=table,
        conditions=model.conditions,
        columns=count,
        texts=captions,
        remarks=remarks(model, captions),
        subject=subject,
        scenes=scenes,
    )
