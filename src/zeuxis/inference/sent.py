"""Files that come with a request, as bytes or as base64 in JSON: decoded, and what they say of themselves."""

import base64
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Invalid, TooLarge

if TYPE_CHECKING:
    import numpy as np

    from zeuxis.data.preparation.decode import Target
    from zeuxis.marks.metadata import Kept


def file_bytes(value: Any, what: str) -> bytes:
    """The bytes of a file, which JSON has as base64.

    Raises:
        Invalid: it is no base64.
    """
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{what} is no file as base64 ({error})") from error


@dataclasses.dataclass(frozen=True)
class Sent:
    """Images that came with a request. Names of their files are not told; one that is broken refuses all.

    Attributes:
        images: as the verb takes them.
        kept: what the file of each said of itself.
        profiles: RGB colour profile of each that has one, if what is made of it is to have it, too.
    """

    images: "np.ndarray | list[np.ndarray]"
    kept: "Sequence[Kept | None]"
    profiles: Sequence[bytes | None] = ()


def told(values: Any, tell: Callable[[bytes], Any]) -> list[Any]:
    """What is told of the content of each file."""
    return [tell(file_bytes(value, "a file")) for value in values]


def decoded(values: Any, what: str, target: "Target", most: int) -> "np.ndarray":
    """(N, *target.shape) of N encoded images, by the decoder that sources have."""
    import numpy as np

    return np.stack(each(values, what, lambda content: target, most))


def each(
    values: Any, what: str, target: "Callable[[bytes], Target | None]", most: int
) -> "list[np.ndarray]":
    """Encoded images as arrays, each brought to what `target` says of it.

    The caller has entered `decode.guarded`, which is the process's.

    Raises:
        Invalid: no list, or one of them cannot be read.
        TooLarge: more than `most`.
    """
    from zeuxis.data.preparation.decode import decode

    if not isinstance(values, list) or not values:
        raise Invalid(f"{what}: expected a list of at least 1 image file, as base64")
    check_count(len(values), most)
    found = []
    for index, value in enumerate(values):
        where = f"{what}[{index}]" if len(values) > 1 else what
        try:
            content = file_bytes(value, where)
            found.append(decode(content, target(content)).pixels_HWC)
        except Invalid as error:
            raise Invalid(f"{where} cannot be read as an image ({error})") from error
    return found


def check_count(count: int, most: int) -> None:
    """Refuse more images than one request may have.

    Raises:
        TooLarge: there are more.
    """
    if count > most:
        raise TooLarge(f"found {count:,} images and one request may have {most:,}")
