"""Settings that a family says are not used: they change nothing, and whoever sets them is told."""

import typing

import pytest
import torch

from tests.support.kit import ALL, batch_for, changed, config_for, context
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.fields import Field
from zeuxis.core.request import word
from zeuxis.core.settings import Data, Training
from zeuxis.core.space import When
from zeuxis.training.resolved import BY_DATA, Resolved

MAP = Field(name="source", kind="map", shape=(8, 8), classes=("sky", "sea"))


def declared(settings):
    """(setting, what it needs) of a class of settings."""
    for name, field in settings.model_fields.items():
        yield from ((name, each) for each in field.metadata if isinstance(each, When))


CASES = [(name, *case) for name in ALL for case in declared(families.get(name).Config)]


def literals(settings, name):
    return [e for e in typing.get_args(settings.model_fields[name].annotation) if e is not None]


def turned(config, need, on):
    """The config with what a setting needs turned on or off."""
    value = need.found(config)
    if isinstance(value, float):
        found = 0.5 * on
    elif isinstance(value, tuple):
        found = (need.values or ("any",)) if on else ()
    else:
        options = literals(type(config), need.name)
        found = next(
            e for e in options if (e in need.values or (e != "none" and not need.values)) == on
        )
    return config.model_copy(update={need.name: found})


def another(config, name):
    """The config with another value of the setting."""
    value = getattr(config, name)
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, str):
        value = next(e for e in literals(type(config), name) if e != value)
    elif isinstance(value, tuple):
        value = (value[0] + 1, *value[1:])
    else:
        value = value * 2 if isinstance(value, int) else value / 2
    return changed(config, **{name: value})


def resolved(config=None, training=None, data=None):
    return Resolved(
        family="vae",
        source="photos",
        dataset="",
        data=data or Data(),
        config=config or config_for("vae"),
        training=training or Training(),
        minutes=None,
        keep="last",
        parent=None,
    )


def told(config, name):
    return list(resolved(config).unused({f"family.{name}": word(getattr(config, name))}))


def trained(name, config):
    """Weights at first, and the losses of all phases at a few points of a run."""
    model = families.build(name, config)
    found = [*model.state_dict().values()]
    for phase in model.phases():
        for update, progress in ((0, 0.0), (3, 0.9)):
            ctx = context(update=update, progress=progress)
            found.append(model.loss(phase.name, batch_for(model), ctx)["total"].detach())
    return found


@breaks("core/space.py", 'and found != "none"', "")
@breaks("core/space.py", "return not {*self", "return {*self")
@breaks(
    "families/tokenizer.py",
    'levels: Annotated[tuple[int, ...], When("quantiser", "fsq")]',
    'levels: Annotated[tuple[int, ...], When("quantiser", "vq")]',
)
@pytest.mark.parametrize(("name", "setting", "need"), CASES)
def test_what_is_said_not_to_be_used_changes_nothing(name, setting, need):
    off, on = config_for(name, conditional=False, text=None), config_for(name, "all")
    if need.name == "source.kind":
        on = changed(on, source=MAP)
    elif need.name not in BY_DATA:
        off, on = (turned(off, need, which) for which in (False, True))
    assert not told(on, setting)
    (sentence,) = told(off, setting)
    assert sentence.startswith(f"family.{setting}=") and " is not used " in sentence
    one, other = trained(name, off), trained(name, another(off, setting))
    assert len(one) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_sentences_say_what_a_setting_needs():
    tokenizer = resolved(config_for("tokenizer", quantiser="fsq"))
    assert list(tokenizer.unused({"family.codes": "16384", "family.levels": "8,8"})) == [
        "family.codes=16384 is not used with family.quantiser=fsq, only with vq"
    ]
    gan = resolved(config_for("gan", False, augment=(), penalty="none"), data=Data(text="minilm"))
    given = {
        "family.gamma": "3",
        "family.augment_share": "0.5",
        "family.matching": "0",
        "data.text": "minilm",
    }
    assert list(gan.unused(given)) == [
        "family.gamma=3 is not used with family.penalty=none",
        "family.augment_share=0.5 is not used with family.augment=none",
        "family.matching=0 is not used since no captions condition the model (data.conditions=text)",
        "data.text=minilm is not used since no captions condition the model (data.conditions=text)",
    ]
    constant = resolved(training=Training(decay="constant", average=0.0))
    assert list(constant.unused({"training.final_lr": "0.1", "training.average_max": "0.9"})) == [
        "training.final_lr=0.1 is not used with training.decay=constant, only with linear or cosine",
        "training.average_max=0.9 is not used with training.average=0.0",
    ]
    assert not list(resolved().unused({"training.final_lr": "0.1", "training.average_max": "0.9"}))
