"""Arguments that commands share, examples in help pages, and `name=value` words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from zeuxis.core.errors import Invalid, NotFound


def word(name: str, help: str) -> Any:
    """What goes by its place on a command line."""
    return typer.Argument(metavar=name, help=help, show_default=False)


Source = Annotated[
    str,
    word(
        "SOURCE",
        "A folder, zip, tar, idx, npz, npy or parquet file of images, "
        "a prepared set, or the name of a known set such as avatars.",
    ),
]
Trained = Annotated[
    Path,
    word("RUN", "The folder that `zeuxis train` wrote."),
]


def examples(*lines: str) -> str:
    """The closing words of a command's help."""
    return "\n  ".join(["Examples:", *lines])


Controls = Annotated[
    list[str] | None,
    word(
        "CONTROL=VALUE",
        "Controls of the family, such as steps=20; `zeuxis train FAMILY --help-all` lists them.",
    ),
]


DataWords = Annotated[
    list[str] | None,
    word(
        "data.NAME=VALUE",
        "Settings of the data, such as data.pairs=A:B or data.pair=grey for pairs.",
    ),
]


def data_words(words: Sequence[str] | None) -> dict[str, str]:
    """`data.name=value` words by name.

    Raises:
        NotFound: a word of another group.
    """
    named = pairs(words, "data.pairs=A:B")
    for path in named:
        if not path.startswith("data."):
            raise NotFound(f"no setting {path!r} here; settings of data start with data.")
    return {path.removeprefix("data."): value for path, value in named.items()}


def pairs(words: Sequence[str] | None, example: str) -> dict[str, str]:
    """`name=value` words as a dictionary; the last of a repeated name counts."""
    for word in words or ():
        if not word.partition("=")[1]:
            raise Invalid(f"cannot read {word!r}: expected NAME=VALUE, such as {example}")
    return dict(word.split("=", 1) for word in words or ())
