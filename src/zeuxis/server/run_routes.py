"""Routes of what runs hold besides a model, and of what may be asked of training."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import fastapi
from fastapi import Query
from fastapi.responses import Response

from zeuxis.core.errors import NotFound
from zeuxis.core.files import inside
from zeuxis.core.log import read_log
from zeuxis.core.request import Request
from zeuxis.core.settings import Data, Training
from zeuxis.families import FAMILIES
from zeuxis.server.models import Models
from zeuxis.server.orders import FAMILY, PICTURE, Order, find

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

    @router.get("/runs/{run}/log", summary="Losses and scores by step.")
    def log(run: str, after: Annotated[int, Query(ge=-1)] = -1) -> dict[str, Any]:
        rows = (row for row in read_log(find(runs, run) / "log.jsonl") if row["step"] > after)
        return {"log": [dict(_finite(row)) for row in rows]}

    @router.get("/runs/{run}/samples", summary="Steps with a sheet of samples.")
    def sheets(run: str) -> dict[str, list[int]]:
        return {"steps": sorted(_sheets(find(runs, run)))}

    @router.get(
        "/runs/{run}/samples/{step}", summary="The sheet of a step.", response_class=Response
    )
    async def sheet(run: str, step: int) -> Response:
        folder = find(runs, run)
        found = _sheets(folder)
        if step not in found:
            raise NotFound(f"no sheet of step {step} in {run}; /runs/{run}/samples lists them")
        content = inside(folder / "samples", found[step]).read_bytes()
        answer = await models.ask(Order(number=0, verb=PICTURE, body=content))
        return Response(answer.body, answer.status, media_type=answer.media)

    return router


def _sheets(folder: Path) -> dict[int, str]:
    samples = folder / "samples"
    names = [path.name for path in samples.iterdir()] if samples.is_dir() else []
    return {int(found[1]): found[0] for found in map(SHEET.fullmatch, names) if found}


def _finite(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """JSON has no NaN."""
    for name, value in row.items():
        yield name, value if not isinstance(value, float) or math.isfinite(value) else None
