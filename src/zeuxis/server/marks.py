"""The route that tells what the marks of a picture say."""

from typing import Annotated, Any

import fastapi
import pydantic
from fastapi import Query, Request
from fastapi.responses import Response

from zeuxis.server.bodies import read_body, unless_gone
from zeuxis.server.models import Models
from zeuxis.server.orders import VERIFY, Order

FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class Verdict(pydantic.BaseModel):
    """What is known of a file."""

    file: str
    answer: str
    """In short, as `zeuxis verify` prints it."""
    code: int
    """That command's exit code: 0 made by Zeuxis, 1 says it is AI-made, 3 edited since, 4 no mark found."""
    evidence: list[str]
    """Why, in sentences."""
    credentials: dict[str, Any] | None
    metadata: dict[str, Any] | None
    watermark: dict[str, Any] | None


def routes(models: Models) -> fastapi.APIRouter:
    """The one route."""
    router = fastapi.APIRouter()

    @router.post(
        "/verify",
        summary="What the marks of a picture or film tell.",
        response_model=Verdict,
        openapi_extra={"requestBody": {"required": True, "content": FILE}},
    )
    async def verify(
        request: Request,
        name: Annotated[str, Query(max_length=1000)] = "the file",
        thorough: bool = False,
    ) -> Response:
        models.check_room()
        body = await read_body(request, models.deadline)
        query = (("name", name), ("thorough", "true" if thorough else "false"))
        order = Order(number=0, verb=VERIFY, body=body, query=query)
        answer = await unless_gone(models.ask(order), request)
        return Response(answer.body, answer.status, media_type=answer.media)

    return router
