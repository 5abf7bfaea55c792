"""A last stage of all verbs that give pictures: whether what is written says where it comes from."""

import dataclasses
from typing import TYPE_CHECKING, Any

from zeuxis.inference.arguments import Switch
from zeuxis.inference.results import Visual
from zeuxis.inference.verb import Stage

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnmarkedOf(Switch):
    """Yes or no; provenance says it where it is yes."""

    def plain(self, value: Any) -> Any:
        """True, or nothing."""
        return value or None


def marked(result: Visual, unmarked: bool, progress: "Progress | None" = None) -> Visual:
    """The same; `unmarked` lies in its provenance, which is all that writing asks."""
    return result


MARK = Stage(
    of=Visual,
    run=marked,
    arguments={
        "unmarked": UnmarkedOf(
            help="Write the pictures without any mark that they are AI-generated; their record says so.",
        ),
    },
    defaults={"unmarked": False},
)
"""Follows every verb that gives pictures."""
