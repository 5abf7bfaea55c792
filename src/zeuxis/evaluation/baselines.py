"""What translates without being trained: a translation that is no nearer to the truth has learned nothing.

Shapes: N sources to translate, M training pairs, H height, W width, C channels of images, T terms.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from zeuxis.core.fields import Field

FITTED = 4096
"""Training pairs whose pixels a regression is fitted on at most."""
CHUNK = 256
"""Sources that are compared with all training sources at a time."""

Images = np.ndarray


def identity(field: Field, sources: np.ndarray, shape: tuple[int, int, int]) -> Images | None:
    """The sources themselves, at the images' size and in their channels; None of maps.

    Args:
        field: what a source is.
        sources: (N, h, w, c) uint8, or (N, h, w) class ids.
        shape: (H, W, C) of an image.
    """
    if field.kind == "map":
        return None
    height, width, channels = shape
    sized = _sized(sources, height, width, "bicubic")
    if sized.shape[-1] == channels:
        return sized
    grey = sized[..., :3].mean(-1, keepdims=True).round().astype(np.uint8)
    colours = min(channels, 3)
    made = (
        grey.repeat(colours, -1) if sized.shape[-1] != 4 or channels == 1 else sized[..., :colours]
    )
    return made if channels < 4 else np.concatenate([made, np.full_like(grey, 255)], -1)


def regression(field: Field, known: tuple[np.ndarray, Images], sources: np.ndarray) -> Images:
    """Each pixel's colour from the source's there: of a map its class' mean, else by least squares.

    The terms are a constant, the channels, their squares and products.

    Args:
        field: what a source is.
        known: sources and images (M, H, W, C) of training pairs.
        sources: those to translate.
    """
    height, width = known[1].shape[1:3]
    some = np.random.default_rng(0).permutation(len(known[0]))[:FITTED]
    mode = "nearest" if field.kind == "map" else "bicubic"
    given, asked = (_sized(each, height, width, mode) for each in (known[0][some], sources))
    goal = known[1][some].reshape(-1, known[1].shape[-1]).astype(np.float64)
    if field.kind == "map":
        count = len(field.classes) + 1  # the first is "unknown"
        ids = given.reshape(-1).astype(np.int64) + 1
        often = np.bincount(ids, minlength=count)
        sums = np.stack([np.bincount(ids, column, count) for column in goal.T], -1)
        colours = np.where(often[:, None] > 0, sums / often.clip(1)[:, None], goal.mean(0))
        made = colours[asked.astype(np.int64) + 1]
    else:
        weights, *_ = np.linalg.lstsq(_terms(given), goal, rcond=None)
        made = (_terms(asked) @ weights).reshape(*asked.shape[:3], -1)
    found: Images = np.rint(made.clip(0, 255)).astype(np.uint8)
    return found


def retrieval(field: Field, known: tuple[np.ndarray, Images], sources: np.ndarray) -> Images:
    """The image of the training source that is nearest: by squared levels, or by the share of equal ids."""
    found = []
    kept = torch.from_numpy(np.array(known[0])).flatten(1)
    for at in range(0, len(sources), CHUNK):
        asked = torch.from_numpy(np.array(sources[at : at + CHUNK])).flatten(1)
        if field.kind == "map":
            away = torch.stack([(kept != one).sum(1) for one in asked])
        else:
            away = torch.cdist(asked.float(), kept.float())
        found.append(away.argmin(1).numpy())
    images: Images = np.asarray(known[1])[np.concatenate(found)]
    return images


def baselines(
    field: Field, known: tuple[np.ndarray, Images], sources: np.ndarray
) -> Mapping[str, Images]:
    """Name -> (N, H, W, C) uint8 of each that there is."""
    every: Mapping[str, Callable[[], Images | None]] = {
        "identity": lambda: identity(field, sources, known[1].shape[1:]),
        "regression": lambda: regression(field, known, sources),
        "retrieval": lambda: retrieval(field, known, sources),
    }
    made = {name: call() for name, call in every.items()}
    return {name: images for name, images in made.items() if images is not None}


def _sized(stored: np.ndarray, height: int, width: int, mode: str) -> np.ndarray:
    """Images (N, H, W, C) or ids (N, H, W) at another size."""
    if stored.shape[1:3] == (height, width):
        return stored
    smooth = mode == "bicubic"
    x = torch.from_numpy(np.array(stored)).float()
    x = x.permute(0, 3, 1, 2) if smooth else x[:, None]
    x = torch.nn.functional.interpolate(x, (height, width), mode=mode, antialias=smooth)
    if not smooth:
        return x[:, 0].numpy().astype(stored.dtype)
    return x.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _terms(images: Images) -> np.ndarray:
    """(N H W, T): a constant, the channels in [0, 1], their squares and products."""
    x = images.reshape(-1, images.shape[-1]).astype(np.float64) / 255
    pairs = [x[:, i] * x[:, j] for i in range(x.shape[1]) for j in range(i, x.shape[1])]
    return np.stack([np.ones(len(x)), *x.T, *pairs], 1)
