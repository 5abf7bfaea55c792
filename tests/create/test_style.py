"""Restyling: tiles give the gradient of the whole, and the style comes nearer."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis.core import errors
from zeuxis.create import restyle, style


def scene(size=96, open_=None):
    torch.manual_seed(0)
    content, look = torch.rand(1, 3, size, size), torch.rand(1, 3, 64, 64)
    return style.Scene(content, [look], [1.0], 0.2, open_, 0)


@breaks("create/style.py", "(torch.stack(along).sum() + ", "(0 * torch.stack(along).sum() + ")
def test_tiles_give_the_loss_and_the_gradient_of_the_whole(monkeypatch):
    """Up to what a tile does not see of its surroundings, which the margin makes small."""
    gradients = []
    monkeypatch.setattr(style, "MARGIN", 96)
    for tile in (1024, 128):
        monkeypatch.setattr(style, "TILE", tile)
        one = scene(208)
        assert len(one.tiles) == (1 if tile == 1024 else 4)
        x = one.content.clone().requires_grad_()
        value = one._descend(x, 3)
        gradients.append((value, x.grad))
    (whole, g), (tiled, h) = gradients
    assert tiled == pytest.approx(whole, rel=0.02)
    assert torch.cosine_similarity(g.flatten(), h.flatten(), 0) > 0.98


@breaks("create/style.py", "self.open * x + (1 - self.open) * self.content", "x")
def test_the_closed_part_of_a_mask_stays():
    open_ = torch.zeros(1, 1, 96, 96)
    open_[..., :48] = 1
    one = scene(96, open_)
    x, losses = one.optimised(one.content, 6, lambda part: None)
    assert losses[-1] < losses[0]
    assert torch.equal(x[..., 48:], one.content[..., 48:])
    assert not torch.equal(x[..., :48], one.content[..., :48])


@breaks("create/style.py", "out @ of_b @ out", "of_b")
def test_recoloured_has_the_mean_and_covariance_of_the_other():
    torch.manual_seed(0)
    mix = torch.tensor([[0.08, 0.03, 0.0], [0.0, 0.05, 0.02], [0.01, 0.0, 0.06]])
    source, other = (0.5 + 0.03 * torch.randn(3, 400) for _ in range(2))
    other = mix @ (other - 0.5) / 0.03 + 0.5
    made = style.recoloured(source.view(1, 3, 20, 20), other.view(1, 3, 20, 20))[0].flatten(1)
    assert torch.allclose(made.mean(1), other.mean(1), atol=1e-3)
    assert torch.allclose(torch.cov(made), torch.cov(other), atol=3e-4)


def test_a_seed_gives_the_same_and_weights_matter(monkeypatch):
    monkeypatch.setattr(style, "STEPS", (3,))
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(0, 256, (40, 40, 3), np.uint8) for _ in range(3))
    first = restyle(a, [b, c], size=64, seed=1)
    assert np.array_equal(first.array, restyle(a, [b, c], size=64, seed=1, weights=[1, 1]).array)
    for other in ({"seed": 2}, {"seed": 1, "weights": [1, 3]}, {"seed": 1, "keep_colours": True}):
        assert not np.array_equal(first.array, restyle(a, [b, c], size=64, **other).array)


def test_mirrored_borders_may_be_wider_than_the_picture():
    x = torch.arange(3.0).view(1, 1, 1, 3)
    assert style.mirrored(x, (5, 4, 0, 1))[0, 0, 0].tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]


@breaks("create/style.py", "start = (x + following - scene.content)", "start = (following + 0 * x)")
def test_a_film_starts_each_frame_from_the_last(monkeypatch, tmp_path):
    """Frames that are equal come nearer to the style from frame to frame."""
    monkeypatch.setattr(style, "STEPS", (8,))
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (40, 64, 3), np.uint8)
    for i in range(3):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    look = np.kron(rng.integers(0, 256, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    film = restyle(tmp_path, look, size=64, frames=True)
    assert film.array.shape == (3, 40, 64, 3) and film.fps
    moved = [np.abs(shown.astype(int) - frame).mean() for shown in film.array]
    assert moved[0] < moved[1] < moved[2]
    Image.fromarray(frame[:, :40]).save(tmp_path / "9.png")
    with pytest.raises(errors.Invalid, match="the frames have several sizes"):
        restyle(tmp_path, look, frames=True)
    with pytest.raises(errors.Invalid, match="is a folder; expected one picture"):
        restyle(tmp_path, look)
