"""Patches: what is made shows the source's patches only, tiles where asked, and depends on the seed alone."""

import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.create import patches
from zeuxis.create.patches import PATCH, exact, folded, nearest, resized, synthesise
from zeuxis.metrics.seam import seams


@pytest.fixture(scope="module")
def stones():
    """A texture (3, 40, 44) that does not tile: blurred noise, darker to the right and to the bottom."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(3, 52, 56, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1)[:, 2:42, 2:46]
    ramp = torch.linspace(1.4, 0.6, 44) * torch.linspace(1.2, 0.7, 40)[:, None]
    return ((smooth - 0.25) * 2 * ramp).clamp(0, 1)


def pixels(x_CHW):
    return (x_CHW * 255).round().byte().permute(1, 2, 0).numpy()


@breaks("create/patches.py", "if wraps[axis - 1] else mirrored", "if False else mirrored")
@breaks("create/patches.py", "add_(x_CHW.narrow(axis, 0, HALF))", "add_(0)")
@pytest.mark.parametrize("wraps", [(True, False), (False, True)])
def test_rolling_the_guess_rolls_what_is_made_of_it_along_the_axes_that_wrap(wraps, stones):
    def made(guess):
        field = nearest(guess, stones, None, wraps, torch.Generator())
        return folded(stones, field, wraps)

    guess = resized(stones, (24, 28))
    for axis, wrap in enumerate(wraps):
        rolled = made(guess).roll(5, axis + 1)
        assert torch.allclose(rolled, made(guess.roll(5, axis + 1)), atol=1e-5) == wrap


@pytest.mark.parametrize("wraps", [(False, False), (True, False), (False, True), (True, True)])
def test_the_border_is_seamless_where_it_wraps(wraps, stones):
    ranks = {"y": [], "x": []}
    for seed in range(4):
        found = seams(pixels(synthesise(stones, (40, 44), wraps, seed)))
        for axis, all_ranks in ranks.items():
            all_ranks.append(found[axis].rank)
    for axis, wrap in zip("yx", wraps, strict=True):
        assert (np.mean(ranks[axis]) < 0.85) == wrap, ranks


@breaks("create/patches.py", "torch.Generator().manual_seed(seed)", "torch.Generator()")
def test_the_seed_alone_decides(stones):
    torch.manual_seed(5)
    one = synthesise(stones, (36, 50), (True, True), seed=3)
    torch.manual_seed(6)
    assert torch.equal(one, synthesise(stones, (36, 50), (True, True), seed=3))
    assert not torch.allclose(one, synthesise(stones, (36, 50), (True, True), seed=4), atol=0.05)
    assert one.shape == (3, 36, 50)


def test_each_source_patch_comes_back(stones):
    """A guess that is the source is matched with itself, and folded into itself."""
    field = nearest(stones, stones, None, (False, False), torch.Generator().manual_seed(0))
    inside = field[:, 3:-3, 3:-3]
    here = torch.stack(torch.meshgrid(torch.arange(34), torch.arange(38), indexing="ij"))
    assert torch.equal(inside, here)
    back = folded(stones, field, (False, False))
    assert torch.allclose(back[:, 6:-6, 6:-6], stones[:, 6:-6, 6:-6], atol=1e-6)


@breaks("create/patches.py", "weight_M = 1 / (UNUSED + least_M)", "weight_M = 1 + 0 * least_M")
def test_source_patches_that_nothing_uses_are_nearer():
    queries = torch.tensor([[0.0], [0.1], [0.2]])
    keys = torch.tensor([[0.1], [0.75]])
    assert exact(queries, keys).tolist() == [1, 0, 1]


@breaks("create/patches.py", "better = found < best", "better = found > best")
@breaks(
    "create/patches.py",
    "dy, dx), (1, 2)) + torch.tensor([dy, dx])",
    "0, 0), (1, 2)) + torch.tensor([dy, dx])",
)
def test_patch_match_comes_near_to_the_exact_search(stones, monkeypatch):
    guess = resized(stones, (52, 60))
    small = resized(guess, (39, 45)), resized(stones, (30, 33))
    start = nearest(*small, None, (True, True), torch.Generator())
    monkeypatch.setattr(patches, "EXACT", 0)
    keys = torch.nn.functional.unfold(stones[None], PATCH)[0].T
    queries = torch.nn.functional.unfold(patches._padded(guess, (True, True))[None], PATCH)[0].T
    best = torch.cdist(queries, keys).square().amin(1).mean()
    field = nearest(guess, stones, start, (True, True), torch.Generator().manual_seed(0))
    chosen = (keys[(field[0] * 38 + field[1]).flatten()] - queries).square().sum(1).mean()
    assert best <= chosen <= 1.5 * best


@breaks("create/patches.py", "3 if wraps[axis - 1] else 1", "1")
@pytest.mark.parametrize("new", [30, 44, 57])
def test_enlarging_on_a_circle_commutes_with_rolling(new, stones):
    wide = resized(stones, (40, new), (True, True))
    assert wide.shape == (3, 40, new)
    moved = resized(stones.roll(22, 2), (40, new), (True, True))
    if new % 2 == 0:
        assert torch.allclose(wide.roll(new // 2, 2), moved, atol=1e-6)
    assert seams(wide.permute(1, 2, 0).numpy())["x"].step == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shape", [(7, 7), (16, 16), (7, 30)])
def test_the_smallest_sources(shape):
    source = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    made = synthesise(source, (20, 33), (True, False))
    assert made.shape == (1, 20, 33) and made.isfinite().all()


def test_progress_is_told_and_may_end_it(stones):
    told = []
    synthesise(stones, (40, 44), progress=lambda *at: told.append(at))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == told[-1][1] > len(told)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(stones, (40, 44), progress=stop)
