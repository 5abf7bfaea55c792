"""Zeuxis: generative image models on whatever hardware is at hand.

The three functions of a whole working day are here; the rest is in the submodules.

>>> sorted(__all__)
['__version__', 'demo', 'load', 'train']
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeuxis.inference.model import load
    from zeuxis.training.run import demo, train

__version__ = "0.1.0"
__all__ = ["__version__", "demo", "load", "train"]

_HOME = {
    "train": "zeuxis.training.run",
    "demo": "zeuxis.training.run",
    "load": "zeuxis.inference.model",
}


def __getattr__(name: str) -> Any:
    """Import a function's module on first use: `import zeuxis` itself imports no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'zeuxis' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
