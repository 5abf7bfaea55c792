"""What a model makes to be looked at and measured: sheets, probes and reports all draw here.

Shapes: N images, H height, W width, C channels, A conditions; h, w, c of what they were made from.
"""

import dataclasses

import numpy as np
from torch import Tensor

from zeuxis.core.abilities import Reconstructs, Translates
from zeuxis.core.family import Family
from zeuxis.core.pixels import grid, to_array
from zeuxis.core.progress import Progress
from zeuxis.core.rng import derive_seed
from zeuxis.core.sheets import above
from zeuxis.data import Prepared
from zeuxis.data.prepared import Stored
from zeuxis.inference.labels import drawn as draw_labels
from zeuxis.inference.model import Ask, Model

COLUMNS = 8
"""Images beside one another on a sheet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """Images that a model made.

    Attributes:
        images: (N, H, W, C) uint8; none of a family that has nothing to show.
        labels: (N, A) int64, what was asked for; -1 is unknown.
        sources: (N, h, w, c) uint8, what they were made from; None where that was noise alone.
    """

    images: np.ndarray
    labels: np.ndarray
    sources: np.ndarray | None = None


def drawn(
    model: Model,
    prepared: Prepared,
    rows: np.ndarray,
    count: int,
    seed: int,
    progress: Progress | None = None,
) -> Drawn:
    """What the family shows (`Family.shows`).

    Args:
        model: a trained model.
        prepared: a set with what it was trained on.
        rows: of `sources_of`; a family that generates needs none.
        count: how many a family that generates draws.
        seed: of the noise.
        progress: told of progress.
    """
    config, shows = model.family.config, model.family.shows()
    if shows == "generate":
        samples = model.sample(count, seed=seed, progress=progress)
        return Drawn(images=samples.images, labels=samples.labels)
    if shows is None:
        nothing = np.zeros((0, config.height, config.width, config.channels), np.uint8)
        return Drawn(images=nothing, labels=np.zeros((0, len(config.conditions)), np.int64))
    stored, rows = sources_of(model.family, prepared), np.sort(rows)
    given = stored.take(rows)
    own = stored.paired
    open_to_data = draw_labels(model.conditions, model.facts.get("dataset", {}), len(rows), seed)
    labels = labels_of(model, prepared, rows) if own else open_to_data
    if shows == "translate":
        if made := damaged(model, given):
            masks = made.get("mask")
            images = model.translate(
                made["source"], seed, labels, mask=masks, progress=progress
            ).images
            return Drawn(images=images, labels=labels, sources=made["source"])
        images = model.translate(given, seed, labels, progress=progress).images
    elif isinstance(model.family, Reconstructs):
        images = model.reconstruct(given, labels, progress=progress).images
    else:
        latents = model.encode(given, labels).latents
        images = model.decode(latents, labels, progress=progress).images
    return Drawn(images=images, labels=labels, sources=stored.field.visible(given))


def restores(family: Family) -> bool:
    """Whether it makes images again from sources that it makes of them itself."""
    return isinstance(family, Translates) and type(family).damaged is not Translates.damaged


def damaged(model: Model, images_NHWC: np.ndarray) -> dict[str, np.ndarray]:
    """What a family that learns from images alone makes them again from: `source`, and perhaps `mask`.

    The damage of an image goes by its place among them. Nothing of other families.
    """
    if not restores(model.family):
        return {}
    found: dict[str, list[np.ndarray]] = {}

    def call(ask: Ask) -> Tensor:
        for name, value in ask.family.damaged(ask.inputs["image"], ask.random).items():
            whole = (
                to_array(model.visible(value)) if name == "source" else value[:, 0].cpu().numpy()
            )
            found.setdefault(name, []).append(whole)
        return ask.inputs["image"][:, :0]

    unknown = np.zeros((len(images_NHWC), 0), np.int64)
    model.batches(call, unknown, {"image": images_NHWC})
    return {name: np.concatenate(parts)[: len(images_NHWC)] for name, parts in found.items()}


def first(
    model: Model,
    prepared: Prepared,
    count: int,
    progress: Progress | None = None,
    held: bool = False,
) -> Drawn:
    """What sheets and probes show: `count` images of seed 0, made from nothing or from training data.

    With `held` they are made from data that is held out, if that fills a row of a sheet.
    """
    stored = sources_of(model.family, prepared)
    rows = stored.holdout if held and len(stored.holdout) >= COLUMNS else stored.train
    return drawn(model, prepared, pick(rows, count, 0, "sheet"), count, 0, progress)


def pick(rows: np.ndarray, count: int, seed: int, name: str) -> np.ndarray:
    """At most `count` of the rows, by seed, in random order."""
    return np.random.default_rng(derive_seed(seed, name)).permutation(rows)[:count]


def sources_of(family: Family, prepared: Prepared) -> Stored:
    """What its images are made from: the sources that it learns from, else the images themselves."""
    return prepared.fields["source" if "source" in family.needs() else "image"]


def unpaired(family: Family, prepared: Prepared) -> bool:
    """Whether its sources have no partners among the images."""
    return "source" in family.needs() and not sources_of(family, prepared).paired


def exemplar_of(family: Family) -> np.ndarray | None:
    """(H, W, 3) uint8, the picture whose style all its images have; None: they are to look like real ones."""
    found = family.exemplar if isinstance(family, Translates) else None
    return None if found is None else found.permute(1, 2, 0).cpu().numpy()


def labels_of(model: Model, prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """(N, A) int64 labels of images of a set, in the order of the model's conditions; -1 is unknown."""
    known = {condition: i for i, condition in enumerate(prepared.conditions)}
    labels = np.full((len(rows), len(model.conditions)), -1, np.int64)
    for column, condition in enumerate(model.conditions):
        if condition in known:
            labels[:, column] = prepared.labels[rows, known[condition]]
    return labels


def laid_out(made: Drawn) -> np.ndarray:
    """The images on one sheet, what each was made from above it, (H', W', C') uint8."""
    given = [] if made.sources is None else [made.sources]
    return grid(above(*given, made.images), COLUMNS)


def cell(family: Family) -> tuple[int, int]:
    """Height and width of what stands for one image on a sheet."""
    config, shows = family.config, family.shows()
    sides = [(config.height, config.width)] * (1 if shows == "generate" else 2)
    if shows == "translate":
        height, width = family.fields()["source"].shape[-2:]
        sides[0] = (height, width)
    shape = above(*(np.zeros((1, *each, 1), np.uint8) for each in sides)).shape
    return shape[1], shape[2]
