"""Pictures without training: each verb takes pictures and gives pictures, and needs no trained model.

>>> import zeuxis
>>> zeuxis.create.restyle("cat.jpg", ["wave.jpg"], seed=0).write("restyled.png")  # doctest: +SKIP

The verbs are declared in `verbs/`, one a file. A module of this package is not called as a verb is.
"""

from typing import Any

from zeuxis.create.verbs import VERBS


def __getattr__(name: str) -> Any:
    if name not in VERBS:
        raise AttributeError(f"module 'zeuxis.create' has no attribute {name!r}")
    return VERBS[name].of(None)


def __dir__() -> list[str]:
    return sorted({*globals(), *VERBS})
