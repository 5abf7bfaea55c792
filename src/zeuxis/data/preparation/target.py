"""What images are turned into: their size and channels, chosen from what is there."""

from fractions import Fraction
from pathlib import Path

from zeuxis.core.errors import Invalid
from zeuxis.core.settings import Data
from zeuxis.data.preparation import decode
from zeuxis.data.preparation.colour import GREY
from zeuxis.data.preparation.decode import Target
from zeuxis.data.prepared import is_prepared
from zeuxis.data.source import open_source
from zeuxis.data.source.base import SUFFIXES, Source

PEEK = 1024
DEFAULT_SIZE = (64, 64)


def choose_target(source: Source, settings: Data) -> Target:
    """Size and channels: as asked, else what up to 1,024 images, evenly spread, have in common.

    One size shared by all is kept if its sides are 4 to 4,096; else it is 64 x 64. All grey gives 1
    channel; alpha throughout, with something transparent in one of 32 images looked at, gives 4; all
    else 3.
    """
    seen = _peek(source) if settings.size is None or settings.channels is None else []
    sizes = {(h, w) for h, w, _, _ in seen}
    shared = sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE
    size = settings.size or (shared if _possible(shared) else DEFAULT_SIZE)
    if not _possible(size):
        raise Invalid(f"images cannot be prepared at {size[0]}x{size[1]}; sides are 4 to 4096")
    channels = settings.channels
    if channels is None:
        grey = bool(seen) and all(mode in GREY and not alpha for _, _, mode, alpha in seen)
        clear = bool(seen) and all(alpha for *_, alpha in seen) and _something_clear(source)
        channels = 1 if grey else 4 if clear else 3
    return Target(size[0], size[1], channels, settings.fit, part=source.part)


def cut_if_better(source: str | Path, settings: Data, side: int | None) -> Data:
    """The settings, with tiles of `side` pixels where resizing would lose what they keep.

    That is a raw source whose images have no one size, half of them or more as large as such a tile; or a
    single image. What was asked for (`size`, `tiles`) stays, and pairs are never cut.
    """
    asked = settings.size, settings.tiles, settings.pairs, settings.pair
    if side is None or any(value is not None for value in asked) or is_prepared(Path(source)):
        return settings
    cut = settings.model_copy(update={"tiles": side})
    if Path(source).suffix.lower() in SUFFIXES:
        return cut
    opened = open_source(source, settings)
    try:
        with decode.guarded():
            sizes = [(height, width) for height, width, *_ in _peek(opened)]
    finally:
        opened.close()
    large = sum(min(size) >= side for size in sizes)
    return cut if len(set(sizes)) > 1 and 2 * large >= len(sizes) else settings


def _peek(source: Source) -> list[tuple[int, int, str, bool]]:
    """Height, width, mode and alpha of up to 1,024 images, evenly spread."""
    seen = []
    for index in range(0, len(source.items), max(1, len(source.items) // PEEK)):
        try:
            seen.append(decode.header(source.read(index), source.part))
        except (OSError, ValueError):
            continue
    return seen


def source_target(pairs: Source, source: Source, target: Target) -> Target:
    """What the sources of the images `pairs` are turned into, where those become `target`.

    If each is so many times as large as its image, the same for all, it stays so; else both get one size.
    """
    ratios = _ratios(pairs, source) if source.paired else set()
    ratio = ratios.pop() if len(ratios) == 1 else Fraction(1)
    size = round(target.height * ratio), round(target.width * ratio)
    size = size if _possible(size) else (target.height, target.width)
    if source.field == "map":
        return Target(*size, 1, target.fit, "map", source.part)
    return choose_target(source, Data(size=size, fit=target.fit))  # type: ignore[arg-type]


def _ratios(pairs: Source, source: Source) -> set[Fraction]:
    """Height and width of sources as shares of their images', of up to 1,024 pairs."""
    found = set()
    for index in range(0, len(source.items), max(1, len(source.items) // PEEK)):
        try:
            mine, others = (decode.header(s.read(index), s.part) for s in (source, pairs))
        except (OSError, ValueError):
            continue
        found |= {Fraction(a, b) for a, b in zip(mine[:2], others[:2], strict=True)}
    return found


def _possible(size: tuple[int, int]) -> bool:
    return min(size) >= decode.SMALLEST and max(size) <= 4096


def _something_clear(source: Source) -> bool:
    """Whether any of 32 images, evenly spread, has a pixel that is not opaque."""
    for index in range(0, len(source.items), max(1, len(source.items) // 32)):
        try:
            pixels = decode.decode(source.read(index), None).pixels_HWC
        except (OSError, ValueError):
            continue
        if pixels.shape[-1] == 4 and pixels[..., 3].min() < 255:
            return True
    return False
