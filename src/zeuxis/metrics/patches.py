"""How far the patches of images are from those of one picture: whether they share its colours and strokes.

    SW^2 = mean over unit directions u of the integral over q in (0, 1) of (F_u^-1(q) - G_u^-1(q))^2

of patches of 7 x 7 pixels, each a vector of levels in [0, 1] (Rabin et al. 2012; as a measure of single
pictures, Elnekave and Weiss 2022, arXiv:2203.11862). It knows no network, so that what was optimised on
features of one can be measured by it.

Shapes: N images, H height, W width, C channels, D values of a patch, P patches, U directions.
"""

import numpy as np
import torch

from zeuxis.core.errors import Invalid

PATCH = 7
"""Pixels a side."""
COUNT = 6000
"""Patches of each picture at most, drawn at random."""
DIRECTIONS = 300


def patch_distance(images_NHWC: np.ndarray, picture_HWC: np.ndarray, seed: int = 0) -> np.ndarray:
    """Squared sliced Wasserstein-2 distance of each image's patches to the picture's, (N,) float64.

    Args:
        images_NHWC: uint8, 7 pixels a side or more; grey is repeated, alpha left out.
        picture_HWC: uint8, of any size from 7 x 7 on.
        seed: of the patches and the directions.

    Raises:
        Invalid: something smaller than a patch.
    """
    least = min(*images_NHWC.shape[1:3], *picture_HWC.shape[:2])
    if least < PATCH:
        raise Invalid(f"{least} pixels a side are less than a patch of {PATCH} x {PATCH}")
    u_UD = np.random.default_rng(seed).standard_normal((DIRECTIONS, 3 * PATCH**2))
    u_UD /= np.linalg.norm(u_UD, axis=1, keepdims=True)
    count = min(COUNT, _places(picture_HWC.shape), _places(images_NHWC.shape[1:]))
    goal_UP = _sorted(u_UD, picture_HWC, count, seed)
    found = [(_sorted(u_UD, one, count, seed) - goal_UP).square().mean() for one in images_NHWC]
    return torch.stack(found).double().numpy()


def _places(shape: tuple[int, ...]) -> int:
    return (shape[0] - PATCH + 1) * (shape[1] - PATCH + 1)


def _sorted(u_UD: np.ndarray, pixels_HWC: np.ndarray, count: int, seed: int) -> torch.Tensor:
    """Projections of random patches, in order, (U, P)."""
    colours_HWC = np.broadcast_to(pixels_HWC[..., :3], (*pixels_HWC.shape[:2], 3))
    windows = np.lib.stride_tricks.sliding_window_view(colours_HWC, (PATCH, PATCH), (0, 1))
    places = np.random.default_rng(seed).permutation(_places(pixels_HWC.shape))[:count]
    down, right = np.divmod(places, windows.shape[1])
    patches_PD = windows[down, right].reshape(count, -1).astype(np.float32) / 255
    return torch.from_numpy(u_UD.astype(np.float32) @ patches_PD.T).sort(1).values
