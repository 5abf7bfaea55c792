"""What `train`, `demo` and `evaluate` do, from the source of images to the saved and measured model."""

import dataclasses
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zeuxis import data, families
from zeuxis.core import machine, pixels
from zeuxis.core.errors import Invalid, OutOfTime
from zeuxis.core.family import Condition, Family, FamilyConfig, Loader
from zeuxis.core.fields import Field
from zeuxis.core.files import cache_folder, check_disk, read_json, read_sealed, write_sealed
from zeuxis.core.lock import locked
from zeuxis.core.processes import Parallel, join_processes
from zeuxis.core.progress import Check, stopping, ticks
from zeuxis.core.request import Request, nested
from zeuxis.core.rng import Rng, of_run
from zeuxis.core.settings import Data, Training, checked, override, suggest
from zeuxis.data.preparation.prepare import PAIRS
from zeuxis.data.source import name_of
from zeuxis.evaluation import evaluate as evaluation
from zeuxis.inference import artefact
from zeuxis.inference.latents import frozen_parts, set_by_latents
from zeuxis.inference.model import Model, load
from zeuxis.training import budget, closing, looking, recipes
from zeuxis.training.folder import SET_ASIDE, begin, check_apart, differences, is_finished, opened
from zeuxis.training.loop import Event, Watch, fit

DEMO_FAMILY = "flow"
BITS_DEPEND_ON = ("processor", "threads", "instructions", "device", "torch")
OVERTIME = 1.5
"""A run of minutes ends, saved, after so many times them, for steps may become slower than planned."""
GENERATED = ("conditions", "height", "width", "channels", "source")
"""Fields of a family's config that the data decides."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a request comes to on this data: the same continues a run, another is refused."""

    family: str
    source: str
    dataset: str
    data: Data
    config: FamilyConfig
    training: Training
    minutes: float | None
    keep: str
    parent: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain values. `steps` is left out where minutes decide it."""
        values: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        for name in ("data", "config", "training"):
            values[name] = values[name].model_dump(mode="json")
        if self.minutes is not None:
            del values["training"]["steps"]
        return values


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


@stopping("stopped; what was saved before is complete; run the same command to continue")
def train(
    request: Request, watch: Watch | None = None, stop: Callable[[], bool] = lambda: False
) -> Path:
    """Train what a request asks for, and return the run's folder; a stopped run in it goes on.

    Args:
        request: what to train.
        watch: told of what happens.
        stop: asked time and again; true ends the run as Ctrl-C does, also in another thread than the
            main one. From elsewhere `zeuxis stop` and `zeuxis.training.folder.request_stop` do.

    Raises:
        Invalid: bad input; the message says what was found, what was expected and what to do.
        Stopped: ended on request; what it was at is saved and the same call continues.
        Diverged: gradients stopped being finite.
    """
    words = _words(request)
    place = machine.choose_device(request.device)
    machine.set_threads(request.threads)
    machine.keep_memory()
    processes = join_processes()
    tell: Watch = watch if watch and processes.first else lambda event: None
    families.get(request.family)
    name = f"{request.family}-{_name(request.source)}"
    folder = Path(request.out) if request.out else Path("runs") / name
    check_apart(folder, Path(request.source))
    with opened(folder, request.fresh, tell, processes, stop) as (check, tell):
        job = _job(request, words, folder, place, processes, tell, check)
        model = _initial(job)
        begin(folder, job.resolved.as_json(), tell, processes)
        loader = _loader(job, model)
        run = _run_file(job, loader)
        planned = budget.read(run)
        machine.set_threads(request.threads or planned.threads)
        for sentence in _warnings(run, job):
            tell(Event("note", sentence))
        tell(Event("plan", planned.sentence(), total=planned.steps))
        if request.minutes is not None:
            tell(
                Event(
                    "note",
                    f"to repeat this run bit for bit: {_command(job, planned, shared=False)}",
                )
            )
        if is_finished(folder, tell):
            tell(Event("note", f"{folder} is finished; {SET_ASIDE} to start anew"))
        else:
            _fit(job, model, loader, planned, run)
        if processes.first:
            closing.first_report(folder, job.prepared, place.type, tell)
        if processes.first and request.evaluate:
            seconds = planned.measuring_seconds
            closing.measure(folder, job.prepared, place.type, seconds, tell, check)
        processes.wait()
        tell(Event("done", f"{folder}"))
    return folder


def _job(
    request: Request,
    words: Mapping[str, Mapping[str, str]],
    folder: Path,
    place: torch.device,
    processes: Parallel,
    tell: Watch,
    check: Check,
) -> Job:
    """Prepare the data, and settle what the request comes to on it."""
    cls, settings = families.get(request.family), override(Data(), dict(words["data"]), "data.")
    translates = "source" in cls.Config.model_fields
    prepared = _ensure(request.source, settings, processes, tell, check, translates)
    resolved = Resolved(
        family=request.family,
        source=str(prepared.name),
        dataset=prepared.hash,
        data=settings,
        config=make_config(cls, prepared, settings, words["family"]),
        training=override(cls.TRAINING, dict(words["training"]), "training."),
        minutes=request.minutes,
        keep=request.keep,
        parent=_parent(request.start_from, request.family),
    )
    return Job(
        request=request,
        resolved=resolved,
        prepared=prepared,
        folder=folder,
        parts=frozen_parts(cls, prepared),
        place=place,
        processes=processes,
        tell=tell,
        check=check,
    )


def _loader(job: Job, model: Family) -> Loader:
    """Batches of all that the family needs."""
    resolved = job.resolved
    loader = data.batches(
        job.prepared,
        resolved.data,
        resolved.training.seed,
        resolved.training.batch_size,
        _names(resolved.config.conditions),
        model.needs(),
    )
    _check_needs(model, loader)
    return loader


def _words(request: Request) -> dict[str, dict[str, str]]:
    """The settings of the preset and the request, as words."""
    preset = recipes.find(request.family, request.preset)
    words: dict[str, dict[str, str]] = nested({**preset, **request.overrides.paths()})
    words["training"].setdefault("seed", str(request.seed))
    if request.steps is not None:
        words["training"]["steps"] = str(request.steps)
    return words


def _fit(
    job: Job, model: Family, loader: Loader, planned: budget.Plan, run: Mapping[str, Any]
) -> None:
    """The loop, from where the run stands to its last step or the end of its time."""
    resolved, minutes = job.resolved, job.request.minutes
    every = ("probe_every", "sheet_every", "save_every")
    decided = {name: getattr(planned, name) for name in ("steps", *every)}
    facts = {**_facts(job, planned), "command": _command(job, planned, shared=True)}
    looked = (facts, planned.precision, of_run(run))
    probed = planned.probe_every <= planned.steps
    try:
        fit(
            resolved.family,
            model,
            loader,
            Training.model_validate(resolved.training.model_dump() | decided),
            job.folder,
            precision=planned.precision,
            device=job.place,
            parallel=job.processes,
            probes=(looking.probe(job.prepared, *looked),) if probed else (),
            sheet=looking.sheet(job.folder, job.prepared, *looked),
            keep=resolved.keep,
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
    """What to type for the same bits; what is passed on names no folder of this machine."""
    request = job.request
    start = request.start_from
    options = {
        "preset": request.preset,
        "seed": request.seed,
        "device": None if request.device == "auto" else request.device,
        "from": Path(start).name if start and shared else start,
        "keep": None if request.keep == "last" else request.keep,
    }
    source = job.resolved.source if shared else request.source
    return planned.command(request.family, source, options, request.overrides.paths())


def demo(
    minutes: float = 3.0,
    out: str | Path = "runs/demo",
    evaluate: bool = True,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train on the embedded avatars, lay out samples and a report, and measure.

    Returns:
        family, folder, report, scores (None if they are not wanted) and samples (paths and numbers for a
        closing message).
    """
    tell: Watch = watch or (lambda event: None)
    source, place = _avatars(), machine.choose_device()
    words = demo_settings(place)
    asked = {"out": out, "minutes": minutes, "evaluate": False, "overrides": nested(words)}
    folder = train(Request.read({"family": DEMO_FAMILY, "source": source, **asked}), watch)
    pictures = load(folder).sample(64, seed=7).images
    for i, picture in enumerate(pictures[:16]):
        pixels.save_png(folder / "samples" / f"{i:04d}.png", picture)
    sheet = folder / "samples" / "grid.png"
    pixels.save_png(sheet, pixels.enlarged(pixels.grid(pictures)))
    tell(Event("note", f"16 samples: {sheet.parent}; 64 on one sheet: {sheet}"))
    if evaluate:
        planned = read_sealed(folder / "run.json")["plan"]
        seconds = planned.get("measuring_seconds", budget.MOST_MEASURING)
        closing.measure(folder, data.open_prepared(source), place.type, seconds, tell)
    scores = folder / "report.json"
    return {
        "family": DEMO_FAMILY,
        "folder": folder,
        "report": folder / "report.html",
        "scores": read_json(scores, finite=False) if scores.exists() else None,
        "samples": sheet,
    }


def demo_settings(place: torch.device) -> dict[str, str]:
    """What draws the better avatars in three minutes here (docs/decisions/0006)."""
    slow = {"family.stem": "2", "training.batch_size": "32"}
    given = {} if machine.fast_bfloat16(place) else slow
    return {"data.conditions": "hair,skin,background", **given}


def evaluate(
    run: str | Path, source: str | Path, samples: int = 2000, watch: Watch | None = None
) -> dict[str, Any]:
    """Measure a trained model against a source; writes report.json and report.html into the run.

    Raises:
        ValueError: no trained model there, or images of another kind.
    """
    model, tell = load(run), watch or (lambda event: None)
    prepared = prepared_as(model, source, tell)
    return evaluation.evaluate(model, prepared, samples=samples, progress=ticks(tell, "measuring"))


def prepared_as(
    model: Model, source: str | Path, tell: Watch = lambda event: None
) -> data.Prepared:
    """A source prepared as the data that a model was trained on.

    Raises:
        Invalid: it cannot be.
    """
    config, recorded = model.family.config, model.facts.get("data", {})
    form = {"size": (config.height, config.width), "channels": config.channels}
    form |= {name: recorded[name] for name in ("fit", *PAIRS) if name in recorded}
    settings = checked(Data, form, model.folder)
    translates = "source" in type(config).model_fields
    return data.ensure(source, settings, ticks(tell, "preparing"), translates)


def _avatars() -> Path:
    """The embedded avatars as a prepared set in the cache."""
    folder = cache_folder() / "avatars"
    with locked(folder.with_name("avatars.lock"), f"{folder} is in use", wait=True):
        if not data.is_prepared(folder):
            shutil.rmtree(folder, ignore_errors=True)
            data.get("avatars", folder)
    return folder


def make_config(
    cls: type[Family], prepared: data.Prepared, settings: Data, words: Mapping[str, str]
) -> FamilyConfig:
    """The family's config for this data set.

    Raises:
        ValueError: unknown settings or conditions, or a size that the family cannot do.
    """
    latents = set_by_latents(cls, prepared)
    for name in words:
        if name in latents:
            raise Invalid(f"family.{name} comes from the set, which {prepared.folder} encodes")
        if name in GENERATED:
            raise Invalid(
                f"family.{name} comes from the data; use data.size, data.channels or data.conditions "
                "(family.features or family.widths set the size of the network)"
            )
    given = {condition.name: condition for condition in prepared.conditions}
    chosen = settings.conditions if settings.conditions is not None else tuple(given)
    for name in chosen:
        if name not in given:
            raise Invalid(f"no column {name!r} of classes in the data; {suggest(name, given)}")
    shape = {
        "height": prepared.height,
        "width": prepared.width,
        "channels": prepared.channels,
        "conditions": tuple(given[name] for name in chosen) if cls.CONDITIONAL else (),
        **latents,
    }
    if "source" in cls.Config.model_fields:
        shape["source"] = _source(cls, prepared)
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in cls.Config.model_fields.items()
        if not field.is_required()
    }
    return override(cls.Config.model_construct(**{**defaults, **shape}), dict(words), "family.")


def _source(cls: type[Family], prepared: data.Prepared) -> Field:
    """The field that a translation starts from.

    Raises:
        ValueError: the set has none, or an unpaired one for a family that needs pairs.
    """
    if "source" not in prepared.fields:
        raise Invalid(
            f"{prepared.name} holds single images, and this family learns from pairs: name two folders of a "
            "raw source with data.pairs=A:B (source:target), or let the source be made of each image with "
            "data.pair=OPERATION, such as grey"
        )
    stored = prepared.fields["source"]
    if not stored.paired and not cls.UNPAIRED:
        raise Invalid(
            f"the sources of {prepared.name} do not belong to its images one by one, and this family learns "
            "from pairs; give files that belong together one name"
        )
    return stored.field


def _name(source: str | Path) -> str:
    """What the prepared set will be called."""
    return data.open_prepared(source).name if data.is_prepared(Path(source)) else name_of(source)


def _ensure(
    source: str | Path,
    settings: Data,
    processes: Parallel,
    tell: Watch,
    check: Check,
    translates: bool,
) -> data.Prepared:
    if processes.first:
        progress = ticks(tell, "preparing", check=check)
        prepared = data.ensure(source, settings, progress, translates)
    processes.wait()
    return prepared if processes.first else data.ensure(source, settings, None, translates)


def _run_file(job: Job, loader: Loader) -> dict[str, Any]:
    """The plan of the run, made once before step 0 and written down; later calls read it."""
    file, resolved = job.folder / "run.json", job.resolved
    if not file.exists():
        facts = {"dataset": _dataset(job), "family": resolved.family}
        probe = looking.probe(job.prepared, facts, "bfloat16")
        sheet = looking.sheet(None, job.prepared, facts, "bfloat16")
        made = budget.make(
            resolved.family,
            resolved.config,
            resolved.training,
            loader,
            job.place,
            job.processes,
            resolved.minutes,
            lambda average: probe(average, 0, job.check),
            lambda average: sheet(average, 0, job.check),
            looking.PROBE_IMAGES / looking.SHEET_IMAGES,
            _fixed(job.request),
            job.parts,
            job.check,
        )
        if made.remark:
            job.tell(Event("note", made.remark))
        if job.processes.first:
            check_disk(job.folder, made.disk_bytes)
            content = {
                "request": resolved.as_json(),
                "plan": dataclasses.asdict(made),
                "rng": Rng.VERSION,
                "machine": machine.facts(job.place),
            }
            write_sealed(file, content)
        job.processes.wait()
    return read_sealed(file)


def _fixed(request: Request) -> frozenset[str]:
    """Names of settings of training that were asked for, which the plan leaves alone."""
    threads = ["threads"] if request.threads else []
    return frozenset({*_words(request)["training"], *threads})


def _warnings(run: Mapping[str, Any], job: Job) -> Iterator[str]:
    """What a user should know before the run goes on."""
    here, prepared = machine.facts(job.place), job.prepared
    moved = [key for key in BITS_DEPEND_ON if run["machine"].get(key) != here[key]]
    if moved:
        yield (
            f"this run was planned with other {', '.join(moved)}; it continues, but its bits "
            "differ from those of a run that stayed"
        )
    columns = prepared.label_columns(_names(job.resolved.config.conditions))
    rows = np.asarray(prepared.labels)[prepared.train][:, columns]
    alone = int((np.unique(rows, axis=0, return_counts=True)[1] == 1).sum()) if columns else 0
    if alone > len(prepared.train) / 2:
        yield (
            f"{alone} of {len(prepared.train)} images have a combination of labels that no other image has, "
            "so a model asked for one may copy its image; choose fewer columns: data.conditions=NAME,NAME"
        )


def _dataset(job: Job) -> dict[str, Any]:
    names = _names(job.resolved.config.conditions)
    return {**job.prepared.facts, "labels": job.prepared.label_table(names)}


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


def _parent(start_from: str | Path | None, family: str) -> str | None:
    if start_from is None:
        return None
    content = artefact.read(Path(start_from))
    if content["family"] != family:
        raise Invalid(f"{start_from} is a {content['family']}, not a {family}; train that family")
    return artefact.weights(content)


def _check_needs(model: Family, loader: Loader) -> None:
    batch = loader(0, slice(0, 1))
    missing = [key for key in model.needs() if key not in batch]
    if missing:
        raise Invalid(
            f"{type(model).__name__} needs {', '.join(missing)} and the data has {', '.join(batch)}"
        )


def _names(conditions: tuple[Condition, ...]) -> tuple[str, ...]:
    return tuple(condition.name for condition in conditions)
