"""Blocks that families share, against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from tests.support.sabotage import breaks
from zeuxis.nn.resample import Rise, pixel_shuffle


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_pixel_shuffle_is_torch_s(patch, layout):
    x = torch.randn(2, 5 * patch**2, 3, 4).contiguous(memory_format=layout).requires_grad_()
    ours, theirs = pixel_shuffle(x, patch), F.pixel_shuffle(x, patch)
    assert torch.equal(ours, theirs)
    weight = torch.randn_like(ours)
    a, b = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, theirs))
    assert torch.equal(a, b)


@breaks(
    "nn/resample.py",
    "reshape(b, h, w, 2, 2, -1).transpose(2, 3)",
    "reshape(b, h, w, 2, 2, -1).transpose(2, 4).transpose(2, 3)",
)
@breaks(
    "nn/resample.py",
    "self.weight.unflatten(0, (-1, 4)).transpose(0, 1)",
    "self.weight.unflatten(0, (4, -1))",
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rise_is_a_convolution_and_a_pixel_shuffle(layout):
    rise = Rise(5, 3).double().to(memory_format=layout)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64).contiguous(memory_format=layout)
    inputs = [x.requires_grad_(), *rise.parameters()]
    ours, theirs = rise(x), F.pixel_shuffle(F.conv2d(x, rise.weight, rise.bias), 2)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(theirs)
    a, b = (torch.autograd.grad((y * weight).sum(), inputs) for y in (ours, theirs))
    torch.testing.assert_close(a, b)
