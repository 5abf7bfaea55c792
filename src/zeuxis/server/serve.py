"""What `zeuxis serve` does: check what is served, make the application, answer until it is told to end."""

import asyncio
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from zeuxis.core.errors import Conflict, Invalid, NotFound, Unable
from zeuxis.core.lock import locked
from zeuxis.core.settings import Settings

NAMED = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
"""A name as browsers send it or an address, and a port."""
SHORTEST = 16
"""Characters of a token."""


class Options(Settings):
    """How to serve; the command line has the defaults."""

    port: int
    """Of this machine; 0 takes a free one."""
    token_file: Path | None
    """File with the token; without, one is made up and printed."""
    host_name: str | None
    """A name under which other machines reach this one, with the port of a proxy in front if that is not the
    usual one; without, only this machine does."""
    queue: int
    """Requests that may wait."""
    deadline: float
    """Seconds that one waits at most."""
    max_images: int
    """Images of one request."""
    jobs: Path | None
    """Folder of training jobs and of pictures that clients send; without, no training."""
    sources: tuple[Path, ...]
    """Images that jobs may train on."""


def serve(
    runs: Sequence[Path],
    options: Options,
    say: Callable[[str], None],
    invite: Callable[[str], None] | None = None,
) -> None:
    """Answer requests until Ctrl-C or SIGTERM.

    Args:
        runs: folders of trained models.
        options: how.
        say: told the address and the token.
        invite: told the address that lets a browser into the studio, which is served only with this.

    Raises:
        Unable: fastapi or uvicorn is not installed, or the studio's page is not built.
        Invalid: a folder holds no model, or the token is none.
    """
    try:
        import uvicorn

        from zeuxis.server import app, guard, models, pages
        from zeuxis.server.connections import PATIENCE, Patient
        from zeuxis.server.jobs import Jobs
    except ImportError as error:
        missing = error.name or "a package"
        raise Unable(f"the server needs {missing}: pip install 'zeuxis[studio]'") from error
    files = pages.read_pages() if invite is not None else {}
    served: Mapping[str, Path] = names(runs)
    token, jobs = read_token(options), None
    name, _ = named_host(options.host_name or "127.0.0.1")
    if options.jobs is not None:
        jobs = Jobs(options.jobs.resolve(), named_sources(options.sources), served)
        served = jobs.runs
    elif not runs:
        raise Invalid("there is nothing to serve: name a run, or --jobs FOLDER to train some")
    held = locked(jobs.folder / ".lock", f"{jobs.folder} is served") if jobs else nullcontext()
    with held, _listening(options) as listening:
        port = listening.getsockname()[1]
        keys = guard.Keys(token, cookie=f"zeuxis-{port}")
        process = models.Models(models.process(options.max_images), options.queue, options.deadline)
        made = app.make(process, keys, served, jobs, files)
        config = uvicorn.Config(
            guard.Guard(made, keys, *addresses(port, options.host_name), files),
            http=Patient,
            ws="none",
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=2 * options.queue + 64,
            timeout_keep_alive=int(PATIENCE),
            timeout_graceful_shutdown=3,
        )
        place = f"http://{name}:{port}"
        if invite is not None:
            listening.listen()  # what connects now is answered in a moment
            invite(f"{place}/#ticket={keys.new_ticket()}")
        else:
            say(f"serving {', '.join(served) or 'no model yet'} on {place}{guard.API}")
            if options.token_file is None:
                say(f"token: {token}")
        with suppress(KeyboardInterrupt):  # the signal, again once all requests are answered
            asyncio.run(uvicorn.Server(config).serve([listening]))
    say("stopped; jobs go on" if jobs is not None else "stopped")


def names(runs: Sequence[Path]) -> dict[str, Path]:
    """Folders of trained models by their last name.

    Raises:
        NotFound: one holds no model.
        Conflict: two have one name.
    """
    named: dict[str, Path] = {}
    for run in runs:
        folder = run.resolve()
        if not (folder / "config.json").is_file():
            raise NotFound(f"{run} holds no trained model; `zeuxis train` writes one")
        if named.setdefault(folder.name, folder) != folder:
            raise Conflict(f"two runs are called {folder.name}; rename one of their folders")
    return named


def named_sources(paths: Sequence[Path]) -> dict[str, Path]:
    """Sources by their last name.

    Raises:
        NotFound: there is nothing.
        Conflict: two have one name.
    """
    named: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise NotFound(f"there is no {path}; --source names images on this machine")
        if named.setdefault(path.resolve().name, path.resolve()) != path.resolve():
            raise Conflict(f"two sources are called {path.resolve().name}; rename one")
    return named


def read_token(options: Options) -> str:
    """The token of the file, or a new one.

    Raises:
        Invalid: others reach the server and there is no file, or what it holds is no token.
    """
    if options.token_file is None:
        if options.host_name is not None:
            raise Invalid(
                "other machines may only ask with a token: name a file of one with --token-file"
            )
        return secrets.token_urlsafe(24)
    token = options.token_file.read_text("utf-8").strip()
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()) or " " in token:
        raise Invalid(
            f"{options.token_file} holds no token: expected at least {SHORTEST} characters without spaces, "
            "such as of `openssl rand -hex 24`"
        )
    return token


def addresses(port: int, host_name: str | None) -> tuple[set[str], set[str]]:
    """Values of `Host` and of `Origin` that are this server."""
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    origins = {f"http://{host}" for host in hosts}
    if host_name is not None:
        name, outside = named_host(host_name)
        direct, asked = f"{name}:{port}", f"{name}:{outside}" if outside else name
        hosts |= {direct, asked}
        origins |= {f"http://{direct}", f"https://{direct}", f"https://{asked}"}
    return hosts, origins


def named_host(text: str) -> tuple[str, str]:
    """A name, and the port under which a proxy answers to it; "" is that of the protocol.

    Raises:
        Invalid: it is no NAME or NAME:PORT, such as an address with `https://`.
    """
    found = NAMED.fullmatch(text.lower())
    if found is None:
        raise Invalid(
            f"--host-name is {text!r:.80}; expected NAME or NAME:PORT, such as pictures.example:8443"
        )
    return found[1], found[2] or ""


def _listening(options: Options) -> socket.socket:
    """Where it listens: on this machine alone unless others are to reach it."""
    # with its protocol by name, or asyncio leaves Nagle's delay of 40 ms on
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1" if options.host_name is None else "0.0.0.0", options.port))
    except OSError as error:
        found.close()
        raise Invalid(
            f"port {options.port} is taken or not ours ({error.strerror}); name another with --port"
        ) from error
    return found
