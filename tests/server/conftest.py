"""A server in this process: the application and its guard, and the models in a thread."""

import asyncio
import threading

import httpx
import pytest

from tests.contract import test_verbs
from tests.create.test_verbs import folder as folder
from zeuxis.server.app import make
from zeuxis.server.guard import Guard, Keys
from zeuxis.server.models import Models
from zeuxis.server.serve import addresses
from zeuxis.server.worker import work

TOKEN = "a-token-for-tests"
HOST = "127.0.0.1:8000"
MOST = 16
"""Images of one request."""
runs, photos, words = test_verbs.runs, test_verbs.photos, test_verbs.words


def in_a_thread(pipe):
    """Answer orders in this process, for the speed of tests."""
    threading.Thread(target=work, args=(pipe, MOST), daemon=True).start()


class Client:
    """Requests with the token, one after another, by httpx against an application."""

    def __init__(self, app, runs, served):
        self.app, self.loop = app, asyncio.new_event_loop()
        self._runs, self._served = runs, served
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(
            transport=transport,
            base_url=f"http://{HOST}",
            headers={"authorization": f"Bearer {TOKEN}"},
        )

    def serve(self, name):
        """Serve an untrained model of a family, under the family's name."""
        return self._served.setdefault(name, self._runs(name)).name

    def request(self, method, url, **given):
        return self.loop.run_until_complete(self.http.request(method, url, **given))

    def raw(self, method, path):
        """Status and body for a path as it is, which httpx would tidy."""
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"host", HOST.encode()), (b"authorization", f"Bearer {TOKEN}".encode())]
        known = {"type": "http", "http_version": "1.1", "scheme": "http", "root_path": ""}
        scope = {**known, "method": method, "path": path, "query_string": b"", "headers": headers}
        scope["raw_path"] = path.encode()
        self.loop.run_until_complete(self.app(scope, receive, send))
        return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)

    def get(self, url, **given):
        return self.request("GET", url, **given)

    def post(self, url, **given):
        return self.request("POST", url, **given)


@pytest.fixture(scope="module")
def keys():
    return Keys(TOKEN)


@pytest.fixture(scope="module")
def server(runs, keys):
    """A client of a server."""
    served, models = {}, Models(in_a_thread, queue=4, deadline=300)
    guarded = Guard(make(models, keys, served), keys, *addresses(8000, None))
    client = Client(guarded, runs, served)
    yield client
    models.close()
    client.loop.run_until_complete(client.http.aclose())
    client.loop.close()
