"""What observers cost: seconds of their looks beside seconds of the steps, in one and the same run.

    python -m benchmarks.observers [FAMILY ...] [--steps 400]

Each family is trained on the avatars as by `zeuxis train`. Scores and sheets come at their own pace, which
the plan pays for, so they are counted apart. Writes one row a family.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zeuxis
from benchmarks import row
from zeuxis.training import loop
from zeuxis.training.observers import Losses, Observer, Scores, Sheets


def timed(spent: dict[str, float], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, with its seconds added up."""

    def wrapped(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*given, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

    return wrapped


def measure(family: str, steps: int) -> dict[str, float]:
    """Seconds of steps, of all looks, and of those that draw samples."""
    spent: dict[str, float] = {}
    step, look = loop.train_step, loop._Loop._look
    sees = {each: each.see for each in (Losses, Scores, Sheets)}
    loop.train_step = timed(spent, "steps", step)
    loop._Loop._look = timed(spent, "looks", look)  # type: ignore[method-assign]
    for cls in (Scores, Sheets):
        cls.see = timed(spent, "drawing", _listed(sees[cls]))  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as place:
            out = str(Path(place) / "run")
            zeuxis.train(family, "avatars", out=out, steps=steps, threads=1, evaluate=False)
    finally:
        loop.train_step, loop._Loop._look = step, look  # type: ignore[method-assign]
        for cls in (Scores, Sheets):
            cls.see = sees[cls]  # type: ignore[method-assign]
    return spent


def _listed(see: Callable[[Observer, Any], Any]) -> Callable[[Observer, Any], Any]:
    """Answers at once, where a generator would be timed at its making only."""
    return lambda self, view: list(see(self, view))


def main() -> None:
    """One row a family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=["gan", "flow", "vae"])
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    for family in options.families:
        spent = measure(family, options.steps)
        share = (spent["looks"] - spent.get("drawing", 0.0)) / spent["steps"]
        row.write_row(
            "observers",
            family=family,
            steps=options.steps,
            share_percent=round(100 * share, 2),
            **{f"{name}_seconds": round(value, 2) for name, value in spent.items()},
        )


if __name__ == "__main__":
    main()
