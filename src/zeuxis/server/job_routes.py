"""Routes of jobs, of what they may train on, and of their events."""

import asyncio
import collections
import itertools
import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import fastapi
import pydantic
from fastapi import Header, Query, Request
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.server.bodies import json_object, unless_gone
from zeuxis.server.guard import API
from zeuxis.server.jobs import EVENTS, EXPORT, KINDS, JobFacts, Jobs, read_request, without_folders
from zeuxis.server.problems import Late, Refused
from zeuxis.server.stream import events

PAGE = 1000
"""Jobs of an answer at most."""
PATIENCE = 300.0
"""Seconds for an estimate, which may prepare the pictures first."""
KEPT = 200
"""Estimates."""


def routes(jobs: Jobs) -> fastapi.APIRouter:
    """All of them."""
    router = fastapi.APIRouter()
    for part in (_made(jobs), _seen(jobs), _asked(jobs), _sources(jobs)):
        router.include_router(part)
    return router


def _made(jobs: Jobs) -> fastapi.APIRouter:
    router, estimates = fastapi.APIRouter(), Estimates(jobs)

    @router.post(
        "/jobs",
        status_code=202,
        summary="Train, evaluate, prepare, export: source is one of /sources, run and start_from of /runs.",
        response_model=JobFacts,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": _content({"oneOf": [_schema(kind) for kind in KINDS]}),
            }
        },
    )
    async def create(
        request: Request, idempotency_key: Annotated[str | None, Header(max_length=200)] = None
    ) -> Response:
        body = await json_object(request)
        job, new = await asyncio.to_thread(jobs.create, body, idempotency_key)
        place = {"Location": f"{API}/jobs/{job.id}"}
        return JSONResponse(jobs.facts(job).model_dump(), 202 if new else 200, place)

    @router.post(
        "/estimate",
        summary="What a training would take, from a few steps made now; one after another.",
        openapi_extra={"requestBody": {"required": True, "content": _content(_estimated())}},
    )
    async def estimate(request: Request) -> Estimate:
        body = await json_object(request)
        asked = body.get("request")
        if set(body) != {"request"} or not isinstance(asked, dict):
            raise Invalid('expected {"request": {...}}, as for a job')
        told: Estimate = await unless_gone(estimates.of(asked), request)
        return told

    return router


def _seen(jobs: Jobs) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get("/jobs", summary="Jobs, oldest first.", response_model=JobList)
    def listed(
        state: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    ) -> Response:
        found = jobs.listed()
        if after is not None:
            last = jobs.get(after).id
            found = itertools.islice(
                itertools.dropwhile(lambda one: one.id != last, found), 1, None
            )
        chosen = list(
            itertools.islice((one for one in found if state in (None, one.state)), limit + 1)
        )
        told = JobList(jobs=chosen[:limit], more=len(chosen) > limit)
        return Response(told.model_dump_json(), media_type="application/json")

    @router.get("/jobs/{job}", summary="State, request, and how it ended.")
    def shown(job: str) -> JobFacts:
        return jobs.facts(jobs.get(job))

    @router.get(
        "/jobs/{job}/log",
        summary="The end of what its process printed.",
        response_class=PlainTextResponse,
    )
    def log(job: str) -> PlainTextResponse:
        return PlainTextResponse(jobs.get(job).log())

    @router.get(
        "/jobs/{job}/export",
        summary="The file that an export left.",
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}},
    )
    def exported(job: str) -> FileResponse:
        found = next((jobs.get(job).folder / EXPORT).glob("*.*"), None)
        if found is None or jobs.facts(jobs.get(job)).state != "finished":
            raise NotFound(f"job {job} left no export, or has not yet")
        return FileResponse(found, filename=found.name)

    @router.get(
        "/events",
        summary="What happens in all jobs, or in one, as server-sent events.",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
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
    def act(job: str, action: Literal["pause", "stop", "resume"]) -> JobFacts:
        found = jobs.get(job)
        if action == "resume":
            found.resume()
        else:
            found.ask(action)
        return jobs.facts(found)

    @router.delete("/jobs/{job}", summary="Cancel it; its files stay.")
    def cancel(job: str) -> JobFacts:
        jobs.get(job).ask("cancel")
        return jobs.facts(jobs.get(job))

    return router


def _sources(jobs: Jobs) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get("/sources", summary="Names of what may be trained on.")
    def sources() -> dict[str, list[str]]:
        return {"sources": sorted(jobs.sources())}

    return router


class JobList(pydantic.BaseModel):
    """A page of jobs."""

    jobs: list[JobFacts]
    more: bool
    """Whether there are others after the last."""


class Estimate(pydantic.BaseModel):
    """What a training would take."""

    steps: int
    seconds_per_step: float
    seconds: float
    """Until a first report."""
    measuring_seconds: float
    """At most, after that."""
    memory_bytes: int
    disk_bytes: int
    parameters: int
    remark: str
    """What was seen of the machine that its user should know."""


class Estimates:
    """Estimates, each by a process of its own, one at a time; those of what did not change are kept."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._lock = jobs, asyncio.Lock()
        self._kept: collections.OrderedDict[str, Estimate] = collections.OrderedDict()

    async def of(self, asked: Mapping[str, Any]) -> Estimate:
        """The estimate for a request as a client writes it.

        Raises:
            Error: what is wrong with it, or it takes too long.
        """
        request = read_request("train", asked)
        paths = self._jobs.named(request)
        given = json.dumps({**asked, **paths}, sort_keys=True)
        key = f"{given} {self._jobs.sets.get(str(asked['source'])).revision}"
        async with self._lock:
            if key not in self._kept:
                await asyncio.to_thread(self._jobs.sets.tend)
                self._kept[key] = await _measured(given, paths, asked)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]


async def _measured(request: str, paths: Mapping[str, str], asked: Mapping[str, Any]) -> Estimate:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "zeuxis.server.estimate", request),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            written, _ = await process.communicate()
    except TimeoutError as error:
        raise Late(
            f"no estimate within {PATIENCE:g} seconds; a job may begin all the same"
        ) from error
    finally:  # also if nobody waits for it any more
        if process.returncode is None:
            process.kill()
    told = json.loads(written.splitlines()[-1]) if written.strip() else {}
    if "detail" in told:
        detail = without_folders(told["detail"], paths, asked)
        raise Refused(told["status"], detail, told.get("code", ""))
    if not told:
        raise Late("the process that estimates ended without a word; the server's log may say why")
    return Estimate.model_validate(told)


def _schema(kind: str) -> dict[str, Any]:
    schema = KINDS[kind].model_json_schema(ref_template="#/components/schemas/{model}")
    shared = schema.pop("$defs", {})
    if "Overrides" in shared:
        for one in shared["Overrides"]["properties"].values():
            one["additionalProperties"] = True  # any JSON
        schema["properties"]["overrides"] = shared["Overrides"]
    fields = {"kind": {"const": kind}, "request": schema}
    needed = ["request"] if kind == "train" else ["kind", "request"]
    return {"type": "object", "required": needed, "properties": fields}


def _estimated() -> dict[str, Any]:
    whole = _schema("train")
    return {**whole, "properties": {"request": whole["properties"]["request"]}}


def _content(schema: dict[str, Any]) -> Mapping[str, Any]:
    return {"application/json": {"schema": schema}}
