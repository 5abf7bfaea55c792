"""Draws depend on the row's seed and on their name, and on nothing else."""

import torch

from zeuxis.rng import Rng


def test_a_row_does_not_depend_on_its_neighbours_or_on_earlier_draws():
    many, alone = Rng([1, 2, 3]), Rng([2])
    many.normal("first", 7)
    assert torch.equal(many.normal("z", 5)[1:2], alone.normal("z", 5))
    assert torch.equal(many.uniform("u", 2, 3)[1:2], alone.uniform("u", 2, 3))
    assert torch.equal(many.integers("i", 9, 4)[1:2], alone.integers("i", 9, 4))


def test_names_and_seeds_make_different_draws():
    rng = Rng([1, 2])
    assert not torch.equal(rng.normal("a", 5), rng.normal("b", 5))
    assert not torch.equal(rng.normal("a", 5)[0], rng.normal("a", 5)[1])


def test_moments():
    rng = Rng(range(2000))
    assert abs(rng.normal("z", 8).mean()) < 0.03 and abs(rng.normal("z", 8).std() - 1) < 0.03
    assert abs(rng.uniform("u", 8).mean() - 0.5) < 0.01


def test_shared_draws_ignore_the_rows():
    whole = Rng.for_rows(3, "main", 5, range(8))
    part = Rng.for_rows(3, "main", 5, range(4, 8))
    assert torch.equal(whole.shared("t", 3), part.shared("t", 3))
    assert torch.equal(whole.normal("z", 2)[4:], part.normal("z", 2))
