"""Answers that say what went wrong, as `application/problem+json` (RFC 9457)."""

import http
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from zeuxis.core.errors import Error

MEDIA = "application/problem+json"
DEFECT = "a defect of this library; the server's log has its traceback"


TROUBLE: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What is wrong, in a sentence.", "content": {MEDIA: {}}},
    "5XX": {"description": "Why it cannot be done, in a sentence.", "content": {MEDIA: {}}},
}
"""Answers of every route, as OpenAPI has them."""


class Busy(Error):
    """More is waiting than the queue holds."""

    status = 429


class Late(Error):
    """The answer would have come after the deadline."""

    status = 504


class Lost(Error):
    """The process that holds the models has ended."""

    status = 503


class Full(Error):
    """The disk, or what a client may use of it, takes no more."""

    status = 507


class Refused(Error):
    """What another process said of a request.

    Args:
        status: of HTTP.
        sentence: for the client.
        kind: name of the error class there.
    """

    def __init__(self, status: int, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.status, self.kind = status, kind  # type: ignore[misc]


class Unacceptable(Error):
    """The result has no form that the request accepts."""

    status = 406


def body(status: int, detail: str, code: str = "") -> bytes:
    """The JSON text of a problem.

    Args:
        status: of HTTP.
        detail: a sentence.
        code: name of the error class, which programs may rely on.
    """
    known = status in {one.value for one in http.HTTPStatus}
    title = http.HTTPStatus(status).phrase if known else "Stopped"
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return json.dumps(told | ({"code": code} if code else {})).encode()


def problem(
    status: int, detail: str, code: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """An answer; the arguments are those of `body`, and more headers."""
    later = {"Retry-After": "1"} if status in (429, 503) else {}
    return Response(body(status, detail, code), status, {**later, **(headers or {})}, MEDIA)


def of_error(error: Error) -> Response:
    """An answer for what was raised on purpose."""
    kind = error.kind if isinstance(error, Refused) else type(error).__name__
    return problem(error.status, str(error), kind)
