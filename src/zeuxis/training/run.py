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
from zeuxis.core.errors import Invalid, NotFound, OutOfTime
from zeuxis.core.family import Condition, Family, FamilyConfig, Loader
from zeuxis.core.fields import Field
from zeuxis.core.files import cache_folder, check_disk, read_json, read_sealed, write_sealed
from zeuxis.core.lock import locked
from zeuxis.core.processes import Parallel, join_processes
from zeuxis.core.progress import Check, stopping, ticks
from zeuxis.core.rng import Rng, of_run
from zeuxis.core.settings import Data, Training, checked, override, suggest
from zeuxis.data.preparation.prepare import PAIRS
from zeuxis.data.source import name_of
from zeuxis.evaluation import evaluate as evaluation
from zeuxis.inference import artefact
from zeuxis.inference.latents import frozen_parts, set_by_latents
from zeuxis.inference.model import load
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
class Request:
    """What was asked for, resolved: the same request continues a run, another is refused."""

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


@stopping("stopped; what was saved before is complete; run the same command to continue")
def train(
    family: str,
    source: str | Path,
    *,
    out: str | Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    preset: str | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    start_from: str | Path | None = None,
    keep: str = "last",
    fresh: bool = False,
    overrides: Mapping[str, str] | None = None,
    evaluate: bool = True,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Train a family on a folder of images (or any source) and return the run's folder.

    >>> train("gan", "photos", minutes=10)  # doctest: +SKIP

    Args:
        family: a name of `zeuxis families`.
        source: images in any form that `zeuxis.data` reads, or a prepared set.
        out: the run's folder; default `runs/<family>-<source>`. A stopped run in it is continued.
        minutes: wall time until a first report; turned into steps once, before step 0.
        steps: instead of minutes. With neither, the family's own number.
        preset: a recipe of this family.
        seed: same seed, machine and threads: same bits.
        device: auto, cpu, cuda or mps.
        threads: CPU threads; default one per core, or with `minutes` one in all where that is quicker.
        start_from: an artefact whose weights to start from.
        keep: "last", or "best" by the probes' kernel distance.
        fresh: rename what is in `out` and start anew.
        overrides: `path: value` words, as on the command line: {"family.width": "64"}.
        evaluate: measure the result at the end, in a fifth of the training time and 3 minutes at most;
            without, `report.html` shows samples and no scores.
        watch: told of what happens.
        stop: asked time and again; true ends the run as Ctrl-C does, also in another thread than the
            main one. From elsewhere `zeuxis stop` and `zeuxis.training.folder.request_stop` do.

    Raises:
        ValueError: bad input; the message says what was found, what was expected and what to do.
        zeuxis.core.errors.Stopped: ended on request; what it was at is saved and the same call continues.
        zeuxis.core.errors.Diverged: gradients stopped being finite.
    """
    words = split_words({**recipes.find(family, preset), **(overrides or {})})
    _check_asked(keep, minutes, steps is not None or "steps" in words["training"])
    place = machine.choose_device(device)
    machine.set_threads(threads)
    machine.keep_memory()
    processes = join_processes()
    tell: Watch = watch if watch and processes.first else lambda event: None
    cls = families.get(family)
    settings = override(Data(), words["data"], "data.")
    translates = "source" in cls.Config.model_fields
    folder = Path(out) if out else Path("runs") / f"{family}-{_name(source)}"
    check_apart(folder, Path(source))
    with opened(folder, fresh, tell, processes, stop) as (check, tell):
        prepared = _ensure(source, settings, processes, tell, check, translates)
        config = make_config(cls, prepared, settings, words["family"])
        asked = {"seed": str(seed), **words["training"]}
        if steps is not None:
            asked["steps"] = str(steps)
        training = override(cls.TRAINING, asked, "training.")
        parent = _parent(start_from, family)
        request = Request(
            family=family,
            source=str(prepared.name),
            dataset=prepared.hash,
            data=settings,
            config=config,
            training=training,
            minutes=minutes,
            keep=keep,
            parent=parent,
        )
        parts = frozen_parts(cls, prepared)
        model = _initial(family, config, training.seed, start_from, parts)
        begin(folder, request.as_json(), tell, processes)
        loader = data.batches(
            prepared,
            settings,
            training.seed,
            training.batch_size,
            _names(config.conditions),
            model.needs(),
        )
        _check_needs(model, loader)
        fixed = frozenset({*words["training"], *(["threads"] if threads else [])})
        run = _run_file(
            folder, request, loader, place, processes, prepared, fixed, parts, tell, check
        )
        planned = budget.read(run)
        machine.set_threads(threads or planned.threads)
        for sentence in _warnings(run, place, config, prepared):
            tell(Event("note", sentence))
        tell(Event("plan", planned.sentence(), total=planned.steps))
        options = {
            "preset": preset,
            "seed": seed,
            "device": None if device == "auto" else device,
            "from": start_from,
            "keep": None if keep == "last" else keep,
        }
        if minutes is not None:
            again = planned.command(family, source, options, overrides)
            tell(Event("note", f"to repeat this run bit for bit: {again}"))
        decided = training.model_dump() | {
            "steps": planned.steps,
            "probe_every": planned.probe_every,
            "sheet_every": planned.sheet_every,
            "save_every": planned.save_every,
        }
        if start_from is not None:  # what is passed on names no folder of this machine
            options["from"] = Path(start_from).name
        named = planned.command(family, request.source, options, overrides)
        facts = {**_facts(request, prepared, place, planned), "command": named}
        probed = planned.probe_every <= planned.steps
        looked = (facts, planned.precision, of_run(run))
        if not is_finished(folder, tell):
            limit = OVERTIME * 60 * minutes if minutes is not None else math.inf
            try:
                fit(
                    family,
                    model,
                    loader,
                    Training.model_validate(decided),
                    folder,
                    precision=planned.precision,
                    device=place,
                    parallel=processes,
                    probes=(looking.probe(prepared, *looked),) if probed else (),
                    sheet=looking.sheet(folder, prepared, *looked),
                    keep=keep,
                    facts=facts,
                    run=run,
                    watch=tell,
                    pace=machine.Pace(planned.seconds_per_step, limit),
                    check=check,
                )
            except OutOfTime as late:
                tell(Event("note", f"time is over, since steps took longer than planned: {late}"))
        else:
            tell(Event("note", f"{folder} is finished; {SET_ASIDE} to start anew"))
        if processes.first:
            closing.first_report(folder, prepared, place.type, tell)
            if evaluate:
                closing.measure(
                    folder, prepared, place.type, planned.measuring_seconds, tell, check
                )
        processes.wait()
        tell(Event("done", f"{folder}"))
    return folder


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
    folder = train(
        DEMO_FAMILY,
        source,
        out=out,
        minutes=minutes,
        evaluate=False,
        overrides=words,
        watch=watch,
    )
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
    model = load(run)
    config = model.family.config
    recorded = model.facts.get("data", {})
    form = {"size": (config.height, config.width), "channels": config.channels}
    form |= {name: recorded[name] for name in ("fit", *PAIRS) if name in recorded}
    settings = checked(Data, form, run)
    tell = watch or (lambda event: None)
    translates = "source" in type(config).model_fields
    prepared = data.ensure(source, settings, ticks(tell, "preparing"), translates)
    return evaluation.evaluate(model, prepared, samples=samples, progress=ticks(tell, "measuring"))


def _avatars() -> Path:
    """The embedded avatars as a prepared set in the cache."""
    folder = cache_folder() / "avatars"
    with locked(folder.with_name("avatars.lock"), f"{folder} is in use", wait=True):
        if not data.is_prepared(folder):
            shutil.rmtree(folder, ignore_errors=True)
            data.get("avatars", folder)
    return folder


def split_words(words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Sort `path: value` words into those of the family, the data and the training.

    >>> split_words({"family.width": "64"})["family"]
    {'width': '64'}

    Raises:
        ValueError: a path that starts elsewhere.
    """
    rooms: dict[str, dict[str, str]] = {"family": {}, "data": {}, "training": {}}
    for path, value in words.items():
        room, dot, name = path.partition(".")
        if room not in rooms or not dot:
            raise NotFound(
                f"no setting {path!r}; settings start with family., data. or training., "
                f"{suggest(room, rooms)}"
            )
        rooms[room][name] = value
    return rooms


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


def _check_asked(keep: str, minutes: float | None, steps: bool) -> None:
    """Refuse what contradicts itself."""
    if keep not in ("last", "best"):
        raise Invalid(f"keep is 'last' or 'best', not {keep!r}")
    if minutes is not None and steps:
        raise Invalid("found both minutes and steps; give one of them")
    if minutes is not None and not 0 < minutes < math.inf:
        raise Invalid(f"minutes is a positive number, not {minutes}")


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


def _run_file(
    folder: Path,
    request: Request,
    loader: Loader,
    place: torch.device,
    processes: Parallel,
    prepared: data.Prepared,
    fixed: frozenset[str],
    parts: Mapping[str, Family],
    tell: Watch,
    check: Check,
) -> dict[str, Any]:
    """The plan of the run, made once before step 0 and written down; later calls read it."""
    file = folder / "run.json"
    if not file.exists():
        facts = {"dataset": _dataset(request.config, prepared), "family": request.family}
        probe = looking.probe(prepared, facts, "bfloat16")
        sheet = looking.sheet(None, prepared, facts, "bfloat16")
        made = budget.make(
            request.family,
            request.config,
            request.training,
            loader,
            place,
            processes,
            request.minutes,
            lambda average: probe(average, 0, check),
            lambda average: sheet(average, 0, check),
            looking.PROBE_IMAGES / looking.SHEET_IMAGES,
            fixed,
            parts,
            check,
        )
        if made.remark:
            tell(Event("note", made.remark))
        if processes.first:
            check_disk(folder, made.disk_bytes)
            content = {
                "request": request.as_json(),
                "plan": dataclasses.asdict(made),
                "rng": Rng.VERSION,
                "machine": machine.facts(place),
            }
            write_sealed(file, content)
        processes.wait()
    return read_sealed(file)


def _warnings(
    run: Mapping[str, Any], place: torch.device, config: FamilyConfig, prepared: data.Prepared
) -> Iterator[str]:
    """What a user should know before the run goes on."""
    here = machine.facts(place)
    moved = [key for key in BITS_DEPEND_ON if run["machine"].get(key) != here[key]]
    if moved:
        yield (
            f"this run was planned with other {', '.join(moved)}; it continues, but its bits "
            "differ from those of a run that stayed"
        )
    columns = prepared.label_columns(_names(config.conditions))
    rows = np.asarray(prepared.labels)[prepared.train][:, columns]
    alone = int((np.unique(rows, axis=0, return_counts=True)[1] == 1).sum()) if columns else 0
    if alone > len(prepared.train) / 2:
        yield (
            f"{alone} of {len(prepared.train)} images have labels that no other image has: a model "
            "asked for them may copy; choose fewer with data.conditions=NAME,NAME"
        )


def _dataset(config: FamilyConfig, prepared: data.Prepared) -> dict[str, Any]:
    return {**prepared.facts, "labels": prepared.label_table(_names(config.conditions))}


def _facts(
    request: Request, prepared: data.Prepared, place: torch.device, planned: budget.Plan
) -> dict[str, Any]:
    values = request.as_json()
    return {
        "source": request.source,
        "dataset": _dataset(request.config, prepared),
        "dataset_hash": request.dataset,
        "data": values["data"],
        "training": {**values["training"], "steps": planned.steps},
        "minutes": request.minutes,
        "parent": request.parent,
        "precision": planned.precision,
        "plan": dataclasses.asdict(planned),
        "machine": machine.facts(place),
        "started": time.strftime("%Y-%m-%d"),
        "family": request.family,
    }


def _initial(
    family: str,
    config: FamilyConfig,
    seed: int,
    start_from: str | Path | None,
    parts: Mapping[str, Family],
) -> Family:
    model = families.build(family, config, seed, parts)
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
