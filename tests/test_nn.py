"""Blocks that families share, against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from zeuxis.nn.resample import pixel_shuffle


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_pixel_shuffle_is_torch_s(patch, layout):
    x = torch.randn(2, 5 * patch**2, 3, 4).contiguous(memory_format=layout).requires_grad_()
    ours, theirs = pixel_shuffle(x, patch), F.pixel_shuffle(x, patch)
    assert torch.equal(ours, theirs)
    weight = torch.randn_like(ours)
    a, b = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, theirs))
    assert torch.equal(a, b)
