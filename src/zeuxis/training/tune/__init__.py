"""The search for better settings: each trial is a run, the first is the preset, the best becomes a recipe.

`space` says what is searched, `study` holds the trials on disk, `trial` trains and scores one, `score` says
by what they are compared, `confirm` tries the winner on images that the search never saw, `page` shows it.
"""

import contextlib
import dataclasses
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic

from zeuxis import families
from zeuxis.core import machine
from zeuxis.core.errors import Conflict, Unable
from zeuxis.core.files import read_sealed, write_file, write_sealed
from zeuxis.core.lock import locked
from zeuxis.core.progress import Event, Watch, stopping
from zeuxis.core.request import Request
from zeuxis.core.settings import Settings
from zeuxis.data.source import name_of
from zeuxis.evaluation.report.charts import number
from zeuxis.training import recipes, run
from zeuxis.training.folder import check_apart, differences
from zeuxis.training.resolved import words
from zeuxis.training.tune import confirm, page, score
from zeuxis.training.tune.confirm import Confirmed
from zeuxis.training.tune.space import Axis, axes
from zeuxis.training.tune.study import Row, Study, best
from zeuxis.training.tune.trial import SAMPLES, Bench

__all__ = ["Search", "Tuned", "tune"]

TRAINED = 0.85
"""Share of the whole time in which trials are trained, where theirs is not given; the rest is for scores."""


class Search(Settings):
    """How to search."""

    trials: int = pydantic.Field(20, ge=1)
    """Trials in all, over all calls and processes."""
    minutes: float | None = pydantic.Field(None, gt=0, allow_inf_nan=False)
    """Minutes of work on all trials; one that would not end in time is not begun."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """How settings are chosen: by what was learned from earlier trials, at random, or from a grid."""
    space: dict[str, str] = pydantic.Field({})
    """Setting -> where to search it, such as lr -> `1e-4..1e-2 log`, beside what the family declares."""
    confirm: int = pydantic.Field(0, ge=0)
    """New seeds with which winner and preset are trained again after the search, and tried on held-out images
    that it never saw; 0 leaves that out."""


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What a search has found so far.

    Attributes:
        folder: of the search.
        rows: its trials.
        best: the number of the best one; None if none is complete.
        settings: `path: word`, of the best one, all that lead there.
        recipe: the file with these.
        command: trains them.
        page: what shows it all.
        confirmed: what became of the best one on images that the search never saw, if that was tried.
    """

    folder: Path
    rows: tuple[Row, ...]
    best: int | None
    settings: Mapping[str, str]
    recipe: Path | None
    command: str
    page: Path
    confirmed: Confirmed | None

    def values(self) -> dict[str, Any]:
        """As JSON."""
        values = dataclasses.asdict(self)
        paths = {name: str(path) for name, path in values.items() if isinstance(path, Path)}
        confirmed = self.confirmed.values() if self.confirmed else None
        return {**values, **paths, "confirmed": confirmed}


@stopping("stopped; what was saved is complete; run the same command to continue")
def tune(
    request: Request,
    search: Search,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Search for better settings of what a request asks for, going on with the search in its folder.

    Args:
        request: of every trial; `out` is the folder of the search, `steps` or `minutes` are those of a trial.
        search: how to search.
        watch: told of what happens.
        stop: asked time and again; true ends the search as Ctrl-C does.

    Raises:
        Invalid: bad input, as in `train`; a space that cannot be searched; another search in the folder.
        Stopped: on request; the same call goes on.
    """
    tell: Watch = watch or (lambda event: None)
    name = f"tune-{request.family}-{name_of(request.source)}"
    folder = Path(request.out) if request.out else Path("runs") / name
    check_apart(folder, Path(request.source))
    if search.confirm:
        confirm.check(search.confirm)
    job = run.begun(request, tell)
    if job.processes.world > 1:
        raise Unable("a trial is trained by one process; start the same command several times")
    score.check(families.get(request.family), job.prepared)
    found = axes(job.resolved, request.overrides.paths(), search.space)
    request = _begin(folder, request, search, found)
    study = Study(folder, found, search.sampler, request.seed)
    tell(Event("note", f"searching {', '.join(f'{axis.path} in {axis.range}' for axis in found)}"))
    bench = Bench(study, request, job.prepared, score.Scoring(), tell, stop)
    while True:
        with contextlib.ExitStack() as held:
            trial = study.claim(held, search.trials, search.minutes)
            if trial is not None:
                bench.work(trial)
        if trial is not None:
            _written(study, request, found)
        elif search.confirm and any(row.state == "running" for row in study.rows()):
            bench.check()  # the winner is known when others have ended; what they leave is taken up
            time.sleep(WAIT)
        else:
            break
    if search.confirm:
        _confirm(bench, search.confirm)
    return _written(study, request, found)


WAIT = 1.0
"""Seconds between looks at what other processes are at."""


def _confirm(bench: Bench, seeds: int) -> None:
    """Try the winner on images that the search never saw, once all trials are over."""
    rows = bench.study.rows()
    winner = best(rows)
    if winner is None:
        why = "no trial is complete"
    elif winner.number == 0:
        why = "no trial was better than the preset"
    else:
        words = {row.number: dict(row.settings) for row in (rows[0], winner)}
        bench.tell(Event("note", confirm.run(bench, winner.number, words, seeds).sentence()))
        return
    bench.tell(Event("note", f"there is nothing to confirm: {why}"))


def _begin(folder: Path, request: Request, search: Search, found: list[Axis]) -> Request:
    """What each trial is asked, written down once: a search goes on with the same."""
    asked = {
        "request": request.model_dump(mode="json", include={"family", "source", "preset", "seed"}),
        "overrides": request.overrides.paths(),
        "sampler": search.sampler,
        "space": {axis.path: str(axis.range) for axis in found},
    }
    length = {"steps": request.steps, "minutes": request.minutes}
    file = folder / "study.json"
    with locked(folder / ".lock", f"{folder} is searched", wait=True):
        if not file.exists():
            if (folder / "run.json").exists():
                raise Conflict(f"{folder} holds a run, not a search; give another --out")
            if search.minutes is not None and not any(length.values()):
                length["minutes"] = float(f"{TRAINED * search.minutes / search.trials:.3g}")
            write_sealed(file, {**asked, "trial": length})
        known = read_sealed(file)
        if any(length.values()):
            asked["trial"] = length
        changed = differences({name: known.get(name) for name in asked}, asked)
        if changed:
            raise Conflict(
                f"{folder} holds another search: {'; '.join(changed)}. Repeat its settings to continue it "
                "(--trials and --minutes may grow), or give another --out"
            )
    length = known["trial"]
    return request.model_copy(update={**length, "out": None, "evaluate": False, "keep": "last"})


def _written(study: Study, request: Request, found: list[Axis]) -> Tuned:
    """Write the recipe and the page of what there is so far."""
    with study.alone():
        rows = tuple(study.rows())
        winner = best(rows)
        settings: dict[str, str] = {}
        recipe, command, confirmed = study.folder / "recipe.toml", "", None
        if winner:
            settings = _settings(request, found, winner)
            confirmed = confirm.read(study.folder, winner.number)
            about = [
                score.named(families.get(request.family), SAMPLES),
                *_about(rows, winner, confirmed),
            ]
            recipes.write(recipe, request.family, settings, about)
            command = _command(request, recipe)
        measure = score.named(families.get(request.family), SAMPLES)
        title = f"{request.family} tuned on {name_of(request.source)}"
        text = page.render(study, found, rows, title, measure, command, confirmed)
        file = study.folder / "tune.html"
        write_file(file, lambda beside: beside.write_text(text, encoding="utf-8"))
    return Tuned(
        folder=study.folder,
        rows=rows,
        best=winner.number if winner else None,
        settings=settings,
        recipe=recipe if winner else None,
        command=command,
        page=file,
        confirmed=confirmed,
    )


def _settings(request: Request, found: list[Axis], winner: Row) -> dict[str, str]:
    """What leads to the winner: what was asked for, and what was searched and is not as by default."""
    asked = words(request)
    base = {f"{part}.{name}": word for part, each in asked.items() for name, word in each.items()}
    usual = {axis.path: axis.word(axis.preset) for axis in found}
    changed = {path: word for path, word in winner.settings.items() if word != usual[path]}
    return {path: word for path, word in {**base, **changed}.items() if path not in OWN}


def _command(request: Request, recipe: Path) -> str:
    options = [f"--minutes={request.minutes:g}"] if request.minutes else []
    options = [f"--steps={request.steps}"] if request.steps else options
    source = str(request.source)
    return shlex.join(
        ["zeuxis", "train", request.family, source, "--preset", str(recipe), *options]
    )


OWN = ("training.seed", "training.steps")
"""What a run is asked for beside its recipe."""


def _about(rows: tuple[Row, ...], winner: Row, confirmed: Confirmed | None) -> list[str]:
    """The comment of a recipe: result, time and machine."""
    facts = machine.facts(machine.choose_device("auto"))
    lines = [
        f"trial {winner.number} of {len(rows)} of `zeuxis tune`: {scored(winner)}, lower is better"
    ]
    if winner.number:
        lines.append(f"the preset: {scored(rows[0])}")
    lines.append(
        "on the held-out images that the search saw; the best of many is flattered by that"
    )
    if confirmed:
        lines.append(confirmed.sentence())
    lines.append(f"{winner.seconds:.0f} s, {facts['processor']}, torch {facts['torch']}")
    return lines


def scored(row: Row) -> str:
    """The score of a trial with its interval; "–" if it has none."""
    if not row.score:
        return "–"
    value, low, high = row.score
    return f"{number(value)} ({number(low)} to {number(high)})"
