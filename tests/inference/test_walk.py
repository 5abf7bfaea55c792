"""Closed walks, and films of walks."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from tests.support.front import zeuxis
from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis.inference import artefact
from zeuxis.inference.model import load
from zeuxis.inference.results import Images
from zeuxis.inference.verbs.draw import even, slerp


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> folder of an untrained model."""
    made = {}
    for name in ("gan", "vae"):
        made[name] = tmp_path_factory.mktemp("runs") / name
        family = wake(build(name), 0.3)
        artefact.save(made[name], name, family, family.state_dict())
    return made


def steps(images):
    images = images.astype(float)
    return np.abs(np.roll(images, -1, 0) - images).mean((1, 2, 3))


@breaks("inference/verbs/draw.py", "share * (2 * torch.pi / angle)", "share * (torch.pi / angle)")
@breaks("inference/verbs/draw.py", "even(drawing, turn_N)", "seen(share_N, around=False)")
@breaks("inference/verbs/draw.py", "1 - (1 - 2 * turn_N).abs()", "turn_N")
@pytest.mark.parametrize("name", ["gan", "vae"])
def test_a_loop_closes_with_a_step_like_the_others(name, runs):
    model = load(runs[name])
    ends = (7, 8) if name == "gan" else model.sample(2, seed=1).images
    open_walk, walk = (model.interpolate(*ends, 24, loop=loop) for loop in (False, True))
    found = steps(walk.images)
    assert found[-1] <= found.mean() and walk.loop
    assert steps(open_walk.images)[-1] > 2 * steps(open_walk.images)[:-1].mean()
    assert np.array_equal(walk.images[0], open_walk.images[0])


@breaks(
    "inference/verbs/draw.py",
    "np.interp(wanted, gone,",
    "np.interp(wanted, np.linspace(0, 1, len(gone)),",
)
@breaks("inference/verbs/draw.py", "REDRAWN = 2", "REDRAWN = 1")
@breaks("inference/verbs/draw.py", "SEAM = 0.98", "SEAM = 1.02")
def test_steps_are_evened_where_images_change_unevenly():
    def draw(turn_N):
        angle = 2 * np.pi * (turn_N.numpy() + 0.078 * np.sin(4 * np.pi * turn_N.numpy()))
        angles = angle[:, None] + np.linspace(0, 6, 400)
        return Images(
            images=(128 + 120 * np.cos(angles))[:, :, None, None].round().astype(np.uint8)
        )

    turn = torch.arange(24) / 24
    before, after = steps(draw(turn).images), steps(even(draw, turn).images)
    assert before.max() > 1.7 * before.mean() and after.max() < 1.02 * after.mean()
    assert 0.95 < after[-1] / after.mean() < 1


def test_around_the_circle_passes_both_ends_and_stays_as_long():
    a, b = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[0.0, 3.0, 0.0]])
    points = slerp(a, b, torch.arange(8) / 8, around=True)
    assert torch.allclose(points[0], a[0], atol=1e-5) and torch.allclose(points[2], b[0], atol=1e-5)
    assert torch.allclose(points[4], -a[0], atol=1e-5)
    assert torch.allclose(points.norm(dim=1), torch.full((8,), 3.0))


@breaks("cli/verbs.py", "result.write_film(film, fps or PACE)", "pass")
@breaks(
    "inference/results.py",
    "Path(path), fps, self.loop)",
    "Path(path), fps, True)",
)
@pytest.mark.parametrize("loop", [False, True])
def test_the_command_writes_the_images_and_the_film(loop, runs, tmp_path, capsys):
    film = tmp_path / "walk.gif"
    words = ["--count", 6, "--out", tmp_path / "out", "--film", film, "--fps", 5]
    assert zeuxis("interpolate", runs["gan"], 3, 4, *words, *["--loop"] * loop) == 0
    assert f"wrote the film {film}" in " ".join(capsys.readouterr().out.split())
    with Image.open(film) as shown:
        frames = [frame.copy() for frame in ImageSequence.Iterator(shown)]
        assert shown.info.get("loop") == (0 if loop else None)
    assert len(frames) == 6 and len(list((tmp_path / "out").glob("*.png"))) == 6


@breaks("cli/verbs.py", "elif fps is not None:", "elif False:")
def test_a_name_that_is_no_film_is_refused_before_anything_is_drawn(runs, tmp_path, capsys):
    words = ["--film", tmp_path / "walk.avi", "--out", tmp_path / "out"]
    assert zeuxis("interpolate", runs["gan"], 3, 4, *words) == 2
    assert "cannot be a film; give a name that ends in" in capsys.readouterr().err
    assert zeuxis("interpolate", runs["gan"], 3, 4, "--fps", 5, "--out", tmp_path / "out") == 2
    assert "--fps is the pace of a film; give --film" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_loop_is_true_or_false(runs):
    with pytest.raises(ValueError, match="loop is 1; expected true or false"):
        load(runs["gan"]).interpolate(3, 4, 5, loop=1)
