"""Data as a trained model had it: prepared by the same settings, with the same images held out."""

from pathlib import Path
from typing import TYPE_CHECKING

from zeuxis import data
from zeuxis.core.progress import Progress
from zeuxis.core.settings import Data, checked
from zeuxis.data.preparation.prepare import PAIRS

if TYPE_CHECKING:
    from zeuxis.inference.model import Model


def prepared_as(
    model: "Model", source: str | Path, progress: Progress | None = None
) -> data.Prepared:
    """A source prepared as the data that a model was trained on.

    Raises:
        Invalid: it cannot be.
    """
    config, recorded = model.family.config, model.facts.get("data", {})
    form = {"size": (config.height, config.width), "channels": config.channels}
    form |= {
        name: recorded[name]
        for name in ("fit", "holdout", "withhold", "tiles", *PAIRS)
        if name in recorded
    }
    if data.is_prepared(Path(source)):
        own = ("holdout", "tiles", "withhold", "fit", "paired", "source_kind")
        form |= {name: getattr(Data(), name) for name in own}  # it keeps what it is
    settings = checked(Data, form, model.folder)
    translates = "source" in type(config).model_fields
    return data.ensure(source, settings, progress, translates)
