"""Data: sources -> a prepared set -> batches; cleaning, splits, reports."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeuxis.data.inspection import Inspection, inspect
    from zeuxis.data.known.fetch import NAMES, get
    from zeuxis.data.loader import batches
    from zeuxis.data.preparation.prepare import ensure, prepare
    from zeuxis.data.prepared import Prepared, is_prepared, open_prepared

__all__ = [
    "NAMES",
    "Inspection",
    "Prepared",
    "batches",
    "ensure",
    "get",
    "inspect",
    "is_prepared",
    "open_prepared",
    "prepare",
]

_HOME = {
    "known.fetch": ("NAMES", "get"),
    "loader": ("batches",),
    "preparation.prepare": ("ensure", "prepare"),
    "prepared": ("Prepared", "is_prepared", "open_prepared"),
    "inspection": ("Inspection", "inspect"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: the processes that decode images start without torch."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"zeuxis.data.{module}"), name)
    raise AttributeError(f"module 'zeuxis.data' has no attribute {name!r}")
