"""What a request comes to on a set of images: settings and config, the same for the same run."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zeuxis import data, families
from zeuxis.core.errors import Invalid
from zeuxis.core.family import Family, FamilyConfig
from zeuxis.core.fields import Field
from zeuxis.core.request import Request, nested, word
from zeuxis.core.settings import Data, Training, override, suggest
from zeuxis.core.space import When
from zeuxis.data import described
from zeuxis.inference import artefact
from zeuxis.inference.latents import set_by_latents
from zeuxis.training import recipes

GENERATED = ("conditions", "numbers", "text", "height", "width", "channels", "source")
"""Fields of a family's config that the data decides."""
TEXT = "text"
"""Captions, among the columns that a model is conditioned on."""
BY_DATA = {
    "given": "since nothing conditions the model (data.conditions)",
    "conditions": "since no classes condition the model (data.conditions)",
    "text": "since no captions condition the model (data.conditions=text)",
    "source.kind": "since the sources are images",
}
"""Why a setting is not used, where the data decides."""


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

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the columns of classes that the model is told of."""
        return tuple(condition.name for condition in self.config.conditions)

    def unmet(self, path: str) -> When | None:
        """What a setting would need to be used; None if it is used."""
        part, _, name = path.partition(".")
        owner = {"family": self.config, "data": self.data, "training": self.training}[part]
        declared = (e for e in type(owner).model_fields[name].metadata if isinstance(e, When))
        return next((each for each in declared if not each.met(self._about(part))), None)

    def unused(self, given: Mapping[str, str]) -> Iterator[str]:
        """A sentence for each of the settings `path: word` that changes nothing."""
        for path, text in given.items():
            if need := self.unmet(path):
                part = path.partition(".")[0]
                value = word(need.found(self._about(part))) or "none"
                only = f", only with {' or '.join(need.values)}" if need.values else ""
                why = BY_DATA.get(need.name) or f"with {part}.{need.name}={value}{only}"
                yield f"{path}={text} is not used {why}"

    def _about(self, part: str) -> Training | FamilyConfig:
        """Whose settings decide whether one is used; what the data is used for, the family's config says."""
        return self.training if part == "training" else self.config

    def defaults(self) -> dict[str, Any]:
        """What settings mean that a run does not name, as one of before they existed: their defaults."""
        config = self.config.model_copy(update=_defaults(type(self.config)))
        return {
            "data": Data().model_dump(mode="json"),
            "config": config.model_dump(mode="json"),
            "training": Training().model_dump(mode="json", exclude={"steps"}),  # minutes decide it
        }


def resolve(request: Request, settings: Data, prepared: data.Prepared) -> Resolved:
    """What a request comes to.

    Args:
        request: what was asked.
        settings: by which the data was prepared.
        prepared: the data.

    Raises:
        Invalid: a setting that the family has not, or a value that it cannot have on this data.
    """
    cls, given = families.get(request.family), words(request)
    return Resolved(
        family=request.family,
        source=str(prepared.name),
        dataset=prepared.hash,
        data=settings.model_copy(
            update={"consent": settings.consent and Path(settings.consent).name}
        ),
        config=make_config(cls, prepared, settings, given["family"]),
        training=override(cls.TRAINING, dict(given["training"]), "training."),
        minutes=request.minutes,
        keep=request.keep,
        parent=_parent(request.start_from, request.family),
    )


def words(request: Request) -> dict[str, dict[str, str]]:
    """The settings of the preset and the request, as words."""
    preset = recipes.find(request.family, request.preset)
    found: dict[str, dict[str, str]] = nested({**preset, **request.overrides.paths()})
    found["training"].setdefault("seed", str(request.seed))
    if request.steps is not None:
        found["training"]["steps"] = str(request.steps)
    return found


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
    shape = {
        "height": prepared.height,
        "width": prepared.width,
        "channels": prepared.channels,
        **_conditions(cls, prepared, settings),
        **latents,
    }
    if "source" in cls.Config.model_fields:
        shape["source"] = _source(cls, prepared)
    start = cls.Config.model_construct(**{**_defaults(cls.Config), **shape})
    return override(start, dict(words), "family.")


def _conditions(cls: type[Family], prepared: data.Prepared, settings: Data) -> dict[str, Any]:
    """What a sample can be asked to have.

    Raises:
        Invalid: there is no such column or caption, or the family takes neither numbers nor text.
    """
    given = {each.name: each for each in prepared.conditions if each.name not in settings.numbers}
    captions = prepared.facts["captions"] and cls.DESCRIBED
    chosen = settings.conditions
    if chosen is None:
        chosen = tuple(given) or ((TEXT,) if captions else ())
    text = TEXT in chosen and TEXT not in given
    for name in chosen:
        if name not in given and name != TEXT:
            raise Invalid(f"no column {name!r} of classes in the data; {suggest(name, given)}")
    if (text or settings.numbers) and not cls.DESCRIBED:
        what = "text" if text else settings.numbers[0]
        able = ", ".join(n for n in families.FAMILIES if families.get(n).DESCRIBED)
        raise Invalid(
            f"{cls.__name__} cannot be asked for {what!r}; families that take numbers and text: {able}"
        )
    found: dict[str, Any] = {"conditions": ()}
    if cls.CONDITIONAL:
        found["conditions"] = tuple(given[name] for name in chosen if name in given)
    if settings.numbers:
        found["numbers"] = described.scales(prepared, settings.numbers)
    if text:
        found["text"] = described.vocabulary(prepared, settings.text)
    return found


def _defaults(config: type[FamilyConfig]) -> dict[str, Any]:
    """Of the fields that have one."""
    fields = config.model_fields.items()
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in fields
        if not field.is_required()
    }


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


def _parent(start_from: str | Path | None, family: str) -> str | None:
    if start_from is None:
        return None
    content = artefact.read(Path(start_from))
    if content["family"] != family:
        raise Invalid(f"{start_from} is a {content['family']}, not a {family}; train that family")
    return artefact.weights(content)
