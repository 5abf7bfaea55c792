"""Runs that are broken on purpose: does the doctor notice, how soon, and does it help?

    python -m benchmarks.faults [--seeds 2 3 4] [--policy heal] [--only NAME ...] [--table]

Each row of `FAULTS` was written down before any detector was: what is done to the run, what the finding
may be called, and whether the run can be healed. Thresholds are set on seeds 0 and 1; what is quoted
comes from seeds 2 to 4. A run is the avatars at 16 x 16 by the product's own `train`, small networks and a
fixed number of steps for everybody. One file a row and seed in `results/faults/`, so that the table can be
continued.

A fault counts as noticed if one of its findings was said after it began; a run that cannot be healed ends
there. A healed run is compared with the clean run of the same seed by kernel distance.
"""

import argparse
import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zeuxis
from benchmarks import row
from zeuxis import data
from zeuxis.core.abilities import Batch
from zeuxis.core.errors import Stopped
from zeuxis.core.family import unknown
from zeuxis.core.log import read_log
from zeuxis.core.progress import Event
from zeuxis.core.settings import Data
from zeuxis.training import run as training_run
from zeuxis.training.observers import Action, Observer, Set, Stop, View

STEPS, BEGINS = 800, 500
"""Steps of a run, and when a fault begins that does not begin with it."""
PAGE = Path(__file__).parent.parent / "docs" / "doctor.md"
SLOW = "times what was planned"
"""Part of the note that a busy machine is told by; a clock's, it is no line of the log."""
SMALL = {
    "gan": {"features": "16", "features_max": "32"},
    "vae": {"features": "32", "features_max": "64"},
    "tokenizer": {"features": "16", "features_max": "32", "critic": "16"},
}
"""Networks with which a row takes about half a minute of one core."""


@dataclasses.dataclass
class Fit:
    """What the loop is given, to be spoiled."""

    model: torch.nn.Module
    loader: Callable[[int, slice], Batch]
    watching: list[Observer]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to break a run.

    Attributes:
        name: of the row.
        found: findings that count as noticing it.
        family: that is trained.
        words: settings.
        source: makes other data of images (N, H, W, C), labels (N, A) and a generator.
        spoil: changes what the loop is given.
        begins: the step from which it is there.
        heals: whether a run can be brought back.
    """

    name: str
    found: tuple[str, ...]
    family: str = "gan"
    words: dict[str, str] = dataclasses.field(default_factory=dict)
    source: (
        Callable[[np.ndarray, np.ndarray, np.random.Generator], dict[str, np.ndarray]] | None
    ) = None
    spoil: Callable[[Fit], None] | None = None
    begins: int = 0
    heals: bool = False


class Injector(Observer):
    """Breaks a run from within: at every step `act` may change what it likes, or answer with actions."""

    name = "fault"

    def __init__(self, act: "Act") -> None:
        super().__init__(1)
        self._act = act

    def see(self, view: View) -> list[Action]:
        """Whatever the fault does."""
        return self._act(view) or []


class Noticed(Observer):
    """Ends a run once its fault was noticed."""

    name = "noticed"

    def __init__(self, fault: Fault) -> None:
        super().__init__(10)
        self._fault = fault

    def see(self, view: View) -> list[Action]:
        """The end, or nothing."""
        return [Stop("noticed")] if _named(self._fault, read_log(view.folder / "log.jsonl")) else []


def _named(fault: Fault, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a log that name the fault."""
    return [
        each for each in rows if each.get("finding") in fault.found and each["step"] >= fault.begins
    ]


Act = Callable[[View], list[Action] | None]


def once(step: int, act: Act) -> Act:
    """What happens at a step of the first attempt only."""
    return lambda view: act(view) if view.step == step and not view.attempt else None


def broken_once(step: int) -> Act:
    """A weight that is not finite from a step on."""
    return once(step, lambda view: weight_of(view, float("nan")))


def at(step: int, act: Act) -> Callable[[Fit], None]:
    """A fault that happens once."""
    return lambda fit: fit.watching.insert(0, Injector(once(step, act)))


def weight_of(view: View, value: float) -> None:
    """Give one weight of the trained network a value."""
    with torch.no_grad():
        next(p for p in view.model.parameters() if p.ndim > 1).view(-1)[0] = value


def spoiled_loss(change: Callable[[torch.Tensor, int], torch.Tensor]) -> Callable[[Fit], None]:
    """A fault of single steps: what is differentiated is changed."""

    def spoil(fit: Fit) -> None:
        whole = fit.model.loss

        def loss(phase: str, batch: Batch, ctx: Any) -> Any:
            terms = dict(whole(phase, batch, ctx))
            return {**terms, "total": change(terms["total"], ctx.step)}

        fit.model.loss = loss  # type: ignore[assignment]

    return spoil


def frozen(path: str) -> Callable[[Fit], None]:
    """A network that never moves: its gradients are thrown away."""

    def spoil(fit: Fit) -> None:
        for p in fit.model.get_submodule(path).parameters():
            p.register_hook(torch.zeros_like)

    return spoil


def slowed(path: str, share: float) -> Callable[[Fit], None]:
    """A network whose steps are undone but for a share: the other player is far too strong."""

    def act(view: View) -> None:
        module = view.model.get_submodule(path)
        now = {key: value.clone() for key, value in module.state_dict().items()}
        if before:
            with torch.no_grad():
                for key, value in module.state_dict().items():
                    if value.is_floating_point():
                        value.copy_(torch.lerp(before[key], now[key], share))
        before.update({key: value.clone() for key, value in module.state_dict().items()})

    before: dict[str, torch.Tensor] = {}
    return lambda fit: fit.watching.insert(0, Injector(act))  # type: ignore[arg-type]


def constant_generator(fit: Fit) -> None:
    """The generator answers every noise with what it says to the first."""
    whole = fit.model.generator.forward

    def first(z_BZ: torch.Tensor, *rest: Any) -> torch.Tensor:
        return whole(z_BZ[:1].expand_as(z_BZ) * 0, *rest)

    fit.model.generator.forward = first


def labels_unseen(fit: Fit) -> None:
    """The discriminator is told that every label is unknown."""
    whole = fit.model.discriminator.judge
    fit.model.discriminator.judge = lambda hidden, seen: whole(hidden, unknown(seen))


def kept(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Some of the data."""
    return {"images": images[chosen], "labels": labels[chosen]}


def one_class(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """99 % of one hair colour."""
    most = np.flatnonzero(labels == np.bincount(labels).argmax())
    rest = rng.permutation(np.setdiff1d(np.arange(len(labels)), most))[: max(1, len(most) // 99)]
    return kept(images, labels, np.concatenate([most, rest]))


def leaking(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """A label for each picture: to ask for one is to ask for the picture."""
    return {"images": images[:900], "labels": np.arange(900)}


def blurred(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Means over 5 x 5 pixels."""
    padded = np.pad(images.astype(np.float32), ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (1, 2))
    return {"images": windows.mean((-2, -1)).round().astype(np.uint8), "labels": labels}


FAULTS = (
    Fault(
        name="NaN batch",
        found=("not finite",),
        spoil=spoiled_loss(lambda x, step: x * float("nan") if step == BEGINS else x),
        begins=BEGINS,
        heals=True,
    ),
    Fault(
        name="NaN weight",
        found=("not finite",),
        spoil=lambda fit: fit.watching.insert(0, Injector(broken_once(BEGINS))),
        begins=BEGINS,
        heals=True,
    ),
    Fault(
        name="gradient x 10,000",
        found=("gradient spike",),
        spoil=spoiled_loss(lambda x, step: x * (1e4 if step == BEGINS else 1.0)),
        begins=BEGINS,
        heals=True,
    ),
    Fault(
        name="learning rate x 100",
        found=("diverging", "not finite", "learning rate"),
        words={"training.lr": "0.2"},
        heals=True,
    ),
    Fault(
        name="learning rate x 100 later",
        found=("diverging", "not finite"),
        spoil=at(BEGINS, lambda view: [Set("lr", 100.0, "fault")]),
        begins=BEGINS,
        heals=True,
    ),
    Fault(
        name="learning rate / 100",
        found=("learning rate", "slow"),
        words={"training.lr": "0.00002"},
    ),
    Fault(
        name="frozen discriminator",
        found=("does not move", "one player wins"),
        spoil=frozen("discriminator"),
    ),
    Fault(
        name="frozen generator",
        found=("does not move", "one player wins"),
        spoil=frozen("generator"),
    ),
    Fault(name="constant generator", found=("collapse",), spoil=constant_generator),
    Fault(
        name="discriminator too strong",
        found=("one player wins",),
        spoil=slowed("generator", 0.02),
    ),
    Fault(name="labels not told apart", found=("labels not used",), spoil=labels_unseen),
    Fault(
        name="labels shuffled",
        found=("labels not used", "labels unrelated"),
        source=lambda x, y, rng: {"images": x, "labels": rng.permutation(y)},
    ),
    Fault(name="leaking labels", found=("labels too fine",), source=leaking),
    Fault(name="one class 99 %", found=("one class",), source=one_class),
    Fault(
        name="half of the classes out of reach",
        found=("kinds missing", "labels not used"),
        spoil=lambda fit: fit.watching.insert(0, Injector(lambda view: merge_classes(view))),
    ),
    Fault(
        name="10 images",
        found=("too few images",),
        source=lambda x, y, rng: kept(x, y, rng.choice(len(x), 10, replace=False)),
    ),
    Fault(
        name="every image twice",
        found=("repeated images",),
        source=lambda x, y, rng: kept(x, y, np.arange(2000).repeat(2)),
    ),
    Fault(
        name="held-out images in training",
        found=("held-out images in training", "repeated images"),
        source=lambda x, y, rng: kept(
            x, y, np.concatenate([np.arange(2000), np.arange(0, 2000, 5)])
        ),
    ),
    Fault(name="blurred source", found=("blurred images",), source=blurred),
    Fault(
        name="constant images",
        found=("constant images",),
        source=lambda x, y, rng: {"images": np.full_like(x[:2000], 90), "labels": y[:2000]},
    ),
    Fault(
        name="augmentation at 1.0",
        found=("augmentation",),
        words={"family.augment": "colour,translation,cutout", "family.augment_share": "1.0"},
        heals=True,
    ),
    Fault(
        name="no steps of the critic",
        found=("does not move", "one player wins"),
        spoil=slowed("discriminator", 0.0),
    ),
    Fault(
        name="beta x 100",
        found=("posterior collapse",),
        family="vae",
        words={"family.beta": "100"},
    ),
    Fault(
        name="16,384 codes of 2,000 images",
        found=("unused codes",),
        family="tokenizer",
        words={"family.codes": "16384", "family.quantiser": "vq"},
        source=lambda x, y, rng: kept(x, y, np.arange(2000)),
    ),
    Fault(name="two programs beside it", found=("busy machine",), spoil=lambda fit: crowd(fit)),
)


def merge_classes(view: View) -> None:
    """Give every second class the generator's embedding of the one before."""
    for table in view.model.generator.modules():
        if isinstance(table, torch.nn.Embedding) and len(table.weight) > 2:
            with torch.no_grad():
                odd = table.weight[2::2]
                odd.copy_(table.weight[1::2][: len(odd)])


def crowd(fit: Fit) -> None:
    """Two processes that multiply matrices as long as the run lasts."""
    import subprocess
    import sys

    code = "import torch, time\nend = time.time() + 80\nx = torch.randn(2000, 2000)\n"
    code += "while time.time() < end:\n    x @ x"
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", code])


@contextlib.contextmanager
def spoiled(fault: Fault | None) -> Iterator[None]:
    """Let `train` hand on what a fault makes of its networks, data and observers."""
    whole = training_run.fit

    def fit(
        name: str, model: Any, loader: Any, *rest: Any, watched_by: Any = (), **more: Any
    ) -> Any:
        given = Fit(model, loader, [*watched_by])
        if fault and fault.spoil:
            fault.spoil(given)
        if fault and not fault.heals:
            given.watching.append(Noticed(fault))
        return whole(name, given.model, given.loader, *rest, watched_by=given.watching, **more)

    training_run.fit = fit  # type: ignore[assignment]
    try:
        yield
    finally:
        training_run.fit = whole


def source_of(fault: Fault | None, seed: int, folder: Path) -> Path:
    """The avatars with hair colours as labels, or what the fault makes of them."""
    prepared = data.ensure("avatars", Data())
    rng = np.random.default_rng(seed)
    images, labels = np.asarray(prepared.images), np.asarray(prepared.labels)[:, 0]
    made = {"images": images, "labels": labels}
    if fault and fault.source:
        made = fault.source(images, labels, rng)
    path = folder / "avatars.npz"
    np.savez(path, **made)
    return path


def run(fault: Fault | None, family: str, seed: int, policy: str) -> dict[str, Any]:
    """Train once; what the doctor said and did, and the last score."""
    with tempfile.TemporaryDirectory() as place, spoiled(fault):
        folder, began = Path(place), time.perf_counter()
        words = {f"family.{key}": value for key, value in SMALL[family].items()}
        words |= {"training.batch_size": "32", "training.doctor": policy}
        words |= fault.words if fault else {}
        notes: list[Event] = []
        error = ""
        try:
            zeuxis.train(
                family,
                str(source_of(fault, seed, folder)),
                out=str(folder / "run"),
                steps=STEPS,
                seed=seed,
                threads=1,
                evaluate=False,
                overrides=words,
                watch=notes.append,
            )
        except Stopped:
            raise
        except Exception as raised:  # a row says so
            error = f"{type(raised).__name__}: {raised}"
        rows = [*read_log(folder / "run" / "log.jsonl")]
        scores = [each for each in rows if "kernel_distance" in each]
        busy, step = list[dict[str, Any]](), 0
        for each in notes:
            step = each.done if each.kind == "step" else step
            if each.kind == "note" and SLOW in each.text:
                busy.append({"finding": "busy machine", "step": step, "evidence": each.text})
        return {
            "findings": [*(each for each in rows if "finding" in each), *busy],
            "actions": [each for each in rows if "action" in each],
            "kernel_distance": scores[-1]["kernel_distance"] if scores else None,
            "scores": scores,
            "error": error,
            "seconds": round(time.perf_counter() - began, 1),
        }


def _file(fault: Fault | None, family: str, seed: int, policy: str, out: Path) -> Path:
    name = fault.name.replace(" ", "-").replace("/", "by") if fault else f"clean-{family}"
    return out / f"{name}-{seed}-{policy}.json"


def measured(fault: Fault | None, family: str, seed: int, policy: str, out: Path) -> dict[str, Any]:
    """A row, from its file if it is there."""
    path = _file(fault, family, seed, policy, out)
    if path.exists():
        return json.loads(path.read_text())
    found = run(fault, family, seed, policy)
    if fault:
        named = _named(fault, found["findings"])
        found |= {
            "noticed": bool(named),
            "delay": named[0]["step"] - fault.begins if named else None,
            "heals": fault.heals,
        }
    whole = {"fault": fault.name if fault else None, "family": family, "seed": seed} | found
    whole |= {"policy": policy, "steps": STEPS, "commit": row.commit(), **row.machine()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return whole


def table(seeds: list[int], out: Path) -> str:
    """What was measured with these seeds, as Markdown, and what was not."""
    lines = [
        "| what is broken | noticed | after steps | as | what was done | score beside clean |",
        "|---|---|---|---|---|---|",
    ]
    missing: list[str] = []
    for fault in FAULTS:
        files = [_file(fault, fault.family, seed, "heal", out) for seed in seeds]
        rows = [json.loads(path.read_text()) for path in files if path.exists()]
        if not rows:
            missing.append(fault.name)
            continue
        delays = sorted(each["delay"] for each in rows if each["noticed"])
        names = {each["finding"] for one in rows for each in _named(fault, one["findings"])}
        scores = []
        for each in rows if fault.heals else ():
            clean = _file(None, fault.family, each["seed"], "off", out)
            if clean.exists() and each["kernel_distance"]:
                best = json.loads(clean.read_text())["kernel_distance"]
                scores.append(f"{100 * (each['kernel_distance'] / best - 1):+.0f} %")
        cells = [
            f"{fault.name}, from step {fault.begins}" if fault.begins else fault.name,
            f"{len(delays)} of {len(rows)}",
            f"{delays[0]} to {delays[-1]}" if delays else "",
            ", ".join(sorted(names)),
            ", ".join(sorted({each for one in rows for each in _done(one)})),
            ", ".join(scores),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    listed = f"\nNot run with these seeds: {', '.join(missing)}.\n" if missing else ""
    return "\n".join(lines) + "\n" + listed


def _done(found: dict[str, Any]) -> Iterator[str]:
    """What the doctor did in a run, in words."""
    mine = [each for each in found["actions"] if each["by"] == "doctor"]
    if any(each["action"] == "rollback" for each in mine):
        yield "went back"
    if any(each["action"] == "set" and each["knob"] == "lr" for each in mine):
        yield "lowered the learning rate"
    if any(each["finding"] == "gradient spike" for each in found["findings"]):
        yield "left steps out"


def write_table(seeds: list[int], out: Path) -> None:
    """Put the table into the documentation, between its marks."""
    head, tail = (
        "<!-- made by python -m benchmarks.faults --table -->\n",
        "<!-- end of the table -->",
    )
    text = PAGE.read_text()
    before, rest = text.split(head)
    PAGE.write_text(before + head + "\n" + table(seeds, out) + "\n" + tail + rest.split(tail)[1])


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3, 4])
    parser.add_argument("--policy", choices=("off", "say", "heal"), default="heal")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument(
        "--table", action="store_true", help="only write what is there into the page"
    )
    options = parser.parse_args()
    out = row.RESULTS / "faults"
    if options.table:
        write_table(options.seeds, out)
        return
    for seed in options.seeds:
        for fault in FAULTS:
            if options.only and not any(word in fault.name for word in options.only):
                continue
            clean = measured(None, fault.family, seed, "off", out) if fault.heals else {}
            found = measured(fault, fault.family, seed, options.policy, out)
            score, best = found["kernel_distance"], clean.get("kernel_distance")
            print(
                f"{fault.name:34} seed {seed}  noticed {found['noticed']!s:5} after {found['delay']}"
                f"  distance {score} (clean {best})  {found['error'][:60]}"
            )


if __name__ == "__main__":
    main()
