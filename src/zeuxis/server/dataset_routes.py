"""Routes of sets of pictures that clients send, and of the pictures."""

import asyncio
import hashlib
import json
import posixpath
import re
import urllib.parse
from typing import Annotated, Any, Literal

import fastapi
import pydantic
from fastapi import Header, Query, Request
from fastapi.responses import JSONResponse, Response

from zeuxis.core.errors import Conflict, Invalid, NotFound
from zeuxis.core.files import read_plain, write_file
from zeuxis.core.settings import Settings, explain
from zeuxis.core.words import printable
from zeuxis.server import problems
from zeuxis.server.bodies import json_object, read_body
from zeuxis.server.datasets import THUMBS, Asked, Dataset, Datasets, Shown
from zeuxis.server.findings import Item, Summary
from zeuxis.server.guard import API
from zeuxis.server.jobs import Jobs
from zeuxis.server.models import Models
from zeuxis.server.orders import PICTURE, THUMB, Order

PAGE = 1000
"""Items of an answer at most."""
LONGEST_NAME = 1000
"""Characters of a file's name."""
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""Of what is named by its hash."""
SHA = re.compile("[0-9a-f]{64}")


class ItemFacts(pydantic.BaseModel):
    """A file that was sent."""

    id: str
    name: str
    """As it was dropped, such as cats/one.png."""
    sha: str | None
    """Of the picture, as the decoder made it; null: the file could not be read."""
    width: int
    height: int
    label: str | None
    caption: str
    excluded: bool
    problem: str | None
    """Why it could not be read."""

    @classmethod
    def of(cls, item: Item) -> "ItemFacts":
        """What clients may know of an item."""
        return cls.model_validate(item, from_attributes=True)


class DatasetFacts(Summary):
    """A set of pictures, and what was noticed of it."""

    id: str
    name: str
    sample: bool
    """It is the server's: it is shown in part and cannot be changed."""
    revision: int
    """Counts changes; the ETag."""

    @classmethod
    def of(cls, one: Shown) -> "DatasetFacts":
        """What clients may know of a set."""
        known = {name: getattr(one, name) for name in ("id", "name", "sample", "revision")}
        return cls(**dict(one.summary()), **known)


class Entry(pydantic.BaseModel):
    """A set in the list of all."""

    id: str
    name: str
    sample: bool
    count: int
    cover: list[str]
    """Hashes of up to four of its pictures."""


class Change(Settings):
    """One change: label, caption or exclusion of items; the name of a class; a finding's fix; or undo."""

    items: list[str] | None = None
    label: str | None = None
    caption: str | None = None
    excluded: bool | None = None
    rename: str | None = None
    """A class."""
    to: str | None = None
    """Its new name; that of another makes one of the two."""
    fix: str | None = None
    """Id of a finding."""
    undo: Literal[True] | None = None

    @pydantic.model_validator(mode="after")
    def _one(self) -> "Change":
        given = frozenset(self.model_fields_set)
        if given not in KINDS:
            kinds = "; ".join(", ".join(sorted(kind)) for kind in KINDS)
            raise Invalid(
                f"a change has {', '.join(sorted(given)) or 'nothing'}; expected one of: {kinds}"
            )
        return self


KINDS = tuple(
    map(
        frozenset,
        (
            ("items", "label"),
            ("items", "caption"),
            ("items", "excluded"),
            ("rename", "to"),
            ("fix",),
            ("undo",),
        ),
    )
)
"""What a change may have together."""


class Added(pydantic.BaseModel):
    """A file that was taken."""

    item: ItemFacts
    received: str
    """SHA-256 of the bytes that were sent."""
    revision: int


class Changed(pydantic.BaseModel):
    """A set after a change, and the items that it changed."""

    dataset: DatasetFacts
    items: list[ItemFacts]


class Items(pydantic.BaseModel):
    """A page of items."""

    items: list[ItemFacts]
    next: str | None
    """The cursor of the next page."""


def routes(jobs: Jobs, models: Models) -> fastapi.APIRouter:
    """All of them."""
    router = fastapi.APIRouter()
    for part in (
        _sets(jobs),
        _files(jobs.sets, models),
        _items(jobs.sets),
        _pictures(jobs.sets, models),
    ):
        router.include_router(part)
    return router


def _sets(jobs: Jobs) -> fastapi.APIRouter:
    router, sets = fastapi.APIRouter(), jobs.sets

    @router.get("/datasets", summary="Sets of pictures: your own, newest first, then the server's.")
    def listed() -> dict[str, list[Entry]]:
        return {"datasets": [_entry(one) for one in sets.all()]}

    @router.post(
        "/datasets",
        status_code=201,
        summary="Begin a set, whose id is made of its name.",
        response_model=DatasetFacts,
        openapi_extra=_body(
            {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        ),
    )
    async def create(request: Request) -> Response:
        body = await json_object(request)
        if set(body) != {"name"} or not isinstance(body["name"], str):
            raise Invalid('expected {"name": "..."}')
        made = await asyncio.to_thread(sets.create, body["name"])
        return _shown(made, 201, {"Location": f"{API}/datasets/{made.id}"})

    @router.get("/datasets/{dataset}", summary="What is in a set.", response_model=DatasetFacts)
    def shown(dataset: str) -> Response:
        return _shown(sets.get(dataset))

    @router.delete("/datasets/{dataset}", status_code=204, summary="Remove a set and its pictures.")
    def delete(dataset: str) -> Response:
        for job in jobs.all():
            busy = job.state() in ("queued", "running", "paused")
            if busy and job.asked["request"].get("source") == dataset:
                raise Conflict(f"job {job.id} trains on {dataset[:80]}; cancel it first")
        sets.delete(dataset)
        return Response(status_code=204)

    return router


def _files(sets: Datasets, models: Models) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.post(
        "/datasets/{dataset}/files",
        status_code=201,
        summary="Add a picture under its name, which may have folders: the last is its class. "
        "Without a body, ask whether the file with this hash is there.",
        response_model=Added,
        responses={200: {"model": Added}},
        openapi_extra={
            "requestBody": {
                "required": False,
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                },
            }
        },
    )
    async def add(
        dataset: str,
        request: Request,
        zeuxis_file_name: Annotated[str, Header(max_length=9 * LONGEST_NAME)],
        zeuxis_file_sha256: Annotated[str | None, Header(pattern="^[0-9a-f]{64}$")] = None,
    ) -> Response:
        own, name = sets.own(dataset), _plain(zeuxis_file_name)
        content = await read_body(request, models.deadline)
        sent = hashlib.sha256(content).hexdigest() if content else zeuxis_file_sha256 or ""
        if zeuxis_file_sha256 not in (None, sent):
            raise Invalid(
                f"the bytes have SHA-256 {sent}, not {zeuxis_file_sha256}; send them again"
            )
        known = own.find(name, sent)
        if known is not None and known.problem is None:
            return _added(own, known, sent, new=False)
        if not content:
            raise NotFound(f"{name[:200]} with these bytes is not there yet")
        own.check_room(len(content))
        answer = await models.ask(Order(number=0, verb=PICTURE, body=content))
        if answer.status == 422:
            why = str(json.loads(answer.body)["detail"])
            await asyncio.to_thread(own.add, name, sent, None, (0, 0), why)
            return problems.problem(422, f"{name[:200]}: {why}", "Invalid")
        if answer.status != 200:
            return Response(answer.body, answer.status, media_type=answer.media)
        width, height = map(int, answer.headers["size"].split())
        item, new = await asyncio.to_thread(own.add, name, sent, answer.body, (width, height), None)
        return _added(own, item, sent, new)

    return router


def _items(sets: Datasets) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get(
        "/datasets/{dataset}/items", summary="The files of a set, in the order in which they came."
    )
    def listed(
        dataset: str,
        cursor: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = 200,
    ) -> Items:
        found = [item for item in sets.get(dataset).items() if item.number > cursor]
        last = str(found[limit - 1].number) if len(found) > limit else None
        return Items(items=[ItemFacts.of(item) for item in found[:limit]], next=last)

    @router.patch(
        "/datasets/{dataset}/items",
        summary="Change labels, captions or what is left out; If-Match is the revision that you saw.",
        response_model=Changed,
        openapi_extra=_body(Change.model_json_schema()),
    )
    async def change(
        dataset: str, request: Request, if_match: Annotated[str, Header()]
    ) -> Response:
        own = sets.own(dataset)
        body = await json_object(request)
        try:
            asked = Change.model_validate(body)
        except pydantic.ValidationError as error:
            raise Invalid(explain(error)) from error
        seen = if_match.removeprefix("W/").strip('"')
        if not (seen.isascii() and seen.isdigit()):
            raise Invalid("If-Match is the revision of the set, as its ETag has it")
        changed = await asyncio.to_thread(_change, own, asked, int(seen[:18]))
        told = Changed(dataset=DatasetFacts.of(own), items=[ItemFacts.of(item) for item in changed])
        return Response(told.model_dump_json(), 200, _tag(own), "application/json")

    return router


def _change(own: Dataset, asked: Change, revision: int) -> list[Item]:
    if asked.undo:
        return own.undo(revision)
    given = asked.model_dump(exclude_unset=True)
    return own.change(Asked(**given), revision)


def _pictures(sets: Datasets, models: Models) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get(
        "/images/{sha}",
        summary="A picture by its hash, as PNG, or as WebP of at most `size` pixels a side.",
        response_class=Response,
        responses={200: {"content": {"image/png": {}, "image/webp": {}}}, 304: {}},
    )
    async def picture(
        sha: str,
        size: Literal["96", "256", "512"] | None = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        tag = f'"{sha}-{size or "png"}"'
        if not SHA.fullmatch(sha):
            raise NotFound("a picture is named by its SHA-256")
        path, folder = await asyncio.to_thread(sets.picture, sha)
        headers = {**FOREVER, "ETag": tag}
        if if_none_match == tag:
            return Response(status_code=304, headers=headers)
        if size is None:
            return Response(await asyncio.to_thread(read_plain, path), 200, headers, "image/png")
        kept = folder / THUMBS / f"{sha}-{size}.webp"
        if not kept.exists():
            content = await asyncio.to_thread(read_plain, path)
            answer = await models.ask(
                Order(number=0, verb=THUMB, body=content, query=[("size", size)])
            )
            if answer.status != 200:
                return Response(answer.body, answer.status, media_type=answer.media)
            await asyncio.to_thread(
                write_file, kept, lambda beside: beside.write_bytes(answer.body), False
            )
        return Response(await asyncio.to_thread(read_plain, kept), 200, headers, "image/webp")

    return router


def _entry(one: Shown) -> Entry:
    count = one.summary().count
    return Entry(id=one.id, name=one.name, sample=one.sample, count=count, cover=one.cover())


def _shown(one: Shown, status: int = 200, more: dict[str, str] | None = None) -> Response:
    told = DatasetFacts.of(one).model_dump_json()
    return Response(told, status, {**_tag(one), **(more or {})}, "application/json")


def _tag(one: Shown) -> dict[str, str]:
    return {"ETag": f'"{one.revision}"'}


def _added(own: Dataset, item: Item, sent: str, new: bool) -> Response:
    told = Added(item=ItemFacts.of(item), received=sent, revision=own.revision)
    return JSONResponse(told.model_dump(), 201 if new else 200)


def _plain(name: str) -> str:
    """A file's name as words, of folders that lie below the one that was dropped."""
    words = printable(urllib.parse.unquote(name)).replace("\\", "/")
    plain = posixpath.normpath("/" + words)[1:].removeprefix("/")
    if not plain or len(plain) > LONGEST_NAME:
        raise Invalid(
            f"Zeuxis-File-Name is the file's name, of at most {LONGEST_NAME:,} characters"
        )
    return plain


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
