"""The trials of a search on disk, shared by all processes that were given the same command.

Optuna's journal holds them. Locks of the operating system, which vanish with their process, say who is at
which trial: one that nobody holds was left by a process that died, and whoever comes next goes on with it
where its run was saved. So no trial is lost, and no heartbeat is needed.

    FOLDER/journal.log        Optuna's
    FOLDER/.journal.lock      held while a line is written
    FOLDER/.lock              held while a trial is taken
    FOLDER/.trial-0003.lock   held while trial 3 is trained and scored
"""

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Unable
from zeuxis.core.lock import is_held, locked
from zeuxis.core.rng import derive_seed
from zeuxis.training.tune.space import Axis, grid

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "random", "grid")
FIRST = 4, 10
"""Random trials before TPE begins: a third of all, within these."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A trial, as tables and pages show it.

    Attributes:
        number: of the trial; 0 is the preset.
        state: running, left (by a process that died or was stopped), complete, pruned or failed.
        settings: path -> word, of what was searched.
        score: value and ends of its interval, on the half that the search sees; of a pruned trial its last.
        looks: the same on the way, by share of the training in percent.
        why: it was pruned or failed; a sentence.
        seconds: that it took.
    """

    number: int
    state: str
    settings: Mapping[str, str]
    score: tuple[float, ...]
    looks: Mapping[int, tuple[float, ...]]
    why: str
    seconds: float

    @property
    def said(self) -> str:
        """The state in words."""
        return {"pruned": "ended early", "left": "stopped"}.get(self.state, self.state)


class Study:
    """A search on disk.

    Args:
        folder: of the search.
        axes: what is searched.
        sampler: one of `SAMPLERS`.
        seed: of what the sampler draws.

    Raises:
        Unable: Optuna is not installed.
    """

    def __init__(self, folder: Path, axes: Sequence[Axis], sampler: str, seed: int) -> None:
        self.folder, self._axes, self._sampler, self._seed = folder, axes, sampler, seed
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError as error:
            raise Unable("a search needs Optuna: pip install 'zeuxis[tune]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = folder / "journal.log"
        lock = _JournalLock(folder / ".journal.lock")
        with self.alone():
            lock.acquire()
            _mend(path)
            lock.release()
            backend = JournalFileBackend(str(path), lock_obj=lock)  # type: ignore[arg-type]
            self.study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name="tune",
                load_if_exists=True,
                pruner=optuna.pruners.NopPruner(),
            )

    def claim(
        self, held: contextlib.ExitStack, trials: int, minutes: float | None
    ) -> "optuna.Trial | None":
        """A trial to work at: one that was left, or else a new one, if there is to be one more.

        Args:
            held: keeps it from others.
            trials: of the study in all.
            minutes: of work on all trials, also by others; one that would not end in time is not begun.
        """
        import optuna

        with self.alone():
            known = self.study.get_trials(deepcopy=False)
            waiting = optuna.trial.TrialState.WAITING
            left = [row.number for row in self.rows() if row.state == "left"]
            if left:
                self.study.sampler = self._of(left[0], trials)  # it may lack some of its settings
                trial = optuna.Trial(self.study, known[left[0]]._trial_id)
            else:
                begun = sum(each.state != waiting for each in known)
                if begun >= trials or self._over(minutes):
                    return None
                if begun == len(known) and not self._enqueue(begun):
                    return None
                self.study.sampler = self._of(begun, trials)
                trial = self.study.ask()
            held.enter_context(
                locked(self._lock(trial.number), f"trial {trial.number} is worked at")
            )
            settings = {axis.path: axis.word(axis.suggest(trial)) for axis in self._axes}
            trial.set_user_attr("settings", settings)
            return trial

    def rows(self) -> list[Row]:
        """All trials that were begun."""
        import optuna

        found = []
        for each in self.study.get_trials(deepcopy=False):
            state, known = each.state.name.lower(), each.user_attrs
            if each.state == optuna.trial.TrialState.WAITING:
                continue
            if state == "running" and not is_held(self._lock(each.number)):
                state = "left"
            looks = {int(share): tuple(ends) for share, ends in known.get("looks", {}).items()}
            last = looks[max(looks)] if looks else ()
            found.append(
                Row(
                    number=each.number,
                    state={"fail": "failed"}.get(state, state),
                    settings=known.get("settings", {}),
                    score=tuple(known.get("score", last)),
                    looks=looks,
                    why=known.get("why", ""),
                    seconds=known.get("seconds", 0.0),
                )
            )
        return found

    def alone(self) -> contextlib.AbstractContextManager[str]:
        """Hold the search for a moment: nobody takes a trial meanwhile."""
        return locked(self.folder / ".lock", f"{self.folder} is searched", wait=True)

    def _lock(self, number: int) -> Path:
        return self.folder / f".trial-{number:04d}.lock"

    def _enqueue(self, number: int) -> bool:
        """Say what the next trial is, where that is known; whether there is one.

        The first is the preset. A grid comes in random order, so that it may be ended early.
        """
        import numpy as np

        preset = {axis.path: axis.preset for axis in self._axes}
        if number == 0:
            self.study.enqueue_trial(preset)
        elif self._sampler == "grid":
            points = [point for point in grid(self._axes) if point != preset]
            order = np.random.default_rng(derive_seed(self._seed, "grid")).permutation(len(points))
            if number > len(points):
                return False
            self.study.enqueue_trial(points[order[number - 1]])
        return True

    def _of(self, number: int, trials: int) -> "optuna.samplers.BaseSampler":
        """What draws a trial: by its number, so that it does not matter which process asks, or when."""
        import optuna

        seed = derive_seed(self._seed, "trial", number) % 2**32
        if self._sampler != "tpe":
            return optuna.samplers.RandomSampler(seed)
        low, high = FIRST
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=min(high, max(low, trials // 3))
        )

    def _over(self, minutes: float | None) -> bool:
        """Whether one more trial would end after the time, if it takes as long as those before it."""
        rows = self.rows()
        if minutes is None or not rows:
            return False
        whole = [row.seconds for row in rows if row.state == "complete"]
        usual = sum(whole) / max(1, len(whole))
        spent = sum(
            max(row.seconds, usual) if row.state == "running" else row.seconds for row in rows
        )
        return spent + usual > 60 * minutes


class _JournalLock:
    """What Optuna asks of a lock on its journal; ours vanishes with a process that is killed."""

    def __init__(self, path: Path) -> None:
        self._path, self._held = path, contextlib.ExitStack()

    def acquire(self) -> bool:
        self._held.enter_context(locked(self._path, "the journal is written", wait=True))
        return True

    def release(self) -> None:
        self._held.close()


def _mend(path: Path) -> None:
    """Cut off half a line that a kill or a power cut left, after which Optuna would read nothing."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def best(rows: Sequence[Row]) -> Row | None:
    """The complete trial with the lowest score."""
    whole: list[Any] = [row for row in rows if row.state == "complete"]
    return min(whole, key=lambda row: row.score[0], default=None)
