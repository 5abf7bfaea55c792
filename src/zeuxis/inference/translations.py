"""What `translate` gives: images of any sizes under the names of their sources, and how samples differ.

Shapes: N images, H height, W width, C channels.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from zeuxis.inference.results import Images

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Translations(Images):
    """Translations: those of the first source, by one seed after another, then those of the next.

    Attributes:
        images: (N, H, W, C) uint8, or where sizes differ (H, W, C) each.
        samples: of each source.
        seed: of the first of them.
        means: of the samples of each source, (H, W, C) uint8; none where there is one.
        spreads: twice their standard deviation at each pixel, which is at most 255.
        notes: what is to be said of how sources were read.
        profiles: RGB colour profile of each source that has one, in which its images are written.
    """

    samples: int = 1
    seed: int = 0
    means: "Sequence[np.ndarray]" = ()
    spreads: "Sequence[np.ndarray]" = ()
    notes: Sequence[str] = ()
    profiles: Sequence[bytes | None] = ()

    def known_as(self, provenance: Any, read: Any = None) -> Self:
        """Also with the colour profiles of the source's files."""
        known = super().known_as(provenance, read)
        profiles = getattr(read, "profiles", ())
        return dataclasses.replace(known, profiles=profiles)

    def stems(self) -> list[str]:
        """Of each source's file, without suffix and folders; a number is added where two are alike."""
        count = len(self.images) // self.samples
        names = [PurePosixPath(name).stem for name in self.names]
        names = names or [f"{index:04d}" for index in range(count)]
        seen: dict[str, int] = {}
        found = []
        for name in names:
            seen[name] = seen.get(name, 0) + 1
            found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
        return found

    def file_names(self) -> list[str]:
        """Of the images."""
        if self.samples == 1:
            return [f"{stem}.png" for stem in self.stems()]
        seeds = range(self.seed, self.seed + self.samples)
        return [f"{stem}-seed{seed}.png" for stem in self.stems() for seed in seeds]

    def files(self) -> Iterator[bytes]:
        """Each image as a PNG file, in the colours of its source's profile."""
        from zeuxis.data.originals import in_profile

        for index, name in enumerate(self.file_names()):
            source = index // self.samples
            profile = self.profiles[source] if self.profiles else None
            encode = functools.partial(in_profile, profile=profile)
            yield self.encoded(self.images[index], encode, source, name)

    def names_beside(self) -> list[str]:
        """Of the means and spreads."""
        both = (("mean", self.means), ("spread", self.spreads))
        return [
            f"{stem}-{what}.png"
            for what, images in both
            for stem, _ in zip(self.stems(), images, strict=False)
        ]

    def beside(self) -> Iterator[tuple[str, bytes]]:
        """The means, and the spreads, which are measurements and therefore stay as they are."""
        from zeuxis.core.pixels import png_bytes

        names, count = self.names_beside(), len(self.means)
        for row, name in enumerate(names[:count]):
            yield name, self.encoded(self.means[row], png_bytes, row, name)
        yield from zip(names[count:], map(png_bytes, self.spreads), strict=True)

    def write_sheet(self, path: Path) -> None:
        """As for other images; where sizes differ, each stands on white of the largest."""
        firsts, before = self.images[:: self.samples], self.before
        if before is not None:
            before = on_white(before)
        dataclasses.replace(self, images=on_white(firsts), before=before, samples=1)._sheet(path)

    def _sheet(self, path: Path) -> None:
        super().write_sheet(path)

    def lines(self, path: Path | None) -> Iterator[str]:
        """How many there are, where, and how far samples differ."""
        yield from super().lines(path)
        yield from (f"  {note}" for note in self.notes)
        if self.spreads:
            import numpy as np

            levels = float(np.mean([spread.mean() for spread in self.spreads])) / 2
            yield (
                f"  standard deviation over {self.samples} samples: {levels:.1f} levels of 255 on average; "
                "*-spread.png show twice that of each pixel"
            )


def on_white(images: Any) -> "np.ndarray":
    """(N, H, W, C) uint8 of images of several sizes and channels, each in the middle."""
    import numpy as np

    from zeuxis.core.sheets import above

    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    placed = []
    for image in images:
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        around = (
            (top, height - image.shape[0] - top),
            (left, width - image.shape[1] - left),
            (0, 0),
        )
        placed.append(np.pad(image, around, constant_values=255)[None])
    channels = max(image.shape[2] for image in images)
    blank = np.zeros((1, 1, 1, channels), np.uint8)
    return np.concatenate([above(image, blank)[:, :height] for image in placed])
