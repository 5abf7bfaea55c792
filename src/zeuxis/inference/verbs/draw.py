"""Verbs that draw new images."""

import functools
from typing import TYPE_CHECKING

from zeuxis.core.errors import Invalid
from zeuxis.inference.arguments import (
    Count,
    Labels,
    Loop,
    Seed,
    Steps,
)
from zeuxis.inference.ends import End, Start
from zeuxis.inference.prompts import Numbers, Text
from zeuxis.inference.results import Images, Walk
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from zeuxis.core.family import Controls
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model

REDRAWN = 2
SEAM = 0.98
"""What the last step of a loop aims at, of the others: more than what unevenness is left, or films add."""


@verb(
    "Generates",
    "zeuxis sample runs/demo --count 64 --seed 7 --grid sheet.png",
    "zeuxis sample runs/demo --count 16 --label hair=red --label background=sky",
    "zeuxis sample runs/flow-photos --count 8 steps=20 guidance_scale=2",
    "zeuxis sample runs/flow-photos --text 'a red cat' --text 'a grey dog' guidance_scale=3",
)
def sample(
    model: "Model",
    count: Count = 16,
    seed: Seed = 0,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Images:
    """Draw new images.

    Image i depends on (seed, i) and on what is asked for, not on the others. What `labels`, `text` and
    `numbers` leave open is drawn from the joint distribution of the training data.
    """
    from zeuxis.inference.labels import described, drawn, with_remarks

    table = drawn(model.conditions, model.facts.get("dataset", {}), count, seed, labels)
    inputs, texts = described(model, count, seed, numbers, text)
    made = model.images(
        lambda ask: ask.family.generate(ask.noise(), ask.cond, controls, ask.progress),
        table,
        inputs,
        seed=seed,
        texts=texts,
        progress=progress,
    )
    return with_remarks(model, made, text)


@verb(
    "Interpolates",
    "zeuxis interpolate runs/demo 7 8 --count 12 --grid walk.png",
    "zeuxis interpolate runs/demo 7 8 --count 60 --loop --film walk.webp",
    "zeuxis interpolate runs/vae-photos cat.png dog.png",
)
def interpolate(
    model: "Model",
    start: Start,
    end: End,
    count: Steps = 8,
    loop: Loop = False,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Walk:
    """Interpolate between two seeds, samples of seeds or images, in the model's latent space.

    Between seeds, what `labels`, `text` (one) and `numbers` leave open is drawn once, as for the first image,
    and holds for the whole walk. The noise goes along a great circle, so that it stays as long as noise is
    (White, 2016, https://arxiv.org/abs/1609.04468). Between images the latents do, and what is asked for
    has no effect, which the result's remarks say.

    A loop ends where it began: between seeds it goes once around the circle, between images there and back.
    It is drawn three times, so that in the end images change evenly.
    """
    import numpy as np
    import torch

    from zeuxis.inference.labels import described, drawn, with_remarks

    share_N = torch.linspace(0, 1, count)
    turn_N = torch.arange(count) / count
    if isinstance(start, np.ndarray) and isinstance(end, np.ndarray):
        ends = torch.from_numpy(model.encode(np.stack([start, end])).latents)

        def decoded(share_N: "Tensor") -> Images:
            return model.decode(slerp(ends[:1], ends[1:], share_N).numpy(), progress=progress)

        def back(turn_N: "Tensor") -> Images:
            return decoded(1 - (1 - 2 * turn_N).abs())

        walk = even(back, turn_N) if loop else decoded(share_N)
        turned = controls.model_dump(exclude_defaults=True) if controls else {}
        asked = {"labels": labels, "text": text, "numbers": numbers, **turned}
        unused = [name for name, value in asked.items() if value is not None]
        why = "had no effect: a walk between images shows what is on the way from one to the other"
        said = [f"{' and '.join(unused)} {why}"] if unused else []
        return Walk(images=walk.images, columns=count, loop=loop, remarks=said)
    if isinstance(start, np.ndarray) or isinstance(end, np.ndarray):
        raise Invalid("a walk leads from a seed to a seed or from an image to an image")
    family = model.able("Generates", "interpolate between seeds; give two images")
    noises = [family.noise(model.random(seed, slice(row, row + 1))) for seed, row in (start, end)]
    seed, row = start
    table = drawn(model.conditions, model.facts.get("dataset", {}), row + 1, seed, labels)[row:]
    if text is not None and len(text) > 1:
        raise Invalid(f"found {len(text)} texts for a walk, which has one")
    inputs, texts = described(model, row + 1, seed, numbers, text)
    held = {name: value[row:].repeat(count, 0) for name, value in inputs.items()}

    def seen(share_N: "Tensor", around: bool) -> Images:
        share_N = share_N.to(model.device)
        return model.images(
            lambda ask: ask.family.generate(ask.inputs, ask.cond, controls, ask.progress),
            table.repeat(count, 0),
            {
                **{
                    key: slerp(noises[0][key], noises[1][key], share_N, around) for key in noises[0]
                },
                **held,
            },
            texts=texts[row:] * count,
            progress=progress,
            columns=count,
        )

    drawing = functools.partial(seen, around=True)
    found = even(drawing, turn_N) if loop else seen(share_N, around=False)
    return Walk(**vars(with_remarks(model, found, text)), loop=loop)


def even(draw: "Callable[[Tensor], Images]", turn_N: "Tensor") -> Images:
    """A closed walk whose steps change the images alike: drawn, measured and drawn again, twice.

    Once is not enough: within a measured step the images do not change evenly. The step across the seam is to
    be a little smaller than the others, so that what errors remain do not make it larger.

    Args:
        draw: the images at places of the walk, which 0 and 1 close.
        turn_N: evenly spaced places, from 0 on.
    """
    import numpy as np
    import torch

    turn, wanted = turn_N.numpy(), np.arange(len(turn_N)) / (len(turn_N) - 1 + SEAM)
    found = draw(turn_N)
    for _ in range(REDRAWN):
        images = found.images.astype(np.float32)
        steps = np.abs(np.roll(images, -1, 0) - images).mean((1, 2, 3))
        steps += 1e-3 * steps.mean() + 1e-9  # where nothing changes, it goes on, too
        gone = np.concatenate([[0], np.cumsum(steps / steps.sum())])
        turn = np.interp(wanted, gone, [*turn, 1])
        found = draw(torch.from_numpy(turn.astype(np.float32)))
    return found


def slerp(a: "Tensor", b: "Tensor", share_N: "Tensor", around: bool = False) -> "Tensor":
    """Points on the great circle from row `a` (1, ...) to `b` (1, ...): (N, ...).

    `around`: the shares are of the whole circle, by way of `b`.
    """
    import torch

    flat_a, flat_b = a.flatten(), b.flatten()
    cosine = torch.dot(flat_a, flat_b) / (flat_a.norm() * flat_b.norm())
    angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    share = share_N.view(-1, *[1] * (a.ndim - 1))
    share = share * (2 * torch.pi / angle) if around else share
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
