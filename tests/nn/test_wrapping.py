"""Networks that wrap: rolling what they are given rolls what they give, along the axes asked for only."""

import numpy as np
import pytest
import torch

from tests.support.kit import wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.rng import Rng
from zeuxis.nn.wrapping import AXES, rolled, wrapped

NAMES = ["gan", "dcgan", "stylegan", "flow"]


def made(name, tileable, side=16):
    kind = families.get("gan" if name == "dcgan" else name)
    more = {"network": "dcgan"} if name == "dcgan" else {}
    config = kind.TINY.model_copy(update={"height": side, "width": side, **more})
    config = type(config)(**(config.model_dump() | {"tileable": tileable}))
    torch.manual_seed(0)
    return wake(kind(config)).eval()


def painted(name, family, axis, places):
    """Images of a family whose coarsest grid is rolled by so many places, and the pixels of a place."""
    rng = Rng.for_rows(0, "test", 0, [0, 1])
    if name == "flow":
        noise, fold = family.noise(rng)["image"], family.config.patch << 1
        net = wrapped(family.net, family.config.tileable)
        time = torch.full((2,), 0.5)
        return net(noise.roll(places * fold, axis), time, None), fold
    if name == "stylegan":
        noise, grid = family.noise(rng), family.config.grids()[-1]
        fold = 16 // grid[axis - 2]
        for i, sides in enumerate(family.config.layers()):
            shift = places * sides[axis - 2] // grid[axis - 2]
            noise[f"layer_{i}"] = noise[f"layer_{i}"].roll(shift, axis)
        start = family.painter.start.data
        family.painter.start.data = start.roll(places, axis)
        image = family.synthesise(family.styles(family.mapping(noise["z"])), noise)
        family.painter.start.data = start
        return image, fold
    painter = family.generator.painter
    widths, grid = family.config.widths()[-1], family.config.grids()[-1]
    hook = painter.stem.register_forward_hook(
        lambda _, __, y: y.unflatten(1, (widths, *grid)).roll(places, axis).flatten(1)
    )
    image = family.generate(family.noise(rng), {}, family.Controls())
    hook.remove()
    return image, 16 // grid[axis - 2]


@breaks("nn/wrapping.py", "nn.Conv2d | EqualConv | ModulatedConv", "EqualConv | ModulatedConv")
@breaks("nn/wrapping.py", "nn.Conv2d | EqualConv | ModulatedConv", "nn.Conv2d | EqualConv")
@breaks("nn/wrapping.py", "nn.ConvTranspose2d | Double", "nn.ConvTranspose2d")
@breaks("nn/wrapping.py", "nn.ConvTranspose2d | Double", "Double")
@breaks("nn/wrapping.py", "x.shape[axis] - self.reach, self.reach", "0, self.reach")
@breaks("families/stylegan.py", "wrapped(synthesis, config.tileable)", "synthesis")
@breaks("families/gan.py", "wrapped(self.painter, config.tileable)", "self.painter")
@pytest.mark.parametrize("tileable", ["x", "y", "both"])
@pytest.mark.parametrize("name", NAMES)
def test_rolling_the_features_rolls_the_image_along_these_axes_only(name, tileable):
    family = made(name, tileable)
    for axis in (2, 3):
        with torch.no_grad():
            (still, fold), (moved, _) = (painted(name, family, axis, n) for n in (0, 1))
        assert still.std() > 0.01
        wraps = axis in AXES[tileable]
        assert torch.allclose(still.roll(fold, axis), moved, atol=2e-6) == wraps


@breaks("families/flow.py", "tileable=self.config.tileable", 'tileable="none"')
def test_a_flow_draws_on_the_torus_and_learns_on_the_plane():
    family, plain = made("flow", "x"), made("flow", "none")
    plain.load_state_dict(family.state_dict())
    rng = Rng.for_rows(0, "test", 0, [0])
    noise, still = family.noise(rng), family.Controls(steps=3, churn=0)
    fold = family.config.patch << 1
    with torch.no_grad():
        image = family.generate(noise, {}, still)
        moved = family.generate({"image": noise["image"].roll(fold, 3)}, {}, still)
        at = (noise["image"], torch.full((1,), 0.3))
        assert torch.equal(family.velocity(*at), plain.velocity(*at))
        assert not torch.allclose(image, plain.generate(noise, {}, still), atol=1e-4)
    assert torch.allclose(image.roll(fold, 3), moved, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_the_same_and_none_changes_nothing(name):
    wraps, plain = made(name, "both"), made(name, "none")
    assert wraps.state_dict().keys() == plain.state_dict().keys()
    module = getattr(wraps, "net", None)
    if module is not None:
        twin = wrapped(module, "both")
        assert all(a is b for a, b in zip(module.parameters(), twin.parameters(), strict=True))
        assert wrapped(module, "none") is module


@breaks("nn/wrapping.py", "+ start_B1) % side", ").clamp(max=side - 1) + 0 * start_B1")
def test_rolled_moves_each_row_by_its_own_whole_pixels():
    images = torch.arange(5 * 6.0).view(1, 1, 5, 6).expand(40, -1, -1, -1)
    for tileable, axes in AXES.items():
        moved = rolled(images, Rng.for_rows(3, "test", 0, range(40)), tileable)
        corner = moved[:, 0, 0, 0].numpy().astype(int)
        assert len(np.unique(corner // 6)) == (5 if 2 in axes else 1)
        assert len(np.unique(corner % 6)) == (6 if 3 in axes else 1)
        for image, one in zip(moved, corner, strict=True):
            down, right = int(one) // 6, int(one) % 6
            assert torch.equal(image, images[0].roll((-down, -right), (1, 2)))


@breaks("families/gan.py", "patch << len(self.grids()) - 1", "1")
@pytest.mark.parametrize("name", NAMES)
def test_sides_that_would_be_padded_are_refused(name):
    with pytest.raises(ValueError, match=r"height is 17, which is no multiple of \d+.*data\.size"):
        made(name, "y", 17)
    assert made(name, "none", 17) is not None
