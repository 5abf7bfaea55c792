"""What the HTTP process and the process that holds the models say to one another, through a pipe.

The first imports no torch, so that it starts at once and stays small; the second answers in bytes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from zeuxis.core.errors import NotFound
from zeuxis.core.settings import suggest
from zeuxis.create.verbs import VERBS as OF_PICTURES
from zeuxis.inference.verbs import VERBS as OF_MODELS

VERBS = {**OF_MODELS, **OF_PICTURES}
"""All that can be ordered; what needs no ability takes no run."""

PICTURE = "+picture"
"""In place of a verb: the body, a picture, as a PNG file of what the decoder makes of it, with the header
`size`: width and height."""
THUMB = "+thumb"
"""In place of a verb: the body, a picture, as a WebP file; the query says its longest side in pixels."""
VERIFY = "+verify"
"""In place of a verb: what the marks of the body, a picture or film, tell; the query: `name`, `thorough`."""
FAMILY = "+family"
"""In place of a verb: the schemas of the family that the body names."""
DESCRIBE = ""
"""In place of a verb: the facts about a run, and the schemas of what can be asked of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """A request for a verb.

    Attributes:
        number: that the answer will have.
        verb: name.
        run: as clients call it.
        folder: of the run; None for verbs that take none.
        others: folders of all runs, as clients call them.
        media: type of the body.
        query: names and values of the URL's query.
        body: JSON, or the bytes of the one file that the verb takes.
        accept: types of answers.
    """

    number: int
    verb: str
    run: str = ""
    folder: Path | None = None
    others: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    media: str = "application/json"
    query: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    accept: str = "*/*"


@dataclasses.dataclass(frozen=True)
class Cancel:
    """Nobody waits any more for the answer to an order."""

    number: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """To an order: an HTTP response without its connection.

    Attributes:
        number: of the order.
        status: of HTTP.
        media: type of the body.
        body: of the response.
        headers: more of them.
        batches: network calls of all orders so far.
        images: rows in them.
    """

    number: int
    status: int
    media: str
    body: bytes
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    batches: int = 0
    images: int = 0


def find(runs: Mapping[str, Path], run: str) -> Path:
    """The folder of a run.

    Raises:
        NotFound: there is none of that name.
    """
    if run not in runs:
        raise NotFound(f"no run {run[:80]!r} here; {suggest(run, runs)}")
    return runs[run]
