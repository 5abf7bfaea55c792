"""The marks that a written picture carries, as the provenance of a result asks for them.

First the watermark, in the pixels; then the file is encoded; then metadata and credentials go into its bytes.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self

from zeuxis.marks import credentials, metadata

if TYPE_CHECKING:
    import numpy as np

    from zeuxis.marks.watermark import Key

VERSION = 1
"""Of the watermark, in its payload."""
LONGEST_RECIPE = 20_000
"""Characters; with what else is said it fits into a segment of JPEG."""
PLACES = ("file", "run")
"""Names under which a recipe has paths."""


def payload_of(weights: str, key: "Key") -> int:
    """64 bits, of which small pictures carry the lowest: 32 of a model, 24 of the key, 8 of the version.

    Args:
        weights: SHA-256 of the model's file of weights, as hex digits; empty of what no model made.
        key: that the mark is put with.
    """
    model = bytes.fromhex(weights[:8].rjust(8, "0"))
    return int.from_bytes(model, "little") | key.number << 32 | VERSION << 56


def artefact_of(payload: int | None, bits: int) -> str:
    """How the SHA-256 of the model's weights begins, as hex digits; empty where a payload does not say.

    >>> from zeuxis.marks.watermark import PUBLIC_KEY
    >>> artefact_of(payload_of("9f86d081884c", PUBLIC_KEY), 64)
    '9f86d081'
    """
    if payload is None:
        return ""
    model = payload.to_bytes(8, "little")[: min(4, bits // 8)]
    return model.hex() if any(model) else ""


def recipe_of(provenance: Mapping[str, Any], name: str) -> str:
    """What was asked for, as JSON, if a result's provenance says that its pictures tell it.

    Pictures are given away: files and runs are named without their folders.
    """
    told = dict(provenance)
    if not told.pop("recipe", False):
        return ""
    text = json.dumps({"file": name, **_bare(told)})
    return text if len(text) <= LONGEST_RECIPE else ""


def _bare(told: Any) -> Any:
    """What a recipe tells, with the last part of each path."""
    if isinstance(told, Mapping):
        named = {k: PurePath(v).name for k, v in told.items() if k in PLACES and isinstance(v, str)}
        return {key: _bare(value) for key, value in told.items()} | named
    return [_bare(one) for one in told] if isinstance(told, list | tuple) else told


@dataclasses.dataclass(frozen=True)
class Mark:
    """What is put into files.

    Attributes:
        origin: what the metadata says.
        key: of the watermark.
        weights: SHA-256 of the model's file of weights; empty without one.
        signs: whether credentials are added.
    """

    origin: metadata.Origin
    key: "Key"
    weights: str
    signs: bool

    @classmethod
    def of(
        cls, provenance: Mapping[str, Any], key: "Key | None" = None, name: str = ""
    ) -> Self | None:
        """As the provenance of a result asks; None if there are to be none.

        Args:
            provenance: of a result.
            key: a private one for the watermark.
            name: of the file, for its recipe.
        """
        from zeuxis import __version__
        from zeuxis.marks.watermark import PUBLIC_KEY

        if provenance.get("unmarked"):
            return None
        made = provenance.get("family") or provenance.get("verb") or ""
        kind = provenance.get("digital_source_type", metadata.DRAWN)
        return cls(
            metadata.Origin(
                f"Zeuxis {made}".strip(), __version__, kind, recipe_of(provenance, name)
            ),
            key or PUBLIC_KEY,
            str(provenance.get("weights", "")),
            bool(provenance.get("credentials", credentials.ready())),
        )

    def encoded(
        self,
        image_HWC: "np.ndarray",
        encode: "Callable[[np.ndarray], bytes]",
        kept: metadata.Kept | None = None,
        open_HW: "np.ndarray | None" = None,
    ) -> tuple[bytes, bool]:
        """The file of a picture, marked, and whether its pixels carry the watermark.

        Args:
            image_HWC: uint8.
            encode: makes a file of it.
            kept: what the file said that it was made from.
            open_HW: bool, where pixels may be changed; the others are somebody's own.
        """
        from zeuxis.marks.watermark import SURE, capacity, detect, embed

        payload = payload_of(self.weights, self.key)
        marked = embed(image_HWC, self.key, payload)
        if marked is not None and open_HW is not None:
            marked[~open_HW] = image_HWC[~open_HW]
            marked = marked if detect(marked, self.key).log10_p <= SURE else None
        if marked is None:
            return self.file(encode(image_HWC), kept), False
        carried = _told(payload, capacity(*image_HWC.shape[:2]))
        return self.file(encode(marked), kept, carried), True

    def film(self, frames_NHWC: "np.ndarray") -> "tuple[np.ndarray, str | None]":
        """Frames with the watermark where they can carry it, and its payload; None if none of them can."""
        import numpy as np

        from zeuxis.marks.watermark import capacity, embed

        payload = payload_of(self.weights, self.key)
        marked = [embed(frame, self.key, payload) for frame in frames_NHWC]
        if all(one is None for one in marked):
            return frames_NHWC, None
        pairs = zip(frames_NHWC, marked, strict=True)
        shown = np.stack([frame if one is None else one for frame, one in pairs])
        return shown, _told(payload, capacity(*frames_NHWC.shape[1:3]))

    def file(
        self, content: bytes, kept: metadata.Kept | None = None, watermark: str | None = None
    ) -> bytes:
        """An encoded picture or film with what goes into a file's bytes alone.

        Args:
            content: of the file.
            kept: what the file said that it was made from.
            watermark: payload in its pixels, if there is one.
        """
        said = metadata.put(content, self.origin, kept)
        source = kept.signed if kept else None
        return credentials.sign(said, self.origin, source, watermark) if self.signs else said


def _told(payload: int, bits: int) -> str:
    """The part of a payload that a picture carries, as hex digits."""
    return payload.to_bytes(8, "little")[: bits // 8].hex()
