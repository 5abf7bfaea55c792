"""Routes of what runs hold besides a model, and of what may be asked of training."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import fastapi
from fastapi import Header, Query
from fastapi.responses import Response

from zeuxis.core.errors import NotFound
from zeuxis.core.files import inside, read_json, read_plain
from zeuxis.core.log import happenings, read_log, standing
from zeuxis.core.request import Request
from zeuxis.core.settings import Data, Training
from zeuxis.families import FAMILIES
from zeuxis.server.models import Models
from zeuxis.server.orders import FAMILY, PICTURE, THUMB, Order, find

SHEET = re.compile(r"step-(\d{1,12})\.png")


def routes(models: Models, runs: Mapping[str, Path]) -> fastapi.APIRouter:
    """All of them."""
    router = fastapi.APIRouter()

    @router.get("/families", summary="Families, and the schemas of what is asked of training.")
    def families() -> dict[str, Any]:
        return {
            "families": {name: summary for name, (_, summary) in FAMILIES.items()},
            "request": Request.model_json_schema(),
            "training": Training.model_json_schema(),
            "data": Data.model_json_schema(),
        }

    @router.get("/families/{family}", summary="Settings and controls of a family, as schemas.")
    async def family(family: str) -> Response:
        answer = await models.ask(Order(number=0, verb=FAMILY, body=family.encode()))
        return Response(answer.body, answer.status, media_type=answer.media)

    @router.get(
        "/runs/{run}/log", summary="Losses and scores by step, and what the doctor found and did."
    )
    def log(run: str, after: Annotated[int, Query(ge=-1)] = -1) -> dict[str, Any]:
        rows = list(read_log(find(runs, run) / "log.jsonl"))
        new = (row for row in standing(rows) if row["step"] > after)
        again = sum(row.get("action") == "rollback" for row in rows)
        happened = [{"step": step, "text": text} for step, text in happenings(rows)]
        return {
            "log": [dict(_finite(row)) for row in new],
            "rollbacks": again,
            "happened": happened,
        }

    @router.get("/runs/{run}/samples", summary="Steps with a sheet of samples.")
    def sheets(run: str) -> dict[str, list[int]]:
        return {"steps": sorted(_sheets(find(runs, run)))}

    @router.get(
        "/runs/{run}/samples/{step}", summary="The sheet of a step.", response_class=Response
    )
    async def sheet(
        run: str,
        step: int,
        size: Literal["96", "512"] | None = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        folder = find(runs, run)
        found = _sheets(folder)
        if step not in found:
            raise NotFound(f"no sheet of step {step} in {run}; /runs/{run}/samples lists them")
        content = read_plain(inside(folder / "samples", found[step]))
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}-{size or "png"}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag == if_none_match:
            return Response(status_code=304, headers=headers)
        verb, query = (PICTURE, ()) if size is None else (THUMB, (("size", size),))
        answer = await models.ask(Order(number=0, verb=verb, body=content, query=query))
        return Response(answer.body, answer.status, headers, answer.media)

    router.include_router(_reports(models, runs))
    return router


def _reports(models: Models, runs: Mapping[str, Path]) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get("/runs/{run}/report", summary="What was measured of a model.")
    def report(run: str) -> dict[str, Any]:
        path = find(runs, run) / "report.json"
        if not path.is_file():
            raise NotFound(f"{run[:80]} is not measured yet; a job of kind evaluate does it")
        return read_json(path)

    @router.get(
        "/runs/{run}/report/{sheet}",
        summary="Pictures of the report: real ones among samples, samples beside their nearest.",
        response_class=Response,
    )
    async def pictures(run: str, sheet: Literal["tiles", "near"]) -> Response:
        path = inside(find(runs, run), f"report-{sheet}.png")
        if not path.is_file():
            raise NotFound(f"the report of {run[:80]} has no such pictures; measure it again")
        answer = await models.ask(Order(number=0, verb=PICTURE, body=read_plain(path)))
        headers = {"Cache-Control": "private, no-cache"}
        return Response(answer.body, answer.status, headers, answer.media)

    return router


def _sheets(folder: Path) -> dict[int, str]:
    samples = folder / "samples"
    names = [path.name for path in samples.iterdir()] if samples.is_dir() else []
    return {int(found[1]): found[0] for found in map(SHEET.fullmatch, names) if found}


def _finite(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """JSON has no NaN."""
    for name, value in row.items():
        yield name, value if not isinstance(value, float) or math.isfinite(value) else None
