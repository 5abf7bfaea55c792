"""What the server says of the page: open to a browser that has no secret yet, closed to other sites."""

import asyncio
import sys

import httpx
import pytest

from tests.server.conftest import HOST, TOKEN, in_a_thread
from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis.cli import studio
from zeuxis.server import pages, serve
from zeuxis.server.app import make
from zeuxis.server.guard import HEADERS, PAGE_POLICY, POLICY, Guard, Keys
from zeuxis.server.models import Models


@pytest.fixture
def built(tmp_path):
    """A page as Vite leaves it."""
    (tmp_path / "static" / "assets").mkdir(parents=True)
    (tmp_path / "static" / "index.html").write_text("<title>Zeuxis</title>")
    (tmp_path / "static" / "assets" / "index-1a2b.js").write_text("0")
    (tmp_path / "static" / "mark.svg").write_text("<svg/>")
    return tmp_path / "static"


@pytest.fixture
def ask(built):
    """Request something from a server that shows the page."""
    files, keys, models = pages.read_pages(built), Keys(TOKEN), Models(in_a_thread, 1, 5)
    app = Guard(make(models, keys, {}, None, files), keys, *serve.addresses(8000, None), files)

    def asked(path, method="GET", **headers):
        async def once():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(once())

    return asked


@breaks("server/pages.py", 'FOR_EVER if hashed else "no-cache"', "FOR_EVER")
@breaks("server/guard.py", "del ours[CACHING]", "pass")
@pytest.mark.parametrize(
    ("path", "media", "caching"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/assets/index-1a2b.js", "text/javascript; charset=utf-8", pages.FOR_EVER),
        ("/mark.svg", "image/svg+xml", "no-cache"),
    ],
)
def test_files_are_answered_without_a_secret(ask, path, media, caching):
    for method in ("GET", "HEAD"):
        answer = ask(path, method)
        assert answer.status_code == 200
        assert answer.headers.get_list("content-type") == [media]
        assert answer.headers.get_list("cache-control") == [caching]
        assert answer.headers.get_list("content-security-policy") == [PAGE_POLICY.decode()]
        others = {name.decode(): value.decode() for name, value in HEADERS if name != POLICY}
        del others["cache-control"]
        assert others.items() <= dict(answer.headers).items()


@breaks(
    "server/guard.py", 'or scope["path"] in self._pages', 'or not scope["path"].startswith("/api")'
)
@breaks("server/guard.py", "self._foreign(headers)\n", "None\n")
@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/", "GET", {"Origin": "http://evil.example"}, 403),
        ("/", "GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/", "GET", {"Host": "evil.example"}, 421),
        ("/", "POST", {"Content-Type": "application/json"}, 405),
        ("/index.html", "GET", {}, 401),
        ("/assets/", "GET", {}, 401),
        ("/api/v1/runs", "GET", {}, 401),
    ],
)
def test_everything_else_stays_closed(ask, path, method, headers, status):
    assert ask(path, method, **headers).status_code == status


def test_a_page_that_is_not_built_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pages.read_pages, "__defaults__", (tmp_path,))
    assert zeuxis("studio", tmp_path, "--no-browser") == 2
    said = capsys.readouterr().err
    assert "is not built in this checkout; run `make studio`" in said and said.count("\n") == 1


def test_a_missing_extra_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert zeuxis("studio", tmp_path, "--no-browser") == 2
    said = capsys.readouterr().err
    assert "pip install 'zeuxis[studio]'" in said and said.count("\n") == 1


@breaks("server/serve.py", "keys.new_ticket()", "token")
@breaks("cli/studio.py", 'path.parent for path in (folder / "runs")', "path for path in (folder)")
def test_the_command_invites_to_what_is_in_the_folder(tmp_path, built, monkeypatch, capsys):
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "config.json").write_text("{}")
    (tmp_path / "runs" / "unfinished").mkdir()
    opened, made = [], []
    monkeypatch.setattr(pages.read_pages, "__defaults__", (built,))
    monkeypatch.setattr(studio.webbrowser, "open", opened.append)
    monkeypatch.setattr(studio, "_has_windows", lambda: True)
    monkeypatch.setattr("zeuxis.server.guard.Keys.new_ticket", lambda keys: "the-ticket")
    monkeypatch.setattr("zeuxis.server.app.make", lambda *given: made.append(given))
    monkeypatch.setattr("uvicorn.Server.serve", lambda *given: asyncio.sleep(0))
    for words in ([], ["--no-browser"]):
        assert zeuxis("studio", tmp_path, "--port", 0, *words) == 0
    said = capsys.readouterr().out
    assert f"the studio of {tmp_path.resolve()} is at http://127.0.0.1:" in said
    assert said.count("/#ticket=the-ticket") == 2 and TOKEN not in said
    assert len(opened) == 1 and opened[0] in said
    assert list(made[0][2]) == ["demo"] and set(made[0][4]) == set(pages.read_pages(built))
