"""Models on top of trained models: pre-encode a set, then train on it with the encoder as a part."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeuxis import data
from zeuxis.core.abilities import Decodes, Encodes, Tokenizes
from zeuxis.core.errors import Unable
from zeuxis.core.family import Family
from zeuxis.core.progress import Progress
from zeuxis.core.settings import Data
from zeuxis.data.preparation.encode import write
from zeuxis.data.prepared import Stored
from zeuxis.inference import artefact
from zeuxis.inference.model import load


def encode(
    source: str | Path, run: str | Path, dest: str | Path, progress: Progress | None = None
) -> data.Prepared:
    """Write the pre-encoded set of `source` by the trained model in `run` (`zeuxis.data.preparation.encode`).

    The same source, model and machine give the same bytes.

    Args:
        source: a prepared set, or any source; it is prepared as the model's own images were.
        run: a trained model that encodes and decodes.
        dest: a folder that does not exist yet or is empty.
        progress: told of progress.

    Raises:
        ValueError: no trained model, one that cannot encode or decode, or `dest` is taken.
    """
    model = load(run)
    coder, config, name = model.family, model.family.config, model.facts["family"]
    if not isinstance(coder, Encodes) or not isinstance(coder, Decodes):
        raise Unable(
            f"a {name} does not both encode images and decode them; use an autoencoder or a tokenizer"
        )
    settings = Data(
        size=(config.height, config.width),
        channels=config.channels,  # type: ignore[arg-type]
        fit=model.facts.get("data", {}).get("fit", "crop"),
    )
    facts: dict[str, Any] = {"family": name, "weights": artefact.weights(model.facts)}
    if isinstance(coder, Tokenizes):
        facts["vocabulary"] = coder.vocabulary
    write(
        data.ensure(source, settings, progress),
        Path(dest),
        "token" if isinstance(coder, Tokenizes) else "latent",
        lambda images: model.encode(images).latents,
        functools.partial(artefact.copy, Path(run)),
        facts,
        progress,
    )
    return data.open_prepared(dest)


def set_by_latents(cls: type[Family], prepared: data.Prepared) -> dict[str, Any]:
    """Settings of the family's config that the set decides; none for images."""
    stored = _encoded(prepared)
    if not cls.PARTS or stored is None:
        return {}
    name, facts = stored.field.name, stored.facts
    settings = {name: stored.field.shape, "vocabulary": facts.get("vocabulary")}
    if name == "latent":
        settings |= {f"latent_{moment}": tuple(facts[moment]) for moment in ("mean", "deviation")}
    return {name: value for name, value in settings.items() if name in cls.Config.model_fields}


def frozen_parts(cls: type[Family], prepared: data.Prepared) -> Mapping[str, Family]:
    """The model that encoded the set, for a family that models what it gives.

    Raises:
        ValueError: it is damaged, or not the one that encoded the set.
    """
    stored = _encoded(prepared)
    if stored is None or not set_by_latents(cls, prepared):
        return {}
    return {cls.PARTS[0]: artefact.load(stored.encoder())}


def _encoded(prepared: data.Prepared) -> Stored | None:
    """The field that a trained model made of the images."""
    return next((s for s in prepared.fields.values() if "encoder" in s.facts), None)
