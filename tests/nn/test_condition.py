"""Conditions as features: what is unknown, what is hidden, and what of a caption counts."""

import math

import pytest
import torch

from tests.support.kit import wake
from tests.support.sabotage import breaks
from zeuxis.core.family import Number, unknown
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import NO_CAPTION, PADDING, Vocabulary
from zeuxis.nn.condition import Conditioner, Told, hide, read, swapped
from zeuxis.nn.text import CrossAttention, attending

WORDS = Vocabulary(length=6)
GIVEN = {
    "label": torch.tensor([[0, 1], [2, -1]]),
    "number": torch.tensor([[30.0], [math.nan]]),
    "text": torch.from_numpy(WORDS.rows(["ab", ""])).long(),
}


@pytest.fixture
def conditioner():
    torch.manual_seed(0)
    angle = Number(name="angle", mean=20.0, deviation=10.0)
    return wake(Conditioner([3, 2], 16, [angle], WORDS, (3, 32, 8))).eval()


def test_unknown_is_known_by_its_kind():
    blank = unknown(GIVEN)
    assert (blank["label"] == -1).all() and blank["number"].isnan().all()
    assert blank["text"].tolist() == [[NO_CAPTION] + [PADDING] * 5] * 2


@breaks("nn/condition.py", "self.number.mean) / self.number.deviation", "self.number.mean)")
def test_each_part_adds_a_vector_and_unknown_has_its_own(conditioner):
    told = conditioner(GIVEN)
    assert told.vector_BE.shape == (2, 16) and told.vector_BE.isfinite().all()
    assert told.token_BTD.shape == (2, 6, 128) and told.picture_BCHW.shape == (2, 3, 16, 8)
    unit = conditioner[2].net(torch.ones(1, 1))
    assert torch.allclose(conditioner[2](torch.tensor([30.0])), unit, atol=1e-6)
    assert torch.equal(conditioner[2](torch.tensor([math.nan]))[0], conditioner[2].unknown_E)
    assert torch.equal(conditioner[1](torch.tensor([0]))[0], conditioner[1].weight[0])
    for name in GIVEN:
        other = conditioner({**GIVEN, name: unknown(GIVEN)[name]}).vector_BE
        assert not torch.allclose(other[0], told.vector_BE[0])


@breaks("nn/text.py", "attn_mask=real_BT[:, None, None]", "attn_mask=None")
@breaks("nn/text.py", "real_BT[..., None].to(x_BTD.dtype)", "torch.ones_like(x_BTD[..., :1])")
def test_padding_says_nothing(conditioner):
    """A longer row of the same caption gives the same."""
    short = {**GIVEN, "text": GIVEN["text"][:, :3]}
    with torch.no_grad():
        longer, shorter = conditioner(GIVEN), conditioner({**short, "text": short["text"]})
    assert torch.allclose(longer.vector_BE, shorter.vector_BE, atol=1e-5)


@breaks("nn/text.py", "self.place_TD = nn.Parameter(0.02", "self.place_TD = nn.Parameter(0.0")
def test_the_order_of_words_counts():
    torch.manual_seed(0)
    conditioner = Conditioner((), 16, text=WORDS).eval()
    both = torch.from_numpy(WORDS.rows(["ab", "ba"])).long()
    vectors = conditioner({"text": both}).vector_BE
    assert (vectors[0] - vectors[1]).abs().max() > 1e-5


@breaks("nn/condition.py", "rng.uniform(name, 1)[:rows] < rate", "rng.uniform(name, 1)[:1] < rate")
def test_rows_are_hidden_one_by_one_whole_and_by_part():
    n = 2000
    given = {name: value[:1].repeat(n, 1) for name, value in GIVEN.items()}
    hidden = hide(given, Rng(range(n)), 0.2)
    gone = torch.cat(
        [hidden["label"] < 0, hidden["number"].isnan(), hidden["text"][:, :1] == NO_CAPTION], 1
    )
    alone = 0.2 + 0.8 * 0.2  # with all others, or by itself
    assert torch.allclose(gone.float().mean(0), torch.full((4,), alone), atol=0.04)
    assert gone.all(1).float().mean().item() == pytest.approx(0.2, abs=0.04)
    whole = hidden["text"][gone[:, 3]]
    assert (whole == torch.tensor([NO_CAPTION] + [PADDING] * 5)).all()
    assert hide({}, Rng(range(3)), 0.5) == {}


def test_cross_attention_begins_with_nothing_and_takes_a_row_s_own_caption():
    torch.manual_seed(0)
    cross, image = CrossAttention(16), torch.randn(2, 16, 4, 4)
    tokens, real = torch.randn(2, 6, 128), torch.ones(2, 6, dtype=torch.bool)
    assert torch.equal(cross(image, tokens, real), image)
    wake(cross)
    changed = tokens.clone()
    changed[1] += 1
    before, after = cross(image, tokens, real), cross(image, changed, real)
    assert torch.equal(before[0], after[0]) and not torch.allclose(before[1], after[1])


def test_levels_that_attend_are_small_or_the_last():
    assert attending(16, 16, 1, 3) == [1, 2]
    assert attending(8, 8, 1, 2) == [0, 1]
    assert attending(256, 256, 4, 3) == [2]


@breaks("nn/condition.py", "(other_BT != text_BT).any(1) &", "")
@breaks("nn/condition.py", " & (other_BT[:, 0] != NO_CAPTION)", "")
@breaks("nn/condition.py", ".flip(1).flatten(0, 1)", ".flatten(0, 1)")
def test_captions_are_swapped_in_pairs_where_they_differ():
    said = ["a", "b", "c", "c", "d", "", "", ""]
    given = {"text": torch.from_numpy(WORDS.rows(said)).long(), "label": torch.zeros(8, 1).long()}
    seen = {**given, "text": torch.arange(8.0)[:, None]}
    other, differ = swapped(given, seen)
    assert other["text"][:, 0].tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    assert differ.tolist() == [1, 1, 0, 0, 0, 1, 0, 0]  # nobody is wrong under no caption
    assert other["label"] is given["label"]


@breaks("nn/condition.py", "told.mean_BD.detach()", "told.mean_BD")
def test_what_is_read_is_given_on_without_gradients(conditioner):
    given = {name: value for name, value in GIVEN.items() if name == "text"}
    told = Conditioner((), 8, text=WORDS)(given)
    other = Conditioner((), 4, text=WORDS, reads=False)
    other(read(given, told)).vector_BE.sum().backward()
    assert other.text is None and other.pooled.weight.grad.abs().sum() > 0
    assert told.mean_BD.requires_grad and not read(given, told)["text"].requires_grad
    assert read(GIVEN, Told(told.vector_BE)) is GIVEN


def test_the_sum_of_all_conditions_has_the_spread_that_is_asked_for():
    torch.manual_seed(0)
    label = torch.randint(0, 3, (64, 4))
    for spread in (1.0, 0.1):
        vectors = Conditioner([3] * 4, 256, spread=spread)({"label": label}).vector_BE
        assert vectors.std().item() == pytest.approx(spread, rel=0.1)
    assert Conditioner((), 8).told({}, 3).vector_BE.shape == (3, 0)
