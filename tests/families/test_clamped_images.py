"""Generators without a bound: their image is clamped, and what lies beyond [-1, 1] is drawn back."""

import pytest
import torch

from tests.support.kit import batch_for, build, context, new_images
from tests.support.sabotage import breaks
from zeuxis.core.rng import Rng

LAYERS = {
    "gan": lambda model: [model.generator.painter.paint],
    "stylegan": lambda model: list(model.painter.colours),
}
"""The layers whose sum is the image; the last one's bias can be its level."""


@breaks(
    "families/gan.py",
    "rolled(image_BCHW.clamp(-1, 1),",
    "rolled(image_BCHW,",
)
@breaks(
    "families/gan.py",
    "self.generator(z_BZ, told).clamp(-1, 1)\n            fake",
    "self.generator(z_BZ, told)\n            fake",
)
@breaks("families/gan.py", '"beyond": 1.0', '"beyond": 0.0')
@breaks(
    "families/stylegan.py",
    "rolled(image_BCHW.clamp(-1, 1),",
    "rolled(image_BCHW,",
)
@breaks(
    "families/stylegan.py",
    "self._synthesise(w_BLZ, noise, strength, told).clamp(-1, 1)",
    "self._synthesise(w_BLZ, noise, strength, told)",
)
@breaks("families/stylegan.py", "verdict + beyond", "verdict")
@pytest.mark.parametrize("level, beyond", [(0.9, 0.0), (3.0, 4.0), (-1.5, 0.25)])
@pytest.mark.parametrize("name", LAYERS)
def test_the_image_is_clamped_and_what_lies_beyond_is_drawn_back(name, level, beyond):
    """With a tanh in place of this, stylegan's features grew until all pixels saturated."""
    model = build(name, conditional=False, augment=())
    layers = LAYERS[name](model)
    with torch.no_grad():
        for each in layers:
            each.weight.zero_()
        layers[-1].bias.fill_(level)
    seen = []
    model.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    losses = model.loss("generator", batch_for(model), context())
    model.loss("discriminator", batch_for(model), context())
    for fake in (seen[1], seen[2][4:], new_images(model, Rng(range(4)))):
        assert torch.allclose(fake, torch.tensor(level).clamp(-1, 1))
    assert losses["beyond"].item() == pytest.approx(beyond, rel=1e-5)
    model.zero_grad()
    losses["total"].backward()
    slope = layers[-1].bias.grad.sum().item()
    if beyond:  # clamped: nothing else has a gradient
        assert slope == pytest.approx(2 * (abs(level) - 1) * (1 if level > 0 else -1), rel=1e-5)
