"""Text as token ids: nothing is lost, and equal captions learn equal merges."""

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.core.vocabulary import FIRST, NO_CAPTION, PADDING, Vocabulary, plain, words

CAPTIONS = ["a red cat", "a blue cat, with long hair", "long long hair", "ein Bär", "猫"]


@breaks(
    "core/vocabulary.py", "known.append(known[a] + known[b])", "known.append(known[b] + known[a])"
)
@pytest.mark.parametrize(
    "text",
    [
        "a red cat",
        "",
        " two  spaces\n\ttab ",
        "Ünïcödé",
        "猫が好き",
        "🙂👩‍👩‍👧",
        "\x00\x7f",
        "aaaa aaa",
    ],
)
def test_ids_give_any_text_back(text):
    known = Vocabulary.learn([*CAPTIONS, "aaaa aaa aa a"])
    assert known.decode(known.encode(text)) == text
    assert all(FIRST <= one < known.size for one in known.encode(text))


def test_merges_are_those_that_occur_most_and_stay_inside_words():
    known = Vocabulary.learn(["ab ab abc", "xab"])
    assert known.decode([known.encode("ab")[0]]) == "ab"
    assert all(" " not in known.decode([one])[1:] for one in range(FIRST, known.size))
    assert known == Vocabulary.learn(["xab", "ab ab abc"])
    assert Vocabulary.learn(CAPTIONS, merges=3).size == FIRST + 256 + 3


@breaks("core/vocabulary.py", "[: self.length] or [NO_CAPTION]", "[: self.length]")
def test_rows_are_of_one_length_in_small_letters_and_say_when_nothing_is_said():
    known = Vocabulary.learn(CAPTIONS)
    rows = known.rows(["A Red  CAT", "a red cat", "", "  "])
    assert rows.dtype == np.int16 and rows.shape == (4, known.length)
    assert (rows[0] == rows[1]).all() and known.decode(
        rows[0][rows[0] > NO_CAPTION]
    ) == " a red cat"
    assert rows[2:].tolist() == [[NO_CAPTION] + [PADDING] * (known.length - 1)] * 2


@breaks("core/vocabulary.py", "[self.length :]", "[self.length + 1 :]")
def test_what_does_not_fit_is_told():
    known = Vocabulary(length=4)
    assert known.cut("abcdefg") == "defg"
    assert known.cut("abc") == ""


def test_words_and_signs_stand_apart():
    assert plain("Red cat,red dog!") == " red cat , red dog !"
    assert words("Red cat,red dog!") == ["red", "cat", "red", "dog"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"merges": [[2, 258]], "length": 8},
        {"merges": [[0, 5]], "length": 8},
        {"merges": [], "length": 0},
        {"merges": [[2, 3]] * 5000, "length": 8},
    ],
)
def test_a_strangers_merges_are_checked(wrong):
    with pytest.raises(ValueError):
        Vocabulary.model_validate(wrong)
