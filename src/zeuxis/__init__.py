"""Zeuxis: generative image models on whatever hardware is at hand.

The names of a whole working day are here; the rest is in the submodules.

>>> print(*(name for name in __all__ if not name.startswith("_")))
Request adopt compare create demo errors evaluate load open_prepared prepare train tune
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
    from zeuxis.training.tune import Tuned

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
    "tune",
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
        preset: a recipe of this family, by its name or as a file (`recipe.toml` of `zeuxis tune`).
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
    from zeuxis.training import recipes, run

    preset, settings = recipes.expanded(family, preset, overrides or {})
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
            "overrides": nested(settings),
            "evaluate": evaluate,
        }
    )
    return run.train(request, watch, stop, observers)


def tune(
    family: str,
    source: str | Path,
    *,
    trials: int = 20,
    minutes: float | None = None,
    out: str | Path | None = None,
    steps: int | None = None,
    trial_minutes: float | None = None,
    sampler: str = "tpe",
    space: Mapping[str, str] | None = None,
    confirm: int = 0,
    preset: str | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    faces: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    watch: "Watch | None" = None,
    stop: Callable[[], bool] = lambda: False,
) -> "Tuned":
    """Search for better settings of a family on some images; the same call goes on with the search.

    >>> tune("gan", "photos", trials=20, minutes=60, space={"lr": "1e-4..1e-2 log"})  # doctest: +SKIP

    Args:
        family: a name of `zeuxis families`.
        source: images in any form that `zeuxis.data` reads, or a prepared set.
        trials: in all, over all calls and processes; the first is the preset as it is.
        minutes: of work on all trials; one that would not end in time is not begun.
        out: the search's folder; default `runs/tune-<family>-<source>`.
        steps: of each trial.
        trial_minutes: of each trial, instead of steps; by default those of `minutes` that fall to each, or
            without these the family's own number of steps.
        sampler: "tpe", "random" or "grid".
        space: setting -> where it is searched, beside what the family declares: "1e-4..1e-2 log", "16|32".
        confirm: seeds with which winner and preset are trained again and tried on images that the search
            never saw, such as 3; 0 leaves that out. It comes after `minutes`.
        preset: where the search begins, as in `train`.
        seed: of the search and of every trial.
        device: as in `train`.
        threads: as in `train`.
        faces: as in `train`.
        overrides: of every trial; what is set is not searched unless `space` names it.
        watch: told of what happens.
        stop: asked time and again; true ends the search as Ctrl-C does.

    Raises:
        Invalid: bad input, a space that cannot be searched, or another search in the folder.
        Stopped: interrupted; the same call goes on.
    """
    import pydantic

    from zeuxis.core.request import Request, nested
    from zeuxis.core.settings import explain
    from zeuxis.training import recipes
    from zeuxis.training import tune as searching

    preset, settings = recipes.expanded(family, preset, overrides or {})
    request = Request.read(
        {
            "family": family,
            "source": source,
            "out": out,
            "minutes": trial_minutes,
            "steps": steps,
            "preset": preset,
            "seed": seed,
            "device": device,
            "threads": threads,
            "faces": faces,
            "overrides": nested(settings),
        }
    )
    given = {"trials": trials, "minutes": minutes, "sampler": sampler, "confirm": confirm}
    try:
        search = searching.Search.model_validate({**given, "space": dict(space or {})})
    except pydantic.ValidationError as error:
        raise errors.Invalid(explain(error)) from error
    return searching.tune(request, search, watch, stop)


def __getattr__(name: str) -> Any:
    """Import a name's module on first use: `import zeuxis` itself imports no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'zeuxis' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    return home if _HOME[name] == f"{__name__}.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
