"""The marks that a written picture carries, as the provenance of a result asks for them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from zeuxis.marks import metadata

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Mark:
    """What is put into files.

    Attributes:
        origin: what the metadata says.
    """

    origin: metadata.Origin

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> Self | None:
        """As the provenance of a result asks; None if there are to be none."""
        from zeuxis import __version__

        if provenance.get("unmarked"):
            return None
        made = provenance.get("family") or provenance.get("verb") or ""
        kind = provenance.get("digital_source_type", metadata.DRAWN)
        return cls(metadata.Origin(f"Zeuxis {made}".strip(), __version__, kind))

    def encoded(
        self,
        image_HWC: "np.ndarray",
        encode: "Callable[[np.ndarray], bytes]",
        kept: metadata.Kept | None = None,
    ) -> bytes:
        """The file of a picture, marked.

        Args:
            image_HWC: uint8.
            encode: makes a file of it.
            kept: what the file said that it was made from.
        """
        return self.file(encode(image_HWC), kept)

    def file(self, content: bytes, kept: metadata.Kept | None = None) -> bytes:
        """An encoded picture or film with what goes into a file's bytes alone."""
        return metadata.put(content, self.origin, kept)
