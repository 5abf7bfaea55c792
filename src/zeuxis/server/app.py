"""The routes: one for each verb, made from its declaration, and what a client needs around them."""

import asyncio
import contextlib
import errno
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import fastapi
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from zeuxis import __version__
from zeuxis.core.errors import Error
from zeuxis.inference.results import Images, Walk
from zeuxis.inference.verb import Verb
from zeuxis.server import dataset_routes, job_routes, marks, pages, problems, run_routes
from zeuxis.server.bodies import json_object, read_body, unless_gone
from zeuxis.server.guard import API, Keys
from zeuxis.server.jobs import Jobs
from zeuxis.server.models import Models
from zeuxis.server.orders import DESCRIBE, VERBS, Order, find

RUN = {"name": "run", "in": "path", "required": True, "schema": {"type": "string"}}
"""In the path of a verb of a model."""
PART = re.compile(r"\{\w+\}")
"""Of a route's path, what stands for a name."""
FILMS = ["image/webp", "image/gif"]
"""Forms of a walk as a film."""
LOOK = 0.5
"""Seconds between looks at the jobs."""


def make(
    models: Models,
    keys: Keys,
    runs: Mapping[str, Path],
    jobs: Jobs | None = None,
    files: Mapping[str, pages.File] | None = None,
) -> FastAPI:
    """The application, without its guard.

    Args:
        models: what answers orders.
        keys: the secrets of the server.
        runs: folders of trained models, as clients call them.
        jobs: of training, if the server takes any.
        files: of the studio's page, if the server shows it.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        models.start()
        tending = asyncio.create_task(_tend(jobs)) if jobs is not None else None
        yield
        if tending is not None:
            tending.cancel()
        if jobs is not None:
            jobs.sets.close()
        models.close()

    app = FastAPI(
        title="Zeuxis",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        responses=problems.TROUBLE,
    )
    app.add_exception_handler(Error, _of_error)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(OSError, _of_system)
    app.add_exception_handler(Exception, _of_defect)
    counts = Counts(models)
    app.include_router(_around(models, keys, runs, counts), prefix=API)
    app.include_router(_verbs(models, runs, counts), prefix=API)
    app.include_router(run_routes.routes(models, runs), prefix=API)
    app.include_router(marks.routes(models), prefix=API)
    if jobs is not None:
        app.include_router(job_routes.routes(jobs), prefix=API)
        app.include_router(dataset_routes.routes(jobs, models), prefix=API)
    app.include_router(pages.routes(files or {}))
    return app


async def _tend(jobs: Jobs) -> None:
    """Look after jobs for as long as the server runs."""
    while True:
        with contextlib.suppress(OSError):  # a disk that is full now may not be soon
            await asyncio.to_thread(jobs.sets.tend)
            await asyncio.to_thread(jobs.tend)
        await asyncio.sleep(LOOK)


def _around(
    models: Models, keys: Keys, runs: Mapping[str, Path], counts: "Counts"
) -> fastapi.APIRouter:
    """What is there for any model: health, session, metrics, the list of runs."""
    router = fastapi.APIRouter()

    @router.get("/health", summary="Whether the server answers; needs no token.")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @router.post("/session", status_code=204, summary="Exchange a ticket for a cookie, once.")
    async def session(request: Request) -> Response:
        value = keys.redeem(str((await json_object(request)).get("ticket", "")))
        if value is None:
            return problems.problem(
                401, "the ticket is wrong or was used; start the server again for another"
            )
        answer = Response(status_code=204)
        answer.set_cookie(keys.cookie, value, httponly=True, samesite="strict")
        return answer

    @router.get(
        "/metrics", summary="Figures for Prometheus, as text.", response_class=PlainTextResponse
    )
    async def metrics() -> Response:
        return Response(counts.text(), media_type="text/plain; version=0.0.4")

    @router.get("/runs", summary="Names of the trained models.")
    async def listed() -> dict[str, list[str]]:
        return {"runs": sorted(runs)}

    @router.get("/runs/{run}", summary="What a model is, and the JSON schema of each request.")
    async def described(run: str) -> Response:
        answer = await models.ask(Order(number=0, verb=DESCRIBE, run=run, folder=find(runs, run)))
        return Response(answer.body, answer.status, media_type=answer.media)

    return router


def _verbs(models: Models, runs: Mapping[str, Path], counts: "Counts") -> fastapi.APIRouter:
    """A route for each verb."""
    router = fastapi.APIRouter()
    for verb in VERBS.values():
        router.add_api_route(
            f"/runs/{{run}}/{verb.name}" if verb.needs else f"/{verb.name}",
            _endpoint(verb, models, runs, counts),
            methods=["POST"],
            name=verb.name,
            summary=verb.summary,
            response_class=Response,
            responses=_responses(verb),
            openapi_extra={
                "requestBody": {"required": False, "content": _bodies(verb)},
                "parameters": [RUN] if verb.needs else [],
            },
        )
    return router


def _endpoint(
    verb: Verb, models: Models, runs: Mapping[str, Path], counts: "Counts"
) -> Callable[..., Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        run = request.path_params.get("run", "")
        folder = find(runs, run) if verb.needs else None
        models.check_room()
        began = time.monotonic()
        order = Order(
            number=0,
            verb=verb.name,
            run=run,
            folder=folder,
            others=dict(runs) if verb.stages else {},
            media=request.headers.get("content-type", "application/json")
            .split(";")[0]
            .strip()
            .lower(),
            query=request.query_params.multi_items(),
            body=await read_body(request, models.deadline),
            accept=request.headers.get("accept", "*/*"),
        )
        answer = await unless_gone(models.ask(order), request)
        counts.count(verb.name, answer.status, time.monotonic() - began)
        return Response(answer.body, answer.status, answer.headers, answer.media)

    return endpoint


def _bodies(verb: Verb) -> dict[str, Any]:
    """The forms of a body, by type."""
    content: dict[str, Any] = {"application/json": {"schema": verb.body().model_json_schema()}}
    if len(verb.files) == 1:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return content


def _responses(verb: Verb) -> dict[int | str, dict[str, Any]]:
    forms = ["application/json", verb.gives.MEDIA]
    forms += FILMS if issubclass(verb.gives, Walk) else []
    forms += ["image/png"] if "png" in verb.gives.WRITES or issubclass(verb.gives, Images) else []
    good = {"description": verb.gives.WRITES, "content": {form: {} for form in forms}}
    return {200: good}


async def _of_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, Error)
    return problems.of_error(error)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"{error.detail}: {request.method} {request.url.path}"[:200]
    headers = error.headers
    for path, methods in request.app.openapi()[
        "paths"
    ].items():  # a route knows its own methods alone
        if error.status_code == 405 and re.fullmatch(PART.sub("[^/]+", path), request.url.path):
            headers = {"Allow": ", ".join(sorted(methods)).upper()}
            break
    return problems.problem(error.status_code, said, headers=headers)


async def _of_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problems.problem(422, f"{first['loc'][-1]}: {first['msg']}"[:400], "Invalid")


async def _of_system(request: Request, error: Exception) -> Response:
    """The system's words, but not the path."""
    assert isinstance(error, OSError)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return problems.problem(507 if full else 500, f"the server's disk: {error.strerror or error}")


async def _of_defect(request: Request, error: Exception) -> Response:
    return problems.problem(500, problems.DEFECT)


class Counts:
    """What Prometheus reads."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._answers: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[str] = Counter()

    def count(self, verb: str, status: int, seconds: float) -> None:
        """Note an answer."""
        self._answers[verb, status] += 1
        self._seconds[verb] += seconds  # type: ignore[assignment]

    def text(self) -> str:
        """All figures in Prometheus' text format."""
        lines = [
            "# TYPE zeuxis_requests_total counter",
            *(
                f'zeuxis_requests_total{{verb="{verb}",status="{status}"}} {n}'
                for (verb, status), n in sorted(self._answers.items())
            ),
            "# TYPE zeuxis_seconds_total counter",
            *(
                f'zeuxis_seconds_total{{verb="{v}"}} {s:.6f}'
                for v, s in sorted(self._seconds.items())
            ),
            "# TYPE zeuxis_waiting gauge",
            f"zeuxis_waiting {self._models.waiting}",
            "# TYPE zeuxis_batches_total counter",
            f"zeuxis_batches_total {self._models.batches}",
            "# TYPE zeuxis_images_total counter",
            f"zeuxis_images_total {self._models.images}",
        ]
        return "\n".join(lines) + "\n"
