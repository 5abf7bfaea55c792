"""A last stage of all verbs that give pictures: whether and how what is written says where it comes from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeuxis.inference.arguments import Switch
from zeuxis.inference.results import Visual
from zeuxis.inference.verb import Argument, Stage

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress
    from zeuxis.marks.watermark import Key


@dataclasses.dataclass(frozen=True, kw_only=True)
class SaidOf(Switch):
    """Yes or no; provenance says it where it is yes."""

    def plain(self, value: Any) -> Any:
        """True, or nothing."""
        return value or None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CredentialsOf(Switch):
    """Yes, no, or whatever is installed."""

    word: Any = bool | None
    body: Any = bool | None

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> Any:
        """The value.

        Raises:
            Unable: yes, and the packages are missing.
        """
        from zeuxis.marks import credentials

        if value is not None and super().check(model, value, given):
            credentials.needed()
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyOf(Argument):
    """The file of a private key, or a key."""

    def check(self, model: Any, value: Any, given: Mapping[str, Any]) -> "Key | None":
        """The key, if one was given."""
        from zeuxis.marks.watermark import Key

        return value if value is None or isinstance(value, Key) else Key.load(value)

    def plain(self, value: Any) -> Any:
        """The key's number, which says nothing of the key."""
        key = self.check(None, value, {})
        return None if key is None else f"{key.number:06x}"


def marked(
    result: Visual,
    unmarked: bool,
    mark_key: "Key | None",
    credentials: bool | None,
    recipe: bool,
    progress: "Progress | None" = None,
) -> Visual:
    """The same with the key; the rest lies in its provenance, where writing finds it."""
    return dataclasses.replace(result, key=mark_key)


MARK = Stage(
    of=Visual,
    run=marked,
    arguments={
        "unmarked": SaidOf(
            help="Write the pictures without any mark that they are AI-generated; their record says so."
        ),
        "mark_key": KeyOf(
            help="File of a private key for the watermark, instead of the one that every Zeuxis has.",
            word=Path | None,
            body=None,
            metavar="FILE",
        ),
        "credentials": CredentialsOf(
            help="Sign the pictures with this user's own key (C2PA); by default where that is installed.",
        ),
        "recipe": SaidOf(
            help="Write into each picture's file what was asked for, so that it can be made again.",
        ),
    },
    defaults={"unmarked": False, "recipe": False},
)
"""Follows every verb that gives pictures."""
