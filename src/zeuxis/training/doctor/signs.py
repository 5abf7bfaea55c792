"""Signs of trouble in a run under way: each a function of what it sees and of what it remembers.

Memories are JSON values, constant in size. A sign is silent until it has seen enough. Thresholds lie far
beyond what the logs of healthy runs hold; `benchmarks/faults.py` tries them.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zeuxis.core.abilities import Generates
from zeuxis.training.observers import Action, Rollback, Set, View

Memory = dict[str, Any]

LOOK = 50
"""Steps between looks at what changes slowly, and after which what is typical is known."""
DECAY = 0.98
"""Of moving averages, a step."""
SPIKE, ABOVE = 100.0, 10.0
"""Multiples of the typical gradient norm, and of the largest of late, beyond both of which a gradient is not
taken. The largest are those of the steps that have a penalty, every eighth or so."""
RUN_AWAY = 20.0
"""Multiple of its typical size beyond which a loss runs away, if it stays there."""
IN_A_ROW = 3
"""Steps in a row that are skipped before the run goes back."""
SURE = 0.02
"""Loss of a discriminator, in nats, below which it is sure of 98 pairs of 100."""
EASY = 0.2
"""Loss of a discriminator beside a generator of new images, as a share of what it is when nothing can be told
apart, below which the generator has lost: sound runs have 0.3 and more."""
UNDECIDED = {"relativistic": math.log(2), "non_saturating": 2 * math.log(2)}
"""That loss, in nats."""
LATE = 0.3
"""Share of the run from which on a model must show what it is to learn."""
LEARNED = 400
"""Steps before which nothing is said of a model that does not show yet what it is asked for."""
SAME = 0.1
"""Variety of samples, as a share of that of real images, below which they are nearly one image."""
EMPTY = 1.0
"""Nats of an image in its code, below which the code says nothing."""
UNLIKE = 2.0
"""Kernel distance to real images, beyond which samples are not asked what they show: a model that has hardly
learned anything has 2 to 9 on small drawings, a usable one less than 1."""
UNUSED = 0.2
"""Share of the codes in use below which a codebook is too large."""
UNRELATED = 0.02
"""Advantage over chance, of labels told from 1,024 real images, below which they have nothing to say."""
LEAST_TOLD, SHOWN = 0.1, 0.2
"""That above which they have, and the share of it that samples must reach in the second half of a run."""
LEAST_GAIN = 0.004
"""Of captions: about 2 % of a flow's loss at strong noise."""
MISSING = 0.3
"""Share of the clear classes that samples do not show, from which on kinds are missing."""
WELL = 0.5
"""How well samples must show labels, beside real images, before single classes are looked at: a model that
has hardly learned them yet shows most too little."""
COPIED = 0.25
"""Share of samples that are copies of training images; new images would be 1 %."""
GRID = 0.3
"""Share of the finest details that is one pattern repeated, beyond that of real images."""
LEAKED = 0.5
"""Place of samples on the line from real images, 0, to augmented ones, 1."""
WORSE = 1.5
"""Multiple of its best score from which on a run is getting worse, three scores in a row."""
NEAR = 0.1
"""Kernel distance below which 256 samples are as near as real images, and scores differ by chance."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something wrong.

    Attributes:
        name: a key of `zeuxis.training.doctor.words.WORDS`.
        evidence: a sentence with the figures.
        remedies: what can be done at once.
    """

    name: str
    evidence: str
    remedies: Sequence[Action] = ()


Sign = Callable[[View, Memory, bool], Iterator[Finding | Action]]
"""(what is seen, what is remembered, whether remedies are taken) -> findings, and actions that go unsaid."""


def not_finite(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Gradients or losses that are no numbers."""
    bad = sorted(key for key, value in view.losses.items() if not math.isfinite(value))
    if not bad:
        memory.clear()
        return
    memory["row"] = memory.get("row", 0) + 1
    if memory["row"] == 1:
        yield Finding("not finite", f"{bad[0]} is {view.losses[bad[0]]} at step {view.step}")
    if memory["row"] == IN_A_ROW:
        why = f"{bad[0]} was not finite for {IN_A_ROW} steps"
        factor = 0.5 if view.attempt else 1.0  # chance may have done it; twice, the rate has
        yield Finding("not finite", why, _back(view, view.step - IN_A_ROW, factor, why))


def gradient_spike(view: View, memory: Memory, heals: bool) -> Iterator[Finding | Action]:
    """A gradient that is far beyond all before it; the step is not taken if the doctor heals."""
    for key, norm in view.losses.items():
        phase, _, term = key.partition("/")
        if term != "grad_norm" or not 0 < norm < math.inf:
            continue
        size, typical = math.log(norm), memory.setdefault(phase, {"n": 0, "log": 0.0})
        known = typical.get("limit", math.inf)
        if norm > known:
            times = math.exp(size - typical["log"])
            evidence = (
                f"the gradient of {phase} is {times:,.0f} times its usual size at step {view.step}"
            )
            yield Finding("gradient spike", evidence)
            continue
        typical["n"] += 1
        typical["log"] += max(1 - DECAY, 1 / typical["n"]) * (size - typical["log"])
        top = typical.get("top", size)
        typical["top"] = max(size, top + (1 - DECAY) * (size - top))
        if typical["n"] % LOOK:
            continue
        limit = max(SPIKE * math.exp(typical["log"]), ABOVE * math.exp(typical["top"]))
        if not 0.25 < limit / known <= 1:  # raised at once, so that none is left out for its age
            typical["limit"] = limit
            if heals:
                yield Set(f"limit/{phase}", limit, "")


def diverging(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Losses that run away, and gradients beyond their limit step after step."""
    if view.skipped == IN_A_ROW and all(map(math.isfinite, view.losses.values())):
        why = f"the last {IN_A_ROW} gradients were {SPIKE:.0f} times their usual size"
        yield Finding("diverging", why, _back(view, view.step - IN_A_ROW, 0.1, why))
        return
    for key, loss in view.losses.items():
        phase, _, term = key.partition("/")
        if term != "total" or not math.isfinite(loss):
            continue
        size, typical = abs(loss), memory.setdefault(phase, {"n": 0, "size": 0.0, "row": 0})
        typical["n"] += 1
        if typical["n"] > 10 and size > RUN_AWAY * (typical["size"] + 0.1):
            typical["row"] += 1
            if typical["row"] == 2 * IN_A_ROW:
                why = f"the loss of {phase} is {loss:,.3g}, and was about {typical['size']:,.3g}"
                yield Finding("diverging", why, _back(view, view.step - 2 * IN_A_ROW, 0.1, why))
                return
            continue
        typical["row"] = 0
        rate = max(1 - DECAY, 1 / typical["n"])
        typical["size"] += rate * (size - typical["size"])


def does_not_move(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """A player whose weights stay as they are."""
    if view.step % LOOK:
        return
    for phase in view.model.phases():
        total = sum(
            float(p.double().sum())
            for path in phase.modules
            for p in view.model.get_submodule(path).parameters()
        )
        due = phase.start * view.steps <= view.step - LOOK and view.step <= phase.stop * view.steps
        if due and memory.get(phase.name) == total:
            evidence = f"no weight of {phase.name} changed between steps {view.step - LOOK} and {view.step}"
            yield Finding("does not move", evidence)
        memory[phase.name] = total


def one_player_wins(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """A discriminator that tells real from drawn without effort: there is nothing to learn from it."""
    loss = view.losses.get("discriminator/adversarial")
    if loss is None or not math.isfinite(loss):
        return
    memory["n"] = memory.get("n", 0) + 1
    memory["loss"] = memory.get("loss", loss) + (1 - DECAY) * (loss - memory.get("loss", loss))
    kind = getattr(view.model.config, "loss", "")
    if kind == "wasserstein" or memory["n"] < 2 * LOOK:
        return
    usual = UNDECIDED.get(kind, 0.0) if isinstance(view.model, Generates) else 0.0
    if memory["loss"] < (max(SURE, EASY * usual) if view.step >= LEARNED else SURE):
        sure = 100 * math.exp(-memory["loss"])
        evidence = f"the discriminator is sure of {sure:.0f} pairs of 100, about step {view.step}"
        yield Finding("one player wins", evidence)


def collapse(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Samples that are nearly one image, or one of each class."""
    if view.step < max(LEARNED, LATE * view.steps):
        return
    for name, of in (("variety", ""), ("variety_of_a_class", " of one class")):
        variety = view.scores.get(name)
        if variety is not None and variety < SAME:
            share = f"{100 * variety:.0f} % of what real images{of} do"
            evidence = f"samples{of} vary by {share} at step {view.step}"
            yield Finding("collapse", evidence)
            return


def posterior_collapse(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """A code that says nothing of the image."""
    rate = view.losses.get("main/rate")
    if rate is None or view.step % LOOK or view.step < max(LEARNED, LATE * view.steps):
        return
    nats = rate * view.model.config.nats_per_bit  # logged in bits per dimension
    if nats < EMPTY:
        yield Finding(
            "posterior collapse", f"the code holds {nats:.2g} nats of an image at step {view.step}"
        )


def unused_codes(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """A codebook of which little is used."""
    usage = next((v for k, v in view.losses.items() if k.endswith("/usage")), None)
    if usage is None or view.step % LOOK or view.step < max(LEARNED, LATE * view.steps):
        return
    if usage < UNUSED:
        yield Finding(
            "unused codes", f"{100 * usage:.0f} % of the codes are used at step {view.step}"
        )


def captions_unused(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Captions that do not make a flow's loss smaller, even where nearly all is noise."""
    gain = view.scores.get("caption_gain")
    if gain is not None and view.step >= max(LEARNED, view.steps / 3) and gain < LEAST_GAIN:
        evidence = f"captions lower the loss at strong noise by {gain:.2g} at step {view.step}"
        yield Finding("captions unused", evidence)


def labels(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Labels that images do not show, and labels that samples do not."""
    told, shown = view.scores.get("labels_told"), view.scores.get("labels_shown")
    if told is None or shown is None:
        return
    if told < UNRELATED:
        evidence = f"labels of real images are told from them {100 * told:.1f} points better than by chance"
        yield Finding("labels unrelated", evidence)
    elif told > LEAST_TOLD and shown < SHOWN and _may_be_asked(view):
        well = f"{100 * shown:.0f} % as well as real images at step {view.step}"
        evidence = f"samples show the labels that were asked for {well}"
        yield Finding("labels not used", evidence)


def kinds_missing(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Classes that samples never show, or that give the pictures of others."""
    merged = view.scores.get("classes_merged", 0.0)
    if merged >= MISSING and view.step >= LEARNED:
        evidence = (
            f"of the same noise, {100 * merged:.0f} % of the classes give another one's picture"
        )
        yield Finding("kinds missing", f"{evidence}, at step {view.step}")
        return
    missing, shown = (view.scores.get(key, 0.0) for key in ("kinds_missing", "labels_shown"))
    if missing >= MISSING and shown >= WELL and _may_be_asked(view):
        evidence = (
            f"samples do not show {100 * missing:.0f} % of the classes that can be told apart"
        )
        yield Finding("kinds missing", f"{evidence}, at step {view.step}")


def samples(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Samples that are training images, show a grid, or look augmented."""
    copied, grid = view.scores.get("copied", 0.0), view.scores.get("checkerboard", 0.0)
    if copied > COPIED:
        evidence = f"{100 * copied:.0f} % of the samples are copies of training images"
        yield Finding("memorisation", f"{evidence}, at step {view.step}")
    if view.step < max(LEARNED, view.steps / 2):
        return
    if grid > GRID:
        evidence = (
            f"{100 * grid:.0f} % more of the finest details than in real images is one pattern"
        )
        yield Finding("checkerboards", f"{evidence} that repeats, at step {view.step}")
    if view.scores.get("augmented", 0.0) > LEAKED:
        evidence = "samples look more like augmented images than like real ones"
        yield Finding("augmentation", f"{evidence}, at step {view.step}")


def getting_worse(view: View, memory: Memory, heals: bool) -> Iterator[Finding]:
    """Scores that rise again."""
    score = view.scores.get("kernel_distance")
    if score is None or not math.isfinite(score):
        return
    best = min(score, memory.get("best", score))
    worse = score > WORSE * max(best, NEAR)
    memory["best"], memory["row"] = best, memory.get("row", 0) + 1 if worse else 0
    if memory["row"] == IN_A_ROW:
        evidence = (
            f"the distance to real images is {score:.2f} at step {view.step}, and was {best:.2f}"
        )
        yield Finding("getting worse", evidence)


SIGNS: tuple[Sign, ...] = (
    not_finite,
    diverging,
    gradient_spike,
    does_not_move,
    one_player_wins,
    collapse,
    posterior_collapse,
    unused_codes,
    captions_unused,
    labels,
    kinds_missing,
    samples,
    getting_worse,
)


def _may_be_asked(view: View) -> bool:
    """Whether samples look enough like real images, and late enough, that what they show can be told."""
    late = view.step >= max(LEARNED, view.steps / 2)
    return late and view.scores.get("kernel_distance", 0.0) < UNLIKE


def _back(view: View, before: int, factor: float, why: str) -> list[Action]:
    """Go back to before it began, and on, as a rule with a lower learning rate, never more than asked for."""
    if factor == 1:
        return [Rollback(max(1, before), why)]
    rate = min(1.0, factor * view.knobs.get("lr", 1.0))
    lower = f"the learning rate is {rate:.3g} times what was asked for from here on"
    return [Rollback(max(1, before), why), Set("lr", rate, lower)]
