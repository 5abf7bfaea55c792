"""What is printed of other people's files neither acts on a terminal nor hides in it."""

import unicodedata

import pytest

from tests.support.sabotage import breaks
from zeuxis.core.words import code, printable

HONEST = [
    "cat", "Müller & søn", "naïve", "猫の写真",
    "Ελληνικά", "שלום", "قطة", "กระเป๋า", "हिन्दी", "a\u00a0b", "C:\\photos",
    "می\u200cخواهم",  # Persian: without its joiner another word
    "ക\u0d4d\u200dഷ",  # Malayalam
    "👩\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "👍🏽", "e\u0301",
]  # fmt: skip
HOSTILE = {
    "\x1b]0;owned\x07\x1b[2J": r"\x1b]0;owned\x07\x1b[2J",
    "a\nb\tc\rd\x00": r"a\x0ab\x09c\x0dd\x00",
    "\x7f\x85\x9b31m": r"\x7f\x85\x9b31m",
    "cat\u202egnp.exe": r"cat\u202egnp.exe",
    "\u2066x\u2069\u200e\u061c": r"\u2066x\u2069\u200e\u061c",
    "a\u2028b\u2029c": r"a\u2028b\u2029c",
    "c\u200dat c\u200cat c\u200bat \ufeffcat": r"c\u200dat c\u200cat c\u200bat \ufeffcat",
    "co\u00adop": r"co\xadop",
    "猫\u200d\u200d犬 \u200d": r"猫\u200d\u200d犬 \u200d",
    "\ud800x\udcff": r"\ud800x\udcff",
    "\U000e0041\U0001f600": "\\U000e0041\U0001f600",
}


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_of_any_script_stays(text):
    assert printable(text) == text


@breaks("core/words.py", "in ESCAPED and not _joins(text, at)", '== "Cc"')
@breaks("core/words.py", "and all(c > ", "or all(c > ")
@pytest.mark.parametrize("text", HOSTILE)
def test_what_acts_or_hides_is_seen(text):
    assert printable(text) == HOSTILE[text]
    assert printable(printable(text)) == printable(text)


def test_lines_keep_their_newlines_and_nothing_else():
    assert (
        printable("MIT\r\n\tno\x1b[m\nwarranty\r", lines=True)
        == "MIT\n        no\\x1b[m\nwarranty\\x0d"
    )


def test_every_character_that_acts_is_escaped_alone():
    for number in (*range(0x10000), *range(0xE0000, 0xE0200)):
        seen = printable(chr(number))
        assert (seen == chr(number)) == (
            unicodedata.category(chr(number)) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        )
        assert not set(map(unicodedata.category, seen)) & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@breaks("core/words.py", "(ticks + 1)", "1")
def test_code_stands_between_more_backticks_than_it_holds():
    assert code("a`b``c") == "``` a`b``c ```"
