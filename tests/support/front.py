"""The command line as tests call it, and folders of pictures to call it with."""

import contextlib

import numpy as np
import pytest

from zeuxis import families
from zeuxis.cli import main
from zeuxis.core.pixels import save_png
from zeuxis.evaluation import evaluate, probe
from zeuxis.training import looking


def zeuxis(*words):
    """Run a command in this process; its exit code."""
    try:
        return main.main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)


def tiny(name):
    """The words that make a family's network as small as its TINY."""
    cls = families.get(name)
    return [
        f"family.{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for key, value in cls.TINY.model_dump(exclude_defaults=True).items()
        if key not in ("height", "width", "channels", "conditions", "source", "text")
    ]


def pictures(folder, count=24, size=(12, 8), channels=3, seed=0):
    """A folder of distinct random PNG files."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        image = rng.integers(0, 256, (*size, channels), np.uint8)
        save_png(folder / f"{index:03d}.png", image)
    return folder


def classes(folder, *names, count=12, size=(12, 8)):
    """A folder of pictures for each class."""
    for seed, name in enumerate(names):
        pictures(folder / name, count, size, seed=seed)
    return folder


@contextlib.contextmanager
def workshop(folder):
    """Prepared sets go to `folder`, and few images are looked at, so that training takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEUXIS_CACHE", str(folder))
        patch.setattr(looking, "PROBE_IMAGES", 8)
        patch.setattr(probe, "REAL", 8)
        patch.setattr(evaluate, "_affordable", lambda *_: 16)
        yield
