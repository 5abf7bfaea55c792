"""The verb that tells a story in pictures."""

from typing import TYPE_CHECKING

from zeuxis.inference.arguments import Seed
from zeuxis.inference.story import Script, Story, Vary
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
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
)
def story(
    model: "Model",
    script: Script,
    seed: Seed = 0,
    vary: Vary = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Story:
    """Draw one subject in several scenes, from a script.

    Each frame's caption is the subject and its scene, and all frames have the same noise, so that much of
    what the captions leave open stays as it is.
    """
    from zeuxis.inference.labels import described, drawn, remarks

    subject, *scenes = script
    captions, count = [f"{subject}, {scene}" for scene in scenes], len(scenes)
    more, _ = described(model, count, seed, None, captions, open_to_data=False)
    table = drawn(model.conditions, model.facts.get("dataset", {}), 1, seed).repeat(count, 0)
    noise = model.family.noise(model.random(seed, slice(0, 1)))  # type: ignore[operator]
    inputs = {NOISE + name: value.expand(count, *value.shape[1:]) for name, value in noise.items()}

    def same(ask: "Ask") -> dict[str, "Tensor"]:
        return {k.removeprefix(NOISE): v for k, v in ask.inputs.items() if k.startswith(NOISE)}

    def generated(ask: "Ask") -> "Tensor":
        out: Tensor = ask.family.generate(same(ask), ask.cond, controls, ask.progress)
        return out

    found = model.images(generated, table, {**inputs, **more}, progress=progress)
    images = found.images
    if vary is not None:
        turned = controls.model_copy(update={"strength": vary})  # type: ignore[union-attr]
        given = {**inputs, **more, "images": images[:1].repeat(count, 0)}
        varied = model.images(
            lambda ask: ask.family.vary(
                ask.inputs["images"], same(ask), ask.cond, turned, ask.progress
            ),
            table,
            given,
            progress=progress,
        )
        images = images.copy()
        images[1:] = varied.images[1:]
    return Story(
        images=images,
        labels=found.labels,
        conditions=found.conditions,
        columns=count,
        texts=captions,
        remarks=remarks(model, captions),
        subject=subject,
        scenes=scenes,
    )
