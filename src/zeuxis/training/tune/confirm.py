"""The winner and the preset, trained again with new seeds and tried on images that the search never saw.

The best of many trials is so partly by luck, with its seed and with the images that it was chosen by. So both
are trained again, K times each, with seeds that no trial had, and scored by the other half of the hold-out.
With D_k the difference of seed k, winner less preset, and d_kj the share that image j of M has in it,

    D = mean_k D_k  +-  sqrt( (t s / sqrt(K))^2 + (1.96 r / sqrt(M))^2 ),

where s is the standard deviation of the D_k, t the 97.5 % point of Student's distribution with K - 1 degrees
of freedom, and r the standard deviation over j of mean_k d_kj: luck with seeds and samples, and with images.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.core.files import read_json, write_json
from zeuxis.core.lock import locked
from zeuxis.core.progress import Event
from zeuxis.evaluation.report.charts import number
from zeuxis.inference.model import load
from zeuxis.training.run import train
from zeuxis.training.tune.score import Score, halves
from zeuxis.training.tune.trial import SAMPLES, Bench, settings

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % points of Student's distribution with 1 to 9 degrees of freedom."""
FEWEST, MOST = 2, len(STUDENT) + 1
"""Seeds."""
FILE = "confirmed.json"


@dataclasses.dataclass(frozen=True)
class Confirmed:
    """What became of the winner.

    Attributes:
        winner: the number of its trial.
        seeds: new ones.
        of_winner: scores by seed, on the half that the search never saw.
        of_preset: the same.
        difference: winner less preset.
        interval: its 95 % interval.
    """

    winner: int
    seeds: tuple[int, ...]
    of_winner: tuple[float, ...]
    of_preset: tuple[float, ...]
    difference: float
    interval: tuple[float, float]

    @property
    def word(self) -> str:
        """better, worse or not shown to be better."""
        low, high = self.interval
        return "better" if high < 0 else "worse" if low > 0 else "not shown to be better"

    def sentence(self) -> str:
        """What was found, in a sentence."""
        low, high = (number(end) for end in self.interval)
        mine, usual = (number(float(np.mean(each))) for each in (self.of_winner, self.of_preset))
        return (
            f"trial {self.winner} is {self.word} than the preset: {mine} and {usual} on images that the "
            f"search never saw, over {len(self.seeds)} new seeds each; difference {number(self.difference)} "
            f"({low} to {high}, 95 %), lower is better"
        )

    def values(self) -> dict[str, Any]:
        """As JSON."""
        return {**dataclasses.asdict(self), "word": self.word}


def difference(
    winner: Sequence[Score], preset: Sequence[Score]
) -> tuple[float, tuple[float, float]]:
    """Winner less preset, seed by seed, and the 95 % interval of their mean."""
    pairs = list(zip(winner, preset, strict=True))
    count, images = len(pairs), len(winner[0].by_image_M)
    apart_K = np.array([one.estimate.value - other.estimate.value for one, other in pairs])
    by_image_M = np.mean([one.by_image_M - other.by_image_M for one, other in pairs], 0)
    seeds = STUDENT[count - 2] * float(apart_K.std(ddof=1)) / math.sqrt(count)
    chance = 1.96 * float(by_image_M.std(ddof=1)) / math.sqrt(images)
    value, half = float(apart_K.mean()), math.hypot(seeds, chance)
    return value, (value - half, value + half)


def run(bench: Bench, winner: int, words: Mapping[int, dict[str, str]], seeds: int) -> Confirmed:
    """Train and score both again, going on where this was left.

    Args:
        bench: of the search.
        winner: the number of the best trial.
        words: settings of the preset, 0, and of the winner.
        seeds: how many.

    Raises:
        Invalid: too few or too many seeds.
        Stopped: on request.
    """
    check(seeds)
    folder = bench.study.folder
    new = tuple(bench.request.seed + 1 + each for each in range(seeds))
    scores: dict[int, list[Score]] = {winner: [], 0: []}
    with locked(folder / ".confirm.lock", f"{folder} is being confirmed", wait=True):
        for seed in new:
            for trial, found in scores.items():
                name = "the preset" if trial == 0 else f"trial {trial}"
                bench.tell(Event("note", f"{name} again, with seed {seed}"))
                found.append(_again(bench, trial, words[trial], seed))
    value, interval = difference(scores[winner], scores[0])
    mine, usual = (tuple(one.estimate.value for one in scores[each]) for each in (winner, 0))
    confirmed = Confirmed(winner, new, mine, usual, value, interval)
    write_json(folder / FILE, confirmed.values())
    return confirmed


def check(seeds: int) -> None:
    """Refuse a number of seeds of which there is no interval.

    Raises:
        Invalid: it is one.
    """
    if not FEWEST <= seeds <= MOST:
        raise Invalid(f"a winner is confirmed with {FEWEST} to {MOST} seeds, not {seeds}")


def read(folder: Path, winner: int) -> Confirmed | None:
    """What was found earlier of this winner."""
    if not (folder / FILE).exists():
        return None
    values = read_json(folder / FILE, finite=False)
    values.pop("word")
    lists: Any = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return Confirmed(**lists) if values["winner"] == winner else None


def _again(bench: Bench, trial: int, words: dict[str, str], seed: int) -> Score:
    """As many steps as the trial was planned to have, however busy the machine is now."""
    folder, name = bench.study.folder, f"{trial:04d}"
    planned = read_json(folder / "trials" / name / "run.json", finite=False)["plan"]
    words = {**words, "training.precision": planned["precision"]}
    given = {"out": str(folder / "confirm" / f"{name}-{seed}"), "seed": seed}
    given |= {"minutes": None, "steps": planned["steps"]}
    request = settings(bench.request, words).model_copy(update=given)
    model = load(train(request, bench.tell, bench.stop), bench.request.device)
    _, unseen = halves(bench.prepared)
    return bench.scoring(model, bench.prepared, unseen, SAMPLES, seed, bench.check)
