"""Verbs that draw new images."""

from typing import TYPE_CHECKING

from zeuxis.core.errors import Invalid
from zeuxis.inference.arguments import Count, End, Labels, Seed, Start, Steps
from zeuxis.inference.results import Images
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from zeuxis.core.family import Controls
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model


@verb(
    "Generates",
    "zeuxis sample runs/demo --count 64 --seed 7 --grid sheet.png",
    "zeuxis sample runs/demo --count 16 --label hair=red --label background=sky",
    "zeuxis sample runs/flow-photos --count 8 steps=20 guidance_scale=2",
)
def sample(
    model: "Model",
    count: Count = 16,
    seed: Seed = 0,
    labels: Labels = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Images:
    """Draw new images.

    Image i depends on (seed, i) and on what is asked for, not on the others. What `labels` leave open is
    drawn from the joint distribution of the training data.
    """
    from zeuxis.inference.labels import drawn

    table = drawn(model.conditions, model.facts.get("dataset", {}), count, seed, labels)
    return model.images(
        lambda ask: ask.family.generate(ask.noise(), ask.cond, controls, ask.progress),
        table,
        seed=seed,
        progress=progress,
    )


@verb(
    "Interpolates",
    "zeuxis interpolate runs/demo 7 8 --count 12 --grid walk.png",
    "zeuxis interpolate runs/vae-photos cat.png dog.png",
)
def interpolate(
    model: "Model",
    start: Start,
    end: End,
    count: Steps = 8,
    labels: Labels = None,
    controls: "Controls | None" = None,
    progress: "Progress | None" = None,
) -> Images:
    """Interpolate between two seeds or two images, in the model's latent space.

    Between seeds, what `labels` leave open is drawn once, as for the first image, and holds for the whole
    walk. The noise goes along a great circle, so that it stays as long as noise is (White, 2016,
    https://arxiv.org/abs/1609.04468). Between images the latents do.
    """
    import numpy as np
    import torch

    from zeuxis.inference.labels import drawn

    share_N = torch.linspace(0, 1, count)
    if isinstance(start, np.ndarray) and isinstance(end, np.ndarray):
        ends = torch.from_numpy(model.encode(np.stack([start, end])).latents)
        walk = model.decode(slerp(ends[:1], ends[1:], share_N).numpy(), progress=progress)
        return Images(images=walk.images, columns=count)
    if isinstance(start, np.ndarray) or isinstance(end, np.ndarray):
        raise Invalid("a walk leads from a seed to a seed or from an image to an image")
    family = model.able("Generates", "interpolate between seeds; give two images")
    noises = [family.noise(model.random(seed, slice(0, 1))) for seed in (start, end)]
    share_N = share_N.to(model.device)
    steps = {key: slerp(noises[0][key], noises[1][key], share_N) for key in noises[0]}
    table = drawn(model.conditions, model.facts.get("dataset", {}), 1, start, labels).repeat(
        count, 0
    )
    return model.images(
        lambda ask: ask.family.generate(ask.inputs, ask.cond, controls, ask.progress),
        table,
        steps,
        progress=progress,
        columns=count,
    )


def slerp(a: "Tensor", b: "Tensor", share_N: "Tensor") -> "Tensor":
    """Points on the great circle from row `a` (1, ...) to `b` (1, ...): (N, ...)."""
    import torch

    flat_a, flat_b = a.flatten(), b.flatten()
    cosine = torch.dot(flat_a, flat_b) / (flat_a.norm() * flat_b.norm())
    angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    share = share_N.view(-1, *[1] * (a.ndim - 1))
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
