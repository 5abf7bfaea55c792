"""Images of different sizes and channels beside one another, to be looked at.

Shapes: N images, H height, W width, C channels.
"""

import numpy as np


def above(*several: np.ndarray) -> np.ndarray:
    """Images above images, all enlarged to the height of the highest, (N, H', W', C') uint8."""
    height = max(each.shape[1] for each in several)
    channels = max(each.shape[3] for each in several)
    alike = [_channels(_high(each, height), channels) for each in several]
    width = max(each.shape[2] for each in alike)
    return np.concatenate([_wide(each, width) for each in alike], 1)


def _high(images_NHWC: np.ndarray, height: int) -> np.ndarray:
    """Enlarged to a height without smoothing."""
    old = images_NHWC.shape[1]
    width = max(1, round(images_NHWC.shape[2] * height / old))
    down = np.arange(height) * old // height
    right = np.arange(width) * images_NHWC.shape[2] // width
    return images_NHWC[:, down][:, :, right]


def _wide(images_NHWC: np.ndarray, width: int) -> np.ndarray:
    """On white of that width."""
    missing = width - images_NHWC.shape[2]
    around = ((0, 0), (0, 0), (missing // 2, missing - missing // 2), (0, 0))
    return np.pad(images_NHWC, around, constant_values=255)


def _channels(images_NHWC: np.ndarray, channels: int) -> np.ndarray:
    """Grey as colour, and opaque where others have an alpha channel."""
    own = images_NHWC.shape[3]
    if own == 1 and channels > 1:
        images_NHWC = images_NHWC.repeat(3, 3)
    if channels == 4 and own < 4:
        images_NHWC = np.pad(images_NHWC, ((0, 0),) * 3 + ((0, 1),), constant_values=255)
    return images_NHWC
