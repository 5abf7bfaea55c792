"""What a page or a package needs to mark what it draws, as `zeuxis sample` does: metadata, and the watermark.

The watermark of pictures below 128 pixels is put by a few products of matrices that depend on the size, the
model and the public key alone. They go along as numbers.
"""

import base64
from typing import Any

import numpy as np

from zeuxis import __version__
from zeuxis.inference.model import Model
from zeuxis.marks import metadata
from zeuxis.marks.carriers import carriers, frame_of
from zeuxis.marks.mark import payload_of
from zeuxis.marks.planes import blur
from zeuxis.marks.reading import analysis
from zeuxis.marks.watermark import PUBLIC_KEY


def said(model: Model, edits: bool) -> dict[str, Any]:
    """What the metadata of a picture says, and what puts the watermark (None: not at this size).

    Args:
        model: that draws.
        edits: whether it changes pictures rather than drawing new ones.
    """
    kind = metadata.EDITED if edits else metadata.DRAWN
    origin = metadata.Origin(f"Zeuxis {model.facts['family']}", __version__, kind)
    return {
        "xmp": metadata.packet(origin).decode(),
        "software": origin.software,
        "mark": _watermark(model),
    }


def _watermark(model: Model) -> dict[str, Any] | None:
    height, width, _ = model.shape()
    frame = frame_of(height, width)
    if frame is None or frame.piloted or max(height, width) > 256:
        return None
    drawn = carriers(frame, PUBLIC_KEY)
    sigma = max(0.8, min(height, width) / 160)
    fixed = {
        "rows": analysis(*frame.shape, height),
        "columns": analysis(*frame.shape, width),
        "blur_rows": blur(height, sigma),
        "blur_columns": blur(width, sigma),
        "mix": drawn.mix_2K,
    }
    return {
        "height": height,
        "width": width,
        "side": frame.side,
        "step": frame.step,
        "slack": frame.slack,
        **{name: _base64(np.rint(values * 2**16), "<i4") for name, values in fixed.items()},
        "at": _base64(drawn.at_2K, "<i4"),
        "goal": _base64(drawn.goal(payload_of(model.weights, PUBLIC_KEY)), "<f8"),
    }


def _base64(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
