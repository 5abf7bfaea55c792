"""What is refused before routing; and the published holes of other local servers, replayed with no effect."""

import asyncio
import base64
import itertools
import json
import socket

import numpy as np
import pytest
import uvicorn

from tests.server.conftest import HOST, TOKEN
from tests.support.sabotage import breaks
from zeuxis.server import connections
from zeuxis.server.guard import HEADERS, Guard, Keys
from zeuxis.server.serve import addresses

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PURGE")
KEY = ("authorization", f"Bearer {TOKEN}")
JSON = ("content-type", "application/json")
HOME = ("host", HOST)
OWN = ("origin", f"http://{HOST}")


class Behind:
    """An application that remembers what came through to it."""

    def __init__(self):
        self.seen = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.seen.append((scope["method"], scope["path"]))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})


def ask(headers, method="GET", path="/api/v1/runs", keys=None, kind="http", names=None):
    """Status and headers of the answer, and whether it came from behind the guard."""
    behind, sent = Behind(), []
    guard = Guard(behind, keys or Keys(TOKEN), *addresses(8000, names))

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "method": method, "path": path, "headers": raw}
    asyncio.run(guard(scope, receive, send))
    return sent[0].get("status"), dict(sent[0].get("headers", ())), bool(behind.seen)


def test_a_client_with_the_token_comes_through_and_answers_are_marked():
    for method in ("GET", "POST", "DELETE"):
        status, headers, through = ask([HOME, KEY, JSON], method)
        assert (status, through) == (200, True)
        assert all(headers[name] == value for name, value in HEADERS)
    assert ask([HOME], path="/api/v1/health")[0] == 200
    assert ask([HOME, KEY, OWN, ("sec-fetch-site", "same-origin")])[2]


REFUSED = {
    "no host": ([KEY], 421),
    "another host": ([("host", "evil.example:8000"), KEY], 421),
    "rebound name": ([("host", "evil.example"), KEY, ("origin", "http://evil.example")], 421),
    "name with a dot": ([("host", "127.0.0.1.:8000"), KEY], 421),
    "name in capitals": ([("host", "LOCALHOST:8000"), KEY], 421),
    "no port": ([("host", "127.0.0.1"), KEY], 421),
    "another port": ([("host", "127.0.0.1:8001"), KEY], 421),
    "two hosts": ([HOME, ("host", "evil.example"), KEY], 400),
    "two origins": ([HOME, KEY, OWN, ("origin", "https://evil.example")], 400),
    "two tokens": ([HOME, KEY, ("authorization", "Bearer x")], 400),
    "another origin": ([HOME, KEY, ("origin", "https://evil.example")], 403),
    "null origin": ([HOME, KEY, ("origin", "null")], 403),
    "origin with our name as prefix": ([HOME, KEY, ("origin", f"http://{HOST}.evil")], 403),
    "origin of another port": ([HOME, KEY, ("origin", "http://127.0.0.1:8801")], 403),
    "origin over https": ([HOME, KEY, ("origin", f"https://{HOST}")], 403),
    "origin of a subdomain": ([HOME, KEY, ("origin", "http://localhost.evil:8000")], 403),
    "cross-site": ([HOME, KEY, ("sec-fetch-site", "cross-site")], 403),
    "same-site": ([HOME, KEY, ("sec-fetch-site", "same-site")], 403),
    "no token": ([HOME], 401),
    "another token": ([HOME, ("authorization", f"Bearer {TOKEN}x")], 401),
    "token as it is": ([HOME, ("authorization", TOKEN)], 401),
    "token as a cookie": ([HOME, ("cookie", f"zeuxis={TOKEN}")], 401),
    "empty token": ([HOME, ("authorization", "Bearer ")], 401),
    "letters beyond ASCII": ([HOME, ("authorization", "Bearer \xe9")], 401),
}


@breaks("server/guard.py", 'headers.get("host") not in self._hosts', "False")
@breaks(
    "server/guard.py",
    'not in ("same-origin", "none")',
    'not in ("same-origin", "same-site", "none")',
)
@breaks("server/guard.py", "names.count(name) > 1", "False")
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused(case, method):
    headers, expected = REFUSED[case]
    status, answered, through = ask([*headers, JSON], method)
    assert (status, through) == (expected, False)
    assert dict(HEADERS).items() <= answered.items()


@breaks("server/guard.py", 'headers["origin"] not in self._origins', "False")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_with_a_foreign_origin(method):
    assert ask([HOME, KEY, JSON, ("origin", "https://evil.example")], method)[::2] == (403, False)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("content-type", "text/plain"), ("content-length", "2")], 415),
        ([("content-type", "application/x-www-form-urlencoded"), ("content-length", "2")], 415),
        ([("content-type", "multipart/form-data; boundary=x"), ("content-length", "2")], 415),
        ([("content-type", "application/json, text/plain"), ("content-length", "2")], 415),
        ([("content-length", "2")], 415),
        ([("transfer-encoding", "chunked")], 415),
        ([JSON, ("content-length", str(2**40))], 413),
        ([JSON, ("content-length", "9" * 5000)], 413),
        ([JSON, ("content-length", "-1")], 400),
        ([JSON, ("content-length", "2"), ("transfer-encoding", "chunked")], 400),
    ],
)
def test_bodies_that_a_form_can_send_or_that_are_too_long(headers, expected):
    assert ask([HOME, KEY, *headers], "POST")[::2] == (expected, False)


def test_no_upgrade_anywhere():
    for path in ("/", "/api/v1/runs", "/api/v1/health"):
        status, _, through = ask([HOME, KEY, OWN], path=path, kind="websocket")
        assert status is None and not through


@breaks("server/guard.py", "        self._ticket = None\n        session", "        session")
def test_a_ticket_opens_one_session_of_this_server_only(server, keys):
    ticket = keys.new_ticket()
    bare = {"authorization": ""}
    for wrong in ("", ticket + "x", 3, None):
        assert (
            server.post("/api/v1/session", json={"ticket": wrong}, headers=bare).status_code == 401
        )
    opened = server.post("/api/v1/session", json={"ticket": ticket}, headers=bare)
    cookie = opened.headers["set-cookie"]
    assert (
        opened.status_code == 204 and "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    )
    server.http.cookies.clear()
    named = {"cookie": f"other=1; {cookie.partition(';')[0]}", **bare}
    assert server.get("/api/v1/runs", headers=named).status_code == 200
    assert server.post("/api/v1/session", json={"ticket": ticket}, headers=bare).status_code == 401
    pair = ("cookie", named["cookie"])
    assert ask([HOME, pair])[0] == 401  # another server, with other keys
    assert ask([HOME, pair, ("origin", "http://127.0.0.1:8801")], keys=keys)[0] == 403


def routes(server):
    """(method, path) of every route that the application has, parameters filled in."""
    for path, told in server.get("/api/v1/openapi.json").json()["paths"].items():
        for method in told:
            yield method.upper(), path.replace("{run}", "vae")
    yield from (("GET", path) for path in ("/", "/docs", "/openapi.json", "/api/v1/openapi.json"))


@breaks(
    "server/guard.py",
    "return None\n        return Refusal(401",
    "return None\n        return None and Refusal(401",
)
def test_no_route_without_the_token_but_health_and_the_session(server):
    walked = list(routes(server))
    assert len(walked) > 15
    for method, path in walked:
        answer = server.request(method, path, headers={"authorization": ""})
        open_ = path in ("/api/v1/health", "/api/v1/session")
        assert open_ or answer.status_code == 401, (method, path)


# Published holes of other local servers


ROOTS = ("etc/passwd", "windows/win.ini", "proc/self/environ", "token.txt", "config.json")
CLIMBS = (
    "../",
    "..\\",
    "%2e%2e/",
    "..%2f",
    "..%5c",
    "%252e%252e%252f",
    "....//",
    "/",
    "//",
    "\\\\?\\",
    "C:",
    "~/",
)
STRINGS = [
    climb * depth + root + end
    for climb, depth, root, end in itertools.product(
        CLIMBS, (1, 4), ROOTS, ("", "%00.png", "/.", "::$DATA")
    )
] + [
    "file:///etc/passwd",
    "http://127.0.0.1:9/x",
    "gopher://x",
    "\\\\evil\\share",
    "$(touch x)",
    "`id`",
    ";id",
    "a\nb",
]


@pytest.fixture
def no_connections(monkeypatch):
    """Nothing here may open a connection of its own (SSRF: ComfyUI 2024-12882, Gradio 2026-28416)."""
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: tried.append(place))
    yield
    assert not tried


def test_traversal_strings_in_a_path_reach_no_file(server, tmp_path, monkeypatch):
    """mlflow 2026-2614, InvokeAI 2025-6237, Gradio 2026-28414: runs are names that are looked up."""
    monkeypatch.chdir(tmp_path)
    server.serve("vae")
    assert len(STRINGS) >= 480
    for text in STRINGS:
        for path in (f"/api/v1/runs/{text}", f"/api/v1/runs/{text}/sample", f"/{text}"):
            for method in ("GET", "POST"):
                status, body = server.raw(method, path)
                assert status in (404, 405) and b"root:" not in body, (method, path)
    assert not any(tmp_path.iterdir())


def test_traversal_strings_in_a_body_reach_no_file(server, tmp_path, monkeypatch, no_connections):
    """ComfyUI 2026-56671, mlflow 2026-0596: files are bytes, words are looked up, no shell sees them."""
    monkeypatch.chdir(tmp_path)
    server.serve("vae")
    for text in STRINGS[::6] + STRINGS[-8:]:
        for body in (
            {"labels": text},
            {"labels": {text: text}},
            {text: 1},
            {"controls": {text: text}},
        ):
            assert server.post("/api/v1/runs/vae/sample", json=body).status_code in (404, 422)
        for verb, body in (
            ("reconstruct", {"images": [text]}),
            ("decode", {"latents": text}),
            ("interpolate", {"start": text, "end": text}),
            ("score", {"images": text}),
        ):
            told = server.post(f"/api/v1/runs/vae/{verb}", json=body)
            assert told.status_code == 422 and "root:" not in told.text
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("site", ["same-origin", "none", "same-site", "cross-site"])
@pytest.mark.parametrize("mode", ["cors", "no-cors", "navigate", "same-origin"])
def test_sec_fetch_goes_by_the_site_alone(site, mode):
    """JupyterHub 2026-40864: `no-cors` was taken for the same origin."""
    headers = [HOME, KEY, JSON, ("sec-fetch-site", site), ("sec-fetch-mode", mode)]
    assert ask(headers, "POST")[2] == (site in ("same-origin", "none"))


def test_pickled_latents_are_not_unpickled(server, tmp_path):
    """InvokeAI 2024-12029, torch 2026-24747: no code from files."""

    class Canary:
        def __reduce__(self):
            return open, (str(tmp_path / "sung"), "w")

    np.savez(tmp_path / "x.npz", latent=np.array([Canary()], object))
    (tmp_path / "sung").unlink(missing_ok=True)
    content = base64.b64encode((tmp_path / "x.npz").read_bytes()).decode()
    server.serve("vae")
    answer = server.post("/api/v1/runs/vae/decode", json={"latents": content})
    assert answer.status_code == 422 and not (tmp_path / "sung").exists()


@breaks("server/connections.py", "if self.cycle is None:", "if False:")
def test_a_connection_that_sends_no_request_is_closed(monkeypatch):
    """InvokeAI 2024-10821 and slow clients: a few of them must not keep others out."""
    monkeypatch.setattr(connections, "PATIENCE", 0.05)
    config = uvicorn.Config(
        Behind(), http=connections.Patient, port=0, lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)

    async def go():
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        slow, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        quick, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await quick.readline()).startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(slow.read(), 5) == b""
        other.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")  # the quick one may go on
        assert b"HTTP/1.1 200" in await asyncio.wait_for(quick.readuntil(b"200"), 5)
        for one in (writer, other):
            one.close()
        server.should_exit = True
        await serving

    asyncio.run(go())


POLYGLOTS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "html": b"<html><script>alert(1)</script>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "pickle": b"\x80\x04cposix\nsystem\n(S'touch x'\ntR.",
    "zip": b"PK\x03\x04" + b"\0" * 40,
    "bmp of 2 GB": b"BM"
    + b"\0" * 16
    + (40000).to_bytes(4, "little") * 2
    + b"\x01\0\x18\0"
    + b"\0" * 24,
}


@pytest.mark.parametrize("kind", POLYGLOTS)
def test_uploads_that_are_no_image_are_refused(kind, server):
    """ComfyUI 2024-10099, Pillow's bombs: only what the decoder makes of a picture goes on."""
    server.serve("vae")
    raw = {"content-type": "application/octet-stream"}
    answer = server.post("/api/v1/runs/vae/reconstruct", content=POLYGLOTS[kind], headers=raw)
    assert answer.status_code == 422, answer.text


def test_metadata_of_an_upload_is_not_answered(server, photos):
    """A1111 2026-111984: text chunks of a picture end with its decoding."""
    from PIL import Image, PngImagePlugin

    server.serve("vae")
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "<img src=x onerror=alert(1)>")
    with Image.open(photos / "photo-0.png") as image:
        image.save(photos.parent / "marked.png", pnginfo=info)
    content = base64.b64encode((photos.parent / "marked.png").read_bytes()).decode()
    answer = server.post("/api/v1/runs/vae/reconstruct", json={"images": [content]})
    png = base64.b64decode(answer.json()["images"][0]["png"])
    assert answer.status_code == 200 and b"onerror" not in png and "onerror" not in answer.text


def test_markup_in_names_comes_back_as_json_only(server):
    """Sentences quote what was sent: never as a page, and no browser may guess a type."""
    name = "<img src=x onerror=alert(1)>"
    answer = server.post("/api/v1/runs/vae/sample", json={"labels": {name: name}})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert json.loads(answer.text)["status"] == 404


def test_nothing_is_redirected(server):
    """Gradio 2024-4940, A1111 2024-11044: no Location is ever made of what was asked."""
    for path in (
        "//evil.example",
        "/api/v1/runs/",
        "/api/v1//runs",
        "/api/v1/runs/vae/",
        "/\\evil",
    ):
        answer = server.get(path)
        assert answer.status_code == 404 and "location" not in answer.headers
    assert (
        server.get("/api/v1/runs", headers={"x-forwarded-host": "evil.example"}).status_code == 200
    )


def test_ranges_are_ignored(server):
    """Starlette 2025-62727: nothing here reads Range."""
    ranges = "bytes=" + ",".join(f"{i}-{i}" for i in range(10_000))
    assert server.get("/api/v1/runs", headers={"range": ranges}).status_code == 200


def test_a_host_name_is_served_beside_the_loopback():
    key = [KEY, JSON]
    for host in ("pictures.example", "pictures.example:8000", HOST):
        assert ask([("host", host), *key], names="pictures.example")[0] == 200
    assert ask([HOME, KEY, ("origin", "https://pictures.example")], names="pictures.example")[2]
    assert ask([("host", "evil.pictures.example"), *key], names="pictures.example")[0] == 421


@breaks("server/serve.py", 'f"{name}:{outside}" if outside else name', "name")
def test_a_proxy_on_another_port_is_named_with_it():
    named, key = "pictures.example:8443", [KEY, JSON]
    for host in (named, "pictures.example:8000", HOST):
        assert ask([("host", host), *key], names=named)[0] == 200
    own = [("host", named), KEY, ("origin", f"https://{named}"), ("sec-fetch-site", "same-origin")]
    assert ask(own, names=named)[2]
    for host in ("pictures.example", "pictures.example:9000", "evil.example:8443"):
        assert ask([("host", host), *key], names=named)[0] == 421
    foreign = ("origin", "https://pictures.example:9000")
    assert ask([("host", named), KEY, foreign], names=named)[0] == 403
