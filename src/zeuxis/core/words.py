"""Text from somebody else's files, made fit for a terminal, an HTML page or Markdown."""

import html
import re
import unicodedata

ESCAPED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode's categories of what is not seen but acts: controls, formats, halves of pairs, separators."""
JOINERS = "\u200c\u200d"


def printable(text: str, lines: bool = False) -> str:
    r"""The text with what would act on a terminal or hide in it escaped.

    That is controls such as ESC, what turns the direction of writing, what has no width, and halves
    of pairs of surrogates.

    Honest text in any script stays as it is. So do the two joiners between characters outside of ASCII:
    Persian and Indic words are spelled with them, and emoji are built with them; elsewhere they only
    make two names look like one.

    Args:
        text: anything.
        lines: keep newlines, and make spaces of tabs, as for a licence of many lines.

    >>> printable("a\x1b[2Jb\n\u202ec"), printable("a\tb\r\nc", lines=True)
    ('a\\x1b[2Jb\\x0a\\u202ec', 'a       b\nc')
    """
    if lines:
        return "\n".join(
            printable(line.expandtabs()) for line in text.replace("\r\n", "\n").split("\n")
        )
    if text.isprintable():
        return text
    return "".join(
        _escape(c) if unicodedata.category(c) in ESCAPED and not _joins(text, at) else c
        for at, c in enumerate(text)
    )


def markup(text: str, lines: bool = False) -> str:
    r"""The text as HTML shows it, between tags or as a quoted attribute; `lines` as for `printable`.

    >>> markup("<b>\x1b")
    '&lt;b&gt;\\x1b'
    """
    return html.escape(printable(text, lines))


def code(text: str) -> str:
    """The text as a code span of Markdown, in which no other character has a meaning (CommonMark 0.31, 6.1).

    >>> code("hair_colour"), code("a`b")
    ('`hair_colour`', '`` a`b ``')
    """
    ticks = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (ticks + 1), " " if ticks else ""
    return f"{fence}{space}{printable(text)}{space}{fence}"


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands between two characters that may need one."""
    around = text[at - 1 : at] + text[at + 1 : at + 2]
    return (
        text[at] in JOINERS
        and len(around) == 2
        and all(c > "\x7f" and unicodedata.category(c) not in ESCAPED for c in around)
    )


def _escape(character: str) -> str:
    r"""Such as \x1b, \u202e or \U000e0001."""
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
