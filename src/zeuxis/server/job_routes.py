"""Routes of jobs, of what they may train on, and of their events."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import fastapi
from fastapi import Header, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from zeuxis.core.request import Request as Training
from zeuxis.server.bodies import json_object
from zeuxis.server.guard import API
from zeuxis.server.jobs import EVENTS, Jobs
from zeuxis.server.stream import events

PAGE = 1000
"""Jobs of an answer at most."""


def routes(jobs: Jobs) -> fastapi.APIRouter:
    """All of them."""
    router = fastapi.APIRouter()
    for part in (_made(jobs), _seen(jobs), _asked(jobs), _sources(jobs)):
        router.include_router(part)
    return router


def _made(jobs: Jobs) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.post(
        "/jobs",
        status_code=202,
        summary="Train a model: the source is a name of /sources, start_from one of /runs.",
        openapi_extra={"requestBody": {"required": True, "content": _body()}},
    )
    async def create(
        request: Request, idempotency_key: Annotated[str | None, Header(max_length=200)] = None
    ) -> Response:
        body = await json_object(request)
        job, new = await asyncio.to_thread(jobs.create, body, idempotency_key)
        return JSONResponse(job.facts(), 202 if new else 200, {"Location": f"{API}/jobs/{job.id}"})

    return router


def _seen(jobs: Jobs) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get("/jobs", summary="Jobs, oldest first.")
    def listed(
        state: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    ) -> dict[str, Any]:
        found = jobs.all()
        if after is not None:
            found = found[found.index(jobs.get(after)) + 1 :]
        facts = (job.facts() for job in found)
        chosen = [one for one in facts if state in (None, one["state"])]
        return {"jobs": chosen[:limit], "more": len(chosen) > limit}

    @router.get("/jobs/{job}", summary="State, request, and how it ended.")
    def shown(job: str) -> dict[str, Any]:
        return jobs.get(job).facts()

    @router.get("/jobs/{job}/log", summary="The end of what its process printed.")
    def log(job: str) -> PlainTextResponse:
        return PlainTextResponse(jobs.get(job).log())

    @router.get("/events", summary="What happens in all jobs, or in one, as server-sent events.")
    async def stream(
        job: str | None = None,
        after: Annotated[int | None, Query(ge=0)] = None,
        last_event_id: Annotated[int | None, Header(ge=0)] = None,
    ) -> StreamingResponse:
        seen = after if last_event_id is None else last_event_id
        return StreamingResponse(
            events(jobs.folder / EVENTS, seen, job), media_type="text/event-stream"
        )

    return router


def _asked(jobs: Jobs) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.post(
        "/jobs/{job}/{action}", summary="Pause it, stop it and keep what it learned, or resume it."
    )
    def act(job: str, action: Literal["pause", "stop", "resume"]) -> dict[str, Any]:
        found = jobs.get(job)
        if action == "resume":
            found.resume()
        else:
            found.ask(action)
        return found.facts()

    @router.delete("/jobs/{job}", summary="Cancel it; its files stay.")
    def cancel(job: str) -> dict[str, Any]:
        jobs.get(job).ask("cancel")
        return jobs.get(job).facts()

    return router


def _sources(jobs: Jobs) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get("/sources", summary="Names of what may be trained on.")
    def sources() -> dict[str, list[str]]:
        return {"sources": sorted(jobs.sources())}

    return router


def _body() -> Mapping[str, Any]:
    schema = Training.model_json_schema(ref_template="#/components/schemas/{model}")
    overrides = schema.pop("$defs")["Overrides"]
    for one in overrides["properties"].values():
        one["additionalProperties"] = True  # any JSON
    schema["properties"]["overrides"] = overrides
    fields = {"kind": {"const": "train"}, "request": schema}
    whole = {"type": "object", "required": ["request"], "properties": fields}
    return {"application/json": {"schema": whole}}
