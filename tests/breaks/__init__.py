"""Ways to break the library, one line each, by package."""

from tests.breaks import core, families, use
from tests.breaks.base import Break

__all__ = ["BREAKS", "Break"]

BREAKS = [*core.BREAKS, *families.BREAKS, *use.BREAKS]
