"""What is refused before a route is looked for, whatever the method.

A page of another site can make a browser send requests to this machine, also under a name that it lets point
here (DNS rebinding), and with the browser's cookies. So each request has to come under a name of this
server, from a page of its own or from no page, in a type that no form can send, and with a secret. Where
other local servers of this kind were broken, docs/decisions/0016 lists; each case is a test.
"""

import dataclasses
import secrets
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zeuxis.server.problems import problem

API = "/api/v1"
OPEN = {f"{API}/health", f"{API}/session"}
"""Paths that need no secret: one tells nothing, the other takes one."""
TYPES = ("application/json", "application/octet-stream")
"""Of bodies. A form of another site can send neither."""
MOST_BYTES = 64 << 20
"""Of a body."""
ALONE = {b"host", b"origin", b"authorization", b"cookie", b"content-type", b"content-length"}
"""Headers that stand once: of two, programs take this one or the other."""
CACHING, POLICY = b"cache-control", b"content-security-policy"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (POLICY, b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (CACHING, b"no-store"),
)
"""Of every answer; a route may say that its own never changes."""
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a page may load: nothing that is not this server's, and nothing that stands in the page itself."""


class Keys:
    """The secrets of a server: its token, a ticket that is good once, and the sessions that tickets opened.

    Args:
        token: what programs send as `Authorization: Bearer`.
        cookie: name of the cookie; browsers share cookies between the ports of a host.
    """

    def __init__(self, token: str, cookie: str = "zeuxis") -> None:
        self.cookie = cookie
        self._token = token
        self._ticket: str | None = None
        self._sessions: set[str] = set()

    def new_ticket(self) -> str:
        """A word that a browser exchanges for a cookie, once; the one before is no longer good."""
        self._ticket = secrets.token_urlsafe(24)
        return self._ticket

    def redeem(self, ticket: str) -> str | None:
        """The value of a cookie for the ticket; None if it is another, or was used."""
        if self._ticket is None or not _same(ticket, self._ticket):
            return None
        self._ticket = None
        session = secrets.token_urlsafe(32)
        self._sessions.add(session)
        return session

    def fit(self, authorization: str, cookies: str) -> bool:
        """Whether one of the headers holds a secret of this server."""
        if _same(authorization, f"Bearer {self._token}"):
            return True
        named = (one.strip().partition("=") for one in cookies.split(";"))
        values = [value for name, _, value in named if name == self.cookie]
        return any(_same(value, one) for value in values for one in self._sessions)


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("latin-1", "replace"), secret.encode())


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    sentence: str


class Guard:
    """An ASGI application around another: it lets through what passes every rule.

    Args:
        app: what is guarded.
        keys: the secrets.
        hosts: values of `Host` that are this server, such as `127.0.0.1:8000`.
        origins: values of `Origin` of its own pages.
        pages: paths of files that need no secret, since they hold none.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        hosts: Collection[str],
        origins: Collection[str],
        pages: Collection[str] = (),
    ) -> None:
        self._app, self._keys = app, keys
        self._hosts, self._origins = frozenset(hosts), frozenset(origins)
        self._pages = frozenset(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # no WebSocket is ever accepted
            return await send({"type": "websocket.close", "code": 1008})

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                ours = dict(HEADERS)
                if scope["path"] in self._pages:
                    ours[POLICY] = PAGE_POLICY
                if CACHING in dict(given):
                    del ours[CACHING]
                message["headers"] = [*given, *ours.items()]
            await send(message)

        refused = self._refusal(scope)
        if refused is not None:
            return await problem(refused.status, refused.sentence)(scope, receive, marked)
        await self._app(scope, _bounded(receive), marked)

    def _refusal(self, scope: Scope) -> Refusal | None:
        names = [name for name, _ in scope["headers"]]
        if any(names.count(name) > 1 for name in ALONE):
            return Refusal(400, "a header stands twice")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        return (
            self._foreign(headers)
            or _untyped(scope["method"], headers)
            or self._keyless(scope, headers)
        )

    def _foreign(self, headers: dict[str, str]) -> Refusal | None:
        """Other names, and pages of others."""
        if headers.get("host") not in self._hosts:
            return Refusal(421, "this server does not answer to that name; --host-name adds one")
        foreign = "origin" in headers and headers["origin"] not in self._origins
        if foreign or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return Refusal(403, "requests from pages of other sites are refused")
        return None

    def _keyless(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        if scope["path"] in OPEN or scope["path"] in self._pages:
            return None
        if self._keys.fit(headers.get("authorization", ""), headers.get("cookie", "")):
            return None
        return Refusal(401, "the token is missing or wrong; send Authorization: Bearer TOKEN")


def _untyped(method: str, headers: dict[str, str]) -> Refusal | None:
    """Bodies that a form may send, that are too long, or whose length proxies disagree on."""
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or (
        "transfer-encoding" in headers and "content-length" in headers
    ):
        return Refusal(400, "the length of the body is no number, or said twice")
    if int(length[:20]) > MOST_BYTES or len(length) > 20:
        return Refusal(413, f"a body has at most {MOST_BYTES >> 20} MiB")
    has_body = length != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "" if has_body else TYPES[0]).split(";")[0].strip().lower()
    if kind not in TYPES or (has_body and method in ("GET", "HEAD")):
        return Refusal(415, f"a body is of type {' or '.join(TYPES)}, and GET has none")
    return None


def _bounded(receive: Receive) -> Receive:
    """The body's parts, as long as they stay within the bound; then the end, as if the client had gone."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= MOST_BYTES else {"type": "http.disconnect"}

    return bounded
