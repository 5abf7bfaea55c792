"""Pixels cross the border between bytes and models without a loss."""

import torch

from tests.support.sabotage import breaks
from zeuxis.core.pixels import from_levels, from_uint8, to_levels, to_uint8


@breaks("core/pixels.py", "to(dtype) / 127.5 - 1.0", "to(dtype) / 128.0 - 1.0")
def test_every_byte_comes_back_and_the_range_is_used_to_its_ends():
    pixels = torch.arange(256, dtype=torch.uint8)
    image = from_uint8(pixels)
    assert image[0] == -1 and image[-1] == 1
    assert torch.equal(to_uint8(image), pixels)
    assert torch.equal(to_levels(image), pixels.long())
    assert torch.allclose(from_levels(pixels.long()), image, atol=1e-6)
