"""Bodies of requests, read within a time, and clients that go before their answer."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from zeuxis.core.errors import Invalid, Stopped, TooLarge
from zeuxis.core.files import parse_json
from zeuxis.server.guard import MOST_BYTES
from zeuxis.server.problems import Late

PATIENCE = 60.0
"""Seconds for a body that waits for nothing else."""


async def read_body(request: Request, seconds: float = PATIENCE) -> bytes:
    """The body, if it comes within the time and its bound (which the guard keeps).

    Raises:
        Late: it does not come.
        TooLarge: it is longer.
    """
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError as error:
        raise Late(f"the body did not come within {seconds:g} seconds") from error
    except ClientDisconnect as error:
        raise TooLarge(f"a body has at most {MOST_BYTES >> 20} MiB") from error


async def json_object(request: Request) -> dict[str, Any]:
    """The JSON object that a body holds.

    Raises:
        Invalid: it is something else.
    """
    try:
        return parse_json(await read_body(request) or b"{}")
    except ValueError as error:
        raise Invalid(f"the body is no JSON object ({error})") from error


async def unless_gone(asked: Awaitable[Any], request: Request) -> Any:
    """What is awaited; it is cancelled if the client goes. The body has been read.

    Raises:
        Stopped: the client has gone.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(asked), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise Stopped("the client has gone")
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
