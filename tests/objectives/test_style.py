import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.features.efficientnet import load_network
from zeuxis.features.maps import maps
from zeuxis.objectives.style import Sums, style_distance


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def style_of(maps_):
    return {name: Sums.of(map_BCHW) for name, map_BCHW in maps_.items()}


@breaks("objectives/style.py", "[..., None] - outer_BCC", "[..., None]")
def test_moments_are_mean_and_covariance_over_places():
    map_BCHW = drawn(2, 3, 4, 5) + 2
    mean_BC, covariance_BCC = Sums.of(map_BCHW).moments()
    for found, one in zip(covariance_BCC, map_BCHW, strict=True):
        assert found.numpy() == pytest.approx(np.cov(one.flatten(1), bias=True), abs=1e-5)
    assert torch.allclose(mean_BC, map_BCHW.mean((2, 3)))


@breaks(
    "objectives/style.py",
    "return cls(weight_B1P.sum((1, 2)),",
    "return cls(weight_B1P.sum((1, 2)) * 0 + 1,",
)
def test_tiles_add_up_and_places_without_weight_do_not_count():
    map_BCHW = drawn(2, 3, 4, 6)
    weight_B1HW = torch.zeros(2, 1, 4, 6)
    weight_B1HW[..., :2] = 5
    left, right = Sums.of(map_BCHW[..., :2]), Sums.of(map_BCHW[..., 2:])
    for one, other in ((Sums.of(map_BCHW, weight_B1HW), left), (Sums.of(map_BCHW), left + right)):
        for found, expected in zip(one.moments(), other.moments(), strict=True):
            assert torch.allclose(found, expected, atol=1e-6)


def test_style_knows_no_places():
    of = {"stem": drawn(2, 3, 4, 6), "block1": drawn(2, 5, 2, 3, seed=1)}
    moved = {name: one.roll((1, 2), (2, 3)) for name, one in of.items()}
    assert style_distance(style_of(of), style_of(moved)).tolist() == pytest.approx([0, 0], abs=1e-9)


@breaks("objectives/style.py", ".sum((1, 2)) / size_B", ".sum((1, 2))")
def test_distances_do_not_depend_on_the_scale_of_a_layer():
    of, goal = {"stem": drawn(2, 3, 4, 6)}, {"stem": drawn(1, 3, 8, 8, seed=2)}
    near = style_distance(style_of(of), style_of(goal))
    large, more = {"stem": 9 * of["stem"]}, {"stem": 9 * goal["stem"]}
    far = style_distance(style_of(large), style_of(more))
    assert near.shape == (2,) and near.tolist() == pytest.approx(far.tolist(), rel=1e-4)


def test_a_picture_of_one_colour_is_no_division_by_zero():
    flat = {"stem": torch.ones(1, 3, 4, 4)}
    assert style_distance(style_of(flat), style_of(flat)).tolist() == [0]


@breaks("features/maps.py", "return output.clone()", "return output")
def test_maps_are_what_the_network_has_before_its_activations():
    net, x_BCHW = load_network(), drawn(1, 3, 40, 33)
    layers = {name: net.layers()[name] for name in ("stem", "block1", "block6")}
    found = maps(lambda: net(x_BCHW), layers)
    before = net.blocks[:6](net.stem(x_BCHW))
    assert torch.equal(found["block6"], layers["block6"](before))
    assert torch.equal(found["stem"], layers["stem"](x_BCHW))
    assert (found["block6"] < 0).any() and (found["stem"] > 6).any()
