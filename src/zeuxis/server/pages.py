"""The files of the studio's page, which `make studio` builds and the wheel carries."""

import dataclasses
import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import fastapi
from fastapi.responses import Response

from zeuxis.core.errors import Unable

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
"""Of files with a hash in their name."""


@dataclasses.dataclass(frozen=True)
class File:
    """One of them, in memory."""

    content: bytes
    media: str
    caching: str


def read_pages(folder: Path = STATIC) -> dict[str, File]:
    """All of them, by the path of their address.

    Raises:
        Unable: they were not built.
    """
    if not (folder / "index.html").is_file():
        raise Unable("the studio's page is not built in this checkout; run `make studio`")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {f"/{path.relative_to(folder).as_posix()}": _read(path) for path in found}
    return {"/": files.pop("/index.html"), **files}


def _read(path: Path) -> File:
    media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = media.startswith("text/") or media.endswith("javascript")
    hashed = path.parent.name == "assets"
    return File(
        path.read_bytes(),
        f"{media}; charset=utf-8" if text else media,
        FOR_EVER if hashed else "no-cache",
    )


def routes(files: Mapping[str, File]) -> fastapi.APIRouter:
    """A route for each; no path of a request ever reaches the disk."""
    router = fastapi.APIRouter(include_in_schema=False)
    for path, file in files.items():
        router.add_api_route(path, _answer(file), methods=["GET", "HEAD"])
    return router


def _answer(file: File) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(
            file.content, headers={"cache-control": file.caching}, media_type=file.media
        )

    return answer
