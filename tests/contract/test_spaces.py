"""What a family declares to be searched: settings that it has, at values that it can have."""

import re
from pathlib import Path

import pytest

from tests.support.kit import ALL
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.settings import Training, override, read_value
from zeuxis.core.space import Among, Around, Span
from zeuxis.training.tune import space

NAMED = ("gan", "stylegan", "vae", "hvae", "flow", "pixelcnn", "autoencoder")
"""Families that declare more than how they are trained."""


def declared(settings):
    for name, field in type(settings).model_fields.items():
        for each in field.metadata:
            if isinstance(each, Around):
                yield name, each.of(getattr(settings, name))
            if isinstance(each, Span | Among):
                yield name, each


def at_32(name):
    """The family's config for 32 x 32 images; of those that need a source the tiny one."""
    cls = families.get(name)
    if "source" in cls.Config.model_fields:
        return cls.TINY
    return cls.Config(height=32, width=32, channels=3)


def ends(where, whole):
    if isinstance(where, Among):
        return where.words
    return [str(int(end) if whole else end) for end in (where.low, where.high)]


@breaks("families/gan.py", 'Among(("16", "32", "48", "64"))', 'Among(("16", "48", "64"))')
@breaks("families/flow.py", "Span(0.7, 1.8)", "Span(-0.7, 1.8)")
@pytest.mark.parametrize("name", ALL)
def test_the_preset_lies_in_the_space_and_its_ends_can_be_trained(name):
    config, training = at_32(name), families.get(name).TRAINING
    mine = dict(declared(config))
    assert mine or name not in NAMED
    assert {"lr", "batch_size"} <= set(dict(declared(training)))
    for owner in (config, training):
        for setting, where in declared(owner):
            value = getattr(owner, setting)
            words = ends(where, isinstance(value, int))
            if isinstance(where, Among):
                values = [read_value(type(owner), setting, word) for word in words]
                assert type(owner) is not type(config) or value in values or config.height < 32
            else:
                assert where.low <= value <= where.high
            for word in words:
                override(owner, {setting: word})


@pytest.mark.parametrize("name", ALL)
def test_no_setting_is_searched_that_may_not_be(name):
    found = set(dict(declared(families.get(name).TINY))) | set(dict(declared(Training())))
    assert not found & set(space.FIXED)


def test_the_page_names_what_is_searched():
    text = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M)
    said = {family: re.findall(r"`(\w+)`", names) for family, names in rows}
    found = {name: [each for each, _ in declared(families.get(name).TINY)] for name in ALL}
    assert {name: sorted(names) for name, names in said.items()} == {
        name: sorted(names) for name, names in found.items() if names
    }
