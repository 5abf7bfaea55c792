"""The state of a run: all that changes during training, as tensors and plain numbers and back."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import pydantic
import torch
from torch import Tensor

from zeuxis.core.errors import Invalid
from zeuxis.core.family import Family
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Natural, Training, explain
from zeuxis.inference import artefact
from zeuxis.training import checkpoint

KNOBS = {
    "lr": "factor on every learning rate",
    "limit": "largest norm of a phase's gradient that is taken (as limit/PHASE): a step beyond it is skipped",
}
"""What an observer may set as a run goes on, by the part of its name before a slash."""


RETURNS = 8
"""Checkpoints that a run may go back to, spread over its steps; others are written by the clock."""


class Counters(pydantic.BaseModel, strict=True):
    """The plain numbers of a state, as a checkpoint holds them."""

    step: Natural
    updates: dict[str, Natural]
    skipped: Natural
    skips_in_a_row: Natural
    seconds: float
    best_step: Natural
    attempt: Natural
    ended: bool
    knobs: dict[str, float]
    seen: dict[str, Natural]
    memory: dict[str, dict[str, Any]]
    scores: dict[str, float] = {}
    log_bytes: Natural = 0

    @pydantic.model_validator(mode="before")
    @classmethod
    def _older(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """A checkpoint from before there were observers."""
        if "probed" not in facts:
            return facts
        score, seen = facts.get("best_score"), max(0, facts["probed"])
        memory = {} if score is None else {"best": {"score": score}}
        looked = {"scores": seen, "best": seen, "losses": facts.get("step")}
        return {
            "attempt": 0,
            "ended": False,
            "knobs": {},
            "seen": looked,
            "memory": memory,
            **facts,
        }


@dataclasses.dataclass
class State:
    """All that changes during training. Saving it and nothing else is enough to resume.

    Attributes:
        seen: the step at which each observer looked last.
        memory: what each remembers.
        terms: losses and gradient norms of the last step, as phase/term.
        scores: what observers have logged at this step: a stop comes between two of them, too.
        attempt: how often the run went back, and on with other draws.
        ended: whether an observer ended it before its last step.
    """

    model: Family
    average: Family
    optimisers: dict[str, torch.optim.Optimizer]
    training: Training
    device: torch.device
    precision: str
    parallel: Parallel
    step: int = 0
    updates: dict[str, int] = dataclasses.field(default_factory=dict)
    skipped: int = 0
    skips_in_a_row: int = 0
    seconds: float = 0.0
    rng: type[Rng] = Rng
    best: dict[str, Tensor] | None = None
    best_step: int = 0
    attempt: int = 0
    ended: bool = False
    knobs: dict[str, float] = dataclasses.field(default_factory=dict)
    seen: dict[str, int] = dataclasses.field(default_factory=dict)
    memory: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    terms: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    scores: dict[str, float] = dataclasses.field(default_factory=dict)

    COUNTERS = tuple(name for name in Counters.model_fields if name != "log_bytes")

    @property
    def moment(self) -> int:
        """What draws go by: the step, and beyond all steps after the run went back."""
        return self.step + self.attempt * self.training.steps

    @property
    def back(self) -> int:
        """Steps between the checkpoints that a run may go back to."""
        return max(1, self.training.steps // RETURNS)

    def pack(self) -> checkpoint.Checkpoint:
        """The state as tensors and plain numbers."""
        tensors = {f"model/{key}": value for key, value in artefact.state(self.model).items()}
        tensors |= {f"average/{key}": value for key, value in artefact.state(self.average).items()}
        for name, optimiser in self.optimisers.items():
            for index, slots in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser/{name}/{index}/{k}": v for k, v in slots.items()}
        tensors |= {f"best/{key}": value for key, value in (self.best or {}).items()}
        tensors |= {f"terms/{key}": value for key, value in self.terms.items()}
        return checkpoint.Checkpoint(
            tensors, {key: copy.deepcopy(getattr(self, key)) for key in self.COUNTERS}
        )

    def unpack(self, saved: checkpoint.Checkpoint) -> None:
        """Inverse of `pack`.

        Raises:
            ValueError: it is a state of something else.
        """
        try:
            counters = Counters.model_validate(saved.facts)
            self._take(saved.tensors)
        except pydantic.ValidationError as error:
            raise Invalid(f"a checkpoint holds no state of a run: {explain(error)}") from error
        except (KeyError, ValueError, IndexError, RuntimeError) as error:
            raise Invalid("a checkpoint holds the state of another model; start anew") from error
        for key in self.COUNTERS:
            setattr(self, key, getattr(counters, key))

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        parts = ("model", "average", "optimiser", "best", "terms")
        groups: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
        for key, value in tensors.items():
            group, _, rest = key.partition("/")
            groups[group][rest] = value
        self.model.load_state_dict(groups["model"])
        self.average.load_state_dict(groups["average"])
        self.best, self.terms = groups["best"] or None, groups["terms"]
        slots: dict[str, dict[int, dict[str, Tensor]]] = {}
        for key, value in groups["optimiser"].items():
            name, index, slot = key.split("/")
            slots.setdefault(name, {}).setdefault(int(index), {})[slot] = value
        for name, optimiser in self.optimisers.items():
            trained = optimiser.param_groups[0]["params"]
            state = {
                index: {key: _laid_out_as(trained[index], value) for key, value in each.items()}
                for index, each in slots.get(name, {}).items()
            }
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """The moment in its parameter's memory format: fused optimisers walk both by address."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
