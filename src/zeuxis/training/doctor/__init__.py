"""The doctor: an observer that names what goes wrong in a run, and puts right what can be.

`signs` says what is looked for as a run goes on, `pictures` what in the training images, `words` what
each finding means and what to try. Findings and actions are lines of `log.jsonl`.
"""

from collections.abc import Iterable, Sequence

from zeuxis.training.doctor.signs import SIGNS, Finding
from zeuxis.training.doctor.words import WORDS
from zeuxis.training.observers import Action, Observer, Say, View

__all__ = ["Doctor", "Finding"]

MOST_ROLLBACKS = 4
"""So often a run goes back; then what is found is only said."""


class Doctor(Observer):
    """Looks at every step.

    Args:
        heals: whether it acts, beside saying what it finds.
        known: what was found before the first step.
    """

    name = "doctor"

    def __init__(self, heals: bool, known: Sequence[Finding] = ()) -> None:
        super().__init__(1)
        self._heals = heals
        self._known = known

    def see(self, view: View) -> Iterable[Action]:
        """Each finding once an attempt, and what it takes."""
        said = view.memory.setdefault("said", {})
        for found in self._found(view):
            if not isinstance(found, Finding):
                yield found
                continue
            if said.get(found.name) != view.attempt or found.remedies:
                said[found.name] = view.attempt
                yield Say(
                    found.name, found.evidence, f"{found.evidence}; {WORDS[found.name].tries}"
                )
            if self._heals and found.remedies and view.attempt < MOST_ROLLBACKS:
                view.memory["signs"] = {}  # of a past that is taken back
                yield from found.remedies
                return

    def _found(self, view: View) -> Iterable[Finding | Action]:
        if not view.memory.get("began"):
            view.memory["began"] = True
            yield from self._known
        memory = view.memory.setdefault("signs", {})
        for sign in SIGNS:
            yield from sign(view, memory.setdefault(sign.__name__, {}), self._heals)
