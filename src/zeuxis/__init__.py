"""Zeuxis: generative image models on whatever hardware is at hand.

The names of a whole working day are here; the rest is in the submodules.

>>> print(*(name for name in __all__ if not name.startswith("_")))
Request adopt compare create demo errors evaluate load open_prepared prepare train
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeuxis.core import errors

if TYPE_CHECKING:
    from zeuxis import create
    from zeuxis.core.progress import Watch
    from zeuxis.core.request import Request
    from zeuxis.data import open_prepared, prepare
    from zeuxis.evaluation.compare import compare
    from zeuxis.inference.adopt import adopt
    from zeuxis.inference.model import load
    from zeuxis.training.closing import evaluate
    from zeuxis.training.demo import demo
    from zeuxis.training.observers import Observer

__version__ = "0.1.0"
__all__ = [
    "Request",
    "__version__",
    "adopt",
    "compare",
    "create",
    "demo",
    "errors",
    "evaluate",
    "load",
    "open_prepared",
    "prepare",
    "train",
]

_HOME = {
    "Request": "zeuxis.core.request",
    "adopt": "zeuxis.inference.adopt",
    "compare": "zeuxis.evaluation.compare",
    "create": "zeuxis.create",
    "demo": "zeuxis.training.demo",
    "evaluate": "zeuxis.training.closing",
    "load": "zeuxis.inference.model",
    "open_prepared": "zeuxis.data",
    "prepare": "zeuxis.data",
}


def train(
    family: str,
    source: str | Path,
    *,
    out: str | Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    preset: str | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    start_from: str | Path | None = None,
    keep: str = "last",
    fresh: bool = False,
    faces: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    evaluate: bool = True,
    watch: "Watch | None" = None,
    stop: Callable[[], bool] = lambda: False,
    observers: "Sequence[Observer]" = (),
) -> Path:
    """Train a family on a folder of images (or any source) and return the run's folder.

    >>> train("gan", "photos", minutes=10)  # doctest: +SKIP

    Args:
        family: a name of `zeuxis families`.
        source: images in any form that `zeuxis.data` reads, or a prepared set.
        out: the run's folder; default `runs/<family>-<source>`. A stopped run in it is continued.
        minutes: wall time until a first report; turned into steps once, before step 0.
        steps: instead of minutes. With neither, the family's own number.
        preset: a recipe of this family.
        seed: same seed, machine and threads: same bits.
        device: auto, cpu, cuda or mps.
        threads: CPU threads; default one per core, or with `minutes` one in all where that is quicker.
        start_from: an artefact whose weights to start from.
        keep: "last", or "best" by the probes' kernel distance.
        fresh: rename what is in `out` and start anew.
        faces: why a set of which over 5 % show faces may be trained on: "consented=REGISTER" or
            "acknowledged=REASON".
        overrides: `path: value`, as words of the command line or as values: {"family.width": 64}.
        evaluate: measure the result at the end, in a fifth of the training time and 3 minutes at most;
            without, `report.html` shows samples and no scores.
        watch: told of what happens.
        stop: asked time and again; true ends the run as Ctrl-C does, also outside of the main thread.
        observers: who else looks at the run as it goes (`zeuxis.training.observers`).

    Raises:
        Invalid: bad input; the message says what was found, what was expected and what to do.
        Stopped: interrupted; the state was saved and the same call continues.
        Diverged: gradients stopped being finite.
    """
    from zeuxis.core.request import Request, nested
    from zeuxis.training import run

    request = Request.read(
        {
            "family": family,
            "source": source,
            "out": out,
            "minutes": minutes,
            "steps": steps,
            "preset": preset,
            "seed": seed,
            "device": device,
            "threads": threads,
            "start_from": start_from,
            "keep": keep,
            "fresh": fresh,
            "faces": faces,
            "overrides": nested(overrides or {}),
            "evaluate": evaluate,
        }
    )
    return run.train(request, watch, stop, observers)


def __getattr__(name: str) -> Any:
    """Import a name's module on first use: `import zeuxis` itself imports no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'zeuxis' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    return home if _HOME[name] == f"{__name__}.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
