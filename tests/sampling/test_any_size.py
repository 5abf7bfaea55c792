"""Noise of any size by absolute position, and windows that are blended."""

import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.core.rng import Rng
from zeuxis.sampling import any_size
from zeuxis.sampling.stochastic import shuffled

NOISE = Rng([3, 4]).normal("image", 2, 12, 8)


@breaks("sampling/any_size.py", "(row + column) * (row + column + 1) // 2 + column", "row + column")
def test_noise_at_a_place_does_not_depend_on_the_size_of_the_picture():
    large = any_size.field(NOISE, (61, 50))
    for size in ((12, 8), (5, 7), (13, 50), (61, 9)):
        assert torch.equal(any_size.field(NOISE, size), large[..., : size[0], : size[1]])
    assert torch.equal(any_size.field(NOISE, (12, 8)), NOISE)
    assert torch.equal(any_size.field(NOISE, (12, 8), 5), shuffled(NOISE, 5))
    blocks = [large[..., y : y + 12, x : x + 8] for y in range(0, 60, 12) for x in range(0, 48, 8)]
    assert len({float(block[0, 0, 0, 0]) for block in blocks}) == len(blocks)
    other = any_size.field(NOISE, (61, 50), 1)
    assert abs((large * other).mean()) < 0.05 and large.std() == pytest.approx(1, abs=0.1)


@breaks("sampling/any_size.py", "sum_BCHW.div_(share_HW.to(sum_BCHW))", "sum_BCHW")
@breaks("sampling/any_size.py", "/ multiple) * multiple for i", "/ multiple) for i")
@pytest.mark.parametrize("size", [(8, 8), (16, 24), (8, 200), (72, 8), (64, 72)], ids=str)
def test_what_looks_at_no_neighbour_is_the_same_by_windows(size, monkeypatch):
    monkeypatch.setattr(any_size, "LARGEST", 20 * 20)
    x, seen = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)), []
    ids = (10 * x[:, 0]).long()

    def call(x_BChw, ids_Bhw):
        seen.append(tuple(ids_Bhw.shape[1:]))
        return 2 * x_BChw[:, :1] + ids_Bhw[:, None]

    made = any_size.by_windows(call, x, ids, multiple=8)
    assert torch.allclose(made, 2 * x[:, :1] + ids[:, None], atol=1e-5)
    assert all(h * w <= 400 and h % 8 == w % 8 == 0 for h, w in seen)
    assert (len(seen) > 1) == (size[0] * size[1] > 400)
