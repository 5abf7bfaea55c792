"""Training, from a request to a saved and measured model: `train`, then its steps in their order."""

import contextlib
import dataclasses
import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from zeuxis import data, families
from zeuxis.core import machine
from zeuxis.core.errors import Invalid, OutOfTime, Unable
from zeuxis.core.family import Family, Loader
from zeuxis.core.files import check_disk, read_sealed, write_sealed
from zeuxis.core.processes import Parallel, join_processes
from zeuxis.core.progress import Check, stopping, ticks, unasked
from zeuxis.core.request import Request
from zeuxis.core.rng import Rng, of_run
from zeuxis.core.sentences import Sentences
from zeuxis.core.settings import Data, Training, override
from zeuxis.data import described
from zeuxis.data.preparation.split import announced
from zeuxis.data.preparation.target import cut_if_better
from zeuxis.data.source import name_of
from zeuxis.inference import artefact
from zeuxis.inference.latents import frozen_parts
from zeuxis.training import budget, closing, looking, people
from zeuxis.training.folder import SET_ASIDE, begin, check_apart, differences, is_finished, opened
from zeuxis.training.loop import Event, Watch, fit
from zeuxis.training.observers import Observer
from zeuxis.training.resolved import Resolved, resolve, words

BITS_DEPEND_ON = ("processor", "threads", "instructions", "device", "torch")
OVERTIME = 1.5
"""A run of minutes ends, saved, after so many times them, for steps may become slower than planned."""


@stopping("stopped; what was saved before is complete; run the same command to continue")
def train(
    request: Request,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
    observers: Sequence[Observer] = (),
) -> Path:
    """Train what a request asks for, and return the run's folder; a stopped run in it goes on.

    Args:
        request: what to train.
        watch: told of what happens.
        stop: asked time and again; true ends the run as Ctrl-C does, also in another thread than the
            main one. From elsewhere `zeuxis stop` and `zeuxis.training.folder.request_stop` do.
        observers: who else looks at the run, after our own (`zeuxis.training.observers`).

    Raises:
        Invalid: bad input; the message says what was found, what was expected and what to do.
        Stopped: ended on request; what it was at is saved and the same call continues.
        Diverged: gradients stopped being finite.
    """
    settings, place = _ready(request)
    processes = join_processes()
    tell: Watch = watch if watch and processes.first else lambda event: None
    name = f"{request.family}-{_name(request.source)}"
    folder = Path(request.out) if request.out else Path("runs") / name
    check_apart(folder, Path(request.source))
    with opened(folder, request.fresh, tell, processes, stop) as (check, tell):
        job = _job(request, settings, place, folder, processes, tell, check)
        prepared = job.prepared
        faces = people.checked(request, prepared, _earlier(folder))
        model = _initial(job)
        begin(folder, job.resolved.as_json(), tell, processes, job.resolved.defaults())
        loader = _loader(job, model)
        run = _run_file(job, loader, faces)
        planned = budget.read(run)
        machine.set_threads(request.threads or planned.threads)
        for event in _announced(job, planned, run):
            tell(event)
        if is_finished(folder, tell):
            tell(Event("note", f"{folder} is finished; {SET_ASIDE} to start anew"))
        else:
            _fit(job, model, loader, planned, run, observers)
        if processes.first:
            closing.first_report(folder, prepared, place.type, tell)
            if request.evaluate:
                seconds = planned.measuring_seconds
                closing.measure(folder, prepared, place.type, seconds, tell, check)
        processes.wait()
        tell(Event("done", f"{folder}"))
    return folder


def estimate(request: Request, watch: Watch | None = None, check: Check = unasked) -> budget.Plan:
    """What a request would take, but for scores on the way, measured as before a run.

    Only the prepared set is written.

    Args:
        request: what would be trained.
        watch: told of what happens.
        check: called between steps; may raise `Stopped`.

    Raises:
        Invalid: as in `train`.
    """
    job = begun(request, watch, check)
    model = _initial(job)
    return _planned(job, _loader(job, model), scores=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A request under way: what the steps of `train` hand on.

    Attributes:
        request: what was asked.
        resolved: what it comes to.
        prepared: the data.
        folder: of the run.
        parts: trained models that the family builds on.
        place: the device.
        processes: that train together.
        tell: told of what happens.
        check: raises where the run is to end.
    """

    request: Request
    resolved: Resolved
    prepared: data.Prepared
    folder: Path
    parts: Mapping[str, Family]
    place: torch.device
    processes: Parallel
    tell: Watch
    check: Check


def begun(request: Request, watch: Watch | None = None, check: Check = unasked) -> Job:
    """What a request comes to on its data, which is prepared; nothing is trained.

    Raises:
        Invalid: as in `train`.
    """
    settings, place = _ready(request)
    tell: Watch = watch or (lambda event: None)
    return _job(request, settings, place, Path(), join_processes(), tell, check)


def _ready(request: Request) -> tuple[Data, torch.device]:
    """How the data is prepared, and the device, which is made ready."""
    if request.family in families.ADOPTED:
        raise Unable(
            f"{request.family} is not trained here: others have done that, and `zeuxis adopt FOLDER RUN` "
            "makes a run of what they made"
        )
    settings = override(Data(), dict(words(request)["data"]), "data.")
    ground, register = request.ground()
    if ground == "consented":
        settings = settings.model_copy(update={"consent": register})
    settings = cut_if_better(request.source, settings, families.get(request.family).TILES)
    place = machine.choose_device(request.device)
    machine.set_threads(request.threads)
    machine.keep_memory()
    return settings, place


def _job(
    request: Request,
    settings: Data,
    place: torch.device,
    folder: Path,
    processes: Parallel,
    tell: Watch,
    check: Check,
) -> Job:
    """What a request comes to, once its data is prepared."""
    cls = families.get(request.family)
    prepared = _ensure(request.source, settings, processes, tell, check, cls)
    return Job(
        request=request,
        resolved=resolve(request, settings, prepared),
        prepared=prepared,
        folder=folder,
        parts=frozen_parts(cls, prepared),
        place=place,
        processes=processes,
        tell=tell,
        check=check,
    )


def _name(source: str | Path) -> str:
    """What the prepared set will be called."""
    return data.open_prepared(source).name if data.is_prepared(Path(source)) else name_of(source)


def _ensure(
    source: str | Path,
    settings: Data,
    processes: Parallel,
    tell: Watch,
    check: Check,
    cls: type[Family],
) -> data.Prepared:
    """The data; of processes that train together, the first prepares it."""
    translates = "source" in cls.Config.model_fields
    if processes.first:
        progress = ticks(tell, "preparing", check=check)
        prepared = data.ensure(source, settings, progress, translates)
    processes.wait()
    return prepared if processes.first else data.ensure(source, settings, None, translates)


def _initial(job: Job) -> Family:
    """A new family, with the weights of another run if it is to start from one."""
    config, start_from = job.resolved.config, job.request.start_from
    model = families.build(job.resolved.family, config, job.resolved.training.seed, job.parts)
    if start_from is not None:
        parent = artefact.load(Path(start_from))
        optional = tuple(f"{name}." for name in model.OPTIONAL)
        kept, mine = (
            {
                k: v
                for k, v in artefact.state(each).items()
                if not artefact.is_dropped(each, k) and not k.startswith(optional)
            }
            for each in (parent, model)
        )
        if {k: v.shape for k, v in kept.items()} != {k: v.shape for k, v in mine.items()}:
            old, new = (each.model_dump(mode="json") for each in (parent.config, config))
            raise Invalid(
                f"the weights of {start_from} do not fit this run: "
                f"{'; '.join(differences(old, new))}; use its settings"
            )
        model.load_state_dict(kept, strict=False)
    return model


def _loader(job: Job, model: Family) -> Loader:
    """Batches of all that the family needs.

    Raises:
        Invalid: the data lacks some of it.
    """
    resolved, training = job.resolved, job.resolved.training
    if isinstance(text := resolved.config.text, Sentences):
        said = described.trained_on(job.prepared)
        text.remember(said, ticks(job.tell, "reading captions", check=job.check))
    loader = data.batches(
        job.prepared,
        resolved.data,
        training.seed,
        training.batch_size,
        resolved.conditions,
        model.needs(),
        [number.name for number in resolved.config.numbers],
        resolved.config.text,
    )
    batch = loader(0, slice(0, 1))
    missing = [key for key in model.needs() if key not in batch]
    if missing:
        raise Invalid(
            f"{type(model).__name__} needs {', '.join(missing)} and the data has {', '.join(batch)}"
        )
    return loader


def _earlier(folder: Path) -> dict[str, Any] | None:
    """What a run that is continued says of faces."""
    with contextlib.suppress(OSError, ValueError):
        return read_sealed(folder / "run.json").get("faces")
    return None


def _run_file(job: Job, loader: Loader, faces: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of the run, made once before step 0 and written down; later calls read it."""
    file, resolved = job.folder / "run.json", job.resolved
    if not file.exists():
        made = _planned(job, loader)
        if made.remark:
            job.tell(Event("note", made.remark))
        if job.processes.first:
            check_disk(job.folder, made.disk_bytes)
            content = {
                "request": resolved.as_json(),
                "faces": faces,
                "plan": dataclasses.asdict(made),
                "rng": Rng.VERSION,
                "machine": machine.facts(job.place),
            }
            write_sealed(file, content)
        job.processes.wait()
    return read_sealed(file)


def _planned(job: Job, loader: Loader, scores: bool = True) -> budget.Plan:
    """The plan, from what is measured now; without scores on the way it is made in half the time."""
    resolved = job.resolved
    facts = {"dataset": _dataset(job), "family": resolved.family}
    threads = ["threads"] if job.request.threads else []
    draw = looking.Drawing(job.prepared, facts, "bfloat16")
    columns = job.prepared.label_columns(resolved.conditions)
    probes, sheet = looking.probes(draw, columns), looking.sheet(None, draw)
    return budget.make(
        resolved.family,
        resolved.config,
        resolved.training,
        loader,
        job.place,
        job.processes,
        resolved.minutes,
        (lambda average: [each(average, 0, job.check) for each in probes]) if scores else None,
        lambda average: sheet(average, 0, job.check),
        looking.PROBE_IMAGES / looking.SHEET_IMAGES,
        frozenset({*words(job.request)["training"], *threads}),
        job.parts,
        job.check,
    )


def _announced(job: Job, planned: budget.Plan, run: Mapping[str, Any]) -> Iterator[Event]:
    """What a user should know before the run goes on, the plan, and how to repeat it."""
    here, prepared = machine.facts(job.place), job.prepared
    moved = [key for key in BITS_DEPEND_ON if run["machine"].get(key) != here[key]]
    if moved:
        yield Event(
            "note",
            f"this run was planned with other {', '.join(moved)}; it continues, but its bits "
            "differ from those of a run that stayed",
        )
    for sentence in job.resolved.unused(job.request.overrides.paths()):
        yield Event("note", sentence)
    if job.resolved.keep == "best" and planned.probe_every > planned.steps:
        why = "no scores are taken on the way, so the last weights are kept"
        yield Event("note", f"--keep best is not used since {why}")
    if job.resolved.config.text:
        for sentence in described.untrue(prepared, job.resolved.data):
            yield Event("note", sentence)
    yield Event("note", announced(prepared.facts["split"]))
    yield Event("plan", planned.sentence(), total=planned.steps)
    if job.request.minutes is not None:
        command = _command(job, planned, shared=False)
        yield Event("note", f"to repeat this run bit for bit: {command}")


def _fit(
    job: Job,
    model: Family,
    loader: Loader,
    planned: budget.Plan,
    run: Mapping[str, Any],
    observers: Sequence[Observer],
) -> None:
    """The loop, from where the run stands to its last step or the end of its time."""
    resolved, minutes = job.resolved, job.request.minutes
    every = ("probe_every", "sheet_every", "save_every")
    decided = {name: getattr(planned, name) for name in ("steps", *every)}
    facts = {**_facts(job, planned), "command": _command(job, planned, shared=True)}
    training = Training.model_validate(resolved.training.model_dump() | decided)
    draw = looking.Drawing(job.prepared, facts, planned.precision, of_run(run))
    for each in observers:
        each.begin(draw)
    try:
        fit(
            resolved.family,
            model,
            loader,
            training,
            job.folder,
            precision=planned.precision,
            device=job.place,
            parallel=job.processes,
            watched_by=[*looking.observers(job.folder, resolved, training, draw), *observers],
            facts=facts,
            run=run,
            watch=job.tell,
            check=job.check,
            pace=machine.Pace(
                planned.seconds_per_step, OVERTIME * 60 * minutes if minutes else math.inf
            ),
        )
    except OutOfTime as late:
        why = f"time is over, since steps took longer than planned: {late}"
        job.tell(Event("note", why))


def _command(job: Job, planned: budget.Plan, shared: bool) -> str:
    """What to type for the same bits: with all that was decided given, nothing is measured.

    What is shared, with the model, names no folder of this machine.
    """
    request, start = job.request, job.request.start_from
    options = {
        "preset": request.preset,
        "seed": request.seed,
        "device": None if request.device == "auto" else request.device,
        "from": Path(start).name if start and shared else start,
        "keep": None if request.keep == "last" else request.keep,
        "faces": None if shared else request.faces,
        "steps": planned.steps,
        "threads": planned.threads,
    }
    settings = request.overrides.paths() | {"training.precision": planned.precision}
    if shared:
        parts = {"family": job.resolved.config, "data": job.resolved.data}
        told = {
            f"{part}.{name}": value
            for part, owner in parts.items()
            for name, value in owner.model_dump(mode="json").items()
            if isinstance(value, str)  # words as they are, but paths
        }
        settings |= {path: told[path] for path in settings if path in told}
    if request.keep == "best":
        settings["training.probe_every"] = str(planned.probe_every)
    typed = ["zeuxis", "train", request.family, job.resolved.source if shared else request.source]
    for name, value in options.items():
        typed += [] if value is None else [f"--{name}", str(value)]
    return shlex.join([*typed, *(f"{path}={value}" for path, value in settings.items())])


def _facts(job: Job, planned: budget.Plan) -> dict[str, Any]:
    """What the artefact says of its making."""
    resolved = job.resolved
    values = resolved.as_json()
    return {
        "source": resolved.source,
        "dataset": _dataset(job),
        "dataset_hash": resolved.dataset,
        "data": values["data"],
        "training": {**values["training"], "steps": planned.steps},
        "minutes": resolved.minutes,
        "parent": resolved.parent,
        "precision": planned.precision,
        "plan": dataclasses.asdict(planned),
        "machine": machine.facts(job.place),
        "started": time.strftime("%Y-%m-%d"),
        "family": resolved.family,
    }


def _dataset(job: Job) -> dict[str, Any]:
    prepared, config = job.prepared, job.resolved.config
    names = [number.name for number in config.numbers]
    kept = {name: value for name, value in prepared.facts.items() if name != "consent"}
    return {
        **kept,  # but for whose consent there is: a model may be given away
        "labels": prepared.label_table(job.resolved.conditions),
        **described.facts(prepared, names, config.text is not None),
    }
