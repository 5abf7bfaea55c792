"""One trial: a run like any other, looked at on the way and ended early where it cannot win."""

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zeuxis.core.errors import Diverged, Invalid, Stopped
from zeuxis.core.log import read_log
from zeuxis.core.progress import Event, Watch
from zeuxis.core.request import Request, nested
from zeuxis.data import Prepared
from zeuxis.evaluation.report.charts import number
from zeuxis.inference.model import load
from zeuxis.training.observers import Action, Log, Observer, Stop, View
from zeuxis.training.run import train
from zeuxis.training.tune.score import Scoring, halves
from zeuxis.training.tune.study import Study, best

if TYPE_CHECKING:
    import optuna

LOOKS = (25, 50, 75)
"""Percent of the training after which a trial is compared with the best one."""
SAMPLES, LOOKED_AT = 512, 256
"""Samples that a trial, and a look on the way, is scored by."""
BROKEN = ("collapse", "does not move", "posterior collapse")
"""Findings of the doctor for which it has no remedy."""
ROLLBACKS = 2
"""So often a trial goes back; the doctor goes on for longer, at ever lower learning rates."""
EVERY = 50
"""Steps between looks at what the doctor found, and notes of the time: what a kill can cost of it."""


def settings(request: Request, words: dict[str, str]) -> Request:
    """The request with the words of a trial in place."""
    overrides = nested({**request.overrides.paths(), **words})
    return request.model_copy(update={"overrides": type(request.overrides)(**overrides)})


@dataclasses.dataclass(frozen=True)
class Bench:
    """Where trials are trained and scored.

    Attributes:
        study: what they are trials of.
        request: of all trials, but for what is searched.
        prepared: the data of all trials.
        scoring: of models.
        tell: told of what happens.
        stop: asked time and again.
    """

    study: Study
    request: Request
    prepared: Prepared
    scoring: Scoring
    tell: Watch
    stop: Callable[[], bool]

    def work(self, trial: "optuna.Trial") -> None:
        """Train and score a trial, from where it was left, and write down what came of it.

        Raises:
            Stopped: on request; whoever comes next goes on with it.
        """
        words = trial.user_attrs["settings"]
        folder = self.study.folder / "trials" / f"{trial.number:04d}"
        request = settings(self.request, words).model_copy(update={"out": str(folder)})
        listed = ", ".join(f"{path}={word}" for path, word in words.items())
        what = "the preset, " if trial.number == 0 else ""
        self.tell(Event("note", f"trial {trial.number}: {what}{listed}"))
        began, before = time.monotonic(), trial.user_attrs.get("seconds", 0.0)

        def spent() -> None:
            trial.set_user_attr("seconds", round(before + time.monotonic() - began, 1))

        try:
            said = self._trained(trial, request, spent)
        except Stopped as stop:
            spent()
            raise Stopped(f"stopped in trial {trial.number}: {stop}") from None
        spent()
        self._finish(trial, *said)

    def _trained(
        self, trial: "optuna.Trial", request: Request, spent: Callable[[], None]
    ) -> tuple[str, str]:
        """Train and score; the state that it ends in, and why."""
        watcher = Watcher(self, trial, spent)
        try:
            folder = train(request, self.tell, self.stop, [watcher])
        except Diverged as error:
            return "pruned", f"it diverged: {error}"
        except torch.OutOfMemoryError:
            return "failed", "it did not fit into the memory"
        except Invalid as error:
            if trial.number == 0:
                raise  # what the user set is wrong, and so would all trials be
            return "failed", str(error)
        if why := stopped_for(folder):
            return "pruned", why
        model = load(folder, self.request.device)
        rows, _ = halves(self.prepared)
        score = self.scoring(model, self.prepared, rows, SAMPLES, check=self.check)
        trial.set_user_attr("score", score.ends)
        return "complete", ""

    def check(self) -> None:
        """Raise `Stopped` once an end was asked for."""
        if self.stop():
            raise Stopped("what is saved is complete; run the same command to continue")

    def _finish(self, trial: "optuna.Trial", state: str, why: str) -> None:
        import optuna

        states = optuna.trial.TrialState
        if why:
            trial.set_user_attr("why", why)
            self.tell(Event("note", f"trial {trial.number} ended early: {why}"))
        if state == "complete":
            value, low, high = trial.user_attrs["score"]
            told = f"trial {trial.number}: {number(value)} ({number(low)} to {number(high)})"
            self.tell(Event("note", told))
            self.study.study.tell(trial.number, value)
        else:
            self.study.study.tell(
                trial.number, state=states.PRUNED if state == "pruned" else states.FAIL
            )


class Watcher(Observer):
    """Ends a trial that the doctor cannot heal, or whose score's interval lies above that of the best trial.

    What it answers depends on the other trials; once answered it is in the log.

    Args:
        bench: where it is trained.
        trial: of the study.
        spent: writes down the time.
    """

    name = "tune"

    def __init__(self, bench: Bench, trial: "optuna.Trial", spent: Callable[[], None]) -> None:
        super().__init__(1)
        self._bench, self._trial, self._spent = bench, trial, spent

    def see(self, view: View) -> Iterable[Action]:
        """A score now and then, and an end if it has to be."""
        share = next((each for each in LOOKS if _step(each, view.steps) == view.step), None)
        due = share or view.step % EVERY == 0
        if due:
            self._spent()
        if due and (why := broken(view.folder, view.attempt)):
            yield Stop(why)
            return
        if share and view.step < view.steps:
            yield from self._compared(share, view)

    def _compared(self, share: int, view: View) -> Iterable[Action]:
        bench, model = self._bench, self.draw.model(view.average)
        rows, _ = halves(bench.prepared)
        score = bench.scoring(model, bench.prepared, rows, LOOKED_AT, check=view.check).ends
        self._note(share, score)
        names = ("search_score", "search_score_low", "search_score_high")
        yield Log(dict(zip(names, score, strict=True)), kind="look")
        first = best(bench.study.rows())
        rival = first.looks.get(share) if first else None
        if first and rival and score[1] > rival[2]:
            yield Stop(
                f"after {share} % of the training it scores {number(score[0])} ({number(score[1])} to "
                f"{number(score[2])}), worse than trial {first.number} did then: {number(rival[0])} "
                f"({number(rival[1])} to {number(rival[2])})"
            )

    def _note(self, share: int, score: list[float]) -> None:
        looks = self._trial.user_attrs.get("looks", {})
        if str(share) not in looks:  # Optuna takes one value a step: that before the run went back
            self._trial.report(score[0], share)
        self._trial.set_user_attr("looks", {**looks, str(share): score})


def _step(share: int, steps: int) -> int:
    return -(-share * steps // 100)


def broken(folder: Path, attempt: int) -> str:
    """What the doctor found in a run that nothing heals, as a sentence; "" if there is nothing."""
    found = last = ""
    for row in read_log(folder / "log.jsonl"):
        values: dict[str, object] = {**row}
        if values.get("action") == "rollback":
            found = ""
        if name := values.get("finding"):
            last = f"{name}: {values.get('evidence')}"
            found = last if name in BROKEN else found
    if attempt >= ROLLBACKS:
        return f"it went back {attempt} times; {last}"
    return found


def stopped_for(folder: Path) -> str:
    """Why the search ended a run; "" if it did not."""
    for row in read_log(folder / "log.jsonl"):
        values: dict[str, object] = {**row}
        if values.get("by") == Watcher.name and values.get("action") == "stop":
            return str(values.get("why"))
    return ""
